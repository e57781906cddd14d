"""Checks of the exercises of notebook 02: Kendall's tau, cross-validation, favourites, features."""

from collections.abc import Callable
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin

from natlib.data import DATA
from natlib.space import IntMatrix, SearchSpace
from natlib.surrogate import SURROGATES, rank_metrics, ridge, seeing
from natlib.teach.checks import asking, cases, numbers, passed, require, same, says, tabled, unlike

HELD_OUT, LEARN_FROM, DRAWS, MAX_COLUMNS = 120, 80, 5, 12
AHEAD = 0.05  # in Kendall's tau
check_one_mistake = tabled(__name__, "check_one_mistake", shape=())


def split_rows(n: int) -> tuple[IntMatrix, IntMatrix]:
    """Returns the rows to work with, in their order, and the 120 held out for `check_features`."""
    order = np.random.default_rng(2026).permutation(n)
    return np.sort(order[HELD_OUT:]), np.sort(order[:HELD_OUT])


def check_kendall(kendall: Callable[..., float]) -> None:
    """Judges Kendall's tau, with ties."""
    say, ask = says(check_kendall), asking(kendall, "Tau")
    forward, backward = ask([1, 2, 3, 4], [10, 20, 30, 40]), ask([1, 2, 3, 4], [4, 3, 2, 1])
    fine = same([forward, backward], [1, -1])
    require(fine, say.order, forward=forward, backward=backward)
    random = [np.random.default_rng(seed).integers(0, 8, size=(2, 30)) for seed in range(10)]
    table = {
        say.distance: ([1, 2, 3], [1, 3, 20], 1),
        say.swapped: ([1, 2, 3], [1, 3, 2], 1 / 3),
        say.constant: ([1, 1, 1], [1, 2, 3], 0),
        say.tied: ([1, 1, 2], [1, 2, 3], 2 / 6**0.5),
        say.random: [(a, b, rank_metrics(a, b)["kendall"]) for a, b in random],
    }
    ask = asking(lambda a, b: np.nan_to_num(kendall(a, b), nan=9), "Tau")  # for the constant side
    cases(ask, table)
    passed("tau agrees with scipy's, ties included.")


class _Spy(RegressorMixin, BaseEstimator):
    """A model that knows rows by the number in their first gene and remembers what it learned."""

    def __init__(self, log: list[list[int]]) -> None:
        self.log = log

    def __sklearn_clone__(self) -> Self:
        return _Spy(self.log)

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        rows = np.asarray(X)[:, 0]
        require(len(X) == len(y) and same(rows * 10.0, y), says(check_unseen).apart)
        self.seen = set(rows.tolist())
        return self

    def predict(self, X: ArrayLike) -> NDArray[np.float64]:
        rows = np.asarray(X)[:, 0]
        again = self.seen & set(rows.tolist())
        require(not again, says(check_unseen).seen, n=len(again))
        self.log.append(sorted(rows.tolist()))
        return rows * 10.0 + len(self.seen) / 1000


def check_unseen(unseen_guesses: Callable[..., ArrayLike]) -> None:
    """Judges cross-validation: nothing seen, everything asked once and in its place, shuffled."""
    say, X = says(check_unseen), np.column_stack([np.arange(40), np.zeros(40, dtype=int)])

    def ask(seed: int) -> tuple[NDArray[np.float64], list[list[int]]]:
        log: list[list[int]] = []
        answer = unseen_guesses(lambda: _Spy(log), X.copy(), X[:, 0] * 10.0, folds=4, seed=seed)
        return numbers(answer, (40,), "The vector of guesses"), sorted(log)

    guesses, log = ask(3)
    place = np.round(guesses / 10)
    learned = 1000 * (guesses - 10 * place)
    require(len(log) == 4, say.models, n=len(log))
    require(sorted(sum(log, [])) == list(range(40)), say.once)
    require(same(place, range(40)), say.place)
    require(same(learned, 30, 1e-6), say.learned, learned=learned.min())
    require(any(fold[-1] - fold[0] >= len(fold) for fold in log), say.run)
    require(ask(3)[1] == log, say.again)
    require(ask(4)[1] != log, say.seed)
    passed("every row is guessed once, in its place, by a model that has not seen it.")


def check_within(tau_within: Callable[..., dict[int, float]]) -> None:
    """Judges ranking within groups, on groups that are reversed inside and in order outside."""
    say, groups = says(check_within), np.array([1, 2, 1, 2, 1, 2, 1, 2])
    y, guesses = np.array([[1.0, 11, 2, 12, 3, 13, 4, 14], [4.0, 11, 3, 12, 2, 14, 1, 13]])
    answer = tau_within(groups.copy(), y.copy(), guesses.copy())
    require(isinstance(answer, dict) and set(answer) == {1, 2}, say.form, answer=answer)
    one, two = numbers([answer[1], answer[2]], (2,), "The pair of taus")
    overall = rank_metrics(y, guesses)["kendall"]
    require(not same([one, two], overall), say.overall, overall=overall)
    require(same(one, -1), say.one, one=one)
    require(same(two, 2 / 3), say.two, two=two)
    passed("tau is counted within groups only.")


def check_overrated(overrated_by: Callable[..., float]) -> None:
    """Judges the gap between measurement and promise."""
    say, ask = says(check_overrated), asking(overrated_by, "The gap")
    rows = [9, 5, 8, 6], [5, 7, 6.5, 8]
    table = {
        say.sign: (*rows, 1, unlike(-4)),
        say.other: (*rows, 1, unlike(-2)),
        say.one: (*rows, 1, 4),
        say.two: (*rows, 2, 2.75),
        say.four: (*rows, 4, 0.375),
    }
    cases(ask, table)
    passed("measured minus promised, for the favourites.")


def _held_out_tau(make_model: Callable[[int], object], X: IntMatrix, y: NDArray) -> float:
    """Returns tau on the held-out rows after learning from 80 others, the mean of five draws."""
    working, held_out = split_rows(len(X))
    taus = []
    for seed in range(DRAWS):
        rows = np.random.default_rng(seed).permutation(working)[:LEARN_FROM]
        guesses = make_model(seed).fit(X[rows], y[rows]).predict(X[held_out])
        taus.append(rank_metrics(y[held_out], guesses)["kendall"])
    return float(np.mean(taus))


def check_features(features: Callable[[IntMatrix], NDArray]) -> None:
    """Judges features by how a ridge regression ranks the held-out rows of the recording."""
    say, space = says(check_features), SearchSpace.pocket()
    archive = pd.read_csv(DATA / "archives" / "pocket_animals.csv")
    X = np.stack([space.encode(space.parse(text)) for text in archive.architecture])
    y, given = archive.top1_err.to_numpy(), X[:50].copy()
    made = np.asarray(features(given))
    require((given == X[:50]).all(), say.changed)
    fine = made.ndim == 2 and len(made) == 50 and 1 <= made.shape[1] <= MAX_COLUMNS
    require(fine, say.shape, most=MAX_COLUMNS, shape=made.shape)
    made = numbers(made, made.shape, "The matrix of features")
    alone = np.vstack([np.asarray(features(x[None])) for x in X[:10]])
    require(alone.shape == made[:10].shape and same(alone, made[:10]), say.alone)
    ours = _held_out_tau(lambda seed: seeing(features, ridge()), X, y)
    theirs = _held_out_tau(lambda seed: SURROGATES["rbf"](space, seed), X, y)
    seen = {"ours": ours, "theirs": theirs, "wanted": theirs + AHEAD}
    require(ours >= theirs + AHEAD, say.tau, draws=DRAWS, n=LEARN_FROM, **seen)
    passed(f"tau {ours:.3f} on held-out subnets, the ensemble {theirs:.3f}.")
