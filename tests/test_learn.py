"""Predictions, quiz, report and exam: what is asked is sound, and what is answered is kept."""

import json
import re
from collections import Counter
from pathlib import Path

import jupytext
import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ipywidgets.widgets.widget import _instances
from nbclient import NotebookClient

from docs.book import WIDGET, without_widgets
from natlib.__main__ import main
from natlib.teach import learn
from natlib.teach import report as report_of_teach
from notebooks import exam

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
LESSONS = sorted(path for path in NOTEBOOKS.glob("0[0-6]_*.py"))
ASKED = learn.questions()
QUIZ = {f"{n} {name}": asked for n, quiz in ASKED["quiz"].items() for name, asked in quiz.items()}


def calls(lesson, function):
    """Returns the first arguments of a function of `learn` in a lesson, with their cells."""
    cells = jupytext.read(lesson).cells
    pattern = re.compile(rf'learn\.{function}\("(\w+)"')
    return {n: i for i, cell in enumerate(cells) for n in pattern.findall(cell.source)}


def test_each_prediction_is_asked_in_one_lesson_before_it_is_told():
    asked = Counter()
    for lesson in LESSONS:
        before, after = calls(lesson, "predict"), calls(lesson, "outcome")
        assert set(before) == set(after) and len(before) >= 2, lesson.stem
        assert all(before[name] < after[name] for name in before), lesson.stem
        asked.update([*before])
    assert asked == Counter(list(ASKED["predict"]))
    for question in ASKED["predict"].values():
        assert set(question) == {"ask", "options", "why"} and 3 <= len(question["options"]) <= 4


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_ends_with_its_quiz_and_feedback(lesson):
    last = jupytext.read(lesson).cells[-1]
    assert last.metadata["slideshow"] == {"slide_type": "skip"}
    for function in ("quiz", "feedback"):
        assert list(calls(lesson, function)) == [lesson.stem[:2]]
        assert f"learn.{function}(" in last.source


def test_there_are_six_questions_on_each_lesson():
    assert {n: len(quiz) for n, quiz in ASKED["quiz"].items()} == {f"0{i}": 6 for i in range(7)}
    for key, question in QUIZ.items():
        assert 3 <= len(question["options"]) <= 4 and all(len(o) == 2 for o in question["options"])
        assert ("numbers" in question) == (key in exam.DRAWN) == (key in exam.FOLLOWS), key
        texts = [question["ask"], *sum(question["options"], [])]
        assert "numbers" in question or not any("{" in text for text in texts), key


def test_texts_hold_no_markup():
    text = (NOTEBOOKS / "questions.toml").read_text("utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert not [line for line in lines if re.search(r"[<>&*`$\\]", line)]


@pytest.mark.parametrize("key", exam.DRAWN)
def test_the_numbers_of_the_quiz_follow_from_each_other(key):
    numbers = QUIZ[key]["numbers"]
    given_ = {name: numbers[name] for name in exam.DRAWN[key]}
    found = exam.numbers_of(key, given_)
    assert {n: str(v) for n, v in found.items()} == {n: str(v) for n, v in numbers.items()}
    _, options = exam.filled(QUIZ[key], numbers)
    assert len({option for option, _ in options}) == len(options)


@given(st.text(max_size=8), st.sampled_from(["", "01", "04"]))
def test_an_exam_has_other_numbers_and_a_key_that_is_right(seed, lesson):
    lessons = [lesson] if lesson else []
    pages, key = exam.pages(seed, lessons)
    assert (pages, key) == exam.pages(seed, lessons)
    assert len(pages) == len(key) == (6 if lesson else 42)
    for page, answers in zip(pages, key, strict=True):
        options = re.findall(r"^- ([a-d])\) (.+)$", page, re.M)
        assert len({text for _, text in options}) == len(options) >= 3
        [right] = re.findall(r"^- ([a-d])\) .+ \*\*Right:\*\*", answers, re.M)
        assert f"Answer: **{right}**" in answers and "Right:" not in page
        assert "{" not in page + answers


def test_exam_numbers_are_not_those_of_the_quiz():
    for key in exam.DRAWN:
        lesson = exam.filled(QUIZ[key], QUIZ[key]["numbers"])
        assert all(exam.draw(key, QUIZ[key], exam.random.Random(s)) != lesson for s in range(20))


@pytest.mark.parametrize("end", ["md", "html"])
def test_the_command_writes_exam_and_key(tmp_path, capsys, end):
    main(["exam", str(tmp_path / f"quiz.{end}"), "--seed", "7", "--lessons", "02", "03"])
    assert "12 questions" in capsys.readouterr().out
    page, key = ((tmp_path / f"{n}.{end}").read_text("utf-8") for n in ("quiz", "quiz-key"))
    assert "Answer:" in key and "Answer:" not in page
    assert {p.name for p in tmp_path.iterdir()} == {f"quiz.{end}", f"quiz-key.{end}"}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [(["e.pdf"], "neither with .md nor"), (["e.md", "--lessons", "9"], "No lesson 9")],
)
def test_the_command_says_what_is_wrong(tmp_path, monkeypatch, arguments, told):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=told):
        main(["exam", *arguments, "--seed", "1"])
    assert not list(tmp_path.iterdir())


@pytest.fixture
def shown(monkeypatch, tmp_path):
    """A learner's file, nothing answered, and all that is displayed."""
    monkeypatch.setenv("NATLIB_ANSWERS", str(tmp_path / "me" / "answers.json"))
    monkeypatch.setattr(learn, "_kept", {kind: {} for kind in learn._kept})
    monkeypatch.setattr(learn, "_shown", set())
    found = []
    monkeypatch.setattr(learn, "display", lambda data, **options: found.append(data))
    return found


def view(data):
    """Returns the widget of an output."""
    return _instances[data[WIDGET]["model_id"]]


def click(data, i):
    """Presses a button of a question; returns what is said below it."""
    _, row, said = view(data).children
    row.children[i].click()
    return said.value


def kept(path):
    return json.loads(path.read_text("utf-8"))


def test_a_prediction_is_locked_and_told_afterwards(shown, tmp_path):
    learn.predict("stale")
    assert "Locked: b" in click(shown[0], 1) and "Locked: b" in click(shown[0], 2)
    learn.outcome("stale", 2, "Rho 0.1.")
    asked = ASKED["predict"]["stale"]
    text = f"You predicted b. It is c: {asked['options'][2]} Rho 0.1. {asked['why']}"
    assert shown[1] == {"text/plain": text, "text/html": shown[1]["text/html"]}
    assert shown[1]["text/html"].startswith("<details open>")
    found = kept(tmp_path / "me" / "answers.json")["predict"]
    assert found == {"stale": {"predicted": 1, "happened": 2, "right": False}}
    learn.predict("stale")
    assert "Locked: b" in view(shown[2]).children[2].value


def test_who_does_not_predict_is_told_and_cannot_any_more(shown, tmp_path):
    learn.predict("stale")
    learn.outcome("stale", 2)
    assert shown[1]["text/html"].startswith("<details>") and "You" not in shown[1]["text/plain"]
    assert "Too late" in click(shown[0], 0)
    assert not (tmp_path / "me").exists()


def test_every_option_of_the_quiz_has_its_comment_and_the_first_answer_counts(shown, tmp_path):
    learn.quiz("01")
    assert len(shown) == 6
    for data, (name, asked) in zip(shown, ASKED["quiz"]["01"].items(), strict=True):
        comments = [c.format(**asked.get("numbers", {})) for _, c in asked["options"]]
        said = [click(data, i) for i in range(len(comments))]
        told = [text.partition(": ")[2] for text in said]
        assert sorted(text.partition(". ")[2] for text in told) == sorted(comments)
        assert all(text in data["text/html"] for text in told)
        [right] = [i for i, text in enumerate(told) if text.startswith("Right. ")]
        assert said[right].endswith(comments[0])
        assert kept(tmp_path / "me" / "answers.json")["quiz"]["01"][name] == (right == 0)
        assert data["text/html"].count("<details>") == len(comments)


def test_a_check_is_noted_when_it_is_passed_first(shown, tmp_path, monkeypatch):
    learn.note_check("check_something")
    first = kept(tmp_path / "me" / "answers.json")["check"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d", first["check_something"])
    learn.note("check", "check_something", "earlier")
    learn.note_check("check_something")
    assert kept(tmp_path / "me" / "answers.json")["check"] == {"check_something": "earlier"}


def test_answers_of_two_notebooks_are_both_kept(shown, tmp_path, monkeypatch):
    learn.note("quiz", "01", {"forms": True})
    monkeypatch.setattr(learn, "_kept", {kind: {} for kind in learn._kept})  # another kernel
    learn.note("quiz", "02", {"tau": False})
    found = kept(tmp_path / "me" / "answers.json")["quiz"]
    assert found == {"01": {"forms": True}, "02": {"tau": False}}


@pytest.mark.parametrize("text", ["{", "[1]", "3", "\x00"])
def test_a_damaged_file_is_kept_aside(shown, tmp_path, text):
    path = tmp_path / "me" / "answers.json"
    path.parent.mkdir()
    path.write_text(text, "utf-8")
    learn.note("check", "check_a", "now")
    assert kept(path)["check"] == {"check_a": "now"}
    assert path.with_suffix(".damaged").read_text("utf-8") == text


def test_where_no_file_can_be_written_answers_last_as_long_as_the_kernel(
    shown, tmp_path, monkeypatch
):
    (tmp_path / "me").write_text("a file, no folder", "utf-8")
    learn.note("check", "check_a", "now")
    assert learn.answers("check") == {"check_a": "now"}
    monkeypatch.setenv("NATLIB_ANSWERS", "")
    learn.note("check", "check_b", "now")
    assert set(learn.answers("check")) == {"check_a", "check_b"}
    assert [p.name for p in tmp_path.iterdir()] == ["me"]


def test_the_report_says_what_was_done(shown, tmp_path):
    learn.predict("stale")
    click(shown[-1], 2)
    learn.outcome("stale", 2)
    learn.quiz("01")
    click(shown[-1], 0)
    learn.note_check("check_something")
    learn.feedback("06", network="02 0 500 265 120")
    for field, text in zip(view(shown[-1]).children, ("95", "SVR", "It is\nsmall."), strict=True):
        field.value = text
    path = report_of_teach()
    text = path.read_text("utf-8")
    assert path == tmp_path / "me" / "report.md" and shown[-1].data == text
    predictions = len(ASKED["predict"])
    assert f"1 of {predictions} made, 1 as it happened." in text
    assert re.search(r"^\| 01 \| 6 \| 1 \| [01] \|$", text, re.M)
    assert re.search(r"^- 20\d\d-.+: check_something$", text, re.M)
    assert "06: 95 minutes. SVR" in text and "`02 0 500 265 120`. Why: It is\nsmall." in text
    learn.feedback("06", network="02 0 500 265 120")
    assert [field.value for field in view(shown[-1]).children] == ["95", "SVR", "It is\nsmall."]


def test_an_empty_report_can_be_written_and_needs_a_place(shown, tmp_path, monkeypatch):
    monkeypatch.setenv("NATLIB_ANSWERS", "")
    with pytest.raises(ValueError, match="give a path"):
        learn.report()
    text = learn.report(tmp_path / "mine.md").read_text("utf-8")
    assert "0 of" in text and "None was chosen" in text


def test_a_notebook_runs_unanswered_and_its_page_has_the_questions():
    source = "from natlib.teach import learn\nlearn.predict('stale')\n"
    source += "learn.outcome('stale', 2)\nlearn.quiz('01')\nlearn.feedback('01')"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    NotebookClient(notebook, kernel_name="python3").execute()
    [cell] = without_widgets(notebook).cells
    html = [output.data["text/html"] for output in cell.outputs]
    assert len(html) == 9 and not any(WIDGET in output.data for output in cell.outputs)
    assert ASKED["predict"]["stale"]["options"][0] in html[0] and "<details>" in html[1]
