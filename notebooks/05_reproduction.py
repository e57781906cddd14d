# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] slideshow={"slide_type": "slide"}
# # 5 · Reproduction: the eleven data sets
#
# About 1 minute of computing on a laptop, CPU (two cores; a GPU is used where there is one).
# About 90 minutes to teach (planned).
#
# **You will be able to**
#
# - say what the eleven data sets of the paper are, how each is split, and how to get it;
# - tell published, counted and measured figures apart, in a table that never mixes them;
# - compare the networks that NAT found for different data sets, and with other networks for phones;
# - rehearse the whole reproduction without any of the data, and then run it for real;
# - make a task of any folder of your own pictures.

# %% slideshow={"slide_type": "skip"}
# If this fails, choose the kernel of the course's environment: README.md tells how to make one.
from natlib.paper import datasets, miniatures, results
from natlib.paper.reproduce import REHEARSAL, reproduce
from natlib.teach import learn, plots
import tempfile
from pathlib import Path
import numpy as np
import pandas as pd

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Three kinds of truth
#
# A figure can be *published*: somebody says so. It can be *counted*: an architecture is known, and
# anybody can count its parameters and MAdds (multiply-adds for one picture). Or it can be
# *measured*, by a run of your own. Mixed, they mislead: so here each stands in columns of its own,
# beside its source. What has not been run says *not run*.
#
# ## The eleven at a glance
#
# NAT transfers a supernet that was pre-trained on ImageNet to eleven data sets, ImageNet itself among
# them. They lie below one folder, which the environment variable `NATLIB_DATA` names. Nothing is
# downloaded unless you ask for it; `here` says what you have, `archive_gb` how many GB to download.

# %%
sets = datasets.overview()
sets[["title", "classes", "train", "valid", "test", "archive_gb", "download", "here"]]

# %% [markdown] slideshow={"slide_type": "subslide"}
# The *test* split is the official test split (for ImageNet the official validation pictures, because
# the labels of its test pictures are secret; for DTD the first of ten splits). All other labelled
# pictures are for learning: a fifth of them, at most 10,000, becomes *valid*, drawn by a seed, each
# class in proportion. A search sees *train* and *valid*, never *test*. One function makes a task of
# any of the eleven:

# %%
from natlib.teach.source import show_source

show_source(datasets.valid_size, datasets.dataset_task)

# %% [markdown] slideshow={"slide_type": "subslide"}
# Who may use the pictures, and for what? Read before you download. Three of them have to be got by
# hand: `status` says what is there, what is missing and what to do.

# %%
folder = Path(tempfile.mkdtemp())
print(datasets.status("cars", folder))
sets[["terms", "source"]].style.set_properties(**{"text-align": "left"})

# %% [markdown] slideshow={"slide_type": "slide"}
# ## A rehearsal
#
# Without any of the data the whole pipeline can still be tried. `rehearse` writes a miniature of each
# data set, files and folders as in the original, so that the real loaders read it. But the pictures
# are few, and each is drawn by this function: the class decides roughly how its stripes run. In a
# shell: `python -m natlib rehearse FOLDER`.

# %%
show_source(miniatures.draw)
rehearsal = miniatures.rehearse(folder / "rehearsal")
roots = {name: None if here == "yes" else rehearsal for name, here in sets.here.items()}
tasks = {name: datasets.dataset_task(name, root) for name, root in roots.items()}
sizes = {name: [len(task.train), len(task.valid), len(task.test)] for name, task in tasks.items()}
pd.DataFrame(sizes, index=["train", "valid", "test"]).T.assign(
    task=[task.name for task in tasks.values()]
)

# %%
pictures = {}
for task in tasks.values():
    by_class = np.argsort(task.train.labels, kind="stable")
    some = by_class[np.linspace(0, len(by_class) - 1, 6).astype(int)]
    pictures[task.name] = np.transpose(task.train.images[some], (0, 2, 3, 1))
figure = plots.plot_rows(pictures, [""] * 6)
plots.show(figure, f"Six pictures of each of: {', '.join(pictures)}.")
learn.predict("counted")

# %% [markdown] slideshow={"slide_type": "fragment"}
# Rows that are called *rehearsal* show generated stripes; the others, real pictures that were found
# in your data folder. Everything that comes from a rehearsal keeps that word, and none of it ever
# enters a column of results.
#
# ## The published networks, counted here
#
# The authors put 14 of their networks online. We know their architectures, so we count what they
# cost. Our MAdds are those of convolutions and linear layers, squeeze-and-excitation and classifier
# included, batch norm and activations not. Published figures (`params`, `madds`) are in millions, NaN
# where there is none; what we count is exact. A network that is not in the paper's table has the name
# of the authors' file.

# %%
networks = results.published_networks()
networks["difference_percent"] = 100 * (networks.counted_madds / 1e6 / networks.madds - 1)
columns = ["dataset", "network", "top1", "params", "counted_params", "madds", "counted_madds"]
networks[[*columns, "difference_percent"]].round(2)

# %% slideshow={"slide_type": "subslide"}
low, high = networks.difference_percent.min(), networks.difference_percent.max()
print(f"Our MAdds differ from the published ones by {low:.2f}% to {high:.2f}%.")
rounded = (networks.counted_params / 1e6 - networks.params).abs().max()
print(f"Parameters differ by {rounded:.3f} million at most; published ones have one decimal.")
happened = 0 if max(-low, high) < 0.05 else 3 if low < -40 else 1 if high < 0 else 2
learn.outcome("counted", happened)

# %% [markdown] slideshow={"slide_type": "fragment"}
# **What do you notice?** Parameters agree to about the published decimal, but we always count fewer
# MAdds. Rounding to a million explains half a million at most, and only one network differs by so
# little. Nor can batch norm and activations be the reason in all cases: NAT-M4 on ImageNet has more of
# them than NAT-M2 (notebook 01), yet a far smaller difference. What is left: not all published MAdds
# were counted in one way, or for exactly these architectures. We do not know which; so both are shown.
#
# How do networks for cars, textures (DTD), food and CIFAR-10 differ? As in notebook 01, one bar is one
# layer, as high as its expand ratio; colour and digit are its kernel size. Dotted bars are layers that
# were skipped.

# %%
from natlib.space import SearchSpace

by_name = networks.set_index("dataset").architecture
chosen = {name: by_name[name] for name in ("cars", "dtd", "food101", "cifar10")}
alt = "; ".join(
    f"{name} {arch.resolution} px, depths {arch.depths}" for name, arch in chosen.items()
)
figure = plots.draw_architecture(chosen, SearchSpace.paper())
plots.show(figure, f"Layers of four published networks: {alt}.")

# %%
shape = {
    f"{n.dataset} {n.network}": {
        "resolution": n.architecture.resolution,
        "width": n.architecture.width,
        "layers": sum(n.architecture.depths),
        "mean kernel": sum(n.architecture.kernels) / sum(n.architecture.depths),
        "mean expand": sum(n.architecture.expands) / sum(n.architecture.depths),
    }
    for n in networks.itertuples()
}
pd.DataFrame(shape).T.sort_values("resolution", ascending=False).round(2)

# %% [markdown] slideshow={"slide_type": "subslide"}
# **What do you notice?** Cars, aircraft and food have the highest resolutions, perhaps because small
# details decide there. The three sets of 32-pixel pictures (CIFAR-10, CIFAR-100, CINIC-10) have the
# largest mean kernels, perhaps because enlarged pictures hold no small details. They have the lowest
# resolution, too, but three networks of ImageNet, with its large photos, share it. And these are one or a
# few networks each, at different costs, from one search: take it as a question to ask, not as a law.
#
# ## The table
#
# For every data set the paper's NAT-M1 to M4, and the published networks that are not among them. An
# architecture is written as in notebook 01, with the activation function at its end. Under *counted
# here* a top-1 stands only if you have the authors' weights: it is what they gave on test. `runs` is
# where your own results are looked for, wherever below it they lie.

# %%
runs = Path("../runs")
table = results.reproduction_table(runs)
results.styled(table)

# %% [markdown] slideshow={"slide_type": "fragment"}
# A dash is a figure that nobody published, or that was not run. One published figure contradicts another
# one of the same paper: the row of `cars NAT-M1` says so. (`results.write_table(table, folder)` writes
# the table as CSV and as Markdown, to take it elsewhere.)

# %%
# Self-check: does the table hold what was published, all of it, and nothing invented?
published = table[table[("", "network")].str.startswith("NAT-M")]
assert len(published) == 44, "The paper has 44 results: restore data/paper/results.csv with git."
not_run = table[table[(results.YOURS, "source")] == "not run"]
assert not_run[(results.YOURS, "top-1 (%)")].isna().all(), "A figure stands where nothing was run."
print(
    f"44 published results, {len(networks)} networks counted, {48 - len(not_run)} rows are yours."
)
yours = table[(results.YOURS, "top-1 (%)")].notna().sum()
plots.show(
    plots.plot_reproduction(table),
    "Top-1 accuracy against MAdds, one panel for each of the eleven data sets: the paper's four "
    f"points rise from left to right everywhere; {yours} points are from your own runs.",
)
learn.predict("mobile")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The mobile setting
#
# The abstract of the paper claims to improve on the state of the art "under mobile settings", with at
# most 600 million MAdds. Here published figures for ImageNet stand side by side. The others' are those
# that come with torchvision's weights, and those in the names of two published networks of Once-for-all
# (the supernet that NAT starts from, notebook 01).

# %%
mobile = results.mobile_setting()
mobile.style.format({"top1": "{:.1f}", "params": "{:.1f}", "madds": "{:.0f}"}, na_rep="–")

# %%
best = mobile.loc[mobile.top1.idxmax()]
figure, [ax] = plots.new_figure(size=(9, 4.5), labels=("MAdds (M)", "ImageNet top-1 accuracy (%)"))
for (name, group), look in zip(mobile.groupby("family", sort=False), plots.LOOKS, strict=True):
    ax.plot(group.madds, group.top1, lw=1.5 * (name == "NAT"), label=name, **look)
ax.axvline(results.MOBILE_LIMIT, color="black", linestyle=":", label="600M MAdds")
figure.legend(loc="outside right")
plots.show(
    figure,
    "ImageNet top-1 against MAdds: the line of NAT-M1 to M4 lies above the other networks or on "
    f"Once-for-all's; the most accurate up to 600M is {best.network} with {best.top1:g}%.",
)
nat, other = (mobile[mobile.family == family] for family in ("NAT", "Once-for-all"))
beside = np.interp(other.madds, nat.madds, nat.top1) - other.top1.to_numpy()
happened = sum(beside.mean() >= points for points in (0, 1, 3))
learn.outcome("mobile", happened, f"By {beside[0]:+.1f} and {beside[1]:+.1f} points.")

# %% [markdown] slideshow={"slide_type": "fragment"}
# **What do you notice?** NAT and Once-for-all are close together, and well above the rest. They share
# the search space and the supernet, which was trained with distillation (see the references). How much
# is due to the search, and how much to the training? These figures alone cannot tell, because every
# family was trained by a recipe of its own: look at the two rows of `mobilenet_v3_large`, one
# architecture, two recipes.
#
# ## A ledger of claims
#
# What does the abstract claim, and what supports it? First what the paper's own numbers and the published
# networks say. The gains beside a fixed network, EfficientNet-B0, fine-tuned, are read off the paper's
# figure near 390 M MAdds, for seven of its ten transfer sets. What others' searches cost is what they
# published (`search_cost.csv`, with sources); none of it includes training the networks that were found,
# and NAT's GPU-day does not include pre-training its supernet.

# %%
paper, cost = results.published_results(), pd.read_csv(results.PAPER / "search_cost.csv")
gain = {"pets": 2.8, "aircraft": 2.7, "cars": 2.1, "food101": 2.0, "flowers102": 1.4}
gain = pd.Series(gain | {"cifar10": 0.1, "cifar100": -0.6})  # in points
said = {"results": len(paper), "sets": paper.dataset.nunique(), "networks": len(networks)}
said |= {"network_sets": networks.dataset.nunique(), "low": low, "high": high, "gain": gain}
said |= {"beyond": (paper.madds > 600).sum(), "mean_gain": gain.mean(), "n_gains": len(gain)}
said["beside"] = beside
said["size_rho"] = gain.corr(sets.train + sets.valid, "spearman")
said |= {"cost": cost.set_index("method").gpu_days, "ahead": (gain > 0).sum()}
known = cost.dropna(subset="gpu_days").sort_values("gpu_days", ascending=False)
figure, [ax] = plots.new_figure(size=(7, 3), labels=("GPU-days, as published", ""))
ax.barh(known.method + ": " + known.finds + ", " + known.data, known.gpu_days, log=True)
plots.show(figure, "GPU-days: " + known[["method", "gpu_days"]].to_csv(sep=" ", index=False))

# %% [markdown] slideshow={"slide_type": "subslide"}
# Then what our studies at pocket scale say (notebooks 04 and 06; `data/study_pocket.py`). Differences are
# taken within pairs (same task, seed and budget); shown are their mean, their range, and how many are ahead.
# *Not run* is what was not recorded. For three and twelve objectives the pairs are the four sizes of one run,
# whose networks were not fine-tuned.
#
# First: what does *one transfer for many deployments* save? A deployment is a limit in MAdds that needs a
# network of its own. Fixed networks cost as much each time: training at every rate tried, and measuring. A
# transfer is paid once, training and measuring; each deployment adds a little fine-tuning. So the more
# deployments, the less it costs for each (in TMAdds, $10^{12}$ multiply-adds; whole train split). Only
# seeds that were recorded at all budgets up to 16 enter: fixed networks at a sixteenth, a quarter, 1, 4 and
# 16 times the quick profile's training, transfers from 1 on. The table says from how many deployments on
# the transfer is the cheaper way to *its own* accuracy, seed / seed, at each of its budgets (columns):
# *never*, if fixed networks remain cheaper; *beyond*, if it is beyond all of them, up to 16 times quick.
# What fixed networks cost at that accuracy is interpolated in the logarithm of the cost. In the figure
# (*all rates*, mean of four sizes) a line joins budgets, at the mean of the seeds, and *NAT, 8* is for
# eight deployments: where it meets the line of the fixed networks, both are as accurate for the same total
# cost.
#
# The number rests on the rates. Fixed networks pay for each that they try (*all rates*); the transfer takes
# those of its profile, and what it cost to choose them was not counted. If the right rate of each fixed
# network were known, too (*one rate*), the transfer would in most cases pay only after many more
# deployments. It rests on measuring, too, which at the quick budget takes about two thirds of what a
# transfer costs. And it rests on sizes: the mean of four hides that at the smallest the transfer pays late
# or never. On the animals a deployment hardly needs a network of its own: at the quick budget the smallest
# fixed network is, in every seed, more accurate than all four of NAT's, so that it alone would serve all
# these limits.
#
# In the code, `each` of a transfer's networks carries a quarter of the whole (`once / 4`) and its own
# fine-tuning: for `n` deployments, the quarter is replaced by an `n`-th.


# %%
modes, fixed = (pd.read_csv(results.DATA / "archives" / f"{n}.csv") for n in ("modes", "fixed"))


def told(gain):
    spread = f"{gain.mean():+.1f} points ({gain.min():+.1f} to {gain.max():+.1f}; ahead in "
    return f"{spread}{(gain > 0).sum()} of {len(gain)})"


def ahead(table, ours, other, value, by):
    keys = [key for key in ("task", "seed", "fraction", "budget", "mode", "method") if key in table]
    means = table.groupby(keys)[value].mean().unstack().reindex(columns=[ours, other])
    gain, said = (means[ours] - means[other]).dropna().groupby(by), []
    for values, of_it in gain:
        name = ", ".join(f"{key} {value}" for key, value in zip(by, values, strict=True))
        said.append(f"{name.removeprefix('task ')}: {told(of_it)}")
    return "; ".join(said) or "not run"


# %%
def curves(rows, most):  # of the rates that were tried, so many count
    spent = (rows.train_madds + rows.measure_madds) * rows.trials.clip(upper=most)
    table = rows.assign(each=spent / 4e12)  # there are four networks
    table = table.pivot_table(["each", "test_top1"], "budget", "method")
    nat, family = (table.xs(m, axis=1, level=1).dropna() for m in ("nat_finetuned", "fixed"))
    return nat, 4 * table["each", "nat"].dropna(), family.set_index("each")


def deployments(nat, once, alone):
    best = alone[alone.test_top1 == alone.test_top1.cummax()]
    cost = np.exp(np.interp(nat.test_top1, best.test_top1, np.log(best.index), np.nan, np.inf))
    return once / (cost - nat["each"] + once / 4)


# %%
def in_words(n):  # none: below the cheapest network's accuracy; 0: above that of all networks
    words = f"{np.ceil(n):.0f}" if n > 0 else "never" if n else "beyond"
    return "worse" if np.isnan(n) else words


whole, needed = fixed[fixed.fraction == 1], {}
kept = whole[whole.budget <= 16]  # larger ones are for cards
every = {("fixed", b) for b in kept.budget} | {("nat_finetuned", b) for b in kept.budget if b >= 1}
seeds = kept.groupby(["task", "seed"])
complete = seeds.filter(lambda rows: every <= {*zip(rows.method, rows.budget, strict=True)})
for (task, seed), rows in complete.groupby(["task", "seed"]):
    for size, part in (("mean of four", rows), *rows.groupby("size")):
        for counted, most in {"one rate": 1, "all rates": 99}.items():
            needed[task, size, counted, seed] = deployments(*curves(part, most))
needed = pd.DataFrame(needed).rename_axis(columns=["task", "size", "counted", "seed"]).T
needed.map(in_words).groupby(["task", "size", "counted"], sort=False).agg(" / ".join).unstack()

# %%
panels, ticks = {}, [0.3, 1, 3, 10]
for task, rows in complete.groupby("task"):
    nat, once, alone = curves(rows, 99)
    panels[task] = {"fixed": alone}
    for n in (1, 2, 4, 8, 16):
        cost = nat["each"] + once / n - once / 4
        panels[task][f"NAT, {n}"] = nat[["test_top1"]].set_index(cost)
rows = needed.xs("mean of four", level="size").map(in_words).groupby(["task", "counted"])
rows = rows.agg(" / ".join).stack()
ends = modes[modes.iteration == 10].pivot_table("hypervolume", ["task", "seed"], "mode")
said["by_volume"] = f"ahead in {(ends.distribution > ends.uniform).sum()} of {len(ends)}"
said["amortised"] = "; ".join(f"{t}, {c}, budget {b:g}: {n}" for (t, c, b), n in rows.items())
said["seeds"] = "; ".join(f"{t} {s.unique().tolist()}" for t, s in complete.groupby("task").seed)
look = {"xscale": "log", "xticks": ticks, "xticklabels": ticks}
figure = plots.plot_bands(panels, ("TMAdds for each deployment", "test top-1 (%)"), **look)
plots.show(figure, f"Accuracy, cost; seeds: {said['seeds']}; deployments: {said['amortised']}.")

# %%
for name, pair in {
    "distribution": ("distribution", "uniform"), "adapted": ("uniform", "none"),
    "limited": ("distribution, limit", "uniform, limit"),
}.items():  # fmt: skip
    said[name] = ahead(modes, *pair, "test_at_equal_madds", ["task"])
for name, other in {"nat_fixed": "fixed", "finetuning": "nat"}.items():
    said[name] = ahead(whole, "nat_finetuned", other, "test_top1", ["task", "budget"])
said["rates"] = whole.query("method == 'fixed' and budget >= 1").trials.agg(["min", "max"]).tolist()
quick = fixed[fixed.budget == 1]
said["fractions"] = ahead(quick, "nat_finetuned", "fixed", "test_top1", ["task", "fraction"])
for path in (results.DATA / "archives").glob("*.csv"):
    if "nat_err" in (pairs := pd.read_csv(path)):
        said[path.stem] = "NAT minus fixed " + told((pairs.mean_err - pairs.nat_err).dropna())
claims = pd.read_csv(results.PAPER / "claims.csv").map(lambda text: text.format(**said))
look = {"text-align": "left", "vertical-align": "top"}
claims.style.hide(axis="index").format(escape="html").set_properties(**look)

# %% [markdown] slideshow={"slide_type": "subslide"}
# **What do you notice?** A transfer may be behind fixed networks that took as much training, and still be
# the cheaper way to its own accuracy as soon as enough deployments share it: look at the table. Two claims
# contradict figures of the same authors, or what they build upon: "in all cases" has its exception on
# CIFAR-100, and Once-for-all already needed one training for all limits. Most others are of the kind
# *better than*: better depends on what the rival was given. Between papers, weights, recipes and costs
# differ, and no figure has a spread over runs; so neither the table nor the published networks can settle
# them. Our studies can give both sides the same, but at pocket scale: they can show that a claim does not
# hold everywhere, and never that it holds at the paper's scale. The last column says what would.
#
# ## Rehearse the transfer
#
# Now the whole transfer of notebook 04, on all eleven, with a profile (`REHEARSAL`) of too few steps to
# learn much. This is all that stands around it. A run writes its result last: whoever repeats the
# call, after an interruption or a failure, repeats nothing that is done. In a shell it is one command,
# `NATLIB_DATA=FOLDER python -m natlib reproduce --profile quick --out runs`. Accuracy is left out on
# purpose: stripes say nothing about cars. What counts is that loaders, splits, training, search and report
# run on all eleven, and that the table of results is still as it was.

# %%
show_source(reproduce)
names = list(datasets.DATA_SETS)
failed = reproduce(names, REHEARSAL, out=folder / "runs", data=rehearsal, progress=False)
assert not failed, f"A rehearsal failed, so the real run would, too: {failed}"
rehearsed = results.rehearsal_table(folder / "runs")
again = results.reproduction_table(folder / "runs")[(results.YOURS, "source")]
assert (again == "not run").all(), "A rehearsal must not enter the table."
print(f"{len(rehearsed)} rehearsed networks, none of them in the table.")
rehearsed.groupby(["kind", "dataset"]).agg({"network": list, "madds": ["min", "max"]})

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Run it for real
#
# 1. Get the data: `python -m natlib data cifar10`, or by hand what `status` says.
# 2. Put the official Once-for-all checkpoints into `ofa/` below `NATLIB_DATA`; the command names the
#    files if they are missing.
# 3. `python -m natlib reproduce --tasks cifar10 flowers102 --profile paper --out runs`. On a cluster
#    with Slurm, `sbatch examples/reproduce.slurm` makes an array of jobs, one for each data set.
# 4. Run this notebook again: it collects what lies in `runs`. Where the authors' weights lie in
#    `nat/DATASET/NAME` below `NATLIB_DATA` (NAME is the authors'), the command measures them, too.
#
# How long will it take? We measure how many pictures a second *this* computer takes at the paper's
# scale, and multiply: hours of training, of evaluation, and of both. Loading and searching come on top.
# (In a shell: `python -m natlib estimate`.)

# %%
from natlib.profiles import PROFILES
from natlib.supernet import Supernet
from natlib.teach.estimate import estimated_hours, throughput
from natlib.train import pick_device

net = Supernet(SearchSpace.paper(), num_classes=1000).to(pick_device())
training, evaluation = throughput(net, batch_size=4, trials=1)
hours = estimated_hours(PROFILES["paper"], training, evaluation)
print(f"Pictures a second and subnet: training {training:.1f}, evaluation {evaluation:.1f}")
hours.assign(days=hours.hours / 24).round(1)

# %% [markdown] slideshow={"slide_type": "subslide"}
# On a laptop that is hopeless, as was to be expected. The schedule, that of the authors' later framework,
# trains for 400 epochs: 100 with the largest subnets, 150 with five subnets in each step, and 150 of
# adaptation (30 times 5) with four and a teacher that only predicts. It measures thousands of subnets; the
# timings that come with that framework add up to about 73 hours. So it is not the GPU-day that the paper
# reports for CIFAR-10; to which schedule that belongs is not known. Small data sets are where to begin.
#
# ## Your own pictures
#
# Any directory with one folder of pictures per class is a task. The class folders may lie in `train`,
# `valid` and `test`, or in other words for these; a missing split is cut from *train*. As an example,
# the Food-101 miniature:

# %%
from natlib.data import folder_task

own = folder_task(rehearsal / "food-101" / "images", progress=False)
print(f"'{own.name}' with classes {own.classes}")
print({split: len(getattr(own, split)) for split in ("train", "valid", "test")})

# %% [markdown] slideshow={"slide_type": "fragment"}
# Pictures that cannot be read are left out and listed by name; other files are counted. The same
# picture in two classes or splits is refused, and so is a folder that may be no class, such as `raw`.
# If several pictures show the same person or come from the same video, pass `groups`, a function that says of a path what it belongs to:
# pictures of one group stay in one split. Otherwise the splits are not independent.
#
# ## What we simplified against the paper, and what cannot be reproduced exactly
#
# - *Data*: the original page of Stanford Cars is offline, and ImageNet needs an account, so copies
#   differ in where they come from; `dataset_task` verifies how many pictures and classes they hold.
# - *Splits*: which pictures the authors held out for validation was not published. Ours are drawn by
#   a seed, and how many is our choice, too.
# - *Search*: the paper's own repository has an evaluator and 14 networks. Its authors' later
#   framework has a search and a trainer of supernets, without the adaptation loop. This course follows
#   the paper's description of the method, and has all of it written anew.
# - *Pictures*: we keep the middle square of each picture, at most 293 pixels wide in the profile `paper`:
#   training takes random parts of it, mirrored or not, and measuring sees the middle 87.5% of its side.
#   The pocket profiles only shift and mirror.
# - *Settings*: where the text leaves a choice open, ours is in the sections *What we simplified* of
#   notebooks 01 to 04; the profile `paper` has the paper's space, with numbers of the authors' later
#   framework. Whether the paper took exactly these is not known.
# - *Chance*: seeds, drivers and cards change the last tenths of a percent, and which networks win.
#   The standard error in the table is that of the test pictures only; repeat with other seeds.
# - *Activations*: some published networks use mish; our supernet, like the official checkpoints, uses
#   ReLU and h-swish. (All three are activation functions.)
#
# ## Recap
#
# - Eleven data sets, one rule for their splits; `status` says what is missing and how to get it.
# - Published, counted and measured figures stand apart, each with its source.
# - The published networks differ by data set in resolution, width and kernels; one search each is
#   no law.
# - A rehearsal proves that the pipeline runs; only a real run is a result.
# - A folder of class folders is all that your own task needs.
#
# ## Exercises
#
# In [exercises/05_reproduction.ipynb](exercises/05_reproduction.ipynb), with hints and self-checks;
# [solutions/05_reproduction.ipynb](solutions/05_reproduction.ipynb) discusses answers.
#
# 1. *Read the table* (10 minutes): which of the paper's networks is dominated on its own data set?
# 2. *One panel of the paper, counted* (25 minutes): read published strings, count, and draw.
# 3. *A split that can be repeated* (15 minutes): disjoint, in proportion, and decided by a seed
#    alone.
# 4. *How many hours?* (15 minutes): estimate a transfer from the throughput of a computer.
# 5. *Pictures of your own, without a leak* (40 minutes): a task of a folder, and what shared
#    subjects would do.
# 6. *Pictures for half a point* (5 minutes): how large must a test split be?
#
# ## References
#
# - Lu, Sreekumar, Goodman, Banzhaf, Deb, Boddeti: *Neural Architecture Transfer*, TPAMI 2021,
#   [arXiv:2005.05859](https://arxiv.org/abs/2005.05859).
# - Cai, Gan, Wang, Zhang, Han: *Once-for-All: Train One Network and Specialize it for Efficient
#   Deployment*, ICLR 2020, [arXiv:1908.09791](https://arxiv.org/abs/1908.09791).
# - Darlow, Crowley, Antoniou, Storkey: *CINIC-10 Is Not ImageNet or CIFAR-10*, 2018,
#   [arXiv:1810.03505](https://arxiv.org/abs/1810.03505).
# - *Further reading:* Recht, Roelofs, Schmidt, Shankar: *Do ImageNet Classifiers Generalize to
#   ImageNet?*, ICML 2019, [arXiv:1902.10811](https://arxiv.org/abs/1902.10811); Pineau et al.:
#   *Improving Reproducibility in Machine Learning Research*, JMLR 22, 2021,
#   [arXiv:2003.12206](https://arxiv.org/abs/2003.12206).
#
# ## Quiz and feedback
#
# Six questions, with a comment on each option: your first answer counts. Below them is room for what those
# who teach should know. `natlib.teach.report()` writes all that you predicted and answered on one page.

# %% slideshow={"slide_type": "skip"}
learn.quiz("05")
learn.feedback("05")
