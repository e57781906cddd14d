"""The studies of the paper's claims run, go on after a stop, and keep devices apart."""

import importlib
import json
import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pandas as pd
import pytest
from filelock import FileLock

from natlib.data import DATA, load_task

SHORT = {
    "warmup_largest": 0.04, "warmup_uniform": 0.04, "adapt": 0.04, "batch_size": 16, "archive": 8,
    "iterations": 2, "candidates": 2, "best": 4, "calibration": 32, "validation": 50,
    "generations": 2, "population": 12, "finetune_rounds": 1,
}  # fmt: skip


def few(name):
    """Returns a shipped task with few pictures."""
    task = load_task(name)
    splits = {split: getattr(task, split).take(range(100)) for split in ("train", "valid", "test")}
    return replace(task, **splits)


@pytest.fixture
def study(tmp_path, monkeypatch):
    """The script, with numbers that make a unit a matter of seconds, in an empty folder."""
    monkeypatch.syspath_prepend(str(DATA))
    script = importlib.import_module("study_pocket")
    quick = replace(script.QUICK, **SHORT)
    monkeypatch.setattr(script, "QUICK", quick)
    monkeypatch.setattr(script, "LONG", replace(quick, iterations=3))
    monkeypatch.setattr(script, "SIZES", dict(list(script.SIZES.items())[1::2]))
    monkeypatch.setattr(script, "ARCHIVES", tmp_path)
    monkeypatch.setattr(script, "WORK", tmp_path / "work")
    monkeypatch.setattr(script, "load_task", few)
    (tmp_path / "provenance.json").write_text("{}", encoding="utf-8")
    return script


ONE = ["--device", "cpu", "--only", "task=animals", "seed=0"]


def test_a_unit_of_the_first_study_stops_and_goes_on(study, tmp_path, monkeypatch, capsys):
    one = [*ONE, "mode=distribution, limit"]
    study.main(["modes", *one, "--seconds", "0"])
    assert "goes on" in capsys.readouterr().out and not (tmp_path / "modes.csv").exists()
    unit = study.Unit("animals", 0, "distribution, limit")
    with monkeypatch.context() as patch:  # in the midst of a transfer
        patch.setattr(study.Place, "check", lambda place, run=None: run and stop(study))
        study.main(["modes", *one])
    assert (study.WORK / str(unit) / "history.csv").exists()
    study.main(["modes", *one])
    table = study.recorded("modes")
    assert table.iteration.tolist() == [0, 1, 2, 3] and set(table.device) == {"cpu"}
    assert table.test_at_equal_madds.notna().tolist() == [False] * 3 + [True]
    assert table.limit.eq(study.LIMIT).all()
    assert json.loads((tmp_path / "provenance.json").read_text("utf-8"))["modes.csv"]["date"]
    assert not (study.WORK / str(unit)).exists()
    study.main(["modes", *one])
    pd.testing.assert_frame_equal(table, study.recorded("modes"))


def test_settings_are_compared_on_validation(study, monkeypatch):
    monkeypatch.setattr(study, "SIZES", {1e7: study.SPACE.largest()})
    study.main(["settings", "--device", "cpu", "--only", "task=animals", "seed=101", "mode=quick"])
    table = study.recorded("settings")
    end = table.iloc[-1]
    assert table.seed.eq(101).all() and table.hypervolume.notna().all() and len(table) > 1
    assert end.valid_at_equal_madds <= end.smallest_top1 == pytest.approx(100 - end.best_err)


def test_a_card_has_a_further_budget_on_the_whole_split(study):
    cpu, card = ([*study.units_of("fixed", kind)] for kind in ("cpu", "cuda"))
    more = [unit for unit in card if unit not in cpu]
    assert {(unit.budget, unit.fraction) for unit in more} == {(study.ON_A_CARD, 1.0)}
    assert len(more) == len(card) - len(cpu) == 3 * len(study.TASKS) * 3


def stop(study):
    raise study.TimeIsUp


def test_units_of_the_second_study_wait_for_their_transfer(study, capsys):
    one = [*ONE, "budget=1", "budget=0.25", "fraction=0.25"]
    units = [unit for unit in study.units_of("fixed") if study.is_among(unit, one[3:])]
    place = study.Place(study.pick_device("cpu"))
    assert [unit.method for unit in units] == ["nat", "fixed", "scratch"]
    assert study.attempt("fixed", units[1], place), "it waits for the transfer"
    study.main(["fixed", *one])
    table = study.recorded("fixed")
    assert table.groupby("method").size().to_dict() == dict.fromkeys(
        ["fixed", "nat", "nat_finetuned", "scratch"], len(study.SIZES)
    )
    assert (table[table.method.isin(["fixed", "scratch"])].trials >= 3).all()
    assert table.test_top1.between(0, 100).all() and table.notna().all(axis=None)
    study.main(["fixed", *one, "--missing"])
    assert capsys.readouterr().out.splitlines()[-1] == ""


def test_processes_share_the_trials_of_a_unit(study, monkeypatch, capsys):
    monkeypatch.setattr(study, "trial", lambda *args: [60.0 - 1e-3 * args[3].finetune_steps, 50.0])
    unit = study.Unit("animals", 0, None, 1.0, 1.0, "fixed")
    place, task = study.Place(study.pick_device("cpu")), few("animals")
    size = min(study.SIZES)
    folder = place.folder(unit)
    folder.mkdir(parents=True)
    with FileLock(folder / f"{size:.0f}-0.2.lock"):  # another process is at this one
        assert not list(study.fixed_of(task, unit, 1e9, place))
    done = [len(study.valid_of(folder, size)) for size in study.SIZES]
    assert done == [2, 4], "but for that one, all rates, and half the lowest, where all are equal"
    rows = list(study.fixed_of(task, unit, 1e9, place))
    assert [row["size"] for row in rows] == list(study.SIZES)


@pytest.mark.parametrize(("best", "tried"), [(0.2, 3), (0.8, 5), (0.05, 5), (0.025, 6), (0.4, 4)])
def test_rates_are_tried_until_the_best_is_not_at_an_edge(study, best, tried):
    valid = {}
    while rates := study.wanted_rates(valid):
        valid |= {rate: -abs(math.log(rate / best)) for rate in rates}
    assert len(valid) == tried and study.best_rate(valid) == pytest.approx(best)


def test_what_is_compared_is_from_one_device(study, tmp_path):
    rows = [{"task": "animals", "seed": 0, "mode": mode} for mode in ("uniform", "none", "other")]
    table = pd.DataFrame(rows).reindex(columns=study.COLUMNS["modes"]).assign(iteration=0)
    older = table.drop(columns="device")[:1]  # of an earlier script
    older.to_csv(tmp_path / "modes.csv", index=False)
    unit, card = study.Unit("animals", 0, "none"), study.Place(study.pick_device("cpu"))
    assert not study.is_elsewhere("modes", unit, card)
    table.assign(device="a card")[1:].to_csv(tmp_path / "card.csv", index=False)
    study.WORK.mkdir()
    study.main(["modes", "--add", str(tmp_path / "card.csv")])
    assert study.recorded("modes")["mode"].tolist() == ["none", "other"], "it did more of the pair"
    assert study.is_elsewhere("modes", unit, card)
    assert not study.is_elsewhere("modes", replace(unit, seed=1), card)
    study.main(["modes", "--add", str(tmp_path / "card.csv")])
    assert len(study.recorded("modes")) == 2, "nothing is there twice"


def test_what_a_study_lacks_is_refused(study, capsys):
    for wrong in (["mode=distribution"], ["colour=red"], ["budget"]):
        with pytest.raises(SystemExit):
            study.main(["fixed", "--only", *wrong])
        assert "'fixed' has nothing with" in capsys.readouterr().err


def test_processes_end_with_the_one_that_started_them(tmp_path):
    """The processes that a study starts are found by a file that each of them writes."""
    script = tmp_path / "study.py"
    script.write_text(WORKER, encoding="utf-8")
    command = [sys.executable, str(script), str(tmp_path)]
    parent = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": f"{DATA.parent}:{DATA}"})
    deadline = time.monotonic() + 120
    while len(pids := list(tmp_path.glob("*.pid"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    parent.send_signal(signal.SIGTERM)
    assert parent.wait(60) == 1 and len(pids) == 2
    for path in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(int(path.stem), 0)


WORKER = """
import os, pathlib, sys, time
if "--processes" in sys.argv:
    assert os.environ["OMP_NUM_THREADS"] == "1"
    (pathlib.Path(sys.argv[1]) / f"{os.getpid()}.pid").touch()
    time.sleep(300)
import study_pocket
study_pocket.__file__ = __file__
study_pocket.in_processes(2, sys.argv[1:], 300)
"""
