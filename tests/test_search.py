"""NSGA-III on encodings, and the choice of candidates, best ones, knees and distributions."""

import subprocess
import sys
from dataclasses import replace
from itertools import product
from pathlib import Path

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


def two_objectives(space: SearchSpace):
    """Error and MAdds as `nsga3` takes them."""
    cost = CostTable(space, 10)
    return lambda X: np.column_stack([error(X, space), cost.madds(X)])


def test_nsga3_finds_the_true_front_of_a_small_space():
    everything = every_architecture(SMALL)
    assert len(everything) == SMALL.size == 8000
    F = two_objectives(SMALL)(everything)
    box = F.max(axis=0), F.min(axis=0)
    for seed in range(3):
        start = SMALL.sample(10, seed)
        found = nsga3(SMALL, two_objectives(SMALL), start, population=60, seed=seed)
        assert hypervolume(found.F, *box) > 0.99 * hypervolume(F, *box)


@pytest.mark.parametrize("n_objectives", [1, 2, 3, 5, 12])
def test_any_number_of_objectives(n_objectives):
    weights = np.random.default_rng(n_objectives).normal(size=(POCKET.n_var, n_objectives))
    X_random = POCKET.sample(40, 1)
    found = nsga3(POCKET, lambda X: X @ weights, population=40, generations=15)
    np.testing.assert_allclose(found.F, found.X @ weights)
    if n_objectives < 12:  # so few points hardly reach the ends of twelve objectives
        assert found.F.min(axis=0).sum() < (X_random @ weights).min(axis=0).sum()
    chosen = choose_candidates(found.F, X_random @ weights, 8, X_new=found.X, X_archive=X_random)
    assert len(set(chosen)) == 8


@pytest.mark.parametrize("space", [POCKET, SearchSpace.paper(), SMALL])
def test_every_individual_is_canonical_and_unique_whatever_the_start(space):
    seen, start = [], space.lower + space.sample(10, 3)  # out of bounds here and there
    start = np.vstack([start, start])  # and every row twice
    settings = {"population": 30, "generations": 10}
    nsga3(space, two_objectives(space), start, callback=lambda *a: seen.append(a), **settings)
    assert [generation for generation, _, _ in seen] == list(range(11))
    for _, X, F in seen:
        assert X.dtype == np.int64 and np.array_equal(space.validated(X), X)
        assert len(np.unique(X, axis=0)) == len(X) == len(F)
    assert {tuple(x) for x in space.repair(start)} <= {tuple(x) for x in seen[0][1]}


def test_evaluate_is_called_once_a_generation():
    asked = []
    settings = {"population": 20, "generations": 4}
    nsga3(POCKET, lambda X: (asked.append(X), two_objectives(POCKET)(X))[1], **settings)
    assert len(asked) == 5 and all(len(X) == 20 for X in asked)


def test_a_space_smaller_than_the_population():
    tiny = replace(SMALL, expands=(2,), kernels=(3,), stage_widths=(24,), max_depth=1)
    found = nsga3(tiny, lambda X: X[:, [0, 2]], population=10)
    assert found.X.tolist() == [[0, 0, 1]]


def test_same_seed_same_result():
    first, same, other = (
        nsga3(POCKET, two_objectives(POCKET), seed=s, generations=5) for s in (1, 1, 2)
    )
    assert np.array_equal(first.X, same.X) and not np.array_equal(first.X, other.X)


def tight_limits(tightness: float) -> list[float]:
    return [np.inf, tightness * COST.params(POCKET.encode(POCKET.smallest())[None])[0]]


def tightly_limited(seed: int, tightness: float):
    """A search in which most of the first individuals break the limit on parameters."""

    def evaluate(X):
        return np.column_stack([error(X), COST.params(X)])

    limits = tight_limits(tightness)
    options = {"limits": limits, "population": 40, "generations": 8, "seed": seed}
    return nsga3(POCKET, evaluate, POCKET.sample(40, 0), **options)


@pytest.mark.parametrize("tightness", [1.02, 1.05, 1.1])
@pytest.mark.parametrize("seed", range(4))
def test_same_seed_same_result_under_tight_limits(seed, tightness):
    first = tightly_limited(seed, tightness)
    np.random.seed(seed + 100)
    np.random.rand(17)
    np.random.default_rng().random()
    again = tightly_limited(seed, tightness)
    assert np.array_equal(first.X, again.X) and np.array_equal(first.F, again.F)
    assert (first.F <= tight_limits(tightness)).all()


def test_same_seed_same_result_in_another_process():
    code = (
        "from tests.test_search import tightly_limited\n"
        "found = tightly_limited(5, 1.05)\n"
        "print(found.X.tolist(), found.F.tolist())"
    )
    options = {
        "capture_output": True,
        "text": True,
        "check": True,
        "cwd": Path(__file__).parents[1],
    }
    there = subprocess.run([sys.executable, "-c", code], **options)
    here = tightly_limited(5, 1.05)
    assert there.stdout == f"{here.X.tolist()} {here.F.tolist()}\n"


def test_warm_start_is_never_lost():
    def evaluate(X):
        return error(X)[:, None]

    start = nsga3(POCKET, evaluate, generations=30).X
    again = nsga3(POCKET, evaluate, start, population=20, generations=1, seed=9)
    assert again.F.min() <= error(start).min()


def test_limits_are_kept():
    limits = [50.0, float(np.quantile(COST.madds(POCKET.sample(500, 0)), 0.2))]
    found = nsga3(POCKET, two_objectives(POCKET), POCKET.sample(20, 0), limits=limits)
    assert (found.F <= limits).all() and len(found.X) > 50


@pytest.mark.parametrize(
    ("limits", "problem"),
    [
        ([np.inf, 10.0], r"No architecture was found within the limits \[inf, 10.0\]: raise them"),
        ([10.0], "limits must be 2 numbers above zero"),
        ([np.inf, 0.0], "limits must be 2 numbers above zero"),
        ([np.inf, np.nan], "limits must be 2 numbers above zero"),
    ],
)
def test_impossible_limits(limits, problem):
    with pytest.raises(ValueError, match=problem):
        nsga3(POCKET, two_objectives(POCKET), limits=limits, population=20, generations=2)


def test_objectives_of_the_wrong_shape():
    with pytest.raises(
        ValueError, match=r"must return F \(n, n_objectives\), not of shape \(20,\)"
    ):
        nsga3(POCKET, COST.madds, population=20)


@pytest.mark.parametrize(("m", "n"), [(1, 100), (2, 100), (3, 100), (5, 60), (12, 100), (12, 12)])
def test_reference_directions(m, n):
    directions = reference_directions(m, n)
    assert directions.shape[1] == m and 1 <= len(directions) <= n
    np.testing.assert_allclose(directions.sum(axis=1), 1)
    assert len(np.unique(directions.round(9), axis=0)) == len(directions)


def test_too_few_directions():
    with pytest.raises(ValueError, match="3 directions are too few for 4 objectives"):
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
    assert X.dtype == np.int64 and np.array_equal(space.validated(X), X)


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
    X = space.validated(sample_spread(space, cost.madds, 40, 0))
    assert len(np.unique(X, axis=0)) == 40
    assert space.decode(X[0]) == space.smallest() and space.decode(X[-1]) == space.largest()
    madds = cost.madds(X).astype(float)
    even = np.linspace(madds[0], madds[-1], 40)
    assert np.abs(madds - even).max() < 0.05 * np.ptp(madds)
    assert np.array_equal(X, sample_spread(space, cost.madds, 40, 0))


def test_first_sample_of_an_impossible_size():
    for n in (1, 10**6):
        with pytest.raises(ValueError, match="ask for 2 to"):
            sample_spread(SMALL, CostTable(SMALL, 10).madds, n, 0)
