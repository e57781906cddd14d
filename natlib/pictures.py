"""Pictures of any kind and size, decoded to squares when they are needed.

At the paper's scale a whole data set does not fit in memory. `LazyImages` stands where a `Split`
otherwise has a tensor of all its pictures: it is indexed in the same way and gives the same kind
of batch.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from tqdm.auto import tqdm

CACHE_BYTES = 4 * 2**30  # decoded pictures that one split may keep in memory
THREADS = min(16, os.cpu_count() or 1)


class LazyImages:
    """Pictures that are decoded when they are indexed.

    Behaves as a uint8 tensor `(n, 3, side, side)` that can only be read: `images[5]`, `images[:8]`
    and `images[rows]` are such tensors. Decoded pictures are kept if all of them fit in
    `cache_bytes`.

    Args:
        load: Opens the picture of a number.
        n: Number of pictures.
        side: Side of the decoded pictures in pixels.
        cache_bytes: Memory for decoded pictures.
    """

    def __init__(
        self,
        load: Callable[[int], Image.Image],
        n: int,
        side: int,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        self.shape = (n, 3, side, side)
        self._load = load
        self._cache_bytes = cache_bytes
        keep = math.prod(self.shape) <= cache_bytes
        self._cache = torch.empty(self.shape, dtype=torch.uint8) if keep else None
        self._cached = torch.zeros(n, dtype=torch.bool)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: int | slice | Tensor | np.ndarray) -> Tensor:
        """Returns the pictures as a tensor of that index would.

        Raises:
            OSError: If one of them cannot be decoded.
        """
        rows = torch.arange(len(self))[index]
        flat = rows.flatten()
        if self._cache is None:
            pictures = torch.stack(self._decode(flat)) if len(flat) else flat.byte()
        else:
            missing = flat[~self._cached[flat]].unique()
            self._keep(missing, self._decode(missing))
            pictures = self._cache[flat]
        return pictures.reshape(*rows.shape, *self.shape[1:])

    def take(self, rows: np.ndarray) -> LazyImages:
        """Returns the pictures of these rows; what was decoded stays so."""
        rows = torch.as_tensor(rows)
        numbers, side = rows.tolist(), self.shape[2]
        taken = LazyImages(lambda i: self._load(numbers[i]), len(numbers), side, self._cache_bytes)
        if self._cache is not None:
            done = self._cached[rows].nonzero().flatten()
            taken._keep(done, self._cache[rows[done]])
        return taken

    def find_unreadable(self, progress: bool = True) -> dict[int, str]:
        """Decodes every picture once and returns the reason for each row where that fails."""
        reasons = {}
        bar = tqdm(total=len(self), desc="reading pictures", disable=not progress, leave=False)
        for rows in torch.arange(len(self)).split(256):
            pictures = self._read(rows)
            failed = torch.tensor([isinstance(picture, OSError) for picture in pictures])
            reasons |= {int(rows[i]): str(pictures[i]) for i in failed.nonzero().flatten()}
            if self._cache is not None:
                self._keep(rows[~failed], [pictures[i] for i in (~failed).nonzero().flatten()])
            bar.update(len(rows))
        bar.close()
        return reasons

    def _keep(self, rows: Tensor, pictures: list[Tensor] | Tensor) -> None:
        for row, picture in zip(rows, pictures, strict=True):
            self._cache[row] = picture
        self._cached[rows] = True

    def _decode(self, rows: Tensor) -> list[Tensor]:
        pictures = self._read(rows)
        for picture in pictures:
            if isinstance(picture, OSError):
                raise picture
        return pictures

    def _read(self, rows: Tensor) -> list[Tensor | OSError]:
        with warnings.catch_warnings(), ThreadPoolExecutor(THREADS) as pool:
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            return list(pool.map(self._read_one, rows.tolist()))

    def _read_one(self, row: int) -> Tensor | OSError:
        try:
            with self._load(row) as image:
                return to_square(image, self.shape[2])
        except Exception as error:  # a damaged file makes Pillow raise nearly anything
            return OSError(f"Picture {row} cannot be decoded: {error}")


def open_picture(path: Path, side: int) -> Image.Image:
    """Opens a picture file; a JPEG is decoded at a fraction of its size if that is enough.

    Args:
        path: The file.
        side: Side in pixels that is wanted later.
    """
    image = Image.open(path)
    image.draft("RGB", (2 * side, 2 * side))
    return image


def to_square(image: Image.Image, side: int) -> Tensor:
    """Returns the middle square of a picture, uint8 `(3, side, side)`.

    Turns it as its EXIF orientation says, lays transparent pictures on white, and makes RGB of
    grey, palette and other pictures.
    """
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    square = ImageOps.fit(image.convert("RGB"), (side, side), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(square)).permute(2, 0, 1).contiguous()


def channel_statistics(images: LazyImages | Tensor, n: int = 1000) -> tuple[tuple, tuple]:
    """Returns mean and standard deviation of each channel, on the scale 0 to 1.

    Args:
        images: uint8 `(n, 3, h, w)`.
        n: Number of pictures, evenly spread over all, that are looked at.
    """
    rows = np.linspace(0, len(images) - 1, min(n, len(images))).astype(np.int64)
    pixels = images[rows].double() / 255
    return tuple(pixels.mean((0, 2, 3)).tolist()), tuple(pixels.std((0, 2, 3)).tolist())
