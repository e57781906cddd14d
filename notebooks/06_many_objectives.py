# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] slideshow={"slide_type": "slide"}
# # 6 · Many objectives, one choice, and a network to take home
#
# About 2 minutes of computing on a laptop, CPU; about 90 minutes to teach (planned).
#
# **You will be able to**
#
# - say why a front grows with every objective, and read one in more than two dimensions;
# - turn wishes into a choice with weights, with limits, or without either (the knee);
# - say which limit is to blame when nothing is left;
# - search with measured latency, and with twelve objectives: MAdds and the error on eleven tasks;
# - fine-tune the chosen network, export it to one file, and check that the file says the same.

# %% slideshow={"slide_type": "skip"}
# If this fails, choose the kernel of the course's environment: README.md tells how to make one.
from natlib import SearchSpace, data
from natlib.deploy.latency import LatencyTable
from natlib.search import non_dominated
from natlib.teach import learn, plots
from natlib.teach.explorer import METHODS, ObjectiveExplorer, choose, objectives_of, why_empty
import numpy as np
import pandas as pd

# %% [markdown] slideshow={"slide_type": "slide"}
# ## From two objectives to four
#
# The recorded archive of the animals (notebook 00) holds top-1 error on the validation split,
# multiply-adds (MAdds) for one picture, and parameters. What it cannot hold is the *latency*, the
# time that one picture takes on **your** machine. So we time each distinct block of the search space
# once and add times up, as notebook 01 did with MAdds.

# %%
archive = pd.read_csv(data.DATA / "archives" / "pocket_animals.csv")
space = SearchSpace.pocket()
table = LatencyTable.measure(space, num_classes=10)
X = np.stack([space.encode(space.parse(text)) for text in archive.architecture])
archive["latency_ms"] = table.latency_ms(X)
objectives = ["top1_err", "madds", "params", "latency_ms"]
F = archive[objectives].to_numpy()
for n in (1, 2, 3, 4):
    print(f"{', '.join(objectives[:n])}: {non_dominated(F[:, :n]).sum()} of {len(F)} on the front")

# %% [markdown] slideshow={"slide_type": "fragment"}
# **What do you notice?** A subnet leaves the front only if another one is at least as good in *every*
# objective and better in one. Each further objective is one more reason to stay. With very many
# nearly all stay, and the front alone no longer chooses for you.
#
# *Parallel coordinates* show all objectives at once: an upright axis for each, best at the bottom, and
# a line for each subnet. Marked are those that are best in one of them. Two objectives *conflict* if
# what is good in one tends to be bad in the other: lines cross between the uprights. Lines side by
# side mean agreement. The rank correlation (Spearman's rho, notebook 01), in the second picture, says
# it in one number: +1 is agreement, -1 conflict, 0 neither.

# %%
front = np.flatnonzero(non_dominated(F))
ends = {}
for name, row in zip(objectives, front[F[front].argmin(axis=0)], strict=True):
    ends.setdefault(row, []).append(name)
best_in = {f"best in {', '.join(names)}": row for row, names in ends.items()}
marked = "; ".join(f"{archive.architecture[row]}, {name}" for name, row in best_in.items())
alt = (
    f"Parallel coordinates of {len(F)} subnets in error, MAdds, parameters and latency. Marked are "
)
plots.show(plots.plot_parallel(F, objectives, chosen=best_in), f"{alt}the best in one: {marked}.")
ranks = archive[objectives].corr("spearman").round(2)
alt = f"Rank correlations: error and MAdds {ranks.top1_err.madds}, error and latency "
alt += f"{ranks.top1_err.latency_ms}, MAdds and latency {ranks.madds.latency_ms}."
plots.show(plots.plot_correlations(F, objectives), alt)

# %% [markdown] slideshow={"slide_type": "fragment"}
# **What do you notice?** Two costs that agree strongly are nearly one objective (exercise 4 drops
# one). It is the pairs in conflict that make a choice hard.
#
# A search takes any function of encodings as a cost. So latency is an objective like the others:
# `transfer("animals", objectives=["top1_err", "latency_ms"], costs={"latency_ms": table.latency_ms})`.
# In a shell, `python -m natlib transfer --objectives top1_err latency_ms` and so on measures the table
# itself and keeps it in the run folder, so that a resumed run never mixes two measurements.
#
# ## From wishes to a choice
#
# Let $f_j$ be an objective, scaled so that the front reaches from 0 (best) to 1 (worst), as `N` in
# notebook 03, and $w_j$ its weight; the weights are divided by their sum. Four ways to choose:
#
# - **weighted Chebyshev**: the subnet whose worst weighted objective, $\max_j w_j f_j$, is least. A
#   large weight demands much of its objective;
# - **pseudo-weights**: a subnet's $(1 - f_j) / \sum_k (1 - f_k)$ say what it is *relatively* good
#   at; take the subnet whose pseudo-weights come closest to the weights;
# - **knee**: no weights at all; the subnet that by itself dominates the largest volume,
#   $\prod_j (1.1 - f_j)$. Near a knee, a little less of one objective costs a lot of another. (1.1,
#   not 1, so that a subnet that is worst in one objective still counts.)
# - **reference point**: no weights either, but the values $r_j$ you wish for, scaled alike; the subnet that
#   misses its wish by the least, $\max_j (f_j - r_j)$ (Wierzbicki, 1980). Without a wish, $r$ is the ideal
#   point: then it chooses as Chebyshev does with equal weights.

# %%
wishes = {"all equal": [1, 1, 1, 1], "accuracy first": [8, 1, 1, 1], "fast first": [1, 1, 1, 8]}
rows = {
    (wish, name): archive.loc[choose(F, weights, method=method), ["architecture", *objectives]]
    for wish, weights in wishes.items()
    for name, method in METHODS.items()
}
pd.DataFrame(rows).T

# %% [markdown] slideshow={"slide_type": "fragment"}
# **What do you notice?** The knee and the reference point are the same for every wish: they take no
# weights. The other two move with the wish, each in its own way.
#
# *Why not the least weighted sum?* It finds only subnets where the front bulges towards the ideal
# point; one in a dent has the least sum for no weights at all. Weighted Chebyshev can reach every
# subnet of the front (Miettinen, 1999). Exercise 2 says exactly which a sum can reach.
#
# ## Limits
#
# Often a wish is a bound: "at most a million MAdds, because it runs on a watch". A limit is not a
# large weight: it excludes subnets, and among the rest its objective counts only by its weight.
# Limits can also ask for too much; then it helps to hear which of them is to blame: the one that
# excludes everything by itself, or else those that the nearest subnet breaks. Can both be kept: an
# error within a point of the least, and at most 1.5 times the least MAdds?

# %%
from natlib.teach.source import show_source

show_source(why_empty)
labels = [plots.label_of(name) for name in objectives]
values = plots.in_units(F, objectives)
best, worst = values.min(axis=0), values.max(axis=0)
limits = np.column_stack([best, [best[0] + 1, best[1] * 1.5, *worst[2:]]])
row = choose(values, [1, 1, 1, 1], limits)
print(why_empty(values, limits, labels) if row is None else archive.loc[row])

# %% [markdown] slideshow={"slide_type": "slide"}
# ## A supernet for the task
#
# The archive holds measurements, not weights, and a network to take home needs some. So the
# pre-trained supernet gets a classifier for the animals and the warm-up of notebook 04; then *any*
# subnet can be read out of it. Its errors are not the archive's: other weights, trained otherwise.

# %%
from natlib.transfer import start, warm_up

task = data.load_task("animals")
run = start(task, objectives=objectives, costs={"latency_ms": table.latency_ms}, seed=0)
task = run.task  # as the profile crops its pictures
warm_up(run)
print(f"warmed up with {run.step} steps")

# %% [markdown] slideshow={"slide_type": "subslide"}
# Reading a subnet out is slicing; then its batch norm is recalibrated on training pictures at its
# resolution (notebook 01). `export` writes it into one file with all that is needed to use it: input
# size, classes, normalisation, architecture. The format, *ONNX*, can be run without PyTorch.

# %%
from pathlib import Path

from natlib.deploy.export import export, latency_ms, load
from natlib.evaluate import recalibrate_on


def take_home(arch, subnet=None, note=""):
    if subnet is None:
        subnet = run.net.extract(arch).cpu()
        recalibrate_on(subnet, task, 1000)
    folder = Path("runs")
    folder.mkdir(exist_ok=True)
    name = f"{task.name}_{str(arch).replace(' ', '')}{note}.onnx"
    return export(subnet, folder / name, task=task)


# %% [markdown] slideshow={"slide_type": "slide"}
# ## Choose
#
# Move the weights and watch the choice move along the front; narrow a limit, by its slider or by dragging
# along an upright, and watch it jump. Click a subnet to choose it yourself, shift-click to keep up to three;
# *Export*, where a kernel runs, writes the chosen one. Below stands what a little less of the error would
# cost, and how sure the choice is: it is made again 200 times with each error varied by its standard error,
# as if the errors of different subnets varied independently. All of it works from the keyboard: Tab goes to a
# slider, arrows move it, and in the table they go up and down, Enter chooses, Shift-Enter keeps.

# %%
pictures = len(task.valid)
explorer = ObjectiveExplorer(archive, objectives=objectives, on_export=take_home, pictures=pictures)
explorer

# %% [markdown] slideshow={"slide_type": "subslide"}
# Code can move the sliders, too; the page follows. This keeps the choice, weights the error most, limits MAdds to the
# lower half of their range, and keeps the new choice:

# %%
explorer.compare()
explorer.weights["top1_err"].value = 1.0
slider = explorer.limits["madds"]
slider.value = (slider.min, (slider.min + slider.max) / 2)
explorer.compare()
archive.loc[explorer.kept, ["architecture", *objectives]]

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Fine-tune
#
# In the supernet the chosen network shares its weights with all others. Taken out, it can be trained
# alone for a while, by the training loop of notebook 04. `finetune` measures it on the validation split
# now and then, and keeps the version that was best there, which may be the network as it came. Only
# then does it open the test split. A long one goes on where it was stopped if it has a `checkpoint`, a file.

# %%
from natlib.deploy.finetune import finetune

show_source(finetune)
chosen = explorer.architecture
tuned = [finetune(run.net.extract(chosen).cpu(), task, seed=seed) for seed in range(3)]
rows = [(found.history.valid_top1[0], found.history.valid_top1.max()) for found in tuned]
columns = pd.MultiIndex.from_product([["valid top-1 (%)"], ["before", "after"]])
result = pd.DataFrame(rows, index=pd.Index(range(3), name="seed"), columns=columns)
for name in ("before", "after", "gain", "gain_se"):
    result["test top-1 (%)", name] = [found.test[name] for found in tuned]
result.round(1)

# %% [markdown] slideshow={"slide_type": "fragment"}
# **What do you notice?** *gain_se* is the standard error of the gain, over the test pictures; the
# three seeds differ in their batches. A gain several times *gain_se* and the spread of the seeds is
# hardly luck. How much there is to gain depends on how far the supernet had come: ours was only
# warmed up.
#
# ## Take it home
#
# The network of seed 0, in one file. Before the file appears, its logits for some validation pictures
# are compared with the network's: equal to within one in ten thousand.

# %%
path = take_home(chosen, tuned[0].subnet, "_finetuned")
network = load(path)
print(f"{path}: {path.stat().st_size / 1e6:.2f} MB, input {network.about['input_size']}")
# Self-check: does the file reach on the test split what fine-tuning reported?
pictures = data.to_input(task.test.images, chosen.resolution, task).numpy()
right = network.run(pictures).argmax(axis=1) == task.test.labels.numpy()
difference = abs(100 * right.mean() - tuned[0].test["after"])
assert difference < 1, f"They are {difference:.1f} points apart: was the right network exported?"
print(f"Test top-1 of the file: {100 * right.mean():.1f}%, as reported.")

# %% [markdown] slideshow={"slide_type": "subslide"}
# Now without natlib. `examples/predict.py` is some forty lines that need only numpy, pillow and
# onnxruntime. We give it two test pictures as files, named after their classes:

# %%
import subprocess
import sys

from PIL import Image

pictures = []
for i in (0, len(task.test) // 2):
    pictures.append(path.with_name(f"test_{task.classes[task.test.labels[i]]}.png"))
    Image.fromarray(task.test.images[i].permute(1, 2, 0).numpy()).save(pictures[-1])
command = [sys.executable, data.DATA.parent / "examples" / "predict.py", path, *pictures]
print(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
learn.predict("time")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## How fast is it?
#
# The latency above was *predicted*, in PyTorch on one thread. *Exported* is the median time of an ONNX
# file, on as many threads as PyTorch uses. Both are for one picture on this machine; here for the
# subnets that were kept and the two ends of the space.

# %%
kept = [explorer.architectures[row] for row in explorer.kept]
archs = [space.smallest(), *kept, space.largest()]
X = np.array([space.encode(arch) for arch in archs])
times = pd.DataFrame({"architecture": map(str, archs), "MAdds (M)": run.costs["madds"](X) / 1e6})
times["predicted (ms)"] = table.latency_ms(X)
times["exported (ms)"] = [latency_ms(take_home(arch)) for arch in archs]
price = times["exported (ms)"] / times["MAdds (M)"]
happened = {0: 1, len(price) - 1: 3}.get(price.argmax(), 2)
learn.outcome("time", 0 if price.max() < 1.2 * price.min() else happened)
times.assign(ms_per_M=price).round(3)

# %% [markdown] slideshow={"slide_type": "fragment"}
# **What do you notice?** If MAdds were time, the last column (milliseconds per million MAdds) would be
# constant. But a network pays for every layer it *has*, not only for what the layer computes. The two
# latencies are of different programs, and their scales differ; what a search needs is that they agree
# on the order. Do they?
#
# ## Twelve objectives
#
# The paper's search with most objectives: MAdds, and the error on eleven data sets at once. Which
# network is a good compromise for *all* of them? Our eleven tasks are parts of the four shipped sets
# (`eleven.classes` lists them). They are *joined* into one: all share one supernet, the logits of its
# classifier come in eleven blocks, one for each task, and a picture is classified within the block of
# its task only. So an architecture is read out and recalibrated once, and measured on all eleven.
#
# Training, evaluation and search know nothing of it. A `Task` has one hook for what is special about
# it: among which classes a picture is classified (`within`), and which errors that makes (`errors`, and
# their names). `JoinedTask` overrides this and nothing else. What does it make of guesses, among all 49
# classes and within each task?

# %%
import torch

from natlib.paper.joined import JoinedTask, compare, load_many

show_source(data.Task.within, JoinedTask.within, data.Task.errors, JoinedTask.errors)
eleven = load_many()
parts = pd.DataFrame(eleven.parts, columns=["task", "classes"]).set_index("task")
for split in ("train", "valid", "test"):
    parts[split] = eleven.part_of[getattr(eleven, split).labels].bincount().numpy()
labels = eleven.valid.labels
guess = torch.randn(len(labels), eleven.num_classes, generator=torch.Generator().manual_seed(0))
for where, logits in {"all 49": guess, "its task": eleven.within(guess, labels)}.items():
    right = (logits.argmax(dim=1) == labels).numpy()[None]
    parts[f"guess among {where}, error (%)"] = eleven.errors(right, labels)[0].round(1)
learn.predict("twelve")
parts

# %% [markdown] slideshow={"slide_type": "subslide"}
# The loop is that of notebook 04, without adaptation: warm up on batches of all eleven tasks, measure
# a first archive, then search (one surrogate predicts all errors) and measure candidates in turn.
# `natlib.transfer` and `natlib.paper.joined` have all it takes, and a laptop needs a minute or two:
#
#     run = transfer(load_many(), get_many_profile(), mode="none", seed=0)
#
# Six such archives were recorded (`data/record_pocket.py many`). Here is the one of seed 0.

# %%
study = pd.read_csv(data.DATA / "archives" / "many.csv")
recorded = objectives_of(study)
twelve = study.query("seed == 0 and method == 'NSGA-III'").reset_index(drop=True)
F_many = twelve[recorded].to_numpy()
share = non_dominated(F_many).mean()
learn.outcome("twelve", sum(share > part for part in (1 / 3, 2 / 3)), f"{share:.0%} of them are.")
marked = {"least mean error": F_many[:, :-1].mean(1).argmin()}
marked["weighted Chebyshev"] = choose(F_many, np.ones(12))
alt = f"Parallel coordinates of {len(F_many)} subnets in eleven errors and MAdds. Marked: "
alt += "; ".join(f"{name}, {twelve.architecture[row]}" for name, row in marked.items())
plots.show(plots.plot_parallel(F_many, recorded, chosen=marked), alt)
ranks = twelve[recorded].corr("spearman")
pairs = ranks.where(np.triu(np.ones(ranks.shape), 1) > 0).stack().dropna().sort_values()
alt = f"Rank correlations of twelve objectives, from {pairs.iloc[0]:.1f} to {pairs.iloc[-1]:.1f}; "
alt += f"least {' and '.join(pairs.index[0])}, most {' and '.join(pairs.index[-1])}."
plots.show(plots.plot_correlations(F_many, recorded), alt)

# %% [markdown] slideshow={"slide_type": "fragment"}
# Marked in the first picture are two compromises: the least mean of the eleven errors, and the choice of
# weighted Chebyshev with twelve equal weights. Where does the second pay, and what does it save? The second
# picture says which tasks conflict: the rank correlation of each pair of objectives, over the archive.
#
# **What do you notice?** Look along MAdds first: seven of the eleven errors clearly conflict with it. Do
# two *errors* conflict anywhere? Hardly: they agree, or have little to do with each other. So the
# twelve are fewer objectives than they look. Take values near zero with care: a few hundred validation
# pictures a task blur small differences. Such noise also makes a front grow (exercise 4).
#
# Does the search pay? For each of six seeds a second archive was recorded: the same supernet, the same
# first subnets, then as many more, but drawn at random. A hypervolume of twelve objectives takes too
# long, so *IGD+* compares the two. Scale each objective to the range of the best known front, here that
# of both archives together. From each point of this front take the distance to the nearest subnet of
# an archive, counting only objectives in which the subnet is worse. IGD+ is the mean; less is better.
# (The search picks candidates by IGD+, too, as predicted; here it is measured.)

# %%
igd = {
    seed: compare({m: a[recorded].to_numpy() for m, a in group.groupby("method")})
    for seed, group in study.groupby("seed")
}
igd = pd.DataFrame(igd).T
figure = plots.plot_modes(igd.to_dict("list"), "IGD+ (objectives scaled to the front)")
plots.show(figure, "IGD+ of each seed: " + igd.round(3).to_csv(sep=" ").replace("\n", "; "))
ObjectiveExplorer(twelve, objectives=[recorded[0], "madds", *recorded[1:-1]])

# %% [markdown] slideshow={"slide_type": "slide"}
# **What do you notice?** In this recording the search is ahead in all six seeds (`data/README.md` has
# them one by one). Seeds 0 and 1 had a hand in choosing surrogate and candidates; 3 to 5 came after.
#
# In the explorer: twelve weights, twelve limits, one choice. Give one task all the weight and see what the
# others pay. The front shows two objectives at a time, first MAdds and the error on one task: choose which.
# In the lines of the others you see what it is that they pay.
#
# ## Beside fixed networks
#
# The paper shows searches with three and with twelve objectives beside *fixed* networks. So do two
# recordings (`data/record_pocket.py`, `three` and `radar`, one seed each, quick budget). The fixed networks
# are four of one family, scaled uniformly: all layers and stages alike. Each comes out of the same
# pre-trained supernet and is trained alone. All four together may take as many MAdds in training as the
# whole transfer, at each of three rates or more, of which validation chooses one for each network.
#
# First the animals, with error, parameters and latency: NAT's are the front of its archive. Then the
# eleven tasks and MAdds, as a *radar chart*: an axis for each objective, from the worst of eight networks,
# in the middle, to the best, outside. Each fixed network stands beside one of NAT's: of those that cost no
# more (parameters and latency, or in the radar chart MAdds) the one that validation prefers. All errors are
# on test; the second table has the means over the eleven tasks.

# %%
import seaborn as sns

three = pd.read_csv(data.DATA / "archives" / "three.csv")
alt = f"Error against parameters and latency: {len(three) - 4} networks of NAT, 4 fixed ones."
figure, axes = plots.new_figure(["", ""], 2, (8, 3.6))
look = {"hue": "method", "style": "method", "palette": plots.COLORS[:2], "s": 40}
for ax, cost in zip(axes, ("params", "latency_ms"), strict=True):
    points = three.assign(params=three.params / 1e6)
    sns.scatterplot(points, x=cost, y="top1_err", ax=ax, legend=cost == "params", **look)
    ax.set(xlabel=plots.label_of(cost), ylabel=plots.label_of("top1_err"))
plots.show(figure, alt)
fixed = three.dropna(subset="nat_err").set_index("madds")[["mean_err", "nat_err"]].round(1)
fixed.rename(columns={"mean_err": "fixed, error (%)", "nat_err": "NAT, error (%)"})

# %%
radar = pd.read_csv(data.DATA / "archives" / "radar.csv")
worst, best = radar[recorded].max(), radar[recorded].min()
share = ((worst - radar[recorded]) / (worst - best)).to_numpy()
angles = np.linspace(0, 2 * np.pi, len(recorded), endpoint=False)
sizes = [f"at most {madds / 1e6:.2f} M MAdds" for madds in radar.madds[4:]]
figure, axes = plots.new_figure(sizes, 2, (8, 3.3), subplot_kw={"projection": "polar"})
for i, ax in enumerate(axes):
    for row, look in zip((i, i + 4), plots.LOOKS[:2], strict=True):
        ax.fill(angles, share[row], fill=False, ec=look["color"])
        ax.plot(angles, share[row], lw=0, ms=4, label=radar.method[row], **look)
    ax.set_xticks(angles, [name.removeprefix("top1_err_") for name in recorded], fontsize=7)
    ax.set(ylim=(-0.1, 1.05), yticks=[])
axes[0].legend(loc="lower left", bbox_to_anchor=(-0.4, -0.1))
plots.show(figure, "Eleven tasks and MAdds: NAT and a fixed network at each of four sizes.")
radar[4:].set_index("madds")[["mean_err", "nat_err"]].round(1)

# %% [markdown] slideshow={"slide_type": "subslide"}
# **What do you notice?** At this short budget the fixed networks are ahead, the more so the smaller they
# are: the smallest has less error than any of NAT's shown here. At the largest size NAT is ahead with three
# objectives, where both sides have the same architecture, and about even with twelve. Several reasons are
# possible, which one run does not tell apart. For the same MAdds of training a small network alone takes
# very many steps. The fixed networks choose among three rates or more, NAT has one. And NAT's networks were
# not fine-tuned at the end. The latencies were measured on a busy machine, and thousandths of a
# millisecond, which are noise, can decide what stands beside what: beside the smallest fixed network stands
# one with 9.5% error, because one with 7.9% is 0.005 ms too slow. Of the eleven tasks, NAT loses most on
# the three of digits (*round*, *straight* and *curved*), at the smaller sizes.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Five real objectives
#
# The eleven tasks are small drawings, and a front of measured subnets need not be the true one. For real
# photos there is *NAS-Bench-201* (notebook 03): 15,625 networks, each trained from scratch on CIFAR-10,
# CIFAR-100 and ImageNet (16 px, 120 classes). So the true front of five objectives is known: the error on
# each, and on CIFAR-10 latency and parameters. Which of them conflict, among all networks and on the front?

# %%
from natlib.teach.tables import VALIDATION, load_table

real = {name: load_table(name).columns for name in VALIDATION}
five = pd.DataFrame({f"top1_err_{name}": columns["top1_err"] for name, columns in real.items()})
five["latency_ms"], five["params"] = real["cifar10"]["latency_ms"], real["cifar10"]["params"]
names, rows = list(five), {"all": np.ones(len(five), dtype=bool)}
for chosen in (names[:3], names[::3], names[3:], names):
    on_front = non_dominated(five[chosen].to_numpy(float))
    rows[", ".join(plots.label_of(name).rsplit(" (", 1)[0] for name in chosen)] = on_front
print(pd.Series({name: front.sum() for name, front in rows.items()}, name="networks on the front"))
for name, kept in (("all networks", rows["all"]), ("the true front", on_front)):
    alt = five[kept].corr("spearman").round(2).iloc[:, [0, 3]].to_csv(sep=" ").replace("\n", "; ")
    plots.show(plots.plot_correlations(five[kept], names), f"Rank correlations, {name}: {alt}")

# %% [markdown] slideshow={"slide_type": "slide"}
# **What do you notice?** First picture: all networks; second: the true front of five. Among all networks,
# larger and slower ones tend to be better, and an error on one data set says much about the others. On the
# front every network is good for its cost, so the conflict of error and cost comes out in full. And three
# errors by themselves leave only a handful of networks: a network that is good on one set is good on
# all. That is what makes transfer possible.
#
# ## What we simplified against the paper
#
# - The eleven tasks are parts of four small sets of 32-pixel pictures, with one supernet for all. The
#   paper takes eleven real ones (`load_many("paper")` joins them); NAT adapts a supernet to each.
# - In the search against random the supernet of the eleven tasks was warmed up for a few hundred steps and
#   then did not adapt; for the radar chart it did. All pictures are normalised by the same mean and
#   deviation of each colour, and none is mirrored.
# - The predicted latency is that of one thread and one picture, and a sum over blocks.
# - Fixed networks of the radar chart are trained on the eleven joined tasks at once, not on each alone;
#   the family is our own, in place of published networks.
# - The fine-tuned network comes from a supernet that was only warmed up; the gain after a whole
#   transfer (notebook 04) was not measured here.
#
# ## Recap
#
# - Every further objective lets more subnets stay on the front; parallel coordinates and rank
#   correlations show where objectives conflict.
# - Weights, limits and knees turn a front into a choice, which no other subnet that keeps the limits
#   dominates.
# - When nothing is left, one sentence says which limit is to blame and by how much.
# - Latency is an objective like the others, once it is a table; and eleven errors are, once eleven
#   tasks are joined. In the recording hardly two of them conflict, and the search beats a random one.
# - On real photos, too, errors agree with each other and conflict with cost: there the whole truth is known.
# - Fine-tuning keeps what validation prefers. An exported file holds weights, classes, normalisation
#   and architecture, and was compared with the subnet before it was written.
#
# ## Exercises
#
# In [exercises/06_many_objectives.ipynb](exercises/06_many_objectives.ipynb), with hints and self-checks;
# [solutions/06_many_objectives.ipynb](solutions/06_many_objectives.ipynb) discusses answers.
#
# 1. *From weights to a choice* (15 minutes): weighted Chebyshev and pseudo-weights by hand.
# 2. *Which weights choose which subnet?* (20 minutes): say exactly what a weighted sum can never
#    choose.
# 3. *IGD+: how far from the goal?* (20 minutes): write the indicator, and compare it with
#    hypervolume.
# 4. *Which objectives say the same?* (30 minutes): rank correlation, a front that grows by noise, and
#    the tasks among eleven that decide.
# 5. *Does latency change the choice?* (40 minutes): measure it twice, and tell a knee that moves
#    from noise.
# 6. *Who dominates whom, with twelve objectives?* (5 minutes): reckon, then count.
# 7. *Two devices, one archive* (30 minutes): a small project: a front for each device.
#
# ## References
#
# - Lu, Sreekumar, Goodman, Banzhaf, Deb, Boddeti: *Neural Architecture Transfer*, TPAMI 2021,
#   [arXiv:2005.05859](https://arxiv.org/abs/2005.05859).
# - Miettinen: *Nonlinear Multiobjective Optimization*, Kluwer 1999 (weighted Chebyshev).
# - Wierzbicki: *The Use of Reference Objectives in Multiobjective Optimization*, in Fandel and Gal (eds.):
#   *Multiple Criteria Decision Making Theory and Application*, Springer 1980 (reference point).
# - Deb: *Multi-Objective Optimization using Evolutionary Algorithms*, Wiley 2001 (pseudo-weights).
# - Branke, Deb, Dierolf, Osswald: *Finding Knees in Multi-objective Optimization*, PPSN VIII, 2004.
# - Ishibuchi, Masuda, Tanigaki, Nojima: *Modified Distance Calculation in Generational Distance and
#   Inverted Generational Distance*, EMO 2015 (IGD+).
# - *ONNX*: [onnx.ai](https://onnx.ai), [onnxruntime.ai](https://onnxruntime.ai).
#
# ## Quiz and feedback
#
# Six questions, with a comment on each option: your first answer counts. Below them is room for what those
# who teach should know. `natlib.teach.report()` writes all that you predicted and answered on one page.

# %% slideshow={"slide_type": "skip"}
learn.quiz("06")
learn.feedback("06", network=explorer.architecture)
