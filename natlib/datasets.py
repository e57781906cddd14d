"""Tasks from the eleven data sets of the paper.

The data sets lie below one folder, which `NATLIB_DATA` names, each as torchvision's class for it
expects. `describe` shows them as a table, `check` says what is there and what to do, and
`dataset_task` makes a task of one. Where `natlib.rehearse` wrote miniatures into that folder,
they are loaded in just the same way, and their tasks carry the word *rehearsal* in their name.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch.utils.data import ConcatDataset, Dataset
from torchvision import datasets as official

from natlib.folders import CUT, stratified_cut
from natlib.pictures import LazyImages
from natlib.tasks import Split, Task

REHEARSAL = "rehearsal.json"
MOST_VALID = 10_000  # pictures; more would only make each evaluation slower
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class DataSet:
    """One data set of the paper, as it is used here.

    A fifth of the official pictures to learn from, at most `MOST_VALID`, becomes the validation
    split: drawn by a seed, each class in proportion. The official test pictures are the test
    split, which no search touches.

    Attributes:
        title: Name for people.
        classes: Number of classes.
        learning: Official pictures to learn from: train and validation split together.
        test: Official test pictures.
        source: Where it comes from.
        terms: Licence or terms of use.
        archive_gb: Size of the archives to download in GB.
        files: What must lie below `NATLIB_DATA`.
        by_hand: How to get it where torchvision cannot; empty otherwise.
        load: Torchvision's class for it.
        learning_parts: What `load` takes for each part of the pictures to learn from.
        test_part: What `load` takes for the test pictures.
        native: Side of the pictures in pixels, or `None` if they differ.
        mean: Mean of each channel; ImageNet's where no own is known.
        std: Standard deviation of each channel.
    """

    title: str
    classes: int
    learning: int
    test: int
    source: str
    terms: str
    archive_gb: float
    files: tuple[str, ...]
    load: Callable[..., Dataset]
    learning_parts: tuple[dict, ...]
    test_part: dict
    by_hand: str = ""
    native: int | None = None
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD

    @property
    def valid(self) -> int:
        """Pictures of the validation split."""
        return valid_size(self.learning)

    @property
    def train(self) -> int:
        """Pictures of the train split."""
        return self.learning - self.valid


def image_folder(root: Path, folder: str) -> official.ImageFolder:
    """Opens a folder of class folders below the data folder."""
    return official.ImageFolder(root / folder)


def below(folder: str, *names: str) -> tuple[str, ...]:
    """Returns the paths of files in a folder."""
    return tuple(f"{folder}/{name}" for name in names)


DATA_SETS = {
    "imagenet": DataSet(
        title="ImageNet (ILSVRC 2012)",
        classes=1000,
        learning=1_281_167,
        test=50_000,
        source="https://image-net.org/download.php",
        terms="non-commercial research and education, after registration",
        archive_gb=144,
        files=below("imagenet", "train", "val"),
        load=image_folder,
        learning_parts=({"folder": "imagenet/train"},),
        test_part={"folder": "imagenet/val"},
        by_hand="register at the source, get ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar, "
        "and unpack them into one folder per class (n01440764, ...) in imagenet/train and "
        "imagenet/val; the official validation pictures are the test split here",
    ),
    "cinic10": DataSet(
        title="CINIC-10",
        classes=10,
        learning=180_000,
        test=90_000,
        source="https://datashare.ed.ac.uk/handle/10283/3192",
        terms="none stated for the pictures, which come from CIFAR-10 and ImageNet",
        archive_gb=0.69,
        files=below("cinic10", "train", "valid", "test"),
        load=image_folder,
        learning_parts=({"folder": "cinic10/train"}, {"folder": "cinic10/valid"}),
        test_part={"folder": "cinic10/test"},
        by_hand="get CINIC-10.tar.gz from the source and unpack it in cinic10, so that "
        "cinic10/train, cinic10/valid and cinic10/test hold one folder per class",
        native=32,
        mean=(0.4789, 0.4723, 0.4305),
        std=(0.2421, 0.2383, 0.2587),
    ),
    "cifar10": DataSet(
        title="CIFAR-10",
        classes=10,
        learning=50_000,
        test=10_000,
        source="https://www.cs.toronto.edu/~kriz/cifar.html",
        terms="none stated; its authors ask to be cited",
        archive_gb=0.17,
        files=below(
            "cifar-10-batches-py",
            *(f"data_batch_{i}" for i in range(1, 6)),
            "test_batch",
            "batches.meta",
        ),
        load=official.CIFAR10,
        learning_parts=({"train": True},),
        test_part={"train": False},
        native=32,
        mean=(0.4914, 0.4822, 0.4465),
        std=(0.2470, 0.2435, 0.2616),
    ),
    "cifar100": DataSet(
        title="CIFAR-100",
        classes=100,
        learning=50_000,
        test=10_000,
        source="https://www.cs.toronto.edu/~kriz/cifar.html",
        terms="none stated; its authors ask to be cited",
        archive_gb=0.17,
        files=below("cifar-100-python", "train", "test", "meta"),
        load=official.CIFAR100,
        learning_parts=({"train": True},),
        test_part={"train": False},
        native=32,
        mean=(0.5071, 0.4866, 0.4409),
        std=(0.2673, 0.2564, 0.2762),
    ),
    "stl10": DataSet(
        title="STL-10",
        classes=10,
        learning=5_000,
        test=8_000,
        source="https://cs.stanford.edu/~acoates/stl10/",
        terms="none stated for the pictures, which come from ImageNet",
        archive_gb=2.64,
        files=below(
            "stl10_binary",
            "train_X.bin",
            "train_y.bin",
            "unlabeled_X.bin",
            "test_X.bin",
            "test_y.bin",
            "class_names.txt",
        ),
        load=official.STL10,
        learning_parts=({"split": "train"},),
        test_part={"split": "test"},
        native=96,
    ),
    "food101": DataSet(
        title="Food-101",
        classes=101,
        learning=75_750,
        test=25_250,
        source="https://data.vision.ee.ethz.ch/cvl/datasets_extra/food-101/",
        terms="scientific fair use; the pictures belong to the users of Foodspotting",
        archive_gb=5.0,
        files=below("food-101", "images", "meta/train.json", "meta/test.json"),
        load=official.Food101,
        learning_parts=({"split": "train"},),
        test_part={"split": "test"},
    ),
    "cars": DataSet(
        title="Stanford Cars",
        classes=196,
        learning=8_144,
        test=8_041,
        source="https://ai.stanford.edu/~jkrause/cars/car_dataset.html (offline)",
        terms="non-commercial research, as for ImageNet",
        archive_gb=1.96,
        files=below(
            "stanford_cars",
            "cars_train",
            "cars_test",
            "cars_test_annos_withlabels.mat",
            "devkit/cars_meta.mat",
            "devkit/cars_train_annos.mat",
        ),
        load=official.StanfordCars,
        learning_parts=({"split": "train"},),
        test_part={"split": "test"},
        by_hand="the original page is offline, so find a copy of cars_train.tgz, cars_test.tgz, "
        "car_devkit.tgz and cars_test_annos_withlabels.mat and unpack them in stanford_cars",
    ),
    "aircraft": DataSet(
        title="FGVC Aircraft",
        classes=100,
        learning=6_667,
        test=3_333,
        source="https://www.robots.ox.ac.uk/~vgg/data/fgvc-aircraft/",
        terms="non-commercial research; the photographers keep their rights",
        archive_gb=2.75,
        files=below(
            "fgvc-aircraft-2013b/data",
            "images",
            "variants.txt",
            "images_variant_trainval.txt",
            "images_variant_test.txt",
        ),
        load=official.FGVCAircraft,
        learning_parts=({"split": "trainval"},),
        test_part={"split": "test"},
    ),
    "dtd": DataSet(
        title="DTD",
        classes=47,
        learning=3_760,
        test=1_880,
        source="https://www.robots.ox.ac.uk/~vgg/data/dtd/",
        terms="research purposes",
        archive_gb=0.63,
        files=below(
            "dtd/dtd", "images", "labels/train1.txt", "labels/val1.txt", "labels/test1.txt"
        ),
        load=official.DTD,
        learning_parts=({"split": "train"}, {"split": "val"}),
        test_part={"split": "test"},
    ),
    "pets": DataSet(
        title="Oxford-IIIT Pets",
        classes=37,
        learning=3_680,
        test=3_669,
        source="https://www.robots.ox.ac.uk/~vgg/data/pets/",
        terms="CC BY-SA 4.0",
        archive_gb=0.81,
        files=below(
            "oxford-iiit-pet", "images", "annotations/trainval.txt", "annotations/test.txt"
        ),
        load=official.OxfordIIITPet,
        learning_parts=({"split": "trainval"},),
        test_part={"split": "test"},
    ),
    "flowers102": DataSet(
        title="Oxford Flowers 102",
        classes=102,
        learning=2_040,
        test=6_149,
        source="https://www.robots.ox.ac.uk/~vgg/data/flowers/102/",
        terms="none stated",
        archive_gb=0.34,
        files=below("flowers-102", "jpg", "imagelabels.mat", "setid.mat"),
        load=official.Flowers102,
        learning_parts=({"split": "train"}, {"split": "val"}),
        test_part={"split": "test"},
    ),
}


def valid_size(learning: int) -> int:
    """Returns how many of the pictures to learn from become the validation split."""
    return min(MOST_VALID, round(CUT * learning))


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
    """Returns an entry of the table.

    Raises:
        ValueError: If there is no data set of this name.
    """
    if name not in DATA_SETS:
        raise ValueError(f"There is no data set '{name}': choose from {', '.join(DATA_SETS)}.")
    return DATA_SETS[name]


def missing_files(name: str, root: str | Path | None = None) -> list[str]:
    """Returns which files and folders of a data set are not below the data folder."""
    folder = data_folder(root)
    return [file for file in find_data_set(name).files if not (folder / file).exists()]


def check(name: str, root: str | Path | None = None) -> str:
    """Says whether a data set is there, what is missing, and what to do.

    Args:
        name: Name of the data set, a key of `DATA_SETS`.
        root: The folder of the data sets; the one that `NATLIB_DATA` names by default.

    Raises:
        ValueError: If there is no data set of this name.
        FileNotFoundError: If it is not known where the data sets lie.
    """
    entry, folder, missing = find_data_set(name), data_folder(root), missing_files(name, root)
    if not missing:
        kind = "A rehearsal miniature of " if name in read_rehearsal(folder) else ""
        return f"{kind}{entry.title} is complete in {folder}."
    how = entry.by_hand or (
        f"run 'python -m natlib.datasets {name}', or get the archives "
        f"({entry.archive_gb:g} GB) from {entry.source} and unpack them there"
    )
    return (
        f"{entry.title} is not complete in {folder}: {', '.join(missing)} "
        f"{'is' if len(missing) == 1 else 'are'} missing. To get it, {how}."
    )


def describe(root: str | Path | None = None) -> pd.DataFrame:
    """Returns the eleven data sets as a table, one row each.

    Args:
        root: The folder of the data sets; the one that `NATLIB_DATA` names by default, if any.
    """
    root = root or os.environ.get("NATLIB_DATA")
    columns = ("title", "classes", "train", "valid", "test", "native", "archive_gb")
    rows = {}
    for name, entry in DATA_SETS.items():
        rows[name] = {column: getattr(entry, column) for column in columns}
        rows[name] |= {
            "download": "by hand" if entry.by_hand else "automatic",
            "here": found_here(name, data_folder(root)) if root else "no",
            "terms": entry.terms,
            "source": entry.source,
        }
    table = pd.DataFrame.from_dict(rows, orient="index")
    return table.astype({"native": "Int64"}).rename_axis("name")


def found_here(name: str, root: Path) -> str:
    """Returns `"yes"`, `"rehearsal"`, `"in part"` or `"no"`."""
    missing = missing_files(name, root)
    if missing:
        return "no" if len(missing) == len(DATA_SETS[name].files) else "in part"
    return "rehearsal" if name in read_rehearsal(root) else "yes"


def read_rehearsal(root: Path) -> dict:
    """Returns what `natlib.rehearse` noted about its miniatures, by data set; `{}` without any."""
    path = root / REHEARSAL
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def dataset_task(
    name: str, root: str | Path | None = None, *, side: int = 32, seed: int = 0
) -> Task:
    """Makes a task of one of the eleven data sets.

    Args:
        name: Name of the data set, a key of `DATA_SETS`.
        root: The folder of the data sets; the one that `NATLIB_DATA` names by default.
        side: Side in pixels at which larger pictures are kept: the largest resolution of the
            search space, 32 for the pocket space and 256 for the paper's.
        seed: Seed of the cut between train and validation split.

    Raises:
        FileNotFoundError: If files are missing, with what to do.
        ValueError: If there is no data set of this name, a file is damaged, or the number of
            pictures or classes is not what it should be.
    """
    entry, folder = find_data_set(name), data_folder(root)
    if missing_files(name, folder):
        raise FileNotFoundError(check(name, folder))
    rehearsal = read_rehearsal(folder).get(name)
    learning, test = open_official(entry, folder, rehearsal)
    classes = tuple(map(str, test.classes))
    labels = np.concatenate([labels_of(part) for part in learning.datasets])
    test_labels = labels_of(test)
    check_counts(entry, folder, rehearsal, classes, labels, test_labels)
    side = min(side, entry.native or side)
    images = LazyImages(lambda i: learning[i][0], len(learning), side)
    test_images = LazyImages(lambda i: test[i][0], len(test), side)
    valid = stratified_cut(labels, valid_size(len(labels)), seed)
    train = np.delete(np.arange(len(labels)), valid)
    return Task(
        name=f"{name} (rehearsal)" if rehearsal else name,
        classes=classes,
        train=Split(images.take(train), torch.from_numpy(labels[train])),
        valid=Split(images.take(valid), torch.from_numpy(labels[valid])),
        test=Split(test_images, torch.from_numpy(test_labels)),
        mean=entry.mean,
        std=entry.std,
        flip=True,
    )


def open_official(
    entry: DataSet, root: Path, rehearsal: dict | None
) -> tuple[ConcatDataset, Dataset]:
    """Opens the pictures to learn from and the test pictures with torchvision's class.

    Some of the classes hold files against MD5 checksums: those of a miniature are its own.

    Raises:
        ValueError: If torchvision finds a file damaged.
    """
    load = entry.load
    if rehearsal and rehearsal["checksums"]:
        load = type(load.__name__, (load,), rehearsal["checksums"])
    try:
        parts = [load(root, **part) for part in entry.learning_parts]
        return ConcatDataset(parts), load(root, **entry.test_part)
    except Exception as error:  # these classes meet damaged files with nearly any error
        raise ValueError(
            f"The files of {entry.title} in {root} are there but damaged ({error}): delete them "
            "and get them again."
        ) from None


def labels_of(dataset: Dataset) -> NDArray[np.int64]:
    """Returns the class of every picture of one of torchvision's data sets, without decoding."""
    for attribute in ("targets", "labels", "_labels"):
        if hasattr(dataset, attribute):
            return np.array(getattr(dataset, attribute), dtype=np.int64)
    return np.array([label for _, label in dataset._samples], dtype=np.int64)


def check_counts(
    entry: DataSet,
    root: Path,
    rehearsal: dict | None,
    classes: tuple[str, ...],
    labels: NDArray[np.int64],
    test_labels: NDArray[np.int64],
) -> None:
    """Holds the numbers of classes and pictures against those of the table.

    Raises:
        ValueError: If they differ.
    """
    found = {
        "classes": len(set(labels.tolist())),
        "pictures to learn from": len(labels),
        "test pictures": len(test_labels),
    }
    about = rehearsal or {k: getattr(entry, k) for k in ("classes", "learning", "test")}
    expected = dict(zip(found, (about["classes"], about["learning"], about["test"]), strict=True))
    for what, number in found.items():
        if number != expected[what]:
            raise ValueError(
                f"{entry.title} in {root} has {number} {what}, but {expected[what]} were expected: "
                "the copy is not complete or not the official one, so get it again."
            )
    if len(classes) != found["classes"] or not set(test_labels.tolist()) <= set(labels.tolist()):
        raise ValueError(
            f"{entry.title} in {root} has classes without pictures to learn from: get it again."
        )


def download(name: str, root: str | Path | None = None) -> None:
    """Lets torchvision download a data set into the data folder.

    Raises:
        ValueError: If it has to be got by hand, with how.
    """
    entry, folder = find_data_set(name), data_folder(root)
    if entry.by_hand:
        raise ValueError(check(name, folder))
    folder.mkdir(parents=True, exist_ok=True)
    for part in (*entry.learning_parts, entry.test_part):
        entry.load(folder, download=True, **part)


def main() -> None:
    """Downloads data sets from a shell, and says which are there."""
    parser = argparse.ArgumentParser(
        prog="python -m natlib.datasets",
        description="Downloads data sets into the folder that NATLIB_DATA names, and says of each "
        "what is there; without names it only says so.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(DATA_SETS))
    names = parser.parse_args().names
    try:
        for name in names:
            download(name)
        print("\n".join(check(name) for name in names or DATA_SETS))
    except (ValueError, OSError, RuntimeError) as error:
        raise SystemExit(f"{error}") from None


if __name__ == "__main__":
    main()
