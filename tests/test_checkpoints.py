"""Official weights: names in both spellings, and nothing is loaded where they do not fit."""

import json
import pickle
import re
from pathlib import Path

import pytest
import torch

from natlib.inputs.weights import read_weights
from natlib.paper.checkpoints import load_ofa, load_published
from natlib.space import Architecture, SearchSpace
from natlib.supernet import Subnet, Supernet

PUBLISHED = json.loads(
    (Path(__file__).parents[1] / "data/paper/published_subnets.json").read_text("utf-8")
)


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
    parts = re.split(r"^#.*\n", (shared / "ofa/state_dict_keys.txt").read_text("utf-8"), flags=re.M)
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
    load_ofa(big, official)
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
    load_ofa(big, {w: {"state_dict": state} for w, state in older.items()})
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
        load_ofa(big, {1.0: changed[1.0], 1.2: spoil(changed[1.2])})
    assert all(torch.equal(before[key], tensor) for key, tensor in big.state_dict().items())


def test_load_ofa_checks_the_widths(big, official):
    with pytest.raises(ValueError, match="The checkpoint of width 1.0 does not fit: .* misshapen"):
        load_ofa(big, {1.0: official[1.2], 1.2: official[1.0]})
    with pytest.raises(ValueError, match=r"widths \[1.0, 1.2\]: give one .* each, not \[1.0\]"):
        load_ofa(big, {1.0: official[1.0]})


def test_load_published(shared):
    lines = (shared / "paper/natnet_keys.txt").read_text("utf-8").splitlines()[1:]
    state = listed(lines)
    dtd = next(net for net in PUBLISHED if net["dataset"] == "dtd")
    subnet = Subnet(SearchSpace.paper(), Architecture.from_dict(dtd["arch"]), dtd["num_classes"])
    load_published(subnet, {"state_dict": state})
    key = "blocks.3.mobile_inverted_conv.depth_conv.se.fc.expand.bias"
    assert torch.equal(subnet.blocks[3].se.expand.bias, state[key])
    assert len(subnet.state_dict()) == len(state)
    with pytest.raises(ValueError, match="The published network does not fit: 1 missing"):
        load_published(subnet, without(state, key))


def test_read_weights(tmp_path):
    path = tmp_path / "weights"
    torch.save({"state_dict": {"w": torch.ones(2)}}, path)
    assert torch.equal(read_weights(path)["state_dict"]["w"], torch.ones(2))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="weights holds no PyTorch weights"):
        read_weights(path)
    path.write_bytes(pickle.dumps(Path, protocol=2))
    with pytest.raises(ValueError, match="weights holds no PyTorch weights"):
        read_weights(path)
