# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] slideshow={"slide_type": "slide"}
# # 3 · NSGA-III: searching a whole front at once
#
# About 1 minute of computing on a laptop, CPU; about 90 minutes to teach.
#
# **You will be able to**
#
# - decide dominance by hand, and sort a population into non-dominated layers;
# - explain how reference directions keep a front spread, and what becomes of crowding with many
#   objectives;
# - run NSGA-III over encodings, with limits, and compare it with random search fairly;
# - choose the candidates worth measuring.

# %% slideshow={"slide_type": "skip"}
# If this fails, choose the kernel of the course's environment: README.md tells how to make one.
from natlib import CostTable, SearchSpace, data, search
from natlib.profiles import get_profile
from natlib.surrogate import SURROGATES, rank_metrics
from natlib.teach import plots, plots_lessons
from natlib.teach.source import show_source
import numpy as np
import pandas as pd

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The problem
#
# Find subnets with a small error *and* few MAdds. The two *objectives* conflict, so there is no single
# best subnet but a *front*. The error comes from a surrogate (notebook 02) that learned from the
# recorded archive of the animals task; we take the Gaussian process, which ranked well there. MAdds
# are counted exactly. `evaluate` takes a matrix `X` with one encoding per row and returns `F`: one
# row for each encoding, one column for each objective. All objectives are minimised.

# %%
space, profile = SearchSpace.pocket(), get_profile()
cost = CostTable(space, num_classes=10)
archive = pd.read_csv(data.DATA / "archives" / "pocket_animals.csv")
X_archive = np.stack([space.encode(space.parse(text)) for text in archive.architecture])
F_archive = archive[["top1_err", "madds"]].to_numpy(dtype=float)
surrogate = SURROGATES["gp"](space, 0).fit(X_archive, F_archive[:, 0])


def evaluate(X):
    return np.column_stack([surrogate.predict(X), cost.madds(X)])


# %% [markdown] slideshow={"slide_type": "slide"}
# ## Dominance, by hand
#
# One subnet **dominates** another if it is worse in no objective and better in at least one. Ten
# subnets of the archive, A to J:

# %%
ten = np.random.default_rng(62).permutation(len(F_archive))[:10]
F_ten = F_archive[ten]
columns = ["error (%)", "MAdds (M)"]
table = pd.DataFrame(F_ten * [1, 1e-6], columns=columns, index=list("ABCDEFGHIJ"))
table.round(2).T


# %%
def dominates(a, b):
    return all(a <= b) and any(a < b)


relation = [[dominates(a, b) for b in F_ten] for a in F_ten]
beaten_by = pd.DataFrame(relation, table.index, table.index).T
beaten_by.apply(lambda row: " ".join(row.index[row]) or "nobody", axis=1).to_frame("dominated by")

# %% [markdown] slideshow={"slide_type": "fragment"}
# **What do you notice?** Those that nobody dominates form the front of the ten. Pick two of them: each
# is better in one objective and worse in the other. Dominance does not choose between them, and should
# not: what an error is worth in MAdds is for you to say (notebook 06).
#
# ## Non-dominated sorting
#
# An *evolutionary algorithm* keeps a *population* of solutions, here of encodings. In each *generation*
# it makes children of them and lets the best of parents and children survive. For that it needs a
# ranking of *all* of them. So peel: the front is layer 1; without it, others are no longer dominated
# and form layer 2; and so on. (These layers have nothing to do with those of a network.)

# %%
layer = np.full(10, -1)
while (layer < 0).any():
    left = np.flatnonzero(layer < 0)
    layer[left[search.non_dominated(F_ten[left])]] = layer.max() + 1
members = [" ".join(table.index[layer == i]) for i in range(layer.max() + 1)]
alt = "Ten subnets, A to J, in layers: " + "; ".join(members) + "."
plots.show(plots_lessons.plot_layers(F_ten, layer), alt)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Who survives within a layer?
#
# Each generation doubles the population with children and keeps the better half: layer 1, layer 2,
# ... until one no longer fits. Of that last layer only some may stay, and they should be *spread*. (NSGA
# stands for *non-dominated sorting genetic algorithm*.)
#
# - **NSGA-II** keeps those with the largest *crowding distance*: the sum, over objectives, of the gap
#   between a point's two neighbours in that objective; infinite at the ends, which always stay.
# - **NSGA-III** lays *reference directions* over the objectives, from the *ideal point* (the best value
#   of each objective) outwards. Each point belongs to the direction that it lies closest to; directions
#   with the fewest survivors choose first, and begin with their closest point.
#
# A front with a crowd of points at one end, of which seven may stay. (`N` is `F` scaled so that each
# objective reaches from 0, its best, to 1, its worst value.)

# %%
t = np.concatenate([np.linspace(0, 0.25, 12), [0.3, 0.4, 0.5, 0.65, 0.8, 0.9, 1.0]])
N = np.column_stack([np.cos(t * np.pi / 2), np.sin(t * np.pi / 2)])
N = 1 - N[:, ::-1]  # a front that bends towards the ideal point, both objectives in [0, 1]


def crowding(N):
    distance = np.zeros(len(N))
    for f in N.T:
        order = np.argsort(f)
        distance[order[1:-1]] += f[order[2:]] - f[order[:-2]]
        distance[order[[0, -1]]] = np.inf
    return distance


# %%
directions = search.reference_directions(2, 7)
kept = {
    "crowding (NSGA-II)": np.argsort(-crowding(N))[:7],
    "directions (NSGA-III)": search.select_best(N, 7),
}
alt = "Nineteen points of a front, many at one end; seven of them are kept by each of two rules."
plots.show(plots_lessons.plot_survivors(N, kept, directions), alt)

# %% [markdown] slideshow={"slide_type": "fragment"}
# **What do you notice?** With two objectives both rules spread. But crowding looks at neighbours
# *within each objective*: with five objectives, two points may be neighbours in one of them and far
# apart in all others.
#
# How much does the crowding distance then say about the room around a point? We draw 200 points of a
# flat front (coordinates add up to 1), correlate the crowding distance of each with the distance to
# its nearest neighbour (Spearman's rho), and let both rules keep 50. The last columns say how far
# apart those are; 1 is as far as 50 points drawn at random. All are means over five seeds.

# %%
from scipy.spatial.distance import cdist


def nearest(N):
    return np.sort(cdist(N, N), axis=1)[:, 1]  # column 0 is the point itself


rows = []
for m, seed in [(m, seed) for m in (2, 3, 5, 12) for seed in range(5)]:
    N_m = np.random.default_rng(seed).dirichlet(np.ones(m), 200)
    distance, room = crowding(N_m), nearest(N_m)
    rho = rank_metrics(room[np.isfinite(distance)], distance[np.isfinite(distance)])["spearman"]
    kept = {"crowding": np.argsort(-distance)[:50], "directions": search.select_best(N_m, 50)}
    apart = {name: nearest(N_m[k]).mean() / nearest(N_m[:50]).mean() for name, k in kept.items()}
    rows.append({"objectives": m, "rho": rho, **apart})
pd.DataFrame(rows).groupby("objectives").mean().round(2)

# %% [markdown] slideshow={"slide_type": "fragment"}
# **What do you notice?** Crowding tells the room around a point with two objectives, and little of it
# with more. Directions spread better up to five objectives. With twelve, neither rule spreads 50
# points much better than chance: the room has become too large for so few.
#
# ## The simplex of directions
#
# Where do the directions come from? For $m$ objectives take all points whose coordinates are multiples
# of $1/p$, not negative, and add up to 1 (Das and Dennis). They lie on a *simplex*: a line for two
# objectives, a triangle for three. To each leads a direction from the ideal point. As $p$ pieces are
# shared out among $m$ objectives, there are $\binom{m+p-1}{p}$ of them.
#
# For $m = 3$ and $p = 2$ that is $\binom{4}{2} = 6$: the three corners, such as $(1, 0, 0)$, and the
# middles of the three edges, such as $(0.5, 0.5, 0)$. The cell prints them and draws those of $p = 12$.

# %%
print("m = 3, p = 2:", *search.reference_directions(3, 6).tolist(), sep="\n    ")
three = search.reference_directions(3, 91)
names = ["error (scaled)", "MAdds (scaled)", "parameters (scaled)"]
alt = f"{len(three)} directions lie evenly on the triangle between the three axes."
plots.show(plots_lessons.plot_simplex(three, names), alt)
for m in (2, 3, 5, 12):
    print(f"{m:2d} objectives, at most 100 directions: {len(search.reference_directions(m, 100))}")

# %% [markdown] slideshow={"slide_type": "fragment"}
# Here $p$ is the largest that fits. With $p < m$ every direction has a zero, so none is a compromise of
# all objectives; from four objectives on, a second simplex, half as large, therefore takes the room that
# is left (with five objectives 15 directions beside 70). Before directions are used, the objectives are
# scaled by the population's own best and worst values; otherwise MAdds in millions would drown errors
# in percent.
#
# ## On the real problem
#
# Two parents are drawn at random. By *two-point crossover* (probability 0.9) a child has the genes of
# one parent, but those between two random places are the other parent's. Then each gene *mutates*
# with probability one in `n_var`: it becomes another integer, more often a near one (*polynomial
# mutation*, rounded). Any integers come out of that, holes between layers too; `space.repair` makes
# each child canonical (notebook 01).
#
# These *operators*, sorting and survival are those of the library pymoo. What natlib adds are the
# encodings, their repair and our directions. Here are the lines that run, without docstrings: pymoo
# *asks* for the objectives of a generation's children, is *told* them, and lets the better half live.

# %%
show_source(search.operators, search.nsga3)

# %% [markdown] slideshow={"slide_type": "subslide"}
# (`_judge` asks `evaluate`. Limits come later.) The first population, generation 0, is `X_start`, in NAT
# the front of the archive, filled up with random subnets of all sizes. To see something happen we begin
# without the archive.

# %%
populations = {}


def watch(generation, X, F):
    if generation in (0, 1, 3, 6, 12, 20):
        populations[generation] = F.copy()


options = {"population": profile.population, "generations": profile.generations, "seed": 0}
found = search.nsga3(space, evaluate, callback=watch, **options)
figure = plots_lessons.plot_generations(populations, F_archive)
alt = f"Populations at generations {list(populations)}, moving to the archive's front and past it."
plots.show(figure, alt)

# %% [markdown] slideshow={"slide_type": "fragment"}
# **What do you notice?** The population moves towards small values until it lies in a thin line. (Is the
# costly end still covered? A subnet vanishes if the surrogate thinks a cheaper one as good.) Where it
# passes the grey front of the archive, the surrogate *promises* something better than anything measured.
# A promise: only measuring will tell.
#
# ## The honest opponent: random search
#
# One number for a whole front is its *hypervolume*: the share of a box that it dominates. The box
# reaches from an `ideal` corner to a worst corner, the `reference` (a point, not a direction), and must
# stay the same for all that are compared; here from no error and the least MAdds to the archive's worst
# values. Random search, with decisions drawn uniformly or subnets spread evenly over MAdds, gets as many
# questions to the surrogate as NSGA-III. For each, all answers count, not only the last population.

# %%
population, questions = profile.population, profile.population * (profile.generations + 1)


def nsga3_answers(population, seed):
    given = []

    def recording(X):
        given.append(evaluate(X))
        return given[-1]

    generations = questions // population - 1
    search.nsga3(space, recording, population=population, generations=generations, seed=seed)
    return np.vstack(given)


# %%
reference, ideal = F_archive.max(axis=0), [0.0, F_archive[:, 1].min()]


def volume_by_questions(F):
    ends = range(population, len(F) + 1, population)
    return pd.Series({n: search.hypervolume(F[:n], reference, ideal) for n in ends})


def spread_answers(seed):
    X = search.sample_spread(space, cost.madds, questions, seed)
    return evaluate(np.random.default_rng(seed).permutation(X))


# %%
answers = {
    "NSGA-III": lambda seed: nsga3_answers(population, seed),
    "random": lambda seed: evaluate(space.sample(questions, seed)),
    "random, even in MAdds": spread_answers,
}
curves = {
    name: [volume_by_questions(answer(seed)) for seed in range(5)]
    for name, answer in answers.items()
}
ends = ", ".join(f"{name} {np.mean([s.iloc[-1] for s in c]):.3f}" for name, c in curves.items())
figure = plots.plot_hypervolume(curves, "architectures that the surrogate was asked about")
plots.show(figure, f"Hypervolume against questions, five seeds; mean at the end: {ends}.")

# %% [markdown] slideshow={"slide_type": "fragment"}
# **What do you notice?** Random search is no fool, the more so if it covers MAdds evenly: many subnets
# are good, and a front needs only a few. But it learns nothing from what it has seen, and its curve
# flattens. (All of this is by the surrogate's predictions: it compares searches, not networks.)
#
# ## How large a population?
#
# The same number of questions can go to many generations of few or to few generations of many.

# %%
results = {}
for size in (10, 20, 50, 100, 300):
    fronts = [nsga3_answers(size, seed) for seed in range(5)]
    results[f"population {size}"] = [search.hypervolume(F, reference, ideal) for F in fronts]
means = {name: np.mean(values) for name, values in results.items()}
alt = "Final hypervolume for five seeds; means: " + ", ".join(
    f"{name} {mean:.4f}" for name, mean in means.items()
)
plots.show(plots.plot_modes(results, "final hypervolume (share of the box)"), alt)

# %% [markdown] slideshow={"slide_type": "fragment"}
# **What do you notice?** A small population has few directions and so few points on its front; a large
# one has hardly any generations to improve in. Is there a size that loses clearly? Mind the scale of
# the axis, and the spread of the seeds.
#
# ## Limits
#
# "At most two million MAdds" is not an objective but a *constraint*. A subnet that breaks it loses
# against every subnet that keeps it, and of two that break it the one that does so by less wins, be it
# as a survivor or as a parent; within the limit the front is searched as before. So the whole population
# goes where it is allowed to be. `limits` has a number for each objective, infinity where there is none.
#
# Below, move the limit; each move searches again. (Without a running kernel you see the picture for one
# limit.)


# %%
def within(limit):
    front = X_archive[search.non_dominated(F_archive)]
    return search.nsga3(space, evaluate, front, limits=[np.inf, limit], **options)


limited = within(2e6)
assert (limited.F[:, 1] <= 2e6).all(), "A limit was broken: nsga3 must not return such subnets."
print(f"{len(limited.X)} architectures, the largest with {limited.F[:, 1].max():,.0f} MAdds")

# %%
plots_lessons.LimitSlider(within, F_archive, limits=np.arange(1, 10) * 1e6)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What to measure
#
# A hundred promising subnets, and time to measure a few. `choose_candidates` takes, one after
# another, the one that would *add most hypervolume* to the archive's measured front: a point in a
# wide gap adds more than one beside a point that is there already. What is in the archive is left
# out:

# %%
show_source(search.choose_candidates, search._greedy)

# %% [markdown] slideshow={"slide_type": "subslide"}
# `HV` is pymoo's hypervolume, here of a box up to 1.1 times the worst values. (With more than three
# objectives it takes long, and IGD+ judges instead, the indicator of notebook 06.) To see gaps, we keep
# only some subnets of the archive, as many as the profile measures at first (`profile.archive`), and
# let a surrogate learn from them alone.

# %%
few = np.random.default_rng(0).permutation(len(X_archive))[: profile.archive]
X_few, F_few = X_archive[few], F_archive[few]
learned = SURROGATES["gp"](space, 0).fit(X_few, F_few[:, 0])
promised = search.nsga3(
    space,
    lambda X: np.column_stack([learned.predict(X), cost.madds(X)]),
    X_few[search.non_dominated(F_few)],
    **options,
)
new = {"X_new": promised.X, "X_archive": X_few}
chosen = search.choose_candidates(promised.F, F_few, profile.candidates, **new)
alt = f"The archive, the population found, and {len(chosen)} candidates numbered as chosen."
plots.show(plots_lessons.plot_candidates(F_few, promised.F, chosen), alt)

# %% [markdown] slideshow={"slide_type": "fragment"}
# **What do you notice?** Compare the order of choice with the gaps of the black front. And how far
# below that front do the predictions lie? We do not measure here (notebook 04 does), but we can ask for
# a second opinion: the surrogate that learned from the whole recording.

# %%
opinion = surrogate.predict(promised.X[chosen])
print(
    f"promised: {promised.F[chosen, 0].mean():.2f}% on average, second opinion {opinion.mean():.2f}%"
)
print(f"archive subnets as good as the best opinion: {(F_few[:, 0] <= opinion.min()).sum()}")
pd.DataFrame({"promised (%)": promised.F[chosen, 0], "opinion (%)": opinion}).round(2).T

# %% [markdown] slideshow={"slide_type": "fragment"}
# A search prefers what the surrogate overrates, so what it promises tends to be too good. That is why
# candidates are *measured* before anything is believed; they join the archive, and the surrogate
# learns again: the loop of notebook 04. (The other way round, a lucky measurement in the archive can
# make good predictions look dominated. Where none adds any hypervolume `beside` the archive, what it
# adds to the chosen ones `alone` decides.)
#
# ## Many objectives
#
# The search takes any number of objectives. Parameters as a third:

# %%
names = ["top1_err", "madds", "params"]
found = search.nsga3(space, lambda X: np.column_stack([evaluate(X), cost.params(X)]), **options)
print(f"{search.non_dominated(found.F).sum()} of {len(found.F)} do not dominate each other")
knees = search.knee_points(found.F, 4)
table = pd.DataFrame(found.F[knees], columns=names, index=["M1", "M2", "M3", "M4"])
table.assign(architecture=[str(space.decode(x)) for x in found.X[knees]]).round(2)

# %% [markdown] slideshow={"slide_type": "fragment"}
# The table shows *knee points*, those of good trade-off: chosen one after another, each the one that
# adds most hypervolume to those before it, in the box from the best to the worst values found; then
# ordered by MAdds. The paper calls its four chosen networks M1 to M4, too. Notebook 06 goes on with many
# objectives.
#
# ## Check yourself
#
# The box reaches from (0, 0), its ideal corner, to (4, 4). Three points: (1, 3), (2, 2) and (3, 3).
# How many of the 16 squares do they dominate? Draw it on squared paper and count, then replace `None`.

# %%
squares = None
share = search.hypervolume([[1, 3], [2, 2], [3, 3]], reference=[4, 4], ideal=[0, 0])
assert squares is None or squares == round(16 * share), (
    f"{squares} is not right: does each point add squares, and is none counted twice?"
)
print("Your turn." if squares is None else f"Right: a hypervolume of {share:.4f}")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What we simplified against the paper
#
# - 11 genes instead of 22, one width multiplier.
# - A Gaussian process that learned once from a recording stands for the RBF ensemble that learns anew
#   in each iteration. Population (100), generations (20) and crossover are those of the authors'
#   later framework. With two objectives that takes NSGA-II, and NSGA-III only with more; we take
#   NSGA-III for all, as the paper does.
# - Mutation is milder here: the parameter *eta* of polynomial mutation is 3, in that framework 1. Our
#   directions are those of Das and Dennis; there they are spread by minimising an energy.
# - Most searches here begin with random subnets, to be seen at work; NAT's begin with the front of the
#   archive.
# - That framework chooses candidates so that the costs along the front are evenly spaced; we let
#   hypervolume say where it gains most (with four or more objectives IGD+, the indicator of notebook
#   06). The paper's M1 to M4 are points of good trade-off, too; hypervolume as the measure of that is
#   our choice.
# - From four objectives on we lay directions in two layers, where there is room; the authors of NSGA-III
#   do so with many objectives.
#
# ## Recap
#
# - Dominance compares pairs; peeling the front off again and again sorts a whole population.
# - Within a layer, reference directions keep the spread. Crowding knows little of it beyond two
#   objectives; with very many, a population of this size is sparse whatever the rule.
# - Operators work on integers and every child is repaired to its canonical encoding; limits come
#   before objectives.
# - Random search is the opponent to beat: same number of questions, several seeds, one box.
# - Of what is found, those candidates are measured that fill the gaps of the front.
#
# ## Exercises
#
# In [exercises/03_nsga3.ipynb](exercises/03_nsga3.ipynb), with hints and self-checks;
# [solutions/03_nsga3.ipynb](solutions/03_nsga3.ipynb) discusses answers.
#
# 1. *Hypervolume in two objectives* (10 minutes): write the area that a front dominates.
# 2. *Non-dominated sorting* (20 minutes): number the layers of a population.
# 3. *The survivors of NSGA-II* (25 minutes): write crowding distance and put it into a small search.
# 4. *Closing holes* (15 minutes): write the repair of a stage.
# 5. *An objective of your own: activation memory* (45 minutes): count it, search with it, compare.
#
# ## References
#
# - Deb, Jain: *An Evolutionary Many-Objective Optimization Algorithm Using Reference-Point-Based
#   Nondominated Sorting Approach, Part I: Solving Problems With Box Constraints*, IEEE Transactions on
#   Evolutionary Computation 18(4), 2014. Part II, by Jain and Deb in the same issue, handles limits.
# - Deb, Pratap, Agarwal, Meyarivan: *A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II*,
#   IEEE Transactions on Evolutionary Computation 6(2), 2002.
# - Das, Dennis: *Normal-Boundary Intersection: A New Method for Generating the Pareto Surface in
#   Nonlinear Multicriteria Optimization Problems*, SIAM Journal on Optimization 8(3), 1998.
# - Zitzler, Thiele: *Multiobjective Evolutionary Algorithms: A Comparative Case Study and the Strength
#   Pareto Approach*, IEEE Transactions on Evolutionary Computation 3(4), 1999 (hypervolume).
# - Blank, Deb: *pymoo: Multi-Objective Optimization in Python*, IEEE Access 8, 2020,
#   [pymoo.org](https://pymoo.org).
# - *Further reading:* Li, Talwalkar: *Random Search and Reproducibility for Neural Architecture
#   Search*, UAI 2019, [arXiv:1902.07638](https://arxiv.org/abs/1902.07638).
# - Lu, Sreekumar, Goodman, Banzhaf, Deb, Boddeti: *Neural Architecture Transfer*, TPAMI 2021,
#   [arXiv:2005.05859](https://arxiv.org/abs/2005.05859).
