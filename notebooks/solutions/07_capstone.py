# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 7 · Your own NAT: exercises
#
# About 240 minutes of work, in as many sittings as you like; all cells together compute for one to ten
# minutes, as fast as the CPU is. This is the capstone of the course, after notebooks [01](../01_supernet.ipynb) to
# [04](../04_online_adaptation.ipynb): you write the heart of Neural Architecture Transfer in six pieces,
# and in the end your loop runs over your pieces. Fill in each function where it says
# `NotImplementedError`, then run the check below it. The [solutions](../solutions/07_capstone.ipynb) are
# for afterwards.

# %% [markdown] tags=["solution"]
# **This notebook holds the solutions.** Each stands below the cell that you were to fill in, with a
# few sentences about it. The [notebook without them](../exercises/07_capstone.ipynb) is for working.

# %%
# If this fails, choose the kernel of the course's environment: README.md tells how to make one.
from natlib import data, search
from natlib.teach.checks import capstone as checks
import numpy as np
import torch
from torch import nn
from torch.nn.functional import conv2d, cross_entropy

# %% [markdown]
# ## The loop runs from the first day
#
# The pieces of NAT are functions in a dict. At first all of them are natlib's. Whenever a function of
# yours has passed its check, you put it into the dict in place of natlib's, and the same transfer runs
# with it: `pieces["measure"] = ...`. (`search` is no exercise: it becomes yours once `select` is.)
#
# | piece | name in the dict | what it does |
# |---|---|---|
# | 1 | `subnet_logits` | runs a subnet by slicing the shared weights |
# | 2 | `measure` | recalibrates batch norm, measures the error |
# | 3 | `supernet_step` | trains a teacher and its students for one step |
# | 4 | `ensemble` | predicts errors: many RBF models |
# | 5 | `select`, `search`, `candidates` | survive, search, choose what to measure |
# | 6 | `draw`, `nat` | draws subnets like the best; the loop itself |

# %%
pieces = dict(checks.NATLIB)
print(*pieces, sep=", ")

# %% [markdown]
# The loop works on a *problem*: an object with a first sample of encodings (`problem.first`) that can
# `measure` encodings (top-1 error in percent), `adapt` its supernet to the best, and tell their `cost`
# (MAdds). Ours is the transfer of notebook 04, made small: animal silhouettes, a warm-up
# of a few dozen steps, 200 validation pictures. Read how it uses the pieces; nothing here is to be changed.

# %%
from copy import deepcopy
from dataclasses import replace
from functools import cache, partial

from natlib.evaluate import InputBatches
from natlib.inputs.loading import training_batches
from natlib.profiles import get_profile
from natlib.supernet import WeightSet
from natlib.transfer import first_sample, start, warm_up

short = {"warmup_largest": 0.05, "warmup_uniform": 0.2, "batch_size": 32, "archive": 12}
warm = start("animals", replace(get_profile("quick"), average=1, **short), progress=False)
warm_up(warm)
few = [data.fixed_sample(warm.task.train, 100), data.fixed_sample(warm.task.valid, 200)]


# %%
@cache
def batches(resolution: int) -> list[InputBatches]:
    return [InputBatches(part, resolution, warm.task) for part in few]


class Pocket:
    """A transfer to the animals, after its warm-up."""

    def __init__(self, pieces: dict, seed: int):
        run = deepcopy(warm)
        self.task, self.net, self.optimizer = run.task, run.learner, run.optimizer
        self.space, self.cost, self.first = run.space, run.costs["madds"], first_sample(run)
        self.pieces, self.rng, self.steps = pieces, np.random.default_rng(seed), 0
        for weights in self.net.weight_sets:
            weights.forward = partial(pieces["subnet_logits"], weights)
        self.optimizer.param_groups[0]["lr"] = 0.03


# %%
class Problem(Pocket):
    def measure(self, X: np.ndarray) -> np.ndarray:
        subnets = [self.net.extract(self.space.decode(x)) for x in X]
        errors = [self.pieces["measure"](s, *batches(s.arch.resolution)) for s in subnets]
        return np.array(errors, dtype=float)

    def adapt(self, X_best: np.ndarray) -> None:
        self.net.train()
        for _ in range(6):
            X = self.pieces["draw"](X_best, self.space, 3, self.rng)
            archs = [self.space.largest(), self.space.smallest(), *map(self.space.decode, X)]
            split, how = self.task.train, {"batch_size": 32, "flip": self.task.flip}
            [[(*batch, _)]] = training_batches(split.images, split.labels, [self.steps], **how)
            self.pieces["supernet_step"](self.net, self.optimizer, self.task, *batch, archs)
            self.steps += 1


# %% [markdown]
# Two iterations with four candidates each. The warm-up comes first: together they take ten seconds on a fast
# computer, and a minute or two on a slow one. `nat` returns the encodings of the
# archive and their errors.


# %%
def transfer(pieces: dict, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    problem = Problem(pieces, seed)
    return pieces["nat"](problem, pieces, iterations=2, k=4, best=8, seed=seed)


X, errors = natlib_result = transfer(checks.NATLIB)
print(f"natlib's pieces: {len(X)} architectures, least error {min(errors):.1f}%")

# %% [markdown]
# ## Exercise 1 · A subnet by slicing (50 minutes)
#
# The supernet holds the weights of every subnet, because a smaller layer *is* a slice of the largest.
# Which slice, you saw in notebook 01, sections
# [Elastic width](../01_supernet.ipynb#Elastic-width) and [Elastic depth](../01_supernet.ipynb#Elastic-depth),
# and wrote for kernels in its exercise 4.
#
# First one elastic layer. It has `inverted_bottleneck`, `depth_conv` and `point_linear`, the three
# convolutions in their order, each with `conv.weight`, `bn` and (but for the last) `act`; further
# `kernel_matrices`, of which `["5to3"]` makes a kernel of side 3; `kernels`, its choices; `stride`; `se`,
# squeeze-and-excitation before `point_linear`, or None; `residual`, whether it adds its input; and `c_in`. Two helpers are ready:
# `sliced_norm(y, bn)` applies the first channels of a batch norm, `layer.se.sliced(y)` those of
# squeeze-and-excitation.

# %%
from natlib.layers import ElasticBlock, sliced_norm
from natlib.space import Architecture, SearchSpace, expanded_channels
from natlib.supernet import Supernet


# %% tags=["stub"]
def elastic_layer(layer: ElasticBlock, x: torch.Tensor, kernel: int, expand: float) -> torch.Tensor:
    """Returns what the layer makes of `x` as one of this kernel size and expand ratio.

    Args:
        layer: The elastic layer, with the weights of the largest.
        x: Input `(n, c_in, h, w)`; it is still needed afterwards.
        kernel: Side of the depthwise kernels, one of `layer.kernels`.
        expand: Expand ratio; `expanded_channels(layer.c_in, expand)` channels are used.
    """
    raise NotImplementedError("Exercise 1: slice the layer")


# %% [markdown] tags=["hint"]
# **Hint.** Let `mid` be the number of channels in the middle. Of the first convolution `mid` output
# channels are used, of the depthwise one `mid` kernels (with `groups=mid`), of the last one `mid` *input*
# channels: `weight[:, :mid]`. Weights have the shape (output channels, input channels, side, side).

# %% [markdown] tags=["hint"]
# **Hint.** A smaller kernel: cut one pixel off every side, flatten to `(mid, side * side)`, multiply each
# row by the matrix of that step (`flat @ matrix.T`), and shape it back to `(mid, 1, side, side)`. From 7
# to 3 that happens twice; here kernels have sides 3 and 5.

# %% [markdown] tags=["hint"]
# **Hint.** The order: convolution, batch norm, activation; depthwise convolution with `padding=kernel //
# 2` and the stride, batch norm, activation; squeeze-and-excitation; convolution, batch norm; add `x`
# where the layer is residual.


# %% tags=["solution"]
def elastic_layer(layer, x, kernel, expand):
    mid = expanded_channels(layer.c_in, expand)
    widen, depthwise, project = layer.inverted_bottleneck, layer.depth_conv, layer.point_linear
    weight = depthwise.conv.weight[:mid]
    for side in range(max(layer.kernels) - 2, kernel - 1, -2):
        centre = weight[:, :, 1:-1, 1:-1].flatten(1)
        matrix = layer.kernel_matrices[f"{side + 2}to{side}"]
        weight = (centre @ matrix.T).view(mid, 1, side, side)
    y = widen.act(sliced_norm(conv2d(x, widen.conv.weight[:mid]), widen.bn))
    y = conv2d(y, weight, stride=layer.stride, padding=kernel // 2, groups=mid)
    y = depthwise.act(sliced_norm(y, depthwise.bn))
    y = y if layer.se is None else layer.se.sliced(y)
    y = project.bn(conv2d(y, project.conv.weight[:, :mid]))
    return x + y if layer.residual else y


# %% [markdown]
# Then the subnet. `weights` has, from input to output, `first_conv`, `blocks`, `final_expand_layer`,
# `feature_mix_layer` and `classifier`, all of which but `blocks` are called as they are (averaging over
# the picture, and flattening, happen inside). `blocks[0]` is
# fixed, too; then follow the elastic layers, `weights.max_depth` of them for each stage. A shallower stage
# is its *first* layers. `arch.stages()` lists for each stage the `(kernel, expand)` of its layers.


# %% tags=["stub"]
def subnet_logits(weights: WeightSet, images: torch.Tensor, arch: Architecture) -> torch.Tensor:
    """Returns the logits of a subnet, `(n, classes)`.

    Args:
        weights: The weights that all subnets share.
        images: Normalised pictures of the subnet's resolution, `(n, 3, r, r)`.
        arch: The subnet.
    """
    raise NotImplementedError("Exercise 1: run a subnet")


# %% [markdown] tags=["hint"]
# **Hint.** Where does stage 2 begin in `blocks`? Not where stage 1 ended in this subnet, but where it
# would have ended at its full depth.


# %% tags=["solution"]
def subnet_logits(weights, images, arch):
    x = weights.blocks[0](weights.first_conv(images))
    for stage, layers in enumerate(arch.stages()):
        for place, (kernel, expand) in enumerate(layers):
            layer = weights.blocks[1 + stage * weights.max_depth + place]
            x = elastic_layer(layer, x, kernel, expand)
    return weights.classifier(weights.feature_mix_layer(weights.final_expand_layer(x)))


# %% tags=["check"]
checks.check_subnet_logits(subnet_logits)

# %% [markdown]
# Passed? Then put `subnet_logits` into the dict `pieces`, under its name, in place of natlib's. From then on
# every training step of the transfer goes through your slices.

# %% tags=["solution"]
pieces["subnet_logits"] = subnet_logits

# %% [markdown] tags=["solution"]
# A slice of a tensor is a view: no weight is copied, and the gradient of the slice arrives at the first
# channels of the whole. That is why the check asks for gradients, too: a copy in between (`.detach()`,
# `.data`) gives the same logits, and weights that never learn.

# %% [markdown]
# ## Exercise 2 · Recalibrate, then measure (25 minutes)
#
# A subnet that is read out has running statistics that fit no subnet: a mixture over all that were
# trained. So its batch norm is computed anew before it is measured, which made tens of points of
# difference in notebook 01, section
# [Reading out a subnet, and a surprise](../01_supernet.ipynb#Reading-out-a-subnet,-and-a-surprise).
#
# In `train` mode each `nn.BatchNorm2d` computes mean and variance of a batch (the variance that it keeps is
# divided by n - 1). The new statistics are averages of these over all training batches, in which *each
# picture counts the same*: a batch of 64 weighs more than one of 9. Nothing of the old ones stays. No
# weight changes.


# %% tags=["stub"]
def measure(subnet: nn.Module, training: list, validation: list) -> float:
    """Recalibrates the batch norm of a subnet, in place, and returns its top-1 error in percent.

    Args:
        subnet: A plain network; afterwards it is in `eval` mode.
        training: Batches `(images, labels)` to recalibrate on.
        validation: Batches `(images, labels)` to measure on; each picture counts the same.
    """
    raise NotImplementedError("Exercise 2: recalibrate and measure")


# %% [markdown] tags=["hint"]
# **Hint.** In `train` mode a forward pass updates the statistics by itself: `new = (1 - momentum) * old +
# momentum * batch`. You need no formula for mean and variance, only the right momentum at each batch. And
# no gradients: `torch.no_grad()`.

# %% [markdown] tags=["hint"]
# **Hint.** A running mean over pictures: after `seen` pictures, this batch among them, its share is
# `len(images) / seen`. What is that for the first batch, and what becomes of the old statistics?


# %% tags=["solution"]
@torch.no_grad()
def measure(subnet, training, validation):
    norms, seen = [m for m in subnet.modules() if isinstance(m, nn.BatchNorm2d)], 0
    subnet.train()
    for images, _ in training:
        seen += len(images)
        for norm in norms:
            norm.momentum = len(images) / seen
        subnet(images)
    subnet.eval()
    hits = [subnet(images).argmax(dim=1) == labels for images, labels in validation]
    return 100 - 100 * torch.cat(hits).float().mean().item()


# %% tags=["check"]
checks.check_measure(measure)

# %% [markdown]
# Put `measure` into the dict: from then on every error in the archive is one that you measured.

# %% tags=["solution"]
pieces["measure"] = measure

# %% [markdown] tags=["solution"]
# For the first batch the momentum is 1, so the old statistics are forgotten without a reset. With
# `momentum=None` PyTorch would count each *batch* the same, and a last batch of nine pictures as much as
# one of 64. The pictures of `validation` must not take part: they are to judge.

# %% [markdown]
# ## Exercise 3 · One step of a supernet (35 minutes)
#
# One optimizer step trains several subnets at once: the largest sees the pictures first and learns from
# the labels; its class probabilities then teach the others. Notebook 04,
# [Step 0 · Warm-up](../04_online_adaptation.ipynb#Step-0-·-Warm-up), has the loss, and you wrote it in its
# exercise 3 (here at temperature 1).
#
# Gradients of all subnets add up; then the norm of the whole gradient is clipped to 5; then comes one
# step. `data.to_input(images, resolution, task)` makes the input of a subnet: each at its own resolution.


# %% tags=["stub"]
def supernet_step(net: Supernet, optimizer, task, images, labels, archs: list) -> None:
    """Trains the weights of a supernet on several subnets, for one step, in place.

    Args:
        net: The supernet, in training mode; `net(inputs, arch)` returns logits.
        optimizer: Of its weights; it may hold gradients of an earlier step.
        task: What `data.to_input` needs to know.
        images: uint8 `(n, 3, h, w)`.
        labels: int64 `(n,)`.
        archs: The subnets, the teacher first.
    """
    raise NotImplementedError("Exercise 3: train for one step")


# %% [markdown] tags=["hint"]
# **Hint.** The teacher's loss is `cross_entropy(logits, labels)`. A student's is that plus
# `cross_entropy(logits, soft_labels)`, where the soft labels are constants: which method of a tensor
# cuts it off from the gradients?

# %% [markdown] tags=["hint"]
# **Hint.** `backward()` adds to the gradients that are there. So call it once for each subnet, and the
# sum makes itself, with the memory of one subnet at a time. What must happen before the first, and only
# there?

# %% [markdown] tags=["hint"]
# **Hint.** `nn.utils.clip_grad_norm_` clips, in place; it needs all parameters at once.


# %% tags=["solution"]
def supernet_step(net, optimizer, task, images, labels, archs):
    optimizer.zero_grad()
    soft_labels = None
    for arch in archs:
        logits = net(data.to_input(images, arch.resolution, task), arch)
        loss = cross_entropy(logits, labels)
        if soft_labels is None:
            soft_labels = logits.detach().softmax(dim=1)
        else:
            loss = loss + cross_entropy(logits, soft_labels)
        loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 5.0)
    optimizer.step()


# %% tags=["check"]
checks.check_supernet_step(supernet_step)

# %% [markdown]
# Put `supernet_step` into the dict: then the weights learn by your step.

# %% tags=["solution"]
pieces["supernet_step"] = supernet_step

# %% [markdown] tags=["solution"]
# One step for all goes where the sum of their gradients points: no subnet comes last and has the last
# word. The clipping bounds how far one unusual batch can move the weights.
#
# Each `backward()` frees the graph of its subnet. One `backward()` of the summed loss gives the same
# gradients and holds all graphs in memory at once.

# %% [markdown]
# ## Exercise 4 · The RBF ensemble (40 minutes)
#
# NAT predicts the error of thousands of subnets from a few dozen measurements, with the mean of many RBF
# models that each see a random part of the genes: notebook 02, sections
# [One RBF model, solved by hand](../02_surrogate.ipynb#One-RBF-model,-solved-by-hand) and
# [An ensemble](../02_surrogate.ipynb#An-ensemble).
#
# A member sees the genes $G$ and interpolates with the cube of the distance and a linear tail,
#
# $$s(x) = \sum_i a_i \, \|x - x_i\|_G^3 + c_0 + \sum_{g \in G} c_g x_g , \qquad
# \sum_i a_i = 0 , \quad \sum_i a_i x_{ig} = 0 ,$$
#
# which are as many linear equations as unknowns; genes are taken as they are, not scaled. Two things make real archives untidy. A gene may have
# one value only: its $c_g$ is not determined then, and should be 0. And rows that differ may be equal in the genes that a member sees; then no model meets
# both errors, and it should pass through their mean.


# %% tags=["stub"]
def ensemble(X: np.ndarray, y: np.ndarray, members: int, genes: int, seed: int):
    """Fits RBF models, and returns a function `predict(X_new)` that gives their mean, `(m,)`.

    Args:
        X: Encodings `(n, n_var)`.
        y: Errors `(n,)`.
        members: Number of models.
        genes: How many genes each sees: drawn for each member, none twice.
        seed: Of the draws.
    """
    raise NotImplementedError("Exercise 4: write the ensemble")


# %% [markdown] tags=["hint"]
# **Hint.** Write one member first: a function of `(X, y)` that returns a function. With $K_{ij} = \|x_i -
# x_j\|^3$ and the rows $P_i = (1, x_i)$ the equations are $K a + P c = y$ and $P^T a = 0$: one square
# matrix of four blocks.

# %% [markdown] tags=["hint"]
# **Hint.** `np.linalg.norm(A[:, None] - X, axis=2)` are the distances of all pairs. The same function of
# `A` that builds $(K, P)$ for the equations builds it for new points, too.

# %% [markdown] tags=["hint"]
# **Hint.** With constant genes or equal rows the matrix is singular, and `np.linalg.solve` stops.
# `np.linalg.lstsq(matrix, right, rcond=None)[0]` finds the best answer there is, of several the smallest:
# for two equal rows that is their mean. Subtract the mean of each column of `x` and the mean of `y` first:
# then "the smallest" means that a constant gene gets no weight.


# %% tags=["solution"]
def rbf_member(X, y):
    n, centre, offset = len(X), X.mean(axis=0), y.mean()

    def columns(A):
        cubes = np.linalg.norm(A[:, None] - X, axis=2) ** 3
        return np.column_stack([cubes, np.ones(len(A)), A - centre])

    P = columns(X)[:, n:]
    matrix = np.vstack([columns(X), np.hstack([P.T, np.zeros((P.shape[1], P.shape[1]))])])
    right = np.append(y - offset, np.zeros(P.shape[1]))
    solution = np.linalg.lstsq(matrix, right, rcond=None)[0]
    return lambda A: columns(A) @ solution + offset


# %% tags=["solution"]
def ensemble(X, y, members, genes, seed):
    rng = np.random.default_rng(seed)
    subsets = [rng.permutation(X.shape[1])[:genes] for _ in range(members)]
    models = [rbf_member(X[:, G], y) for G in subsets]
    return lambda A: np.mean([f(A[:, G]) for f, G in zip(models, subsets, strict=True)], axis=0)


# %% tags=["check"]
checks.check_ensemble(ensemble)

# %% [markdown]
# One member that sees all genes is the `RBFInterpolator` of `scipy.interpolate`, with a cubic kernel and
# degree 1. Compare the two on points of your own, and put `ensemble` into the dict.

# %% tags=["solution"]
from scipy.interpolate import RBFInterpolator

pieces["ensemble"] = ensemble
points, new = np.random.default_rng(0).normal(size=(2, 40, 5))
values = np.sin(points).sum(axis=1)
theirs = RBFInterpolator(points, values, kernel="cubic", degree=1)(new)
ours = ensemble(points, values, members=1, genes=5, seed=0)(new)
print(f"largest difference: {np.abs(ours - theirs).max():.1e}")

# %% [markdown] tags=["solution"]
# The second block of equations takes from the cubes what the linear tail can say itself; without it there
# would be more unknowns than equations. natlib adds tiny numbers to the diagonal instead of calling `lstsq`;
# the check says that both come to the same.

# %% [markdown]
# ## Exercise 5 · Niches (50 minutes)
#
# In notebook 03 you wrote the survival of NSGA-II. NSGA-III keeps whole layers, too, but thins the last
# one by *niches* instead of crowding: evenly spread directions, of which each point belongs to the
# nearest ([The simplex of directions](../03_nsga3.ipynb#The-simplex-of-directions)).
#
# 1. **Scale.** The front's best value of each objective becomes 0, its worst value 1. Points off the
#    front may exceed 1. Where the front has one value only, divide by 1.
# 2. **Associate.** The distance of a point from a direction is that from the *line* through 0 and the
#    direction. A point belongs to the direction whose line is nearest: its niche.
# 3. **Survive.** Whole layers are kept as long as they fit. Of the next one, points are taken one by one,
#    always from a niche with the fewest members *among all that are kept so far*, of those niches that
#    still have a point in this layer. Of a niche without a
#    member the closest point is taken. (Of others, and between niches with equally few, NSGA-III draws at
#    random: take what you like.)
#
# `search.reference_directions(n_objectives, n)` gives the directions, `search.non_dominated(F)` a mask of
# the front. (natlib scales by a plane through extreme points of the front. Where the front reaches
# its best values at its ends, both are the same.)


# %% tags=["stub"]
def select(F: np.ndarray, n: int) -> np.ndarray:
    """Returns the rows that survive, int `(n,)`.

    Args:
        F: Minimised objectives in any units, `(m, n_objectives)`.
        n: How many survive, at most `m`. Ask for as many directions, too.
    """
    raise NotImplementedError("Exercise 5: let the best survive")


# %% [markdown] tags=["hint"]
# **Hint.** Write `niches(F, directions)` first, which returns for each point its niche and its distance.
# Make the directions vectors `u` of length 1: then the foot of a point `x` on the line is `(x @ u) * u`,
# and the distance is the length of what is left.

# %% [markdown] tags=["hint"]
# **Hint.** Peel layers as in notebook 03: the front of what is left, again and again. A layer is found
# *once*, before its points are taken one by one: what is left of it stays the same layer.

# %% [markdown] tags=["hint"]
# **Hint.** A layer that fits needs no rule of its own: taken one by one, all of its points are taken.
# For each point that may be taken count the kept points of its niche; `np.lexsort([distance, counts])`
# sorts by counts first, then by distance.


# %% tags=["solution"]
def niches(F, directions):
    span = np.ptp(F[search.non_dominated(F)], axis=0)
    N = (F - F.min(axis=0)) / np.where(span > 0, span, 1)
    unit = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    foot = (N @ unit.T)[:, :, None] * unit
    distance = np.linalg.norm(N[:, None] - foot, axis=2)
    return distance.argmin(axis=1), distance.min(axis=1)


# %% tags=["solution"]
def select(F, n):
    niche, distance = niches(F, search.reference_directions(F.shape[1], n))
    kept, left = np.zeros(0, dtype=int), np.arange(len(F))
    while len(kept) < n:
        layer = left[search.non_dominated(F[left])]
        left = np.setdiff1d(left, layer)
        for _ in range(min(len(layer), n - len(kept))):
            counts = (niche[layer, None] == niche[kept]).sum(axis=1)
            best = np.lexsort([distance[layer], counts])[0]
            kept, layer = np.append(kept, layer[best]), np.delete(layer, best)
    return kept


# %% tags=["check"]
checks.check_select(select)

# %% [markdown]
# Around a rule of survival, an evolutionary search is a few lines, those of notebook 03's exercise 3. So
# put two functions into the dict: `select` under its name, and `evolve`, which uses it, as `search`.


# %%
def evolve(space, judge, X, seed: int, population: int = 40, generations: int = 10):
    rng = np.random.default_rng(seed=seed)
    X = np.unique(np.vstack([X, space.sample(population, rng)]), axis=0)
    for _ in range(generations):
        mothers, fathers = X[rng.integers(len(X), size=(2, population))]
        children = np.where(rng.random(mothers.shape) < 0.5, mothers, fathers)
        mutated = rng.random(children.shape) < 1 / space.n_var
        random_genes = rng.integers(space.lower, space.upper + 1, children.shape)
        children = space.repair(np.where(mutated, random_genes, children))
        X = np.unique(np.vstack([X, children]), axis=0)
        X = X[select(judge(X), population)]
    return X


# %% tags=["solution"]
pieces["select"], pieces["search"] = select, evolve

# %% [markdown] tags=["solution"]
# Layers that fit are taken whole by the same lines that thin the last one: the order in which their points
# are taken does not matter. To peel the layer anew after each point would be wrong: a point of
# the next layer, once the one that dominates it is taken, would look non-dominated.

# %% [markdown]
# The population is found; what of it is to be measured? Those that fill the gaps of the archive's front,
# one after another ([What to measure](../03_nsga3.ipynb#What-to-measure)): always the new point with which
# the hypervolume of archive and chosen points together becomes largest. Its box begins at the best
# values of archive and new points together, and is 1.1 times as wide as their range
# (`search.hypervolume(F, reference, ideal)`). Where no point adds anything, take what you like, but do not
# stop: `k` are wanted. What the archive has already is not new, and equal new points
# count once.


# %% tags=["stub"]
def candidates(F_new: np.ndarray, F_archive: np.ndarray, k: int) -> list[int]:
    """Returns rows of `F_new`, the best first: `k`, or all that are new where these are fewer.

    Args:
        F_new: Predicted objectives of the population, `(n, n_objectives)`.
        F_archive: Objectives of the archive, `(m, n_objectives)`.
        k: How many to choose.
    """
    raise NotImplementedError("Exercise 5: choose candidates")


# %% [markdown] tags=["hint"]
# **Hint.** Not the `k` points that add most *each by itself*: of two that lie side by side, the second
# adds next to nothing once the first is chosen.

# %% [markdown] tags=["hint"]
# **Hint.** `np.unique(rows, axis=0, return_index=True)` gives for each distinct row its first place. In
# the archive with the new rows below it, what was in the archive has its first place there.


# %% tags=["solution"]
def candidates(F_new, F_archive, k):
    both = np.vstack([F_archive, F_new])
    ideal, reference = both.min(axis=0), both.min(axis=0) + 1.1 * np.ptp(both, axis=0)
    first = np.unique(both, axis=0, return_index=True)[1] - len(F_archive)
    left, chosen = [i for i in first if i >= 0], []

    def volume(i):
        return search.hypervolume(np.vstack([F_archive, F_new[[*chosen, i]]]), reference, ideal)

    while left and len(chosen) < k:
        chosen.append(max(left, key=volume))
        left.remove(chosen[-1])
    return chosen


# %% tags=["check"]
checks.check_candidates(candidates)

# %% [markdown]
# Put `candidates` into the dict: from then on you decide what is measured.

# %% tags=["solution"]
pieces["candidates"] = candidates

# %% [markdown] tags=["solution"]
# The best `k` points together may be others; but to find them one would have to try each set of `k`, and
# here each point is tried `k` times at most. natlib does one thing more:
# where no point adds anything, because measured luck has made the archive look better than it is, it goes
# by the hypervolume of the chosen points alone.

# %% [markdown]
# ## Exercise 6 · Draw like the best, and the loop (40 minutes)
#
# The idea that gives NAT its name: train what promising subnets use
# ([Step 2d](../04_online_adaptation.ipynb#Step-2d-·-What-do-the-best-have-in-common?)). For each gene by
# itself the shares of its values among the best are counted, each possible value once more than it was
# seen, and new encodings are drawn gene by gene. Two rules of notebook 04's exercise 2: a layer's gene
# counts only in rows where the layer before it in its stage is active; and in what is drawn, a skipped
# layer ends its stage.


# %% tags=["stub"]
def draw(X_best: np.ndarray, space: SearchSpace, n: int, rng: np.random.Generator) -> np.ndarray:
    """Draws encodings from the distribution of the best, int `(n, n_var)`.

    Args:
        X_best: Encodings of the best architectures, `(m, n_var)`.
        space: Their space, with `lower`, `upper`, `max_depth` and `n_var`.
        n: How many to draw.
        rng: Where randomness comes from.
    """
    raise NotImplementedError("Exercise 6: draw like the best")


# %% [markdown] tags=["hint"]
# **Hint.** Gene 0 is the resolution, gene 1 the width; then `max_depth` genes for each stage. The first
# of a stage has no layer before it. The possible values of gene `g` are `space.lower[g]` to
# `space.upper[g]`.

# %% [markdown] tags=["hint"]
# **Hint.** `rng.choice(values, n, p=shares)` draws a whole column. Go from left to right, and set a gene to
# 0 in the rows where the drawn layer before it is 0.


# %% tags=["solution"]
def draw(X_best, space, n, rng):
    X = np.zeros((n, space.n_var), dtype=int)
    for gene in range(space.n_var):
        values = np.arange(space.lower[gene], space.upper[gene] + 1)
        follows = gene > 2 and (gene - 2) % space.max_depth > 0
        counted = X_best[X_best[:, gene - 1] > 0, gene] if follows else X_best[:, gene]
        counts = 1 + (counted[:, None] == values).sum(axis=0)
        X[:, gene] = rng.choice(values, n, p=counts / counts.sum())
        if follows:
            X[X[:, gene - 1] == 0, gene] = 0
    return X


# %% tags=["check"]
checks.check_draw(draw)

# %% [markdown]
# Put `draw` into the dict: then adaptation trains what you draw.

# %% tags=["solution"]
pieces["draw"] = draw

# %% [markdown]
# Now the loop. In each iteration it fits the surrogate on the archive
# (`pieces["ensemble"]`, 100 members that see half of the genes, `n_var // 2`), searches (`pieces["search"](space, judge,
# X_start, seed)`, where `judge` maps encodings to objectives, the predicted error and the cost, and
# `X_start` is the archive's front), takes out of the population what the archive has (compare encodings:
# predicted errors differ from measured ones), measures `k` candidates of the rest, and adapts to
# the `best` of the archive (`pieces["select"]`). The weights have changed then: what does that mean for the
# errors? ([Step 2e and 2f](../04_online_adaptation.ipynb#Step-2e-and-2f-·-Adapt,-and-measure-again))
#
# Before yours is trusted with a transfer, it is tried on a task that costs nothing: errors that follow from
# the genes by a formula, and *drift* after each adaptation. Whoever believes old errors is misled.


# %%
class Drifting:
    """A task whose errors change with each adaptation; `log` holds what it was asked to do."""

    def __init__(self, seed: int):
        self.space, self.cost, self.log = checks.POCKET_SPACE, checks.MADDS, []
        self.first = search.sample_spread(self.space, self.cost, 16, seed)
        drift = np.random.default_rng(seed).normal(size=(9, self.space.n_var)).cumsum(axis=0)
        self.slopes = 4 * drift / self.space.upper.clip(1)


# %%
class DriftingProblem(Drifting):
    def truth(self, X: np.ndarray) -> np.ndarray:
        adaptations = sum(what == "adapt" for what, _ in self.log)
        return 80 - 15 * np.log10(self.cost(X) / 1e5) + X @ self.slopes[adaptations]

    def measure(self, X: np.ndarray) -> np.ndarray:
        self.log.append(("measure", np.array(X)))
        return self.truth(X)

    def adapt(self, X_best: np.ndarray) -> None:
        self.log.append(("adapt", np.array(X_best)))


# %% tags=["stub"]
def nat(problem, pieces: dict, iterations: int, k: int, best: int, seed: int) -> tuple:
    """Runs NAT and returns the archive: encodings `(n, n_var)`, and their errors now, `(n,)`.

    Args:
        problem: With `first`, `space`, `measure(X)`, `adapt(X_best)` and `cost(X)`.
        pieces: The pieces to use, by name.
        iterations: Of search and adaptation.
        k: New architectures that each iteration measures.
        best: How many of the archive give the distribution that is trained.
        seed: Of everything random; add the iteration's number to it.
    """
    raise NotImplementedError("Exercise 6: write the loop")


# %% [markdown] tags=["hint"]
# **Hint.** Write steps 2a to 2f of the [map](../map.md) as comments, in their order, then a few lines
# below each. Two arrays are carried along, `X` and `errors`; `F` is
# `np.column_stack([errors, problem.cost(X)])`.

# %% [markdown] tags=["hint"]
# **Hint.** `search` may return rows of the archive. Whether a row `x` is known says
# `(x == X).all(axis=1).any()`.

# %% [markdown] tags=["hint"]
# **Hint.** After `adapt` every error in the archive is out of date, not only that of the new ones.


# %% tags=["solution"]
def propose(problem, pieces, X, errors, k, seed):
    predict = pieces["ensemble"](X, errors, 100, problem.space.n_var // 2, seed)

    def judge(X):
        return np.column_stack([predict(X), problem.cost(X)])

    F = np.column_stack([errors, problem.cost(X)])
    found = pieces["search"](problem.space, judge, X[search.non_dominated(F)], seed)
    found = np.array([x for x in found if not (x == X).all(axis=1).any()])
    return found[pieces["candidates"](judge(found), F, k)]


# %% tags=["solution"]
def nat(problem, pieces, iterations, k, best, seed):
    X, errors = problem.first, problem.measure(problem.first)
    for i in range(iterations):
        new = propose(problem, pieces, X, errors, k, seed + i)
        X, errors = np.vstack([X, new]), np.append(errors, problem.measure(new))
        F = np.column_stack([errors, problem.cost(X)])
        problem.adapt(X[pieces["select"](F, best)])
        errors = problem.measure(X)
    return X, errors


# %% [markdown]
# A trial runs your loop, over natlib's pieces, on the drifting task; the check reads its log.


# %%
def trial(seed: int) -> tuple:
    problem = DriftingProblem(seed)
    return problem, nat(problem, checks.NATLIB, iterations=3, k=6, best=10, seed=seed)


# %% tags=["check"]
checks.check_nat(trial)

# %% [markdown]
# ## Your own NAT
#
# Put `nat` into the dict, and everything is yours. The last check runs your loop over your pieces on the
# animals, counts the calls of each piece that is yours, checks each once more, and holds the front
# against that of natlib's pieces at the same seed, which you saw at the top. It works with any number
# of pieces: those that you have not written yet are natlib's.

# %% tags=["solution"]
pieces["nat"] = nat


# %%
def compare(count) -> list:
    natlib, mine = checks.NATLIB, {}
    for name in natlib:
        own = pieces[name] is not natlib[name]
        mine[name] = count(name, pieces[name]) if own else natlib[name]
    return [transfer(mine), natlib_result]


# %% tags=["check"]
checks.check_own_nat(compare)

# %% [markdown] tags=["solution"]
# Two iterations at this size say nothing about which of the two is better: with 200 validation pictures the
# standard error of one measurement is two points and more. What they show is that your pieces fit together
# and do the work. Around them natlib adds devices, processes, checkpoints, limits and error messages.
#
# Where to go from here: give `nat` more iterations and draw the hypervolume after each; let `draw` return
# uniform encodings and see whether the difference is larger than between two seeds; add parameters as a
# third objective, for which only `judge` and `F` change.
