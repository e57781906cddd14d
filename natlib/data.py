"""Tasks: pictures and classes in three splits, and batches of them at any resolution.

`load_task` takes the name of a pocket task, which ships with the project in `data/pocket/`, or a
folder of pictures of yours. A task keeps its pictures as uint8; they are augmented, resized and
normalised batch by batch, where the network is.
"""

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
from torchvision.datasets.folder import make_dataset
from tqdm.auto import tqdm

SPLITS = ("train", "valid", "test")
DATA = Path(__file__).parents[1] / "data"
POCKET = DATA / "pocket"
# Whether a mirrored picture keeps its class: a mirrored animal is an animal, a mirrored digit none.
MIRRORED = {"source": True, "animals": True, "digits": False, "emoji": True}
TARGETS = ("animals", "digits", "emoji")

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")
SPLIT_FOLDERS = {"train": "train", "valid": "valid", "val": "valid", "test": "test"}
CUT = 0.2  # share of the pictures that goes into a validation or test split that has to be cut
MARGIN = 3  # pixels by which `shift_and_flip` shifts a picture at most, to every side
DECODED_BYTES = 4 * 2**30  # decoded pictures that `LazyImages` keeps in memory
THREADS = min(16, os.cpu_count() or 1)


@dataclass(frozen=True)
class Split:
    """Pictures, uint8 `(n, 3, h, w)`, and their classes, int64 `(n,)`."""

    images: Tensor | LazyImages
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: NDArray[np.int64] | Tensor) -> Split:
        """Returns the pictures of these rows."""
        lazy = isinstance(self.images, LazyImages)
        return Split(self.images.take(rows) if lazy else self.images[rows], self.labels[rows])


@dataclass(frozen=True)
class Task:
    """One classification task.

    `error_names`, `within` and `errors` are the hook for several tasks joined into one:
    `natlib.paper.JoinedTask` overrides them, and training, evaluation and search ask only them.

    Attributes:
        name: Name of the task.
        classes: Names of the classes.
        train: Pictures to fit weights and batch-norm statistics on.
        valid: Pictures to choose architectures by.
        test: Pictures for the final report, and for nothing else.
        mean: Mean of each channel of the train split, on the scale 0 to 1.
        std: Standard deviation of each channel of the train split.
        flip: Whether a mirrored picture keeps its class.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    valid: Split
    test: Split
    mean: tuple[float, ...]
    std: tuple[float, ...]
    flip: bool

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.classes)

    @property
    def error_names(self) -> tuple[str, ...]:
        """Names of the errors that a search minimises, the columns of `errors`."""
        return ("top1_err",)

    def within(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Returns the logits, `(n, num_classes)`, among which each picture is classified."""
        return logits

    def errors(self, correct: NDArray[np.bool_], labels: Tensor) -> NDArray[np.float64]:
        """Returns the errors in percent, `(n, len(error_names))`.

        Args:
            correct: Which pictures each of `n` subnets classifies correctly, `(n, n_images)`.
            labels: Classes of these pictures, `(n_images,)`.
        """
        return 100 * (1 - correct.mean(axis=1, keepdims=True))


def make_task(
    name: str, classes: tuple[str, ...], splits: dict[str, Split], flip: bool = True
) -> Task:
    """Returns a task of the splits `train`, `valid` and `test`, with its channel statistics.

    They come from the train split: of pictures in a tensor from all, else from 1,000 of them.
    """
    images = splits["train"].images
    if isinstance(images, LazyImages):
        images = images[np.linspace(0, len(images) - 1, min(1000, len(images))).astype(int)]
    pixels = images.double() / 255
    mean, std = (tuple(v.tolist()) for v in (pixels.mean((0, 2, 3)), pixels.std((0, 2, 3))))
    return Task(name, classes, **splits, mean=mean, std=std, flip=flip)


def load_task(name: str, side: int = 32) -> Task:
    """Loads a task by its name.

    Args:
        name: A pocket task: `"source"`, or a target, `"animals"`, `"digits"` or `"emoji"`. Or the
            path of a folder of pictures, see `folder_task`.
        side: Side in pixels at which pictures of a folder are kept; pocket tasks have 32.

    Raises:
        ValueError: If there is no such task, or a file is damaged.
        FileNotFoundError: If a file is missing.
    """
    if name in MIRRORED:
        verify_checksum(POCKET / f"{name}.npz")
        return read_task(POCKET / f"{name}.npz", name, MIRRORED[name])
    if Path(name).expanduser().is_dir():
        return folder_task(name, side=side)
    raise ValueError(
        f"There is no task '{name}': choose from {', '.join(MIRRORED)}, or give the path of a "
        "folder with a folder of pictures per class. The paper's data sets come from "
        "natlib.paper.dataset_task, or 'python -m natlib transfer --task cifar10'."
    )


def read_task(path: Path, name: str, flip: bool) -> Task:
    """Reads a task from an npz file with `classes`, `train_images`, `train_labels` and so on."""
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
    if space_name != "pocket":
        raise FileNotFoundError(
            f"No supernet of the {space_name} space ships with the project: pass one as "
            "'supernet', for example one that natlib.paper.load_ofa has filled with the official "
            "Once-for-all checkpoints."
        )
    verify_checksum(POCKET / "supernet.safetensors")
    return POCKET / "supernet.safetensors"


def folder_task(
    path: str | Path,
    *,
    side: int = 32,
    groups: Callable[[Path], Hashable] | None = None,
    flip: bool = True,
    seed: int = 0,
    progress: bool = True,
) -> Task:
    """Makes a task of a directory with one folder of pictures per class.

    The class folders may lie in `train`, `valid` (or `val`) and `test` below the directory. Where
    there is no `test`, a fifth of all pictures is cut from the training pictures, each class in
    proportion, and likewise for `valid`. Class folders may hold further folders and links.
    Pictures that cannot be read are left out, and a warning lists them.

    Args:
        path: The directory.
        side: Side in pixels at which the pictures are kept: the largest resolution of the search
            space, 32 for the pocket space and 256 for the paper's.
        groups: Maps a picture's path to what it belongs to, for example the person it shows;
            pictures of one group stay together.
        flip: Whether a mirrored picture keeps its class.
        seed: Seed of the cuts.
        progress: Whether to show progress.

    Raises:
        FileNotFoundError: If the directory is missing.
        ValueError: If there are fewer than two classes, a class has too few pictures or is unknown
            to `train`, or a picture lies in two places.
    """
    root = Path(path).expanduser()
    classes, folders = _find_classes(root)
    pictures = _list_pictures(classes, folders)
    files = pictures.file.tolist()
    images = LazyImages(lambda i: _open(files[i], side), len(files), side)
    unreadable = images.unreadable_rows(progress)
    if unreadable:
        names = ", ".join(str(files[i].relative_to(root)) for i in unreadable)
        warnings.warn(
            f"{len(unreadable)} of {len(files)} pictures cannot be read and are left out: {names}.",
            stacklevel=2,
        )
    if groups is not None:
        pictures["group"] = [str(groups(file)) for file in files]
    pictures = _cut_missing_splits(pictures.drop(index=unreadable), classes, seed)
    splits = {}
    for split in SPLITS:
        part = pictures[pictures.split == split]
        labels = torch.from_numpy(part.label.to_numpy(np.int64, copy=True))
        splits[split] = Split(images.take(part.index.to_numpy(copy=True)), labels)
    return make_task(root.resolve().name, classes, splits, flip)


def _find_classes(root: Path) -> tuple[tuple[str, ...], dict[str, Path]]:
    """Returns the classes and the folder of each split; only `train` where there are no splits."""
    if not root.is_dir():
        raise FileNotFoundError(f"There is no folder {root}: pass one that holds class folders.")
    folders = {SPLIT_FOLDERS[k]: root / k for k in _subfolders(root) if k in SPLIT_FOLDERS}
    folders = folders if "train" in folders else {"train": root}
    classes = _subfolders(folders["train"])
    if len(classes) < 2:
        raise ValueError(
            f"{folders['train']} holds {len(classes)} class folders, and a task needs at least "
            "two: put the pictures of each class into a folder of its own."
        )
    for split, folder in folders.items():
        unknown = sorted(set(_subfolders(folder)) - set(classes))
        if unknown:
            raise ValueError(
                f"'{unknown[0]}' is a class in {split} but not in train: add it there."
            )
    return classes, folders


def _hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _subfolders(folder: Path) -> tuple[str, ...]:
    return tuple(sorted(f.name for f in folder.iterdir() if f.is_dir() and not _hidden(f.name)))


def _list_pictures(classes: tuple[str, ...], folders: dict[str, Path]) -> pd.DataFrame:
    """Returns file, label and split of every picture; a file with several links counts once."""
    pictures = {}
    numbers = {name: c for c, name in enumerate(classes)}
    for split, folder in folders.items():

        def is_picture(path: str, folder: Path = folder) -> bool:
            below = Path(path).relative_to(folder).parts
            return path.lower().endswith(SUFFIXES) and not any(map(_hidden, below))

        for path, label in make_dataset(
            folder, numbers, is_valid_file=is_picture, allow_empty=True
        ):
            first = pictures.setdefault(os.path.realpath(path), (Path(path), label, split))
            if first[1:] != (label, split):
                raise ValueError(
                    f"{path} and {first[0]} are the same file, in different classes or "
                    "splits: remove one of them."
                )
    return pd.DataFrame(list(pictures.values()), columns=["file", "label", "split"])


def _cut_missing_splits(
    pictures: pd.DataFrame, classes: tuple[str, ...], seed: int
) -> pd.DataFrame:
    """Cuts the splits that have no pictures from `train`."""
    pictures = pictures.copy()
    missing = [split for split in ("test", "valid") if split not in set(pictures.split)]
    counts = pictures.label[pictures.split == "train"].value_counts()
    counts = {name: int(counts.get(c, 0)) for c, name in enumerate(classes)}
    few = [f"'{name}' ({n})" for name, n in counts.items() if n <= len(missing)]
    if few:
        raise ValueError(
            f"Too few pictures that can be read: a class needs at least {1 + len(missing)} here, "
            f"but look at {', '.join(few)}: add pictures, or remove the folder."
        )
    for split in missing:
        train = pictures[pictures.split == "train"]
        groups = train.group.to_numpy() if "group" in train else None
        rows = stratified_cut(train.label.to_numpy(), round(CUT * len(pictures)), seed, groups)
        pictures.loc[train.index[rows], "split"] = split
    for split in ("train", *missing):
        absent = set(range(len(classes))) - set(pictures.label[pictures.split == split])
        if absent:
            raise ValueError(
                f"The groups leave no picture of '{classes[min(absent)]}' for {split}: "
                "make smaller groups, or pass no groups."
            )
    return pictures


def stratified_cut(
    labels: NDArray[np.int64], n: int, seed: int, groups: NDArray | None = None
) -> NDArray[np.int64]:
    """Draws `n` pictures, each class in proportion and with at least one.

    Args:
        labels: Class of every picture, `(m,)`.
        n: Number of pictures; with groups, about so many.
        seed: Seed of the draw.
        groups: Group of every picture; groups are drawn as a whole.

    Returns:
        The drawn rows, ascending.

    Raises:
        ValueError: If there are too few groups.
    """
    if groups is not None:
        folds = StratifiedGroupKFold(round(len(labels) / n), shuffle=True, random_state=seed)
        try:
            return next(folds.split(labels, labels, groups))[1]
        except ValueError as error:
            raise ValueError(
                f"The groups cannot be cut ({error}): make smaller groups, or pass no groups."
            ) from None
    exact = np.bincount(labels) * n / len(labels)
    quota = np.maximum(1, exact.astype(np.int64))
    most_short = np.argsort(quota - exact, kind="stable")
    quota[most_short[: max(0, n - quota.sum())]] += 1
    order = np.random.default_rng(seed).permutation(len(labels))
    return np.sort(np.concatenate([order[labels[order] == c][:q] for c, q in enumerate(quota)]))


class LazyImages:
    """Pictures that are decoded when they are indexed, for data sets too large for the memory.

    Behaves as a uint8 tensor `(n, 3, side, side)` that can only be read: `images[5]`, `images[:8]`
    and `images[rows]` are such tensors, or raise an `OSError` that names what cannot be decoded.

    Args:
        load: Opens the picture of a number.
        n: Number of pictures.
        side: Side of the decoded pictures in pixels.
        cache_bytes: Memory for the decoded pictures that were used last.
    """

    def __init__(
        self,
        load: Callable[[int], Image.Image],
        n: int,
        side: int,
        cache_bytes: int = DECODED_BYTES,
    ) -> None:
        def decode(number: int) -> Tensor | OSError:
            try:
                with load(number) as image:
                    return to_square(image, side)
            except Exception as error:  # a damaged file makes Pillow raise nearly anything
                return OSError(f"Picture {number} cannot be decoded: {error}")

        self.shape = (n, 3, side, side)
        self._numbers = torch.arange(n)
        self._decode = lru_cache(cache_bytes // (3 * side**2))(decode)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: int | slice | Tensor | NDArray) -> Tensor:
        numbers = self._numbers[index]
        pictures = self._read(numbers)
        for picture in pictures:
            if isinstance(picture, OSError):
                raise picture
        flat = torch.stack(pictures) if pictures else torch.empty(0, dtype=torch.uint8)
        return flat.reshape(*numbers.shape, *self.shape[1:])

    def take(self, rows: NDArray[np.int64] | Tensor) -> LazyImages:
        """Returns the pictures of these rows, which share what was decoded."""
        taken = copy.copy(self)
        taken._numbers = self._numbers[rows]
        taken.shape = (len(taken._numbers), *self.shape[1:])
        return taken

    def unreadable_rows(self, progress: bool = True) -> list[int]:
        """Decodes every picture once and returns the rows where that fails."""
        parts = self._numbers.split(256)
        bar = tqdm(parts, desc="reading pictures", disable=not progress, leave=False)
        pictures = (picture for numbers in bar for picture in self._read(numbers))
        return [row for row, picture in enumerate(pictures) if isinstance(picture, OSError)]

    def _read(self, numbers: Tensor) -> list[Tensor | OSError]:
        with warnings.catch_warnings(), ThreadPoolExecutor(THREADS) as pool:
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            return list(pool.map(self._decode, numbers.flatten().tolist()))


def _open(file: Path, side: int) -> Image.Image:
    """Opens a picture; a JPEG is decoded at a fraction of its size if that is enough for `side`."""
    image = Image.open(file)
    image.draft("RGB", (2 * side, 2 * side))
    return image


def to_square(image: Image.Image, side: int) -> Tensor:
    """Returns the middle square of a picture, uint8 `(3, side, side)`.

    Turns it as its EXIF orientation says, lays transparent pictures on white, and makes RGB of
    grey, palette and other pictures.
    """
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    square = ImageOps.fit(image.convert("RGB"), (side, side), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(square)).permute(2, 0, 1).contiguous()


def to_input(
    images: Tensor, resolution: int, task: Task, device: torch.device | str = "cpu"
) -> Tensor:
    """Resizes pictures, uint8 `(n, 3, h, w)`, and normalises them with the task's mean and std.

    Returns:
        float32 `(n, 3, resolution, resolution)` on the device, channels last in memory.
    """
    x = images.to(device).to(torch.float32, memory_format=torch.channels_last)
    if x.shape[2:] != (resolution, resolution):
        x = functional.interpolate(
            x, size=(resolution, resolution), mode="bilinear", antialias=True
        )
    mean, std = (torch.tensor(v, device=device).view(1, 3, 1, 1) for v in (task.mean, task.std))
    return ((x / 255 - mean) / std).contiguous(memory_format=torch.channels_last)


def shift_and_flip(images: Tensor, generator: torch.Generator, flip: bool) -> Tensor:
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
    return _epoch_order(n, epoch, seed)[batch * batch_size : (batch + 1) * batch_size]


@lru_cache(maxsize=4)
def _epoch_order(n: int, epoch: int, seed: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng((seed, epoch)).permutation(n))


def fixed_rows(n: int, k: int | None) -> NDArray[np.int64]:
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
