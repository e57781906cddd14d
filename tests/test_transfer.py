"""The transfer: every step does its work, and an interrupted run ends like an undisturbed one."""

import copy
import os
import re
import shutil
import signal
import sys
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from filelock import FileLock

from natlib.__main__ import COMMANDS, main
from natlib.cost import CostTable
from natlib.profiles import PROFILES, get_profile
from natlib.supernet import Supernet
from natlib.teach.estimate import estimate
from natlib.transfer import CHECKPOINT, MODES, report, start, transfer
from tests.helpers import transfer_worker
from tests.helpers.transfer_worker import TINY

MODULE = sys.modules["natlib.transfer"]  # the attribute of that name is the function
STEPS = ("warm_up", "fill_archive", "search_candidates", "adapt", "measure_again")


def run_in(folder, **options):
    options = {"profile": TINY, "supernet": transfer_worker.tiny_supernet()} | options
    return transfer(transfer_worker.tiny_task(), run_dir=folder, progress=False, **options)


def same_run(a, b):
    for name in ("X", "F", "born"):
        np.testing.assert_array_equal(getattr(a.archive, name), getattr(b.archive, name))
    assert a.evaluations == b.evaluations and a.step == b.step
    for name, tensor in a.net.state_dict().items():
        assert torch.equal(tensor, b.net.state_dict()[name]), name


class Stop(Exception):
    pass


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An undisturbed run, and what it told after each iteration."""
    folder, seen = tmp_path_factory.mktemp("whole"), []
    note = seen.append
    run = run_in(folder, on_iteration=lambda run: note((run.iteration, len(run.archive.X))))
    assert seen == [(0, 8), (1, 11), (2, 14)]
    return run


@pytest.fixture
def fresh(tiny_task, tiny_supernet):
    return start(tiny_task, TINY, supernet=tiny_supernet, progress=False)


def test_a_run_from_start_to_end(whole):
    archive = whole.archive
    assert len(np.unique(archive.X, axis=0)) == 14
    assert archive.born.tolist() == [0] * 8 + [1] * 3 + [2] * 3
    assert whole.step == (1 + 2 + 2 * 1) * 3
    assert whole.evaluations == 8 + (3 + 11) + (3 + 14)
    assert len(archive.best(5)) == 5


def test_the_run_folder_says_the_same(whole):
    history = pd.read_csv(whole.run_dir / "history.csv")
    assert history.iteration.tolist() == [0, 1, 2]
    assert history.evaluations.tolist() == [8, 22, 39]
    assert history.hypervolume.between(0, 1).all()
    archive = pd.read_csv(whole.run_dir / "archive.csv")
    np.testing.assert_array_equal(archive[["top1_err", "madds"]], whole.archive.F)
    front = pd.read_csv(whole.run_dir / "front.csv")
    assert len(front) == len(whole.archive.front) and front.madds.is_monotonic_increasing
    assert not list(whole.run_dir.glob("*.part"))


def test_limits_hold_for_the_sample_the_distribution_the_front_and_the_report(
    tiny_task, tiny_supernet
):
    madds = CostTable(tiny_supernet.space, 3).madds(tiny_supernet.space.sample(100, 0))
    limit = float(np.quantile(madds, 0.3))
    options = {"supernet": tiny_supernet, "limits": {"madds": limit}, "progress": False}
    run = transfer(tiny_task, TINY, **options)
    assert run.archive.F[:, 1].max() <= limit
    assert report(run).madds.max() <= limit


def test_a_limit_on_the_error_counts_once_somebody_keeps_it(whole):
    archive = copy.deepcopy(whole.archive)
    best = np.sort(archive.errors[:, 0])
    archive.limits = np.array([best[2], np.inf])
    assert set(archive.front) <= set(archive.within) and len(archive.within) >= 3
    assert archive.errors[archive.front].max() <= best[2] and len(archive.best(50)) < 14
    archive.limits = np.array([best[0] - 1, np.inf])
    assert len(archive.within) == 14, "nobody keeps it, so it decides nothing"


def test_measured_is_the_average_of_the_weights(tiny_task, tiny_supernet, monkeypatch):
    run = start(tiny_task, replace(TINY, average=4), supernet=tiny_supernet, progress=False)
    seen, original = [], run.average.update_parameters

    def update(net):
        original(net)
        seen.append(net.weight_sets[0].classifier.weight.detach().clone())

    monkeypatch.setattr(run.average, "update_parameters", update)
    MODULE.warm_up(run)
    expected = seen[0]
    for weight in seen[1:]:
        expected = 0.75 * expected + 0.25 * weight
    torch.testing.assert_close(run.net.weight_sets[0].classifier.weight.detach(), expected)


def test_training_is_counted_in_madds(tiny_task, tiny_supernet):
    profile = replace(TINY, warmup_uniform=0, always=(), subnets_per_step=1)
    run = start(tiny_task, profile, supernet=tiny_supernet, progress=False)
    MODULE.warm_up(run)
    largest, smallest = (
        int(run.costs["madds"](run.space.encode(arch)[None])[0])
        for arch in (run.space.largest(), run.space.smallest())
    )
    warm = run.train_madds
    assert warm == run.step * TINY.batch_size * 3 * largest
    sampler = MODULE.train.subnets_from(
        run.space, lambda rng: run.space.encode(run.space.smallest())[None], 0, ()
    )
    MODULE.train_to(run, run.step + 2, sampler, lambda step: 0.0, teacher=run.teacher)
    assert run.train_madds - warm == 2 * TINY.batch_size * (3 * smallest + largest)


def test_an_average_over_one_step_is_the_learner(tiny_task, tiny_supernet):
    run = start(tiny_task, replace(TINY, average=1), supernet=tiny_supernet, progress=False)
    MODULE.warm_up(run)
    for ours, theirs in zip(run.net.parameters(), run.learner.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_frozen_teacher_stays_and_only_what_is_drawn_is_trained(fresh, monkeypatch):
    MODULE.warm_up(fresh)
    MODULE.fill_archive(fresh)
    MODULE.search_candidates(fresh)
    teacher = copy.deepcopy(fresh.teacher.state_dict())
    small = fresh.space.encode(fresh.space.smallest())[None]
    monkeypatch.setattr(MODULE.search, "sample_distribution", lambda *_: small.copy())
    before = copy.deepcopy(fresh.learner.state_dict())
    MODULE.adapt(fresh)
    assert all(torch.equal(t, teacher[n]) for n, t in fresh.teacher.state_dict().items())
    used = fresh.learner.extract(fresh.space.smallest()).state_dict()
    changed = [n for n, _ in fresh.learner.named_parameters()
               if not torch.equal(fresh.learner.state_dict()[n], before[n])]  # fmt: skip
    assert 0 < len(changed) <= len(used) < len(before)


def test_report_is_the_only_one_to_touch_test(fresh, monkeypatch):
    touched, original = [], MODULE.evaluate

    def watched(net, X, task, split="valid", **options):
        touched.append(split)
        return original(net, X, task, split, **options)

    monkeypatch.setattr(MODULE, "evaluate", watched)
    for step in STEPS:
        getattr(MODULE, step)(fresh)
    assert set(touched) == {"valid"}
    table = report(fresh, 2)
    assert touched[-1] == "test" and table.test_top1.between(0, 100).all()
    assert list(table.name) == ["M1", "M2"][: len(table)]


def test_steps_out_of_turn_are_refused_and_change_nothing(fresh):
    for due in STEPS:
        before = copy.deepcopy((fresh.archive, fresh.history, fresh.step, fresh.iteration))
        for other in set(STEPS) - {due}:
            with pytest.raises(
                RuntimeError, match=f"not do {other} now: call {due}, which is next"
            ):
                getattr(MODULE, other)(fresh)
        after = (fresh.archive, fresh.history, fresh.step, fresh.iteration)
        np.testing.assert_equal([vars(after[0]), *after[1:]], [vars(before[0]), *before[1:]])
        getattr(MODULE, due)(fresh)
    assert fresh.iteration == 1 and fresh.phase == "search_candidates"


@pytest.mark.parametrize("phase", STEPS)
def test_stopped_after_a_step(whole, tmp_path, monkeypatch, phase):
    original = getattr(MODULE, phase)

    def stop(run):
        original(run)
        raise Stop

    stop.__name__ = phase
    monkeypatch.setattr(MODULE, phase, stop)
    with pytest.raises(Stop):
        run_in(tmp_path)
    monkeypatch.undo()
    same_run(run_in(tmp_path), whole)


def test_stopped_within_training(whole, tmp_path, monkeypatch):
    monkeypatch.setattr(MODULE, "CHECKPOINT_SECONDS", 0.0)
    original, calls = MODULE.save, []

    def stop(run):
        original(run)
        calls.append(run.step)
        if len(calls) == 5:
            raise Stop

    monkeypatch.setattr(MODULE, "save", stop)
    with pytest.raises(Stop):
        run_in(tmp_path)
    assert calls == [1, 2, 3, 4, 5]
    monkeypatch.undo()
    same_run(run_in(tmp_path), whole)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_between_two_steps(whole, tmp_path, monkeypatch, number):
    original = MODULE.train.processes.average_gradients

    def signalled(net):
        original(net)
        if tmp_path.name not in done:
            done.add(tmp_path.name)
            os.kill(os.getpid(), number)

    done, before = set(), [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    monkeypatch.setattr(MODULE.train.processes, "average_gradients", signalled)
    with pytest.raises(KeyboardInterrupt):
        run_in(tmp_path)
    assert torch.load(tmp_path / CHECKPOINT, weights_only=True)["step"] == 1
    assert before == [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    same_run(run_in(tmp_path), whole)


def test_the_command_line_is_ended_by_a_signal_in_one_sentence(monkeypatch):
    def work(arguments):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setitem(COMMANDS, "check", ("", work))
    with pytest.raises(SystemExit, match="Interrupted: the same command goes on from here."):
        main(["check"])
    signal.signal(signal.SIGTERM, before)


def test_the_command_line_from_start_to_end(tmp_path, monkeypatch, capsys):
    small = {"warmup_largest": 0.02, "warmup_uniform": 0.02, "adapt": 0.02, "archive": 4}
    small |= {"iterations": 1, "candidates": 1, "validation": 60, "calibration": 60}
    small |= {"population": 8, "generations": 2, "surrogate": "ridge", "batch_size": 8}
    monkeypatch.setitem(PROFILES, "quick", replace(PROFILES["quick"], **small))
    main(["transfer", "--task", "animals", "--run-dir", str(tmp_path / "run"), "--device", "cpu"])
    told = capsys.readouterr().out
    assert re.search(r"about \d+ minutes, and \d\.\d GB of memory, as a few steps showed", told)
    assert re.search(r"Memory at most: \d\.\d GB\.", told)
    names = pd.read_csv(tmp_path / "run" / "report.csv").name
    for name in names:
        assert f"{name}.safetensors, {name}.onnx" in told
        assert (tmp_path / "run" / f"{name}.onnx").exists()
        assert (tmp_path / "run" / f"{name}.safetensors").exists()


def test_a_supernet_is_read_from_a_run(whole, tmp_path):
    for place in (whole.run_dir, whole.run_dir / CHECKPOINT):
        net = Supernet.load(place)
        assert net.space == whole.space and net.num_classes == 3
        for name, tensor in whole.net.state_dict().items():
            assert torch.equal(net.state_dict()[name], tensor), name
    torch.save({"settings": {}}, tmp_path / "other.pt")
    with pytest.raises(ValueError, match=r"other\.pt is no checkpoint of a transfer: it lacks"):
        Supernet.load(tmp_path / "other.pt")


def test_a_finished_run_may_be_asked_for_less_madds(whole, tmp_path):
    shutil.copytree(whole.run_dir, tmp_path / "run")
    bound = float(np.median(whole.archive.costs))
    run = run_in(tmp_path / "run", limits={"madds": bound})
    assert run.step == whole.step
    assert (run.archive.costs[run.archive.within] <= bound).all()
    assert len(run.archive.within) < len(whole.archive.within) and len(report(run))
    more = run_in(tmp_path / "run", profile=replace(TINY, iterations=3), limits={"madds": bound})
    assert more.iteration == 3 and (more.archive.costs[more.archive.born == 3] <= bound).all()


def test_finished_run_is_not_run_again(whole, monkeypatch):
    monkeypatch.setattr(MODULE.train, "train", None)
    same_run(run_in(whole.run_dir), whole)


def test_seed_decides(whole):
    same_run(run_in(None), whole)
    assert not np.array_equal(run_in(None, seed=1).archive.X, whole.archive.X)


def test_modes_differ_in_what_they_train(whole):
    runs = {mode: run_in(None, mode=mode) for mode in MODES[1:]}
    assert runs["none"].step == (1 + 2) * 3
    assert runs["none"].evaluations == 8 + 3 + 3
    assert runs["uniform"].step == whole.step
    assert not np.array_equal(runs["uniform"].archive.F, whole.archive.F)


def test_objectives_that_are_added_and_limits():
    limit, n_layers = 150_000, lambda X: (X[:, 2:] > 0).sum(axis=1)
    objectives = ("top1_err", "madds", "layers")
    run = run_in(None, objectives=objectives, limits={"madds": limit}, costs={"layers": n_layers})
    np.testing.assert_array_equal(run.archive.F[:, 2], n_layers(run.archive.X))
    assert (run.archive.F[run.archive.born > 0, 1] <= limit).all()


def test_nothing_new_to_measure(fresh):
    for step in STEPS[:2]:
        getattr(MODULE, step)(fresh)
    none = fresh.archive.X[:0], fresh.archive.errors[:0]
    MODULE.search_candidates(fresh, lambda run: none)
    MODULE.adapt(fresh)
    MODULE.measure_again(fresh)
    assert fresh.iteration == 1 and len(fresh.archive.X) == TINY.archive


def test_estimate_leaves_the_run_as_it_was(fresh, whole):
    before = copy.deepcopy(fresh.net.state_dict())
    table = estimate(fresh)
    assert fresh.step == 0 and fresh.evaluations == 0
    for name, tensor in fresh.net.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    steps = table.times[["warm-up", "adaptation"]].sum()
    evaluations = table.times[["first archive", "new candidates", "measuring again"]].sum()
    assert (steps, evaluations) == (whole.step, whole.evaluations)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"profile": replace(TINY, archive=9)}, "with profile.archive = 8, not 9: choose another"),
        ({"seed": 1}, "belongs to a run with seed = 0, not 1"),
        ({"resume": False}, "holds a run already"),
    ],
)
def test_folder_of_another_run(whole, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        run_in(whole.run_dir, **options)


def test_costs_of_two_measurements_are_not_mixed(tmp_path):
    objectives, tiny = ("top1_err", "ms"), replace(TINY, iterations=0)
    options = {"objectives": objectives, "profile": tiny}
    run_in(tmp_path, costs={"ms": lambda X: X.sum(axis=1)}, **options)
    with pytest.raises(ValueError, match="belongs to a run with costs of smallest and largest"):
        run_in(tmp_path, costs={"ms": lambda X: 1.1 * X.sum(axis=1)}, **options)


def test_second_process_is_refused(tmp_path):
    with FileLock(tmp_path / ".lock"):
        with pytest.raises(RuntimeError, match="Another process is working in"):
            run_in(tmp_path)


def test_damaged_files_are_named(whole, tmp_path):
    checkpoint = (whole.run_dir / CHECKPOINT).read_bytes()
    for damaged in (checkpoint[: len(checkpoint) // 2], b"", b"<html>"):
        (tmp_path / CHECKPOINT).write_bytes(damaged)
        with pytest.raises(ValueError, match=f"{CHECKPOINT} is damaged or was not written"):
            run_in(tmp_path)
    torch.save({"settings": {}, "learner": {}}, tmp_path / CHECKPOINT)
    with pytest.raises(ValueError, match="it lacks one of 'settings', 'learner', 'archive', 'his"):
        run_in(tmp_path)


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
def test_wrong_arguments(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        run_in(None, **options)


def test_missing_task_and_supernet(tiny_task, tmp_path):
    with pytest.raises(ValueError, match="There is no task 'birds': choose from"):
        transfer("birds", "quick")
    with pytest.raises(FileNotFoundError, match="There is no supernet at"):
        start(tiny_task, "quick", supernet=tmp_path / "none.safetensors")


def test_profile_by_environment(monkeypatch):
    assert get_profile().name == "quick"
    monkeypatch.setenv("NATLIB_PROFILE", "paper")
    assert get_profile().name == "paper"
    assert get_profile("gpu").name == "gpu"


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (["--task", "birds"], "There is no task 'birds'"),
        (["--task", "emoji", "--limit", "madds"], "The limit 'madds' is not of the form"),
    ],
)
def test_command_line_complains_in_one_sentence(tmp_path, wrong, sentence):
    with pytest.raises(SystemExit) as stopped:
        main(["transfer", *wrong, "--run-dir", str(tmp_path / "run")])
    assert str(stopped.value.code).startswith(sentence)
