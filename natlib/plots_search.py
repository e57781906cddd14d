"""The figures of the notebooks on surrogates and on NSGA-III, and a slider for a limit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import ipywidgets as widgets
import numpy as np
import pandas as pd
from IPython.display import display
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from natlib.plots import (
    COLORS,
    FAINT,
    INK,
    MARKERS,
    STYLE,
    UNITS,
    FloatMatrix,
    front_of,
    in_units,
    label_of,
    new_figure,
    picture,
)
from natlib.search import Found
from natlib.space import IntMatrix, SearchSpace

AXES = ("top1_err", "madds")


def _points(F: ArrayLike) -> FloatMatrix:
    """Returns error and MAdds as `(n, 2)`: MAdds in millions first, the x axis, then the error."""
    return in_units(np.asarray(F)[:, :2], AXES)[:, ::-1]


def _label(*axes: Axes) -> None:
    """Labels axes that show MAdds and error."""
    for ax in axes:
        ax.set(xlabel=label_of("madds"), ylabel=label_of("top1_err"))
        ax.label_outer()


@rc_context(STYLE)
def plot_curves(
    x: ArrayLike, y: ArrayLike, grid: ArrayLike, curves: Mapping[str, ArrayLike]
) -> Figure:
    """Shows models of one variable through measured points.

    Args:
        x: MAdds of the points in millions, `(n,)`.
        y: Their top-1 errors in percent, `(n,)`.
        grid: Where the models were asked, `(m,)`.
        curves: Answers `(m,)` by name of the model.
    """
    figure, ((ax,),) = new_figure()
    for (name, values), color, dash in zip(curves.items(), COLORS, ("-", "--", ":"), strict=False):
        ax.plot(grid, values, dash, color=color, label=name)
    ax.plot(x, y, "o", color=INK, label="measured")
    margin = np.ptp(y)
    ax.set_ylim(np.min(y) - margin, np.max(y) + margin)
    _label(ax)
    ax.legend()
    return figure


@rc_context(STYLE)
def plot_predictions(y: ArrayLike, predictions: Mapping[str, ArrayLike]) -> Figure:
    """Shows predicted against measured errors, one panel for each model.

    Args:
        y: Measured top-1 errors in percent, `(n,)`.
        predictions: Predicted ones `(n,)` by name of the model.
    """
    figure, (axes,) = new_figure(1, len(predictions), (8, 3.4), sharex=True, sharey=True)
    looks = zip(axes, predictions.items(), COLORS, MARKERS, strict=False)
    for ax, (name, predicted), color, marker in looks:
        ax.axline((np.mean(y), np.mean(y)), slope=1, color=FAINT, linestyle="--")
        ax.plot(y, predicted, marker, color=color, alpha=0.5, markersize=5)
        ax.set(title=name, xlabel="measured error (%)", ylabel="predicted error (%)")
        ax.label_outer()
    return figure


@rc_context(STYLE)
def plot_learning_curves(results: pd.DataFrame, reference: str, level: float) -> Figure:
    """Shows how well surrogates rank, against the number of architectures they learned from.

    One panel for each surrogate, with the reference in all of them. The line is the mean over
    splits, the band reaches from the worst to the best split.

    Args:
        results: Columns `surrogate`, `size`, `split` and `kendall`.
        reference: The surrogate to compare with.
        level: Kendall's tau to mark with a dotted line.
    """
    names = [name for name in results.surrogate.unique() if name != reference]
    rows = -(-len(names) // 3)
    figure, axes = new_figure(rows, 3, (8, 2.2 * rows + 0.5), sharex=True, sharey=True)
    looks = {reference: (FAINT, "s", "--")}
    for i, (ax, name) in enumerate(zip(axes.flat, names, strict=False)):
        looks[name] = (COLORS[i % 6], "o", "-")
        for shown in (reference, name):
            color, marker, dash = looks[shown]
            by_size = results[results.surrogate == shown].groupby("size").kendall
            mean, low, high = by_size.mean(), by_size.min(), by_size.max()
            ax.plot(mean, dash, color=color, marker=marker, markersize=4, label=shown)
            ax.fill_between(mean.index, low, high, color=color, alpha=0.2, linewidth=0)
        ax.axhline(level, color=INK, linestyle=":", linewidth=1)
        ax.set_xscale("log")
        sizes = results["size"].unique()
        ax.set_xticks(sizes, [str(size) for size in sizes])
        ax.minorticks_off()
        ax.legend(loc="lower right", fontsize=8)
    for ax in axes.flat[len(names) :]:
        ax.set_axis_off()
    figure.supxlabel("architectures learned from", fontsize=10)
    figure.supylabel("Kendall's tau on the held-out ones", fontsize=10)
    return figure


@rc_context(STYLE)
def plot_residuals(X: IntMatrix, residuals: Mapping[str, ArrayLike], space: SearchSpace) -> Figure:
    """Shows where predictions are wrong: the mean of predicted minus measured by choice.

    Args:
        X: Canonical encodings, `(n, n_var)`.
        residuals: Predicted minus measured error in percent, `(n,)`, by name of the surrogate.
        space: The search space.
    """
    layers = (space.layer_genes(X) > 0).sum(axis=(1, 2))
    last = space.layer_genes(X)[:, -1, 0] - 1
    decisions = {
        "resolution (px)": np.take(space.resolutions, X[:, 0]),
        "layers in all": layers,
        "kernel, first layer of the last stage": np.take(space.kernels, last % len(space.kernels)),
        "expand ratio of that layer": np.take(space.expands, last // len(space.kernels)),
    }
    figure, axes = new_figure(2, 2, (8, 5), sharey=True)
    for ax, (name, choices) in zip(axes.flat, decisions.items(), strict=True):
        ticks = np.unique(choices)
        ax.axhline(0, color=INK, linewidth=1)
        for i, (model, values) in enumerate(residuals.items()):
            groups = pd.Series(values).groupby(choices)
            place = np.arange(len(ticks)) + 0.2 * (i - (len(residuals) - 1) / 2)
            error = 2 * groups.sem()
            look = {"color": COLORS[i], "fmt": MARKERS[i], "capsize": 3, "markersize": 5}
            ax.errorbar(place, groups.mean(), error, label=model, **look)
        ax.set_xticks(range(len(ticks)), [str(tick) for tick in ticks])
        ax.set_xlabel(name)
    axes[0, 0].legend(fontsize=8)
    figure.supylabel("predicted minus measured error (points)", fontsize=10)
    return figure


@rc_context(STYLE)
def plot_layers(F: ArrayLike, layer: Sequence[int]) -> Figure:
    """Shows points with their names and the layer of non-dominated sorting that each belongs to.

    Args:
        F: Top-1 errors and MAdds, `(n, 2)`.
        layer: Number of the layer of each point, from 0, `(n,)`.
    """
    points, layer = _points(F), np.asarray(layer)
    figure, ((ax,),) = new_figure()
    for i in np.unique(layer):
        members = points[layer == i][np.argsort(points[layer == i, 0])]
        color, marker = COLORS[i % len(COLORS)], MARKERS[i % len(MARKERS)]
        ax.step(*members.T, where="post", color=color, marker=marker, label=f"layer {i + 1}")
    for name, place in zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", points, strict=False):
        ax.annotate(name, place, (6, 5), textcoords="offset points", weight="bold")
    _label(ax)
    ax.legend()
    return figure


@rc_context(STYLE)
def plot_survivors(
    N: ArrayLike, kept: Mapping[str, Sequence[int]], directions: ArrayLike
) -> Figure:
    """Shows which points of a front different rules keep.

    Args:
        N: A front with both objectives scaled to [0, 1], `(n, 2)`.
        kept: Rows that each rule keeps, by its name; the last rule's panel shows the directions.
        directions: Reference directions, `(m, 2)`.
    """
    N = np.asarray(N)
    figure, (axes,) = new_figure(1, len(kept), (8, 3.6), sharex=True, sharey=True)
    for i, (ax, (name, rows)) in enumerate(zip(axes, kept.items(), strict=True)):
        if i == len(kept) - 1:
            for direction in np.asarray(directions):
                ax.plot(*np.outer([0, 1.1], direction[::-1] / direction.max()).T, color=FAINT, lw=1)
        ax.plot(N[:, 1], N[:, 0], "o", color="white", mec=INK, label="the last layer")
        chosen = N[list(rows)]
        ax.plot(chosen[:, 1], chosen[:, 0], MARKERS[i + 1], color=COLORS[i], ms=9, label="kept")
        ax.set(title=name, xlabel="MAdds (scaled)", ylabel="error (scaled)")
        ax.label_outer()
        ax.legend(loc="upper right", frameon=True, framealpha=1)
    return figure


@rc_context(STYLE)
def plot_simplex(directions: ArrayLike, names: Sequence[str]) -> Figure:
    """Shows reference directions of three objectives on their triangle, and some as arrows.

    Args:
        directions: Reference directions, `(n, 3)`.
        names: Names of the three objectives.
    """
    directions = np.asarray(directions)
    figure = Figure(figsize=(6, 5), layout="constrained")
    ax = figure.add_subplot(projection="3d", elev=25, azim=35)
    corners = np.eye(3)[[0, 1, 2, 0]]
    ax.plot(*corners.T, color=INK, linewidth=1)
    ax.plot(*directions.T, "o", color=COLORS[0], label=f"{len(directions)} directions")
    for direction in directions[:: max(1, len(directions) // 9)]:
        ax.plot(*np.outer([0, 1], direction).T, color=COLORS[1], linewidth=1)
    ax.plot([0], [0], [0], "X", color=COLORS[1], ms=9, label="ideal point")
    ax.set(xlabel=names[0], ylabel=names[1], zlabel=names[2])
    for axis in (ax.xaxis, ax.yaxis, ax.zaxis):
        axis.set_ticks([0, 0.5, 1])
    ax.legend(loc="upper left")
    return figure


@rc_context(STYLE)
def plot_generations(populations: Mapping[int, FloatMatrix], F_archive: ArrayLike) -> Figure:
    """Shows a population at several generations, with the archive behind it.

    Args:
        populations: Objectives `(n, 2)`, top-1 error and MAdds, by generation.
        F_archive: Objectives of the archive, `(m, 2)`.
    """
    rows = -(-len(populations) // 3)
    figure, axes = new_figure(rows, 3, (8, 2.5 * rows + 0.4), sharex=True, sharey=True)
    for ax, (generation, F) in zip(axes.flat, populations.items(), strict=False):
        front = front_of(_points(F_archive))
        ax.step(*front.T, where="post", color=FAINT, label="archive's front")
        ax.plot(*_points(F).T, "o", color=COLORS[0], ms=4, alpha=0.7, label="population")
        ax.set_title(f"generation {generation}")
    _label(*axes.flat)
    axes.flat[0].legend(fontsize=8)
    return figure


@rc_context(STYLE)
def plot_candidates(F_archive: ArrayLike, F_new: ArrayLike, chosen: Sequence[int]) -> Figure:
    """Shows an archive, a population that was found, and the candidates chosen of it.

    Args:
        F_archive: Objectives of the archive, `(m, 2)`, top-1 error and MAdds.
        F_new: Predicted objectives of the population, `(n, 2)`.
        chosen: Rows of the population, in the order of choice.
    """
    figure, ((ax,),) = new_figure()
    archive, new = _points(F_archive), _points(F_new)
    ax.plot(*archive.T, "o", color=FAINT, ms=5, alpha=0.7, label="archive (measured)")
    ax.step(*front_of(archive).T, where="post", color=INK, linewidth=1, label="its front")
    ax.plot(*new.T, "s", color=COLORS[0], ms=4, alpha=0.6, label="found (predicted)")
    ax.plot(*new[list(chosen)].T, "*", color=COLORS[1], ms=14, mec=INK, label="chosen, in order")
    for rank, row in enumerate(chosen):
        ax.annotate(str(rank + 1), new[row], (6, 6), textcoords="offset points", weight="bold")
    _label(ax)
    ax.legend()
    return figure


class LimitSlider:
    """A slider for the limit on MAdds that searches again and redraws the population.

    Show it as the last line of a cell. The picture is an ordinary output of the cell, so that a
    saved notebook shows the last one to readers without a kernel.

    Args:
        search: Searches with a limit on MAdds: a function of the limit that returns a `Found`.
        F_archive: Objectives of the archive, `(m, 2)`, top-1 error and MAdds.
        limits: Limits to choose from, in MAdds, ascending.

    Attributes:
        slider: The slider.
        found: What the last search returned.
    """

    def __init__(
        self, search: Callable[[float], Found], F_archive: ArrayLike, limits: Sequence[float]
    ) -> None:
        self.search, self.F_archive = search, np.asarray(F_archive)
        options = [(f"{limit * UNITS['madds'][1]:.1f} M", float(limit)) for limit in limits]
        self.slider = widgets.SelectionSlider(
            options=options,
            index=len(options) // 2,
            description="MAdds at most",
            continuous_update=False,
            style={"description_width": "initial"},
            layout={"width": "420px"},
        )
        self._picture = None
        self.found = search(self.slider.value)
        self.slider.observe(self._changed, "value")

    def picture(self) -> tuple[dict, dict]:
        """Returns the MIME bundle of the picture and its metadata, alt text included."""
        limit, points = self.slider.value * UNITS["madds"][1], _points(self.found.F)
        return picture(
            _plot_limit(_points(self.F_archive), points, limit),
            f"The population found with at most {limit:.1f} M MAdds: {len(points)} architectures, "
            f"predicted errors from {points[:, 1].min():.1f} to {points[:, 1].max():.1f}%.",
        )

    def _changed(self, change: dict) -> None:
        self.found = self.search(change["new"])
        if self._picture is not None:
            data, metadata = self.picture()
            self._picture.update(data, metadata=metadata, raw=True)

    def _ipython_display_(self) -> None:
        display(self.slider)
        data, metadata = self.picture()
        self._picture = display(data, metadata=metadata, raw=True, display_id=True)


@rc_context(STYLE)
def _plot_limit(archive: FloatMatrix, found: FloatMatrix, limit: float) -> Figure:
    """Draws points `(n, 2)` of an archive and of a population, and the limit between them."""
    figure, ((ax,),) = new_figure()
    ax.plot(*archive.T, "o", color=FAINT, ms=5, alpha=0.7, label="archive (measured)")
    ax.plot(*found.T, "s", color=COLORS[0], ms=4, alpha=0.7, label="found (predicted)")
    ax.axvspan(limit, 1.02 * archive[:, 0].max(), color=COLORS[1], alpha=0.12)
    ax.axvline(limit, color=COLORS[1], linestyle="--", label=f"limit: {limit:.1f} M MAdds")
    ax.set_xlim(0, 1.02 * archive[:, 0].max())
    _label(ax)
    ax.legend()
    return figure
