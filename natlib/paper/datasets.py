"""Tasks from the eleven data sets of the paper, which lie below the folder `NATLIB_DATA`.

Each lies there as torchvision's class for it expects. Miniatures that `natlib.paper.miniatures`
wrote are loaded in the same way, and their tasks carry the word *rehearsal* in their name.
"""

import argparse
import json
import os
from collections import namedtuple
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch.utils.data import ConcatDataset, Dataset
from torchvision import datasets as official

from natlib.data import DATA, Split, Task
from natlib.inputs import demand, listed, say
from natlib.inputs.folders import stratified_cut
from natlib.inputs.pictures import LazyImages

FILES = ("samples", "_samples", "_image_files", "_images")  # what torchvision's classes call them
NOTE = "rehearsal.json"  # what `natlib.paper.miniatures` notes about its miniatures


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
    """Returns the folder that is passed, or that `NATLIB_DATA` names, or raises without either."""
    if root := root or os.environ.get("NATLIB_DATA"):
        return Path(root).expanduser()
    raise FileNotFoundError(say("data.nowhere"))


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
    fetch = f"get the archives ({entry.archive_gb:g} GB) from {entry.source} and unpack them there"
    how = entry.by_hand or f"run 'python -m natlib data {name}', or {fetch}"
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
    name: str,  # a key of DATA_SETS
    root: str | Path | None = None,  # folder of the data sets; None: the one of NATLIB_DATA
    *,
    side: int = 32,  # pixels to which larger pictures shrink: the space's largest resolution
    seed: int = 0,  # of the cut between train and validation split
) -> Task:
    """Makes a task of one of the eleven data sets; the official test pictures are its test split.

    A fifth of the official pictures to learn from, at most 10,000, becomes the validation split,
    each class in proportion. Missing files are a `FileNotFoundError` that says what to do; damaged
    ones, or others than the official ones, are a `ValueError`.
    """
    entry, folder = find_data_set(name), data_folder(root)
    if _look(entry, folder)[1]:
        raise FileNotFoundError(status(name, folder))
    note = _read_note(folder).get(name, {})
    *parts, last = _open_official(entry, folder, note)
    learning, test = (_split_of(p, min(side, entry.native or side)) for p in (parts, [last]))
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
    load, parts = _opened_by(entry, folder)
    for arguments in parts:
        load(**arguments, download=True)


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
    if missing := [file for file in files if not (folder / file).exists()]:
        return "no" if missing == files else "in part", missing
    return "rehearsal" if entry.name in _read_note(folder) else "yes", missing


def _read_note(folder: Path) -> dict:
    path = folder / NOTE
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _opened_by(entry: DataSet, root: Path) -> tuple[type, list[dict]]:
    """The class of torchvision, and its arguments for each part, the test pictures last."""
    load, argument = entry.opened_by.split()
    parts = [{"True": True, "False": False}.get(part, part) for part in entry.parts.split()]
    if argument == "root":  # the parts are folders
        return getattr(official, load), [{"root": root / part} for part in parts]
    return getattr(official, load), [{"root": root, argument: part} for part in parts]


def _open_official(entry: DataSet, root: Path, note: dict) -> list[Dataset]:
    """The parts of the pictures to learn from and, last, the test pictures."""
    load, parts = _opened_by(entry, root)
    if note:  # the checksums of the real files are not a miniature's
        meta = getattr(load, "meta", {}) | {"md5": None}
        load = type(load.__name__, (load,), {"_check_integrity": lambda _: True, "meta": meta})
    try:
        return [load(**arguments) for arguments in parts]
    except Exception as error:  # these classes meet damaged files with nearly any error
        told = say("data.damaged", title=entry.title, root=root, why=error)
        raise ValueError(told) from None


def _split_of(parts: list[Dataset], side: int) -> Split:
    """The pictures of torchvision's data sets, not decoded yet, and their classes."""
    labels, names, pictures = [], [], ConcatDataset(parts)
    for about in map(vars, parts):
        own = next(about[k] for k in ("targets", "labels", "_labels", "_samples") if k in about)
        labels += [int(label[1] if isinstance(label, tuple) else label) for label in own]
        files = next((about[k] for k in FILES if k in about), range(len(own)))
        names += [str(file[0] if isinstance(file, tuple) else file) for file in files]
    images = LazyImages(partial(_picture, pictures), len(pictures), side, names)
    broken = images.examine(progress=False)
    demand(not broken, "pictures.broken", n=len(broken), named=listed(broken))
    return Split(images, torch.tensor(labels))


def _picture(pictures: ConcatDataset, row: int) -> Image.Image:
    return pictures[row][0]


def _compare_counts(expected: dict, root: Path, learning: Split, test: Split, names: list) -> None:
    """Complains where numbers are not those of the table, or of the note about a miniature."""
    classes, test_classes = (len(split.labels.unique()) for split in (learning, test))
    for key, kind, found in (
        ("classes", "classes", classes), ("classes", "names of classes", len(names)),
        ("classes", "classes of test pictures", test_classes),
        ("learning", "pictures to learn from", len(learning)), ("test", "test pictures", len(test)),
    ):  # fmt: skip
        about = {"title": expected["title"], "root": root, "n": expected[key]}
        demand(found == expected[key], "data.counts", found=found, kind=kind, **about)
