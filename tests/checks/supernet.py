"""Answers to the exercises of notebook 01."""

import copy
from collections import Counter
from functools import cache
from itertools import product
from math import ceil

import numpy as np
import torch
from numpy.polynomial import Polynomial
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


def from_state(net):
    made = Supernet(net.space, net.num_classes)
    state = net.state_dict().items()
    made.load_state_dict({k: torch.eye(len(v)) if "matrices" in k else v for k, v in state})
    return made


def by_names(net):
    made = copy.deepcopy(net)
    with torch.no_grad():
        for weights in made.weight_sets:
            for block in weights.blocks[1:]:
                for matrix in block.kernel_matrices.values():
                    matrix.copy_(torch.eye(len(matrix)))
    return made


def one_width(net):
    made = copy.deepcopy(net)
    for name, parameter in made.named_parameters():
        if "kernel_matrices" in name and not name.startswith(tuple(list_of_sets(net)[1:])):
            parameter.data = torch.eye(len(parameter))
    return made


def list_of_sets(net):
    names = [name for name, _ in net.named_parameters() if "kernel_matrices" in name]
    return sorted({".".join(name.split(".")[:2]) + "." for name in names})


def fresh(net):
    return Supernet(net.space, net.num_classes)


def count_by_polynomials(layers, stages, choices, min_depth, max_depth):
    stage = Polynomial([choices**d * (d >= min_depth) for d in range(max_depth + 1)], symbol="d")
    ways = np.array([1], dtype=object)
    for _ in range(stages):
        ways = np.convolve(ways, np.array([int(c) for c in stage.coef], dtype=object))
    return int(ways[layers]) if layers < len(ways) else 0


def count_stage_by_stage(layers, stages, choices, min_depth, max_depth):
    ways = {0: 1}
    for _ in range(stages):
        more = Counter()
        for n, before in ways.items():
            for depth in range(min_depth, max_depth + 1):
                more[n + depth] += before * choices**depth
        ways = more
    return ways.get(layers, 0)


@cache
def count_by_memory(layers, stages, choices, min_depth, max_depth):
    if layers < 0 or stages == 0:
        return int(layers == stages == 0)
    depths = range(min_depth, max_depth + 1)
    shape = stages - 1, choices, min_depth, max_depth
    return sum(choices**d * count_by_memory(layers - d, *shape) for d in depths)


def share(space, X, fits, weigh=lambda space, layers: float(space.n_layer_choices) ** layers):
    weights = weigh(space, space.depths(X).sum(axis=1))
    return (weights * fits).sum() / weights.sum()


def share_by_loop(space, X, fits):
    weights = [space.n_layer_choices ** int((x[2:] > 0).sum()) for x in X]
    return sum(w for w, fine in zip(weights, fits, strict=True) if fine) / sum(weights)


EXACT = ("check_count",)  # floats and tensors are not
RIGHT = {
    "check_count": [count, count_by_polynomials, count_stage_by_stage, count_by_memory],
    "check_block_madds": [madds],
    "check_dearest_gene": [dearest],
    "check_small_kernel": [chain],
    "check_without_matrices": [replaced(), by_modules, from_state, by_names],
    "check_deep_share": [
        lambda: 97.26,
    ],
    "check_how_sure": [
        lambda: "cannot be told",
        lambda: np.str_("cannot be told"),
        lambda: " ".join(["cannot", "be", "told"]),
        lambda: "cannot" + " be told",
    ],
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
        ("no expansion", lambda i, m, o, k, s, t: madds(0, m, o, k, s, t), "three convolutions"),
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
        ("in place", replaced(clone=lambda net: net), "work on a copy"),
        ("shallow copy", replaced(clone=copy.copy), "work on a copy"),
        ("ones", replaced(torch.ones), "diagonal"),
        ("zeros", replaced(torch.zeros), "diagonal"),
        ("the first block is left out", replaced(first=1), "1 kernel matrices|kernel matrices"),
        ("a new supernet", fresh, "other weights"),
        ("one width only", one_width, "kernel matrices"),
    ],
    "check_deep_share": [
        ("20 layers alone", lambda: 55.88, "18, 19 and 20"),
        ("share", lambda: 0.9726, "add up"),
        ("drawn", lambda: 8.77, "of all"),
        ("17 too", lambda: 99.56, "18, 19 and 20"),
        ("text", lambda: "97%", "should hold numbers"),
        ("nothing", lambda: None, "return"),
    ],
    "check_how_sure": [
        ("help", lambda: "they help", "beyond two"),
        ("harm", lambda: "they harm", "beyond two"),
        ("yes", lambda: "yes", "should be"),
        ("no", lambda: False, "should be"),
        ("nothing", lambda: None, "should be"),
        ("a number", lambda: 0.48, "should be"),
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
