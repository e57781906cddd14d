"""Makes a folder for a class: the project without solutions, and without links to them.

    python -m natlib handout FOLDER
    python -m natlib handout FOLDER --executed

Everything else works in the folder as it does here. Exercises are generated anew, so that no answer
of the lecturer's stays in them. Executed copies in `build/notebooks` come along if asked for.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from docs.pages import make_page
from natlib.data import write_text
from notebooks import execute, generate

ROOT = Path(__file__).parents[1]
LEFT_OUT = ("notebooks/solutions", "notebooks/instructor.md", "tests/checks")
# A link, and a clause that says nothing but where it leads (`#` begins a script's line of text).
_LINK = r"\[(?P<text>[^\[\]]+)\]\((?P<target>[^()\s#]+)(?:#[^()\s]*)?\)"
LINK, CLAUSE = re.compile(_LINK), re.compile(rf"[.;][\s#]+(?:The[\s#]+)?{_LINK}[^.;\[\]]*\.")


def files() -> list[Path]:
    """Returns the files of the project, relative to its folder, that belong to a hand-out."""
    if (ROOT / ".git").exists():
        listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        done = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True)
        found = [Path(name) for name in done.stdout.split("\0") if name]
    else:
        found = sorted(path.relative_to(ROOT) for path in _walk(ROOT))
    return [path for path in found if (ROOT / path).is_file() and not is_left_out(path)]


def _walk(folder: Path) -> Iterator[Path]:
    """Yields files; passes over what git would ignore, and over environments."""
    lines = (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    for path in folder.iterdir():
        if path.is_file():
            yield path
        elif not any(fnmatch(path.name, line.rstrip("/")) for line in [*lines, ".git"]):
            if not (path / "pyvenv.cfg").exists():
                yield from _walk(path)


def is_left_out(path: Path) -> bool:
    """Says whether a hand-out lacks a file, given relative to the project's folder."""
    return any(path.is_relative_to(place) for place in LEFT_OUT)


def without_dead_links(text: str, path: Path) -> str:
    """Replaces links to what is left out by their words; clauses that only point there go.

    Args:
        text: Markdown, or a script with Markdown in it.
        path: Where it stands, relative to the project's folder.
    """

    def is_dead(link: re.Match) -> bool:
        target = (ROOT / path.parent / link["target"]).resolve()
        return target.is_relative_to(ROOT) and is_left_out(target.relative_to(ROOT))

    text = CLAUSE.sub(lambda link: "." if is_dead(link) else link[0], text)
    return LINK.sub(lambda link: link["text"] if is_dead(link) else link[0], text)


def cleaned(notebook: NotebookNode, path: Path) -> NotebookNode:
    """Returns a notebook of the project's, or an executed copy of one, as a hand-out holds it."""
    script = generate.SOLUTIONS / f"{path.stem}.py"
    if path.parent.name == "exercises" and script.exists():
        notebook = generate.to_exercise(generate.to_notebook(script))
    for cell in notebook.cells:
        cell.source = without_dead_links(cell.source, path)
    return generate.finish(notebook)


def copy(path: Path, folder: Path) -> None:
    """Copies one file of the project, given relative to its folder, without dead links."""
    source, target = ROOT / path, folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".ipynb":
        notebook = cleaned(nbformat.read(source, as_version=4), path)
        write_text(target, nbformat.writes(notebook) + "\n")
    elif path.suffix == ".md" or (path.suffix == ".py" and path.parent.name == "notebooks"):
        write_text(target, without_dead_links(source.read_text(encoding="utf-8"), path))
    else:
        shutil.copy2(source, target)


def copy_executed(path: Path, folder: Path) -> None:
    """Copies the executed copy of a lesson, and makes the page of it anew.

    Raises:
        FileNotFoundError: If the lesson was not executed since it changed.
    """
    source, target = execute.EXECUTED / path.name, folder / "build" / "notebooks" / path.name
    if not source.exists() or source.stat().st_mtime < path.stat().st_mtime:
        advice = f"run 'python -m natlib notebooks {path.stem}' first"
        raise FileNotFoundError(f"{path.name} was not executed since it changed: {advice}.")
    notebook = cleaned(nbformat.read(source, as_version=4), path.relative_to(ROOT))
    make_page(notebook, target.with_suffix(".html"))
    write_text(target, nbformat.writes(notebook) + "\n")


def make(folder: Path, executed: bool = False) -> None:
    """Writes the hand-out.

    Args:
        folder: The folder to make; if it exists, it is empty.
        executed: Whether executed copies of the lessons come along.

    Raises:
        FileExistsError: If the folder holds something already.
        FileNotFoundError: If a lesson was not executed since it changed.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder} holds something already: name a new folder.")
    part, found = folder.with_name(folder.name + ".part"), files()
    shutil.rmtree(part, ignore_errors=True)
    for path in found:
        copy(path, part)
    for path in sorted(generate.NOTEBOOKS.glob("[0-9]*.ipynb")) if executed else ():
        copy_executed(path, part)
    if folder.exists():
        folder.rmdir()
    part.rename(folder)


def main(arguments: Sequence[str]) -> None:
    """Makes the hand-out that the command line asks for."""
    description = "Makes a folder for a class: the project without solutions and without answers."
    parser = argparse.ArgumentParser(prog="python -m natlib handout", description=description)
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="a new folder")
    parser.add_argument("--executed", action="store_true",
        help="with the executed copies of the lessons, which 'python -m natlib notebooks' makes"
    )  # fmt: skip
    chosen = parser.parse_args(arguments)
    make(chosen.folder.absolute(), chosen.executed)
    print(f"{chosen.folder} holds the course for a class: {', '.join(LEFT_OUT)} are left out.")
