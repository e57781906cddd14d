"""`ObjectiveExplorer`: move a weight or a limit and see which architecture it chooses.

The decision is a pure function, `choose`; objectives are always minimised. The explorer runs in the
page (`explorer.js`, which decides alike) and needs no kernel; where there is one, page and sliders
of `ipywidgets` are views of one state.
"""

import io
import json
import re
from collections.abc import Callable, Sequence
from math import ceil, floor, log10
from pathlib import Path
from uuid import uuid4

import anywidget
import ipywidgets as widgets
import numpy as np
import pandas as pd
import traitlets
from IPython.display import display
from numpy.typing import ArrayLike, NDArray

from natlib.search import non_dominated
from natlib.space import Architecture, SearchSpace
from natlib.teach import plots

METHODS = {"weighted Chebyshev": "chebyshev", "pseudo-weights": "pseudo", "knee": "knee"}
METHODS |= {"reference point": "reference"}
VIEW = {"method": "chebyshev", "right": 1, "up": 0, "picked": None, "kept": [], "said": ""}
VIEW |= {"front": False, "log": False, "dominated": True, "sort": -1, "down": False}
SCRIPT, SHEET = (
    Path(__file__).with_name(f"explorer.{end}").read_text("utf-8") for end in ("js", "css")
)


def choose(
    F: ArrayLike,
    weights: ArrayLike,
    limits: ArrayLike | None = None,
    method: str = "chebyshev",
    reference: ArrayLike | None = None,
) -> int | None:
    """Chooses one architecture among those that keep the limits; no other of these dominates it.

    Objectives are scaled so that the whole archive's front reaches from 0 (ideal) to 1 (nadir),
    whatever the limits exclude. With weights `w`, divided by their sum, and objectives `f`:

    - `"chebyshev"`: least `max_j w_j f_j`, Miettinen's weighted achievement function.
    - `"pseudo"`: the pseudo-weights `(1 - f_j) / sum_k (1 - f_k)`, what a point is relatively good
      at, that are closest to `w`.
    - `"knee"`: largest `prod_j (1.1 - f_j)`, as `natlib.search.knee_points` ranks; no weights.
    - `"reference"`: least `max_j (f_j - r_j)`, Wierzbicki's achievement function; no weights, but a
      reference point `r`, in the units of `F`, by default the ideal.

    `F` is `(n, n_objectives)`, rows with NaN are never chosen; limits are the lowest and highest
    value of each, `(n_objectives, 2)`. Returns the row, of equals that with the least sum of scaled
    objectives, then the first; `None` where none keeps the limits. All weights zero are all equal;
    a weight that is negative or missing, or another method, is a `ValueError`.
    """
    F, w = np.asarray(F, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    if w.shape != F.shape[1:] or not np.all(w >= 0):
        raise ValueError(f"The weights {w} must be {F.shape[1]} numbers, none below zero.")
    if method not in METHODS.values():
        raise ValueError(f"No method '{method}': choose from {', '.join(METHODS.values())}.")
    low, high = (-np.inf, np.inf) if limits is None else np.asarray(limits, dtype=np.float64).T
    rows = np.flatnonzero((np.isfinite(F) & (low <= F) & (F <= high)).all(axis=1))
    if not len(rows):
        return None
    rows, (_, ideal, span) = rows[non_dominated(F[rows])], _scale(F)
    w = w / _sum(w) if w.any() else np.full(len(w), 1 / len(w))
    f, aim = (F[rows] - ideal) / span, ideal if reference is None else np.asarray(reference)
    good = np.maximum(1 - f, 1e-12)
    score = {
        "chebyshev": lambda: (f * w).max(axis=1),
        "pseudo": lambda: _sum(np.abs(good / _sum(good)[:, None] - w)),
        "knee": lambda: -np.cumprod(np.maximum(1.1 - f, 0), axis=1)[:, -1],
        "reference": lambda: (f - (aim - ideal) / span).max(axis=1),
    }[method]()
    return int(rows[np.lexsort((_sum(f), score.round(12)))[0]])


def _scale(F: NDArray) -> tuple[NDArray[np.bool_], NDArray, NDArray]:
    """Returns which rows are the front, its ideal point, and its span in each objective, or 1."""
    front = np.isfinite(F).all(axis=1)
    front[front] = non_dominated(F[front])
    ideal = F[front].min(axis=0) if front.any() else np.zeros(F.shape[1])
    span = np.ptp(F[front], axis=0) if front.any() else ideal
    return front, ideal, np.where(span > 0, span, 1)


def _sum(values: NDArray) -> NDArray:
    """Adds along the last axis from left to right, as the page does: equal to the last bit."""
    return np.cumsum(values, axis=-1)[..., -1]


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


class Bridge(anywidget.AnyWidget):
    """The state of an explorer, one for all its displays in the page and its sliders in Python."""

    _esm = f"{SCRIPT}export default {{ render: bridge }};"
    key, state = traitlets.Unicode().tag(sync=True), traitlets.Dict().tag(sync=True)


class ObjectiveExplorer:
    """Sliders over an archive: weigh the objectives, limit them, and take the chosen network.

    Show it as the last line of a cell; shown in several cells, all of them follow. It runs in the
    page, also without a kernel; with one, it and the sliders `weights` and `limits`, by objective,
    the latter in the units of the labels, follow each other. `archive` is a table with a column
    `architecture` (published strings) and one for each objective, or its CSV file, or a run folder;
    `read_archive` and `objectives_of` say what is refused. What `on_export` returns is shown.
    """

    def __init__(
        self,
        archive: pd.DataFrame | str | Path,
        *,
        objectives: Sequence[str] | None = None,  # by default all columns of such a name
        space: SearchSpace | None = None,  # by default the one that the strings belong to
        on_export: Callable[[Architecture], object] | None = None,  # called by the button *export*
        pictures: int = 0,  # that errors were measured on; so it says how sure the choice is
    ) -> None:
        self.table = read_archive(archive)
        self.objectives = list(objectives or objectives_of(self.table))
        if missing := ", ".join(set(self.objectives) - set(self.table)):
            raise ValueError(f"The archive has no column {missing}, but {', '.join(self.table)}.")
        self.labels = [plots.label_of(name) for name in self.objectives]
        self.D = plots.in_units(self.table[self.objectives], self.objectives)
        self._ends = [_ends(values) for values in self.D.T]
        parse = space.parse if space else Architecture.from_string
        self.architectures = [parse(text) for text in self.table["architecture"]]
        spaces = (SearchSpace.pocket(), SearchSpace.paper())
        self.space = space or next(s for s in spaces if self.architectures[0] in s)
        self.on_export, self.pictures, self._shown, self._follows = on_export, pictures, 0, False
        self.weights, self.limits = {}, {}
        for name, label, ends in zip(self.objectives, self.labels, self._ends, strict=True):
            low, high, step = ends
            look = {"description": label, "min": low, "max": high, "step": step}
            look["readout_format"] = f".{max(0, -floor(log10(step)))}f"
            self.weights[name] = widgets.FloatSlider(0.5, max=1, step=0.05, description=label)
            self.limits[name] = widgets.FloatRangeSlider(value=(low, high), **look)
        self._start = VIEW | self._values() | {"reference": [low for low, *_ in self._ends]}
        self.bridge = Bridge(key=uuid4().hex[:12], state=self._start)
        self.bridge.observe(self._follow, "state")
        self.bridge.on_msg(lambda *_: self.export())
        self._sliders = [*self.weights.values(), *self.limits.values()]
        for slider in self._sliders:
            slider.observe(self._moved, "value")

    def _values(self) -> dict[str, list]:
        weights = [slider.value for slider in self.weights.values()]
        return {"weights": weights, "limits": [list(box.value) for box in self.limits.values()]}

    def _moved(self, change: dict) -> None:
        if not self._follows:
            self.set(**self._values(), picked=None)

    def _follow(self, change: dict) -> None:
        """Moves the sliders to where the page, or code, has set the state."""
        self._follows, (weights, limits) = True, map(change["new"].get, ("weights", "limits"))
        for slider, value in zip(self._sliders, weights + limits, strict=True):
            slider.value = value
        self._follows = False

    def set(self, **changes: object) -> None:
        """Sets what page and sliders share: `method`, `reference`, `right`, `up`, `picked`, ..."""
        if unknown := ", ".join(set(changes) - set(self._start)):
            raise ValueError(f"No {unknown} to set: there are {', '.join(self._start)}.")
        self.bridge.state = self.bridge.state | {"said": ""} | changes

    @property
    def kept(self) -> list[int]:
        """The rows that are kept for comparison, at most three."""
        return self.bridge.state["kept"]

    @property
    def chosen(self) -> int | None:
        """The row that was picked in the page, else the one that the method chooses, or `None`."""
        how = map(self.bridge.state.get, ("weights", "limits", "method", "reference"))
        picked = self.bridge.state["picked"]
        return choose(self.D, *how) if picked is None else picked

    @property
    def architecture(self) -> Architecture | None:
        """The chosen architecture, or `None`."""
        return None if self.chosen is None else self.architectures[self.chosen]

    def reset(self) -> None:
        """Puts every control back and forgets what was kept."""
        self.set(**self._start)

    def compare(self) -> None:
        """Keeps the chosen architecture beside the next ones; the oldest of four goes."""
        if self.chosen is not None and self.chosen not in self.kept:
            self.set(kept=[*self.kept, self.chosen][-3:])

    def export(self) -> object:
        """Hands the chosen architecture to `on_export`; shows and returns its result.

        A `RuntimeError` says that there is nothing to export, or nothing to do it with.
        """
        if self.chosen is None or self.on_export is None:
            raise RuntimeError("Nothing to export: give 'on_export' and widen the limits.")
        try:
            result = self.on_export(self.architecture)
        except Exception as error:
            self.set(said=f"{type(error).__name__}: {error}")
            raise
        self.set(said=f"exported: {result}")
        return result

    def _data(self) -> dict:
        """Returns what the page needs, as JSON has it."""
        finite, (front, ideal, span) = np.isfinite(self.D).all(axis=1), _scale(self.D)
        D = self.D[finite] if finite.any() else np.zeros((1, len(self.labels)))
        genes = [self.space.encode(arch)[2:] + ord("0") for arch in self.architectures]
        rows = {"F": np.where(finite[:, None], self.D, 0), "finite": np.flatnonzero(finite)}
        rows |= {"best": D.min(axis=0), "worst": D.max(axis=0), "ideal": ideal, "span": span}
        return {
            **{name: values.tolist() for name, values in rows.items()}, "front": front.tolist(),
            "key": self.bridge.key, "serial": self._shown, "labels": self.labels,
            "methods": list(METHODS.items()), "ends": self._ends,
            "names": list(map(str, self.architectures)), "expands": self.space.expands,
            "notes": [f"{arch.resolution} px, width {arch.width}" for arch in self.architectures],
            "layers": ["".join(map(chr, row)) for row in genes], "depth": self.space.max_depth,
            "kernels": [(k, plots.KERNEL_COLORS[k]) for k in self.space.kernels],
            "pictures": [self.pictures * name.startswith("top1_err") for name in self.objectives],
            "exports": self.on_export is not None, "state": self.bridge.state, "start": self._start,
        }  # fmt: skip

    def html(self) -> str:
        """Returns the explorer as HTML with script, style and data; it needs nothing else."""
        self._shown += 1
        place = f"natlib-{self.bridge.key}-{self._shown}"
        content = json.dumps(self._data()).replace("<", "\\u003c")
        start = f"explorer(document.getElementById({place!r}), {json.dumps(SHEET)});"
        return f"""<div id="{place}"><p>{self!r}</p>
<script type="application/json">{content}</script></div>
<script>(() => {{ {SCRIPT}{start} }})();</script>"""

    def __repr__(self) -> str:
        return f"Archive of {len(self.D)} architectures; chosen: {self.architecture}."

    def _ipython_display_(self) -> None:
        display({"text/html": self.html(), "text/plain": repr(self)}, raw=True)
        view, metadata = self.bridge._repr_mimebundle_()
        display(view | {"text/plain": ""}, metadata=metadata, raw=True)


def _ends(values: NDArray) -> tuple[float, float, float]:
    """Returns the ends of finite values, moved outwards to round numbers, and a slider's step."""
    values = values[np.isfinite(values)]
    low, high = (values.min(), values.max()) if len(values) else (0.0, 1.0)
    digits = 2 - floor(log10(high - low if high > low else abs(high) or 1))
    step = 10.0**-digits
    low = round(floor(low / step) * step, digits)
    return low, round(max(ceil(high / step) * step, low + step), digits), step
