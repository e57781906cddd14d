"""Answers to the exercises of notebook 05."""

from collections import Counter
from dataclasses import replace
from math import ceil

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from torch import cdist

from natlib.data import Split, folder_task
from natlib.inputs.folders import stratified_cut
from natlib.search import non_dominated
from natlib.space import Architecture


def dominated(results, cost, *, groups="dataset", sign=-1):
    names = []
    for _, group in results.groupby(groups):
        F = np.column_stack([sign * group.top1, group[cost]])
        names += group.loc[~non_dominated(F), ["dataset", "network"]].itertuples(index=False)
    return [tuple(name) for name in names]


def beaten(results, compare):
    """Names networks for which `compare` says that another one of the data set beats them."""
    return [
        (a.dataset, a.network)
        for a in results.itertuples()
        for b in results.itertuples()
        if a.dataset == b.dataset and compare(a, b)
    ]


def strictly(results, cost):
    return beaten(results, lambda a, b: b.top1 > a.top1 and getattr(b, cost) < getattr(a, cost))


def no_worse(results, cost):
    return beaten(results, lambda a, b: b.top1 >= a.top1 and getattr(b, cost) <= getattr(a, cost))


def read(text):
    return Architecture.from_string(text).to_dict()


def read_with(text, layer, *, resolution=0, width=0, skipped=False):
    """Reads a string by a rule of one's own for a digit that is a layer."""
    digits = text.replace(" ", "")
    genes = [int(d) for d in digits[3:]]
    stages = [[g for g in genes[i : i + 4] if g or skipped] for i in range(0, 20, 4)]
    pairs = [layer(g) for stage in stages for g in stage]
    ks, e = zip(*pairs, strict=True)
    r, w = 192 + 4 * (int(digits[:2]) + resolution), (1.0, 1.2)[int(digits[2]) - width]
    return {"r": r, "w": w, "ks": list(ks), "e": list(e), "d": [len(s) for s in stages]}


def by_words(text):
    words = text.split()
    return read(words[0] + words[1] + "".join(words[2:]))


def by_places(text):
    return read_with(text[:2] + text[3] + text[5:], kernel_fastest)


def kernel_fastest(g, first=1):
    return (3, 5, 7)[(g - first) % 3], (3, 4, 6)[(g - first) // 3 % 3]


def expand_fastest(g):
    return (3, 5, 7)[(g - 1) // 3], (3, 4, 6)[(g - 1) % 3]


def draw(
    dataset, results, networks, *, flip=False, scale=1e-6, legend=True, labels=True, all_=False
):
    figure = Figure()
    ax = figure.subplots()
    paper = results if all_ else results[results.dataset == dataset]
    mine = networks[networks.dataset == dataset]
    for table, madds in ((paper, paper.madds), (mine, mine.counted_madds * scale)):
        x, y = (table.top1, madds) if flip else (madds, table.top1)
        ax.plot(x, y, "o", label="points")
    if labels:
        ax.set(xlabel="MAdds (M)", ylabel="top-1 accuracy (%)")
    if legend:
        ax.legend()
    return figure


def as_points(dataset, results, networks):
    figure = Figure(layout="constrained")
    ax = figure.subplots()
    for table, x, label in ((results, "madds", "paper"), (networks, "counted_madds", "counted")):
        mine = table[table.dataset == dataset]
        ax.scatter(mine[x] / (1e6 if label == "counted" else 1), mine.top1, label=label)
    ax.set(title=dataset, xlabel="MAdds (M)", ylabel="top-1 (%)")
    figure.legend()
    return figure


def drawn_by_pyplot(dataset, results, networks):
    figure, ax = plt.subplots()
    paper = results.query("dataset == @dataset").sort_values("madds", ascending=False)
    mine = networks.query("dataset == @dataset")
    ax.plot(paper.madds, paper.top1, "k--", label="in print")
    ax.plot(mine.counted_madds / 10**6, mine.top1, "rx", label="counted")
    ax.set_xlabel("cost: MAdds (M)")
    ax.set_ylabel("Top-1 accuracy in %")
    ax.legend()
    plt.close(figure)
    return figure


def with_words(dataset, results, networks):
    figure = draw(dataset, results, networks)
    figure.axes[0].text(300, 80, "A remark.")
    figure.axes[0].grid()
    return figure


def split(labels, share, seed):
    rng = np.random.default_rng(seed)
    return by_class(labels, lambda rows, n: rng.permutation(rows)[:n], share=share)


def by_total(labels, share, seed):
    valid = stratified_cut(labels, round(share * len(labels)), seed)
    return np.delete(np.arange(len(labels)), valid), valid


def of_pictures(labels, share, seed):
    """Goes through shuffled pictures and takes each while its class may still give one."""
    left = {c: max(1, round(share * n)) for c, n in Counter(labels.tolist()).items()}
    train, valid = [], []
    for row in np.random.default_rng(seed).permutation(len(labels)).tolist():
        left[int(labels[row])] -= 1
        (valid if left[int(labels[row])] >= 0 else train).append(row)
    return train, valid


def by_class(labels, draw, least=1, share=0.2, count=round):
    """Returns a split that takes what `draw` chooses of the rows of each class."""
    rows = [np.flatnonzero(labels == c) for c in np.unique(labels)]
    valid = np.concatenate([draw(r, max(least, count(share * len(r)))) for r in rows])
    return np.setdiff1d(np.arange(len(labels)), valid), valid


def counted_by(count, labels, share, seed):
    rng = np.random.default_rng(seed)
    return by_class(labels, lambda r, n: rng.permutation(r)[:n], share=share, count=count)


def global_state(labels, share, seed):
    np.random.seed(seed)
    return by_class(labels, lambda r, n: np.random.permutation(r)[:n])


def unseeded(labels, share, seed):
    rng = np.random.default_rng()
    return by_class(labels, lambda r, n: rng.permutation(r)[:n])


def with_replacement(labels, share, seed):
    rng = np.random.default_rng(seed)
    return by_class(labels, lambda r, n: rng.choice(r, n))


def not_stratified(labels, share, seed):
    order = np.random.default_rng(seed).permutation(len(labels))
    n = round(share * len(labels))
    return order[n:], order[:n]


def rounded_down(labels, share, seed):
    rng = np.random.default_rng(seed)
    return by_class(labels, lambda r, n: rng.permutation(r)[: int(share * len(r))])


def as_masks(labels, share, seed):
    drawn = np.isin(np.arange(len(labels)), split(labels, share, seed)[1])
    return ~drawn, drawn


def one_left_out(labels, share, seed):
    train, valid = split(labels, share, seed)
    return train[1:], valid


def hours(n, p, rate, widths, *, teacher=1, each=None, seconds=3600):
    adaptation = p.iterations * p.adapt if each is None else each(p)
    subnets = p.warmup_largest * widths
    subnets += (p.warmup_uniform + adaptation) * (p.subnets_per_step + teacher)
    return n * subnets / rate / seconds


def task_by(groups, seed=0):
    return lambda folder: folder_task(folder, groups=groups, seed=seed, progress=False)


def class_and_number(file):
    return file.parent.name, file.stem.split("_")[0]


def drifting_seed(folder, count=iter(range(100))):  # noqa: B008
    return task_by(class_and_number, next(count))(folder)


def flat(images):
    return images.flatten(1).float()


def nearest(train, valid):
    found = cdist(flat(valid.images), flat(train.images)).argmin(dim=1)
    return 100 * (train.labels[found] == valid.labels).float().mean().item()


def in_bytes(train, valid):
    gaps = (valid.images.flatten(1)[:, None] - train.images.flatten(1)[None]) ** 2
    found = gaps.float().sum(dim=2).argmin(dim=1)
    return 100 * (train.labels[found] == valid.labels).float().mean().item()


def brightness(split):
    return Split(split.images.float().mean(dim=(1, 2, 3), keepdim=True), split.labels)


def red(split):
    return Split(split.images[:, :1], split.labels)


def darkens(train, valid):
    found = nearest(train, valid)
    train.images.sub_(1)
    return found


def farthest(train, valid):
    found = cdist(flat(valid.images), flat(train.images)).argmax(dim=1)
    return 100 * (train.labels[found] == valid.labels).float().mean().item()


RIGHT = {
    "check_dominated": [dominated],
    "check_read_string": [read, lambda text: read_with(text, kernel_fastest)],
    "check_panel": [draw, as_points, drawn_by_pyplot, with_words],
    "check_stratified_split": [split, of_pictures],
    "check_training_hours": [hours],
    "check_own_task": [
        task_by(class_and_number),
        task_by(lambda f: str(f).rsplit("_", 1)[0], 3),
        task_by(lambda f: f.with_name(f.name[:2]), 1),
        task_by(lambda f: hash((f.parent.name, f.stem[:2]))),
    ],
    "check_neighbour_accuracy": [nearest],
    "check_needed": [
        lambda: 787,
    ],
    "check_reported": [
        lambda: "grouped",
        lambda: np.str_("grouped"),
        lambda: "GROUPED".lower(),
        lambda: "grouped",
    ],
    "check_pictures": [lambda: 40800, lambda: 40800.0, lambda: np.float32(40800)],
}
WRONG = {
    "check_dominated": [
        ("least accuracy", lambda t, c: dominated(t, c, sign=1), "most accurate"),
        ("across data sets", lambda t, c: dominated(t.assign(all=0), c, groups="all"), "boats"),
        ("strictly better", strictly, "draw in one objective"),
        ("no worse", no_worse, "equal in everything"),
        ("nobody", lambda t, c: [], "no better in anything"),
        ("a table", lambda t, c: t[t.network == "C"][["dataset", "network"]], "list of pairs"),
        ("names only", lambda t, c: [name for _, name in dominated(t, c)], "no pair of the table"),
        ("network first", lambda t, c: [p[::-1] for p in dominated(t, c)], "name of a data set"),
        ("always MAdds", lambda t, c: dominated(t, "madds"), "network D"),
    ],
    "check_read_string": [
        ("an Architecture", Architecture.from_string, "Return a dict"),
        ("resolution from one", lambda t: read_with(t, kernel_fastest, resolution=-1), "step 0"),
        ("width from one", lambda t: read_with(t, kernel_fastest, width=1), "width"),
        ("always four deep", lambda t: read(t) | {"d": [4] * 5}, "stand for layers"),
        (
            "skipped layers kept",
            lambda t: read_with(t, kernel_fastest, skipped=True) | {"d": read(t)["d"]},
            "active layers only",
        ),
        ("parted at spaces", by_words, "spaces do not count"),
        ("spaces in their places", by_places, "spaces do not count"),
        ("expand fastest", lambda t: read_with(t, expand_fastest), "which one runs fastest"),
        ("from zero", lambda t: read_with(t, lambda g: kernel_fastest(g, 0)), "count from 1"),
    ],
    "check_panel": [
        ("no figure", lambda d, r, n: None, "Return a matplotlib Figure"),
        ("axes swapped", lambda *a: draw(*a, flip=True), "changed places"),
        ("units mixed", lambda *a: draw(*a, scale=1), "one unit"),
        ("all data sets", lambda *a: draw(*a, all_=True), "other data sets"),
        ("nothing counted", lambda d, r, n: draw(d, r, n[:0]), "is missing"),
        ("no labels", lambda *a: draw(*a, labels=False), "horizontal axis"),
        ("no legend", lambda *a: draw(*a, legend=False), "no legend"),
    ],
    "check_stratified_split": [
        ("global state", global_state, "global random state"),
        ("no seed", unseeded, "same seed"),
        ("masks", as_masks, "not True and False"),
        ("with replacement", with_replacement, "drawn twice"),
        ("overlap", lambda y, s, k: (np.arange(len(y)), split(y, s, k)[1]), "both sides"),
        ("not in proportion", not_stratified, "class"),
        ("rounded down", rounded_down, "at least one"),
        ("rounded up", lambda *a: counted_by(ceil, *a), "rounded to the nearest"),
        ("rounded down to one", lambda *a: counted_by(int, *a), "rounded to the nearest"),
        ("by the total", by_total, "each class by itself"),
        ("share fixed", lambda y, s, k: split(y, 0.2, k), "a share of 0.33"),
        ("classes from 0 on", lambda y, s, k: split(y[: y.max() + 1], s, k), "neither side"),
        ("first of each class", lambda y, s, k: by_class(y, lambda r, n: r[:n]), "draw"),
        ("one left out", one_left_out, "neither side"),
    ],
    "check_training_hours": [
        ("no teacher", lambda *a: hours(*a, teacher=0), "who besides"),
        ("one width", lambda n, p, r, w: hours(n, p, r, 1), "one for each of two widths"),
        ("one iteration", lambda *a: hours(*a, each=lambda p: p.adapt), "one iteration|three"),
        ("minutes", lambda *a: hours(*a, seconds=60), "mind the unit"),
        (
            "multiplied by the rate",
            lambda n, p, r, w: hours(n, p, 1 / r, w),
            "two pictures a second",
        ),
        (
            "one subnet a step",
            lambda n, p, r, w: hours(n, replace(p, subnets_per_step=4), r, w),
            "two subnets",
        ),
        ("two widths fixed", lambda n, p, r, w: hours(n, p, r, 2), "three widths"),
    ],
    "check_own_task": [
        ("no groups", task_by(None), "two splits"),
        ("group by file", task_by(lambda f: f.name), "two splits"),
        ("group by shot", task_by(lambda f: f.stem[-1]), "two splits"),
        ("numbers of both classes", task_by(lambda f: f.stem.split("_")[0]), "unique in its class"),
        ("another draw each time", drifting_seed, "seed alone"),
        ("the folder", lambda folder: folder, "Return the task"),
    ],
    "check_neighbour_accuracy": [
        ("share", lambda a, b: nearest(a, b) / 100, "give percent"),
        ("farthest", farthest, "least"),
        ("in bytes", in_bytes, "unsigned bytes"),
        ("neighbours in valid", lambda a, b: nearest(b, b), "predictions come from train"),
        (
            "brightness alone",
            lambda a, b: nearest(brightness(a), brightness(b)),
            "channels and pixels",
        ),
        ("red alone", lambda a, b: nearest(red(a), red(b)), "channels and pixels"),
        ("in place", darkens, "changed its argument"),
    ],
    "check_needed": [
        ("hours at a rate of 1", lambda: 18889, "divide by 24"),
        ("one width", lambda: 500, "training_hours"),
        ("without the teacher", lambda: 630, "training_hours"),
        ("nothing", lambda: None, "return"),
        ("text", lambda: "many", "should hold numbers"),
        ("list", lambda: [787], "one number"),
    ],
    "check_reported": [
        ("careless", lambda: "careless", "new user"),
        ("the better", lambda: 100, "should be"),
        ("nothing", lambda: None, "should be"),
        ("both", lambda: "both", "should be"),
        ("mean", lambda: 69.2, "should be"),
        ("list", lambda: ["grouped"], "should be"),
    ],
    "check_pictures": [
        ("one variance", lambda: 20400, "too few"),
        ("one standard error", lambda: 10200, "too few"),
        ("in percent", lambda: 4.08e8, "too many"),
        ("nothing", lambda: None, "None"),
        ("deviation for variance", lambda: 2 * 0.357 * 400**2, "too many"),
        ("one point", lambda: 2 * 0.85 * 0.15 * 200**2, "too few"),
    ],
}
