"""Many tasks at once: one supernet, one classifier with a block of columns for each task.

The paper's largest experiment searches with twelve objectives: MAdds and the error on all eleven
data sets (NAT, "What the paper measures"). Here the tasks are *joined* into one, whose classes
are those of all of them. A picture is classified within its own task only
(`natlib.data.within_part`), so the features are shared and the classifiers are not. A joined task
is a task: `natlib.transfer` warms up, measures, searches and adapts as it does with any other, and
an architecture's batch norm is recalibrated once for all tasks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike
from PIL import Image
from pymoo.indicators.igd_plus import IGDPlus

from natlib.data import load_task
from natlib.datasets import DATA_SETS, dataset_task
from natlib.evaluate import fixed_rows
from natlib.pictures import LazyImages
from natlib.profiles import Profile, get_many_profile
from natlib.search import FloatMatrix, non_dominated
from natlib.tasks import Split, Task, make_task
from natlib.transfer import Run, add

# Eleven tasks from the four shipped sets: each class belongs to one of them.
POCKET_TASKS = {
    "tops": ("source", ("T-shirt", "pullover", "dress", "coat", "shirt")),
    "shoes": ("source", ("trouser", "sandal", "sneaker", "bag", "ankle boot")),
    "scenes": ("source", ("animals", "food", "people", "recreation", "transportation")),
    "things": ("source", ("computer", "office", "shapes", "signs and symbols", "tools")),
    "farm": ("animals", ("cow", "horse", "sheep")),
    "savanna": ("animals", ("elephant", "giraffe", "zebra")),
    "woods": ("animals", ("bear", "bird", "cat", "dog")),
    "round": ("digits", ("0", "6", "8", "9")),
    "straight": ("digits", ("1", "4", "7")),
    "curved": ("digits", ("2", "3", "5")),
    "emoji": ("emoji", None),
}


def load_many(
    profile: Profile | str | None = None, root: str | Path | None = None, seed: int = 0
) -> Task:
    """Returns the eleven tasks of a profile, joined: pocket tasks, or the paper's data sets.

    Args:
        profile: The settings, or their name; `NATLIB_PROFILE` by default.
        root: Folder of the data sets, for the paper's space; by default what `NATLIB_DATA` names.
        seed: Seed of the cut between train and validation split of the data sets.

    Raises:
        FileNotFoundError: If a data set is missing.
        ValueError: If a file is damaged.
    """
    profile = get_many_profile(profile)
    if profile.space == "paper":
        tasks = {name: dataset_task(name, root, side=256, seed=seed) for name in DATA_SETS}
        return join_tasks(tasks, 256, profile.part_validation)
    sets = {name: load_task(name) for name in ("source", "animals", "digits", "emoji")}
    tasks = {name: with_classes(sets[of], classes) for name, (of, classes) in POCKET_TASKS.items()}
    return join_tasks(tasks, 32, profile.part_validation)


def with_classes(task: Task, classes: Sequence[str] | None) -> Task:
    """Returns a task with some of the classes of another one, in the order given; `None`: all.

    Raises:
        ValueError: If it has no such class.
    """
    if classes is None:
        return task
    known = [name.removeprefix("clip art: ") for name in task.classes]
    unknown = [name for name in classes if name not in known]
    if unknown:
        raise ValueError(f"Task '{task.name}' has no class '{unknown[0]}', only {known}.")
    new = torch.full((len(known),), -1)
    new[[known.index(name) for name in classes]] = torch.arange(len(classes))
    splits = {}
    for name in ("train", "valid", "test"):
        split = getattr(task, name)
        rows = torch.nonzero(new[split.labels] >= 0).flatten()
        splits[name] = Split(split.images[rows], new[split.labels[rows]])
    return make_task(task.name, tuple(classes), splits, task.flip)


def join_tasks(tasks: Mapping[str, Task], side: int, n_valid: int | None = None) -> Task:
    """Joins tasks into one, with the classes of all.

    Every task gives equally many training pictures, as many as the median task has: a larger one
    gives a part of its pictures, a smaller one gives them repeatedly. Otherwise the largest would
    have nearly the whole of every batch.

    Args:
        tasks: The tasks, by name.
        side: Side in pixels at which the pictures are kept.
        n_valid: Validation pictures of each task at most; `None` takes all.
    """
    parts, sizes = list(tasks.values()), [task.num_classes for task in tasks.values()]
    n = int(np.median([len(task.train) for task in parts]))
    orders = [np.random.default_rng(0).permutation(len(task.train)) for task in parts]
    rows = {
        "train": [np.resize(order, n) for order in orders],
        "valid": [fixed_rows(len(task.valid), n_valid) for task in parts],
        "test": [np.arange(len(task.test)) for task in parts],
    }
    means, stds = np.array([t.mean for t in parts]), np.array([t.std for t in parts])
    mean = means.mean(axis=0)
    std = np.sqrt((stds**2 + means**2).mean(axis=0) - mean**2)
    return Task(
        name=f"{len(parts)} tasks",
        classes=tuple(f"{name}: {label}" for name, task in tasks.items() for label in task.classes),
        **{
            name: join_splits([getattr(t, name) for t in parts], rows[name], sizes, side)
            for name in rows
        },
        mean=tuple(mean.tolist()),
        std=tuple(std.tolist()),
        flip=all(task.flip for task in parts),
        parts=tuple(zip(tasks, sizes, strict=True)),
    )


def join_splits(
    splits: Sequence[Split], rows: Sequence[np.ndarray], sizes: Sequence[int], side: int
) -> Split:
    """Joins splits of several tasks into one.

    Args:
        splits: The split of each task.
        rows: Which of its pictures.
        sizes: Number of classes of each task; the labels of the next begin after them.
        side: Side in pixels that the pictures are brought to.
    """
    first = np.cumsum([0, *sizes[:-1]])
    places = [
        (s.images, row) for s, index in zip(splits, rows, strict=True) for row in index.tolist()
    ]
    labels = [s.labels[r] + int(k) for s, r, k in zip(splits, rows, first, strict=True)]

    def picture(i: int) -> Image.Image:
        images, row = places[i]
        return Image.fromarray(images[row].permute(1, 2, 0).numpy())

    return Split(LazyImages(picture, len(places), side), torch.cat(labels))


def random_candidates(run: Run) -> None:
    """Measures architectures drawn uniformly: what `transfer.search_candidates` must beat."""
    known, rng = {tuple(x) for x in run.X.tolist()}, run.rng(3, run.searched)
    fresh: list[list[int]] = []
    while len(fresh) < run.profile.candidates:
        (x,) = run.space.sample(1, rng).tolist()
        if tuple(x) not in known:
            known.add(tuple(x))
            fresh.append(x)
    add(run, np.array(fresh))
    run.searched += 1


def igd_plus(F: ArrayLike, front: ArrayLike) -> float:
    """Returns IGD+: how far a front lies, on average, beyond what a set of points attains.

    For each point of the front, the distance to the nearest point of the set, counting only the
    objectives in which that is worse (Ishibuchi et al., 2015). Objectives are scaled so that the
    front reaches from 0 to 1 in each. Less is better; 0 is reached by the front itself.

    Args:
        F: The set, all objectives minimised, `(n, n_objectives)`.
        front: The front to measure with, `(m, n_objectives)`: that of all sets to be compared.
    """
    front = np.asarray(front, dtype=np.float64)
    low, span = front.min(axis=0), np.maximum(np.ptp(front, axis=0), 1e-12)
    return float(IGDPlus((front - low) / span)((np.asarray(F, dtype=np.float64) - low) / span))


def compare(archives: Mapping[str, FloatMatrix]) -> dict[str, float]:
    """Returns IGD+ of several archives against the front of all of them together."""
    together = np.vstack(list(archives.values()))
    front = together[non_dominated(together)]
    return {name: igd_plus(F, front) for name, F in archives.items()}
