"""Checks of the exercises of notebook 01: counting, costs, kernel matrices."""

import copy
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from natlib.cost import CostTable
from natlib.layers import ElasticBlock
from natlib.space import Block, SearchSpace
from natlib.supernet import Supernet
from natlib.teach.checks import cases, judged, require, tabled

check_block_madds = tabled(__name__, "check_block_madds", "The number of multiply-adds", ())
check_deep_share = tabled(__name__, "check_deep_share", shape=())
check_how_sure = tabled(__name__, "check_how_sure")
check_factor = tabled(__name__, "check_factor", shape=())


@judged("The count", ())
def check_count(ask, say):
    """Judges `count(layers, stages, choices, min_depth, max_depth)`."""
    paper = SearchSpace.paper()
    shape = paper.n_stages, paper.n_layer_choices, paper.min_depth, paper.max_depth
    total = sum(ask(layers, *shape) for layers in range(10, 21))
    require(total == paper.size // len(paper.resolutions) // len(paper.widths), say.size)


@judged("The index of the gene", ())
def check_dearest_gene(ask, say):
    """Judges `dearest_gene(space, cost, x)`: the gene that adds most MAdds when it is raised."""
    for space in (SearchSpace.pocket(), SearchSpace.paper()):
        cost = CostTable(space, num_classes=10)
        for x in [space.encode(space.smallest()), *space.sample(20, 1)]:
            found = ask(space, cost, x)
            require(found in range(space.n_var), say.gene, found=found, last=space.n_var - 1)
            raised = np.tile(x, (space.n_var, 1))
            np.fill_diagonal(raised, space.upper)
            added = cost.madds(space.repair(raised)) - cost.madds(x)
            ours = added[int(found)]
            seen = {"x": x.tolist(), "space": space, "found": found, "ours": ours}
            require(ours == added.max(), say.dearer, **seen)


@judged("The {2}x{2} kernels", lambda weight, matrices, size: (len(weight), size, size))
def check_small_kernel(ask, say):
    """Judges `small_kernel(weight, matrices, size)` against a layer of natlib."""
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(8, 7, 7)).astype(np.float32)
    eye = {"7to5": np.eye(25, dtype=np.float32), "5to3": np.eye(9, dtype=np.float32)}
    learned = {name: rng.normal(size=m.shape).astype(np.float32) for name, m in eye.items()}
    layer = ElasticBlock(Block("", "residual", 8, 8, 7, 1, 1, "relu", False, 7), (3, 5, 7))
    with torch.no_grad():
        layer.depth_conv.conv.weight.copy_(torch.from_numpy(weight)[:, None])
        for name, matrix in learned.items():
            layer.kernel_matrices[name].copy_(torch.from_numpy(matrix))
        five, three = (layer.depthwise_weight(size, 8)[:, 0].numpy() for size in (5, 3))
    centres = [(weight, eye, n, weight[:, edge:-edge, edge:-edge]) for n, edge in ((5, 1), (3, 2))]
    cases(ask, {say.stored: (weight, learned, 7, weight), say.centre: centres})
    for message, right in ((say.five, five), (say.three, three)):
        few = [(weight[:n], learned, right.shape[1], right[:n]) for n in (8, 3)]
        cases(ask, {message: few}, tolerance=1e-4)


@judged()
def check_without_matrices(ask, say):
    """Judges `without_matrices(net)`: a copy of a supernet whose kernel matrices are identities."""
    torch.manual_seed(0)
    net = Supernet(replace(SearchSpace.pocket(), widths=(1.0, 1.2)), num_classes=2)
    for name, parameter in net.named_parameters():
        if "kernel_matrices" in name:
            nn.init.normal_(parameter)
    before, made = copy.deepcopy(net.state_dict()), ask(net)
    require(isinstance(made, Supernet), say.form, kind=type(made).__name__)
    right = {k: torch.eye(len(v)) if "kernel_matrices" in k else v for k, v in before.items()}
    wrong = [k for k, v in made.state_dict().items() if not torch.equal(v, right[k])]
    matrices = [name for name in wrong if "kernel_matrices" in name]
    others = [name for name in wrong if name not in matrices]
    require(not matrices, say.matrices, n=len(matrices), some=", ".join(matrices[:1]))
    require(not others, say.others, n=len(others), some=others[:1])


@judged("The share", ())
def check_share_that_fits(ask, say):
    """Judges `share_that_fits(space, X, fits)` by rows that stand for unequally many others."""
    space, paper, fits = SearchSpace.pocket(), SearchSpace.paper(), np.array([True, False])
    X = np.array([[2, 0, *[3, 0, 0] * 3], [4, 0, 1, 2, 0, *[6, 0, 0] * 2]])
    large = (paper, np.tile(paper.encode(paper.largest()), (2, 1)), fits, 1 / 2)
    weights = [(space, X, fits, 1 / 7), (space, X, ~fits, 6 / 7)]
    return {say.drawn: (space, X, fits, {"not": 1 / 2}), say.weights: weights, say.large: large}
