"""The transfer: every step does its work, and an interrupted run ends like an undisturbed one."""

import copy
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from filelock import FileLock

from natlib import transfer as nat
from natlib.latency import LatencyTable
from natlib.profiles import get_profile
from natlib.runs import CHECKPOINT, CONFIG
from natlib.transfer import transfer
from tests.helpers.transfer_worker import TINY


@pytest.fixture
def run_tiny(tiny_task, tiny_supernet, tmp_path):
    def go(run_dir="run", **options):
        options = {"profile": TINY, "supernet": copy.deepcopy(tiny_supernet)} | options
        folder = None if run_dir is None else tmp_path / run_dir
        return transfer(tiny_task, run_dir=folder, progress=False, **options)

    return go


def same_archive(a, b):
    np.testing.assert_array_equal(a.X, b.X)
    np.testing.assert_array_equal(a.F, b.F)
    np.testing.assert_array_equal(a.born, b.born)
    assert a.evaluations == b.evaluations and a.step == b.step
    for name, tensor in a.net.state_dict().items():
        assert torch.equal(tensor, b.net.state_dict()[name]), name


def test_a_run_from_start_to_end(run_tiny, tmp_path):
    seen = []
    run = run_tiny(on_iteration=lambda run: seen.append((run.iteration, len(run.X))))
    assert seen == [(0, 8), (1, 11), (2, 14)]
    assert len(np.unique(run.X, axis=0)) == 14
    assert run.born.tolist() == [0] * 8 + [1] * 3 + [2] * 3
    assert run.step == (1 + 2 + 2 * 1) * 3
    assert run.evaluations == 8 + (3 + 11) + (3 + 14)
    history = pd.read_csv(tmp_path / "run" / "history.csv")
    assert history.iteration.tolist() == [0, 1, 2]
    assert history.hypervolume.between(0, 1).all()
    archive = [json.loads(line) for line in (tmp_path / "run/archive.jsonl").open()]
    assert [row["top1_err"] for row in archive] == run.F[:, 0].tolist()
    front = pd.read_csv(tmp_path / "run" / "front.csv")
    assert len(front) == len(run.front) and front.madds.is_monotonic_increasing


def test_report_is_the_only_one_to_touch_test(run_tiny, tiny_task, monkeypatch):
    touched = []
    original = nat.evaluate

    def watched(net, X, task, split="valid", **options):
        touched.append(split)
        return original(net, X, task, split, **options)

    monkeypatch.setattr(nat, "evaluate", watched)
    run = run_tiny(None)
    assert set(touched) == {"valid"}
    table = nat.report(run, 2)
    assert touched[-1] == "test" and len(table) <= 2
    assert table.test_top1.between(0, 100).all()
    assert list(table.name) == ["M1", "M2"][: len(table)]


class Stop(Exception):
    pass


@pytest.mark.parametrize("iteration", [0, 1])
def test_stopped_between_iterations(run_tiny, iteration):
    def stop(run):
        if run.iteration == iteration:
            raise Stop

    whole = run_tiny("whole")
    with pytest.raises(Stop):
        run_tiny("stopped", on_iteration=stop)
    same_archive(run_tiny("stopped"), whole)


@pytest.mark.parametrize("phase", ["warm_up", "search_candidates", "adapt", "measure_again"])
def test_stopped_after_a_phase(run_tiny, monkeypatch, phase):
    whole = run_tiny("whole")
    original = getattr(nat, phase)

    def stop(run):
        original(run)
        raise Stop

    monkeypatch.setattr(nat, phase, stop)
    with pytest.raises(Stop):
        run_tiny("stopped")
    monkeypatch.undo()
    same_archive(run_tiny("stopped"), whole)


def test_stopped_within_training(run_tiny, monkeypatch):
    whole = run_tiny("whole")
    monkeypatch.setattr(nat, "CHECKPOINT_SECONDS", 0.0)
    original = nat.save
    calls = []

    def stop(run):
        original(run)
        calls.append(run.step)
        if len(calls) == 5:
            raise Stop

    monkeypatch.setattr(nat, "save", stop)
    with pytest.raises(Stop):
        run_tiny("stopped")
    assert calls == [1, 2, 3, 4, 5]
    monkeypatch.undo()
    same_archive(run_tiny("stopped"), whole)


def test_finished_run_is_not_run_again(run_tiny, monkeypatch):
    whole = run_tiny("run")
    monkeypatch.setattr(nat, "train", None)
    same_archive(run_tiny("run"), whole)


def test_seed_decides(run_tiny):
    a, b, c = run_tiny(None, seed=1), run_tiny(None, seed=1), run_tiny(None, seed=2)
    same_archive(a, b)
    assert not np.array_equal(a.X, c.X)


def test_modes_differ_in_what_they_train(run_tiny):
    runs = {mode: run_tiny(None, mode=mode) for mode in nat.MODES}
    assert runs["none"].step == (1 + 2) * 3
    assert runs["none"].evaluations == 8 + 3 + 3
    assert runs["uniform"].step == runs["distribution"].step
    assert not np.array_equal(runs["uniform"].F, runs["distribution"].F)


def test_three_objectives_and_a_limit(run_tiny):
    limit = 150_000
    run = run_tiny(None, objectives=("top1_err", "madds", "params"), limits={"madds": limit})
    assert run.F.shape[1] == 3
    assert (run.F[run.born > 0, 1] <= limit).all()


def test_estimate_leaves_the_run_as_it_was(tiny_task, tiny_supernet):
    run = nat.start(tiny_task, TINY, supernet=tiny_supernet, progress=False)
    before = copy.deepcopy(run.net.state_dict())
    table = nat.estimate(run)
    assert run.step == 0 and run.evaluations == 0
    for name, tensor in run.net.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    finished = transfer(tiny_task, TINY, supernet=tiny_supernet, progress=False)
    steps = table.times[["warm-up", "adaptation"]].sum()
    evaluations = table.times[["first archive", "new candidates", "measuring again"]].sum()
    assert (steps, evaluations) == (finished.step, finished.evaluations)


def test_folder_of_another_profile(run_tiny):
    run_tiny("run")
    with pytest.raises(ValueError, match="belongs to a run with profile = .*choose another run"):
        run_tiny("run", profile=replace(TINY, archive=9))


def test_folder_of_another_seed(run_tiny):
    run_tiny("run")
    with pytest.raises(ValueError, match="belongs to a run with seed = 0, not 1"):
        run_tiny("run", seed=1)


def test_folder_that_holds_a_run_already(run_tiny):
    run_tiny("run")
    with pytest.raises(ValueError, match="holds a run already"):
        run_tiny("run", resume=False)


def test_second_process_is_refused(run_tiny, tmp_path):
    (tmp_path / "run").mkdir()
    with FileLock(tmp_path / "run" / ".lock"):
        with pytest.raises(RuntimeError, match="Another process is working in"):
            run_tiny("run")


def test_damaged_files_are_named(run_tiny, tmp_path):
    run_tiny("run")
    checkpoint = tmp_path / "run" / CHECKPOINT
    whole = checkpoint.read_bytes()
    checkpoint.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=f"{CHECKPOINT} is truncated or damaged"):
        run_tiny("run")
    checkpoint.write_bytes(whole)
    (tmp_path / "run" / CONFIG).write_text('{"settings"')
    with pytest.raises(ValueError, match=f"{CONFIG} is damaged or was not written by a transfer"):
        run_tiny("run")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"mode": "best"}, "no adaptation mode 'best': choose from distribution"),
        ({"objectives": ("madds",)}, "begin with 'top1_err'"),
        ({"objectives": ("top1_err", "watts")}, "cannot be searched"),
        ({"limits": {"watts": 3}}, "The limit on 'watts' names no objective"),
        ({"device": "tpu"}, "Device 'tpu' is not available"),
        ({"profile": "huge"}, "no profile 'huge': choose from quick, gpu, paper"),
    ],
)
def test_wrong_arguments(run_tiny, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        run_tiny(None, **options)


def test_wrong_task_name():
    with pytest.raises(ValueError, match="There is no task 'birds': choose from"):
        transfer("birds", "quick")


def test_missing_supernet(tiny_task, tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no supernet at"):
        nat.start(tiny_task, "quick", supernet=tmp_path / "none.safetensors")


def test_profile_by_environment(monkeypatch):
    assert get_profile().name == "quick"
    monkeypatch.setenv("NATLIB_PROFILE", "paper")
    assert get_profile().name == "paper"
    assert get_profile("gpu").name == "gpu"


def test_command_line_complains_in_one_sentence(tmp_path):
    for wrong, sentence in (
        (["--task", "birds"], "There is no task 'birds'"),
        (["--task", "emoji", "--limit", "madds"], "The limit 'madds' is not of the form"),
    ):
        with pytest.raises(SystemExit) as stopped:
            nat.main([*wrong, "--run-dir", str(tmp_path / "run")])
        assert str(stopped.value.code).startswith(sentence)


def test_latency_is_an_objective_that_a_resumed_run_does_not_measure_again(
    run_tiny, tmp_path, monkeypatch
):
    objectives = ("top1_err", "madds", "latency_ms")

    def stop(run):
        if run.iteration == 1:
            raise Stop

    with pytest.raises(Stop):
        run_tiny("run", objectives=objectives, on_iteration=stop)
    table = LatencyTable.load(tmp_path / "run" / nat.LATENCY)
    monkeypatch.setattr(LatencyTable, "measure", None)
    run = run_tiny("run", objectives=objectives)
    np.testing.assert_array_equal(run.F[:, 2], table.latency_ms(run.X))
    whole = run_tiny("whole", objectives=objectives, latency=table)
    same_archive(run, whole)
    assert "latency_ms" in pd.read_csv(tmp_path / "run" / "front.csv")


def test_latencies_of_two_measurements_are_not_mixed(run_tiny, tmp_path):
    objectives = ("top1_err", "latency_ms")
    run = run_tiny("run", objectives=objectives)
    about, path = run.latency.about, tmp_path / "run" / nat.LATENCY
    other = LatencyTable(
        run.space, run.latency.resolutions, 2 * run.latency.ends, run.latency.layers, about
    )
    with pytest.raises(ValueError, match="holds other latencies than those that are passed"):
        run_tiny("run", objectives=objectives, latency=other)
    content = json.loads(path.read_text())
    content["about"]["cpu"] = "an abacus"
    path.write_text(json.dumps(content))
    with pytest.warns(UserWarning, match="measured on .*an abacus.* goes on with them"):
        run_tiny("run", objectives=objectives)
    path.unlink()
    with pytest.raises(ValueError, match="latencies of the run in .* are lost: put latency.json"):
        run_tiny("run", objectives=objectives)


def test_latency_limits_candidates(run_tiny, tiny_space):
    shape = (2, 1, tiny_space.n_stages, tiny_space.max_depth, tiny_space.n_layer_choices + 1)
    layers = np.random.default_rng(0).random(shape) * (np.arange(shape[-1]) > 0)
    table = LatencyTable(tiny_space, tiny_space.resolutions, np.ones((2, 1, 2)), layers, {})
    limit = float(np.median(table.latency_ms(tiny_space.sample(50, 0))))
    objectives = ("top1_err", "latency_ms")
    run = run_tiny(None, objectives=objectives, limits={"latency_ms": limit}, latency=table)
    assert (run.F[run.born > 0, 1] <= limit).all()


def test_an_objective_that_was_added_is_searched(run_tiny, monkeypatch):
    def layers(run, X):
        return (X[:, 2:] > 0).sum(axis=1)

    monkeypatch.setitem(nat.COSTS, "layers", layers)
    run = run_tiny(None, objectives=("top1_err", "layers"))
    np.testing.assert_array_equal(run.F[:, 1], layers(run, run.X))
