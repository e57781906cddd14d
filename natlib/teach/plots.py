"""The figures of the notebooks, and how they are shown.

Everywhere `F` holds objectives, all minimised, `(n, n_objectives)`, and `objectives` names its
columns; `D` is `F` in the units of the labels, and `X` holds canonical encodings, `(n, n_var)`.
Every figure labels its axes with units and can be read without colour: the style `natlib.mplstyle`
has colours for every kind of colour vision, and each series has a marker of its own. No figure
belongs to pyplot, so no front end shows it behind our back: `show` does, once.
"""

import base64
import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape, unescape
from pathlib import Path
from string import ascii_uppercase

import ipywidgets as widgets
import numpy as np
import pandas as pd
import seaborn as sns
import torch
from IPython.display import DisplayHandle, display
from matplotlib import rc_context, rc_params_from_file
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from natlib import PROJECT
from natlib.paper.results import COUNTED, PUBLISHED, YOURS
from natlib.search import non_dominated
from natlib.space import Architecture, IntMatrix, SearchSpace

STYLE = rc_params_from_file(Path(__file__).with_name("natlib.mplstyle"), use_default_template=False)
COLORS = tuple(STYLE["axes.prop_cycle"].by_key()["color"])
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LOOKS = [{"color": c, "marker": m} for c, m in zip(COLORS, MARKERS, strict=True)]
INK, FAINT = STYLE["text.color"], STYLE["axes.edgecolor"]
KERNEL_COLORS = {3: "#CFE8F7", 5: COLORS[4], 7: COLORS[1]}
UNITS = {
    "top1_err": ("top-1 error (%)", 1.0),
    "madds": ("MAdds (M)", 1e-6),
    "params": ("parameters (M)", 1e-6),
    "latency_ms": ("latency (ms)", 1.0),
}
HYPERVOLUME = "hypervolume (share of the box)"
ACCURACY = (UNITS["madds"][0], "top-1 accuracy (%)")
FloatMatrix = NDArray[np.float64]


def label_of(objective: str) -> str:
    """Returns the axis label of an objective with its unit; `top1_err_cats` is an error too."""
    if objective in UNITS:
        return UNITS[objective][0]
    task = objective.removeprefix("top1_err_")
    return objective.replace("_", " ") if task == objective else f"{task} error (%)"


def in_units(F: ArrayLike, objectives: Sequence[str]) -> FloatMatrix:
    """Returns objectives in the units of their labels, or a `ValueError` if not all have a name."""
    F = np.asarray(F, dtype=np.float64)
    if F.ndim != 2 or F.shape[1] != len(objectives):
        raise ValueError(f"F has shape {F.shape}: give one name for each column, not {objectives}.")
    return F * [UNITS.get(name, ("", 1.0))[1] for name in objectives]


def front_of(points: FloatMatrix) -> FloatMatrix:
    """Returns the points that no other dominates, `(m, 2)`, from left to right."""
    points = points[np.isfinite(points).all(axis=1)]
    front = points[non_dominated(points)]
    return front[np.lexsort(front.T[::-1])]


def picture(figure: Figure, alt: str) -> tuple[dict, dict]:
    """Returns the MIME bundle of a figure and its metadata, both with the alt text.

    The picture is there twice: JupyterLab and nbconvert drop the alt text of a PNG, and not every
    front end shows HTML. Without an alt text, for those who cannot see it, it is a `ValueError`.
    """
    if not alt.strip():
        raise ValueError("The figure has no alt text: say in a sentence what it shows.")
    buffer, width = io.BytesIO(), round(figure.get_figwidth() * 96)
    figure.savefig(buffer, format="png", dpi=144)  # 1.5 pixels for each of the page: sharp text
    png = base64.b64encode(buffer.getvalue()).decode()
    data = {"text/html": _img("image/png", png, width, alt), "image/png": png, "text/plain": alt}
    return data, {"image/png": {"alt": alt, "width": width}}


def _img(kind: str, code: str, width: int, alt: str) -> str:
    return f'<img alt="{escape(alt)}" width="{width}" src="data:{kind};base64,{code}">'


def show(figure: Figure, alt: str) -> None:
    """Shows a figure that does not belong to pyplot once, with alt text; see `picture`."""
    data, metadata = picture(figure, alt)
    display(data, metadata=metadata, raw=True)


def show_map() -> None:
    """Shows the map of the course, `notebooks/map.svg`, with the description that it carries."""
    svg = (PROJECT / "notebooks" / "map.svg").read_text("utf-8")
    alt = unescape(re.search("<dc:description>(.+?)</dc:description>", svg)[1])
    img = _img("image/svg+xml", base64.b64encode(svg.encode()).decode(), 883, alt)
    data = {"text/html": img, "image/svg+xml": svg, "text/plain": alt}
    display(data, metadata={"image/svg+xml": {"alt": alt}}, raw=True)


class Redrawn:
    """Sliders, shown by the last line of a cell, and a picture that is drawn anew as they move.

    A saved notebook shows the last one to readers without a kernel. `draw` takes the sliders'
    values and returns figure and alt text.
    """

    def __init__(self, draw: Callable[..., tuple[Figure, str]], *sliders: widgets.Widget) -> None:
        self.draw, self.sliders, self._shown = draw, sliders, DisplayHandle()
        for slider in sliders:
            slider.observe(lambda change: self._redraw(update=True), "value")

    def _redraw(self, update: bool) -> None:
        data, metadata = picture(*self.draw(*(slider.value for slider in self.sliders)))
        self._shown.display(data, metadata=metadata, raw=True, update=update)

    def _ipython_display_(self) -> None:
        display(widgets.HBox(self.sliders))
        self._redraw(update=False)


@rc_context(STYLE)
def new_figure(
    panels: Iterable[str] = ("",), columns: int = 1, size: tuple[float, float] = (7, 4),
    labels: tuple[str, str] = ("", ""), **options,
) -> tuple[Figure, list[Axes]]:  # fmt: skip
    """Returns a figure and its axes in our style, row by row; the last row may end early.

    `panels` are their titles, `size` the width and the height of a row in inches of 96 pixels,
    `labels` what all axes show to the right and upwards, and `options` as for `Figure.subplots`.
    """
    titles = list(panels)
    rows = -(-len(titles) // columns)
    figure = Figure((size[0], rows * size[1]), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, **options).ravel()
    if len(axes) == 1:
        axes[0].set(xlabel=labels[0], ylabel=labels[1])
    else:
        figure.supxlabel(labels[0])
        figure.supylabel(labels[1])
    for ax, title in zip(axes, titles, strict=False):
        ax.set_title(title)
    for ax in axes[len(titles) :]:
        ax.set_axis_off()
    return figure, list(axes[: len(titles)])


def plot_images(
    images: ArrayLike, labels: ArrayLike, classes: Sequence[str], n: int = 8, seed: int = 0
) -> Figure:
    """Shows `n` pictures of every class, drawn by the seed; images are uint8 `(m, 3, h, w)`."""
    labels, rng = np.asarray(labels), np.random.default_rng(seed)
    figure, axes = new_figure(classes, 2, (8, 0.1 + 4.6 / n))
    for label, ax in enumerate(axes):
        members = rng.permutation(np.flatnonzero(labels == label))[:n]
        shown = np.asarray(images[members]).transpose(0, 2, 3, 1)
        framed = np.pad(shown, ((0, 0), (0, 0), (0, 2), (0, 0)), constant_values=255)
        ax.imshow(np.hstack(framed), interpolation="nearest")
        ax.set_axis_off()
    return figure


def plot_rows(rows: Mapping[str, ArrayLike], titles: Sequence[str], **options) -> Figure:
    """Shows images `(n, h, w)` or `(n, h, w, 3)` by `Axes.imshow`, a named row for each set."""
    n = len(titles)
    figure, axes = new_figure([*titles, *[""] * n * (len(rows) - 1)], n, (8, min(1.1, 7.6 / n)))
    for ax in axes:
        ax.set(xticks=[], yticks=[], frame_on=False, box_aspect=1)
    for i, (name, images) in enumerate(rows.items()):
        axes[i * n].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
        for ax, image in zip(axes[i * n :], np.asarray(images)[:n], strict=False):
            ax.imshow(image, interpolation="nearest", **options)
    return figure


def plot_front(
    F: ArrayLike, objectives: Sequence[str] = ("top1_err", "madds"), *,
    before: ArrayLike | None = None, names: tuple[str, str] = ("before", "after"),
    chosen: Sequence[int] = (), prefix: str = "M",
) -> Figure:  # fmt: skip
    """Shows an archive in its first two objectives, the first upwards, with the front as steps.

    `before` is an archive to compare with, `names` what both are called; `chosen` rows are called
    M1, M2, ... in their order, or by another prefix.
    """
    figure, [ax] = new_figure(labels=(label_of(objectives[1]), label_of(objectives[0])))
    archives = {"": F} if before is None else {f"{names[0]}: ": before, f"{names[1]}: ": F}
    for (name, F_shown), look in zip(archives.items(), LOOKS[len(archives) - 1 :: -1], strict=True):
        points = in_units(F_shown, objectives)[:, 1::-1]
        ax.scatter(*points.T, 26, alpha=0.45, lw=0, label=f"{name}architectures", **look)
        ax.step(*front_of(points).T, where="post", label=f"{name}front", **look)
    places = in_units(F, objectives)[list(chosen), 1::-1]
    if len(places):
        ax.plot(*places.T, "*", ms=15, color="white", mec="black", label="chosen")
    name_points(ax, places, [f"{prefix}{i + 1}" for i in range(len(places))])
    ax.legend()
    return figure


def name_points(ax: Axes, places: FloatMatrix, names: Sequence[str]) -> None:
    """Writes names beside points `(n, 2)`."""
    for name, place in zip(names, places, strict=False):
        ax.annotate(name, place, (7, 6), textcoords="offset points", weight="bold")


def plot_bands(
    panels: Mapping[str, Mapping[str, pd.DataFrame]], labels: tuple[str, str], **axes_options
) -> Figure:
    """Shows tables in panels, both by name: the mean over columns against the index, and a band."""
    columns = min(len(panels), 3 if len(panels) > 4 else 2)
    size, shared = (8, min(4, 5.6 / columns)), {"sharex": True, "sharey": True}
    figure, axes = new_figure(panels, columns, size, labels, **shared)
    for ax, tables in zip(axes, panels.values(), strict=True):
        for (name, table), look in zip(tables.items(), LOOKS, strict=False):
            ax.plot(table.mean(axis=1), ms=5, label=name, markevery=-(-len(table) // 8), **look)
            ends = table.min(axis=1), table.max(axis=1)
            ax.fill_between(table.index, *ends, color=look["color"], alpha=0.18, lw=0)
        ax.set(**axes_options)
    lines = {line.get_label(): line for ax in axes for line in ax.lines}
    if 1 < len(axes) and len({line.get_color() for line in lines.values()}) == len(lines):
        figure.legend(lines.values(), lines, loc="outside upper center", ncols=6)  # one for all
    else:
        for ax in axes:
            ax.legend(fontsize=8)
    return figure


def plot_hypervolume(
    histories: Mapping[str, Sequence[ArrayLike]], x_label: str = "iteration",
    y_label: str = HYPERVOLUME,
) -> Figure:  # fmt: skip
    """Shows how a figure of merit grows: mean over seeds, and the range from worst to best seed.

    `histories` has one series per seed for each method. A pandas Series says in its index where its
    values stand, such as `history.set_index("evaluations")["hypervolume"]`; others count from 0.
    """
    tables = {}
    for name, series in histories.items():
        table = pd.concat([pd.Series(s) for s in series], axis=1).sort_index()
        label = f"{name} ({len(series)} seed{'s' * (len(series) > 1)})"
        tables[label] = table.interpolate("index", limit_area="inside")
    figure = plot_bands({"": tables}, (x_label, y_label))
    figure.axes[0].xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.axes[0].legend(title="line: mean, band: all seeds", alignment="left")
    return figure


def plot_modes(results: Mapping[str, ArrayLike], x_label: str = HYPERVOLUME) -> Figure:
    """Compares methods by one value for each seed, `(n_seeds,)`: a dot each, a bar at the mean."""
    labels = (f"{x_label}; bar: mean over seeds", "")
    figure, [ax] = new_figure(size=(7, 1 + 0.5 * len(results)), labels=labels)
    for row, (name, values) in enumerate(results.items()):
        mean, spread = np.mean(values), row + np.linspace(-0.12, 0.12, np.size(values))
        ax.vlines(mean, row - 0.3, row + 0.3, color=INK, lw=2.5)
        ax.plot(np.ravel(values), spread, MARKERS[row % len(MARKERS)], alpha=0.75, label=name)
        ax.text(mean, row - 0.34, f"{round(mean, 3):.3g}", ha="center", va="bottom", fontsize=9)
    ax.set(yticks=range(len(results)), yticklabels=results, ylim=(len(results) - 0.3, -0.8))
    if ax.get_xlim()[0] < 0 < ax.get_xlim()[1]:
        ax.axvline(0, color="0.6", lw=1, zorder=1)
    ax.grid(axis="y", visible=False)
    return figure


def plot_gene_heatmaps(populations: Sequence[IntMatrix], space: SearchSpace) -> Figure:
    """Shows, for each decision, the share of each choice (row) among the `X` of an iteration."""
    shares = [_choice_shares(X, space) for X in populations]
    names = [name for name, share in shares[0].items() if len(share) > 1]
    tables = {name: pd.concat([share[name] for share in shares], axis=1)[::-1] for name in names}
    figure, axes = new_figure(tables, 2, (8, 2.6))
    look = {"annot": len(shares) <= 8, "fmt": ".2f", "annot_kws": {"size": 8}, "linewidths": 0.5}
    highest = max(table.to_numpy().max() for table in tables.values())
    for ax, table in zip(axes, tables.values(), strict=True):
        sns.heatmap(table, ax=ax, vmin=0, vmax=highest, cmap="cividis", cbar=False, **look)
        ax.set_xlabel("iteration")
        ax.tick_params(length=0, rotation=0)
    figure.colorbar(axes[0].collections[0], ax=axes, label="share", aspect=30)
    return figure


def _choice_shares(X: IntMatrix, space: SearchSpace) -> dict[str, pd.Series]:
    """Returns the share of each choice of each decision, by name of the decision."""
    layers = space.layer_genes(X)[space.layer_genes(X) > 0] - 1
    depths = range(space.min_depth, space.max_depth + 1)
    made = {
        "resolution (px)": (space.resolutions, X[:, 0]),
        "width multiplier": (space.widths, X[:, 1]),
        "depth of a stage": (depths, space.depths(X).ravel() - space.min_depth),
        "kernel size": (space.kernels, layers % len(space.kernels)),
        "expand ratio": (space.expands, layers // len(space.kernels)),
    }
    counts = {name: np.bincount(i, minlength=len(choices)) for name, (choices, i) in made.items()}
    return {name: pd.Series(n / n.sum(), index=made[name][0]) for name, n in counts.items()}


def plot_correlations(F: ArrayLike, objectives: Sequence[str]) -> Figure:
    """Shows how objectives agree (+1) or conflict (-1): Spearman's rank correlation."""
    names = [label_of(name).rsplit(" (", 1)[0] for name in objectives]
    table = pd.DataFrame(in_units(F, objectives), columns=names).corr("spearman")
    figure, [ax] = new_figure(size=(3 + 0.5 * len(names), 2.2 + 0.5 * len(names)))
    look = {"vmin": -1, "vmax": 1, "cmap": "PuOr", "square": True, "linewidths": 0.5}
    look |= {"fmt": ".1f", "annot_kws": {"size": 8}, "cbar_kws": {"label": "rank correlation"}}
    sns.heatmap(table, ax=ax, annot=table.round(1) + 0.0, **look)  # no "-0.0"
    ax.tick_params(length=0)
    return figure


def plot_parallel(
    F: ArrayLike, objectives: Sequence[str], chosen: Mapping[str, int] | None = None
) -> Figure:
    """Shows all objectives at once, a line for each finite row; chosen rows by their names."""
    size, labels = (max(7, 0.9 * len(objectives)), 4), ("", "best to worst in the archive")
    figure, [ax] = new_figure(size=size, labels=labels)
    D, at, names = in_units(F, objectives), np.arange(len(objectives)), map(label_of, objectives)
    finite = np.isfinite(D).all(axis=1)
    low, high = np.sort(D[finite], axis=0)[[0, -1]] if finite.any() else (0 * at, 0 * at)
    for x in at if finite.any() else ():
        ax.text(x, -0.03, f"{low[x]:.3g}", ha="center", va="top", fontsize=8)
        ax.text(x, 1.03, f"{high[x]:.3g}", ha="center", va="bottom", fontsize=8)
    N = (np.where(finite[:, None], D, np.nan) - low) / np.where(high > low, high - low, 1)
    ax.plot(at, N[finite].T, color=COLORS[0], alpha=min(0.4, 0.1 + 20 / max(len(D), 1)), lw=0.8)
    for (name, row), mark in zip((chosen or {}).items(), LOOKS[1:], strict=False):
        ax.plot(at, N[row], mec="white", ms=10, lw=2.5, label=name, **mark)
    slant = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if len(at) > 4 else {}
    ax.set_xticks(at, names, **slant)
    ax.set(xlim=(-0.3, len(at) - 0.7), ylim=(-0.14, 1.14), yticks=[])
    ax.grid(axis="x", color=FAINT)
    if chosen:
        ax.legend(loc="upper right", ncols=len(chosen), bbox_to_anchor=(1, 1.14))
    return figure


def draw_architecture(
    archs: Mapping[str, Architecture], space: SearchSpace, notes: Mapping[str, str] | None = None
) -> Figure:
    """Draws architectures by name, a bar for each layer, dotted where it is skipped.

    A bar is as high as its expand ratio; its kernel size stands in it and gives its colour. Notes
    are words to add to some titles.
    """
    words = {name: f", {note}" for name, note in (notes or {}).items()}
    titles = [
        f"{n}: {a.resolution} px, width {a.width}{words.get(n, '')}" for n, a in archs.items()
    ]
    labels = ("layers, from input to output", "expand ratio")
    figure, axes = new_figure(titles, 1, (8, 1.2 + 0.8 / len(archs)), labels, sharex=True)
    stage, position = np.indices((space.n_stages, space.max_depth))
    at, top = stage * (space.max_depth + 0.6) + position, max(space.expands)
    for ax, arch in zip(axes, archs.values(), strict=True):
        active = position < np.array(arch.depths)[:, None]
        colors = [KERNEL_COLORS[kernel] for kernel in arch.kernels]
        ax.bar(at[~active], top, 0.85, color="none", edgecolor=FAINT, linestyle=":")
        ax.bar(at[active], arch.expands, 0.85, color=colors, edgecolor=INK)
        for x, kernel, expand in zip(at[active], arch.kernels, arch.expands, strict=True):
            ax.text(x, expand / 2, kernel, ha="center", va="center", fontsize=8)
        ax.set(xlim=(-0.6, at.max() + 0.6), ylim=(0, 1.02 * top), yticks=(0, *space.expands))
        ax.grid(axis="x", visible=False)
    ax.set_xticks(at.mean(axis=1), [f"stage {stage + 1}" for stage in range(space.n_stages)])
    kernels = {f"kernel {k}": Patch(fc=KERNEL_COLORS[k], ec=INK) for k in space.kernels}
    figure.legend(kernels.values(), kernels, loc="outside upper right", ncols=len(kernels))
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
    return plot_rows(rows, titles, cmap="gray")


def plot_recalibration(stale: ArrayLike, fresh: ArrayLike, names: Sequence[str]) -> Figure:
    """Shows errors of named subnets with the supernet's batch-norm statistics and their own."""
    at = np.arange(len(names))[::-1]
    figure, [ax] = new_figure(size=(7, 1.3 + 0.3 * len(at)), labels=(UNITS["top1_err"][0], ""))
    ax.hlines(at, fresh, stale, color=FAINT, lw=2)
    ax.plot(stale, at, MARKERS[1], color=COLORS[1], ms=8, label="statistics of the supernet")
    ax.plot(fresh, at, MARKERS[0], color=COLORS[0], ms=8, label="its own statistics")
    ax.set(xlim=(0, 100), yticks=at, yticklabels=names)
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
    return figure


def plot_panels(panels: Mapping[str, tuple], labels: tuple[str, str], **options) -> Figure:
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
    figure, [ax] = new_figure(labels=(UNITS["madds"][0], UNITS["top1_err"][0]))
    for i in np.unique(layer):
        members = points[layer == i][np.argsort(points[layer == i, 0])]
        ax.step(*members.T, where="post", label=f"layer {i + 1}", **LOOKS[i % len(LOOKS)])
    name_points(ax, points, ascii_uppercase)
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
