"""Answers to the exercises of notebook 01."""

import copy
from itertools import product
from math import ceil

import numpy as np
import torch
from torch import nn

from natlib.supernet import Supernet


def count(layers, stages, choices, min_depth, max_depth):
    depths = product(range(min_depth, max_depth + 1), repeat=stages)
    return choices**layers * sum(sum(d) == layers for d in depths)


def count_in_64_bits(layers, *shape):
    with np.errstate(over="ignore"):
        return np.int64(count(layers, *shape) % 2**63)


def madds(c_in, mid, c_out, kernel, side, stride):
    after = ceil(side / stride)
    return mid * (c_in * side * side + (kernel * kernel + c_out) * after * after)


def dense(c_in, mid, c_out, kernel, side, stride):
    return madds(c_in, mid, c_out, kernel, side, stride) + (
        mid * (mid - 1) * kernel**2 * ceil(side / stride) ** 2
    )


def kernel_side(c_in, mid, c_out, kernel, side, stride):
    return madds(c_in, mid, c_out, kernel**0.5, side, stride)


def rounded_down(c_in, mid, c_out, kernel, side, stride):
    after = side // stride
    return mid * (c_in * side**2 + (kernel**2 + c_out) * after**2)


def raised(space, x, by=None):
    rows = []
    for gene in range(space.n_var):
        row = x.copy()
        row[gene] = space.upper[gene] if by is None else min(row[gene] + by, space.upper[gene])
        rows.append(row)
    return space.repair(np.array(rows))


def dearest(space, cost, x):
    return max(range(space.n_var), key=cost.madds(raised(space, x)).__getitem__)


def dearest_in_place(space, cost, x):
    found = dearest(space, cost, x)
    x[found] = space.upper[found]
    return found


def raised_together(space, cost, x):
    rows = np.array([[*space.upper[: i + 1], *x[i + 1 :]] for i in range(len(x))])
    return cost.madds(space.repair(rows)).argmax()


def chain(weight, matrices, size, edge=slice(1, -1), order="C", transposed=False, keep=False):
    """Makes the smaller kernels channel by channel; the options make typical mistakes."""
    stored = weight
    for name, side in (("7to5", 5), ("5to3", 3)):
        if size > side:
            break
        matrix = matrices[name].T if transposed else matrices[name]
        start = stored[:, 1:-1, 1:-1] if keep and side == 3 else weight
        made = [matrix @ kernel[edge, edge].ravel(order) for kernel in start]
        weight = np.array(made).reshape(-1, side, side)
    return weight


def crop(weight, matrices, size):
    edge = (7 - size) // 2
    return weight[:, edge : 7 - edge, edge : 7 - edge]


def replaced(value=torch.eye, first=0, clone=copy.deepcopy, what="kernel_matrices"):
    """Returns a function that replaces matrices; the options make typical mistakes."""

    def without_matrices(net):
        made = clone(net)
        names = [name for name, _ in made.named_parameters() if what in name][first:]
        for name in names:
            parameter = made.get_parameter(name)
            parameter.data = value(len(parameter)).expand(parameter.shape).clone()
        return made

    return without_matrices


def by_modules(net):
    made = copy.deepcopy(net)
    for module in made.modules():
        if isinstance(module, nn.ParameterDict):
            for key, matrix in module.items():
                module[key] = nn.Parameter(torch.eye(len(matrix)))
    return made


def fresh(net):
    return Supernet(net.space, net.num_classes)


def share(space, X, fits, weigh=lambda space, layers: float(space.n_layer_choices) ** layers):
    weights = weigh(space, space.depths(X).sum(axis=1))
    return (weights * fits).sum() / weights.sum()


def share_by_loop(space, X, fits):
    weights = [space.n_layer_choices ** int((x[2:] > 0).sum()) for x in X]
    return sum(w for w, fine in zip(weights, fits, strict=True) if fine) / sum(weights)


RIGHT = {
    "check_count": [count],
    "check_block_madds": [madds],
    "check_dearest_gene": [dearest],
    "check_small_kernel": [chain],
    "check_without_matrices": [replaced(), by_modules],
    "check_factor": [
        lambda: 10253312 / 2683520,
        lambda: np.float32(3.8208442),
        lambda: [3.82084][0],
    ],
    "check_share_that_fits": [
        share,
        share_by_loop,
        lambda space, X, fits: np.average(fits, weights=6.0 ** (space.depths(X).sum(axis=1) - 3)),
    ],
}
WRONG = {
    "check_count": [
        ("one form for the stage", lambda n, s, c, a, b: count(n, s, 1, a, b) * c**s, "for itself"),
        ("forms added", lambda n, s, c, a, b: n * c * (a <= n <= s * b), "for itself"),
        ("any depth", lambda n, s, c, a, b: c**n, "ends the recursion"),
        ("order of stages", lambda n, s, c, a, b: count(n, s, c, a, b) // s, "both orders"),
        ("least depth", lambda n, s, c, a, b: count(n, s, c, min(a, 1), b), "least depth"),
        ("64 bits", count_in_64_bits, "not exact"),
    ],
    "check_block_madds": [
        ("dense instead of depthwise", dense, "looks at that channel alone"),
        ("kernel not squared", kernel_side, "nine weights"),
        (
            "stride first",
            lambda i, m, o, k, s, t: madds(i, m, o, k, ceil(s / t), 1),
            "first one see",
        ),
        ("no stride", lambda i, m, o, k, s, t: madds(i, m, o, k, s, 1), "become smaller"),
        ("rounded down", rounded_down, "rounded up"),
    ],
    "check_dearest_gene": [
        ("parameters", lambda s, c, x: c.params(raised(s, x)).argmax(), "cost"),
        ("the cheapest", lambda s, c, x: c.madds(raised(s, x)).argmin(), "cost"),
        ("one step only", lambda s, c, x: c.madds(raised(s, x, 1)).argmax(), "to the top"),
        ("raised together", raised_together, "alone"),
        ("in place", dearest_in_place, "copy"),
        ("the cost itself", lambda s, c, x: c.madds(raised(s, x)).max(), "no gene"),
    ],
    "check_small_kernel": [
        ("a plain crop", crop, "is the matrix used"),
        ("the corner", lambda w, m, k: chain(w, m, k, edge=slice(0, -2)), "corner"),
        ("transposed", lambda w, m, k: chain(w, m, k, transposed=True), "not transposed"),
        ("columns first", lambda w, m, k: chain(w, m, k, order="F"), "mixed up"),
        ("skips the 5x5 matrix", lambda w, m, k: chain(w, m, k, keep=True), "after"),
        ("size ignored", lambda w, m, k: chain(w, m, 3), "shape"),
    ],
    "check_without_matrices": [
        ("in place", replaced(clone=lambda net: net), "change a copy"),
        ("shallow copy", replaced(clone=copy.copy), "change a copy"),
        ("ones", replaced(torch.ones), "diagonal"),
        ("zeros", replaced(torch.zeros), "diagonal"),
        ("the first block is left out", replaced(first=1), "1 kernel matrices"),
        ("a new supernet", fresh, "other weights"),
    ],
    "check_factor": [
        ("pixels", lambda: 4, "too large"),
        ("the other way round", lambda: 0.2617, "too small"),
        ("parameters", lambda: 1, "too small"),
        ("the smallest", lambda: 3.4643, "too small"),
        ("not begun", lambda: None, "None"),
        ("four squared", lambda: 16, "too large"),
    ],
    "check_share_that_fits": [
        ("of the drawn", lambda space, X, fits: fits.mean(), "share of the drawn"),
        ("layers", lambda *a: share(*a, weigh=lambda space, n: n), "multiplies"),
        (
            "forms times layers",
            lambda *a: share(*a, weigh=lambda s, n: s.n_layer_choices * n),
            "multi",
        ),
        ("overflow", lambda *a: share(*a, weigh=lambda s, n: -(s.n_layer_choices**n)), "int64"),
        ("inverse", lambda *a: share(*a, weigh=lambda s, n: 6.0**-n), "multiplies"),
        ("those that do not fit", lambda space, X, fits: share(space, X, ~fits), "multiplies"),
    ],
}
