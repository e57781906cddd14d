"""`ObjectiveExplorer`: move a weight or a limit and see which architecture it chooses.

The decision is a pure function, `choose`; the picture is drawn by two others, `frame` what stays
and `fill` what moves; the widget between them only passes values on. Objectives are always
minimised.

The picture is an ordinary output of the cell, next to the controls, and is replaced when they
move. So the saved notebook shows the last picture, with its alt text, wherever it is opened, with
a kernel or without. Exceptions of the handlers reach the reader: nothing here catches them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from math import ceil, floor, log10
from pathlib import Path

import ipywidgets as widgets
import numpy as np
import pandas as pd
from IPython.display import display
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from natlib.plots import (
    COLORS,
    FAINT,
    MARKERS,
    STYLE,
    UNITS,
    FloatMatrix,
    Mark,
    backdrop_of,
    draw_layers,
    draw_lines,
    draw_uprights,
    front_of,
    in_units,
    label_of,
    moving,
    picture,
)
from natlib.search import non_dominated
from natlib.space import Architecture, SearchSpace

STRIP = 1.2  # height in inches of a drawn architecture, its title included
METHODS = {"weighted Chebyshev": "chebyshev", "pseudo-weights": "pseudo", "knee": "knee"}
KEPT = 3
KEY = "  (height: expand ratio, number: kernel size)"
NOTHING = "No architecture keeps all limits."


def within(F: ArrayLike, limits: ArrayLike | None) -> NDArray[np.bool_]:
    """Returns which rows keep all limits and hold finite values only, bool `(n,)`.

    Args:
        F: Objectives, `(n, n_objectives)`.
        limits: Lowest and highest value of each objective, `(n_objectives, 2)`; `None` for none.
    """
    F = np.asarray(F, dtype=np.float64)
    finite = np.isfinite(F).all(axis=1)
    return finite if limits is None else finite & (_excess(F, limits) == 0).all(axis=1)


def choose(
    F: ArrayLike, weights: ArrayLike, limits: ArrayLike | None = None, method: str = "chebyshev"
) -> int | None:
    """Chooses one architecture among those that keep the limits; no other of these dominates it.

    Objectives are first scaled so that the whole archive's front reaches from 0 (ideal) to 1
    (nadir); limits do not change this scale, so a limit moves the choice only if it excludes it.
    Let `w` be the weights divided by their sum, and `f` the scaled objectives:

    - `"chebyshev"`: least `max_j w_j f_j`, Miettinen's weighted achievement function. A larger
      weight demands more of its objective.
    - `"pseudo"`: the pseudo-weights `(1 - f_j) / sum_k (1 - f_k)` say how good a point is in one
      objective compared with the others; the point whose pseudo-weights are closest to `w`.
    - `"knee"`: largest `prod_j (1.1 - f_j)`, the hypervolume that the point by itself dominates, as
      `natlib.search.knee_points` ranks them (in a box up to 1). Weights do not count.

    Ties go to the least sum of scaled objectives, then to the first row.

    Args:
        F: Objectives, all minimised, `(n, n_objectives)`; rows with NaN are never chosen.
        weights: Weight of each objective, at least zero; all zero counts as all equal.
        limits: Lowest and highest value of each objective, `(n_objectives, 2)`; `None` for none.
        method: `"chebyshev"`, `"pseudo"` or `"knee"`.

    Returns:
        The row, or `None` where no row keeps the limits.

    Raises:
        ValueError: If a weight is negative or missing, or there is no such method.
    """
    F, w = np.asarray(F, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    if w.shape != F.shape[1:] or not np.all(w >= 0):
        raise ValueError(f"The weights {w} must be {F.shape[1]} numbers, none below zero.")
    w = w / w.sum() if w.any() else np.full(len(w), 1 / len(w))
    rows = np.flatnonzero(within(F, limits))
    if not len(rows):
        return None
    rows = rows[non_dominated(F[rows])]
    f = _scaled(F)[rows]
    good = np.maximum(1 - f, 1e-12)
    scores = {
        "chebyshev": lambda: (w * f).max(axis=1),
        "pseudo": lambda: np.abs(good / good.sum(axis=1, keepdims=True) - w).sum(axis=1),
        "knee": lambda: -np.prod(np.maximum(1.1 - f, 0), axis=1),
    }
    if method not in scores:
        raise ValueError(f"There is no method '{method}': choose from {', '.join(scores)}.")
    return int(rows[np.lexsort((f.sum(axis=1), scores[method]().round(12)))[0]])


def _scaled(F: FloatMatrix) -> FloatMatrix:
    finite = F[np.isfinite(F).all(axis=1)]
    front = finite[non_dominated(finite)]
    span = np.ptp(front, axis=0)
    return (F - front.min(axis=0)) / np.where(span > 0, span, 1)


def _excess(F: FloatMatrix, limits: ArrayLike) -> FloatMatrix:
    low, high = np.asarray(limits, dtype=np.float64).T
    return np.maximum(np.maximum(low - F, F - high), 0)


def why_empty(F: ArrayLike, limits: ArrayLike, labels: Sequence[str]) -> str:
    """Says which limit excludes every architecture and by how much.

    Args:
        F: Objectives, `(n, n_objectives)`, of which no row keeps the limits.
        limits: Lowest and highest value of each objective, `(n_objectives, 2)`.
        labels: Label of each objective, with its unit.

    Returns:
        One sentence. Where only several limits together exclude every architecture, it names
        those that the nearest one breaks.
    """
    F = np.asarray(F, dtype=np.float64)
    F = F[np.isfinite(F).all(axis=1)]
    if not len(F):
        return "No architecture has finite values for all objectives."
    excess = _excess(F, limits)
    alone = np.flatnonzero(excess.min(axis=0) > 0)
    if len(alone):
        gaps = zip(alone, excess[:, alone].min(axis=0), strict=True)
    else:
        shares = excess / np.where(np.ptp(F, axis=0) > 0, np.ptp(F, axis=0), 1)
        nearest = excess[np.lexsort((shares.sum(axis=1), (excess > 0).sum(axis=1)))[0]]
        gaps = ((j, nearest[j]) for j in np.flatnonzero(nearest))
    parts = [
        f"{labels[j]} from {limits[j][0]:.4g} to {limits[j][1]:.4g} (missed by {gap:.3g})"
        for j, gap in gaps
    ]
    which = "each exclude" if len(parts) > 1 else "excludes"
    if not len(alone):
        which = "and the other limits together exclude"
    return f"The limit {' and '.join(parts)} {which} all {len(F)} architectures: widen it."


def read_archive(source: pd.DataFrame | str | Path) -> pd.DataFrame:
    """Reads an archive: column `architecture` (published strings) and one for each objective.

    Args:
        source: A table, a CSV file, or a run folder, whose whole archive is taken.

    Raises:
        FileNotFoundError: If there is no such file or folder.
        ValueError: If the table is empty or has no column `architecture`.
    """
    table = source if isinstance(source, pd.DataFrame) else _read_table(Path(source))
    if "architecture" not in table or not len(table):
        raise ValueError(
            f"An archive needs rows and a column 'architecture', but this one has {len(table)} "
            f"rows and the columns {list(table.columns)}."
        )
    return table.reset_index(drop=True)


def _read_table(path: Path) -> pd.DataFrame:
    file = path / "archive.jsonl" if path.is_dir() else path
    if not file.is_file():
        raise FileNotFoundError(f"There is no archive at {file}: give a CSV file or a run folder.")
    text = {"architecture": str}
    return (
        pd.read_json(file, lines=True, dtype=text)
        if path.is_dir()
        else pd.read_csv(path, dtype=text)
    )


def objectives_of(table: pd.DataFrame) -> list[str]:
    """Returns the columns that are objectives by their name, in the order of the table.

    Raises:
        ValueError: If there are fewer than two.
    """
    names = [name for name in table if name in UNITS or name.startswith("top1_err_")]
    if len(names) < 2:
        raise ValueError(
            f"The archive has {len(names)} of the two or more objectives that it takes: name "
            f"columns {', '.join(UNITS)} or top1_err_TASK, or pass 'objectives'."
        )
    return names


@rc_context(STYLE)
def frame(
    D: FloatMatrix, objectives: Sequence[str], axes: tuple[int, int], compare: bool
) -> Figure:
    """Returns the figure without what moves: axes, labels and ticks.

    Args:
        D: Objectives in the units of their labels, `(n, n_objectives)`.
        objectives: Name of each column.
        axes: Which columns the front is drawn in: to the right, upwards.
        compare: Whether there is room for architectures that are kept for comparison.
    """
    below = (0.6 if len(objectives) <= 4 else 1.2) + STRIP * (1 + compare)
    figure = Figure(figsize=(10.5, below + 3.2))
    edges = {"left": 0.06, "right": 0.985, "bottom": below / (below + 3.2), "top": 0.95}
    left, right = figure.subplots(1, 2, gridspec_kw=edges | {"wspace": 0.12})
    points = D[:, list(axes)]
    left.update_datalim(points[np.isfinite(points).all(axis=1)])
    left.autoscale_view()
    left.autoscale(False)
    left.set(xlabel=label_of(objectives[axes[0]]), ylabel=label_of(objectives[axes[1]]))
    draw_uprights(right, D, objectives)
    _add_strip(figure, 0, 1, STRIP * compare)
    for place in range(KEPT * compare):
        _add_strip(figure, place, KEPT, 0)
    return figure


def _add_strip(figure: Figure, place: int, places: int, bottom: float) -> None:
    width, height = 0.97 / places, figure.get_figheight()
    box = (0.015 + width * place, (bottom + 0.05) / height, width - 0.01, 0.8 / height)
    figure.add_axes(box).set_axis_off()


@rc_context(STYLE)
def fill(
    figure: Figure,
    D: FloatMatrix,
    architectures: Sequence[Architecture],
    space: SearchSpace,
    *,
    feasible: NDArray[np.bool_],
    chosen: int | None = None,
    kept: Sequence[int] = (),
    axes: tuple[int, int] = (1, 0),
) -> None:
    """Draws what moves into a frame, in place of what was there: all points, lines and strips.

    Args:
        figure: What `frame` returned for the same `D` and `axes`.
        D: Objectives in the units of their labels, `(n, n_objectives)`.
        architectures: The architecture of each row.
        space: Their search space.
        feasible: Which rows keep the limits, bool `(n,)`; the others are faded.
        chosen: The chosen row, or `None`.
        kept: Rows kept for comparison, labelled A, B, C.
        axes: Which columns the front is drawn in: to the right, upwards.
    """
    for artist in moving(figure):
        artist.remove()
    still = set(figure.findobj())
    looks = zip(kept, "ABC", COLORS[2:], MARKERS[1:], strict=False)
    kept_marks = [Mark(*look) for look in looks]
    chosen_marks = [] if chosen is None else [Mark(chosen, "chosen", COLORS[1], "X")]
    left, right, strip, *kept_strips = figure.axes
    _draw_front(left, D[:, list(axes)], feasible, kept_marks + chosen_marks)
    draw_lines(right, D, feasible, kept_marks + chosen_marks)
    for mark in chosen_marks:
        _draw_strip(strip, mark, architectures, space, KEY)
    for ax, mark in zip(kept_strips, kept_marks, strict=False):
        _draw_strip(ax, mark, architectures, space)
    if chosen is None:
        strip.text(0.5, 0.5, NOTHING, ha="center", transform=strip.transAxes)
    for ax in figure.axes:
        for artist in ax.get_children():
            artist.set_animated(artist not in still)


def _draw_front(
    ax: Axes, points: FloatMatrix, feasible: NDArray[np.bool_], marks: Sequence[Mark]
) -> None:
    for rows, color, alpha, name in (
        (~feasible, FAINT, 0.35, "outside the limits"),
        (feasible, COLORS[0], 0.55, "within the limits"),
    ):
        if rows.any():
            ax.scatter(*points[rows].T, 22, color=color, alpha=alpha, lw=0, label=name)
    if feasible.any():
        front = front_of(points[feasible])
        ax.step(*front.T, where="post", color=COLORS[0], label="front of these two")
    for mark in marks:
        look = {"color": mark.color, "marker": mark.marker, "mec": "white", "ls": "none"}
        ax.plot(*points[[mark.row]].T, label=mark.name, ms=12, **look)
    ax.legend(fontsize=9)


def _draw_strip(
    ax: Axes, mark: Mark, architectures: Sequence[Architecture], space: SearchSpace, key: str = ""
) -> None:
    draw_layers(ax, architectures[mark.row], space)
    text = f"{mark.name}: {architectures[mark.row]}{key}"
    ax.text(0, 1.08, text, fontsize=9, transform=ax.transAxes)


class ObjectiveExplorer:
    """Sliders over an archive: weigh the objectives, limit them, and take the chosen network.

    Show it as the last line of a cell.

    Args:
        archive: A table with a column `architecture` (published strings) and one column for each
            objective, or its CSV file, or a run folder.
        objectives: The columns to use; by default all that have the name of an objective.
        space: The search space; by default the one that the strings belong to.
        on_export: Called with the chosen `Architecture` when *export* is pressed; what it returns,
            such as the path of a file, is shown. Without it the button is off.

    Attributes:
        weights: The slider of each objective's weight, by name.
        limits: The range slider of each objective's limits, by name, in the unit of its label.
        method: How to choose, one of the values of `METHODS`.
        right: The objective that the front shows to the right.
        up: The objective that the front shows upwards.
        chosen: The chosen row of the archive, or `None`.
        kept: Rows kept for comparison.
        figure: The picture.
        alt: What the picture shows, in words.

    Raises:
        FileNotFoundError: If there is no such archive.
        ValueError: If the archive lacks architectures or has fewer than two objectives.
    """

    def __init__(
        self,
        archive: pd.DataFrame | str | Path,
        *,
        objectives: Sequence[str] | None = None,
        space: SearchSpace | None = None,
        on_export: Callable[[Architecture], object] | None = None,
    ) -> None:
        self.table = read_archive(archive)
        self.objectives = list(objectives or objectives_of(self.table))
        self.labels = [label_of(name) for name in self.objectives]
        self.D = in_units(self.table[self.objectives], self.objectives)
        self.architectures, self.space = _parse(self.table["architecture"], space)
        self.kept: list[int] = []
        self.on_export = on_export
        self._picture = self._drawn = None
        self._build_controls()
        self.update()

    def _build_controls(self) -> None:
        names = dict(zip(self.labels, self.objectives, strict=True))
        self.weights = {name: _weight_slider() for name in self.objectives}
        self.limits = {name: _range_slider(self.D[:, j]) for j, name in enumerate(self.objectives)}
        self.method = widgets.Dropdown(options=METHODS, description="method")
        self.right = widgets.Dropdown(options=names, index=1, description="to the right")
        self.up = widgets.Dropdown(options=names, index=0, description="upwards")
        self.status, self.errors = widgets.HTML(), widgets.Output()
        self.inputs = [*self.weights.values(), *self.limits.values()]
        self.inputs += [self.method, self.right, self.up]
        self._start = [control.value for control in self.inputs]
        for control in self.inputs:
            control.observe(self._changed, "value")
        self.buttons = {}
        for action, tooltip in (
            (self.reset, "put all sliders back and forget what was kept"),
            (self.compare, f"keep the chosen architecture, at most {KEPT}"),
            (self.export, "write the chosen architecture to a file"),
        ):
            button = widgets.Button(description=action.__name__, tooltip=tooltip)
            button.on_click(lambda _, action=action: self._run(action))
            self.buttons[action.__name__] = button
        self.buttons["export"].disabled = self.on_export is None
        self.controls = _arrange(self)

    def _changed(self, change: dict) -> None:
        self._run(self.update)

    def _run(self, action: Callable[[], object]) -> None:
        self.errors.outputs = ()
        try:
            action()
        except Exception:
            with self.errors:
                raise
            raise

    def update(self) -> None:
        """Chooses and draws anew."""
        limits = [slider.value for slider in self.limits.values()]
        weights = [slider.value for slider in self.weights.values()]
        for slider in self.weights.values():
            slider.disabled = self.method.value == "knee"
        self.feasible = within(self.D, limits)
        self.chosen = choose(self.D, weights, limits, self.method.value)
        self.alt = self._describe(limits)
        self._draw()
        self.say("" if self.chosen is not None else why_empty(self.D, limits, self.labels))
        if self._picture is not None:
            data, metadata = self._repr_mimebundle_()
            self._picture.update(data, metadata=metadata, raw=True)

    def _draw(self) -> None:
        """Draws what moves; the backdrop only where other axes are asked for."""
        axes = tuple(self.objectives.index(axis.value) for axis in (self.right, self.up))
        if self._drawn != (axes, bool(self.kept)):
            self._drawn = (axes, bool(self.kept))
            self.figure = frame(self.D, self.objectives, *self._drawn)
            self._backdrop = backdrop_of(self.figure, quick=True)
        fill(
            self.figure,
            self.D,
            self.architectures,
            self.space,
            feasible=self.feasible,
            chosen=self.chosen,
            kept=self.kept,
            axes=axes,
        )

    def reset(self) -> None:
        """Puts every control back and forgets what was kept."""
        self.kept = []
        for control in self.inputs:
            control.unobserve(self._changed, "value")
        for control, value in zip(self.inputs, self._start, strict=True):
            control.value = value
            control.observe(self._changed, "value")
        self.update()

    def compare(self) -> None:
        """Keeps the chosen architecture beside the next ones; the oldest of four goes."""
        if self.chosen is not None and self.chosen not in self.kept:
            self.kept = [*self.kept, self.chosen][-KEPT:]
            self.update()

    def export(self) -> object:
        """Calls `on_export` with the chosen architecture, and shows and returns its result.

        Raises:
            RuntimeError: If there is nothing to export, or nothing to do it with.
        """
        if self.chosen is None or self.on_export is None:
            raise RuntimeError("Nothing to export: give 'on_export' and widen the limits.")
        result = self.on_export(self.architecture)
        self.say(f"exported: {result}")
        return result

    @property
    def architecture(self) -> Architecture | None:
        """The chosen architecture, or `None`."""
        return None if self.chosen is None else self.architectures[self.chosen]

    def say(self, message: str) -> None:
        """Shows figures of the chosen architecture and a message, read aloud where it changes."""
        figures = "" if self.chosen is None else self._figures(self.chosen)
        lines = [f"<code>{escape(figures)}</code>"] if figures else []
        lines += [f"<strong>{escape(message)}</strong>"] if message else []
        self.status.value = f'<div role="status" aria-live="polite">{"<br>".join(lines)}</div>'

    def _figures(self, row: int) -> str:
        values = zip(self.labels, self.D[row], strict=True)
        figures = ", ".join(f"{label} {value:.4g}" for label, value in values)
        return f"{self.architectures[row]}: {figures}"

    def _describe(self, limits: list[tuple[float, float]]) -> str:
        parts = [
            f"Archive of {len(self.D)} architectures, {self.feasible.sum()} within the limits; "
            f"{label_of(self.up.value)} against {label_of(self.right.value)}, and all "
            f"{len(self.objectives)} objectives as parallel coordinates."
        ]
        if self.chosen is None:
            parts.append(why_empty(self.D, limits, self.labels))
        else:
            parts.append(f"Chosen by {self.method.label}: {self._figures(self.chosen)}.")
        parts += [f"Kept as {'ABC'[i]}: {self._figures(k)}." for i, k in enumerate(self.kept)]
        return " ".join(parts)

    def _repr_mimebundle_(self, **kwargs: object) -> tuple[dict, dict]:
        return picture(self.figure, self.alt, quick=True, backdrop=self._backdrop)

    def _ipython_display_(self) -> None:
        display(self.controls)
        data, metadata = self._repr_mimebundle_()
        self._picture = display(data, metadata=metadata, raw=True, display_id=True)


def _parse(
    texts: Sequence[str], space: SearchSpace | None
) -> tuple[list[Architecture], SearchSpace]:
    if space is not None:
        return [space.parse(text) for text in texts], space
    architectures = [Architecture.from_string(text) for text in texts]
    spaces = (SearchSpace.pocket(), SearchSpace.paper())
    return architectures, next(s for s in spaces if architectures[0] in s)


def _weight_slider() -> widgets.FloatSlider:
    layout = widgets.Layout(width="98%")
    return widgets.FloatSlider(value=0.5, min=0, max=1, step=0.05, layout=layout)


def _range_slider(values: FloatMatrix) -> widgets.FloatRangeSlider:
    """Makes a range slider over the finite values, its ends moved outwards to round numbers."""
    values = values[np.isfinite(values)]
    low, high = (values.min(), values.max()) if len(values) else (0.0, 1.0)
    digits = 2 - floor(log10(high - low)) if high > low else 2 - floor(log10(abs(high) or 1))
    step = 10.0**-digits
    low = round(floor(low / step) * step, digits)
    high = round(max(ceil(high / step) * step, low + step), digits)
    return widgets.FloatRangeSlider(
        value=(low, high),
        min=low,
        max=high,
        step=step,
        readout_format=f".{max(digits, 0)}f",
        layout=widgets.Layout(width="98%"),
    )


def _arrange(explorer: ObjectiveExplorer) -> widgets.VBox:
    """Lays the controls out: a table with a row for each objective, then method and buttons."""
    head = [widgets.HTML(f"<b>{text}</b>") for text in ("objective", "weight", "limits")]
    cells = [
        cell
        for label, name in zip(explorer.labels, explorer.objectives, strict=True)
        for cell in (
            widgets.HTML(escape(label)),
            explorer.weights[name],
            explorer.limits[name],
        )
    ]
    columns = widgets.Layout(grid_template_columns="12em 1fr 1fr", max_width="1000px")
    table = widgets.GridBox([*head, *cells], layout=columns)
    wrap = widgets.Layout(flex_flow="row wrap")
    choices = widgets.Box([explorer.method, explorer.right, explorer.up], layout=wrap)
    buttons = widgets.Box(list(explorer.buttons.values()), layout=wrap)
    return widgets.VBox([table, choices, buttons, explorer.status, explorer.errors])
