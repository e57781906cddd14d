"""Map, glossary and instructor's notes name only what exists; the map is the same everywhere."""

import html
import importlib
import re
from functools import cache
from pathlib import Path

import jupytext
import pytest

from docs.book import anchor
from natlib.profiles import PROFILES

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
PAGES = [page.name for page in sorted(NOTEBOOKS.glob("*.md"))]
for_instructors = pytest.mark.skipif(
    "instructor.md" not in PAGES, reason="a hand-out has no notes for instructors"
)
LINK = re.compile(r"\]\(([^()\s]+)\)")
TERM = re.compile(r"^- \*\*(.+?)\*\* \(\[(\d\d)\]\((\S+?)\)\): (.+(?:\n  .+)*)$", re.M)
STEP = re.compile(
    r"^\| (?P<step>\w+) \| (?P<title>.+?) \| `(?P<function>[\w.]+)` \| "
    r"\[(?P<number>\d\d): (?P<heading>.+?)\]\((?P<notebook>\w+)\.ipynb#(?P<place>\S+)\) \|$",
    re.M,
)
MAP = (NOTEBOOKS / "map.md").read_text(encoding="utf-8")
ROWS = list(STEP.finditer(MAP))
SYMBOLS = re.compile(r"^\| (?!symbol|---)(.+?) \| .+? \| \[\d\d\]\((\S+?)\) \|$", re.M)


@cache
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
        there = {anchor(heading) for heading in headings(path.stem)} if place else set()
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


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["step"])
def test_a_step_of_the_map_names_what_exists(row):
    module, function = row["function"].rsplit(".", 1)
    assert callable(getattr(importlib.import_module(f"natlib.{module}"), function))
    assert row["notebook"].startswith(row["number"])
    assert row["heading"] in headings(row["notebook"])
    assert row["place"] == anchor(row["heading"])


def test_the_map_is_the_same_everywhere():
    drawn = html.unescape((NOTEBOOKS / "map.svg").read_text(encoding="utf-8"))
    lesson = cells("00_start_here")
    for row in ROWS:
        heading = row["heading"].split(" · ")[-1]
        for words in (f"{row['step']} · {row['title']}", row["function"], heading):
            assert f">{words}<" in drawn, "change notebooks/map.svg as notebooks/map.md"
        assert row[0] in lesson, "change the table in notebook 00 as that in notebooks/map.md"
    [alt] = re.findall(r"!\[(.+?)\]\(map\.svg\)", MAP)
    assert f"<dc:description>{alt}</dc:description>" in drawn
    for name in ("quick", "paper"):
        assert re.search(rf"{PROFILES[name].iterations} times with (the profile )?`{name}`", MAP)


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


@for_instructors
def test_the_notes_for_instructors_say_the_minutes_that_the_notebooks_say():
    text = (NOTEBOOKS / "instructor.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[\d\d .+?\]\((\w+)\.ipynb\) \| (\d+) \|", text, re.M)
    assert [name for name, _ in rows] == sorted(path.stem for path in NOTEBOOKS.glob("[0-9]*.py"))
    for name, minutes in rows:
        assert re.search(rf"[Aa]bout {minutes} minutes to teach", cells(name)), name


@for_instructors
def test_the_plan_for_twelve_weeks_names_sections_that_exist():
    text = (NOTEBOOKS / "instructor.md").read_text(encoding="utf-8")
    plan = text.partition("## Over twelve weeks")[2].partition("\n## ")[0]
    weeks = re.findall(r"^\| \d+ \| .+$", plan, re.M)
    assert len(weeks) == 12
    everywhere = set().union(*(headings(path.stem) for path in NOTEBOOKS.glob("[0-9]*.py")))
    for section in re.findall(r"\*(.+?)\*", "\n".join(weeks)):
        assert any(heading.startswith(section) for heading in everywhere), section
