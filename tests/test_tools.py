"""The tools beside the notebooks: executing them, and the hand-out for a class."""

import re
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from docs import check, pages
from natlib.__main__ import main
from notebooks import execute, generate, handout

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"(?<!!)\[[^\[\]]+\]\(([^()\s#]+)(?:#[^()\s]*)?\)")


def lesson(code):
    cells = [new_markdown_cell("# A lesson\n\nAbout 1 minute on a laptop: $x_i$"), *code]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel})


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A course of two notebooks and a solution, one of which fails."""
    monkeypatch.setattr(execute, "NOTEBOOKS", tmp_path / "notebooks")
    monkeypatch.setattr(execute, "EXECUTED", tmp_path / "executed")
    monkeypatch.setenv("PYTHONPATH", "")  # the tool sets what follows; it is restored
    monkeypatch.setenv("JUPYTER_PATH", "")
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "JUPYTER_PREFER_ENV_PATH"):
        monkeypatch.setenv(name, "1")
    code = {"00_one": "import sys; print(sys.path)", "01_two": "1 / 0", "solutions/00_one": "2"}
    for name, source in code.items():
        path = tmp_path / "notebooks" / f"{name}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(lesson([new_code_cell(source)]), path)
    return tmp_path


def test_notebooks_are_executed_beside_their_sources(course, capsys):
    before = (course / "notebooks" / "00_one.ipynb").read_bytes()
    assert main(["notebooks", "00_one", "solutions/00_one.ipynb"]) == 0
    printed = capsys.readouterr().out
    assert "About 1 minute on a laptop" in printed and "2 notebooks" in printed
    done = course / "executed"
    assert {path.relative_to(done).as_posix() for path in done.rglob("0*")} == {
        f"{place}00_one.{end}" for place in ("", "solutions/") for end in ("ipynb", "html")
    }
    copy = nbformat.read(course / "executed" / "00_one.ipynb", as_version=4)
    assert str(course) in copy.cells[1].outputs[0].text, "kernels import the natlib of this folder"
    assert (course / "notebooks" / "00_one.ipynb").read_bytes() == before


def test_a_notebook_that_fails_stops_the_series(course):
    with pytest.raises(SystemExit) as stopped:
        main(["notebooks"])
    assert "ZeroDivisionError" in str(stopped.value)
    assert "01_two failed; no notebook after it was run." in str(stopped.value)
    assert not [*(course / "executed").glob("01*")]
    assert not (course / "executed" / "solutions").exists()
    with pytest.raises(SystemExit, match="no notebook 07: choose from 00_one, 01_two"):
        main(["notebooks", "07"])


def test_a_page_opens_without_a_network(tmp_path):
    view = {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "text/plain": "x"}
    picture = view | {"text/html": "<b>stands for it</b>"}
    outputs = [new_output("display_data", data=data) for data in (view, picture)]
    notebook = lesson([new_code_cell("slider", outputs=outputs)])
    notebook.metadata.widgets = {"application/vnd.jupyter.widget-state+json": {"state": {}}}
    html = pages.make_page(notebook, tmp_path / "page.html").read_text("utf-8")
    assert check.problems(tmp_path) == []
    assert "<script" not in html and "cdn" not in html
    assert "<math" in html and "stands for it" in html and "$x_i$" not in html


# The hand-out.


@pytest.fixture(scope="module")
def class_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("classes") / "the class"
    assert main(["handout", str(folder)]) == 0
    return folder


def test_a_hand_out_has_all_but_the_answers(class_folder):
    names = {path.relative_to(class_folder).as_posix() for path in class_folder.rglob("*")}
    for name in ("README.md", "Makefile", "requirements.lock", "natlib/space.py", "data/pocket"):
        assert name in names
    for folder, end in (("", "ipynb"), ("", "py"), ("exercises", "ipynb")):
        have = {path.name for path in (class_folder / "notebooks" / folder).glob(f"[0-9]*.{end}")}
        assert have == {path.name for path in (ROOT / "notebooks" / folder).glob(f"[0-9]*.{end}")}
    assert not [name for name in names if name.startswith(handout.LEFT_OUT)]
    assert not [name for name in names if ".git/" in name or ".venv" in name or "build/" in name]


def test_a_hand_out_has_no_dead_links(class_folder):
    texts = {path: path.read_text("utf-8") for path in class_folder.rglob("*.md")}
    for path in (class_folder / "notebooks").rglob("*.ipynb"):
        notebook = nbformat.read(path, as_version=4)
        markdown = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
        texts[path] = "\n".join(markdown)
        assert "solutions/" not in texts[path] and "Solutions" not in texts[path]
    dead = [
        f"{path}: {target}"
        for path, text in texts.items()
        for target in LINK.findall(text)
        if not target.startswith("http") and not (path.parent / target).exists()
    ]
    assert len(texts) > 15 and not dead


def test_notebooks_of_a_hand_out_are_in_step_with_their_scripts(class_folder):
    for script in (class_folder / "notebooks").glob("[0-9]*.py"):
        stored = nbformat.read(script.with_suffix(".ipynb"), as_version=4)
        assert generate.to_notebook(script) == stored


def test_answers_of_the_lecturer_are_not_handed_out():
    if not generate.scripts():
        pytest.skip("a hand-out has no solutions")
    path = generate.EXERCISES / f"{generate.scripts()[0].stem}.ipynb"
    answered = nbformat.read(path, as_version=4)
    answered.cells.append(new_code_cell("answer = 42"))
    made = handout.cleaned(answered, path.relative_to(ROOT))
    assert "answer = 42" not in [cell.source for cell in made.cells]


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("[one](exercises/x.ipynb); [two](solutions/x.ipynb) tells.", "[one](exercises/x.ipynb)."),
        ("Run it. The\n# [two](solutions/x.ipynb) are for later.\n# Next", "Run it.\n# Next"),
        ("[map](map.md), and [notes](instructor.md#top).", "[map](map.md), and notes."),
        ("`x[0](y)` [paper](https://example.org)", "`x[0](y)` [paper](https://example.org)"),
    ],
)  # fmt: skip
def test_links_to_what_is_left_out(text, left):
    assert handout.without_dead_links(text, Path("notebooks/x.py")) == left


def test_a_hand_out_overwrites_nothing(tmp_path):
    (tmp_path / "mine.txt").touch()
    with pytest.raises(SystemExit, match="holds something already"):
        main(["handout", str(tmp_path)])
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_executed_copies_come_along_if_they_are_up_to_date(tmp_path, monkeypatch):
    path, done = ROOT / "notebooks" / "00_start_here.ipynb", tmp_path / "executed"
    monkeypatch.setattr(execute, "EXECUTED", done)
    with pytest.raises(FileNotFoundError, match="'python -m natlib notebooks 00_start_here' first"):
        handout.copy_executed(path, tmp_path / "class")
    notebook = nbformat.read(path, as_version=4)
    next(cell for cell in notebook.cells if cell.cell_type == "code").outputs = [
        new_output("stream", text="a result")
    ]
    done.mkdir()
    nbformat.write(notebook, done / path.name)
    handout.copy_executed(path, tmp_path / "class")
    copies = tmp_path / "class" / "build" / "notebooks"
    for copy in copies.iterdir():
        text = copy.read_text("utf-8")
        assert "a result" in text and "solutions/" not in text
    assert len([*copies.iterdir()]) == 2
