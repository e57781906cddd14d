"""Many tasks at once: what is joined stays apart where it must, and the search runs on it."""

import copy
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from natlib.data import Split, fixed_sample, load_task, make_task
from natlib.evaluate import evaluate
from natlib.paper.datasets import DATA_SETS
from natlib.paper.joined import (
    MANY,
    PART_VALIDATION,
    POCKET_TASKS,
    compare,
    get_many_profile,
    join_tasks,
    load_many,
    random_candidates,
)
from natlib.paper.miniatures import rehearse
from natlib.profiles import PROFILES
from natlib.transfer import report, search_candidates, transfer
from tests.helpers.transfer_worker import TINY


def toy(n, classes, side=12, value=0, flip=True):
    images = torch.full((n, 3, side, side), value, dtype=torch.uint8)
    images[:, :, 0, 0] = torch.arange(n)[:, None]
    split = Split(images, torch.arange(n) % classes)
    splits = {"train": split, "valid": split, "test": split}
    return make_task("toy", tuple("abcdef"[:classes]), splits, flip)


@pytest.fixture(scope="module")
def joined():
    tasks = {"dark": toy(6, 2, value=10), "grey": toy(12, 3, value=120, flip=False)}
    return join_tasks(tasks | {"light": toy(30, 2, side=24, value=240)}, 12, n_valid=8)


def test_joined_classes_come_in_blocks(joined):
    assert joined.parts == (("dark", 2), ("grey", 3), ("light", 2))
    assert joined.classes[0] == "dark: a" and joined.num_classes == 7
    assert joined.part_of.tolist() == [0, 0, 1, 1, 1, 2, 2]
    assert not joined.flip
    for split in (joined.train, joined.valid, joined.test):
        part = joined.part_of[split.labels]
        middle = split.images[:][:, 0, 6, 6]
        assert (middle == torch.tensor([10, 120, 240])[part]).all()


def test_every_task_gives_equally_many_training_pictures(joined):
    assert joined.part_of[joined.train.labels].bincount().tolist() == [12, 12, 12]
    assert joined.part_of[joined.valid.labels].bincount().tolist() == [6, 8, 8]
    assert joined.part_of[joined.test.labels].bincount().tolist() == [6, 12, 30]
    numbers = joined.train.images[:12][:, 0, 0, 0]
    assert sorted(numbers.tolist()) == sorted(2 * list(range(6))), "a small task repeats itself"


def test_channel_statistics_are_those_of_all_training_pictures(joined):
    pixels = joined.train.images[:].double() / 255
    assert joined.mean == pytest.approx(pixels.mean((0, 2, 3)).tolist(), abs=0.01)
    assert joined.std == pytest.approx(pixels.std((0, 2, 3)).tolist(), abs=0.01)


def test_only_classes_of_the_own_part_count(joined):
    labels = torch.tensor([0, 4, 6])
    logits = torch.zeros(3, 7, requires_grad=True)
    shown = joined.within(logits + torch.arange(7.0), labels)
    assert shown.argmax(dim=1).tolist() == [1, 4, 6]
    nn.functional.cross_entropy(shown, labels).backward()
    own = joined.part_of == joined.part_of[labels][:, None]
    assert torch.equal(logits.grad != 0, own)
    probabilities = shown.softmax(dim=1)
    assert torch.isfinite(nn.functional.cross_entropy(shown, probabilities))


def test_errors_are_counted_part_by_part(joined):
    part = joined.part_of[joined.valid.labels].numpy()
    correct = np.stack([part == 0, part == 1])
    assert joined.error_names == ("top1_err_dark", "top1_err_grey", "top1_err_light")
    assert joined.errors(correct, joined.valid.labels).tolist() == [[0, 100, 100], [100, 0, 100]]


def test_the_eleven_pocket_tasks_share_no_class():
    task = load_many("quick")
    assert [name for name, _ in task.parts] == list(POCKET_TASKS) and len(task.parts) == 11
    labels = [label.split(": ", 1)[1] for label in task.classes]
    assert len(set(labels)) == len(labels) == 49
    assert task.part_of[task.valid.labels].bincount().max() <= PART_VALIDATION["quick"]
    animals, sheep = load_task("animals"), task.test.labels == task.classes.index("farm: sheep")
    same = animals.test.labels == animals.classes.index("sheep")
    assert torch.equal(task.test.images[sheep], animals.test.images[same])
    assert len(task.train) == 11 * (len(task.train) // 11)


def test_the_paper_s_data_sets_are_joined_in_the_same_way(tmp_path):
    task = load_many("paper", rehearse(tmp_path / "data"))
    assert [name for name, _ in task.parts] == list(DATA_SETS)
    assert task.valid.images[:1].shape == (1, 3, 293, 293)
    assert task.num_classes == 10 * 4 + 102


def test_profiles_for_many_tasks():
    assert MANY.keys() == PROFILES.keys()
    assert get_many_profile("quick") is MANY["quick"] and get_many_profile(TINY) is TINY
    assert all(profile.space == PROFILES[name].space for name, profile in MANY.items())
    assert all(profile.validation is None for profile in MANY.values())


def test_igd_plus_by_hand():
    ends, middle = np.array([[0.0, 2.0], [10.0, 0.0]]), np.array([[5.0, 1.0]])
    found = compare({"ends": ends, "middle": middle, "all": np.vstack([ends, middle])})
    # All three are on the front; scaled they are (0, 1), (1, 0) and (.5, .5).
    assert found["ends"] == pytest.approx(0.5 / 3), "the middle is .5 better in one objective"
    assert found["middle"] == pytest.approx((0.5 + 0.5) / 3)
    assert found["all"] == 0
    archives = {"good": np.array([[1.0, 1.0]]), "bad": np.array([[2.0, 3.0], [3.0, 2.0]])}
    found = compare(archives)
    assert found["good"] == 0 < found["bad"]


@pytest.fixture
def run_joined(tiny_task, tiny_supernet, tmp_path):
    """A transfer to the tiny task, joined with itself in other colours and upside down."""

    def turned(task, change):
        splits = {n: getattr(task, n) for n in ("train", "valid", "test")}
        splits = {n: Split(change(s.images), s.labels) for n, s in splits.items()}
        return make_task("tiny", task.classes, splits)

    tasks = {"plain": tiny_task, "red": turned(tiny_task, lambda x: x.flip(1))}
    tasks |= {"inverse": turned(tiny_task, lambda x: 255 - x)}
    task = join_tasks(tasks, 12)

    def go(**options):
        options = {"profile": TINY, "run_dir": tmp_path / "run"} | options
        net = copy.deepcopy(tiny_supernet)
        return transfer(task, supernet=net, progress=False, **options)

    return go


@pytest.mark.parametrize("surrogate", ["rbf", "ridge"])
def test_a_transfer_to_joined_tasks(run_joined, tmp_path, surrogate):
    run = run_joined(profile=replace(TINY, surrogate=surrogate))
    names = ["top1_err_plain", "top1_err_red", "top1_err_inverse", "madds"]
    assert list(run.settings.objectives) == names
    assert run.archive.F.shape == (14, 4) and run.net.num_classes == 9
    assert run.archive.summary.shape == (14, 2)
    how = {"n_images": 60, "calibration": TINY.calibration, "progress": False}
    correct = evaluate(run.net, run.archive.X, run.task, **how)
    again = run.task.errors(correct, fixed_sample(run.task.valid, 60).labels)
    np.testing.assert_allclose(again, run.archive.errors)
    assert report(run, 2).test_top1.between(0, 100).all()
    table = pd.read_csv(tmp_path / "run" / "archive.csv")
    assert [*table] == ["architecture", *names, "iteration"] and len(table) == 14


def test_random_candidates_are_new_and_measured(run_joined):
    run = run_joined(profile=replace(TINY, iterations=0), run_dir=None)
    search_candidates(run, random_candidates)
    X = run.archive.X
    assert len(np.unique(X, axis=0)) == len(X) == TINY.archive + TINY.candidates
    assert set(run.archive.born[TINY.archive :]) == {1}


def test_a_stopped_run_on_joined_tasks_goes_on(run_joined, tmp_path):
    class Stop(Exception):
        pass

    def stop(run):
        if run.iteration == 1:
            raise Stop

    whole = run_joined(run_dir=tmp_path / "whole")
    with pytest.raises(Stop):
        run_joined(on_iteration=stop)
    np.testing.assert_array_equal(run_joined().archive.F, whole.archive.F)
