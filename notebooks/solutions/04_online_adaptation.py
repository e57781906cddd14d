# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 4 · Online adaptation: exercises
#
# About 120 minutes of work; every cell runs within seconds on a CPU. They belong to
# [notebook 4](../04_online_adaptation.ipynb). Fill in each function where it says
# `NotImplementedError`, then run the check below it. The
# [solutions](../solutions/04_online_adaptation.ipynb) are for afterwards.

# %% [markdown] tags=["solution"]
# **This notebook holds the solutions.** Each stands below the cell that you were to fill in, with a
# few sentences about it. The [notebook without them](../exercises/04_online_adaptation.ipynb) is for
# working.

# %%
# If this fails, choose the kernel of the course's environment: README.md tells how to make one.
from natlib import Architecture, SearchSpace, data, search
from natlib.teach import plots
from natlib.teach.checks import online_adaptation as checks
import numpy as np
import pandas as pd
import torch
from torch.nn import functional

# %% [markdown]
# The recordings that some questions ask about are tables in the folder `data.DATA / "archives"`;
# `pd.read_csv` reads one. `data/README.md` says what they hold.

# %% [markdown]
# ## Exercise 1 · One cosine for the whole run (10 minutes)
#
# The learning rate of the adaptation falls from its peak to zero as half a wave of a cosine. It does
# so once, over *all* iterations together. Training steps are numbered through the whole run, so the
# adaptation begins at a step `first` that is not zero: the warm-up came before.


# %% tags=["stub"]
def adaptation_rate(step: int, peak: float, first: int, iterations: int, steps_each: int) -> float:
    """Returns the learning rate of a numbered step of the adaptation.

    Args:
        step: Number of the step, counted from the beginning of the run.
        peak: Learning rate of the first step of the adaptation.
        first: Number of that step.
        iterations: Iterations of search and adaptation.
        steps_each: Training steps of each iteration.
    """
    raise NotImplementedError("Exercise 1: write the schedule")


# %% [markdown] tags=["hint"]
# **Hint.** Compute first which share of the whole adaptation is done, a number from 0 to 1.

# %% [markdown] tags=["hint"]
# **Hint.** The cosine of $0$ is 1 and that of $\pi$ is $-1$. Shift and shrink that, so that it goes
# from 1 to 0, and multiply by the peak.


# %% tags=["solution"]
def adaptation_rate(step, peak, first, iterations, steps_each):
    done = (step - first) / (iterations * steps_each)
    return peak * 0.5 * (1 + np.cos(np.pi * done))


# %% tags=["check"]
checks.check_adaptation_rate(adaptation_rate)

# %% [markdown]
# Now hold the schedule against `modes.csv`, the recording of transfers of ten iterations, with a peak of
# 0.08 and averaged weights (notebook 4); take the mode `distribution`. By how much did the hypervolume
# change in each iteration, and how high was the rate then?

# %% tags=["solution"]
study = pd.read_csv(data.DATA / "archives" / "modes.csv")
runs = study[study["mode"] == "distribution"]
runs = runs.pivot_table(index=["task", "iteration"], columns="seed", values="hypervolume")
change = runs.groupby("task").diff().dropna(how="all")
table = pd.DataFrame({"mean": change.mean(axis=1), "seeds": change.count(axis=1)})
if (table.seeds > 1).any():
    table["sd over seeds"] = change.std(axis=1)
table = table.unstack("task").swaplevel(axis=1).sort_index(axis=1)
table[("rate", "at its beginning")] = [adaptation_rate(i, 0.08, 0, 10, 1) for i in range(10)]
table.round(3)

# %% [markdown] tags=["solution"]
# One schedule means that the first iterations may move the weights far and the last ones settle them. The
# warm-up ended with a rate near zero; the jump back to the peak shakes weights that had settled, and that
# is why what is measured is their average over some 20 steps (notebook 4 measures both). The first row of
# the table shows what is left of that: both tasks gain on average, the digits nine times as much as the
# animals, of which single seeds lose. The rate is the same for both, so it is not the whole reason: perhaps
# the digits had learned less in the warm-up. That was not measured.
# A cosine that starts anew in every iteration would jump ten times, and the archive would be measured
# again each time with weights that have settled: that is not wrong, it is another method.

# %% [markdown]
# ## Exercise 2 · The distribution of the best, by hand (15 minutes)
#
# NAT draws the subnets that it trains from the shares that each choice has among the archive's best.
# Write these shares for one gene, under two rules:
#
# - to the count of every choice, seen or not, `smoothing` is added: as if each choice had been seen
#   `smoothing` times more often (Laplace's rule);
# - a layer gene is counted among those architectures only in which that layer can be active, that is
#   where the layer before it in its stage is active. A stage's first layer is always active.
#
# An encoding is `[resolution, width, layer genes of stage 1, ..., of the last stage]`, with
# `space.max_depth` layer genes per stage; 0 means skipped (notebook 1).


# %% tags=["stub"]
def gene_shares(
    X_best: np.ndarray, gene: int, space: SearchSpace, smoothing: float = 1.0
) -> np.ndarray:
    """Returns the probability of each value of a gene, `(space.upper[gene] + 1,)`.

    Args:
        X_best: Canonical encodings, int64 `(n, n_var)`.
        gene: Index of the gene.
        space: The search space; values below `space.lower[gene]` have probability zero.
        smoothing: Imaginary observations of each choice.
    """
    raise NotImplementedError("Exercise 2: count a gene")


# %% [markdown] tags=["hint"]
# **Hint.** Gene 5 of the pocket space is the first layer of stage 2. Which expression of `gene` and
# `space.max_depth` is zero for every first layer?

# %% [markdown] tags=["hint"]
# **Hint.** `np.bincount(values, minlength=...)` counts. Then smooth, then take away what lies below
# the lower bound, and only then divide.


# %% tags=["solution"]
def gene_shares(X_best, gene, space, smoothing=1.0):
    if gene >= 2 and (gene - 2) % space.max_depth > 0:
        X_best = X_best[X_best[:, gene - 1] > 0]
    counts = np.bincount(X_best[:, gene], minlength=space.upper[gene] + 1) + smoothing
    counts[: space.lower[gene]] = 0
    return counts / counts.sum()


# %% tags=["check"]
checks.check_gene_shares(gene_shares)

# %% [markdown]
# Why is nothing left with probability zero? Take the best 20 of the shipped archive
# (`pocket_animals.csv`; `search.select_best` chooses them by error and MAdds) and find out how many
# choices none of them makes, and how often a subnet that is drawn with smoothing 1 makes at least one
# of these. (`search.gene_distribution` has the shares of all genes, `search.sample_distribution` draws.)

# %% tags=["solution"]
pocket = SearchSpace.pocket()
archive = pd.read_csv(data.DATA / "archives" / "pocket_animals.csv")
X = np.array([pocket.encode(Architecture.from_string(a)) for a in archive.architecture])
best = X[search.select_best(archive[["top1_err", "madds"]], 20)]
unseen = [gene_shares(best, gene, pocket, 1e-12) < 1e-9 for gene in range(pocket.n_var)]
for gene, low in enumerate(pocket.lower):
    unseen[gene][:low] = False
drawn = search.sample_distribution(search.gene_distribution(best, pocket), pocket, 10_000, 0)
makes_one = np.any([unseen[gene][drawn[:, gene]] for gene in range(pocket.n_var)], axis=0)
choices = int((pocket.upper - pocket.lower + 1).sum())
print(f"{sum(u.sum() for u in unseen)} of {choices} choices are made by none of the best,")
print(f"and {makes_one.mean():.0%} of the drawn subnets make one of them.")

# %% [markdown]
# How many choices does none of the best make?


# %% tags=["stub"]
def untried() -> int:
    """Returns the number of choices, of all genes, that none of the best 20 makes."""
    raise NotImplementedError("Exercise 2: count the choices")


# %% tags=["solution"]
def untried() -> int:
    return 10


# %% tags=["check"]
checks.check_untried(untried)

# %% [markdown]
# How far is the distribution from uniform? The *total variation* of two distributions is half the sum
# of the absolute differences of their shares: 0 if they are equal, 1 if they have nothing in common.
# Compare smoothing 1 with next to none, gene by gene.


# %% tags=["solution"]
def distance_from_uniform(gene: int, smoothing: float) -> float:
    shares = gene_shares(best, gene, pocket, smoothing)[pocket.lower[gene] :]
    return np.abs(shares - 1 / len(shares)).sum() / 2


free = np.flatnonzero(pocket.upper > pocket.lower)  # pocket subnets have one width
rows = {f"smoothing {s:g}": [distance_from_uniform(g, s) for g in free] for s in (1, 1e-12)}
pd.DataFrame(rows).describe().loc[["mean", "min", "max"]].round(2)

# %% [markdown] tags=["solution"]
# What is never trained stays as bad as it is, is measured as bad, and so is never among the best: a
# probability of zero is for ever. The smoothing keeps each choice alive, and it does more than that:
# with twenty architectures and seven choices, a quarter of the weight of such a gene is imaginary
# (7 of 27). It takes the distribution a good part of the way to uniform: a quarter of a gene's draws
# (0.26 in total variation) differ from uniform ones, without smoothing it would be more than a third.
# Subnets drawn from the two are therefore often alike. Whether that is why the two modes differ so little
# on the animals was not tested; the mode *little smoothing* of the study would say.

# %% [markdown]
# ## Exercise 3 · Learning from a teacher (20 minutes)
#
# In each step the largest subnet sees the pictures first. Its probabilities, the *soft labels*, then
# teach the others: their loss is cross-entropy with the labels plus cross-entropy with the soft labels.
#
# Hinton, Vinyals and Dean add a *temperature* $\theta$: teacher's and student's logits are divided by
# $\theta$ before the softmax of the soft part, and the soft part is multiplied by $\theta^2$. Write this
# loss.


# %% tags=["stub"]
def distillation_loss(
    logits: torch.Tensor,
    teacher_logits: torch.Tensor,
    labels: torch.Tensor,
    temperature: float = 1.0,
) -> torch.Tensor:
    """Returns the loss of a student, a scalar: mean over the pictures.

    Args:
        logits: Of the student, `(n, classes)`.
        teacher_logits: Of the teacher, which learns nothing here, `(n, classes)`.
        labels: int64 `(n,)`.
        temperature: Softens both sides of the soft part, above zero.
    """
    raise NotImplementedError("Exercise 3: write the loss of a student")


# %% [markdown] tags=["hint"]
# **Hint.** `functional.cross_entropy` takes logits, and as its target either labels `(n,)` or
# probabilities `(n, classes)`.

# %% [markdown] tags=["hint"]
# **Hint.** Which method of a tensor cuts it off from the gradients?


# %% tags=["solution"]
def distillation_loss(logits, teacher_logits, labels, temperature=1.0):
    soft_labels = (teacher_logits.detach() / temperature).softmax(dim=1)
    taught = functional.cross_entropy(logits / temperature, soft_labels)
    return functional.cross_entropy(logits, labels) + temperature**2 * taught


# %% tags=["check"]
checks.check_distillation_loss(distillation_loss)

# %% [markdown]
# What does a teacher say at temperature 1, 2, 4 and 8? The shipped supernet still has the classifier of
# its source task. Its largest subnet is the teacher, its smallest the student:

# %%
from natlib import Supernet
from natlib.evaluate import InputBatches, recalibrate

source, net = data.load_task("source"), Supernet.load(data.pretrained_path("pocket"))
pictures = data.fixed_sample(source.valid, 500)


def logits_of(arch):
    subnet = net.extract(arch)
    train = data.fixed_sample(source.train, 1000)
    recalibrate(subnet, InputBatches(train, arch.resolution, source))
    with torch.no_grad():
        return torch.cat([subnet(x) for x, _ in InputBatches(pictures, arch.resolution, source)])


teacher, student = logits_of(net.space.largest()), logits_of(net.space.smallest())

# %% tags=["solution"]
rows = {}
for t in (1.0, 2.0, 4.0, 8.0):
    first, second = (teacher / t).softmax(dim=1).sort(descending=True).values[:, :2].mean(dim=0)
    x = student.clone().requires_grad_()
    plain = functional.cross_entropy(x, pictures.labels)
    taught = distillation_loss(x, teacher, pictures.labels, t) - plain
    (gradient,) = torch.autograd.grad(taught, x)
    rows[t] = {
        "first class": first.item(),
        "second class": second.item(),
        "gradient": 1000 * gradient.norm().item(),
        "gradient without the factor": 1000 * gradient.norm().item() / t**2,
    }
pd.DataFrame(rows).T.rename_axis("temperature").round(2)

# %% [markdown] tags=["solution"]
# At temperature 1 a sure teacher says little more than the label. Higher temperatures show what it
# finds *similar*, and that is what a small network can learn beyond labels. Without the factor
# $\theta^2$ the soft part would fade as the temperature rises (last column), because its gradient is a
# difference of probabilities that come closer to each other, once more divided by $\theta$: at 8 a
# fortieth is left. With the factor it stays within a factor of two. natlib uses temperature 1: its teacher is trained at the same time as the
# others, and is less sure than one that has long been trained.

# %% [markdown]
# ## Exercise 4 · Which subnets are mis-ranked? (30 minutes)
#
# The shipped archive has each subnet's error on two halves of the validation split, `top1_err_a` and
# `top1_err_b`. Both halves are equally good judges, so a pair of subnets that they order in opposite
# ways is a pair whose order we do not know. Write the share of such pairs. Pairs that one of the
# halves cannot tell apart (equal errors) do not count at all.


# %% tags=["stub"]
def misranked_share(a: np.ndarray, b: np.ndarray) -> float:
    """Returns the share of pairs that two measurements order in opposite ways, in [0, 1].

    Args:
        a: First measurement of each architecture, `(n,)`.
        b: Second measurement, `(n,)`.
    """
    raise NotImplementedError("Exercise 4: count pairs")


# %% [markdown] tags=["hint"]
# **Hint.** `np.triu_indices(n, 1)` gives the rows of all pairs, each once. What does the sign of the
# *product* of two differences say?

# %% [markdown] tags=["hint"]
# **Hint.** A product of zero means a tie. Divide by the number of pairs whose product is not zero.


# %% tags=["solution"]
def misranked_share(a, b):
    i, j = np.triu_indices(len(a), 1)
    agreement = np.sign((a[i] - a[j]) * (b[i] - b[j]))
    return np.mean(agreement[agreement != 0] < 0)


# %% tags=["check"]
checks.check_misranked_share(misranked_share)

# %% [markdown]
# Where do the halves contradict each other (`pocket_animals.csv`)? Compare pairs of about the same
# MAdds with pairs of very different MAdds, and look at the pairs that a search has to decide:
# neighbours on the front. Let one half choose the front, as a search would with its only measurement,
# and the other one judge; then change their parts, and last take the front of the mean of both.

# %% tags=["solution"]
archive = pd.read_csv(data.DATA / "archives" / "pocket_animals.csv").sort_values("madds")
a, b, madds = archive[["top1_err_a", "top1_err_b", "madds"]].to_numpy().T
i, j = np.triu_indices(len(a), 1)
agreement = np.sign((a[i] - a[j]) * (b[i] - b[j]))
pairs = pd.DataFrame({"ratio of MAdds": madds[j] / madds[i], "wrong": agreement < 0})
pairs["ratio of MAdds"] = pd.cut(pairs["ratio of MAdds"], [1, 1.1, 1.5, 2, 4, 100], right=False)
groups = pairs[agreement != 0].groupby("ratio of MAdds", observed=True).wrong
print(f"all pairs: {misranked_share(a, b):.1%} mis-ranked")
for error in ("top1_err_a", "top1_err_b", "top1_err"):
    front = np.flatnonzero(search.non_dominated(archive[[error, "madds"]]))
    product = np.diff(a[front]) * np.diff(b[front])
    contrary, n = np.mean(product[product != 0] < 0), np.sum(product != 0)
    print(f"neighbours on the front chosen by {error}: {contrary:.1%} of {n} pairs")
groups.agg(pairs="size", misranked="mean").round(3)

# %% [markdown]
# Of the pairs of neighbours on the front that half a chooses, how many percent does half b turn round?


# %% tags=["stub"]
def turned_round() -> float:
    """Returns the percentage of neighbours on half a's front that half b orders the other way."""
    raise NotImplementedError("Exercise 4: count pairs of neighbours")


# %% tags=["solution"]
def turned_round() -> float:
    return 22.7


# %% tags=["check"]
checks.check_contrary(turned_round)

# %% [markdown] tags=["solution"]
# Over all pairs 9% are mis-ranked, because most pairs are of very different size, and size alone ranks
# them. Of pairs within 10% of each other's MAdds it is 28%, and of neighbours on a front that one half
# chose the other turns round 23 or 38% (of 22 and 16 pairs: within such small numbers chance moves that by
# ten points). These are the pairs that matter, where one of the two is to be thrown away. A single rank
# correlation over the whole range flatters every measurement, and every surrogate, in the same way.
#
# The front of the *mean* shows 52%, and that is no fair count: on a front the dearer of two neighbours
# has the smaller error, and their means are close to each other just when the halves contradict. Both
# halves had a say in choosing these pairs, so neither judges them any more. Sorting pairs by how far
# apart their mean errors are would mislead in the same way. Choose by something that the noise of the
# judge does not touch: by MAdds, or by the other half.
#
# And halves show only the noise of the *pictures*. Whether the supernet ranks subnets as training
# each alone would is another question, which only training them alone can answer.

# %% [markdown]
# And whether training each alone would rank them the same? `fixed.csv` holds four networks of each transfer
# (a task, a seed, a budget and a fraction of the train split), as it found them (`nat`) and *fine-tuned
# alone* (`nat_finetuned`). Do the four keep their order? Use your `misranked_share` on their test accuracy
# before and after, for each transfer on the whole train split. Which pairs lie within two standard errors
# after it? (Accuracies are percentages of `len(data.load_task(task).test)` pictures; reckon as if two
# networks were measured on different ones.) And what does the order by MAdds alone say?


# %% tags=["solution"]
def close_pairs(top1: np.ndarray, pictures: int) -> str:
    i, j = np.triu_indices(len(top1), 1)
    variance = top1 * (100 - top1) / pictures
    close = np.abs(top1[i] - top1[j]) < 2 * np.sqrt(variance[i] + variance[j])
    return ", ".join(f"{a + 1} and {b + 1}" for a, b in zip(i[close], j[close], strict=True))


# %% tags=["solution"]
fixed = pd.read_csv(data.DATA / "archives" / "fixed.csv").query("fraction == 1")
of, rows = ["task", "seed", "budget", "size", "madds"], {}
four = fixed.pivot_table("test_top1", of, "method").dropna(subset=["nat", "nat_finetuned"])
for (task, seed, budget), networks in four.groupby(of[:3]):
    before, after = networks[["nat", "nat_finetuned"]].to_numpy().T
    madds = networks.index.get_level_values("madds").to_numpy()
    rows[task, seed, budget] = {
        "mis-ranked": misranked_share(before, after),
        "mis-ranked by MAdds": misranked_share(madds, after),
        "close": close_pairs(after, len(data.load_task(task).test)),
    }
pd.DataFrame(rows).T.rename_axis(["task", "seed", "budget"])

# %% [markdown] tags=["solution"]
# Read the columns together. Where MAdds alone get a pair right, that the supernet does, too, shows nothing
# that it knows beyond size: the four are steps along a front, each dearer than the one before. A pair that
# changes its order counts only if it is not close; for one that is close, to agree is weak evidence. (All
# networks see the same test pictures, which makes a difference surer than this standard error says. The
# noise of training is not in it: each network was fine-tuned once. And fine-tuning begins with the
# supernet's own weights, so it is no judge from outside.)
#
# Where `nat` and `nat_finetuned` are the same, as for the two largest networks of the animals at budget 1,
# fine-tuning found nothing better on validation, and the weights before it were kept. That such a pair
# agrees is no evidence at all.
#
# The pairs that matter, of about equal cost, are not among these. To test them, take subnets of one
# archive with about the same MAdds and different errors, and train each alone, with several seeds.

# %% [markdown]
# ## Exercise 5 · Is the distribution better than uniform? (40 minutes)
#
# A small project. The paper's idea is to train subnets drawn from the distribution of the best; the
# fair opponent draws them uniformly and takes as many steps. `modes.csv` holds both, with the same
# warm-up and first archive for each task and seed: they are *pairs*. First the differences:


# %% tags=["stub"]
def paired_differences(study: pd.DataFrame, mode: str, other: str) -> pd.Series:
    """Returns by how much the final hypervolume of a mode exceeds that of another one.

    Args:
        study: Columns `task`, `seed`, `mode`, `iteration` and `hypervolume`; rows in any order.
        mode: Name of a mode.
        other: Name of the mode to compare with.

    Returns:
        One difference for each pair, indexed by `(task, seed)`.
    """
    raise NotImplementedError("Exercise 5: subtract pair by pair")


# %% [markdown] tags=["hint"]
# **Hint.** pandas aligns two Series by their index when it subtracts them, if you let it. Which
# columns should be the index?

# %% [markdown] tags=["hint"]
# **Hint.** Keep the rows of the last iteration. `pivot_table` makes a table of them, with an `index` of
# several columns and the values of another one as `columns`: here one for each mode.


# %% tags=["solution"]
def paired_differences(study, mode, other):
    last = study[study.iteration == study.iteration.max()]
    ends = last.pivot_table(index=["task", "seed"], columns="mode", values="hypervolume")
    return ends[mode] - ends[other]


# %% tags=["check"]
checks.check_paired_differences(paired_differences)

# %% [markdown]
# Now the *sign test*: if neither mode is better, each pair is a coin toss. The p-value is the
# probability of a count of wins at least as lopsided as the one seen, to either side. Pairs without a
# difference are left out.


# %% tags=["stub"]
def sign_test(differences: np.ndarray) -> float:
    """Returns the two-sided p-value of the sign test, in [0, 1].

    Args:
        differences: One for each pair, `(n,)`; only their signs count.
    """
    raise NotImplementedError("Exercise 5: write the sign test")


# %% [markdown] tags=["hint"]
# **Hint.** How many wins are ordinary for $n$ tosses, and how far from that is your count? Just as far
# to the other side is just as lopsided.

# %% [markdown] tags=["hint"]
# **Hint.** Of $2^n$ equally likely sequences of $n$ coins, `math.comb(n, k)` show $k$ heads. Which `k`
# are at least as far from $n/2$ as the count you saw?


# %% tags=["solution"]
from math import comb


def sign_test(differences):
    wins, n = int(np.sum(differences > 0)), int(np.sum(differences != 0))
    lopsided = [k for k in range(n + 1) if abs(k - n / 2) >= abs(wins - n / 2)]
    return sum(comb(n, k) for k in lopsided) / 2**n


# %% tags=["check"]
checks.check_sign_test(sign_test)

# %% [markdown]
# Apply both to the recording, for *distribution* against *uniform*, and for other pairs of modes that you
# find in `study["mode"].unique()`, as far as they share seeds; then once more with the study's endpoint,
# the column `test_at_equal_madds`, in place of the hypervolume. How large are the differences, and how do
# they spread over the pairs? How many pairs would it take to notice a mode that wins two of three times?
# Write the two or three sentences that this evidence allows.

# %% tags=["solution"]
from itertools import product

study, rows = pd.read_csv(data.DATA / "archives" / "modes.csv"), {}
endpoints = {
    "hypervolume": study,
    "test top-1": study.assign(hypervolume=study.test_at_equal_madds),
}
against = [("distribution", "uniform"), ("distribution, limit", "uniform, limit")]
against += [("distribution", "none"), ("uniform", "none")]
for (mode, other), (measure, table) in product(against, endpoints.items()):
    if {mode, other} <= set(table["mode"]):
        d = paired_differences(table, mode, other).dropna()
        told = {"wins": f"{(d > 0).sum()} of {len(d)}", "mean": f"{d.mean():+.3f}"}
        told |= {"from": f"{d.min():+.3f}", "to": f"{d.max():+.3f}", "p": f"{sign_test(d):.3f}"}
        rows[f"{mode} against {other}", measure] = told
pd.DataFrame(rows).T

# %% tags=["solution"]
d = paired_differences(study, "distribution", "uniform").dropna()
values = {task: part for task, part in d.groupby("task")}
figure = plots.plot_modes(values, "hypervolume, distribution minus uniform")
alt = "Difference of final hypervolume for each seed; means " + ", ".join(
    f"{task} {part.mean():+.3f}" for task, part in values.items()
)
plots.show(figure, alt)

# %% tags=["solution"]
rng = np.random.default_rng(0)
for pairs in (10, 20, 40, 80):
    tosses = np.where(rng.random((1000, pairs)) < 2 / 3, 1, -1)
    noticed = np.mean([sign_test(row) < 0.05 for row in tosses])
    print(f"{pairs:2d} pairs: a mode that wins two of three is noticed in {noticed:.0%} of studies")

# %% [markdown] tags=["solution"]
# What may be said? In test accuracy at equal MAdds, the endpoint, the distribution is ahead in 8 of 10
# pairs, by 0.28 points on average, p = 0.11; nine of ten would have been needed for p below 0.05. By task:
# 3 of 5 on the animals, by nothing on average (-0.26 to +0.17); 5 of 5 on the digits, by 0.55 points (+0.12
# to +1.00), and even five of five have p = 0.063. In hypervolume it is 5 of 10. That is of the validation
# pictures by which the archive was chosen; the endpoint, settled before the first run, has the word. So:
# *on the digits, the distribution was ahead of uniform in each of five pairs, by half a point on average;
# on the animals there was no difference to speak of; with so few pairs, chance is not excluded.* The
# simulation says how seldom ten pairs notice even a mode that wins two of three.
#
# What may *not* be said: that there is no difference on the animals (none was found), or that the idea is
# proved on the digits. To pick the task after looking makes a small p smaller than it is. Nor should more
# seeds be added until p falls below 0.05: decide on their number first. (For this recording it was decided:
# five on each task.) And where a mode is compared with *none*, it is ahead partly because it trains more.

# %% [markdown]
# ## Exercise 6 · How often is what nobody makes trained? (5 minutes)
#
# A layer gene has seven choices, and none of the best 20 makes the choice "5". In an iteration of 36
# steps three subnets a step are drawn from their distribution, with smoothing 1. In how many of the drawn
# subnets do you expect the choice "5" at this gene? (All of the 20 have the layer before it. About so
# many steps take the animals in the quick profile.)


# %% tags=["stub"]
def expected_trainings() -> float:
    """Returns the expected number of drawn subnets of an iteration that make the choice."""
    raise NotImplementedError("Exercise 6: reckon how often")


# %% [markdown] tags=["hint"]
# **Hint.** Each choice counts as if it had been seen once more often. Of how many observations, real and
# imaginary, is one that of the choice "5"?

# %% [markdown] tags=["hint"]
# **Hint.** The expected number is the number of draws times the probability in each.


# %% tags=["solution"]
def expected_trainings() -> float:
    return 36 * 3 * 1 / (20 + 7)


# %% tags=["check"]
checks.check_expected_trainings(expected_trainings)

# %% [markdown] tags=["solution"]
# Four of 108 drawn subnets; drawn uniformly it would be 108 / 7, about 15. (A drawn subnet may be
# shallower than the layer, which makes both a little smaller.) So smoothing keeps the choice alive, and
# hardly more: in five iterations its weights are trained 20 times, if none of the best ever makes it. With
# the settings of the authors' later framework (the profile `paper`) on CIFAR-10 (150 best, ten choices,
# about 2,500 steps with four subnets) it would be 10,000 / 160, about 60 times in one iteration.
