"""Many-objective search: NSGA-III over encodings, and what is done with the fronts it finds.

Objectives are columns of a float matrix `F` and always minimised. Everything here works on whole
populations of encodings and knows neither images nor networks (NAT, steps 2b to 2d).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from math import comb
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pymoo.algorithms.moo.nsga3 import NSGA3, ReferenceDirectionSurvival
from pymoo.core.operator import Operator
from pymoo.core.population import Population
from pymoo.core.problem import Problem
from pymoo.core.repair import Repair
from pymoo.indicators.hv import HV
from pymoo.operators.crossover.pntx import TwoPointCrossover
from pymoo.operators.mutation.pm import PM
from pymoo.operators.repair.rounding import RoundingRepair
from pymoo.optimize import minimize
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting
from pymoo.util.ref_dirs import get_reference_directions

from natlib.cost import CostTable
from natlib.space import IntMatrix, SearchSpace

FloatMatrix = NDArray[np.float64]
Objective = Callable[[IntMatrix], ArrayLike]
POOL = 10_000  # architectures that the first sample is chosen from


class Found(NamedTuple):
    """A population: unique canonical encodings `(n, n_var)` and objectives `(n, n_objectives)`."""

    X: IntMatrix
    F: FloatMatrix


class SubnetProblem(Problem):
    """Subnets as a pymoo problem: integer genes, whole populations at once.

    Args:
        space: The search space.
        objectives: Name to function of encodings `(n, n_var)` that returns `(n,)`.
        limits: Upper bounds of objectives, by name.

    Raises:
        ValueError: If there is no objective, or a limit names none.
    """

    def __init__(
        self, space: SearchSpace, objectives: dict[str, Objective], limits: dict[str, float]
    ) -> None:
        if not objectives or not set(limits) <= set(objectives):
            raise ValueError(
                f"Limits {list(limits)} must name objectives, and these are {list(objectives)}."
            )
        super().__init__(
            n_var=space.n_var,
            n_obj=len(objectives),
            n_ieq_constr=len(limits),
            xl=space.lower,
            xu=space.upper,
            vtype=int,
        )
        self.space = space
        self.objectives = objectives
        self.limits = limits

    def _evaluate(self, X: IntMatrix, out: dict, *args, **kwargs) -> None:
        F = np.column_stack([objective(X) for objective in self.objectives.values()])
        names = list(self.objectives)
        excess = [F[:, names.index(n)] / limit - 1 for n, limit in self.limits.items()]
        out["F"] = F.astype(np.float64)
        if excess:
            out["G"] = np.column_stack(excess)


class CanonicalRepair(Repair):
    """Makes every individual that the operators produce canonical."""

    def _do(self, problem: SubnetProblem, X: IntMatrix, **kwargs) -> IntMatrix:
        return problem.space.repair(X)


def nsga3(
    space: SearchSpace,
    objectives: dict[str, Objective],
    X_start: IntMatrix,
    *,
    limits: dict[str, float] | None = None,
    population: int = 100,
    generations: int = 20,
    seed: int = 0,
    callback: Callable[[int, IntMatrix, FloatMatrix], None] | None = None,
) -> Found:
    """Searches the space with NSGA-III and `operators` (NAT, step 2b).

    Args:
        space: The search space.
        objectives: Name to function of encodings `(n, n_var)` that returns `(n,)`; at least one,
            all minimised.
        X_start: Encodings to start from, `(n, n_var)`, such as the archive's front; random ones of
            all sizes fill up the first population.
        limits: Upper bounds of objectives, by name, such as `{"madds": 600e6}`.
        population: Size of the population.
        generations: Generations after the first population.
        seed: Seed of everything random.
        callback: Called after each generation with its number, encodings and objectives.

    Returns:
        The final population, without individuals that break a limit.

    Raises:
        ValueError: If a limit names no objective, the population is smaller than the number of
            objectives, or no individual keeps the limits.
    """
    problem = SubnetProblem(space, objectives, limits or {})
    algorithm = NSGA3(
        reference_directions(len(objectives), population),
        pop_size=population,
        sampling=_first_population(space, X_start, population, seed),
        **operators(),
    )

    def after_generation(state: NSGA3) -> None:
        if callback is not None:
            callback(state.n_gen - 1, state.pop.get("X").astype(np.int64), state.pop.get("F"))

    stop = ("n_gen", generations + 1)
    result = minimize(problem, algorithm, stop, seed=seed, callback=after_generation)
    X, F, feasible = result.pop.get("X", "F", "feas")
    if not feasible.any():
        raise ValueError(
            f"The search found no architecture within the limits {limits}: raise them."
        )
    return Found(X[feasible.ravel()].astype(np.int64), F[feasible.ravel()])


def operators() -> dict[str, Operator]:
    """Returns crossover, mutation and repair for a genetic algorithm of pymoo over encodings.

    Two-point crossover with probability 0.9, then polynomial mutation of one gene in `n_var` on
    average, rounded to integers, then repair to the canonical encoding.
    """
    return {
        "crossover": TwoPointCrossover(prob=0.9),
        "mutation": PM(prob=1.0, eta=3.0, vtype=float, repair=RoundingRepair()),
        "repair": CanonicalRepair(),
    }


@lru_cache
def reference_directions(n_objectives: int, n_directions: int) -> FloatMatrix:
    """Returns at most `n_directions` evenly spread directions, `(n, n_objectives)`.

    Das and Dennis: all points of the simplex with coordinates that are multiples of `1/p`, with
    the largest `p` that fits. With `p` below the number of objectives all points lie on the
    boundary; from four objectives on, a second layer half as far from the centre joins them,
    where there is room.

    Raises:
        ValueError: If there are fewer directions than objectives.
    """
    if n_directions < n_objectives:
        raise ValueError(
            f"{n_directions} directions or individuals are too few for {n_objectives} objectives: "
            "take at least one for each."
        )
    if n_objectives == 1:
        return np.ones((1, 1))

    def layer(room: int) -> FloatMatrix:
        p = 1
        while comb(n_objectives + p, p + 1) <= room:
            p += 1
        return get_reference_directions("das-dennis", n_objectives, n_partitions=p)

    outer = layer(n_directions)
    room = n_directions - len(outer)
    if n_objectives <= 3 or room < n_objectives:
        return outer
    return np.vstack([outer, (layer(room) + 1 / n_objectives) / 2])


def _first_population(space: SearchSpace, X_start: IntMatrix, n: int, seed: int) -> IntMatrix:
    """Returns the start, repaired and unique, filled up with random subnets of all sizes."""
    X = space.repair(np.vstack([X_start, _tilted(space, n, seed)]))
    first = np.sort(np.unique(X, axis=0, return_index=True)[1])
    return X[first[: max(n, len(X_start))]]


def non_dominated(F: ArrayLike) -> NDArray[np.bool_]:
    """Returns which rows of `F` no other row dominates, bool `(n,)`.

    A row dominates another if it is nowhere worse and somewhere better.
    """
    F = np.asarray(F, dtype=np.float64)
    mask = np.zeros(len(F), dtype=bool)
    mask[NonDominatedSorting().do(F, only_non_dominated_front=True)] = True
    return mask


def hypervolume(F: ArrayLike, reference: ArrayLike, ideal: ArrayLike) -> float:
    """Returns the share of a box that the points of `F` dominate, in [0, 1].

    The box reaches from `ideal` to `reference`. Keep both fixed through a run, or its iterations
    cannot be compared. Points beyond `reference` count nothing.

    Args:
        F: Objectives, `(n, n_objectives)`.
        reference: Worst corner of the box, `(n_objectives,)`.
        ideal: Best corner of the box, `(n_objectives,)`.

    Raises:
        ValueError: If the reference is not worse than the ideal everywhere.
    """
    reference, ideal = np.asarray(reference, dtype=float), np.asarray(ideal, dtype=float)
    if np.any(reference <= ideal):
        raise ValueError(
            f"The reference {reference.tolist()} must exceed the ideal {ideal.tolist()} in every "
            "objective."
        )
    N = np.maximum((np.asarray(F, dtype=float) - ideal) / (reference - ideal), 0)
    N = N[(N < 1).all(axis=1)]
    return float(HV(ref_point=np.ones(len(ideal)))(N)) if len(N) else 0.0


def choose_candidates(
    F_new: ArrayLike,
    F_archive: ArrayLike,
    k: int,
    X_new: IntMatrix | None = None,
    X_archive: IntMatrix | None = None,
) -> IntMatrix:
    """Chooses the new points that best fill the gaps of the archive's front (NAT, step 2c).

    With two or three objectives: one after another the point that adds most hypervolume to the
    front, because that is what the search is judged by, and a point in a wide gap adds more than
    one beside a point that is already there. With more objectives hypervolume becomes expensive;
    then the point that lowers IGD+ most, which says the same of the front's points: how far each
    lies from what is there.

    Args:
        F_new: Objectives of the new points, `(n, n_objectives)`.
        F_archive: Objectives of the archive, `(m, n_objectives)`.
        k: Number of points to choose.
        X_new: Encodings of the new points; with `X_archive` they tell what is new. Without them,
            a point whose objectives stand in the archive is none.
        X_archive: Encodings of the archive.

    Returns:
        Indices into the new points, the best first; `k` of them, or all where fewer are new.
    """
    F_new, F_archive = np.asarray(F_new, dtype=float), np.asarray(F_archive, dtype=float)
    new = _new_rows(F_new, F_archive) if X_new is None else _new_rows(X_new, X_archive)
    if not len(new):
        return new
    F_all = np.vstack([F_new, F_archive])
    ideal, span = F_all.min(axis=0), np.maximum(np.ptp(F_all, axis=0), 1e-12)
    N_new, N_archive = (F_new[new] - ideal) / span, (F_archive - ideal) / span
    rule = _by_hypervolume if F_new.shape[1] <= 3 else _by_coverage
    return new[rule(N_new, N_archive, k)]


def _new_rows(rows: ArrayLike, known: ArrayLike) -> IntMatrix:
    """Returns indices of the rows that are not among the known ones, each only once."""
    known = {tuple(row) for row in np.asarray(known).tolist()}
    fresh = {tuple(row): i for i, row in reversed(list(enumerate(np.asarray(rows).tolist())))}
    return np.array(sorted(i for row, i in fresh.items() if row not in known), dtype=np.int64)


def _by_hypervolume(
    N_new: FloatMatrix, N_known: FloatMatrix, k: int, reference: float = 1.1
) -> list[int]:
    """Chooses by hypervolume added to the known points; when nothing adds any, to the chosen ones.

    The second round matters where the known points are measured and lucky: then many a good
    candidate, predicted without luck, seems dominated.
    """
    chosen = _most_volume(N_new, range(len(N_new)), N_known, k, reference)
    rest = [i for i in range(len(N_new)) if i not in chosen]
    chosen += _most_volume(N_new, rest, N_new[chosen], k - len(chosen), reference)
    rest = [i for i in rest if i not in chosen]
    return (chosen + sorted(rest, key=lambda i: N_new[i].sum()))[:k]


def _most_volume(
    N: FloatMatrix, rows: Iterable[int], known: FloatMatrix, k: int, reference: float
) -> list[int]:
    """Takes, one after another, the row that adds most hypervolume, while one adds any."""
    volume = HV(ref_point=np.full(N.shape[1], reference))
    front = list(known[non_dominated(known)]) if len(known) else []
    total = volume(np.array(front)) if front else 0.0
    chosen, rows = [], list(rows)
    while rows and len(chosen) < k:
        gains = [volume(np.array([*front, N[i]])) - total for i in rows]
        best = int(np.argmax(gains))
        if gains[best] < 1e-12:
            break
        total += gains[best]
        chosen.append(rows.pop(best))
        front.append(N[chosen[-1]])
    return chosen


def _by_coverage(N_new: FloatMatrix, N_known: FloatMatrix, k: int) -> list[int]:
    """Chooses, one after another, the point that lowers IGD+ most.

    IGD+ is the mean distance from the points of the front, here that of new and known points
    together, to the nearest point that is known or chosen, counting only the objectives in which
    that is worse.
    """
    together = np.vstack([N_new, N_known])
    front = together[non_dominated(together)]

    def distances(N: FloatMatrix) -> FloatMatrix:
        return np.sqrt((np.maximum(N[None] - front[:, None], 0) ** 2).sum(axis=2))

    gap, nearer = distances(N_known).min(axis=1, initial=np.inf), distances(N_new)
    chosen: list[int] = []
    for _ in range(min(k, len(N_new))):
        means = np.minimum(gap[:, None], nearer).mean(axis=0)
        means[chosen] = np.inf
        chosen.append(int(means.argmin()))
        gap = np.minimum(gap, nearer[:, chosen[-1]])
    return chosen


def select_best(F: ArrayLike, n: int) -> IntMatrix:
    """Returns indices of the `n` best points by NSGA-III survival, ascending (NAT, step 2d).

    Non-dominated layers first; the last layer that does not fit is thinned by reference
    directions.

    Args:
        F: Objectives, `(m, n_objectives)`.
        n: Number of points, at most `m`.

    Raises:
        ValueError: If there are fewer than `n` points.
    """
    F = np.asarray(F, dtype=np.float64)
    if n > len(F):
        raise ValueError(f"There are {len(F)} points, too few to select {n}.")
    survival = ReferenceDirectionSurvival(reference_directions(F.shape[1], max(n, F.shape[1])))
    kept = survival.do(
        Problem(n_obj=F.shape[1]),
        Population.new(F=F),
        n_survive=n,
        random_state=np.random.default_rng(0),
        return_indices=True,
    )
    return np.sort(np.array(kept, dtype=np.int64))


def knee_points(F: ArrayLike, n: int) -> IntMatrix:
    """Returns indices of `n` points with the best trade-off, ordered by cost: M1 ... Mn (NAT, 3).

    One after another, the point that adds most hypervolume to those chosen, in the box from the
    front's best to its worst values. The first is the knee of the whole front, the others are
    knees of what it left open; the ends of the front add nothing and come last.

    Args:
        F: Objectives of a front, `(m, n_objectives)`; the second column is the cost.
        n: Number of points; all of them where the front has fewer.
    """
    F = np.asarray(F, dtype=np.float64)
    N = (F - F.min(axis=0)) / np.maximum(np.ptp(F, axis=0), 1e-12)
    chosen = np.array(_by_hypervolume(N, N[:0], n, reference=1.0), dtype=np.int64)
    return chosen[np.argsort(F[chosen, min(1, F.shape[1] - 1)], kind="stable")]


def gene_distribution(X_best: IntMatrix, space: SearchSpace, smoothing: float = 1.0) -> FloatMatrix:
    """Estimates the distribution of each gene over the best architectures (NAT, step 2d).

    Each gene is a categorical variable, counted where its layer can be active, that is where the
    layer before it is. To the count of every choice `smoothing` is added (Laplace's rule), so
    that nothing has probability zero.

    Args:
        X_best: Canonical encodings, `(n, n_var)`.
        space: The search space.
        smoothing: Imaginary observations of each choice, above zero.

    Returns:
        Probabilities of each value of each gene, `(n_var, largest value + 1)`; rows sum to one,
        values outside a gene's bounds have zero.
    """
    X = space.check_valid(X_best)
    values = np.arange(space.upper.max() + 1)
    open_ = np.ones(X.shape, dtype=bool)
    genes = space.layer_genes(X)
    open_[:, 2:].reshape(genes.shape)[:, :, 1:] = genes[:, :, :-1] > 0
    counts = ((X[:, :, None] == values) & open_[:, :, None]).sum(axis=0) + smoothing
    counts[(values < space.lower[:, None]) | (values > space.upper[:, None])] = 0
    return counts / counts.sum(axis=1, keepdims=True)


def sample_distribution(
    genes: FloatMatrix, space: SearchSpace, n: int, rng: np.random.Generator | int
) -> IntMatrix:
    """Draws canonical encodings from `gene_distribution`, int64 `(n, n_var)`.

    Genes are drawn independently; a skipped layer ends its stage.

    Args:
        genes: Probabilities, `(n_var, largest value + 1)`.
        space: The search space.
        n: Number of architectures.
        rng: Random generator, or a seed for one.
    """
    rng = np.random.default_rng(rng)
    u = rng.random((n, space.n_var, 1))
    X = np.minimum((u >= genes.cumsum(axis=1)).sum(axis=2), space.upper)
    layers = space.layer_genes(X)
    layers = np.where(np.minimum.accumulate(layers, axis=2) > 0, layers, 0)
    return np.hstack([X[:, :2], layers.reshape(n, -1)]).astype(np.int64)


def sample_spread(
    space: SearchSpace, cost_table: CostTable, n: int, rng: np.random.Generator | int
) -> IntMatrix:
    """Draws a first sample that covers MAdds evenly (NAT, step 1).

    Uniform genes would crowd in the middle of the range. So a large pool is drawn, each row with a
    tilt of its own towards small or large genes, and for `n` evenly spaced MAdds the closest
    architecture of the pool is taken.

    Args:
        space: The search space.
        cost_table: Counts the MAdds.
        n: Number of architectures, two or more.
        rng: Random generator, or a seed for one.

    Returns:
        Unique canonical encodings, int64 `(n, n_var)`, ascending in MAdds; the smallest and the
        largest subnet are the ends.

    Raises:
        ValueError: If `n` is below two or the space is too small.
    """
    ends = np.stack([space.encode(space.smallest()), space.encode(space.largest())])
    pool = np.unique(np.vstack([ends, _tilted(space, POOL, rng)]), axis=0)
    if not 2 <= n <= len(pool):
        raise ValueError(f"A first sample of {n} architectures: ask for 2 to {len(pool)}.")
    madds = cost_table.madds(pool)
    pool, madds = pool[np.argsort(madds, kind="stable")], np.sort(madds).astype(float)
    rows = []
    for target in np.linspace(madds[0], madds[-1], n):
        rows.append(int(np.argmin(np.abs(madds - target))))
        madds[rows[-1]] = np.inf
    return pool[np.sort(rows)]


def _tilted(space: SearchSpace, n: int, rng: np.random.Generator | int) -> IntMatrix:
    """Draws encodings of all sizes: genes have probabilities `exp(t * value)`, each row its `t`."""
    rng = np.random.default_rng(rng)
    values = np.arange(space.upper.max() + 1)
    tilt = rng.uniform(-8, 8, size=(n, 1, 1))
    scores = tilt * values / np.maximum(space.upper, 1)[:, None]
    scores = scores + rng.gumbel(size=scores.shape)  # their argmax is a draw from the softmax
    outside = (values < space.lower[:, None]) | (values > space.upper[:, None])
    return space.repair(np.where(outside, -np.inf, scores).argmax(axis=2))
