"""Gathers the pages of the book: executed notebooks and the project's texts, in one folder.

    python -m docs.book EXECUTED SLIDES BOOK

reads the executed copies of the notebooks from `EXECUTED` and the slides from `SLIDES`. It writes
what Sphinx makes into pages to `BOOK/pages`, and what it only copies to `BOOK/extra`. Texts keep
their places in the project, so that their links to each other hold.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import nbformat
from nbformat import NotebookNode

ROOT = Path(__file__).parents[1]
WIDGET = "application/vnd.jupyter.widget-view+json"
TEXTS = {
    "To look up": ["notebooks/map.md", "notebooks/glossary.md"],
    "For instructors": ["notebooks/instructor.md"],
    "About": ["docs/colab.md", "data/README.md", "benchmarks/RESULTS.md", "CONTRIBUTING.md"],
}
# What the texts show or link to besides.
FILES = ["LICENSE", "CITATION.cff", "docs/explorer.png", "notebooks/map.svg"]
CHAPTERS = {
    "The course": "notebooks",
    "Exercises": "notebooks/exercises",
    "Solutions": "notebooks/solutions",
}


def anchor(heading: str) -> str:
    """Returns the anchor of a heading as JupyterLab makes it, so that links hold in both."""
    return heading.replace(" ", "-")


def without_widgets(notebook: NotebookNode) -> NotebookNode:
    """Returns a copy without what needs a kernel; explorers stay, and pictures beside widgets."""
    copy = nbformat.from_dict(notebook)
    copy.metadata.pop("widgets", None)
    for cell in copy.cells:
        if cell.cell_type == "code":
            cell.outputs = [out for out in cell.outputs if WIDGET not in out.get("data", {})]
    return copy


def gather(executed: Path, slides: Path, book: Path) -> None:
    """Writes the source folder.

    Args:
        executed: Executed copies, in the same subfolders as below `notebooks/`. The exercises,
            which have gaps, are taken as they are.
        slides: A deck `NAME.html` for some of the notebooks.
        book: The folder to make; what it held before is removed.

    Raises:
        FileNotFoundError: If a notebook has no executed copy.
    """
    shutil.rmtree(book, ignore_errors=True)
    pages, chapters = book / "pages", {}
    for chapter, folder in CHAPTERS.items():
        notebooks = sorted((ROOT / folder).glob("[0-9]*.ipynb"))
        for notebook in notebooks:
            _gather_notebook(notebook, executed, slides, book)
        chapters[chapter] = [str(path.relative_to(ROOT).with_suffix("")) for path in notebooks]
    for chapter, names in TEXTS.items():
        present = [name for name in names if (ROOT / name).exists()]
        for name in present:
            _write(pages / name, _to_index((ROOT / name).read_text()))
        chapters[chapter] = [name.removesuffix(".md") for name in present]
    for name in filter(lambda name: (ROOT / name).exists(), FILES):
        (pages / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, pages / name)
    index = (ROOT / "README.md").read_text() + "".join(map(_toctree, chapters.items()))
    _write(pages / "index.md", index)


def _gather_notebook(path: Path, executed: Path, slides: Path, book: Path) -> None:
    place = path.relative_to(ROOT / "notebooks")
    source = path if place.parts[0] == "exercises" else executed / place
    if not source.exists():
        raise FileNotFoundError(f"There is no executed copy {source}: 'make site' makes it.")
    notebook = without_widgets(nbformat.read(source, as_version=4))
    folder = Path("files") / place.parent
    links = [
        _link("script", path.with_suffix(".py"), folder, place, book),
        _link("notebook", path, folder, place, book),
    ]
    if place.parent == Path("."):
        links.append(_link("slides", slides / f"{path.stem}.html", Path("slides"), place, book))
    title, _, rest = notebook.cells[0].source.partition("\n")
    if place.parts[0] == "solutions":
        title = title.replace(": exercises", ": solutions")
    line = f'<p class="files">This page as {", ".join(filter(None, links))}</p>'
    notebook.cells[0].source = f"{title}\n\n{line}\n{rest}"
    target = book / "pages" / "notebooks" / place
    target.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, target)


def _link(name: str, file: Path, folder: Path, place: Path, book: Path) -> str:
    """Copies a file, if it exists, into a folder of the site; returns the link from a page."""
    if not file.exists():
        return ""
    (book / "extra" / folder).mkdir(parents=True, exist_ok=True)
    shutil.copy(file, book / "extra" / folder / file.name)
    href = "../" * len(place.parts) + str(folder / file.name)
    return f'<a href="{href}"{"" if name == "slides" else " download"}>{name}</a>'


def _to_index(text: str) -> str:
    """Links to the project's README become links to the front page."""
    return re.sub(r"\]\(((?:\.\./)+)README\.md", r"](\1index.md", text)


def _toctree(chapter: tuple[str, list[str]]) -> str:
    caption, names = chapter
    if not names:
        return ""
    return "\n```{toctree}\n:hidden:\n:caption: " + caption + "\n\n" + "\n".join(names) + "\n```\n"


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


if __name__ == "__main__":
    gather(*map(Path, sys.argv[1:4]))
