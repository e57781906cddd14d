"""The machine check finds what is wrong and says what to do."""

import platform
import re
import sys

import joblib
import pytest
import torch

import natlib
from natlib import data
from natlib.inputs import checks
from natlib.teach import machine


def test_all_is_well_here():
    table = natlib.check()
    for what in ("Python", "threads", "memory", "free disk", "shipped data", "profile"):
        assert table.ok[what], table.found[what]
    assert "torch" in table.found["packages"]
    assert re.match(r"about \d+ minutes?, judged by", table.found["quick series"])


@pytest.mark.parametrize(
    ("chosen", "advice"), [(None, "; OMP_NUM_THREADS=999 would use all"), ("1", "")]
)
def test_unused_cores_are_no_fault_and_left_idle_where_asked(monkeypatch, chosen, advice):
    monkeypatch.setattr(joblib, "cpu_count", lambda: 999)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if chosen:
        monkeypatch.setenv("OMP_NUM_THREADS", chosen)
    row = natlib.check().loc["threads"]
    assert row.ok and row.found == f"{torch.get_num_threads()} for 999 cores{advice}"


def no_library():
    """Raises what importing torch raises on Windows where a library of the system is missing."""
    error = OSError("c10.dll could not be loaded")
    error.winerror = 126
    raise error


@pytest.mark.parametrize(
    ("spoil", "what", "advice"),
    [
        (lambda m, t: m.setattr(data, "POCKET", t), "shipped data", "it ships with the project"),
        (lambda m, t: m.setenv("NATLIB_PROFILE", "huge"), "profile", "choose from quick"),
        (lambda m, t: m.setattr(machine, "version", lambda name: "0"), "packages", "pip install"),
        (lambda m, t: m.setitem(sys.modules, "torch", None), "device", f"{sys.executable} -m pip"),
        (lambda m, t: m.setattr(platform, "machine", lambda: "sparc64"), "Python", "hosted"),
        (lambda m, t: m.setattr(machine, "get_profile", no_library), "profile", "Visual C++"),
        (lambda m, t: m.setattr(joblib, "cpu_count", lambda: 0), "threads", "would be faster"),
        (lambda m, t: m.setattr(machine, "PATIENCE_MINUTES", 0), "quick series", "start with"),
        (lambda m, t: m.setattr(machine, "FREE_GB", 1e9), "free disk", "make room"),
        (lambda m, t: m.setattr(machine, "MEMORY_GB", 1e9), "memory", "close programs"),
        (
            lambda m, t: m.setattr(platform, "python_version", lambda: "3.9.1"),
            "Python",
            "needs 3.11 or 3.12",
        ),
    ],
)
def test_it_says_what_to_do(monkeypatch, tmp_path, spoil, what, advice):
    spoil(monkeypatch, tmp_path)
    row = natlib.check().loc[what]
    assert not row.ok and advice in row.found


@pytest.mark.parametrize(
    ("there", "advice"),
    [
        ([".git"], "; run 'git checkout data/pocket'."),
        ([], "; install natlib from a fresh copy of the project with 'pip install --editable .'."),
    ],
)
def test_missing_data_are_restored_as_this_project_can(tmp_path, there, advice):
    for name in there:
        (tmp_path / name).touch()
    with pytest.raises(FileNotFoundError) as error:
        checks.verify_checksum(tmp_path / "data" / "pocket" / "animals.npz")
    assert str(error.value).endswith(advice)


def test_a_local_build_of_torch_is_the_locked_release(monkeypatch):
    installed = machine.version
    monkeypatch.setattr(machine, "version", lambda name: f"{installed(name)}+cpu")
    assert machine._installed("torch") == installed("torch").split("+")[0]
