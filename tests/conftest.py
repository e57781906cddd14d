"""What all tests share."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings

from natlib.data import Split, make_task
from natlib.space import SearchSpace
from natlib.supernet import Supernet

os.environ["MPLBACKEND"] = "Agg"
settings.register_profile("natlib", deadline=None)  # a busy machine is no failure
settings.load_profile("natlib")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with the extra material, which is not shipped."""
    folder = os.environ.get("NATLIB_SHARED")
    if not folder:
        pytest.skip("NATLIB_SHARED does not name the folder with the extra material")
    if not Path(folder).is_dir():
        pytest.skip(f"NATLIB_SHARED names {folder}, which is not a folder")
    return Path(folder)


@pytest.fixture(autouse=True)
def _default_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test depends on the profile that the caller happens to work with."""
    monkeypatch.delenv("NATLIB_PROFILE", raising=False)


@pytest.fixture(scope="session")
def tiny_space():
    """A space of the pocket space's build whose supernet trains in seconds."""
    return replace(
        SearchSpace.pocket(),
        name="tiny",
        resolutions=(8, 12),
        max_depth=2,
        stem_width=8,
        stage_widths=(8, 8, 16),
        head_widths=(16, 16),
    )


@pytest.fixture(scope="session")
def tiny_task():
    """Three classes that differ in colour, with noise: learnable, and not perfectly."""
    rng = np.random.default_rng(0)

    def split(n: int) -> Split:
        labels = rng.integers(0, 3, n)
        pixels = rng.normal(120, 60, (n, 3, 12, 12))
        pixels[np.arange(n), labels] += 60
        return Split(
            torch.from_numpy(pixels.clip(0, 255).astype(np.uint8)), torch.from_numpy(labels)
        )

    splits = {"train": split(120), "valid": split(90), "test": split(60)}
    return make_task("tiny", ("red", "green", "blue"), splits)


@pytest.fixture
def tiny_supernet(tiny_space):
    """A supernet of random weights, the same each time."""
    torch.manual_seed(0)
    return Supernet(tiny_space, 3).to(memory_format=torch.channels_last)
