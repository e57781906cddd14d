# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 6 · Many objectives: exercises
#
# About 160 minutes of work; every cell runs within seconds on a CPU. They belong to
# [notebook 6](../06_many_objectives.ipynb). Fill in each function where it says
# `NotImplementedError`, then run the check below it. The
# [solutions](../solutions/06_many_objectives.ipynb) are for afterwards.

# %% [markdown] tags=["solution"]
# **This notebook holds the solutions.** Each stands below the cell that you were to fill in, with a
# few sentences about it. The [notebook without them](../exercises/06_many_objectives.ipynb) is for
# working.

# %%
# If this fails, choose the kernel of the course's environment: README.md tells how to make one.
from natlib import Architecture, SearchSpace, data, search
from natlib.deploy.latency import LatencyTable
from natlib.teach import explorer, plots
from natlib.teach.checks import many_objectives as checks
import numpy as np
import pandas as pd

# %% [markdown]
# The archive of the lesson: subnets measured on the animals (validation split, pocket scale).

# %%
archive = pd.read_csv(data.DATA / "archives" / "pocket_animals.csv")
objectives = ["top1_err", "madds", "params"]
F = archive[objectives].to_numpy()
front = F[search.non_dominated(F)]
print(f"{len(front)} of {len(F)} subnets are on the front of {', '.join(objectives)}")

# %% [markdown]
# ## Exercise 1 · From weights to a choice (15 minutes)
#
# Scale each objective so that the front reaches from 0 (best) to 1 (worst): $f_j$. Let the weights
# $w_j$ add up to one, and choose the subnet with the least $\max_j w_j f_j$: *weighted Chebyshev*.


# %% tags=["stub"]
def chebyshev(F: np.ndarray, weights: np.ndarray) -> int:
    """Returns the row that weighted Chebyshev chooses.

    Args:
        F: A front, objectives minimised, in any units, `(n, n_objectives)`.
        weights: Weight of each objective, above zero, `(n_objectives,)`.
    """
    raise NotImplementedError("Exercise 1: choose by weighted Chebyshev")


# %% [markdown] tags=["hint"]
# **Hint.** `np.ptp(F, axis=0)` is the range of each column.

# %% [markdown] tags=["hint"]
# **Hint.** The worst objective of each row is a maximum along one axis; the choice is a minimum along
# the other.


# %% tags=["solution"]
def chebyshev(F, weights):
    scaled = (F - F.min(axis=0)) / np.ptp(F, axis=0)
    return int((scaled * weights).max(axis=1).argmin())


# %% tags=["check"]
checks.check_chebyshev(chebyshev)

# %% [markdown]
# The other way round, from a subnet to weights: its *pseudo-weights*, $(1 - f_j) / \sum_k (1 - f_k)$,
# say what it is relatively good at.


# %% tags=["stub"]
def pseudo_weights(F: np.ndarray) -> np.ndarray:
    """Returns the pseudo-weights of each row, `(n, n_objectives)`; rows add up to one.

    Args:
        F: A front, objectives minimised, in any units, `(n, n_objectives)`.
    """
    raise NotImplementedError("Exercise 1: say what each row is good at")


# %% [markdown] tags=["hint"]
# **Hint.** How good is a row in an objective, if 1 is the worst and 0 the best? Then compare the
# objectives of *one* row with each other.

# %% [markdown] tags=["hint"]
# **Hint.** Scale as before. `keepdims=True` keeps a sum divisible row by row. (A row that is worst in
# everything would divide by zero; on a front there is none in two objectives, and hardly one in more.)


# %% tags=["solution"]
def pseudo_weights(F):
    good = 1 - (F - F.min(axis=0)) / np.ptp(F, axis=0)
    return good / good.sum(axis=1, keepdims=True)


# %% tags=["check"]
checks.check_pseudo_weights(pseudo_weights)

# %% [markdown]
# Wish for twelve parts of accuracy, one of MAdds and one of parameters. Which subnet does each of the
# two ways choose, and what are its pseudo-weights? (Closest to the wish: by the sum of the absolute
# differences.)

# %% tags=["solution"]
wish = np.array([12, 1, 1]) / 14
W = pseudo_weights(front)
rows = {
    "Chebyshev": chebyshev(front, wish),
    "pseudo-weights": int(np.abs(W - wish).sum(axis=1).argmin()),
}
table = pd.DataFrame(plots.in_units(front[list(rows.values())], objectives), index=list(rows))
table.columns = [plots.label_of(name) for name in objectives]
table.assign(
    **{f"weight of {o}": W[list(rows.values()), k] for k, o in enumerate(objectives)}
).round(2)

# %% [markdown] tags=["solution"]
# Chebyshev asks where the *worst* weighted objective is least, so it stops paying for accuracy as soon
# as MAdds hurt as much. Pseudo-weights ask for a *profile*: a subnet that is relatively as good in each
# objective as was wished for. They need not agree, and neither is right or wrong; what counts is that
# whoever moves the sliders knows what they mean. Both depend on the scale, and so on who is at the ends
# of the front.

# %% [markdown]
# ## Exercise 2 · Which weights choose which subnet? (20 minutes)
#
# Exercise 3 of notebook 00 tried weights one by one and saw that a weighted *sum* never reaches some
# subnets of a front. In two objectives one can say exactly which: with $f_{ij}$ for objective $j$ of
# row $i$, scaled as above, row $i$ has the least sum $w f_{i1} + (1 - w) f_{i2}$ for all $w$ of an
# interval, which may be empty. Write these intervals.


# %% tags=["stub"]
def winning_weights(F: np.ndarray) -> np.ndarray:
    """Returns the least and the largest weight for which each row has the least weighted sum.

    Args:
        F: A front in two minimised objectives, in any units, without equal rows, `(n, 2)`.

    Returns:
        Weights of the *first* scaled objective in [0, 1], `(n, 2)`; NaN where there are none.
    """
    raise NotImplementedError("Exercise 2: find the weights of each row")


# %% [markdown] tags=["hint"]
# **Hint.** Compare two rows only. If row $i$ is better in the first objective, it needs a weight *above*
# some threshold; if it is worse there, a weight below it. At the threshold both sums are equal.

# %% [markdown] tags=["hint"]
# **Hint.** With the differences $\Delta_1$ and $\Delta_2$ of the scaled objectives, the threshold is
# $\Delta_2 / (\Delta_2 - \Delta_1)$. A row must win against all others: which thresholds are binding?
# What if the lower one exceeds the upper one?


# %% tags=["solution"]
def winning_weights(F):
    scaled = (F - F.min(axis=0)) / np.ptp(F, axis=0)
    intervals = np.full(F.shape, np.nan)
    for i, row in enumerate(scaled):
        first, second = (row - np.delete(scaled, i, axis=0)).T
        threshold = second / (second - first)
        low = threshold[first < 0].max(initial=0)
        high = threshold[first > 0].min(initial=1)
        if low <= high:
            intervals[i] = low, high
    return intervals


# %% tags=["check"]
checks.check_winning_weights(winning_weights)

# %% [markdown]
# Apply it to the archive's front in error and MAdds. How many subnets can a weighted sum never choose?
# How large a part of the slider belongs to a single subnet?

# %% tags=["solution"]
pair = F[search.non_dominated(F[:, :2]), :2]
intervals = winning_weights(pair)
width = intervals[:, 1] - intervals[:, 0]
order = np.argsort(-np.nan_to_num(width))[:5]
print(f"{np.isnan(width).sum()} of {len(pair)} are chosen for no weight;", end=" ")
print(f"the five widest intervals take {width[order].sum():.0%} of the slider")
pd.DataFrame(
    {
        "error (%)": pair[order, 0],
        "MAdds (M)": pair[order, 1] / 1e6,
        "from weight": intervals[order, 0],
        "to weight": intervals[order, 1],
    }
).round(2)

# %% [markdown]
# How many subnets of this front does a weighted sum never choose?


# %% tags=["stub"]
def never_chosen() -> int:
    """Returns the number of subnets of the front that no weight chooses."""
    raise NotImplementedError("Exercise 2: count empty intervals")


# %% tags=["solution"]
def never_chosen() -> int:
    return 18


# %% tags=["check"]
checks.check_never(never_chosen)

# %% tags=["solution"]
narrow = np.sort(width[~np.isnan(width)])
print(f"the six narrowest of {len(narrow)} intervals: {narrow[:6].round(3).tolist()}")
reached = {explorer.choose(pair, w) for w in np.random.default_rng(0).dirichlet([1, 1], 20_000)}
print(f"weighted Chebyshev, 20,000 weights: {len(reached)} of {len(pair)} subnets")

# %% [markdown] tags=["solution"]
# The rows with an interval are the corners of the front's convex hull; a subnet in a dent has its lower
# threshold above its upper one: of the others, one needs it to weigh the first objective more, another
# less. Intervals are as wide as the hull is *sharp*: five corners own 73% of the slider, and the six others
# share the rest, down to less than a hundredth of it. So even where a weighted sum reaches a subnet it
# is a poor steering wheel. Chebyshev can reach every subnet of a front (for weights above zero), and with
# random weights it found all 29 of this one.

# %% [markdown]
# ## Exercise 3 · IGD+: how far from the goal? (20 minutes)
#
# Hypervolume becomes expensive with many objectives. *IGD+* compares a set of points $F$ with a reference
# front $Z$ instead, for example the best known one: for each reference point $z$ the distance to the
# nearest point $f$ of the set, where only objectives in which $f$ is *worse* than $z$ count, and then the
# mean over the reference points:
#
# $$\mathrm{IGD}^+ = \frac{1}{|Z|} \sum_{z \in Z} \min_{f \in F} \sqrt{\sum_j \max(f_j - z_j, 0)^2}.$$


# %% tags=["stub"]
def igd_plus(F: np.ndarray, reference: np.ndarray) -> float:
    """Returns IGD+ of a front; smaller is better, and 0 is reached if all of `reference` is.

    Args:
        F: Scaled objectives, minimised, `(n, n_objectives)`.
        reference: Points to be reached, in the same scale, `(m, n_objectives)`.
    """
    raise NotImplementedError("Exercise 3: write IGD+")


# %% [markdown] tags=["hint"]
# **Hint.** Negative differences are what is better: what should they count as before you square?

# %% [markdown] tags=["hint"]
# **Hint.** `F[:, None] - reference[None]` has the shape `(n, m, n_objectives)`. Along which of its axes do
# you add, along which take the least, along which the mean?


# %% tags=["solution"]
def igd_plus(F, reference):
    worse = np.maximum(F[:, None] - reference[None], 0)
    return float(np.sqrt((worse**2).sum(axis=2)).min(axis=0).mean())


# %% tags=["check"]
checks.check_igd_plus(igd_plus)

# %% [markdown]
# How many random subnets does it take to come close to the archive's front in three objectives? Draw 25,
# 50, 100 and 200 rows of the archive, ten times each, and compare IGD+ with hypervolume (in the box from
# 0 to 1.1 in each scaled objective).

# %% tags=["solution"]
scaled = (F - front.min(axis=0)) / np.ptp(front, axis=0)
reference = scaled[search.non_dominated(F)]
rng, rows = np.random.default_rng(0), []
for size in np.repeat([25, 50, 100, 200], 10):
    drawn = scaled[rng.permutation(len(F))[:size]]
    volume = search.hypervolume(drawn, reference=np.full(3, 1.1), ideal=np.zeros(3))
    rows.append({"subnets": size, "IGD+": igd_plus(drawn, reference), "hypervolume": volume})
whole = search.hypervolume(reference, reference=np.full(3, 1.1), ideal=np.zeros(3))
print(f"the whole front: IGD+ 0, hypervolume {whole:.3f}")
pd.DataFrame(rows).groupby("subnets").agg(["mean", "std"]).round(3)

# %% [markdown] tags=["solution"]
# Both say the same here, in opposite directions. IGD+ takes $|F| \cdot |Z|$ distances in any number of
# objectives, while exact hypervolume takes time that grows quickly with their number. Its price is the reference: IGD+ judges by how well one *known* front is covered and
# cannot see whether a subnet is better than everything known. It is fair only among methods that are
# held against one reference, for example the best of all their results together. Without the plus, a
# point that is better than the reference would be punished for its distance.

# %% [markdown]
# ## Exercise 4 · Which objectives say the same? (30 minutes)
#
# With twelve objectives it is worth knowing which are nearly one. Write *Spearman's rank correlation* of
# each pair of objectives: the ordinary (Pearson) correlation, but of ranks. Equal values share the mean of
# their ranks.


# %% tags=["stub"]
def rank_correlation(F: np.ndarray) -> np.ndarray:
    """Returns Spearman's rank correlation of each pair of columns, in [-1, 1].

    Args:
        F: Objectives, `(n, n_objectives)`.

    Returns:
        A symmetric matrix with ones on its diagonal, `(n_objectives, n_objectives)`.
    """
    raise NotImplementedError("Exercise 4: correlate ranks")


# %% [markdown] tags=["hint"]
# **Hint.** A value's rank, ties included, is the mean of the number of values below it and the number not
# above it (plus a constant, which a correlation does not notice).

# %% [markdown] tags=["hint"]
# **Hint.** `np.corrcoef` correlates *rows* unless you tell it otherwise.


# %% tags=["solution"]
def rank_correlation(F):
    below = (F[None] < F[:, None]).sum(axis=1)
    not_above = (F[None] <= F[:, None]).sum(axis=1)
    return np.corrcoef(below + not_above, rowvar=False)


# %% tags=["check"]
checks.check_rank_correlation(rank_correlation)

# %% [markdown]
# Which objective could be dropped, and what happens to the front without it? Then an objective that should
# be redundant: the archive has the errors on two halves of the validation split, `top1_err_a` and
# `top1_err_b`. How large are the fronts of (error, MAdds) and of (error on a, error on b, MAdds)?

# %% tags=["solution"]
names = ["top1_err", "top1_err_a", "top1_err_b", "madds", "params"]
for chosen in (
    ["top1_err", "madds", "params"],
    ["top1_err", "madds"],
    ["top1_err", "params"],
    ["madds", "params"],
    ["top1_err_a", "top1_err_b", "madds"],
):
    print(f"{search.non_dominated(archive[chosen]).sum():3d} on the front of {', '.join(chosen)}")
pd.DataFrame(rank_correlation(archive[names].to_numpy()), names, names).round(2)

# %% [markdown] tags=["solution"]
# MAdds and parameters agree most among the three (0.75, the only positive correlation), so one of them
# could go. But the front shrinks all the same, from 57 to 29 or 22, because subnets that were there *only*
# for the third objective leave it: a rank correlation over the whole archive says little about the
# subnets at the front. Error against either cost is the conflict that makes the choice: of MAdds and
# parameters alone the front is a single subnet.
#
# The two halves measure the same thing and correlate by 0.95, and yet the front of both has 53 subnets
# and that of their mean 29: a subnet may stay because it was lucky on one half. Here a third objective
# that repeats the first with other noise nearly doubled the front, which is worth remembering before one
# searches with five measurements of one latency.

# %% [markdown]
# Which tasks decide? The recording `many.csv` holds archives of the lesson's search with twelve
# objectives, for six seeds. With equal weights, the choice of weighted Chebyshev hangs on each subnet's
# *worst* objective. Leave out one task, as if it had never been measured: does the choice stay?

# %%
study = pd.read_csv(data.DATA / "archives" / "many.csv").query("method == 'NSGA-III'")
names = [name for name in study if name.startswith("top1_err_")] + ["madds"]


def choice(F: np.ndarray) -> int:
    return explorer.choose(F, np.ones(F.shape[1]))


# %% tags=["stub"]
def deciding_tasks(F: np.ndarray) -> list[int]:
    """Returns the columns of the tasks without which another row is chosen.

    Args:
        F: Errors of tasks and, in the last column, a cost that always stays; minimised, in any units,
            `(n, n_tasks + 1)`.
    """
    raise NotImplementedError("Exercise 4: say which tasks decide")


# %% [markdown] tags=["hint"]
# **Hint.** Leaving out a task takes its column away, and puts it back before the next one is tried. The
# front and the scale are those of the columns that are there; `choice` sees to that.

# %% [markdown] tags=["hint"]
# **Hint.** `np.delete` with `axis=1` returns a matrix without a column. What does `choice` say of it, and
# what of the whole? Ask for every column but the last.


# %% tags=["solution"]
def deciding_tasks(F):
    chosen = choice(F)
    tasks = range(F.shape[1] - 1)
    return [k for k in tasks if choice(np.delete(F, k, axis=1)) != chosen]


# %% tags=["check"]
checks.check_deciding_tasks(deciding_tasks)

# %% [markdown]
# Ask it for each of the six seeds. Are they the same tasks? Then drop tasks one after another while the
# choice stays, until no more can go: how many go, and does it matter where you begin? What would you
# measure before dropping one for good?


# %% tags=["solution"]
def droppable(F: np.ndarray, order: range) -> set[int]:
    kept, before = list(range(F.shape[1])), None
    while kept != before:
        before = kept
        for k in order:
            rest = [j for j in kept if j != k]
            kept = rest if choice(F[:, rest]) == choice(F) else kept
    return set(order) - set(kept)


# %% tags=["solution"]
archives = {seed: table[names].to_numpy(float) for seed, table in study.groupby("seed")}
tasks, rows = range(len(names) - 1), {}
for seed, F_seed in archives.items():
    down, up = droppable(F_seed, tasks), droppable(F_seed, tasks[::-1])
    rows[seed] = {
        "deciding": ", ".join(names[k].removeprefix("top1_err_") for k in deciding_tasks(F_seed)),
        "dropped from the first": len(down),
        "from the last": len(up),
        "both times": len(down & up),
    }
pd.DataFrame(rows).T.rename_axis("seed")

# %% [markdown]
# How many tasks decide for all six seeds?


# %% tags=["stub"]
def deciding_everywhere() -> int:
    """Returns the number of tasks that decide for each of the six seeds."""
    raise NotImplementedError("Exercise 4: read the table")


# %% tags=["solution"]
def deciding_everywhere() -> int:
    return 0


# %% tags=["check"]
checks.check_everywhere(deciding_everywhere)

# %% [markdown] tags=["solution"]
# And one measurement that should come before: would the choice stay with other pictures? Draw each error
# anew, as if it came from another 300 pictures.

# %% tags=["solution"]
rng, stays = np.random.default_rng(0), {}
for seed, F_seed in archives.items():
    drawn = rng.binomial(300, F_seed[:, :-1] / 100, size=(100, *F_seed[:, :-1].shape)) / 3
    again = [choice(np.column_stack([errors, F_seed[:, -1]])) for errors in drawn]
    stays[seed] = f"{np.mean(np.array(again) == choice(F_seed)):.0%}"
pd.Series(stays, name="same choice with other pictures").rename_axis("seed")

# %% [markdown] tags=["solution"]
# Each seed has other deciding tasks: none decides in all six, farm and savanna decide in none, emoji and
# straight in four each. Five to nine tasks of eleven can be dropped together, four to eight if one begins
# at the other end, and only two to seven go both times: what may go depends on what went before.
#
# A maximum hangs on a single column, for each subnet on another one. So a few pictures are enough to
# bring another subnet to the top: with other pictures the choice stays in 1 to 7% of the draws. (They
# exaggerate: errors are drawn for each subnet by itself, whereas real pictures are the same for all.)
# "Deciding" was asked of a choice that hardly ever comes again, so the list of a seed says little about
# its tasks. A noisy task is not kept from it: emoji is among those that decide most often, and
# `data/README.md` tells how badly two halves of its pictures agree.
#
# "Droppable for this choice" is not "droppable". Other weights, another supernet or one more subnet may
# ask just the task that has gone, and a search that does not measure a task cannot watch it. Before one
# is dropped, measure whether the choice stays with other pictures, seeds and weights, and how much the
# task itself would lose. The rank correlation asks all subnets, not one choice; whether it is the better
# guide was not measured here.

# %% [markdown]
# ## Exercise 5 · Does latency change the choice? (40 minutes)
#
# A small project. MAdds can be counted once and for all; latency has to be measured on each machine. Is
# it worth the trouble? Begin with a function that gives every subnet of an archive the latency that a
# `LatencyTable` predicts.


# %% tags=["stub"]
def with_latency(archive: pd.DataFrame, table: LatencyTable) -> pd.DataFrame:
    """Returns a copy of an archive with one column more, `latency_ms`.

    Args:
        archive: A column `architecture` with published strings, in any order and with any index.
        table: Predicts the milliseconds of encodings of `table.space`.
    """
    raise NotImplementedError("Exercise 5: predict the latency of each subnet")


# %% [markdown] tags=["hint"]
# **Hint.** `Architecture.from_string` reads a string, `space.encode` makes a row of integers of it, and
# `table.latency_ms` takes a matrix of such rows.

# %% [markdown] tags=["hint"]
# **Hint.** `DataFrame.assign` returns a copy. An array has no index that could be aligned; a Series has.


# %% tags=["solution"]
def with_latency(archive, table):
    archs = [Architecture.from_string(text) for text in archive.architecture]
    X = np.array([table.space.encode(arch) for arch in archs])
    return archive.assign(latency_ms=table.latency_ms(X))


# %% tags=["check"]
checks.check_with_latency(with_latency)

# %% [markdown]
# The *knee* is the subnet that by itself dominates the largest volume: with objectives scaled so that the
# **front** reaches from 0 to 1, the row with the largest $\prod_j (1.1 - f_j)$, where a factor below
# zero counts as zero. Write it for a whole archive, of which most rows are dominated.


# %% tags=["stub"]
def knee(F: np.ndarray) -> int:
    """Returns the row that by itself dominates the largest volume.

    Args:
        F: Objectives of an archive, minimised, in any units, `(n, n_objectives)`.
    """
    raise NotImplementedError("Exercise 5: find the knee")


# %% [markdown] tags=["hint"]
# **Hint.** `search.non_dominated(F)` says which rows are on the front. Only they give the scale.

# %% [markdown] tags=["hint"]
# **Hint.** Scale *all* rows by the front's best values and ranges, so that the answer counts rows of `F`.
# `np.maximum(..., 0)` makes zeros of what is negative, and `prod` multiplies along an axis.


# %% tags=["solution"]
def knee(F):
    best = F[search.non_dominated(F)]
    scaled = (F - best.min(axis=0)) / np.ptp(best, axis=0)
    return int(np.maximum(1.1 - scaled, 0).prod(axis=1).argmax())


# %% tags=["check"]
checks.check_knee(knee)

# %% [markdown]
# Measure the table *twice*, so that you can tell a difference from noise. (It times each distinct block of
# the space for one picture on one thread: some seconds.) Then compare: how many subnets are on the front
# of error and MAdds, of error and latency, and on both? Does the knee move? Is latency redundant, given
# MAdds and parameters?

# %%
pocket = SearchSpace.pocket()
tables = [LatencyTable.measure(pocket, num_classes=10) for _ in range(2)]
print(tables[0].about)

# %% tags=["solution"]
measured = [with_latency(archive, table) for table in tables]
names = ["top1_err", "madds", "params", "latency_ms"]
fronts, rows = {}, {}
for cost, table in (("madds", archive), ("first", measured[0]), ("second", measured[1])):
    pair = ["top1_err", "madds" if cost == "madds" else "latency_ms"]
    F_pair = table[pair].to_numpy()
    fronts[cost] = set(np.flatnonzero(search.non_dominated(F_pair)))
    rows["error, MAdds" if cost == "madds" else f"error, {cost} latency"] = {
        "on the front": len(fronts[cost]),
        "also on that of MAdds": len(fronts[cost] & fronts["madds"]),
        "also on that of the first latency": len(fronts[cost] & fronts.get("first", set())),
        "knee": archive.architecture[knee(F_pair)],
    }
pd.DataFrame(rows).T

# %% tags=["solution"]
both = measured[0].assign(again=measured[1].latency_ms)
agreement = rank_correlation(both[["latency_ms", "again"]].to_numpy())[0, 1]
print(f"rank correlation of the two measurements: {agreement:.3f}")
figure = plots.plot_correlations(both[names].to_numpy(), names)
ranks = both[names].corr("spearman").latency_ms.round(2)
alt = f"Rank correlation of latency with MAdds {ranks.madds}, with parameters {ranks.params}."
plots.show(figure, alt)

# %% tags=["solution"]
from natlib.cost import CostTable

large = pocket.encode(pocket.largest())
X = np.array([pocket.encode(pocket.smallest()), large, large])
X[1, 0] = 0  # the largest, at the smallest resolution
rows = {"MAdds (M)": CostTable(pocket, 10).madds(X) / 1e6, "latency (ms)": tables[0].latency_ms(X)}
px = pocket.resolutions
pd.DataFrame(
    rows, [f"smallest, {px[0]} px", f"largest, {px[0]} px", f"largest, {px[-1]} px"]
).round(2)

# %% tags=["solution"]
ways = {"knee": knee, "equal weights": lambda F: explorer.choose(F, np.ones(F.shape[1]))}
rows = {
    (", ".join(chosen), name): both.loc[choose(both[chosen].to_numpy()), ["architecture", *names]]
    for chosen in (names[:2], ["top1_err", "latency_ms"], names)
    for name, choose in ways.items()
}
pd.DataFrame(rows).T.infer_objects().round(2)

# %% [markdown] tags=["solution"]
# If the two measurements rank the subnets almost alike, what differs between MAdds and latency is not
# noise of the clock. The fronts share only a part of their subnets. The table of three subnets says
# why: more pixels multiply MAdds far more than time, whereas layers cost time however little they compute.
# If you pay in milliseconds, you may spend resolution and should save layers. Does the knee go there?
# Where the knees of the two measurements differ, look at their figures: two subnets close to each other
# may take turns.
#
# Is latency redundant? It agrees with MAdds and with parameters, but with neither as much as two
# measurements of it agree with each other: it is an objective of its own. And it belongs to the machine on
# which it was measured, to one picture at a time and one thread; a phone may rank differently. So search
# with the latency of the device that matters, and report MAdds, the cost that everybody can count.

# %% [markdown]
# ## Exercise 6 · Who dominates whom, with twelve objectives? (5 minutes)
#
# Take twelve objectives that have nothing to do with each other, and two subnets at random, without ties.
# How probable is it that one of the two dominates the other?


# %% tags=["stub"]
def probability_of_dominance() -> float:
    """Returns the probability that one of two random subnets dominates the other."""
    raise NotImplementedError("Exercise 6: reckon the probability")


# %% [markdown] tags=["hint"]
# **Hint.** In one objective the first subnet is better with probability one half. In how many must it be?

# %% [markdown] tags=["hint"]
# **Hint.** And it may also be the other way round.


# %% tags=["solution"]
def probability_of_dominance() -> float:
    return 2 * 0.5**12


# %% tags=["check"]
checks.check_probability(probability_of_dominance)

# %% [markdown]
# And how often does it happen in the recording of exercise 4, with its twelve objectives? (An archive of
# 100 subnets has 4,950 pairs.)

# %%
twelve, shares = [name for name in study if name.startswith("top1_err_")] + ["madds"], {}
for seed, table in study.groupby("seed"):
    F_seed = table[twelve].to_numpy(float)
    nowhere_worse = (F_seed[:, None] <= F_seed).all(axis=2)
    dominates = nowhere_worse & (F_seed[:, None] < F_seed).any(axis=2)
    shares[seed] = dominates.sum() / (len(F_seed) * (len(F_seed) - 1) / 2)
pd.Series(shares, name="share of the pairs").rename_axis("seed").round(5)

# %% [markdown] tags=["solution"]
# About 0.0005, one pair in 2,048. In the recording it is between 0.0002 (a single pair of 4,950) and
# 0.0034: of the same order, though the errors are not independent, and in some seeds several times as
# often, which is what one expects of objectives that agree in part. With so few pairs that are comparable
# at all, dominance alone cannot guide a search; that is why directions, and in the end weights or limits,
# have to.

# %% [markdown]
# ## Exercise 7 · Two devices, one archive (30 minutes)
#
# A small project. The same archive, to be used on several devices: each has its own latency, and its own
# front. The folder `data/latency` holds a table of the pocket space for each device on which
# `python data/record_latency.py NAME` was run. Record your own machine, too: it takes less than a minute.
# Write the front of error and latency on one device; `with_latency` of exercise 5 does half of it.

# %%
recorded = sorted((data.DATA / "latency").glob("*.json"))
devices = {path.stem: LatencyTable.load(path) for path in recorded}
pd.DataFrame({name: table.about for name, table in devices.items()}).loc[["device", "cpu", "date"]]


# %% tags=["stub"]
def front_on(archive: pd.DataFrame, table: LatencyTable) -> set[str]:
    """Returns the architectures on the front of error and latency of a device.

    Args:
        archive: Columns `architecture` and `top1_err` (percent); any index.
        table: Predicts the milliseconds of encodings of `table.space`.
    """
    raise NotImplementedError("Exercise 7: find the front on a device")


# %% [markdown] tags=["hint"]
# **Hint.** Give every subnet its latency first. Then it is the front of two columns, as in notebook 00.

# %% [markdown] tags=["hint"]
# **Hint.** `search.non_dominated` takes a matrix and returns a mask of its rows, which picks from the
# column `architecture`, too.


# %% tags=["solution"]
def front_on(archive, table):
    measured = with_latency(archive, table)
    on_front = search.non_dominated(measured[["top1_err", "latency_ms"]].to_numpy())
    return set(measured.architecture[on_front])


# %% tags=["check"]
checks.check_front_on(front_on)

# %% [markdown]
# How many subnets are on the front of each device, and how many on those of two? Then the question of
# whoever develops on one device and sells another: take the front of device A, and for each limit of time on
# device B (ten of them, evenly over B's front) the most accurate subnet of it that keeps the limit. How many
# points does that lose, on average, against the front of B itself?


# %% tags=["solution"]
def loss(archive: pd.DataFrame, front: set[str], table: LatencyTable) -> float:
    measured = with_latency(archive, table).set_index("architecture")
    own = measured.loc[list(front_on(archive, table))]
    kept, limits = measured.loc[list(front)], np.quantile(own.latency_ms, np.linspace(0.1, 1, 10))
    return np.mean(
        [
            min(kept.top1_err[kept.latency_ms <= limit], default=100.0)
            - min(own.top1_err[own.latency_ms <= limit])
            for limit in limits
        ]
    )


# %% tags=["solution"]
fronts = {name: front_on(archive, table) for name, table in devices.items()}
rows = {
    (a, b): {
        "on the front of A": len(fronts[a]),
        "of B": len(fronts[b]),
        "of both": len(fronts[a] & fronts[b]),
        "points lost with A's on B": loss(archive, fronts[a], devices[b]),
    }
    for a in devices
    for b in devices
    if a != b or len(devices) == 1
}
pd.DataFrame(rows).T.rename_axis(["A", "B"]).round(2)

# %% tags=["solution"]
X = np.array([pocket.encode(Architecture.from_string(text)) for text in archive.architecture])
times = {name: table.latency_ms(X) for name, table in devices.items()}
print({name: f"{ms.min():.2f} to {ms.max():.2f} ms" for name, ms in times.items()})
pd.DataFrame(times | {"madds": archive.madds, "layers": pocket.depths(X).sum(axis=1)}).corr(
    "spearman"
).round(2)

# %% [markdown] tags=["solution"]
# If two devices rank the subnets alike (last table), their fronts need not be the same, because near a
# front a small difference decides; but then the loss is small. If they rank them differently, ask what
# their time goes with, MAdds or the number of layers. A processor that works on one small picture pays for
# both. A card that computes a whole layer at once, and has to be told of each, should pay for layers and
# hardly for pixels; then its front holds few layers at a large side, and a subnet chosen on the one device
# wastes what is nearly free on the other. The two last rows of the table say how far this is so here.
#
# The mean loss is over ten limits on one archive; look at single limits before you decide. A limit that
# nothing of A's front keeps counts as an error of 100%, and is the first thing to look for where the loss
# is large. And search itself was not repeated: an archive that was searched for B would hold other
# subnets. What to conclude for your own machine, its own table must say.
