"""Checks of the exercises of notebook 02: Kendall's tau, cross-validation, favourites, features."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin

from natlib.checks import numbers, passed, require, same
from natlib.data import DATA
from natlib.space import IntMatrix, SearchSpace
from natlib.surrogate import SURROGATES, rank_metrics, ridge, seeing

HELD_OUT = 120
MAX_COLUMNS = 12
MARGIN = 0.05  # in Kendall's tau
SPLITS = 5
LEARN_FROM = 80


def split_rows(n: int) -> tuple[IntMatrix, IntMatrix]:
    """Returns the rows to work with, in their order, and the 120 held out for `check_features`."""
    order = np.random.default_rng(2026).permutation(n)
    return np.sort(order[HELD_OUT:]), np.sort(order[:HELD_OUT])


def check_kendall(kendall: Callable[..., float]) -> None:
    """Judges Kendall's tau, with ties."""

    def tau(a: ArrayLike, b: ArrayLike) -> float:
        return float(numbers(kendall(np.array(a), np.array(b)), (), "Tau"))

    forward, backward = tau([1, 2, 3, 4], [10, 20, 30, 40]), tau([1, 2, 3, 4], [4, 3, 2, 1])
    require(
        same(forward, 1) and same(backward, -1),
        f"The same order should give 1 and the reverse order -1, not {forward:.3g} and "
        f"{backward:.3g}. Which pairs count, how often, and with which sign?",
    )
    swapped = tau([1, 2, 3], [1, 3, 20])
    require(
        same(swapped, 1),
        f"(1, 2, 3) and (1, 3, 20) are in the same order, and they give {swapped:.3g}. Only the "
        "order of two values counts, not how far apart they are.",
    )
    swapped = tau([1, 2, 3], [1, 3, 2])
    require(
        same(swapped, 1 / 3),
        f"(1, 2, 3) and (1, 3, 2) give {swapped:.3g}. List the three pairs: which agree?",
    )
    constant = kendall(np.array([1, 1, 1]), np.array([1, 2, 3]))
    require(
        not pd.isna(constant) and same(numbers(constant, (), "Tau"), 0),
        "A side that is constant ranks nothing, and tau should be 0 then, a finite number: what do "
        "you divide by?",
    )
    _check_ties(tau)
    passed("tau agrees with scipy's, ties included.")


def _check_ties(tau: Callable[[ArrayLike, ArrayLike], float]) -> None:
    """Checks Kendall's tau where values are equal."""
    tied = tau([1, 1, 2], [1, 2, 3])
    require(
        same(tied, 2 / np.sqrt(6)),
        f"(1, 1, 2) and (1, 2, 3) give {tied:.3g}: one pair is tied on one side. In which of the "
        "two factors of the denominator is it missing?",
    )
    for seed in range(10):
        a, b = np.random.default_rng(seed).integers(0, 8, size=(2, 30))
        found = tau(a, b)
        require(
            same(found, rank_metrics(a, b)["kendall"]),
            f"Thirty random values with many ties: {found:.4f} is not what scipy counts. Does a "
            "pair that is tied on both sides count anywhere?",
        )


class _Spy(RegressorMixin, BaseEstimator):
    """A model that knows rows by the number in their first gene and remembers what it learned."""

    def __init__(self, log: list[set[int]]) -> None:
        self.log = log

    def __sklearn_clone__(self) -> _Spy:
        return _Spy(self.log)

    def fit(self, X: ArrayLike, y: ArrayLike) -> _Spy:
        X = np.asarray(X)
        require(
            len(X) == len(y) and same(X[:, 0] * 10.0, y),
            "The model was given rows and values that do not belong together: index both alike.",
        )
        self.seen = {int(i) for i in X[:, 0]}
        return self

    def predict(self, X: ArrayLike) -> NDArray[np.float64]:
        asked = {int(i) for i in np.asarray(X)[:, 0]}
        require(
            not asked & self.seen,
            f"A model was asked about {len(asked & self.seen)} rows that it had learned from: "
            "leave the fold out of what it learns.",
        )
        self.log.append(asked)
        return np.asarray(X)[:, 0] * 10.0 + len(self.seen) / 1000


def check_unseen(unseen_guesses: Callable[..., ArrayLike]) -> None:
    """Judges cross-validation: nothing seen, everything asked once and in its place, shuffled."""
    n, folds = 40, 4
    X = np.column_stack([np.arange(n), np.zeros(n, dtype=int)])

    def ask(seed: int) -> tuple[NDArray[np.float64], list[set[int]]]:
        log: list[set[int]] = []
        answer = unseen_guesses(lambda: _Spy(log), X.copy(), X[:, 0] * 10.0, folds=folds, seed=seed)
        return numbers(answer, (n,), "The vector of guesses"), log

    guesses, log = ask(3)
    _explain_guesses(guesses, log, folds)
    require(
        any(max(fold) - min(fold) >= len(fold) for fold in log),
        "Every fold is a run of neighbouring rows. Rows may be sorted: shuffle before you cut.",
    )
    (_, again), (_, other) = ask(3), ask(4)
    require(
        sorted(map(sorted, again)) == sorted(map(sorted, log)),
        "The same seed gives other folds at a second call: let the seed alone decide.",
    )
    require(
        sorted(map(sorted, other)) != sorted(map(sorted, log)),
        "Seeds 3 and 4 give the same folds: does the shuffle use the seed?",
    )
    passed("every row is guessed once, in its place, by a model that has not seen it.")


def _explain_guesses(guesses: NDArray[np.float64], log: list[set[int]], folds: int) -> None:
    """Says what is wrong with guesses for all rows, given the rows each model was asked about."""
    n, place = len(guesses), np.round(guesses / 10).astype(int)
    require(
        len(log) == folds,
        f"With {folds} folds, {folds} models should be asked, not {len(log)}.",
    )
    require(
        sorted(i for fold in log for i in fold) == list(range(n)),
        f"Each of the {n} rows belongs to one fold and should be guessed once.",
    )
    require(
        (place == np.arange(n)).all(),
        "The guesses are not in the order of the rows: store each at the index of its row.",
    )
    learned = 1000 * (guesses - 10 * place)
    require(
        same(learned, n - n // folds, 1e-6),
        f"{n} rows in {folds} folds: each model should learn from the {n - n // folds} rows "
        f"outside its fold, and one learned from {learned.min():.0f}.",
    )


def check_within(tau_within: Callable[..., dict[int, float]]) -> None:
    """Judges ranking within groups, on groups that are reversed inside and in order outside."""
    groups = np.array([1, 2, 1, 2, 1, 2, 1, 2])
    y = np.array([1.0, 11, 2, 12, 3, 13, 4, 14])
    guesses = np.array([4.0, 11, 3, 12, 2, 14, 1, 13])
    answer = tau_within(groups, y.copy(), guesses.copy())
    require(
        isinstance(answer, dict) and set(answer) == {1, 2},
        f"The answer should be a dict with the groups 1 and 2 as keys, not {answer!r}.",
    )
    found = numbers([answer[1], answer[2]], (2,), "The pair of taus")
    overall = rank_metrics(y, guesses)["kendall"]
    require(
        not same(found, [overall, overall]),
        f"Both groups got {overall:.2f}, which is tau over all rows: pairs from different groups "
        "must not count.",
    )
    require(
        same(found[0], -1),
        f"In group 1 the guesses are exactly reversed, and you have {found[0]:.2f}. Are the "
        "rows of one group picked from both vectors?",
    )
    require(
        same(found[1], 2 / 3),
        f"In group 2 you have {found[1]:.2f}. Which of its six pairs is in opposite order?",
    )
    passed("tau is counted within groups only.")


def check_overrated(overrated_by: Callable[..., float]) -> None:
    """Judges the gap between measurement and promise."""
    y, guesses = np.array([9.0, 5.0, 8.0, 6.0]), np.array([5.0, 7.0, 6.5, 8.0])

    def gap(k: int) -> float:
        return float(numbers(overrated_by(y.copy(), guesses.copy(), k), (), "The gap"))

    one = gap(1)
    require(
        not same(one, -4),
        f"Promised 5%, measured 9%, and the answer is {one:g}: an overrated favourite should have "
        "a positive number. Which is subtracted from which?",
    )
    require(
        not same(one, -2),
        "The favourite is the subnet with the smallest *guess*. The answer belongs to another one: "
        "the one measured best, or the one liked least.",
    )
    require(
        same(one, 4),
        f"Guesses of 5, 7, 6.5 and 8%, measured 9, 5, 8 and 6%: {one:g} is not by how much the "
        "favourite is overrated. What was promised, and what was measured in the *same* row?",
    )
    two = gap(2)
    require(
        same(two, 2.75),
        f"The two favourites were promised 5 and 6.5% and err 9 and 8%, and you say {two:g} on "
        "average. Promise and measurement of the *same* rows, signs kept.",
    )
    require(
        same(gap(4), -0.375 + 0.75),
        "For all four rows the answer should be the difference of the two means.",
    )
    passed("measured minus promised, for the favourites.")


@cache
def _task() -> tuple[SearchSpace, IntMatrix, NDArray[np.float64]]:
    """Returns the pocket space, and encodings and errors of the recording."""
    space = SearchSpace.pocket()
    archive = pd.read_csv(DATA / "archives" / "pocket_animals.csv")
    X = np.stack([space.encode(space.parse(text)) for text in archive.architecture])
    return space, X, archive.top1_err.to_numpy()


def _held_out_taus(make_model: Callable[[int], object]) -> NDArray[np.float64]:
    """Returns tau on the held-out rows after learning from 80 others, for each of five draws."""
    _, X, y = _task()
    working, held_out = split_rows(len(X))
    taus = []
    for seed in range(SPLITS):
        rows = np.random.default_rng(seed).permutation(working)[:LEARN_FROM]
        guesses = make_model(seed).fit(X[rows], y[rows]).predict(X[held_out])
        taus.append(rank_metrics(y[held_out], guesses)["kendall"])
    return np.array(taus)


@cache
def _ensemble_tau() -> float:
    """Returns the mean tau of the paper's ensemble under the same conditions."""
    return float(_held_out_taus(lambda seed: SURROGATES["rbf"](_task()[0], seed)).mean())


def check_features(features: Callable[[IntMatrix], NDArray]) -> None:
    """Judges features by how a ridge regression ranks the held-out rows of the recording."""
    _, X, _ = _task()
    some = X[:50].copy()
    made = np.asarray(features(some))
    require((some == X[:50]).all(), "The function changed the encodings it was given: copy them.")
    require(
        made.ndim == 2 and len(made) == 50 and 1 <= made.shape[1] <= MAX_COLUMNS,
        f"50 encodings should become a matrix of 50 rows and at most {MAX_COLUMNS} columns, and "
        f"the shape is {made.shape}.",
    )
    made = numbers(made, made.shape, "The matrix of features")
    alone = np.vstack([np.asarray(features(x[None])) for x in X[:10]])
    require(
        alone.shape == made[:10].shape and same(alone, made[:10]),
        "The features of a row change with the other rows of the matrix. A row must be described "
        "by itself, or the model sees something else when it is asked than when it learned.",
    )
    ours = _held_out_taus(lambda seed: seeing(features, ridge())).mean()
    theirs = _ensemble_tau()
    require(
        ours >= theirs + MARGIN,
        f"Tau on the held-out rows, mean of {SPLITS} draws of {LEARN_FROM} subnets: {ours:.3f} "
        f"with your features, {theirs:.3f} for the ensemble; {theirs + MARGIN:.3f} is asked for. "
        "What makes one subnet better than another that your columns do not tell?",
    )
    passed(f"tau {ours:.3f} on held-out subnets, the ensemble {theirs:.3f}.")
