"""Folders and files that are nearly right: what each gives is a task, or a sentence on the culprit.

`CASES` are functions that make a folder; `right` says which classes and how many pictures come out,
`told` what the refusal names.
"""

import shutil
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image


class Case(NamedTuple):
    """A folder to make; the right classes and number of pictures, or a pattern of the refusal."""

    name: str
    make: Callable[[Path], None]
    right: tuple[tuple[str, ...], int] | None = None
    told: str = ""
    warned: str = ""  # a pattern of a warning


def draw(path: Path, number: int, **options) -> None:
    """Draws a picture of noise, a different one for each number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(number).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, **options)


def fill(root: Path, *folders: str, n: int = 3, end: str = ".png") -> None:
    """Puts `n` pictures into each folder; no two are the same."""
    for folder in folders:
        for _ in range(n):
            number = sum(1 for file in root.rglob("*") if file.is_file())
            draw(root / folder / f"{number}{end}", number)


def of(*folders: str, **options) -> Callable[[Path], None]:
    """Returns the function that fills these folders."""
    return lambda root: fill(root, *folders, **options)


def both(*makers: Callable[[Path], None]) -> Callable[[Path], None]:
    """Returns the function that does one after the other."""
    return lambda root: [make(root) for make in makers] and None


def copied(a: str, b: str) -> Callable[[Path], None]:
    """Returns the function that copies the first picture of folder `a` to the path `b`."""
    return lambda root: shutil.copy(sorted((root / a).iterdir())[0], root / b) and None


def reencoded(a: str, b: str) -> Callable[[Path], None]:
    """Returns the function that saves the first picture of folder `a` anew at the path `b`."""
    return lambda root: Image.open(sorted((root / a).iterdir())[0]).save(root / b)


def touched(*paths: str) -> Callable[[Path], None]:
    """Returns the function that makes files that are no pictures."""

    def make(root: Path) -> None:
        for path in paths:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text("no picture")

    return make


PETS, CAT_DOG = ("cat", "dog"), of("cat", "dog")
WORDS = {
    "train": "Train TRAINING train_set trn 01_train training-images TrainData Train.Split",
    "valid": "Validation VAL dev eval valid_set Development evaluation val2017 Dev-Set",
    "test": "Test TESTING tst test_images TestSet holdout test-data 3.test test_photos",
}


def _layouts() -> Iterator[Case]:
    for split, words in WORDS.items():
        for word in words.split():
            names = {"train": "train", "valid": "valid", "test": "test"} | {split: word}
            places = [f"{name}/{pet}" for name in names.values() for pet in PETS]
            yield Case(f"{split} is {word}", of(*places), (PETS, 18))
    splits = of("train/cat", "train/dog", "test/cat", "test/dog")
    for odd in ("raw", "augmented", "Original", "backup", "new pictures", "train_val"):
        yield Case(f"{odd} beside splits", both(splits, of(odd)), told=f"beside them '{odd}'")
    for odd in ("raw", "augmented", "Unlabeled", "resized", "Thumbnails", "preprocessed"):
        yield Case(f"{odd} beside classes", both(CAT_DOG, of(odd)), told=f"'{odd}' in .* no class")
    for pair in ("raw augmented", "v1 v2", "2021 2022", "cameraA cameraB"):
        places = [f"{name}/{pet}" for name in pair.split() for pet in PETS]
        a, b = sorted(pair.split())
        told = f"'{a}', '{b}' in .* may be no class, but hold 'cat', 'dog'"
        yield Case(f"classes below {pair}", of(*places), told=told)
    yield Case("classes beside a copy", both(CAT_DOG, of("all/cat", "all/dog")), told="'all' in ")
    inside = of("cat/train", "cat/test", "dog/train", "dog/test")
    yield Case("splits below classes", inside, told="'cat', 'dog' in .* hold 'test', 'train'")
    for word in ("train", "Test", "val", "dev"):
        classes = tuple(sorted([word, "bus", "car"]))
        yield Case(f"a class called {word}", of(*classes), (classes, 9))
    for pair in ("val validation", "Train train", "dev eval", "test Testing"):
        a, b = pair.split()
        rest = of(*(f"{s}/{p}" for s in {"train", a, b} - {"Train"} for p in PETS))
        more = of(f"{a}/cat", f"{a}/dog")
        yield Case(f"{pair} twice", both(rest, more), told="mean the same split twice")
    yield Case("no train", of("valid/cat", "test/cat"), told="no class folders to train on")
    yield Case("only a test", of("test/cat", "test/dog"), told="no class folders to train on")
    flat = both(of("train/cat", "train/dog"), of("test"))
    yield Case("test without classes", flat, told="'test' in .* hold pictures and no class folders")
    yield Case("all without classes", of("train", "test"), told="'test', 'train' in .* no class")
    yield Case("no classes", both(of("."), touched("labels.csv")), told=r"0 class .* 1 \.csv")
    yield Case("one class", of("cat"), told="holds 1 class folders")
    yield Case("a folder around it", of("pets/cat", "pets/dog"), told="1 class folders.*pets/cat")
    yield Case("nothing", lambda root: None, told="holds 0 class folders")
    yield Case("classes without pictures", touched("cat/a.doc", "dog/b.doc"), told=r"2 \.doc")
    yield Case("a foreign class", both(splits, of("test/owl")), told="'owl' is a class in test")
    yield Case(
        "a class is not in test", both(splits, of("train/owl")), (("cat", "dog", "owl"), 15),
        warned="The test split has no picture of 'owl'",
    )  # fmt: skip


def _names() -> Iterator[Case]:
    for name in ("Käfer", "Ångström", "Über", "각"):
        nfc, nfd = (unicodedata.normalize(form, name) for form in ("NFC", "NFD"))
        places = of(f"train/{nfc}", "train/dog", f"test/{nfd}", "test/dog", f"val/{nfc}", "val/dog")
        yield Case(f"{name} decomposed", places, (tuple(sorted((nfc, "dog"))), 18))
        yield Case(f"{name} twice", of(nfc, nfd, "dog"), told=f"'{nfd}'.* spell one name")
    other = of("train/Cat", "train/dog", "test/cat", "test/DOG", "val/CAT", "val/dog")
    yield Case("other capitals", other, (("Cat", "dog"), 18))
    yield Case("capitals twice", of("Cat", "cat", "dog"), told="'Cat', 'cat' in .* spell one name")
    yield Case("a blank too much", of("cat", "cat ", "dog"), told="'cat', 'cat ' in")
    yield Case("letters", of("a", "A", "b"), (("A", "a", "b"), 9))
    for odd in (".ipynb_checkpoints", "__MACOSX", "@eaDir", "lost+found", "cat/__MACOSX"):
        yield Case(f"{odd} does not count", both(CAT_DOG, of(odd)), (PETS, 6))
    yield Case("pictures in the root", both(CAT_DOG, of(".")), (PETS, 6), warned="3 pictures in no")
    for to in ("", "cat"):
        circle = both(CAT_DOG, lambda root, to=to: (root / "cat/up").symlink_to(root / to))
        yield Case(f"a link back to /{to}", circle, (PETS, 6))


def _leaks() -> Iterator[Case]:
    splits = of("train/cat", "train/dog", "test/cat", "test/dog")
    same = "are the same picture, in different classes or splits"
    for kind, make in {"copy": copied, "PNG as BMP": reencoded}.items():
        end = {"copy": "png", "PNG as BMP": "bmp"}[kind]
        leak = both(splits, make("train/cat", f"test/cat/other.{end}"))
        yield Case(f"{kind} in train and test", leak, told=f"train/cat/.*{same}")
        yield Case(f"{kind} in two classes", both(CAT_DOG, make("cat", f"dog/x.{end}")), told=same)
        twin = both(CAT_DOG, make("cat", f"cat/zz.{end}"))
        yield Case(f"{kind} in one class", twin, (PETS, 6), warned="1 copies of pictures")


def _endings() -> Iterator[Case]:
    for end in ".jpg .JPG .jpeg .jfif .jpe .tif .TIFF .webp .bmp .ppm .gif .jp2 .avif".split():
        if end.casefold() in Image.registered_extensions():
            yield Case(f"pictures {end}", of("cat", "dog", end=end), (PETS, 6))
    for end in ".heic .HEIF .svg .mp4 .npy .cr2 .xyz".split():
        files = [f"{pet}/{i}{end}" for pet in PETS for i in range(3)]
        told = rf"no pictures that can be read here: there are 6 \{end.casefold()}"
        yield Case(f"only {end}", touched(*files), told=told)
        some, warned = both(CAT_DOG, touched(f"cat/a{end}")), rf"Not .*: 1 \{end.casefold()}"
        yield Case(f"one {end}", some, (PETS, 6), warned=warned)
    yield Case("HEIC", touched("cat/a.heic", "dog/b.heic"), told="save as JPEG")
    yield Case("no endings", touched("cat/a", "dog/b"), told="2 without an ending")
    html = both(CAT_DOG, touched("cat/a.jpg"))
    yield Case(
        "a page named .jpg", html, (PETS, 6), warned="1 of 7 pictures cannot be read .*a.jpg"
    )


CASES = [*_layouts(), *_names(), *_leaks(), *_endings()]

GREY = np.tile(np.linspace(0, 1, 16), (16, 1))  # a wedge, from black to white
SCALES: dict[str, tuple[np.ndarray, bool]] = {  # values of a TIFF; whether they have a known scale
    "float to 1": (GREY.astype(np.float32), True),
    "float that overshoots": ((1.1 * GREY - 0.05).astype(np.float32), True),
    "float to 255": ((255 * GREY).astype(np.float32), True),
    "float to 65535": ((65535 * GREY).astype(np.float32), True),
    "int32 to 255": ((255 * GREY).astype(np.int32), True),
    "int32 to 4095": ((4095 * GREY).astype(np.int32), True),
    "int32 to 65535": ((65535 * GREY).astype(np.int32), True),
    "8 bits in 16": ((255 * GREY).astype(np.uint16), True),
    "10 bits in 16": ((1023 * GREY).astype(np.uint16), True),
    "12 bits in 16": ((4095 * GREY).astype(np.uint16), True),
    "14 bits in 16": ((16383 * GREY).astype(np.uint16), True),
    "16 bits": ((65535 * GREY).astype(np.uint16), True),
    "float below zero": ((2000 * GREY - 1000).astype(np.float32), False),
    "float with a hole": (np.where(GREY > 0.5, np.nan, GREY).astype(np.float32), False),
    "int32 of 2^30": ((2**30 * GREY).astype(np.int32), False),
}
