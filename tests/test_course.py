"""Map, glossary and instructor's notes name only what exists; the map is the same everywhere."""

import importlib
import re
from pathlib import Path

import jupytext
import pytest

from natlib import course

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
PAGES = ("map.md", "glossary.md", "instructor.md")
LINK = re.compile(r"\]\(([^()\s]+)\)")
TERM = re.compile(r"^- \*\*(.+?)\*\* \(\[(\d\d)\]\((\S+?)\)\): (.+(?:\n  .+)*)$", re.M)
SYMBOLS = re.compile(r"^\| (?!symbol|---)(.+?) \| .+? \| \[\d\d\]\((\S+?)\) \|$", re.M)


def cells(name: str, kind: str = "markdown") -> str:
    """Returns all cells of a kind of a notebook, as one text."""
    notebook = jupytext.read(NOTEBOOKS / f"{name}.py")
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == kind)


def headings(name: str) -> set[str]:
    """Returns the headings of a notebook."""
    return set(re.findall(r"^#+ (.+)$", cells(name), re.M))


def broken_links(text: str) -> list[str]:
    """Returns the links of a text, as it stands in `notebooks/`, that lead nowhere."""
    broken = []
    for link in LINK.findall(text):
        if link.startswith("http"):
            continue
        target, _, place = link.partition("#")
        path = NOTEBOOKS / target
        there = {course.anchor(heading) for heading in headings(path.stem)} if place else set()
        if not path.exists() or (place and place not in there):
            broken.append(link)
    return broken


def test_broken_links_are_found():
    good = "[a](00_start_here.ipynb#Is-this-machine-ready?) [b](map.svg) [c](https://example.org)"
    assert not broken_links(good)
    assert broken_links("[a](07_missing.ipynb)") == ["07_missing.ipynb"]
    assert broken_links("[a](00_start_here.ipynb#Nothing)") == ["00_start_here.ipynb#Nothing"]


@pytest.mark.parametrize("page", PAGES)
def test_links_of_a_page_lead_somewhere(page):
    text = (NOTEBOOKS / page).read_text(encoding="utf-8")
    assert LINK.findall(text)
    assert not broken_links(text)


@pytest.mark.parametrize("name", sorted(path.stem for path in NOTEBOOKS.glob("[0-9]*.py")))
def test_links_of_a_notebook_lead_somewhere(name):
    assert not broken_links(cells(name))


@pytest.mark.parametrize("step", course.STEPS.values(), ids=list(course.STEPS))
def test_a_step_of_the_map_names_what_exists(step):
    module, function = step.function.split(".")
    assert callable(getattr(importlib.import_module(f"natlib.{module}"), function))
    assert step.heading in headings(step.notebook)
    assert step.kind in course.KINDS


def test_the_map_is_the_same_everywhere():
    assert course.map_table() in cells("00_start_here")
    again = "run 'python -m natlib.course'"
    assert (NOTEBOOKS / "map.md").read_text(encoding="utf-8") == course.map_page(), again
    drawn = (NOTEBOOKS / "map.svg").read_text(encoding="utf-8")
    missing = [s.title for name, s in course.STEPS.items() if f"{name} · {s.title}" not in drawn]
    assert not missing, again
    assert course.ALT in drawn


def test_the_map_shows_every_step_once_and_fits():
    figure = course.draw_map()
    [ax] = figure.axes
    figure.draw_without_rendering()
    inside = ax.get_window_extent()
    boxes = [patch.get_window_extent() for patch in ax.patches if patch.get_linewidth() > 2]
    assert len(boxes) == len(course.STEPS)
    for text in ax.texts:
        assert inside.x0 <= text.get_window_extent().x0, text.get_text()
        assert text.get_window_extent().x1 <= inside.x1, text.get_text()
    for name, step in course.STEPS.items():
        [title] = [t for t in ax.texts if t.get_text() == f"{name} · {step.title}"]
        words = title.get_window_extent()
        assert any(b.x0 < words.x0 and words.x1 < b.x1 and b.y0 < words.y0 < b.y1 for b in boxes)


def test_the_map_is_written_anew(tmp_path):
    course.main(["--out", str(tmp_path)])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["map.md", "map.svg"]


def test_each_term_of_the_glossary_occurs_in_the_notebook_it_names():
    text = (NOTEBOOKS / "glossary.md").read_text(encoding="utf-8")
    entries = TERM.findall(text)
    assert len(entries) == text.count("\n- **") > 50, "an entry is not written as the others are"
    for term, number, notebook, explanation in entries:
        assert notebook.startswith(number), term
        assert term.lower() in cells(notebook.removesuffix(".ipynb")).lower(), f"{term}, {notebook}"
        assert explanation.rstrip().endswith((".", ".)")), term
    terms = [term.lower() for term, *_ in entries]
    assert terms == sorted(set(terms), key=lambda term: re.sub(r"[^a-z0-9 ]", " ", term))


def test_each_symbol_of_the_glossary_occurs_in_the_notebook_it_names():
    rows = SYMBOLS.findall((NOTEBOOKS / "glossary.md").read_text(encoding="utf-8"))
    assert len(rows) > 10
    for symbols, notebook in rows:
        name = notebook.removesuffix(".ipynb")
        formulas = " ".join(re.findall(r"\$(.+?)\$", cells(name), re.S))
        for symbol in symbols.split(", "):
            if symbol.startswith("$"):
                assert symbol.strip("$") in formulas.replace("s(x_", "s(x"), f"{symbol}, {name}"
            else:
                word = symbol.strip("`")
                assert re.search(rf"\b{word}\b", cells(name) + cells(name, "code")), symbol


def test_the_notes_for_instructors_say_the_minutes_that_the_notebooks_say():
    text = (NOTEBOOKS / "instructor.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[\d\d .+?\]\((\w+)\.ipynb\) \| (\d+) \|", text, re.M)
    assert [name for name, _ in rows] == sorted(path.stem for path in NOTEBOOKS.glob("[0-9]*.py"))
    for name, minutes in rows:
        assert re.search(rf"[Aa]bout {minutes} minutes to teach", cells(name)), name


def test_the_plan_for_twelve_weeks_names_sections_that_exist():
    text = (NOTEBOOKS / "instructor.md").read_text(encoding="utf-8")
    plan = text.partition("## Over twelve weeks")[2].partition("\n## ")[0]
    weeks = re.findall(r"^\| \d+ \| .+$", plan, re.M)
    assert len(weeks) == 12
    everywhere = set().union(*(headings(path.stem) for path in NOTEBOOKS.glob("[0-9]*.py")))
    for section in re.findall(r"\*(.+?)\*", "\n".join(weeks)):
        assert any(heading.startswith(section) for heading in everywhere), section
