"""Checks of the exercises of notebook 03: layers, crowding, repair, hypervolume, an objective."""

from dataclasses import replace

import numpy as np
import torch
from pymoo.operators.survival.rank_and_crowding.metrics import calc_crowding_distance
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

from natlib.layers import ConvNorm
from natlib.search import hypervolume
from natlib.space import Architecture, SearchSpace
from natlib.supernet import Subnet
from natlib.teach.checks import cases, judged, require, rows, tabled

check_directions = tabled(__name__, "check_directions", shape=())


@judged("The hypervolume", ())
def check_hypervolume(ask, say):
    """Judges `hypervolume_2d(F, reference)`: the area that points dominate."""
    random = [np.random.default_rng(seed).uniform(0, 1.2, size=(12, 2)) for seed in range(20)]
    random += [F.round(1) for F in random]  # with ties, and points on the border
    return {say.random: [(F, [1, 1], hypervolume(F, (1, 1), (0, 0))) for F in random]}


@judged("The vector of layers", lambda F: (len(F),))
def check_layers(ask, say):
    """Judges `layers(F)`: non-dominated sorting."""
    random = [np.random.default_rng(m).integers(0, 6, size=(40, m)) for m in (2, 3, 4)]
    random[-1][:, 3] = 1  # all equal in one of four
    sort = NonDominatedSorting().do
    return {say.random: [(F * 1.0, sort(F * 1.0, return_rank=True)[1]) for F in random]}


@judged("The vector of survivors", lambda F, n: (n,))
def check_survivors(survivors, say):
    """Judges `survivors(F, n)` of NSGA-II: layers first, then crowding within the last one."""

    def keep(F, n):
        kept = {*rows(survivors(F, n), len(F), say.form)}
        require(len(kept) == n, say.form, answer=kept)
        return kept

    def distances(F):
        layer, distance = np.zeros((2, len(F)))
        for number, front in enumerate(NonDominatedSorting().do(F)):
            layer[front], distance[front] = number, calc_crowding_distance(F[front])
        return layer, distance

    curve = np.random.default_rng(0).uniform(0.05, 1, size=(12, 1)) ** [1, -1]
    table = {
        say.layers: (say.five, 3, {1, 3, 4}),
        say.ends: (say.line, 4, {0, 5}.issubset),
        say.gaps: (say.line, 4, {0, 3, 4, 5}),
        say.units: [(curve * [1, unit], n, keep(curve, n)) for unit in (1e-6, 1e6) for n in (5, 8)],
        say.neighbours: (say.nine, 7, {0, 1, 2, 3, 4, 5, 8}),
    }
    cases(keep, table)
    for seed in range(30):
        rng, m, n = np.random.default_rng(seed), 2 + seed % 3, 7 + seed % 9
        F = rng.dirichlet(np.ones(m), size=30) * 10.0 ** rng.integers(0, 7, m)
        F[::3] *= 1.1  # a second layer
        F = np.insert(F, 1, 5, axis=1) if seed > 9 else F
        kept, (layer, distance) = np.isin(range(30), [*keep(F, n)]), distances(F)
        last = layer == layer[kept].max()
        fine = layer[kept].max() <= layer[~kept].min()
        fine = fine and distance[last & kept].min() > distance[last & ~kept].max(initial=-1) - 1e-6
        require(fine, say.constant if seed > 9 else say.random)


@judged("The matrix of genes", np.shape)
def check_close_holes(ask, say):
    """Judges `close_holes(genes)`: the repair of one stage."""
    for space in (SearchSpace.pocket(), replace(SearchSpace.paper(), min_depth=1)):
        X = np.random.default_rng(0).integers(space.lower, space.upper + 1, size=(200, space.n_var))
        for stage, genes in enumerate(space.layer_genes(X).swapaxes(0, 1)):
            right = space.layer_genes(space.repair(X))[:, stage]
            wrong = (ask(genes) != right).any(axis=1)
            require(not wrong.any(), say.random, row=tuple(genes[wrong.argmax()].tolist()))


@judged("The objective", lambda space, X: (len(X),))
def check_activation(largest_activation, say):
    """Judges `largest_activation(space, X)` against the tensors of real subnets of two spaces."""
    space = SearchSpace.pocket()
    X, other = space.sample(12, 0), replace(space, stage_strides=(2, 1, 2), expands=(2, 3, 6))
    kernels = np.where(np.arange(space.n_var) < 2, X, np.where(X > 0, (X - 1) // 2 * 2 + 1, 0))
    table = {
        say.kernels: (space, kernels, largest_activation(space, X)),
        say.smallest: (space, space.encode(space.smallest())[None], [1536]),
        say.largest: (space, space.encode(space.largest())[None], [24576]),
    }
    cases(largest_activation, table)
    for name, each in {"pocket": space, "another": other}.items():
        for arch, ours in zip(map(each.decode, X), largest_activation(each, X), strict=True):
            right = _measured_activation(each, arch)
            require(ours == right, say.real, arch=arch, ours=ours, name=name)


@torch.no_grad()
def _measured_activation(space: SearchSpace, arch: Architecture) -> int:
    """Returns the values of the largest tensor that a convolution of the layers puts out."""
    subnet, sizes = Subnet(space, arch, num_classes=2).eval(), []
    for layer in subnet.blocks[1:].modules():
        if isinstance(layer, ConvNorm):
            layer.register_forward_hook(lambda _, inputs, output: sizes.append(output.numel()))
    subnet(torch.zeros(1, 3, arch.resolution, arch.resolution))
    return max(sizes)
