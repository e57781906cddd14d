"""A tiny transfer for tests; `work` runs it and saves where it came to, also under torchrun."""

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from natlib.data import Split, make_task
from natlib.inputs import processes
from natlib.inputs.pictures import LazyImages
from natlib.profiles import PROFILES
from natlib.space import SearchSpace
from natlib.supernet import Supernet
from natlib.transfer import transfer

TINY = replace(
    PROFILES["quick"], name="tiny", warmup_largest=1, warmup_uniform=2, adapt=1, min_steps=2,
    batch_size=40, subnets_per_step=2, archive=8, iterations=2, candidates=3, best=5,
    population=12, generations=3, calibration=60, validation=60, surrogate="ridge",
    average=3, teacher="frozen", always=("smallest",),
)  # fmt: skip


def tiny_space() -> SearchSpace:
    """A space of the pocket space's build whose supernet trains in seconds."""
    return replace(
        SearchSpace.pocket(), name="tiny", resolutions=(8, 12), max_depth=2, stem_width=8,
        stage_widths=(8, 8, 16), head_widths=(16, 16),
    )  # fmt: skip


def open_one(pixels: np.ndarray, row: int) -> Image.Image:
    """Opens a picture as a file would be opened."""
    return Image.fromarray(pixels[row])


def tiny_task(lazy=False):
    """Three classes that differ in colour, with noise: learnable, and not perfectly.

    The pictures may be lazy, as those of a folder are.
    """
    rng = np.random.default_rng(0)

    def split(n: int) -> Split:
        labels = rng.integers(0, 3, n)
        pixels = rng.normal(120, 60, (n, 3, 12, 12))
        pixels[np.arange(n), labels] += 60
        pixels = pixels.clip(0, 255).astype(np.uint8)
        images = torch.from_numpy(pixels)
        if lazy:
            images = LazyImages(partial(open_one, pixels.transpose(0, 2, 3, 1)), n, 12)
        return Split(images, torch.from_numpy(labels))

    splits = {"train": split(120), "valid": split(90), "test": split(60)}
    return make_task("tiny", ("red", "green", "blue"), splits)


def tiny_supernet() -> Supernet:
    """A supernet of random weights, the same each time."""
    torch.manual_seed(0)
    return Supernet(tiny_space(), 3).to(memory_format=torch.channels_last)


def work(folder: Path, micro_batches: int, iterations: int) -> None:
    """Runs a transfer with a checkpoint after every step; writes archive and weights to `end*`.

    Pictures are read and changed by a worker.
    """
    torch.set_num_threads(1)
    sys.modules["natlib.transfer"].CHECKPOINT_SECONDS = 0.0  # after every step
    processes.BUCKET = 2000  # gradients travel in several buckets
    epochs = 6 if iterations else 1
    rates = {"warmup_lr": 0.02, "adapt_lr": 0.02}
    profile = replace(TINY, warmup_uniform=epochs, micro_batches=micro_batches, **rates)
    profile = replace(profile, iterations=iterations, augment="crop", crop=0.9, workers=1)
    run = transfer(
        tiny_task(lazy=True), profile, supernet=tiny_supernet(), run_dir=folder, progress=False,
        device="cpu",
    )  # fmt: skip
    state = {name: torch.from_numpy(getattr(run.archive, name)) for name in "XF"}
    state |= {
        n: t.contiguous() for n, t in run.net.state_dict().items() if n.endswith(("weight", "bias"))
    }
    save_file(state, folder / f"end{processes.rank()}.safetensors")


if __name__ == "__main__":
    work(Path(sys.argv[1]), *map(int, sys.argv[2:]))
