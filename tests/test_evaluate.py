"""A subnet is worth what it does after its batch norm was recalibrated."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from natlib.data import fixed_sample
from natlib.evaluate import (
    InputBatches,
    correct_predictions,
    evaluate,
    recalibrate,
)
from natlib.train import cosine, make_optimizer, train, uniform_subnets


@pytest.fixture(scope="module")
def trained(tiny_space, tiny_task):
    """A supernet that has learnt the tiny task."""
    from natlib.supernet import Supernet

    torch.manual_seed(0)
    net = Supernet(tiny_space, 3)
    sampler = uniform_subnets(tiny_space, 2, seed=0)
    train(
        net, make_optimizer(net), tiny_task, sampler, cosine(0.1, 60, warmup=5), range(60),
        batch_size=40, progress=False,
    )  # fmt: skip
    return net


def test_stale_batch_norm_differs_and_recalibration_mends_it(trained, tiny_task, tiny_space):
    subnet = trained.extract(tiny_space.smallest()).eval()
    for layer in subnet.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean += 2.0  # as if the statistics were those of other subnets
    batches = InputBatches(tiny_task.valid, 8, tiny_task)
    stale = correct_predictions(subnet, batches).float().mean()
    recalibrate(subnet, InputBatches(tiny_task.train, 8, tiny_task))
    mended = correct_predictions(subnet, batches).float().mean()
    assert mended > stale + 0.2
    assert mended > 0.75


def test_supernet_statistics_fit_no_subnet(trained, tiny_task, tiny_space):
    subnet = trained.extract(tiny_space.smallest()).eval()
    before = copy.deepcopy(subnet.state_dict())
    recalibrate(subnet, InputBatches(tiny_task.train, 8, tiny_task))
    changed = [
        not torch.allclose(before[name], tensor, rtol=0.05)
        for name, tensor in subnet.state_dict().items()
        if name.endswith("running_var")
    ]
    assert any(changed)


def test_recalibration_computes_the_statistics_of_its_images(trained, tiny_task, tiny_space):
    subnet = trained.extract(tiny_space.largest())
    batches = InputBatches(tiny_task.train, 12, tiny_task, batch_size=len(tiny_task.train))
    recalibrate(subnet, batches)
    ((inputs, _),) = batches
    features = subnet.first_conv.conv(inputs)
    torch.testing.assert_close(subnet.first_conv.bn.running_mean, features.mean((0, 2, 3)))
    assert subnet.first_conv.bn.momentum == 0.1
    assert not subnet.training


def test_evaluate_leaves_the_supernet_as_it_was(trained, tiny_task, tiny_space):
    before = copy.deepcopy(trained.state_dict())
    evaluate(trained, tiny_space.sample(3, 0), tiny_task, progress=False)
    for name, tensor in trained.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_evaluate_gives_each_row_its_own_subnet(trained, tiny_task, tiny_space):
    X = tiny_space.sample(6, 0)
    together = evaluate(trained, X, tiny_task, "test", progress=False)
    assert together.shape == (6, len(tiny_task.test))
    alone = [evaluate(trained, x, tiny_task, "test", progress=False)[0] for x in X]
    np.testing.assert_array_equal(together, np.stack(alone))


def test_measuring_on_fewer_images_takes_the_same_ones_for_all(trained, tiny_task, tiny_space):
    X = np.repeat(tiny_space.sample(1, 0), 2, axis=0)
    correct = evaluate(trained, X, tiny_task, n_images=30, calibration=40, progress=False)
    assert correct.shape == (2, 30)
    np.testing.assert_array_equal(correct[0], correct[1])


def test_fixed_sample(tiny_task):
    assert fixed_sample(tiny_task.valid, None) is tiny_task.valid
    assert fixed_sample(tiny_task.valid, 10**6) is tiny_task.valid
    assert torch.equal(
        fixed_sample(tiny_task.valid, 7).labels, fixed_sample(tiny_task.valid, 7).labels
    )


def test_errors_in_percent(tiny_task):
    correct = np.array([[1, 1, 0, 1], [0, 0, 0, 0]], bool)
    np.testing.assert_allclose(tiny_task.errors(correct, None), [[25], [100]])


def test_batches_that_do_not_fit_are_made_again(trained, tiny_task, tiny_space, monkeypatch):
    X = tiny_space.sample(3, 0)
    kept = evaluate(trained, X, tiny_task, progress=False)
    monkeypatch.setattr("natlib.evaluate.KEPT_BYTES", 0)
    assert InputBatches(tiny_task.valid, 8, tiny_task).kept is None
    np.testing.assert_array_equal(evaluate(trained, X, tiny_task, progress=False), kept)
