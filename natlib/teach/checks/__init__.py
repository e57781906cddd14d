"""Self-checks of the exercises: one module for each notebook with exercises.

A check is called with a learner's function. It tries it on small cases, prints one line when all is
well, and otherwise raises an `AssertionError` that says what is wrong and what to think about; only
the `NotImplementedError` of an exercise that was not begun passes through. What it says stands in
`sentences.toml`, with what is found, and the arguments, in braces; `cases.overlap` holds the cases
that call for the sentence `overlap`, arguments first, then the right answer or a rule, as in
`{not = 7}`; `passed` is what it prints:

    overlap = "(1, 3) and (2, 2): {found:g} squares? Their rectangles overlap, and so on."
    cases.overlap = [[[[1, 3], [2, 2]], [4, 4], 5]]

What needs more is a function `(ask, say)` below `@judged(...)`: `ask` is the learner's function in
the wrapper that all share, `say` holds the sentences. It may return further cases by sentence.
"""

import copy
import functools
import sysconfig
import tomllib
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray

from natlib.data import Split
from natlib.teach import learn

OURS = (str(Path(__file__).parents[2]), *map(sysconfig.get_path, ("stdlib", "purelib")))
NEAR = 1e-5  # absolute and relative: single precision is enough
CHANGED = "The function changed its argument {place}, which its caller may need: work on a copy."


def says(check: Callable) -> SimpleNamespace:
    """Returns what a check says, by name: its table in `sentences.toml`."""
    text = Path(__file__).with_name("sentences.toml").read_text(encoding="utf-8")
    module = check.__module__.rpartition(".")[2]
    return SimpleNamespace(**tomllib.loads(text)[module][check.__name__])


def judged(what: str = "The answer", shape: Any = None) -> Callable[[Callable], Callable]:
    """Makes a check of a function `(ask, say)`; `what` and `shape` are those of `asking`."""

    def made(judge: Callable) -> Callable[[object], None]:
        @functools.wraps(judge)
        def run(answer: object) -> None:
            say, ask = says(judge), asking(answer, what, shape)
            written = getattr(say, "cases", {}).items()
            try:
                cases(ask, {getattr(say, name): tries for name, tries in written})
                cases(ask, judge(ask, say) or {})
            except (LookupError, TypeError, ValueError) as error:  # an answer of no form foreseen
                raise AssertionError(f"It is not as the docstring says: {error}.") from None
            passed(judge, say.passed)

        run.__code__ = run.__code__.replace(co_name=judge.__name__)  # for tracebacks
        del run.__wrapped__  # so that help shows the argument
        return run

    return made


def tabled(module: str, name: str, what: str = "The answer", shape: Any = None) -> Callable:
    """Returns the check of a module to which nothing belongs but its table in `sentences.toml`."""

    def judge(ask: Callable, say: SimpleNamespace) -> None: ...

    judge.__module__, judge.__name__ = module, name
    return judged(what, shape)(judge)


def passed(check: Callable, message: str) -> None:
    """Prints the one line of a check that was passed, and notes that it was."""
    print(f"Passed: {message}")
    learn.note_check(check.__name__)


def require(condition: object, message: str, **values: Any) -> None:
    """Raises an `AssertionError` with the message, values in it, unless the condition is true."""
    if not condition:
        raise AssertionError(message.format(**values) if values else message)


def numbers(answer: object, shape: tuple | None, what: str, finite: bool = True) -> NDArray:
    """Returns an answer as numbers of its shape, `()` for one, None for any; finite, if asked for.

    It may be an array, a tensor, a list, a Series. `what` begins complaints.
    """
    require(answer is not None, f"{what} is None: does the function end with 'return'?")
    try:
        array = np.asarray(_detached(answer), dtype=np.float64)
    except (TypeError, ValueError):
        raise AssertionError(f"{what} should hold numbers, not {type(answer).__name__}.") from None
    wanted = "one number" if shape == () else f"an array of shape {shape}"
    fine = shape in (None, array.shape)
    require(fine, f"{what} should be {wanted}, and has the shape {array.shape}.")
    require(not finite or np.isfinite(array).all(), f"{what} holds numbers that are not finite.")
    return array


def rows(answer: object, n: int, message: str) -> list[int]:
    """Returns numbers of rows below `n`, in order, or says the message if they are none."""
    found = _detached([*answer] if isinstance(answer, set) else answer)
    fine = isinstance(found, list | np.ndarray | pd.Series)
    fine = fine and all(np.ndim(k) == 0 and k in range(n) for k in found)
    fine = fine and np.asarray(found).dtype != bool
    require(fine, message, answer=answer, n=n)
    return [int(k) for k in found]


def asking(answer: object, what: str = "The answer", shape: Any = ()) -> Callable[..., Any]:
    """Returns a learner's function in the wrapper that all checks share.

    It gets copies of arguments, lists as arrays of floats, and is told if it changes one; an error
    in it becomes a sentence that names the line. `what` it returns begins complaints, with `{0}`
    for the first argument; it should have the `shape`, also given as a function of the arguments;
    None takes whatever it returns.
    """
    require(callable(answer), "Pass the function itself: its name, without parentheses.")

    def ask(*arguments: Any, **options: Any) -> Any:
        arguments = [np.array(a, float) if isinstance(a, list) else a for a in arguments]
        given = [a.clone() if torch.is_tensor(a) else copy.deepcopy(a) for a in arguments]
        answered = call(answer, given, options)
        for place, (now, before) in enumerate(zip(given, arguments, strict=True), start=1):
            kept = map(_alike, _parts(now), _parts(before))
            require(all(kept), CHANGED, place=place)
        wanted = shape(*arguments) if callable(shape) else shape
        if wanted is None or (wanted == () and isinstance(answered, int)):  # exact at any size
            return answered
        found = numbers(answered, wanted, what.format(*arguments), finite=False)
        return found if wanted else float(found)

    return ask


def call(answer: Callable, given: Sequence, options: Mapping | None = None) -> Any:
    """Calls a learner's function; an error in it becomes a sentence that names their line."""
    try:
        return answer(*given, **(options or {}))
    except (AssertionError, NotImplementedError, MemoryError):
        raise
    except Exception as error:  # whatever a learner's code may raise
        frames = traceback.extract_tb(error.__traceback__)[1:]
        line = [f for f in frames if f.line and not f.filename.startswith(OURS)][-1:]
        place = "".join(f" in line {frame.lineno}, `{frame.line}`," for frame in line)
        kinds = [f"{type(a).__name__} {tuple(getattr(a, 'shape', ()))}" for a in given]
        called = ", ".join(kind.removesuffix(" ()") for kind in kinds) or "nothing"
        kind = f"{type(error).__name__}, {error}".rstrip(" ,.")
        told = f"The function stops{place} with {kind}. It was called with {called}."
        raise AssertionError(told) from None


def _alike(a: ArrayLike, b: ArrayLike) -> bool:
    """Returns whether two arrays are equal, of whatever type."""
    return np.shape(a) == np.shape(b) and pd.Series(np.ravel(a)).equals(pd.Series(np.ravel(b)))


def _parts(value: Any) -> list[ArrayLike]:
    """Returns what an argument holds that a function could change in place."""
    if isinstance(value, torch.nn.Module | dict):
        value = value if isinstance(value, dict) else value.state_dict()
        return [part for held in value.values() for part in _parts(held)]
    if isinstance(value, pd.DataFrame):
        return [value.columns, value.index, value]
    parts = [value.images, value.labels] if isinstance(value, Split) else [value]
    return [_detached(part) for part in parts if isinstance(part, np.ndarray | torch.Tensor)]


def _detached(value: Any) -> Any:
    """Returns a tensor as an array, also those in a list."""
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().numpy()
    return [*map(_detached, value)] if isinstance(value, list | tuple) else value


def same(a: ArrayLike, b: ArrayLike, tolerance: float = NEAR) -> bool:
    """Returns whether all numbers agree, up to a tolerance; NaN agrees with NaN."""
    a, b = (np.asarray(_detached(x), dtype=float) for x in (a, b))
    return np.allclose(a, b, tolerance, tolerance, equal_nan=True)


def cases(ask: Callable, table: dict[str, Any], tolerance: float = NEAR) -> None:
    """Raises an `AssertionError` with the first message whose answer is not as expected.

    Each message has one tuple `(*arguments, expected)`, or a list. What is expected is the right
    answer, numbers up to the tolerance; a function that judges it; or a rule, `{"not": value}`,
    `{"in": values}` or `{"between": ends}`. In the message `{found}` stands for the answer, `{0}`
    for the first argument, and so on.
    """
    for message, tries in table.items():
        for *arguments, expected in [tries] if isinstance(tries, tuple) else tries:
            found = ask(*arguments)
            shown = found.tolist() if isinstance(found, np.ndarray) else found
            shown = sorted(shown) if isinstance(shown, set) else shown
            fine = _fits(found, expected, tolerance)
            require(fine, message.format(*arguments, found=shown))


def _fits(found: Any, expected: Any, tolerance: float) -> bool:
    """Returns whether an answer is as expected."""
    if callable(expected):
        return expected(found)
    if isinstance(expected, dict):
        ((rule, value),) = expected.items()
        if rule == "between":
            return value[0] <= found <= value[1]
        return found in value if rule == "in" else not _fits(found, value, tolerance)
    numeric = isinstance(expected, int | float | list | np.number | np.ndarray)
    return same(found, expected, tolerance) if numeric else found == expected
