"""Searches the tables of `natlib.teach.tables` by seven methods: `data/tables/searches.npz`.

    python data/record_searches.py try       five seeds that judge nothing: to choose settings by
    python data/record_searches.py record    ten other seeds; about 6 minutes on one CPU core

Two objectives each: the error, and MAdds ("pocket") or latency. A search may look 100 networks up;
a second look at one is free. All but the random search begin with the same `FIRST` networks, spread
evenly over the cost, which is known without a look. The recording holds the rows that each method
looked at, in order, uint16 `(methods, seeds, 100)` for each table.

What judges, fixed before the seeds 0 to 9 were run: the share of the true front's hypervolume after
100 look-ups (`TableSpace.reached`). NAT's inner loop shall reach 0.98 in the median on the pocket
bench, and be ahead of every opponent, the methods without a surrogate, on at least 9 of 10 seeds on
each table.
"""

from __future__ import annotations

import argparse
import itertools
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial

import numpy as np
import pandas as pd
from build_tables import ship
from numpy.typing import NDArray
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.problem import Problem
from scipy.stats import norm
from sklearn.pipeline import Pipeline

from natlib import search
from natlib.space import IntMatrix
from natlib.surrogate import SURROGATES
from natlib.teach.tables import FOLDER, TABLES, TableSpace, load_table

BUDGET, FIRST, CHOSEN, POPULATION = 100, 20, 8, 20
SEEDS, TRIES = range(10), range(100, 105)


class BudgetSpent(Exception):
    """No look-up is left."""


class Lookups:
    """Answers with measured objectives and notes the rows in order, each once, up to a budget."""

    def __init__(self, table: TableSpace, budget: int = BUDGET) -> None:
        self.table, self.budget, self.rows = table, budget, {}
        self.F = table.measure(table.X)

    def __call__(self, X: IntMatrix) -> NDArray[np.float64]:
        """Returns the objectives of encodings, or raises `BudgetSpent`."""
        rows = self.table.rows(X)
        for row in rows.tolist():
            if row not in self.rows and len(self.rows) == self.budget:
                raise BudgetSpent
            self.rows[row] = None
        return self.F[rows]

    def costs(self, X: IntMatrix) -> NDArray[np.float64]:
        """Returns what can be computed without measuring."""
        return self.F[self.table.rows(X), 1:]


def even_sample(look: Lookups, rng: np.random.Generator, n: int = FIRST) -> IntMatrix:
    """Draws networks that cover the cost evenly, the cheapest and the dearest among them."""
    order = rng.permutation(len(look.F))
    order = order[np.argsort(look.F[order, 1], kind="stable")]
    rows = [rng.choice(part) for part in np.array_split(order[1:-1], n - 2)]
    return look.table.X[[order[0], *rows, order[-1]]]


def scaled(F: NDArray) -> NDArray:
    """Returns objectives on a scale from 0, their best, to 1, their worst value."""
    return (F - F.min(axis=0)) / np.maximum(np.ptp(F, axis=0), 1e-12)


def neighbours(table: TableSpace, x: NDArray) -> IntMatrix:
    """Returns the networks that differ from one in one gene."""
    every = [(g, v) for g, n in enumerate(table.shape) for v in range(n) if v != x[g]]
    found = np.repeat(x[None], len(every), axis=0)
    for row, (gene, value) in zip(found, every, strict=True):
        row[gene] = value
    return found


def random(look: Lookups, seed: int) -> None:
    """Looks at random networks."""
    look(np.random.default_rng(seed).permutation(look.table.X))


def regularised_evolution(look: Lookups, seed: int) -> None:
    """Of five drawn the best by random weights has a mutated child; the oldest dies (Real 2019)."""
    rng = np.random.default_rng(seed)
    alive = deque(even_sample(look, rng), maxlen=POPULATION)
    look(np.stack(alive))
    while True:
        drawn = np.stack([alive[i] for i in rng.choice(len(alive), 5, replace=False)])
        worst = (scaled(look(drawn)) * rng.dirichlet([1, 1])).max(axis=1)
        child = rng.choice(neighbours(look.table, drawn[worst.argmin()]))
        look(child[None])
        alive.append(child)


def local_search(look: Lookups, seed: int) -> None:
    """Looks at all neighbours of a network of the front, then of another (White 2021)."""
    rng = np.random.default_rng(seed)
    X, done = even_sample(look, rng), set()
    while True:
        front = X[search.non_dominated(look(X))]
        left = [x for x in front if tuple(x) not in done]
        x = left[rng.integers(len(left))] if left else rng.choice(look.table.X)
        done.add(tuple(x))
        for other in rng.permutation(neighbours(look.table, x)):
            look(other[None])
            X = np.vstack([X, other])


def nsga2(look: Lookups, seed: int) -> None:
    """Runs NSGA-II with the operators of `natlib.search`."""
    space, first = look.table, even_sample(look, np.random.default_rng(seed))
    algorithm = NSGA2(POPULATION, first, **search.operators(space))
    problem = Problem(space.n_var, 2, xl=space.lower, xu=space.upper)
    algorithm.setup(problem, termination=("n_gen", 10 * BUDGET), seed=seed)
    while algorithm.has_next():
        individuals = algorithm.ask()
        algorithm.tell(individuals.set("F", look(individuals.get("X"))))


def nsga3(look: Lookups, seed: int) -> None:
    """Runs NSGA-III on the measurements themselves."""
    options = {"population": POPULATION, "generations": 10 * BUDGET, "seed": seed}
    search.nsga3(look.table, look, even_sample(look, np.random.default_rng(seed)), **options)


def surrogate_search(look: Lookups, seed: int, choose: Callable = search.choose_candidates) -> None:
    """Fits a surrogate, searches with it, looks candidates up: NAT's inner loop, no adaptation."""
    X = even_sample(look, np.random.default_rng(seed))
    for iteration in itertools.count():
        F = look(X)
        surrogate = SURROGATES["gp_onehot"](look.table, seed).fit(X, F[:, 0])
        found = search.nsga3(
            look.table,
            lambda X, model=surrogate: np.column_stack([model.predict(X), look.costs(X)]),
            X[search.non_dominated(F)],
            seed=1000 * seed + iteration,
        )
        rows = choose(found.F, F, CHOSEN, found.X, X, **spread_of(choose, surrogate, found.X))
        if not len(rows):
            raise RuntimeError(f"The search found nothing new after {len(look.rows)} look-ups.")
        X = np.vstack([X, found.X[rows]])


def spread_of(choose: Callable, surrogate: Pipeline, X: IntMatrix) -> dict:
    """Returns how sure the surrogate is, in points of the error, if the choice asks for it."""
    if choose is search.choose_candidates:
        return {}
    model = surrogate[-1]
    _, sd = model.regressor_.predict(surrogate[0].transform(X), return_std=True)
    return {"sd": sd * model.transformer_.scale_}


def expected_gain(F_new, F_archive, k, X_new, X_archive, sd) -> IntMatrix:
    """Chooses, one after another, the candidate with the largest expected gain of hypervolume.

    A chosen one counts as measured, at its prediction. Like `natlib.search.choose_candidates`.
    """
    known, worst, chosen = F_archive, F_archive.max(axis=0) * 1.1, []
    left = np.flatnonzero(~(X_new[:, None] == X_archive).all(axis=2).any(axis=1))
    while len(chosen) < k and len(left):
        front = np.unique(known[search.non_dominated(known)], axis=0)
        best = left[gains_of(*F_new[left].T, sd[left], front, worst).argmax()]
        chosen, known = [*chosen, best], np.vstack([known, F_new[best]])
        left = left[left != best]
    return np.array(chosen, dtype=np.int64)


def gains_of(
    mean: NDArray, cost: NDArray, sd: NDArray, front: NDArray, worst: NDArray
) -> NDArray[np.float64]:
    """Returns the expected gain of hypervolume of candidates whose costs are known, `(n,)`.

    The error is normal about its prediction. A gain is the area between the front, a staircase over
    the cost, and the candidate; so its mean is a sum over steps: the step's width beyond the
    candidate's cost, times the expected improvement on the error there.
    """
    front = front[np.argsort(front[:, 1])]
    heights, ends = np.append(worst[0], front[:, 0]), np.append(front[:, 1], worst[1])
    begins = np.append(-np.inf, front[:, 1])
    mean, cost, sd = mean[:, None], cost[:, None], sd[:, None] + 1e-12
    z = (heights - mean) / sd
    improvement = (heights - mean) * norm.cdf(z) + sd * norm.pdf(z)
    return (np.maximum(0, ends - np.maximum(begins, cost)) * improvement).sum(axis=1)


METHODS: dict[str, Callable[[Lookups, int], None]] = {
    "random": random,
    "regularised evolution": regularised_evolution,
    "local search": local_search,
    "NSGA-II": nsga2,
    "NSGA-III": nsga3,
    "NAT's inner loop": surrogate_search,
    "NAT, expected gain": partial(surrogate_search, choose=expected_gain),
}
OURS = "NAT's inner loop"


def search_with(method: Callable, table: TableSpace, seed: int) -> list[int]:
    """Returns the rows that a method looked at, in order."""
    look = Lookups(table)
    with suppress(BudgetSpent):
        method(look, seed)
    assert len(look.rows) == BUDGET, "the method stopped by itself"
    return list(look.rows)


def compare(found: dict[str, NDArray], seeds: Iterable[int]) -> None:
    """Prints by table and method the share of the true hypervolume, and where NAT is ahead."""
    for name, rows in found.items():
        table = load_table(name)
        F = table.measure(table.X)
        shares = [[table.reached(F[r]) for r in seeds_of] for seeds_of in rows]
        shares = pd.DataFrame(shares, index=list(METHODS), columns=list(seeds))
        print(f"\n{name}\n{shares.assign(median=shares.median(axis=1)).round(4).to_string()}")
        rivals = shares.loc[[m for m in METHODS if not m.startswith("NAT")]].max()
        print(f"ahead of every opponent on {(shares.loc[OURS] > rivals).sum()} of {len(rivals)}")


def main() -> None:
    """Records the judging seeds, or searches with others and prints what they reach."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["record", "try"])
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=TABLES)
    arguments = parser.parse_args()
    seeds, found = SEEDS if arguments.what == "record" else TRIES, {}
    for name in arguments.tables:
        table = load_table(name)
        runs = [[search_with(m, table, seed) for seed in seeds] for m in METHODS.values()]
        found[name] = np.array(runs, dtype=np.uint16)
        compare({name: found[name]}, seeds)
    if arguments.what == "record":
        path = FOLDER / "searches.npz"  # which keeps the other tables
        known = dict(np.load(path, allow_pickle=False)) if path.exists() else {}
        about = {"command": "python data/record_searches.py record", "seeds": str(seeds)}
        ship(path.name, known | found | {"methods": np.array(list(METHODS))}, **about)


if __name__ == "__main__":
    main()
