# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 1 · The supernet: exercises
#
# About 120 minutes of work; every cell runs within seconds on a CPU. They belong to
# [notebook 1](../01_supernet.ipynb). Fill in each function where it says `NotImplementedError`, then
# run the check below it. The [solutions](../solutions/01_supernet.ipynb) are for afterwards.

# %% [markdown] tags=["solution"]
# **This notebook holds the solutions.** Each stands below the cell that you were to fill in, with a
# few sentences about it. The [notebook without them](../exercises/01_supernet.ipynb) is for working.

# %%
# If this fails, choose the kernel of the course's environment: README.md tells how to make one.
from natlib import Architecture, CostTable, SearchSpace, Supernet, data, evaluate
from natlib.teach.checks import supernet as checks
import numpy as np
import pandas as pd

# %% [markdown]
# ## Exercise 1 · Counting by recursion (15 minutes)
#
# How many architectures have exactly so many layers? Each stage has `min_depth` to `max_depth` layers
# and each layer `choices` forms (pairs of kernel and expand ratio). Resolution and width do not
# count here. Think of what is left when the first stage is fixed.


# %% tags=["stub"]
def count(layers: int, stages: int, choices: int, min_depth: int, max_depth: int) -> int:
    """Returns how many ways there are to fill the stages with exactly so many layers.

    Args:
        layers: Layers of the whole network.
        stages: Number of stages.
        choices: Forms of a layer.
        min_depth: Least number of layers of a stage.
        max_depth: Largest number of layers of a stage.
    """
    raise NotImplementedError("Exercise 1: count by recursion")


# %% [markdown] tags=["hint"]
# **Hint.** Without stages there is one way to have no layers, and none to have any. That ends the
# recursion.

# %% [markdown] tags=["hint"]
# **Hint.** The first stage takes `d` layers, in `choices ** d` ways. The other stages must take the
# rest. Sum over `d`.


# %% tags=["solution"]
def count(layers: int, stages: int, choices: int, min_depth: int, max_depth: int) -> int:
    if stages == 0:
        return int(layers == 0)
    return sum(
        choices**depth * count(layers - depth, stages - 1, choices, min_depth, max_depth)
        for depth in range(min_depth, max_depth + 1)
    )


# %% tags=["check"]
checks.check_count(count)

# %%
paper = SearchSpace.paper()
shape = (paper.n_stages, paper.n_layer_choices, paper.min_depth, paper.max_depth)
ways = pd.Series({n: count(n, *shape) for n in range(10, 21)}, dtype=object)
drawn = paper.depths(paper.sample(10_000, rng=0)).sum(axis=1)
table = {
    "of all (%)": 100 * ways / ways.sum(),
    "of 10,000 drawn (%)": 100 * pd.Series(drawn).value_counts(normalize=True),
}
pd.DataFrame(table).astype(float).rename_axis("layers").round(4)

# %% [markdown]
# How many percent of all architectures have 18 layers or more?


# %% tags=["stub"]
def deep_share() -> float:
    """Returns the percentage of all architectures that have 18 layers or more."""
    raise NotImplementedError("Exercise 1: add up a column")


# %% tags=["solution"]
def deep_share() -> float:
    return 97.26


# %% tags=["check"]
checks.check_deep_share(deep_share)

# %% [markdown] tags=["solution"]
# Nearly all architectures of the space are deep, 97% of them with 18 layers or more: a further layer
# multiplies their number by nine. If training drew uniformly over *architectures*, it would hardly ever
# meet a shallow one (0.05% have 15 layers). So `space.sample` draws uniformly over *depths*. Python's integers are exact however large they get; an
# int64 of numpy would overflow here and say nothing.

# %% [markdown]
# ## Exercise 2 · MAdds of a layer by hand (15 minutes)
#
# An inverted residual is three convolutions: 1x1 from `c_in` to `mid` channels, depthwise with the
# given kernel and stride, 1x1 from `mid` to `c_out`. Count its multiply-adds for one picture. The
# padding keeps the side at stride 1; stride 2 halves it, rounded up.


# %% tags=["stub"]
def block_madds(c_in: int, mid: int, c_out: int, kernel: int, side: int, stride: int) -> int:
    """Returns the multiply-adds of an inverted residual without squeeze-and-excitation.

    Args:
        c_in: Input channels.
        mid: Channels between the two 1x1 convolutions.
        c_out: Output channels.
        kernel: Side of the depthwise kernel.
        side: Side of the block's *input* in pixels.
        stride: Stride of the depthwise convolution.
    """
    raise NotImplementedError("Exercise 2: count the multiply-adds")


# %% [markdown] tags=["hint"]
# **Hint.** One value of a convolution's output takes as many multiply-adds as the kernel has weights:
# its side squared, times the input channels that it looks at. How many channels does a *depthwise*
# kernel look at?

# %% [markdown] tags=["hint"]
# **Hint.** The number of output values is channels times side squared, of the *output*. Which of the
# three convolutions still has the side of the input?


# %% tags=["solution"]
def block_madds(c_in: int, mid: int, c_out: int, kernel: int, side: int, stride: int) -> int:
    out_side = -(-side // stride)
    expand = c_in * mid * side**2
    depthwise = mid * kernel**2 * out_side**2
    project = mid * c_out * out_side**2
    return expand + depthwise + project


# %% tags=["check"]
checks.check_block_madds(block_madds)

# %%
kernels = {
    f"{k}x{k}": [block_madds(80, 80 * e, 80, k, 14, 1) for e in (3, 4, 6)] for k in (3, 5, 7)
}
pd.DataFrame(kernels, index=[f"expand {e}" for e in (3, 4, 6)]).rename_axis("80 channels, 14 px")

# %% [markdown] tags=["solution"]
# The two 1x1 convolutions cost most, because they mix all channels with all channels. Hence kernels
# are cheap and expand ratios are dear: from 3x3 to 7x7 costs 24% more, from expand ratio 3 to 6 twice as
# much. In the first layer of a stage the expansion works at the larger side, before the stride, so there
# it weighs even more.

# %% [markdown]
# ## Exercise 3 · The dearest gene (10 minutes)
#
# Which single gene of an architecture adds most MAdds when it is raised to its largest value? Try all
# of them; one matrix is enough.


# %% tags=["stub"]
def dearest_gene(space: SearchSpace, cost: CostTable, x: np.ndarray) -> int:
    """Returns the index of the gene that adds most MAdds when raised to its upper bound.

    Args:
        space: The search space.
        cost: Counts MAdds of canonical encodings.
        x: One canonical encoding, int `(n_var,)`; it is left as it is.
    """
    raise NotImplementedError("Exercise 3: find the dearest gene")


# %% [markdown] tags=["hint"]
# **Hint.** Repeat `x` `n_var` times as rows, and put `space.upper` on the diagonal.

# %% [markdown] tags=["hint"]
# **Hint.** Raising the last gene of a stage whose last but one is skipped makes a hole. `space.repair`
# closes it before the cost table looks.


# %% tags=["solution"]
def dearest_gene(space: SearchSpace, cost: CostTable, x: np.ndarray) -> int:
    raised = np.repeat(x[None], space.n_var, axis=0)
    np.fill_diagonal(raised, space.upper)
    return int(cost.madds(space.repair(raised)).argmax())


# %% tags=["check"]
checks.check_dearest_gene(dearest_gene)

# %%
published = pd.read_json(data.DATA / "paper" / "published_subnets.json")
cost = CostTable(paper, num_classes=1000)
stages = [f"stage {s + 1}, layer {n + 1}" for s in range(5) for n in range(4)]
genes, rows = ["resolution", "width", *stages], {}
for member in published[published.dataset == "imagenet"].itertuples():
    x = paper.encode(Architecture.from_dict(member.arch))
    found = dearest_gene(paper, cost, x)
    raised = x.copy()
    raised[found] = paper.upper[found]
    added = cost.madds(paper.repair(raised))[0] / cost.madds(x)[0] - 1
    rows[member.name] = {"dearest gene": genes[found], "adds": f"{added:.0%}"}
pd.DataFrame(rows).T

# %% [markdown] tags=["solution"]
# Width and resolution multiply nearly everything, so they come first wherever much of their range is
# left. M4 has the largest width (the third digit of its string is 1) and step 12 of 16 in resolution:
# there it is a layer that the network does not have yet, in the first stage, where pictures are large. The largest total has the largest
# difference too, because every row starts from the same network.

# %% [markdown]
# ## Exercise 4 · From 7x7 to 5x5 to 3x3 (20 minutes)
#
# A smaller kernel is the centre of the next larger one, flattened row by row and multiplied from the
# left by a learned matrix. The 3x3 kernel starts from the *transformed* 5x5 kernel.


# %% tags=["stub"]
def small_kernel(weight: np.ndarray, matrices: dict[str, np.ndarray], size: int) -> np.ndarray:
    """Returns the kernels of a smaller size, `(channels, size, size)`.

    Args:
        weight: The stored 7x7 kernels, `(channels, 7, 7)`.
        matrices: `"7to5"`, `(25, 25)`, and `"5to3"`, `(9, 9)`.
        size: 7, 5 or 3.
    """
    raise NotImplementedError("Exercise 4: make the smaller kernel")


# %% [markdown] tags=["hint"]
# **Hint.** Go down step by step until the size is reached. The centre of a kernel is what is left
# without its first and last row and column.

# %% [markdown] tags=["hint"]
# **Hint.** For one channel the step is `matrix @ centre.ravel()`. With all channels as the rows of one
# matrix, on which side does the learned matrix stand, and does it have to be transposed?


# %% tags=["solution"]
def small_kernel(weight: np.ndarray, matrices: dict[str, np.ndarray], size: int) -> np.ndarray:
    for smaller in range(weight.shape[1] - 2, size - 1, -2):
        centre = weight[:, 1:-1, 1:-1].reshape(len(weight), -1)
        matrix = matrices[f"{smaller + 2}to{smaller}"]
        weight = (centre @ matrix.T).reshape(-1, smaller, smaller)
    return weight


# %% tags=["check"]
checks.check_small_kernel(small_kernel)

# %% [markdown] tags=["solution"]
# One product serves all channels, and one matrix all channels of a layer: 25² + 9² numbers more, hardly
# a cost. Because the chain passes through 5x5, training the 5x5 kernels also moves the 3x3 kernels.

# %% [markdown]
# ## Exercise 5 · Do the matrices matter? (25 minutes)
#
# Make a copy of the supernet whose kernel matrices are all identities, so that a small kernel is a
# plain crop. Then measure subnets with 3x3 kernels only, with both supernets, on the same pictures.
# How many (percentage) points do they lose, and how sure is that? Think of a standard error (how far
# chance alone moves such a number) before you say yes.

# %%
space, source = SearchSpace.pocket(), data.load_task("source")
net = Supernet.load(data.pretrained_path("pocket")).eval()


# %% tags=["stub"]
def without_matrices(net: Supernet) -> Supernet:
    """Returns a copy of a supernet whose kernel matrices are identities.

    Args:
        net: The supernet; it is left as it is.
    """
    raise NotImplementedError("Exercise 5: replace the matrices")


# %% [markdown] tags=["hint"]
# **Hint.** `copy.deepcopy` copies a module with its weights. `net.weight_sets` holds a weight set for
# each width, its `blocks` have `kernel_matrices` (all but the first, fixed one).

# %% [markdown] tags=["hint"]
# **Hint.** Parameters are changed in place under `torch.no_grad()`; `nn.init.eye_` writes an identity
# into one.

# %% [markdown] tags=["hint"]
# **Hint.** `evaluate.evaluate` returns for each subnet and picture whether it was right. The
# difference of two such matrices has a mean and a standard error over pictures: of *pairs*, which
# is smaller than that of two separate measurements.

# %% tags=["solution"]
import copy

import torch


@torch.no_grad()
def without_matrices(net: Supernet) -> Supernet:
    cropped = copy.deepcopy(net)
    for name, parameter in cropped.named_parameters():
        if "kernel_matrices" in name:
            torch.nn.init.eye_(parameter)
    return cropped


# %% tags=["check"]
checks.check_without_matrices(without_matrices)

# %% tags=["solution"]
subnets = [
    Architecture(r, 1.0, (d,) * 3, kernels=(3,) * 3 * d, expands=(2,) * 3 * d)
    for r in (16, 32)
    for d in (1, 3)
]
X = np.stack([space.encode(arch) for arch in subnets])
right, right_cropped = (
    evaluate.evaluate(each, X, source, calibration=500, progress=False)
    for each in (net, without_matrices(net))
)

# %% tags=["solution"]
lost = 100 * (right.astype(float) - right_cropped)
rows = dict(zip(map(str, subnets), lost, strict=True)) | {"all four": lost.mean(axis=0)}
table = {"points lost": {name: row.mean() for name, row in rows.items()}}
table["standard error"] = {name: row.std() / np.sqrt(len(row)) for name, row in rows.items()}
pd.DataFrame(table).round(2)

# %% [markdown]
# What may be said of the matrices?


# %% tags=["stub"]
def do_they_help() -> str:
    """Returns `"they help"`, `"they harm"` or `"cannot be told"`."""
    raise NotImplementedError("Exercise 5: say what the numbers allow")


# %% tags=["solution"]
def do_they_help() -> str:
    return "cannot be told"


# %% tags=["check"]
checks.check_how_sure(do_they_help)

# %% [markdown] tags=["solution"]
# Over all four the loss is about half a point, 1.4 standard errors: chance alone moves it as far in one
# of six experiments. One subnet loses more than twice its standard error and another seems to gain; of
# four, one may do so by luck, and to pick it after looking would be no evidence. So "half a point
# better" cannot be claimed, nor "no difference". More pictures would decide: with four times as many the
# standard error is half as large. (Notebook 1 prints how close the matrices have stayed to identities.
# Recalibrating the batch norm may mend part of what a crop spoils; measure without it to find out.) At
# the paper's scale kernels shrink from 7x7 to 3x3 and training is longer; this experiment says nothing
# about that.

# %% [markdown]
# ## Exercise 6 · Half the side (5 minutes)
#
# The largest subnet of the pocket space may look at pictures of 32 pixels or of 16. How many times fewer
# MAdds does it take at 16? First write down what you expect; then count.


# %% tags=["stub"]
def factor() -> float:
    """Returns the MAdds of the largest pocket subnet at 32 px, divided by those at 16 px."""
    raise NotImplementedError("Exercise 6: count twice")


# %% [markdown] tags=["hint"]
# **Hint.** `space.largest()` is an architecture, `space.encode` makes a row of integers of it. Its first
# gene is the resolution.

# %% [markdown] tags=["hint"]
# **Hint.** `CostTable(space, num_classes=10).madds(X)` counts all rows of a matrix.


# %% tags=["solution"]
def factor() -> float:
    large = space.encode(space.largest())
    small = large.copy()
    small[0] = 0
    at_32, at_16 = CostTable(space, num_classes=10).madds(np.stack([large, small]))
    return at_32 / at_16


# %% tags=["check"]
checks.check_factor(factor)

# %% [markdown] tags=["solution"]
# A quarter of the pixels take nearly a quarter of the MAdds (the factor is 3.82), but not quite: what
# comes after the global pooling, and the squeeze-and-excitation of each layer, sees no pixels any more
# and costs the same at any resolution. In the smallest subnet they weigh more, and its factor is 3.46.
# Parameters do not change at all.

# %% [markdown]
# ## Exercise 7 · How much of the space fits a watch? (30 minutes)
#
# A small project. A watch can pay a quarter of the MAdds of the largest subnet. Which share of all
# *architectures* keeps that limit? Nobody can count them one by one, so draw some. But `space.sample`
# draws uniformly over *depths* (exercise 1): architectures are not equally likely, deep ones stand for
# many more others than shallow ones do. Let each drawn row weigh as many architectures as share its
# depths, resolution and width, and return the share of the weight that fits.


# %% tags=["stub"]
def share_that_fits(space: SearchSpace, X: np.ndarray, fits: np.ndarray) -> float:
    """Returns which share of all architectures fits, estimated from drawn ones, in [0, 1].

    Args:
        space: The search space; each layer has `space.n_layer_choices` forms.
        X: Encodings that `space.sample` drew, `(n, n_var)`.
        fits: Whether each of them fits, bool `(n,)`.
    """
    raise NotImplementedError("Exercise 7: weigh what was drawn")


# %% [markdown] tags=["hint"]
# **Hint.** `space.depths(X)` has the layers of each stage. In how many ways can so many layers be filled?

# %% [markdown] tags=["hint"]
# **Hint.** With nine forms and twenty layers the weight does not fit into an int64: make the base a
# `float` before you raise it to a power. An average with weights is `np.average`.


# %% tags=["solution"]
def share_that_fits(space: SearchSpace, X: np.ndarray, fits: np.ndarray) -> float:
    weights = float(space.n_layer_choices) ** space.depths(X).sum(axis=1)
    return np.average(fits, weights=weights)


# %% tags=["check"]
checks.check_share_that_fits(share_that_fits)

# %% [markdown]
# Ask it for the pocket space and for the paper's (1,000 classes), with 5,000 draws and five seeds. How
# much do the estimates spread, beside those of the share of *drawn* subnets that fit? Where they spread
# more: how many of the draws carry the weight? (The *effective* number of draws is
# $(\sum_i w_i)^2 / \sum_i w_i^2$.)

# %% tags=["solution"]
rows = []
for name, wide, classes in (("pocket", space, 10), ("paper", paper, 1000)):
    cost = CostTable(wide, num_classes=classes)
    limit = cost.madds(wide.encode(wide.largest()))[0] / 4
    for seed in range(5):
        X = wide.sample(5000, seed)
        fits = cost.madds(X) <= limit
        weights = float(wide.n_layer_choices) ** wide.depths(X).sum(axis=1)
        effective = weights.sum() ** 2 / (weights**2).sum()
        drawn, all_of_them = 100 * fits.mean(), 100 * share_that_fits(wide, X, fits)
        rows.append((name, drawn, all_of_them, effective))
columns = ["space", "of the drawn (%)", "of all (%)", "effective draws"]
pd.DataFrame(rows, columns=columns).groupby("space").agg(["mean", "std"]).round(2)

# %% [markdown] tags=["solution"]
# Of the pocket subnets that are drawn 63% fit, but only about 41% of all: the deep ones, which fit less
# often, stand for more architectures. In the paper's space it is 24% beside about 3%, and that small figure
# is not sure: five seeds spread by 1.0 points. Of 5,000 draws no more carry weight than 63 equal ones would;
# the many shallow draws hardly count. To draw where the weight is (architectures themselves, uniformly, as
# exercise 1 would let you do it) would be better for *this* question. For training and searching, `sample`
# is right: a space of deep networks only would never show what a shallow one can do.
