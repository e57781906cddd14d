"""Your own folder of pictures as a task."""

import re
import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from natlib.data import folder_task, load_task
from natlib.inputs import pictures
from natlib.inputs.folders import stratified_cut
from natlib.inputs.pictures import LazyImages, to_square

SPLITS = ("train", "valid", "test")


def draw(path, value=0, size=(12, 10), mode="RGB", **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(value).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(path, **options)


def fill(folder, n, first=0):
    for i in range(first, first + n):
        draw(folder / f"{i:02d}.png", i)


def sizes(task):
    return tuple(len(getattr(task, split)) for split in SPLITS)


@pytest.fixture
def pets(tmp_path):
    fill(tmp_path / "pets" / "cat", 10)
    fill(tmp_path / "pets" / "dog", 20, first=10)
    return tmp_path / "pets"


def load(path, **options):
    return folder_task(path, side=8, progress=False, **options)


def test_splits_are_stratified_disjoint_and_reproducible(pets):
    task, again, other = load(pets), load(pets), load(pets, seed=1)
    assert task.name == "pets" and task.classes == ("cat", "dog") and sizes(task) == (18, 6, 6)
    for split, cats in zip(SPLITS, (6, 2, 2), strict=True):
        data = getattr(task, split)
        assert data.images.shape == (len(data), 3, 8, 8)
        assert (data.labels == 0).sum() == cats
        assert torch.equal(data.images[:], getattr(again, split).images[:])
    assert not torch.equal(task.test.images[:], other.test.images[:])
    pictures = torch.cat([getattr(task, split).images[:] for split in SPLITS]).flatten(1)
    assert len(pictures.unique(dim=0)) == 30


def test_a_folder_is_a_task_by_its_path(pets):
    task = load_task(str(pets), side=8)
    assert task.name == "pets" and task.train.images.shape[2:] == (8, 8)


def test_given_splits_are_kept_and_missing_ones_cut(tmp_path):
    for split, n in (("train", 10), ("val", 3)):
        for c, name in enumerate("ab"):
            fill(tmp_path / split / name, n, first=100 * c + (50 if split == "val" else 0))
    task = load(tmp_path)
    assert sizes(task) == (15, 6, 5)
    fill(tmp_path / "test" / "a", 1, first=300)
    assert sizes(load(tmp_path)) == (20, 6, 1)
    fill(tmp_path / "test" / "c", 1, first=400)
    with pytest.raises(ValueError, match="'c' is a class in test but not in train: add it"):
        load(tmp_path)


def test_unreadable_pictures_are_left_out_and_named(pets):
    (pets / "cat" / "empty.png").touch()
    (pets / "cat" / "text.jpg").write_text("not a picture", "utf-8")
    whole = (pets / "dog" / "10.png").read_bytes()
    (pets / "dog" / "cut.png").write_bytes(whole[: len(whole) // 2])
    (pets / "dog" / "dead.png").symlink_to(pets / "nothing.png")
    (pets / "dog" / "notes.txt").write_text("no picture, and not named like one", "utf-8")
    with pytest.warns(UserWarning) as caught:
        task = load(pets)
    left, message = (str(w.message) for w in caught)
    assert left == f"Not looked at in {pets}: 1 .txt."
    assert message.startswith("4 of 34 pictures cannot be read and are left out: cat/empty.png, ")
    assert all(name in message for name in ("cat/text.jpg", "dog/cut.png", "dog/dead.png"))
    assert sum(sizes(task)) == 30


@pytest.mark.parametrize(("n", "told"), [(0, "'owl' (0)"), (1, "'owl' (1)"), (2, "'owl' (2)")])
def test_a_class_with_too_few_pictures_says_so(pets, n, told):
    (pets / "owl").mkdir()
    fill(pets / "owl", n, first=50)
    with pytest.raises(ValueError, match="at least 3 here, but look at " + re.escape(told)):
        load(pets)
    fill(pets / "owl", 3 - n, first=50 + n)
    task = load(pets)
    assert all((getattr(task, split).labels == 2).sum() == 1 for split in SPLITS)


def test_folders_that_are_no_task(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no folder"):
        load(tmp_path / "none")
    fill(tmp_path, 3)
    with pytest.raises(ValueError, match="holds 0 class folders, and a task needs at least two"):
        load(tmp_path)
    fill(tmp_path / "only", 3)
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "__MACOSX").mkdir()
    with pytest.raises(ValueError, match="holds 1 class folders"):
        load(tmp_path)


def test_names_in_any_script_nested_and_linked_folders(pets, tmp_path):
    fill(pets / "Käfer 甲虫 🐞" / "im Garten" / "früh", 5, first=50)
    elsewhere = tmp_path / "elsewhere"
    fill(elsewhere, 5, first=60)
    (pets / "owl").symlink_to(elsewhere)
    (pets / "cat" / "loop").symlink_to(pets / "cat")
    (pets / "dog" / "twin.png").symlink_to(pets / "dog" / "10.png")
    task = load(pets)
    assert task.classes == ("Käfer 甲虫 🐞", "cat", "dog", "owl")
    labels = torch.cat([getattr(task, split).labels for split in SPLITS])
    assert labels.bincount().tolist() == [5, 10, 20, 5]
    (pets / "cat" / "dog.png").symlink_to(pets / "dog" / "10.png")
    with pytest.raises(ValueError, match="are the same picture, in different classes or splits"):
        load(pets)


def test_groups_stay_together(tmp_path):
    for c, name in enumerate("ab"):
        fill(tmp_path / name, 40, first=100 * c)
    task = load(tmp_path, groups=lambda path: int(path.stem) // 4)
    assert sizes(task)[1:] == (16, 16)
    rows = {}
    for split in SPLITS:
        for image in getattr(task, split).images:
            rows[image.numpy().tobytes()] = split
    for c, name in enumerate("ab"):
        for first in range(100 * c, 100 * c + 40, 4):
            paths = [tmp_path / name / f"{i:02d}.png" for i in range(first, first + 4)]
            keys = [to_square(Image.open(path), 8).numpy().tobytes() for path in paths]
            assert len({rows[key] for key in keys}) == 1
    with pytest.raises(ValueError, match=r"The groups cannot be cut \(.*\): make smaller"):
        load(tmp_path, groups=lambda path: path.parent)
    with pytest.raises(ValueError, match="The groups leave no picture of 'b' for "):
        load(tmp_path, groups=lambda path: int(path.stem) // 4 if path.parent.name == "a" else 0)


def test_pictures_of_every_kind(tmp_path):
    red = np.full((40, 60, 3), (255, 0, 0), dtype=np.uint8)
    red[:, 30:] = (0, 0, 255)
    image = Image.fromarray(red)
    square = to_square(image, 4)
    assert square[:, 0, 0].tolist() == [255, 0, 0] and square[:, 0, 3].tolist() == [0, 0, 255]
    turned = Image.Exif()
    turned[0x0112] = 3  # upside down
    image.save(tmp_path / "turned.png", exif=turned)
    assert to_square(Image.open(tmp_path / "turned.png"), 4)[:, 0, 0].tolist() == [0, 0, 255]
    palette = to_square(image.quantize(4), 4)
    assert (palette.float() - square.float()).abs().max() < 9
    assert to_square(image.convert("L"), 4)[:, 0, 0].tolist() == [76, 76, 76]
    image.convert("CMYK").save(tmp_path / "print.jpg")
    assert to_square(Image.open(tmp_path / "print.jpg"), 4).shape == (3, 4, 4)
    clear = image.convert("RGBA")
    clear.putalpha(0)
    assert to_square(clear, 4).min() == 255
    image.quantize(4).save(tmp_path / "clear.gif", transparency=0)
    assert to_square(Image.open(tmp_path / "clear.gif"), 4).float().mean() > 120
    deep = Image.fromarray(np.full((5, 5), 256 * 200, dtype=np.uint16))
    assert to_square(deep, 4).unique().tolist() == [200]
    assert to_square(Image.new("RGB", (1, 500), "white"), 4).min() == 255


def test_huge_pictures(pets):
    Image.new("1", (10_000, 9_500), 1).save(pets / "cat" / "huge.png")  # Pillow warns of it
    Image.new("1", (20_000, 9_500), 1).save(pets / "cat" / "vast.png")  # Pillow refuses it
    with pytest.warns(UserWarning) as caught:
        task = load(pets)
    told = [str(w.message) for w in caught if w.category is UserWarning]
    assert told == ["1 of 32 pictures cannot be read and are left out: cat/vast.png."]
    assert sum(sizes(task)) == 31


@pytest.mark.parametrize("cache_bytes", [0, 2**20])
def test_lazy_images_are_indexed_like_a_tensor(cache_bytes, monkeypatch):
    monkeypatch.setattr(pictures, "DECODED_BYTES", cache_bytes)
    loaded = []

    def load_one(i):
        loaded.append(i)
        return Image.new("RGB", (5, 5), (i, i, i))

    lazy = LazyImages(load_one, 10, 4)
    plain = torch.arange(10, dtype=torch.uint8).view(10, 1, 1, 1).expand(10, 3, 4, 4)
    mask = np.arange(10) % 3 == 0
    for index in (3, slice(2, 5), [4, 4, 1], np.array([7, 0]), torch.tensor([[9], [8]]), mask, []):
        assert torch.equal(lazy[index], plain[index])
        assert lazy[index].dtype == torch.uint8
    assert torch.equal(lazy.take(np.array([5, 3]))[:], plain[[5, 3]])
    assert (len(loaded) == len(set(loaded))) == bool(cache_bytes)


def test_a_picture_that_breaks_later_is_named(pets):
    task = load(pets)
    lazy = LazyImages(lambda i: Image.open(pets / "gone.png"), 3, 4, names=["a", "b.png", "c"])
    with pytest.raises(OSError, match=r"b\.png cannot be decoded \(.*gone\.png.*\): replace"):
        lazy[1]
    assert len(task.train.images) == 18


@pytest.mark.parametrize("n", [1, 7, 20, 50])
def test_cut_is_exact_and_in_proportion(n):
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(5), [10, 20, 30, 40, 100]))
    rows = stratified_cut(labels, n, seed=3)
    assert len(np.unique(rows)) == len(rows) == max(n, 5)
    off = np.bincount(labels[rows], minlength=5) - np.bincount(labels) * n / 200
    assert (off > -1).all() and (off < 1.01).all()


def test_photos_of_clothes(shared):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        task = load(shared / "datasets" / "clothing")
    assert sizes(task) == (3068, 341, 372) and task.num_classes == 10


def test_photos_of_hand_signs(shared):
    def person(path):
        return int(path.stem.removeprefix("IMG_")) // 10

    task = load(shared / "datasets" / "sign_digits", groups=person, flip=False)
    assert sum(sizes(task)) == 2062 and task.num_classes == 10
    assert all(380 < n < 440 for n in sizes(task)[1:])
    for split in SPLITS:
        counts = getattr(task, split).labels.bincount(minlength=10)
        assert counts.max() - counts.min() < 20
