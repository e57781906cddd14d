"""The RBF ensemble against scipy and on awkward data; its rivals; rank metrics."""

import numpy as np
import pytest
from scipy.interpolate import RBFInterpolator
from sklearn.base import clone

from natlib import surrogate
from natlib.space import SearchSpace
from natlib.surrogate import SURROGATES, RBFEnsemble, rank_metrics, steps


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def data(rng):
    """Sixty distinct rows of eight integer genes, and a curved function of them."""
    X = np.unique(rng.integers(0, 9, size=(70, 8)), axis=0)[:60]
    return X, np.sin(X @ rng.normal(size=8) / 8) + 0.1 * X[:, 0]


def one_member(**options) -> RBFEnsemble:
    return RBFEnsemble(n_members=1, max_genes=1.0, dtype="float64", **options)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_one_member_is_scipys_interpolant(data, rng, smoothing):
    X, y = data
    queries = rng.uniform(-2, 11, size=(200, 8))
    # The ensemble scales genes by their largest range, which scales the cubed distances.
    scipys = RBFInterpolator(X, y, kernel="cubic", degree=1, smoothing=smoothing * 8**3)
    model = one_member(smoothing=smoothing).fit(X, y)
    np.testing.assert_allclose(model.predict(queries), scipys(queries), rtol=0, atol=1e-6)


def test_members_are_scipys_interpolants_of_their_genes(data, rng):
    X, y = data
    model = RBFEnsemble(n_members=5, dtype="float64", seed=3).fit(X, y)
    queries = rng.uniform(0, 8, size=(50, 8))
    subsets = model.subsets_
    assert subsets.shape == (5, 4) and len({tuple(genes) for genes in subsets}) > 1
    members = np.stack(
        [RBFInterpolator(X[:, g], y, kernel="cubic", degree=1)(queries[:, g]) for g in subsets]
    )
    mean, std = model.predict(queries, return_std=True)
    np.testing.assert_allclose(mean, members.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(std, members.std(axis=0), atol=1e-6)


def test_order_of_rows_does_not_matter(data, rng):
    X, y = data
    order = rng.permutation(len(X))
    model = RBFEnsemble(20, dtype="float64").fit(X, y)
    shuffled = RBFEnsemble(20, dtype="float64").fit(X[order], y[order])
    queries = rng.integers(0, 9, size=(100, 8))
    np.testing.assert_allclose(model.predict(queries), shuffled.predict(queries), atol=1e-8)


def test_seed_decides(data):
    X, y = data
    first, same, other = (RBFEnsemble(10, seed=s).fit(X, y).predict(X + 0.5) for s in (1, 1, 2))
    assert np.array_equal(first, same) and not np.allclose(first, other)


def test_scikit_learn_can_clone_and_tune_it(data):
    X, y = data
    model = clone(RBFEnsemble(7, max_genes=0.3)).set_params(smoothing=0.2)
    assert model.get_params()["n_members"] == 7
    assert model.fit(X, y).score(X, y) > 0.5


def test_chunks_do_not_change_predictions(data, monkeypatch):
    X, y = data
    whole = RBFEnsemble(9).fit(X, y).predict(X + 0.5)
    monkeypatch.setattr(surrogate, "CHUNK_ELEMENTS", 500)
    chunked = RBFEnsemble(9).fit(X, y).predict(X + 0.5)
    np.testing.assert_allclose(chunked, whole, atol=1e-3)


def test_single_precision_changes_little(data, rng):
    X, y = data
    queries = rng.integers(0, 9, size=(300, 8))
    double = RBFEnsemble(50, dtype="float64").fit(X, y).predict(queries)
    single = RBFEnsemble(50).fit(X, y).predict(queries)
    assert np.abs(single - double).max() < 1e-3 * y.std()


def test_constant_gene_changes_nothing(data):
    X, y = data
    with_constant = np.insert(X, 3, 5, axis=1)
    queries = X + 0.5
    expected = one_member().fit(X, y).predict(queries)
    found = one_member().fit(with_constant, y).predict(np.insert(queries, 3, 5, axis=1))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert np.isfinite(RBFEnsemble(5).fit(np.ones((4, 3)), np.arange(4)).predict(X[:, :3])).all()


def test_duplicates_count_with_their_mean(data):
    X, y = data
    model = one_member().fit(np.vstack([X, X[:1]]), np.append(y, y[0] + 1))
    expected = one_member().fit(X, np.append(y[0] + 0.5, y[1:]))
    np.testing.assert_allclose(model.predict(X[:1]), y[:1] + 0.5, atol=1e-6)
    np.testing.assert_allclose(model.predict(X + 0.5), expected.predict(X + 0.5), atol=1e-5)


@pytest.mark.parametrize("n", [2, 5, 9])
def test_fewer_points_than_genes_are_interpolated(data, n):
    X, y = data
    model = one_member().fit(X[:n], y[:n])
    np.testing.assert_allclose(model.predict(X[:n]), y[:n], atol=1e-5)
    assert np.abs(model.predict(X) - y).max() < 10 * np.ptp(y)


@pytest.mark.parametrize(
    ("X", "y", "problem"),
    [
        ([[1, 2]], [1], "two rows or more"),
        ([[1, 2], [3, 4]], [1, 2, 3], r"y \(3,\)"),
        ([[1, 2], [3, 4]], [1, np.nan], "1 not finite"),
        ([[1, np.nan], [3, 4]], [1, 2], "1 entries that are not finite"),
        ([1, 2], [1, 2], r"shape \(2,\)"),
    ],
)
def test_fit_says_what_is_wrong(X, y, problem):
    with pytest.raises(ValueError, match=problem):
        RBFEnsemble(2).fit(X, y)


def test_predict_says_what_is_wrong(data):
    X, y = data
    model = RBFEnsemble(2).fit(X, y)
    with pytest.raises(ValueError, match="fitted on 8 genes, but X has 7"):
        model.predict(X[:, 1:])
    with pytest.raises(ValueError, match="not finite"):
        model.predict(np.full((1, 8), np.nan))


@pytest.mark.parametrize("name", SURROGATES)
def test_surrogates_learn_a_smooth_function_of_the_genes(name):
    space = SearchSpace.pocket()
    X = space.sample(150, 1)
    y = 40 - 2 * X[:, 0] - space.depths(X) @ [3, 2, 1] - X[:, 2] % 3
    model = SURROGATES[name](space, 0)
    if name.startswith("rbf"):
        model.set_params(**{key: 50 for key in model.get_params() if key.endswith("n_members")})
    predicted = clone(model).fit(X[:100], y[:100]).predict(X[100:])
    assert predicted.shape == (50,)
    assert rank_metrics(y[100:], predicted)["kendall"] > 0.6


def test_steps_count_from_small_to_large():
    space = SearchSpace.pocket()
    small, large = (space.encode(a)[None] for a in (space.smallest(), space.largest()))
    lowest, highest = steps(space, small)[0], steps(space, large)[0]
    assert (lowest <= highest).all()
    found = steps(space, space.sample(50, 0))
    assert ((lowest <= found) & (found <= highest)).all()
    wider = small.copy()
    wider[0, 2] += 1  # one kernel step in the first layer
    assert (steps(space, wider) > lowest).sum() == 2  # that step and the kernels' total


def test_steps_tell_architectures_apart():
    space = SearchSpace.pocket()
    X = np.unique(space.sample(300, 0), axis=0)
    assert len(np.unique(steps(space, X), axis=0)) == len(X)


def test_rank_metrics_by_hand():
    found = rank_metrics([1, 2, 3, 4], [10, 20, 40, 30])
    assert found["kendall"] == pytest.approx(4 / 6)  # five pairs agree, one does not
    assert found["spearman"] == pytest.approx(0.8)
    assert rank_metrics([1, 2], [2, 4])["rmse"] == pytest.approx(np.sqrt(2.5))


@pytest.mark.parametrize("y", [[1, 2, 3], [5, 5, 5]])
def test_rank_metrics_of_constants_are_zero(y):
    found = rank_metrics(y, [5, 5, 5])
    assert (found["spearman"], found["kendall"]) == (0, 0) and np.isfinite(found["rmse"])


def test_several_values_at_once_are_as_each_alone():
    rng = np.random.default_rng(0)
    space = SearchSpace.pocket()
    X, Y = space.sample(40, rng), rng.normal(size=(40, 3))
    together = RBFEnsemble(n_members=30).fit(X, Y)
    queries = space.sample(20, rng)
    mean, std = together.predict(queries, return_std=True)
    assert mean.shape == std.shape == (20, 3)
    for k in range(3):
        alone = RBFEnsemble(n_members=30).fit(X, Y[:, k])
        np.testing.assert_allclose(mean[:, k], alone.predict(queries), atol=1e-4)
