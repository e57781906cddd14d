"""Small spaces in which every network was measured: there the true front is known.

A `TableSpace` has what `nsga3`, surrogates and the choice of candidates need of a `SearchSpace`; a
look-up takes the place of a measurement. `data/README.md` says where the figures come from.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from natlib.data import DATA
from natlib.inputs.checks import verify_checksum
from natlib.search import hypervolume, non_dominated
from natlib.space import IntMatrix, SearchSpace

FOLDER = DATA / "tables"
CELL = {  # of NAS-Bench-201: an operation on each edge, from node to node
    f"edge {edge}": ("none", "skip", "conv 1x1", "conv 3x3", "pool 3x3")
    for edge in ("0-1", "0-2", "1-2", "0-3", "1-3", "2-3")
}
VALIDATION = {"cifar10": 25_000, "cifar100": 5_000, "imagenet": 3_000}  # pictures
TABLES = ("pocket", *VALIDATION)
OBJECTIVES = {name: ("top1_err", "latency_ms") for name in VALIDATION}  # of a search
OBJECTIVES |= {"pocket": ("top1_err", "madds")}


class TableSpace:
    """All networks of a space, and what was measured of each.

    `genes` has the choices of each: numbers are levels, texts are categories. A network is one
    integer for each, from 0; all exist. `columns` are figures by name, `(size,)`, in `X`'s order.
    """

    def __init__(self, name: str, genes: dict[str, tuple], columns: dict[str, NDArray]) -> None:
        self.name, self.genes, self.columns, self.n_var = name, genes, columns, len(genes)
        self.shape = tuple(map(len, genes.values()))
        self.lower, self.upper = np.zeros(self.n_var, dtype=np.int64), np.array(self.shape) - 1
        self.X = np.indices(self.shape).reshape(self.n_var, -1).T  # all encodings

    def repair(self, X: ArrayLike) -> IntMatrix:
        """Returns integers clipped to their bounds, int64 of the same shape."""
        return np.clip(np.asarray(X, dtype=np.int64), self.lower, self.upper)

    def features(self, X: IntMatrix) -> NDArray[np.float64]:
        """Returns what a surrogate may see: levels in thermometer code, categories one-hot."""
        code = []
        for x, choices in zip(np.transpose(X)[:, :, None], self.genes.values(), strict=True):
            options = np.arange(len(choices))
            code.append(x == options if isinstance(choices[0], str) else x > options[:-1])
        return np.hstack(code).astype(np.float64)

    def rows(self, X: ArrayLike) -> IntMatrix:
        """Returns the rows of encodings `(n, n_var)`; outside the table a `ValueError`."""
        X = np.atleast_2d(X)
        fits = X.shape[1:] == (self.n_var,) and np.issubdtype(X.dtype, np.integer)
        inside = ((X >= 0) & (X <= self.upper)).all(axis=1) if fits else np.zeros(len(X), bool)
        if not inside.all():
            told = f"{X[~inside][0].tolist()} is not in the table '{self.name}': a network there is"
            raise ValueError(f"{told} {self.n_var} integers from 0 to {self.upper.tolist()}.")
        return np.ravel_multi_index(tuple(X.T), self.shape)

    def measure(self, X: ArrayLike, names: Sequence[str] = ()) -> NDArray[np.float64]:
        """Looks columns up, float64 `(n, n_objectives)`; without names, `OBJECTIVES`."""
        rows = self.rows(X)
        return np.column_stack([self.columns[n][rows] for n in names or OBJECTIVES[self.name]])

    def true_front(self) -> NDArray[np.float64]:
        """Returns the objectives of all networks that no other dominates, by error."""
        F = self.measure(self.X)
        return np.unique(F[non_dominated(F)], axis=0)

    def reached(self, F: ArrayLike) -> float:
        """Returns the hypervolume of measured points as a share of the true front's.

        The box reaches from the front's best values to a tenth of its range beyond its worst.
        """
        front = self.true_front()
        ideal, worst = front.min(axis=0), front.max(axis=0)
        box = {"reference": worst + 0.1 * (worst - ideal), "ideal": ideal}
        return hypervolume(F, **box) / hypervolume(front, **box)


def load_table(name: str) -> TableSpace:
    """Opens a table of `TABLES`; other names, and files that are missing or damaged, raise.

    All have `top1_err`, `params` and `latency_ms`; `top1_err_a` and `top1_err_b` are two
    measurements that share no picture ("pocket") or no training (NAS-Bench-201).
    """
    if name not in TABLES:
        raise ValueError(f"There is no table '{name}': choose from {', '.join(TABLES)}.")
    path = FOLDER / ("pocket.npz" if name == "pocket" else "nasbench201.npz")
    with np.load(verify_checksum(path), allow_pickle=False) as arrays:
        return _pocket(dict(arrays)) if name == "pocket" else _nasbench201(dict(arrays), name)


def _pocket(arrays: dict[str, NDArray]) -> TableSpace:
    space, pictures = SearchSpace.pocket(), arrays["pictures"]
    genes = {"resolution": tuple(arrays["resolutions"].tolist()), "kernel": space.kernels}
    for s in range(1, space.n_stages + 1):
        genes |= {f"expand ratio {s}": space.expands, f"depth {s}": (1, 2, space.max_depth)}
    wrong_a, wrong_b, wrong = (pictures - arrays["correct"].astype(float)).T
    columns = {
        "top1_err": 100 * (wrong_a + wrong_b) / pictures[:2].sum(),
        "top1_err_a": 100 * wrong_a / pictures[0],
        "top1_err_b": 100 * wrong_b / pictures[1],
        "test_err": 100 * wrong / pictures[2],
    }
    columns |= {name: arrays[name] for name in ("madds", "params", "latency_ms")}
    return TableSpace("pocket", genes, columns)


def _nasbench201(arrays: dict[str, NDArray], data_set: str) -> TableSpace:
    correct = arrays[f"correct_{data_set}"].astype(float)
    correct[correct == np.iinfo(np.uint16).max] = np.nan  # trained with two seeds only
    errors = 100 - 100 * correct / VALIDATION[data_set]
    columns = {
        "top1_err": np.nanmean(errors, axis=1),
        "top1_err_a": errors[:, 0],
        "top1_err_b": np.nanmean(errors[:, 1:], axis=1),
        "latency_ms": arrays[f"latency_ms_{data_set}"],
        "params": arrays[f"params_{data_set}"],
        "train_seconds": arrays["train_seconds"],
    }
    return TableSpace(data_set, CELL, columns)
