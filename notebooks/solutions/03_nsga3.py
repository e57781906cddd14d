# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 3 · NSGA-III: exercises
#
# About 30 minutes of work; every cell runs within seconds on a CPU. They belong to
# [notebook 3](../03_nsga3.ipynb). Fill in each function where it says `NotImplementedError`, then run
# the check below it. The [solutions](../solutions/03_nsga3.ipynb) are for afterwards.

# %% [markdown] tags=["solution"]
# **This notebook holds the solutions.** Each stands below the cell that you were to fill in, with a
# few sentences about it. The [notebook without them](../exercises/03_nsga3.ipynb) is for working.

# %%
import numpy as np

from natlib.checks import nsga3 as checks

# %% [markdown]
# ## Exercise 1 · Hypervolume in two objectives (10 minutes)
#
# Write the area that points dominate, up to a reference point. Points may come in any order, be
# dominated by others, or lie beyond the reference.


# %% tags=["stub"]
def hypervolume_2d(F: np.ndarray, reference: np.ndarray) -> float:
    """Returns the area that the points dominate, in units of the objectives.

    Args:
        F: Two minimised objectives, `(n, 2)`.
        reference: Worst corner of the box, `(2,)`.
    """
    raise NotImplementedError("Exercise 1: write the hypervolume")


# %% [markdown] tags=["hint"]
# **Hint.** Draw three points of a front on squared paper, and from each a rectangle to the reference.
# Cut the union into rectangles that do not overlap: one for each point.

# %% [markdown] tags=["hint"]
# **Hint.** Go through the points from left to right and remember the lowest second objective so far.
# A point adds a rectangle only if it is lower still. How wide is it, and how high?


# %% tags=["solution"]
def hypervolume_2d(F: np.ndarray, reference: np.ndarray) -> float:
    area, lowest = 0.0, reference[1]
    for first, second in sorted(map(tuple, F)):
        if first < reference[0] and second < lowest:
            area += (reference[0] - first) * (lowest - second)
            lowest = second
    return area


# %% tags=["check"]
checks.check_hypervolume(hypervolume_2d)

# %% [markdown] tags=["solution"]
# Sorted by the first objective, each point of the front adds the part below all points to its left.
# Dominated points and points beyond the reference fall out by the same comparison. With three
# objectives the slices become areas, and the cost grows quickly: that is why `choose_candidates` has
# another rule from four objectives on.

# %% [markdown]
# ## Exercise 2 · Non-dominated sorting (20 minutes)
#
# Number the layers of a population: 0 for the front, 1 for the front of what is left without it, and
# so on. Use numpy only.


# %% tags=["stub"]
def layers(F: np.ndarray) -> np.ndarray:
    """Returns the number of each point's layer, int `(n,)`; 0 is the non-dominated one.

    Args:
        F: Minimised objectives, `(n, n_objectives)`.
    """
    raise NotImplementedError("Exercise 2: write non-dominated sorting")


# %% [markdown] tags=["hint"]
# **Hint.** First a matrix of all pairs: `D[i, j]` says whether point `i` dominates point `j`.
# `F[:, None]` and `F[None]` compare every point with every other.

# %% [markdown] tags=["hint"]
# **Hint.** A point belongs to the next layer if none of the points *that are still left* dominates
# it. Repeat until nothing is left.


# %% tags=["solution"]
def layers(F: np.ndarray) -> np.ndarray:
    nowhere_worse = (F[:, None] <= F[None]).all(axis=2)
    dominates = nowhere_worse & (F[:, None] < F[None]).any(axis=2)
    layer = np.full(len(F), -1)
    while (left := layer < 0).any():
        front = left & ~dominates[left].any(axis=0)
        layer[front] = layer.max() + 1
    return layer


# %% tags=["check"]
checks.check_layers(layers)

# %% [markdown] tags=["solution"]
# The matrix of pairs costs n² comparisons once; peeling only looks at rows of it. A loop over pairs
# is as right and some hundred times slower. Sorting by one objective first saves comparisons, as
# pymoo does.
