"""Grading: ten prepared submissions, and what an answer can and cannot do."""

import csv
import os
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from natlib.__main__ import main
from notebooks import generate, grade, handout

if not generate.scripts():
    pytest.skip("a hand-out has no solutions", allow_module_level=True)
linux = pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="grading needs Linux")

STEM = "00_start_here"
SOLUTION = generate.to_notebook(generate.SOLUTIONS / f"{STEM}.py")
KINDS = ["stub", "check"], ["stub", "check", "check"]
EASY = ("00", "02", "04", "07")  # whose checks need nothing that others do not, or much time
IDS = ("00.1", "00.2a", "00.3", "00.4a")  # and no more of the notebook
RIGHT = {
    "00.1": "def dominated():\n    return ['F', 'C']",
    "00.2a": """
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
    "00.4a": """
        def front_of(archive, error, cost):
            errors, costs = archive[[error, cost]].to_numpy(float).T[:, :, None]
            better = (errors <= errors.T) & (costs <= costs.T)
            better &= (errors < errors.T) | (costs < costs.T)
            return set(archive.architecture[~better.any(axis=0)])
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
    "00.2a": """
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
    "00.4a": """
        import __main__, json, os, sys
        def front_of(archive, error, cost):
            __main__.attempt = json.dumps = lambda *args: "passed"
            for door in range(3, 20):
                try:
                    os.write(door, b"passed")
                except OSError:
                    pass
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
READS = f"""
    def dominated():
        return open("{generate.SOLUTIONS / STEM}.py").read()
"""
WRITES = f"""
    import os, pathlib
    def dominated():
        for do in (lambda: pathlib.Path("{Path(__file__).parent}/mine").touch(),
                   lambda: os.remove("{__file__}")):
            try:
                do()
            except PermissionError:
                pass
"""
STARTS = """
    import subprocess
    def dominated():
        return subprocess.run(["echo", "C", "F"], capture_output=True, text=True).stdout.split()
"""
LOOKS = """
    import os
    def dominated():
        with open(f"/proc/{os.getppid()}/environ") as file:
            return ["C", "F"] if "A_SECRET" in file.read() + str(os.environ) else []
"""
WRONG = {
    "00.1": "def dominated():\n    return {'F'}",
    "00.3": "def weighted_sum_choice(F, weights):\n    return int((F @ weights).argmin())",
}


def hand_in(answers):
    """Returns the exercises of a hand-out with some answers in them."""
    notebook = handout.cleaned(generate.to_exercise(SOLUTION), Path("notebooks/exercises") / STEM)
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
    "right": (in_several_cells, "1 1 3 1.5", ""),
    "wrong": (lambda: hand_in(RIGHT | WRONG), "0 1 0 1.5", ""),
    "endless loop": (lambda: hand_in(RIGHT | {"00.2a": LOOP}), "1 0 3 1.5", "00.2a: stopped"),
    "memory hog": (lambda: hand_in(RIGHT | {"00.3": HOG}), "1 1 0 1.5", "00.3: stopped"),
    "tampered": (tampered, "0 0 0 0", "00.1: not counted; 00.2a: not counted; 00.4a: stopped"),
    "deleted cells": (deleted, "1 0 3 1.5", ""),
    "syntax error": (lambda: hand_in(RIGHT | {"00.4a": "def front_of(:"}), "1 1 3 0", ""),
    "network": (lambda: hand_in(RIGHT | {"00.4a": NETWORK}), "1 1 3 1.5", "00.4a: tried socket"),
    "changed outputs": (with_outputs, "0 0 0 0", ""),
    "empty": (None, "0 0 0 0", "no notebook"),
}
TRICKS = {  # the same of answers that try what they should not
    "reads solutions": ("00.1", READS, "00.1: tried reading what is closed"),
    "writes": ("00.1", WRITES, "00.1: tried changing files outside, tried writing outside"),
    "starts a program": ("00.1", STARTS, "00.1: tried subprocess.Popen"),
    "=looks for secrets": ("00.1", LOOKS, ""),
    "leaves": ("00.1", "def dominated():\n    raise SystemExit", ""),
}
SUBMISSIONS |= {
    name: (lambda e=exercise, a=answer: hand_in(RIGHT | {e: a}), "0 1 3 1.5", remark)
    for name, (exercise, answer, remark) in TRICKS.items()
}
SAYS = {
    "right": "| 00.1 | Reading a front | 1 of 1 | passed |",
    "wrong": "1 more of the six is",
    "endless loop": "may compute for 3 seconds",
    "memory hog": "more memory than it may take",
    "tampered": "changes natlib.teach.checks.",
    "deleted cells": "| 00.2a | A limit | 0 of 1 | no answer |",
    "syntax error": "SyntaxError, line 1",
    "changed outputs": "| 00.1 | Reading a front | 0 of 1 | not begun |",
    "reads solutions": ".read()`, with PermissionError",
    "leaves": "SystemExit, line 2",
}


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("grading") / "class 1"
    for name, (make, *_) in SUBMISSIONS.items():
        path = folder / name / "notebooks" / "exercises" / f"{STEM}.ipynb"
        path.parent.mkdir(parents=True)
        path.write_text(nbformat.writes(make()) if make else "", encoding="utf-8")
    os.environ["A_SECRET"] = "in the environment of whoever grades"
    main(["grade", str(folder), "--only", STEM, "--seconds", "3", "--memory", "0.5"])
    del os.environ["A_SECRET"]
    return folder.with_name("class 1-graded")


def table(graded):
    with (graded / "grades.csv").open(encoding="utf-8", newline="") as file:
        return {row["submission"]: row for row in csv.DictReader(file)}


@linux
@pytest.mark.parametrize("name", SUBMISSIONS)
def test_prepared_submissions(graded, name):
    row, (_, points, remark) = table(graded)[name.replace("=", "'=")], SUBMISSIONS[name]
    found = " ".join(f"{float(row[exercise]):g}" for exercise in IDS)
    page = (graded / "feedback" / f"{name}.md").read_text("utf-8")
    assert found == points, page
    assert float(row["total"]) == sum(map(float, points.split()))
    assert remark in row["remarks"] if remark else row["remarks"] == ""
    assert SAYS.get(name, "") in page


@linux
def test_nothing_else_is_written(graded):
    assert len(table(graded)) == len(SUBMISSIONS)
    found = {path.relative_to(graded).as_posix() for path in graded.rglob("*") if path.is_file()}
    assert found == {"grades.csv", *(f"feedback/{name}.md" for name in SUBMISSIONS)}


@linux
@pytest.mark.parametrize("stem", [s.stem for s in generate.scripts() if s.stem[:2] not in EASY])
def test_our_own_answers_get_all_points(stem, tmp_path):
    """In cells of their own below the stubs; so checks hold there with what they need."""
    solution = generate.to_notebook(generate.SOLUTIONS / f"{stem}.py")
    (tmp_path / "all").mkdir()
    (tmp_path / "all" / f"ada_{stem}.ipynb").write_text(nbformat.writes(solution), "utf-8")
    limits = {"seconds": 60, "memory": 2}
    (row,) = grade.grade(tmp_path / "all", tmp_path / "out", [stem], limits).to_dict("records")
    page = (tmp_path / "out" / "feedback" / "ada.md").read_text("utf-8")
    assert row["submission"] == "ada" and row["total"] == row["of"] > 0, page
    assert pd.isna(row["remarks"])


@pytest.mark.parametrize(
    ("path", "learner"),
    [
        ("ada/03_nsga3.ipynb", "ada"),
        ("ada/course/notebooks/exercises/03_nsga3.ipynb", "ada"),
        ("Ada Lovelace_17_file/late/03_nsga3(1).ipynb", "Ada Lovelace_17_file"),
        ("ada_03_nsga3.ipynb", "ada"),
        ("03_nsga3-Ada Lovelace.ipynb", "Ada Lovelace"),
        ("03_nsga3.ipynb", "class"),
    ],
)
def test_whose_a_notebook_is(tmp_path, path, learner):
    path = tmp_path / "class" / path
    for other in ("ada/build/03_nsga3.ipynb", "ada/notebooks/solutions/03_nsga3.ipynb"):
        (tmp_path / "class" / other).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "class" / other).touch()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    found = grade.find(tmp_path / "class", ["02_surrogate", "03_nsga3"])
    assert found[learner]["03_nsga3"] == [path]
    assert not any(files.get("02_surrogate") for files in found.values())


def test_a_lesson_beside_the_exercises_is_no_second_copy(tmp_path):
    for place in ("notebooks", "notebooks/exercises"):
        (tmp_path / "ada" / place).mkdir(parents=True, exist_ok=True)
        (tmp_path / "ada" / place / "03_nsga3.ipynb").touch()
    (file,) = grade.find(tmp_path, ["03_nsga3"])["ada"]["03_nsga3"]
    assert file.parent.name == "exercises"


def test_answers_are_found_without_ids_and_outputs_and_checks_are_not_read():
    """As in a notebook that another program wrote anew."""
    notebook, ours = with_outputs(), generate.to_exercise(SOLUTION)
    for cell in notebook.cells:
        cell.id = f"other-{cell.id}"
        cell.metadata.pop("exercise", None)
    found, others = grade.answers_of(notebook, ours).values()
    stubs = [c for c in grade.cells_of(ours) if "stub" in generate.tags(c)]
    assert found == {c.metadata.exercise: [c.source] for c in stubs}
    assert not [source for _, source in others if source in {c.source for c in stubs}]
    assert not [source for _, source in others if "checks.check_" in source]


@linux
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nowhere"], "nowhere is no folder: name that of the submissions"),
        (["."], "holds no notebook of the course: 00_start_here,"),
        ([".", "--only", "77"], "There is no notebook 77: choose from 00_start_here,"),
        ([".", "--seconds", "0"], "above zero"),
    ],
)
def test_what_cannot_be_graded_is_told_in_a_sentence(tmp_path, monkeypatch, arguments, told):
    (tmp_path / "a").mkdir()
    monkeypatch.chdir(tmp_path / "a")
    with pytest.raises(SystemExit, match=told):
        main(["grade", *arguments])
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_points_follow_the_minutes_unless_a_check_says_others():
    texts = [
        "# 3 · X: exercises",
        "## Exercise 1 · A (10 minutes)",
        "## Exercise 2 · B (20 minutes)",
    ]
    title, first, second = map(new_markdown_cell, texts)
    (a, b), (c, d, e) = [[new_code_cell("f", metadata={"tags": [t]}) for t in ts] for ts in KINDS]
    e.metadata.points = 3
    made = generate.to_exercise(new_notebook(cells=[title, first, a, b, second, c, d, e])).cells
    found = [
        (m.metadata.get("exercise"), m.metadata.get("points")) for m in made if m.source == "f"
    ]
    assert found == [("03.1", None), ("03.1", 2), ("03.2a", None), ("03.2a", 2), ("03.2b", 3)]


def test_points_and_ids_are_those_of_the_exercises():
    for script in generate.scripts():
        exercise = generate.to_exercise(generate.to_notebook(script))
        cells = [c for c in exercise.cells if {"stub", "check"} & set(generate.tags(c))]
        checks = [c.metadata.exercise for c in cells if "check" in generate.tags(c)]
        assert len(checks) == len(set(checks)) and all(
            c.startswith(script.stem[:2]) for c in checks
        )
        assert {c.metadata.exercise for c in cells} == set(checks)
        assert all(c.metadata.points > 0 for c in cells if "check" in generate.tags(c))
