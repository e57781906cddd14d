"""Checks of the exercises of notebook 02: Kendall's tau, cross-validation, favourites, features."""

from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin

from natlib.data import DATA
from natlib.space import IntMatrix, SearchSpace
from natlib.surrogate import SURROGATES, rank_metrics, ridge, seeing
from natlib.teach.checks import judged, numbers, require, same, says, tabled

HELD_OUT, LEARN_FROM, DRAWS, MAX_COLUMNS = 120, 80, 5, 12
AHEAD = 0.05  # in Kendall's tau

check_overrated = tabled(__name__, "check_overrated", "The gap", ())
check_promise = tabled(__name__, "check_promise")
check_one_mistake = tabled(__name__, "check_one_mistake", shape=())


def split_rows(n: int) -> tuple[IntMatrix, IntMatrix]:
    """Returns the rows to work with, in their order, and the 120 held out for `check_features`."""
    order = np.random.default_rng(2026).permutation(n)
    return np.sort(order[HELD_OUT:]), np.sort(order[:HELD_OUT])


@judged("Tau", ())
def check_kendall(ask, say):
    """Judges `kendall(a, b)`: Kendall's tau, with ties."""
    random = [np.random.default_rng(seed).integers(0, 8, size=(2, 30)) for seed in range(10)]
    return {say.random: [(a, b, rank_metrics(a, b)["kendall"]) for a, b in random]}


class _Spy(RegressorMixin, BaseEstimator):
    """A model that knows rows by the number in their first gene and remembers what it learned."""

    def __init__(self, log: list[list[int]]) -> None:
        self.log = log

    def __sklearn_clone__(self) -> Self:
        return _Spy(self.log)

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        rows, say = np.asarray(X)[:, 0], says(check_unseen)
        require(len(X) == len(y) and same(rows * 10.0, y), say.apart)
        self.seen = set(rows.tolist())
        return self

    def predict(self, X: ArrayLike) -> NDArray[np.float64]:
        rows, say = np.asarray(X)[:, 0], says(check_unseen)
        again = self.seen & set(rows.tolist())
        require(not again, say.seen, n=len(again))
        self.log.append(sorted(rows.tolist()))
        return rows * 10.0 + len(self.seen) / 1000


@judged("The vector of guesses", lambda make_model, X, y: y.shape)
def check_unseen(unseen_guesses, say):
    """Judges `unseen_guesses(make_model, X, y, folds, seed)`: 43 rows, in no order, in 4 folds."""
    rows = np.random.default_rng(1).permutation(43)
    X, place_of = np.column_stack([rows, rows % 2]), np.argsort(rows)

    def ask(seed):
        log = []
        return unseen_guesses(lambda: _Spy(log), X, X[:, 0] * 10.0, folds=4, seed=seed), sorted(log)

    guesses, log = ask(3)
    place = np.round(guesses / 10)
    learned = np.round(1000 * (guesses - 10 * place))
    require(len(log) == 4, say.models, n=len(log))
    require(sorted(sum(log, [])) == list(range(43)), say.once)
    require(same(place, rows), say.place)
    require(set(learned) <= {32, 33}, say.learned, learned=learned.min())
    runs = [np.ptp(place_of[fold]) < len(fold) for fold in log]
    require(not all(runs), say.run)
    require(ask(3)[1] == log, say.again)
    require(ask(4)[1] != log, say.seed)


@judged()
def check_within(tau_within, say):
    """Judges `tau_within(groups, y, guesses)`: groups reversed inside and in order outside."""
    groups = np.array([7, 2, 7, 2, 7, 2, 7, 2, 30, 30, 30])
    y = np.array([1.0, 11, 2, 12, 3, 13, 4, 14, 21, 21, 22])
    guesses = np.array([4.0, 11, 3, 12, 2, 14, 1, 13, 22, 21, 23])
    answer = tau_within(groups, y, guesses)
    fine = isinstance(answer, dict | pd.Series) and set(answer.keys()) == {7, 2, 30}
    require(fine, say.form, answer=answer)
    taus = numbers([answer[k] for k in (7, 2, 30)], (3,), "The list of taus")
    overall = rank_metrics(y, guesses)["kendall"]
    require(not same(taus, overall), say.overall, overall=overall)
    require(same(taus[0], -1), say.one, one=taus[0])
    require(same(taus[1], 2 / 3), say.two, two=taus[1])
    require(same(taus[2], (2 / 3) ** 0.5), say.tied, three=taus[2])


def _held_out_tau(make_model, X: IntMatrix, y: NDArray) -> float:
    """Returns tau on the held-out rows after learning from 80 others, the mean of five draws."""
    working, held_out = split_rows(len(X))
    taus = []
    for seed in range(DRAWS):
        rows = np.random.default_rng(seed).permutation(working)[:LEARN_FROM]
        guesses = make_model(seed).fit(X[rows], y[rows]).predict(X[held_out])
        taus.append(rank_metrics(y[held_out], guesses)["kendall"])
    return float(np.mean(taus))


@judged()
def check_features(ask, say):
    """Judges `my_features(X)` by how ridge regression ranks the held-out rows."""
    space, archive = SearchSpace.pocket(), pd.read_csv(DATA / "archives" / "pocket_animals.csv")
    X = np.stack([space.encode(space.parse(text)) for text in archive.architecture])
    y = archive.top1_err.to_numpy()

    def features(X):
        return numbers(ask(X), None, "The matrix of features")

    made, few = features(X[:50]), list(range(0, 50, 5))
    fine = made.ndim == 2 and len(made) == 50 and 1 <= made.shape[1] <= MAX_COLUMNS
    require(fine, say.shape, most=MAX_COLUMNS, shape=made.shape)
    for alone in (features(X[few]), np.vstack([features(X[[row]]) for row in few])):
        require(alone.shape == made[few].shape and same(alone, made[few]), say.alone)
    ours = _held_out_tau(lambda seed: seeing(features, ridge()), X, y)
    theirs = _held_out_tau(lambda seed: SURROGATES["rbf"](space, seed), X, y)
    seen = {"ours": ours, "theirs": theirs, "wanted": theirs + AHEAD}
    require(ours >= theirs + AHEAD, say.tau, draws=DRAWS, n=LEARN_FROM, **seen)
    say.passed = say.passed.format(**seen)
