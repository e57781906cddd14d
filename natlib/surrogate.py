"""Surrogates: learning the accuracy of architectures from a few evaluations.

The paper's surrogate is an ensemble of radial basis function (RBF) models, `RBFEnsemble`; its
rivals come from scikit-learn. All are scikit-learn estimators, and `SURROGATES` makes each of them
by name so that `fit` and `predict` take encodings.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.stats import kendalltau, spearmanr
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import RandomForestRegressor, StackingRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, DotProduct, WhiteKernel
from sklearn.linear_model import RidgeCV
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVR
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from natlib.space import SearchSpace

CHUNK_ELEMENTS = 2**18  # distances that are held at once in `predict`: they stay in the CPU's cache


class RBFEnsemble(RegressorMixin, BaseEstimator):
    r"""The mean of many cubic RBF interpolants, each on a random subset of the genes (NAT, 2a).

    Each member `m` sees the genes `S_m` alone and interpolates the archive `(x_i, y_i)` by

    .. math:: s_m(x) = \sum_i w_i \|x - x_i\|_{S_m}^3 + c_0 + \sum_{g \in S_m} c_g x_g

    where `w` and `c` solve `[[K + s I, P], [P^T, -e I]] [w, c] = [y, 0]`: `K` holds the cubed
    distances, `P = [1, x]` is the linear tail, `s` the smoothing. With all genes, one member is
    `scipy.interpolate.RBFInterpolator(kernel="cubic", degree=1)`. All members are solved and
    asked as one batch of matrices, in chunks.

    Rules for awkward data: points that a member cannot tell apart count with the *mean* of their
    values. The tail is *regularised* by a tiny `e`, so that it stays solvable where genes are
    constant or points are fewer than genes; a coefficient that the data leave open is zero.

    Args:
        n_members: Number of members.
        max_genes: Genes that a member sees, as a share of all, in (0, 1].
        smoothing: Ridge `s` on the cubed distances, with genes scaled to at most one; 0
            interpolates.
        seed: Seed of the subsets.
    """

    def __init__(
        self,
        n_members: int = 500,
        max_genes: float = 0.5,
        smoothing: float = 0.0,
        seed: int = 0,
    ) -> None:
        self.n_members = n_members
        self.max_genes = max_genes
        self.smoothing = smoothing
        self.seed = seed

    def fit(self, X: ArrayLike, y: ArrayLike) -> RBFEnsemble:
        """Solves all members.

        Args:
            X: Genes, `(n, n_features)`; at least two rows.
            y: Values, `(n,)`.

        Raises:
            ValueError: If rows are missing, do not fit, or hold NaN.
        """
        X, y = _check_matrix(X), np.asarray(y, dtype=np.float64)
        if len(X) < 2 or y.shape != (len(X),) or not np.isfinite(y).all():
            raise ValueError(
                f"RBFEnsemble.fit needs two rows or more and one finite value for each, "
                f"but got X {X.shape} and y {y.shape} with {np.sum(~np.isfinite(y))} not finite."
            )
        self.n_features_in_ = X.shape[1]
        self.center_ = X.mean(axis=0)
        self.scale_ = float(np.ptp(X, axis=0).max()) or 1.0
        self.subsets_ = torch.from_numpy(self._draw_subsets())
        self.points_ = self._scaled(X)
        self.offset_ = float(y.mean())
        values = torch.from_numpy(y - self.offset_)
        rows = max(1, 16 * CHUNK_ELEMENTS // len(X) ** 2)
        solved = [self._solve(subsets, values) for subsets in self.subsets_.split(rows)]
        self.coefficients_ = torch.cat(solved)
        return self

    def predict(
        self, X: ArrayLike, return_std: bool = False
    ) -> NDArray[np.float64] | tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Returns the mean of the members, `(n,)`, and with `return_std` their spread too.

        Args:
            X: Genes, `(n, n_features)`.
            return_std: Whether to return the standard deviation of the members as well, `(n,)`.

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
        total, squares = torch.zeros(2, len(X), dtype=torch.float64)
        rows = max(1, CHUNK_ELEMENTS // len(self.points_))
        for subset, coefficients in zip(self.subsets_, self.coefficients_, strict=True):
            members = self._ask(queries, subset, coefficients, rows)
            total += members
            squares += members**2
        mean = total / self.n_members
        if not return_std:
            return mean.numpy() + self.offset_
        spread = (squares / self.n_members - mean**2).clamp(min=0).sqrt()
        return mean.numpy() + self.offset_, spread.numpy()

    def _draw_subsets(self) -> NDArray[np.int64]:
        """Draws the genes of each member, `(n_members, genes of a member)`."""
        n_genes = max(1, round(self.max_genes * self.n_features_in_))
        order = np.random.default_rng(self.seed).random((self.n_members, self.n_features_in_))
        return np.sort(order.argsort(axis=1)[:, :n_genes], axis=1)

    def _scaled(self, X: NDArray[np.float64]) -> Tensor:
        """Centres genes and divides all by one number, which the cubic kernel does not notice."""
        return torch.from_numpy((X - self.center_) / self.scale_)

    def _solve(self, subsets: Tensor, values: Tensor) -> Tensor:
        """Returns `[w, c_0, c]` of some members, `(members, n + 1 + genes of a member)`."""
        members, n = len(subsets), len(values)
        points = self.points_[:, subsets].transpose(0, 1)
        distances = torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist")
        same = (distances < 1e-9).double()
        size = n + 1 + subsets.shape[1]
        system = torch.zeros(members, size, size, dtype=torch.float64)
        system[:, :n, :n] = distances**3
        system[:, :n, n] = 1
        system[:, :n, n + 1 :] = points
        system[:, n:, :n] = system[:, :n, n:].transpose(1, 2)
        system.diagonal(dim1=1, dim2=2)[:, :n] += self.smoothing + 1e-10
        system.diagonal(dim1=1, dim2=2)[:, n:] -= 1e-10
        right = torch.zeros(members, size, dtype=torch.float64)
        right[:, :n] = (same @ values) / same.sum(dim=2)
        return torch.linalg.solve(system, right)

    def _ask(self, queries: Tensor, subset: Tensor, coefficients: Tensor, rows: int) -> Tensor:
        """Returns one member's predictions, `(n,)`."""
        points, queries = self.points_[:, subset], queries[:, subset]
        n = len(points)
        tail = queries @ coefficients[n + 1 :] + coefficients[n]
        norms = (points**2).sum(dim=1)
        chunks = []
        for chunk in queries.split(rows):
            squared = torch.addmm(norms, chunk, points.T, alpha=-2)
            squared += (chunk**2).sum(dim=1, keepdim=True)
            squared.clamp_(min=0)
            chunks.append(squared.sqrt().mul_(squared) @ coefficients[:n])
        return torch.cat(chunks) + tail


def _check_matrix(X: ArrayLike) -> NDArray[np.float64]:
    """Returns `X` as a finite float64 matrix."""
    matrix = np.asarray(X, dtype=np.float64)
    if matrix.ndim != 2 or not np.isfinite(matrix).all():
        raise ValueError(
            f"RBFEnsemble takes a matrix (n, genes) of finite numbers, but got shape "
            f"{matrix.shape} with {np.sum(~np.isfinite(matrix))} entries that are not finite."
        )
    return matrix


def one_hot(space: SearchSpace) -> FunctionTransformer:
    """Returns the pipeline step that makes categories of encodings, `space.features`."""
    return FunctionTransformer(space.features)


def _scaled(model: BaseEstimator) -> TransformedTargetRegressor:
    """Standardises the values that a model learns, and scales its predictions back."""
    return TransformedTargetRegressor(model, transformer=StandardScaler())


def _ridge(space: SearchSpace, seed: int) -> BaseEstimator:
    return make_pipeline(one_hot(space), RidgeCV(np.logspace(-2, 3, 11)))


def _svr(space: SearchSpace, seed: int) -> BaseEstimator:
    return make_pipeline(one_hot(space), _scaled(SVR(C=10, epsilon=0.05, gamma=0.02)))


def _gp(space: SearchSpace, seed: int) -> BaseEstimator:
    kernel = ConstantKernel() * RBF(5.0) + DotProduct() + WhiteKernel(0.1)
    model = GaussianProcessRegressor(kernel, normalize_y=True, random_state=seed)
    return make_pipeline(one_hot(space), model)


def _forest(space: SearchSpace, seed: int) -> BaseEstimator:
    return RandomForestRegressor(300, random_state=seed)


def _mlp(space: SearchSpace, seed: int) -> BaseEstimator:
    model = MLPRegressor(
        hidden_layer_sizes=(100,), alpha=1.0, solver="lbfgs", max_iter=300, random_state=seed
    )
    return make_pipeline(one_hot(space), _scaled(model))


def _stack(space: SearchSpace, seed: int) -> BaseEstimator:
    members = [("ridge", _ridge(space, seed)), ("gp", _gp(space, seed))]
    return StackingRegressor(members, RidgeCV(np.logspace(-3, 3, 7)))


# Name to a function of the space and a seed that returns an unfitted estimator over encodings.
SURROGATES: dict[str, Callable[[SearchSpace, int], BaseEstimator]] = {
    "rbf": lambda space, seed: RBFEnsemble(seed=seed),
    "ridge": _ridge,
    "svr": _svr,
    "gp": _gp,
    "forest": _forest,
    "mlp": _mlp,
    "stack": _stack,
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
