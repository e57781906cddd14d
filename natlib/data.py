"""Image tasks by name, and batches of their pictures at any resolution on the device.

`load_task` takes the name of a pocket task, which ships with the project in `data/pocket/`, of one
of the paper's eleven data sets (`describe` lists them, `check` says what is missing of one), or a
folder of pictures of yours. Every shipped file is held against its checksum when it is loaded.
"""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from natlib.datasets import DATA_SETS, check, dataset_task, describe
from natlib.folders import folder_task
from natlib.tasks import SPLITS, Split, Task, make_task

__all__ = ["Split", "Task", "check", "dataset_task", "describe", "folder_task", "load_task"]

DATA = Path(__file__).parents[1] / "data"
POCKET = DATA / "pocket"
HIDDEN = -1e4  # a logit that no softmax sees; finite, for minus infinity times zero is no number
MARGIN = 3  # pixels by which augmentation shifts a picture at most, to every side

# A mirrored animal is an animal, a mirrored digit none.
MIRRORED = {"source": True, "animals": True, "digits": False, "emoji": True}
TARGETS = ("animals", "digits", "emoji")


def load_task(name: str, side: int = 32) -> Task:
    """Loads a task by its name.

    Args:
        name: A pocket task: `"source"`, or a target, `"animals"`, `"digits"` or `"emoji"`. Or one
            of the paper's data sets, such as `"cifar10"`. Or the path of a folder of pictures.
        side: Side in pixels at which larger pictures are kept; pocket tasks have 32.

    Raises:
        ValueError: If there is no such task, or a file is damaged.
        FileNotFoundError: If a file is missing.
    """
    if name in MIRRORED:
        return read_task(POCKET / f"{name}.npz", name, MIRRORED[name])
    if name in DATA_SETS:
        return dataset_task(name, side=side)
    if Path(name).expanduser().is_dir():
        return folder_task(name, side=side)
    raise ValueError(
        f"There is no task '{name}': choose from {', '.join(MIRRORED)}, from the paper's data sets "
        f"{', '.join(DATA_SETS)}, or give the path of a folder with a folder of pictures per class."
    )


def read_task(path: Path, name: str, flip: bool, verify: bool = True) -> Task:
    """Reads a task from an npz file with `classes` and images and labels of each split.

    Args:
        path: The file.
        name: Name of the task.
        flip: Whether a mirrored picture keeps its class.
        verify: Whether the file must be the one that ships with the project.

    Raises:
        ValueError: If the file is not the one that was shipped.
        FileNotFoundError: If it is missing.
    """
    if verify:
        verify_checksum(path)
    with np.load(path, allow_pickle=False) as arrays:
        splits = {
            split: Split(*(torch.from_numpy(arrays[f"{split}_{k}"]) for k in ("images", "labels")))
            for split in SPLITS
        }
        return make_task(name, tuple(arrays["classes"].tolist()), splits, flip)


def verify_checksum(path: Path) -> None:
    """Holds a shipped file against the SHA-256 in `checksums.json` beside it.

    Raises:
        ValueError: If the file differs.
        FileNotFoundError: If it is missing.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing: it ships with the project, so restore it with "
            f"'git checkout data/pocket' or clone again."
        )
    expected = json.loads((path.parent / "checksums.json").read_text())[path.name]
    if hashlib.sha256(path.read_bytes()).hexdigest() != expected:
        raise ValueError(
            f"{path} is damaged (its checksum differs): restore it with 'git checkout data/pocket'."
        )


def pretrained_path(space_name: str) -> Path:
    """Returns the file of the pre-trained supernet of a space.

    Raises:
        FileNotFoundError: If none ships for the space or the file is missing.
    """
    path = POCKET / "supernet.safetensors"
    if space_name != "pocket":
        raise FileNotFoundError(
            f"No supernet of the {space_name} space ships with the project: pass one as "
            "'supernet', for example one that Supernet.load_ofa has filled with the official "
            "Once-for-all checkpoints."
        )
    verify_checksum(path)
    return path


def to_input(
    images: Tensor, resolution: int, task: Task, device: torch.device | str = "cpu"
) -> Tensor:
    """Resizes and normalises pictures.

    Args:
        images: uint8 `(n, 3, h, w)`.
        resolution: Side of the result in pixels.
        task: Gives mean and standard deviation of the channels.
        device: Where the result lies.

    Returns:
        float32 `(n, 3, resolution, resolution)`, channels last in memory.
    """
    x = images.to(device).to(torch.float32, memory_format=torch.channels_last)
    if x.shape[2:] != (resolution, resolution):
        size = (resolution, resolution)
        x = F.interpolate(x, size=size, mode="bilinear", antialias=True, align_corners=False)
    mean, std = (torch.tensor(v, device=device).view(1, 3, 1, 1) for v in (task.mean, task.std))
    return ((x / 255 - mean) / std).contiguous(memory_format=torch.channels_last)


def within_part(logits: Tensor, labels: Tensor, task: Task) -> Tensor:
    """Hides the logits of classes of other parts of a joined task than the picture's own.

    So each part has a classifier of its own, a block of columns of the one there is.

    Args:
        logits: `(n, num_classes)`.
        labels: int64 `(n,)`.
        task: The task; without parts the logits stay as they are.
    """
    if not task.parts:
        return logits
    part = task.part_of.to(logits.device)
    return logits.masked_fill(part[labels][:, None] != part, HIDDEN)


def augment(images: Tensor, generator: torch.Generator, flip: bool) -> Tensor:
    """Shifts every picture by up to `MARGIN` pixels each way and mirrors every second one.

    Args:
        images: uint8 `(n, 3, h, w)`; the border is repeated where a shift uncovers it.
        generator: Source of randomness on the CPU, so that it is the same on every device.
        flip: Whether to mirror at all.

    Returns:
        uint8 of the same shape.
    """
    n, _, height, width = images.shape
    shift = torch.randint(-MARGIN, MARGIN + 1, (2, n, 1), generator=generator)
    mirrored = (torch.rand(n, 1, generator=generator) < 0.5) & flip
    rows = (torch.arange(height) + shift[0]).clamp(0, height - 1)
    columns = (torch.arange(width) + shift[1]).clamp(0, width - 1)
    columns = torch.where(mirrored, columns.flip(1), columns)
    pictures = torch.arange(n, device=images.device).view(n, 1, 1)
    rows, columns = (index.to(images.device) for index in (rows, columns))
    moved = images.permute(0, 2, 3, 1)[pictures, rows[:, :, None], columns[:, None, :]]
    return moved.permute(0, 3, 1, 2)


def batch_indices(n: int, batch_size: int, step: int, seed: int) -> Tensor:
    """Returns which of `n` pictures make the batch of a numbered step, int64 `(batch_size,)`.

    Every epoch goes through the pictures in an order of its own; an incomplete batch at its end
    is left out.
    """
    epoch, batch = divmod(step, n // batch_size)
    return epoch_order(n, epoch, seed)[batch * batch_size : (batch + 1) * batch_size]


@lru_cache(maxsize=4)
def epoch_order(n: int, epoch: int, seed: int) -> Tensor:
    """Returns the order of an epoch, a permutation int64 `(n,)`."""
    return torch.from_numpy(np.random.default_rng((seed, epoch)).permutation(n))
