"""A folder of pictures: its classes and splits, copies that leak, and what was not looked at."""

import os
import re
import unicodedata
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from natlib.inputs import WORDS, demand, listed, say
from natlib.inputs.pictures import is_picture


def list_pictures(root: Path) -> tuple[tuple[str, ...], pd.DataFrame]:
    """Returns the classes; and `file`, `label` and `split` of each picture.

    A `ValueError` names what may be no class or no split, a warning counts what is not looked at.
    """
    demand(root.is_dir(), "folder.missing", FileNotFoundError, root=root)
    tree, rows = _tree(root), []
    splits = _splits(root, tree)
    names = {_key(name): name for name in _class_names(root, splits["train"])}
    for split, part in splits.items():
        for name in _folders(part):
            demand(_key(name) in names, "folder.foreign", name=name, split=split)
            label = [*names].index(_key(name))
            rows += [(file, label, split) for file in _files(part[name], is_picture)]
    left = _summary(root, {*_files(tree)} - {row[0] for row in rows})
    demand(rows, "folder.empty", root=root, left=left)
    if left:
        warnings.warn(say("folder.left", root=root, left=left), stacklevel=3)
    table = pd.DataFrame(rows, columns=["file", "label", "split"])
    return tuple(unicodedata.normalize("NFC", name) for name in names.values()), table


def split_of(name: str) -> str | None:
    """Returns the split that the name of a folder means, in any case and wording, or none."""
    around, words = WORDS["beside"], WORDS["splits"].items()
    fits = (k for k, w in words if re.fullmatch(f"{around}({w}){around}", name.casefold()))
    return next(fits, None)


def _splits(root: Path, tree: dict) -> dict[str, dict]:
    """Returns the tree of each split, which is the whole where that holds the classes."""
    named = {name: split for name in _folders(tree) if (split := split_of(name))}
    full = [name for name in _folders(tree) if any(_files(tree[name], is_picture))]
    others, nested = [n for n in full if n not in named], [n for n in named if _folders(tree[n])]
    if len({*named.values()}) < 2 and not nested and (others or not named):
        return {"train": tree}  # a single class may well be called "train"
    flat, given = [n for n in full if n not in nested], {named[n]: tree[n] for n in nested}
    about = {"root": root, "named": listed(named)}
    demand(not others, "folder.beside", **about, others=listed(others))
    demand(not flat, "folder.flat", root=root, named=listed(flat))
    demand(len(given) == len(nested), "folder.one_split", **about)
    demand("train" in given, "folder.no_train", **about)
    return given


def _class_names(root: Path, tree: dict) -> list[str]:
    """Returns the names of the class folders, or says which of them may be none."""
    names, keys = _folders(tree), Counter(map(_key, _folders(tree)))
    twice = [name for name in names if keys[_key(name)] > 1]
    demand(not twice, "folder.one_name", root=root, named=listed(twice))
    inner = {name: {*_folders(tree[name])} for name in names}
    pure = [name for name in names if inner[name] and len(inner[name]) == len(tree[name])]
    often = {name for name, n in Counter(chain(*(inner[n] for n in pure))).items() if n > 1}
    no_class = re.compile(WORDS["no_class"])
    odd = [n for n in names if no_class.fullmatch(n.casefold()) or inner[n] & {*names}]
    odd = odd or [name for name in pure if inner[name] & often]
    below = sorted({*chain(*(inner[name] for name in odd))})
    below = f", but hold {listed(below)}" if below else ""
    demand(not odd, "folder.no_class", root=root, named=listed(odd), below=below)
    there = _summary(root, _files(tree)) or "nothing else"
    demand(len(names) > 1, "folder.few", root=root, n=len(names), left=there)
    return names


def _tree(folder: Path, above: tuple[str, ...] = ()) -> dict:
    """Returns what a folder holds by name: files, then trees; links lead round in no circle."""
    above = (*above, os.path.realpath(folder))
    try:
        entries = sorted(folder.iterdir(), key=lambda entry: (entry.is_dir(), entry.name))
    except OSError as error:
        raise ValueError(say("folder.closed", root=folder, why=error.strerror)) from None
    shown = [e for e in entries if e.name[0] != "." and e.name.casefold() not in WORDS["system"]]
    new = [e for e in shown if not e.is_dir() or os.path.realpath(e) not in above]
    return {e.name: _tree(e, above) if e.is_dir() else e for e in new}


def _folders(tree: dict) -> list[str]:
    return [name for name, entry in tree.items() if isinstance(entry, dict)]


def _files(tree: dict, which: Callable[[Path], bool] | None = None) -> Iterator[Path]:
    for entry in tree.values():
        yield from _files(entry, which) if isinstance(entry, dict) else filter(which, [entry])


def _key(name: str) -> str:
    """Returns what two spellings of a name share; one letter may be a class in both its cases."""
    name = unicodedata.normalize("NFC", name).strip()
    return name.casefold() if len(name) > 1 else name


def _summary(root: Path, files: Iterable[Path]) -> str:
    """Counts files: pictures by name, others by ending, with help."""
    files = sorted(files)
    pictures = [file.relative_to(root) for file in files if is_picture(file)]
    told = [f"{len(pictures)} pictures in no class folder ({listed(pictures)})"]
    for end, n in Counter(f.suffix.casefold() for f in files if not is_picture(f)).items():
        told.append(f"{n} {end or 'without an ending'}{WORDS['help'].get(end, '')}")
    return ", ".join(told[not pictures :])


def sift(pictures: pd.DataFrame, root: Path, why: Mapping[Path, str]) -> pd.DataFrame:
    """Leaves out copies, which are refused in two classes or splits, and what has no `digest`."""
    names = pictures.file.map(lambda file: str(file.relative_to(root)))
    if (lost := pictures.digest == "").any():
        named = ", ".join(names[lost] + pictures.file[lost].map(why))
        told = say("pictures.lost", n=lost.sum(), all=len(lost), named=named)
        warnings.warn(told, stacklevel=3)
    kept = pictures[~lost]
    places = kept.groupby("digest")[["label", "split"]].transform("nunique").max(axis=1)
    leaks = kept[places > 1].drop_duplicates(["digest", "label", "split"]).sort_values("digest")
    pair = " and ".join(names[leaks.index[:2]])
    demand(leaks.empty, "pictures.leak", pair=pair, n=leaks.digest.nunique())
    if (copies := kept.duplicated("digest")).any():
        named = listed(names[kept.index[copies]])
        warnings.warn(say("pictures.copies", n=copies.sum(), named=named), stacklevel=3)
    return kept[~copies].copy()


def cut_missing(pictures: pd.DataFrame, classes: tuple[str, ...], seed: int) -> None:
    """Cuts splits without pictures from `train`, in place; says which classes others lack."""
    missing = [split for split in ("test", "valid") if split not in set(pictures.split)]
    counts = pd.crosstab(pictures.label, pictures.split).reindex(range(len(classes)), fill_value=0)
    counts = counts.assign(train=counts.get("train", 0)).set_axis(classes)
    few = ", ".join(f"'{c}' ({n})" for c, n in counts.train.items() if n <= len(missing))
    demand(not few, "pictures.few", n=1 + len(missing), named=few)
    for split, of_class in counts.items():
        if named := listed(of_class.index[of_class == 0]):
            warnings.warn(say("pictures.absent", split=split, named=named), stacklevel=3)
    n = round(0.2 * len(pictures))
    for split in missing:
        train = pictures[pictures.split == "train"]
        rows = stratified_cut(train.label.to_numpy(), n, seed, train.get("group"))
        pictures.loc[train.index[rows], "split"] = split
    for split in ("train", *missing):
        for c in sorted(set(range(len(classes))) - set(pictures.label[pictures.split == split])):
            raise ValueError(say("pictures.groups", name=classes[c], split=split))


def stratified_cut(
    labels: NDArray[np.int64], n: int, seed: int, groups: NDArray | None = None
) -> NDArray[np.int64]:
    """Draws `n` rows of `labels`, ascending, each class in proportion and with at least one."""
    if groups is not None:  # one for each row, drawn as a whole: about `n` rows come together
        folds = StratifiedGroupKFold(round(len(labels) / n), shuffle=True, random_state=seed)
        try:
            return next(folds.split(labels, labels, groups))[1]
        except ValueError as error:
            raise ValueError(say("pictures.no_cut", why=error)) from None
    exact = np.bincount(labels) * n / len(labels)
    quota = np.maximum(1, exact.astype(np.int64))
    most_short = np.argsort(quota - exact, kind="stable")
    quota[most_short[: max(0, n - quota.sum())]] += 1
    order = np.random.default_rng(seed).permutation(len(labels))
    return np.sort(np.concatenate([order[labels[order] == c][:q] for c, q in enumerate(quota)]))
