"""Writes a miniature of each of the eleven data sets, to rehearse the whole pipeline with.

    python -m natlib.rehearse FOLDER

The miniatures have the real on-disk layout: the same folders, annotation files and formats, which
torchvision's classes read in the same way. But the pictures are generated, and there are few of
them. What they give says nothing about a data set: it is a *rehearsal*, and is called so wherever
it is shown.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import pickle
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.io import savemat
from torchvision import datasets as official

from natlib.datasets import DATA_SETS, REHEARSAL
from natlib.pictures import to_square

NAMES = ("alpha", "beta", "gamma", "delta")  # classes, where the format leaves them open
LEARNING = 20  # pictures of each class to learn from
TEST = 10  # test pictures of each class

Labels = NDArray[np.int64]
Written = tuple[Labels, Labels, dict]  # labels to learn from, of test; checksums


def rehearse(root: str | Path, seed: int = 0) -> Path:
    """Writes miniatures of all eleven data sets into a folder.

    Args:
        root: The folder; it must be empty, or hold the miniatures already.
        seed: Seed of the pictures.

    Returns:
        The folder.

    Raises:
        ValueError: If the folder holds anything else, such as real data.
    """
    root = Path(root).expanduser()
    if (root / REHEARSAL).exists():
        return root
    if root.exists() and any(root.iterdir()):
        raise ValueError(f"{root} holds other files: choose an empty folder for the miniatures.")
    about = {}
    for name in DATA_SETS:
        learning, test, checksums = WRITERS[name](root, np.random.default_rng((seed, len(about))))
        about[name] = {
            "classes": len(set(learning.tolist())),
            "learning": len(learning),
            "test": len(test),
            "checksums": checksums,
        }
    (root / REHEARSAL).write_text(json.dumps(about, indent=1), encoding="utf-8")
    return root


def draw(label: int, rng: np.random.Generator, width: int = 64, height: int = 48) -> Image.Image:
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


def stack(labels: Labels, rng: np.random.Generator, side: int) -> NDArray[np.uint8]:
    """Returns one picture per label, uint8 `(n, 3, side, side)`."""
    return np.stack([to_square(draw(label, rng), side).numpy() for label in labels])


def write_pictures(files: Iterable[Path], labels: Labels, rng: np.random.Generator) -> None:
    """Writes one picture per label."""
    for file, label in zip(files, labels, strict=True):
        file.parent.mkdir(parents=True, exist_ok=True)
        draw(label, rng).save(file)


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Writes a text file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def labels_of(per_class: int, classes: int = len(NAMES)) -> Labels:
    """Returns so many labels of each class, in turn."""
    return np.tile(np.arange(classes), per_class)


def md5(path: Path) -> str:
    """Returns the MD5 checksum of a file, by which torchvision's classes know it."""
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def write_folders(
    root: Path,
    rng: np.random.Generator,
    learning: tuple[str, ...],
    test: str,
    names: tuple[str, ...],
    suffix: str,
) -> Written:
    """ImageNet and CINIC-10: class folders."""
    labels, test_labels = labels_of(LEARNING), labels_of(TEST)
    parts = zip((*learning, test), (*np.split(labels, len(learning)), test_labels), strict=True)
    for folder, part in parts:
        files = [root / folder / names[c] / f"{names[c]}_{i}{suffix}" for i, c in enumerate(part)]
        write_pictures(files, part, rng)
    return labels, test_labels, {}


def write_cifar(
    root: Path, rng: np.random.Generator, form: type[official.CIFAR10], key: str
) -> Written:
    """CIFAR: batches of raw pixels, which torchvision reads as pickles."""
    labels, test_labels, folder = labels_of(LEARNING), labels_of(TEST), root / form.base_folder
    folder.mkdir(parents=True)
    batches = [file for file, _ in form.train_list]
    parts = zip(batches, np.split(labels, len(batches)), strict=True)
    for file, part in (*parts, (form.test_list[0][0], test_labels)):
        batch = {"data": stack(part, rng, 32).reshape(len(part), -1), key: part.tolist()}
        (folder / file).write_bytes(pickle.dumps(batch))
    meta = folder / form.meta["filename"]
    meta.write_bytes(pickle.dumps({form.meta["key"]: list(NAMES)}))
    checksums = checksums_of(folder, form) | {"meta": form.meta | {"md5": md5(meta)}}
    return labels, test_labels, checksums


def checksums_of(folder: Path, form: type) -> dict:
    """Returns the lists of files of a torchvision class, with the checksums of a miniature."""
    return {
        attribute: [[file, md5(folder / file)] for file, _ in getattr(form, attribute)]
        for attribute in ("train_list", "test_list")
    }


def write_stl10(root: Path, rng: np.random.Generator) -> Written:
    """STL-10: raw pixels, column by column, and labels that count from one."""
    labels, test_labels = labels_of(LEARNING), labels_of(TEST)
    folder = root / official.STL10.base_folder
    folder.mkdir(parents=True)
    for split, part in (("train", labels), ("test", test_labels), ("unlabeled", test_labels)):
        stack(part, rng, 96).transpose(0, 1, 3, 2).tofile(folder / f"{split}_X.bin")
        if split != "unlabeled":
            (part + 1).astype(np.uint8).tofile(folder / f"{split}_y.bin")
    write_lines(folder / "class_names.txt", NAMES)
    return labels, test_labels, checksums_of(folder, official.STL10)


def write_food101(root: Path, rng: np.random.Generator) -> Written:
    """Food-101: class folders, and JSON files that say which picture is in which split."""
    labels, test_labels, number = labels_of(LEARNING), labels_of(TEST), 0
    for split, part in (("train", labels), ("test", test_labels)):
        names = [f"{NAMES[c]}/{number + i}" for i, c in enumerate(part)]
        number += len(part)
        write_pictures([root / f"food-101/images/{name}.jpg" for name in names], part, rng)
        by_class = {c: [name for name in names if name.startswith(f"{c}/")] for c in NAMES}
        write_lines(root / f"food-101/meta/{split}.json", [json.dumps(by_class)])
    return labels, test_labels, {}


def write_cars(root: Path, rng: np.random.Generator) -> Written:
    """Stanford Cars: numbered pictures, and MATLAB files with their classes."""
    folder, labels, test_labels = root / "stanford_cars", labels_of(LEARNING), labels_of(TEST)
    (folder / "devkit").mkdir(parents=True)
    for split, part, where in (
        ("train", labels, "devkit/cars_train_annos.mat"),
        ("test", test_labels, "cars_test_annos_withlabels.mat"),
    ):
        names = [f"{i + 1:05d}.jpg" for i in range(len(part))]
        write_pictures([folder / f"cars_{split}" / name for name in names], part, rng)
        rows = [(1, 1, 64, 48, c + 1, name) for c, name in zip(part, names, strict=True)]
        fields = ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2", "class", "fname")
        annotations = np.array(rows, dtype=[(field, object) for field in fields])
        savemat(folder / where, {"annotations": annotations})
    savemat(folder / "devkit/cars_meta.mat", {"class_names": np.array(NAMES, dtype=object)})
    return labels, test_labels, {}


def write_aircraft(root: Path, rng: np.random.Generator) -> Written:
    """FGVC Aircraft: numbered pictures, and lists of number and variant."""
    folder = root / "fgvc-aircraft-2013b/data"
    variants = [f"{name} 100" for name in NAMES]  # the real names hold spaces, too
    write_lines(folder / "variants.txt", variants)
    labels, test_labels, number = labels_of(LEARNING), labels_of(TEST), 1_000_000
    for split, part in (("trainval", labels), ("test", test_labels)):
        numbers = range(number, number := number + len(part))
        write_pictures([folder / f"images/{i}.jpg" for i in numbers], part, rng)
        lines = [f"{i} {variants[c]}" for i, c in zip(numbers, part, strict=True)]
        write_lines(folder / f"images_variant_{split}.txt", lines)
    return labels, test_labels, {}


def write_dtd(root: Path, rng: np.random.Generator) -> Written:
    """DTD: class folders, and lists of the files of each split."""
    labels, test_labels, number = labels_of(LEARNING), labels_of(TEST), 0
    train, valid = np.split(labels, 2)
    for split, part in (("train", train), ("val", valid), ("test", test_labels)):
        files = [f"{NAMES[c]}/{NAMES[c]}_{number + i:04d}.jpg" for i, c in enumerate(part)]
        number += len(part)
        write_pictures([root / "dtd/dtd/images" / file for file in files], part, rng)
        write_lines(root / f"dtd/dtd/labels/{split}1.txt", files)
    return labels, test_labels, {}


def write_pets(root: Path, rng: np.random.Generator) -> Written:
    """Oxford-IIIT Pets: lists of picture, class, species and breed, all counted from one."""
    labels, test_labels, number = labels_of(LEARNING), labels_of(TEST), 1
    for split, part in (("trainval", labels), ("test", test_labels)):
        names = [f"{NAMES[c]}_{number + i}" for i, c in enumerate(part)]
        number += len(part)
        write_pictures([root / f"oxford-iiit-pet/images/{n}.jpg" for n in names], part, rng)
        lines = [f"{n} {c + 1} {1 + c % 2} {1 + c // 2}" for n, c in zip(names, part, strict=True)]
        write_lines(root / f"oxford-iiit-pet/annotations/{split}.txt", lines)
    return labels, test_labels, {}


def write_flowers102(root: Path, rng: np.random.Generator) -> Written:
    """Oxford Flowers 102: numbered pictures, and MATLAB files with their classes and splits.

    The names of its 102 classes are part of torchvision's class, so the miniature has them all.
    """
    folder, classes = root / "flowers-102", len(official.Flowers102.classes)
    train, valid, test = (labels_of(n, classes) for n in (3, 2, 1))
    labels = np.concatenate([train, valid, test])
    ids = np.arange(1, len(labels) + 1)
    write_pictures([folder / f"jpg/image_{i:05d}.jpg" for i in ids], labels, rng)
    savemat(folder / "imagelabels.mat", {"labels": labels + 1})
    parts = np.split(ids, np.cumsum([len(train), len(valid)]))
    savemat(folder / "setid.mat", dict(zip(("trnid", "valid", "tstid"), parts, strict=True)))
    files = official.Flowers102._file_dict
    checksums = {
        k: [f, md5(folder / f) if k != "image" else sum_] for k, (f, sum_) in files.items()
    }
    return np.concatenate([train, valid]), test, {"_file_dict": checksums}


WORDNET = tuple(f"n{c:08d}" for c in range(len(NAMES)))
WRITERS = {
    "imagenet": partial(
        write_folders,
        learning=("imagenet/train",),
        test="imagenet/val",
        names=WORDNET,
        suffix=".JPEG",
    ),
    "cinic10": partial(
        write_folders,
        learning=("cinic10/train", "cinic10/valid"),
        test="cinic10/test",
        names=NAMES,
        suffix=".png",
    ),
    "cifar10": partial(write_cifar, form=official.CIFAR10, key="labels"),
    "cifar100": partial(write_cifar, form=official.CIFAR100, key="fine_labels"),
    "stl10": write_stl10,
    "food101": write_food101,
    "cars": write_cars,
    "aircraft": write_aircraft,
    "dtd": write_dtd,
    "pets": write_pets,
    "flowers102": write_flowers102,
}


def main() -> None:
    """Writes the miniatures from a shell."""
    parser = argparse.ArgumentParser(
        prog="python -m natlib.rehearse",
        description="Writes a miniature of each of the eleven data sets in its real layout.",
    )
    parser.add_argument("folder", type=Path, help="an empty folder, or one to be made")
    try:
        folder = rehearse(parser.parse_args().folder)
    except (ValueError, OSError) as error:
        raise SystemExit(f"{error}") from None
    print(f"Miniatures of {len(DATA_SETS)} data sets are in {folder}.")


if __name__ == "__main__":
    main()
