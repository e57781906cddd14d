# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] slideshow={"slide_type": "slide"}
# # 0 · Start here
#
# About 1 minute of computing on a laptop, CPU; about 45 minutes to teach (planned).
#
# **You will be able to**
#
# - say whether this machine is ready for the course;
# - name the steps of Neural Architecture Transfer (NAT) and the notebook that explains each;
# - read a trade-off between error and cost, and pick a network from it by your own wishes.

# %% slideshow={"slide_type": "skip"}
# If this fails, choose the kernel of the course's environment: README.md tells how to make one.
import natlib
from natlib import data
from natlib.profiles import get_profile
from natlib.search import non_dominated
from natlib.teach import explorer, learn, plots
from natlib.teach.source import show_source
import pandas as pd

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Is this machine ready?
#
# `natlib` is the library of this course. Its `check()` looks at everything that can go wrong in the
# first minutes. Where `ok` is False, the last column says what to do. The *profile* says how much is
# computed: `quick`, the default, is made for a laptop; notebook 04 names the larger ones.

# %%
checks = natlib.check()
checks.style.set_properties(**{"text-align": "left", "white-space": "normal"})

# %%
assert checks.ok["shipped data"], f"The course cannot go on: {checks.found['shipped data']}"
print(f"Profile '{get_profile().name}': the notebooks say at their top how long they take with it.")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What this course rebuilds
#
# Training takes a long time, and the best network for *your* pictures on *your* device need not be
# the best for somebody else. **Neural Architecture Transfer** (NAT) finds many networks at once, from
# cheap to accurate, for a *target task* that has just arrived: labelled pictures of some classes. It
# starts from a *supernet*: one network that holds the weights (what training adjusts) of very many
# smaller ones, its *subnets*, and that was pre-trained on another task. The *architecture* of a subnet says how many
# layers it has, and how large each is.
#
# After a first training on the target task, the *warm-up*, two things alternate. **Search** looks for
# good architectures. Measuring a subnet takes time, so a *surrogate*, a model that predicts the error
# of an architecture, is asked instead, thousands of times, by the search algorithm *NSGA-III*: it breeds
# new architectures from good ones, over and over. Only a few promising *candidates* are measured; they
# join the *archive*, the list of all that were measured.
# **Adaptation** trains the supernet further, above all those parts of it that the best of the archive
# use. At the end four of the best are reported: M1, the cheapest of them, to M4, the most accurate.
# The map shows every step; you need not understand each box yet.

# %%
plots.show_map()

# %% [markdown] slideshow={"slide_type": "fragment"}
# The same as a table, with a link to the section that explains each step (both [on a page](map.md)):
#
# | step | what happens | in `natlib` | explained in |
# |---|---|---|---|
# | A | A pre-trained supernet | `supernet.Supernet` | [01: A trained supernet](01_supernet.ipynb#A-trained-supernet) |
# | 0 | Warm up on the target task | `transfer.warm_up` | [04: Step 0 · Warm-up](04_online_adaptation.ipynb#Step-0-·-Warm-up) |
# | 1 | Measure a first archive | `transfer.fill_archive` | [04: Step 1 · The archive](04_online_adaptation.ipynb#Step-1-·-The-archive) |
# | 2a | Fit a surrogate on the archive | `surrogate.RBFEnsemble` | [02: An ensemble](02_surrogate.ipynb#An-ensemble) |
# | 2b | Search with NSGA-III | `search.nsga3` | [03: On the real problem](03_nsga3.ipynb#On-the-real-problem) |
# | 2c | Measure chosen candidates | `search.choose_candidates` | [03: What to measure](03_nsga3.ipynb#What-to-measure) |
# | 2d | Distribution of the best | `search.gene_distribution` | [04: Step 2d · What do the best have in common?](04_online_adaptation.ipynb#Step-2d-·-What-do-the-best-have-in-common?) |
# | 2e | Adapt the supernet | `transfer.adapt` | [04: Step 2e and 2f · Adapt, and measure again](04_online_adaptation.ipynb#Step-2e-and-2f-·-Adapt,-and-measure-again) |
# | 2f | Measure the archive again | `transfer.measure_again` | [04: Step 2e and 2f · Adapt, and measure again](04_online_adaptation.ipynb#Step-2e-and-2f-·-Adapt,-and-measure-again) |
# | 3 | Report M1 to M4 on test | `transfer.report` | [04: Step 3 · Report](04_online_adaptation.ipynb#Step-3-·-Report) |
# | B | Choose one by your wishes | `teach.explorer.ObjectiveExplorer` | [06: From wishes to a choice](06_many_objectives.ipynb#From-wishes-to-a-choice) |
# | C | Export it | `deploy.export` | [06: Take it home](06_many_objectives.ipynb#Take-it-home) |
#
# In code the steps are a loop. `natlib` is meant to be read: where the course explains a function, it
# shows the lines that run, without their docstrings. This one is the whole transfer. What counts are
# its last lines; `do` takes a step unless it was done before an interruption, and saves.

# %%
show_source(natlib.transfer)

# %% [markdown] slideshow={"slide_type": "subslide"}
# The notebooks, each with the question that it answers:
#
# | notebook | question | in `natlib` |
# |---|---|---|
# | [01 supernet](01_supernet.ipynb) | How can one network hold so many, and what does each cost? | `space`, `cost`, `supernet` |
# | [02 surrogate](02_surrogate.ipynb) | Can accuracy be predicted from a few measurements? | `surrogate` |
# | [03 NSGA-III](03_nsga3.ipynb) | How are cheap and accurate networks searched for at once? | `search` |
# | [04 online adaptation](04_online_adaptation.ipynb) | How do weights and search help each other? | `train`, `evaluate`, `transfer` |
# | [05 reproduction](05_reproduction.ipynb) | What did the paper find, and what do you find? | `paper` |
# | [06 many objectives](06_many_objectives.ipynb) | How do I choose, and take a network home? | `teach.explorer`, `deploy` |
#
# You need Python, numpy and the basics of PyTorch and of image classification; nothing of
# architecture search. The [glossary](glossary.md) explains the words of the course.
#
# ## The pictures
#
# The course works at a small scale, *pocket*: its tasks are 32-pixel drawings and small grey pictures,
# and ship with it, so that every notebook runs on a laptop without a network connection. The supernet
# was pre-trained on the *source* task, clothes and clip art.

# %%
task = data.load_task("source")
figure = plots.plot_images(task.train.images, task.train.labels, task.classes)
plots.show(figure, f"Eight pictures of each of {task.num_classes} classes: clothes and clip art.")

# %% [markdown] slideshow={"slide_type": "subslide"}
# The *target* tasks are what it is transferred to: animal silhouettes, digits on drawings, emoji. The
# pictures of each task are split three ways, and no split has two purposes: weights are fitted on
# *train*, architectures are chosen on *valid* (validation), and *test* is for the final report.

# %%
for name in data.TARGETS:
    task = data.load_task(name)
    sizes = ", ".join(f"{len(getattr(task, split))} {split}" for split in data.SPLITS)
    print(f"{name}: {task.num_classes} classes; pictures: {sizes}")
    figure = plots.plot_images(task.train.images, task.train.labels, task.classes)
    plots.show(figure, f"Eight pictures of each class of the task {name}.")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## A trade-off to play with
#
# The supernet was trained on the animals for a while; then several hundred subnets were measured on
# the validation split, and recorded. The *top-1 error* (`top1_err`) is the share of pictures whose
# most probable class is not the right one, in percent; *MAdds*, our first measure of cost, are the
# multiply-adds (a product, added to a sum) that a subnet spends on one picture. Both are *objectives*: each should be small. In
# code, `F` is the matrix of objectives, one row for each subnet and one column for each objective.
#
# Before some figures the course asks what you expect. Take an option, which locks it, and run the next cell:
# it says what happened, and why. Nothing waits for you; README.md says where answers are kept.

# %% slideshow={"slide_type": "subslide"}
learn.predict("front")
learn.predict("halving")

# %%
archive = pd.read_csv(data.DATA / "archives" / "pocket_animals.csv")
F = archive[["top1_err", "madds"]].to_numpy()
best = archive[non_dominated(F)].sort_values("madds")
figure = plots.plot_front(F)
plots.show(figure, f"Error against MAdds of {len(F)} recorded subnets; {len(best)} form the front.")
happened = sum(len(best) >= number for number in (10, 50, 200))
learn.outcome("front", happened, f"{len(best)} of {len(F)} form the front.")
cheap = archive[archive.madds <= archive.madds.max() / 2]
lost = cheap.top1_err.min() - archive.top1_err.min()
happened = sum(lost >= points for points in (1, 3, 6))
learn.outcome("halving", happened, f"It errs {lost:.1f} points more.")

# %% [markdown] slideshow={"slide_type": "fragment"}
# **What do you notice?** You cannot have the least error and the fewest MAdds at once. The lower left
# edge is the *Pareto front*, or *front* for short. Everything above it is *dominated*, a bad buy: some
# subnet of the front costs no more and errs no more, and is better in one of the two. A subnet of the
# front has no such rival.
#
# Now choose. Move the weights (of the objectives, not of a network): how much does an error hurt you,
# how much a multiply-add? Or set a limit that must be kept, by its slider or by dragging along an axis.
# Point at a subnet and it says what it is; click, and it is chosen; shift-click keeps it for comparison.
# On the right, each subnet is a line from its error to its MAdds; below, the architecture that was chosen.
# Notebook 06 says how weights become a choice, notebook 01 how to read an architecture. All of it works in
# a page without a kernel, too.

# %%
pictures = len(data.load_task("animals").valid)
explorer.ObjectiveExplorer(archive, objectives=["top1_err", "madds"], pictures=pictures)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Check yourself
#
# Take the cheapest subnet whose error is at most two (percentage) points above the least. What
# percentage of the largest subnet's MAdds does it need? Read it off the figure, and replace `None`.

# %%
guess = None  # percent
good = best[best.top1_err <= best.top1_err.min() + 2]
share = 100 * good.madds.min() / archive.madds.max()
assert guess is None or abs(guess - share) <= 10, (
    f"{guess}% is not near enough: find the least error, go up by two points, and look for the "
    "cheapest subnet below that line. What are its MAdds, and those of the largest subnet?"
)
print("Your turn." if guess is None else f"Near enough: it needs {share:.0f}% of the MAdds.")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What we simplified against the paper
#
# - The paper pre-trains on ImageNet and transfers to eleven data sets of photos at 192 to 256
#   pixels; the pocket tasks are small drawings at 16 to 32. The steps are the same; the accuracies
#   say nothing about the paper's.
# - The environment variable `NATLIB_PROFILE=paper` chooses the paper's scale, with settings of its
#   authors' later framework (notebook 05 estimates how long that takes). The paper reports about one
#   GPU-day (a day of one graphics processor) for a search on CIFAR-10; which schedule that was is not known.
# - The archive above was measured once, with weights that no longer changed; in NAT they adapt.
#
# ## Recap
#
# - `natlib.check()` says whether the machine is ready.
# - NAT alternates search and adaptation over an archive of measured subnets; the map says which
#   notebook explains which step.
# - A Pareto front holds what is worth buying; which point of it is yours depends on your weights and
#   limits.
#
# ## Exercises
#
# In [exercises/00_start_here.ipynb](exercises/00_start_here.ipynb), with hints and self-checks;
# [solutions/00_start_here.ipynb](solutions/00_start_here.ipynb) discusses answers.
#
# 1. *Reading a front* (5 minutes): which of six subnets are dominated?
# 2. *A limit* (10 minutes): find the best subnet within it, and see what each halving costs.
# 3. *Weights* (15 minutes): choose by a weighted sum, and see which subnets it never finds.
# 4. *How sure is a front?* (15 minutes): compare the fronts of two halves of the validation split.
# 5. *What is a search worth?* (30 minutes): a small project: what drawing at random gives away.
#
# ## References
#
# - Lu, Sreekumar, Goodman, Banzhaf, Deb, Boddeti: *Neural Architecture Transfer*, TPAMI 2021,
#   [arXiv:2005.05859](https://arxiv.org/abs/2005.05859).
# - Elsken, Metzen, Hutter: *Neural Architecture Search: A Survey*, JMLR 20, 2019,
#   [arXiv:1808.05377](https://arxiv.org/abs/1808.05377).
# - *Further reading:* White, Safari, Sukthanker, Ru, Elsken, Zela, Dey, Hutter: *Neural Architecture
#   Search: Insights from 1000 Papers*, 2023, [arXiv:2301.08727](https://arxiv.org/abs/2301.08727).
#
# ## Quiz and feedback
#
# Six questions, with a comment on each option: your first answer counts. Below them is room for what those
# who teach should know. `natlib.teach.report()` writes all that you predicted and answered on one page.

# %% slideshow={"slide_type": "skip"}
learn.quiz("00")
learn.feedback("00")
