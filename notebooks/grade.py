"""Grades what learners hand in: their answers, in our exercises, by our checks.

    python -m natlib grade FOLDER

FOLDER holds a folder for each learner, with the exercises of the hand-out in it, anywhere below; or
notebooks themselves, whose names then say whose they are, such as `ada_03_nsga3.ipynb`. From each the
cells of answers are taken by their ids (`notebooks/generate.py`). Outputs, and code in checks, count
for nothing. Beside FOLDER a folder FOLDER-graded is made, with `grades.csv`, a row for each submission,
and a page of feedback for each.

Answers are run (`notebooks/judge.py`), and this is no sandbox: what it refuses, code that means harm can
get around. Grade strangers in a container without a network (notebooks/instructor.md tells how to make
the image `natlib`); what code can reach there are submissions and grades:

    mkdir -p graded
    docker run --rm --network none --memory 6g --pids-limit 200 --cap-drop ALL --read-only \\
        --tmpfs /tmp --env HOME=/tmp --user "$(id -u):$(id -g)" \\
        --volume "$PWD/submissions:/submissions:ro" --volume "$PWD/graded:/graded" \\
        natlib python -m natlib grade /submissions --out /graded
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import nbformat
import pandas as pd
from nbformat import NotebookNode

from natlib.data import write_text
from notebooks import generate

ROOT = Path(__file__).parents[1]
LARGEST = 2**25  # bytes of a notebook
PASSED_OVER = {"build", "solutions", ".ipynb_checkpoints"}  # folders in a learner's
SAID = {
    "passed": "passed",
    "failed": "not passed",
    "not begun": "not begun",
    "missing": "no answer",
    "stopped": "stopped",
    "tampered": "not counted",
}
WARNING = (
    "This runs the code of learners, and it is no sandbox: grade strangers in a container "
    "('python -m natlib grade --help')."
)


# What was handed in ------------------------------------------------------------------------------


def find(folder: Path, stems: Sequence[str]) -> dict[str, dict[str, list[Path]]]:
    """Returns by learner, and by notebook of the course, the files that were handed in.

    Args:
        folder: Holds folders of learners, or notebooks that are named after both.
        stems: Names of the course's notebooks.
    """
    found: dict[str, dict[str, list[Path]]] = {}
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.name.startswith((".", "__")):
            found[path.name] = {stem: _copies(path, stem) for stem in stems}
        for stem in stems:
            if path.suffix == ".ipynb" and stem in path.name:
                name = path.stem.replace(stem, "").strip(" _-.") or folder.resolve().name
                found.setdefault(name, {}).setdefault(stem, []).append(path)
    return found


def _copies(folder: Path, stem: str) -> list[Path]:
    """Returns the copies of a notebook in a learner's folder; exercises, where some are called so."""
    paths = [
        path
        for path in sorted(folder.rglob(f"*{stem}*.ipynb"))
        if not PASSED_OVER & set(path.relative_to(folder).parts)
    ]
    return [path for path in paths if path.parent.name == "exercises"] or paths


def read(path: Path) -> NotebookNode:
    """Reads what was handed in; a `ValueError` says why it is no notebook."""
    if path.is_symlink() or not path.is_file() or path.stat().st_size > LARGEST:
        raise ValueError(f"{path.name} is no file, or a very large one")
    try:
        notebook = nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)
        nbformat.validate(notebook)
    except Exception as error:  # whatever may stand in such a file
        raise ValueError(f"{path.name} is no notebook ({type(error).__name__})") from None
    return notebook


def cells_of(exercise: NotebookNode) -> list[NotebookNode]:
    """Returns our cells of code, without the empty ones that wait for learners."""
    return [c for c in exercise.cells if c.cell_type == "code" and c.source != generate.BLANK]


def described(cell: NotebookNode) -> dict:
    """Returns one of our cells as `notebooks.judge` takes it: a given one, an answer, or a check."""
    tags, name = generate.tags(cell), cell.metadata.get("exercise", "")
    kind = "answer" if "stub" in tags else "check" if "check" in tags else "given"
    defines = [ast.parse(cell.source).body[-1].name] if kind == "answer" else []
    return dict(kind=kind, source=cell.source, exercise=name, defines=defines)


def answers_of(handed_in: NotebookNode, ours: NotebookNode) -> dict:
    """Returns what a learner wrote, as `notebooks.judge` takes it.

    Answers are the cells with the id of an exercise; where there is none, the last that defines the
    function asked for. Other cells of the learner's come with the place of our cell before them.
    """
    mine = cells_of(ours)
    places = {cell.id: place for place, cell in enumerate(mine)}
    stubs = {c.metadata.exercise: i for i, c in enumerate(mine) if "stub" in generate.tags(c)}
    answers: dict[str, list[str]] = defaultdict(list)
    others, place = [], -1
    for cell in handed_in.cells:
        exercise, known = cell.metadata.get("exercise"), places.get(cell.get("id"))
        if cell.cell_type != "code":
            continue
        if known in stubs.values():
            exercise = mine[known].metadata.exercise
        if known is not None and known not in stubs.values():
            place = known
        elif "check" not in generate.tags(cell):
            if isinstance(exercise, str) and exercise in stubs:
                place = stubs[exercise]
                answers[exercise].append(cell.source)
            else:
                others.append((place, cell.source))
    for exercise in set(stubs) - set(answers):
        names = described(mine[stubs[exercise]])["defines"]
        if by_name := [other for other in others if _defines(other[1], names)]:
            others.remove(by_name[-1])
            answers[exercise].append(by_name[-1][1])
    return {"answers": answers, "others": others}


def _defines(source: str, names: Sequence[str]) -> bool:
    """Says whether code defines functions, by how it is written."""
    return all(re.search(rf"^def {name}\b", source, re.MULTILINE) for name in names)


# Judging -----------------------------------------------------------------------------------------


def environment(scratch: str) -> dict[str, str]:
    """Returns the environment of the judge: nothing of ours is in it but how to find the course."""
    one = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LOKY_MAX_CPU_COUNT")
    return dict.fromkeys(one, "1") | {
        "PATH": os.defpath,
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)]),
        "PYTHONSAFEPATH": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "LANG": "C.UTF-8",
        "HOME": scratch,
        "TMPDIR": scratch,
        "MPLCONFIGDIR": scratch,
        "MPLBACKEND": "Agg",
        "NATLIB_ANSWERS": "",  # a check that is passed is noted for nobody
        "CUDA_VISIBLE_DEVICES": "",
    }


def run_judge(exercise: NotebookNode, answers: dict[str, dict], limits: dict) -> list[dict]:
    """Returns the verdicts on all submissions of one notebook, in order.

    Args:
        exercise: Our notebook of exercises.
        answers: By submission what `answers_of` found.
        limits: `seconds` of computing for an answer, its `memory` in GB, and folders that are `closed` to it.
    """
    cells = [described(cell) for cell in cells_of(exercise)]
    job = {"cells": cells, "submissions": answers} | limits
    with tempfile.TemporaryDirectory(prefix="grading-") as scratch:
        done = subprocess.run(
            [sys.executable, "-m", "notebooks.judge"], cwd=scratch, env=environment(scratch),
            input=json.dumps(job), capture_output=True, text=True, encoding="utf-8",
        )  # fmt: skip
    verdicts = [json.loads(line) for line in done.stdout.splitlines()]
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise RuntimeError(f"The judge stopped after {len(verdicts)} verdicts: {last}")
    return verdicts


def grade(folder: Path, out: Path, stems: Sequence[str], limits: dict) -> pd.DataFrame:
    """Grades a folder; writes `grades.csv` and the pages, and returns the table.

    Args:
        folder: What was handed in, as `find` takes it.
        out: The folder to write to.
        stems: Notebooks of the course to grade.
        limits: `seconds` of computing for an answer, and its `memory` in GB.
    """
    closed = [ROOT / "tests" / "checks", generate.SOLUTIONS, folder, out, f"/proc/{os.getpid()}"]
    limits = limits | {"closed": [os.path.realpath(path) for path in closed]}
    submissions = find(folder, stems)
    handed_in = {s: any(files.get(s) for files in submissions.values()) for s in stems}
    if not any(handed_in.values()):
        raise FileNotFoundError(f"{folder} holds no notebook of the course: {', '.join(stems)}.")
    (out / "feedback").mkdir(parents=True, exist_ok=True)
    points: dict[str, float] = {}
    titles: dict[str, str] = {}
    rows = {name: {} for name in submissions}
    remarks = {name: [] for name in submissions}
    for stem in filter(handed_in.get, stems):
        exercise = generate.to_exercise(generate.to_notebook(generate.SOLUTIONS / f"{stem}.py"))
        collect(exercise, points, titles)
        answers = {}
        for name, files in submissions.items():
            answers[name], told = taken(files.get(stem, []), stem, exercise)
            remarks[name] += told
        for verdict in run_judge(exercise, answers, limits):
            rows[verdict["submission"]][verdict["exercise"]] = verdict
    write(out, rows, remarks, points, titles)
    return pd.read_csv(out / "grades.csv")


def collect(exercise: NotebookNode, points: dict[str, float], titles: dict[str, str]) -> None:
    """Adds points and titles of the exercises of a notebook, by their ids."""
    title = ""
    for cell in exercise.cells:
        title = match["title"] if (match := generate.heading(cell)) else title
        if "check" in generate.tags(cell):
            points[cell.metadata.exercise] = cell.metadata.points
            titles[cell.metadata.exercise] = title


def taken(paths: list[Path], stem: str, exercise: NotebookNode) -> tuple[dict, list[str]]:
    """Returns the answers in the newest copy of a notebook, and remarks about what was handed in."""
    nothing = {"answers": {}, "others": []}
    if not paths:
        return nothing, [f"{stem}: not handed in"]
    newest = max(paths, key=lambda path: path.lstat().st_mtime)
    remarks = [f"{stem}: {len(paths)} copies, took {newest.name}"] if len(paths) > 1 else []
    try:
        answers = answers_of(read(newest), exercise)
    except ValueError as error:
        return nothing, [*remarks, str(error)]
    return answers, remarks


# What comes out ----------------------------------------------------------------------------------


def write(out: Path, rows: dict, remarks: dict, points: dict, titles: dict) -> None:
    """Writes the table and the pages; files are written under temporary names and renamed."""
    table = []
    for name, verdicts in rows.items():
        got = {e: points[e] * (v["verdict"] == "passed") for e, v in verdicts.items()}
        row = {"submission": name} | {e: got.get(e, 0) for e in points}
        row |= {"total": sum(got.values()), "of": sum(points.values())}
        told = [*remarks[name], *filter(None, map(remark, verdicts.values()))]
        table.append(row | {"remarks": "; ".join(told)})
        write_text(out / "feedback" / f"{name}.md", page(name, verdicts, row, points, titles, told))
    for row in table:  # a spreadsheet takes some names for formulas
        row["submission"] = re.sub(r"^(?=[=+\-@])", "'", row["submission"])
    write_text(out / "grades.csv", pd.DataFrame(table).to_csv(index=False))


def remark(verdict: dict) -> str:
    """Returns what a teacher should look at in an answer, or nothing; no words of the learner's."""
    told = [SAID[verdict["verdict"]]] * (verdict["verdict"] in ("stopped", "tampered"))
    told += [f"tried {what}" for what in verdict["tried"]]
    return f"{verdict['exercise']}: {', '.join(told)}" if told else ""


def page(name: str, verdicts: dict, row: dict, points: dict, titles: dict, told: list[str]) -> str:
    """Returns the page of feedback to one submission, as Markdown."""
    lines = [f"# {name}: {row['total']:g} of {row['of']:g} points", ""]
    lines += ["| exercise | title | points | |", "|---|---|---|---|"]
    for exercise, most in points.items():
        verdict = verdicts.get(exercise, {"verdict": "missing"})["verdict"]
        figures = f"{row[exercise]:g} of {most:g}"
        lines.append(f"| {exercise} | {titles[exercise]} | {figures} | {SAID[verdict]} |")
    for exercise, verdict in verdicts.items():
        if verdict["said"]:
            said = verdict["said"].replace("```", "...")  # it may hold words of the learner's
            lines += ["", f"**{exercise} · {titles[exercise]}**", ""]
            lines += ["```text", said, "```"]
    lines += ["", "Remarks: " + "; ".join(told) + "."] if told else []
    lines += ["", "Checks judged functions alone; what you wrote and drew is for people to read."]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str]) -> None:
    """Grades the folder that the command line names."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m natlib grade", formatter_class=form)
    parser.description = __doc__
    add = parser.add_argument
    add("folder", type=Path, metavar="FOLDER", help="what learners handed in")
    add("--out", type=Path, help="folder for the results; default: FOLDER-graded, beside it")
    add("--only", nargs="+", metavar="NOTEBOOK", help="such as 03_nsga3; default: all")
    add("--seconds", type=float, default=60, help="most computing for an answer and its check (60)")
    add("--memory", type=float, default=2, help="most GB that an answer may take (2)")
    chosen = parser.parse_args(arguments)
    stems = [script.stem for script in generate.scripts()]
    if not sys.platform.startswith("linux"):
        raise OSError("Grading needs Linux, for its limits: run it in a container or in WSL.")
    if not stems:
        raise FileNotFoundError("This is a hand-out: grade in the project that has the solutions.")
    if unknown := set(chosen.only or []) - set(stems):
        known = ", ".join(stems)
        raise ValueError(f"There is no notebook {', '.join(unknown)}: choose from {known}.")
    if not chosen.folder.is_dir():
        raise NotADirectoryError(f"{chosen.folder} is no folder: name that of the submissions.")
    if not (chosen.seconds > 0 and chosen.memory > 0):
        raise ValueError("Seconds and memory are above zero.")
    print(WARNING, flush=True)
    folder = chosen.folder.resolve()
    out = chosen.out or folder.with_name(f"{folder.name}-graded")
    limits = {"seconds": chosen.seconds, "memory": chosen.memory}
    table = grade(folder, out, chosen.only or stems, limits)
    print(table[["submission", "total", "of", "remarks"]].fillna("").to_string(index=False))
    print(f"{out} holds grades.csv, and a page of feedback for each in feedback/.")
