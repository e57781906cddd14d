"""Tasks from your own folder of pictures."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from natlib.pictures import LazyImages, channel_statistics, open_picture
from natlib.tasks import SPLITS, Split, Task

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")
SPLIT_FOLDERS = {"train": "train", "valid": "valid", "val": "valid", "test": "test"}
CUT = 0.2  # share of the pictures that goes into a validation or test split that has to be cut

Rows = NDArray[np.int64]


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
    tree = find_classes(root)
    classes = tuple(tree["train"])
    pictures = list_pictures(tree)
    images = LazyImages(lambda i: open_picture(pictures[i][0], side), len(pictures), side)
    unreadable = images.find_unreadable(progress)
    warn_of_unreadable([pictures[i][0].relative_to(root) for i in unreadable], len(pictures))
    labels = np.array([classes.index(name) for _, name, _ in pictures], dtype=np.int64)
    group = None if groups is None else np.array([str(groups(file)) for file, _, _ in pictures])
    readable = [i for i in range(len(pictures)) if i not in unreadable]
    rows = {k: np.array([i for i in readable if pictures[i][2] == k], dtype=int) for k in SPLITS}
    rows = cut_missing_splits(rows, labels, classes, group, seed)
    splits = {
        split: Split(images.take(numbers), torch.from_numpy(labels[numbers]))
        for split, numbers in rows.items()
    }
    mean, std = channel_statistics(splits["train"].images)
    return Task(root.resolve().name, classes, **splits, mean=mean, std=std, flip=flip)


def find_classes(root: Path) -> dict[str, dict[str, Path]]:
    """Returns the class folders of each split, by name; all in `train` where there are no splits.

    Raises:
        FileNotFoundError: If the directory is missing.
        ValueError: If there are fewer than two classes, or one is unknown to `train`.
    """
    if not root.is_dir():
        raise FileNotFoundError(f"There is no folder {root}: pass one that holds class folders.")
    folders = subfolders(root)
    splits = {SPLIT_FOLDERS[name]: f for name, f in folders.items() if name in SPLIT_FOLDERS}
    tree = {split: subfolders(folder) for split, folder in splits.items()}
    if "train" not in tree:
        tree = {"train": folders}
    if len(tree["train"]) < 2:
        raise ValueError(
            f"{splits.get('train', root)} holds {len(tree['train'])} class folders, and a task "
            "needs at least two: put the pictures of each class into a folder of its own."
        )
    for split, folders in tree.items():
        unknown = sorted(set(folders) - set(tree["train"]))
        if unknown:
            raise ValueError(
                f"'{unknown[0]}' is a class in {split} but not in train: add it there."
            )
    return tree


def subfolders(folder: Path) -> dict[str, Path]:
    """Returns the folders in a folder by name, in sorted order, without hidden ones."""
    found = sorted(f for f in folder.iterdir() if f.is_dir() and f.name[0] != ".")
    return {f.name: f for f in found if f.name != "__MACOSX"}


def list_pictures(tree: dict[str, dict[str, Path]]) -> list[tuple[Path, str, str]]:
    """Returns file, class and split of every picture; a file with several links counts once.

    Raises:
        ValueError: If a picture lies in two classes or two splits.
    """
    pictures = {}
    for split, folders in tree.items():
        for name, folder in folders.items():
            for file in pictures_below(folder):
                first = pictures.setdefault(os.path.realpath(file), (file, name, split))
                if first[1:] != (name, split):
                    raise ValueError(
                        f"{file} and {first[0]} are the same file, in different classes or "
                        "splits: remove one of them."
                    )
    return list(pictures.values())


def pictures_below(folder: Path) -> Iterable[Path]:
    """Yields the picture files in a folder and below it, following links, in sorted order."""
    visited = set()
    for place, below, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        below[:] = [] if real in visited else sorted(b for b in below if b[0] != ".")
        visited.add(real)
        for name in sorted(names):
            if name.lower().endswith(SUFFIXES) and name[0] != ".":
                yield Path(place, name)


def warn_of_unreadable(files: list[Path], total: int) -> None:
    """Warns of pictures that cannot be read, by name."""
    if files:
        names = ", ".join(str(file) for file in files)
        warnings.warn(
            f"{len(files)} of {total} pictures cannot be read and are left out: {names}.",
            stacklevel=3,
        )


def cut_missing_splits(
    rows: dict[str, Rows],
    labels: NDArray[np.int64],
    classes: tuple[str, ...],
    groups: NDArray[np.str_] | None,
    seed: int,
) -> dict[str, Rows]:
    """Cuts the splits that have no pictures from `train`.

    Args:
        rows: Numbers of the pictures of each split.
        labels: Class of every picture.
        classes: Names of the classes.
        groups: Group of every picture, or `None`.
        seed: Seed of the cuts.

    Raises:
        ValueError: If a class has too few pictures, or the groups leave a split without a class.
    """
    rows = dict(rows)
    missing = [split for split in ("test", "valid") if not len(rows[split])]
    counts = np.bincount(labels[rows["train"]], minlength=len(classes))
    few = [f"'{classes[c]}' ({counts[c]})" for c in np.flatnonzero(counts <= len(missing))]
    if few:
        raise ValueError(
            f"Too few pictures that can be read: a class needs at least {1 + len(missing)} here, "
            f"but look at {', '.join(few)}: add pictures, or remove the folder."
        )
    n = round(CUT * sum(len(numbers) for numbers in rows.values()))
    for split in missing:
        train = rows["train"]
        cut = stratified_cut(labels[train], n, seed, None if groups is None else groups[train])
        rows |= {"train": np.delete(train, cut), split: train[cut]}
    for split in ["train", *missing]:
        absent = sorted(set(range(len(classes))) - set(labels[rows[split]].tolist()))
        if absent:
            raise ValueError(
                f"The groups leave no picture of '{classes[absent[0]]}' for {split}: "
                "make smaller groups, or pass no groups."
            )
    return rows


def stratified_cut(
    labels: NDArray[np.int64], n: int, seed: int, groups: NDArray[np.str_] | None = None
) -> Rows:
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
    drawn = [order[labels[order] == c][: quota[c]] for c in range(len(quota))]
    return np.sort(np.concatenate(drawn))
