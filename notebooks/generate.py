"""Generates the exercises, and the solutions' notebooks, from the scripts in `solutions/`.

A script in `solutions/` is the only source of two notebooks. The solution notebook holds all its
cells. The exercise notebook leaves out the cells with the tag `solution`, puts an empty cell where
code is left out that no stub stands for, and folds the cells with the tag `hint`. The id of a cell
follows from what it holds, so generating again changes nothing.

    python notebooks/generate.py
"""

from __future__ import annotations

import copy
import hashlib
import re
from collections import Counter
from pathlib import Path

import jupytext
import nbformat
from nbconvert.preprocessors import TagRemovePreprocessor
from nbformat import NotebookNode

from natlib.data import write_text

SOLUTIONS = Path(__file__).parent / "solutions"
EXERCISES = Path(__file__).parent / "exercises"
HEADING = re.compile(r"^## Exercise (?P<number>\d+) · (?P<title>.+) \((?P<minutes>\d+) minutes\)$")
HINT = "**Hint.** "
BLANK = "# your code here"
FOLDED = "<details><summary>Hint {number}</summary>\n\n{text}\n\n</details>"
PAIRED = {"notebook_metadata_filter": "kernelspec,-jupytext"}  # as jupytext writes it


def scripts() -> list[Path]:
    """Returns the scripts with solutions, in the order of the course."""
    return sorted(SOLUTIONS.glob("[0-9]*.py"))


def tags(cell: NotebookNode) -> list[str]:
    """Returns the tags of a cell."""
    return cell.metadata.get("tags", [])


def heading(cell: NotebookNode) -> re.Match | None:
    """Returns the match of `HEADING` where a cell begins an exercise, else None."""
    is_text = cell.cell_type == "markdown" and cell.source.startswith("## Exercise")
    return HEADING.match(cell.source.splitlines()[0]) if is_text else None


def to_solution(script: Path) -> NotebookNode:
    """Returns the notebook of a script in `solutions/` with all its cells."""
    notebook = jupytext.read(script)
    metadata = {"jupytext": PAIRED, "kernelspec": notebook.metadata["kernelspec"]}
    notebook.metadata = nbformat.from_dict(metadata)
    return _with_stable_ids(notebook)


def to_exercise(solution: NotebookNode) -> NotebookNode:
    """Returns the notebook that a learner opens: without solutions, hints folded and numbered.

    Args:
        solution: The notebook that `to_solution` returned; it is left as it is.
    """
    notebook = copy.deepcopy(solution)
    notebook.metadata.pop("jupytext")
    _leave_places(notebook.cells)
    notebook, _ = TagRemovePreprocessor(remove_cell_tags={"solution"}).preprocess(notebook, {})
    number = 0
    for cell in notebook.cells:
        number = 0 if heading(cell) else number
        if "hint" in tags(cell):
            number += 1
            cell.source = FOLDED.format(number=number, text=cell.source.removeprefix(HINT))
    return _with_stable_ids(notebook)


def _leave_places(cells: list[NotebookNode]) -> None:
    """Makes the first cell of each solution's code a blank one, where no stub stands for it."""
    has_place = True
    for cell in cells:
        if "solution" not in tags(cell):
            has_place = bool({"stub", "hint"} & set(tags(cell)))
        elif cell.cell_type == "code" and not has_place:
            has_place, cell.source, cell.metadata = True, BLANK, NotebookNode()


def _with_stable_ids(notebook: NotebookNode) -> NotebookNode:
    """Gives each cell an id that follows from its content; equal cells are counted."""
    seen: Counter[str] = Counter()
    for cell in notebook.cells:
        digest = hashlib.sha1(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:12]
        seen[digest] += 1
        cell.id = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    nbformat.validate(notebook)
    return notebook


def main() -> None:
    """Writes the notebooks of all solutions and exercises; what is in step stays as it is."""
    for script in scripts():
        solution = to_solution(script)
        exercise = to_exercise(solution)
        for folder, notebook in ((SOLUTIONS, solution), (EXERCISES, exercise)):
            path, text = folder / f"{script.stem}.ipynb", nbformat.writes(notebook) + "\n"
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                write_text(path, text)
        print(f"{script.stem}: solutions and exercises are in step")


if __name__ == "__main__":
    main()
