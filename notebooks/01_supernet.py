# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] slideshow={"slide_type": "slide"}
# # 1 · The supernet: one network that holds very many
#
# About 1 minute of computing on a laptop, CPU; about 90 minutes to teach (planned).
#
# **You will be able to**
#
# - count the architectures of a search space, write one as a row of integers, and read it back;
# - show what makes a network elastic: kernel size, width, depth and resolution;
# - read a subnet out of a supernet without training it, and measure it correctly;
# - look up parameters, MAdds and latency of thousands of subnets at once;
# - load an official checkpoint of Once-for-all, the supernet that the paper starts from.

# %% slideshow={"slide_type": "skip"}
# If this fails, choose the kernel of the course's environment: README.md tells how to make one.
from natlib import Architecture, CostTable, SearchSpace, Supernet, data, evaluate, layers
from natlib.deploy import LatencyTable, measure_in_turn
from natlib.teach import learn, plots
from natlib.teach.source import show_source
import numpy as np
import pandas as pd
import torch

# %% [markdown] slideshow={"slide_type": "slide"}
# ## How many networks are in it?
#
# A supernet holds the weights of very many subnets, and an *architecture* says which one is meant. It
# is a list of small decisions: the *resolution* (side of the square input picture in pixels) and a
# *width multiplier* for the channels of all layers; then for each *stage* (consecutive layers whose
# outputs have one size) its *depth*, the number of its layers; then for each layer the side of its
# kernel and its *expand ratio*, which says how many channels it has inside. (A *layer* is a block of a
# few convolutions: see below.) All architectures together are the *search space*.
#
# Let a layer have $L$ choices (pairs of kernel and expand ratio). A stage of depth $d$ then has
# $L^d$ forms, and over all allowed depths a stage has $T = \sum_d L^d$. With $S$ stages, $R$
# resolutions and $W$ widths there are $R \cdot W \cdot T^S$ architectures. We count two spaces: that of
# the paper, and the *pocket* space of this course.

# %%
spaces = {"paper": SearchSpace.paper(), "pocket": SearchSpace.pocket()}
for name, space in spaces.items():
    depths = range(space.min_depth, space.max_depth + 1)
    forms = sum(space.n_layer_choices**depth for depth in depths)
    print(f"{name}: {len(space.resolutions)} x {len(space.widths)} x {forms}^{space.n_stages}")
    print(f"   = {space.size:,} architectures, about 10^{np.log10(float(space.size)):.1f}")

# %% [markdown] slideshow={"slide_type": "fragment"}
# **What do you notice?** Nobody can train so many networks one by one, at either scale. In NAT they
# share their weights.
#
# Search works on integers. The *encoding* of an architecture is a row `x` of `n_var` integers, called
# *genes*: the index of the resolution, the index of the width, then one gene for each layer that
# there can be. A layer's gene is 0 if the layer is skipped, else 1 + index of the kernel + number of
# kernels times index of the expand ratio (all indices from 0). In the pocket space (kernels 3 and 5,
# expand ratios 1, 2 and 4) the gene 3 = 1 + 0 + 2 · 1 means kernel 3 and expand ratio 2.
#
# Only the last layers of a stage may be skipped, so each architecture has exactly one encoding, its
# *canonical* one. `repair` turns any integers into one: it moves them into their ranges (the first
# layer of a stage is never skipped), then closes the holes. Many encodings are a matrix `X` with one
# row for each. The string below is the encoding with the stages set apart; `ks`, `e` and `d` are
# kernels, expand ratios and depths.

# %%
pocket = spaces["pocket"]
x = pocket.sample(1, rng=4)[0]
arch = pocket.decode(x)
print("encoding:", x, "\nas a string:", arch, "\nas decisions:", arch.to_dict())
hole = x.copy()
hole[5:8] = (0, 0, 5)  # stage 2 skips its first two layers and uses its third
print("a hole:  ", hole, "\nrepaired:", pocket.repair(hole))

# %% [markdown] slideshow={"slide_type": "slide"}
# ## A drawing of an architecture
#
# Here are four networks that the authors of NAT found for ImageNet and published, M1 to M4, with their
# MAdds. Colour (and the digit) is the side of the kernel, height the expand ratio, and the number of
# bars the depth.

# %%
published = pd.read_json(data.DATA / "paper" / "published_subnets.json")
imagenet = published[published.dataset == "imagenet"]
networks = {
    n.name.removeprefix("NAT-"): Architecture.from_dict(n.arch)
    for n in imagenet.itertuples(False, "Net")
}
paper = spaces["paper"]
cost = CostTable(paper, num_classes=1000)
X = np.array([paper.encode(arch) for arch in networks.values()])
notes = {n: f"{madds / 1e6:.0f} M MAdds" for n, madds in zip(networks, cost.madds(X), strict=True)}
figure = plots.draw_architecture(networks, paper, notes)
plots.show(
    figure, "Layers of NAT-M1 to M4 as bars: costlier ones are wider, deeper or see more pixels."
)

# %% [markdown] slideshow={"slide_type": "fragment"}
# **What do you notice?** All four keep the last stage at full depth; the cheap ones save in the
# stages before it. Kernels and expand ratios follow no simple rule: the networks were found by
# search, inside a supernet.
#
# ## A trained supernet
#
# Ours is small, for pictures of 16 to 32 pixels, and was pre-trained on the *source* task: clothes
# and clip art. In each step of that training the largest subnet, the smallest and two random ones saw
# the same batch, and their gradients were added up (notebook 04 trains in much the same way). The
# architecture is an argument of the call. Nothing is built for it and nothing remembers it.

# %%
source = data.load_task("source")
net = Supernet.load(data.pretrained_path("pocket")).eval()
for name, arch in {"smallest": pocket.smallest(), "largest": pocket.largest()}.items():
    inputs = data.to_input(source.valid.images[:4], arch.resolution, source)
    with torch.no_grad():
        logits = net(inputs, arch)
    print(f"{name}: inputs {tuple(inputs.shape)}, logits {tuple(logits.shape)}")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What a layer is made of
#
# Between the *stem* (a first convolution and one fixed block, `blocks[0]`) and the *head* (the last
# layers and the classifier) every layer is an *inverted residual*, the building block of MobileNet:
# wide inside, narrow at its ends. A 1x1 convolution *expands* the channels by the expand ratio. A
# *depthwise* convolution (one kernel for each channel, `groups` equal to the channels) looks around;
# the kernel of a layer is that one. A second 1x1 convolution *projects* back to few channels. Where
# input and output have the same shape, the input is added (the residual connection).
#
# In some stages *squeeze-and-excitation* comes before the projection. It averages each channel over
# the picture; from all these means two small 1x1 convolutions compute a factor from 0 to 1 for each
# channel, by which it is multiplied. A kernel sees few pixels; this lets the whole picture say which
# channels matter.
#
# `space.blocks` lists the layers of an architecture, all but the classifier. The networks of this
# notebook, their costs and their latencies are all made from this list. (`side` is that of a layer's
# input in pixels. The stem's block is an inverted residual that expands nothing.)

# %%
blocks = pocket.blocks(Architecture(32, 1.0, (1, 2, 1), (5, 3, 5, 3), (4, 2, 1, 2)))
pd.DataFrame(blocks).set_index("name")

# %% [markdown] slideshow={"slide_type": "subslide"}
# What one inverted residual is made of: its parts are called `inverted_bottleneck`, `depth_conv`, `se`
# and `point_linear`, as in Once-for-all. (`extract` reads out a subnet: see below.)

# %%
largest = net.extract(pocket.largest())
for name, part in largest.blocks[5].named_children():  # the second layer of stage 2
    for conv in (m for m in part.modules() if isinstance(m, torch.nn.Conv2d)):
        side, channels = conv.kernel_size[0], f"{conv.in_channels:3d} -> {conv.out_channels:3d}"
        print(f"{name:19s} {side}x{side}  {channels} channels, groups {conv.groups}")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Elastic kernel
#
# A layer is *elastic* if it can work as any smaller one. Each depthwise convolution stores its
# largest kernels only. A smaller kernel is the *centre* of the next larger one, flattened and
# multiplied by a learned matrix, one matrix for all channels of the layer. Fresh matrices are
# identities, so the smaller kernel begins as a crop. A layer's dict `kernel_matrices` holds them: `"5to3"` is
# 9x9, as a flattened 3x3 kernel is nine numbers. (With kernels up to 7, as in the paper, the loop below
# runs twice: 7 to 5, then 5 to 3.)

# %%
show_source(layers.ElasticBlock.depthwise_weight)
block = net.weight_sets[0].blocks[5]  # the second layer of stage 2
large, small = (block.depthwise_weight(k, channels=8)[:, 0].detach() for k in (5, 3))
rows = {"5x5, stored": large, "its centre": large[:, 1:-1, 1:-1], "3x3, used": small}
titles, most = [f"channel {c}" for c in range(8)], max(k.abs().max() for k in rows.values())
figure = plots.plot_rows(rows, titles, cmap="PuOr", vmin=-most, vmax=most)
figure.colorbar(figure.axes[0].images[0], ax=figure.axes, label="weight", aspect=25)
plots.show(
    figure, "Eight 5x5 kernels, their 3x3 centres, and the 3x3 kernels that the matrix makes."
)
matrix = block.kernel_matrices["5to3"].detach()
print(
    f"Largest distance of the matrix from the identity: {(matrix - torch.eye(9)).abs().max():.2f}"
)
learn.predict("narrow")

# %% [markdown] slideshow={"slide_type": "fragment"}
# **What do you notice?** The 3x3 kernels resemble the centres and are not the same: training has moved
# the matrix away from the identity. The middle of a good large kernel need not be a good small one.
# (The exercise *Do the matrices matter?* measures what they are worth.)
#
# ## Elastic width
#
# A layer with a smaller expand ratio uses the *first* channels of the widest one: in the code of an
# elastic layer, that is every `[:mid]` and `[:c]`. Below it stands what the depthwise convolution of
# the first layer makes of one picture, at the three expand ratios.

# %%
show_source(layers.ElasticBlock.forward, layers.sliced_norm)
inputs = data.to_input(source.valid.images[4:5], 32, source)
rows = {}
for expand in pocket.expands:
    arch = Architecture(32, 1.0, (1, 1, 1), kernels=(5, 3, 3), expands=(expand, 1, 1))
    maps = plots.feature_maps(net.extract(arch), "blocks.1.depth_conv", inputs)
    rows[f"expand {expand}"] = maps[::8]
narrow, wide = rows["expand 1"], rows["expand 4"][:2]
apart = (narrow - wide).abs().max()
print(f"Largest difference of the first two columns: {apart:.1e}")
figure = plots.plot_maps(rows, [f"channel {c}" for c in range(0, 64, 8)])
plots.show(
    figure, "Feature maps at three expand ratios: the narrow layers hold the first channels."
)
learn.outcome("narrow", sum(apart > limit * wide.abs().max() for limit in (1e-5, 0.1)))

# %% [markdown] slideshow={"slide_type": "fragment"}
# **What do you notice?** The columns agree: up to its projection, which mixes all channels, a narrow
# layer computes exactly what the first channels of the wide one compute. The first channels serve
# every subnet, the last ones only those with the widest layers.
#
# The *width multiplier* is another matter: each of its values has a set of weights of its own. (The
# pocket space has only one value.)
#
# ## Elastic depth
#
# A shallower stage consists of the first layers; what follows has to cope with the output of any of
# them. The picture shows the output of stage 2 when it ends after one, two or three layers.

# %%
rows = {}
for depth in (1, 2, 3):
    arch = Architecture(32, 1.0, (1, depth, 1), (3,) * (2 + depth), (2,) * (2 + depth))
    maps = plots.feature_maps(net.extract(arch), f"blocks.{1 + depth}", inputs)
    rows[f"depth {depth}"] = maps[:8]
figure = plots.plot_maps(rows, [f"channel {c}" for c in range(8)])
plots.show(
    figure, "Output of stage 2 after one to three layers: most channels change only a little."
)

# %% [markdown] slideshow={"slide_type": "fragment"}
# **What do you notice?** Most channels look much alike in all three rows: from the second layer on, a
# layer *adds* to its input (the residual connection), so its absence is bearable.
#
# ## Elastic resolution
#
# Convolutions slide, and the head averages over the picture before it classifies, so a smaller picture
# needs no other weights. It needs fewer MAdds.

# %%
rows, table = {}, CostTable(pocket, num_classes=net.num_classes)
for resolution in (16, 24, 32):
    arch = Architecture(resolution, 1.0, (1, 1, 1), (5, 3, 3), (4, 1, 1))
    small = data.to_input(source.valid.images[4:5], resolution, source)
    maps = plots.feature_maps(net.extract(arch), "blocks.1.depth_conv", small)
    rows[f"{resolution} px"] = maps[::8]
    print(f"{resolution} px: {table.madds(pocket.encode(arch))[0]:,} MAdds")
figure = plots.plot_maps(rows, [f"channel {c}" for c in range(0, 64, 8)])
plots.show(figure, "The same feature maps at three resolutions: coarser, but mostly the same.")

# %% [markdown] slideshow={"slide_type": "fragment"}
# **What do you notice?** Most channels see the same things, coarser. The MAdds grow almost with the
# area of the picture: twice the side, nearly four times the MAdds. (What follows the averaging does
# not shrink.)
#
# ## Reading out a subnet, and a surprise
#
# `extract` copies the slices into a plain module of its own. No training is needed. But batch norm
# normalises with *running statistics* (mean and variance of each channel), and those of the supernet
# are a mixture over all the subnets it was trained with. *Recalibration* computes them anew for the
# subnet, on a few hundred training pictures:

# %%
show_source(evaluate.recalibrate)
learn.predict("stale")

# %% [markdown] slideshow={"slide_type": "subslide"}
# Let us measure the top-1 error of some subnets twice: with the statistics of the supernet (*stale*
# ones), and after recalibration. `evaluate` always recalibrates.

# %%
X = np.vstack([pocket.lower, pocket.upper, pocket.sample(6, rng=1)])
names = ["smallest", "largest", *(str(pocket.decode(x)) for x in X[2:])]
fresh = evaluate.evaluate(net, X, source, n_images=500, calibration=500, progress=False)
some = evaluate.fixed_sample(source.valid, 500)  # the pictures that `evaluate` used
stale = []
for arch in map(pocket.decode, X):
    inputs = data.to_input(some.images, arch.resolution, source)
    with torch.no_grad():
        predicted = net.extract(arch)(inputs).argmax(dim=1)
    stale.append(100 * (predicted != some.labels).float().mean().item())
own = 100 * (1 - fresh.mean(axis=1))
lost, rho = np.subtract(stale, own), pd.Series(stale).corr(pd.Series(own), "spearman")
alt = f"Eight subnets lose {lost.min():.0f} to {lost.max():.0f} points with stale statistics."
plots.show(plots.plot_recalibration(stale, own, names), alt)
happened = 0 if lost.max() < 2 else 1 + (rho < 0.95)
learn.outcome("stale", happened, f"Rank correlation of the two: {rho:.2f}.")

# %% [markdown] slideshow={"slide_type": "fragment"}
# **What do you notice?** The weights are the same in both measurements. With stale statistics not only
# are the errors wrong but also their order. So NAT recalibrates before *every* evaluation.
#
# ## What a subnet costs
#
# A convolution with $k \times k$ kernels from $c_\text{in}$ to $c_\text{out}$ channels in $g$ groups
# spends $k^2 \, c_\text{in} \, c_\text{out} / g$ MAdds on each pixel of its output, and has as many
# weights. (What others call FLOPs is often the number of MAdds, and sometimes twice that.) So
# parameters and MAdds can be counted without building a network. A subnet's cost is a sum over its
# layers: `block_cost` counts each once for every gene, resolution and width, and `look_up` looks
# architectures up in that table, all at once.

# %%
import time

from natlib.cost import block_cost, classifier_cost, conv_cost, look_up

show_source(conv_cost, block_cost, look_up)
begin = time.perf_counter()
many = paper.sample(10_000, rng=0)
madds = cost.madds(many)
seconds = time.perf_counter() - begin
print(f"10,000 networks of {madds.min() / 1e6:.0f} to {madds.max() / 1e6:.0f} M MAdds", end=" ")
print(f"drawn and counted in {1e3 * seconds:.0f} ms")

# %% [markdown] slideshow={"slide_type": "subslide"}
# Where do the costs of NAT-M1 lie? Its layers from input to output, and the classifier:

# %%
blocks = paper.blocks(networks["M1"])
rows = [(block.name, *block_cost(block)) for block in blocks]
rows.append(("classifier", *classifier_cost(blocks[-1].c_out, num_classes=1000)))
layer_costs = pd.DataFrame(rows, columns=["layer", "params", "madds"])
figure, axes = plots.new_figure(["MAdds (M)", "parameters (M)"], 2, (8, 5), sharey=True)
for ax, cost_of, color in zip(axes, ("madds", "params"), plots.COLORS, strict=False):
    ax.barh(layer_costs.layer, layer_costs[cost_of] / 1e6, color=color)
axes[0].invert_yaxis()
plots.show(
    figure, "MAdds and parameters of each layer of M1: MAdds all along, parameters at the end."
)
learn.predict("latency")
layer_costs.set_index("layer").sum()

# %% [markdown] slideshow={"slide_type": "fragment"}
# **What do you notice?** MAdds are spread over all layers: where pictures are large, channels are few.
# Parameters sit at the end, in the last stage and in the head. "Cheap" depends on what you pay for,
# so MAdds and parameters are two objectives, not one.
#
# ## What a subnet takes
#
# MAdds are not milliseconds: memory traffic and the overhead of each call count too. But the *latency*
# of a subnet, the time it takes for one picture, is nearly a sum as well (Cai et al., 2019).
# `LatencyTable.measure` times every distinct block of the space by itself, on this machine. Then we
# compare its sums with whole networks, timed end to end (batch norm folded into the convolutions).
# *Spearman's rho*, in the title, is the correlation of ranks: 1 if both sides put all subnets in the
# same order, 0 if the orders have nothing to do with each other.

# %%
torch.manual_seed(0)
latencies = LatencyTable.measure(pocket, num_classes=net.num_classes)
X = pocket.sample(30, rng=2)
archs = [pocket.decode(x) for x in X]
subnets = [layers.fold_batch_norm(net.extract(arch)) for arch in archs]
pictures = [torch.randn(1, 3, arch.resolution, arch.resolution) for arch in archs]
measured = measure_in_turn(subnets, pictures)
predicted = latencies.latency_ms(X)
rho = pd.Series(measured).corr(pd.Series(predicted), "spearman")
panels = {f"rank correlation (Spearman): {rho:.2f}": (measured, predicted)}
labels = ("measured end to end (ms)", "predicted by look-up (ms)")
figure = plots.plot_panels(panels, labels, sharex=True)
plots.show(figure, f"Predicted and measured latency of 30 subnets: {list(panels)[0]}.")
learn.outcome("latency", sum(rho > limit for limit in (0.5, 0.8, 0.95)), f"Rho is {rho:.2f}.")
latencies.about

# %% [markdown] slideshow={"slide_type": "fragment"}
# **What do you notice?** (On the dashed line both are equal.) The sum may be too small: a block that is
# timed alone finds its weights and its input in the cache. The *order* is what search needs, and rho
# says how well it agrees. (A busy machine blurs it; `benchmarks/RESULTS.md` has a measurement on a quiet
# one.)
#
# ## Accuracy against cost
#
# Left, 100 subnets of a recording: the supernet after training on another task, animal silhouettes.
# Right, a few subnets measured now, on the task that the supernet was pre-trained on.

# %%
archive = pd.read_csv(data.DATA / "archives" / "pocket_animals.csv").sample(100, random_state=0)
X = pocket.sample(12, rng=3)
live = evaluate.evaluate(net, X, source, n_images=500, calibration=500, progress=False)
live = pd.DataFrame({"top1_err": 100 * (1 - live.mean(axis=1)), "madds": table.madds(X)})
panels = {"animals: 100 recorded": archive, "source: 12 measured now": live}
panels = {title: (t.madds / 1e6, 100 - t.top1_err) for title, t in panels.items()}
figure = plots.plot_panels(panels, plots.ACCURACY)
plots.show(
    figure, "Accuracy against MAdds: costlier subnets tend to be better, with a wide spread."
)

# %% [markdown] slideshow={"slide_type": "fragment"}
# **What do you notice?** More MAdds help on the whole, yet subnets of much the same cost can differ by
# several (percentage) points. (On the right, with 500 pictures, some of that is chance.) That spread
# is what the search of notebooks 02 and 03 lives on.
#
# ## Change one stage yourself
#
# The sliders set depth, kernel and expand ratio of all layers of stage 3 of NAT-M1. (Without a
# running kernel you see the picture as it was when the notebook ran.)

# %%
from ipywidgets import SelectionSlider


def draw(depth, kernel, expand):
    M1, title = networks["M1"], "M1, its stage 3 changed"
    stages = [*M1.stages()[:2], [(kernel, expand)] * depth, *M1.stages()[3:]]
    layers, depths = zip(*sum(stages, []), strict=True), tuple(map(len, stages))
    x = paper.encode(Architecture(M1.resolution, M1.width, depths, *layers))
    note = f"{cost.madds(x)[0] / 1e6:.1f} M MAdds, {cost.params(x)[0]:,} parameters"
    figure = plots.draw_architecture({title: paper.decode(x)}, paper, {title: note})
    return figure, f"{title}: {depth} layers, kernel {kernel}, expand ratio {expand}; {note}."


ways = {"depth": ((2, 3, 4), 3), "kernel": (paper.kernels, 5), "expand": (paper.expands, 4)}
sliders = [SelectionSlider(description=n, options=o, value=v) for n, (o, v) in ways.items()]
plots.Redrawn(draw, *sliders)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## With an official ImageNet checkpoint
#
# The paper starts from *Once-for-all* (OFA), a supernet that others trained on ImageNet. Its authors
# publish the weights of each width as a file, named after its depths, expand ratios and kernels. If
# you have them, these lines give you the paper's starting point, with the 1,000 classes of ImageNet:
#
# ```python
# from natlib.inputs.weights import read_weights
# from natlib.paper.checkpoints import load_ofa
#
# net = Supernet(SearchSpace.paper(), num_classes=1000)
# files = {w: f"ofa_mbv3_d234_e346_k357_w{w}" for w in (1.0, 1.2)}
# load_ofa(net, {w: read_weights(file) for w, file in files.items()})
# ```
#
# From there, the cells above work at the paper's scale: read out any subnet, measure it on ImageNet,
# or transfer the supernet to your own pictures (notebook 04). M1 to M4 themselves have weights of
# their own, which NAT has adapted.
#
# ## Check yourself
#
# Encode this by hand, in place of `None`: 24 px, width 1.0; stage 1 has one layer with kernel 5
# and expand ratio 2, stage 2 two layers with kernel 3 and expand ratio 1, stage 3 three layers with
# kernel 5 and expand ratio 4. (The rule for genes stands above. Resolutions are 16, 20, 24, 28 and 32
# px; a stage has three genes.)

# %%
answer = None  # a list of genes
wanted = Architecture(24, 1.0, (1, 2, 3), (5, 3, 3, 5, 5, 5), (2, 1, 1, 4, 4, 4))
if answer is None:
    print("Your turn.")
else:
    assert len(answer) == pocket.n_var, f"An encoding of this space has {pocket.n_var} integers."
    found = pocket.decode(pocket.repair(answer))
    assert found == wanted, f"This encodes {found.to_dict()}: compare."
    print("Right:", found)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What we simplified against the paper
#
# - The supernet here has three stages of one to three layers, kernels 3 and 5, expand ratios 1, 2 and
#   4, five resolutions and one width; the paper's has five stages of two to four layers, kernels 3 to
#   7, expand ratios 3, 4 and 6, seventeen resolutions and two widths with a weight set each.
# - It was pre-trained on small drawings, in half an hour on one CPU core (`data/README.md`), with
#   subnets of all sizes from the first step on. Once-for-all was trained on ImageNet, beginning with
#   the largest network and letting the smaller ones in step by step (*progressive shrinking*).
# - In MAdds we count convolutions and linear layers, not batch norm and activations. The published
#   MAdds are slightly larger; `published` holds both figures, and notebook 05 compares them.
# - Latency is that of this machine and of our layers in PyTorch, not of a phone.
#
# ## Recap
#
# - The number of architectures is a product of small numbers; an encoding has two genes, and one more
#   for each layer.
# - Elastic means: centre of the kernel times a matrix, first channels, first layers, any resolution.
# - A subnet is read out by copying slices, and its batch norm is recalibrated before it is measured.
# - Parameters and MAdds are exact sums over a table; latency is nearly such a sum.
# - An official checkpoint loads with `load_ofa`, and the same code works at the paper's scale.
#
# ## Exercises
#
# In [exercises/01_supernet.ipynb](exercises/01_supernet.ipynb), with hints and self-checks;
# [solutions/01_supernet.ipynb](solutions/01_supernet.ipynb) discusses answers.
#
# 1. *Counting by recursion* (15 minutes): how many architectures have exactly so many layers?
# 2. *MAdds of a layer by hand* (15 minutes): count the three convolutions of a layer.
# 3. *The dearest gene* (10 minutes): which decision costs most when it is raised?
# 4. *From 7x7 to 5x5 to 3x3* (20 minutes): write the chain of kernel matrices.
# 5. *Do the matrices matter?* (25 minutes): replace them by identities, and measure how sure you are.
# 6. *Half the side* (5 minutes): how many times fewer MAdds do half as many pixels a side take?
# 7. *How much of the space fits a watch?* (30 minutes): a small project: estimate a share by weights.
#
# ## References
#
# - Lu, Sreekumar, Goodman, Banzhaf, Deb, Boddeti: *Neural Architecture Transfer*, TPAMI 2021,
#   [arXiv:2005.05859](https://arxiv.org/abs/2005.05859).
# - Cai, Gan, Wang, Zhang, Han: *Once-for-All: Train One Network and Specialize it for Efficient
#   Deployment*, ICLR 2020, [arXiv:1908.09791](https://arxiv.org/abs/1908.09791).
# - Howard et al.: *Searching for MobileNetV3*, ICCV 2019,
#   [arXiv:1905.02244](https://arxiv.org/abs/1905.02244).
# - Cai, Zhu, Han: *ProxylessNAS: Direct Neural Architecture Search on Target Task and Hardware*, ICLR
#   2019, [arXiv:1812.00332](https://arxiv.org/abs/1812.00332) (latency as a sum).
# - *Further reading:* Sandler et al.: *MobileNetV2: Inverted Residuals and Linear Bottlenecks*, CVPR
#   2018, [arXiv:1801.04381](https://arxiv.org/abs/1801.04381); Hu, Shen, Sun: *Squeeze-and-Excitation
#   Networks*, CVPR 2018, [arXiv:1709.01507](https://arxiv.org/abs/1709.01507); Yu, Huang:
#   *Universally Slimmable Networks and Improved Training Techniques*, ICCV 2019,
#   [arXiv:1903.05134](https://arxiv.org/abs/1903.05134) (training all sizes at once, recalibration).
#
# ## Quiz and feedback
#
# Six questions, with a comment on each option: your first answer counts. Below them is room for what those
# who teach should know. `natlib.teach.report()` writes all that you predicted and answered on one page.

# %% slideshow={"slide_type": "skip"}
learn.quiz("01")
learn.feedback("01")
