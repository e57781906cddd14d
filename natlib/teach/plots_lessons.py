"""The figures that one notebook shows: on the supernet, surrogates, NSGA-III, published results.

`F` holds top-1 errors and MAdds, `(n, 2)`; errors are in percent, `(n,)`.
"""

from collections.abc import Mapping, Sequence
from string import ascii_uppercase

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from torch import Tensor, nn

from natlib.paper.results import COUNTED, PUBLISHED, YOURS
from natlib.teach import plots
from natlib.teach.plots import COLORS, FAINT, LOOKS, MARKERS, new_figure

TRADE_OFF = (plots.label_of("madds"), plots.label_of("top1_err"))
ACCURACY = (plots.label_of("madds"), "top-1 accuracy (%)")
SHARED = {"sharex": True, "sharey": True}  # of panels


def plot_kernels(rows: Mapping[str, Tensor]) -> Figure:
    """Shows kernels `(channels, k, k)` as images: a row for each set, a column for each channel."""
    rows = {name: kernels.detach() for name, kernels in rows.items()}
    largest = max(kernels.abs().max().item() for kernels in rows.values())
    titles = [f"channel {channel}" for channel in range(len(next(iter(rows.values()))))]
    figure = plots.plot_rows(rows, titles, cmap="PuOr", vmin=-largest, vmax=largest)
    figure.colorbar(figure.axes[0].images[0], ax=figure.axes, label="weight", aspect=25)
    return figure


@torch.no_grad()
def feature_maps(subnet: nn.Module, layer: str, inputs: Tensor) -> Tensor:
    """Returns what a layer of a subnet in `eval` mode makes of one input, `(channels, h, w)`."""
    kept = []  # of copies, because the layers that follow may work in place
    keep = lambda module, args, output: kept.append(output[0].clone())  # noqa: E731
    with subnet.get_submodule(layer).register_forward_hook(keep):
        subnet(inputs)
    return kept[0]


def plot_maps(rows: Mapping[str, Tensor], titles: Sequence[str]) -> Figure:
    """Shows feature maps `(n, h, w)` in grey, each scaled by itself: a row for each set of them."""
    rows = {f"{name}\n{maps.shape[1]}x{maps.shape[2]} px": maps for name, maps in rows.items()}
    return plots.plot_rows(rows, titles, cmap="gray")


def plot_recalibration(stale: ArrayLike, fresh: ArrayLike, names: Sequence[str]) -> Figure:
    """Shows errors of named subnets with the supernet's batch-norm statistics and their own."""
    size, at = (7, 1.3 + 0.3 * len(names)), np.arange(len(names))[::-1]
    figure, [ax] = new_figure(size=size, labels=(TRADE_OFF[1], ""))
    ax.hlines(at, fresh, stale, color=FAINT, lw=2)
    ax.plot(stale, at, MARKERS[1], color=COLORS[1], ms=8, label="statistics of the supernet")
    ax.plot(fresh, at, MARKERS[0], color=COLORS[0], ms=8, label="its own statistics")
    ax.set(xlim=(0, 100), yticks=at, yticklabels=names)
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
    return figure


def plot_panels(
    panels: Mapping[str, tuple[ArrayLike, ArrayLike]], labels: tuple[str, str], **options
) -> Figure:
    """Shows points `(x, y)`, one panel for each title; axes that are shared get a diagonal."""
    figure, axes = new_figure(panels, len(panels), (8, 3.5), labels, **options)
    for ax, (x, y), look in zip(axes, panels.values(), LOOKS, strict=False):
        if options:
            ax.axline((np.mean(x), np.mean(x)), slope=1, color=FAINT, linestyle="--")
        ax.plot(x, y, lw=0, alpha=0.6, ms=5, **look)
    return figure


def plot_layers(F: ArrayLike, layer: Sequence[int]) -> Figure:
    """Shows points A, B, ... and the layers of non-dominated sorting, from 0, that they are in."""
    points, layer = np.asarray(F)[:, 1::-1] * [1e-6, 1], np.asarray(layer)
    figure, [ax] = new_figure(labels=TRADE_OFF)
    for i in np.unique(layer):
        members = points[layer == i][np.argsort(points[layer == i, 0])]
        ax.step(*members.T, where="post", label=f"layer {i + 1}", **LOOKS[i % len(LOOKS)])
    plots.name_points(ax, points, ascii_uppercase)
    ax.legend()
    return figure


def plot_reproduction(table: pd.DataFrame) -> Figure:
    """Draws each data set of `natlib.paper.reproduction_table`: paper, networks, your runs."""
    groups = dict(list(table.groupby(("", "data set"), sort=False)))
    figure, axes = new_figure([*groups, ""], 4, (11.2, 2.4), ACCURACY)
    for ax, group in zip(axes, groups.values(), strict=False):
        paper, yours = group[group[("", "network")].str.startswith("NAT-M")], group[YOURS]
        ax.plot(paper[PUBLISHED]["MAdds (M)"], paper[PUBLISHED]["top-1 (%)"], "-o", label="paper")
        x, y = group[COUNTED]["MAdds (M)"], group[PUBLISHED]["top-1 (%)"]
        ax.plot(x, y, "s", ms=9, mfc="none", label="published network,\nMAdds counted here")
        x, y, error = yours["MAdds (M)"], yours["top-1 (%)"], yours["standard error"]
        ax.errorbar(x, y, error, fmt="D", label="your run\n(± standard error)")
    axes[-1].legend(*axes[0].get_legend_handles_labels(), loc="center")
    axes[-1].set_axis_off()
    return figure
