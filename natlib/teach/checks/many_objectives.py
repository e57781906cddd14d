"""Checks of the exercises of notebook 06: choice on a front, and the distance between fronts."""

import numpy as np
import pandas as pd
from pymoo.indicators.igd_plus import IGDPlus
from scipy.stats import spearmanr

from natlib.deploy.latency import LatencyTable
from natlib.search import non_dominated
from natlib.space import SearchSpace
from natlib.teach.checks import judged, require, rows, same, tabled
from natlib.teach.explorer import choose

check_everywhere = tabled(__name__, "check_everywhere", shape=())
check_never = tabled(__name__, "check_never", shape=())
check_probability = tabled(__name__, "check_probability", shape=())


def _random_front(n: int, n_objectives: int, seed: int) -> np.ndarray:
    """Returns the front of `n` random points in unequal units, `(m, n_objectives)`."""
    points = np.random.default_rng(seed).random((n, n_objectives))
    return points[non_dominated(points)] * 10.0 ** np.arange(0, 3 * n_objectives, 3) + 5


@judged("The chosen row", ())
def check_chebyshev(ask, say):
    """Judges `chebyshev(F, weights)`: the least largest weighted and scaled objective."""
    weights = np.random.default_rng(0).dirichlet([1, 1, 1], size=20).round(2)
    fronts = [(_random_front(60, 3, seed), w) for seed, w in enumerate(weights)]
    return {say.random: [(F, w, choose(F, w)) for F, w in fronts]}


@judged("The matrix of weights", np.shape)
def check_pseudo_weights(ask, say):
    """Judges `pseudo_weights(F)`: what each subnet is relatively good at."""
    F = _random_front(60, 3, 1)
    F = np.vstack([F, F[:5]])  # some are there twice
    good = (F.max(axis=0) - F) / np.ptp(F, axis=0)
    return {say.three: (F, good / good.sum(axis=1, keepdims=True))}


@judged("The matrix of intervals, two weights for each row,", np.shape)
def check_winning_weights(ask, say):
    """Judges `winning_weights(F)` on two objectives: at which weights each sum is the least."""
    for words, F, right in say.fronts:
        found = ask(np.array(F))
        about = {"words": words, "rows": found.round(2).tolist(), "found": found.round(3).tolist()}
        require(same([found[0, 1], found[2, 0]], [1, 0]), say.ends, **about)
        require(np.isnan(found[np.isnan(right)]).all(), say.never, **about)
        require(same(found, right), say.exact, **about)
    for seed in (3, 4, 5):
        F = _random_front(40, 2, seed)
        scaled, found = (F - F.min(axis=0)) / np.ptp(F, axis=0), ask(F)
        for w in np.linspace(0.0005, 0.9995, 500):
            row = int((scaled @ [w, 1 - w]).argmin())
            fine = found[row, 0] - 1e-5 <= w <= found[row, 1] + 1e-5
            require(fine, say.random, row=row, w=w, found=found[row].round(4).tolist())


@judged("The distance", ())
def check_igd_plus(ask, say):
    """Judges `igd_plus(F, reference)`: how far the front falls short of the reference."""
    F, reference = np.random.default_rng(0).random((2, 30, 3))
    return {say.three: (F[:9], reference, IGDPlus(reference)(F[:9]))}


@judged("The matrix, one row and column for each objective,", lambda F: (F.shape[1],) * 2)
def check_rank_correlation(ask, say):
    """Judges `rank_correlation(F)`: Spearman's of every pair of columns."""
    tied = [np.random.default_rng(n).integers(0, 4, size=(30, n)).astype(float) for n in (3, 4)]
    return {say.ties: [(F, spearmanr(F).statistic) for F in tied]}


@judged()
def check_deciding_tasks(deciding_tasks, say):
    """Judges `deciding_tasks(F)`, cost last: the tasks without which another row is chosen."""

    def ask(F):
        return sorted(rows(deciding_tasks(F), F.shape[1], say.form))

    found, twins = ask(np.array(say.table)), ask(np.array(say.pair))
    require(found != [0, 2], say.stays, found=found)
    require(found == [1], say.worst, F=say.table, found=found)
    require(2 not in twins, say.cost)
    require(not twins, say.twins, found=twins)
    for seed in range(20):
        rng, n = np.random.default_rng(seed), 2 + seed % 4
        errors = 0.6 * rng.random((60, 1)) + rng.random((60, n))
        F = np.column_stack([30 * errors, 4e6 - 2e6 * errors.mean(axis=1) + 1e6 * rng.random(60)])
        chosen = [choose(np.delete(F, k, axis=1), np.ones(n)) for k in range(n)]
        changed = np.flatnonzero(np.array(chosen) != choose(F, np.ones(n + 1))).tolist()
        require(ask(F) == changed, say.random, found=ask(F))


@judged()
def check_with_latency(ask, say):
    """Judges `with_latency(archive, table)` with tables in which only the resolution counts."""
    pocket = ["03 0 320 142 242", "00 0 320 142 242", "02 0 320 142 242", "00 0 320 142 242"]
    paper = [f"{r} 0 1100 1440 5510 5220 8877" for r in ("03", "00", "02", "00")]
    for space, names in ((SearchSpace.pocket(), pocket), (SearchSpace.paper(), paper)):
        n, places = len(space.resolutions), 1 + space.n_stages * space.max_depth
        ms = np.zeros((n, len(space.widths), 1 + space.n_layer_choices, places))
        ms[:, :, :, 0] = 2.0 ** np.arange(n)[:, None, None]  # what all of a resolution have
        archive = {"architecture": names, "madds": [3, 1, 2, 1]}
        table = LatencyTable(space, space.resolutions, ms, {})
        found = ask(pd.DataFrame(archive, index=[2, 0, 1, 2]), table)
        require(isinstance(found, pd.DataFrame) and "latency_ms" in found, say.form)
        require(found.architecture.tolist() == names, say.order)
        require(same(found.latency_ms, [8, 1, 4, 1]), say.value, found=found.latency_ms.tolist())


@judged("The chosen row", ())
def check_knee(ask, say):
    """Judges `knee(F)`: the point that by itself dominates the largest volume."""
    clouds = [np.random.default_rng(seed).random((80, 2 + seed % 3)) ** 0.5 for seed in range(30)]
    return {say.random: [(F, choose(F, np.ones(F.shape[1]), method="knee")) for F in clouds]}


@judged()
def check_front_on(ask, say):
    """Judges `front_on(archive, table)` with tables in which only the resolution counts."""
    names, space = (
        ["03 0 320 142 242", "00 0 320 142 242", "02 0 320 142 242"],
        SearchSpace.pocket(),
    )
    archive = pd.DataFrame({"architecture": names, "top1_err": [7.0, 9, 8]}, index=[2, 0, 1])
    for n, *ms in ((3, 1, 2, 3, 4, 5), (2, 1, 2, 9, 4, 5), (1, 9, 9, 9, 4, 5)):
        blocks = np.reshape(ms, (5, 1, 1, 1)) * np.ones((7, 1)) * np.eye(1, 10)
        found = ask(archive, LatencyTable(space, space.resolutions, blocks, {}))
        require(np.iterable(found), say.form, kind=type(found).__name__)
        require({*map(str, found)} == {*names[:n]}, say.front, ms=ms, found=[*found])
