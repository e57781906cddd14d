"""Checks of the exercises of notebook 00: reading fronts, limits, weights."""

import numpy as np
import pandas as pd

from natlib.search import non_dominated
from natlib.teach.checks import cases, judged, require, says, tabled

check_halvings = tabled(__name__, "check_halvings")
check_confirmed = tabled(__name__, "check_confirmed", shape=())


def six_subnets() -> pd.DataFrame:
    """Returns the six subnets of exercise 1, figures made up, by letter."""
    errors, madds = [12.0, 9.0, 9.0, 7.5, 8.0, 8.5], [0.5, 1.2, 1.5, 3, 2.5, 4]
    return pd.DataFrame({"error (%)": errors, "MAdds (M)": madds}, index=list("ABCDEF"))


def _archive(seed: int = 0) -> pd.DataFrame:
    """Returns six subnets in no order, with an index that is no place; for a seed 30, with ties."""
    if not seed:
        return pd.DataFrame(says(check_front_of).archive, index=[7, 3, 9, 1, 5, 0])
    F = np.random.default_rng(seed).integers(1, 9, size=(30, 2))
    names = [f"n{number}" for number in range(30)]
    return pd.DataFrame({"architecture": names, "top1_err": F[:, 0], "madds": F[:, 1]})


@judged()
def check_dominated(ask, say):
    """Judges `dominated()`: which of the six subnets another one dominates."""
    answer, table = ask(), six_subnets()
    fine = isinstance(answer, set | list | tuple | str | np.ndarray | pd.Series)
    require(fine and set(answer) <= set(table.index), say.form, answer=answer)
    right = set(table.index[~non_dominated(table.to_numpy())])
    wrong, missing = sorted(set(answer) - right), len(right - set(answer))
    require(not wrong, say.front, wrong=wrong)
    require(not missing, say.missing, n=missing, verb="is" if missing == 1 else "are")


@judged()
def check_best_within(best_within, say):
    """Judges `best_within(archive, limit)`: the best one within a limit."""

    def ask(limit, seed=0):
        answer = best_within(_archive(seed), limit)
        require(isinstance(answer, str), say.form, kind=type(answer).__name__)
        require(answer in {*_archive(seed).architecture}, say.unknown, answer=answer)
        return answer

    cost = _archive().set_index("architecture").madds[ask(350)]
    require(cost <= 350, say.beyond, cost=cost)
    cases(ask, {say.best: (350, "q"), say.all: (1000, "p")})
    cases(ask, {say.exact: (400, "s"), say.equal: (600, "s")})
    for seed in range(1, 11):
        table = _archive(seed)[lambda table: table.madds <= 5].set_index("architecture")
        best = table.sort_values(["top1_err", "madds"]).iloc[0]
        name = ask(5, seed)
        require(name in table.index and (table.loc[name] == best).all(), say.random)


@judged("The number of the row", ())
def check_weighted_sum(ask, say):
    """Judges `weighted_sum_choice(F, weights)`: the row with the least sum of scaled objectives."""
    for seed in range(20):
        rng, m = np.random.default_rng(seed), 2 + seed % 3
        F = rng.dirichlet(np.ones(m), size=30) ** np.linspace(1, 4, m)
        F[0, 0] = 10  # far off, which stretches the range more than the deviation
        units, weights = 10.0 ** rng.integers(0, 7, size=m), rng.dirichlet(np.ones(m))
        F, scaled = np.vstack([F, F[:9]]) * units, (F - F.min(axis=0)) / np.ptp(F, axis=0)
        found = ask(F, weights) % 30  # nine rows are there twice
        require(found == (scaled @ weights).argmin(), say.random)


@judged()
def check_front_of(front_of, say):
    """Judges `front_of(archive, error, cost)`: the front of two named columns."""

    def ask(error, cost, seed=0):
        answer = front_of(_archive(seed), error, cost)
        fine = isinstance(answer, set | list | tuple | pd.Series | np.ndarray)
        fine = fine and all(isinstance(name, str) for name in answer)
        require(fine, say.form, kind=type(answer).__name__)
        return set(answer)

    found = ask("top1_err", "madds")
    require("t" in found, say.cheapest)
    require(not found & {"r", "u"}, say.beaten, beaten=sorted(found & {"r", "u"}))
    table = {
        say.front: ("top1_err", "madds", {"p", "q", "s", "t"}),
        say.cost: ("top1_err", "params", {"p"}),
        say.error: ("other_err", "madds", {"t", "u"}),
    }
    cases(ask, table)
    for seed in range(1, 11):
        names, *F = _archive(seed).to_numpy().T
        right = {*names[non_dominated(np.array(F, float).T)]}
        require(ask("top1_err", "madds", seed) == right, say.random)


@judged("The shortfall", ())
def check_shortfall(ask, say):
    """Judges `shortfall(archive, drawn, limit)`: how much worse the best drawn subnet is."""
    table, tries = _archive(), say.tries.items()
    return {getattr(say, name): (table, table.iloc[drawn], *to) for name, (drawn, *to) in tries}
