"""A miniature of each of the eleven data sets, to rehearse the whole pipeline with.

Folders, annotations and formats are the real ones, but pictures are generated, and few. What they
give says nothing about a data set: it is a *rehearsal*, and is called so wherever it is shown.
"""

import argparse
import json
import pickle
from collections.abc import Sequence
from itertools import count
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image
from scipy.io import savemat

from natlib.data import DATA, write_text
from natlib.inputs.pictures import to_square
from natlib.paper.datasets import DATA_SETS, NOTE

NAMES = ("alpha", "beta", "gamma", "delta")  # classes, where the format leaves them open
# Classes (torchvision's class insists on 102 flowers), pictures of each to learn from, to test on.
SIZES = dict.fromkeys(DATA_SETS, (len(NAMES), 20, 10)) | {"flowers102": (102, 6, 1)}
# How pictures that are files are named and listed; `data/README.md` describes the columns.
LAYOUTS = pd.read_csv(DATA / "paper/layouts.csv", index_col="name", keep_default_na=False)
Labels, Rng = NDArray[np.int64], np.random.Generator


def rehearse(root: str | Path, seed: int = 0) -> Path:
    """Writes all miniatures into a folder, which is empty or holds them already, and returns it."""
    root, note = Path(root).expanduser(), {}
    if (root / NOTE).exists():
        return root
    if root.exists() and any(root.iterdir()):
        raise ValueError(f"{root} holds other files: choose an empty folder for the miniatures.")
    for number, (name, (classes, *per_class)) in enumerate(SIZES.items()):
        learning, test = (np.tile(np.arange(classes), n) for n in per_class)
        raw = _write_stl10 if name == "stl10" else _write_cifar
        write = _write_files if name in LAYOUTS.index else raw
        write(name, root, learning, test, np.random.default_rng((seed, number)))
        note[name] = {"classes": classes, "learning": len(learning), "test": len(test)}
    write_text(root / NOTE, json.dumps(note, indent=1))
    return root


def draw(label: int, rng: Rng, width: int = 64, height: int = 48) -> Image.Image:
    """Draws a picture of a class: waves of about its direction, length and colours, in noise."""
    style = np.random.default_rng(label)
    colours = style.random((2, 3)) + rng.normal(0, 0.2, 3)
    angle = style.uniform(0, np.pi) + rng.normal(0, 0.3)
    waves = style.uniform(2, 6) * rng.uniform(0.8, 1.2)
    y, x = np.mgrid[:height, :width] / height
    phase = 2 * np.pi * (waves * (np.cos(angle) * x + np.sin(angle) * y) + rng.random())
    share = 0.5 + 0.25 * np.sin(phase)[..., None]
    pixels = share * colours[0] + (1 - share) * colours[1] + rng.normal(0, 0.3, (height, width, 3))
    return Image.fromarray((255 * pixels.clip(0, 1)).astype(np.uint8))


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes a miniature of each of the eleven data sets, in its real layout."""
    parser = argparse.ArgumentParser("python -m natlib rehearse", description=main.__doc__)
    parser.add_argument("folder", type=Path, help="an empty folder, or one to be made")
    folder = rehearse(parser.parse_args(arguments).folder)
    print(f"Miniatures of {len(DATA_SETS)} data sets are in {folder}.")


def _write(file: Path, content: bytes | NDArray[np.uint8]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(bytes(content))


def _pixels(labels: Labels, rng: Rng, side: int) -> NDArray[np.uint8]:
    return np.stack([to_square(draw(label, rng), side).numpy() for label in labels])


def _write_cifar(name: str, root: Path, learning: Labels, test: Labels, rng: Rng) -> None:
    """Batches of raw pixels; these are pickles, because torchvision reads the real ones as such."""
    *files, meta = (root / file for file in DATA_SETS[name].files.split())
    kind, parts = "label" if name == "cifar10" else "fine_label", np.split(learning, len(files) - 1)
    for file, labels in zip(files, (*parts, test), strict=True):
        data = _pixels(labels, rng, 32).reshape(len(labels), -1)
        _write(file, pickle.dumps({"data": data, f"{kind}s": labels.tolist()}))
    _write(meta, pickle.dumps({f"{kind}_names": list(NAMES)}))


def _write_stl10(name: str, root: Path, learning: Labels, test: Labels, rng: Rng) -> None:
    """Raw pixels, column by column, and labels that count from one."""
    for split, labels in (("train", learning), ("test", test), ("unlabeled", test)):
        _write(root / f"stl10_binary/{split}_X.bin", _pixels(labels, rng, 96).swapaxes(2, 3))
        if split != "unlabeled":
            _write(root / f"stl10_binary/{split}_y.bin", (labels + 1).astype(np.uint8))
    _write(root / "stl10_binary/class_names.txt", "\n".join(NAMES).encode())


def _write_files(name: str, root: Path, learning: Labels, test: Labels, rng: Rng) -> None:
    """Pictures as files, numbered through, and what says to which class and split they belong."""
    layout, numbers, pictures = LAYOUTS.loc[name], count(1), {}
    splits, folder = layout.splits.split(), root / layout.folder
    parts = (*np.split(learning, len(splits) - 1), test)
    for split, labels in zip(splits, parts, strict=True):
        pictures[split] = rows = [
            {"split": split, "name": NAMES[c % 4], "label": c, "from_one": c + 1, "number": i}
            for c, i in zip(labels.tolist(), numbers, strict=False)
        ]
        for row in rows:
            file = folder / layout.picture.format(**row)
            file.parent.mkdir(parents=True, exist_ok=True)
            draw(row["label"], rng).save(file)
        if layout.listing:
            lines = "".join(f"{layout.line.format(**row)}\n" for row in rows)
            _write(folder / layout.listing.format(split=split), lines.encode())
    _annotate(name, folder, pictures)


def _annotate(name: str, folder: Path, pictures: dict[str, list[dict]]) -> None:
    """Writes the annotations that are not lists of text."""
    if name == "food101":
        for split, rows in pictures.items():
            files = {k: [f"{k}/{row['number']}" for row in rows if row["name"] == k] for k in NAMES}
            _write(folder / f"meta/{split}.json", json.dumps(files).encode())
    if name == "aircraft":
        _write(folder / "variants.txt", "".join(f"{name} 100\n" for name in NAMES).encode())
    if name == "cars":
        (folder / "devkit").mkdir()
        savemat(folder / "devkit/cars_meta.mat", {"class_names": np.array(NAMES, dtype=object)})
        fields = [(k, object) for k in "bbox_x1 bbox_y1 bbox_x2 bbox_y2 class fname".split()]
        places = ("devkit/cars_train_annos.mat", "cars_test_annos_withlabels.mat")
        for place, rows in zip(places, pictures.values(), strict=True):
            cars = [(1, 1, 64, 48, k["from_one"], f"{k['number']:05d}.jpg") for k in rows]
            savemat(folder / place, {"annotations": np.array(cars, fields)})
    if name == "flowers102":
        splits = zip(("trnid", "valid", "tstid"), pictures.values(), strict=True)
        savemat(folder / "setid.mat", {k: [row["number"] for row in rows] for k, rows in splits})
        labels = [row["from_one"] for rows in pictures.values() for row in rows]
        savemat(folder / "imagelabels.mat", {"labels": labels})
