"""Checks of the exercises of notebook 06: choice on a front, and the distance between fronts."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from pymoo.indicators.igd_plus import IGDPlus
from scipy.stats import spearmanr

from natlib.deploy.latency import LatencyTable
from natlib.search import non_dominated
from natlib.space import SearchSpace
from natlib.teach.checks import asking, cases, check, passed, require, same, says, tabled, unlike
from natlib.teach.explorer import choose

check_probability = tabled(__name__, "check_probability", shape=())


def _random_front(n: int, n_objectives: int, seed: int) -> np.ndarray:
    """Returns the front of `n` random points in unequal units, `(m, n_objectives)`."""
    points = np.random.default_rng(seed).random((n, n_objectives))
    return points[non_dominated(points)] * 10.0 ** np.arange(0, 3 * n_objectives, 3) + 5


def check_chebyshev(chebyshev: Callable[[np.ndarray, ArrayLike], int]) -> None:
    """Judges `chebyshev(F, weights)`: the least largest weighted and scaled objective."""
    say, ask = says(check_chebyshev), asking(chebyshev, "The chosen row")
    dent = [[5.0, 2e6], [11.0, 1.6e6], [15.0, 1e6]]
    convex = [[0.0, 1e6], [0.1, 1e5], [1.0, 0.0]]
    weights = np.random.default_rng(0).dirichlet([1, 1, 1], size=20).round(2)
    fronts = [(_random_front(60, 3, seed), w) for seed, w in enumerate(weights)]
    table = {
        say.dent: (dent, [1, 1], 1),
        say.weights: [(convex, [1, 1], 1), (convex, [30, 1], 0), (convex, [1, 30], 2)],
        say.random: [(F, w, choose(F, w)) for F, w in fronts],
    }
    cases(ask, table)
    passed("the same choices as natlib.teach.explorer.choose on 20 random fronts.")


def check_pseudo_weights(pseudo_weights: Callable[[np.ndarray], ArrayLike]) -> None:
    """Judges `pseudo_weights(F)`: what each subnet is relatively good at."""
    say = says(check_pseudo_weights)
    ask = asking(pseudo_weights, "The matrix of weights", np.shape)
    found = ask([[5.0, 2e6], [10.0, 1.75e6], [15.0, 1e6]])
    sums, (first, middle, last) = found.sum(axis=1).round(2).tolist(), found
    require(np.allclose(found.sum(axis=1), 1), say.sum, sums=sums)
    require(first[0] > 0.99 and last[1] > 0.99, say.good, first=first.round(2).tolist())
    require(np.allclose(middle, [2 / 3, 1 / 3]), say.middle, middle=middle.round(3).tolist())
    F = _random_front(60, 3, 1)
    good = (F.max(axis=0) - F) / np.ptp(F, axis=0)
    cases(ask, {say.three: (F, good / good.sum(axis=1, keepdims=True))}, 1e-5)
    passed("each row says what its subnet is relatively good at.")


def check_winning_weights(winning_weights: Callable[[np.ndarray], ArrayLike]) -> None:
    """Judges `winning_weights(F)` on two objectives: at which weights each sum is the least."""
    say = says(check_winning_weights)

    def ask(F: np.ndarray) -> np.ndarray:
        found = np.array(winning_weights(F.copy()), dtype=float)
        require(found.shape == F.shape, say.form, shape=found.shape)
        return found

    fronts = [
        ("bulges towards the ideal", [0.2, 0.3], [[7 / 9, 1], [3 / 11, 7 / 9], [0, 3 / 11]]),
        ("has a dent in the middle", [0.8, 0.8], [[0.5, 1], [np.nan, np.nan], [0, 0.5]]),
    ]
    for words, middle, right in fronts:
        found = ask(np.array([[0, 1], middle, [1, 0]]) * [20, 8e6] + [5, 1e6])
        about = {"words": words, "rows": found.round(2).tolist(), "found": found.round(3).tolist()}
        require(np.allclose([found[0, 1], found[2, 0]], [1, 0]), say.ends, **about)
        require(np.isnan(found[np.isnan(right)]).all(), say.never, **about)
        require(np.allclose(found, right, atol=1e-6, equal_nan=True), say.exact, **about)
    F = _random_front(40, 2, 3)
    scaled, found = (F - F.min(axis=0)) / np.ptp(F, axis=0), ask(F)
    for w in np.linspace(0.0005, 0.9995, 500):
        row = int((scaled @ [w, 1 - w]).argmin())
        fine = found[row, 0] - 1e-6 <= w <= found[row, 1] + 1e-6
        require(fine, say.random, row=row, w=w, found=found[row].round(4).tolist())
    passed("a weighted sum never reaches into a dent.")


def check_igd_plus(igd_plus: Callable[[np.ndarray, np.ndarray], float]) -> None:
    """Judges `igd_plus(F, reference)`: how far the front falls short of the reference."""
    say, ends, middle = says(check_igd_plus), [[0, 1], [1, 0]], [[0.5, 0.5]]
    F, reference = np.random.default_rng(0).random((2, 30, 3))
    table = {
        say.better: ([[-0.1, 0.9], [0.9, -0.1]], ends, 0),
        say.igd: (middle, ends, unlike(0.5**0.5)),
        say.middle: (middle, ends, 0.5),
        say.single: ([[0, 1]], [[0, 1], [0.5, 0.5], [1, 0]], 0.5),
        say.three: (F[:9], reference, IGDPlus(reference)(F[:9])),
    }
    cases(asking(igd_plus, "The distance"), table, 1e-5)
    passed("the same as pymoo's IGD+ in three objectives.")


def check_rank_correlation(rank_correlation: Callable[[np.ndarray], ArrayLike]) -> None:
    """Judges `rank_correlation(F)`: Spearman's of every pair of columns."""
    say, x = says(check_rank_correlation), np.arange(1.0, 7.0)
    F = np.column_stack([x, 10.0**x, -x, [3, 1, 2, 5, 4, 6], [1, 3, 4, 2, 5, 6]])
    found = asking(rank_correlation, "The matrix, of six subnets in five objectives,", (5, 5))(F)
    require(np.isclose(found[0, 1], 1), say.values, found=found[0, 1])
    require(np.isclose(found[0, 2], -1) and np.allclose(np.diag(found), 1), say.ends)
    require(np.isclose(found[3, 4], 13 / 35), say.order, found=found[3, 4])
    tied = np.random.default_rng(1).integers(0, 4, size=(30, 3)).astype(float)
    require(same(rank_correlation(tied.copy()), spearmanr(tied).statistic, 1e-5), say.ties)
    passed("Spearman's rank correlation, ties included.")


def check_deciding_tasks(deciding_tasks: Callable[[np.ndarray], list[int]]) -> None:
    """Judges `deciding_tasks(F)`, cost last: the tasks without which another row is chosen."""
    say = says(check_deciding_tasks)

    def ask(F: np.ndarray) -> list[int]:
        answer, whole = deciding_tasks(F.copy()), int | np.integer
        fine = isinstance(answer, list | tuple | set | np.ndarray)
        fine = fine and all(isinstance(k, whole) and not isinstance(k, bool) for k in answer)
        require(fine, say.form, answer=answer)
        return sorted(int(k) for k in answer)

    def right(F: np.ndarray) -> list[int]:
        n, every = F.shape[1] - 1, choose(F, np.ones(F.shape[1]))
        return [k for k in range(n) if choose(np.delete(F, k, axis=1), np.ones(n)) != every]

    ends = [[0, 9, 9, 10], [10, 0, 10, 9], [9, 10, 0, 8], [10, 10, 10, 0]]
    F = np.array([*ends, [3, 8, 3, 3.5], [3, 5, 2, 4]])
    found, twins = ask(F), ask(np.array([[5, 5, 9e6], [8, 8, 4e6], [15, 15, 1e6]]))
    require(found != [0, 2], say.stays, found=found)
    require(found == [1], say.worst, F=F.tolist(), found=found)
    require(2 not in twins, say.cost)
    require(not twins, say.twins, found=twins)
    for rng in map(np.random.default_rng, range(20)):
        errors = 0.6 * rng.random((60, 1)) + rng.random((60, 4))
        F = np.column_stack([30 * errors, 4e6 - 2e6 * errors.mean(axis=1) + 1e6 * rng.random(60)])
        found = ask(F)
        require(found == right(F), say.random, found=found)
    passed("the tasks without which another subnet is chosen.")


def check_with_latency(with_latency: Callable[[pd.DataFrame, LatencyTable], pd.DataFrame]) -> None:
    """Judges `with_latency(archive, table)` with a table in which only the resolution counts."""
    say, space = says(check_with_latency), SearchSpace.pocket()
    ms = np.zeros((5, 1, 1 + space.n_layer_choices, 1 + space.n_stages * space.max_depth))
    ms[:, 0, :, 0] = 2.0 ** np.arange(5)[:, None]  # of what all subnets of a resolution have
    names = ["03 0 320 142 242", "00 0 320 142 242", "02 0 320 142 242"]
    archive = pd.DataFrame({"architecture": names, "madds": [3, 1, 2]}, index=[2, 0, 1])
    given = archive.copy()
    found = with_latency(given, LatencyTable(space, space.resolutions, ms, {}))
    require(archive.equals(given), say.changed)
    require(isinstance(found, pd.DataFrame) and "latency_ms" in found, say.form)
    require(found.architecture.tolist() == names, say.order)
    require(np.allclose(found.latency_ms, [8, 1, 4]), say.value, found=found.latency_ms.tolist())
    passed("each architecture has its own latency.")


def check_knee(knee: Callable[[np.ndarray], int]) -> None:
    """Judges `knee(F)`: the point that by itself dominates the largest volume."""
    say, ask = says(check_knee), asking(knee, "The chosen row")
    F = [[5.0, 9e6], [6.0, 3e6], [20.0, 1e6]]
    clouds = [np.random.default_rng(seed).random((80, 2 + seed % 2)) ** 2 for seed in range(20)]
    table = {
        say.knee: (F, 1),
        say.outlier: ([[5.0, 500e6], *F[1:], F[0]], 1),
        say.random: [(F, choose(F, np.ones(F.shape[1]), method="knee")) for F in clouds],
    }
    cases(ask, table)
    passed("the same knees as natlib.teach.explorer.choose.")


@check()
def check_front_on(ask, say):
    """Judges the front of error and latency, with tables in which only the resolution counts."""
    names = ["03 0 320 142 242", "00 0 320 142 242", "02 0 320 142 242"]
    archive = pd.DataFrame({"architecture": names, "top1_err": [7.0, 9, 8]}, index=[2, 0, 1])
    for n, *ms in ((3, 1, 2, 3, 4, 5), (2, 1, 2, 9, 4, 5), (1, 9, 9, 9, 4, 5)):
        blocks, space = np.ones((7, 1)) * np.eye(1, 10), SearchSpace.pocket()
        table = LatencyTable(space, space.resolutions, np.reshape(ms, (5, 1, 1, 1)) * blocks, {})
        found = ask(archive.copy(), table)
        require(np.iterable(found), say.form, kind=type(found).__name__)
        require({*map(str, found)} == {*names[:n]}, say.front, ms=ms, found=[*found])
