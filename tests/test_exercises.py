"""Exercises and solutions are in step and keep to their form; exercises run to their stubs."""

import ast
import importlib
import os
import re
import shutil
from pathlib import Path

import jupytext
import nbformat
import pytest

from notebooks import generate
from tests.test_notebooks import figures_without_alt_text

ROOT = Path(__file__).parents[1]
NOTEBOOKS = ROOT / "notebooks"
NAMES = sorted(path.stem for path in generate.EXERCISES.glob("[0-9]*.ipynb"))
CAPSTONE = "07_capstone"  # belongs to no single lesson
OF_LESSONS = [name for name in NAMES if name != CAPSTONE]
TAGS = {"solution", "stub", "hint", "check"}
MAX_LINES = {"setup": 8, "stub": 30, "other": 16}


def solution(name):
    script = generate.SOLUTIONS / f"{name}.py"
    if not script.exists():
        pytest.skip("a hand-out has no solutions")
    return generate.to_notebook(script)


def exercise(name):
    """Returns the exercises as they are shipped, which a test below compares with the script."""
    return nbformat.read(generate.EXERCISES / f"{name}.ipynb", as_version=4)


def tagged(notebook, tag):
    return [cell for cell in notebook.cells if tag in generate.tags(cell)]


def parts(notebook):
    """Returns the cells of each exercise, and under 0 those before the first."""
    found, number = {0: []}, 0
    for cell in notebook.cells:
        if match := generate.heading(cell):
            number = int(match["number"])
        found.setdefault(number, []).append(cell)
    return found


def headings(notebook):
    """Returns title and minutes of the exercises."""
    matches = filter(None, map(generate.heading, notebook.cells))
    return [(match["title"], int(match["minutes"])) for match in matches]


def code(cells):
    return [cell for cell in cells if cell.cell_type == "code"]


@pytest.mark.parametrize("name", NAMES)
def test_notebooks_are_generated_from_the_script(name):
    whole = solution(name)
    for folder, made in (("solutions", whole), ("exercises", generate.to_exercise(whole))):
        stored = nbformat.read(NOTEBOOKS / folder / f"{name}.ipynb", as_version=4)
        nbformat.validate(stored)
        assert stored == made, f"{folder}/{name}.ipynb is not in step: run 'make pair'"
        assert all(not cell.outputs for cell in code(stored.cells))


@pytest.mark.parametrize("name", NAMES)
def test_generating_keeps_ids(name):
    before = exercise(name)
    assert len({cell.id for cell in before.cells}) == len(before.cells)
    more = solution(name)
    more.cells.insert(2, nbformat.v4.new_markdown_cell("A new cell."))
    after = generate.to_exercise(more)
    assert [c.id for c in after.cells if c.source != "A new cell."] == [c.id for c in before.cells]


def test_nothing_else_lies_beside_them():
    checks = {path.stem for path in (ROOT / "natlib" / "teach" / "checks").glob("[a-z]*.py")}
    assert checks == {name.split("_", 1)[1] for name in NAMES}
    lessons = {path.stem for path in NOTEBOOKS.glob("[0-9]*.py")}
    assert set(OF_LESSONS) <= lessons, "solutions are named as the lesson they belong to"
    if not generate.scripts():
        pytest.skip("a hand-out has no solutions")
    assert [script.stem for script in generate.scripts()] == NAMES
    for folder, ends in (("solutions", [".ipynb", ".py"]), ("exercises", [".ipynb"])):
        found = {p.name for p in (NOTEBOOKS / folder).iterdir() if p.name[0].isdigit()}
        assert found == {name + end for name in NAMES for end in ends}


@pytest.mark.parametrize("name", NAMES)
def test_form(name):
    notebook = solution(name)
    title, *_ = notebook.cells
    minutes = re.search(r"About (\d+) minutes", title.source)
    assert title.source.startswith("# ") and minutes, "the title cell says 'About N minutes'"
    assert int(minutes[1]) == sum(n for _, n in headings(notebook)), "minutes do not add up"
    lesson = "../04_online_adaptation.ipynb" if name == CAPSTONE else f"../{name}.ipynb"
    for target in (lesson, f"../solutions/{name}.ipynb"):
        assert f"]({target})" in title.source, f"the title cell has no link to {target}"
    assert f"](../exercises/{name}.ipynb)" in tagged(notebook, "solution")[0].source
    assert all(set(generate.tags(cell)) <= TAGS for cell in notebook.cells)
    numbers = list(parts(notebook))
    assert numbers == list(range(len(numbers))) and 3 <= len(numbers) - 1 <= 7
    unread = [c.source[:40] for c in notebook.cells if c.source.startswith("## Exercise")]
    assert len(unread) == len(numbers) - 1, "a heading reads '## Exercise k · title (N minutes)'"


@pytest.mark.parametrize("name", NAMES)
def test_each_exercise_has_its_cells(name):
    for number, cells in list(parts(solution(name)).items())[1:]:
        kinds = [(generate.tags(c) or [""])[0] for c in cells]
        where = f"exercise {number} of {name}"
        assert {"stub", "hint", "check", "solution"} <= set(kinds), where
        assert kinds.index("stub") < kinds.index("solution") < kinds.index("check"), where
        assert cells[-1].cell_type == "markdown" and kinds[-1] == "solution", (
            f"{where} does not end with a discussion"
        )
        for cell in cells:
            if "stub" in generate.tags(cell):
                assert f'raise NotImplementedError("Exercise {number}: ' in cell.source, where
                function = ast.parse(cell.source).body[-1]
                assert "Args:" in ast.get_docstring(function) or not function.args.args, where
            if "hint" in generate.tags(cell):
                assert cell.source.startswith(generate.HINT), where


@pytest.mark.parametrize("name", NAMES)
def test_cells_are_short(name):
    setup, *others = code(solution(name).cells)
    assert len(setup.source.splitlines()) <= MAX_LINES["setup"]
    for cell in others:
        limit = MAX_LINES["stub" if "stub" in generate.tags(cell) else "other"]
        assert len(cell.source.splitlines()) <= limit, cell.source
        assert "if quick" not in cell.source


@pytest.mark.parametrize("name", NAMES)
def test_checks_are_those_of_the_notebook(name):
    module = importlib.import_module(f"natlib.teach.checks.{name.split('_', 1)[1]}")
    cells = tagged(solution(name), "check")
    calls = [re.fullmatch(r"checks\.(check_\w+)\(\w+\)", cell.source) for cell in cells]
    assert all(calls), "a check cell is one call, checks.check_something(answer)"
    assert {call[1] for call in calls} == {n for n in dir(module) if n.startswith("check_")}


@pytest.mark.parametrize("name", NAMES)
def test_no_solution_in_the_exercise(name):
    whole, without = solution(name), exercise(name)
    kept = [cell for cell in whole.cells if "solution" not in generate.tags(cell)]
    assert generate.BLANK not in [cell.source for cell in whole.cells]
    assert len([cell for cell in without.cells if cell.source != generate.BLANK]) == len(kept)
    text = "\n".join(cell.source for cell in without.cells)
    for cell in tagged(whole, "solution"):
        lines = [line.strip() for line in cell.source.splitlines()]
        told = [x for x in lines if len(x) > 24 and x in text and not x.startswith("def ")]
        assert not told, f"the exercise notebook holds these lines of a solution: {told}"


@pytest.mark.parametrize(
    ("above", "left_out", "blanks"),
    [
        ("", ["code", "code", "markdown"], 1),
        ("", ["markdown", "code"], 1),
        ("", ["markdown"], 0),
        ("check", ["code"], 1),
        ("stub", ["code"], 0),
        ("hint", ["code", "code"], 0),
    ],
)
def test_code_without_a_stub_leaves_a_blank_cell(above, left_out, blanks):
    make = {"code": nbformat.v4.new_code_cell, "markdown": nbformat.v4.new_markdown_cell}
    cells = [make["markdown"]("What do you see?", metadata={"tags": [above] if above else []})]
    for i, kind in enumerate(left_out):
        cells.append(make[kind](f"{i}", metadata={"tags": ["solution"]}))
    cells.append(make["markdown"]("The next question."))
    whole = nbformat.v4.new_notebook(cells=cells)
    made = generate.to_exercise(whole)
    assert [cell.source for cell in made.cells[1:-1]] == [generate.BLANK] * blanks


@pytest.mark.parametrize("name", NAMES)
def test_hints_are_folded(name):
    for number, cells in parts(exercise(name)).items():
        hints = [cell.source for cell in cells if "hint" in generate.tags(cell)]
        for i, hint in enumerate(hints, start=1):
            start = f"<details><summary>Hint {i}</summary>\n\n"
            assert hint.startswith(start) and hint.endswith("\n\n</details>"), number
            assert generate.HINT not in hint


@pytest.mark.parametrize("name", NAMES)
def test_exercise_runs_to_its_stubs(name):
    """Cells run one after another in one namespace; a cell that fails does not stop the next."""
    namespace, stopped = {"__name__": "__main__"}, set()
    for number, cells in parts(exercise(name)).items():
        for cell in code(cells):
            try:
                exec(compile(cell.source, f"exercise {number} of {name}", "exec"), namespace)
            except NotImplementedError as error:
                assert str(error).startswith("Exercise "), error
                stopped.add(number)
    assert stopped == set(parts(exercise(name))) - {0}, "every exercise stops at its stub"


@pytest.mark.parametrize("name", NAMES)
def test_alt_text(name):
    notebook = NOTEBOOKS / "solutions" / f"{name}.ipynb"
    executed = ROOT / "build" / "notebooks" / "solutions" / notebook.name
    if not executed.exists() or executed.stat().st_mtime < notebook.stat().st_mtime:
        pytest.skip("there is no executed copy of this notebook: 'make notebooks' makes one")
    assert not figures_without_alt_text(nbformat.read(executed, as_version=4))


@pytest.mark.parametrize("name", OF_LESSONS)
def test_lesson_lists_its_exercises(name):
    exercises = headings(solution(name))
    lesson = jupytext.read(NOTEBOOKS / f"{name}.py")
    text = "\n\n".join(cell.source for cell in lesson.cells if cell.cell_type == "markdown")
    section = re.search(r"^## Exercises\n(.+?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)[1]
    for folder in ("exercises", "solutions"):
        assert f"]({folder}/{name}.ipynb)" in section
    listed = re.findall(r"^\d+\. \*(.+?)\* \((\d+) minutes\):", section, re.MULTILINE)
    assert [(title, int(minutes)) for title, minutes in listed] == exercises


def test_jupyterlab_opens_and_saves_a_notebook_without_its_script(tmp_path):
    """What JupyterLab does: a script that is newer is no hindrance, and is left as it is."""
    shutil.copytree(NOTEBOOKS, tmp_path / "notebooks")
    manager = jupytext.TextFileContentsManager(root_dir=str(tmp_path))
    script = tmp_path / "notebooks" / f"{NAMES[0]}.py"
    script.write_text("# newer, and other\n", encoding="utf-8")
    for place in (NAMES[0], f"exercises/{NAMES[0]}"):
        path = tmp_path / "notebooks" / f"{place}.ipynb"
        before = nbformat.read(path, as_version=4)
        os.utime(path, (1, 1))
        model = manager.get(f"notebooks/{place}.ipynb")
        model["content"]["cells"].append(nbformat.v4.new_markdown_cell("My note."))
        manager.save(
            {k: model[k] for k in ("type", "format", "content")}, f"notebooks/{place}.ipynb"
        )
        after = nbformat.read(path, as_version=4)
        assert after.cells[:-1] == before.cells and after.cells[-1].source == "My note."
        assert generate.is_edited(path, before)
    assert script.read_text(encoding="utf-8") == "# newer, and other\n"
    assert not (tmp_path / "notebooks" / "exercises" / f"{NAMES[0]}.py").exists()


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A lesson and its exercises in a folder of their own; returns the paths of their notebooks."""
    for constant, place in (
        ("NOTEBOOKS", ""),
        ("SOLUTIONS", "solutions"),
        ("EXERCISES", "exercises"),
    ):
        (tmp_path / place).mkdir(exist_ok=True)
        monkeypatch.setattr(generate, constant, tmp_path / place)
    solution(NAMES[0])  # or skips
    shutil.copy(NOTEBOOKS / f"{NAMES[0]}.py", tmp_path)
    shutil.copy(NOTEBOOKS / "solutions" / f"{NAMES[0]}.py", tmp_path / "solutions")
    assert generate.main() == 0
    return [tmp_path / place / f"{NAMES[0]}.ipynb" for place in ("", "solutions", "exercises")]


@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize(
    "edit",
    [
        lambda notebook: notebook.cells[2].update(source=notebook.cells[2].source + "\n# Mine."),
        lambda notebook: notebook.cells.append(nbformat.v4.new_markdown_cell("A note.")),
        lambda notebook: notebook.cells.pop(),
        lambda notebook: notebook.metadata.pop("natlib") and notebook.cells.pop(),
    ],
)
def test_what_was_edited_is_not_overwritten(course, capsys, which, edit):
    notebook = nbformat.read(course[which], as_version=4)
    edit(notebook)
    nbformat.write(notebook, course[which])
    texts = [path.read_bytes() for path in course]
    for script in (generate.NOTEBOOKS / f"{NAMES[0]}.py", *generate.scripts()):
        script.write_text(script.read_text("utf-8") + "\n# %%\nnew = 1\n", encoding="utf-8")
    assert generate.main() == 1
    assert [path.read_bytes() for path in course] == texts, "nothing is written"
    assert f"{course[which]} was edited" in capsys.readouterr().out


def test_what_was_only_run_or_taken_over_is_generated_anew(course):
    notebook = nbformat.read(course[0], as_version=4)
    code(notebook.cells)[0].outputs.append(nbformat.v4.new_output("stream", text="3"))
    nbformat.write(notebook, course[0])
    assert generate.main() == 0
    assert not any(cell.outputs for cell in code(nbformat.read(course[0], as_version=4).cells))
    notebook.cells.append(nbformat.v4.new_markdown_cell("A note."))
    nbformat.write(notebook, course[0])
    assert generate.main() == 1
    script = course[0].with_suffix(".py")
    script.write_text(
        script.read_text("utf-8") + "\n# %% [markdown]\n# A note.\n", encoding="utf-8"
    )
    assert generate.main() == 0
