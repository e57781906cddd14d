"""What a subnet costs: parameters and MAdds of whole populations by table look-up.

A subnet's cost is a sum over its layers, and the cost of a layer depends on few things: its
place, its gene, the resolution and the width multiplier. So every layer is counted once, for each
combination, and after that the cost of any architecture is a sum of entries of a table. Nothing
is built and nothing is traced.

MAdds are the multiply-adds of convolutions and linear layers, squeeze-and-excitation and
classifier included, batch norm and activations not (NAT, "Counting").
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

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


def block_cost(
    c_in: int, c_out: int, kernel: int, expand: float, stride: int, side: int, squeeze: bool
) -> LayerCost:
    """Counts one inverted residual: expand 1x1, depthwise, squeeze-and-excitation, project 1x1.

    Args:
        c_in: Input channels.
        c_out: Output channels.
        kernel: Side of the depthwise kernel.
        expand: Expand ratio.
        stride: Stride of the depthwise convolution.
        side: Side of the *input* in pixels.
        squeeze: Whether the block has squeeze-and-excitation.
    """
    mid, out_side = expanded_channels(c_in, expand), strided(side, stride)
    cost = conv_cost(c_in, mid, 1, side) + conv_cost(mid, mid, kernel, out_side, groups=mid)
    if squeeze:
        cost += squeeze_excite_cost(mid)
    return cost + conv_cost(mid, c_out, 1, out_side)


def strided(side: int, stride: int) -> int:
    """Side of the output of a convolution with 'same' padding and this stride."""
    return -(-side // stride)


def stem_cost(space: SearchSpace, resolution: int, width: float) -> LayerCost:
    """Counts the stem and the fixed first block (expand 1, kernel 3, no expand convolution)."""
    channels, side = space.stem_channels(width), strided(resolution, space.stem_stride)
    stem = conv_cost(3, channels, 3, side)
    depthwise = conv_cost(channels, channels, 3, side, groups=channels)
    return stem + depthwise + conv_cost(channels, channels, 1, side)


def head_cost(space: SearchSpace, side: int, width: float, num_classes: int) -> LayerCost:
    """Counts final expand, feature-mix (after the pooling, no batch norm) and classifier."""
    final, mix = space.head_channels(width)
    expand = conv_cost(space.stage_channels(width)[-1], final, 1, side)
    feature_mix = conv_cost(final, mix, 1, 1, batch_norm=False)
    classifier = LayerCost((mix + 1) * num_classes, mix * num_classes)
    return expand + feature_mix + classifier


class CostTable:
    """Parameters and MAdds of subnets, exact, by look-up.

    Args:
        space: The search space.
        num_classes: Outputs of the classifier.
    """

    def __init__(self, space: SearchSpace, num_classes: int) -> None:
        self.space = space
        self.num_classes = num_classes
        self._ends, self._layers = _count_everything(space, num_classes)

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
        X = self.space.check_valid(X)
        r, w, genes = X[:, :1, None], X[:, 1:2, None], self.space.layer_genes(X)
        stage, position = np.indices(genes.shape[1:])
        layers = self._layers[r, w, stage, position, genes, field].sum(axis=(1, 2))
        return layers + self._ends[X[:, 0], X[:, 1], :, field].sum(axis=1)


def _count_everything(space: SearchSpace, num_classes: int) -> tuple[IntMatrix, IntMatrix]:
    """Counts stem and head `(R, W, 2, 2)` and layers `(R, W, stages, depth, genes, 2)`."""
    shape = (len(space.resolutions), len(space.widths))
    n_genes = space.n_layer_choices + 1
    ends = np.zeros((*shape, 2, 2), dtype=np.int64)
    layers = np.zeros((*shape, space.n_stages, space.max_depth, n_genes, 2), dtype=np.int64)
    for r, w in np.ndindex(shape):
        resolution, width = space.resolutions[r], space.widths[w]
        ends[r, w, 0] = stem_cost(space, resolution, width)
        side, c_in = strided(resolution, space.stem_stride), space.stem_channels(width)
        for stage, c_out in enumerate(space.stage_channels(width)):
            layers[r, w, stage] = _count_stage(space, stage, c_in, c_out, side)
            side, c_in = strided(side, space.stage_strides[stage]), c_out
        ends[r, w, 1] = head_cost(space, side, width, num_classes)
    return ends, layers


def _count_stage(space: SearchSpace, stage: int, c_in: int, c_out: int, side: int) -> IntMatrix:
    """Counts every gene at every position of one stage: int64 `(max_depth, genes, 2)`."""
    first = (c_in, space.stage_strides[stage], side)
    later = (c_out, 1, strided(side, space.stage_strides[stage]))
    table = np.zeros((space.max_depth, space.n_layer_choices + 1, 2), dtype=np.int64)
    for position, gene in np.ndindex(space.max_depth, space.n_layer_choices):
        channels, stride, in_side = later if position else first
        kernel = space.kernels[gene % len(space.kernels)]
        expand = space.expands[gene // len(space.kernels)]
        table[position, gene + 1] = block_cost(
            channels, c_out, kernel, expand, stride, in_side, space.stage_se[stage]
        )
    return table
