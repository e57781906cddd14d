"""Checks of the exercises of notebook 03: layers, crowding, repair, hypervolume, an objective."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import ArrayLike

from natlib.layers import ConvNorm
from natlib.search import hypervolume, non_dominated
from natlib.space import Architecture, SearchSpace
from natlib.supernet import Subnet
from natlib.teach.checks import asking, cases, numbers, passed, require, says, tabled, unlike

check_directions = tabled(__name__, "check_directions", shape=())


def check_hypervolume(hypervolume_2d: Callable[..., ArrayLike]) -> None:
    """Judges the area that points dominate, in two objectives."""
    say, ask = says(check_hypervolume), asking(hypervolume_2d, "The hypervolume")
    random = [np.random.default_rng(seed).uniform(0, 1.2, size=(12, 2)) for seed in range(20)]
    table = {
        say.one: ([[1, 2]], [4, 4], 6),
        say.overlap: ([[1, 3], [2, 2]], [4, 4], 5),
        say.order: ([[2, 2], [1, 3]], [4, 4], 5),
        say.dominated: ([[1, 3], [2, 2], [3, 3]], [4, 4], 5),
        say.beyond: [([[2, 2], [5, 0]], [4, 4], 4), ([[5, 0]], [4, 4], 0)],
        say.none: (np.zeros((0, 2)), [4, 4], 0),
        say.random: [(F, [1, 1], hypervolume(F, (1, 1), (0, 0))) for F in random],
    }
    cases(ask, table)
    passed("the area agrees with natlib.search.hypervolume for twenty random sets.")


def check_layers(layers: Callable[..., ArrayLike]) -> None:
    """Judges non-dominated sorting."""
    say = says(check_layers)
    ask = asking(layers, "The vector of layers", lambda F: (len(F),))
    chain, equal = [[3, 3], [1, 1], [2, 2]], [[1, 1], [1, 1], [1, 2]]
    cases(lambda F: ask(F).min(), {say.best: (chain, 0)})
    cases(ask, {say.sign: (chain, unlike([0, 2, 1])), say.chain: (chain, [2, 0, 1])})
    cases(ask, {say.rivals: (equal, unlike([0, 0, 2])), say.equal: (equal, [0, 0, 1])})
    for m in (2, 3):
        F = np.random.default_rng(m).integers(0, 6, size=(40, m)).astype(float)
        found = ask(F)
        for number in range(int(found.max()) + 1):
            left = np.flatnonzero(found >= number)
            front = set(left[non_dominated(F[left])])
            require(front == set(np.flatnonzero(found == number)), say.random, m=m, number=number)
    passed("every layer is the front of what the layers before it leave.")


def check_survivors(survivors: Callable[..., ArrayLike]) -> None:
    """Judges the survival of NSGA-II: layers first, then crowding distance within the last one."""
    say = says(check_survivors)

    def keep(F: ArrayLike, n: int) -> set[int]:
        kept = numbers(survivors(np.array(F, float), n), (n,), "The vector of survivors").tolist()
        require(len({*kept}) == n and {*kept} <= {*range(len(F))}, say.form, n=n, kept=kept)
        return {int(i) for i in kept}

    line = [[0, 10], [1, 9], [2, 8], [3, 7], [6, 4], [10, 0]]
    better = [[0, 9], [1.9, 7.1], [5.1, 3.9], [9.5, -0.5]]
    last = [[0, 10], [2, 8], [5.2, 4.8], [6, 4], [10, 0]]
    table = {
        say.layers: ([[4, 4], [0, 3], [9, 9], [1, 1], [3, 0]], 3, {1, 3, 4}),
        say.ends: (line, 4, {0, 5}.issubset),
        say.gaps: (line, 4, {0, 3, 4, 5}),
    }
    cases(keep, table)
    for x in (np.random.default_rng(seed).uniform(0.05, 1, size=12) for seed in range(10)):
        F = np.column_stack([np.sort(x), 1 / np.sort(x)])
        require(keep(F, 6) == keep(F * [1, 1e6], 6), say.units)
    cases(keep, {say.neighbours: (better + last, 7, {0, 1, 2, 3, 4, 5, 8})})
    passed("layers come first, and the last one is thinned where it is crowded.")


def check_close_holes(close_holes: Callable[..., ArrayLike]) -> None:
    """Judges the repair of one stage."""
    say, space = says(check_close_holes), SearchSpace.pocket()
    ask = asking(close_holes, "The matrix of genes", np.shape, say.changed)

    def repair(genes: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(ask(np.array([genes]))[0].astype(int).tolist())

    hole, three, one = (1, 0, 3), (2, 6, 1), (5, 0, 0)
    table = {
        say.depth: (hole, lambda found: np.count_nonzero(found) == 2),
        say.gene: (hole, lambda found: set(found) == {0, 1, 3}),
        say.end: (hole, lambda found: found[-1] == 0),
        say.order: (hole, (1, 3, 0)),
        say.holes: [(one, one), (three, three), ((0, 0, 5), one)],
    }
    cases(repair, table)
    X = np.random.default_rng(0).integers(space.lower, space.upper + 1, size=(200, space.n_var))
    stages = space.layer_genes(X).swapaxes(0, 1)
    for genes, right in zip(stages, space.layer_genes(space.repair(X)).swapaxes(0, 1), strict=True):
        wrong = (ask(genes) != right).any(axis=1)
        require(not wrong.any(), say.random, row=tuple(genes[wrong.argmax()].tolist()))
    passed("holes are closed, and order and depth stay.")


def check_activation(largest_activation: Callable[..., ArrayLike]) -> None:
    """Judges the objective against the tensors of real subnets."""
    say, space = says(check_activation), SearchSpace.pocket()
    ask = asking(lambda X: largest_activation(space, X), "The objective", lambda X: (len(X),))
    X = space.sample(30, 0)
    found = ask(X)
    other_kernels = np.where(X > 0, (X - 1) // 2 * 2 + 1, 0)
    other_kernels[:, :2] = X[:, :2]
    table = {
        say.kernels: (other_kernels, found),
        say.smallest: (space.encode(space.smallest())[None], [1536]),
        say.largest: (space.encode(space.largest())[None], [24576]),
    }
    cases(ask, table)
    for arch, ours in zip(map(space.decode, X), found, strict=True):
        require(ours == _measured_activation(space, arch), say.real, arch=arch, ours=ours)
    passed("the objective agrees with the tensors of thirty real subnets.")


@torch.no_grad()
def _measured_activation(space: SearchSpace, arch: Architecture) -> int:
    """Returns the values of the largest tensor that a convolution of the layers puts out."""
    subnet, sizes = Subnet(space, arch, num_classes=2).eval(), []
    for layer in subnet.blocks[1:].modules():
        if isinstance(layer, ConvNorm):
            layer.register_forward_hook(lambda _, inputs, output: sizes.append(output.numel()))
    subnet(torch.zeros(1, 3, arch.resolution, arch.resolution))
    return max(sizes)
