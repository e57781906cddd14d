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
# About 3 minutes of computing on a laptop, CPU; about 90 minutes to teach.
#
# **You will be able to**
#
# - say why a front grows with every objective, and read one in more than two dimensions;
# - turn wishes into a choice with weights, with limits, or without either (the knee);
# - say which limit is to blame when nothing is left;
# - export the chosen network to one file, prove that it still says the same, and use it elsewhere.

# %% slideshow={"slide_type": "skip"}
import numpy as np
import pandas as pd

from natlib import data, plots
from natlib.explore import METHODS, ObjectiveExplorer, choose, why_empty
from natlib.search import non_dominated

# %% [markdown] slideshow={"slide_type": "slide"}
# ## From two objectives to three
#
# The archive that ships with the course holds subnets that were measured on the animals task:
# top-1 error on the validation split in percent, multiply-adds (MAdds) for one picture, and
# parameters. All three should be small.

# %%
archive = pd.read_csv(data.DATA / "archives" / "pocket_animals.csv")
objectives = ["top1_err", "madds", "params"]
F = archive[objectives].to_numpy()
for n in (1, 2, 3):
    print(f"{', '.join(objectives[:n])}: {non_dominated(F[:, :n]).sum()} of {len(F)} on the front")

# %% [markdown] slideshow={"slide_type": "fragment"}
# **What do you notice?** A subnet leaves the front only if another one is at least as good in *every*
# objective. Each objective more is one more reason to stay. With very many objectives nearly all stay,
# and the front alone no longer chooses for you.
#
# Two of the objectives can be drawn as before. For all of them at once there are *parallel
# coordinates*: an upright for each objective, a line for each subnet.

# %%
front = np.flatnonzero(non_dominated(F))
ends = list(dict.fromkeys(front[F[front].argmin(axis=0)]))
figure = plots.plot_parallel(F, objectives, chosen=ends)
plots.show(
    figure,
    f"Parallel coordinates of {len(F)} subnets in error, MAdds and parameters. Marked are those that "
    "are best in one of them: " + "; ".join(archive.architecture[ends]) + ".",
)

# %% [markdown] slideshow={"slide_type": "fragment"}
# Lines that cross between two uprights mean conflict: good here, bad there. Lines that run side by
# side mean agreement. A rank correlation says the same in one number: +1 is agreement, -1 conflict.

# %%
figure = plots.plot_correlations(F, objectives)
ranks = archive[objectives].corr("spearman").round(2)
plots.show(
    figure,
    f"Rank correlations: error and MAdds {ranks.top1_err.madds}, error and parameters "
    f"{ranks.top1_err.params}, MAdds and parameters {ranks.madds.params}.",
)

# %% [markdown] slideshow={"slide_type": "fragment"}
# **What do you notice?** Two costs that agree strongly are nearly one objective. It is the pairs in
# conflict that make a choice hard.
#
# ## From wishes to a choice
#
# Let $f_j$ be an objective, scaled so that the front reaches from 0 (best) to 1 (worst), and $w_j$
# its weight; the weights add up to one. Three ways to choose:
#
# - **weighted Chebyshev**: the subnet with the least $\max_j w_j f_j$. A large weight demands much
#   of its objective;
# - **pseudo-weights**: a subnet's $(1 - f_j) / \sum_k (1 - f_k)$ say what it is *relatively* good
#   at; take the subnet whose pseudo-weights come closest to the weights;
# - **knee**: no weights at all; the subnet that dominates the largest volume alone, because around
#   it a little of one objective costs a lot of another.

# %%
wishes = {"all equal": [1, 1, 1], "accuracy first": [8, 1, 1], "small file first": [1, 1, 8]}
rows = {
    (wish, name): archive.loc[choose(F, weights, method=method), ["architecture", *objectives]]
    for wish, weights in wishes.items()
    for name, method in METHODS.items()
}
pd.DataFrame(rows).T

# %% [markdown] slideshow={"slide_type": "fragment"}
# The knee stays, whatever the wish. The other two follow it, each in its way.
#
# *Why not simply the least weighted sum?* Because a weighted sum finds only subnets on the convex
# part of a front. Whatever lies in a dent of it is the best choice for nobody. How many is that?

# %%
N = (F[front] - F[front].min(0)) / np.ptp(F[front], axis=0)
weights = np.random.default_rng(0).dirichlet([1, 1, 1], 2000)
by_sum = {int(front[(N @ w).argmin()]) for w in weights}
by_chebyshev = {choose(F, w) for w in weights}
print(f"of {len(front)} on the front, {len(weights)} random weights reach")
print(f"{len(by_sum)} by weighted sum, {len(by_chebyshev)} by weighted Chebyshev")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Limits
#
# Often a wish is a bound: "at most a million MAdds, it runs on a watch". A limit is not a large
# weight: within it, the objective no longer matters beyond its weight. Limits can also ask for too
# much; then it helps to hear which of them is to blame.

# %%
labels = [plots.label_of(name) for name in objectives]
values = plots.in_units(F, objectives)
best, worst = values.min(axis=0), values.max(axis=0)
limits = np.column_stack([best, [best[0] + 1, best[1] * 1.5, worst[2]]])
row = choose(values, [1, 1, 1], limits)
print(why_empty(values, limits, labels) if row is None else archive.loc[row])

# %% [markdown] slideshow={"slide_type": "slide"}
# ## A supernet for the task
#
# The archive remembers figures, not weights. To take a network home we need some: the pre-trained
# supernet gets a classifier for the animals and the warm-up of notebook 04, so that *any* subnet can
# be read out of it. Its errors are not the archive's: other weights, trained for fewer steps.

# %%
from natlib import transfer

task = data.load_task("animals")
run = transfer.start(task, objectives=objectives, seed=0)
transfer.warm_up(run)
print(f"warmed up with {run.step} steps")

# %% [markdown] slideshow={"slide_type": "subslide"}
# Reading a subnet out is slicing; then its batch norm is recalibrated on training pictures at its
# resolution (notebook 01). `export` writes it into one file with all that is needed to use it: input
# size, classes, normalisation, architecture.

# %%
from pathlib import Path

from natlib.evaluate import InputBatches, evaluate, fixed_sample, recalibrate
from natlib.export import export, latency_ms, load


def take_home(arch):
    subnet = run.net.extract(arch).cpu()
    pictures = fixed_sample(task.train, 1000)
    recalibrate(subnet, InputBatches(pictures, arch.resolution, task))
    folder = Path("runs")
    folder.mkdir(exist_ok=True)
    name = f"{task.name}_{str(arch).replace(' ', '')}.onnx"
    return export(subnet, folder / name, task=task)


# %% [markdown] slideshow={"slide_type": "slide"}
# ## Choose
#
# Move the weights and watch the choice move along the front; narrow a limit and watch it jump. *compare*
# keeps up to three, *export* writes the chosen one. All of it works from the keyboard too: Tab goes
# to a slider, arrows move it. (Without a running kernel you see the last picture.)

# %%
explorer = ObjectiveExplorer(archive, objectives=objectives, on_export=take_home)
explorer

# %% [markdown] slideshow={"slide_type": "subslide"}
# What a slider does, code can do. This sets a limit and a weight, and keeps both choices:

# %%
explorer.compare()
explorer.weights["top1_err"].value = 1.0
slider = explorer.limits["madds"]
slider.value = (slider.min, (slider.min + slider.max) / 2)
explorer.compare()
archive.loc[explorer.kept, ["architecture", *objectives]]

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Take it home

# %%
path = explorer.export()
network = load(path)
print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")
network.about

# %% [markdown] slideshow={"slide_type": "fragment"}
# The file was compared with the subnet before it appeared: same pictures, logits equal to within
# one in ten thousand. But is it *good*? That is for the test split to say, which no choice so far
# has seen.

# %%
pictures = data.to_input(task.test.images, explorer.architecture.resolution, task).numpy()
right = network.run(pictures).argmax(axis=1) == task.test.labels.numpy()
x = run.space.encode(explorer.architecture)[None]
same = evaluate(run.net, x, task, "test", calibration=1000, progress=False)[0]
print(f"test top-1 of the file: {100 * right.mean():.1f}%")
print(f"test top-1 of the subnet in the supernet: {100 * same.mean():.1f}%")

# %%
# Self-check: does the file say what the subnet says?
agreement = (right == same).mean()
assert agreement > 0.99, f"Only {agreement:.1%} agree: was batch norm recalibrated before export?"
print(f"File and subnet agree on {agreement:.1%} of {len(right)} test pictures.")

# %% [markdown] slideshow={"slide_type": "subslide"}
# Now without natlib. `examples/predict.py` is some forty lines that need numpy, pillow and
# onnxruntime only. We give it two test pictures as files:

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

# %% [markdown] slideshow={"slide_type": "slide"}
# ## How fast is it?
#
# MAdds are a stand-in for time. How good a one? For the subnets that were kept above and the two ends
# of the space: *predicted* is the sum of the layers' times in torch, each measured once by itself
# (notebook 01); *exported* is the median time of the ONNX file. Both are for one picture on this
# machine.

# %%
from natlib.latency import LatencyTable

table = LatencyTable.measure(run.space, num_classes=task.num_classes)
kept = [explorer.architectures[row] for row in explorer.kept]
archs = [run.space.smallest(), *kept, run.space.largest()]
X = np.array([run.space.encode(arch) for arch in archs])
times = pd.DataFrame({"architecture": map(str, archs), "MAdds (M)": run.costs["madds"](X) / 1e6})
times["predicted (ms)"] = table.latency_ms(X)
times["exported (ms)"] = [latency_ms(take_home(arch)) for arch in archs]
times.assign(ms_per_M=times["exported (ms)"] / times["MAdds (M)"]).round(3)

# %% [markdown] slideshow={"slide_type": "fragment"}
# **What do you notice?** If MAdds were time, the last column would be constant; but a small network
# pays for every layer it *has*, not only for what the layer computes. The two latencies are of
# different programs, and their scales differ; what a search needs is that they agree on the order.
#
# ## What we simplified against the paper
#
# - Two costs that can be counted. The paper also searches with measured latency, and with twelve
#   objectives: MAdds and the error on eleven data sets at once.
# - The exported network comes from a supernet that was only warmed up. Practitioners take it from the
#   end of a transfer (notebook 04), and often train it alone for a while afterwards.
# - The archive is a recorded one of drawings of 32 pixels.
#
# ## Recap
#
# - Every objective more lets more subnets stay on the front; parallel coordinates and rank
#   correlations show where they conflict.
# - Weights, limits and knees turn a front into a choice, and a choice among what keeps the limits is
#   never dominated there.
# - When nothing is left, one sentence says which limit is to blame and by how much.
# - An exported file holds weights, classes, normalisation and architecture, and was compared with the
#   subnet before it was written.
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
# 4. *Which objectives say the same?* (15 minutes): rank correlation, and a front that grows by
#    noise.
# 5. *Does latency change the choice?* (40 minutes): measure it twice, and tell a knee that moves
#    from noise.
#
# ## References
#
# - Lu, Sreekumar, Goodman, Banzhaf, Deb, Boddeti: *Neural Architecture Transfer*, TPAMI 2021,
#   [arXiv:2005.05859](https://arxiv.org/abs/2005.05859).
# - Miettinen: *Nonlinear Multiobjective Optimization*, Kluwer 1999 (weighted Chebyshev).
# - Deb: *Multi-Objective Optimization using Evolutionary Algorithms*, Wiley 2001 (pseudo-weights).
