"""Small spaces in which every network was measured: there the true front is known.

`load_table` opens one of `TABLES`. What a search needs of a space, a `TableSpace` has, so `nsga3`,
surrogates and the choice of candidates work on it as on a `SearchSpace`; a look-up takes the place
of a measurement. `data/README.md` says where the figures come from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from natlib.data import DATA, verify_checksum
from natlib.search import hypervolume, non_dominated
from natlib.space import IntMatrix, SearchSpace
from natlib.surrogate import thermometer

OPERATIONS = ("none", "skip", "conv 1x1", "conv 3x3", "pool 3x3")  # of NAS-Bench-201
EDGES = ("0-1", "0-2", "1-2", "0-3", "1-3", "2-3")  # from node to node of its cell
PATHS = ((0, 2, 5), (1, 5), (0, 4), (3,))  # edges from its input, node 0, to its output, node 3
PICTURES = {"cifar10": 25_000, "cifar100": 5_000, "imagenet": 3_000}  # of validation
TABLES = ("pocket", *PICTURES)


@dataclass(frozen=True, eq=False)
class TableSpace:
    """All networks of a space, and what was measured of each.

    A network is one number for each gene, which counts its choices from 0; all of them exist.
    """

    name: str
    genes: dict[str, tuple]  # choices of each gene
    columns: dict[str, NDArray]  # figures of all networks in the order of `X`, `(size,)`
    features: Callable[[IntMatrix], NDArray]  # what a surrogate sees of encodings `(n, n_var)`

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Number of choices of each gene."""
        return tuple(map(len, self.genes.values()))

    @property
    def n_var(self) -> int:
        """Number of genes."""
        return len(self.shape)

    @property
    def lower(self) -> IntMatrix:
        """Smallest value of each gene, int64 `(n_var,)`."""
        return np.zeros(self.n_var, dtype=np.int64)

    @property
    def upper(self) -> IntMatrix:
        """Largest value of each gene, int64 `(n_var,)`."""
        return np.array(self.shape) - 1

    @cached_property
    def X(self) -> IntMatrix:
        """All encodings, int64 `(size, n_var)`."""
        return np.indices(self.shape).reshape(self.n_var, -1).T

    def repair(self, X: ArrayLike) -> IntMatrix:
        """Returns the encodings nearest to integers: values are clipped to their bounds."""
        return np.clip(np.asarray(X, dtype=np.int64), self.lower, self.upper)

    def rows(self, X: ArrayLike) -> IntMatrix:
        """Returns the rows of encodings `(n, n_var)`; outside the table a `ValueError`."""
        X = np.atleast_2d(X)
        fits = X.shape[1:] == (self.n_var,) and np.issubdtype(X.dtype, np.integer)
        wrong = ((X < 0) | (X > self.upper)).any(axis=1) if fits else np.ones(len(X), dtype=bool)
        if wrong.any():
            told = f"{X[wrong][0].tolist()} is not in the table '{self.name}': a network there is"
            raise ValueError(f"{told} {self.n_var} integers from 0 to {self.upper.tolist()}.")
        return np.ravel_multi_index(tuple(X.T), self.shape)

    def measure(self, X: ArrayLike, names: Sequence[str]) -> NDArray[np.float64]:
        """Looks objectives up, float64 `(n, n_objectives)`; unknown ones are a `ValueError`."""
        for name in set(names) - set(self.columns):
            told = f"The table '{self.name}' has no column '{name}'"
            raise ValueError(f"{told}: choose from {', '.join(self.columns)}.")
        rows = self.rows(X)
        return np.column_stack([self.columns[name][rows] for name in names]).astype(float)

    def true_front(self, names: Sequence[str]) -> NDArray[np.float64]:
        """Returns the objectives of all networks that no other dominates, by the first one."""
        F = self.measure(self.X, names)
        front = np.unique(F[non_dominated(F)], axis=0)
        return front

    def reached(self, F: ArrayLike, names: Sequence[str]) -> float:
        """Returns the hypervolume of points, as a share of the true front's.

        The box reaches from the front's best values to a tenth of its range beyond its worst.
        """
        front = self.true_front(names)
        ideal, worst = front.min(axis=0), front.max(axis=0)
        box = {"reference": worst + 0.1 * (worst - ideal), "ideal": ideal}
        return hypervolume(F, **box) / hypervolume(front, **box)


def load_table(name: str) -> TableSpace:
    """Opens a table of `TABLES`; other names, and files that are missing or damaged, raise.

    All have `top1_err`, `params`, and `latency_ms`; `top1_err_a` and `top1_err_b` are two
    measurements of which neither saw the other: of two halves of the validation split ("pocket"),
    or of the first training and of the others (NAS-Bench-201). "pocket" also has `test_err`.
    """
    if name not in TABLES:
        raise ValueError(f"There is no table '{name}': choose from {', '.join(TABLES)}.")
    path = DATA / "tables" / ("pocket.npz" if name == "pocket" else "nasbench201.npz")
    with np.load(verify_checksum(path), allow_pickle=False) as arrays:
        return _pocket(dict(arrays)) if name == "pocket" else _nasbench201(dict(arrays), name)


def _pocket(arrays: dict[str, NDArray]) -> TableSpace:
    space, pictures = SearchSpace.pocket(), arrays["pictures"]
    depths = tuple(range(space.min_depth, space.max_depth + 1))
    genes = {"resolution": tuple(arrays["resolutions"].tolist()), "kernel": space.kernels}
    for stage in range(1, space.n_stages + 1):
        genes |= {f"expand ratio {stage}": space.expands, f"depth {stage}": depths}
    valid_a, valid_b, test = arrays["correct"].astype(float).T
    errors = {
        "top1_err": 1 - (valid_a + valid_b) / pictures[:2].sum(),
        "top1_err_a": 1 - valid_a / pictures[0],
        "top1_err_b": 1 - valid_b / pictures[1],
        "test_err": 1 - test / pictures[2],
    }
    columns = {k: 100 * v for k, v in errors.items()}
    columns |= {k: arrays[k] for k in ("madds", "params", "latency_ms")}
    choices = np.searchsorted(space.resolutions, genes["resolution"])

    def features(X: IntMatrix) -> NDArray[np.float64]:
        return thermometer(space, pocket_encodings(X, choices))

    return TableSpace(name="pocket", genes=genes, columns=columns, features=features)


def pocket_encodings(X: IntMatrix, resolutions: ArrayLike = range(5)) -> IntMatrix:
    """Returns what rows of the table "pocket" are in `SearchSpace.pocket`, int64 `(n, 11)`."""
    kernel, expand, depth = X[:, 1, None, None], X[:, 2::2, None], X[:, 3::2, None]
    space = SearchSpace.pocket()
    layers = (1 + kernel + len(space.kernels) * expand) * (np.arange(space.max_depth) <= depth)
    ends = np.column_stack([np.take(resolutions, X[:, 0]), np.zeros(len(X), dtype=np.int64)])
    return np.hstack([ends, layers.reshape(len(X), -1)])


def _nasbench201(arrays: dict[str, NDArray], data_set: str) -> TableSpace:
    correct = arrays[f"correct_{data_set}"].astype(float)
    correct[correct == np.iinfo(np.uint16).max] = np.nan  # trained with two seeds only
    errors = 100 - 100 * correct / PICTURES[data_set]
    columns = {
        "top1_err": np.nanmean(errors, axis=1),
        "top1_err_a": errors[:, 0],
        "top1_err_b": np.nanmean(errors[:, 1:], axis=1),
        "latency_ms": arrays[f"latency_ms_{data_set}"],
        "params": arrays[f"params_{data_set}"],
        "train_seconds": arrays["train_seconds"],
    }
    genes = {f"edge {edge}": OPERATIONS for edge in EDGES}
    return TableSpace(data_set, genes, columns, cell_features)


def cell_features(X: IntMatrix) -> NDArray[np.float64]:
    """Returns what a surrogate sees of cells of NAS-Bench-201, float64 `(n, 55)`.

    The operation of each edge, one-hot; how often each occurs on each path from input to output,
    or zeros where a `none` cuts the path; and how often on all uncut paths.
    """
    one_hot = np.eye(len(OPERATIONS))[X]
    paths = [one_hot[:, path].sum(axis=1) for path in map(list, PATHS)]
    paths = [path * (path[:, :1] == 0) for path in paths]
    return np.hstack([one_hot.reshape(len(X), -1), *paths, np.sum(paths, axis=0)])
