"""Answers to the exercises of notebook 03."""

import numpy as np

from natlib.search import non_dominated


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


RIGHT = {
    "check_hypervolume": [volume_by_grid_lines],
    "check_layers": [peel],
}
WRONG = {
    "check_hypervolume": [
        ("no return", lambda F, r: None, "'return'"),
        ("from the origin", lambda F, r: F.prod(axis=1).sum(), "from the point to the reference"),
        ("overlap twice", lambda F, r: (r - F).prod(axis=1).sum(), "overlap"),
        ("in the given order", volume_in_given_order, "sort"),
        ("beyond the reference", volume_without_limit, "beyond the reference"),
    ],
    "check_layers": [
        ("numbered from one", lambda F: peel(F) + 1, "number 0"),
        ("maximised", lambda F: peel(-F), "minimised"),
        ("front against the rest", lambda F: 1 - non_dominated(F), "Peel"),
        ("strictly better everywhere", lambda F: dominators(F, np.all), "one objective may be"),
        ("duplicates dominate", rivals, "Equal points"),
        ("number of those that dominate", dominators, "number of rivals"),
    ],
}
