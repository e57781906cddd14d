"""Surrogates: learning the accuracy of architectures from a few evaluations.

The paper's surrogate is an ensemble of radial basis function (RBF) models, `RBFEnsemble`; its
rivals come from scikit-learn. All are scikit-learn estimators, and `SURROGATES` makes each of them
by name so that `fit` and `predict` take encodings.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import ArrayLike, NDArray
from scipy.stats import kendalltau, spearmanr
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import RandomForestRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.linear_model import RidgeCV
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVR
from sklearn.utils.validation import check_is_fitted
from threadpoolctl import threadpool_limits

from natlib.space import IntMatrix, SearchSpace

CHUNK_ELEMENTS = 2**18  # distances that are held at once in `predict`: they stay in the CPU's cache
TOTALS_WEIGHT = 4.0  # in steps


class RBFEnsemble(RegressorMixin, BaseEstimator):
    r"""The mean of many cubic RBF interpolants, each on a random subset of the genes (NAT, 2a).

    Each member `m` sees the genes `S_m` alone and interpolates the archive `(x_i, y_i)` by

    .. math:: s_m(x) = \sum_i a_i \|x - x_i\|_{S_m}^3 + c_0 + \sum_{g \in S_m} c_g x_g

    where `a` and `c` solve `[[K + t I, P], [P^T, -e I]] [a, c] = [y, 0]`: `K` holds the cubed
    distances, `P = [1, x]` is the linear tail, `t` the smoothing. With all genes, one member is
    `scipy.interpolate.RBFInterpolator(kernel="cubic", degree=1)`. All members are solved and
    asked as one batch of matrices, in chunks.

    Rules for awkward data: points that a member cannot tell apart count with the *mean* of their
    values. The tail is *regularised* by a tiny `e`, so that it stays solvable where genes are
    constant or points are fewer than genes; a coefficient that the data leave open is zero.

    Args:
        n_members: Number of members.
        max_genes: Genes that a member sees, as a share of all, in (0, 1].
        smoothing: Ridge `t` on the cubed distances, with genes scaled to at most one; 0
            interpolates.
        seed: Seed of the subsets.
    """

    def __init__(
        self,
        n_members: int = 500,
        max_genes: float = 0.5,
        smoothing: float = 0.0,
        seed: int = 0,
        dtype: str = "float32",
    ) -> None:
        self.n_members = n_members
        self.max_genes = max_genes
        self.smoothing = smoothing
        self.seed = seed
        self.dtype = dtype

    def fit(self, X: ArrayLike, y: ArrayLike) -> RBFEnsemble:
        """Solves all members.

        Args:
            X: Genes, `(n, n_features)`; at least two rows.
            y: Values, `(n,)`, or several of each row, `(n, k)`, which share the distances.

        Raises:
            ValueError: If rows are missing, do not fit, or hold NaN.
        """
        X, y = _check_matrix(X), np.asarray(y, dtype=np.float64)
        if len(X) < 2 or y.ndim > 2 or y.shape[:1] != (len(X),) or not np.isfinite(y).all():
            raise ValueError(
                f"RBFEnsemble.fit needs two rows or more and one finite value for each, "
                f"but got X {X.shape} and y {y.shape} with {np.sum(~np.isfinite(y))} not finite."
            )
        self.n_features_in_ = X.shape[1]
        self.center_ = X.mean(axis=0)
        self.scale_ = float(np.ptp(X, axis=0).max()) or 1.0
        self.offset_ = y.mean(axis=0)
        self.points_ = self._scaled(X)
        self.subsets_ = self._draw_subsets()
        chunks = _chunks(self.n_members, 8 * CHUNK_ELEMENTS // len(X) ** 2)
        values = y - self.offset_
        solved = _in_threads(self._solve, [(self.subsets_[chunk], values) for chunk in chunks])
        self.coefficients_ = np.concatenate(solved)
        return self

    def predict(
        self, X: ArrayLike, return_std: bool = False
    ) -> NDArray[np.float64] | tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Returns the mean of the members, `(n,)` or `(n, k)`, with `return_std` their spread too.

        Args:
            X: Genes, `(n, n_features)`.
            return_std: Whether to return the standard deviation of the members as well.

        Raises:
            ValueError: If the width differs from that in `fit`, or `X` holds NaN.
        """
        check_is_fitted(self)
        X = _check_matrix(X)
        if X.shape[1] != self.n_features_in_:
            raise ValueError(
                f"RBFEnsemble was fitted on {self.n_features_in_} genes, but X has {X.shape[1]}."
            )
        queries = self._scaled(X)
        chunks = _chunks(self.n_members, 20)
        sums = sum(_in_threads(self._ask_chunk, [(queries, chunk) for chunk in chunks]))
        mean, mean_square = sums / self.n_members
        if not return_std:
            return mean + self.offset_
        return mean + self.offset_, np.sqrt(np.maximum(mean_square - mean**2, 0))

    def _draw_subsets(self) -> NDArray[np.int64]:
        """Draws the genes of each member, `(n_members, genes of a member)`."""
        n_genes = max(1, round(self.max_genes * self.n_features_in_))
        order = np.random.default_rng(self.seed).random((self.n_members, self.n_features_in_))
        return np.sort(order.argsort(axis=1)[:, :n_genes], axis=1)

    def _scaled(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Centres genes and divides all by one number, which the cubic kernel does not notice."""
        return (X - self.center_) / self.scale_

    def _solve(self, subsets: NDArray, values: NDArray) -> NDArray[np.float64]:
        """Returns `[a, c_0, c]` of some members, `(members, n + 1 + genes of a member, ...)`."""
        n, tail = len(values), 1 + subsets.shape[1]
        points = self.points_[:, subsets].transpose(1, 0, 2)
        squared = _squared_distances(points, points)
        same = squared < 1e-12
        system = np.zeros((len(subsets), n + tail, n + tail))
        system[:, :n, :n] = _cubed(squared)
        system[:, :n, n] = 1
        system[:, :n, n + 1 :] = points
        system[:, n:, :n] = system[:, :n, n:].transpose(0, 2, 1)
        diagonal = np.arange(n + tail)
        system[:, diagonal, diagonal] += np.repeat([self.smoothing + 1e-13, -1e-10], [n, tail])
        right = np.zeros((len(subsets), n + tail, values[0].size))
        right[:, :n] = same @ values.reshape(n, -1) / same.sum(axis=2, keepdims=True)
        return np.linalg.solve(system, right).reshape(len(subsets), n + tail, *values.shape[1:])

    def _ask_chunk(self, queries: NDArray, members: slice) -> NDArray[np.float64]:
        """Returns sum and sum of squares of some members' predictions, `(2, n, ...)`."""
        sums = np.zeros((2, len(queries), *self.coefficients_.shape[2:]))
        rows = _chunks(len(queries), CHUNK_ELEMENTS // len(self.points_))
        pairs = zip(self.subsets_[members], self.coefficients_[members], strict=True)
        for subset, coefficients in pairs:
            points, weights = self.points_[:, subset], coefficients[: len(self.points_)]
            for chunk in rows:
                asked = queries[chunk][:, subset]
                squared = _squared_distances(asked.astype(self.dtype), points.astype(self.dtype))
                answer = _cubed(squared) @ weights.astype(self.dtype)
                answer = answer + asked @ coefficients[-len(subset) :] + coefficients[len(weights)]
                sums[:, chunk] += answer, answer**2
        return sums


def _chunks(n: int, size: int) -> list[slice]:
    """Cuts `n` rows into slices of at most `size`, and at least one, row."""
    size = max(1, size)
    return [slice(start, start + size) for start in range(0, n, size)]


def _in_threads(function: Callable, arguments: list[tuple]) -> list:
    """Calls a function with each tuple of arguments, as many at a time as there are cores.

    numpy lets go of Python's lock while it computes. Its own threads, which would have to wait
    for each other after every small matrix, are switched off meanwhile.
    """
    with threadpool_limits(1, "blas"):
        jobs = (delayed(function)(*values) for values in arguments)
        return Parallel(n_jobs=-1, prefer="threads")(jobs)


def _squared_distances(A: NDArray, B: NDArray) -> NDArray:
    """Returns `|a - b|^2` of all pairs of rows, `(..., len(A), len(B))`."""
    squared = A @ (-2 * B.swapaxes(-1, -2))
    squared += (A**2).sum(axis=-1, keepdims=True)
    squared += (B**2).sum(axis=-1)[..., None, :]
    return np.maximum(squared, 0, out=squared)  # rounding may have made some negative


def _cubed(squared: NDArray) -> NDArray:
    """Returns `d^3` of squared distances."""
    cubed = np.sqrt(squared)
    cubed *= squared
    return cubed


def _check_matrix(X: ArrayLike) -> NDArray[np.float64]:
    """Returns `X` as a finite float64 matrix."""
    matrix = np.asarray(X, dtype=np.float64)
    if matrix.ndim != 2 or not np.isfinite(matrix).all():
        raise ValueError(
            f"RBFEnsemble takes a matrix (n, genes) of finite numbers, but got shape "
            f"{matrix.shape} with {np.sum(~np.isfinite(matrix))} entries that are not finite."
        )
    return matrix


def steps(space: SearchSpace, X: IntMatrix) -> NDArray[np.float64]:
    """Returns encodings as steps from small to large: what most surrogates here see.

    Genes as integers claim that kernel 3 with expand ratio 6 lies between two things it has
    nothing to do with; one-hot genes forget that 5 lies between 3 and 7. Here each decision
    (resolution, width, kernels, expand ratios, depths) with choices `c_0 < c_1 < ...` becomes the
    columns `[x >= c_1, x >= c_2, ...]`, and a skipped layer is less than any choice: a linear
    model learns what each step is worth, a kernel counts steps. The mean of each kind of decision
    over the network follows, in [0, 1] times `TOTALS_WEIGHT`: how large the subnet is as a whole
    is the first thing to learn from few evaluations.

    Args:
        space: The search space.
        X: Canonical encodings, `(n, n_var)`.
    """
    X = space.check_valid(X)
    genes, n_kernels = X[:, 2:], len(space.kernels)
    levels = [
        (X[:, :1], len(space.resolutions) - 1),
        (X[:, 1:2], len(space.widths) - 1),
        (np.where(genes > 0, (genes - 1) % n_kernels + 1, 0), n_kernels),
        (np.where(genes > 0, (genes - 1) // n_kernels + 1, 0), len(space.expands)),
        (space.depths(X), space.max_depth),
    ]
    reached = [(L[:, :, None] > np.arange(top)).reshape(len(X), -1) for L, top in levels]
    totals = [L.mean(axis=1, keepdims=True) / max(top, 1) for L, top in levels]
    return np.hstack([*reached, TOTALS_WEIGHT * np.hstack(totals)])


def seeing(features: Callable, model: BaseEstimator) -> Pipeline:
    """Lets a model see `features(X)` of encodings `X`; its target is standardised."""
    scaled = TransformedTargetRegressor(model, transformer=StandardScaler())
    return make_pipeline(FunctionTransformer(features), scaled)


def gaussian_process(seed: int = 0) -> GaussianProcessRegressor:
    """Returns a Gaussian process that learns scale, length and noise from the data."""
    signal = ConstantKernel(10.0, (1e-2, 1e4)) * RBF(10.0, (0.5, 1e3))
    kernel = signal + WhiteKernel(0.1, (1e-12, 10.0))
    return GaussianProcessRegressor(kernel, alpha=1e-4, random_state=seed)


def ridge() -> RidgeCV:
    """Returns a ridge regression that chooses its penalty by leave-one-out."""
    return RidgeCV(np.logspace(-2, 3, 11))


def neural_network(seed: int = 0) -> MLPRegressor:
    """Returns a perceptron with one hidden layer of 64 units."""
    return MLPRegressor(
        hidden_layer_sizes=[64],
        alpha=1.0,
        solver="lbfgs",
        max_iter=1000,
        tol=1e-3,
        random_state=seed,
    )


# Name to a function of the space and a seed that returns an unfitted estimator over encodings.
# "rbf" is the paper's. A name tells the model, and what it sees where that is not `steps`.
SURROGATES: dict[str, Callable[[SearchSpace, int], BaseEstimator]] = {
    "rbf": lambda space, seed: RBFEnsemble(seed=seed),
    "rbf_steps": lambda space, seed: seeing(partial(steps, space), RBFEnsemble(seed=seed)),
    "ridge_integer": lambda space, seed: make_pipeline(StandardScaler(), ridge()),
    "ridge_onehot": lambda space, seed: seeing(space.features, ridge()),
    "ridge": lambda space, seed: seeing(partial(steps, space), ridge()),
    "forest": lambda space, seed: RandomForestRegressor(200, random_state=seed),
    "mlp": lambda space, seed: seeing(partial(steps, space), neural_network(seed)),
    "svr": lambda space, seed: seeing(partial(steps, space), SVR(C=100, gamma=0.003, epsilon=0.05)),
    "gp_onehot": lambda space, seed: seeing(space.features, gaussian_process(seed)),
    "gp": lambda space, seed: seeing(partial(steps, space), gaussian_process(seed)),
}


def rank_metrics(y: ArrayLike, predicted: ArrayLike) -> dict[str, float]:
    """Returns how well predictions agree with measurements.

    Args:
        y: Measured values, `(n,)`.
        predicted: Predicted values, `(n,)`.

    Returns:
        `rmse` in the unit of `y`, and the rank correlations `spearman` and `kendall` in [-1, 1],
        which are 0 where one side is constant and so ranks nothing.
    """
    y, predicted = np.asarray(y, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    rmse = float(np.sqrt(np.mean((y - predicted) ** 2)))
    if np.ptp(y) == 0 or np.ptp(predicted) == 0:
        return {"rmse": rmse, "spearman": 0.0, "kendall": 0.0}
    return {
        "rmse": rmse,
        "spearman": float(spearmanr(y, predicted).statistic),
        "kendall": float(kendalltau(y, predicted).statistic),
    }
