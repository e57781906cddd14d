"""Makes a deck of slides of each executed notebook, in one file that needs nothing else.

    python -m docs.slides SLIDES EXECUTED/*.ipynb

A cell's metadata say what it is on the slides, as in JupyterLab's property inspector: a *slide*, a
*subslide*, a *fragment* that comes at a click, or *skip*. Five rules keep the slides in size:

- a heading always begins a slide, also within a cell;
- a fragment of text is one paragraph, and what follows it begins a sub-slide;
- each picture gets a sub-slide, and so does an explorer;
- code begins a sub-slide after a picture, and where it does not fit below what is there;
- exercises, references and the quiz are left out.

Links to other notebooks lead to their decks; links to other files of the project are left out.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

import nbformat
from nbconvert import SlidesExporter
from nbformat import NotebookNode

from docs.book import without_widgets
from docs.tex import render_math

LINES = 19  # of text that fit on a slide
PICTURE = "picture"  # tag of a cell of which only the picture is shown
EXPLORER = '<div id="natlib-'  # in its HTML
DECK = Path(__file__).parent / "deck"
LINK = re.compile(r"(?<!!)\[(?P<text>[^\]]+)\]\((?!https?:)(?P<target>[^)]+)\)")  # to a file
LEFT_OUT = re.compile(r"#+ (exercises|references|quiz)\b", re.IGNORECASE)


def arrange(notebook: NotebookNode) -> NotebookNode:
    """Returns a copy of an executed notebook whose cells are the parts of its slides."""
    copy = without_widgets(notebook)
    split = {"markdown": _split_text, "code": _split_code}
    copy.cells = [part for cell in copy.cells for part in split[cell.cell_type](cell)]
    _break_full_slides(copy.cells)
    for i, part in enumerate(copy.cells):
        part.id = f"part-{i}"
    return copy


def _break_full_slides(parts: list[NotebookNode]) -> None:
    """Makes those parts with code sub-slides that would not fit below what is there."""
    room = LINES
    for part in parts:
        if slide_type(part) in ("slide", "subslide"):
            room = LINES
        elif part.cell_type == "code" and _lines(part) > room:
            part.metadata.slideshow.slide_type = "subslide"
            room = LINES
        room = 0 if PICTURE in part.metadata.tags else room - _lines(part)


def _lines(part: NotebookNode) -> float:
    """Returns about how many lines of text are as high as a part of a slide."""
    if part.cell_type == "markdown":
        return sum(len(text) / 85 + 1.5 for text in part.source.split("\n\n"))
    data = [output.get("data", {"text/plain": output.get("text", "")}) for output in part.outputs]
    texts = [bundle.get("text/html") or bundle.get("text/plain", "") for bundle in data]
    rows = [text.count("<tr") or text.count("\n") + 1 for text in texts]
    return 0.7 * (len(part.source.splitlines()) + sum(rows)) + 1.5


def slide_type(cell: NotebookNode) -> str:
    """Returns what a cell is on the slides, `"-"` if it goes on where the last one ended."""
    return cell.metadata.get("slideshow", {}).get("slide_type", "-")


def _split_text(cell: NotebookNode) -> list[NotebookNode]:
    parts = []
    for text in re.split(r"^(?=#{1,3} )", cell.source, flags=re.MULTILINE):
        kind = "slide" if text.startswith("#") else slide_type(cell)
        if kind == "fragment":
            first, _, rest = text.strip().partition("\n\n")
            parts += [(first, kind), (rest, "subslide")]
        elif not LEFT_OUT.match(text):
            parts.append((text, kind))
    return [
        _part(cell, kind, source=render_math(_to_decks(text)))
        for text, kind in parts
        if text.strip()
    ]


def _to_decks(text: str) -> str:
    def replace(link: re.Match) -> str:
        name = re.fullmatch(r"(\w+)\.ipynb(#.*)?", link["target"])
        return f"[{link['text']}]({name[1]}.html)" if name else link["text"]

    return LINK.sub(replace, text)


def _split_code(cell: NotebookNode) -> list[NotebookNode]:
    kind = slide_type(cell)
    if kind == "skip":
        return []
    pictures = [output for output in cell.outputs if _stands_alone(output.get("data", {}))]
    others = [output for output in cell.outputs if output not in pictures]
    return [
        _part(cell, kind, outputs=others),
        *(_part(cell, "subslide", [PICTURE], outputs=[picture]) for picture in pictures),
    ]


def _stands_alone(data: dict) -> bool:
    """Says whether an output is a picture, the source of a function, or an explorer."""
    is_picture = any(kind.startswith(("image/", "text/markdown")) for kind in data)
    return is_picture or EXPLORER in data.get("text/html", "")


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
    deck = {name: (DECK / file).read_text("utf-8") for name, file in parts.items()}
    exporter = SlidesExporter(
        template_name="deck",
        extra_template_basedirs=[str(DECK.parent)],
        exclude_anchor_links=True,
    )
    resources = {"deck": deck, "metadata": {"name": notebook.stem}}
    html, _ = exporter.from_notebook_node(
        arrange(nbformat.read(notebook, as_version=4)), resources=resources
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{notebook.stem}.html"
    path.with_suffix(".tmp").write_text(html, "utf-8")
    return path.with_suffix(".tmp").replace(path)


def main(arguments: list[str]) -> None:
    """Makes the decks of all notebooks named after the folder."""
    for notebook in map(Path, arguments[1:]):
        path = make_deck(notebook, Path(arguments[0]))
        print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main(sys.argv[1:])
