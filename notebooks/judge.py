"""Runs answers of learners, each in a process of its own, and says which checks they pass.

`notebooks/grade.py` starts it, with a job as JSON on its input; a line of JSON for each verdict comes
out. Here our own cells are run. For each answer this process makes a copy of itself, in a session of
its own and under limits. There the learner's code runs first, and then our check, for which all our
names are those of before. A copy says its verdict through a pipe, after a token that only our code is
given. It is ended, with all that it started, when it has spoken or its time is over.

This is no sandbox. Code that runs as the same user can get around all of it, if it wants to: what is
refused here (network, programs, writing outside a scratch folder, reading solutions) is refused by
Python, not by the system, and who digs in the interpreter finds the token. `notebooks/grade.py` tells
how to grade in a container. It needs Linux.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import json
import linecache
import math
import os
import re
import resource
import secrets
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from IPython.core.inputtransformer2 import TransformerManager

from natlib.teach import checks

REFUSED = (  # audit events, by how they begin
    "socket.connect", "socket.getaddrinfo", "socket.gethostby", "socket.bind", "socket.send",
    "subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.kill",
    "pty.", "gc.get_",
)  # fmt: skip
CHANGING = tuple(
    f"os.{do}" for do in "remove rename rmdir mkdir link symlink truncate chmod chown".split()
)
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
WATCHED = ("builtins", "numpy", "pandas", "torch")  # besides natlib
LONGEST = 1500  # letters of what is said of an answer
PATIENCE = 5  # seconds by the clock for each of computing: the machine may be busy
MEMORY = "It needed more memory than it may take."
EARLY = "Its process ended before the check was through."
END = b"\x1e"  # of what a process says


class Cell(NamedTuple):
    """A cell of code: `given` by us, an `answer`, or a `check`, of an exercise or of none."""

    kind: str
    source: str
    exercise: str = ""
    defines: tuple[str, ...] = ()  # the functions that an answer is to define


@cache
def names_of(cell: Cell) -> tuple[set[str], set[str]]:
    """Returns the names that a cell defines or changes, and those that it uses."""
    made, used = set(), set()
    try:
        statements = ast.parse(plain(cell.source)).body
    except (SyntaxError, ValueError):
        return set(cell.defines), used
    for statement in statements:
        inside = isinstance(statement, ast.FunctionDef | ast.ClassDef)
        made |= {statement.name} if inside else set()
        nodes = list(ast.walk(statement))
        names = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
        if isinstance(statement, ast.FunctionDef):  # less what is its own
            names -= {node.arg for node in nodes if isinstance(node, ast.arg)}
            names -= {
                n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
            }
        used |= names
        made |= set() if inside else set().union(*map(_made_by, nodes))
    return made, used


def _made_by(node: ast.AST) -> set[str]:
    """Returns the names that a part of a statement defines or changes."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    if isinstance(getattr(node, "ctx", None), ast.Store):
        while isinstance(node, ast.Attribute | ast.Subscript):
            node = node.value
        return {node.id} if isinstance(node, ast.Name) else set()
    return set()


def plain(source: str) -> str:
    """Returns the code of a cell with calls for IPython's magic commands, which do nothing here."""
    return TransformerManager().transform_cell(source)


def needed(cells: Sequence[Cell], names: set[str]) -> list[Cell]:
    """Returns the cells, in order, that define some names, and what those need in turn."""
    chosen: set[int] = set()
    while more := {i for i, cell in enumerate(cells) if names_of(cell)[0] & names} - chosen:
        chosen |= more
        names = names.union(*(names_of(cells[i])[1] for i in more))
    return [cells[i] for i in sorted(chosen)]


def by_answers(cells: Sequence[Cell]) -> list[Cell]:
    """Returns the given cells that use an answer, or what such a cell has made."""
    names, found = {name for cell in cells for name in cell.defines}, []
    for cell in cells:
        made, used = names_of(cell)
        if cell.kind == "given" and used & names:
            found.append(cell)
            names |= made
    return found


def run(cell: Cell, names: dict) -> None:
    """Runs a cell in a namespace; its lines are there for tracebacks."""
    place, source = f"<{cell.kind} {cell.exercise}>", plain(cell.source)
    linecache.cache[place] = (len(source), None, source.splitlines(keepends=True), place)
    exec(compile(source, place, "exec"), names)


class _Quiet:
    """Stands for IPython: whatever is asked of it does nothing."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *args, **kwargs: None


# What a learner's process may not do -------------------------------------------------------------


def guard(scratch: str, closed: Sequence[str]) -> set[str]:
    """Refuses for good what no answer needs; returns the set in which it notes what was tried.

    Args:
        scratch: The folder to write in.
        closed: Folders that are not to be read, such as those of solutions and submissions.
    """
    tried: set[str] = set()

    def within(path: object, folders: Sequence[str]) -> bool:
        real = os.path.realpath(os.fsdecode(path))
        return any(real == folder or real.startswith(f"{folder}/") for folder in folders)

    def hook(event: str, arguments: tuple) -> None:
        paths = [a for a in arguments[:2] if isinstance(a, str | bytes | os.PathLike)]
        said = event if event.startswith(REFUSED) else ""
        if event == "open" and paths[:1] == [arguments[0]]:
            writes = (arguments[2] or 0) & WRITING
            if writes and not within(paths[0], [scratch, "/dev/null"]):
                said = "writing outside"
            elif within(paths[0], closed):
                said = "reading what is closed"
        elif event.startswith(CHANGING) and not all(within(p, [scratch]) for p in paths):
            said = "changing files outside"
        if said:
            tried.add(said)
            raise PermissionError(f"This is not allowed while an answer is graded: {said}.")

    sys.addaudithook(hook)
    return tried


def limit(seconds: float, memory: float) -> None:
    """Limits computing time, memory beyond what is taken already, in GB, and files of this process."""
    taken = int(Path("/proc/self/statm").read_text("utf-8").split()[0]) * resource.getpagesize()
    most = {
        resource.RLIMIT_AS: taken + int(memory * 2**30),
        resource.RLIMIT_FSIZE: 2**28,
        resource.RLIMIT_CORE: 0,
    }
    for kind, value in most.items():
        resource.setrlimit(kind, (value, value))
    whole = math.ceil(seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (whole, whole + 1))  # a signal, then the end


def parts() -> dict[tuple[str, ...], tuple]:
    """Returns what checks rely on: functions and classes of natlib and of the libraries below it."""
    found: dict[tuple[str, ...], tuple] = {}
    for place, module in list(sys.modules.items()):
        if module is not None and (place in WATCHED or f"{place}.".startswith("natlib.")):
            for name, value in list(vars(module).items()):
                if callable(value) and name != "_":
                    found[place, name] = value, getattr(value, "__code__", None)
                if isinstance(value, type) and place != "builtins":
                    for inner, item in list(vars(value).items()):
                        found[place, name, inner] = item, getattr(item, "__code__", None)
    return found


def changed(before: dict[tuple[str, ...], tuple]) -> str:
    """Returns the dotted name of a part that is no longer what it was, or nothing."""
    now = parts()
    for place, old in before.items():
        new = now.get(place, (None, None))
        if not (new[0] is old[0] and new[1] is old[1]):
            return ".".join(place)
    return ""


# One answer --------------------------------------------------------------------------------------


def attempt(cells: Sequence[Cell], check: Cell, names: dict) -> tuple[str, str]:
    """Runs learner's cells, then our check; returns a verdict and what to say about it."""
    ours, before, trouble = dict(names), parts(), ""
    code = compile(check.source, "<check>", "exec")
    for cell in cells:
        try:
            run(cell, names)
        except MemoryError:
            raise
        except BaseException as error:  # whatever a learner's code may raise
            trouble = told(error) if cell.exercise == check.exercise else trouble
    if part := changed(before):
        return "tampered", f"Your code changes {part}, on which the check relies: it was not run."
    changing = set().union(*(names_of(cell)[0] for cell in cells if cell.kind == "given"))
    wanted = {
        n for n in names_of(check)[1] if n in changing or not (n in ours or n in vars(builtins))
    }
    if lacking := sorted(wanted - set(names)):
        return "failed", trouble or f"There is no {lacking[0]}: the cell does not define it."
    try:
        exec(code, ours | {name: names[name] for name in wanted})
        verdict = "passed", ""
    except NotImplementedError:
        verdict = "not begun", trouble
    except MemoryError:
        raise
    except BaseException as error:
        verdict = "failed", "\n".join(filter(None, (trouble, told(error))))
    if part := changed(before):
        return "tampered", f"Your code changes {part}, on which the check relies."
    return verdict


def told(error: BaseException) -> str:
    """Returns an error in a line, with the last line of the learner's code that led to it."""
    if isinstance(error, AssertionError) and str(error):
        return str(error)
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}, line {error.lineno}: {error.msg}"
    frames = traceback.extract_tb(error.__traceback__)
    lines = [f"line {f.lineno}, " for f in frames if f.filename.startswith("<answer")]
    return f"{type(error).__name__}, {''.join(lines[-1:])}{error}".rstrip(", ")


def in_a_process(work: Callable[[], Iterable[str]], seconds: float) -> dict:
    """Does some work in a copy of this process, and returns its verdict, or how it ended.

    Args:
        work: Returns a verdict, what to say about it, and what was tried.
        seconds: Most time of computing.
    """
    token, (ear, mouth) = secrets.token_bytes(16), os.pipe()
    if not (child := os.fork()):
        write, leave = os.write, os._exit  # whatever the learner's code makes of these
        try:
            os.setsid()
            os.close(ear)
            write(mouth, token + "\0".join(work()).encode(errors="replace") + END)
        except MemoryError:
            write(mouth, token + f"stopped\0{MEMORY}\0".encode() + END)
        finally:
            leave(0)
    os.close(mouth)
    try:
        heard, end = b"", time.monotonic() + PATIENCE * seconds
        while not heard.endswith(END) and (left := end - time.monotonic()) > 0:
            if select.select([ear], [], [], left)[0]:
                if not (more := os.read(ear, 1 << 16)):
                    break
                heard += more
        late = time.monotonic() >= end
    finally:
        for kill in (os.killpg, os.kill):  # the group may not be there yet
            with contextlib.suppress(ProcessLookupError, PermissionError):
                kill(child, signal.SIGKILL)
        os.close(ear)
        status = os.waitpid(child, 0)[1]
    over = late or (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU)
    told = f"It was stopped: it may compute for {seconds:g} seconds, and wait for some more."
    words = ["stopped", told if over else EARLY, ""]
    if heard.startswith(token) and heard.endswith(END):
        words = heard.removeprefix(token).removesuffix(END).decode().split("\0")
    return {
        "verdict": words[0],
        "said": words[1],
        "tried": words[2].split(", ") if words[2] else [],
    }


def judge(cells: Sequence[Cell], check: Cell, names: dict, job: dict) -> dict:
    """Judges one answer: `cells` are those that the check needs and that use answers, in order."""
    scratch = tempfile.mkdtemp(prefix="answer-")

    def work() -> tuple[str, str, str]:
        os.chdir(scratch)
        os.environ.update(dict.fromkeys(("HOME", "TMPDIR", "MPLCONFIGDIR"), scratch))
        tempfile.tempdir = None
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(nothing, stream)
        os.close(job["out"])
        limit(job["seconds"], job["memory"])
        tried = guard(os.path.realpath(scratch), job["closed"])
        verdict, said = attempt(cells, check, names)
        return verdict, re.sub("[\0\x1e]", "", said)[:LONGEST], ", ".join(sorted(tried))

    try:
        return in_a_process(work, job["seconds"])
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


# All answers -------------------------------------------------------------------------------------


def judged(
    cells: Sequence[Cell], first: Sequence[Cell], submission: dict, names: dict, job: dict
) -> Iterator[dict]:
    """Yields the verdicts on one submission, exercise by exercise.

    Args:
        cells: All of ours, answers as the stubs in whose places they stand.
        first: Those of them that were run already.
        submission: The learner's cells: `answers` by exercise, and `others`, pairs of the place of
            our cell that they follow, and code.
        names: What the first cells have made.
        job: Limits, and what is closed.
    """
    begun, others = {}, {}
    asked = {cell.exercise: cell.defines for cell in cells if cell.kind == "answer"}
    for exercise, sources in submission["answers"].items():
        begun[exercise] = [Cell("answer", s, exercise, asked[exercise]) for s in sources]
    for place, source in submission["others"]:
        coming = [cell.exercise for cell in cells[place + 1 :] if cell.kind == "check"]
        others.setdefault(place, []).append(Cell("answer", source, "".join(coming[:1])))
    for place, check in enumerate(cells):
        if check.kind != "check":
            continue
        if check.exercise in asked and check.exercise not in begun:
            yield {"exercise": check.exercise, "verdict": "missing", "said": "", "tried": []}
            continue
        before = list(others.get(-1, []))
        for i, cell in enumerate(cells[:place]):
            before += begun.get(cell.exercise, []) if cell.kind == "answer" else [cell]
            before += others.get(i, [])
        chosen = [cell for cell in needed(before, names_of(check)[1]) if cell not in first]
        found = judge(chosen, check, names, job)
        if found["verdict"] in ("stopped", "tampered"):
            begun.pop(check.exercise, None)  # no later exercise is to suffer from it
        yield {"exercise": check.exercise} | found


def main() -> None:
    """Reads a job, and writes a line of JSON for each verdict."""
    warnings.filterwarnings("ignore", category=DeprecationWarning)  # of threads and copies
    checks.OURS += (__file__,)  # what is refused is told with the learner's line
    job = json.load(sys.stdin)
    job["out"] = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    cells = [Cell(**cell | {"defines": tuple(cell["defines"])}) for cell in job["cells"]]
    late = by_answers(cells)
    first = [cell for cell in cells if cell.kind == "given" and cell not in late]
    theirs = []
    for submission in job["submissions"].values():
        sources = [s for some in submission["answers"].values() for s in some]
        theirs += [Cell("answer", s) for s in sources + [s for _, s in submission["others"]]]
    others = [*theirs, *(cell for cell in cells if cell not in first)]
    names = {"__name__": "__main__", "get_ipython": _Quiet, "display": print}
    sys.modules["__main__"] = ModuleType("__main__")  # what a learner's code can reach by its name
    for cell in needed(first, set().union(*(names_of(cell)[1] for cell in others))):
        run(cell, names)
    for name, submission in job["submissions"].items():
        for verdict in judged(cells, first, submission, names, job):
            line = json.dumps({"submission": name} | verdict)
            os.write(job["out"], f"{line}\n".encode())


if __name__ == "__main__":
    main()
