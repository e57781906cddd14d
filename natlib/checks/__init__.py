"""Self-checks of the exercises: one module for each notebook with exercises.

A check is a function `check_*(answer)`. It tries the answer, mostly a function, on small cases,
prints one line when all is well, and otherwise raises an `AssertionError` that says what is wrong
and what to think about. Other errors of the answer pass through, `NotImplementedError` of an
exercise that was not begun among them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def require(condition: object, message: str) -> None:
    """Raises an `AssertionError` with the message unless the condition is true."""
    if not condition:
        raise AssertionError(message)


def numbers(answer: object, shape: tuple[int, ...], what: str) -> NDArray[np.float64]:
    """Returns an answer as numbers of the shape that it should have.

    Args:
        answer: What the learner's function returned.
        shape: The shape it should have; `()` for one number.
        what: Names the answer at the beginning of a sentence.

    Raises:
        AssertionError: If it is no array of finite numbers, or of another shape.
    """
    require(answer is not None, f"{what} is None: does the function end with 'return'?")
    try:
        array = np.asarray(answer, dtype=np.float64)
    except (TypeError, ValueError):
        raise AssertionError(f"{what} should hold numbers, not {type(answer).__name__}.") from None
    wanted = "one number" if shape == () else f"an array of shape {shape}"
    require(array.shape == shape, f"{what} should be {wanted}, and has the shape {array.shape}.")
    require(np.isfinite(array).all(), f"{what} holds numbers that are not finite: {array}.")
    return array


def same(a: ArrayLike, b: ArrayLike, tolerance: float = 1e-9) -> bool:
    """Returns whether all numbers agree, up to a tolerance relative to the larger ones."""
    return np.allclose(a, b, rtol=tolerance, atol=tolerance)


def passed(message: str) -> None:
    """Prints the one line of a check that was passed."""
    print(f"Passed: {message}")
