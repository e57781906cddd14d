"""Tasks: pictures and classes in three splits, and batches of them at any resolution."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from natlib.inputs import checks, demand, folders
from natlib.inputs.pictures import LazyImages, digest, open_file

Rows = NDArray[np.int64]  # numbers of pictures
DATA = Path(__file__).parents[1] / "data"
POCKET = DATA / "pocket"
MIRRORED = {"source": True, "animals": True, "digits": False, "emoji": True}  # see `Task.flip`
TARGETS = ("animals", "digits", "emoji")
SPLITS = ("train", "valid", "test")


@dataclass(frozen=True)
class Split:
    """Pictures, uint8 `(n, 3, h, w)`, and their classes, int64 `(n,)`."""

    images: Tensor | LazyImages
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: Rows | Tensor) -> Split:
        """Returns the pictures of these rows."""
        lazy = isinstance(self.images, LazyImages)
        return Split(self.images.take(rows) if lazy else self.images[rows], self.labels[rows])

    def on(self, device: torch.device, most: float) -> Split:
        """Returns the split with its pictures on a card, if they take no more than `most` bytes."""
        if device.type != "cuda" or np.prod(self.images.shape) > most:
            return self
        return Split(self.images[:].to(device), self.labels.to(device))


@dataclass(frozen=True)
class Task:
    """A classification task; `natlib.paper.joined` overrides `error_names`, `within`, `errors`."""

    error_names = ("top1_err",)  # of the errors that a search minimises, the columns of `errors`

    name: str
    classes: tuple[str, ...]
    train: Split  # to fit weights and batch-norm statistics on
    valid: Split  # to choose architectures by
    test: Split  # for the final report, and for nothing else
    mean: tuple[float, ...]  # of each channel of the train split, on the scale 0 to 1
    std: tuple[float, ...]
    flip: bool  # whether a mirrored picture keeps its class, as an animal does and a digit does not
    crop: float = 1.0  # share of its side that is seen of a picture in use, its middle

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.classes)

    @cached_property
    def identity(self) -> dict[str, object]:
        """Classes, and size and digest of each split: what a run finds again when it goes on."""
        splits = {f"{name} split": getattr(self, name) for name in SPLITS}
        content = {k: getattr(s.images, "content", s.images) for k, s in splits.items()}
        found = {k: f"{len(s)} pictures, {digest(content[k], s.labels)}" for k, s in splits.items()}
        return {"classes": list(self.classes)} | found

    def within(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Returns the logits, `(n, num_classes)`, among which each picture is classified."""
        return logits

    def errors(self, correct: NDArray[np.bool_], labels: Tensor) -> NDArray[np.float64]:
        """Returns errors in percent, `(n, n_errors)`, of hits `(n, n_images)` on such labels."""
        return 100 * (1 - correct.mean(axis=1, keepdims=True))


def make_task(
    name: str, classes: tuple[str, ...], splits: dict[str, Split], flip: bool = True
) -> Task:
    """Returns a task of three splits, with mean and std of the train split (of 1,000 if lazy)."""
    images, n = splits["train"].images, len(splits["train"])
    if isinstance(images, LazyImages):
        images = images[np.linspace(0, n - 1, min(1000, n)).astype(int)]
    pixels = images.double() / 255
    std = pixels.std((0, 2, 3)).clamp(min=1 / 255)  # a channel may be empty
    mean, std = (tuple(v.tolist()) for v in (pixels.mean((0, 2, 3)), std))
    return Task(name, classes, **splits, mean=mean, std=std, flip=flip)


def load_task(name: str, side: int = 32) -> Task:
    """Loads `"source"` or one of `TARGETS` (32 px), or a folder by its path (kept at `side` px)."""
    if checks.is_one_of(name, MIRRORED):
        return read_task(checks.verify_checksum(POCKET / f"{name}.npz"), name, MIRRORED[name])
    there = str(name).strip() and Path(name).expanduser().is_dir()
    demand(there, "names.task", name=name, known=", ".join(MIRRORED))
    return folder_task(name, side=side)


def read_task(path: Path, name: str, flip: bool) -> Task:
    """Reads a task from an npz file with `classes`, `train_images`, `train_labels` and so on."""
    with np.load(path, allow_pickle=False) as arrays:
        tensors = {k: torch.from_numpy(v) for k, v in arrays.items() if k != "classes"}
        splits = {k: Split(tensors[f"{k}_images"], tensors[f"{k}_labels"]) for k in SPLITS}
        return make_task(name, tuple(arrays["classes"].tolist()), splits, flip)


def pretrained_path(space_name: str) -> Path:
    """Returns the file of the pre-trained supernet of a space; raises where none ships."""
    demand(space_name == "pocket", "files.no_supernet", FileNotFoundError, space=space_name)
    return checks.verify_checksum(POCKET / "supernet.safetensors")


def folder_task(
    path: str | Path,
    *,
    side: int = 32,  # in pixels: the largest resolution of the search space
    groups: Callable[[Path], Hashable] | None = None,  # whom a picture shows: keeps these together
    flip: bool = True,  # whether a mirrored picture keeps its class
    seed: int = 0,  # of the cuts
    progress: bool = True,
) -> Task:
    """Makes a task of a directory with one folder of pictures per class.

    The class folders may lie in `train`, `valid` and `test` below the directory, or other words for
    these. For `test` and `valid`, if missing, a fifth of all pictures each is cut from `train`,
    each class in proportion. A `ValueError` names what has another layout, and a picture that is in
    two classes or splits; warnings name what is left out.
    """
    root = Path(path).expanduser()
    classes, pictures = folders.list_pictures(root)
    files = pictures.file.tolist()
    images = LazyImages(partial(open_file, files), len(files), side, names=files)
    why = images.examine(progress)
    pictures["digest"] = images.digests
    if groups is not None:
        pictures["group"] = [str(groups(file)) for file in files]
    whole = Split(images, torch.from_numpy(pictures.label.to_numpy(copy=True)))
    pictures = folders.sift(pictures, root, why)
    folders.cut_missing(pictures, classes, seed)
    splits = {k: whole.take(np.array(rows)) for k, rows in pictures.groupby("split").groups.items()}
    return make_task(root.resolve().name, classes, splits, flip)


def to_input(
    images: Tensor, resolution: int, task: Task, device: object = "cpu", crop: float = 1.0
) -> Tensor:
    """Resizes and normalises pictures to float32 `(n, 3, r, r)`, channels last in memory.

    Of each side the middle share `crop` is seen.
    """
    top, left = (round(side * (1 - crop) / 2) for side in images.shape[2:])
    images = images[..., top : images.shape[2] - top, left : images.shape[3] - left]
    x = images.to(device).to(torch.float32, memory_format=torch.channels_last)
    if x.shape[2:] != (resolution, resolution):
        x = functional.interpolate(x, (resolution, resolution), mode="bilinear", antialias=True)
    mean, std = _columns(task.mean, task.std, torch.device(device))
    return ((x / 255 - mean) / std).contiguous(memory_format=torch.channels_last)


@lru_cache(64)  # a copy to a card would wait for all that it has to do
def _columns(mean: tuple, std: tuple, device: torch.device) -> tuple[Tensor, Tensor]:
    return tuple(torch.tensor(v, device=device).view(1, 3, 1, 1) for v in (mean, std))


def fixed_rows(n: int, k: int | None) -> Rows:
    """Returns `k` numbers below `n`, always the same ones; all of them for `None`."""
    return np.random.default_rng(0).permutation(n)[:k]


def fixed_sample(split: Split, n: int | None) -> Split:
    """Returns `n` pictures of a split, always the same ones; all of them for `None`."""
    return split if n is None or n >= len(split) else split.take(fixed_rows(len(split), n))


def write_text(path: Path, text: str) -> None:
    """Writes a text file under a temporary name and renames it."""
    with checks.replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
