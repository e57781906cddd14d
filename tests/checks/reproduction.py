"""Answers to the exercises of notebook 05."""

import numpy as np
from matplotlib.figure import Figure
from torch import cdist

from natlib.data import folder_task
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


def split(labels, share, seed):
    valid = stratified_cut(labels, round(share * len(labels)), seed)
    return np.delete(np.arange(len(labels)), valid), valid


def by_class(labels, draw, least=1):
    """Returns a split that takes what `draw` chooses of the rows of each class."""
    rows = [np.flatnonzero(labels == c) for c in np.unique(labels)]
    valid = np.concatenate([draw(r, max(least, round(0.2 * len(r)))) for r in rows])
    return np.setdiff1d(np.arange(len(labels)), valid), valid


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


def farthest(train, valid):
    found = cdist(flat(valid.images), flat(train.images)).argmax(dim=1)
    return 100 * (train.labels[found] == valid.labels).float().mean().item()


RIGHT = {
    "check_dominated": [dominated],
    "check_read_string": [read, lambda text: read_with(text, kernel_fastest)],
    "check_panel": [draw],
    "check_stratified_split": [split],
    "check_training_hours": [hours],
    "check_own_task": [task_by(class_and_number), task_by(lambda f: str(f).rsplit("_", 1)[0], 3)],
    "check_neighbour_accuracy": [nearest],
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
        ("always MAdds", lambda t, c: dominated(t, "madds"), "Network D"),
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
        ("first of each class", lambda y, s, k: by_class(y, lambda r, n: r[:n]), "draw"),
        ("one left out", one_left_out, "neither side"),
    ],
    "check_training_hours": [
        ("no teacher", lambda *a: hours(*a, teacher=0), "who besides"),
        ("one width", lambda n, p, r, w: hours(n, p, r, 1), "for each width"),
        ("one iteration", lambda *a: hours(*a, each=lambda p: p.adapt), "one iteration|three"),
        ("minutes", lambda *a: hours(*a, seconds=60), "mind the unit"),
        ("multiplied by the rate", lambda n, p, r, w: hours(n, p, 1 / r, w), "CIFAR-10"),
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
