"""What a subnet costs: parameters and MAdds of whole populations by table look-up.

A subnet's cost is a sum over its blocks (`SearchSpace.blocks`), and what a block costs depends on
few things: its place, its gene, the resolution and the width multiplier. So every block is
counted once for each combination, and after that the cost of any architecture is a sum of entries
of a table. Nothing is built and nothing is traced.

MAdds are the multiply-adds of convolutions and linear layers, squeeze-and-excitation and
classifier included, batch norm and activations not (NAT, "Counting").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from natlib.space import Architecture, Block, IntMatrix, SearchSpace, squeezed_channels


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


def block_cost(block: Block) -> LayerCost:
    """Counts a block; an inverted residual is expand 1x1, depthwise, squeeze, project 1x1."""
    c_in, c_out, kernel, mid, side = (
        block.c_in,
        block.c_out,
        block.kernel,
        block.mid,
        block.out_side,
    )
    if block.kind != "residual":
        return conv_cost(c_in, c_out, kernel, side, batch_norm=block.kind == "conv")
    cost = conv_cost(mid, mid, kernel, side, groups=mid) + conv_cost(mid, c_out, 1, side)
    if block.expand is not None:
        cost += conv_cost(c_in, mid, 1, block.side)
    if block.squeeze:  # two 1x1 convolutions of one pixel, with bias
        squeezed = squeezed_channels(mid)
        cost += LayerCost(2 * mid * squeezed + mid + squeezed, 2 * mid * squeezed)
    return cost


def tabulate(
    space: SearchSpace,
    cost_of: Callable[[Block], ArrayLike],
    resolutions: Sequence[int] | None = None,
) -> NDArray:
    """Asks for the cost of each distinct block once and arranges the answers by place and gene.

    Args:
        space: The search space.
        cost_of: Gives one cost of a block, or several.
        resolutions: Sides of the image in pixels; the space's by default.

    Returns:
        Array `(resolutions, widths, genes, 1 + stages * max_depth, ...)`. The first place is that
        of the blocks that every subnet has, the same for all genes; gene 0 costs nothing at the
        other places.
    """
    once = cache(lambda block: np.asarray(cost_of(block)))
    space = replace(space, resolutions=tuple(resolutions or space.resolutions))
    genes = range(1, space.n_layer_choices + 1)
    table = []
    for r, w, gene in product(space.resolutions, space.widths, (1, *genes)):
        stem, first, *layers, final, mix = (
            once(block._replace(name="")) for block in space.blocks(_all_layers(space, r, w, gene))
        )
        table.append([stem + first + final + mix, *layers])
    table = np.array(table)
    table = table.reshape(
        len(space.resolutions), len(space.widths), 1 + len(genes), *table.shape[1:]
    )
    table[:, :, 0, 1:] = 0
    return table


def _all_layers(space: SearchSpace, resolution: int, width: float, gene: int) -> Architecture:
    """Returns the deepest architecture all of whose layers have one gene."""
    layers = space.n_stages * space.max_depth
    kernel = space.kernels[(gene - 1) % len(space.kernels)]
    expand = space.expands[(gene - 1) // len(space.kernels)]
    depths = (space.max_depth,) * space.n_stages
    return Architecture(resolution, width, depths, (kernel,) * layers, (expand,) * layers)


def look_up(space: SearchSpace, X: ArrayLike, table: NDArray) -> NDArray:
    """Adds up the entries of a table over the blocks of each architecture.

    Args:
        space: The search space.
        X: Canonical encodings, integers `(n, n_var)`.
        table: What `tabulate` returned for it.

    Returns:
        Costs, `(n, ...)`.

    Raises:
        ValueError: If a row is no canonical encoding of the space.
    """
    X = space.validated(X)
    genes = np.insert(X[:, 2:], 0, 0, axis=1)
    places = np.arange(genes.shape[1])
    return table[X[:, :1], X[:, 1:2], genes, places].sum(axis=1)


class CostTable:
    """Parameters and MAdds of subnets, exact, by look-up.

    Args:
        space: The search space.
        num_classes: Outputs of the classifier.
    """

    def __init__(self, space: SearchSpace, num_classes: int) -> None:
        self.space = space
        self.num_classes = num_classes
        self._table = tabulate(space, block_cost)
        for w, width in enumerate(space.widths):
            self._table[:, w, :, 0] += self._classifier(width)

    def params(self, X: ArrayLike) -> IntMatrix:
        """Returns the number of parameters of each row of `X`, int64 `(n,)`.

        Raises:
            ValueError: If a row is no canonical encoding of the space.
        """
        return look_up(self.space, X, self._table[..., 0])

    def madds(self, X: ArrayLike) -> IntMatrix:
        """Returns the multiply-adds for one image of each row of `X`, int64 `(n,)`.

        Raises:
            ValueError: If a row is no canonical encoding of the space.
        """
        return look_up(self.space, X, self._table[..., 1])

    def per_layer(self, x: ArrayLike) -> pd.DataFrame:
        """Returns the cost of each layer of one architecture, input to output.

        Args:
            x: One canonical encoding, integers `(n_var,)`.

        Returns:
            Columns `layer`, `params` and `madds`; the rows add up to `params(x)` and `madds(x)`.

        Raises:
            ValueError: If `x` is not one canonical encoding of the space.
        """
        X = self.space.validated(x)
        if len(X) != 1:
            raise ValueError(f"per_layer takes one encoding, not {len(X)}: ask row by row.")
        arch = self.space.decode(X[0])
        rows = [(block.name, *block_cost(block)) for block in self.space.blocks(arch)]
        rows.append(("classifier", *self._classifier(arch.width)))
        return pd.DataFrame(rows, columns=["layer", *LayerCost._fields])

    def _classifier(self, width: float) -> LayerCost:
        features = self.space.blocks(self.space.smallest(width))[-1].c_out
        return LayerCost((features + 1) * self.num_classes, features * self.num_classes)
