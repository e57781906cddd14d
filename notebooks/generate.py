"""Generates the notebooks of lessons, solutions and exercises from the scripts.

A script in `solutions/` is the only source of two notebooks. The solution notebook holds all its
cells. The exercise notebook leaves out the cells with the tag `solution`, puts an empty cell where
code is left out that no stub stands for, and folds the cells with the tag `hint`. There the cells of
an answer and its check also carry the id of their exercise, such as "03.2", or "04.5a" where it has
several checks; the check carries its points, too: one for five minutes, unless its cell in the script
says `points=3`. The id of a cell itself follows from what it holds, so generating again changes
nothing. A notebook keeps a digest of what was generated: one that somebody has edited since is never
overwritten.

    python notebooks/generate.py
"""

from __future__ import annotations

import copy
import hashlib
import re
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import jupytext
import nbformat
from nbconvert.preprocessors import TagRemovePreprocessor
from nbformat import NotebookNode

from natlib.data import write_text

NOTEBOOKS = Path(__file__).parent
SOLUTIONS = NOTEBOOKS / "solutions"
EXERCISES = NOTEBOOKS / "exercises"
HEADING = re.compile(r"^## Exercise (?P<number>\d+) · (?P<title>.+) \((?P<minutes>\d+) minutes\)$")
TITLE = re.compile(r"# (\d+) · ")  # of a notebook with exercises
HINT = "**Hint.** "
BLANK = "# your code here"
FOLDED = "<details><summary>Hint {number}</summary>\n\n{text}\n\n</details>"


def scripts() -> list[Path]:
    """Returns the scripts with solutions, in the order of the course; a hand-out has none."""
    return sorted(SOLUTIONS.glob("[0-9]*.py"))


def tags(cell: NotebookNode) -> list[str]:
    """Returns the tags of a cell."""
    return cell.metadata.get("tags", [])


def heading(cell: NotebookNode) -> re.Match | None:
    """Returns the match of `HEADING` where a cell begins an exercise, else None."""
    is_text = cell.cell_type == "markdown" and cell.source.startswith("## Exercise")
    return HEADING.match(cell.source.splitlines()[0]) if is_text else None


def to_notebook(script: Path) -> NotebookNode:
    """Returns the notebook of a script with all its cells."""
    notebook = jupytext.read(script)
    notebook.metadata = nbformat.from_dict({"kernelspec": notebook.metadata["kernelspec"]})
    return finish(notebook)


def to_exercise(solution: NotebookNode) -> NotebookNode:
    """Returns the notebook that a learner opens: without solutions, hints folded and numbered.

    Args:
        solution: The notebook that `to_notebook` returned; it is left as it is.
    """
    notebook = copy.deepcopy(solution)
    _leave_places(notebook.cells)
    notebook, _ = TagRemovePreprocessor(remove_cell_tags={"solution"}).preprocess(notebook, {})
    number = 0
    for cell in notebook.cells:
        number = 0 if heading(cell) else number
        if "hint" in tags(cell):
            number += 1
            cell.source = FOLDED.format(number=number, text=cell.source.removeprefix(HINT))
    _give_points(notebook.cells)
    return finish(notebook)


def _give_points(cells: list[NotebookNode]) -> None:
    """Gives answers and checks the id of their exercise, and checks their points."""
    title = TITLE.match(cells[0].source) if cells else None
    begins = [i for i, cell in enumerate(cells) if title and heading(cell)]
    for begin, end in pairwise([*begins, len(cells)]):
        match, checks = heading(cells[begin]), [c for c in cells[begin:end] if "check" in tags(c)]
        points = max(1, round(int(match["minutes"]) / 2.5 / max(1, len(checks)))) / 2
        before = 0  # checks
        for cell in cells[begin:end]:
            if {"stub", "check"} & set(tags(cell)):
                letter = "abcdefgh"[before] if len(checks) > 1 else ""
                cell.metadata["exercise"] = f"{int(title[1]):02d}.{match['number']}{letter}"
            if "check" in tags(cell):
                cell.metadata.setdefault("points", int(points) if points % 1 == 0 else points)
                before += 1


def _leave_places(cells: list[NotebookNode]) -> None:
    """Makes the first cell of each solution's code a blank one, where no stub stands for it."""
    has_place = True
    for cell in cells:
        if "solution" not in tags(cell):
            has_place = bool({"stub", "hint"} & set(tags(cell)))
        elif cell.cell_type == "code" and not has_place:
            has_place, cell.source, cell.metadata = True, BLANK, NotebookNode()


def finish(notebook: NotebookNode) -> NotebookNode:
    """Gives each cell an id that follows from its content, equal ones counted; adds the digest."""
    seen: Counter[str] = Counter()
    for cell in notebook.cells:
        name = hashlib.sha1(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:12]
        seen[name] += 1
        cell.id = name if seen[name] == 1 else f"{name}-{seen[name]}"
    notebook.metadata["natlib"] = {"generated": digest(notebook)}
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    nbformat.validate(notebook)
    return notebook


def digest(notebook: NotebookNode) -> str:
    """Returns a digest of what somebody may have written: texts and code, not outputs."""
    content = [(cell.cell_type, cell.source) for cell in notebook.cells]
    return hashlib.sha256(repr(content).encode()).hexdigest()


def is_edited(path: Path, new: NotebookNode) -> bool:
    """Says whether a notebook holds what was not generated, and would be lost to the new one."""
    if not path.exists():
        return False
    there = nbformat.read(path, as_version=4)
    known = {there.metadata.get("natlib", {}).get("generated"), digest(new)}
    return digest(there) not in known


def generated() -> dict[Path, NotebookNode]:
    """Returns all that is generated: the notebooks of lessons, solutions and exercises."""
    lessons = sorted(NOTEBOOKS.glob("[0-9]*.py"))
    found = {script.with_suffix(".ipynb"): to_notebook(script) for script in lessons + scripts()}
    solutions = {path: found[path] for path in found if path.parent == SOLUTIONS}
    return found | {EXERCISES / path.name: to_exercise(solutions[path]) for path in solutions}


def main() -> int:
    """Writes what is out of step, unless a notebook was edited; returns 1 if one was, else 0."""
    new = generated()
    if edited := [path for path in new if is_edited(path, new[path])]:
        for path in edited:
            advice = "move it away, or take the edit over into the script"
            print(f"{path} was edited since it was generated, so nothing was written: {advice}.")
        return 1
    for path, notebook in new.items():
        text = nbformat.writes(notebook) + "\n"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            write_text(path, text)
    print(f"{len(new)} notebooks are in step with their scripts.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
