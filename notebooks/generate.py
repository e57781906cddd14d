"""Generates the exercises, and the solutions' notebooks, from the scripts in `solutions/`.

A script in `solutions/` is the only source of two notebooks. The solution notebook holds all its
cells. The exercise notebook leaves out the cells with the tag `solution`, puts an empty cell where
code is left out that no stub stands for, and folds the cells with the tag `hint`. The id of a cell follows from what it holds, so generating again changes nothing.

    python notebooks/generate.py
"""

from __future__ import annotations

import copy
import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import jupytext
import nbformat
from nbformat import NotebookNode

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
    """Returns the notebook of a script with all its cells.

    Args:
        script: A percent script in `solutions/`.
    """
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
    notebook.cells = list(_without_solutions(notebook.cells))
    number = 0
    for cell in notebook.cells:
        number = 0 if heading(cell) else number
        if "hint" in tags(cell):
            number += 1
            cell.source = FOLDED.format(number=number, text=cell.source.removeprefix(HINT))
    return _with_stable_ids(notebook)


def _without_solutions(cells: list[NotebookNode]) -> Iterator[NotebookNode]:
    """Yields all cells but solutions, and a blank one for each run of code that has no stub."""
    has_place = True
    for cell in cells:
        if "solution" not in tags(cell):
            has_place = bool({"stub", "hint"} & set(tags(cell)))
            yield cell
        elif cell.cell_type == "code" and not has_place:
            has_place = True
            yield nbformat.v4.new_code_cell(BLANK)


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


def _write(notebook: NotebookNode, path: Path) -> None:
    """Writes a notebook under a temporary name and renames it; one in step stays as it is."""
    text = nbformat.writes(notebook) + "\n"
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def main() -> None:
    """Writes the notebooks of all solutions and exercises."""
    for script in scripts():
        solution = to_solution(script)
        _write(solution, script.with_suffix(".ipynb"))
        _write(to_exercise(solution), EXERCISES / f"{script.stem}.ipynb")
        print(f"{script.stem}: solutions and exercises are in step")


if __name__ == "__main__":
    main()
