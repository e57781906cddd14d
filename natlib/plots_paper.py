"""The figures of the reproduction notebook."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from natlib.data import Task
from natlib.paper import COUNTED, MOBILE_LIMIT, PUBLISHED, YOURS
from natlib.space import Architecture

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")


def new_figure(
    rows: int = 1, columns: int = 1, size: tuple[float, float] = (7, 4), **options
) -> tuple[Figure, NDArray]:
    """Returns a figure and its axes `(rows, columns)`.

    Args:
        rows: Rows of axes.
        columns: Columns of axes.
        size: Width and height in inches.
        **options: As for `Figure.subplots`.
    """
    figure = Figure(figsize=size, layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def plot_montage(tasks: dict[str, Task], n: int = 6) -> Figure:
    """Shows `n` pictures of each task, one row per task, each of another class where possible."""
    figure, axes = new_figure(len(tasks), n, size=(1.1 * n + 1.2, 0.95 * len(tasks)))
    for row, (name, task) in zip(axes, tasks.items(), strict=True):
        order = np.argsort(task.train.labels.numpy(), kind="stable")
        rows = order[np.linspace(0, len(order) - 1, n).astype(int)]
        for ax, image in zip(row, task.train.images[rows], strict=True):
            ax.imshow(image.permute(1, 2, 0))
            ax.set(xticks=[], yticks=[])
        row[0].set_ylabel(name, rotation=0, ha="right", va="center")
    return figure


def plot_reproduction(table: pd.DataFrame, columns: int = 4) -> Figure:
    """Draws top-1 against MAdds for each data set: paper, published networks, your runs.

    Args:
        table: As `natlib.paper.reproduction_table` returns it.
        columns: Data sets in a row.
    """
    groups = list(table.groupby(("", "data set"), sort=False))
    rows = -(-(len(groups) + 1) // columns)
    figure, axes = new_figure(rows, columns, size=(2.8 * columns, 2.4 * rows))
    for ax, (name, group) in zip(axes.flat, groups, strict=False):
        draw_panel(ax, group)
        ax.set_title(name)
    legend, *empty = axes.flat[len(groups) :]
    for ax in (legend, *empty):
        ax.axis("off")
    legend.legend(*axes.flat[0].get_legend_handles_labels(), loc="center")
    figure.supxlabel("MAdds (M)")
    figure.supylabel("top-1 accuracy (%)")
    return figure


def draw_panel(ax: Axes, group: pd.DataFrame) -> None:
    """Draws one data set of the reproduction table."""
    paper = group[group[("", "network")].str.startswith("NAT-M")]
    madds, top1 = (PUBLISHED, "MAdds (M)"), (PUBLISHED, "top-1 (%)")
    ax.plot(paper[madds], paper[top1], f"-{MARKERS[0]}", color=COLORS[0], label="paper")
    ax.plot(
        group[(COUNTED, "MAdds (M)")],
        group[top1],
        MARKERS[1],
        ms=9,
        mfc="none",
        color=COLORS[1],
        label="published network,\nMAdds counted here",
    )
    ax.errorbar(
        group[(YOURS, "MAdds (M)")],
        group[(YOURS, "top-1 (%)")],
        yerr=group[(YOURS, "standard error")],
        fmt=MARKERS[3],
        color=COLORS[2],
        label="your run\n(± standard error)",
    )
    ax.grid(color="#E6E6E6")
    ax.set_axisbelow(True)


def plot_mobile(table: pd.DataFrame) -> Figure:
    """Draws top-1 on ImageNet against MAdds for networks of the mobile setting.

    Args:
        table: As `natlib.paper.mobile_setting` returns it.
    """
    figure, [[ax]] = new_figure(size=(7.5, 4.5))
    for i, (name, group) in enumerate(table.groupby("family", sort=False)):
        line = "-" if name == "NAT" else ""
        ax.plot(group.madds, group.top1, line + MARKERS[i], color=COLORS[i], label=name)
    ax.axvline(MOBILE_LIMIT, color="#222222", linestyle=":", label=f"{MOBILE_LIMIT}M MAdds")
    ax.set(xlabel="MAdds (M)", ylabel="ImageNet top-1 accuracy (%)")
    ax.grid(color="#E6E6E6")
    ax.legend(loc="lower right", fontsize="small")
    return figure


def plot_architectures(architectures: dict[str, Architecture]) -> Figure:
    """Draws architectures layer by layer: height is the expand ratio, mark and colour the kernel.

    Args:
        architectures: Architectures by name, all with the same number of stages.
    """
    figure, axes = new_figure(
        len(architectures), 1, size=(8, 1.15 * len(architectures) + 0.6), sharex=True, sharey=True
    )
    for ax, (name, architecture) in zip(axes[:, 0], architectures.items(), strict=True):
        draw_architecture(ax, architecture)
        ax.set_ylabel(
            f"{name}\n{architecture.resolution} px, width {architecture.width:g}",
            rotation=0,
            ha="right",
            va="center",
            fontsize="small",
        )
    axes[-1, 0].set_xlabel("stage: its layers from left to right")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside upper right", ncols=3, title="expand ratio by height"
    )
    return figure


def draw_architecture(ax: Axes, architecture: Architecture) -> None:
    """Draws the layers of one architecture; a skipped layer leaves a gap."""
    places = [
        (stage + layer / 5, kernel, expand)
        for stage, layers in enumerate(architecture.stages())
        for layer, (kernel, expand) in enumerate(layers)
    ]
    for i, size in enumerate((3, 5, 7)):
        chosen = [(x, expand) for x, kernel, expand in places if kernel == size]
        x, expand = zip(*chosen, strict=True) if chosen else ((), ())
        ax.bar(x, expand, width=0.14, color=COLORS[i], alpha=0.35)
        ax.plot(x, expand, MARKERS[i], color=COLORS[i], label=f"kernel {size}")
    stages = range(len(architecture.depths))
    ax.set(xticks=[s + 0.3 for s in stages], yticks=[3, 4, 6], ylim=(0, 7.2))
    ax.set_xticklabels([str(s + 1) for s in stages])
