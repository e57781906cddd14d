# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] slideshow={"slide_type": "slide"}
# # 2 · The surrogate: predicting accuracy from a few measurements
#
# About 1 minute of computing on a laptop, CPU; about 90 minutes to teach (planned).
#
# **You will be able to**
#
# - solve a radial basis function (RBF) model by hand and say why the paper takes an ensemble of them;
# - judge a surrogate by how it *ranks*, and say why that matters more than its error;
# - show how much depends on what a model sees of an architecture;
# - compare surrogates fairly against sample size, and read where one of them is wrong;
# - say how far to trust the interval that a surrogate gives;
# - choose a surrogate for a budget.

# %% slideshow={"slide_type": "skip"}
# If this fails, choose the kernel of the course's environment: README.md tells how to make one.
from natlib import SearchSpace, data
from natlib.surrogate import SURROGATES, Interpolant, RBFEnsemble, rank_metrics, thermometer
from natlib.teach import learn, plots
from natlib.teach.source import show_source
from natlib.teach.tables import TABLES, load_table
import numpy as np
import pandas as pd

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Why predict at all?
#
# To measure a subnet, its batch norm is recalibrated and a thousand pictures or more run through it.
# A search that is to find a whole front wants to ask about thousands of subnets. So it asks a
# *surrogate*: a model that learns from the few measured subnets to predict the error of any
# architecture, and answers for many at once (how fast, the end of this notebook measures). In the
# words of machine learning: a regression with very few examples.
#
# We need measurements to learn from. The course ships a recording, an *archive*: several hundred
# subnets of the pocket supernet, measured on the validation split of the animals with weights that
# stayed the same. Each row is one architecture, as a string, with its top-1 error in percent
# (`top1_err`), its MAdds and its parameters; `top1_err_a` and `top1_err_b` are its errors on two halves
# of that split.

# %%
space = SearchSpace.pocket()
archive = pd.read_csv(data.DATA / "archives" / "pocket_animals.csv")
X = np.stack([space.encode(space.parse(text)) for text in archive.architecture])
y = archive.top1_err.to_numpy()
print(f"{len(X)} architectures of {space.size:,}, {space.n_var} genes each")
archive.sample(4, random_state=0)

# %% [markdown] slideshow={"slide_type": "fragment"}
# An architecture is a row of genes (notebook 01): resolution, width, then one gene per layer that
# stands for kernel and expand ratio together, 0 where the layer is skipped. `X` holds the encodings,
# one row for each, and `y` the errors.
#
# ## How good can a prediction be?
#
# A measurement is not the truth either: another set of pictures would have given another number.
# How well do the two halves of the split agree about the order of the subnets? (*Kendall's tau* is
# explained below. If the error on the whole split has a noise of standard deviation $\sigma$, that on a
# half has one of $\sqrt 2 \, \sigma$, and the difference of the halves one of $2 \sigma$: hence the
# division by 2.)

# %%
halves = rank_metrics(archive.top1_err_a, archive.top1_err_b)
noise = (archive.top1_err_a - archive.top1_err_b).std() / 2
print(f"spread of the errors: {y.std():.2f} points; noise of one measurement: {noise:.2f} points")
print(f"the halves agree with Kendall's tau = {halves['kendall']:.2f}")

# %% [markdown] slideshow={"slide_type": "fragment"}
# **Kendall's tau** counts pairs: of all pairs of subnets, the share that both sides put in the same
# order minus the share that they put in opposite order. 1 is the same order throughout, 0 is
# chance, -1 is reversed. With the noise above no surrogate can reach 1. *Spearman's rho* is the
# correlation of the ranks, and has the same ends.
#
# ## One RBF model, solved by hand
#
# The paper's surrogate is built of *radial basis function* (RBF) models with a cubic kernel and a
# linear tail. (This *kernel* is a function of distance and has nothing to do with the kernels of
# convolutions.) Such a model assumes that the error changes smoothly, and takes every measurement for
# exact. Let $x$ be a single number first. Through points $x_i$ with values $y_i$ goes
#
# $$s(x) = \sum_i a_i \, |x - x_i|^3 + c_0 + c_1 x .$$
#
# Each point is the centre of a cubic function of the distance, and the tail is a line. The
# coefficients $a_i$ and $c = (c_0, c_1)$ follow from linear equations: $s(x_i) = y_i$ for every point,
# and two more, as there are two more unknowns than points: the cubic functions must not do the line's
# work ($\sum_i a_i = 0$ and $\sum_i a_i x_i = 0$). Together:
#
# $$\begin{pmatrix} K & P \\ P^\top & 0 \end{pmatrix} \begin{pmatrix} a \\ c \end{pmatrix}
#   = \begin{pmatrix} y \\ 0 \end{pmatrix}, \qquad K_{ij} = |x_i - x_j|^3, \quad P_i = (1, x_i).$$


# %%
def fit_rbf(x, y):
    K, P = abs(x[:, None] - x) ** 3, np.column_stack([np.ones_like(x), x])
    system = np.block([[K, P], [P.T, np.zeros((2, 2))]])
    solution = np.linalg.solve(system, np.append(y, [0, 0]))
    a, c = solution[:-2], solution[-2:]
    return lambda q: abs(q[:, None] - x) ** 3 @ a + c[0] + c[1] * q


# %% [markdown] slideshow={"slide_type": "subslide"}
# A dozen of the recorded subnets, with nothing but their MAdds as $x$. The library's `RBFEnsemble`,
# reduced to one model (one *member*) that sees everything, must draw the same curve.

# %%
rows = np.random.default_rng(5).permutation(len(X))[:12]
x = archive.madds.to_numpy()[rows] / 1e6
grid = np.linspace(x.min(), x.max(), 300)
by_hand = fit_rbf(x, y[rows])(grid)
one_member = RBFEnsemble(n_members=1, max_genes=1.0, dtype="float64").fit(x[:, None], y[rows])
library = one_member.predict(grid[:, None])
figure, [ax] = plots.new_figure(labels=("MAdds (M)", "top-1 error (%)"))
ax.plot(grid, by_hand, label="by hand")
ax.plot(grid, library, "--", label="RBFEnsemble, one member")
ax.plot(x, y[rows], "ko", label="measured")
ax.set_ylim(0, 25)
ax.legend()
alt = "Two curves that coincide pass through twelve measured subnets and swing between them."
plots.show(figure, alt)
print(f"largest difference: {abs(by_hand - library).max():.1e} points")

# %% [markdown] slideshow={"slide_type": "fragment"}
# **What do you notice?** The curve meets every point, and pays for it: where two subnets cost nearly
# the same but err differently, it swings. It takes everything that $x$ does not explain for a fact
# about $x$. MAdds alone do not explain the error; the genes do, up to the noise. Then $x$ is a whole
# encoding and $|x - x_i|$ the distance between two, but genes are many and measured subnets few.
#
# ## An ensemble
#
# The paper's answer is many such models, the *members* of an ensemble, each on a *random subset of the
# genes* (here about half): every member swings in its own way, and in the mean the swings cancel. Find
# the system from above in `solve`, which solves one member, and the random subsets in `fit`:

# %%
show_source(Interpolant.solve, RBFEnsemble.fit)
learn.predict("members")

# %% [markdown] slideshow={"slide_type": "subslide"}
# Two things are new. A member that sees half the genes cannot tell some subnets apart (`same`); they
# count with the mean of their errors. And tiny numbers on the diagonal keep the system solvable where
# points coincide, or a gene is the same in all of them.
#
# We let the ensemble learn from 100 subnets, hold the others out, and let it grow; each of five seeds
# draws other subsets. `rmse` is the root of the mean squared difference between predicted and measured
# error, in percentage points; `spearman` and `kendall` are means over the seeds.

# %%
order = np.random.default_rng(0).permutation(len(X))
known, held_out = order[:100], order[100:]
scores = {}
for n_members in (1, 5, 50, 500):
    models = [RBFEnsemble(n_members, seed=seed).fit(X[known], y[known]) for seed in range(5)]
    judged = pd.DataFrame([rank_metrics(y[held_out], m.predict(X[held_out])) for m in models])
    worst, best = judged.kendall.min(), judged.kendall.max()
    scores[n_members] = {**judged.mean(), "worst kendall": worst, "best kendall": best}
pd.DataFrame(scores).T.rename_axis("members").round(2)

# %%
best, many = scores[1]["best kendall"], scores[500]["kendall"]
learn.outcome("members", sum(many > x for x in (0.9 * best, best)), f"Tau is {many:.2f}.")
models = {
    "one member, half the genes": RBFEnsemble(n_members=1),
    "500 members": RBFEnsemble(),
    "Gaussian process": SURROGATES["gp"](space, 0),
}
guesses = {name: m.fit(X[known], y[known]).predict(X[held_out]) for name, m in models.items()}
panels = {name: (y[held_out], guess) for name, guess in guesses.items()}
labels = ("measured error (%)", "predicted error (%)")
figure = plots.plot_panels(panels, labels, sharex=True, sharey=True)
alt = "Predicted against measured errors of held-out subnets; Kendall's tau is " + ", ".join(
    f"{rank_metrics(y[held_out], p)['kendall']:.2f} for {name}" for name, p in guesses.items()
)
plots.show(figure, alt)
learn.predict("spoilt")

# %% [markdown] slideshow={"slide_type": "fragment"}
# **What do you notice?** One member is a lottery ticket (compare its worst with its best seed); the
# mean of many ranks reliably. But look at the slope: the ensemble's cloud is flatter than the dashed
# line where prediction equals measurement. Each member misses about half the genes and falls back to
# the middle for what it cannot see. (The third panel is a rival that we meet below, a *Gaussian
# process*: it takes the error for a smooth random function that was measured with noise.)
#
# ## Why ranks matter more than errors
#
# The search (notebook 03) above all *compares*: is this subnet better than that one? Here are two
# spoilt copies of the ensemble's predictions, beside the honest ones. One is wrong by many points but
# keeps the order. The other stays close but puts the best 30%, those that a search is about, in random
# order. The last column is the mean *measured* error of the 20 subnets that each takes for the best.

# %%
rng = np.random.default_rng(1)
honest = guesses["500 members"]
good = honest < np.quantile(honest, 0.3)
spoilt = {
    "honest": honest,
    "order kept, values off": 3 * honest + 20,
    "the best ones stirred": np.where(good, rng.permutation(honest[good]).mean(), honest)
    + np.where(good, rng.normal(0, 0.3, len(honest)), 0),
}
best = {name: y[held_out][np.argsort(p)[:20]].mean() for name, p in spoilt.items()}
table = pd.DataFrame({name: rank_metrics(y[held_out], p) for name, p in spoilt.items()}).T
_, in_order, close = best.values()
learn.outcome("spoilt", 2 if in_order == close else int(close < in_order))
table.assign(**{"mean error of its 20 favourites": best}).round(2)

# %% [markdown] slideshow={"slide_type": "fragment"}
# **What do you notice?** RMSE condemns the wrong copy. What a search gains from a surrogate is in the
# last column, and order alone decides it. That is why the loop of notebook 04 reports Kendall's tau, on
# the newest candidates, *before* the surrogate learns from them.
#
# ## What does the model see?
#
# As integers, genes mislead. Their values 3 and 4 are neighbours and share the expand ratio (kernel 3
# and kernel 5, both with expand ratio 2); 4 and 5 are neighbours, too, and share neither kernel nor
# expand ratio (5 is kernel 3 with expand ratio 4). Two other ways, with kernel and expand ratio apart:
#
# - *one-hot*: a column for each choice, 1 where it was taken. No false neighbours, but no true ones
#   either: that 24 px lies between 20 and 28 is lost.
# - *thermometer code*: a column for each level above the lowest, 1 where it is reached, as mercury
#   reaches the marks of a thermometer. Neighbours share all columns but one. Depths are written so, too,
#   and means over the whole network follow (how large is it all in all?). To write architectures so is
#   our choice, not the paper's.

# %%
show_source(thermometer)

# %% [markdown] slideshow={"slide_type": "subslide"}
# The ways for three models, all learning from the same 40 and 160 subnets and judged by Kendall's tau
# on 120 others. (*Ridge* is linear regression with a penalty on large coefficients; more on the models
# follows.) Compare the rows of one model:

# %%
ways = {
    "RBF ensemble": {"integers": "rbf", "thermometer": "rbf_thermometer"},
    "ridge": {"integers": "ridge_integer", "one-hot": "ridge_onehot", "thermometer": "ridge"},
    "Gaussian process": {"one-hot": "gp_onehot", "thermometer": "gp"},
}


def tau(name, known, held_out, seed=0):
    model = SURROGATES[name](space, seed).fit(X[known], y[known])
    return rank_metrics(y[held_out], model.predict(X[held_out]))["kendall"]


# %%
pd.DataFrame(
    {
        (model, way): {f"from {n}": tau(name, order[:n], order[-120:]) for n in (40, 160)}
        for model, names in ways.items()
        for way, name in names.items()
    }
).T.round(2)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The rivals, against sample size
#
# One split is an anecdote. Each surrogate of `SURROGATES` now learns from 20 to 300 subnets of five
# random splits and ranks the 120 held-out subnets of each split.
#
# | name | model | sees |
# |---|---|---|
# | `rbf`, `rbf_thermometer` | RBF ensemble | integers (the paper's), thermometer code |
# | `ridge_integer`, `ridge_onehot`, `ridge` | ridge regression | integers, one-hot, thermometer code |
# | `gp_onehot`, `gp` | Gaussian process | one-hot, thermometer code |
# | `forest` | random forest, the mean of 200 decision trees | integers |
# | `svr` | support vector regression | thermometer code |
# | `mlp` | neural network with one hidden layer | thermometer code |
#
# ### What each assumes
#
# And when it is good (the references at the end say more on each):
#
# - *RBF ensemble*: a smooth function, exact measurements. Good where noise is small; nothing to tune.
# - *Ridge*: every column adds its share, whatever the others say. So it knows no *interactions*, such
#   as a depth that helps more at a large resolution. Good with very few examples.
# - *Gaussian process*: the mean of all smooth functions, each weighed by how well it fits; how smooth and
#   how noisy, it learns. Good with few examples; the cost grows with the cube of their number.
# - *Random forest*: splits at single genes, so predictions change in jumps. Good with many examples and
#   without tuning, poor along a slope.
# - *Support vector regression* (SVR): a sum of bumps at some examples; small misses cost nothing, large
#   ones are not squared. Good with outliers; how smooth it is must be set.
# - *Neural network*: any function. Good with many examples; with few it needs a penalty, as here.

# %%
results = []
for split in range(5):
    rows = np.random.default_rng(split).permutation(len(X))
    for size in (20, 40, 80, 160, 300):
        for name in SURROGATES:
            score = tau(name, rows[:size], rows[-120:], seed=split)
            results.append({"surrogate": name, "size": size, "split": split, "kendall": score})
results = pd.DataFrame(results)
means = results.pivot_table(index="surrogate", columns="size", values="kendall")
means.sort_values(40, ascending=False).round(2)

# %%
curves = {
    name: scores.pivot(index="size", columns="split", values="kendall")
    for name, scores in results.groupby("surrogate")
}
panels = {name: {"rbf": curves["rbf"], name: curves[name]} for name in curves if name != "rbf"}
labels = ("architectures learned from", "Kendall's tau on the held-out ones")
sizes = list(means.columns)
figure = plots.plot_bands(panels, labels, xscale="log", xticks=sizes, xticklabels=sizes)
for ax in figure.axes:
    ax.axhline(halves["kendall"], color="black", linestyle=":", lw=1)
    ax.minorticks_off()
alt = "Kendall's tau against sample size for each surrogate beside the paper's RBF ensemble. " + (
    f"Best from 40: {means[40].idxmax()}; best from 300: {means[300].idxmax()}."
)
plots.show(figure, alt)

# %% [markdown] slideshow={"slide_type": "fragment"}
# `rbf` is the paper's ensemble on integer genes. Line: mean of five splits, band: all of them.
# Dotted: how well the two halves of the validation split agree, a mark to compare with. (A prediction
# may exceed it: half a split is noisier than the whole, and a surrogate averages over many subnets.)
#
# **What do you notice?** Look at small samples first, because that is where a search begins: compare
# `gp` with `gp_onehot` there, which differ in nothing but what they see. In thermometer code, what a
# model learns about one choice (24 px) helps it with the next (28 px). At the right end, compare the models
# that can see interactions of genes (`gp`, `svr`, `mlp`) with `ridge`, which cannot.
#
# This is one archive of a small space: it says which surrogate suits *it*, not that the paper chose
# badly. So in this space (profiles `quick` and `gpu`) we search with `"gp"`, and `paper` keeps the
# paper's `"rbf"` (`natlib.profiles`); `dataclasses.replace(profile, surrogate="rbf_thermometer")`
# takes another.
#
# ## Where is it wrong?
#
# Each subnet is now predicted by a model that has not seen it (five-fold cross-validation). The mean
# *residual*, predicted minus measured error, shows choice by choice what a model has not understood:
# above zero it is too pessimistic.

# %%
from sklearn.model_selection import cross_val_predict

residuals = {
    name: cross_val_predict(SURROGATES[name](space, 0), X[order], y[order], cv=5) - y[order]
    for name in ("rbf", "gp")
}
last = space.layer_genes(X[order])[:, -1, 0] - 1
decisions = {
    "resolution (px)": np.take(space.resolutions, X[order, 0]),
    "layers in all": space.depths(X[order]).sum(axis=1),
    "kernel, first layer of the last stage": np.take(space.kernels, last % 2),
    "expand ratio of that layer": np.take(space.expands, last // 2),
}
wrong = pd.DataFrame({**decisions, **residuals}).melt(list(decisions), var_name="surrogate")

# %%
import seaborn as sns

labels = ("", "predicted minus measured error (points)")
figure, axes = plots.new_figure([""] * 4, 2, (8, 2.5), labels, sharey=True)
look = {"dodge": 0.2, "capsize": 0.08, "errorbar": ("se", 2), "lw": 1.5, "linestyle": "none"}
look |= {"palette": plots.COLORS[:2], "markers": list(plots.MARKERS[:2]), "hue": "surrogate"}
for ax, name in zip(axes, decisions, strict=True):
    ax.axhline(0, color="black", lw=1)
    sns.pointplot(wrong, x=name, y="value", ax=ax, **look)
    ax.set_ylabel("")
spread = ", ".join(f"{name} {np.std(r):.2f}" for name, r in residuals.items())
plots.show(figure, f"Mean residual by choice with two standard errors; spread of all: {spread}.")

# %% [markdown] slideshow={"slide_type": "fragment"}
# Bars are two standard errors of the mean: a bar that crosses zero may be chance. Which model keeps a
# pattern from small to large, and in which decision? Remember that nearly half of the ensemble's
# members do not see the resolution at all: for them a small picture is as good as a large one.
#
# ## Where the truth is known
#
# A few hundred measurements judge a surrogate by what is left of them. The course also ships *tables*:
# small spaces in which **every** network was measured. `pocket` is a part of our space (notebook 03 shows
# it). The other three are *NAS-Bench-201*: 15,625 networks, each trained from scratch on real photos of
# CIFAR-10, CIFAR-100 or ImageNet (at 16 px, 120 classes). There a network repeats a *cell*, a small graph
# of four feature maps. Each of its six *edges*, from an earlier map to a later one, carries one of five
# operations: none, skip (a copy), a convolution of 1x1 or 3x3, or a mean of 3x3. A gene for each edge says
# which. Operations are no levels, so their code is one-hot; that of `pocket` is thermometer code, whatever
# the model is called (`ridge`, here and below `gp_onehot`). The space has other genes and the networks are
# no subnets of a supernet: do the surrogates keep their order?

# %%
tables = {name: load_table(name) for name in TABLES}
results = []
for name, table in tables.items():
    error = table.columns["top1_err"]
    for split in range(3):
        rows = np.random.default_rng(split).permutation(len(error))
        X_held, y_held = table.X[rows[-500:]], error[rows[-500:]]
        for model, size in [
            (m, n) for m in ("rbf", "forest", "ridge_onehot") for n in (25, 50, 100)
        ]:
            fitted = SURROGATES[model](table, split).fit(table.X[rows[:size]], error[rows[:size]])
            score = rank_metrics(y_held, fitted.predict(X_held))["kendall"]
            results.append((name, model.removesuffix("_onehot"), size, split, score))
results = pd.DataFrame(results, columns=["table", "model", "size", "split", "kendall"])
results.pivot_table(index=["table", "model"], columns="size", values="kendall").round(2)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ### How far to trust an interval
#
# A Gaussian process predicts a mean *and* a standard deviation; the members of an ensemble disagree, and
# their spread looks like one. Is it one? An interval of 80% should hold the truth in 80% of all cases.
# That is called *calibration*. Both models learn from 100 networks; then we ask about 1,000 others how
# often the truth lies within the interval. (The interval of a normal distribution: 80% lie within 1.28
# standard deviations of the mean, 95% within 1.96.)


# %%
held = {}
for name, table in tables.items():
    error, rows = table.columns["top1_err"], np.random.default_rng(0).permutation(len(table.X))
    known, ask = rows[:100], rows[100:1100]
    gp = SURROGATES["gp_onehot"](table, 0).fit(table.X[known], error[known])
    rbf = RBFEnsemble().fit(table.X[known], error[known])
    _, sd = gp[-1].regressor_.predict(table.features(table.X[ask]), return_std=True)
    members = [member((table.X[ask] - rbf.center_) / rbf.scale_) for member in rbf.members_]
    spreads = {"Gaussian process": (gp, sd * gp[-1].transformer_.scale_)}
    spreads["RBF ensemble"] = rbf, np.std(members, axis=0)[:, 0]
    for model, (fitted, spread) in spreads.items():
        z = abs(error[ask] - fitted.predict(table.X[ask])) / spread
        held[name, model] = {"within 80%": (z < 1.28).mean(), "within 95%": (z < 1.96).mean()}
pd.DataFrame(held).T.round(2).unstack()

# %% [markdown] slideshow={"slide_type": "fragment"}
# **What do you notice?** Read a number as "where it promised 80%, it held so many". More than promised means
# too cautious, fewer means too sure. On `pocket` the Gaussian process, which learns the noise from the
# data, comes close to what it promises. The ensemble's members miss half the genes each and therefore
# disagree, whatever the mean of them is worth: their spread is not the mean's error. The errors of
# NAS-Bench-201 are no normal distribution: most networks lie close together, some learn nothing at all,
# and these few make all intervals wide.
#
# ### Which decisions matter?
#
# Where every combination was measured, the question has an exact answer. Take the mean error of each
# choice of a gene; the variance of these means, as a share of all variance, is what the gene explains by
# itself. What is missing to 1 is noise and *interactions*: what one choice does depends on others.

# %%
for name, cost in (("pocket", "madds"), ("cifar10", "latency_ms"), ("imagenet", "latency_ms")):
    table, shares = tables[name], {}
    for column in ("top1_err", cost):
        values = pd.Series(table.columns[column].astype(float))
        by_gene = [values.groupby(x).mean().var(ddof=0) / values.var(ddof=0) for x in table.X.T]
        shares[column] = pd.Series([*by_gene, sum(by_gene)], [*table.genes, "all together"])
    print(pd.DataFrame(shares).round(2).rename_axis(name), end="\n\n")

# %% [markdown] slideshow={"slide_type": "slide"}
# **What do you notice?** Compare the two columns of a table. A decision that costs much and hardly changes
# the error is where a search saves; one that changes the error at little cost is where it spends. And
# look at *all together*: the more is missing, the less can a model know that adds genes up.
#
# ## What does asking cost?
#
# A search of 20 generations with a population of 100 (notebook 03) asks about 2,100 subnets. Seconds to
# learn from 300 subnets, and to predict as many as a search asks:

# %%
import time

queries, seconds = space.sample(2_100, 0), {}
for name in SURROGATES:
    begin = time.perf_counter()
    model = SURROGATES[name](space, 0).fit(X[order[:300]], y[order[:300]])
    middle = time.perf_counter()
    model.predict(queries)
    seconds[name] = {"fit": middle - begin, "predict": time.perf_counter() - middle}
seconds = pd.DataFrame(seconds).T
seconds.assign(total=seconds.sum(axis=1)).sort_values("total").round(2)

# %% [markdown] slideshow={"slide_type": "fragment"}
# Measuring 2,100 subnets instead would take 2,100 times what notebook 04 needs for one.
# (`python benchmarks/search.py` compares the ensemble with its members solved one by one and asked one
# architecture at a time.)
#
# ## Check yourself
#
# Write Kendall's tau for lists without ties (equal values): pairs in the same order minus pairs in
# opposite order, as a share of all pairs.


# %%
def kendall(a, b):
    return None  # your turn


a, b = np.random.default_rng(0).normal(size=(2, 12))
found = kendall(a, b)
assert found is None or abs(found - rank_metrics(a, b)["kendall"]) < 1e-9, (
    f"scipy does not say {found:.3f}: is every pair counted once, and with the right sign?"
)
print("Your turn." if found is None else f"tau = {found:.3f}, as scipy says")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What we simplified against the paper
#
# - Pocket scale: 11 genes instead of 22, drawings of 16 to 32 px instead of photos.
# - The recorded subnets were measured with weights that stayed the same. In the whole loop the
#   supernet adapts, so the archive is measured again and the surrogate learns anew (notebook 04).
# - Members see about half the genes each, a share that we chose; 500 members are those of the authors'
#   code.
# - The authors' later framework has several surrogates to choose from; its script for a search takes
#   boosted trees.
# - The paper compares its ensemble with other models, too. The thermometer code is our choice, and so
#   are the settings of the rivals: do not read this comparison as a repetition of the paper's.
#
# ## Recap
#
# - An RBF model is one linear system; it interpolates, noise included. An ensemble on random genes
#   averages the swings away.
# - A search compares, above all, so a surrogate is judged by ranks: Kendall's tau on unseen subnets.
# - What a model sees matters as much as which model it is; with few measurements, more.
# - Learning curves over several splits tell rivals apart; residuals by choice tell what is missing.
# - The best surrogate depends on how many measurements there are: the curves cross.
# - An interval is a promise to be checked: the spread of an ensemble is not its error.
#
# ## Exercises
#
# In [exercises/02_surrogate.ipynb](exercises/02_surrogate.ipynb), with hints and self-checks;
# [solutions/02_surrogate.ipynb](solutions/02_surrogate.ipynb) discusses answers.
#
# 1. *Kendall's tau with ties* (15 minutes): write it as scipy counts it.
# 2. *Guesses for rows that were not seen* (20 minutes): write cross-validation without a leak.
# 3. *Ranking within one resolution* (10 minutes): how much of a rank is the easy part?
# 4. *Are favourites overrated?* (10 minutes): compare promise and measurement.
# 5. *Beat the ensemble with a dozen columns* (40 minutes): what should a linear model see?
# 6. *One mistake* (5 minutes): what does tau say of it?
#
# ## References
#
# - Lu, Sreekumar, Goodman, Banzhaf, Deb, Boddeti: *Neural Architecture Transfer*, TPAMI 2021,
#   [arXiv:2005.05859](https://arxiv.org/abs/2005.05859), where it describes the accuracy predictor.
# - Kendall: *A New Measure of Rank Correlation*, Biometrika 30, 1938.
# - Fornberg, Flyer: *A Primer on Radial Basis Functions with Applications to the Geosciences*, SIAM,
#   2015.
# - Rasmussen, Williams: *Gaussian Processes for Machine Learning*, MIT Press, 2006,
#   [gaussianprocess.org/gpml](https://gaussianprocess.org/gpml/).
# - Hastie, Tibshirani, Friedman: *The Elements of Statistical Learning*, second edition, Springer, 2009
#   (chapter 3: ridge; 11: neural networks; 12: support vectors; 15: random forests).
# - Dong, Yang: *NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search*, ICLR
#   2020, [arXiv:2001.00326](https://arxiv.org/abs/2001.00326).
# - *Further reading:* White, Zela, Ru, Liu, Hutter: *How Powerful are Performance Predictors in Neural
#   Architecture Search?*, NeurIPS 2021, [arXiv:2104.01177](https://arxiv.org/abs/2104.01177); Lu, Deb,
#   Goodman, Banzhaf, Boddeti: *NSGANetV2: Evolutionary Multi-Objective Surrogate-Assisted Neural
#   Architecture Search*, ECCV 2020, [arXiv:2007.10396](https://arxiv.org/abs/2007.10396) (the NAT
#   authors' search before NAT, with several surrogates).
#
# ## Quiz and feedback
#
# Six questions, with a comment on each option: your first answer counts. Below them is room for what those
# who teach should know. `natlib.teach.report()` writes all that you predicted and answered on one page.

# %% slideshow={"slide_type": "skip"}
learn.quiz("02")
learn.feedback("02")
