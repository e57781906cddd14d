"""The figures of the series, and how they are shown.

Every figure labels its axes with units and can be read without colour: the colours are those that
Okabe and Ito chose for every kind of colour vision, and each series has a marker of its own. The
background is opaque white. Text that is to be read on a white and on a black page alike must be
mid-grey, with a contrast of about 5 to 1 at best; near-black on white has over 12 to 1 on both.

No figure belongs to pyplot, so no front end shows it behind our back: `show` does, once.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

import numpy as np
import pandas as pd
import seaborn as sns
from IPython.display import display
from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from natlib.data import Task
from natlib.search import non_dominated
from natlib.space import Architecture, IntMatrix, SearchSpace

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
INK, FAINT = "#222222", "#9A9A9A"
KERNEL_COLORS = {3: "#CFE8F7", 5: COLORS[4], 7: COLORS[1]}
STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": FAINT,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": "medium",
    "figure.facecolor": "white",
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "grid.color": "#E6E6E6",
    "legend.frameon": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}
UNITS = {
    "top1_err": ("top-1 error (%)", 1.0),
    "madds": ("MAdds (M)", 1e-6),
    "params": ("parameters (M)", 1e-6),
    "latency_ms": ("latency (ms)", 1.0),
}
FloatMatrix = NDArray[np.float64]


class Mark(NamedTuple):
    """A row of an archive that a figure points out, its name there and how it looks."""

    row: int
    name: str
    color: str
    marker: str


def label_of(objective: str) -> str:
    """Returns the axis label of an objective with its unit; `top1_err_cats` is an error too."""
    if objective in UNITS:
        return UNITS[objective][0]
    task = objective.removeprefix("top1_err_")
    return objective.replace("_", " ") if task == objective else f"{task} error (%)"


def in_units(F: ArrayLike, objectives: Sequence[str]) -> FloatMatrix:
    """Returns objectives `(n, n_objectives)` in the units of their labels.

    Raises:
        ValueError: If the names are not as many as the columns.
    """
    F = np.asarray(F, dtype=np.float64)
    if F.ndim != 2 or F.shape[1] != len(objectives):
        raise ValueError(
            f"F has shape {F.shape}, but {len(objectives)} objectives are named: give one name "
            "for each column."
        )
    return F * [UNITS.get(name, ("", 1.0))[1] for name in objectives]


def moving(figure: Figure) -> list[Artist]:
    """Returns what is drawn over the backdrop: the artists that are marked as animated."""
    artists = [*figure.texts, *(artist for ax in figure.axes for artist in ax.get_children())]
    return sorted((a for a in artists if a.get_animated()), key=Artist.get_zorder)


def backdrop_of(figure: Figure, quick: bool = False) -> object:
    """Draws everything that does not move, and returns it for `to_png`.

    Text is most of the work of drawing a figure, and most text stays where it is.

    Args:
        figure: The figure; it must keep its size.
        quick: As for `to_png`.
    """
    figure.set_dpi(110 if quick else 144)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return canvas.copy_from_bbox(figure.bbox)


def to_png(figure: Figure, quick: bool = False, backdrop: object = None) -> bytes:
    """Renders a figure, at 1.5 pixels for each pixel of the page for sharp text.

    Args:
        figure: The figure.
        quick: Whether it is drawn anew many times: fewer pixels and 128 colours, a quarter of the
            bytes.
        backdrop: What `backdrop_of` returned for this figure, if nothing but what moves has changed
            since.
    """
    backdrop = backdrop or backdrop_of(figure, quick)
    canvas = figure.canvas
    canvas.restore_region(backdrop)
    for artist in moving(figure):
        figure.draw_artist(artist)
    image = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    if quick:
        white = image.getpixel((0, 0))
        image = image.quantize(128, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        palette, index = image.getpalette(), image.getpixel((0, 0))
        palette[3 * index : 3 * index + 3] = white  # the octree makes an average of white and grey
        image.putpalette(palette)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()


def picture(
    figure: Figure, alt: str, quick: bool = False, backdrop: object = None
) -> tuple[dict, dict]:
    """Returns the MIME bundle of a figure and its metadata, both with the alt text.

    The picture is there twice, as HTML and as PNG: JupyterLab and the default template of
    nbconvert drop the alt text of a PNG, and not every front end shows HTML.

    Args:
        figure: The figure.
        alt: What the picture says, for those who cannot see it.
        quick: As for `to_png`.
        backdrop: As for `to_png`.

    Raises:
        ValueError: If the alt text is empty.
    """
    if not alt.strip():
        raise ValueError("The figure has no alt text: say in a sentence what it shows.")
    png = base64.b64encode(to_png(figure, quick, backdrop)).decode()
    width = round(figure.get_figwidth() * 96)
    img = f'<img alt="{escape(alt)}" width="{width}" src="data:image/png;base64,{png}">'
    data = {"text/html": img, "image/png": png, "text/plain": alt}
    return data, {"image/png": {"alt": alt, "width": width}}


def show(figure: Figure, alt: str) -> None:
    """Shows a figure once, with alt text.

    Args:
        figure: A figure that does not belong to pyplot, such as those made here.
        alt: What the picture says, for those who cannot see it.

    Raises:
        ValueError: If the alt text is empty.
    """
    data, metadata = picture(figure, alt)
    display(data, metadata=metadata, raw=True)


def new_figure(
    rows: int = 1, columns: int = 1, size: tuple[float, float] = (7, 4), **options
) -> tuple[Figure, NDArray]:
    """Returns a figure and its axes `(rows, columns)`.

    Args:
        rows: Rows of axes.
        columns: Columns of axes.
        size: Width and height in inches of 96 pixels.
        **options: As for `Figure.subplots`.
    """
    figure = Figure(figsize=size, layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


@rc_context(STYLE)
def plot_images(task: Task, n: int = 8, split: str = "train", seed: int = 0) -> Figure:
    """Shows `n` pictures of every class of a task.

    Args:
        task: The task.
        n: Pictures of each class; fewer where the class has fewer.
        split: `"train"`, `"valid"` or `"test"`.
        seed: Which pictures.
    """
    data, rng = getattr(task, split), np.random.default_rng(seed)
    columns = 2
    rows = -(-task.num_classes // columns)
    figure, axes = new_figure(rows, columns, (8, 0.4 + rows * 4.6 / n))
    for label, (ax, name) in enumerate(zip(axes.flat, task.classes, strict=False)):
        members = np.flatnonzero(data.labels.numpy() == label)
        shown = data.images[rng.permutation(members)[:n]].permute(0, 2, 3, 1).numpy()
        framed = np.pad(shown, ((0, 0), (0, 0), (0, 2), (0, 0)), constant_values=255)
        ax.imshow(np.hstack(framed), interpolation="nearest")
        ax.set_title(name, pad=3)
    for ax in axes.flat:
        ax.set_axis_off()
    return figure


@rc_context(STYLE)
def plot_front(
    F: ArrayLike,
    objectives: Sequence[str] = ("top1_err", "madds"),
    *,
    before: ArrayLike | None = None,
    names: tuple[str, str] = ("before", "after"),
    chosen: Sequence[int] = (),
) -> Figure:
    """Shows an archive in its first two objectives, with the front as steps.

    Args:
        F: Objectives, all minimised, `(n, n_objectives)`. The second is drawn to the right, the
            first upwards.
        objectives: Name of each column.
        before: Objectives of an archive to compare with, `(m, n_objectives)`.
        names: What the archives are called where there are two.
        chosen: Rows of `F` to label M1, M2, ...
    """
    figure, ((ax,),) = new_figure()
    archives = [(F, names[1])] if before is None else [(before, names[0]), (F, names[1])]
    looks = zip((COLORS[1], COLORS[0])[-len(archives) :], "so"[-len(archives) :], strict=True)
    for (points, name), (color, marker) in zip(archives, looks, strict=True):
        y, x = in_units(points, objectives)[:, :2].T
        prefix = "" if before is None else f"{name}: "
        style = {"color": color, "linewidth": 0}
        ax.scatter(x, y, 26, marker=marker, alpha=0.45, label=f"{prefix}architectures", **style)
        front = front_of(np.column_stack([x, y]))
        ax.step(*front.T, where="post", color=color, marker=marker, label=f"{prefix}front")
    y, x = in_units(F, objectives)[list(chosen), :2].T
    if len(x):
        ax.plot(x, y, "*", ms=15, color="white", mec="black", label="chosen")
    for i in range(len(x)):
        place = {"xytext": (7, 7), "textcoords": "offset points"}
        ax.annotate(f"M{i + 1}", (x[i], y[i]), weight="bold", **place)
    ax.set(xlabel=label_of(objectives[1]), ylabel=label_of(objectives[0]))
    ax.legend()
    return figure


def front_of(points: FloatMatrix) -> FloatMatrix:
    """Returns the points that no other dominates, `(m, 2)`, from left to right."""
    points = points[np.isfinite(points).all(axis=1)]
    front = points[non_dominated(points)]
    return front[np.lexsort(front.T[::-1])]


@rc_context(STYLE)
def plot_hypervolume(
    histories: Mapping[str, Sequence[ArrayLike]],
    x_label: str = "iteration",
    y_label: str = "hypervolume (share of the box)",
) -> Figure:
    """Shows how a figure of merit grows: mean over seeds, and the range from worst to best seed.

    Args:
        histories: For each method one series per seed. A pandas Series says in its index where
            its values stand, such as `history.set_index("evaluations")["hypervolume"]`; any other
            series stands at 0, 1, 2, ...
        x_label: What the index counts.
        y_label: What the values are.
    """
    figure, ((ax,),) = new_figure()
    for (name, series), color, marker in zip(histories.items(), COLORS, MARKERS, strict=False):
        table = pd.concat([pd.Series(s) for s in series], axis=1).sort_index()
        table = table.interpolate("index", limit_area="inside")
        label = f"{name} ({len(series)} seed{'s' if len(series) > 1 else ''})"
        ax.plot(table.mean(axis=1), color=color, marker=marker, markersize=5, label=label)
        low, high = table.min(axis=1), table.max(axis=1)
        ax.fill_between(table.index, low, high, color=color, alpha=0.18, linewidth=0)
    ax.set(xlabel=x_label, ylabel=y_label)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend(title="line: mean, band: all seeds", alignment="left")
    return figure


@rc_context(STYLE)
def plot_modes(
    results: Mapping[str, ArrayLike], x_label: str = "hypervolume (share of the box)"
) -> Figure:
    """Compares methods by one figure each: a dot for each seed, a bar at the mean.

    Args:
        results: For each method its value for each seed.
        x_label: What the values are.
    """
    figure, ((ax,),) = new_figure(size=(7, 1 + 0.5 * len(results)))
    for row, (name, values) in enumerate(results.items()):
        values = np.atleast_1d(np.asarray(values, dtype=np.float64))
        color, marker = COLORS[row % len(COLORS)], MARKERS[row % len(MARKERS)]
        spread = row + 0.24 * (np.arange(len(values)) / max(len(values) - 1, 1) - 0.5)
        ax.plot(values, spread, marker, color=color, alpha=0.75, label=name)
        ax.plot([values.mean()] * 2, [row - 0.3, row + 0.3], color=INK, linewidth=2.5)
        place = {"xytext": (0, 3), "textcoords": "offset points", "ha": "center"}
        ax.annotate(f"{values.mean():.4g}", (values.mean(), row - 0.3), **place, fontsize=9)
    ax.set(xlabel=f"{x_label}; bar: mean over seeds", ylim=(len(results) - 0.3, -0.8))
    ax.set_yticks(range(len(results)), list(results))
    ax.grid(axis="y", visible=False)
    return figure


def choice_shares(X: IntMatrix, space: SearchSpace) -> dict[str, pd.Series]:
    """Returns how often each choice of each decision occurs among architectures.

    Args:
        X: Canonical encodings, `(n, n_var)`.
        space: The search space.

    Returns:
        For resolution, width, depth of a stage, kernel and expand ratio of an active layer a
        series of shares that add up to one, choices as index, ascending.
    """
    X = space.check_valid(X)
    genes = space.layer_genes(X)
    layers = genes[genes > 0] - 1
    depths = tuple(range(space.min_depth, space.max_depth + 1))
    decisions = {
        "resolution (px)": (space.resolutions, X[:, 0]),
        "width multiplier": (space.widths, X[:, 1]),
        "depth of a stage": (depths, space.depths(X).ravel() - space.min_depth),
        "kernel size": (space.kernels, layers % len(space.kernels)),
        "expand ratio": (space.expands, layers // len(space.kernels)),
    }
    return {
        name: pd.Series(np.bincount(index, minlength=len(choices)) / len(index), index=choices)
        for name, (choices, index) in decisions.items()
    }


@rc_context(STYLE)
def plot_gene_heatmaps(populations: Sequence[IntMatrix], space: SearchSpace) -> Figure:
    """Shows how the choices of the best architectures move from iteration to iteration.

    One heat map for each decision that has a choice: rows are choices, columns iterations, and a
    cell the share of the choice among the layers, stages or architectures of that iteration.

    Args:
        populations: Canonical encodings `(n, n_var)` for each iteration.
        space: The search space.
    """
    shares = [choice_shares(X, space) for X in populations]
    decisions = [name for name, share in shares[0].items() if len(share) > 1]
    rows = -(-len(decisions) // 2)
    figure, axes = new_figure(rows, 2, (8, 0.6 + 2.3 * rows))
    highest = max(share[name].max() for share in shares for name in decisions)
    look = {"vmin": 0, "vmax": highest, "cmap": "cividis", "cbar": False, "linewidths": 0.5}
    for ax, name in zip(axes.flat, decisions, strict=False):
        table = pd.concat([share[name] for share in shares], axis=1)[::-1]
        sns.heatmap(table, ax=ax, annot=len(shares) <= 8, fmt=".2f", annot_kws={"size": 8}, **look)
        ax.set(title=name, xlabel="iteration")
        ax.tick_params(length=0, rotation=0)
    for ax in axes.flat[len(decisions) :]:
        ax.set_axis_off()
    figure.colorbar(axes.flat[0].collections[0], ax=axes, label="share", aspect=30)
    return figure


@rc_context(STYLE)
def plot_correlations(F: ArrayLike, objectives: Sequence[str]) -> Figure:
    """Shows how objectives agree (+1) or conflict (-1): Spearman's rank correlation.

    Args:
        F: Objectives, all minimised, `(n, n_objectives)`.
        objectives: Name of each column.
    """
    names = [label_of(name).rsplit(" (", 1)[0] for name in objectives]
    table = pd.DataFrame(in_units(F, objectives), columns=names).corr("spearman")
    side = 2.2 + 0.5 * len(names)
    figure, ((ax,),) = new_figure(size=(side + 0.8, side))
    look = {"vmin": -1, "vmax": 1, "cmap": "PuOr", "square": True, "linewidths": 0.5}
    shown = table.round(1) + 0.0  # no "-0.0"
    sns.heatmap(table, ax=ax, annot=shown, fmt=".1f", annot_kws={"size": 8}, **look)
    ax.collections[0].colorbar.set_label("rank correlation")
    ax.tick_params(length=0)
    return figure


@rc_context(STYLE)
def plot_parallel(
    F: ArrayLike, objectives: Sequence[str], chosen: Mapping[str, int] | None = None
) -> Figure:
    """Shows all objectives at once: one line for each architecture, one upright for each objective.

    Args:
        F: Objectives, all minimised, `(n, n_objectives)`.
        objectives: Name of each column.
        chosen: Rows of `F` to point out, by the name that the legend gives them.
    """
    figure, ((ax,),) = new_figure(size=(max(7, 0.9 * len(objectives)), 4))
    D = in_units(F, objectives)
    looks = zip((chosen or {}).items(), COLORS[1:], MARKERS[1:], strict=False)
    marks = [Mark(row, name, *look) for (name, row), *look in looks]
    draw_uprights(ax, D, objectives)
    draw_lines(ax, D, np.ones(len(D), dtype=bool), marks)
    if marks:
        ax.legend(loc="upper right", ncols=len(marks), bbox_to_anchor=(1, 1.14))
    return figure


def draw_uprights(ax: Axes, D: FloatMatrix, objectives: Sequence[str]) -> None:
    """Draws the uprights of parallel coordinates: each objective from best (bottom) to worst.

    Args:
        ax: Where to draw.
        D: Objectives in the units of their labels, `(n, n_objectives)`; rows with NaN do not count.
        objectives: Name of each column.
    """
    ends = _ends(D)
    for i in np.flatnonzero(np.isfinite(ends[0])):
        for value, y, align in zip(ends[:, i], (-0.03, 1.03), ("top", "bottom"), strict=True):
            ax.text(i, y, f"{value:.3g}", ha="center", va=align, fontsize=8)
    names = [label_of(name) for name in objectives]
    slant = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if len(names) > 4 else {}
    ax.set_xticks(range(len(names)), names, **slant)
    ax.set(xlim=(-0.3, len(names) - 0.7), ylim=(-0.14, 1.14), ylabel="best to worst in the archive")
    ax.set_yticks([])
    ax.grid(axis="x", color=FAINT)


def draw_lines(
    ax: Axes, D: FloatMatrix, feasible: NDArray[np.bool_], marks: Sequence[Mark]
) -> None:
    """Draws the lines of parallel coordinates, one for each architecture.

    Args:
        ax: Where `draw_uprights` drew.
        D: Objectives in the units of their labels, `(n, n_objectives)`; rows with NaN are left out.
        feasible: Which rows are drawn strongly, bool `(n,)`; the others are faded.
        marks: Rows to point out.
    """
    low, high = _ends(D)
    N, at = (D - low) / np.where(high > low, high - low, 1), np.arange(D.shape[1])
    alpha = min(0.4, 0.1 + 20 / max(len(D), 1))
    for rows, color in ((~feasible, FAINT), (feasible, COLORS[0])):
        lines = np.stack(np.broadcast_arrays(at, N[rows & np.isfinite(D).all(axis=1)]), axis=2)
        ax.add_collection(LineCollection(lines, colors=color, alpha=alpha, linewidths=0.8))
    for mark in marks:
        look = {"color": mark.color, "marker": mark.marker, "mec": "white", "ms": 10}
        ax.plot(at, N[mark.row], linewidth=2.5, label=mark.name, **look)


def _ends(D: FloatMatrix) -> FloatMatrix:
    """Returns best and worst value of each objective, `(2, n_objectives)`; NaN without any."""
    finite = D[np.isfinite(D).all(axis=1)]
    if not len(finite):
        return np.full((2, D.shape[1]), np.nan)
    return np.stack([finite.min(axis=0), finite.max(axis=0)])


def draw_layers(ax: Axes, arch: Architecture, space: SearchSpace) -> None:
    """Draws an architecture as a strip: a bar for each layer, dotted where it is skipped.

    A bar is as high as its expand ratio; its kernel size stands in it and gives its colour. The
    number of bars of a stage is its depth.

    Args:
        ax: Where to draw.
        arch: The architecture.
        space: The search space.
    """
    stage, position = np.indices((space.n_stages, space.max_depth))
    at = stage * (space.max_depth + 0.6) + position
    active = position < np.array(arch.depths)[:, None]
    top = max(space.expands)
    colors = [KERNEL_COLORS[kernel] for kernel in arch.kernels]
    ax.bar(at[~active], top, 0.85, color="none", edgecolor=FAINT, linestyle=":")
    ax.bar(at[active], arch.expands, 0.85, color=colors, edgecolor=INK)
    for x, kernel, expand in zip(at[active], arch.kernels, arch.expands, strict=True):
        ax.text(x, expand / 2, kernel, ha="center", va="center", fontsize=8)
    ax.set(xlim=(-0.6, at.max() + 0.6), ylim=(0, 1.02 * top))
    ax.set_axis_off()
