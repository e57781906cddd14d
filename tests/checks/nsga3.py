"""Answers to the exercises of notebook 03."""

import numpy as np

from natlib.search import non_dominated
from natlib.space import SearchSpace

POCKET = SearchSpace.pocket()


def volume_by_grid_lines(F, reference):
    inside = F[(F < reference).all(axis=1)]
    area = 0.0
    xs = np.unique(np.append(inside[:, 0], reference[0]))
    for left, right in zip(xs[:-1], xs[1:], strict=True):
        area += (right - left) * (reference[1] - inside[inside[:, 0] <= left, 1].min())
    return area


def volume_in_given_order(F, reference):
    area, lowest = 0.0, reference[1]
    for x, y in F:
        area += max(reference[0] - x, 0) * max(lowest - y, 0)
        lowest = min(y, lowest)
    return area


def volume_without_limit(F, reference):
    F = F[np.argsort(F[:, 0])]
    area, lowest = 0.0, reference[1]
    for x, y in F:
        if y < lowest:
            area += (reference[0] - x) * (lowest - y)
            lowest = y
    return area


def peel(F):
    layer = np.full(len(F), -1)
    while (layer < 0).any():
        left = np.flatnonzero(layer < 0)
        layer[left[non_dominated(F[left])]] = layer.max() + 1
    return layer


def dominators(F, better=np.any):
    """Counts for each point who is nowhere worse and `better` somewhere or everywhere."""
    nowhere_worse = (F[:, None] <= F[None]).all(axis=2)
    return (nowhere_worse & better(F[:, None] < F[None], axis=2)).sum(axis=0)


def rivals(F):
    """Counts for each point who else is nowhere worse, equal points among them."""
    return (F[:, None] <= F[None]).all(axis=2).sum(axis=0) - 1


def crowding(F, units=True, ends=np.inf, back=True, constant=False):
    distance = np.zeros(len(F))
    for values in F.T:
        if np.ptp(values) or constant:
            order = np.argsort(values)
            ranked = values[order]
            scale = np.ptp(values) if units and np.ptp(values) else 1
            gaps = np.r_[ends, (ranked[2:] - ranked[:-2]) / scale, ends][: len(values)]
            if back:
                distance[order] += gaps
            else:
                distance += gaps[order]
    return distance


def two_columns(F, n):
    """Looks at the first two objectives only when it thins the last layer."""
    layer, distance = peel(F), np.zeros(len(F))
    for number in set(layer):
        distance[layer == number] = crowding(F[layer == number, :2])
    return np.lexsort([-distance, layer])[:n]


def sorted_in_place(F, reference):
    F[:] = F[np.argsort(F[:, 0], kind="stable")]
    return volume_by_grid_lines(F, reference)


def survive(F, n, sign=-1, **options):
    kept, layer, number = [], peel(F), 0
    while len(kept) + (layer == number).sum() <= n and number <= layer.max():
        kept += [*np.flatnonzero(layer == number)]
        number += 1
    last = np.flatnonzero(layer == number)
    order = np.argsort(sign * crowding(F[last], **options), kind="stable") if len(last) else []
    return np.array([*kept, *last[order]][:n], dtype=int)


def thin_one_by_one(F, n):
    """Computes the distances of the last layer anew after each removal."""
    layer = peel(F)
    kept = np.arange(len(F))
    while len(kept) > n:
        last = kept[layer[kept] == layer[kept].max()]
        kept = np.setdiff1d(kept, last[crowding(F[last]).argmin()])
    return kept


def layers_after_crowding(F, n):
    return np.lexsort([peel(F), -crowding(F)])[:n]


def crowding_of_all(F, n):
    return np.lexsort([-crowding(F), peel(F)])[:n]


def holes_by_loop(genes):
    rows = [[g for g in row if g] for row in genes]
    return np.array([row + [0] * (genes.shape[1] - len(row)) for row in rows])


def holes_in_place(genes):
    genes[:] = holes_by_loop(genes)
    return genes


def cut_at_hole(genes):
    return np.where(np.minimum.accumulate(genes > 0, axis=1), genes, 0)


def one_step_up(genes):
    hole = (genes[:, 0] > 0) & (genes[:, 1] == 0)
    return np.where(hole[:, None], genes[:, [0, 2, 1]], genes)


def activation(space, X, of=max, tensor="expanded", before=True, skipped=False):
    """Counts values layer by layer; the options make typical mistakes."""
    if skipped:
        X = np.where(X == 0, [0, 0, *[space.n_layer_choices] * (space.n_var - 2)], X)
    found = []
    for arch in map(space.decode, X):
        sizes = []
        for block in space.blocks(arch):
            channels = {
                "expanded": block.mid,
                "input": block.c_in,
                "patches": block.c_in * block.kernel**2,
            }
            if block.name.startswith("stage"):
                side = block.side if before else block.out_side
                sizes.append(channels[tensor] * side**2)
        found.append(of(sizes))
    return np.array(found)


RIGHT = {
    "check_hypervolume": [volume_by_grid_lines],
    "check_layers": [peel],
    "check_survivors": [survive],
    "check_close_holes": [holes_by_loop],
    "check_activation": [activation],
    "check_directions": [lambda: 1352078, lambda: np.int64(1352078), lambda: 1352078.0],
}
WRONG = {
    "check_hypervolume": [
        ("no return", lambda F, r: None, "'return'"),
        ("from the origin", lambda F, r: F.prod(axis=1).sum(), "from the point to the reference"),
        ("overlap twice", lambda F, r: (r - F).prod(axis=1).sum(), "overlap"),
        ("in the given order", volume_in_given_order, "sort"),
        ("beyond the reference", volume_without_limit, "beyond the reference"),
        (
            "sorted by the second objective",
            lambda F, r: volume_in_given_order(F[np.argsort(F[:, 1])], r),
            "overlap|other order",
        ),
        ("in place", sorted_in_place, "changed its argument"),
    ],
    "check_layers": [
        ("numbered from one", lambda F: peel(F) + 1, "number 0"),
        ("maximised", lambda F: peel(-F), "minimised"),
        ("front against the rest", lambda F: 1 - non_dominated(F), "Peel"),
        ("strictly better everywhere", lambda F: dominators(F, np.all), "one objective may be"),
        ("duplicates dominate", rivals, "equal points"),
        ("number of those that dominate", dominators, "number of rivals"),
    ],
    "check_survivors": [
        ("a mask", lambda F, n: np.isin(np.arange(len(F)), survive(F, n)), "shape"),
        ("crowding before layers", layers_after_crowding, "its layer is worse"),
        ("the most crowded", lambda F, n: survive(F, n, sign=1), "ends"),
        ("ends count nothing", lambda F, n: survive(F, n, ends=0), "an end"),
        ("any of the last layer", lambda F, n: np.argsort(peel(F), kind="stable")[:n], "ends"),
        ("units", lambda F, n: survive(F, n, units=False), "comparable"),
        ("distances again after each removal", thin_one_by_one, "again after each removal"),
        ("neighbours of other layers", crowding_of_all, "same layer"),
        ("gap of another row", lambda F, n: survive(F, n, back=False), "back to the .row"),
        (
            "two columns only",
            lambda F, n: two_columns(F, n),
            "all objectives",
        ),
        ("constant counts", lambda F, n: survive(F, n, constant=True), "equal for all"),
    ],
    "check_close_holes": [
        ("sorted by gene", lambda genes: -np.sort(-genes, axis=1), "order"),
        ("cut at the hole", cut_at_hole, "depth"),
        ("skipped first", lambda genes: np.sort(genes, axis=1), "at the end"),
        ("filled with ones", lambda genes: np.maximum(genes, [1, 1, 0]), "two active|keeps its"),
        ("one hole only", one_step_up, "or are there two"),
        ("in place", holes_in_place, "copy"),
    ],
    "check_activation": [
        ("the input", lambda s, X: activation(s, X, tensor="input"), "before the depthwise"),
        ("the sum", lambda s, X: activation(s, X, of=sum), "not a sum"),
        ("after the stride", lambda s, X: activation(s, X, before=False), "stride"),
        ("skipped layers", lambda s, X: activation(s, X, skipped=True), "skipped"),
        ("kernels", lambda s, X: activation(s, X, tensor="patches"), "padding"),
        ("one space", lambda s, X: activation(POCKET, X), "not the size"),
    ],
    "check_directions": [
        ("p of eleven", lambda: 646646, "too few"),
        ("population", lambda: 100, "too few"),
        ("no minus one", lambda: 2704156, "too many"),
        ("without the binomial", lambda: 12**12, "too many"),
        ("p of two", lambda: 78, "too few"),
        ("a grid", lambda: 2**11, "too few"),
    ],
}
