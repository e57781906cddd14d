"""Self-checks of the exercises of notebook 06.

Each takes what the learner wrote and tries it on cases small enough to follow by hand. A wrong
answer raises `AssertionError` with a sentence about what is wrong; a right one prints a line.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from pymoo.indicators.igd_plus import IGDPlus
from scipy.stats import rankdata

from natlib.checks import numbers, passed, require
from natlib.explore import choose
from natlib.latency import LatencyTable
from natlib.search import non_dominated
from natlib.space import SearchSpace


def random_front(n: int, n_objectives: int, seed: int) -> np.ndarray:
    """Returns the front of `n` random points in unequal units, `(m, n_objectives)`."""
    points = np.random.default_rng(seed).random((n, n_objectives))
    return points[non_dominated(points)] * 10.0 ** np.arange(0, 3 * n_objectives, 3) + 5


def check_chebyshev(chebyshev: Callable[[np.ndarray, ArrayLike], int]) -> None:
    """Judges `chebyshev(F, weights)`.

    Raises:
        AssertionError: If it does not choose the least largest weighted and scaled objective.
    """

    def chosen(F: np.ndarray, weights: ArrayLike) -> int:
        answer = chebyshev(F.copy(), np.array(weights, dtype=float))
        return int(numbers(answer, (), "The chosen row"))

    dent = np.array([[5.0, 2e6], [11.0, 1.6e6], [15.0, 1e6]])
    row = chosen(dent, [1, 1])
    require(
        row == 1,
        f"Of a front of three, with equal weights, row {row} was chosen. Scaled, its rows are "
        "(0, 1), (0.6, 0.6) and (1, 0): what is the *worst* objective of each, and which of these "
        "is least? A sum, a mean or the best objective would choose otherwise.",
    )
    convex = np.array([[0.0, 1e6], [0.1, 1e5], [1.0, 0.0]])
    for weights, right in (([1, 1], 1), ([30, 1], 0), ([1, 30], 2)):
        row = chosen(convex, weights)
        require(
            row == right,
            f"With weights {weights}, row {row} of {convex.tolist()} was chosen. A larger weight "
            "demands more of its objective; are objectives scaled from 0 to 1 before they meet?",
        )
    for seed in range(20):
        F = random_front(60, 3, seed)
        weights = np.random.default_rng(seed).dirichlet([1, 1, 1])
        require(
            chosen(F, weights) == choose(F, weights),
            f"On a random front in three objectives with weights {weights.round(2)} another row "
            "has a smaller worst objective: scale by the best and the worst value of each column.",
        )
    passed("the same choices as natlib.explore.choose on 20 random fronts.")


def check_pseudo_weights(pseudo_weights: Callable[[np.ndarray], ArrayLike]) -> None:
    """Judges `pseudo_weights(F)`.

    Raises:
        AssertionError: If a row does not say what its subnet is relatively good at.
    """
    F = np.array([[5.0, 2e6], [10.0, 1.75e6], [15.0, 1e6]])
    found = numbers(pseudo_weights(F.copy()), F.shape, "The matrix of weights")
    require(
        np.allclose(found.sum(axis=1), 1),
        f"The weights of the rows add up to {found.sum(axis=1).round(2).tolist()}: they compare "
        "the objectives of *one* subnet, so along which axis must they add up to one?",
    )
    require(
        found[0, 0] > 0.99 and found[2, 1] > 0.99,
        f"The subnet that is best in the first objective and worst in the second has weights "
        f"{found[0].round(2).tolist()}: objectives are minimised, so what is good is far from 1.",
    )
    require(
        np.allclose(found[1], [2 / 3, 1 / 3]),
        f"The row in the middle, scaled (0.5, 0.75), has weights {found[1].round(3).tolist()}: how "
        "far is it from the worst, in each objective?",
    )
    F = random_front(60, 3, 1)
    good = (F.max(axis=0) - F) / np.ptp(F, axis=0)
    require(
        np.allclose(pseudo_weights(F.copy()), good / good.sum(axis=1, keepdims=True), atol=1e-6),
        "In three objectives the weights are wrong, though they are right in two.",
    )
    passed("each row says what its subnet is relatively good at.")


def check_winning_weights(winning_weights: Callable[[np.ndarray], ArrayLike]) -> None:
    """Judges `winning_weights(F)` on fronts in two objectives.

    Raises:
        AssertionError: If a row has other weights than those for which its weighted sum is least.
    """
    nan = np.nan
    cases = [
        (
            "bulges towards the ideal",
            [[0, 1], [0.2, 0.3], [1, 0]],
            [[7 / 9, 1], [3 / 11, 7 / 9], [0, 3 / 11]],
        ),
        (
            "has a dent in the middle",
            [[0, 1], [0.8, 0.8], [1, 0]],
            [[0.5, 1], [nan, nan], [0, 0.5]],
        ),
    ]
    for words, rows, right in cases:
        F = np.array(rows) * [20, 8e6] + [5, 1e6]
        found = np.array(winning_weights(F.copy()), dtype=float)
        require(
            found.shape == F.shape,
            f"The intervals have the shape {found.shape}: give two weights for each row.",
        )
        _explain_weights(words, F, found, np.array(right))
    F = random_front(40, 2, 3)
    scaled = (F - F.min(axis=0)) / np.ptp(F, axis=0)
    found = np.array(winning_weights(F.copy()), dtype=float)
    for w in np.linspace(0.0005, 0.9995, 500):
        row = int((scaled @ [w, 1 - w]).argmin())
        require(
            found[row, 0] - 1e-6 <= w <= found[row, 1] + 1e-6,
            f"On a random front row {row} has the least sum at weight {w:.4f}, which is outside of "
            f"its interval {found[row].round(4).tolist()}. Intervals are exact: compare with all "
            "other rows.",
        )
    passed("a weighted sum never reaches into a dent.")


def _explain_weights(words: str, F: np.ndarray, found: np.ndarray, right: np.ndarray) -> None:
    """Says which misunderstanding wrong intervals of three rows show."""
    where = f"On a front of three that {words}"
    require(
        np.isclose(found[0, 1], 1) and np.isclose(found[2, 0], 0),
        f"{where}, row 0 is best in the first objective and has {found[0].round(2).tolist()}, row "
        f"2 is worst there and has {found[2].round(2).tolist()}: with all weight on an objective, "
        "its best row has the *least* sum.",
    )
    reached = ~np.isnan(right[:, 0])
    require(
        np.isnan(found[~reached]).all(),
        f"{where}, row 1 has the weights {found[1].round(2).tolist()}. Which of the other two wins "
        "there? No weight is NaN.",
    )
    require(
        np.allclose(found[reached], right[reached], atol=1e-6),
        f"{where}, the weights are {found.round(3).tolist()}. At the end of an interval two rows "
        "have the same sum of *scaled* objectives, and one interval ends where the next begins.",
    )


def check_igd_plus(igd_plus: Callable[[np.ndarray, np.ndarray], float]) -> None:
    """Judges `igd_plus(F, reference)`.

    Raises:
        AssertionError: If it is not the mean distance that the front falls short of the reference.
    """

    def distance(F: np.ndarray, reference: np.ndarray) -> float:
        return float(numbers(igd_plus(F.copy(), reference.copy()), (), "The distance"))

    _explain_distances(distance)
    ends = np.array([[0.0, 1.0], [0.5, 0.5], [1.0, 0.0]])
    found = distance(ends[:1], ends)
    require(
        np.isclose(found, (0 + 0.5 + 1) / 3),
        f"A single point faces three reference points and the result is {found:.3f}: *every "
        "reference point* asks for its nearest point, and their distances are averaged.",
    )
    F, reference = np.random.default_rng(0).random((2, 30, 3))
    require(
        np.isclose(distance(F[:9], reference), IGDPlus(reference)(F[:9])),
        "In three objectives the result is wrong, though it is right in two: the distance is "
        "Euclidean.",
    )
    passed("the same as pymoo's IGD+ in three objectives.")


def _explain_distances(distance: Callable[[np.ndarray, np.ndarray], float]) -> None:
    """Says which distances count wrongly, with one point or two against two reference points."""
    reference = np.array([[0.0, 1.0], [1.0, 0.0]])
    better = distance(reference - 0.1, reference)
    require(
        np.isclose(better, 0),
        f"A front that beats every reference point has {better:.3f}: only what is *worse* than "
        "the reference counts as distance.",
    )
    middle = distance(np.array([[0.5, 0.5]]), reference)
    require(
        not np.isclose(middle, 0.5**0.5),
        "The distance counts objectives in which the point is better than the reference: that is "
        "IGD, without the plus.",
    )
    require(
        np.isclose(middle, 0.5),
        f"(0.5, 0.5) is held against (0, 1) and (1, 0), and the result is {middle:.3f}. In which "
        "objective does it fall short of each, by how much, and how do two distances become one?",
    )


def check_rank_correlation(rank_correlation: Callable[[np.ndarray], ArrayLike]) -> None:
    """Judges `rank_correlation(F)`.

    Raises:
        AssertionError: If it is not Spearman's rank correlation of every pair of columns.
    """
    x = np.arange(1.0, 7.0)
    F = np.column_stack([x, 10.0**x, -x, [3, 1, 2, 5, 4, 6], [1, 3, 4, 2, 5, 6]])
    what = "The matrix, of six subnets in five objectives,"
    found = numbers(rank_correlation(F.copy()), (5, 5), what)
    require(
        np.isclose(found[0, 1], 1),
        f"Column 1 grows whenever column 0 does, but they correlate by {found[0, 1]:.3f} only: are "
        "values compared, or ranks?",
    )
    require(
        np.isclose(found[0, 2], -1) and np.allclose(np.diag(found), 1),
        "A column must agree with itself by 1 and with its negative by -1.",
    )
    require(
        np.isclose(found[3, 4], 13 / 35),
        f"Ranks 3 1 2 5 4 6 and 1 3 4 2 5 6 correlate by {found[3, 4]:.3f}: is each entry the rank "
        "of the value there, and not the place where the value of that rank stands?",
    )
    tied = np.random.default_rng(1).integers(0, 4, size=(30, 3)).astype(float)
    right = np.corrcoef(rankdata(tied, axis=0), rowvar=False)
    require(
        np.allclose(rank_correlation(tied.copy()), right),
        "With equal values the result is wrong: equals share the mean of their ranks, whatever "
        "order they come in.",
    )
    passed("Spearman's rank correlation, ties included.")


def check_deciding_tasks(deciding_tasks: Callable[[np.ndarray], list[int]]) -> None:
    """Judges `deciding_tasks(F)`, with the cost in the last column.

    Raises:
        AssertionError: If it does not name the tasks without which another row is chosen.
    """

    def ask(F: np.ndarray) -> list[int]:
        answer = deciding_tasks(F.copy())
        fine = isinstance(answer, list | tuple | set | np.ndarray) and all(
            isinstance(k, int | np.integer) and not isinstance(k, bool) for k in answer
        )
        require(fine, f"Return a list with the numbers of the columns, not {answer!r}.")
        return sorted(int(k) for k in answer)

    _explain_deciding(ask)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        errors = 0.6 * rng.random((60, 1)) + rng.random((60, 4))
        F = np.column_stack([30 * errors, 4e6 - 2e6 * errors.mean(axis=1) + 1e6 * rng.random(60)])
        every = choose(F, np.ones(5))
        right = [k for k in range(4) if choose(np.delete(F, k, axis=1), np.ones(4)) != every]
        found = ask(F)
        require(
            found == right,
            f"For sixty random rows of four tasks you name {found}, which is not right. Compare "
            "each choice with that of *all* columns. A column that is left out has no say in the "
            "front and the scale either: it is not there, and all others are.",
        )
    passed("the tasks without which another subnet is chosen.")


def _explain_deciding(ask: Callable[[np.ndarray], list[int]]) -> None:
    """Says what is wrong with the deciding ones of three tasks, and of two that are twins."""
    chosen, rival = [3, 5, 2, 4], [3, 8, 3, 3.5]
    ends = [[0, 9, 9, 10], [10, 0, 10, 9], [9, 10, 0, 8], [10, 10, 10, 0]]
    F = np.array([*ends, rival, chosen])
    found = ask(F)
    require(
        found != [0, 2],
        f"Of three tasks you name {found}: does the choice change when one of these is left out, "
        "or does it stay?",
    )
    require(
        found == [1],
        f"All objectives of {F.tolist()} reach from 0 to 10. With all of them row 5 is chosen, and "
        f"you name {found}. In which objective is row 5 at its worst, and which row is chosen when "
        "that does not count? Does another task change anything?",
    )
    twins = np.array([[5, 5, 9e6], [8, 8, 4e6], [15, 15, 1e6]])
    found = ask(twins)
    require(
        2 not in found,
        "Column 2 of three is the cost, and you name it: the cost always stays, ask for the tasks.",
    )
    require(
        not found,
        f"Columns 0 and 1 hold the same errors, and you name {found}. When one of them is left "
        "out, what does the other one say?",
    )


def check_with_latency(
    with_latency: Callable[[pd.DataFrame, LatencyTable], pd.DataFrame],
) -> None:
    """Judges `with_latency(archive, table)` with a table in which only the resolution counts.

    Raises:
        AssertionError: If a row got the latency of another one, or the archive was changed.
    """
    space = SearchSpace.pocket()
    layers = np.zeros((5, 1, space.n_stages, space.max_depth, space.n_layer_choices + 1))
    ends = np.zeros((5, 1, 2))
    ends[:, 0, 0] = [1, 2, 4, 8, 16]
    table = LatencyTable(space, space.resolutions, ends, layers, {})
    names = ["03 0 320 142 242", "00 0 320 142 242", "02 0 320 142 242"]
    archive = pd.DataFrame({"architecture": names, "madds": [3, 1, 2]}, index=[2, 0, 1])
    untouched = archive.copy()
    found = with_latency(archive, table)
    require(
        archive.equals(untouched),
        "The archive that was passed in has changed: return a copy with one column more.",
    )
    require(
        isinstance(found, pd.DataFrame) and "latency_ms" in found,
        "Return the archive as a DataFrame with a column 'latency_ms'.",
    )
    require(
        found.architecture.tolist() == names,
        "The rows changed places: keep their order.",
    )
    require(
        np.allclose(found.latency_ms, [8, 1, 4]),
        f"Resolutions 28, 16 and 24 px take 8, 1 and 4 ms by the test's table, but the column says "
        f"{found.latency_ms.tolist()}: does every row have the latency of its own architecture, "
        "whatever the index is?",
    )
    passed("each architecture has its own latency.")


def check_knee(knee: Callable[[np.ndarray], int]) -> None:
    """Judges `knee(F)`.

    Raises:
        AssertionError: If it is not the point that by itself dominates the largest volume.
    """
    F = np.array([[5.0, 9e6], [6.0, 3e6], [20.0, 1e6]])

    def chosen(F: np.ndarray) -> int:
        return int(numbers(knee(F.copy()), (), "The chosen row"))

    row = chosen(F)
    require(
        row == 1,
        f"Row {row} of {F.tolist()} was chosen. Which row gives up little in either objective? "
        "Scale to 0 ... 1, and take the *largest* volume.",
    )
    row = chosen(np.vstack([[[5.0, 500e6]], F[1:], F[:1]]))
    require(
        row == 1,
        "One very bad subnet, which is not on the front, changed the scale and with it the choice: "
        "only the front says what best and worst are.",
    )
    for seed in range(20):
        F = np.random.default_rng(seed).random((80, 2 + seed % 2)) ** 2
        require(
            chosen(F) == choose(F, [1] * F.shape[1], method="knee"),
            "On random points another subnet dominates a larger volume, up to 1.1 in each scaled "
            "objective.",
        )
    passed("the same knees as natlib.explore.choose.")
