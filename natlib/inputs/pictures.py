"""One picture, read right: turned, on white, of any depth; and many that are read when asked for.

`examples/predict.py` has `to_bytes` and `read_square` too: a picture is read in use as it was in
training. The recipe, `READING`, travels in the file of the network.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor
from torch.utils.data import get_worker_info
from tqdm.auto import tqdm

from natlib.inputs import WORDS, say

READING = {"turn": "exif", "background": "white", "centre": [0.5, 0.5], "resampling": "BILINEAR"}
DECODED_BYTES = 4 * 2**30  # decoded pictures that `LazyImages` keeps in memory


def open_file(files: Sequence[Path], row: int) -> Image.Image:
    """Opens the picture of a row."""
    return Image.open(files[row])


def is_picture(file: Path) -> bool:
    """Returns whether Pillow, as it is here, reads files of this ending."""
    kind = Image.registered_extensions().get(file.suffix.casefold())
    return kind in Image.OPEN and kind not in WORDS["stubs"]


def to_bytes(values: np.ndarray) -> np.ndarray:
    """Scales grey values to uint8: floats up to 1, or numbers of 8, 10, 12, 14 or 16 bits."""
    low, high = float(values.min()), float(values.max())
    if values.dtype.kind == "f" and -0.1 <= low and high <= 1.5:  # some filters overshoot
        return np.round(255 * values.clip(0, 1)).astype(np.uint8)
    if not 0 <= low <= high < 2**16:  # nor is any of this true of NaN
        raise ValueError(f"values from {low:g} to {high:g} are of no known scale")
    bits = next(bits for bits in (8, 10, 12, 14, 16) if high < 2**bits)
    return (values / 2 ** (bits - 8)).astype(np.uint8)


def read_square(image: Image.Image, side: int, reading: dict) -> np.ndarray:
    """Returns the middle square in RGB, uint8 `(side, side, 3)`, as the recipe `reading` says."""
    deep = any(";16" in str(tile) for tile in getattr(image, "tile", ()))
    image.draft("RGB", (2 * side, 2 * side))  # decodes less of a large JPEG
    image = ImageOps.exif_transpose(image)
    if image.mode[0] in "IF":  # one channel of integers or floats
        image = Image.fromarray(to_bytes(np.asarray(image)))
    elif deep and 0 < np.max(image.getextrema()) < 16:  # of 16 bits Pillow keeps the upper 8
        raise ValueError("of 16 bits a colour at most 12 are used: convert it to 8 bits")
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        under = Image.new("RGBA", image.size, reading["background"])
        image = Image.alpha_composite(under, image)
    how = Image.Resampling[reading["resampling"]]
    return np.array(ImageOps.fit(image.convert("RGB"), (side, side), how, 0, reading["centre"]))


def to_square(image: Image.Image, side: int) -> Tensor:
    """Returns a picture as all are read here, by `READING`, uint8 `(3, side, side)`."""
    return torch.from_numpy(read_square(image, side, READING)).permute(2, 0, 1).contiguous()


def digest(*parts: bytes | NDArray) -> str:
    """Returns a short name of such content."""
    name = hashlib.blake2b(digest_size=8)
    for part in parts:
        name.update(np.ascontiguousarray(part).tobytes())
    return name.hexdigest()


class LazyImages:
    """A uint8 tensor `(n, 3, side, side)` to read, of pictures that are decoded when indexed.

    It keeps what it decoded, as long as that takes no more than `keep` bytes in all.
    """

    def __init__(
        self,
        load: Callable[[int], Image.Image],  # opens a picture by its number
        n: int,
        side: int,
        names: Sequence[object] | None = None,  # of the pictures, for messages
        keep: int | None = None,  # None: DECODED_BYTES
    ) -> None:
        self.shape, self._numbers = (n, 3, side, side), torch.arange(n)
        self.digests: NDArray | None = None  # of the pictures, (n,), where they are known
        self._load, self._names = load, names
        self._kept, self._room = {}, (DECODED_BYTES if keep is None else keep) // (3 * side**2)

    def __getstate__(self) -> dict:
        return vars(self) | {"_kept": {}}  # a process that is sent this decodes for itself

    def __len__(self) -> int:
        return self.shape[0]

    def _decode(self, number: int) -> Tensor:
        if (kept := self._kept.get(number)) is not None:
            return kept
        try:
            with self._load(number) as image:
                picture = to_square(image, self.shape[-1])
        except Exception as error:  # a damaged file makes Pillow raise nearly anything
            name = f"Picture {number}" if self._names is None else self._names[number]
            raise OSError(say("pictures.one", name=name, why=error)) from None
        if len(self._kept) < self._room and get_worker_info() is None:
            self._kept[number] = picture
        return picture

    def __getitem__(self, index: int | slice | Tensor | NDArray) -> Tensor:
        numbers = self._numbers[index]
        if numbers.ndim == 0:
            return self._decode(int(numbers))
        whole = torch.empty(numbers.numel(), *self.shape[1:], dtype=torch.uint8)
        for row, picture in enumerate(_threads().map(self._decode, numbers.flatten().tolist())):
            whole[row] = picture
        return whole.reshape(*numbers.shape, *self.shape[1:])

    def take(self, rows: NDArray | Tensor) -> LazyImages:
        """Returns the pictures of these rows, which share what was decoded."""
        taken = copy.copy(self)
        taken._kept = self._kept
        taken._numbers = self._numbers[rows]
        taken.digests = None if self.digests is None else self.digests[np.asarray(rows)]
        taken.shape = (len(taken._numbers), *self.shape[1:])
        return taken

    @property
    def content(self) -> NDArray:
        """What tells pictures apart: their digests, or 64 of them where these are not known."""
        some = np.linspace(0, len(self) - 1, min(64, len(self))).astype(int)
        return self[some].numpy() if self.digests is None else self.digests

    def examine(self, progress: bool = True) -> dict[object, str]:
        """Decodes all pictures and notes their digests; returns which cannot be, and why if known.

        Pictures of one colour may be alike, yet no copies: they are told apart by their files.
        """

        def look(number: int) -> str | OSError:
            try:
                picture = self._decode(number)
            except OSError as error:
                return error
            plain, name = picture.float().std() < 4, self._names[number]
            return digest(Path(name).read_bytes() if plain and Path(name).is_file() else picture)

        bar = {"desc": "reading pictures", "disable": not progress, "leave": False}
        found = list(tqdm(_threads().map(look, range(len(self))), total=len(self), **bar))
        self.digests = np.array(["" if isinstance(f, OSError) else f for f in found])
        broken = {n: f for n, f in zip(self._names, found, strict=True) if isinstance(f, OSError)}
        why = {name: error.__context__ for name, error in broken.items()}
        return {n: f" ({told})" if isinstance(told, ValueError) else "" for n, told in why.items()}


@lru_cache(1)
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor()
