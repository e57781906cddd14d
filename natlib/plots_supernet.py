"""The figures of the notebook on the supernet, and its sliders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import ipywidgets as widgets
import numpy as np
import pandas as pd
import torch
from IPython.display import display
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import ArrayLike
from scipy.stats import spearmanr
from torch import Tensor, nn

from natlib.cost import CostTable
from natlib.plots import COLORS, FAINT, INK, KERNEL_COLORS, MARKERS, STYLE, new_figure, picture
from natlib.space import Architecture, SearchSpace

GAP = 0.7  # between two stages, in widths of a layer


@rc_context(STYLE)
def draw_architecture(
    archs: Mapping[str, Architecture],
    space: SearchSpace,
    notes: Mapping[str, str] | None = None,
) -> Figure:
    """Draws architectures one above the other, a bar for each layer.

    A bar's colour (and the digit in it) is the kernel size, its height the expand ratio; the
    number of bars of a stage is its depth. Stages stand below each other, so that the same stage
    can be compared.

    Args:
        archs: Architectures by name.
        space: The search space that all belong to.
        notes: Words to add to the title of some, such as their cost.
    """
    figure, axes = new_figure(len(archs), 1, (8, 0.9 + 1.15 * len(archs)), sharex=True)
    for ax, (name, arch) in zip(axes[:, 0], archs.items(), strict=True):
        _draw_bars(ax, arch, space)
        words = [f"{arch.resolution} px", f"width {arch.width}", (notes or {}).get(name, "")]
        ax.set_title(f"{name}: " + ", ".join(filter(None, words)), fontsize=10)
    starts = np.arange(space.n_stages) * (space.max_depth + GAP)
    labels = [f"stage {stage + 1}" for stage in range(space.n_stages)]
    axes[-1, 0].set_xticks(starts + (space.max_depth - 1) / 2, labels)
    axes[-1, 0].set_xlabel("layers, from input to output")
    figure.supylabel("expand ratio", fontsize=10)
    patches = [Patch(facecolor=KERNEL_COLORS[k], edgecolor=INK) for k in space.kernels]
    labels = [f"kernel {k}" for k in space.kernels]
    figure.legend(patches, labels, loc="outside upper right", ncols=len(labels))
    return figure


def _draw_bars(ax: Axes, arch: Architecture, space: SearchSpace) -> None:
    for stage, layers in enumerate(arch.stages()):
        for position, (kernel, expand) in enumerate(layers):
            x = stage * (space.max_depth + GAP) + position
            ax.bar(x, expand, 0.92, color=KERNEL_COLORS[kernel], edgecolor=INK, linewidth=0.7)
            ax.text(x, expand / 2, kernel, ha="center", va="center", fontsize=8)
    ax.set(ylim=(0, 1.1 * max(space.expands)), yticks=(0, *space.expands))
    ax.set_xlim(-0.7, space.n_stages * (space.max_depth + GAP) - GAP - 0.3)
    ax.tick_params(axis="y", labelsize=7)
    ax.grid(axis="x", visible=False)


@rc_context(STYLE)
def plot_kernels(rows: Mapping[str, Tensor]) -> Figure:
    """Shows kernels as images: a row for each set of them, a column for each channel.

    Args:
        rows: Kernels `(channels, k, k)` by name; the same channels in each row.
    """
    columns = len(next(iter(rows.values())))
    figure, axes = new_figure(len(rows), columns, (8, 0.3 + 0.95 * len(rows)))
    largest = max(kernels.abs().max().item() for kernels in rows.values())
    for line, (name, kernels) in zip(axes, rows.items(), strict=True):
        for channel, (ax, kernel) in enumerate(zip(line, kernels.detach().numpy(), strict=True)):
            image = ax.imshow(kernel, cmap="PuOr", vmin=-largest, vmax=largest)
            _plain(ax)
            axes[0, channel].set_title(f"channel {channel}", fontsize=8)
        _name_row(line[0], name)
    figure.colorbar(image, ax=axes, label="weight", aspect=25, shrink=0.9)
    return figure


@torch.no_grad()
def feature_maps(subnet: nn.Module, layer: str, inputs: Tensor) -> Tensor:
    """Returns what a layer makes of the first picture of a batch, `(channels, h, w)`.

    Args:
        subnet: A module in `eval` mode.
        layer: Name of a submodule, such as `"blocks.1.depth_conv"`.
        inputs: Pictures as the subnet expects them, `(n, 3, r, r)`.
    """
    kept: list[Tensor] = []
    module = subnet.get_submodule(layer)
    # A copy, because the layers that follow may work in place.
    hook = module.register_forward_hook(lambda *call: kept.append(call[2][0].clone()))
    subnet(inputs)
    hook.remove()
    return kept[0]


@rc_context(STYLE)
def plot_maps(rows: Mapping[str, Tensor], titles: Sequence[str]) -> Figure:
    """Shows feature maps in grey, bright where they are large: a row for each set of them.

    Each map is scaled by itself: shades of two maps cannot be compared.

    Args:
        rows: Feature maps `(n, h, w)` by name; a row may have fewer than another.
        titles: Title of each column.
    """
    columns = len(titles)
    figure, axes = new_figure(len(rows), columns, (8, 0.4 + 7.6 / columns * len(rows)))
    for line, (name, maps) in zip(axes, rows.items(), strict=True):
        for ax in line:
            _plain(ax)
        for ax, values in zip(line, maps.numpy(), strict=False):
            ax.imshow(values, cmap="gray", interpolation="nearest")
        _name_row(line[0], f"{name}\n{maps.shape[1]}x{maps.shape[2]} px")
    for ax, title in zip(axes[0], titles, strict=True):
        ax.set_title(title, fontsize=8)
    return figure


def _plain(ax: Axes) -> None:
    ax.set(xticks=[], yticks=[], box_aspect=1)
    ax.spines[:].set_visible(False)
    ax.grid(visible=False)


def _name_row(ax: Axes, name: str) -> None:
    ax.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)


@rc_context(STYLE)
def plot_recalibration(stale: ArrayLike, fresh: ArrayLike, names: Sequence[str]) -> Figure:
    """Shows the error of subnets with the supernet's batch-norm statistics and with their own.

    Args:
        stale: Top-1 errors in percent with the statistics of the supernet, `(n,)`.
        fresh: Top-1 errors in percent with recalibrated statistics, `(n,)`.
        names: Name of each subnet.
    """
    figure, ((ax,),) = new_figure(size=(7, 1.3 + 0.3 * len(names)))
    at = np.arange(len(names))[::-1]
    ax.hlines(at, fresh, stale, color=FAINT, linewidth=2)
    ax.plot(stale, at, MARKERS[1], color=COLORS[1], ms=8, label="statistics of the supernet")
    ax.plot(fresh, at, MARKERS[0], color=COLORS[0], ms=8, label="its own statistics")
    ax.set(xlabel="top-1 error (%)", xlim=(0, 100))
    ax.set_yticks(at, names)
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
    return figure


@rc_context(STYLE)
def plot_layer_costs(table: pd.DataFrame) -> Figure:
    """Shows what each layer costs, in MAdds and in parameters.

    Args:
        table: What `CostTable.per_layer` returns.
    """
    figure, (axes,) = new_figure(1, 2, (8, 1 + 0.21 * len(table)), sharey=True)
    panels = [("madds", "MAdds (M)", 1e-6, ""), ("params", "parameters (thousand)", 1e-3, "///")]
    for ax, color, (column, label, unit, hatch) in zip(axes, COLORS, panels, strict=False):
        look = {"color": color, "edgecolor": "white", "hatch": hatch, "linewidth": 0}
        ax.barh(table["layer"], table[column] * unit, **look)
        ax.set_xlabel(label)
        ax.grid(axis="y", visible=False)
    axes[0].invert_yaxis()
    axes[0].tick_params(axis="y", labelsize=8)
    return figure


@rc_context(STYLE)
def plot_accuracy(panels: Mapping[str, pd.DataFrame], of: str = "madds") -> Figure:
    """Shows the accuracy of subnets against their cost, a panel for each task.

    Args:
        panels: Tables with the columns `top1_err` (percent) and `madds` or `params`, by title.
        of: The cost, one of the two.
    """
    figure, (axes,) = new_figure(1, len(panels), (8, 3.6))
    looks = zip(panels.items(), COLORS, MARKERS, strict=False)
    for ax, ((title, table), color, marker) in zip(axes, looks, strict=True):
        accuracy = 100 - table["top1_err"]
        ax.plot(table[of] / 1e6, accuracy, marker, color=color, alpha=0.7, mec="white", ms=7)
        unit = {"madds": "MAdds (M)", "params": "parameters (M)"}[of]
        ax.set(title=title, xlabel=unit, ylabel="top-1 accuracy (%)")
    return figure


@rc_context(STYLE)
def plot_latency(predicted: ArrayLike, measured: ArrayLike) -> Figure:
    """Shows latencies summed over a table against those of whole networks, in milliseconds.

    Args:
        predicted: By look-up, `(n,)`.
        measured: End to end, `(n,)`.
    """
    figure, ((ax,),) = new_figure(size=(5.5, 4))
    rho = spearmanr(predicted, measured).statistic
    ax.plot(predicted, measured, MARKERS[0], color=COLORS[0], mec="white", ms=8)
    top = 1.05 * max(np.max(predicted), np.max(measured))
    ax.plot([0, top], [0, top], "--", color=FAINT, label="equal")
    ax.set(title=f"rank correlation (Spearman): {rho:.2f}", xlim=(0, top), ylim=(0, top))
    ax.set(xlabel="predicted by look-up (ms)", ylabel="measured end to end (ms)")
    ax.legend()
    return figure


class StageSliders:
    """Sliders that change one stage of an architecture and redraw its picture and its cost.

    Show it as the last line of a cell. The picture is an ordinary output of the cell, so that a
    saved notebook shows the last one to readers without a kernel.

    Args:
        arch: The architecture to begin with.
        cost: Counts its cost; gives the space.
        stage: Index of the stage to change.

    Attributes:
        arch: The architecture as the sliders have it.
        depth: Slider of the stage's depth.
        kernel: Slider of the kernel size of all its layers.
        expand: Slider of the expand ratio of all its layers.
    """

    def __init__(self, arch: Architecture, cost: CostTable, stage: int) -> None:
        self.start, self.cost, self.stage = arch, cost, stage
        space, layers = cost.space, arch.stages()[stage]
        depths = range(space.min_depth, space.max_depth + 1)
        kernel, expand = layers[0]
        self.depth = widgets.SelectionSlider(
            options=list(depths), value=len(layers), description="depth"
        )
        self.kernel = widgets.SelectionSlider(
            options=list(space.kernels), value=kernel, description="kernel"
        )
        self.expand = widgets.SelectionSlider(
            options=list(space.expands), value=expand, description="expand"
        )
        self.sliders = (self.depth, self.kernel, self.expand)
        self._picture = None
        for slider in self.sliders:
            slider.observe(self._changed, "value")

    @property
    def arch(self) -> Architecture:
        """The architecture as the sliders have it."""
        stages = self.start.stages()
        stages[self.stage] = [(self.kernel.value, self.expand.value)] * self.depth.value
        kernels, expands = zip(*(layer for layers in stages for layer in layers), strict=True)
        depths = tuple(map(len, stages))
        return Architecture(self.start.resolution, self.start.width, depths, kernels, expands)

    def picture(self) -> tuple[dict, dict]:
        """Returns the MIME bundle of the picture and its metadata, alt text included."""
        arch, space = self.arch, self.cost.space
        x = space.encode(arch)
        madds, params = self.cost.madds(x)[0], self.cost.params(x)[0]
        name, note = (
            f"stage {self.stage + 1} changed",
            f"{madds / 1e6:.2f} M MAdds, {params:,} parameters",
        )
        alt = (
            f"An architecture whose stage {self.stage + 1} has {self.depth.value} layers of kernel "
        )
        alt += f"{self.kernel.value} and expand ratio {self.expand.value}: {note}."
        return picture(draw_architecture({name: arch}, space, {name: note}), alt)

    def _changed(self, change: dict) -> None:
        if self._picture is not None:
            data, metadata = self.picture()
            self._picture.update(data, metadata=metadata, raw=True)

    def _ipython_display_(self) -> None:
        display(widgets.HBox(self.sliders))
        data, metadata = self.picture()
        self._picture = display(data, metadata=metadata, raw=True, display_id=True)
