"""Grading: ten prepared submissions, and what an answer can and cannot do."""

import csv
import os

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_output

from natlib.__main__ import main
from notebooks import generate

if not generate.scripts():
    pytest.skip("a hand-out has no solutions", allow_module_level=True)
linux = pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="grading needs Linux")

STEM = "00_start_here"
SOLUTION = generate.to_notebook(generate.SOLUTIONS / f"{STEM}.py")
IDS = ("00.1", "00.2", "00.3", "00.4")
POINTS = dict(zip(IDS, (1, 2, 3, 3), strict=True))
RIGHT = {
    "00.1": "def dominated():\n    return ['F', 'C']",
    "00.2": """
        def best_within(archive, limit):
            rows = [r for r in archive.itertuples() if r.madds <= limit]
            return min(rows, key=lambda r: (r.top1_err, r.madds)).architecture
    """,
    "00.3": """
        %matplotlib inline
        def weighted_sum_choice(F, weights):
            low, high = F.min(axis=0), F.max(axis=0)
            return np.argmin(((F - low) / (high - low) * weights).sum(axis=1))
    """,
    "00.4": """
        def front_of(archive, error, cost):
            rows = archive.sort_values([cost, error])
            lowest = rows[error].cummin().shift(fill_value=np.inf)
            return set(rows.architecture[rows[error] < lowest])
    """,
}
LOOP = "def best_within(archive, limit):\n    while True:\n        pass"
HOG = """
    def weighted_sum_choice(F, weights):
        kept = []
        while True:
            kept.append(np.ones(10**7))
"""
TAMPER = {
    "00.1": "checks.check_dominated = lambda answer: None\ndef dominated(): return {'A'}",
    "00.2": """
        import natlib.teach.checks as shared
        shared.require = shared.cases = lambda *args, **kwargs: None
        def best_within(archive, limit):
            return archive.architecture.iloc[0]
    """,
    "00.3": """
        class checks:
            check_weighted_sum = print
        def weighted_sum_choice(F, weights):
            return 0
    """,
    "00.4": """
        def front_of(archive, error, cost):
            import os
            print("Passed: the front of any two columns.")
            os._exit(0)
    """,
}
NETWORK = """
    import urllib.request
    def front_of(archive, error, cost):
        try:
            urllib.request.urlopen("http://127.0.0.1:9/answers", timeout=1)
        except OSError:
            pass
        return set(archive.architecture[non_dominated(archive[[error, cost]].to_numpy())])
"""
WRONG = {
    "00.1": "def dominated():\n    return {'F'}",
    "00.3": "def weighted_sum_choice(F, weights):\n    return int((F @ weights).argmin())",
}


def hand_in(answers):
    """Returns the exercises with some answers in them."""
    notebook = generate.to_exercise(SOLUTION)
    for cell in notebook.cells:
        exercise = cell.metadata.get("exercise")
        if "stub" in generate.tags(cell) and exercise in answers:
            lines = answers[exercise].strip("\n").splitlines()
            depth = len(lines[0]) - len(lines[0].lstrip())
            cell.source = "\n".join(line[depth:] for line in lines)
    return notebook


def stub(notebook, exercise):
    return next(c for c in notebook.cells if c.metadata.get("exercise") == exercise)


def tampered():
    notebook = hand_in(TAMPER)
    for cell in notebook.cells:
        if "check" in generate.tags(cell):
            cell.source = "import natlib.teach.checks\nprint('Passed: everything.')"
    return notebook


def deleted():
    notebook = hand_in(RIGHT)
    mine = stub(notebook, "00.3").source
    notebook.cells = [c for c in notebook.cells if c.metadata.get("exercise") not in IDS[1:3]]
    notebook.cells.append(new_code_cell("import pandas\n" + mine))
    return notebook


def in_several_cells():
    """Helpers before and after the cell of the answer, and a cell of trying it out that fails."""
    notebook = hand_in(RIGHT)
    place = notebook.cells.index(stub(notebook, "00.1"))
    stub(notebook, "00.1").source = "def dominated():\n    return helped(beaten)"
    notebook.cells.insert(place, new_code_cell("beaten = {'C'}"))
    notebook.cells.insert(place + 2, new_code_cell("helped = lambda some: {*some, 'F'}"))
    notebook.cells.insert(place + 3, new_code_cell("1 / 0"))
    return notebook


def with_outputs():
    notebook = hand_in({})
    for cell in notebook.cells:
        if "check" in generate.tags(cell):
            cell.outputs = [new_output("stream", text="Passed: everything.")]
    return notebook


SUBMISSIONS = {  # what is handed in, points by exercise, remark
    "right": (in_several_cells, "1 2 3 3", ""),
    "wrong": (lambda: hand_in(RIGHT | WRONG), "0 2 0 3", ""),
    "endless loop": (lambda: hand_in(RIGHT | {"00.2": LOOP}), "1 0 3 3", "00.2: stopped"),
    "memory hog": (lambda: hand_in(RIGHT | {"00.3": HOG}), "1 2 0 3", "00.3: stopped"),
    "tampered": (tampered, "0 0 0 0", "00.1: not counted; 00.2: not counted; 00.4: stopped"),
    "deleted cells": (deleted, "1 0 3 3", ""),
    "syntax error": (lambda: hand_in(RIGHT | {"00.4": "def front_of(:"}), "1 2 3 0", ""),
    "network": (lambda: hand_in(RIGHT | {"00.4": NETWORK}), "1 2 3 3", "00.4: tried socket"),
    "changed outputs": (with_outputs, "0 0 0 0", ""),
    "empty": (None, "0 0 0 0", "no notebook"),
}
SAYS = {
    "right": "9 of 9 points",
    "wrong": "1 more of the six is",
    "endless loop": "stopped after 4 seconds",
    "memory hog": "more memory than it may take",
    "tampered": "changes natlib.teach.checks.",
    "deleted cells": "| 00.2 | A limit | 0 of 2 | no answer |",
    "syntax error": "SyntaxError, line 1",
    "changed outputs": "| 00.1 | Reading a front | 0 of 1 | not begun |",
}


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("grading") / "class 1"
    for name, (make, *_) in SUBMISSIONS.items():
        path = folder / name / "notebooks" / "exercises" / f"{STEM}.ipynb"
        path.parent.mkdir(parents=True)
        path.write_text(nbformat.writes(make()) if make else "", encoding="utf-8")
    main(["grade", str(folder), "--only", STEM, "--seconds", "4", "--memory", "0.5"])
    return folder.with_name("class 1-graded")


def table(graded):
    with (graded / "grades.csv").open(encoding="utf-8", newline="") as file:
        return {row["submission"]: row for row in csv.DictReader(file)}


@linux
@pytest.mark.parametrize("name", SUBMISSIONS)
def test_ten_submissions(graded, name):
    row, (_, points, remark) = table(graded)[name], SUBMISSIONS[name]
    found = " ".join(row[exercise] for exercise in IDS)
    page = (graded / "feedback" / f"{name}.md").read_text("utf-8")
    assert found == points, page
    assert float(row["total"]) == sum(map(int, points.split())) and row["of"] == "9"
    assert remark in row["remarks"] if remark else row["remarks"] == ""
    assert SAYS.get(name, "") in page


@linux
def test_nothing_else_is_written(graded):
    assert len(table(graded)) == len(SUBMISSIONS)
    found = {path.relative_to(graded).as_posix() for path in graded.rglob("*") if path.is_file()}
    assert found == {"grades.csv", *(f"feedback/{name}.md" for name in SUBMISSIONS)}
