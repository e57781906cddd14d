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
# About 1 minute of computing on a laptop, CPU; about 90 minutes to teach (planned).
#
# **You will be able to**
#
# - decide dominance by hand, and sort a population into non-dominated layers;
# - explain how reference directions keep a front spread, and what becomes of crowding with many
#   objectives;
# - run NSGA-III over encodings, with limits;
# - compare searches fairly where the true front is known, and say how much of a front is luck;
# - choose the candidates worth measuring.

# %% slideshow={"slide_type": "skip"}
# If this fails, choose the kernel of the course's environment: README.md tells how to make one.
from natlib import profiles, search
from natlib.surrogate import SURROGATES, rank_metrics
from natlib.teach import learn, plots
from natlib.teach.source import show_source
from natlib.teach.tables import FOLDER, TABLES, load_table
import numpy as np
import pandas as pd

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The problem
#
# Find subnets with a small error *and* few MAdds. The two *objectives* conflict, so there is no single
# best subnet but a *front*. Which front is the true one? In a space as large as the paper's nobody knows,
# nor does anybody know how far a search stayed from it. So this notebook works in the *pocket bench*, a
# part of the pocket space small enough to measure all of it: the kernel is chosen once for a network,
# expand ratio and depth once for each stage, the resolution as ever. All was measured with the weights
# of one supernet that was adapted to the animals (`data/README.md` says how).
#
# Such a table is a search space whose measurements are look-ups. `bench.measure` takes a matrix `X`
# with one encoding per row and returns `F`: one row for each encoding, one column for each objective.
# All objectives are minimised. What is not in the table is refused.

# %%
profile, bench = profiles.get_profile(), load_table("pocket")
F_all, true_front = bench.measure(bench.X), bench.true_front()
print(f"{len(F_all):,} subnets, of which {len(true_front)} form the true front")
try:
    bench.measure([[5, 0, 0, 0, 0, 0, 0, 0]])
except ValueError as error:
    print(error)
pd.Series(bench.genes, name="choices").to_frame()

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Dominance, by hand
#
# One subnet **dominates** another if it is worse in no objective and better in at least one. Ten
# subnets of the bench, A to J:

# %%
ten = np.random.default_rng(62).permutation(len(F_all))[:10]
F_ten = F_all[ten]
columns = ["error (%)", "MAdds (M)"]
table = pd.DataFrame(F_ten * [1, 1e-6], columns=columns, index=list("ABCDEFGHIJ"))


def dominates(a, b):
    return all(a <= b) and any(a < b)


relation = [[dominates(a, b) for b in F_ten] for a in F_ten]
beaten_by = pd.DataFrame(relation, table.index, table.index).T
table["dominated by"] = beaten_by.apply(lambda row: " ".join(row.index[row]) or "nobody", axis=1)
table.round(2).T

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
plots.show(plots.plot_layers(F_ten, layer), alt)

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
figure, axes = plots.new_figure(
    kept, 2, (8, 3.6), ("error (scaled)", "MAdds (scaled)"), sharey=True
)
for ax, rows in zip(axes, kept.values(), strict=True):
    ax.plot(*N.T, "o", color="white", mec="black", label="the last layer")
    ax.plot(*N[rows].T, "s", label="kept")
    ax.legend(loc="upper right")
for direction in directions / directions.max(axis=1, keepdims=True):
    axes[1].plot(*np.outer([0, 1.1], direction).T, color="silver", lw=1, zorder=0)
alt = "Nineteen points of a front, many at one end; seven of them are kept by each of two rules."
plots.show(figure, alt)

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
# of $1/p$, not negative, and add up to 1: the *Das-Dennis* points, a regular grid named after its authors.
# They lie on a *simplex*: a line for two objectives, a triangle for three. To each leads a direction from the ideal point. As $p$ pieces are
# shared out among $m$ objectives, there are $\binom{m+p-1}{p}$ of them.
#
# For $m = 3$ and $p = 2$ that is $\binom{4}{2} = 6$: the three corners, such as $(1, 0, 0)$, and the
# middles of the three edges, such as $(0.5, 0.5, 0)$. The cell prints them and draws those of $p = 12$.

# %%
print("m = 3, p = 2:", *search.reference_directions(3, 6).tolist(), sep="\n    ")
three = search.reference_directions(3, 91)
names = ["error (scaled)", "MAdds (scaled)", "parameters (scaled)"]
view = {"projection": "3d", "elev": 25, "azim": 35}
figure, [ax] = plots.new_figure(size=(6, 5), labels=names[:2], subplot_kw=view)
ax.plot(*three.T, "o", label=f"{len(three)} directions")
ax.plot([0], [0], [0], "X", label="ideal point")
ax.set(zlabel=names[2])
ax.legend()
plots.show(figure, f"{len(three)} directions lie evenly on the triangle between the three axes.")
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
# (`_judge` asks `evaluate`. Limits come later.)
#
# The first population, generation 0, is `X_start`, in NAT
# the front of the archive, filled up with random subnets of all sizes. To see something happen we begin
# without an archive, and measure all that the search asks for: about a quarter of the whole bench.
#
# One number for a whole front is its *hypervolume*: the share of a box that it dominates. The box
# reaches from an `ideal` corner to a worst corner, the `reference` (a point, not a direction), and must
# stay the same for all that are compared; here from the best to a little beyond the worst values of the
# true front.

# %%
show_source(search.operators, search.nsga3)
populations, shown = {}, (0, 1, 3, 6, 12, 20)
watch = {"callback": lambda generation, X, F: populations.update({generation: F})}
options = {"population": profile.population, "generations": profile.generations, "seed": 0}
found = search.nsga3(bench, bench.measure, **watch, **options)
titles = [f"generation {generation}" for generation in shown]
labels = ("MAdds (M)", "top-1 error (%)")
figure, axes = plots.new_figure(titles, 3, (8, 2.6), labels, sharex=True, sharey=True)
for ax, F in zip(axes, map(populations.get, shown), strict=True):
    ax.step(*plots.front_of(true_front[:, ::-1] * [1e-6, 1]).T, where="post", color="black")
    ax.plot(F[:, 1] / 1e6, F[:, 0], "o", ms=4, alpha=0.7)
plots.show(figure, f"Populations at generations {shown}, and the true front in black.")
print(f"share of the true front's hypervolume: {bench.reached(found.F):.3f}")
learn.predict("population")

# %% [markdown] slideshow={"slide_type": "fragment"}
# **What do you notice?** The population moves towards small values until it lies in a thin line, and
# the line lies close to the true front. But that took two thousand measurements. NAT can afford a
# hundred.
#
# With fewer, does the size of the population matter? We give each 400 look-ups, as many generations as that
# is enough for, and five seeds. Then we ask how much of the true front's hypervolume is lacking in all that
# was looked at:


# %%
def lacks(size, seed):
    def measure(X):
        seen.append(bench.measure(X))
        return seen[-1]

    seen = []
    search.nsga3(bench, measure, population=size, generations=400 // size - 1, seed=seed)
    return 1 - bench.reached(np.vstack(seen))


gaps = pd.DataFrame({size: [lacks(size, seed) for seed in range(5)] for size in (10, 50, 200)})
learn.outcome("population", gaps.mean().argmin())
gaps.describe().loc[["mean", "min", "max"]].round(4)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## A hundred measurements
#
# What a search lacks of the true front's hypervolume is its *regret*. Here is the inner loop of NAT, with
# look-ups in place of measurements and without adaptation. It begins with twenty subnets that cover MAdds
# evenly, the smallest and the largest among them; then a surrogate says what it expects of any other:


# %%
def even_sample(seed, n=20):
    rng = np.random.default_rng(seed)
    order = np.argsort(F_all[:, 1] + rng.random(len(F_all)))  # by MAdds, equals at random
    rows = [rng.choice(part) for part in np.array_split(order[1:-1], n - 2)]
    return bench.X[[order[0], *rows, order[-1]]]


def promises(model):
    return lambda X: np.column_stack([model.predict(X), bench.measure(X)[:, 1]])


# %%
def inner_loop(seed):
    X = even_sample(seed)
    while len(X) < 100:
        F = bench.measure(X)
        gp = SURROGATES["gp_onehot"](bench, seed).fit(X, F[:, 0])
        found = search.nsga3(bench, promises(gp), X[search.non_dominated(F)], seed=seed)
        rows = search.choose_candidates(found.F, F, 8, found.X, X)
        X = np.vstack([X, found.X[rows]])
    return X


guessed = np.random.default_rng(0).permutation(bench.X)[:100]
for name, X in {"NAT's inner loop": inner_loop(0), "random search": guessed}.items():
    print(f"{name}: regret {1 - bench.reached(bench.measure(X)):.4f} after {len(X)} look-ups")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Seven searches, four tables, ten seeds
#
# Two seeds are an anecdote, and one table is, too. *NAS-Bench-201* holds what others measured: 15,625
# networks, each trained from scratch on real photos (CIFAR-10, CIFAR-100, and ImageNet at 16 px with 120
# classes). Six genes say which of five operations lies on each edge of a cell (notebook 02). The objectives
# are error and latency. `data/record_searches.py` recorded ten seeds of
#
# - *random* search;
# - *regularised evolution* (Real et al.): of five drawn from the population the best gets a child with one
#   gene changed, and the oldest dies. With two objectives, the best by weights drawn anew each time;
# - *local search*: look at all neighbours, one gene away, of a network of the front, then of another;
# - *NSGA-II* and *NSGA-III*, with a population of 20;
# - *NAT's inner loop* as above; and the same with another rule for candidates, see below.
#
# All but the random one begin with the same first networks. Settings were chosen on other seeds.

# %%
recording = np.load(FOLDER / "searches.npz")
tables, methods = {name: load_table(name) for name in TABLES}, recording["methods"].tolist()
final, curves = {}, {}
for name, table in tables.items():
    F, front = table.measure(table.X), table.true_front()
    ends = [*range(10, 101, 10)]
    reached = [[[table.reached(F[r[:n]]) for n in ends] for r in runs] for runs in recording[name]]
    gaps = {m: pd.DataFrame(1 - np.array(v).T, ends) for m, v in zip(methods, reached, strict=True)}
    final[name] = {m: gap.loc[100] for m, gap in gaps.items()}
    curves[name] = {m: gaps[m] for m in ("random", "regularised evolution", "NSGA-III", methods[5])}
regrets = pd.DataFrame({name: {m: g.median() for m, g in f.items()} for name, f in final.items()})
rivals = {name: pd.DataFrame(f).iloc[:, :5].min(axis=1) for name, f in final.items()}
ahead = {name: int((final[name][methods[5]] < best).sum()) for name, best in rivals.items()}
print("NAT's inner loop is ahead of the five above it on so many of ten seeds:", ahead)
regrets.round(4)

# %%
labels = ("networks looked at", "regret (share of the true hypervolume)")
figure = plots.plot_bands(curves, labels, yscale="log")
ends = "; ".join(f"{name} {regrets[name][methods[5]]:.3f}" for name in tables)
alt = f"Regret against look-ups on four tables, ten seeds; medians of NAT's inner loop: {ends}."
plots.show(figure, alt)

# %% [markdown] slideshow={"slide_type": "fragment"}
# **What do you notice?** (The table has medians after 100 look-ups. Line: mean, band: all seeds.) Random
# search is no fool at first, but it learns nothing from what it has seen, and its curve flattens.
#
# *Where* does a search lack something? The share of a hypervolume does not say. An **attainment** curve
# does: for every limit on MAdds, the best error that a search found within it; the line is the mean of
# ten seeds, the band reaches from the best to the worst of them. Black is the truth.

# %%
grid = np.sort(true_front[:, 1])[3::3]


def attained(runs):
    best = [[F_all[r][F_all[r, 1] <= c, 0].min(initial=100) for c in grid] for r in runs]
    return pd.DataFrame(np.transpose(best), index=grid / 1e6)


shown = [0, 1, 4, 5]
found = {methods[i]: {methods[i]: attained(recording["pocket"][i])} for i in shown}
labels = ("MAdds at most (M)", "best error found (%)")
figure = plots.plot_bands(found, labels, ylim=(F_all[:, 0].min() - 0.3, 14))
for ax in figure.axes:
    ax.step(true_front[:, 1] / 1e6, true_front[:, 0], where="pre", color="black", lw=1)
plots.show(figure, "Attained errors by MAdds, ten seeds, of four searches, with the true front.")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## How much of a front is luck?
#
# The bench was measured on two halves of the validation pictures (`top1_err_a`, `top1_err_b`), the
# networks of NAS-Bench-201 were trained two or three times (*a* is the first training, *b* the mean of
# the others). Look at some networks, and take the front by measurement *a*. What does *b*, which had no
# hand in the choice, say of that front? Means of 20 draws, in points of error:

# %%
rows = []
for name, n in [(name, n) for name in TABLES for n in (10, 100, 1000)]:
    table, cost = tables[name], tables[name].measure(tables[name].X)[:, 1]
    a, b = table.measure(table.X, ["top1_err_a", "top1_err_b"]).T
    for seed in range(20):
        r = np.random.default_rng(seed).permutation(len(a))[:n]
        front = r[search.non_dominated(np.column_stack([a[r], cost[r]]))]
        rows.append((name, n, (b - a)[front].mean() - (b - a).mean()))
luck = pd.DataFrame(rows, columns=["table", "networks looked at", "luck"])
learn.predict("seeds")
luck.pivot_table(index="table", columns="networks looked at", values="luck").round(2)

# %% [markdown] slideshow={"slide_type": "fragment"}
# **What do you notice?** (What *a* and *b* differ by on average of all networks is taken off.) The front is
# chosen for being good by *a*, and some of its members were lucky there; the more networks are looked
# at, the luckier the winners. (Hardly on `cifar10`: 25,000 validation pictures leave little to luck; on
# `pocket` a half has 1,456.) So a front is chosen on validation and *reported* on test: `report` of
# notebook 04 opens the test split once.
#
# ## Do two seeds find the same?
#
# Two runs of NAT's inner loop end with nearly the same hypervolume. With the same networks, too? From each
# we take four *knee points*, those of good trade-off: one after another, the one that adds most
# hypervolume to those before it; then ordered by MAdds. The paper calls its four chosen networks M1 to
# M4, too. The table shows, over all pairs of seeds, how many of the genes differ between M1 and M1, and
# so on; for two networks drawn at random; and the mean difference of the two hypervolumes.

# %%
rows = {}
for name, table in tables.items():
    F, knees = table.measure(table.X), []
    for r in recording[name][5]:
        front = r[search.non_dominated(F[r])]
        knees.append(table.X[front[search.knee_points(F[front], 4)]])
    pairs = np.transpose(np.triu_indices(len(knees), 1))
    differ = np.mean([knees[i] != knees[j] for i, j in pairs], axis=(0, 2))
    rows[name] = dict(zip(["M1", "M2", "M3", "M4"], differ, strict=True))
    rows[name]["random pair"] = 1 - np.mean([1 / n for n in table.shape])
    rows[name]["hypervolume"] = np.ptp(final[name][methods[5]].to_numpy()[pairs], axis=1).mean()
found = pd.DataFrame(rows).T
share, chance = found.iloc[:, :4].mean().mean(), found["random pair"].mean()
happened = sum(share > edge for edge in (0.1, 0.9 * chance))
learn.outcome("seeds", happened, f"{share:.0%}; at random {chance:.0%}.")
found.round(3)

# %% [markdown] slideshow={"slide_type": "fragment"}
# **What do you notice?** On average the hypervolumes differ by three hundredths at most; the networks in none
# to seven tenths of their genes, always in fewer than two drawn at random. Many roads lead to nearly the same
# trade-off. Do not read a meaning into every gene of one found network; what *all* seeds agree
# on (look for it on `cifar10`) may mean something.
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
from ipywidgets import SelectionSlider


def draw(limit):
    F = search.nsga3(bench, bench.measure, limits=[np.inf, limit * 1e6], **options).F
    assert (F[:, 1] <= limit * 1e6).all(), "A limit was broken: nsga3 must not return such subnets."
    alt = f"The {len(F)} subnets found with at most {limit} M MAdds, the largest with "
    figure = plots.plot_front(F, before=F_all[::20], names=("some of all", "found"))
    figure.axes[0].axvline(limit, color="black", linestyle="--")
    return figure, f"{alt}{F[:, 1].max() / 1e6:.2f} M."


plots.Redrawn(draw, SelectionSlider(options=range(1, 9), value=2, description="M MAdds"))

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What to measure
#
# A hundred promising subnets, and time to measure a few. `choose_candidates` takes, one after
# another, the one that would *add most hypervolume* to the archive's measured front: a point in a
# wide gap adds more than one beside a point that is there already. What is in the archive is left
# out. Below is its source.
#
# `HV` is pymoo's hypervolume, here of a box up to 1.1 times the worst values. (With more than three
# objectives it takes long, and IGD+ judges instead, the indicator of notebook 06.) We measure as many
# subnets of the bench as the profile does at first (`profile.archive`), let a surrogate learn from them
# alone, and then look up what the candidates really are.

# %%
show_source(search.choose_candidates, search._greedy)
X_few = even_sample(0, profile.archive)
F_few = bench.measure(X_few)
learned = SURROGATES["gp_onehot"](bench, 0).fit(X_few, F_few[:, 0])
front = X_few[search.non_dominated(F_few)]
promised = search.nsga3(bench, promises(learned), front, **options)
chosen = search.choose_candidates(promised.F, F_few, profile.candidates, promised.X, X_few)
alt = f"The archive, the population found, and {len(chosen)} candidates numbered as chosen."
names = ("measured", "predicted")
figure = plots.plot_front(promised.F, before=F_few, names=names, chosen=chosen, prefix="")
plots.show(figure, alt)
truth = bench.measure(promised.X[chosen])[:, 0]
print(f"promised {promised.F[chosen, 0].mean():.2f}% on average, measured {truth.mean():.2f}%")
pd.DataFrame({"promised (%)": promised.F[chosen, 0], "measured (%)": truth}).round(2).T

# %% [markdown] slideshow={"slide_type": "fragment"}
# **What do you notice?** Compare the order of choice with the gaps of the measured front. A search prefers
# what the surrogate overrates, so what it promises tends to be too good. That is why candidates are
# *measured* before anything is believed; they join the archive, and the surrogate learns again. (The
# other way round, a lucky measurement in the archive can make good predictions look dominated. Where
# none adds any hypervolume `beside` the archive, what it adds to the chosen ones `alone` decides.)
#
# `choose_candidates` believes the mean that is predicted. A Gaussian process also says how sure it is, and
# the **expected hypervolume improvement** counts that in: a candidate that may be much better than
# predicted is worth a look. In the regrets above, "expected gain" takes this rule. On which table does it
# pay, and on which does it not?
#
# The search takes any number of objectives, such as parameters beside MAdds; notebook 06 goes on with
# that.
#
# **A challenge for a class.** Forty look-ups in a table, by any method: by hand, with a surrogate of your
# own, with `inner_loop`. Write the encodings, in the order of looking, into a JSON file (the docstring of
# `notebooks/challenge.py` shows one); `python -m natlib challenge FILES...` ranks the files by
# hypervolume against the true front. (The truth is in the table; to peep is no fun.)
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
# - A part of the pocket space that is small enough to measure all of it, with weights that stay the same:
#   what adaptation adds, notebook 04 shows. NAS-Bench-201 is not searched in the paper.
# - A Gaussian process stands for the RBF ensemble. Population (100), generations (20) and crossover of
#   the inner search are those of the authors' later framework. With two objectives that takes NSGA-II,
#   and NSGA-III only with more; we take NSGA-III for all, as the paper does.
# - Mutation is milder here: the parameter *eta* of polynomial mutation is 3, in that framework 1. Our
#   directions are those of Das and Dennis; there they are spread by minimising an energy.
# - Twenty first subnets and eight at a time, up to a hundred; that framework measures a hundred at first.
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
# - Searches are compared by regret, at the same number of measurements, over several seeds and tables. A
#   surrogate makes a hundred measurements go far.
# - A front holds lucky networks; another measurement than the one that chose them tells how lucky.
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
# 6. *Directions for twelve objectives* (5 minutes): how many would it take?
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
# - Real, Aggarwal, Huang, Le: *Regularized Evolution for Image Classifier Architecture Search*, AAAI
#   2019, [arXiv:1802.01548](https://arxiv.org/abs/1802.01548). White, Nolen, Savani: *Exploring the Loss
#   Landscape in Neural Architecture Search*, UAI 2021,
#   [arXiv:2005.02960](https://arxiv.org/abs/2005.02960) (local search).
# - Emmerich, Giannakoglou, Naujoks: *Single- and Multiobjective Evolutionary Optimization Assisted by
#   Gaussian Random Field Metamodels*, IEEE Transactions on Evolutionary Computation 10(4), 2006
#   (expected hypervolume improvement).
# - Dong, Yang: *NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search*, ICLR
#   2020, [arXiv:2001.00326](https://arxiv.org/abs/2001.00326).
# - *Further reading:* Li, Talwalkar: *Random Search and Reproducibility for Neural Architecture
#   Search*, UAI 2019, [arXiv:1902.07638](https://arxiv.org/abs/1902.07638).
# - Lu, Sreekumar, Goodman, Banzhaf, Deb, Boddeti: *Neural Architecture Transfer*, TPAMI 2021,
#   [arXiv:2005.05859](https://arxiv.org/abs/2005.05859).
#
# ## Quiz and feedback
#
# Six questions, with a comment on each option: your first answer counts. Below them is room for what those
# who teach should know. `natlib.teach.report()` writes all that you predicted and answered on one page.

# %% slideshow={"slide_type": "skip"}
learn.quiz("03")
learn.feedback("03")
