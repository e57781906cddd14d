"""What a subnet costs: parameters and MAdds of whole populations by table look-up.

A subnet's cost is a sum over its blocks (`SearchSpace.blocks`), and what a block costs depends on
its place, its gene, the resolution and the width only. So every block is counted once for each
combination; then the cost of any architecture is a sum of entries of a table. Nothing is built.

MAdds are the multiply-adds of convolutions and linear layers, squeeze-and-excitation and
classifier included, batch norm and activations not (NAT, "Counting").
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from natlib.space import Block, IntMatrix, SearchSpace, squeezed_channels


class LayerCost(NamedTuple):
    """Parameters and multiply-adds of one layer."""

    params: int
    madds: int

    def __add__(self, other: tuple) -> Self:
        return LayerCost(self.params + other[0], self.madds + other[1])


def conv_cost(
    c_in: int, c_out: int, kernel: int, side: int, groups: int = 1, batch_norm: bool = True
) -> LayerCost:
    """Counts a convolution without bias, and the two parameters per channel of its batch norm.

    `side` is that of the *output* in pixels; a depthwise convolution has `c_in` groups.
    """
    weights = c_out * (c_in // groups) * kernel**2
    return LayerCost(weights + 2 * c_out * batch_norm, weights * side**2)


def block_cost(block: Block) -> LayerCost:
    """Counts a block; an inverted residual is expand 1x1, depthwise, squeeze, project 1x1."""
    c_in, c_out, kernel = block.c_in, block.c_out, block.kernel
    mid, side = block.mid, block.out_side
    if block.kind != "residual":
        return conv_cost(c_in, c_out, kernel, side, batch_norm=block.kind == "conv")
    cost = conv_cost(mid, mid, kernel, side, groups=mid) + conv_cost(mid, c_out, 1, side)
    if block.expand is not None:
        cost += conv_cost(c_in, mid, 1, block.side)
    if block.squeeze:  # two 1x1 convolutions of one pixel, with bias
        squeezed = squeezed_channels(mid)
        cost += LayerCost(2 * mid * squeezed + mid + squeezed, 2 * mid * squeezed)
    return cost


def classifier_cost(features: int, num_classes: int) -> LayerCost:
    """Counts the linear layer from the last block's channels to the classes."""
    return LayerCost((features + 1) * num_classes, features * num_classes)


def tabulate(
    space: SearchSpace,
    cost_of: Callable[[Block], ArrayLike],  # gives one cost of a block, or several
    resolutions: Sequence[int] = (),  # sides of the image in pixels; without any, the space's
) -> NDArray:
    """Asks for the cost of each distinct block once and arranges the answers by place and gene.

    The table is `(resolutions, widths, genes, 1 + stages * max_depth, ...)`. Place 0 has the blocks
    of every subnet, the same for all genes; at the other places gene 0 costs nothing.
    """
    once = cache(lambda block: np.asarray(cost_of(block)))
    space = replace(space, resolutions=tuple(resolutions or space.resolutions))
    shape, rows = (len(space.resolutions), len(space.widths), 1 + space.n_layer_choices), []
    for resolution, width, gene in np.ndindex(shape):
        all_layers = [max(1, gene)] * (space.n_var - 2)
        blocks = space.blocks(space.decode([resolution, width, *all_layers]))
        stem, first, *layers, final, mix = (once(block._replace(name="")) for block in blocks)
        rows.append([stem + first + final + mix, *layers])
    table = np.array(rows).reshape(*shape, len(rows[0]), *np.shape(stem))
    table[:, :, 0, 1:] = 0
    return table


def look_up(space: SearchSpace, X: ArrayLike, table: NDArray) -> NDArray:
    """Adds up the entries of a table of `tabulate` over the blocks of each row of `X`, `(n, ...)`.

    Raises a `ValueError` if a row is no canonical encoding of the space.
    """
    X = space.validated(X)
    genes = np.insert(X[:, 2:], 0, 0, axis=1)  # in front, the blocks that every subnet has
    return table[X[:, :1], X[:, 1:2], genes, np.arange(genes.shape[1])].sum(axis=1)


class CostTable:
    """Parameters and MAdds of the subnets of a space with `num_classes` outputs, by look-up."""

    def __init__(self, space: SearchSpace, num_classes: int) -> None:
        self.space = space
        self._table = tabulate(space, block_cost)
        for w, width in enumerate(space.widths):
            features = space.blocks(space.smallest(width))[-1].c_out
            self._table[:, w, :, 0] += classifier_cost(features, num_classes)

    def params(self, X: ArrayLike) -> IntMatrix:
        """Returns the number of parameters of each canonical row of `X`, int64 `(n,)`."""
        return look_up(self.space, X, self._table[..., 0])

    def madds(self, X: ArrayLike) -> IntMatrix:
        """Returns the multiply-adds for one image of each canonical row of `X`, int64 `(n,)`."""
        return look_up(self.space, X, self._table[..., 1])
