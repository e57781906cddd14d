"""The supernet: reading out subnets, loading and saving weights."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from natlib.layers import ElasticBlock, fold_batch_norm, initialise
from natlib.space import Architecture, Block, SearchSpace
from natlib.supernet import Subnet, Supernet

PUBLISHED = json.loads(
    (Path(__file__).parents[1] / "data/paper/published_subnets.json").read_text("utf-8")
)
SPACES = {"paper": SearchSpace.paper(), "pocket": SearchSpace.pocket()}

every_space = pytest.mark.parametrize("name", SPACES)


def perturb(module: nn.Module, seed: int = 0) -> None:
    """Makes every weight and statistic matter: fresh ones are zeros, ones and identities."""
    generator = torch.Generator().manual_seed(seed)
    for tensor in module.state_dict().values():
        if tensor.is_floating_point():
            scale = 0.2 if tensor.ndim < 4 else 0.2 * tensor.std().item()
            tensor.add_(scale * (torch.rand(tensor.shape, generator=generator) - 0.5))


@torch.no_grad()
def settle(net: Supernet) -> None:
    """Takes the batch-norm statistics of one batch, without which deep subnets overflow."""
    norms = [layer for layer in net.modules() if isinstance(layer, nn.BatchNorm2d)]
    for layer in norms:
        layer.momentum = 0.9
    for width in net.space.widths:
        net.train()(torch.randn(8, 3, 64, 64), net.space.largest(width))
    for layer in norms:
        layer.momentum = 0.1
    net.eval()


@pytest.fixture(scope="module")
def supernets() -> dict[str, Supernet]:
    torch.manual_seed(0)
    nets = {name: Supernet(space, 10).eval() for name, space in SPACES.items()}
    for net in nets.values():
        perturb(net)
        settle(net)
    return nets


def relative_error(found: torch.Tensor, expected: torch.Tensor) -> float:
    return ((found - expected).abs().max() / expected.abs().max()).item()


def some_subnets(space: SearchSpace, n: int, seed: int) -> list[Architecture]:
    ends = [f(w) for f in (space.smallest, space.largest) for w in space.widths]
    return ends + [space.decode(x) for x in space.sample(n, seed)]


@every_space
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("batch_size", [1, 3])
@torch.no_grad()
def test_extracted_subnet_computes_what_the_supernet_does(
    supernets, name, batch_size, channels_last
):
    net = supernets[name]
    layout = torch.channels_last if channels_last else torch.contiguous_format
    net.to(memory_format=layout)
    for arch in some_subnets(net.space, 4, seed=batch_size):
        images = torch.randn(batch_size, 3, 64, 64).to(memory_format=layout)
        expected = net(images, arch)
        assert expected.shape == (batch_size, 10) and expected.std() > 0
        subnet = net.extract(arch)
        assert relative_error(subnet(images), expected) < 1e-5
        assert relative_error(fold_batch_norm(subnet)(images), expected) < 1e-4


@every_space
def test_training_mode_agrees_too(supernets, name):
    net = supernets[name]
    for arch in some_subnets(net.space, 3, seed=7):
        images = torch.randn(4, 3, 64, 64)
        subnet = net.train().extract(arch)
        expected, found = net(images, arch), subnet(images)
        net.eval()
        assert subnet.training
        assert relative_error(found, expected) < 1e-4
        for weights in (net, subnet):
            weights.zero_grad()
        expected.square().mean().backward(), found.square().mean().backward()
        stem = net.weight_sets[net.space.widths.index(arch.width)].first_conv.conv.weight.grad
        assert relative_error(subnet.first_conv.conv.weight.grad, stem) < 1e-3


def test_extracted_weights_are_copies(supernets):
    net = supernets["pocket"]
    subnet = net.extract(net.space.largest())
    before = {key: tensor.clone() for key, tensor in net.state_dict().items()}
    with torch.no_grad():
        for tensor in subnet.state_dict().values():
            tensor.zero_()
    assert all(torch.equal(before[key], tensor) for key, tensor in net.state_dict().items())
    assert all(p.requires_grad and p.is_leaf for p in subnet.parameters())


def test_a_step_trains_only_what_the_subnet_uses(supernets):
    net = supernets["pocket"]
    net.zero_grad()
    net(torch.randn(2, 3, 16, 16), net.space.smallest()).sum().backward()
    first, second = net.weight_sets[0].blocks[1:3]
    used = first.inverted_bottleneck.conv.weight.grad.abs().sum((1, 2, 3)) > 0
    assert used.nonzero().max() < 16 and used.sum() > 8, "expand ratio 1 of 16 channels"
    assert first.kernel_matrices["5to3"].grad.abs().sum() > 0
    assert second.point_linear.conv.weight.grad is None, "the second layer is skipped"


ELASTIC = Block("", "residual", 8, 8, 7, 6, 1, "relu", False, 8)


def test_small_kernels_come_from_large_ones_in_two_steps():
    block = ElasticBlock(ELASTIC, (3, 5, 7))
    block.apply(initialise)
    perturb(block)
    seven = block.depth_conv.conv.weight
    to5, to3 = block.kernel_matrices["7to5"], block.kernel_matrices["5to3"]
    five = (seven[:, 0, 1:6, 1:6].reshape(48, 25) @ to5.T).view(48, 1, 5, 5)
    three = (five[:, 0, 1:4, 1:4].reshape(48, 9) @ to3.T).view(48, 1, 3, 3)
    for kernel, expected in ((7, seven), (5, five), (3, three)):
        assert torch.allclose(block.depthwise_weight(kernel, 24), expected[:24], atol=1e-5)


def test_fresh_kernel_matrices_crop():
    block = ElasticBlock(ELASTIC, (3, 5, 7))
    centre = block.depth_conv.conv.weight[:24, :, 2:5, 2:5]
    assert torch.equal(block.depthwise_weight(3, 24), centre)


def test_folding_takes_eval_mode_and_is_done_once(supernets):
    net = supernets["pocket"]
    subnet = net.extract(net.space.smallest())
    with pytest.raises(ValueError, match="in eval mode only: call .eval.. first"):
        fold_batch_norm(subnet.train())
    images = torch.randn(2, 3, 16, 16)
    once = fold_batch_norm(subnet.eval())(images)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in subnet.modules())
    assert torch.equal(fold_batch_norm(subnet)(images), once)


def test_hooks_stay_with_their_subnet(supernets):
    net, calls = supernets["pocket"], []
    first, second = (net.extract(net.space.smallest()) for _ in range(2))
    first.blocks[1].depth_conv.act.register_forward_hook(lambda *args: calls.append(1))
    second(torch.randn(1, 3, 16, 16))
    net.extract(net.space.smallest())(torch.randn(1, 3, 16, 16))
    assert not calls
    first(torch.randn(1, 3, 16, 16))
    assert calls == [1]


def test_architecture_outside_the_space(supernets):
    net, outside = supernets["pocket"], replace(SPACES["pocket"].smallest(), resolution=18)
    for use in (net.extract, lambda arch: net(torch.randn(1, 3, 18, 18), arch)):
        with pytest.raises(ValueError, match=r"resolution 18 is not in the space: choose from"):
            use(outside)


def test_replace_classifier():
    net = Supernet(SearchSpace.paper(), 10).eval()
    net.replace_classifier(7)
    arch = net.space.smallest(1.2)
    assert net(torch.randn(1, 3, 64, 64), arch).shape == (1, 7)
    assert net.extract(arch).classifier.out_features == net.num_classes == 7


@pytest.mark.parametrize("net", PUBLISHED, ids=lambda net: f"{net['dataset']}-{net['name']}")
@torch.no_grad()
def test_published_networks_build(net):
    arch = Architecture.from_dict(net["arch"])
    activation = "mish" if net["activation"] == "mish" else None
    with torch.device("meta"):
        subnet = Subnet(SPACES["paper"], arch, net["num_classes"], activation).eval()
        images = torch.empty(1, 3, arch.resolution, arch.resolution)
    assert subnet(images).shape == (1, net["num_classes"])
    assert sum(p.numel() for p in subnet.parameters()) == net["counted_params"]
    found = {type(m) for m in subnet.modules() if type(m) in (nn.Mish, nn.ReLU, nn.Hardswish)}
    assert found == ({nn.Mish} if activation else {nn.ReLU, nn.Hardswish})


def test_unknown_activation():
    with pytest.raises(ValueError, match="There is no activation 'gelu': choose from"):
        Subnet(SPACES["pocket"], SPACES["pocket"].smallest(), 10, activation="gelu")


# Our own files


def test_save_and_load(supernets, tmp_path):
    net, path = supernets["pocket"], tmp_path / "net.safetensors"
    net.to(memory_format=torch.channels_last).save(path, made_by="a test")
    loaded = Supernet.load(path)
    assert loaded.space == net.space and loaded.num_classes == 10
    assert all(torch.equal(loaded.state_dict()[k], t) for k, t in net.state_dict().items())
    assert [file.name for file in tmp_path.iterdir()] == ["net.safetensors"]


def test_files_that_are_no_supernet(supernets, tmp_path):
    path = tmp_path / "net.safetensors"
    with pytest.raises(FileNotFoundError, match="There is no supernet at .*net.safetensors"):
        Supernet.load(path)
    supernets["pocket"].save(path)
    whole = path.read_bytes()
    for length in (len(whole) - 1, 100, 3, 0):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="net.safetensors is no complete safetensors file"):
            Supernet.load(path)
    save_file({"w": torch.ones(1)}, path)
    with pytest.raises(ValueError, match="was not written by Supernet.save: it names no search"):
        Supernet.load(path)
