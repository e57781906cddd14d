"""Checks of the exercises of notebook 01: counting, costs, kernel matrices."""

import copy
from collections.abc import Callable
from functools import partial
from itertools import product

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import nn

from natlib.cost import CostTable, block_cost
from natlib.layers import ElasticBlock
from natlib.space import Block, SearchSpace
from natlib.supernet import Supernet
from natlib.teach.checks import asking, cases, check, passed, require, says, tabled, unlike

check_factor = tabled(__name__, "check_factor", shape=())


def check_count(count: Callable[..., int]) -> None:
    """Judges the number of architectures with so many layers."""
    say, ask = says(check_count), asking(count, "The count")
    sums = [sum(depths) for depths in product((2, 3, 4), repeat=3)]
    table = {
        say.one: (2, 1, 3, 1, 3, 9),
        say.outside: [(0, 1, 3, 1, 3, 0), (4, 1, 3, 1, 3, 0)],
        say.two: (3, 2, 2, 1, 2, 16),
        say.three: [(n, 3, 5, 2, 4, sums.count(n) * 5**n) for n in range(6, 13)],
    }
    cases(ask, table, tolerance=0)
    paper = SearchSpace.paper()
    shape = paper.n_stages, paper.n_layer_choices, paper.min_depth, paper.max_depth
    total = sum(ask(layers, *shape) for layers in range(10, 21))
    require(total == paper.size // len(paper.resolutions) // len(paper.widths), say.size)
    passed("the counts add up to the size of the paper's space.")


def check_block_madds(block_madds: Callable[..., int]) -> None:
    """Judges the multiply-adds of an inverted residual."""
    say, ask = says(check_block_madds), asking(block_madds, "The number of multiply-adds")
    table = {
        say.dense: (2, 4, 3, 3, 4, 1, unlike(128 + 2304 + 192)),
        say.kernel: (2, 4, 3, 3, 4, 1, unlike(128 + 192 + 192)),
        say.small: (2, 4, 3, 3, 4, 1, 128 + 576 + 192),
        say.early: (2, 4, 3, 3, 4, 2, unlike(32 + 144 + 48)),
        say.stride: (2, 4, 3, 3, 4, 2, 128 + 144 + 48),
        say.odd: (2, 4, 3, 3, 5, 2, 200 + 324 + 108),
    }
    cases(ask, table, tolerance=0)
    rng, choices = np.random.default_rng(0), ([3, 7], [1, 6], [1, 2], [7, 14])
    for _ in range(20):
        c_in, c_out = (8 * rng.integers(1, 20, size=2)).tolist()
        kernel, expand, stride, side = (int(rng.choice(values)) for values in choices)
        block = Block("", "residual", c_in, c_out, kernel, expand, stride, "relu", False, side)
        found = ask(c_in, block.mid, c_out, kernel, side, stride)
        require(found == block_cost(block).madds, say.random, block=block, found=found)
    passed("the count agrees with natlib's for twenty random blocks.")


def check_dearest_gene(dearest_gene: Callable[..., int]) -> None:
    """Judges which gene costs most when it is raised."""
    say = says(check_dearest_gene)
    for space in (SearchSpace.pocket(), SearchSpace.paper()):
        cost = CostTable(space, num_classes=10)
        ask = asking(partial(dearest_gene, space, cost), "The index of the gene", (), say.changed)
        for x in [space.encode(space.smallest()), *space.sample(20, 1)]:
            found = ask(x)
            require(found in range(space.n_var), say.gene, found=found, last=space.n_var - 1)
            raised = np.tile(x, (space.n_var, 1))
            np.fill_diagonal(raised, space.upper)
            added = cost.madds(space.repair(raised)) - cost.madds(x)
            ours = added[int(found)]
            seen = {"x": x.tolist(), "space": space, "found": found, "ours": ours}
            require(ours == added.max(), say.dearer, **seen)
    passed("the dearest gene of 42 architectures.")


def check_small_kernel(small_kernel: Callable[..., ArrayLike]) -> None:
    """Judges the chain of kernel matrices against a layer of natlib."""
    say, rng = says(check_small_kernel), np.random.default_rng(0)
    weight = rng.normal(size=(8, 7, 7)).astype(np.float32)
    eye = {"7to5": np.eye(25, dtype=np.float32), "5to3": np.eye(9, dtype=np.float32)}
    learned = {name: rng.normal(size=m.shape).astype(np.float32) for name, m in eye.items()}
    layer = ElasticBlock(Block("", "residual", 8, 8, 7, 1, 1, "relu", False, 7), (3, 5, 7))
    with torch.no_grad():
        layer.depth_conv.conv.weight.copy_(torch.from_numpy(weight)[:, None])
        for name, matrix in learned.items():
            layer.kernel_matrices[name].copy_(torch.from_numpy(matrix))
        five, three = (layer.depthwise_weight(size, 8)[:, 0].numpy() for size in (5, 3))
    ask = asking(small_kernel, "The {2}x{2} kernels", lambda *given: (8, given[2], given[2]))
    centres = [(weight, eye, n, weight[:, edge:-edge, edge:-edge]) for n, edge in ((5, 1), (3, 2))]
    cases(ask, {say.stored: (weight, learned, 7, weight), say.centre: centres})
    table = {say.five: (weight, learned, 5, five), say.three: (weight, learned, 3, three)}
    cases(ask, table, tolerance=1e-4)
    passed("the chain agrees with natlib's elastic layer.")


def check_without_matrices(without_matrices: Callable[[Supernet], Supernet]) -> None:
    """Judges the copy of a supernet whose kernel matrices are identities."""
    torch.manual_seed(0)
    say, net = says(check_without_matrices), Supernet(SearchSpace.pocket(), num_classes=2)
    for name, parameter in net.named_parameters():
        if "kernel_matrices" in name:
            nn.init.normal_(parameter)
    before = copy.deepcopy(net.state_dict())
    made = without_matrices(net)
    require(isinstance(made, Supernet), say.form, kind=type(made).__name__)
    kept = all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    require(kept, say.changed)
    right = {k: torch.eye(len(v)) if "kernel_matrices" in k else v for k, v in before.items()}
    wrong = [k for k, v in made.state_dict().items() if not torch.equal(v, right[k])]
    matrices = [name for name in wrong if "kernel_matrices" in name]
    others = [name for name in wrong if name not in matrices]
    require(not matrices, say.matrices, n=len(matrices), some=", ".join(matrices[:1]))
    require(not others, say.others, n=len(others), some=others[:1])
    passed("all matrices are identities, and nothing else has changed.")


@check("The share", ())
def check_share_that_fits(ask, say):
    """Judges the share of all architectures, estimated from draws that are uniform in depth."""
    space, paper, fits = SearchSpace.pocket(), SearchSpace.paper(), np.array([True, False])
    X = np.array([[2, 0, *[3, 0, 0] * 3], [4, 0, 1, 2, 0, *[6, 0, 0] * 2]])
    large = (paper, np.tile(paper.encode(paper.largest()), (2, 1)), fits, 1 / 2)
    weights = [(space, X, fits, 1 / 7), (space, X, ~fits, 6 / 7)]
    return {say.drawn: (space, X, fits, unlike(1 / 2)), say.weights: weights, say.large: large}
