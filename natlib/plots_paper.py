"""The figures of the reproduction notebook."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from natlib.data import Task
from natlib.paper import COUNTED, MOBILE_LIMIT, PUBLISHED, YOURS
from natlib.plots import COLORS, INK, MARKERS, STYLE, draw_layers, new_figure
from natlib.space import Architecture, SearchSpace


@rc_context(STYLE)
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


@rc_context(STYLE)
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


@rc_context(STYLE)
def plot_mobile(table: pd.DataFrame) -> Figure:
    """Draws top-1 on ImageNet against MAdds for networks of the mobile setting.

    Args:
        table: As `natlib.paper.mobile_setting` returns it.
    """
    figure, [[ax]] = new_figure(size=(9, 4.5))
    for i, (name, group) in enumerate(table.groupby("family", sort=False)):
        line = "-" if name == "NAT" else ""
        ax.plot(group.madds, group.top1, line + MARKERS[i], color=COLORS[i], label=name)
    ax.axvline(MOBILE_LIMIT, color=INK, linestyle=":", label=f"{MOBILE_LIMIT}M MAdds")
    ax.set(xlabel="MAdds (M)", ylabel="ImageNet top-1 accuracy (%)")
    figure.legend(loc="outside right")
    return figure


@rc_context(STYLE)
def plot_architectures(architectures: dict[str, Architecture]) -> Figure:
    """Draws architectures of the paper's space as strips of layers, one below the other.

    Args:
        architectures: Architectures by name.
    """
    figure, axes = new_figure(len(architectures), 1, size=(9, 1.5 * len(architectures)))
    for ax, (name, architecture) in zip(axes[:, 0], architectures.items(), strict=True):
        draw_layers(ax, architecture, SearchSpace.paper())
        ax.set_title(f"{name}: {architecture.resolution} px, width {architecture.width:g}")
    return figure
