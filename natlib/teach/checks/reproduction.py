"""Checks of the exercises of notebook 05: published results, and data to repeat them with."""

import contextlib
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from PIL import Image
from sklearn.neighbors import KNeighborsClassifier

from natlib.data import SPLITS, Split, Task
from natlib.paper.datasets import DATA_SETS
from natlib.paper.results import published_networks, published_results
from natlib.profiles import PROFILES
from natlib.teach.checks import cases, judged, numbers, require, rows, same, tabled
from natlib.teach.estimate import estimated_hours

check_needed = tabled(__name__, "check_needed", shape=())
check_reported = tabled(__name__, "check_reported")
check_pictures = tabled(__name__, "check_pictures", shape=())


@judged()
def check_dominated(ask, say):
    """Judges `dominated(results, cost)`: the networks that another of their data set beats."""
    results, boats = pd.DataFrame(say.table), {"D", "E", "F", "G"}
    pairs = [*results[["dataset", "network"]].itertuples(index=False, name=None)]
    for cost, right in (("madds", {"C", "H"}), ("params", {"C", "D", "H"})):
        answer = ask(results.sample(frac=1, random_state=2), cost)
        fine = isinstance(answer, list | tuple | set | np.ndarray)
        require(fine, say.form, kind=type(answer).__name__)
        for pair in answer:
            require(np.shape(pair) == (2,) and tuple(pair) in pairs, say.unknown, pair=pair)
        found = {str(name) for _, name in answer}
        require("A" in found or not boats <= found, say.mixed)
        require(not found & {"F", "G"}, say.twins)
        require(not found & {"B", "E"}, say.best)
        require("C" not in found or right <= found, say.draw)
        require(found == right, say.names, cost=cost, found=sorted(found))


@judged()
def check_read_string(ask, say):
    """Judges `read_string(text)` on the published networks."""
    for architecture in published_networks().architecture:
        text, right = str(architecture), architecture.to_dict()
        found, keys = ask(text), sorted(right)
        require(isinstance(found, dict) and sorted(found) == keys, say.form, keys=keys)
        found = {key: numbers(found[key], None, f"'{key}' of '{text}'") for key in keys}
        for key in "rwd":
            fine = found[key].shape == np.shape(right[key]) and same(found[key], right[key])
            require(fine, getattr(say, key), text=text, **{k: v.tolist() for k, v in found.items()})
        for key in ("ks", "e"):
            n = found[key].size
            require(n == len(right[key]), say.active, text=text, key=key, n=n)
        as_expands = [{3: 3, 5: 4, 7: 6}.get(k) for k in found["ks"]]
        require(as_expands != right["e"], say.swapped, text=text)
        require(all(same(found[key], right[key]) for key in keys), say.layers, text=text)
        for digits in (text.replace(" ", ""), " ".join(text.replace(" ", ""))):
            fine = False
            with contextlib.suppress(AssertionError, LookupError, TypeError):
                fine = all(np.array_equal(ask(digits)[key], ask(text)[key]) for key in keys)
            require(fine, say.spaces, digits=digits, text=text)


@judged()
def check_panel(ask, say):
    """Judges `draw_panel(dataset, results, networks)` by what the figure shows."""
    results, networks = published_results(), published_networks()
    for dataset in ("cars", "imagenet"):
        figure = ask(dataset, results, networks)
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


def _all_near(points: np.ndarray, others: np.ndarray, tolerance: float = 1e-6) -> bool:
    """Returns whether each of the points, `(n, 2)`, is one of the others, `(m, 2)`."""
    return np.isclose(others, points[:, None], rtol=tolerance).all(axis=2).any(axis=1).all()


@judged()
def check_stratified_split(ask, say):
    """Judges `stratified_split(labels, share, seed)`: disjoint, complete, in proportion."""
    for share, least in ((0.2, [20, 8, 7, 1, 1]), (0.33, [33, 13, 11, 1, 1])):
        labels = np.repeat([7, 0, 2, 5, 9], [100, 38, 34, 3, 1])  # no class is 1
        labels = np.random.default_rng(0).permutation(labels)
        before = np.random.get_state()[1].tolist()
        splits = [ask(labels, share, seed) for seed in (7, 8, 9, 7)]
        require(before == np.random.get_state()[1].tolist(), say.state)
        require(all(isinstance(s, tuple | list) and len(s) == 2 for s in splits), say.form)
        splits = [[rows(side, len(labels), say.rows) for side in split] for split in splits]
        for train, valid in splits:
            both = [*train, *valid]
            require(len(set(both)) == len(both), say.twice)
            require(len(both) == len(labels), say.absent, n=len(labels) - len(both))
            drawn = np.bincount(labels[valid], minlength=10)[[7, 0, 2, 5, 9]].tolist()
            require(min(drawn) > 0, say.smallest)
            require(drawn == least, say.share, drawn=drawn, share=share, right=least)
        first, other, _, again = (sorted(valid) for _, valid in splits)
        require(first == again, say.again)
        require(first != other, say.first)


@judged("The number of hours", ())
def check_training_hours(ask, say):
    """Judges `training_hours(pictures, profile, rate, widths)`: each part of the schedule."""
    paper = replace(PROFILES["paper"], teacher="first")  # the exercise counts it as a subnet

    def hours(_, *counts):
        names = ("warmup_largest", "warmup_uniform", "iterations", "adapt", "subnets_per_step")
        *counts, rate, widths = counts
        changes = dict(zip(names, counts, strict=True))
        return ask(3600, replace(paper, batch_size=10, **changes), rate, widths)

    cases(hours, {say.part: say.parts}, 1e-4)
    right = estimated_hours(paper, 500.0, 1000.0).training["cifar10"]
    cases(ask, {say.whole: (DATA_SETS["cifar10"].train, paper, 500.0, 2, right)}, 0.01)


@judged()
def check_own_task(ask, say):
    """Judges `own_task(folder)` on a folder `CLASS/SUBJECT_SHOT.png` of its own."""
    n = 15  # subjects of each class, with the same numbers in both
    with tempfile.TemporaryDirectory() as folder:
        for subject, shot in np.ndindex(2 * n, 7):
            file = Path(folder, ("left", "right")[subject // n], f"{subject % n:02d}_{shot}.png")
            file.parent.mkdir(exist_ok=True)
            if shot < 2 + subject % 6:  # not all have as many; no two pictures are copies
                Image.new("RGB", (32, 32), (8 * subject, 0, shot)).save(file)
        tasks = [ask(Path(folder)) for _ in range(2)]
        require(all(isinstance(task, Task) for task in tasks), say.form)
        red = [[getattr(task, name).images[:][:, 0, 0, 0] for name in SPLITS] for task in tasks]
        subjects, again = ([(values // 8).tolist() for values in side] for side in red)
    sides = [set(side) for side in subjects]
    shared = [s for s in range(2 * n) if sum(s in side for side in sides) > 1]
    require(not shared, say.shared, n=len(shared))
    require(subjects == again, say.seed)
    parted = any((s in side) != (s + n in side) for side in sides for s in range(n))
    require(parted, say.together)
    require(min(map(len, sides)) >= 4, say.few, n=[len(side) for side in sides])


@judged("The accuracy", ())
def check_neighbour_accuracy(ask, say):
    """Judges `neighbour_accuracy(train, valid)`: by the class of the nearest training picture."""

    def split(values, labels):
        images = torch.tensor(values, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 2, 2)
        return Split(images.contiguous(), torch.tensor(labels))

    train, generator = split([0, 100, 250], [0, 0, 1]), torch.Generator().manual_seed(0)
    noise = torch.randint(0, 256, (240, 3, 4, 5), dtype=torch.uint8, generator=generator)
    whole = Split(noise, torch.randint(0, 3, (240,), generator=generator))
    model = KNeighborsClassifier(1).fit(noise[:40].flatten(1), whole.labels[:40])
    right = 100 * model.score(noise[40:].flatten(1), whole.labels[40:])
    return {
        say.same: (train, split([250, 0], [1, 0]), 100),
        say.bytes: (train, split([200, 8], [1, 0]), 100),
        say.each: (train, split([5, 90, 99, 240], [0, 0, 1, 1]), 75),
        say.random: (whole.take(slice(40)), whole.take(slice(40, None)), right),
    }
