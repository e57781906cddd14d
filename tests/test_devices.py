"""What would fail on a card: tensors on two devices, fused steps, waiting for results.

Where there is no card, torch's fake tensors stand in: they know their device, and hold nothing.
"""

import sys

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional

from natlib import train
from natlib.data import to_input
from natlib.evaluate import correct_predictions, recalibrate
from natlib.inputs.loading import shift_and_flip
from natlib.layers import layout
from natlib.supernet import Supernet
from natlib.transfer import start
from tests.helpers.transfer_worker import TINY


@pytest.fixture
def on_card(tiny_space):
    """A supernet on a card that is only made believe."""
    with FakeTensorMode(allow_non_fake_inputs=True):
        with torch.device("cuda"):
            net = Supernet(tiny_space, 3)
        yield net


def pictures(n=4):
    return torch.zeros(n, 3, 12, 12, dtype=torch.uint8, device="cuda")


def is_there(module):
    tensors = [*module.parameters(), *module.buffers()]
    return {tensor.device.type for tensor in tensors} == {"cuda"}


@torch.no_grad()
def test_subnets_are_measured_where_the_supernet_is(on_card, tiny_task):
    labels = torch.zeros(4, dtype=torch.int64, device="cuda")
    for arch in (on_card.space.largest(), on_card.space.smallest()):
        subnet = on_card.extract(arch)
        assert is_there(subnet)
        inputs = to_input(pictures(), arch.resolution, tiny_task, "cuda", crop=0.875)
        recalibrate(subnet, [(inputs, labels)])
        hits = correct_predictions(subnet, [(inputs, labels)], tiny_task)
        assert hits.device.type == "cuda"


@torch.no_grad()
def test_losses_are_computed_where_the_supernet_is(on_card, tiny_task):
    images = shift_and_flip(pictures(), torch.Generator().manual_seed(0), flip=True)
    assert images.device.type == "cuda"
    on_card.train()
    for arch in (on_card.space.largest(), on_card.space.smallest()):
        x = to_input(images, arch.resolution, tiny_task, images.device)
        logits = tiny_task.within(on_card(x, arch), torch.zeros(4).long())
        assert functional.cross_entropy(logits, logits.softmax(dim=1)).device.type == "cuda"


def test_depthwise_convolutions_on_a_card_are_none_that_cudnn_compiles(on_card, monkeypatch):
    """With channels last it takes up to two seconds for each new shape."""
    seen = []

    def conv2d(x, weight, *args, **kwargs):
        y = plain(x, weight, *args, **kwargs)
        seen.extend(t.is_contiguous() for t in (x, y) if kwargs.get("groups", 1) > 1)
        return y

    plain = functional.conv2d
    monkeypatch.setattr(functional, "conv2d", conv2d)
    images = torch.zeros(4, 3, 12, 12, device="cuda").to(memory_format=torch.channels_last)
    on_card.train()(images, on_card.space.largest())
    assert seen and all(seen)
    assert layout(torch.device("cpu")) == torch.channels_last


@pytest.mark.parametrize("wanted", [torch.channels_last, torch.contiguous_format])
def test_a_transfer_lays_its_supernet_out_for_the_device(
    wanted, tiny_supernet, tiny_task, monkeypatch
):
    monkeypatch.setattr(sys.modules[start.__module__], "layout", lambda device: wanted)
    run = start(tiny_task, TINY, supernet=tiny_supernet, device="cpu", progress=False)
    weights = [w for w in run.net.parameters() if w.ndim == 4 and min(w.shape[1:]) > 1]
    assert weights and all(w.is_contiguous(memory_format=wanted) for w in weights)


def test_a_fused_step_lays_momentum_out_as_the_weights():
    """Read from the checkpoint of a run on a CPU it may lie otherwise in memory."""
    net = torch.nn.Conv2d(3, 8, 3)
    optimizer = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9, fused=True)
    kept = torch.randn_like(net.weight).to(memory_format=torch.channels_last)
    optimizer.state[net.weight]["momentum_buffer"] = kept
    train._Update(net, optimizer, None, 5.0, [])
    momentum = optimizer.state[net.weight]["momentum_buffer"]
    assert momentum.stride() == net.weight.stride() != kept.stride()
    assert torch.equal(momentum, kept)
    assert not optimizer.state[net.bias]["momentum_buffer"].any()


def test_a_fused_step_takes_weights_that_were_not_used_before(tiny_supernet, tiny_task):
    """As on a card: there `make_optimizer` gives a fused one."""
    space = tiny_supernet.space
    archs = [space.smallest(), space.largest()]
    ends = {}
    for fused in (True, False):
        torch.manual_seed(0)
        net = Supernet(space, 3)
        optimizer = torch.optim.SGD(
            net.parameters(), 0.0, momentum=0.9, weight_decay=3e-4, nesterov=True, fused=fused
        )
        for steps in (range(2), range(2, 4)):
            train.train(
                net, optimizer, tiny_task, lambda step: [archs[step > 1]], lambda step: 0.05, steps,
                batch_size=20, progress=False,
            )  # fmt: skip
            restored = torch.optim.SGD(
                net.parameters(), 0.0, momentum=0.9, weight_decay=3e-4, nesterov=True, fused=fused
            )
            restored.load_state_dict(optimizer.state_dict())
            optimizer = restored
        ends[fused] = net.state_dict()
    for name, tensor in ends[True].items():
        torch.testing.assert_close(tensor, ends[False][name], msg=name)


def test_losses_are_looked_at_two_steps_later_on_a_card(tiny_space):
    """The step and the subnet that are named are those of the loss."""
    net, archs = torch.nn.Linear(1, 1), [tiny_space.largest(), tiny_space.smallest()]
    update = train._Update(net, torch.optim.SGD(net.parameters()), None, 5.0, [])
    update.behind = train.BEHIND
    for step, loss in enumerate((2.0, float("nan"), 2.0)):
        update(step, 0.1, archs, torch.tensor([1.0, loss]))
    assert update.loss == "1.500"
    with pytest.raises(FloatingPointError, match="at step 1: lower") as told:
        update.look(behind=0)
    assert str(archs[1]) in str(told.value)


def test_several_processes_on_one_card_share_it(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    chosen = []
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: chosen[-1])
    for rank in range(4):
        monkeypatch.setenv("LOCAL_RANK", str(rank))
        assert train.pick_device("cuda") == torch.device("cuda", rank % 2)
