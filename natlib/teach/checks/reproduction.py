"""Checks of the exercises of notebook 05: published results, and data to repeat them with."""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from PIL import Image

from natlib.data import SPLITS, Split, Task
from natlib.paper.datasets import DATA_SETS
from natlib.paper.results import published_networks, published_results
from natlib.profiles import PROFILES, Profile
from natlib.teach.checks import asking, cases, passed, require, says, tabled
from natlib.teach.estimate import estimated_hours

check_pictures = tabled(__name__, "check_pictures", shape=())


def check_dominated(dominated: Callable[[pd.DataFrame, str], list[tuple[str, str]]]) -> None:
    """Judges `dominated(results, cost)`: the networks that another of their data set beats."""
    say, birds, boats = says(check_dominated), {"A", "B", "C"}, {"D", "E", "F", "G"}
    pairs = [("birds" if name in birds else "boats", name) for name in sorted(birds | boats)]
    results = pd.DataFrame(pairs, columns=["dataset", "network"]).assign(
        top1=[90.0, 91.0, 89.0, 80.0, 81.0, 70.0, 70.0],  # A is better than C, and cheaper
        params=[1.0, 2.0, 3.0, 5.0, 5.0, 4.0, 4.0],  # E has as many as D, and is better
        madds=[100, 200, 150, 300, 400, 250, 250],  # F and G are twins
    )
    for cost, right in (("madds", {"C"}), ("params", {"C", "D"})):
        answer = dominated(results.sample(frac=1, random_state=2), cost)
        require(isinstance(answer, list | tuple | set), say.form, kind=type(answer).__name__)
        for pair in answer:
            require(np.shape(pair) == (2,) and tuple(pair) in pairs, say.unknown, pair=pair)
        found = {name for _, name in answer}
        require("A" in found or not boats <= found, say.mixed)
        require(not found & {"F", "G"}, say.twins)
        require(not found & {"B", "E"}, say.best)
        require(cost == "madds" or "D" in found, say.draw)
        require(found == right, say.names, cost=cost, found=sorted(found))
    passed("dominated means no better in anything, and worse in something.")


def check_read_string(read_string: Callable[[str], dict]) -> None:
    """Judges `read_string(text)` on the published networks."""
    say = says(check_read_string)
    for architecture in published_networks().architecture:
        text, right = str(architecture), architecture.to_dict()
        found, keys = read_string(text), sorted(right)
        require(isinstance(found, dict) and sorted(found) == keys, say.form, keys=keys)
        found = {key: np.array(found[key]).tolist() for key in keys}
        for key in "rwd":
            require(found[key] == right[key], getattr(say, key), text=text, **found)
        for key in ("ks", "e"):
            n = len(found[key])
            require(n == len(right[key]), say.active, text=text, key=key, n=n)
        as_expands = [{3: 3, 5: 4, 7: 6}.get(k) for k in found["ks"]]
        require(as_expands != right["e"], say.swapped, text=text)
        require(found == right, say.layers, text=text)
        for digits in (text.replace(" ", ""), " ".join(text.replace(" ", ""))):
            message = say.spaces.format(digits=digits, text=text)
            try:
                found = read_string(digits)
                fine = all(np.array_equal(found[key], right[key]) for key in {*right, *found})
            except (LookupError, TypeError, ValueError) as error:
                raise AssertionError(message) from error
            require(fine, message)
    passed("all 14 published strings are read as their authors meant them.")


def check_panel(draw_panel: Callable[[str, pd.DataFrame, pd.DataFrame], Figure]) -> None:
    """Judges `draw_panel(dataset, results, networks)` by what the figure shows."""
    say, results, networks = says(check_panel), published_results(), published_networks()
    for dataset in ("cars", "imagenet"):
        figure = draw_panel(dataset, results, networks)
        require(isinstance(figure, Figure) and len(figure.axes) == 1, say.form)
        ax = figure.axes[0]
        clouds = [line.get_xydata() for line in ax.lines]
        clouds += [scatter.get_offsets() for scatter in ax.collections]
        shown = np.vstack([np.zeros((0, 2)), *clouds])
        published = results.loc[results.dataset == dataset, ["madds", "top1"]].to_numpy(float)
        mine = networks[networks.dataset == dataset]
        counted = np.column_stack([mine.counted_madds / 1e6, mine.top1])
        require(not _all_near(published[:, ::-1], shown), say.flipped)
        require(_all_near(published, shown), say.published, n=len(published), dataset=dataset)
        require(not _all_near(counted * [1e6, 1], shown), say.units)
        require(_all_near(counted, shown), say.counted, dataset=dataset)
        known = np.vstack([published, counted * [1.03, 1], counted])
        extra = [p.round(1).tolist() for p in shown if not _all_near(p[None], known, 0.04)]
        require(not extra, say.extra, dataset=dataset, extra=extra[:1])
        x, y = ax.get_xlabel(), ax.get_ylabel()
        require("madds" in x.lower() and "(m)" in x.lower(), say.x, x=x)
        require("top-1" in y.lower() and "%" in y, say.y, y=y)
        require(ax.get_legend() or figure.legends, say.legend)
    passed("the paper's four points, what was counted, and axes that say what they show.")


def _all_near(points: np.ndarray, others: np.ndarray, tolerance: float = 1e-6) -> bool:
    """Returns whether each of the points, `(n, 2)`, is one of the others, `(m, 2)`."""
    return np.isclose(others, points[:, None], rtol=tolerance).all(axis=2).any(axis=1).all()


def check_stratified_split(stratified_split: Callable[..., tuple[ArrayLike, ArrayLike]]) -> None:
    """Judges `stratified_split(labels, share, seed)`: disjoint, complete, in proportion."""
    say, labels = says(check_stratified_split), np.repeat([0, 1, 2], [100, 40, 3])
    before = np.random.get_state()[1].tolist()
    splits = [stratified_split(labels, 0.2, seed) for seed in (7, 8, 9, 7)]
    require(before == np.random.get_state()[1].tolist(), say.state)
    for split in splits:
        require(len(split) == 2, say.form)
        for side in map(np.asarray, split):
            require(side.ndim == 1, say.shape, shape=side.shape)
            require(np.issubdtype(side.dtype, np.integer), say.rows)
        both = np.concatenate(split).tolist()
        require(len(set(both)) == len(both), say.twice)
        absent = set(range(len(labels))) - set(both)
        require(not absent, say.absent, n=len(absent))
        drawn = np.bincount(labels[np.asarray(split[1])], minlength=3)
        require(drawn[2] > 0, say.smallest)
        require((abs(drawn - [20, 8, 1]) <= [1, 1, 0]).all(), say.share, drawn=drawn.tolist())
    first, other, _, again = (sorted(valid) for _, valid in splits)
    require(first == again, say.again)
    require(first != other, say.first)
    passed("disjoint, complete, in proportion, and the same whenever the seed is the same.")


def check_training_hours(training_hours: Callable[[int, Profile, float, int], float]) -> None:
    """Judges `training_hours(pictures, profile, rate, widths)`: each part of the schedule."""
    say, what = says(check_training_hours), "The number of hours"
    paper = replace(PROFILES["paper"], teacher="first")  # the exercise counts it as a subnet

    def hours(_: str, *counts: int) -> float:
        names = ("warmup_largest", "warmup_uniform", "iterations", "adapt")
        changes = dict(zip(names, counts, strict=True))
        return training_hours(3600, replace(paper, batch_size=10, **changes), 1.0, 2)

    parts = [
        ("an epoch of the largest subnets, one for each width,", 1, 0, 0, 0, 2),
        ("an epoch of the uniform warm-up (4 subnets, and who besides?)", 0, 1, 0, 0, 5),
        ("one iteration with an epoch of adaptation", 0, 0, 1, 1, 5),
        ("three iterations with two epochs each", 0, 0, 3, 2, 30),
    ]
    cases(asking(hours, what), {say.part: parts}, 0.01)
    right = estimated_hours(paper, 500.0, 1000.0).training["cifar10"]
    whole = (DATA_SETS["cifar10"].train, paper, 500.0, 2, right)
    cases(asking(training_hours, what), {say.whole: whole}, 0.01)
    passed("the same hours as natlib.teach.estimate.estimated_hours.")


def check_own_task(own_task: Callable[[Path], Task]) -> None:
    """Judges `own_task(folder)` on a folder `CLASS/SUBJECT_SHOT.png` of its own."""
    say, n = says(check_own_task), 15  # subjects of each class, with the same numbers in both
    with tempfile.TemporaryDirectory() as folder:
        for subject, shot in np.ndindex(2 * n, 6):
            file = Path(folder, ("left", "right")[subject // n], f"{subject % n:02d}_{shot}.png")
            file.parent.mkdir(exist_ok=True)
            Image.new("RGB", (32, 32), (8 * subject, 0, shot)).save(file)  # no two are copies
        subjects, again = _subjects(own_task(Path(folder))), _subjects(own_task(Path(folder)))
    sides = [set(side) for side in subjects]
    shared = [s for s in range(2 * n) if sum(s in side for side in sides) > 1]
    require(not shared, say.shared, n=len(shared))
    require(subjects == again, say.seed)
    parted = any((s in side) != (s + n in side) for side in sides for s in range(n))
    require(parted, say.together)
    require(min(map(len, sides)) >= 4, say.few, n=[len(side) for side in sides])
    passed("nobody is on two sides of a split.")


def _subjects(task: Task) -> list[list[int]]:
    """Returns the subject of each picture of `check_own_task` in each split, by its red value."""
    require(isinstance(task, Task), says(check_own_task).form)
    return [(getattr(task, name).images[:][:, 0, 0, 0] // 8).tolist() for name in SPLITS]


def check_neighbour_accuracy(neighbour_accuracy: Callable[[Split, Split], float]) -> None:
    """Judges `neighbour_accuracy(train, valid)`: by the class of the nearest training picture."""
    say = says(check_neighbour_accuracy)

    def split(values: list[int], labels: list[int]) -> Split:
        images = torch.tensor(values, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 2, 2)
        return Split(images.contiguous(), torch.tensor(labels))

    train = split([0, 100, 250], [0, 0, 1])
    table = {
        say.same: (train, split([250, 0], [1, 0]), 100),
        say.bytes: (train, split([200, 8], [1, 0]), 100),
        say.each: (train, split([5, 90, 99, 240], [0, 0, 1, 1]), 75),
    }
    cases(asking(neighbour_accuracy, "The accuracy"), table, 1e-5)
    passed("no training, and no label of valid, is needed to predict.")
