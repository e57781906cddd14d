"""NSGA-III on encodings, and the choice of candidates, best ones, knees and distributions."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from natlib.cost import CostTable
from natlib.search import (
    choose_candidates,
    gene_distribution,
    hypervolume,
    knee_points,
    non_dominated,
    nsga3,
    reference_directions,
    sample_distribution,
    sample_spread,
    select_best,
)
from natlib.space import SearchSpace

POCKET = SearchSpace.pocket()
COST = CostTable(POCKET, 10)
# Three stages of one or two layers with four choices each: (4 + 16)^3 = 8,000 architectures.
SMALL = replace(POCKET, name="small", resolutions=(32,), expands=(2, 4), max_depth=2)


def matrices(columns: int, min_rows: int = 0, max_rows: int = 30):
    """Small objective matrices with many ties."""
    rows = st.integers(min_rows, max_rows)
    values = st.integers(0, 12).map(float)
    return rows.flatmap(lambda n: arrays(float, (n, columns), elements=values))


def error(X: np.ndarray, space: SearchSpace = POCKET) -> np.ndarray:
    """A stand-in for the error: every decision helps, with interactions and rough places."""
    rng = np.random.default_rng(0)
    features = space.features(X)
    gain = features @ rng.uniform(0, 3, size=features.shape[1])
    return 60 - gain - 2 * np.sin(features @ rng.normal(size=features.shape[1]))


def every_architecture(space: SearchSpace) -> np.ndarray:
    stage = [
        list(genes) + [0] * (space.max_depth - depth)
        for depth in range(space.min_depth, space.max_depth + 1)
        for genes in product(range(1, space.n_layer_choices + 1), repeat=depth)
    ]
    heads = product(range(len(space.resolutions)), range(len(space.widths)))
    rows = product(heads, product(stage, repeat=space.n_stages))
    return np.array([[*head, *np.concatenate(stages)] for head, stages in rows], dtype=np.int64)


def test_nsga3_finds_the_true_front_of_a_small_space():
    everything = every_architecture(SMALL)
    assert len(everything) == SMALL.size == 8000
    cost = CostTable(SMALL, 10)
    objectives = {"top1_err": lambda X: error(X, SMALL), "madds": cost.madds}
    F = np.column_stack([objective(everything) for objective in objectives.values()])
    box = F.max(axis=0), F.min(axis=0)
    for seed in range(3):
        found = nsga3(SMALL, objectives, SMALL.sample(10, seed), population=60, seed=seed)
        assert hypervolume(found.F, *box) > 0.99 * hypervolume(F, *box)


@pytest.mark.parametrize("n_objectives", [1, 2, 3, 12])
def test_any_number_of_objectives(n_objectives):
    weights = np.random.default_rng(n_objectives).normal(size=(n_objectives, POCKET.n_var))
    objectives = {f"f{i}": lambda X, w=w: X @ w for i, w in enumerate(weights)}
    found = nsga3(POCKET, objectives, POCKET.sample(5, 0), population=40, generations=15)
    random = POCKET.sample(40, 1) @ weights.T
    assert found.F.shape == (len(found.X), n_objectives)
    assert found.F.min(axis=0).sum() < random.min(axis=0).sum()
    np.testing.assert_allclose(found.F, found.X @ weights.T)
    chosen = choose_candidates(found.F, random, 8, X_new=found.X, X_archive=POCKET.sample(40, 1))
    assert len(set(chosen)) == 8


@pytest.mark.parametrize("space", [POCKET, SearchSpace.paper(), SMALL])
def test_every_individual_is_canonical_and_new(space):
    seen = []
    cost = CostTable(space, 10)
    objectives = {"err": lambda X: error(X, space), "madds": cost.madds}
    start = space.lower + space.sample(10, 3)  # out of bounds here and there
    nsga3(
        space, objectives, start, population=30, generations=10, callback=lambda *a: seen.append(a)
    )
    assert [generation for generation, _, _ in seen] == list(range(11))
    for _, X, F in seen:
        space.check_valid(X)
        assert len(np.unique(X, axis=0)) == len(X) == len(F)


def test_same_seed_same_result():
    objectives = {"err": error, "madds": COST.madds}
    start = POCKET.sample(10, 0)
    first, same, other = (
        nsga3(POCKET, objectives, start, seed=s, generations=5) for s in (1, 1, 2)
    )
    assert np.array_equal(first.X, same.X) and not np.array_equal(first.X, other.X)


def test_warm_start_is_never_lost():
    start = nsga3(POCKET, {"err": error}, POCKET.sample(5, 0), generations=30).X
    again = nsga3(POCKET, {"err": error}, start, population=20, generations=1, seed=9)
    assert again.F.min() <= error(start).min()


def test_limits_are_kept():
    limits = {"madds": float(np.quantile(COST.madds(POCKET.sample(500, 0)), 0.2)), "err": 50.0}
    objectives = {"err": error, "madds": COST.madds}
    found = nsga3(POCKET, objectives, POCKET.sample(20, 0), limits=limits)
    assert (found.F <= [50.0, limits["madds"]]).all() and len(found.X) > 50


def test_limits_that_cannot_be_kept():
    with pytest.raises(ValueError, match="no architecture within the limits"):
        nsga3(POCKET, {"madds": COST.madds}, POCKET.sample(5, 0), limits={"madds": 10.0})
    with pytest.raises(ValueError, match="must name objectives"):
        nsga3(POCKET, {"madds": COST.madds}, POCKET.sample(5, 0), limits={"latency_ms": 10.0})


@pytest.mark.parametrize(("m", "n"), [(1, 100), (2, 100), (3, 100), (5, 60), (12, 100), (12, 12)])
def test_reference_directions(m, n):
    directions = reference_directions(m, n)
    assert directions.shape[1] == m and 1 <= len(directions) <= n
    np.testing.assert_allclose(directions.sum(axis=1), 1)
    assert len(np.unique(directions.round(9), axis=0)) == len(directions)


def test_too_few_directions():
    with pytest.raises(
        ValueError, match="3 directions or individuals are too few for 4 objectives"
    ):
        reference_directions(4, 3)


@given(matrices(3, min_rows=1))
def test_non_dominated_by_definition(F):
    dominates = (F[:, None] <= F).all(axis=2) & (F[:, None] < F).any(axis=2)
    assert np.array_equal(non_dominated(F), ~dominates.any(axis=0))


def test_hypervolume_by_hand():
    F = [[1, 3], [2, 2], [3, 3], [9, 0], [0, 9]]  # the third is dominated, the last two lie outside
    assert hypervolume(F, reference=[4, 4], ideal=[0, 0]) == pytest.approx((3 + 2 * 2 - 2) / 16)
    assert hypervolume([[-1, -1]], reference=[4, 4], ideal=[0, 0]) == pytest.approx(1)
    assert hypervolume([[4, 4]], reference=[4, 4], ideal=[0, 0]) == 0
    assert hypervolume(np.zeros((0, 2)), reference=[4, 4], ideal=[0, 0]) == 0
    with pytest.raises(ValueError, match="must exceed the ideal"):
        hypervolume(F, reference=[4, 0], ideal=[0, 0])


@given(
    st.sampled_from([1, 2, 3, 5]).flatmap(lambda m: st.tuples(matrices(m), matrices(m))),
    st.integers(0, 12),
)
def test_candidates_are_new_different_and_as_many_as_asked(F, k):
    F_new, F_archive = F
    known = {tuple(row) for row in F_archive}
    chosen = choose_candidates(F_new, F_archive, k)
    rows = [tuple(row) for row in F_new[chosen]]
    assert len(set(rows)) == len(rows) and not known & set(rows)
    assert len(rows) == min(k, len({tuple(row) for row in F_new} - known))


def test_candidates_are_told_apart_by_encoding():
    F_new, F_archive = np.array([[1.0, 1.0], [1.0, 1.0], [2.0, 0.0]]), np.array([[1.0, 1.0]])
    X_new, X_archive = np.array([[1], [2], [3]]), np.array([[1]])
    chosen = choose_candidates(F_new, F_archive, 5, X_new=X_new, X_archive=X_archive)
    assert sorted(chosen) == [1, 2]


def test_candidates_fill_the_gap():
    F_archive = np.array([[0, 10], [1, 9], [2, 8], [8, 2], [9, 1], [10, 0]], dtype=float)
    F_new = np.array([[0.4, 9.6], [5, 5], [9.4, 0.6], [6, 6]])
    assert choose_candidates(F_new, F_archive, 1).tolist() == [1]
    assert choose_candidates(F_new, F_archive, 4)[-1] == 3  # dominated, so last


def test_candidates_of_many_objectives_go_to_empty_directions():
    F_archive = np.eye(4)[[0, 0, 1, 2]] * [1, 0.9, 1, 1]
    F_new = np.eye(4) * 0.95
    assert choose_candidates(F_new, F_archive, 1).tolist() == [3]


@given(matrices(2, min_rows=1), st.integers(1, 30))
def test_best_are_the_first_layers(F, n):
    n = min(n, len(F))
    best = select_best(F, n)
    assert len(set(best)) == n and best.tolist() == sorted(best)
    front = set(np.flatnonzero(non_dominated(F)))
    assert front <= set(best) or set(best) <= front


def test_best_of_too_few():
    with pytest.raises(ValueError, match="There are 3 points, too few to select 4"):
        select_best(np.ones((3, 2)), 4)


def test_knee_of_a_bent_front():
    F = np.array([[10, 0], [6, 0.5], [1, 1], [0.5, 6], [0, 10]])
    assert knee_points(F, 1).tolist() == [2]
    assert knee_points(F, 3).tolist() == [1, 2, 3]
    assert knee_points(F, 9).tolist() == [0, 1, 2, 3, 4]
    assert knee_points(F[::-1], 3).tolist() == [3, 2, 1]  # ordered by cost, the second column


def test_gene_distribution_counts_where_a_layer_can_be():
    X = POCKET.repair(np.array([[4, 0, 1, 0, 0, 2, 2, 2, 3, 3, 0]] * 3 + [[4, 0] + [1] * 9]))
    genes = gene_distribution(X, POCKET, smoothing=1e-9)
    assert genes.shape == (11, 7)
    np.testing.assert_allclose(genes[3, :2], [0.75, 0.25], atol=1e-6)
    np.testing.assert_allclose(genes[4, 1], 1, atol=1e-6)  # seen once with the layer before it
    smooth = gene_distribution(X, POCKET)
    np.testing.assert_allclose(smooth[0, :5], [1 / 9] * 4 + [5 / 9])
    inside = (np.arange(7) >= POCKET.lower[:, None]) & (np.arange(7) <= POCKET.upper[:, None])
    assert np.array_equal(smooth > 0, inside)
    np.testing.assert_allclose(smooth.sum(axis=1), 1)


@given(st.integers(0, 2**32 - 1), st.sampled_from([POCKET, SMALL, SearchSpace.paper()]))
def test_samples_of_a_distribution_are_canonical(seed, space):
    X = sample_distribution(gene_distribution(space.sample(5, seed), space), space, 20, seed)
    assert X.dtype == np.int64 and np.array_equal(space.check_valid(X), X)


def test_samples_follow_the_distribution():
    best = POCKET.sample(200, 0)
    best = best[best[:, 0] >= 3]
    genes = gene_distribution(best, POCKET)
    X = sample_distribution(genes, POCKET, 20000, 1)
    again = gene_distribution(X, POCKET)
    np.testing.assert_allclose(again, genes, atol=0.02)


@pytest.mark.parametrize("space", [POCKET, SearchSpace.paper()])
def test_first_sample_covers_madds(space):
    cost = CostTable(space, 10)
    X = space.check_valid(sample_spread(space, cost, 40, 0))
    assert len(np.unique(X, axis=0)) == 40
    assert space.decode(X[0]) == space.smallest() and space.decode(X[-1]) == space.largest()
    madds = cost.madds(X).astype(float)
    even = np.linspace(madds[0], madds[-1], 40)
    assert np.abs(madds - even).max() < 0.05 * np.ptp(madds)
    assert np.array_equal(X, sample_spread(space, cost, 40, 0))


def test_first_sample_of_an_impossible_size():
    for n in (1, 10**6):
        with pytest.raises(ValueError, match="ask for 2 to"):
            sample_spread(SMALL, CostTable(SMALL, 10), n, 0)
