"""Many tasks at once: one supernet, one classifier with a block of columns for each task.

The paper's largest experiment searches with twelve objectives: MAdds and the error on all eleven
data sets (NAT, "What the paper measures"). Here the tasks are *joined* into one with all classes,
and a picture is classified within its own task: they share features and batch norm, no classifier.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from PIL import Image
from pymoo.indicators.igd_plus import IGDPlus
from torch import Tensor
from torch.utils.data import ConcatDataset
from torchvision.transforms.functional import to_pil_image

from natlib.data import DATA, SPLITS, Split, Task, fixed_rows, load_task, make_task
from natlib.inputs.pictures import LazyImages
from natlib.paper.datasets import DATA_SETS, dataset_task
from natlib.profiles import PROFILES, Profile, get_profile
from natlib.search import non_dominated
from natlib.space import SearchSpace
from natlib.transfer import Transfer, side_of

MASKED = -1e4  # a logit that no softmax sees; finite, for minus infinity times zero is no number

# The settings for many tasks at once: NSGA-III takes more directions. On pocket tasks a few hundred
# validation pictures make every error noisy, and the linear model believes noise least.
MANY = {
    "quick": replace(
        PROFILES["quick"], warmup_uniform=1.4, subnets_per_step=2, archive=40, iterations=6,
        candidates=10, population=160, surrogate="ridge", validation=None,
    ),
    "gpu": replace(PROFILES["gpu"], population=450, candidates=20, surrogate="ridge"),
    "paper": replace(PROFILES["paper"], population=450),
}  # fmt: skip
PART_VALIDATION = {"quick": 300, "gpu": None, "paper": 2000}  # pictures of each task at most

# Eleven pocket tasks: the shipped set that each is taken from, and which of its classes.
_TABLE = pd.read_csv(DATA / "paper/joined.csv", keep_default_na=False).itertuples(index=False)
POCKET_TASKS = {task: (source, tuple(classes.split("; "))) for task, source, classes in _TABLE}


@dataclass(frozen=True)
class JoinedTask(Task):
    """Several tasks as one; `parts` are the name and the number of classes of each."""

    parts: tuple[tuple[str, int], ...] = ()

    @property
    def part_of(self) -> Tensor:
        """The part that each class belongs to, int64 `(num_classes,)`."""
        sizes = torch.tensor([n for _, n in self.parts])
        return torch.arange(len(sizes)).repeat_interleave(sizes)

    @property
    def error_names(self) -> tuple[str, ...]:
        """The error on each part: `top1_err_NAME`."""
        return tuple(f"top1_err_{name}" for name, _ in self.parts)

    def within(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Hides the classes of other parts than that of each picture's label from its logits."""
        part = self.part_of.to(logits.device)
        return logits.masked_fill(part != part[labels][:, None], MASKED)

    def errors(self, correct: NDArray[np.bool_], labels: Tensor) -> NDArray[np.float64]:
        """Returns the top-1 errors in percent on each part, `(n, parts)`."""
        part = self.part_of[labels].numpy()
        columns = [correct[:, part == k].mean(axis=1) for k in range(len(self.parts))]
        return 100 * (1 - np.stack(columns, axis=1))


def get_many_profile(profile: str | Profile | None = None) -> Profile:
    """Returns the settings for many tasks at once that belong to a profile."""
    return profile if isinstance(profile, Profile) else MANY[get_profile(profile).name]


def load_many(
    profile: Profile | str | None = None,
    root: str | Path | None = None,  # folder of the paper's data sets; None: that of NATLIB_DATA
    seed: int = 0,  # cuts the validation splits of these
) -> JoinedTask:
    """Returns the eleven tasks of a profile, joined: pocket tasks, or the paper's data sets."""
    profile = get_many_profile(profile)
    n_valid = PART_VALIDATION.get(profile.name)
    if profile.space == "paper":
        side = side_of(profile, SearchSpace.paper())
        tasks = {name: dataset_task(name, root, side=side, seed=seed) for name in DATA_SETS}
        return join_tasks(tasks, side, n_valid)
    tasks = {name: _with_classes(load_task(of), c) for name, (of, c) in POCKET_TASKS.items()}
    return join_tasks(tasks, 32, n_valid)


def _with_classes(task: Task, classes: Sequence[str]) -> Task:
    """Returns a task with some of the classes of another one, in the order given."""
    known = [name.removeprefix("clip art: ") for name in task.classes]
    new, splits = torch.full((len(known),), -1), {}
    new[[known.index(name) for name in classes]] = torch.arange(len(classes))
    for name in SPLITS:
        chosen = getattr(task, name).take(new[getattr(task, name).labels] >= 0)
        splits[name] = Split(chosen.images, new[chosen.labels])
    return make_task(task.name, tuple(classes), splits, task.flip)


def join_tasks(tasks: Mapping[str, Task], side: int, n_valid: int | None = None) -> JoinedTask:
    """Joins tasks, by name, into one with the classes of all, its pictures of `side` pixels.

    Each gives as many training pictures as the median task has, a larger one a part of its own and
    a smaller one its own repeatedly: else the largest would have nearly the whole of every batch.
    Each gives `n_valid` validation pictures at most.
    """
    n = int(np.median([len(task.train) for task in tasks.values()]))
    first, splits = 0, {name: [] for name in SPLITS}
    for task in tasks.values():
        order = np.random.default_rng(0).permutation(len(task.train))
        rows = np.resize(order, n), fixed_rows(len(task.valid), n_valid), np.arange(len(task.test))
        for name, index in zip(SPLITS, rows, strict=True):
            split = getattr(task, name).take(index)
            splits[name].append(Split(split.images, split.labels + first))
        first += task.num_classes
    means, stds = (np.array([getattr(t, k) for t in tasks.values()]) for k in ("mean", "std"))
    std = np.sqrt((stds**2 + means**2).mean(axis=0) - means.mean(axis=0) ** 2)
    whole = (_join_splits(splits[name], side) for name in SPLITS)
    classes = tuple(f"{name}: {label}" for name, task in tasks.items() for label in task.classes)
    mean, std = (tuple(values.tolist()) for values in (means.mean(axis=0), std))
    flip = all(task.flip for task in tasks.values())
    parts = tuple((name, task.num_classes) for name, task in tasks.items())
    return JoinedTask(f"{len(tasks)} tasks", classes, *whole, mean, std, flip, parts=parts)


def _join_splits(splits: Sequence[Split], side: int) -> Split:
    images = ConcatDataset([split.images for split in splits])
    pictures = LazyImages(partial(_picture, images), len(images), side, keep=0)
    return Split(pictures, torch.cat([split.labels for split in splits]))


def _picture(images: ConcatDataset, row: int) -> Image.Image:
    return to_pil_image(images[row])  # the parts keep what they decode


def random_candidates(run: Transfer) -> tuple[NDArray[np.int64], None]:
    """Draws architectures uniformly: `search_candidates(run, random_candidates)` measures them."""
    fresh, rng = [], np.random.default_rng((run.settings.seed, 3, run.iteration))
    for _ in range(100 * run.profile.candidates):  # a small space may have no others
        x = run.space.sample(1, rng)[0]
        known = (np.vstack([run.archive.X, *fresh]) == x).all(axis=1).any()
        if not known and len(fresh) < run.profile.candidates:
            fresh.append(x)
    return np.array(fresh).reshape(-1, run.space.n_var), None


def compare(archives: Mapping[str, NDArray[np.float64]]) -> dict[str, float]:
    """Returns IGD+ of archives `(n, n_objectives)`: how far the front of all lies beyond each.

    The mean over that front, scaled to 0 ... 1, of the distance to the archive's nearest point,
    counting only objectives in which that is worse; less is better (Ishibuchi et al., 2015).
    """
    together = np.vstack(list(archives.values()))
    igd_plus = IGDPlus(together[non_dominated(together)], zero_to_one=True)
    return {name: float(igd_plus(F)) for name, F in archives.items()}
