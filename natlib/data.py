"""Tasks: pictures and classes in three splits, and batches of them at any resolution."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import warnings
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from sklearn.model_selection import StratifiedGroupKFold
from torch import Tensor
from torch.nn import functional
from tqdm.contrib.concurrent import thread_map

Rows = NDArray[np.int64]  # numbers of pictures
DATA = Path(__file__).parents[1] / "data"
POCKET = DATA / "pocket"
MIRRORED = {"source": True, "animals": True, "digits": False, "emoji": True}  # see `Task.flip`
TARGETS = ("animals", "digits", "emoji")
SPLITS = ("train", "valid", "test")
SPLIT_FOLDERS = {"train": "train", "valid": "valid", "val": "valid", "test": "test"}
HIDDEN = (".", "__MACOSX")  # beginnings of the names of folders and files that do not count
MARGIN = 3  # pixels by which `shift_and_flip` shifts a picture at most, to every side
DECODED_BYTES = 4 * 2**30  # decoded pictures that `LazyImages` keeps in memory


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

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.classes)

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
    mean, std = (tuple(v.tolist()) for v in (pixels.mean((0, 2, 3)), pixels.std((0, 2, 3))))
    return Task(name, classes, **splits, mean=mean, std=std, flip=flip)


def load_task(name: str, side: int = 32) -> Task:
    """Loads `"source"` or one of `TARGETS` (32 px), or a folder by its path (kept at `side` px)."""
    if name in MIRRORED:
        return read_task(verify_checksum(POCKET / f"{name}.npz"), name, MIRRORED[name])
    if Path(name).expanduser().is_dir():
        return folder_task(name, side=side)
    told = f"There is no task '{name}': choose from {', '.join(MIRRORED)}, or give the path of a"
    more = "natlib.paper.dataset_task, or 'python -m natlib transfer --task cifar10'"
    rest = f"folder with a folder of pictures per class. The paper's data sets come from {more}."
    raise ValueError(f"{told} {rest}")


def read_task(path: Path, name: str, flip: bool) -> Task:
    """Reads a task from an npz file with `classes`, `train_images`, `train_labels` and so on."""
    with np.load(path, allow_pickle=False) as arrays:
        tensors = {k: torch.from_numpy(v) for k, v in arrays.items() if k != "classes"}
        splits = {k: Split(tensors[f"{k}_images"], tensors[f"{k}_labels"]) for k in SPLITS}
        return make_task(name, tuple(arrays["classes"].tolist()), splits, flip)


def verify_checksum(path: Path) -> Path:
    """Returns a shipped file; raises if it is missing or not that of `checksums.json` beside it."""
    restore = f"restore it with 'git checkout data/{path.parent.name}'"
    if not path.is_file():
        told = f"{path} is missing: it ships with the project"
        raise FileNotFoundError(f"{told}, so {restore} or clone again.")
    expected = json.loads((path.parent / "checksums.json").read_text())[path.name]
    if hashlib.sha256(path.read_bytes()).hexdigest() != expected:
        raise ValueError(f"{path} is damaged (its checksum differs): {restore}.")
    return path


def pretrained_path(space_name: str) -> Path:
    """Returns the file of the pre-trained supernet of a space; raises where none ships."""
    if space_name != "pocket":
        told = f"No supernet of the {space_name} space ships with the project: pass one as"
        such = "such as the official Once-for-all weights from natlib.paper.load_ofa"
        raise FileNotFoundError(f"{told} 'supernet', {such}.")
    return verify_checksum(POCKET / "supernet.safetensors")


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

    The class folders may lie in `train`, `valid` (or `val`) and `test` below the directory. For
    `test` and `valid`, if missing, a fifth of all pictures each is cut from `train`, each class in
    proportion. A warning lists the pictures that cannot be read, which are left out.
    """
    root = Path(path).expanduser()
    classes, pictures = _list_pictures(root)
    files = pictures.file.tolist()
    images = LazyImages(lambda row: Image.open(files[row]), len(files), side)
    bar = {"desc": "reading pictures", "disable": not progress, "leave": False}
    readable = thread_map(images.is_readable, range(len(files)), **bar)
    lost = [str(f.relative_to(root)) for f, ok in zip(files, readable, strict=True) if not ok]
    if lost:
        told = f"{len(lost)} of {len(files)} pictures cannot be read and are left out"
        warnings.warn(f"{told}: {', '.join(lost)}.", stacklevel=2)
    if groups is not None:
        pictures["group"] = [str(groups(file)) for file in files]
    whole = Split(images, torch.from_numpy(pictures.label.to_numpy(copy=True)))
    pictures = pictures[np.array(readable, dtype=bool)].copy()
    _cut_missing(pictures, classes, seed)
    splits = {k: whole.take(np.array(rows)) for k, rows in pictures.groupby("split").groups.items()}
    return make_task(root.resolve().name, classes, splits, flip)


def _list_pictures(root: Path) -> tuple[tuple[str, ...], pd.DataFrame]:
    """Returns the classes; and file, label and split of each picture, which counts once."""
    from torchvision.datasets.folder import IMG_EXTENSIONS, make_dataset  # slow to import

    if not root.is_dir():
        raise FileNotFoundError(f"There is no folder {root}: pass one that holds class folders.")
    folders = {SPLIT_FOLDERS[k]: root / k for k in _subfolders(root) if k in SPLIT_FOLDERS}
    folders = folders if "train" in folders else {"train": root}
    numbers, pictures = {name: c for c, name in enumerate(_subfolders(folders["train"]))}, {}
    if len(numbers) < 2:
        told = f"{folders['train']} holds {len(numbers)} class folders, and a task needs at least"
        raise ValueError(f"{told} two: put the pictures of each class into a folder of its own.")
    for split, folder in folders.items():
        for name in sorted(set(_subfolders(folder)) - set(numbers)):
            raise ValueError(f"'{name}' is a class in {split} but not in train: add it there.")
        suffixes = (*IMG_EXTENSIONS, ".gif")
        for file, label in make_dataset(folder, numbers, suffixes, allow_empty=True):
            if any(part.startswith(HIDDEN) for part in Path(file).relative_to(root).parts):
                continue
            first = pictures.setdefault(os.path.realpath(file), (Path(file), label, split))
            if first[1:] != (label, split):
                told = f"{file} and {first[0]} are the same file, in different classes or splits"
                raise ValueError(f"{told}: remove one of them.")
    table = pd.DataFrame(list(pictures.values()), columns=["file", "label", "split"])
    return tuple(numbers), table.astype({"label": np.int64})


def _subfolders(folder: Path) -> list[str]:
    return sorted(f.name for f in folder.iterdir() if f.is_dir() and not f.name.startswith(HIDDEN))


def _cut_missing(pictures: pd.DataFrame, classes: tuple[str, ...], seed: int) -> None:
    """Cuts the splits that have no pictures from `train`, in place."""
    missing = [split for split in ("test", "valid") if split not in set(pictures.split)]
    counts = np.bincount(pictures.label[pictures.split == "train"], minlength=len(classes))
    few = ", ".join(f"'{classes[c]}' ({n})" for c, n in enumerate(counts) if n <= len(missing))
    if few:
        told = f"Too few pictures that can be read: a class needs at least {1 + len(missing)} here"
        raise ValueError(f"{told}, but look at {few}: add pictures, or remove the folder.")
    n = round(0.2 * len(pictures))
    for split in missing:
        train = pictures[pictures.split == "train"]
        rows = stratified_cut(train.label.to_numpy(), n, seed, train.get("group"))
        pictures.loc[train.index[rows], "split"] = split
    for split in ("train", *missing):
        for c in sorted(set(range(len(classes))) - set(pictures.label[pictures.split == split])):
            told = f"The groups leave no picture of '{classes[c]}' for {split}"
            raise ValueError(f"{told}: make smaller groups, or pass no groups.")


def stratified_cut(labels: Rows, n: int, seed: int, groups: NDArray | None = None) -> Rows:
    """Draws `n` rows of `labels`, ascending, each class in proportion and with at least one."""
    if groups is not None:  # one for each row, drawn as a whole: about `n` rows come together
        folds = StratifiedGroupKFold(round(len(labels) / n), shuffle=True, random_state=seed)
        try:
            return next(folds.split(labels, labels, groups))[1]
        except ValueError as error:
            told = f"The groups cannot be cut ({error}): make smaller groups, or pass no groups."
            raise ValueError(told) from None
    exact = np.bincount(labels) * n / len(labels)
    quota = np.maximum(1, exact.astype(np.int64))
    most_short = np.argsort(quota - exact, kind="stable")
    quota[most_short[: max(0, n - quota.sum())]] += 1
    order = np.random.default_rng(seed).permutation(len(labels))
    return np.sort(np.concatenate([order[labels[order] == c][:q] for c, q in enumerate(quota)]))


class LazyImages:
    """A uint8 tensor `(n, 3, side, side)` to read, of pictures that are decoded when indexed."""

    def __init__(self, load: Callable[[int], Image.Image], n: int, side: int) -> None:
        def decode(number: int) -> Tensor:
            try:
                with load(number) as image:
                    image.draft("RGB", (2 * side, 2 * side))  # decodes less of a large JPEG
                    return to_square(image, side)
            except Exception as error:  # a damaged file makes Pillow raise nearly anything
                raise OSError(f"Picture {number} cannot be decoded: {error}") from None

        self.shape, self._numbers = (n, 3, side, side), torch.arange(n)
        self._decode = lru_cache(DECODED_BYTES // (3 * side**2))(decode)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: int | slice | Tensor | NDArray) -> Tensor:
        numbers = self._numbers[index]
        with ThreadPoolExecutor() as pool:
            pictures = list(pool.map(self._decode, numbers.flatten().tolist()))
        flat = torch.stack(pictures) if pictures else torch.empty(0, dtype=torch.uint8)
        return flat.reshape(*numbers.shape, *self.shape[1:])

    def take(self, rows: Rows | Tensor) -> LazyImages:
        """Returns the pictures of these rows, which share what was decoded."""
        taken = copy.copy(self)
        taken._numbers = self._numbers[rows]
        taken.shape = (len(taken._numbers), *self.shape[1:])
        return taken

    def is_readable(self, row: int) -> bool:
        """Returns whether the picture of a row can be decoded."""
        try:
            return self._decode(int(self._numbers[row])) is not None
        except OSError:
            return False


def to_square(image: Image.Image, side: int) -> Tensor:
    """Returns the middle square in RGB, uint8 `(3, side, side)`, turned as EXIF says, on white."""
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    square = ImageOps.fit(image.convert("RGB"), (side, side), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(square)).permute(2, 0, 1).contiguous()


def to_input(images: Tensor, resolution: int, task: Task, device: object = "cpu") -> Tensor:
    """Resizes and normalises pictures to float32 `(n, 3, r, r)`, channels last in memory."""
    x = images.to(device).to(torch.float32, memory_format=torch.channels_last)
    if x.shape[2:] != (resolution, resolution):
        x = functional.interpolate(x, (resolution, resolution), mode="bilinear", antialias=True)
    mean, std = (torch.tensor(v, device=device).view(1, 3, 1, 1) for v in (task.mean, task.std))
    return ((x / 255 - mean) / std).contiguous(memory_format=torch.channels_last)


def shift_and_flip(images: Tensor, generator: torch.Generator, flip: bool) -> Tensor:
    """Shifts pictures, uint8 `(n, 3, h, w)`, by up to `MARGIN` pixels; with `flip` mirrors half."""
    n, _, height, width = images.shape
    shift = torch.randint(-MARGIN, MARGIN + 1, (2, n, 1), generator=generator)
    mirrored = (torch.rand(n, 1, generator=generator) < 0.5) & flip  # drawn on the CPU
    rows = (torch.arange(height) + shift[0]).clamp(0, height - 1)  # the border is repeated
    columns = (torch.arange(width) + shift[1]).clamp(0, width - 1)
    columns = torch.where(mirrored, columns.flip(1), columns)
    index = (torch.arange(n).view(n, 1, 1), rows[:, :, None], columns[:, None, :])
    moved = images.permute(0, 2, 3, 1)[tuple(i.to(images.device) for i in index)]
    return moved.permute(0, 3, 1, 2)


def batch_indices(n: int, batch_size: int, step: int, seed: int) -> Tensor:
    """Returns the rows of a step's batch, int64 `(batch_size,)`; each epoch has its own order."""
    epoch, batch = divmod(step, n // batch_size)
    return _order(n, epoch, seed)[batch * batch_size : (batch + 1) * batch_size]


@lru_cache(4)  # a large data set takes longer to shuffle than a step should
def _order(n: int, epoch: int, seed: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng((seed, epoch)).permutation(n))


def fixed_rows(n: int, k: int | None) -> Rows:
    """Returns `k` numbers below `n`, always the same ones; all of them for `None`."""
    return np.random.default_rng(0).permutation(n)[:k]


def fixed_sample(split: Split, n: int | None) -> Split:
    """Returns `n` pictures of a split, always the same ones; all of them for `None`."""
    return split if n is None or n >= len(split) else split.take(fixed_rows(len(split), n))


def write_text(path: Path, text: str) -> None:
    """Writes a text file under a temporary name and renames it."""
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
