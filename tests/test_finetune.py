"""Fine-tuning keeps what validation prefers and looks at test once."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from natlib import finetune as module
from natlib.finetune import finetune, on_test
from natlib.profiles import PROFILES
from tests.helpers.transfer_worker import TINY

PROFILE = replace(TINY, finetune_steps=30, finetune_lr=0.1, finetune_rounds=3)


@pytest.fixture
def subnet(tiny_supernet):
    return tiny_supernet.extract(tiny_supernet.space.largest())


def test_it_learns_and_leaves_the_subnet_alone(subnet, tiny_task):
    before = copy.deepcopy(subnet.state_dict())
    found = finetune(subnet, tiny_task, PROFILE, progress=False)
    assert all(torch.equal(before[name], t) for name, t in subnet.state_dict().items())
    assert found.history.step.tolist() == [0, 10, 20, 30]
    assert found.history.valid_top1.max() > found.history.valid_top1[0] + 10
    assert found.test["after"] > found.test["before"] + 10
    assert found.test["gain"] == pytest.approx(found.test["after"] - found.test["before"])
    assert 0 < found.test["gain_se"] < 10
    assert not found.subnet.training and found.subnet.arch == subnet.arch


def test_what_is_returned_is_the_best_on_validation(subnet, tiny_task):
    found = finetune(subnet, tiny_task, PROFILE, progress=False)
    hits = module.correct(found.subnet, tiny_task, tiny_task.valid)
    assert 100 * hits.mean() == pytest.approx(found.history.valid_top1.max())


def test_a_network_that_training_only_spoils_stays_as_it_was(subnet, tiny_task):
    good = finetune(subnet, tiny_task, PROFILE, progress=False).subnet
    spoilt = finetune(good, tiny_task, replace(PROFILE, finetune_lr=30.0), progress=False)
    assert spoilt.history.valid_top1.idxmax() == 0
    assert spoilt.test["gain"] == spoilt.test["gain_se"] == 0
    for name, tensor in good.state_dict().items():
        if "running" not in name and "num_batches" not in name:
            assert torch.equal(tensor, spoilt.subnet.state_dict()[name])


def test_the_test_split_is_looked_at_once_at_the_end(subnet, tiny_task, monkeypatch):
    asked = []
    original = module.correct

    def watched(net, task, data):
        asked.append("test" if data is task.test else "valid")
        return original(net, task, data)

    monkeypatch.setattr(module, "correct", watched)
    finetune(subnet, tiny_task, PROFILE, progress=False)
    assert asked == ["valid"] * 4 + ["test"] * 2


def test_the_seed_decides(subnet, tiny_task):
    a, b, c = (finetune(subnet, tiny_task, PROFILE, seed=s, progress=False) for s in (0, 0, 1))
    assert a.history.equals(b.history)
    weights = [torch.cat([p.flatten() for p in f.subnet.parameters()]) for f in (a, c)]
    assert not torch.equal(*weights)


def test_gain_and_its_standard_error_by_hand(tiny_task, monkeypatch):
    answers = iter([np.array([1, 0, 0, 0], bool), np.array([1, 1, 1, 0], bool)])
    monkeypatch.setattr(module, "correct", lambda *_: next(answers))
    found = on_test(None, None, tiny_task)
    assert (found["before"], found["after"], found["gain"]) == (25, 75, 50)
    assert found["gain_se"] == pytest.approx(100 * np.std([0, 1, 1, 0], ddof=1) / 2)


def test_every_profile_says_how():
    for profile in PROFILES.values():
        assert profile.finetune_steps >= profile.finetune_rounds >= 1 and profile.finetune_lr > 0
