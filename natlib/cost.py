"""What a subnet costs: parameters and MAdds of whole populations by table look-up.

A subnet's cost is a sum over its layers, and the cost of a layer depends on few things: its
place, its gene, the resolution and the width multiplier. So every layer is counted once, for each
combination, and after that the cost of any architecture is a sum of entries of a table. Nothing
is built and nothing is traced.

MAdds are the multiply-adds of convolutions and linear layers, squeeze-and-excitation and
classifier included, batch norm and activations not (NAT, "Counting").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from natlib.space import IntMatrix, SearchSpace, expanded_channels, squeezed_channels


class LayerCost(NamedTuple):
    """Parameters and multiply-adds of one layer."""

    params: int
    madds: int

    def __add__(self, other: tuple) -> LayerCost:
        return LayerCost(self.params + other[0], self.madds + other[1])


def conv_cost(
    c_in: int, c_out: int, kernel: int, side: int, groups: int = 1, batch_norm: bool = True
) -> LayerCost:
    """Counts a convolution without bias, and the two parameters per channel of its batch norm.

    Args:
        c_in: Input channels.
        c_out: Output channels.
        kernel: Side of the kernel.
        side: Side of the *output* in pixels.
        groups: Groups of the convolution; `c_in` for a depthwise one.
        batch_norm: Whether a batch norm follows.
    """
    weights = c_out * (c_in // groups) * kernel**2
    return LayerCost(weights + 2 * c_out * batch_norm, weights * side**2)


def squeeze_excite_cost(channels: int) -> LayerCost:
    """Counts the two 1x1 convolutions, with bias, of squeeze-and-excitation."""
    squeezed = squeezed_channels(channels)
    weights = 2 * channels * squeezed
    return LayerCost(weights + channels + squeezed, weights)


class Block(NamedTuple):
    """An inverted residual at its place in a network; `side` is that of its *input* in pixels."""

    c_in: int
    c_out: int
    kernel: int
    expand: float
    stride: int
    side: int
    act: str
    squeeze: bool


def block_cost(block: Block) -> LayerCost:
    """Counts expand 1x1, depthwise, squeeze-and-excitation and project 1x1 of a block."""
    mid, out_side = expanded_channels(block.c_in, block.expand), strided(block.side, block.stride)
    cost = conv_cost(block.c_in, mid, 1, block.side)
    cost += conv_cost(mid, mid, block.kernel, out_side, groups=mid)
    if block.squeeze:
        cost += squeeze_excite_cost(mid)
    return cost + conv_cost(mid, block.c_out, 1, out_side)


def strided(side: int, stride: int) -> int:
    """Side of the output of a convolution with 'same' padding and this stride."""
    return -(-side // stride)


def side_after(space: SearchSpace, resolution: int, stages: int) -> int:
    """Side of the image in pixels after the stem and this many stages."""
    for stride in (space.stem_stride, *space.stage_strides[:stages]):
        resolution = strided(resolution, stride)
    return resolution


def stem_cost(space: SearchSpace, resolution: int, width: float) -> LayerCost:
    """Counts the stem and the fixed first block (expand 1, kernel 3, no expand convolution)."""
    channels, side = space.stem_channels(width), strided(resolution, space.stem_stride)
    stem = conv_cost(3, channels, 3, side)
    depthwise = conv_cost(channels, channels, 3, side, groups=channels)
    return stem + depthwise + conv_cost(channels, channels, 1, side)


def head_cost(space: SearchSpace, resolution: int, width: float, num_classes: int) -> LayerCost:
    """Counts final expand, feature-mix (after the pooling, no batch norm) and classifier."""
    final, mix = space.head_channels(width)
    side = side_after(space, resolution, space.n_stages)
    expand = conv_cost(space.stage_channels(width)[-1], final, 1, side)
    feature_mix = conv_cost(final, mix, 1, 1, batch_norm=False)
    classifier = LayerCost((mix + 1) * num_classes, mix * num_classes)
    return expand + feature_mix + classifier


def block_at(
    space: SearchSpace, resolution: int, width: float, stage: int, position: int, choice: int
) -> Block:
    """Returns the block that a layer gene stands for.

    Args:
        space: The search space.
        resolution: Side of the image in pixels.
        width: Width multiplier.
        stage: Index of the stage.
        position: Index of the layer in its stage.
        choice: Layer gene minus one.
    """
    channels = [space.stem_channels(width), *space.stage_channels(width)]
    stages_before = stage + (position > 0)
    return Block(
        c_in=channels[stages_before],
        c_out=channels[stage + 1],
        kernel=space.kernels[choice % len(space.kernels)],
        expand=space.expands[choice // len(space.kernels)],
        stride=1 if position else space.stage_strides[stage],
        side=side_after(space, resolution, stages_before),
        act=space.stage_acts[stage],
        squeeze=space.stage_se[stage],
    )


def tabulate(
    space: SearchSpace, resolutions: Sequence[int], cost_of: Callable[[Block], ArrayLike]
) -> NDArray:
    """Asks for the cost of each distinct block once and arranges the answers by place and gene.

    Args:
        space: The search space.
        resolutions: Sides of the image in pixels.
        cost_of: Gives one cost of a block or several.

    Returns:
        Array `(resolutions, widths, stages, max_depth, genes, ...)`, zero for gene 0.
    """
    shape = (len(resolutions), len(space.widths), space.n_stages, space.max_depth)
    places = np.ndindex(*shape, space.n_layer_choices)
    once = cache(cost_of)
    costs = np.array(
        [once(block_at(space, resolutions[r], space.widths[w], *place)) for r, w, *place in places]
    )
    costs = costs.reshape(*shape, space.n_layer_choices, *costs.shape[1:])
    return np.insert(costs, 0, 0, axis=4)


def tabulate_ends(
    space: SearchSpace, resolutions: Sequence[int], ends_of: Callable[[int, float], ArrayLike]
) -> NDArray:
    """Arranges the costs of stem and head, which `ends_of` gives for a resolution and a width.

    Returns:
        Array `(resolutions, widths, 2, ...)`.
    """
    return np.array([[ends_of(r, w) for w in space.widths] for r in resolutions])


def look_up(space: SearchSpace, X: ArrayLike, ends: NDArray, layers: NDArray) -> NDArray:
    """Sums a table over the layers of each architecture, stem and head included.

    Args:
        space: The search space.
        X: Canonical encodings, integers `(n, n_var)`.
        ends: Costs of stem and head, `(resolutions, widths, 2)`.
        layers: Costs of the layers, `(resolutions, widths, stages, max_depth, genes)`.

    Returns:
        Costs, `(n,)`.

    Raises:
        ValueError: If a row is no canonical encoding of the space.
    """
    X = space.check_valid(X)
    r, w, genes = X[:, :1, None], X[:, 1:2, None], space.layer_genes(X)
    stage, position = np.indices(genes.shape[1:])
    return layers[r, w, stage, position, genes].sum(axis=(1, 2)) + ends[X[:, 0], X[:, 1]].sum(
        axis=1
    )


class CostTable:
    """Parameters and MAdds of subnets, exact, by look-up.

    Args:
        space: The search space.
        num_classes: Outputs of the classifier.
    """

    def __init__(self, space: SearchSpace, num_classes: int) -> None:
        self.space = space
        self.num_classes = num_classes
        self._layers = tabulate(space, space.resolutions, block_cost)
        self._ends = tabulate_ends(
            space,
            space.resolutions,
            lambda r, w: (stem_cost(space, r, w), head_cost(space, r, w, num_classes)),
        )

    def params(self, X: ArrayLike) -> IntMatrix:
        """Returns the number of parameters of each row of `X`, int64 `(n,)`.

        Raises:
            ValueError: If a row is no canonical encoding of the space.
        """
        return self._sum(X, LayerCost._fields.index("params"))

    def madds(self, X: ArrayLike) -> IntMatrix:
        """Returns the multiply-adds for one image of each row of `X`, int64 `(n,)`.

        Raises:
            ValueError: If a row is no canonical encoding of the space.
        """
        return self._sum(X, LayerCost._fields.index("madds"))

    def per_layer(self, x: ArrayLike) -> pd.DataFrame:
        """Returns the cost of each layer of one architecture, input to output.

        Args:
            x: One encoding, integers `(n_var,)`.

        Returns:
            Columns `layer`, `params` and `madds`; the rows add up to `params(x)` and `madds(x)`.

        Raises:
            ValueError: If `x` is not one canonical encoding of the space.
        """
        X = self.space.check_valid(x)
        if len(X) != 1:
            raise ValueError(f"per_layer takes one encoding, not {len(X)}: ask row by row.")
        r, w = X[0, :2]
        rows = [("stem", *self._ends[r, w, 0])]
        for stage, genes in enumerate(self.space.layer_genes(X)[0]):
            for position in range(np.count_nonzero(genes)):
                cost = self._layers[r, w, stage, position, genes[position]]
                rows.append((f"stage {stage + 1}, layer {position + 1}", *cost))
        rows.append(("head", *self._ends[r, w, 1]))
        return pd.DataFrame(rows, columns=["layer", *LayerCost._fields])

    def _sum(self, X: ArrayLike, field: int) -> IntMatrix:
        return look_up(self.space, X, self._ends[..., field], self._layers[..., field])
