"""Checks of the exercises of notebook 01: counting, costs, kernel matrices."""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import product

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn

from natlib.checks import numbers, passed, require, same
from natlib.cost import Block, CostTable, block_cost
from natlib.layers import ElasticBlock
from natlib.space import SearchSpace, expanded_channels
from natlib.supernet import Supernet


def check_count(count: Callable[..., int]) -> None:
    """Judges the number of architectures with so many layers."""

    def ask(layers: int, stages: int, choices: int, low: int, high: int) -> int:
        answer = count(layers, stages, choices, low, high)
        numbers(answer, (), "The count")
        return int(answer)

    _explain_ways(ask)
    depths = list(product((2, 3, 4), repeat=3))
    for layers in range(6, 13):
        wanted = sum(5 ** sum(d) for d in depths if sum(d) == layers)
        found = ask(layers, 3, 5, 2, 4)
        require(
            found == wanted,
            f"Three stages of two to four layers, five forms: you count {found:,} ways with "
            f"{layers} layers, which is not right. Is the least depth respected?",
        )
    paper = SearchSpace.paper()
    shape = (paper.n_stages, paper.n_layer_choices, paper.min_depth, paper.max_depth)
    total = sum(ask(layers, *shape) for layers in range(10, 21))
    wanted = paper.size // len(paper.resolutions) // len(paper.widths)
    require(
        total == wanted,
        "Summed over 10 to 20 layers your counts do not give the paper's `space.size` without "
        "resolutions and widths. Fractions and 64-bit integers are not exact for numbers of that "
        "size.",
    )
    passed("the counts add up to the size of the paper's space.")


def _explain_ways(ask: Callable[..., int]) -> None:
    """Says what is wrong with the counts for one stage, and for two."""
    one = ask(2, 1, 3, 1, 3)
    require(
        one == 9,
        f"One stage with two layers, three forms each, and you count {one} ways. Write them all "
        "down: each layer is chosen for itself.",
    )
    for outside in (0, 4):
        found = ask(outside, 1, 3, 1, 3)
        require(
            found == 0,
            f"One stage of one to three layers cannot have {outside}, and you count {found} ways. "
            "What ends the recursion?",
        )
    two = ask(3, 2, 2, 1, 2)
    require(
        two == 16,
        "Two stages of one or two layers, two forms each, three layers in all, and you count "
        f"{two} ways. In which orders can the layers be shared out? Stages are not alike: both "
        "orders count.",
    )


def check_block_madds(block_madds: Callable[..., int]) -> None:
    """Judges the multiply-adds of an inverted residual."""

    def ask(*shape: int) -> float:
        return float(numbers(block_madds(*shape), (), "The number of multiply-adds"))

    _explain_stride_one(ask(2, 4, 3, 3, 4, 1))
    _explain_stride_two(ask(2, 4, 3, 3, 4, 2))
    found = ask(2, 4, 3, 3, 5, 2)
    require(
        found == 200 + 324 + 108,
        f"A side of 5 px at stride 2, and you count {found:,.0f}: the side is halved and rounded "
        "up.",
    )
    rng = np.random.default_rng(0)
    for _ in range(20):
        c_in, c_out = (int(c) for c in 8 * rng.integers(1, 20, size=2))
        expand, kernel, stride, side = (
            int(rng.choice(c)) for c in ([1, 6], [3, 7], [1, 2], [7, 14])
        )
        block = Block(c_in, c_out, kernel, expand, stride, side, "relu", squeeze=False)
        found = ask(c_in, expanded_channels(c_in, expand), c_out, kernel, side, stride)
        require(
            found == block_cost(block).madds,
            f"{block}: {found:,.0f} is not what natlib counts, though small blocks are right. Does "
            "each of the three convolutions have its own channels, kernel and side?",
        )
    passed("the count agrees with natlib's for twenty random blocks.")


def _explain_stride_one(found: float) -> None:
    """Says what is wrong with the count of a small block with stride 1."""
    require(
        found != 128 + 2304 + 192,
        "2,624 for 2 -> 4 -> 3 channels, kernel 3, 4 px: the depthwise kernel of a channel looks "
        "at that channel alone, not at all of them.",
    )
    require(
        found != 128 + 192 + 192,
        "512 for 2 -> 4 -> 3 channels, kernel 3, 4 px: a kernel of side 3 has nine weights.",
    )
    require(
        found == 896,
        f"2 -> 4 -> 3 channels, kernel 3, 4 px, stride 1: {found:,.0f} is not right. Count the "
        "three convolutions one after the other: which channels, which kernel, how many output "
        "pixels?",
    )


def _explain_stride_two(found: float) -> None:
    """Says what is wrong with the count of the same block with stride 2."""
    require(
        found != 32 + 144 + 48,
        "With stride 2 all three convolutions seem to work at 2 px. The stride belongs to the "
        "second of them: what does the first one see?",
    )
    require(
        found == 128 + 144 + 48,
        f"With stride 2 you count {found:,.0f}, which is not right. Where in the block does the "
        "picture become smaller?",
    )


def check_dearest_gene(dearest_gene: Callable[..., int]) -> None:
    """Judges which gene costs most when it is raised."""
    for space in (SearchSpace.pocket(), SearchSpace.paper()):
        cost = CostTable(space, num_classes=10)
        smallest = space.encode(space.smallest())
        for x in [smallest, *space.sample(20, 1)]:
            _check_gene(dearest_gene, space, cost, x)
    passed("the dearest gene of 42 architectures.")


def _check_gene(answer: Callable, space: SearchSpace, cost: CostTable, x: NDArray) -> None:
    """Judges the dearest gene of one architecture."""
    given = x.copy()
    found = numbers(answer(space, cost, given), (), "The index of the gene")
    require((given == x).all(), "The function changed the encoding it was given: work on a copy.")
    require(
        found in range(space.n_var), f"There is no gene {found:g}: they are 0 to {space.n_var - 1}."
    )
    added = []
    for gene in range(space.n_var):
        raised = x.copy()
        raised[gene] = space.upper[gene]
        added.append(int(cost.madds(space.repair(raised))[0] - cost.madds(x)[0]))
    ours = added[int(found)]
    require(
        ours == max(added),
        f"Encoding {x.tolist()} ({space.name} space): gene {found:g} adds {ours:,} MAdds, and "
        "another one adds more. Is each gene raised alone, to the top, and the largest *cost* "
        "taken?",
    )


def check_small_kernel(small_kernel: Callable[..., ArrayLike]) -> None:
    """Judges the chain of kernel matrices against a layer of natlib."""
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(8, 7, 7)).astype(np.float32)
    eye = {"7to5": np.eye(25, dtype=np.float32), "5to3": np.eye(9, dtype=np.float32)}
    learned = {k: rng.normal(size=m.shape).astype(np.float32) for k, m in eye.items()}

    def ask(matrices: dict[str, NDArray], size: int) -> NDArray[np.float64]:
        answer = small_kernel(weight.copy(), matrices, size)
        return numbers(answer, (8, size, size), f"The {size}x{size} kernels")

    require(
        same(ask(learned, 7), weight), "With size 7 the stored kernels should come out as they are."
    )
    for size, edge in ((5, 1), (3, 2)):
        require(
            same(ask(eye, size), weight[:, edge:-edge, edge:-edge]),
            f"With identities as matrices the {size}x{size} kernel should be the centre of the 7x7 "
            "kernel. Is it a corner, or are rows and columns mixed up?",
        )
    block = ElasticBlock(8, 8, (3, 5, 7), (1,), 1, "relu", False)
    with torch.no_grad():
        block.depth_conv.conv.weight.copy_(torch.from_numpy(weight)[:, None])
        for name, matrix in learned.items():
            block.kernel_matrices[name].copy_(torch.from_numpy(matrix))
        wanted = {size: block.depthwise_weight(size, 8)[:, 0].numpy() for size in (5, 3)}
    reasons = {
        5: "Each new value is a row of the matrix times the flattened centre: is the matrix used, "
        "on the right side, not transposed?",
        3: "The 5x5 kernel is right, the 3x3 kernel is not: it starts from the 5x5 kernel *after* "
        "its matrix, and then has a matrix of its own.",
    }
    for size, reason in reasons.items():
        require(
            same(ask(learned, size), wanted[size], 1e-4),
            f"With learned matrices the {size}x{size} kernel differs from natlib's. {reason}",
        )
    passed("the chain agrees with natlib's elastic layer.")


def check_without_matrices(without_matrices: Callable[[Supernet], Supernet]) -> None:
    """Judges the copy of a supernet whose kernel matrices are identities."""
    torch.manual_seed(0)
    net = Supernet(SearchSpace.pocket(), num_classes=2)
    for name, parameter in net.named_parameters():
        if "kernel_matrices" in name:
            nn.init.normal_(parameter)
    before = copy.deepcopy(net.state_dict())
    made = without_matrices(net)
    require(
        isinstance(made, Supernet), f"The answer should be a Supernet, not {type(made).__name__}."
    )
    require(
        all(torch.equal(before[k], v) for k, v in net.state_dict().items()),
        "The supernet that was given has changed. It is still needed: change a copy, one that has "
        "weights of its own.",
    )
    wrong, others = [], []
    for name, tensor in made.state_dict().items():
        if "kernel_matrices" not in name:
            others += [name] if not torch.equal(tensor, before[name]) else []
        elif not torch.equal(tensor, torch.eye(len(tensor))):
            wrong.append(name)
    require(
        not wrong,
        f"{len(wrong)} kernel matrices are no identities, such as {', '.join(wrong[:1])}. An "
        "identity has ones on its diagonal and zeros elsewhere, and every block has a matrix.",
    )
    require(not others, f"{len(others)} other weights have changed too, such as {others[:1]}.")
    passed("all matrices are identities, and nothing else has changed.")
