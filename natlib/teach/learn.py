"""Predictions before a figure, quizzes, feedback, and one page that reports them.

Questions stand in `notebooks/questions.toml`, answers in `~/.natlib/answers.json` or the file that
the environment variable `NATLIB_ANSWERS` names; if that is empty, they go with the kernel. Nothing
waits for an answer. Pages without a kernel have the questions, too: there they unfold.
"""

import json
import os
import random
import tomllib
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from functools import cache, partial
from pathlib import Path

import ipywidgets as widgets
from IPython.display import Markdown, display
from jinja2 import Template

from natlib import PROJECT
from natlib.data import write_text

PAGE = Path(__file__).with_name("report.md.jinja")
_kept: dict[str, dict] = {"predict": {}, "quiz": {}, "check": {}, "feedback": {}}
_shown: set[str] = set()  # outcomes that this kernel has shown


@cache
def questions() -> dict[str, dict]:
    """Returns `predict`, questions by name, and `quiz`, questions by lesson and name."""
    return tomllib.loads((PROJECT / "notebooks" / "questions.toml").read_text("utf-8"))


def _path() -> Path | None:
    place = os.environ.get("NATLIB_ANSWERS", Path.home() / ".natlib" / "answers.json")
    return Path(place).expanduser() if place else None


def answers(kind: str) -> dict:
    """Returns the answers of a kind (`predict`, `quiz`, `check`, `feedback`) by name."""
    if (path := _path()) and path.is_file():
        try:
            _kept.update(json.loads(path.read_text("utf-8")))
        except (TypeError, ValueError):  # somebody edited it
            path.replace(path.with_suffix(".damaged"))
    return _kept[kind]


def note(kind: str, name: str, value: object) -> None:
    """Keeps an answer, in the file if it can be written."""
    answers(kind)[name] = value
    with suppress(OSError):
        if path := _path():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text(path, json.dumps(_kept, indent=1))


def note_check(name: str) -> None:
    """Notes when a self-check was passed first."""
    if name not in answers("check"):
        note("check", name, f"{datetime.now():%Y-%m-%d %H:%M}")


def _ask(text: str, options: Sequence, answer: Callable, comments: Sequence = (), said="") -> None:
    """Shows a question with a button for each option, and below what `answer` returns of it.

    Where no kernel runs, HTML stands for it, in which comments on the options unfold.
    """
    folded = map("<details><summary>{}</summary>{}</details>".format, options, comments)
    items = ("</li>\n<li>".join(texts) for texts in (options, [*folded] or options))
    live, html = (f"{text}\n<ol style='list-style: lower-alpha'>\n<li>{x}</li></ol>" for x in items)
    below, row = widgets.HTML(said), [widgets.Button(description=x) for x in "abcd"[: len(options)]]
    for i, button in enumerate(row):
        button.on_click(lambda _, i=i: below.set_trait("value", answer(i)))
    view = widgets.VBox([widgets.HTML(live), widgets.HBox(row), below])
    display(view._repr_mimebundle_() | {"text/html": html}, raw=True)


def predict(name: str) -> None:
    """Asks for a prediction. The first counts, and none once its outcome was shown."""
    asked = questions()["predict"][name]

    def lock(i: int) -> str:
        if name in _shown and name not in answers("predict"):
            return "Too late: what happened was shown already."
        note("predict", name, made := answers("predict").get(name, {"predicted": i}))
        return f"Locked: {'abcd'[made['predicted']]}. Now run the cells below."

    said = lock(0) if name in answers("predict") else ""
    _ask(f"<b>Predict first.</b> {asked['ask']}", asked["options"], lock, said=said)


def outcome(name: str, happened: int, told: str = "") -> None:
    """Says which option of a prediction happened, counted from 0, what was found, and why."""
    asked, made = questions()["predict"][name], answers("predict").get(name)
    happened = int(happened)  # JSON knows no numbers of numpy
    text = f"{'abcd'[happened]}: {asked['options'][happened]} {told} {asked['why']}"
    if made:
        note("predict", name, made | {"happened": happened, "right": made["predicted"] == happened})
        text = f"You predicted {'abcd'[made['predicted']]}. It is {text}"
    head = f"<details{' open' if made else ''}><summary><b>What happened, and why</b></summary>"
    display({"text/html": f"{head}{text}</details>", "text/plain": text}, raw=True)
    _shown.add(name)


def quiz(lesson: str) -> None:
    """Asks the questions on a lesson such as "01"; the first answer to each counts."""
    for number, (name, asked) in enumerate(questions()["quiz"][lesson].items(), start=1):
        put = asked.get("numbers", {})  # the exam has others
        given = [[text.format(**put) for text in option] for option in asked["options"]]
        options = random.Random(name).sample(given, len(given))
        told = [f"{'Right' if option == given[0] else 'No'}. {option[1]}" for option in options]

        def answer(i: int, name=name, told=told) -> str:
            mark = {name: told[i].startswith("Right")}
            note("quiz", lesson, mark | answers("quiz").get(lesson, {}))
            return f"{'abcd'[i]}: {told[i]}"

        shown, text = [option for option, _ in options], asked["ask"].format(**put)
        _ask(f"<b>{number}.</b> {text}", shown, answer, told)


def feedback(lesson: str, network: object = "") -> None:
    """Asks how long a lesson took, what was unclear, and why the network, if any, was chosen."""
    asked = {"minutes": "minutes spent", "unclear": "what was unclear?"}
    asked |= {"why": f"why did you choose {network}?"} if network else {}
    told, fields = answers("feedback").get(lesson, {}), []

    def keep(name: str, change: dict) -> None:
        told.update({name: change["new"], "network": str(network)})
        note("feedback", lesson, told)

    for name, text in asked.items():
        look = {"continuous_update": False, "layout": {"width": "95%"}, "placeholder": text}
        fields.append(widgets.Textarea(told.get(name, ""), rows=1, **look))
        fields[-1].observe(partial(keep, name), "value")
    html = f"Where a kernel runs, fields ask here: {'; '.join(asked.values())}"
    display(widgets.VBox(fields)._repr_mimebundle_() | {"text/html": html}, raw=True)


def report(path: str | Path | None = None) -> Path:
    """Writes and shows a page of Markdown on what a learner did, by default beside the answers.

    Returns its path. Where no file holds the answers, a path must be given (`ValueError`).
    """
    if not (path or _path()):
        raise ValueError("No file holds the answers (NATLIB_ANSWERS is empty): give a path.")
    page, kept = Template(PAGE.read_text("utf-8"), trim_blocks=True), {k: answers(k) for k in _kept}
    text = page.render(now=datetime.now(), asked=questions(), kept=kept)
    write_text(path := Path(path or _path().with_name("report.md")), text)
    display(Markdown(text))
    return path
