"""The figures that one notebook shows: on the supernet, surrogates, NSGA-III, published results.

`F` holds top-1 errors and MAdds, `(n, 2)`; errors are in percent, `(n,)`.
"""

from collections.abc import Mapping, Sequence
from string import ascii_uppercase

import numpy as np
import pandas as pd
import torch
from ipywidgets import SelectionSlider
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from scipy.stats import spearmanr
from torch import Tensor, nn

from natlib.cost import CostTable
from natlib.paper.results import COUNTED, MOBILE_LIMIT, PUBLISHED, YOURS
from natlib.space import Architecture
from natlib.teach import plots
from natlib.teach.plots import COLORS, FAINT, INK, LOOKS, MARKERS, FloatMatrix, new_figure

TRADE_OFF = (plots.label_of("madds"), plots.label_of("top1_err"))
ACCURACY = (plots.label_of("madds"), "top-1 accuracy (%)")
ERRORS = ("measured error (%)", "predicted error (%)")
SHARED = {"sharex": True, "sharey": True}


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


def plot_layer_costs(table: pd.DataFrame) -> Figure:
    """Shows what each layer costs: a table with the columns `layer`, `params` and `madds`."""
    figure, axes = new_figure(["", ""], 2, (8, 1 + 0.21 * len(table)), sharey=True)
    axes[0].barh(table["layer"], table["madds"] / 1e6, color=COLORS[0])
    axes[1].barh(table["layer"], table["params"] / 1e3, color=COLORS[1], hatch="///", ec="white")
    axes[0].invert_yaxis()
    for ax, label in zip(axes, (TRADE_OFF[0], "parameters (thousand)"), strict=True):
        ax.set_xlabel(label)
        ax.grid(axis="y", visible=False)
    return figure


def plot_accuracy(panels: Mapping[str, pd.DataFrame]) -> Figure:
    """Shows accuracy against MAdds: by title, a table with the columns `top1_err` and `madds`."""
    figure, axes = new_figure(panels, len(panels), (8, 3.6), ACCURACY)
    for ax, table, look in zip(axes, panels.values(), LOOKS, strict=False):
        ax.plot(table["madds"] / 1e6, 100 - table["top1_err"], lw=0, alpha=0.7, **look)
    return figure


def plot_latency(predicted: ArrayLike, measured: ArrayLike) -> Figure:
    """Shows latencies summed over a table against those of whole networks, in ms, `(n,)` each."""
    title = f"rank correlation (Spearman): {spearmanr(predicted, measured).statistic:.2f}"
    labels = ("measured end to end (ms)", "predicted by look-up (ms)")
    return plot_predictions(measured, {title: predicted}, labels)


class StageSliders(plots.Redrawn):
    """Sliders for depth, kernel and expand ratio of a stage, from 0, over picture and cost."""

    def __init__(self, arch: Architecture, cost: CostTable, stage: int) -> None:
        space, layers, words = cost.space, arch.stages()[stage], f"stage {stage + 1}"

        def draw(depth: int, kernel: int, expand: float) -> tuple[Figure, str]:
            before, after = arch.stages()[:stage], arch.stages()[stage + 1 :]
            stages = [*before, [(kernel, expand)] * depth, *after]
            kernels, expands = zip(*sum(stages, []), strict=True)
            depths = tuple(map(len, stages))
            changed = Architecture(arch.resolution, arch.width, depths, kernels, expands)
            x, name = space.encode(changed), f"{words} changed"
            note = f"{cost.madds(x)[0] / 1e6:.2f} M MAdds, {cost.params(x)[0]:,} parameters"
            alt = f"An architecture whose {words} has {depth} layers of kernel {kernel} and expand "
            figure = plots.draw_architecture({name: changed}, space, {name: note})
            return figure, f"{alt}ratio {expand}: {note}."

        depths = range(space.min_depth, space.max_depth + 1)
        super().__init__(
            draw,
            SelectionSlider(options=depths, value=len(layers), description="depth"),
            SelectionSlider(options=space.kernels, value=layers[0][0], description="kernel"),
            SelectionSlider(options=space.expands, value=layers[0][1], description="expand"),
        )


def plot_predictions(
    y: ArrayLike, predictions: Mapping[str, ArrayLike], labels: tuple[str, str] = ERRORS
) -> Figure:
    """Shows predicted against measured values, one panel for each model."""
    figure, axes = new_figure(predictions, len(predictions), (8, 3.4), labels, **SHARED)
    for ax, predicted, look in zip(axes, predictions.values(), LOOKS, strict=False):
        ax.axline((np.mean(y), np.mean(y)), slope=1, color=FAINT, linestyle="--")
        ax.plot(y, predicted, lw=0, alpha=0.5, ms=5, **look)
    return figure


def plot_bands(
    panels: Mapping[str, Mapping[str, pd.DataFrame]], labels: tuple[str, str], **axes_options
) -> Figure:
    """Shows tables in panels, both by name: the mean over columns against the index, and a band."""
    columns = min(len(panels), 3 if len(panels) > 4 else 2)
    figure, axes = new_figure(panels, columns, (8, 5.6 / columns), labels, **SHARED)
    for ax, tables in zip(axes, panels.values(), strict=True):
        for (name, table), look in zip(tables.items(), LOOKS, strict=False):
            plots.draw_band(ax, table, name, markevery=-(-len(table) // 8), **look)
        ax.set(**axes_options)
        ax.legend(fontsize=8)
    return figure


def _points(F: ArrayLike) -> FloatMatrix:
    """Returns MAdds in millions and the error, `(n, 2)`."""
    return plots.in_units(np.asarray(F)[:, :2], ("top1_err", "madds"))[:, ::-1]


def plot_layers(F: ArrayLike, layer: Sequence[int]) -> Figure:
    """Shows points A, B, ... and the layers of non-dominated sorting, from 0, that they are in."""
    points, layer = _points(F), np.asarray(layer)
    figure, [ax] = new_figure(labels=TRADE_OFF)
    for i in np.unique(layer):
        members = points[layer == i][np.argsort(points[layer == i, 0])]
        ax.step(*members.T, where="post", label=f"layer {i + 1}", **LOOKS[i % len(LOOKS)])
    plots.name_points(ax, points, ascii_uppercase)
    ax.legend()
    return figure


def plot_candidates(
    F_archive: ArrayLike, F_new: ArrayLike, chosen: Sequence[int] = (), limit: float | None = None
) -> Figure:
    """Shows an archive, a population, the rows chosen of it in order, and a limit on MAdds in M."""
    archive, new = _points(F_archive), _points(F_new)
    figure, [ax] = new_figure(labels=TRADE_OFF)
    ax.plot(*archive.T, "o", color=FAINT, ms=5, alpha=0.7, label="archive (measured)")
    ax.step(*plots.front_of(archive).T, where="post", color=INK, lw=1, label="its front")
    ax.plot(*new.T, "s", color=COLORS[0], ms=4, alpha=0.7, label="found (predicted)")
    if len(chosen):
        look = {"color": COLORS[1], "ms": 14, "mec": INK, "label": "chosen, in order"}
        ax.plot(*new[list(chosen)].T, "*", **look)
    plots.name_points(ax, new[list(chosen)], [str(i + 1) for i in range(len(chosen))])
    if limit is not None:
        ax.axvspan(limit, 1.02 * archive[:, 0].max(), color=COLORS[1], alpha=0.12)
        ax.axvline(limit, color=COLORS[1], linestyle="--", label=f"limit: {limit:.1f} M MAdds")
    ax.legend()
    return figure


def plot_montage(tasks: Mapping[str, tuple[ArrayLike, ArrayLike]], n: int = 6) -> Figure:
    """Shows `n` pictures of each task, given as images, uint8 `(m, 3, h, w)`, and labels `(m,)`."""
    rows = {}
    for name, (images, labels) in tasks.items():
        order = np.argsort(np.asarray(labels), kind="stable")
        chosen = order[np.linspace(0, len(order) - 1, n).astype(int)]
        rows[name] = np.asarray(images[chosen]).transpose(0, 2, 3, 1)
    return plots.plot_rows(rows, [""] * n)


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


def plot_mobile(table: pd.DataFrame) -> Figure:
    """Draws top-1 on ImageNet against MAdds, as `natlib.paper.mobile_setting` returns them."""
    figure, [ax] = new_figure(size=(9, 4.5), labels=(ACCURACY[0], f"ImageNet {ACCURACY[1]}"))
    for (name, group), look in zip(table.groupby("family", sort=False), LOOKS, strict=True):
        ax.plot(group.madds, group.top1, lw=1.5 * (name == "NAT"), label=name, **look)
    ax.axvline(MOBILE_LIMIT, color=INK, linestyle=":", label=f"{MOBILE_LIMIT}M MAdds")
    figure.legend(loc="outside right")
    return figure


def plot_methods(table: pd.DataFrame, costs: Sequence[str]) -> Figure:
    """Shows the `top1_err` of networks against each cost, by their `method`: columns of a table."""
    figure, axes = new_figure([""] * len(costs), len(costs), (8, 3.6), ("", TRADE_OFF[1]))
    for ax, cost in zip(axes, costs, strict=True):
        for (name, rows), look in zip(table.groupby("method"), LOOKS, strict=False):
            ax.plot(rows[cost] * plots.UNITS[cost][1], rows.top1_err, lw=0, label=name, **look)
        ax.set_xlabel(plots.label_of(cost))
    axes[0].legend()
    return figure


def plot_radar(panels: Mapping[str, pd.DataFrame]) -> Figure:
    """Shows networks (rows) in many objectives (columns, from 0 to 1 outside) as closed lines."""
    figure, axes = new_figure(panels, 2, (8, 3.8), subplot_kw={"projection": "polar"})
    for ax, table in zip(axes, panels.values(), strict=True):
        angles = np.linspace(0, 2 * np.pi, table.shape[1], endpoint=False)
        for (name, row), look in zip(table.iterrows(), LOOKS, strict=False):
            ax.fill(angles, row, fill=False, ec=look["color"])
            ax.plot(angles, row, lw=0, ms=4, label=name, **look)
        ax.set_xticks(angles, table.columns, fontsize=7)
        ax.set(ylim=(-0.1, 1.05), yticks=[])
    axes[0].legend(loc="lower left", bbox_to_anchor=(-0.4, -0.1))
    return figure
