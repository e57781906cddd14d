"""Tasks from the eleven data sets of the paper.

They lie below one folder, which `NATLIB_DATA` names, each as torchvision's class for it expects.
Miniatures that `natlib.paper.miniatures` wrote there are loaded in just the same way, and their
tasks carry the word *rehearsal* in their name.
"""

from __future__ import annotations

import argparse
import json
import os
from collections import namedtuple
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch.utils.data import ConcatDataset, Dataset
from torchvision import datasets as official

from natlib.data import DATA, LazyImages, Split, Task, stratified_cut

NOTE = "rehearsal.json"  # what `natlib.paper.miniatures` notes about its miniatures

# How each is opened: torchvision's class, the argument that names a part of the pictures, and its
# values, for the pictures to learn from and for the test pictures.
OPENED_BY = {
    "imagenet": (official.ImageFolder, "root", ["imagenet/train"], "imagenet/val"),
    "cinic10": (official.ImageFolder, "root", ["cinic10/train", "cinic10/valid"], "cinic10/test"),
    "cifar10": (official.CIFAR10, "train", [True], False),
    "cifar100": (official.CIFAR100, "train", [True], False),
    "stl10": (official.STL10, "split", ["train"], "test"),
    "food101": (official.Food101, "split", ["train"], "test"),
    "cars": (official.StanfordCars, "split", ["train"], "test"),
    "aircraft": (official.FGVCAircraft, "split", ["trainval"], "test"),
    "dtd": (official.DTD, "split", ["train", "val"], "test"),
    "pets": (official.OxfordIIITPet, "split", ["trainval"], "test"),
    "flowers102": (official.Flowers102, "split", ["train", "val"], "test"),
}


def valid_size(learning: int) -> int:
    """Returns how many of the pictures to learn from become the validation split."""
    return min(10_000, round(learning / 5))  # more would only make each evaluation slower


# `data/README.md` describes the columns; words that share a cell are separated by blanks.
_TABLE = pd.read_csv(DATA / "paper/datasets.csv", keep_default_na=False)
_TABLE["valid"] = _TABLE.learning.map(valid_size)
_TABLE["train"] = _TABLE.learning - _TABLE.valid
DataSet = namedtuple("DataSet", _TABLE.columns)
DATA_SETS = {row.name: DataSet(*row) for row in _TABLE.itertuples(index=False)}


def data_folder(root: str | Path | None = None) -> Path:
    """Returns the folder of the data sets: the one that is passed, or that `NATLIB_DATA` names.

    Raises:
        FileNotFoundError: If there is neither.
    """
    root = root or os.environ.get("NATLIB_DATA")
    if not root:
        raise FileNotFoundError(
            "It is not known where the data sets lie: set NATLIB_DATA to a folder for them, for "
            "example with 'export NATLIB_DATA=~/data'."
        )
    return Path(root).expanduser()


def find_data_set(name: str) -> DataSet:
    """Returns an entry of the table; raises a `ValueError` if there is none of this name."""
    if name not in DATA_SETS:
        raise ValueError(f"There is no data set '{name}': choose from {', '.join(DATA_SETS)}.")
    return DATA_SETS[name]


def status(name: str, root: str | Path | None = None) -> str:
    """Says whether a data set is there, what is missing, and what to do."""
    entry, folder = find_data_set(name), data_folder(root)
    here, missing = _look(entry, folder)
    if not missing:
        kind = "A rehearsal miniature of " if here == "rehearsal" else ""
        return f"{kind}{entry.title} is complete in {folder}."
    how = entry.by_hand or (
        f"run 'python -m natlib data {name}', or get the archives ({entry.archive_gb:g} GB) from "
        f"{entry.source} and unpack them there"
    )
    missing = f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing"
    return f"{entry.title} is not complete in {folder}: {missing}. To get it, {how}."


def overview(root: str | Path | None = None) -> pd.DataFrame:
    """Returns the data sets as a table, and what of each is in the data folder, if there is one."""
    folder = data_folder(root) if root or os.environ.get("NATLIB_DATA") else None
    table = _TABLE.set_index("name")
    table["native"] = table.native.astype("Int64").replace(0, pd.NA)
    table["download"] = np.where(table.by_hand == "", "automatic", "by hand")
    table["here"] = [_look(e, folder)[0] if folder else "no" for e in DATA_SETS.values()]
    columns = "title classes train valid test native archive_gb download here terms source"
    return table[columns.split()]


def dataset_task(
    name: str, root: str | Path | None = None, *, side: int = 32, seed: int = 0
) -> Task:
    """Makes a task of one of the eleven data sets.

    A fifth of the official pictures to learn from, at most 10,000, becomes the validation split,
    each class in proportion. The official test pictures are the test split.

    Args:
        name: Name of the data set, a key of `DATA_SETS`.
        root: The folder of the data sets; the one that `NATLIB_DATA` names by default.
        side: Side in pixels at which larger pictures are kept: the largest resolution of the
            search space, 32 for the pocket space and 256 for the paper's.
        seed: Seed of the cut between train and validation split.

    Raises:
        FileNotFoundError: If files are missing, with what to do.
        ValueError: If the name is unknown, or the files are damaged or not the official ones.
    """
    entry, folder = find_data_set(name), data_folder(root)
    if _look(entry, folder)[1]:
        raise FileNotFoundError(status(name, folder))
    note = _read_note(folder).get(name, {})
    *parts, last = _open_official(entry, folder, note)
    side = min(side, entry.native or side)
    learning, test = _split_of(parts, side), _split_of([last], side)
    _compare_counts(entry._asdict() | note, folder, learning, test, last.classes)
    valid = stratified_cut(learning.labels.numpy(), valid_size(len(learning)), seed)
    train = np.delete(np.arange(len(learning)), valid)
    splits = (learning.take(train), learning.take(valid), test)
    mean, std = (tuple(map(float, cell.split())) for cell in (entry.mean, entry.std))
    name = f"{name} (rehearsal)" if note else name
    return Task(name, tuple(map(str, last.classes)), *splits, mean, std, flip=True)


def download(name: str, root: str | Path | None = None) -> None:
    """Lets torchvision download a data set; raises a `ValueError` if it must be got by hand."""
    entry, folder = find_data_set(name), data_folder(root)
    if entry.by_hand:
        raise ValueError(status(name, folder))
    folder.mkdir(parents=True, exist_ok=True)
    load, argument, learning, test = OPENED_BY[name]
    for part in (*learning, test):
        load(folder, download=True, **{argument: part})


def main(arguments: Sequence[str] | None = None) -> None:
    """Downloads data sets into the folder that NATLIB_DATA names, and says what is there."""
    parser = argparse.ArgumentParser("python -m natlib data", description=main.__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(DATA_SETS))
    names = parser.parse_args(arguments).names
    for name in names:
        download(name)
    print("\n".join(status(name) for name in names or DATA_SETS))


def _look(entry: DataSet, folder: Path) -> tuple[str, list[str]]:
    """What is there, "yes", "rehearsal", "in part" or "no"; and the files that are missing."""
    files = entry.files.split()
    missing = [file for file in files if not (folder / file).exists()]
    here = "rehearsal" if entry.name in _read_note(folder) else "yes"
    return ("no" if missing == files else "in part") if missing else here, missing


def _read_note(folder: Path) -> dict:
    path = folder / NOTE
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _open_official(entry: DataSet, root: Path, note: dict) -> list[Dataset]:
    """The parts of the pictures to learn from and, last, the test pictures."""
    load, argument, learning, test = OPENED_BY[entry.name]
    if note:  # the checksums of the real files are not a miniature's
        meta = getattr(load, "meta", {}) | {"md5": None}
        load = type(load.__name__, (load,), {"_check_integrity": lambda _: True, "meta": meta})
    try:
        if argument == "root":
            return [load(root / part) for part in (*learning, test)]
        return [load(root, **{argument: part}) for part in (*learning, test)]
    except Exception as error:  # these classes meet damaged files with nearly any error
        raise ValueError(
            f"The files of {entry.title} in {root} are there but damaged ({error}): delete them "
            "and get them again."
        ) from None


def _split_of(parts: list[Dataset], side: int) -> Split:
    """The pictures of torchvision's data sets, not decoded yet, and their classes."""
    labels, pictures = [], ConcatDataset(parts)
    for about in map(vars, parts):
        own = next(about[k] for k in ("targets", "labels", "_labels", "_samples") if k in about)
        labels += [int(label[1] if isinstance(label, tuple) else label) for label in own]
    return Split(LazyImages(lambda i: pictures[i][0], len(pictures), side), torch.tensor(labels))


def _compare_counts(expected: dict, root: Path, learning: Split, test: Split, names: list) -> None:
    """Complains where numbers are not those of the table, or of the note about a miniature."""
    for key, kind, found in (
        ("classes", "classes", len(learning.labels.unique())),
        ("classes", "names of classes", len(names)),
        ("classes", "classes of test pictures", len(test.labels.unique())),
        ("learning", "pictures to learn from", len(learning)),
        ("test", "test pictures", len(test)),
    ):
        if found != expected[key]:
            raise ValueError(
                f"{expected['title']} in {root} has {found} {kind}, but {expected[key]} were "
                "expected: the copy is not complete or not the official one, so get it again."
            )
