"""The eleven data sets, each as a miniature that torchvision's real classes read."""

import json
import shutil

import numpy as np
import pytest
import torch
from torchvision import datasets as official

from natlib.paper.datasets import (
    DATA_SETS,
    NOTE,
    dataset_task,
    download,
    main,
    overview,
    status,
    valid_size,
)
from natlib.paper.miniatures import NAMES, rehearse

SPLITS = ("train", "valid", "test")
EVERY = pytest.mark.parametrize("name", DATA_SETS)


@pytest.fixture(scope="module")
def miniatures(tmp_path_factory):
    return rehearse(tmp_path_factory.mktemp("data"))


@pytest.fixture
def copy(miniatures, tmp_path):
    def copy_of(name):
        folder = DATA_SETS[name].files.split("/")[0]
        shutil.copytree(miniatures / folder, tmp_path / folder)
        shutil.copy(miniatures / NOTE, tmp_path)
        return tmp_path

    return copy_of


def test_the_folder_that_the_environment_names(miniatures, monkeypatch, capsys):
    monkeypatch.setenv("NATLIB_DATA", str(miniatures))
    assert dataset_task("cars").name == "cars (rehearsal)"
    main([])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 11 and lines[6].startswith("A rehearsal miniature of Stanford Cars is")


def number_of(name, class_name, label):
    """The number of the class that the miniature's writer drew."""
    if name == "flowers102":
        return label
    if name == "imagenet":
        return int(class_name[1:])
    return NAMES.index(class_name.split()[0].lower())


@EVERY
def test_miniature_through_the_real_class(name, miniatures):
    task = dataset_task(name, miniatures)
    about = json.loads((miniatures / NOTE).read_text("utf-8"))[name]
    assert task.name == f"{name} (rehearsal)"
    assert task.num_classes == about["classes"] == (102 if name == "flowers102" else len(NAMES))
    assert len(task.test) == about["test"]
    assert len(task.train) + len(task.valid) == about["learning"]
    assert len(task.valid) == valid_size(about["learning"])
    for split in SPLITS:
        data = getattr(task, split)
        assert data.images[:].shape == (len(data), 3, 32, 32)
        assert data.images[:2].dtype == torch.uint8 and data.labels.dtype == torch.int64
        assert data.labels.unique().tolist() == list(range(task.num_classes))


@EVERY
@pytest.mark.parametrize("split", SPLITS)
def test_labels_belong_to_their_pictures(name, split, miniatures):
    task = dataset_task(name, miniatures)
    data = getattr(task, split)
    colours = data.images[:].float().mean((2, 3)).numpy()
    styles, means = [], []
    for label, class_name in enumerate(task.classes):
        style = np.random.default_rng(number_of(name, class_name, label))
        styles.append(style.random((2, 3)).mean(axis=0))
        means.append(colours[data.labels == label].mean(axis=0))
    alike = np.corrcoef(np.ravel(styles), np.ravel(means))[0, 1]
    assert alike > (0.6 if name == "flowers102" else 0.8)


@EVERY
def test_splits_are_disjoint_and_drawn_by_the_seed(name, miniatures):
    task, again = (dataset_task(name, miniatures) for _ in range(2))
    pictures = torch.cat([getattr(task, split).images[:] for split in SPLITS]).flatten(1)
    assert len(pictures.unique(dim=0)) == len(pictures)
    assert torch.equal(task.valid.images[:], again.valid.images[:])
    other = dataset_task(name, miniatures, seed=1)
    assert not torch.equal(task.valid.images[:], other.valid.images[:])
    assert torch.equal(task.test.images[:], other.test.images[:])


@EVERY
def test_each_missing_file_is_named_with_what_to_do(name, copy):
    root, entry = copy(name), DATA_SETS[name]
    assert status(name, root) == f"A rehearsal miniature of {entry.title} is complete in {root}."
    for file in entry.files.split():
        (root / file).rename(root / "away")
        message = status(name, root)
        assert f": {file} is missing. To get it, " in message
        assert (entry.by_hand or f"'python -m natlib data {name}'") in message
        with pytest.raises(FileNotFoundError) as caught:
            dataset_task(name, root)
        assert str(caught.value) == message
        assert overview(root).loc[name, "here"] == "in part"
        (root / "away").rename(root / file)
    dataset_task(name, root)


def test_every_part_that_hand_work_puts_in_place_is_named():
    for entry in DATA_SETS.values():
        if entry.by_hand:
            folders = {file.split("/")[0] for file in entry.files.split()}
            assert all(folder in entry.by_hand for folder in folders)


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "stl10", "flowers102", "cars", "pets"])
def test_damaged_files_are_told(name, copy):
    root = copy(name)
    file = root / DATA_SETS[name].files.split()[0 if name == "stl10" else -1]
    file.write_bytes(b"\0 a b c\n")
    with pytest.raises(ValueError, match="are there but damaged .*: delete them and get them"):
        dataset_task(name, root)


@pytest.mark.parametrize("name", ["food101", "pets", "dtd", "aircraft", "cars", "imagenet"])
def test_broken_pictures_are_named_before_work_starts(name, copy):
    """In whatever split they are: the first and the last of all files are cut short."""
    root = copy(name)
    files = sorted(f for f in root.rglob("*") if f.suffix.casefold() in {".jpg", ".jpeg", ".png"})
    for file in (files[0], files[-1]):
        file.write_bytes(file.read_bytes()[:120])
    with pytest.raises(ValueError, match="pictures cannot be decoded: ") as error:
        dataset_task(name, root)
    assert any(str(file) in str(error.value) for file in (files[0], files[-1]))


def test_missing_pictures_are_told(copy):
    root = copy("imagenet")
    next((root / "imagenet/train/n00000002").iterdir()).unlink()
    with pytest.raises(ValueError, match="has 79 pictures to learn from, but 80 were expected"):
        dataset_task("imagenet", root)
    shutil.rmtree(root / "imagenet/train/n00000002")
    with pytest.raises(ValueError, match="has 3 classes, but 4 were expected"):
        dataset_task("imagenet", root)
    (root / NOTE).unlink()
    with pytest.raises(ValueError, match="has 3 classes, but 1000 were expected"):
        dataset_task("imagenet", root)


def test_checksums_of_the_real_files_stay(miniatures, copy):
    before = official.CIFAR10.train_list[0][1]
    root = copy("cifar10")
    dataset_task("cifar10", root)
    assert official.CIFAR10.train_list[0][1] == before
    (root / NOTE).unlink()
    with pytest.raises(ValueError, match="CIFAR-10 in .* are there but damaged"):
        dataset_task("cifar10", root)


def test_small_pictures_keep_their_size(miniatures):
    sides = {
        name: dataset_task(name, miniatures, side=256).train.images.shape[2]
        for name in ("cifar10", "cinic10", "stl10", "pets")
    }
    assert sides == {"cifar10": 32, "cinic10": 32, "stl10": 96, "pets": 256}


def test_table(miniatures, monkeypatch):
    monkeypatch.delenv("NATLIB_DATA", raising=False)
    table = overview()
    assert list(table.index) == list(DATA_SETS) and set(table["here"]) == {"no"}
    assert (table["train"] + table["valid"]).loc["cars"] + table.loc["cars", "test"] == 16_185
    assert table[["train", "valid", "test"]].loc["food101"].sum() == 101_000
    assert (table["valid"] <= 10_000).all() and (table["classes"] * 2 <= table["valid"]).all()
    monkeypatch.setenv("NATLIB_DATA", str(miniatures))
    assert set(overview()["here"]) == {"rehearsal"}


def test_wrong_names_and_folders(tmp_path, monkeypatch):
    monkeypatch.delenv("NATLIB_DATA", raising=False)
    with pytest.raises(FileNotFoundError, match="set NATLIB_DATA to a folder"):
        dataset_task("cars")
    with pytest.raises(ValueError, match="no data set 'car': choose from imagenet, "):
        status("car", tmp_path)
    with pytest.raises(ValueError, match="To get it, the original page is offline"):
        download("cars", tmp_path)


def test_rehearsal_never_mixes_with_other_files(miniatures, tmp_path):
    assert rehearse(miniatures) == miniatures
    (tmp_path / "food-101").mkdir()
    with pytest.raises(ValueError, match="holds other files: choose an empty folder"):
        rehearse(tmp_path)
