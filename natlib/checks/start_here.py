"""Checks of the exercises of notebook 00: reading fronts, limits, weights."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from natlib.checks import passed, require
from natlib.search import non_dominated

SHUFFLED = [7, 3, 9, 1, 5, 0]  # an index that is no place in the table


def six_subnets() -> pd.DataFrame:
    """Returns the six subnets of exercise 1, figures made up, by letter."""
    figures = {
        "error (%)": [12.0, 9.0, 9.0, 7.5, 8.0, 8.5],
        "MAdds (M)": [0.5, 1.2, 1.5, 3, 2.5, 4],
    }
    return pd.DataFrame(figures, index=list("ABCDEF"))


def _archive() -> pd.DataFrame:
    """Returns an archive of six subnets, not in order; the second cost orders them otherwise."""
    return pd.DataFrame(
        {
            "architecture": ["p", "q", "r", "s", "t", "u"],
            "top1_err": [5.0, 9.0, 6.0, 6.0, 12.0, 9.5],
            "madds": [900, 200, 500, 400, 100, 300],
            "params": [10, 20, 30, 40, 50, 60],
            "other_err": [6.0, 5.0, 4.0, 3.0, 2.0, 1.0],
        },
        index=SHUFFLED,
    )


def check_dominated(dominated: Callable[[], set[str]]) -> None:
    """Judges which of the six subnets are said to be dominated."""
    answer = dominated()
    table = six_subnets()
    fine = isinstance(answer, set | list | tuple | str) and set(answer) <= set(table.index)
    require(fine, f"The answer should be a set of letters from A to F, not {answer!r}.")
    wanted = set(table.index[~non_dominated(table.to_numpy())])
    for letter in sorted(set(answer) - wanted):
        raise AssertionError(
            f"{letter} is not dominated: compare it with each of the others, and every one of them "
            f"is worse than {letter} in one of the two columns."
        )
    missing = len(wanted - set(answer))
    require(
        not missing,
        f"{missing} more of the six {'is' if missing == 1 else 'are'} dominated. Compare each with "
        "those that cost less: does one of them err as little, or less?",
    )
    passed("these are dominated, and the others form the front.")


def check_best_within(best_within: Callable[[pd.DataFrame, float], str]) -> None:
    """Judges the choice within a limit."""

    def ask(limit: float) -> str:
        answer = best_within(_archive(), limit)
        require(
            isinstance(answer, str),
            f"The answer should be the string of one architecture, not {type(answer).__name__}.",
        )
        require(
            answer in set(_archive().architecture),
            f"'{answer}' is no architecture of the table: return what its column 'architecture' "
            "says in the row that you chose.",
        )
        return answer

    broken = _archive().set_index("architecture").madds[ask(350)]
    require(broken <= 350, f"The limit was 350 MAdds, and the answer costs {broken}.")
    require(
        ask(350) == "q",
        f"Costs 100, 200 and 300 keep the limit of 350, with errors of 12, 9 and 9.5%. The answer "
        f"has the wrong one of them, '{ask(350)}'. Smaller errors are better; and is the row "
        "looked up in the table that it was found in?",
    )
    require(ask(1000) == "p", "With a limit that all keep, the smallest error of all should win.")
    require(
        ask(400) == "s",
        "The limit is 400 and one subnet costs 400 exactly: it keeps the limit.",
    )
    require(
        ask(600) == "s",
        "Two subnets within the limit of 600 err alike, at 400 and 500 MAdds. The cheaper one "
        "wins.",
    )
    passed("the best within each limit, and the cheapest of equals.")


def check_weighted_sum(choice: Callable[[np.ndarray, np.ndarray], int]) -> None:
    """Judges the choice by a weighted sum of scaled objectives."""

    def ask(F: object, weights: object) -> int:
        F = np.array(F, dtype=float)
        answer = choice(F, np.array(weights, dtype=float))
        whole = isinstance(answer, int | np.integer) and 0 <= answer < len(F)
        require(whole, f"The answer should be the number of one row, not {answer!r}.")
        return int(answer)

    _explain_choice(ask)
    for seed in range(20):
        rng, m = np.random.default_rng(seed), 2 + seed % 2
        F = rng.dirichlet(np.ones(m), size=30) ** np.linspace(1, 4, m)
        F[0, 0] = 10  # far off, which stretches the range more than the deviation
        F *= 10.0 ** rng.integers(0, 7, size=m)
        weights = rng.dirichlet(np.ones(m))
        scaled = (F - F.min(axis=0)) / np.ptp(F, axis=0)
        require(
            ask(F, weights) == (scaled @ weights).argmin(),
            "On thirty random rows another one has the least sum. Is each column scaled so that "
            "its best value is 0 and its worst 1?",
        )
    passed("weights choose what they should, in any units.")


def _explain_choice(ask: Callable[[object, object], int]) -> None:
    """Says which misunderstanding a wrong choice among three rows shows."""
    F = np.array([[2.0, 9e6], [10.0, 1e6], [4.0, 3e6]])
    require(
        ask(F, [1, 0]) != 1,
        "All weight on the error, and the row with the largest error was chosen. Which end is "
        "best?",
    )
    require(
        ask(F, [1, 0]) == 0 and ask(F, [0, 1]) == 1,
        "All weight on one objective: the row that is best in it should be chosen. Does each "
        "weight meet its own column?",
    )
    require(
        ask(F, [0.9, 0.1]) == 0,
        "Errors of 2, 10 and 4%, MAdds of 9, 1 and 3 million, nine tenths of the weight on the "
        f"error, and row {ask(F, [0.9, 0.1])} was chosen. In the sum, MAdds in millions must not "
        "count for more than errors in percent.",
    )
    shifted = [[90.0, 3.0], [91.0, 2.0], [92.0, 1.9]]
    require(
        ask(shifted, [0.4, 0.6]) == 1,
        "Errors of 90, 91 and 92% and costs of 3, 2 and 1.9, a little more weight on the cost, and "
        f"row {ask(shifted, [0.4, 0.6])} was chosen. After scaling, are the best values of both "
        "really 0 and the worst 1?",
    )
    require(
        ask(np.array(shifted)[:, ::-1], [0.6, 0.4]) == 1,
        "Columns and weights swapped should give the same row. Is each column scaled by itself?",
    )


def check_front_of(front_of: Callable[[pd.DataFrame, str, str], set[str]]) -> None:
    """Judges the front of two named columns."""

    def ask(error: str, cost: str) -> set[str]:
        answer = front_of(_archive(), error, cost)
        fine = isinstance(answer, set) and all(isinstance(name, str) for name in answer)
        require(fine, f"The answer should be a set of strings, not {type(answer).__name__}.")
        return answer

    found = ask("top1_err", "madds")
    require(
        "t" in found,
        "The cheapest subnet of all is missing. It errs most, and still nobody dominates it.",
    )
    require(
        not found & {"r", "u"},
        f"Architectures {sorted(found & {'r', 'u'})} should not be on the front: another is as "
        "good in one column and better in the other, or better in both. Both columns are "
        "minimised.",
    )
    require(
        found == {"p", "q", "s", "t"},
        f"Of six subnets you have {sorted(found)} on the front. Whom does nobody dominate?",
    )
    require(
        ask("top1_err", "params") == {"p"},
        "With parameters as the cost the front should be another one. Is the cost that was named "
        "used?",
    )
    require(
        ask("other_err", "madds") == {"t", "u"},
        "With another column of errors the front should be another one. Is the error that was "
        "named used?",
    )
    passed("the front of any two columns.")
