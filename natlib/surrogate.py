"""Surrogates: learning the accuracy of architectures from a few evaluations (NAT, step 2a).

The paper's is an ensemble of radial basis function (RBF) models, `RBFEnsemble`; most of its rivals
come from scikit-learn. `SURROGATES` makes each by name, as an estimator over encodings.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple, Self

import numpy as np
from joblib import cpu_count
from numpy.typing import ArrayLike, NDArray
from scipy.stats import kendalltau, spearmanr
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import RandomForestRegressor
from sklearn.gaussian_process import GaussianProcessRegressor, kernels
from sklearn.linear_model import RidgeCV
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVR
from sklearn.utils.validation import check_is_fitted, validate_data
from threadpoolctl import threadpool_limits

from natlib.space import IntMatrix, SearchSpace

BLOCK = 2**18  # distances that a thread holds at once in `predict`: they stay in the CPU's cache
MLP = {"hidden_layer_sizes": [64], "alpha": 1.0, "solver": "lbfgs", "max_iter": 1000, "tol": 1e-3}
TOTALS_WEIGHT = 4.0  # of the columns of means in `thermometer`; one level of a decision weighs 1


class RBFEnsemble(RegressorMixin, BaseEstimator):
    """The mean of many cubic RBF interpolants, each on a random subset of the genes (NAT, 2a).

    Genes are centred and divided by one number, the largest range, which a cubic kernel does not
    notice. With all genes, one member is `RBFInterpolator(kernel="cubic", degree=1)` of scipy.
    """

    def __init__(self, n_members=500, max_genes=0.5, smoothing=0.0, seed=0, dtype="float32"):
        self.n_members = n_members
        self.max_genes = max_genes  # that a member sees, as a share of all, in (0, 1]
        self.smoothing = smoothing  # ridge on the kernel; with 0, members pass through their points
        self.seed = seed  # of the subsets
        self.dtype = dtype  # of the kernel in `predict`; members are solved in float64

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Solves all members for at least two encodings `(n, n_var)` and `y` `(n,)` or `(n, k)`."""
        options = {"dtype": np.float64, "multi_output": True, "ensure_min_samples": 2}
        X, y = validate_data(self, X, y, y_numeric=True, **options)
        self.center_, self.scale_ = X.mean(axis=0), float(np.ptp(X, axis=0).max()) or 1.0
        self.offset_ = y.mean(axis=0)
        n_genes = max(1, round(self.max_genes * X.shape[1]))
        order = np.random.default_rng(self.seed).random((self.n_members, X.shape[1])).argsort()
        self.subsets_ = np.sort(order[:, :n_genes], axis=1)

        points, values = (X - self.center_) / self.scale_, (y - self.offset_).reshape(len(y), -1)
        solve = partial(Interpolant.solve, points, values, self.smoothing, self.dtype)
        self.members_ = _in_threads(solve, self.subsets_)
        return self

    def predict(self, X: ArrayLike) -> NDArray[np.float64]:
        """Returns the members' mean, `(n,)` or `(n, k)` as in `fit`, for encodings `(n, n_var)`."""
        check_is_fitted(self)
        X = (validate_data(self, X, reset=False, dtype=np.float64) - self.center_) / self.scale_

        def mean(rows: NDArray) -> NDArray[np.float64]:
            return sum(member(rows) for member in self.members_) / self.n_members

        n_blocks = -(-len(X) * len(self.members_[0].points) // BLOCK)
        y = np.concatenate(_in_threads(mean, np.array_split(X, n_blocks)))
        return y.reshape(len(X), *self.offset_.shape) + self.offset_


class Interpolant(NamedTuple):
    r"""One member: a cubic RBF interpolant with a linear tail that sees the genes `G` alone.

    .. math:: s(x) = \sum_i a_i \|x - x_i\|_G^3 + c_0 + \sum_{g \in G} c_g x_g
    """

    genes: NDArray[np.int64]  # (g,)
    points: NDArray  # x_i, (n, g)
    weights: NDArray  # a, (n, k)
    tail: NDArray[np.float64]  # c, (1 + g, k)

    @classmethod
    def solve(cls, X: NDArray, y: NDArray, smoothing: float, dtype: str, genes: NDArray):
        """Solves `[[K + t I, P], [P^T, -e I]] [a, c] = [y, 0]` with `P = [1, x]`.

        `K` holds the cubed distances, `t` is the smoothing. Points that the member cannot tell
        apart count with their mean. A tiny `e` keeps the system solvable where genes are constant
        or points fewer than genes; what the data leave open becomes zero.
        """
        points, n, tail = X[:, genes], len(X), 1 + len(genes)
        K, P = _cubed_distances(points, points), np.column_stack([np.ones(n), points])
        same = K < 1e-18
        system, right = np.zeros((n + tail, n + tail)), np.zeros((n + tail, y.shape[1]))
        system[:n, :n], system[:n, n:], system[n:, :n] = K, P, P.T
        system[np.diag_indices(n + tail)] += np.repeat([smoothing + 1e-13, -1e-10], [n, tail])
        right[:n] = same @ y / same.sum(axis=1, keepdims=True)
        a, c = np.split(np.linalg.solve(system, right), [n])
        return cls(genes, points.astype(dtype), a.astype(dtype), c)

    def __call__(self, X: NDArray) -> NDArray[np.float64]:
        """Returns `s(x)` of each row, `(m, k)`."""
        X = X[:, self.genes]
        K = _cubed_distances(X.astype(self.points.dtype), self.points)
        return K @ self.weights + self.tail[0] + X @ self.tail[1:]


def _cubed_distances(A: NDArray, B: NDArray) -> NDArray:
    """Returns `|a - b|^3` of all pairs of rows; `|a - b|^2 = |a|^2 - 2 a b + |b|^2`."""
    squared = A @ (-2 * B.T)
    squared += (A**2).sum(axis=1, keepdims=True)
    squared += (B**2).sum(axis=1)
    np.maximum(squared, 0, out=squared)  # rounding may have made some negative
    cubed = np.sqrt(squared)
    cubed *= squared
    return cubed


def _in_threads(function: Callable, items: Iterable) -> list:
    """Returns `function(item)` of all items, in as many threads as there are cores.

    numpy lets go of Python's lock; its own threads would wait after every small matrix, so are off.
    """
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(cpu_count()) as pool:
        return list(pool.map(function, items))


def thermometer(space: SearchSpace, X: IntMatrix) -> NDArray[np.float64]:
    """Returns encodings in thermometer code: what most surrogates here see.

    Each decision (resolution, width, kernels, expand ratios, depths) with choices
    `c_0 < c_1 < ...` becomes the columns `[x >= c_1, x >= c_2, ...]`; a skipped layer is less than
    any choice. One-hot columns forget that kernel 5 lies between 3 and 7; here a linear model
    learns what each level adds, a kernel counts levels. Last comes the mean of each kind of
    decision, in [0, 1] times `TOTALS_WEIGHT`: how large a subnet `(n, n_var)` is as a whole is the
    first thing to learn from few evaluations.
    """
    X = space.validated(X)
    genes, n_kernels = X[:, 2:], len(space.kernels)
    levels = [  # of each kind of decision, and the highest
        (X[:, :1], len(space.resolutions) - 1),
        (X[:, 1:2], len(space.widths) - 1),
        (np.where(genes > 0, (genes - 1) % n_kernels + 1, 0), n_kernels),
        (np.where(genes > 0, (genes - 1) // n_kernels + 1, 0), len(space.expands)),
        (space.depths(X), space.max_depth),
    ]
    code = [(level[:, :, None] > np.arange(top)).reshape(len(X), -1) for level, top in levels]
    totals = [level.mean(axis=1, keepdims=True) / max(top, 1) for level, top in levels]
    return np.hstack([*code, TOTALS_WEIGHT * np.hstack(totals)])


def seeing(features: Callable[[IntMatrix], NDArray], model: BaseEstimator) -> Pipeline:
    """Lets a model see `features(X)` of encodings `X`; its target is standardised."""
    scaled = TransformedTargetRegressor(model, transformer=StandardScaler())
    return make_pipeline(FunctionTransformer(features), scaled)


def gaussian_process(seed: int = 0) -> GaussianProcessRegressor:
    """Returns a Gaussian process that learns scale, length and noise from the data."""
    signal = kernels.ConstantKernel(10.0, (1e-2, 1e4)) * kernels.RBF(10.0, (0.5, 1e3))
    kernel = signal + kernels.WhiteKernel(0.1, (1e-12, 10.0))
    return GaussianProcessRegressor(kernel, alpha=1e-4, random_state=seed)


def ridge() -> RidgeCV:
    """Returns a ridge regression that chooses its penalty by leave-one-out."""
    return RidgeCV(np.logspace(-2, 3, 11))


def _on_thermometer(space: SearchSpace, model: BaseEstimator) -> Pipeline:
    return seeing(partial(thermometer, space), model)


# Name to a function of the space and a seed that returns an unfitted estimator over encodings.
# "rbf" is the paper's. A name tells the model, and what it sees where that is not `thermometer`.
SURROGATES: dict[str, Callable[[SearchSpace, int], BaseEstimator]] = {
    "rbf": lambda space, seed: RBFEnsemble(seed=seed),
    "rbf_thermometer": lambda space, seed: _on_thermometer(space, RBFEnsemble(seed=seed)),
    "ridge_integer": lambda space, seed: make_pipeline(StandardScaler(), ridge()),
    "ridge_onehot": lambda space, seed: seeing(space.features, ridge()),
    "ridge": lambda space, seed: _on_thermometer(space, ridge()),
    "forest": lambda space, seed: RandomForestRegressor(200, random_state=seed),
    "mlp": lambda space, seed: _on_thermometer(space, MLPRegressor(random_state=seed, **MLP)),
    "svr": lambda space, seed: _on_thermometer(space, SVR(C=100, gamma=0.003, epsilon=0.05)),
    "gp_onehot": lambda space, seed: seeing(space.features, gaussian_process(seed)),
    "gp": lambda space, seed: _on_thermometer(space, gaussian_process(seed)),
}


def rank_metrics(y: ArrayLike, predicted: ArrayLike) -> dict[str, float]:
    """Returns how well predictions agree with measurements, both `(n,)`.

    That is `rmse`, and the rank correlations `spearman` and `kendall`, 0 where a side is constant.
    """
    y, predicted = np.asarray(y, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    metrics = {"rmse": float(np.sqrt(np.mean((y - predicted) ** 2)))}
    ranked = np.ptp(y) > 0 and np.ptp(predicted) > 0
    for name, correlation in {"spearman": spearmanr, "kendall": kendalltau}.items():
        metrics[name] = float(correlation(y, predicted).statistic) if ranked else 0.0
    return metrics
