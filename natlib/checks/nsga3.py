"""Checks of the exercises of notebook 03: layers, crowding, repair, hypervolume, an objective."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from natlib.checks import numbers, passed, require, same
from natlib.layers import ConvNorm
from natlib.search import hypervolume, non_dominated
from natlib.space import Architecture, SearchSpace
from natlib.supernet import Subnet

Answer = Callable[..., ArrayLike]


def check_hypervolume(hypervolume_2d: Answer) -> None:
    """Judges the area that points dominate, in two objectives."""

    def area(F: ArrayLike, reference: tuple[float, float] = (4, 4)) -> float:
        points = np.array(F, dtype=float).reshape(-1, 2)
        return float(numbers(hypervolume_2d(points, np.array(reference)), (), "The hypervolume"))

    _explain_area(area)
    for seed in range(20):
        F = np.random.default_rng(seed).uniform(0, 1.2, size=(12, 2))
        ours = area(F, (1, 1))
        require(
            same(ours, hypervolume(F, (1, 1), (0, 0))),
            f"Twelve random points, reference (1, 1): {ours:.4f} is not the area that natlib "
            "counts. Draw the staircase of the front: each of its points adds one rectangle.",
        )
    passed("the area agrees with natlib.search.hypervolume for twenty random sets.")


def _explain_area(area: Callable[..., float]) -> None:
    """Says what is wrong with the area of a few points; their reference is (4, 4)."""
    one = area([[1, 2]])
    require(
        same(one, 6),
        f"The point (1, 2) alone, reference (4, 4): {one:g} is not its area. The rectangle reaches "
        "from the point to the reference.",
    )
    two = area([[1, 3], [2, 2]])
    require(
        same(two, 5),
        f"(1, 3) and (2, 2): {two:g} squares? Their rectangles overlap, and what both dominate "
        "counts once.",
    )
    require(
        same(area([[2, 2], [1, 3]]), 5),
        "The same two points in the other order give another area. What if you sort them first?",
    )
    require(
        same(area([[1, 3], [2, 2], [3, 3]]), 5),
        "(3, 3) is dominated by (2, 2), so it must not change the area of the other two.",
    )
    require(
        same(area([[2, 2], [5, 0]]), 4) and same(area([[5, 0]]), 0),
        "(5, 0) lies beyond the reference (4, 4) in the first objective and dominates nothing in "
        "the box: it must add nothing, and take nothing away.",
    )
    require(same(area([]), 0), "No points dominate nothing: the area should be 0.")


def check_layers(layers: Answer) -> None:
    """Judges non-dominated sorting."""

    def layer_of(F: ArrayLike) -> np.ndarray:
        F = np.array(F, dtype=float)
        return numbers(layers(F.copy()), (len(F),), "The vector of layers")

    _explain_layers(layer_of)
    for m in (2, 3):
        F = np.random.default_rng(m).integers(0, 6, size=(40, m)).astype(float)
        found = layer_of(F)
        for number in range(int(found.max()) + 1):
            left = np.flatnonzero(found >= number)
            require(
                set(left[non_dominated(F[left])]) == set(np.flatnonzero(found == number)),
                f"40 points with {m} objectives: layer {number} is not what is non-dominated once "
                "the layers before it are taken away.",
            )
    passed("every layer is the front of what the layers before it leave.")


def _explain_layers(layer_of: Callable[[ArrayLike], NDArray[np.float64]]) -> None:
    """Says what is wrong with the layers of three points."""
    chain = layer_of([[3, 3], [1, 1], [2, 2]])
    require(
        chain.min() == 0,
        f"The best layer has number 0, but the smallest number here is {chain.min():g}.",
    )
    require(
        not same(chain, [0, 2, 1]),
        "(1, 1) is the best of three and got the worst layer. All objectives are minimised.",
    )
    require(
        same(chain, [2, 0, 1]),
        f"(1, 1) dominates (2, 2), and that dominates (3, 3). For (3, 3), (1, 1), (2, 2) you have "
        f"{chain.astype(int).tolist()}. Who is left when the best is gone? Peel one front off "
        "after another.",
    )
    equal = layer_of([[1, 1], [1, 1], [1, 2]])
    require(
        not same(equal, [0, 0, 2]),
        "(1, 2) is dominated by two equal points, and once these are gone by nobody. A layer is "
        "how often a front was peeled off before, not the number of rivals.",
    )
    require(
        same(equal, [0, 0, 1]),
        f"(1, 1) twice and (1, 2), and you have {equal.astype(int).tolist()}: equal points do not "
        "dominate each other, and one objective may be equal if another is better.",
    )


def check_survivors(survivors: Answer) -> None:
    """Judges the survival of NSGA-II: layers first, then crowding distance within the last one."""

    def keep(F: ArrayLike, n: int) -> set[int]:
        F = np.array(F, dtype=float)
        kept = numbers(survivors(F.copy(), n), (n,), "The vector of survivors")
        fine = len({*kept}) == n and all(i in range(len(F)) for i in kept)
        require(fine, f"The survivors should be {n} different indices, not {kept.tolist()}.")
        return {int(i) for i in kept}

    _explain_survivors(keep)
    for seed in range(10):
        x = np.sort(np.random.default_rng(seed).uniform(0.05, 1, size=12))
        F = np.column_stack([x, 1 / x])
        require(
            keep(F, 6) == keep(F * [1, 1e6], 6),
            "Other survivors remain when MAdds are counted in ones instead of millions. What makes "
            "gaps in percent and in MAdds comparable?",
        )
    better, last = np.array([0, 1.9, 5.1, 9.5]), np.array([0, 2, 5.2, 6, 10])
    both = [np.column_stack([x, total - x]) for x, total in ((better, 9), (last, 10))]
    require(
        keep(np.vstack(both), 7) == {0, 1, 2, 3, 4, 5, 8},
        "Four points of the first layer and five of the second, seven stay. Neighbours are those "
        "of the same layer: the first layer is safe and crowds nobody in the second. And are "
        "distances computed once, or again after each removal?",
    )
    passed("layers come first, and the last one is thinned where it is crowded.")


def _explain_survivors(keep: Callable[[ArrayLike, int], set[int]]) -> None:
    """Says what is wrong with the survivors among five points, and among six of one front."""
    kept = keep([[4, 4], [0, 3], [9, 9], [1, 1], [3, 0]], 3)
    require(
        kept == {1, 3, 4},
        "Three of five points form the front, and three may stay: these three. You keep rows "
        f"{sorted(kept)}. A point far from all others is not kept for that if its layer is worse.",
    )
    x = np.array([0, 1, 2, 3, 6, 10])
    kept = keep(np.column_stack([x, 10 - x]), 4)
    require(
        {0, 5} <= kept,
        f"Six points of one front, four stay: the two ends must be among them, but you keep rows "
        f"{sorted(kept)}. How large is the crowding distance of an end?",
    )
    require(
        kept == {0, 3, 4, 5},
        "Six points at 0, 1, 2, 3, 6 and 10 along a line, four stay: those with the widest gaps, "
        f"and you keep rows {sorted(kept)}. Who stands closest to both neighbours?",
    )


def check_close_holes(close_holes: Answer) -> None:
    """Judges the repair of one stage."""
    space = SearchSpace.pocket()

    def repair(genes: ArrayLike) -> NDArray[np.float64]:
        genes = np.array(genes)
        given = genes.copy()
        closed = numbers(close_holes(given), genes.shape, "The matrix of genes")
        require(
            (given == genes).all(),
            "The function changed the matrix that it was given. The caller may still need it: work "
            "on a copy.",
        )
        return closed

    _explain_holes(repair)
    X = np.random.default_rng(0).integers(space.lower, space.upper + 1, size=(200, space.n_var))
    wanted = space.layer_genes(space.repair(X))
    for stage, genes in enumerate(space.layer_genes(X).swapaxes(0, 1)):
        wrong = np.flatnonzero((repair(genes) != wanted[:, stage]).any(axis=1))
        require(
            not len(wrong),
            f"Random stages: {_row(genes[wrong[:1]])} is not repaired as natlib repairs it. Does "
            "the function treat each row by itself?",
        )
    passed("holes are closed, and order and depth stay.")


def _explain_holes(repair: Callable[[ArrayLike], NDArray[np.float64]]) -> None:
    """Says what is wrong with the repair of single rows."""
    closed = repair([[1, 0, 3]])
    require(
        np.count_nonzero(closed) == 2,
        f"(1, 0, 3) has two active layers, your {_row(closed)} has not. The depth must stay.",
    )
    require(
        set(closed[0]) == {0, 1, 3},
        f"(1, 0, 3) became {_row(closed)}: an active layer keeps its gene, it only moves.",
    )
    require(closed[0, -1] == 0, f"(1, 0, 3) became {_row(closed)}: the hole belongs at the end.")
    require(
        same(closed, [[1, 3, 0]]),
        f"(1, 0, 3) became {_row(closed)}: the layers have changed their order.",
    )
    for row, wanted in (([5, 0, 0], [5, 0, 0]), ([2, 6, 1], [2, 6, 1]), ([0, 0, 5], [5, 0, 0])):
        closed = repair([row])
        require(
            same(closed, [wanted]),
            f"{_row([row])} became {_row(closed)}. Is there no hole to close, or are there two?",
        )


def _row(genes: ArrayLike) -> str:
    """Writes the first row of a matrix of genes."""
    return "(" + ", ".join(f"{gene:g}" for gene in np.asarray(genes)[0]) + ")" if len(genes) else ""


def check_activation(largest_activation: Answer) -> None:
    """Judges the objective against the tensors of real subnets."""
    space = SearchSpace.pocket()

    def ask(X: ArrayLike) -> NDArray[np.float64]:
        return numbers(largest_activation(space, np.array(X)), (len(X),), "The objective")

    X = space.sample(30, 0)
    found = ask(X)
    other_kernels = np.where(X > 0, (X - 1) // 2 * 2 + 1, 0)
    other_kernels[:, :2] = X[:, :2]
    require(
        same(ask(other_kernels), found),
        "The objective changes with the kernel size, but no tensor does: padding keeps its side.",
    )
    smallest = ask([space.encode(space.smallest())])[0]
    require(
        smallest == 1536,
        f"The smallest subnet sees 16 px, and you say {smallest:,.0f}. It is one tensor, not a "
        "sum; it stands before the stride; and skipped layers have none.",
    )
    largest = ask([space.encode(space.largest())])[0]
    require(
        largest == 24576,
        f"{largest:,.0f} is not the size of the largest tensor of the largest subnet. It is as "
        "wide as the expand ratio makes it, before the depthwise convolution.",
    )
    for x, ours in zip(X, found, strict=True):
        arch = space.decode(x)
        require(
            ours == _measured_activation(space, arch),
            f"{arch}: {ours:,.0f} is not the size of the largest tensor of the real subnet. Look "
            "at the side of each stage, and at the layers that are skipped.",
        )
    passed("the objective agrees with the tensors of thirty real subnets.")


@torch.no_grad()
def _measured_activation(space: SearchSpace, arch: Architecture) -> int:
    """Returns the values of the largest tensor that a convolution of the layers puts out."""
    subnet, sizes = Subnet(space, arch, num_classes=2).eval(), []
    for layer in subnet.blocks[1:].modules():
        if isinstance(layer, ConvNorm):
            layer.register_forward_hook(lambda _, inputs, output: sizes.append(output.numel()))
    subnet(torch.zeros(1, 3, arch.resolution, arch.resolution))
    return max(sizes)
