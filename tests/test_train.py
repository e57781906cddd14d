"""Training: each numbered step is a function of seed and number; bad losses stop it."""

import copy
import sys
from dataclasses import replace
from functools import partial
from itertools import combinations

import numpy as np
import pytest
import torch

from natlib.search import gene_distribution, sample_distribution
from natlib.train import (
    add_gradients,
    cosine,
    make_optimizer,
    pick_device,
    subnets_from,
    train,
    uniform_subnets,
)

TRAIN = sys.modules["natlib.train"]


def run_steps(net, task, *ranges, lr=0.05):
    optimizer = make_optimizer(net)
    sampler = uniform_subnets(net.space, 2, seed=3)
    for steps in ranges:
        train(
            net, optimizer, task, sampler, cosine(lr, 10, warmup=2), steps,
            batch_size=30, seed=1, progress=False,
        )  # fmt: skip
    return net.state_dict()


def test_two_halves_equal_the_whole(tiny_supernet, tiny_task):
    other = copy.deepcopy(tiny_supernet)
    whole = run_steps(tiny_supernet, tiny_task, range(6))
    halves = run_steps(other, tiny_task, range(2), range(2, 6))
    for name, tensor in whole.items():
        assert torch.equal(tensor, halves[name]), name


def test_training_lowers_the_loss(tiny_supernet, tiny_task):
    def loss():
        net = copy.deepcopy(tiny_supernet).train()
        images, labels = tiny_task.train.images, tiny_task.train.labels
        return add_gradients(net, tiny_task, images, labels, [net.space.largest()]).mean()

    before = loss()
    run_steps(tiny_supernet, tiny_task, range(10), lr=0.1)
    assert loss() < 0.8 * before


def test_distillation_pulls_towards_the_teacher(tiny_supernet, tiny_task):
    archs = [tiny_supernet.space.largest(), tiny_supernet.space.smallest()]
    images, labels = tiny_task.train.images, tiny_task.train.labels
    gradients = {}
    alone = tiny_supernet.extract(archs[1]).eval()
    for name, teacher in (("none", None), ("first", "first"), ("frozen", alone)):
        net = copy.deepcopy(tiny_supernet).train()
        add_gradients(net, tiny_task, images, labels, archs, teacher=teacher)
        gradients[name] = net.weight_sets[0].classifier.weight.grad
    for a, b in combinations(gradients.values(), 2):
        assert not torch.allclose(a, b)
    assert all(p.grad is None for p in alone.parameters())


def test_loss_that_is_not_finite_names_subnet_and_step(tiny_supernet, tiny_task):
    with torch.no_grad():
        tiny_supernet.weight_sets[0].classifier.bias[0] = float("inf")
    with pytest.raises(
        FloatingPointError, match=r"subnet .* was no finite number at step 4: lower"
    ):
        run_steps(tiny_supernet, tiny_task, range(4, 6))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_in_half_precision_it_learns_nearly_the_same(tiny_supernet, tiny_task, dtype):
    def weights(net):
        return torch.cat([weight.detach().flatten() for weight in net.parameters()])

    begin = weights(tiny_supernet)
    other = copy.deepcopy(tiny_supernet)
    sampler, moved = uniform_subnets(tiny_supernet.space, 2, seed=3), []
    for net, kind in ((tiny_supernet, None), (other, dtype)):
        how = {"batch_size": 30, "dtype": kind, "progress": False}
        train(net, make_optimizer(net), tiny_task, sampler, cosine(0.02, 4), range(4), **how)
        moved.append(weights(net) - begin)
    assert 0 < (moved[1] - moved[0]).norm() < 0.2 * moved[0].norm()


def test_out_of_memory_names_what_to_change(tiny_supernet, tiny_task, monkeypatch):
    def full(*args, **options):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(TRAIN, "add_gradients", full)
    told = "cpu is out of memory with 30 images at a time: pass micro_batches=2, or a smaller batch"
    with pytest.raises(RuntimeError, match=told):
        run_steps(tiny_supernet, tiny_task, range(1))


def test_cosine_rises_then_falls():
    rate = cosine(0.1, total=10, warmup=2, first=100)
    assert rate(100) == pytest.approx(0.05)
    assert rate(102) == pytest.approx(0.1)
    assert rate(106) == pytest.approx(0.05)
    assert rate(110) == pytest.approx(0, abs=1e-12)


def test_samplers_begin_with_the_teacher(tiny_space):
    step = uniform_subnets(tiny_space, 3, seed=0)(5)
    assert step[0] == tiny_space.largest() and len(step) == 4
    assert step == uniform_subnets(tiny_space, 3, seed=0)(5)


def test_a_step_trains_one_width_that_is_drawn_too(tiny_space):
    space = replace(tiny_space, widths=(1.0, 1.2))
    genes = gene_distribution(space.sample(40, 0), space)
    genes[1] = [0.2, 0.8] + [0.0] * (genes.shape[1] - 2)
    draw = partial(sample_distribution, genes, space, 3)
    steps = [subnets_from(space, draw, seed=0)(step) for step in range(500)]
    assert all(len({arch.width for arch in archs}) == 1 for archs in steps)
    assert np.mean([archs[0].width == 1.2 for archs in steps]) == pytest.approx(0.8, abs=0.06)


def test_what_every_step_trains_comes_first(tiny_space):
    def draw(rng):
        return tiny_space.sample(3, rng)

    choices = (("largest",), (), ("largest", "smallest"))
    both, alone, three = (subnets_from(tiny_space, draw, 0, always)(7) for always in choices)
    assert both == [tiny_space.largest(), *alone] and len(alone) == 3
    assert three == [tiny_space.largest(), tiny_space.smallest(), *alone]


def test_device():
    assert pick_device("cpu").type == "cpu"
    with pytest.raises(ValueError, match="Device 'tpu' is not available here: choose from"):
        pick_device("tpu")
    assert np.prod(torch.zeros(1, device=pick_device()).shape) == 1
