"""Every notebook keeps to the course's template and holds the same cells as its script."""

import ast
import copy
import re
from pathlib import Path

import jupytext
import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

ROOT = Path(__file__).parents[1]
NOTEBOOKS = ROOT / "notebooks"
NAMES = sorted({path.stem for end in ("py", "ipynb") for path in NOTEBOOKS.glob(f"[0-9]*.{end}")})
SECTIONS = ("you will be able to", "what we simplified", "recap", "exercises", "references")
MAX_CELLS = 40
MAX_SETUP_LINES = 8
MAX_CODE_LINES = 16


def pairing_problems(script: NotebookNode, notebook: NotebookNode) -> list[str]:
    """Says where a script and its notebook differ, and what the notebook should not hold."""
    problems = []
    if len(script.cells) != len(notebook.cells):
        problems.append(f"the script has {len(script.cells)} cells, not {len(notebook.cells)}")
    for i, (ours, theirs) in enumerate(zip(script.cells, notebook.cells, strict=False)):
        if _content(ours) != _content(theirs):
            problems.append(f"cell {i} differs from the script's: run 'make pair'")
    for i, cell in _code_cells(notebook):
        if cell.outputs or cell.execution_count is not None:
            problems.append(f"cell {i} holds outputs or a count: run 'make pair'")
    if notebook.metadata.get("kernelspec", {}).get("name") != "python3":
        problems.append("the kernel is not python3: give the script's header a kernelspec")
    return problems


def template_problems(notebook: NotebookNode) -> list[str]:
    """Says where a notebook departs from the template of the course."""
    return [
        *_title_problems(notebook.cells[0]),
        *_section_problems(notebook),
        *_size_problems(notebook),
        *(p for i, cell in _code_cells(notebook) for p in _code_problems(i, cell.source)),
    ]


def figures_without_alt_text(executed: NotebookNode) -> list[str]:
    """Names the cells that show a picture whose metadata hold no text for those who cannot see it.

    The text is where nbconvert looks for it: `alt` in the metadata of the output's `image/png`, as
    `display(figure, metadata={"image/png": {"alt": ...}})` puts it there, or of the cell.
    """
    problems = []
    for i, cell in _code_cells(executed):
        for output in cell.outputs:
            pictures = [kind for kind in output.get("data", {}) if kind.startswith("image/")]
            texts = [output.metadata.get(kind, {}).get("alt") for kind in pictures]
            if pictures and not any(texts) and not cell.metadata.get("alt"):
                problems.append(f"cell {i} shows a picture without alt text")
            html = "".join(output.get("data", {}).get("text/html", ""))
            if any("alt=" not in tag for tag in re.findall(r"<img\b[^>]*>", html)):
                problems.append(f"cell {i} shows HTML with a picture without alt text")
    return problems


def _content(cell: NotebookNode) -> tuple:
    return cell.cell_type, cell.source, *map(cell.metadata.get, ("tags", "alt", "slideshow"))


def _code_cells(notebook: NotebookNode) -> list[tuple[int, NotebookNode]]:
    return [(i, cell) for i, cell in enumerate(notebook.cells) if cell.cell_type == "code"]


def _title_problems(cell: NotebookNode) -> list[str]:
    if cell.cell_type != "markdown" or not cell.source.startswith("# "):
        return ["the first cell is not a title"]
    line = next((line for line in cell.source.splitlines() if "laptop" in line), "")
    if not re.search(r"\d.*minute", line) or not re.search(r"CPU|GPU", line):
        return ["the title cell has no line with the minutes on a laptop, and CPU or GPU"]
    return []


def _section_problems(notebook: NotebookNode) -> list[str]:
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    openings = [line.lower() for line in text.splitlines() if re.match(r"#+ |\*", line)]
    missing = [name for name in SECTIONS if not any(name in line for line in openings)]
    return [f"there is no section '{name}'" for name in missing]


def _size_problems(notebook: NotebookNode) -> list[str]:
    problems = []
    if len(notebook.cells) > MAX_CELLS:
        problems.append(f"there are {len(notebook.cells)} cells, more than {MAX_CELLS}")
    limits = [MAX_SETUP_LINES] + [MAX_CODE_LINES] * len(notebook.cells)
    for limit, (i, cell) in zip(limits, _code_cells(notebook), strict=False):
        lines = len(cell.source.splitlines())
        if lines > limit:
            problems.append(f"cell {i} has {lines} lines of code, more than {limit}")
    return problems


def _code_problems(i: int, source: str) -> list[str]:
    problems = []
    if re.search(r"\bif\b.*\bquick\b|NATLIB_PROFILE['\")\]\s]*[=!]=", source):
        problems.append(f"cell {i} branches on the profile: put the number into natlib.profiles")
    code = re.sub(r"^\s*[%!].*$", "", source, flags=re.MULTILINE)
    if any(isinstance(node, ast.Assert) and not node.msg for node in ast.walk(ast.parse(code))):
        problems.append(f"cell {i} asserts without saying what to do when it fails")
    return problems


@pytest.mark.parametrize("name", NAMES)
def test_pairing(name):
    script, notebook = NOTEBOOKS / f"{name}.py", NOTEBOOKS / f"{name}.ipynb"
    assert script.is_file() and notebook.is_file(), "a notebook is a pair: run 'make pair'"
    found = nbformat.read(notebook, as_version=4)
    nbformat.validate(found)
    assert not pairing_problems(jupytext.read(script), found)


FIRST = re.compile(r"# If this fails, .* README\.md .*\n(from|import) natlib\b")


@pytest.mark.parametrize("folder", ["", "exercises", "solutions"])
@pytest.mark.parametrize("name", NAMES)
def test_first_cell_says_what_to_do_where_natlib_is_missing(name, folder):
    path = NOTEBOOKS / folder / f"{name}.ipynb"
    if not path.exists():
        pytest.skip("a hand-out has no solutions")
    _, cell = _code_cells(nbformat.read(path, as_version=4))[0]
    assert FIRST.match(cell.source)


@pytest.mark.parametrize("name", NAMES)
def test_template(name):
    assert not template_problems(jupytext.read(NOTEBOOKS / f"{name}.py"))


@pytest.mark.parametrize("name", NAMES)
def test_alt_text(name):
    notebook = NOTEBOOKS / f"{name}.ipynb"
    executed = ROOT / "build" / "notebooks" / notebook.name
    if not executed.exists() or executed.stat().st_mtime < notebook.stat().st_mtime:
        pytest.skip("there is no executed copy of this notebook: 'make notebooks' makes one")
    assert not figures_without_alt_text(nbformat.read(executed, as_version=4))


# The checks themselves are tested on a small notebook, first as it should be, then spoilt.


@pytest.fixture
def good() -> NotebookNode:
    cells = [
        new_markdown_cell("# A lesson\n\nAbout 2 minutes on a laptop, CPU"),
        new_markdown_cell("**You will be able to**\n\n- count"),
        new_code_cell("import numpy as np"),
        new_code_cell("%time x = 1\nassert x == 1, 'x is one: run the cell above again'"),
        new_markdown_cell("## What we simplified\n\n## Recap\n\n## Exercises\n\n## References"),
    ]
    kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernelspec})


def test_checks_accept_a_good_notebook(good):
    assert not template_problems(good)
    assert not pairing_problems(copy.deepcopy(good), good)


@pytest.mark.parametrize(
    ("cell", "source", "problem"),
    [
        (0, "A lesson", "not a title"),
        (0, "# A lesson\n\nshort, CPU", "minutes on a laptop"),
        (0, "# A lesson\n\n2 minutes on a laptop", "CPU or GPU"),
        (1, "You will be able to count", "no section 'you will be able to'"),
        (4, "## Recap\n\n## Exercises\n\n## References", "no section 'what we simplified'"),
        (2, "x = 1\n" * 9, "9 lines of code, more than 8"),
        (3, "x = 1\n" * 17, "17 lines of code, more than 16"),
        (3, "if quick:\n    pass", "branches on the profile"),
        (3, "import os\nbig = os.environ['NATLIB_PROFILE'] == 'gpu'", "branches on the profile"),
        (3, "assert True", "asserts without saying"),
    ],
)
def test_template_check_finds(good, cell, source, problem):
    good.cells[cell].source = source
    assert any(problem in found for found in template_problems(good))


def test_template_check_counts_cells(good):
    good.cells += [new_markdown_cell("more")] * MAX_CELLS
    assert template_problems(good) == ["there are 45 cells, more than 40"]


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda nb: nb.cells.pop(), "has 5 cells, not 4"),
        (lambda nb: nb.cells[1].update(source="other"), "cell 1 differs"),
        (lambda nb: nb.cells[3].metadata.update(tags=["skip"]), "cell 3 differs"),
        (lambda nb: nb.cells[3].metadata.update(slideshow={"slide_type": "-"}), "cell 3 differs"),
        (lambda nb: nb.cells[2].update(execution_count=1), "outputs or a count"),
        (lambda nb: nb.cells[2].outputs.append(new_output("stream")), "outputs or a count"),
        (lambda nb: nb.metadata.pop("kernelspec"), "kernel is not python3"),
    ],
)
def test_pairing_check_finds(good, spoil, problem):
    script = copy.deepcopy(good)
    spoil(good)
    assert any(problem in found for found in pairing_problems(script, good))


@pytest.mark.parametrize(
    ("data", "metadata", "problems"),
    [
        ({"image/png": "aa"}, {}, 1),
        ({"image/png": "aa"}, {"image/png": {"alt": "a front of 40 subnets"}}, 0),
        ({"text/html": "<p>x <img src='y'>"}, {}, 1),
        ({"text/html": "<p>x <img src='y' alt='z'>"}, {}, 0),
        ({"text/plain": "3"}, {}, 0),
    ],
)
def test_alt_text_check(good, data, metadata, problems):
    good.cells[2].outputs.append(new_output("display_data", data=data, metadata=metadata))
    assert len(figures_without_alt_text(good)) == problems
