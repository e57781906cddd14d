"""`ObjectiveExplorer`: move a weight or a limit and see which architecture it chooses.

The decision is a pure function, `choose`; objectives are always minimised. The picture is an
ordinary output of the cell, replaced when the controls move, so the saved notebook shows the last
one, with its alt text, to readers without a kernel.
"""

import io
import re
from collections.abc import Callable, Sequence
from html import escape
from math import ceil, floor, log10
from pathlib import Path

import ipywidgets as widgets
import numpy as np
import pandas as pd
from IPython.display import DisplayHandle, display
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray
from pymoo.decomposition.tchebicheff import Tchebicheff

from natlib.search import non_dominated
from natlib.space import Architecture, SearchSpace
from natlib.teach import plots

METHODS = {"weighted Chebyshev": "chebyshev", "pseudo-weights": "pseudo", "knee": "knee"}


def within(F: ArrayLike, limits: ArrayLike | None) -> NDArray[np.bool_]:
    """Returns which rows are finite and keep all limits, as for `choose`, bool `(n,)`."""
    F = np.asarray(F, dtype=np.float64)
    low, high = (-np.inf, np.inf) if limits is None else np.asarray(limits, dtype=np.float64).T
    return (np.isfinite(F) & (low <= F) & (F <= high)).all(axis=1)


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

    Ties go to the least sum of scaled objectives, then to the first row. Where no row keeps the
    limits, the result is `None`, otherwise the row.

    `F` is `(n, n_objectives)`, rows with NaN are never chosen; weights are at least zero, and all
    zero counts as all equal; limits are the lowest and highest value of each, `(n_objectives, 2)`.
    A weight that is negative or missing, or another method, is a `ValueError`.
    """
    F, w = np.asarray(F, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    if w.shape != F.shape[1:] or not np.all(w >= 0):
        raise ValueError(f"The weights {w} must be {F.shape[1]} numbers, none below zero.")
    if method not in METHODS.values():
        raise ValueError(f"No method '{method}': choose from {', '.join(METHODS.values())}.")
    w = w / w.sum() if w.any() else np.full(len(w), 1 / len(w))
    rows = np.flatnonzero(within(F, limits))
    if not len(rows):
        return None
    rows = rows[non_dominated(F[rows])]
    front = plots.front_of(F)
    span = np.ptp(front, axis=0)
    f = (F[rows] - front.min(axis=0)) / np.where(span > 0, span, 1)
    if method == "chebyshev":
        score = Tchebicheff().do(f, w, _type="many_to_one")
    elif method == "pseudo":
        good = np.maximum(1 - f, 1e-12)
        score = np.abs(good / good.sum(axis=1, keepdims=True) - w).sum(axis=1)
    else:
        score = -np.prod(np.maximum(1.1 - f, 0), axis=1)
    return int(rows[np.lexsort((f.sum(axis=1), score.round(12)))[0]])


def why_empty(F: ArrayLike, limits: ArrayLike, labels: Sequence[str]) -> str:
    """Says in a sentence which limit excludes every architecture and by how much.

    Where only several limits together exclude all, it names those that the nearest row breaks.

    `F` and `limits` are as for `choose`, `labels` those of the objectives, with their units.
    """
    F = np.asarray(F, dtype=np.float64)
    F = F[np.isfinite(F).all(axis=1)]
    if not len(F):
        return "No architecture has finite values for all objectives."
    low, high = np.asarray(limits, dtype=np.float64).T
    excess = np.maximum(np.maximum(low - F, F - high), 0)
    gaps = excess.min(axis=0)  # above zero: this limit by itself excludes every row
    which = "excludes" if np.count_nonzero(gaps) == 1 else "each exclude"
    if not gaps.any():
        gaps = excess[(excess / np.maximum(np.ptp(F, axis=0), 1e-12)).sum(axis=1).argmin()]
        which = "and the other limits together exclude"
    parts = [
        f"{labels[j]} from {low[j]:.4g} to {high[j]:.4g} (missed by {gaps[j]:.3g})"
        for j in np.flatnonzero(gaps)
    ]
    return f"The limit {' and '.join(parts)} {which} all {len(F)} architectures: widen it."


def read_archive(source: pd.DataFrame | str | Path) -> pd.DataFrame:
    """Reads an archive: column `architecture` (published strings) and one for each objective.

    `source` is a table, a CSV file, or a run folder, whose `archive.csv` is taken. One that is
    missing is a `FileNotFoundError`, an empty one or one without architectures a `ValueError`.
    """
    table = source
    if not isinstance(source, pd.DataFrame):
        file = Path(source, "archive.csv") if Path(source).is_dir() else Path(source)
        if not file.is_file():
            raise FileNotFoundError(f"No archive at {file}: give a CSV file or a run folder.")
        table = read_table(file, dtype={"architecture": str})
    if "architecture" not in table or not len(table):
        found = f"{len(table)} rows and the columns {', '.join(table)}"
        raise ValueError(f"An archive needs rows and a column 'architecture'; it has {found}.")
    return table.reset_index(drop=True)


def read_table(path: str | Path, **options) -> pd.DataFrame:
    """Reads a CSV file, also as a spreadsheet saved it: other separators, letters, commas."""
    raw = Path(path).read_bytes()
    try:
        text = raw.decode("utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("cp1252", "replace")
    separator = max(",;\t", key=text.partition("\n")[0].count)
    decimal = "," if separator != "," and re.search(r"\d,\d", text) else "."
    return pd.read_csv(io.StringIO(text), sep=separator, decimal=decimal, **options)


def objectives_of(table: pd.DataFrame) -> list[str]:
    """Returns the columns that are objectives by their name; a `ValueError` if below two."""
    names = [name for name in table if name in plots.UNITS or name.startswith("top1_err_")]
    if len(names) < 2:
        known = ", ".join(plots.UNITS)
        raise ValueError(f"Fewer than two columns are objectives: {known} or top1_err_TASK.")
    return names


class ObjectiveExplorer:
    """Sliders over an archive: weigh the objectives, limit them, and take the chosen network.

    Show it as the last line of a cell; shown in several cells, all of them follow.

    `read_archive` takes the archive. `on_export` is called with the chosen `Architecture` when
    *export* is pressed; what it returns is shown. Without it the button is off.

    Attributes:
        weights: The slider of each objective's weight, by name.
        limits: The range slider of each objective's limits, by name, in the unit of its label.
        method: How to choose, one of the values of `METHODS`.
        right, up: The objectives that the front shows to the right and upwards.
        chosen, kept: The chosen row of the archive, or `None`; the rows kept for comparison.
        figure, alt: The picture, and what it shows in words.
    """

    def __init__(
        self,
        archive: pd.DataFrame | str | Path,
        *,
        objectives: Sequence[str] | None = None,  # by default all columns of such a name
        space: SearchSpace | None = None,  # by default the one that the strings belong to
        on_export: Callable[[Architecture], object] | None = None,
    ) -> None:
        self.table = read_archive(archive)
        self.objectives = list(objectives or objectives_of(self.table))
        self.labels = [plots.label_of(name) for name in self.objectives]
        self.D = plots.in_units(self.table[self.objectives], self.objectives)
        parse = space.parse if space else Architecture.from_string
        self.architectures = [parse(text) for text in self.table["architecture"]]
        spaces = (SearchSpace.pocket(), SearchSpace.paper())
        self.space = space or next(s for s in spaces if self.architectures[0] in s)
        self.on_export, self.kept, self._shown = on_export, [], None
        self._make_inputs()
        self._make_buttons()
        self.update()

    def _make_inputs(self) -> None:
        self.weights, self.limits = {}, {}
        for name, label, values in zip(self.objectives, self.labels, self.D.T, strict=True):
            tooltip = f"weight of {label}"
            self.weights[name] = widgets.FloatSlider(0.5, min=0, max=1, step=0.05, tooltip=tooltip)
            self.limits[name] = _range_slider(values, f"limits of {label}")
            self.weights[name].layout.width = self.limits[name].layout.width = "98%"
        names = list(zip(self.labels, self.objectives, strict=True))
        self.method = widgets.Dropdown(options=METHODS, description="method")
        self.right = widgets.Dropdown(options=names, index=1, description="to the right")
        self.up = widgets.Dropdown(options=names, index=0, description="upwards")
        sliders = [*self.weights.values(), *self.limits.values()]
        self.inputs = [*sliders, self.method, self.right, self.up]
        self._start = [control.value for control in self.inputs]
        self._changed = lambda change: self._run(self.update)
        for control in self.inputs:
            control.observe(self._changed, "value")

    def _make_buttons(self) -> None:
        """Makes the buttons and lays all controls out, with a row for each objective."""
        self.status, self.errors, self.buttons = widgets.HTML(), widgets.Output(), {}
        for action in (self.reset, self.compare, self.export):
            name, tooltip = action.__name__, action.__doc__.splitlines()[0]
            self.buttons[name] = widgets.Button(description=name, tooltip=tooltip)
            self.buttons[name].on_click(lambda _, action=action: self._run(action))
        self.buttons["export"].disabled = self.on_export is None
        cells = [widgets.HTML(f"<b>{text}</b>") for text in ("objective", "weight", "limits")]
        for name, label in zip(self.objectives, self.labels, strict=True):
            cells += [widgets.HTML(escape(label)), self.weights[name], self.limits[name]]
        columns = widgets.Layout(grid_template_columns="12em 1fr 1fr", max_width="1000px")
        wrap = widgets.Layout(flex_flow="row wrap")
        rows = [[self.method, self.right, self.up], list(self.buttons.values())]
        boxes = [widgets.Box(row, layout=wrap) for row in rows]
        table = widgets.GridBox(cells, layout=columns)
        self.controls = widgets.VBox([table, *boxes, self.status, self.errors])

    def _run(self, action: Callable[[], object]) -> None:
        """Runs a handler; its exception is shown below the controls as well as raised."""
        self.errors.outputs = ()
        try:
            action()
        except Exception:
            with self.errors:
                raise
            raise

    def update(self) -> None:
        """Chooses and draws anew."""
        weights = [slider.value for slider in self.weights.values()]
        limits = [slider.value for slider in self.limits.values()]
        for slider in self.weights.values():
            slider.disabled = self.method.value == "knee"
        self.feasible = within(self.D, limits)
        self.chosen = choose(self.D, weights, limits, self.method.value)
        reason = "" if self.chosen is not None else why_empty(self.D, limits, self.labels)
        self.figure, self.alt = self._draw(), self._in_words(reason)
        self._say(reason)
        if self._shown is not None:
            data, metadata = plots.picture(self.figure, self.alt)
            self._shown.update(data, metadata=metadata, raw=True)

    @rc_context(plots.STYLE)
    def _draw(self) -> Figure:
        """Draws the front, parallel coordinates, and a strip for the chosen and each kept row."""
        looks = zip(self.kept, "ABC", plots.COLORS[2:], plots.MARKERS[1:], strict=False)
        marks = [plots.Mark(*look) for look in looks]
        rows = [["front"] * 3 + ["lines"] * 3, ["."] * 6, ["chosen"] * 6]
        heights = [3.2, 0.9 if len(self.objectives) <= 4 else 1.5, 0.8]  # inches
        if marks:
            names = [mark.name for mark in marks] + ["."] * (3 - len(marks))
            rows, heights = [*rows, ["."] * 6, [*np.repeat(names, 2)]], [*heights, 0.4, 0.8]
        figure = Figure(figsize=(10.5, sum(heights) + 0.25))
        edges = dict(left=0.06, right=0.985, bottom=0.01, top=0.96, hspace=0, wspace=0.3)
        axes = figure.subplot_mosaic(rows, height_ratios=heights, gridspec_kw=edges)
        axes["chosen"].set_axis_off()
        axes["chosen"].set_title("No architecture keeps all limits.")
        if self.chosen is not None:
            marks.append(plots.Mark(self.chosen, "chosen", plots.COLORS[1], "X"))
        self._draw_front(axes["front"], marks)
        plots.draw_uprights(axes["lines"], self.D, self.objectives)
        plots.draw_lines(axes["lines"], self.D, self.feasible, marks)
        for mark in marks:
            plots.draw_layers(axes[mark.name], self.architectures[mark.row], self.space)
            key = "  (height: expand ratio, number: kernel size)" * (mark.name == "chosen")
            title = f"{mark.name}: {self.architectures[mark.row]}{key}"
            axes[mark.name].set_title(title, fontsize=9)
        return figure

    def _draw_front(self, ax: Axes, marks: Sequence[plots.Mark]) -> None:
        points = self.D[:, [self.right.index, self.up.index]]
        inside = self.feasible
        looks = [(~inside, plots.FAINT, "outside"), (inside, plots.COLORS[0], "within")]
        for rows, color, name in looks:
            if rows.any():
                look = {"color": color, "label": f"{name} the limits", "alpha": 0.5, "lw": 0}
                ax.scatter(*points[rows].T, 22, **look)
        if inside.any():
            front = plots.front_of(points[inside])
            ax.step(*front.T, where="post", color=plots.COLORS[0], label="front of these two")
        for row, name, color, marker in marks:
            ax.plot(*points[row], marker, color=color, mec="white", ms=12, label=name)
        ax.set(xlabel=self.right.label, ylabel=self.up.label)
        ax.legend(fontsize=9)

    def reset(self) -> None:
        """Puts every control back and forgets what was kept."""
        self.kept = []
        for control, value in zip(self.inputs, self._start, strict=True):
            control.unobserve(self._changed, "value")
            control.value = value
            control.observe(self._changed, "value")
        self.update()

    def compare(self) -> None:
        """Keeps the chosen architecture beside the next ones; the oldest of four goes."""
        if self.chosen is not None and self.chosen not in self.kept:
            self.kept = [*self.kept, self.chosen][-3:]
            self.update()

    def export(self) -> object:
        """Hands the chosen architecture to `on_export`; shows and returns its result."""
        if self.chosen is None or self.on_export is None:
            raise RuntimeError("Nothing to export: give 'on_export' and widen the limits.")
        result = self.on_export(self.architecture)
        self._say(f"exported: {result}")
        return result

    @property
    def architecture(self) -> Architecture | None:
        """The chosen architecture, or `None`."""
        return None if self.chosen is None else self.architectures[self.chosen]

    def _say(self, message: str) -> None:
        """Shows figures of the chosen architecture and a message, read aloud where it changes."""
        lines = [] if self.chosen is None else [self._figures(self.chosen)]
        text = "".join(f"<div>{escape(line)}</div>" for line in [*lines, message] if line)
        self.status.value = f'<div role="status" aria-live="polite">{text}</div>'

    def _figures(self, row: int) -> str:
        values = zip(self.labels, self.D[row], strict=True)
        return f"{self.architectures[row]}: " + ", ".join(f"{k} {v:.4g}" for k, v in values)

    def _in_words(self, reason: str) -> str:
        parts = [
            f"Archive of {len(self.D)} architectures, {self.feasible.sum()} within the limits; "
            f"{self.up.label} against {self.right.label}, all objectives as parallel coordinates.",
            reason or f"Chosen by {self.method.label}: {self._figures(self.chosen)}.",
        ]
        parts += [f"Kept as {'ABC'[i]}: {self._figures(k)}." for i, k in enumerate(self.kept)]
        return " ".join(parts)

    def _ipython_display_(self) -> None:
        display(self.controls)
        self._shown = self._shown or DisplayHandle()  # one id, which an update looks for everywhere
        data, metadata = plots.picture(self.figure, self.alt)
        self._shown.display(data, metadata=metadata, raw=True)


def _range_slider(values: NDArray, tooltip: str) -> widgets.FloatRangeSlider:
    """Makes a range slider over the finite values, its ends moved outwards to round numbers."""
    values = values[np.isfinite(values)]
    low, high = (values.min(), values.max()) if len(values) else (0.0, 1.0)
    digits = 2 - floor(log10(high - low if high > low else abs(high) or 1))
    step = 10.0**-digits
    low = round(floor(low / step) * step, digits)
    high = round(max(ceil(high / step) * step, low + step), digits)
    look = {"readout_format": f".{max(digits, 0)}f", "tooltip": tooltip}
    return widgets.FloatRangeSlider(value=(low, high), min=low, max=high, step=step, **look)
