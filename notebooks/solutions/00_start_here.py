# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 0 · Start here: exercises
#
# About 75 minutes of work; every cell runs within seconds on a CPU. They belong to
# [notebook 0](../00_start_here.ipynb). Fill in each function where it says `NotImplementedError`, then
# run the check below it. The [solutions](../solutions/00_start_here.ipynb) are for afterwards.

# %% [markdown] tags=["solution"]
# **This notebook holds the solutions.** Each stands below the cell that you were to fill in, with a
# few sentences about it. The [notebook without them](../exercises/00_start_here.ipynb) is for working.

# %%
# If this fails, choose the kernel of the course's environment: README.md tells how to make one.
from natlib import data
from natlib.search import non_dominated
from natlib.teach import explorer, plots
from natlib.teach.checks import start_here as checks
import numpy as np
import pandas as pd

# %% [markdown]
# The recording of the lesson: subnets measured on the animals (validation split, pocket scale).

# %%
archive = pd.read_csv(data.DATA / "archives" / "pocket_animals.csv")
archive.sample(3, random_state=0)

# %% [markdown]
# ## Exercise 1 · Reading a front (5 minutes)
#
# Six subnets, with figures made up so that they are easy to compare. One subnet *dominates* another
# if it is worse in no column and better in at least one. Which of the six are dominated by one of the
# others?

# %%
checks.six_subnets()


# %% tags=["stub"]
def dominated() -> set[str]:
    """Returns the letters of the dominated subnets, such as `{"A", "B"}`."""
    raise NotImplementedError("Exercise 1: return the letters")


# %% [markdown] tags=["hint"]
# **Hint.** Sort them by MAdds in your head. Going from cheap to dear, a subnet is worth its price only
# if it errs less than all that are cheaper.

# %% [markdown] tags=["hint"]
# **Hint.** Two subnets err alike, and one of them is cheaper. Does it dominate the other?


# %% tags=["solution"]
def dominated() -> set[str]:
    return {"C", "F"}


# %% tags=["check"]
checks.check_dominated(dominated)

# %% [markdown] tags=["solution"]
# C errs as much as B and costs more; F is worse than D, and than E, in both. A errs most of all and
# is still on the front, because nothing is cheaper: at the end of a front one good value is enough.

# %% [markdown]
# ## Exercise 2 · A limit (10 minutes)
#
# Find the most accurate subnet whose MAdds keep a limit. Where several err alike, take the cheapest of
# them.


# %% tags=["stub"]
def best_within(archive: pd.DataFrame, limit: float) -> str:
    """Returns the string of the best architecture within a limit.

    Args:
        archive: Columns `architecture`, `top1_err` (percent) and `madds`; any index.
        limit: Most MAdds that are allowed, the limit included; some row keeps it.
    """
    raise NotImplementedError("Exercise 2: find the best within the limit")


# %% [markdown] tags=["hint"]
# **Hint.** First leave out the rows that break the limit, then choose among the others.

# %% [markdown] tags=["hint"]
# **Hint.** A row's place in the table that is left is not its place in the whole. `sort_values` takes
# several columns, and `.iloc[0]` the first row of whatever order they make.


# %% tags=["solution"]
def best_within(archive: pd.DataFrame, limit: float) -> str:
    allowed = archive[archive.madds <= limit]
    return allowed.sort_values(["top1_err", "madds"]).architecture.iloc[0]


# %% tags=["check"]
checks.check_best_within(best_within)

# %% [markdown]
# What does each halving of the limit cost?

# %%
by_name = archive.set_index("architecture")
rows = {}
for share in (1, 0.5, 0.25, 0.125, 0.0625):
    name = best_within(archive, share * archive.madds.max())
    rows[f"{share:.2%}"] = {"architecture": name, "top-1 error (%)": by_name.top1_err[name]}
pd.DataFrame(rows).T.rename_axis("share of the largest subnet's MAdds")


# %% tags=["stub"]
def halving_costs() -> str:
    """Returns `"more"`, `"less"` or `"the same"`: what a halving costs, held against the one before."""
    raise NotImplementedError("Exercise 2: read the table")


# %% tags=["solution"]
def halving_costs() -> str:
    return "more"


# %% tags=["check"]
checks.check_halvings(halving_costs)

# %% [markdown] tags=["solution"]
# Each halving costs more points than the one before: 0.9, 1.1, 1.2 and then 3.7. The front is flat on
# its right and steep on its left. Look at the strings too. Their first two digits count the resolution,
# from 00 for 16 pixels to 04 for 32 (notebook 01 explains the others): the dearest subnet of the table
# has the largest, the cheapest the smallest, though not each step goes down. A smaller picture is one
# way to save; shallower stages, zeros in the string, are another.

# %% [markdown]
# ## Exercise 3 · Weights (15 minutes)
#
# Instead of a limit you may say how much each objective matters. The simplest rule scales every
# objective over the archive so that its best value is 0 and its worst 1, and takes the row with the
# least weighted sum.


# %% tags=["stub"]
def weighted_sum_choice(F: np.ndarray, weights: np.ndarray) -> int:
    """Returns the row with the least weighted sum of scaled objectives.

    Args:
        F: Minimised objectives in any units, `(n, n_objectives)`.
        weights: Weight of each objective, `(n_objectives,)`, none below zero.
    """
    raise NotImplementedError("Exercise 3: choose by weights")


# %% [markdown] tags=["hint"]
# **Hint.** Scale each column by itself: subtract its smallest value and divide by its range. Which
# `axis` goes down the rows?

# %% [markdown] tags=["hint"]
# **Hint.** A matrix times a vector, `@`, is a weighted sum for every row. All objectives are
# minimised.


# %% tags=["solution"]
def weighted_sum_choice(F: np.ndarray, weights: np.ndarray) -> int:
    scaled = (F - F.min(axis=0)) / np.ptp(F, axis=0)
    return int((scaled @ weights).argmin())


# %% tags=["check"]
checks.check_weighted_sum(weighted_sum_choice)

# %% [markdown]
# Turn the weights from all error to all MAdds, and collect what the rule ever chooses. The explorer of
# the lesson has another rule: it looks at the largest weighted objective instead of the sum.

# %%
F = archive[["top1_err", "madds"]].to_numpy()
weights = [np.array([w, 1 - w]) for w in np.linspace(0, 1, 201)]
by_sum = np.unique([weighted_sum_choice(F, w) for w in weights])
by_largest = np.unique([explorer.choose(F, w) for w in weights])
front = np.flatnonzero(non_dominated(F))
print(f"the front has {len(front)} subnets; a sum reaches {len(by_sum)} of them,", end=" ")
print(f"the largest weighted objective {len(by_largest)}")
figure = plots.plot_front(F[by_sum], before=F[front], names=("all", "by weighted sums"))
alt = f"The front of {len(front)} subnets, and the {len(by_sum)} that some weighted sum chooses."
plots.show(figure, alt)

# %% [markdown] tags=["solution"]
# A weighted sum is a ruler laid against the cloud from the lower left, at an angle that the weights
# set: it touches corners only. A subnet in a dent of the front is never the best for any weights,
# though nothing dominates it: here 18 of 29. The weighted Chebyshev rule of the explorer (the *largest*
# weighted objective) reached every one. Without scaling, MAdds in millions would drown errors in percent,
# whatever the weights.

# %% [markdown]
# ## Exercise 4 · How sure is a front? (15 minutes)
#
# The errors were measured on two halves of the validation split as well: `top1_err_a` and
# `top1_err_b`. Write a function for the front of any two columns, then see how much of the front of one
# half the other confirms, and whether the front is the same when parameters are the cost.


# %% tags=["stub"]
def front_of(archive: pd.DataFrame, error: str, cost: str) -> set[str]:
    """Returns the architectures that no other dominates in two columns.

    Args:
        archive: A column `architecture`, and the columns named.
        error: Column with an error, minimised.
        cost: Column with a cost, minimised.
    """
    raise NotImplementedError("Exercise 4: find the front of two columns")


# %% [markdown] tags=["hint"]
# **Hint.** Only the two columns that are named count. `non_dominated` takes a matrix `(n, 2)` and says
# for each row whether it is on the front.

# %% [markdown] tags=["hint"]
# **Hint.** `archive[[...]]` picks columns by a list of their names, and `.to_numpy()` makes a matrix of
# them. What `non_dominated` returns is a mask: it picks rows of the column `architecture`, too.


# %% tags=["solution"]
def front_of(archive: pd.DataFrame, error: str, cost: str) -> set[str]:
    on_front = non_dominated(archive[[error, cost]].to_numpy())
    return set(archive.architecture[on_front])


# %% tags=["check"]
checks.check_front_of(front_of)

# %%
pairs = {
    "half a, half b": ("top1_err_a", "madds", "top1_err_b", "madds"),
    "half a, whole split": ("top1_err_a", "madds", "top1_err", "madds"),
    "MAdds, parameters": ("top1_err", "madds", "top1_err", "params"),
}
rows = {}
for name, (error_1, cost_1, error_2, cost_2) in pairs.items():
    one, two = front_of(archive, error_1, cost_1), front_of(archive, error_2, cost_2)
    rows[name] = {"first front": len(one), "second front": len(two), "on both": len(one & two)}
pd.DataFrame(rows).T

# %% [markdown]
# How many percent of the front of half a does half b confirm, by having them on its own?


# %% tags=["stub"]
def confirmed() -> float:
    """Returns the share of half a's front that is on half b's front too, in percent."""
    raise NotImplementedError("Exercise 4: read the table")


# %% tags=["solution"]
def confirmed() -> float:
    return 100 * 8 / 25


# %% tags=["check"]
checks.check_confirmed(confirmed)

# %% [markdown]
# Is that because the halves disagree about everything? Correlate their ranks over all subnets, and look
# at the resolutions (the first two digits) of the two fronts with different costs.

# %% tags=["solution"]
print(
    f"rank correlation of the halves: {archive.top1_err_a.corr(archive.top1_err_b, 'spearman'):.2f}"
)
fronts = {cost: front_of(archive, "top1_err", cost) for cost in ("madds", "params")}
digits = {cost: pd.Series(sorted(front)).str[:2].value_counts() for cost, front in fronts.items()}
pd.DataFrame(digits).fillna(0).astype(int).rename_axis("resolution on the front of error and")

# %% [markdown] tags=["solution"]
# Of half a's front the other half confirms about a third, although over all subnets the halves rank
# nearly alike (0.95). Who is on a front is therefore a shaky fact even where good and bad are not:
# neighbours on it differ by little, and the noise of a measurement decides between them. (Half and whole
# share pictures, so their agreement says little.) Two lessons: never report the validation error of a
# chosen subnet as its accuracy, because luck helped to choose it, and look at the *shape* of a front
# rather than at single subnets. With parameters as the cost the front is another one for a better
# reason: resolution costs MAdds and no parameters, and the largest resolution has 14 of the 22 places
# there, and 8 of 29 on the front of MAdds.

# %% [markdown]
# ## Exercise 5 · What is a search worth? (30 minutes)
#
# A small project. Measuring a subnet takes time, so nobody measures all of them. Suppose you measure
# `n` subnets that you draw at random, and take the best that keeps your limit. How many points worse is
# it than the best of the whole archive? If no drawn subnet keeps the limit, you have nothing: count that
# as an error of 100%.


# %% tags=["stub"]
def shortfall(archive: pd.DataFrame, drawn: pd.DataFrame, limit: float) -> float:
    """Returns by how many points the best drawn subnet errs more than the best of all.

    Args:
        archive: Columns `top1_err` (percent) and `madds`; some row keeps the limit.
        drawn: Some rows of the archive, at least one.
        limit: Most MAdds that are allowed, the limit included.
    """
    raise NotImplementedError("Exercise 5: compare the drawn with all")


# %% [markdown] tags=["hint"]
# **Hint.** The same question is asked twice, of the archive and of what was drawn: what is the least
# error among the rows that keep the limit? A function inside of your function can ask it.

# %% [markdown] tags=["hint"]
# **Hint.** The least of no numbers at all is NaN in pandas. Look at `len` first, or give `min` of Python a
# `default`.


# %% tags=["solution"]
def shortfall(archive: pd.DataFrame, drawn: pd.DataFrame, limit: float) -> float:
    def least(table: pd.DataFrame) -> float:
        return min(table.top1_err[table.madds <= limit], default=100.0)

    return least(drawn) - least(archive)


# %% tags=["check"]
checks.check_shortfall(shortfall)

# %% [markdown]
# Draw 5, 10, 20, 40, 80 and 160 subnets, 200 times each, and ask for three limits: an eighth of the
# largest subnet's MAdds, a half, and no limit at all. How many points does a random search give away, and
# how many does it win back when it measures twice as many?

# %% tags=["solution"]
largest, rows = archive.madds.max(), {}
for n in (5, 10, 20, 40, 80, 160):
    draws = [archive.sample(n, random_state=seed) for seed in range(200)]
    rows[n] = {
        name: np.mean([shortfall(archive, drawn, share * largest) for drawn in draws])
        for name, share in {"an eighth": 1 / 8, "a half": 1 / 2, "no limit": 1}.items()
    }
pd.DataFrame(rows).T.rename_axis("subnets drawn").round(2)

# %% [markdown] tags=["solution"]
# Without a limit, and with half of the MAdds, each doubling wins back about a third of what was still given
# away, at the end more. From 40 subnets on it is less than the noise of a measurement: an error of 5% on
# 2,912 pictures has a standard error of 0.4 points. With the tight limit it is another story. Only 63 of the 420 keep it, five
# draws find none of them in 44% of the cases, and the 42 points of the first row say mostly that. After 40
# draws 1.9 points are still missing. So a search is worth most where few subnets qualify, or where each
# measurement is dear: it can look where the limit is kept. (The archive holds 420 of 86 million subnets; the
# best of all may be better than its best.)
