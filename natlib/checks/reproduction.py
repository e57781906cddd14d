"""Self-checks of the exercises of notebook 05.

Each takes what the learner wrote and tries it on cases small enough to follow by hand. A wrong
answer raises `AssertionError` with a sentence about what is wrong; a right one prints a line.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from natlib import paper
from natlib.checks import numbers, passed, require
from natlib.data import SPLITS, Split, Task
from natlib.datasets import DATA_SETS
from natlib.profiles import PROFILES, Profile
from natlib.reproduce import estimated_hours


def check_dominated(dominated: Callable[[pd.DataFrame, str], list[tuple[str, str]]]) -> None:
    """Judges `dominated(results, cost)`.

    Raises:
        AssertionError: If it does not name the networks that another one of their data set beats.
    """
    rows = [
        ("birds", "A", 90.0, 1.0, 100),
        ("birds", "B", 91.0, 2.0, 200),
        ("birds", "C", 89.0, 3.0, 150),  # A is better and cheaper
        ("boats", "D", 80.0, 5.0, 300),  # E is better and has as many parameters
        ("boats", "E", 81.0, 5.0, 400),
        ("boats", "F", 70.0, 4.0, 250),
        ("boats", "G", 70.0, 4.0, 250),  # the twin of F
    ]
    table = pd.DataFrame(rows, columns=["dataset", "network", "top1", "params", "madds"])
    for cost, right in (("madds", "C"), ("params", "CD")):
        answer = dominated(table.sample(frac=1, random_state=2), cost)
        _check_pairs(answer, set(zip(table.dataset, table.network, strict=True)))
        found = {name for _, name in answer}
        _explain_dominated(found, cost)
        require(
            found == set(right),
            f"With {cost} as cost you name {sorted(found)} of the test's seven networks, which is "
            "not right. Dominated means: no better in anything than another one of its data set, "
            "and worse in something.",
        )
    passed("dominated means no better in anything, and worse in something.")


def _check_pairs(answer: object, known: set[tuple[str, str]]) -> None:
    """Checks that an answer is a collection of pairs that stand in the table."""
    require(
        isinstance(answer, list | tuple | set),
        f"Return a list of pairs, data set and network, not {type(answer).__name__}.",
    )
    for pair in answer:
        require(
            np.shape(pair) == (2,) and tuple(pair) in known,
            f"Your answer holds {pair!r}, which is no pair of the table: the name of a data set "
            "first, then that of one of its networks.",
        )


def _explain_dominated(found: set[str], cost: str) -> None:
    """Says which misunderstanding a wrong set of dominated networks shows."""
    boats = {"D", "E", "F", "G"}
    require(
        "A" in found or not boats <= found,
        "Networks for boats were beaten by networks for birds: accuracies on two data sets cannot "
        "be compared.",
    )
    require(
        not found & {"F", "G"},
        "Two networks with the same figures (or one network, compared with itself) dominate each "
        "other: equal in everything is not worse.",
    )
    require(
        not found & {"B", "E"},
        "The most accurate network of a data set is never dominated: which of the two figures "
        "should be large, and which small?",
    )
    require(
        cost == "madds" or "D" in found,
        "Network D has as many parameters as E and is less accurate: a draw in one objective does "
        "not save it.",
    )


def check_read_string(read_string: Callable[[str], dict]) -> None:
    """Judges `read_string(text)` on the published networks.

    Raises:
        AssertionError: If it does not return the published form of the architecture.
    """
    for network in paper.published_networks().itertuples():
        text, right = str(network.architecture), network.architecture.to_dict()
        found = read_string(text)
        require(
            isinstance(found, dict) and set(found) == set(right),
            f"Return a dict with the keys {sorted(right)}, as natlib.space.Architecture.from_dict "
            "takes it.",
        )
        _explain_string(text, found, right)
        _check_spaces(read_string, text, right)
    passed("all 14 published strings are read as their authors meant them.")


def _check_spaces(read_string: Callable[[str], dict], text: str, right: dict) -> None:
    """Checks that a string without spaces, or with more of them, is read alike."""
    digits = text.replace(" ", "")
    for same in (digits, " ".join(digits)):
        message = f"'{same}' is '{text}' as well: spaces do not count, wherever they are."
        try:
            found = read_string(same)
        except (LookupError, TypeError, ValueError) as error:
            raise AssertionError(message) from error
        fine = isinstance(found, dict) and set(found) == set(right)
        require(fine and all(np.array_equal(found[k], right[k]) for k in right), message)


def _explain_string(text: str, found: dict, right: dict) -> None:
    """Says what is wrong with an architecture that was read from a string."""
    where = f"of '{text}'"
    require(
        found["r"] == right["r"],
        f"The resolution {where} is not {found['r']}: which digits say it, and where does their "
        "count begin? The first step is step 0.",
    )
    require(
        found["w"] == right["w"],
        f"The width {where} is not {found['w']}: which digit says it?",
    )
    require(
        list(found["d"]) == right["d"],
        f"The depths {where} are not {list(found['d'])}: which digits stand for layers, and which "
        "do not?",
    )
    for key in ("ks", "e"):
        require(
            len(found[key]) == len(right[key]),
            f"'{key}' {where} has {len(found[key])} entries: list active layers only.",
        )
    swapped = [{3: 3, 5: 4, 7: 6}.get(k, 0) for k in found["ks"]] == right["e"]
    require(
        not swapped,
        f"Kernel and expand ratio {where} changed places: which one runs fastest?",
    )
    require(
        list(found["ks"]) == right["ks"] and list(found["e"]) == right["e"],
        f"Kernels or expand ratios {where} are wrong: digits count from 1, so 1 is the pair of the "
        "smallest kernel and the smallest expand ratio.",
    )


def check_panel(draw_panel: Callable[[str, pd.DataFrame, pd.DataFrame], Figure]) -> None:
    """Judges `draw_panel(dataset, results, networks)` by what the figure shows.

    Raises:
        AssertionError: If points are missing or in the wrong place, or the axes say too little.
    """
    results, networks = paper.published_results(), paper.published_networks()
    for dataset in ("cars", "imagenet"):
        figure = draw_panel(dataset, results, networks)
        require(
            isinstance(figure, Figure) and len(figure.axes) == 1,
            "Return a matplotlib Figure with one pair of axes.",
        )
        ax = figure.axes[0]
        shown, mine = drawn_points(ax), networks[networks.dataset == dataset]
        published = results.loc[results.dataset == dataset, ["madds", "top1"]].to_numpy(float)
        counted = np.column_stack([mine.counted_madds / 1e6, mine.top1])
        _explain_points(dataset, shown, published, counted)
        _check_axes(ax)
    passed("the paper's four points, what was counted, and axes that say what they show.")


def drawn_points(ax: Axes) -> NDArray[np.float64]:
    """Returns every point that lines and scatters of some axes show, `(n, 2)`."""
    lines = [np.asarray(line.get_xydata(), float) for line in ax.lines]
    clouds = [np.asarray(cloud.get_offsets(), float) for cloud in ax.collections]
    return np.vstack([np.zeros((0, 2)), *lines, *clouds])


def _explain_points(dataset: str, shown: NDArray, published: NDArray, counted: NDArray) -> None:
    """Says which points are missing from a panel, or are too many."""

    def has(points: NDArray) -> bool:
        return all(np.isclose(shown, p, rtol=1e-6).all(axis=1).any() for p in points)

    require(
        not has(published[:, ::-1]),
        "The axes changed places: cost goes to the right.",
    )
    require(
        has(published),
        f"The paper's {len(published)} points of {dataset} are not all there, at (MAdds in "
        "millions, top-1 in percent).",
    )
    require(
        not has(counted * [1e6, 1]),
        "Counted MAdds are exact and published ones are in millions: bring them to one unit.",
    )
    require(
        has(counted),
        f"The published network of {dataset} is missing, at the MAdds that were counted.",
    )
    known = np.vstack([published, counted * [1.03, 1], counted])
    extra = [p for p in shown if not np.isclose(known, p, rtol=0.04).all(axis=1).any()]
    require(
        not extra,
        f"The panel of {dataset} also shows (MAdds, top-1) {np.round(extra[:1], 1).tolist()}: are "
        "other data sets in it?",
    )


def _check_axes(ax: Axes) -> None:
    """Checks labels, units and legend."""
    x, y = ax.get_xlabel(), ax.get_ylabel()
    require(
        "madds" in x.lower() and "(m)" in x.lower(),
        f"The horizontal axis is labelled '{x}': say what it shows, with its unit, 'MAdds (M)'.",
    )
    require(
        "top-1" in y.lower() and "%" in y,
        f"The vertical axis is labelled '{y}': say what it shows, with its unit, 'top-1 ... (%)'.",
    )
    require(
        ax.get_legend() or ax.figure.legends,
        "There is no legend: which points are the paper's, and which did we count?",
    )


def check_stratified_split(
    stratified_split: Callable[..., tuple[ArrayLike, ArrayLike]],
) -> None:
    """Judges `stratified_split(labels, share, seed)`.

    Raises:
        AssertionError: If the split is not disjoint, complete, in proportion and repeatable.
    """
    labels = np.repeat([0, 1, 2], [100, 40, 3])
    before = np.random.get_state()[1].tolist()
    splits = [stratified_split(labels, 0.2, seed) for seed in (7, 8, 9, 7)]
    require(
        before == np.random.get_state()[1].tolist(),
        "The split changes numpy's global random state, which others rely on: use a generator of "
        "its own.",
    )
    for split in splits:
        require(len(split) == 2, "Return two arrays of rows: train, then valid.")
        _check_sides(labels, *map(np.asarray, split))
    first, other, _, again = (np.sort(valid) for _, valid in splits)
    require(
        np.array_equal(first, again),
        "The same seed gave two different splits: what else does the draw depend on?",
    )
    require(
        not np.array_equal(first, other),
        "Seeds 7 and 8 gave the same split. Are the first pictures of each class taken? They "
        "may have been taken on the same day; draw.",
    )
    passed("disjoint, complete, in proportion, and the same whenever the seed is the same.")


def _check_sides(labels: NDArray, train: NDArray, valid: NDArray) -> None:
    """Checks that a split is disjoint, complete and in proportion."""
    for side in (train, valid):
        require(side.ndim == 1, f"A side of the split has the shape {side.shape}, and not (n,).")
        require(
            np.issubdtype(side.dtype, np.integer),
            "Return the numbers of the rows, not True and False for each.",
        )
    both = np.concatenate([train, valid])
    require(
        len(set(both.tolist())) == len(both),
        "A picture was drawn twice, or is on both sides: then valid rewards learning by heart.",
    )
    absent = set(range(len(labels))) - set(both.tolist())
    require(not absent, f"Pictures on neither side: {len(absent)}.")
    drawn = np.bincount(labels[valid], minlength=3).tolist()
    require(
        drawn[2] > 0, "The smallest class has no picture in valid: give every class at least one."
    )
    require(
        abs(drawn[0] - 20) <= 1 and abs(drawn[1] - 8) <= 1 and drawn[2] == 1,
        f"Of classes of 100, 40 and 3 pictures {drawn} are in valid: with a share of 0.2 each "
        "class should give a fifth.",
    )


def check_training_hours(training_hours: Callable[[int, Profile, float, int], float]) -> None:
    """Judges `training_hours(pictures, profile, rate, widths)`.

    Raises:
        AssertionError: If a part of the schedule is forgotten or counted wrongly.
    """
    nothing = replace(
        PROFILES["paper"], batch_size=10, warmup_largest=0, warmup_uniform=0, iterations=0, adapt=0
    )

    def hours(**changes: float) -> float:
        answer = training_hours(3600, replace(nothing, **changes), 1.0, 2)
        return float(numbers(answer, (), "The number of hours"))

    cases = [
        ({"warmup_largest": 1}, 2, "an epoch of the largest subnets, one for each width,"),
        ({"warmup_uniform": 1}, 5, "an epoch of the uniform warm-up (4 subnets, and who besides?)"),
        ({"iterations": 1, "adapt": 1}, 5, "one iteration with an epoch of adaptation"),
        ({"iterations": 3, "adapt": 2}, 30, "three iterations with two epochs each"),
    ]
    for changes, right, words in cases:
        found = hours(**changes)
        require(
            np.isclose(found, right, rtol=0.01),
            f"With 3,600 pictures and one subnet and picture a second, {words} takes "
            f"{found:.3g} hours by your count. Multiply pictures by epochs and subnets, and mind "
            "the unit.",
        )
    right = estimated_hours(PROFILES["paper"], 500.0, 1000.0).training["cifar10"]
    found = training_hours(DATA_SETS["cifar10"].train, PROFILES["paper"], 500.0, 2)
    require(
        np.isclose(found, right, rtol=0.01),
        f"CIFAR-10 at 500 pictures a second takes {found:.1f} hours by your count, which is not "
        "what the parts add up to.",
    )
    passed("the same hours as natlib.reproduce.estimated_hours.")


def check_own_task(own_task: Callable[[Path], Task]) -> None:
    """Judges `own_task(folder)` on a folder `CLASS/SUBJECT_SHOT.png` of its own.

    Raises:
        AssertionError: If pictures of one subject are on two sides of a split.
    """
    n = 15  # subjects of each class, with the same numbers in both
    with tempfile.TemporaryDirectory() as folder:
        for subject, shot in np.ndindex(2 * n, 6):
            file = Path(folder, ("left", "right")[subject // n], f"{subject % n:02d}_{shot}.png")
            file.parent.mkdir(exist_ok=True)
            Image.new("RGB", (32, 32), (8 * subject, 0, 0)).save(file)
        task, again = own_task(Path(folder)), own_task(Path(folder))
        require(isinstance(task, Task), "Return the task that natlib.folders.folder_task makes.")
        sides, sides_again = ([_subjects(t, name) for name in SPLITS] for t in (task, again))
    shared = [s for s in range(2 * n) if sum(s in side for side in sides) > 1]
    require(
        not shared,
        f"{len(shared)} of {2 * n} subjects have pictures in two splits. What tells which subject "
        "a file 'right/03_1.png' shows? Let `groups` return that.",
    )
    require(sides == sides_again, "Two calls give two different tasks: let the seed alone decide.")
    together = all((s in side) == (s + n in side) for side in sides for s in range(n))
    require(
        not together,
        "Number 03 of 'left' and number 03 of 'right' are two subjects, but wherever one of them "
        "goes the other goes too, and so with every number. A subject's name is unique in its "
        "class only: what tells the two apart?",
    )
    require(
        min(len(set(side)) for side in sides) >= 4,
        f"The splits show {[len(set(side)) for side in sides]} subjects: a group must be one "
        "subject, no more.",
    )
    passed("nobody is on two sides of a split.")


def _subjects(task: Task, split: str) -> list[int]:
    """Returns the subject of each picture of `check_own_task`, which its red value tells."""
    return (getattr(task, split).images[:][:, 0, 0, 0] // 8).tolist()


def check_neighbour_accuracy(neighbour_accuracy: Callable[[Split, Split], float]) -> None:
    """Judges `neighbour_accuracy(train, valid)`.

    Raises:
        AssertionError: If it does not predict the class of the nearest training picture.
    """

    def split(values: list[int], labels: list[int]) -> Split:
        images = torch.tensor(values, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 2, 2)
        return Split(images.contiguous(), torch.tensor(labels))

    def accuracy(values: list[int], labels: list[int]) -> float:
        answer = neighbour_accuracy(train, split(values, labels))
        return float(numbers(answer, (), "The accuracy"))

    train = split([0, 100, 250], [0, 0, 1])
    whole = accuracy([250, 0], [1, 0])
    require(
        np.isclose(whole, 100),
        f"Two pictures that stand in train just so are right in {whole:g} of 100 cases, which "
        "should be all: give percent, and look for the *least* distance.",
    )
    wrap = accuracy([200, 8], [1, 0])
    require(
        np.isclose(wrap, 100),
        f"Brightness 200 is nearer to 250 than to 100, and 8 nearest to 0, but only {wrap:g}% are "
        "right: what is 200 - 250 in unsigned bytes?",
    )
    part = accuracy([5, 90, 99, 240], [0, 0, 1, 1])
    require(
        np.isclose(part, 75),
        f"Of four pictures not all have a neighbour of their class, and the accuracy is {part:g}%: "
        "predictions come from train, and each picture of valid counts once.",
    )
    passed("no training, and no label of valid, is needed to predict.")
