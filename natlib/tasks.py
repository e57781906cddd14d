"""What a task is: pictures and classes in three splits.

A `Task` keeps its pictures as uint8; `natlib.data` augments, resizes and normalises them batch by
batch, where the network is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

SPLITS = ("train", "valid", "test")


@dataclass(frozen=True)
class Split:
    """Pictures and their classes.

    Attributes:
        images: uint8 `(n, 3, h, w)`.
        labels: int64 `(n,)`.
    """

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: np.ndarray) -> Split:
        """Returns the pictures of these rows."""
        return Split(self.images[rows], self.labels[rows])


@dataclass(frozen=True)
class Task:
    """One classification task.

    Attributes:
        name: Name of the task.
        classes: Names of the classes.
        train: Pictures to fit weights and batch-norm statistics on.
        valid: Pictures to choose architectures by.
        test: Pictures for the final report, and for nothing else.
        mean: Mean of each channel of the train split, on the scale 0 to 1.
        std: Standard deviation of each channel of the train split.
        flip: Whether a mirrored picture keeps its class.
        parts: Where several tasks were joined (`natlib.many.join_tasks`), the name of each and its
            number of classes, in the order of the classes.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    valid: Split
    test: Split
    mean: tuple[float, ...]
    std: tuple[float, ...]
    flip: bool
    parts: tuple[tuple[str, int], ...] = ()

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.classes)

    @property
    def part_of(self) -> Tensor:
        """The part that each class belongs to, int64 `(num_classes,)`; all 0 for a single task."""
        sizes = torch.tensor([n for _, n in self.parts] or [self.num_classes])
        return torch.arange(len(sizes)).repeat_interleave(sizes)


def make_task(
    name: str, classes: tuple[str, ...], splits: dict[str, Split], flip: bool = True
) -> Task:
    """Returns a task, with the channel statistics of its train split.

    Args:
        name: Name of the task.
        classes: Names of the classes.
        splits: The splits `train`, `valid` and `test`.
        flip: Whether a mirrored picture keeps its class.
    """
    pixels = splits["train"].images.double() / 255
    mean, std = (tuple(v.tolist()) for v in (pixels.mean((0, 2, 3)), pixels.std((0, 2, 3))))
    return Task(name, classes, **splits, mean=mean, std=std, flip=flip)
