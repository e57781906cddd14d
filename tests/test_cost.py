"""Costs by table look-up, against published networks and against counting a forward pass."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from natlib.cost import CostTable, block_cost, classifier_cost
from natlib.space import Architecture, SearchSpace
from natlib.supernet import Subnet

PUBLISHED = json.loads(
    (Path(__file__).parents[1] / "data/paper/published_subnets.json").read_text("utf-8")
)
SPACES = {"paper": SearchSpace.paper(), "pocket": SearchSpace.pocket()}
CLASSES = {"paper": 1000, "pocket": 10}
TABLES = {name: CostTable(space, CLASSES[name]) for name, space in SPACES.items()}

every_space = pytest.mark.parametrize("name", SPACES)


@pytest.mark.parametrize("net", PUBLISHED, ids=lambda net: f"{net['dataset']}-{net['name']}")
def test_published_networks_count_exactly(net):
    x = SPACES["paper"].encode(Architecture.from_dict(net["arch"]))
    table = CostTable(SPACES["paper"], net["num_classes"])
    assert table.params(x).tolist() == [net["counted_params"]]
    assert table.madds(x).tolist() == [net["counted_macs_conv_linear"]]


def traced_cost(space, arch, num_classes) -> tuple[int, int]:
    """Counts a subnet by running it: parameters, and the flops of torch's own counter, halved."""
    with torch.device("meta"):
        subnet = Subnet(space, arch, num_classes).eval()
        images = torch.empty(1, 3, arch.resolution, arch.resolution)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        subnet(images)
    params = sum(parameter.numel() for parameter in subnet.parameters())
    return params, counter.get_total_flops() // 2


@every_space
def test_table_agrees_with_the_flop_counter(name):
    space, table = SPACES[name], TABLES[name]
    ends = [space.encode(space.smallest(w)) for w in space.widths]
    ends += [space.encode(space.largest(w)) for w in space.widths]
    X = np.vstack([space.sample(25, 0), *ends])
    traced = np.array([traced_cost(space, space.decode(x), CLASSES[name]) for x in X])
    assert np.array_equal(np.column_stack([table.params(X), table.madds(X)]), traced)


@every_space
def test_layers_add_up(name):
    space, table = SPACES[name], TABLES[name]
    for x in space.sample(20, 1):
        blocks = space.blocks(space.decode(x))
        assert len(blocks) == 4 + np.count_nonzero(x[2:])
        costs = [*map(block_cost, blocks), classifier_cost(blocks[-1].c_out, CLASSES[name])]
        assert np.sum(costs, axis=0).tolist() == [table.params(x)[0], table.madds(x)[0]]


@every_space
def test_a_matrix_costs_what_its_rows_cost(name):
    X = SPACES[name].sample(10, 2)
    for count in (TABLES[name].params, TABLES[name].madds):
        together = count(X)
        assert together.dtype == np.int64 and together.shape == (10,)
        assert together.tolist() == [count(x)[0] for x in X]


def test_bad_matrices_are_refused():
    table, x = TABLES["pocket"], SPACES["pocket"].lower
    with pytest.raises(ValueError, match="has 11 integers, but the matrix has shape"):
        table.params(x[:-1])
    with pytest.raises(ValueError, match="no canonical encoding of the pocket space"):
        table.madds(x - 1)
