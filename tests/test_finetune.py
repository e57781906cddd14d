"""Fine-tuning keeps what validation prefers and looks at test once."""

import copy
import dataclasses
import sys
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from natlib.data import Split
from natlib.deploy.finetune import finetune
from natlib.evaluate import InputBatches, correct_predictions
from natlib.profiles import PROFILES
from natlib.train import cosine
from tests.helpers.transfer_worker import TINY

MODULE = sys.modules[finetune.__module__]
PROFILE = replace(TINY, finetune_steps=30, finetune_lr=0.1, finetune_rounds=3)


@pytest.fixture
def subnet(tiny_supernet):
    return tiny_supernet.extract(tiny_supernet.space.largest())


def hits_of(subnet, task, split):
    batches = InputBatches(split, subnet.arch.resolution, task)
    return correct_predictions(subnet, batches).numpy().astype(float)


def test_it_learns_and_leaves_the_subnet_alone(subnet, tiny_task):
    before = copy.deepcopy(subnet.state_dict())
    found = finetune(subnet, tiny_task, PROFILE, progress=False)
    assert all(torch.equal(before[name], t) for name, t in subnet.state_dict().items())
    assert found.history.step.tolist() == [0, 10, 20, 30]
    assert found.history.valid_top1.max() > found.history.valid_top1[0] + 10
    assert found.test["after"] > found.test["before"] + 10
    assert not found.subnet.training and found.subnet.arch == subnet.arch


def test_what_is_returned_is_the_best_on_validation(subnet, tiny_task):
    found = finetune(subnet, tiny_task, PROFILE, progress=False)
    hits = hits_of(found.subnet, tiny_task, tiny_task.valid)
    assert 100 * hits.mean() == pytest.approx(found.history.valid_top1.max())


def test_a_network_that_training_only_spoils_stays_as_it_was(subnet, tiny_task):
    good = finetune(subnet, tiny_task, PROFILE, progress=False).subnet
    spoilt = finetune(good, tiny_task, replace(PROFILE, finetune_lr=30.0), progress=False)
    assert spoilt.history.valid_top1.idxmax() == 0
    assert spoilt.test["gain"] == spoilt.test["gain_se"] == 0
    for name, tensor in good.state_dict().items():
        if "running" not in name and "num_batches" not in name:
            assert torch.equal(tensor, spoilt.subnet.state_dict()[name])


def test_the_test_split_is_looked_at_once_at_the_end(subnet, tiny_task):
    looked = []

    class Watched(Split):
        def __len__(self):
            looked.append("test")
            return len(self.labels)

    class Task(type(tiny_task)):
        def within(self, logits, labels):
            looked.append("classified")
            return logits

    fields = {f.name: getattr(tiny_task, f.name) for f in dataclasses.fields(tiny_task)}
    task = Task(**fields | {"test": Watched(tiny_task.test.images, tiny_task.test.labels)})
    finetune(subnet, task, PROFILE, progress=False)
    first = looked.index("test")
    assert looked[first:].count("classified") == 2, "one batch before and one after"


def test_the_seed_decides(subnet, tiny_task):
    a, b, c = (finetune(subnet, tiny_task, PROFILE, seed=s, progress=False) for s in (0, 0, 1))
    assert a.history.equals(b.history)
    weights = [torch.cat([p.flatten() for p in f.subnet.parameters()]) for f in (a, c)]
    assert not torch.equal(*weights)


def test_gain_and_its_standard_error(subnet, tiny_task):
    found = finetune(subnet, tiny_task, PROFILE, progress=False)
    before = finetune(subnet, tiny_task, replace(PROFILE, finetune_lr=0.0), progress=False)
    hits = [hits_of(f.subnet, tiny_task, tiny_task.test) for f in (before, found)]
    assert found.test["before"] == pytest.approx(100 * hits[0].mean())
    assert found.test["after"] == pytest.approx(100 * hits[1].mean())
    gain = 100 * (hits[1] - hits[0])
    assert found.test["gain"] == pytest.approx(gain.mean())
    assert found.test["gain_se"] == pytest.approx(gain.std(ddof=1) / np.sqrt(len(gain)))


def test_every_profile_says_how():
    for profile in PROFILES.values():
        assert profile.finetune_steps >= profile.finetune_rounds >= 1 and profile.finetune_lr > 0


def test_a_killed_one_goes_on_from_its_checkpoint(subnet, tiny_task, tmp_path, monkeypatch):
    """It is killed in the first step, in the midst of two rounds and at the end of one."""
    expected = finetune(subnet, tiny_task, PROFILE, progress=False)
    how = {"progress": False, "checkpoint": tmp_path / "finetuning.pt"}
    for step in (0, 15, 20, 29):
        with monkeypatch.context() as patch:
            patch.setattr(MODULE, "cosine", partial(spent_at, cosine, step))
            with pytest.raises(KeyboardInterrupt):
                finetune(subnet, tiny_task, PROFILE, **how)
    for found in (finetune(subnet, tiny_task, PROFILE, **how) for _ in range(2)):
        assert found.history.equals(expected.history) and found.test == expected.test
        states = found.subnet.state_dict(), expected.subnet.state_dict()
        assert all(torch.equal(states[0][name], tensor) for name, tensor in states[1].items())
    with pytest.raises(ValueError, match=r"finetuning.pt belongs to a run with seed = 0, not 1"):
        finetune(subnet, tiny_task, PROFILE, seed=1, **how)


def test_a_checkpoint_that_is_none_is_refused(subnet, tiny_task, tmp_path):
    path = tmp_path / "finetuning.pt"
    for content in ([1, 2], {"state_dict": {}}, {"settings": {}}, {"settings": None, "states": []}):
        torch.save(content, path)
        with pytest.raises(ValueError, match=r"finetuning.pt is damaged or was not written by fi"):
            finetune(subnet, tiny_task, PROFILE, progress=False, checkpoint=path)


def spent_at(cosine, last, *args, **options):
    """A schedule after which there is no time left."""

    def schedule(step):
        if step == last:
            raise KeyboardInterrupt
        return cosine(*args, **options)(step)

    return schedule
