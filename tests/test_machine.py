"""The machine check finds what is wrong and says what to do."""

import platform
import re
import sys

import joblib
import pytest
import torch

import natlib
from natlib import data
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


@pytest.mark.parametrize(
    ("meminfo", "found"),
    [
        ("MemFree: 9 kB\nMemAvailable: 5000000 kB\n", "5.1 GB free"),
        (None, "this system does not tell"),
    ],
)
def test_memory_counts_what_caches_hold(monkeypatch, tmp_path, meminfo, found):
    monkeypatch.setattr(machine, "MEMINFO", tmp_path / "meminfo")
    if meminfo:
        machine.MEMINFO.write_text(meminfo)
    row = natlib.check().loc["memory"]
    assert row.ok and row.found == found


@pytest.mark.parametrize(
    ("spoil", "what", "advice"),
    [
        (lambda m, t: m.setattr(data, "POCKET", t), "shipped data", "git checkout data/pocket"),
        (lambda m, t: m.setenv("NATLIB_PROFILE", "huge"), "profile", "choose from quick"),
        (lambda m, t: m.setattr(machine, "version", lambda name: "0"), "packages", "make lab"),
        (lambda m, t: m.setitem(sys.modules, "torch", None), "device", "installs what is missing"),
        (lambda m, t: m.setattr(joblib, "cpu_count", lambda: 0), "threads", "would be faster"),
        (lambda m, t: m.setattr(machine, "PATIENCE_MINUTES", 0), "quick series", "start with"),
        (lambda m, t: m.setattr(machine, "FREE_GB", 1e9), "free disk", "make room"),
        (lambda m, t: m.setattr(machine, "MEMORY_GB", 1e9), "memory", "close other programs"),
        (
            lambda m, t: m.setattr(platform, "python_version", lambda: "3.9.1"),
            "Python",
            "with 3.11",
        ),
    ],
)
def test_it_says_what_to_do(monkeypatch, tmp_path, spoil, what, advice):
    spoil(monkeypatch, tmp_path)
    row = natlib.check().loc[what]
    assert not row.ok and advice in row.found
