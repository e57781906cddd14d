"""Batches of pictures to train on: read, augmented and moved to the device while others compute.

Which pictures a numbered step gets and how each is changed follows from the seed, the step and the
picture's place in the batch. So a run that goes on after a stop gets the same ones, and so it does
with other numbers of processes and of workers.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from natlib.inputs.pictures import LazyImages

MARGIN = 3 / 32  # of its side, by which "shift" moves a picture at most, to every side
# What may be done to a picture besides mirroring it. All but "shift" first take a random part of
# at least 8% and stretch it, as is usual for photos.
CHANGES = ("shift", "crop", "randaugment", "autoaugment")
Piece = tuple[Tensor, Tensor, float]  # images, labels, and share of the step's gradient
Key = tuple[int, int, int]  # step, place in its batch, row


def training_batches(
    images: Tensor | LazyImages,  # uint8 (n, 3, side, side)
    labels: Tensor,  # int64 (n,)
    steps: Sequence[int],  # numbers of the steps
    *,
    batch_size: int,  # over all processes
    seed: int = 0,
    device: torch.device | str = "cpu",
    augment: str = "shift",  # a key of CHANGES
    flip: bool = True,  # whether a mirrored picture keeps its class
    crop: float = 1.0,  # share of the side that a cut picture keeps; "shift" leaves all of it
    parts: int = 1,  # into which a process cuts its batch
    process: tuple[int, int] = (0, 1),  # number of this one, and of all
    workers: int = 0,  # processes that read and change pictures ahead; 0 does it in between
) -> Iterator[list[Piece]]:
    """Yields this process's parts of each step's batch: uint8 images, int64 labels, share.

    Shares add up to the number of processes, over all parts of all of them: each picture counts
    the same. A process reads no other pictures than its own.
    """
    n, device = min(batch_size, len(labels)), torch.device(device)
    mine = range(process[0] * parts, (process[0] + 1) * parts)
    own = [list(range(n))[part :: parts * process[1]] for part in mine]
    places, shares = sum(own, []), [len(part) * process[1] / n for part in own]
    resident = isinstance(images, Tensor) and augment == "shift"
    images = images.to(device) if resident else images
    if resident:
        rows = (batch_rows(len(labels), n, step, seed)[places] for step in steps)
        read = ((images[row.to(device)], labels[row]) for row in rows)
    else:
        data = _Changed(images, labels, augment, flip, crop, seed)
        read = _loader(data, _Keys(steps, n, places, data), min(workers, len(steps)), device)
    for step, (batch, targets) in zip(steps, read, strict=True):
        batch, targets = (x.to(device, non_blocking=True) for x in (batch, targets))
        if augment == "shift":
            generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
            batch = shift_and_flip(batch, generator, flip, n, places)
        sizes = [len(part) for part in own]
        yield list(zip(batch.split(sizes), targets.split(sizes), shares, strict=True))


def _loader(data: _Changed, keys: _Keys, workers: int, device: torch.device) -> DataLoader:
    """Returns torch's loader; on Linux its workers share what was decoded before they began."""
    workers = min(workers, os.cpu_count() or 1)
    how = {"multiprocessing_context": "fork"} if sys.platform == "linux" else {}
    how = {"num_workers": workers, "prefetch_factor": 4} | how if workers else {}
    how |= {"pin_memory": device.type == "cuda", "generator": torch.Generator()}
    return DataLoader(data, batch_sampler=keys, worker_init_fn=_ignore_interrupts, **how)


def _ignore_interrupts(worker: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the step in hand still needs its batch


class _Keys(Sampler):
    """The keys of this process's pictures, step by step."""

    def __init__(self, steps: Sequence[int], n: int, places: list[int], data: _Changed) -> None:
        self.steps, self.n, self.places, self.data = steps, n, places, data

    def __len__(self) -> int:
        return len(self.steps)

    def __iter__(self) -> Iterator[list[Key]]:
        for step in self.steps:
            rows = batch_rows(len(self.data), self.n, step, self.data.seed)[self.places]
            yield [(step, *pair) for pair in zip(self.places, rows.tolist(), strict=True)]


class _Changed(Dataset):
    """Pictures of a training split, each changed at random by its key."""

    def __init__(self, images, labels, augment: str, flip: bool, crop: float, seed: int) -> None:
        self.images, self.labels, self.seed = images, labels, seed
        self.change = None if augment == "shift" else changes(augment, images.shape, flip, crop)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, key: Key) -> tuple[Tensor, Tensor]:
        step, place, row = key
        image = self.images[row]
        if self.change is not None:
            with torch.random.fork_rng(devices=[]):
                state = np.random.SeedSequence((self.seed, step, place)).generate_state(1)
                torch.manual_seed(int(state[0]))
                image = self.change(image)
        return image, self.labels[row]


def changes(augment: str, shape: Sequence[int], flip: bool, crop: float) -> Callable:
    """Returns what is done to a picture, uint8 `(3, side, side)`, of a split of such `shape`."""
    from torchvision.transforms import v2  # takes a second, and few need it

    side = round(shape[-1] * crop)  # of what a network sees at test time
    jitter = partial(v2.ColorJitter, brightness=32 / 255, saturation=0.5)  # as Once-for-all
    then = {"crop": jitter, "randaugment": v2.RandAugment, "autoaugment": v2.AutoAugment}
    mirror = [v2.RandomHorizontalFlip()] if flip else []
    return v2.Compose([v2.RandomResizedCrop(side), *mirror, then[augment]()])


def shift_and_flip(
    images: Tensor, generator: torch.Generator, flip: bool,
    batch: int | None = None, places: Sequence[int] | slice = slice(None),
) -> Tensor:  # fmt: skip
    """Shifts pictures, uint8 `(n, 3, h, w)`, by up to `MARGIN`; with `flip` mirrors half of them.

    They may be those at some places of a larger batch. What is random is drawn on the CPU.
    """
    (n, _, height, width), margin = images.shape, round(images.shape[-1] * MARGIN)
    batch = n if batch is None else batch
    shift = torch.randint(-margin, margin + 1, (2, batch, 1), generator=generator)[:, places]
    mirrored = (torch.rand(batch, 1, generator=generator) < 0.5)[places] & flip
    rows = (torch.arange(height) + shift[0]).clamp(0, height - 1)  # the border is repeated
    columns = (torch.arange(width) + shift[1]).clamp(0, width - 1)
    columns = torch.where(mirrored, columns.flip(1), columns)
    index = (torch.arange(n).view(n, 1, 1), rows[:, :, None], columns[:, None, :])
    index = tuple(i.to(images.device) for i in index)
    return images.permute(0, 2, 3, 1)[index].permute(0, 3, 1, 2)


def batch_rows(n: int, batch_size: int, step: int, seed: int) -> Tensor:
    """Returns the rows of a step's batch, int64 `(batch_size,)`; each epoch has its own order."""
    epoch, batch = divmod(step, n // batch_size)
    return _order(n, epoch, seed)[batch * batch_size : (batch + 1) * batch_size]


@lru_cache(4)  # a large data set takes longer to shuffle than a step should
def _order(n: int, epoch: int, seed: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng((seed, epoch)).permutation(n))
