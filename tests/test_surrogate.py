"""The RBF ensemble against scipy and on awkward data; thermometer code; rivals; rank metrics."""

import numpy as np
import pytest
from scipy.interpolate import RBFInterpolator
from sklearn.base import clone

from natlib.space import SearchSpace
from natlib.surrogate import SURROGATES, RBFEnsemble, rank_metrics, thermometer

POCKET = SearchSpace.pocket()


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
    # The ensemble divides genes by their largest range, and so the cubed distances by 8^3.
    scipys = RBFInterpolator(X, y, kernel="cubic", degree=1, smoothing=smoothing * 8**3)
    model = one_member(smoothing=smoothing).fit(X, y)
    np.testing.assert_allclose(model.predict(queries), scipys(queries), rtol=0, atol=1e-6)


def test_ensemble_is_the_mean_of_scipys_interpolants_of_some_genes(data, rng):
    X, y = data
    model = RBFEnsemble(n_members=5, dtype="float64", seed=3).fit(X, y)
    queries = rng.uniform(0, 8, size=(50, 8))
    subsets = model.subsets_
    assert subsets.shape == (5, 4) and len({tuple(genes) for genes in subsets}) > 1
    members = [RBFInterpolator(X[:, g], y, kernel="cubic", degree=1) for g in subsets]
    expected = np.mean([s(queries[:, g]) for s, g in zip(members, subsets, strict=True)], axis=0)
    np.testing.assert_allclose(model.predict(queries), expected, atol=1e-6)


def test_seed_decides_and_order_of_rows_does_not(data, rng):
    X, y = data
    order, queries = rng.permutation(len(X)), X + 0.5
    first, other = (
        RBFEnsemble(10, dtype="float64", seed=s).fit(X, y).predict(queries) for s in (1, 2)
    )
    again = RBFEnsemble(10, dtype="float64", seed=1)
    assert np.array_equal(first, again.fit(X, y).predict(queries))
    assert not np.allclose(first, other)
    np.testing.assert_allclose(again.fit(X[order], y[order]).predict(queries), first, atol=1e-8)


def test_many_queries_are_answered_as_few(data):
    X, y = data
    model = RBFEnsemble(2).fit(X, y)
    many = np.tile(X + 0.5, (200, 1))
    expected = np.tile(model.predict(X + 0.5), 200)
    np.testing.assert_allclose(model.predict(many), expected, atol=1e-3 * y.std())


def test_single_precision_changes_little(data, rng):
    X, y = data
    queries = rng.integers(0, 9, size=(300, 8))
    double, single = (RBFEnsemble(50, dtype=d).fit(X, y) for d in ("float64", "float32"))
    assert np.abs(single.predict(queries) - double.predict(queries)).max() < 1e-3 * y.std()


def test_scikit_learn_can_clone_and_tune_it(data):
    X, y = data
    model = clone(RBFEnsemble(7, max_genes=0.3)).set_params(smoothing=0.2)
    assert model.get_params()["n_members"] == 7
    assert model.fit(X, y).score(X, y) > 0.5


def test_several_values_at_once_are_as_each_alone(data, rng):
    X, queries = data[0], rng.integers(0, 9, size=(20, 8))
    Y = rng.normal(size=(len(X), 3))
    together = RBFEnsemble(30).fit(X, Y).predict(queries)
    alone = np.column_stack([RBFEnsemble(30).fit(X, y).predict(queries) for y in Y.T])
    assert together.shape == (20, 3)
    np.testing.assert_allclose(together, alone, atol=1e-4)


def test_constant_gene_changes_nothing(data):
    X, y = data
    expected = one_member().fit(X, y).predict(X + 0.5)
    model = one_member().fit(np.insert(X, 3, 5, axis=1), y)
    found = model.predict(np.insert(X + 0.5, 3, 5, axis=1))
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
        ([[1, 2]], [1], "minimum of 2"),
        ([[1, 2], [3, 4]], [1, 2, 3], "inconsistent"),
        ([[1, 2], [3, 4]], [1, np.nan], "y contains NaN"),
        ([[1, np.nan], [3, 4]], [1, 2], "X contains NaN"),
        ([1, 2], [1, 2], "2D array"),
    ],
)
def test_fit_says_what_is_wrong(X, y, problem):
    with pytest.raises(ValueError, match=problem):
        RBFEnsemble(2).fit(X, y)


def test_predict_says_what_is_wrong(data):
    X, y = data
    model = RBFEnsemble(2).fit(X, y)
    with pytest.raises(ValueError, match="X has 7 features, but RBFEnsemble is expecting 8"):
        model.predict(X[:, 1:])
    with pytest.raises(ValueError, match="X contains NaN"):
        model.predict(np.full((1, 8), np.nan))


@pytest.mark.parametrize("name", SURROGATES)
def test_surrogates_learn_a_smooth_function_of_the_genes(name):
    X = POCKET.sample(150, 1)
    y = 40 - 2 * X[:, 0] - POCKET.depths(X) @ [3, 2, 1] - X[:, 2] % 3
    model = SURROGATES[name](POCKET, 0)
    if name.startswith("rbf"):
        model.set_params(**{key: 50 for key in model.get_params() if key.endswith("n_members")})
    X_few, y_few = np.vstack([X[:100], X[:5]]), np.append(y[:100], y[:5])  # duplicates are no harm
    predicted = clone(model).fit(X_few, y_few).predict(X[100:])
    assert predicted.shape == (50,)
    assert rank_metrics(y[100:], predicted)["kendall"] > 0.6


def test_thermometer_counts_from_small_to_large():
    small, large = (POCKET.encode(a)[None] for a in (POCKET.smallest(), POCKET.largest()))
    lowest, highest = thermometer(POCKET, small)[0], thermometer(POCKET, large)[0]
    found = thermometer(POCKET, POCKET.sample(50, 0))
    assert ((lowest <= found) & (found <= highest)).all()
    wider = small.copy()
    wider[0, 2] += 1  # one kernel level in the first layer
    assert (thermometer(POCKET, wider) > lowest).sum() == 2  # that level and the kernels' mean


def test_thermometer_tells_architectures_apart_and_duplicates_alike():
    X = np.unique(POCKET.sample(300, 0), axis=0)
    code = thermometer(POCKET, np.vstack([X, X]))
    assert np.array_equal(code[: len(X)], code[len(X) :])
    assert len(np.unique(code, axis=0)) == len(X)


def test_rank_metrics_by_hand():
    found = rank_metrics([1, 2, 3, 4], [10, 20, 40, 30])
    assert found["kendall"] == pytest.approx(4 / 6)  # five pairs agree, one does not
    assert found["spearman"] == pytest.approx(0.8)
    assert rank_metrics([1, 2], [2, 4])["rmse"] == pytest.approx(np.sqrt(2.5))
    for y in ([1, 2, 3], [5, 5, 5]):
        constant = rank_metrics(y, [5, 5, 5])
        assert (constant["spearman"], constant["kendall"]) == (0, 0)
        assert np.isfinite(constant["rmse"])
