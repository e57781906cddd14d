"""Checks of the exercises of notebook 03: layers, crowding, repair, hypervolume, an objective."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from natlib.checks import numbers, passed, require, same
from natlib.search import hypervolume, non_dominated

Answer = Callable[..., ArrayLike]


def check_hypervolume(hypervolume_2d: Answer) -> None:
    """Judges the area that points dominate, in two objectives."""

    def area(F: ArrayLike, reference: tuple[float, float] = (4, 4)) -> float:
        points = np.array(F, dtype=float).reshape(-1, 2)
        return float(numbers(hypervolume_2d(points, np.array(reference)), (), "The hypervolume"))

    one = area([[1, 2]])
    require(
        same(one, 6),
        f"The point (1, 2) alone, reference (4, 4): a rectangle of 3 by 2, so 6, not {one:g}. The "
        "rectangle reaches from the point to the reference.",
    )
    two = area([[1, 3], [2, 2]])
    require(
        same(two, 5),
        f"(1, 3) and (2, 2) dominate 5 squares, not {two:g}. Their rectangles overlap, and what "
        "both dominate counts once.",
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
    for seed in range(20):
        F = np.random.default_rng(seed).uniform(0, 1.2, size=(12, 2))
        ours, wanted = area(F, (1, 1)), hypervolume(F, (1, 1), (0, 0))
        require(
            same(ours, wanted),
            f"Twelve random points, reference (1, 1): natlib counts {wanted:.4f}, you {ours:.4f}. "
            "Draw the staircase of the front: each of its points adds one rectangle.",
        )
    passed("the area agrees with natlib.search.hypervolume for twenty random sets.")


def check_layers(layers: Answer) -> None:
    """Judges non-dominated sorting."""

    def layer_of(F: ArrayLike) -> np.ndarray:
        F = np.array(F, dtype=float)
        return numbers(layers(F.copy()), (len(F),), "The vector of layers")

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
        f"(1, 1) dominates (2, 2), and that dominates (3, 3). The layers of (3, 3), (1, 1), (2, 2) "
        f"are 2, 0 and 1, not {chain.astype(int).tolist()}. Peel one front off after another.",
    )
    equal = layer_of([[1, 1], [1, 1], [1, 2]])
    require(
        not same(equal, [0, 0, 2]),
        "(1, 2) is dominated by two equal points, and once these are gone by nobody: its layer is "
        "1. A layer is how often a front was peeled off before, not the number of rivals.",
    )
    require(
        same(equal, [0, 0, 1]),
        "(1, 1) twice and (1, 2) should be in layers 0, 0 and 1. Equal points do not dominate each "
        "other, and one objective may be equal if another is better.",
    )
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
