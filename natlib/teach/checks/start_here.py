"""Checks of the exercises of notebook 00: reading fronts, limits, weights."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from natlib.search import non_dominated
from natlib.teach.checks import cases, check, passed, require, says


def six_subnets() -> pd.DataFrame:
    """Returns the six subnets of exercise 1, figures made up, by letter."""
    errors, madds = [12.0, 9.0, 9.0, 7.5, 8.0, 8.5], [0.5, 1.2, 1.5, 3, 2.5, 4]
    return pd.DataFrame({"error (%)": errors, "MAdds (M)": madds}, index=list("ABCDEF"))


def _archive() -> pd.DataFrame:
    """Returns an archive of six subnets, not in order; the second cost orders them otherwise."""
    columns = {
        "architecture": ["p", "q", "r", "s", "t", "u"],
        "top1_err": [5.0, 9.0, 6.0, 6.0, 12.0, 9.5],
        "madds": [900, 200, 500, 400, 100, 300],
        "params": [10, 20, 30, 40, 50, 60],
        "other_err": [6.0, 5.0, 4.0, 3.0, 2.0, 1.0],
    }
    return pd.DataFrame(columns, index=[7, 3, 9, 1, 5, 0])  # an index that is no place in the table


def check_dominated(dominated: Callable[[], set[str]]) -> None:
    """Judges which of the six subnets are said to be dominated."""
    say, answer, table = says(check_dominated), dominated(), six_subnets()
    fine = isinstance(answer, set | list | tuple | str) and set(answer) <= set(table.index)
    require(fine, say.form, answer=answer)
    right = set(table.index[~non_dominated(table.to_numpy())])
    wrong, missing = sorted(set(answer) - right), len(right - set(answer))
    require(not wrong, say.front, wrong=wrong)
    require(not missing, say.missing, n=missing, verb="is" if missing == 1 else "are")
    passed("these are dominated, and the others form the front.")


def check_best_within(best_within: Callable[[pd.DataFrame, float], str]) -> None:
    """Judges the choice within a limit."""
    say, madds = says(check_best_within), _archive().set_index("architecture").madds

    def ask(limit: float) -> str:
        answer = best_within(_archive(), limit)
        require(isinstance(answer, str), say.form, kind=type(answer).__name__)
        require(answer in madds.index, say.unknown, answer=answer)
        return answer

    cost = madds[ask(350)]
    require(cost <= 350, say.beyond, cost=cost)
    cases(ask, {say.best: (350, "q"), say.all: (1000, "p")})
    cases(ask, {say.exact: (400, "s"), say.equal: (600, "s")})
    passed("the best within each limit, and the cheapest of equals.")


def check_weighted_sum(choice: Callable[[np.ndarray, np.ndarray], int]) -> None:
    """Judges the choice by a weighted sum of scaled objectives."""
    say = says(check_weighted_sum)

    def ask(F: object, weights: object) -> int:
        answer = choice(np.array(F, dtype=float), np.array(weights, dtype=float))
        whole = isinstance(answer, int | np.integer) and 0 <= answer < len(F)
        require(whole, say.form, answer=answer)
        return int(answer)

    F, shifted = [[2, 9e6], [10, 1e6], [4, 3e6]], [[90, 3], [91, 2], [92, 1.9]]
    table = {
        say.worst: (F, [1, 0], lambda row: row != 1),
        say.single: [(F, [1, 0], 0), (F, [0, 1], 1)],
        say.units: (F, [0.9, 0.1], 0),
        say.shifted: (shifted, [0.4, 0.6], 1),
        say.swapped: (np.flip(shifted, axis=1), [0.6, 0.4], 1),
    }
    cases(ask, table)
    for seed in range(20):
        rng, m = np.random.default_rng(seed), 2 + seed % 2
        F = rng.dirichlet(np.ones(m), size=30) ** np.linspace(1, 4, m)
        F[0, 0] = 10  # far off, which stretches the range more than the deviation
        units, weights = 10.0 ** rng.integers(0, 7, size=m), rng.dirichlet(np.ones(m))
        scaled = (F - F.min(axis=0)) / np.ptp(F, axis=0)
        require(ask(F * units, weights) == (scaled @ weights).argmin(), say.random)
    passed("weights choose what they should, in any units.")


def check_front_of(front_of: Callable[[pd.DataFrame, str, str], set[str]]) -> None:
    """Judges the front of two named columns."""
    say = says(check_front_of)

    def ask(error: str, cost: str) -> set[str]:
        answer = front_of(_archive(), error, cost)
        fine = isinstance(answer, set) and all(isinstance(name, str) for name in answer)
        require(fine, say.form, kind=type(answer).__name__)
        return answer

    found = ask("top1_err", "madds")
    require("t" in found, say.cheapest)
    require(not found & {"r", "u"}, say.beaten, beaten=sorted(found & {"r", "u"}))
    table = {
        say.front: ("top1_err", "madds", {"p", "q", "s", "t"}),
        say.cost: ("top1_err", "params", {"p"}),
        say.error: ("other_err", "madds", {"t", "u"}),
    }
    cases(ask, table)
    passed("the front of any two columns.")


@check("The shortfall", ())
def check_shortfall(ask, say):
    """Judges by how many points the best drawn subnet errs more than the best of all."""
    rows = _archive()
    return {
        say.none: (rows, rows.iloc[[1, 4]], 350, 0),
        say.limit: (rows, rows.iloc[[0, 2, 5]], 350, 0.5),
        say.exact: (rows, rows.iloc[[3, 4]], 400, 0),
        say.nothing: (rows, rows.iloc[[0, 2]], 350, 91),
    }
