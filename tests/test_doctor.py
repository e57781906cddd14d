"""The doctor finds what is wrong and says what to do."""

import re
import sys

import pytest
import torch

import natlib
from natlib import data, doctor


def test_unused_cores_are_named_but_no_fault(monkeypatch):
    monkeypatch.setattr(doctor, "_cores", lambda: 999)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    ok, found = doctor._threads()
    assert ok and found.endswith("OMP_NUM_THREADS=999 would use all")


def test_threads_that_were_chosen_are_left_as_they_are(monkeypatch):
    monkeypatch.setattr(doctor, "_cores", lambda: 999)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert doctor._threads() == (True, f"{torch.get_num_threads()} for 999 cores")


@pytest.mark.parametrize(
    ("meminfo", "gigabytes"), [("MemFree: 9 kB\nMemAvailable: 5000000 kB\n", 5.12), (None, None)]
)
def test_memory_counts_what_caches_hold(monkeypatch, tmp_path, meminfo, gigabytes):
    monkeypatch.setattr(doctor, "MEMINFO", tmp_path / "meminfo")
    if meminfo is None:
        monkeypatch.delattr(doctor.os, "sysconf")
    else:
        doctor.MEMINFO.write_text(meminfo)
    assert doctor._available_gb() == gigabytes


def test_all_is_well_here():
    table = natlib.check()
    for what in ("Python", "threads", "memory", "free disk", "shipped data", "profile"):
        assert table.ok[what], table.found[what]
    assert "torch" in table.found["packages"]
    assert re.match(r"about \d+ minutes?, judged by", table.found["quick series"])


@pytest.mark.parametrize(
    ("spoil", "what", "advice"),
    [
        (lambda m, t: m.setattr(data, "POCKET", t), "shipped data", "git checkout data/pocket"),
        (lambda m, t: m.setenv("NATLIB_PROFILE", "huge"), "profile", "choose from quick"),
        (lambda m, t: m.setattr(doctor, "_installed", lambda name: "0"), "packages", "make lab"),
        (lambda m, t: m.setitem(sys.modules, "torch", None), "device", "installs what is missing"),
        (lambda m, t: m.setattr(doctor, "_cores", lambda: 0), "threads", "would be faster"),
        (lambda m, t: m.setattr(doctor, "_step_ms", lambda: 1e6), "quick series", "start with"),
        (lambda m, t: m.setattr(doctor, "FREE_GB", 1e9), "free disk", "make room"),
        (lambda m, t: m.setattr(doctor, "MEMORY_GB", 1e9), "memory", "close other programs"),
        (
            lambda m, t: m.setattr(doctor.platform, "python_version_tuple", lambda: ("3", "9")),
            "Python",
            "tested with 3.11",
        ),
    ],
)
def test_it_says_what_to_do(monkeypatch, tmp_path, spoil, what, advice):
    spoil(monkeypatch, tmp_path)
    table = natlib.check()
    assert not table.ok[what]
    assert advice in table.found[what]
