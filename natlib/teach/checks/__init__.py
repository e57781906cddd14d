"""Self-checks of the exercises: one module for each notebook with exercises.

A check is a function `check_*(answer)`. It tries the answer, mostly a function, on small cases,
prints one line when all is well, and otherwise raises an `AssertionError` that says what is wrong
and what to think about. Other errors of the answer pass through, `NotImplementedError` of an
exercise that was not begun among them. A check reads as a table of what it has to say, each
sentence with the cases that call for it, arguments first and the right answer last; a short one is
`check_hypervolume` of notebook 03. Its sentences stand in `sentences.toml`, in a table
`[nsga3.check_hypervolume]`, with what is found, and the arguments, in braces:

    overlap = "(1, 3) and (2, 2): {found:g} squares? Their rectangles overlap, and so on."
"""

import copy
import functools
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def says(check: Callable) -> SimpleNamespace:
    """Returns what a check says, by name: its table in `sentences.toml`."""
    text = Path(__file__).with_name("sentences.toml").read_text(encoding="utf-8")
    module = check.__module__.rpartition(".")[2]
    return SimpleNamespace(**tomllib.loads(text)[module][check.__name__])


def check(what: str = "The answer", shape: Any = None) -> Callable[[Callable], Callable]:
    """Makes a check of a function `(ask, say)` that may return a table of cases."""

    def made(judge: Callable) -> Callable[[object], None]:
        @functools.wraps(judge)
        def run(answer: object) -> None:
            say, ask = says(judge), answer if shape is None else asking(answer, what, shape)
            for name, tries in getattr(say, "cases", {}).items():
                for *given, rule in tries:
                    low, high = rule["between"]
                    found = ask(*given)
                    require(low <= found <= high, getattr(say, name), found=found)
            cases(ask, judge(ask, say) or {})
            passed(say.passed)

        return run

    return made


def tabled(module: str, name: str, what: str = "The answer", shape: Any = None) -> Callable:
    """Returns the check of a module to which nothing belongs but its table in `sentences.toml`."""

    def judge(ask: Callable, say: SimpleNamespace) -> None: ...

    judge.__module__, judge.__name__ = module, name
    return check(what, shape)(judge)


def require(condition: object, message: str, **values: Any) -> None:
    """Raises an `AssertionError` with the message, values in it, unless the condition is true."""
    if not condition:
        raise AssertionError(message.format(**values) if values else message)


def numbers(answer: object, shape: tuple[int, ...], what: str) -> NDArray[np.float64]:
    """Returns an answer as finite numbers of its shape, `()` for one; `what` begins complaints."""
    require(answer is not None, f"{what} is None: does the function end with 'return'?")
    try:
        array = np.asarray(answer, dtype=np.float64)
    except (TypeError, ValueError):
        raise AssertionError(f"{what} should hold numbers, not {type(answer).__name__}.") from None
    wanted = "one number" if shape == () else f"an array of shape {shape}"
    require(array.shape == shape, f"{what} should be {wanted}, and has the shape {array.shape}.")
    require(np.isfinite(array).all(), f"{what} holds numbers that are not finite: {array}.")
    return array


def asking(answer: Callable, what: str, shape: Any = (), unchanged: str = "") -> Callable[..., Any]:
    """Returns the answer as a function that judges the form of what it returns.

    The answer gets copies of arguments, lists as arrays of floats. `what` it returns begins
    complaints, with `{0}` for the first argument; it should have the `shape`, also given as a
    function of the arguments. `unchanged`, if any, is said when an array that it gets is changed.
    """

    def ask(*arguments: Any) -> Any:
        arguments = [np.array(a, float) if isinstance(a, list) else a for a in arguments]
        given = copy.deepcopy(arguments)
        wanted = shape(*arguments) if callable(shape) else shape
        answered = answer(*given)
        found = numbers(answered, wanted, what.format(*arguments))
        pairs = [p for p in zip(given, arguments, strict=True) if isinstance(p[0], np.ndarray)]
        require(not unchanged or all(np.array_equal(*pair) for pair in pairs), unchanged)
        exact = isinstance(answered, int)  # of any size
        return answered if exact else found if wanted else float(found)

    return ask


def same(a: ArrayLike, b: ArrayLike, tolerance: float = 1e-9) -> bool:
    """Returns whether all numbers agree, up to a tolerance relative to the larger ones."""
    return np.allclose(np.asarray(a, float), np.asarray(b, float), tolerance, tolerance)


def unlike(*values: ArrayLike) -> Callable[[ArrayLike], bool]:
    """Returns whether an answer is none of the values, which are those of typical mistakes."""
    return lambda found: not any(same(found, value) for value in values)


def cases(ask: Callable, table: dict[str, tuple | list[tuple]], tolerance: float = 1e-9) -> None:
    """Raises an `AssertionError` with the first message whose answer is not as expected.

    Each message has one `(*arguments, expected)`, or a list. What is expected is the right answer,
    numbers up to the tolerance, or a function that judges it. In the message `{found}` stands for
    the answer, `{0}` for the first argument, and so on.
    """
    for message, tries in table.items():
        for *arguments, expected in tries if isinstance(tries, list) else [tries]:
            found = ask(*copy.deepcopy(arguments))
            if callable(expected):
                fine = expected(found)
            else:
                numeric = isinstance(expected, int | float | list | np.number | np.ndarray)
                fine = same(found, expected, tolerance) if numeric else found == expected
            require(fine, message.format(*arguments, found=_plain(found)))


def passed(message: str) -> None:
    """Prints the one line of a check that was passed."""
    print(f"Passed: {message}")


def _plain(value: Any) -> Any:
    """Returns sets as lists in order, and arrays as lists, without points if all are whole."""
    if isinstance(value, np.ndarray):
        return (value.astype(int) if (value == value.round()).all() else value).tolist()
    return sorted(value) if isinstance(value, set) else value
