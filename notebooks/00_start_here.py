# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 0 · Start here
#
# About 1 minute on a laptop, CPU.
#
# **You will be able to**
#
# - say whether this machine is ready for the course;
# - name the stages of Neural Architecture Transfer (NAT) and the notebook that explains each;
# - read a trade-off between error and cost, and pick a network from it by your own wishes.

# %%
import pandas as pd

import natlib
from natlib import data, plots
from natlib.explore import ObjectiveExplorer
from natlib.profiles import get_profile
from natlib.search import non_dominated

# %% [markdown]
# ## Is this machine ready?
#
# `natlib.check()` looks at everything that the first minutes can stumble over. Where `ok` is False,
# the last column says what to do.

# %%
checks = natlib.check()
checks.style.set_properties(**{"text-align": "left", "white-space": "normal"})

# %%
assert checks.ok["shipped data"], f"The course cannot go on: {checks.found['shipped data']}"
print(f"Profile '{get_profile().name}': the notebooks say at their top how long they take with it.")

# %% [markdown]
# ## What this course rebuilds
#
# Training a network takes long, and the best network for *your* pictures on *your* device is not
# the best one for somebody else. **Neural Architecture Transfer** finds many networks at once, from
# cheap to accurate, for a task that has just arrived. It starts from a *supernet*: one network that
# holds the weights of very many *subnets*, pre-trained on another task.

# %%
plots.show(
    plots.draw_loop(),
    "The loop of NAT: a pre-trained supernet is warmed up; a first archive of subnets is measured; "
    "then a surrogate is fitted, NSGA-III searches, new candidates are measured, the supernet adapts "
    "to the archive's best and the archive is measured again; at the end M1 to M4 are tested.",
)

# %% [markdown]
# | notebook | question | in `natlib` |
# |---|---|---|
# | 01 supernet | How can one network hold so many, and what does each cost? | `space`, `cost`, `supernet` |
# | 02 surrogate | Can accuracy be guessed from a few measurements? | `surrogate` |
# | 03 NSGA-III | How is a whole front searched at once? | `search` |
# | 04 online adaptation | How do weights and search help each other? | `train`, `evaluate`, `transfer` |
# | 05 reproduction | What did the paper find, and what do you find? | `datasets`, `paper`, `reproduce` |
# | 06 many objectives | How do I choose, and take a network home? | `explore`, `export` |
#
# ## The pictures
#
# The pocket tasks ship with the course: 32-pixel drawings and small grey pictures, so that every
# notebook runs on a laptop without a network. The supernet was pre-trained on the *source* task,
# clothes and clip art.

# %%
source = data.load_task("source")
figure = plots.plot_images(source, 8)
plots.show(figure, f"Eight pictures of each of {source.num_classes} classes: clothes and clip art.")

# %% [markdown]
# The *target* tasks are what it is transferred to: animal silhouettes, digits on drawings, emoji.

# %%
for name in data.TARGETS:
    task = data.load_task(name)
    sizes = ", ".join(f"{len(getattr(task, split))} {split}" for split in data.SPLITS)
    print(f"{name}: {task.num_classes} classes; pictures: {sizes}")
    plots.show(plots.plot_images(task, 8), f"Eight pictures of each class of the task {name}.")

# %% [markdown]
# ## A trade-off to play with
#
# Several hundred subnets of the supernet were measured on the animals (validation split, pocket
# scale) and recorded. *Error* is the share of pictures that a subnet gets wrong; *MAdds* are the
# multiply-adds that it spends on one picture. Both should be small, and they cannot both be.

# %%
archive = pd.read_csv(data.DATA / "archives" / "pocket_animals.csv")
F = archive[["top1_err", "madds"]].to_numpy()
best = archive[non_dominated(F)].sort_values("madds")
figure = plots.plot_front(F)
plots.show(figure, f"Error against MAdds of {len(F)} recorded subnets; {len(best)} form the front.")

# %% [markdown]
# **What do you notice?** The lower left edge, the *Pareto front*, holds the subnets that no other
# one beats in both. Everything above it is a bad buy: something else is cheaper and better.
#
# Now choose. Move the weights: how much does an error hurt you, how much a multiply-add? Or set a
# hard limit. (Without a running kernel you see a picture of the choice with equal weights.)

# %%
ObjectiveExplorer(archive, objectives=["top1_err", "madds"])

# %% [markdown]
# ## Check yourself
#
# Replace the guess below: how many percent of the largest subnet's MAdds does the cheapest subnet
# need that errs at most two points more than the best?

# %%
guess = 50
good = best[best.top1_err <= best.top1_err.min() + 2]
share = 100 * good.madds.min() / archive.madds.max()
assert 0 < guess <= 100, "The guess is a share in percent: choose a number from 1 to 100."
print(f"It needs {share:.0f}% of the MAdds; your guess was {guess}%.")

# %% [markdown]
# ## What we simplified against the paper
#
# - The paper pre-trains on ImageNet and transfers to eleven data sets of photos at 192 to 256
#   pixels; the pocket tasks are small drawings at 16 to 32. What you learn here about the method
#   carries over, the accuracies do not.
# - One run of the paper's search takes about a GPU-day; `NATLIB_PROFILE=paper` runs that scale.
#
# ## Recap
#
# - `natlib.check()` says whether the machine is ready.
# - NAT alternates search and adaptation over an archive of measured subnets.
# - A Pareto front holds what is worth buying; which point of it is yours depends on your weights and
#   limits.
#
# ## Exercises
#
# In [exercises/00_start_here.ipynb](exercises/00_start_here.ipynb), with hints and self-checks;
# [solutions/00_start_here.ipynb](solutions/00_start_here.ipynb) discusses answers.
#
# 1. *Reading a front* (5 minutes): which of six subnets are dominated?
# 2. *A limit* (10 minutes): find the best subnet within it, and what each halving costs.
# 3. *Weights* (15 minutes): choose by a weighted sum, and see which subnets it never finds.
# 4. *How sure is a front?* (15 minutes): compare the fronts of two halves of the validation split.
#
# ## References
#
# - Lu, Sreekumar, Goodman, Banzhaf, Deb, Boddeti: *Neural Architecture Transfer*, TPAMI 2021,
#   [arXiv:2005.05859](https://arxiv.org/abs/2005.05859).
# - Elsken, Metzen, Hutter: *Neural Architecture Search: A Survey*, JMLR 2019,
#   [arXiv:1808.05377](https://arxiv.org/abs/1808.05377).
