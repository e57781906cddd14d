"""What all tests share."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

from tests.helpers import transfer_worker

os.environ["MPLBACKEND"] = "Agg"
os.environ["NATLIB_ANSWERS"] = ""  # tests change nobody's answers
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
    return transfer_worker.tiny_space()


@pytest.fixture(scope="session")
def tiny_task():
    """Three classes that differ in colour, with noise: learnable, and not perfectly."""
    return transfer_worker.tiny_task()


@pytest.fixture
def tiny_supernet():
    """A supernet of random weights, the same each time."""
    return transfer_worker.tiny_supernet()
