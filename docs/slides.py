"""Makes a deck of slides of each executed notebook, in one file that needs nothing else.

    python -m docs.slides SLIDES EXECUTED/*.ipynb

A cell's metadata say what it is on the slides, as in JupyterLab's property inspector: a *slide*, a
*subslide*, a *fragment* that comes at a click, or *skip*. Three rules keep the slides in size:

- a heading always begins a slide, also within a cell;
- each picture gets a sub-slide, and code that follows a picture begins another one;
- exercises and references are left out.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import nbformat
from nbconvert import SlidesExporter
from nbformat import NotebookNode

from docs.book import without_widgets
from docs.tex import render_math

PICTURE = "picture"  # tag of a cell of which only the picture is shown
DECK = Path(__file__).parent / "deck"
LEFT_OUT = re.compile(r"#+ (exercises|references)\b", re.IGNORECASE)


def arrange(notebook: NotebookNode) -> NotebookNode:
    """Returns a copy of an executed notebook whose cells are the parts of its slides."""
    copy = without_widgets(notebook)
    split = {"markdown": _split_text, "code": _split_code}
    copy.cells = [part for cell in copy.cells for part in split[cell.cell_type](cell)]
    for i, (before, part) in enumerate(pairwise([None, *copy.cells])):
        part.id = f"part-{i}"
        if before and PICTURE in before.metadata.get("tags", []) and part.cell_type == "code":
            part.metadata.slideshow.slide_type = "subslide"
    return copy


def slide_type(cell: NotebookNode) -> str:
    """Returns what a cell is on the slides, `"-"` if it goes on where the last one ended."""
    return cell.metadata.get("slideshow", {}).get("slide_type", "-")


def _split_text(cell: NotebookNode) -> list[NotebookNode]:
    sections = re.split(r"^(?=#{1,3} )", cell.source, flags=re.MULTILINE)
    return [
        _part(cell, "slide" if text.startswith("#") else slide_type(cell), source=render_math(text))
        for text in sections
        if text.strip() and not LEFT_OUT.match(text)
    ]


def _split_code(cell: NotebookNode) -> list[NotebookNode]:
    kind = slide_type(cell)
    if kind == "skip":
        return []
    pictures = [output for output in cell.outputs if "image/png" in output.get("data", {})]
    others = [output for output in cell.outputs if output not in pictures]
    return [
        _part(cell, kind, outputs=others),
        *(_part(cell, "subslide", [PICTURE], outputs=[picture]) for picture in pictures),
    ]


def _part(cell: NotebookNode, kind: str, tags: Sequence[str] = (), **changes) -> NotebookNode:
    part = nbformat.from_dict({**cell, **changes})
    part.metadata = nbformat.from_dict({"slideshow": {"slide_type": kind}, "tags": list(tags)})
    return part


def make_deck(notebook: Path, folder: Path) -> Path:
    """Writes the deck of one executed notebook.

    Args:
        notebook: The executed copy.
        folder: Where `NAME.html` goes.

    Returns:
        The deck.
    """
    parts = {
        "reveal_css": "reveal/reveal.css",
        "reveal_js": "reveal/reveal.js",
        "css": "deck.css",
        "js": "deck.js",
    }
    deck = {name: (DECK / file).read_text() for name, file in parts.items()}
    exporter = SlidesExporter(template_name="deck", extra_template_basedirs=[str(DECK.parent)])
    resources = {"deck": deck, "metadata": {"name": notebook.stem}}
    html, _ = exporter.from_notebook_node(
        arrange(nbformat.read(notebook, as_version=4)), resources=resources
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{notebook.stem}.html"
    path.with_suffix(".tmp").write_text(html)
    return path.with_suffix(".tmp").replace(path)


def main(arguments: list[str]) -> None:
    """Makes the decks of all notebooks named after the folder."""
    for notebook in map(Path, arguments[1:]):
        path = make_deck(notebook, Path(arguments[0]))
        print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main(sys.argv[1:])
