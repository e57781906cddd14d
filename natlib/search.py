"""Many-objective search: NSGA-III over encodings, and what is done with the fronts it finds.

Objectives are columns of a float matrix `F` and always minimised. Everything here works on whole
populations of encodings and knows neither images nor networks (NAT, steps 1 and 2b to 2d).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pymoo.algorithms.moo.nsga3 import NSGA3, ReferenceDirectionSurvival
from pymoo.core.population import Population
from pymoo.core.problem import Problem
from pymoo.indicators.hv import HV
from pymoo.indicators.igd_plus import IGDPlus
from pymoo.operators.crossover.pntx import TwoPointCrossover
from pymoo.operators.mutation.pm import PM
from pymoo.operators.selection.tournament import TournamentSelection
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting
from pymoo.util.ref_dirs import get_reference_directions
from pymoo.util.reference_direction import get_partition_closest_to_points

from natlib.space import IntMatrix, SearchSpace

FloatMatrix = NDArray[np.float64]
Random = np.random.Generator | int  # a random generator, or a seed for one


class Found(NamedTuple):
    """A population: unique canonical encodings `(n, n_var)` and objectives `(n, n_objectives)`."""

    X: IntMatrix
    F: FloatMatrix


def nsga3(
    space: SearchSpace,
    evaluate: Callable[[IntMatrix], FloatMatrix],  # encodings (n, n_var) to (n, n_objectives)
    X_start: IntMatrix | None = None,  # to begin with, such as the archive's front
    *,
    limits: ArrayLike | None = None,  # upper bound of each objective, above zero; np.inf for none
    population: int = 100,
    generations: int = 20,  # after the first population, which random subnets fill up
    seed: int = 0,  # of everything random
    callback: Callable[[int, IntMatrix, FloatMatrix], None] | None = None,  # number, X, F
) -> Found:
    """Searches the space with NSGA-III (Deb and Jain 2014; NAT, step 2b).

    Returns the last population, without those beyond a limit. A `ValueError` says that
    shapes are wrong, or that no architecture within the limits was found.
    """
    X = _all_sizes(space, population, seed)
    if X_start is not None:
        X = np.vstack([space.repair(X_start), X])[: max(population, len(X_start))]
    first = _judge(Population.new(X=X), evaluate, limits)
    m = len(first[0].F)
    directions, selection = reference_directions(m, population), TournamentSelection(_least_excess)
    algorithm = NSGA3(directions, population, first, selection, **operators(space))
    problem = Problem(space.n_var, m, n_ieq_constr=m, xl=space.lower, xu=space.upper)
    algorithm.setup(problem, termination=("n_gen", generations + 1), seed=seed)
    for generation in range(generations + 1):
        asked = algorithm.ask()  # at first the first population
        if asked is None or not len(asked):  # there is no architecture outside the population
            break
        algorithm.tell(_judge(asked, evaluate, limits) if generation else asked)
        X, F, within = algorithm.pop.get("X", "F", "feas")
        if callback is not None:
            callback(generation, X, F)
    if not within.any():
        raise ValueError(f"No architecture was found within the limits {limits}: raise them.")
    return Found(X[within.ravel()], F[within.ravel()])


def _judge(individuals: Population, evaluate: Callable, limits: ArrayLike | None) -> Population:
    """Sets the objectives `F` of individuals, and `G`, above zero where they exceed a limit."""
    F = np.asarray(evaluate(individuals.get("X")), dtype=np.float64)
    if F.ndim != 2 or len(F) != len(individuals):
        raise ValueError(f"evaluate must return F (n, n_objectives), not of shape {F.shape}.")
    limits = np.full(F.shape[1], np.inf) if limits is None else np.asarray(limits, dtype=float)
    if limits.shape != F.shape[1:] or not (limits > 0).all():
        raise ValueError(f"limits must be {F.shape[1]} numbers above zero or np.inf, not {limits}.")
    return individuals.set("F", F, "G", F / limits - 1)


def _least_excess(pop: Population, pairs: IntMatrix, random_state: Random, **_) -> IntMatrix:
    """Picks of each pair the one less beyond the limits, either of two that are equal.

    So does pymoo's own rule, but it draws from a generator of its own that nothing seeds.
    """
    excess = pop.get("CV")[pairs, 0]
    order = np.lexsort([random_state.random(pairs.shape), excess])
    return np.take_along_axis(pairs, order, axis=1)[:, 0]


def operators(space: SearchSpace) -> dict[str, Callable]:
    """Returns crossover, mutation and repair of encodings for a genetic algorithm of pymoo.

    Two-point crossover with probability 0.9, then polynomial mutation of one gene in `n_var` on
    average, then rounding and repair to the canonical encoding.
    """

    def repair(problem: Problem, individuals: Population, **kwargs) -> Population:
        return individuals.set("X", space.repair(np.around(individuals.get("X"))))

    mutation = PM(prob=1.0, eta=3.0)
    return {"crossover": TwoPointCrossover(prob=0.9), "mutation": mutation, "repair": repair}


def reference_directions(n_objectives: int, n_directions: int) -> FloatMatrix:
    """Returns at most `n_directions` evenly spread directions, `(n, n_objectives)`.

    Das and Dennis (1998): all points of the simplex whose coordinates are multiples of `1/p`, with
    the largest `p` that fits. With `p` below the number of objectives all lie on the boundary; so
    from four objectives on a second layer, half as far from the centre, takes what room is left.
    """
    if n_directions < n_objectives:
        raise ValueError(f"{n_directions} directions are too few for {n_objectives} objectives.")

    def layer(room: int, scaling: float) -> FloatMatrix:
        p = get_partition_closest_to_points(room, n_objectives)
        return get_reference_directions("das-dennis", n_objectives, scaling, n_partitions=p)

    outer = layer(n_directions, scaling=1.0)
    room = n_directions - len(outer)
    two = n_objectives > 3 and room >= n_objectives
    return np.vstack([outer, layer(room, scaling=0.5)]) if two else outer


def non_dominated(F: ArrayLike) -> NDArray[np.bool_]:
    """Returns which rows of `F` are non-dominated: no other is nowhere worse, somewhere better."""
    F, mask = np.asarray(F, dtype=np.float64), np.zeros(len(F), dtype=bool)
    mask[NonDominatedSorting().do(F, only_non_dominated_front=True)] = True
    return mask


def hypervolume(F: ArrayLike, reference: ArrayLike, ideal: ArrayLike) -> float:
    """Returns the share of a box that the points of `F` `(n, n_objectives)` dominate, in [0, 1].

    The box reaches from `ideal`, its best corner `(n_objectives,)`, to `reference`, its worst one;
    points beyond that count nothing. Keep both fixed through a run, so that iterations compare.
    """
    reference, ideal = np.asarray(reference, dtype=float), np.asarray(ideal, dtype=float)
    if np.any(reference <= ideal):
        raise ValueError(f"The reference {reference} must exceed the ideal {ideal} everywhere.")
    return float(HV(ref_point=reference)(np.maximum(F, ideal)) / np.prod(reference - ideal))


def choose_candidates(
    F_new: ArrayLike,  # objectives of the new points (n, n_objectives)
    F_archive: ArrayLike,  # objectives of the archive (m, n_objectives)
    k: int,  # how many to choose
    X_new: IntMatrix | None = None,  # encodings tell what is new; without them, objectives do
    X_archive: IntMatrix | None = None,
) -> IntMatrix:
    """Chooses the new points that best fill the gaps of the archive's front (NAT, step 2c).

    With up to three objectives: one after another the point that adds most hypervolume to the
    front; one in a wide gap adds more than one beside a known point. With more, hypervolume is
    expensive; then the point that lowers IGD+ most: the mean distance from the points of the
    front, new ones included, to the nearest known or chosen one, where only worse objectives count.
    Returns indices into the new points, the best first, `k` of them or all where fewer are new.
    """
    rows, known = (F_new, F_archive) if X_new is None else (X_new, X_archive)
    first = np.unique(np.vstack([known, rows]), axis=0, return_index=True)[1]
    new = np.sort(first[first >= len(known)]) - len(known)
    if len(new) == 0:
        return new
    F = np.vstack([F_archive, np.asarray(F_new, dtype=float)[new]])
    N = (F - F.min(axis=0)) / np.maximum(np.ptp(F, axis=0), 1e-12)
    N_known, N_new = np.split(N, [len(known)])
    if F.shape[1] <= 3:
        return new[_greedy(N_new, N_known, k, HV(ref_point=np.full(F.shape[1], 1.1)))]
    distance = IGDPlus(N[non_dominated(N)])
    return new[_greedy(N_new, N_known, k, lambda points: -distance(points))]


def _greedy(N: FloatMatrix, known: FloatMatrix, k: int, quality: Callable) -> IntMatrix:
    """Takes, one after another, the point with the best `quality([known, chosen, point])`.

    Where none improves it, the chosen points alone decide: known points are measured, some with
    luck, and then many a good candidate, predicted without luck, seems dominated.
    """
    known, chosen = known[non_dominated(known)], np.zeros(0, dtype=np.int64)
    while len(chosen) < min(k, len(N)):
        best = np.setdiff1d(np.arange(len(N)), chosen)
        for beside in (known, known[:0]):  # the second decides between equals only
            gains = np.round([quality(np.vstack([beside, N[chosen], N[i]])) for i in best], 12)
            best = best[gains == gains.max()]
        chosen = np.append(chosen, best[N[best].mean(axis=1).argmin()])
    return chosen


def select_best(F: ArrayLike, n: int) -> IntMatrix:
    """Returns indices of the `n` best rows of `F` by NSGA-III survival, ascending (NAT, step 2d).

    Non-dominated layers first; the last one that does not fit is thinned by reference directions.
    """
    F = np.asarray(F, dtype=np.float64)
    m = F.shape[1]
    if n > len(F):
        raise ValueError(f"There are {len(F)} points, too few to select {n}.")
    survival = ReferenceDirectionSurvival(reference_directions(m, max(n, m)))
    options = {"random_state": np.random.default_rng(0), "return_indices": True}
    kept = survival.do(Problem(n_obj=m), Population.new(F=F), n_survive=n, **options)
    return np.sort(kept).astype(np.int64)


def knee_points(F: ArrayLike, n: int) -> IntMatrix:
    """Returns indices of `n` points with the best trade-off, ordered by cost: M1 ... Mn (NAT, 3).

    One after another, the point that adds most hypervolume to those chosen, in the box from the
    front's best to its worst values, where its ends add nothing. Column 1 of `F` is the cost.
    """
    F = np.asarray(F, dtype=np.float64)
    N = (F - F.min(axis=0)) / np.maximum(np.ptp(F, axis=0), 1e-12)
    chosen = _greedy(N, N[:0], n, HV(ref_point=np.ones(F.shape[1])))
    return chosen[np.argsort(F[chosen, min(1, F.shape[1] - 1)], kind="stable")]


def gene_distribution(X_best: IntMatrix, space: SearchSpace, smoothing: float = 1.0) -> FloatMatrix:
    """Estimates the distribution of each gene over the best architectures (NAT, step 2d).

    Each gene is a categorical variable, counted where the layer before it in the stage is active,
    with `smoothing` imaginary observations of each choice (Laplace's rule). From encodings
    `(n, n_var)` come probabilities `(n_var, largest value + 1)`, zero beyond a gene's bounds.
    """
    X = space.validated(X_best)
    before = np.insert(space.layer_genes(X)[:, :, :-1], 0, 1, axis=2)  # a stage's first counts
    counted = np.hstack([np.ones((len(X), 2)), before.reshape(len(X), -1)]) > 0
    values = np.arange(space.upper.max() + 1)
    counts = ((X[:, :, None] == values) & counted[:, :, None]).sum(axis=0) + smoothing
    counts[(values < space.lower[:, None]) | (values > space.upper[:, None])] = 0
    return counts / counts.sum(axis=1, keepdims=True)


def sample_distribution(genes: FloatMatrix, space: SearchSpace, n: int, rng: Random) -> IntMatrix:
    """Draws `n` canonical encodings from `gene_distribution`, int64 `(n, n_var)`.

    Genes are drawn independently; a skipped layer ends its stage.
    """
    rng = np.random.default_rng(rng)
    X = np.column_stack([rng.choice(len(p), size=n, p=p) for p in np.asarray(genes)])
    layers = space.layer_genes(X)
    layers = np.where(np.minimum.accumulate(layers, axis=2) > 0, layers, 0)
    return np.hstack([X[:, :2], layers.reshape(n, -1)])


def sample_spread(
    space: SearchSpace, madds_of: Callable, n: int, rng: Random, keeps: Callable | None = None
) -> IntMatrix:
    """Draws a first sample that covers MAdds evenly, unique, int64 `(n, n_var)` (NAT, step 1).

    Uniform genes would crowd in the middle. So from a large pool of subnets of all sizes the
    closest to each of `n` evenly spaced MAdds, which `madds_of` counts, is taken, ascending. Only
    subnets that `keeps`, a function of encodings, says to be within the limits are in the pool.
    """
    ends = np.stack([space.encode(space.smallest()), space.encode(space.largest())])
    pool = np.unique(np.vstack([ends, _all_sizes(space, 10_000, rng)]), axis=0)
    pool = pool if keeps is None else pool[keeps(pool)]
    if not 2 <= n <= len(pool):
        told = f"A first sample of {n} architectures: ask for 2 to {len(pool)}"
        raise ValueError(f"{told}, or for wider limits.")
    pool = pool[np.argsort(madds_of(pool), kind="stable")]
    madds, rows = madds_of(pool).astype(float), []
    for target in np.linspace(madds[0], madds[-1], n):
        rows.append(int(np.argmin(np.abs(madds - target))))
        madds[rows[-1]] = np.inf
    return pool[np.sort(rows)]


def _all_sizes(space: SearchSpace, n: int, rng: Random) -> IntMatrix:
    """Draws encodings of all sizes: genes `x` in [0, 1] of density `exp(t x)`, each row its `t`."""
    rng = np.random.default_rng(rng)
    t, u = rng.uniform(-10, 10, size=(n, 1)), rng.random((n, space.n_var))
    x = np.log1p(u * np.expm1(t)) / t  # inverse of the distribution function
    return space.repair(space.lower + (space.upper - space.lower + 1) * x // 1)
