"""An exam on paper: questions of the quiz in another order and with other numbers, and the key.

    python -m natlib exam exam.html --seed 7 --lessons 01 02
    python -m natlib exam exam.md --seed 7

`exam-key.html`, beside it, has the same pages with the answers, and why the others are wrong. The
same seed makes the same exam: keep it for yourself.
"""

from __future__ import annotations

import argparse
import math
import random
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path

from natlib.data import write_text
from natlib.teach.learn import questions

# What is drawn for each question with numbers, and what follows from that, distractors included.
DRAWN: dict[str, dict[str, Sequence]] = {
    "00 front": {"a": range(5, 13), "x": (0.8, 1.2, 1.6, 2.4)},
    "00 share": {"big": (10, 20, 40), "sh": (25, 30, 35, 45)},
    "01 forms": {"L": range(2, 10), "D": (2, 3, 4)},
    "01 gene": {"kernels": ("3 and 5", "3, 5 and 7"), "kernel": (3, 5, 7), "expand": (3, 4, 6)},
    "01 depthwise": {"k": (3, 5, 7), "c": (16, 24, 40, 64, 96), "s": (4, 8, 14, 16, 28)},
    "02 tau": {"n": (4, 5, 6), "s": (1, 2, 3)},
    "02 noise": {"d": ("0.50", "0.60", "0.80", "1.00", "1.20")},
    "02 thermometer": {"level": (20, 24, 28, 32)},
    "03 squares": {"n": (4, 5, 6), "a": (0, 1), "b": (2, 3), "c": (2, 3), "d": (0, 1)},
    "03 directions": {"m": (3, 4), "p": (3, 4, 5)},
    "04 gene": {"n": (20, 30, 40), "s": range(2, 10), "k": (3, 5, 7)},
    "04 measurements": {"a": (16, 32, 100), "c": (4, 8), "i": (3, 4, 5, 10)},
    "05 valid": {"n": ("60,000", "75,000", "90,000", "120,000")},
    "06 chebyshev": {"p1": (0.0, 0.1, 0.2), "p2": (0.6, 0.7), "q": (0.5,)},
}


def _gene(kernels: str, kernel: int, expand: int) -> dict:
    known, k, e = kernels.count(",") + 2, (kernel - 3) // 2, (3, 4, 6).index(expand)
    if k >= known:
        raise ValueError(f"{kernel} is not among {kernels}")
    right = 1 + k + known * e
    return {"right": right, "less": right - 1, "mixed": 1 + 3 * k + e, "more": right + 1}


def _thermometer(level: int) -> dict:
    place = (level - 16) // 4
    codes = {
        "right": [i <= place for i in range(1, 5)], "only": [i == place for i in range(1, 5)],
        "onehot": [i == place for i in range(5)],
    }  # fmt: skip
    return {n: " ".join(str(int(x)) for x in code) for n, code in codes.items()} | {"place": place}


def _squares(n: int, a: int, b: int, c: int, d: int) -> dict:
    first, second, both = (n - a) * (n - b), (n - c) * (n - d), (n - c) * (n - b)
    right = first + second - both
    return {"all": n * n, "right": right, "twice": first + second, "first": first,
            "rest": n * n - right}  # fmt: skip


def _measurements(a: int, c: int, i: int) -> dict:
    once, again = a + c * i, sum(a + c * j for j in range(1, i + 1))
    return {"once": once, "again": again, "right": once + again, "first": once + a * i}


FOLLOWS: dict[str, Callable[..., dict]] = {
    "00 front": lambda a, x: {
        "b": a - 1, "y": round(x + 1, 1), "c": a + 1, "z": round(x + 0.3, 1)},
    "00 share": lambda big, sh: {
        "t": big * 0.8, "p": big * (sh + 15) / 100, "q": big * sh / 100,
        "s": big * (sh - 10) / 100, "more": sh + 15, "less": sh - 10},
    "01 forms": lambda L, D: {  # noqa: N803
        "right": sum(L**d for d in range(1, D + 1)), "deepest": L**D, "product": L * D,
        "each": D * L**D},
    "01 gene": _gene,
    "01 depthwise": lambda k, c, s: {
        "right": f"{k * k * c * s * s:,}", "dense": f"{k * k * c * c * s * s:,}",
        "weights": f"{k * k * c:,}", "line": f"{k * c * s * s:,}"},
    "02 tau": lambda n, s: {
        "right": f"{1 - 2 * s / math.comb(n, 2):.2f}", "once": f"{1 - s / math.comb(n, 2):.2f}",
        "share": f"{s / math.comb(n, 2):.2f}", "square": f"{1 - 2 * s / n**2:.2f}"},
    "02 noise": lambda d: {
        "right": f"{float(d) / 2:.2f}", "half": f"{float(d) / 2**0.5:.2f}",
        "double": f"{float(d) * 2:.2f}"},
    "02 thermometer": _thermometer,
    "03 squares": _squares,
    "03 directions": lambda m, p: {
        "right": math.comb(m + p - 1, p), "power": m**p, "product": m * p,
        "inner": math.comb(p - 1, m - 1)},
    "04 gene": lambda n, s, k: {
        "right": f"{(s + 1) / (n + k):.2f}", "plain": f"{s / n:.2f}", "uniform": f"{1 / k:.2f}",
        "more": f"{(s + 1) / n:.2f}"},
    "04 measurements": _measurements,
    "05 valid": lambda n: {
        "right": f"{int(n.replace(',', '')) - 10_000:,}", "most": "10,000",
        "fifth": f"{int(n.replace(',', '')) * 4 // 5:,}",
        "cut": f"{int(n.replace(',', '')) // 5:,}"},
    "06 chebyshev": lambda p1, p2, q: {
        "worst_q": f"{q / 2:.3f}", "sum_p": f"{(p1 + p2) / 2:.3f}", "best_p": f"{p1 / 2:.3f}"},
}  # fmt: skip


def numbers_of(key: str, given: dict) -> dict:
    """Returns all numbers of a question, `LESSON NAME`, that follow from those that are drawn."""
    return given | FOLLOWS[key](**given)


def filled(question: dict, numbers: dict) -> tuple[str, list[list[str]]]:
    """Returns the text and the options with their comments, the right one first."""
    options = [[text.format(**numbers) for text in option] for option in question["options"]]
    return question["ask"].format(**numbers), options


def draw(key: str, question: dict, rng: random.Random) -> tuple[str, list[list[str]]]:
    """Returns a question with other numbers, if it has any, such that no two options are equal."""
    while key in DRAWN:
        given = {name: rng.choice(list(choices)) for name, choices in DRAWN[key].items()}
        try:
            text, options = filled(question, numbers_of(key, given))
        except ValueError:  # these do not go together
            continue
        differ = len({option for option, _ in options}) == len(options)
        if differ and given != {name: question["numbers"][name] for name in given}:
            return text, options
    return filled(question, {})


def pages(seed: str, lessons: Sequence[str] = ()) -> tuple[list[str], list[str]]:
    """Returns the questions of an exam as Markdown, and the same with the answers."""
    quiz, rng = questions()["quiz"], random.Random(seed)
    chosen = [(f"{n} {name}", quiz[n][name]) for n in lessons or quiz for name in quiz[n]]
    exam, key = [], []
    for number, (name, question) in enumerate(rng.sample(chosen, len(chosen)), start=1):
        text, options = draw(name, question, rng)
        order = rng.sample(range(len(options)), len(options))
        asked = [f"{'abcd'[i]}) {options[j][0]}" for i, j in enumerate(order)]
        told = [f"{line} **{'No' if j else 'Right'}:** {options[j][1]}"
                for line, j in zip(asked, order, strict=True)]  # fmt: skip
        for page, lines in ((exam, asked), (key, told)):
            page.append("\n".join([f"**{number}.** {text}", "", *(f"- {x}" for x in lines)]))
        key[-1] += f"\n\nAnswer: **{'abcd'[order.index(0)]}** (lesson {name[:2]})"
    return exam, key


def to_html(markdown: str, title: str) -> str:
    """Returns a page to print."""
    from nbconvert.filters import markdown2html

    look = (
        "body{font:12pt serif;margin:2cm;max-width:40em}ul{list-style:none}p,ul{break-inside:avoid}"
        ".anchor-link{display:none}"
    )
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{look}</style>'
    return f'<!doctype html><html lang="en">{head}{markdown2html(markdown)}</html>'


def main(arguments: Sequence[str]) -> None:
    """Writes an exam and its key."""
    told = "Writes an exam on paper, with other numbers than the quiz, and beside it the key."
    parser = argparse.ArgumentParser(prog="python -m natlib exam", description=told)
    add = parser.add_argument
    add("file", metavar="FILE", type=Path, help="what to write, a file .md or .html")
    add("--seed", required=True, help="draws numbers and order; the same seed, the same exam")
    add("--lessons", nargs="+", default=[], metavar="NN", help="such as 00 01; default: all")
    options = parser.parse_args(arguments)
    if options.file.suffix not in (".md", ".html"):
        raise ValueError(f"{options.file} ends neither with .md nor with .html: name it so.")
    if unknown := sorted(set(options.lessons) - set(questions()["quiz"])):
        raise ValueError(f"No lesson {unknown[0]}: choose of {', '.join(questions()['quiz'])}.")
    exam, key = pages(options.seed, options.lessons)
    path = options.file.with_stem(f"{options.file.stem}-key")
    for file, parts, title in ((options.file, exam, "Exam"), (path, key, "Exam: the key")):
        text = "\n\n".join([f"# {title}", f"{len(parts)} questions; one option is right.", *parts])
        write_text(file, to_html(text, title) if file.suffix == ".html" else text + "\n")
    print(f"{options.file}: {len(exam)} questions; {path}: their answers. Keep the seed.")
