"""The supernet: reading out subnets, loading and saving weights."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from natlib.layers import ElasticBlock, fold_batch_norm, in_parts
from natlib.space import Architecture, SearchSpace
from natlib.supernet import Subnet, Supernet

PUBLISHED = json.loads(
    (Path(__file__).parents[1] / "data/paper/published_subnets.json").read_text()
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
        stem = net.weights_of(arch).first_conv.conv.weight.grad
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


def test_small_kernels_come_from_large_ones_in_two_steps():
    block = ElasticBlock(8, 8, (3, 5, 7), (3, 4, 6), 1, "relu", False)
    perturb(block)
    seven = block.depth_conv.conv.weight
    to5, to3 = block.kernel_matrices["7to5"], block.kernel_matrices["5to3"]
    five = (seven[:, 0, 1:6, 1:6].reshape(48, 25) @ to5.T).view(48, 1, 5, 5)
    three = (five[:, 0, 1:4, 1:4].reshape(48, 9) @ to3.T).view(48, 1, 3, 3)
    for kernel, expected in ((7, seven), (5, five), (3, three)):
        assert torch.allclose(block.depthwise_weight(kernel, 24), expected[:24], atol=1e-5)


def test_fresh_kernel_matrices_crop():
    block = ElasticBlock(8, 8, (3, 5, 7), (3, 4, 6), 1, "relu", False)
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


@torch.no_grad()
@pytest.mark.parametrize("side", [16, 32])
def test_in_parts_returns_what_the_whole_batch_gives(supernets, side):
    net = supernets["pocket"]
    subnet, images, sizes = net.extract(net.space.largest()), torch.randn(65, 3, side, side), []
    subnet.register_forward_pre_hook(lambda module, inputs: sizes.append(len(inputs[0])))
    assert relative_error(in_parts(subnet, images), subnet(images)) < 1e-5
    assert sizes == {16: [65, 65], 32: [64, 1, 65]}[side]


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


# Official checkpoints


def listed(lines: list[str]) -> dict[str, torch.Tensor]:
    """Makes random tensors of the names and shapes that a list of keys gives."""
    state = {}
    for line in lines:
        name, shape = line.split("\t")[:2]
        size = [int(n) for n in re.findall(r"\d+", shape)]
        state[name] = torch.rand(size) if size else torch.tensor(3)
    return state


@pytest.fixture(scope="module")
def official(shared) -> dict[float, dict[str, torch.Tensor]]:
    torch.manual_seed(1)
    parts = re.split(r"^#.*\n", (shared / "ofa/state_dict_keys.txt").read_text(), flags=re.M)
    return {w: listed(part.splitlines()) for w, part in zip((1.0, 1.2), parts[1:], strict=True)}


@pytest.fixture(scope="module")
def big() -> Supernet:
    return Supernet(SearchSpace.paper(), 1000)


def older_spelling(name: str) -> str:
    name = re.sub(r"^(blocks\.\d+)\.conv\.", r"\1.mobile_inverted_conv.", name)
    return name.replace(".conv.conv.", ".conv.").replace(".bn.bn.", ".bn.")


def same_weights(net: Supernet, official: dict) -> bool:
    """Whether all tensors of the checkpoints are in the supernet, in the order of the file."""
    for weights, state in zip(net.weight_sets, official.values(), strict=True):
        ours = sorted(weights.state_dict().values(), key=lambda t: (t.shape, t.sum().item()))
        theirs = sorted(state.values(), key=lambda t: (t.shape, t.sum().item()))
        if not all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True)):
            return False
    return True


def test_load_ofa(big, official):
    big.load_ofa(official)
    assert same_weights(big, official)
    weights, state = big.weight_sets[1], official[1.2]
    block = weights.blocks[5]
    for ours, key in (
        (block.kernel_matrices["7to5"], "depth_conv.conv.7to5_matrix"),
        (block.depth_conv.conv.weight, "depth_conv.conv.conv.weight"),
        (block.depth_conv.bn.running_var, "depth_conv.bn.bn.running_var"),
        (block.se.reduce.bias, "depth_conv.se.fc.reduce.bias"),
        (block.se.expand.weight, "depth_conv.se.fc.expand.weight"),
    ):
        assert torch.equal(ours, state[f"blocks.5.conv.{key}"])
    assert torch.equal(weights.classifier.bias, state["classifier.linear.bias"])


def test_load_ofa_reads_the_older_spelling_and_wrapped_checkpoints(big, official):
    older = {w: {older_spelling(k): -t for k, t in sd.items()} for w, sd in official.items()}
    assert "blocks.1.mobile_inverted_conv.depth_conv.conv.5to3_matrix" in older[1.0]
    big.load_ofa({w: {"state_dict": state} for w, state in older.items()})
    assert same_weights(big, older)


def without(state: dict, key: str) -> dict:
    return {k: t for k, t in state.items() if k != key}


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda s: without(s, "first_conv.conv.weight"), r"1 missing \(first_conv.conv.weight\)"),
        (lambda s: s | {"extra": torch.ones(1)}, r"1 unexpected \(extra\)"),
        (
            lambda s: s | {"classifier.linear.weight": torch.ones(10, 1536)},
            r"1 misshapen \(classifier.weight\)",
        ),
        (
            lambda s: {k.replace("1.conv.depth_conv.conv.7to5", "x"): t for k, t in s.items()},
            r"2 missing \(blocks.1.kernel_matrices.7to5, blocks.11.*; 2 unexpected \(blocks.x",
        ),
    ],
)
def test_load_ofa_never_half_loads(big, official, spoil, sentence):
    before = {key: tensor.clone() for key, tensor in big.state_dict().items()}
    changed = {w: {k: t + 1 for k, t in state.items()} for w, state in official.items()}
    with pytest.raises(ValueError, match=f"The checkpoint of width 1.2 does not fit: {sentence}"):
        big.load_ofa({1.0: changed[1.0], 1.2: spoil(changed[1.2])})
    assert all(torch.equal(before[key], tensor) for key, tensor in big.state_dict().items())


def test_load_ofa_checks_the_widths(big, official):
    with pytest.raises(ValueError, match="The checkpoint of width 1.0 does not fit: .* misshapen"):
        big.load_ofa({1.0: official[1.2], 1.2: official[1.0]})
    with pytest.raises(ValueError, match=r"widths \[1.0, 1.2\]: give one .* each, not \[1.0\]"):
        big.load_ofa({1.0: official[1.0]})


# The authors' published networks


def test_load_published(shared):
    lines = (shared / "paper/natnet_keys.txt").read_text().splitlines()[1:]
    state = listed(lines)
    dtd = next(net for net in PUBLISHED if net["dataset"] == "dtd")
    subnet = Subnet(SPACES["paper"], Architecture.from_dict(dtd["arch"]), dtd["num_classes"])
    subnet.load_published({"state_dict": state})
    key = "blocks.3.mobile_inverted_conv.depth_conv.se.fc.expand.bias"
    assert torch.equal(subnet.blocks[3].se.expand.bias, state[key])
    assert len(subnet.state_dict()) == len(state)
    with pytest.raises(ValueError, match="The published network does not fit: 1 missing"):
        subnet.load_published(without(state, key))


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
