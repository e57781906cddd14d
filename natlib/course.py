"""The map of the course: each step of the loop, what does it, and where it is explained.

`STEPS` is the only place that says so. The figure, the table in notebook 00 and the page
`notebooks/map.md` are made of it; `python -m natlib.course` writes the page anew.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyBboxPatch

from natlib.plots import COLORS, INK, STYLE, new_figure
from natlib.profiles import PROFILES
from natlib.runs import write_text

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"


class Step(NamedTuple):
    """One box of the map.

    Attributes:
        title: What happens.
        kind: A key of `KINDS`.
        function: The function or class of natlib that does it, with its module.
        notebook: Name of the notebook that explains it.
        heading: Heading of the section there.
        place: Column and row of its box, the row from the top.
    """

    title: str
    kind: str
    function: str
    notebook: str
    heading: str
    place: tuple[int, int]


KINDS = {  # how the frame of a box looks
    "weights": (COLORS[0], "-"),
    "measuring": (COLORS[2], "--"),
    "search": (COLORS[1], ":"),
    "decision": (INK, "-."),
}
STEPS = {
    "A": Step(
        "A pre-trained supernet",
        "weights",
        "supernet.Supernet",
        "01_supernet",
        "A trained supernet",
        (0, 0),
    ),
    "0": Step(
        "Warm up on the target task",
        "weights",
        "transfer.warm_up",
        "04_online_adaptation",
        "Step 0 · Warm-up",
        (1, 0),
    ),
    "1": Step(
        "Measure a first archive",
        "measuring",
        "transfer.fill_archive",
        "04_online_adaptation",
        "Step 1 · The archive",
        (2, 0),
    ),
    "2a": Step(
        "Fit a surrogate on the archive",
        "search",
        "surrogate.RBFEnsemble",
        "02_surrogate",
        "An ensemble",
        (2, 1),
    ),
    "2b": Step(
        "Search with NSGA-III",
        "search",
        "search.nsga3",
        "03_nsga3",
        "On the real problem",
        (1, 1),
    ),
    "2c": Step(
        "Measure chosen candidates",
        "measuring",
        "search.choose_candidates",
        "03_nsga3",
        "What to measure",
        (0, 1),
    ),
    "2d": Step(
        "Distribution of the best",
        "decision",
        "search.gene_distribution",
        "04_online_adaptation",
        "Step 2d · What do the best have in common?",
        (0, 2),
    ),
    "2e": Step(
        "Adapt the supernet",
        "weights",
        "transfer.adapt",
        "04_online_adaptation",
        "Step 2e and 2f · Adapt, and measure again",
        (1, 2),
    ),
    "2f": Step(
        "Measure the archive again",
        "measuring",
        "transfer.measure_again",
        "04_online_adaptation",
        "Step 2e and 2f · Adapt, and measure again",
        (2, 2),
    ),
    "3": Step(
        "Report M1 to M4 on test",
        "measuring",
        "transfer.report",
        "04_online_adaptation",
        "Step 3 · Report",
        (2, 3),
    ),
    "B": Step(
        "Choose one by your wishes",
        "decision",
        "explore.ObjectiveExplorer",
        "06_many_objectives",
        "From wishes to a choice",
        (1, 3),
    ),
    "C": Step(
        "Export it",
        "decision",
        "export.export",
        "06_many_objectives",
        "Take it home",
        (0, 3),
    ),
}
ALT = (
    "The loop of NAT as boxes and arrows. A pre-trained supernet (A) is warmed up on the target "
    "task (0), and a first archive is measured (1). Then a loop: fit a surrogate (2a), search with "
    "NSGA-III (2b), measure the candidates that were chosen (2c), take the distribution of the "
    "best (2d), adapt the supernet (2e), measure the archive again (2f), and back to 2a. After the "
    "last iteration M1 to M4 are reported on test (3), one is chosen (B) and exported (C). The "
    "table has the same steps."
)
WIDTH, HEIGHT = 2.5, 0.98  # of a box in inches
APART = (2.95, 1.42)  # centres of neighbouring boxes


def anchor(heading: str) -> str:
    """Returns the part of a link that Jupyter and nbconvert give to a heading."""
    return heading.replace(" ", "-")


@rc_context(STYLE)
def draw_map() -> Figure:
    """Draws the loop of NAT: each step with its function and the section that explains it."""
    figure, ((ax,),) = new_figure(size=(9.2, 6.4))
    for name, step in STEPS.items():
        _draw_box(ax, name, step)
    names = list(STEPS)
    for start, end in [*zip(names, names[1:], strict=False), ("2f", "2a")]:
        _draw_arrow(ax, STEPS[start].place, STEPS[end].place)
    x, y = _centre((2, 2))
    ax.text(x + 0.1, y - 0.71, "after the last iteration", va="center", fontsize=8)
    ax.text(x - 0.1, y + 0.71, "repeat", va="center", ha="right", fontsize=8)
    looks = [Line2D([], [], color=c, linestyle=dash, lw=2) for c, dash in KINDS.values()]
    ax.legend(looks, KINDS, ncols=len(KINDS), loc="lower center", bbox_to_anchor=(0.5, -0.08))
    ax.set(xlim=(-1.35, 7.25), ylim=(-4.9, 0.55), aspect="equal")
    ax.set_axis_off()
    return figure


def _centre(place: tuple[int, int]) -> tuple[float, float]:
    """Returns the centre of the box at a column and row, in inches."""
    return APART[0] * place[0], -APART[1] * place[1]


def _draw_box(ax: Axes, name: str, step: Step) -> None:
    x, y = _centre(step.place)
    color, dash = KINDS[step.kind]
    corner, shape = (x - WIDTH / 2, y - HEIGHT / 2), "round,pad=0,rounding_size=0.12"
    look = {"facecolor": "white", "edgecolor": color, "linestyle": dash, "linewidth": 2.2}
    ax.add_patch(FancyBboxPatch(corner, WIDTH, HEIGHT, shape, **look))
    words = {"ha": "center", "va": "center"}
    ax.text(x, y + 0.3, f"{name} · {step.title}", weight="bold", fontsize=8.5, **words)
    ax.text(x, y + 0.06, step.function, family="DejaVu Sans Mono", fontsize=8, **words)
    where = f"notebook {step.notebook[:2]}:\n{_short(step.heading)}"
    ax.text(x, y - 0.26, where, fontsize=8, linespacing=1.25, **words)


def _short(heading: str) -> str:
    """Leaves out what comes before the middle dot of a heading; the box has the step already."""
    return heading.split(" · ")[-1]


def _draw_arrow(ax: Axes, start: tuple[int, int], end: tuple[int, int]) -> None:
    """Draws an arrow from the edge of a box to that of a neighbour."""
    (x0, y0), (x1, y1) = _centre(start), _centre(end)
    dx, dy = ((x1 > x0) - (x1 < x0)) * WIDTH / 2, ((y1 > y0) - (y1 < y0)) * HEIGHT / 2
    look = {"arrowstyle": "-|>", "color": INK, "lw": 1.4, "shrinkA": 2, "shrinkB": 2}
    ax.annotate("", (x1 - dx, y1 - dy), (x0 + dx, y0 + dy), arrowprops=look)


def map_table() -> str:
    """Returns the steps as a Markdown table with a link to the section that explains each."""
    rows = ["| step | what happens | in `natlib` | explained in |", "|---|---|---|---|"]
    for name, step in STEPS.items():
        link = f"{step.notebook}.ipynb#{anchor(step.heading)}"
        where = f"[{step.notebook[:2]}: {step.heading}]({link})"
        rows.append(f"| {name} | {step.title} | `{step.function}` | {where} |")
    return "\n".join(rows)


def map_page() -> str:
    """Returns the page `map.md`: the picture, what it says, and the table."""
    times = {name: profile.iterations for name, profile in PROFILES.items()}
    return (
        "# The map of the course\n\n"
        "Neural Architecture Transfer (NAT) on one page. What a step does is explained in the "
        "section that its row links to; the function is the one in natlib that does it.\n\n"
        f"![{ALT}](map.svg)\n\n{map_table()}\n\n"
        f"Steps 2a to 2f repeat, {times['quick']} times with the profile `quick` and "
        f"{times['paper']} times with `paper`. Notebook 05 runs the same loop on the eleven data "
        "sets of the paper. `natlib.surrogate.SURROGATES` has rivals of the RBF ensemble of "
        "step 2a, and the profiles `quick` and `gpu` take one of them, a Gaussian process. The "
        "[glossary](glossary.md) explains the words of the course.\n"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes `map.md` and `map.svg`; see `python -m natlib.course --help`."""
    parser = argparse.ArgumentParser(
        prog="python -m natlib.course", description="Writes the map of the course."
    )
    parser.add_argument("--out", type=Path, default=NOTEBOOKS, help="folder (default: notebooks)")
    folder = parser.parse_args(arguments).out
    write_text(folder / "map.md", map_page())
    about = {"Title": "The map of the course", "Description": ALT, "Date": None, "Creator": None}
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "natlib"}):
        draw_map().savefig(folder / "map.svg.part", format="svg", metadata=about)
    (folder / "map.svg.part").replace(folder / "map.svg")


if __name__ == "__main__":
    main()
