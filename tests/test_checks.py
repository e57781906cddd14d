"""The self-checks of the exercises: right answers pass, typical mistakes fail with a fitting word.

The answers stand in `tests/checks`, one module for each module of `natlib.teach.checks`. Each right
answer is also given in other styles: what it returns as a list, a tensor, a Series, in single
precision. Each is spoiled as well: it changes what it is given, it breaks, it returns nothing.
"""

import importlib
import inspect
import pkgutil
import re

import numpy as np
import pandas as pd
import pytest
import torch

import natlib.teach.checks

pytest.importorskip("tests.checks", reason="a hand-out has no answers")
MODULES = [module.name for module in pkgutil.iter_modules(natlib.teach.checks.__path__)]
CHECKS = {name: importlib.import_module(f"natlib.teach.checks.{name}") for name in MODULES}
ANSWERS = {name: importlib.import_module(f"tests.checks.{name}") for name in MODULES}
STYLES = {
    "list": lambda value: value.tolist(),
    "tensor": lambda value: torch.tensor(np.array(value)),
    "float32": lambda value: np.asarray(value, np.float32),
    "pandas": lambda value: {0: np.float64, 1: pd.Series, 2: pd.DataFrame}[value.ndim](value),
}
GROUPS = {  # of names: what else they may come in
    "set": set, "list": list, "tuple": tuple, "array": lambda names: np.array(sorted(names)),
}  # fmt: skip


def styles(value):
    """Returns the styles in which a value may be returned, by name."""
    if isinstance(value, dict):
        by_key = {key: styles(v) for key, v in value.items()}
        names = set.intersection(*map(set, by_key.values()))
        return {name: {key: by_key[key][name] for key in value} for name in names}
    if isinstance(value, tuple):
        return {name: tuple(styles(part)[name] for part in value) for name in STYLES}
    if isinstance(value, set | list) and all(isinstance(v, str | tuple) for v in value):
        return {name: style(value) for name, style in GROUPS.items()}
    if isinstance(value, pd.DataFrame):
        last, made = value.columns[-1], styles(value.iloc[:, -1].to_numpy())
        return {name: value.assign(**{last: np.asarray(v)}) for name, v in made.items()}
    if isinstance(value, pd.Series):
        return {"dict": value.to_dict(), "float32": value.astype(np.float32)}
    numeric = isinstance(value, int | float | np.number | list | np.ndarray)
    array = np.asarray(value) if numeric else None
    if not numeric or array.dtype.kind not in "fiu":
        return {}
    fits = [name for name in STYLES if name != "pandas" or array.ndim < 3]
    return {name: STYLES[name](array) for name in fits}


def offered(check, answer):
    """Returns the styles that there are for what an answer returns."""
    names = set()

    def watched(*args, **options):
        value = answer(*args, **options)
        names.update(styles(value))
        return value

    check(watched)
    return sorted(names)


def in_style(answer, name):
    """Returns an answer that returns what another one does, in a style where there is one."""

    def styled(*args, **options):
        value = answer(*args, **options)
        return styles(value).get(name, value)

    return styled


def collect(table):
    """Returns check, answer and the rest of each row of a table of the answers."""
    return [
        pytest.param(getattr(CHECKS[module], check), *row, id=f"{module}-{check}-{number}")
        for module in MODULES
        for check, rows in getattr(ANSWERS[module], table).items()
        for number, row in enumerate(r[1:] if table == "WRONG" else (r,) for r in rows)
    ]


FIRST = [
    pytest.param(getattr(CHECKS[module], check), answers[0], id=f"{module}-{check}")
    for module in MODULES
    if module != "capstone"  # which compares what answers do to networks, in tests/test_capstone.py
    for check, answers in ANSWERS[module].RIGHT.items()
]


def complaint(check, answer):
    """Returns what a check says of a wrong answer, which is made of sentences."""
    with pytest.raises(AssertionError) as error:
        check(answer)
    message = str(error.value)
    assert re.match(r"[A-Z'(\d]|nan", message), message
    assert message.rstrip()[-1] in ".?!", f"a message is made of sentences: {message}"
    return message


def checks_of(module):
    """Returns the names of the checks that a module of `natlib.teach.checks` defines."""
    functions = inspect.getmembers(module, inspect.isfunction)
    return {n for n, f in functions if n.startswith("check_") and f.__module__ == module.__name__}


@pytest.mark.parametrize("module", MODULES)
def test_every_check_has_answers(module):
    names = checks_of(CHECKS[module])
    assert names
    assert names == set(ANSWERS[module].RIGHT) == set(ANSWERS[module].WRONG)
    few = {check: n for check in names if (n := len(ANSWERS[module].WRONG[check])) < 6}
    assert not few, "give six typical mistakes at least for each check"


@pytest.mark.parametrize(("check", "answer"), collect("RIGHT"))
def test_right_answer(check, answer, capsys):
    check(answer)
    assert len(capsys.readouterr().out.splitlines()) == 1


@pytest.mark.parametrize(("check", "answer"), FIRST)
def test_right_answer_in_other_styles(check, answer):
    """Together with the answers as they are, there are four right ones at least."""
    module = check.__module__.rpartition(".")[2]
    right, exact = ANSWERS[module].RIGHT[check.__name__], getattr(ANSWERS[module], "EXACT", ())
    names = [] if check.__name__ in exact else offered(check, answer)
    for name in names:
        check(in_style(answer, name))
    assert len(right) + len(names) >= 4


@pytest.mark.parametrize(("check", "answer", "pattern"), collect("WRONG"))
def test_wrong_answer(check, answer, pattern):
    message = complaint(check, answer)
    assert re.search(pattern, message), message


def spoil(argument):
    """Changes an argument in place where it can be; returns whether it could."""
    if isinstance(argument, pd.DataFrame):
        argument["spoilt"] = 1
    elif isinstance(argument, np.ndarray | torch.Tensor) and argument.size:
        with torch.no_grad():
            argument[0] += 1
    elif isinstance(argument, torch.nn.Module):
        with torch.no_grad():
            next(argument.parameters()).add_(1)
    elif isinstance(argument, dict):
        return any([spoil(value) for value in argument.values()])
    else:
        return False
    return True


@pytest.mark.parametrize(("check", "answer"), FIRST)
def test_changing_an_argument_is_told_or_harmless(check, answer):
    spoilt = []

    def changes(*args, **options):
        found = answer(*args, **options)
        spoilt.extend(map(spoil, args))
        return found

    try:
        check(changes)
    except AssertionError as error:
        assert any(spoilt) and "changed its argument" in str(error)
    else:
        assert not any(spoilt)


@pytest.mark.parametrize(("check", "answer"), FIRST)
def test_an_error_is_told_with_its_line(check, answer):
    def breaks(*args, **options):
        return len(args) / 0  # as an example

    message = complaint(check, breaks)
    assert "`return len(args) / 0  # as an example`, with ZeroDivisionError" in message


@pytest.mark.parametrize(("check", "answer"), FIRST)
def test_what_is_no_answer_at_all(check, answer):
    complaint(check, lambda *args, **options: None)
    complaint(check, lambda *args, **options: "done")
    complaint(check, lambda *args, **options: np.nan)
    assert "the function itself" in complaint(check, 7)


@pytest.mark.parametrize(
    ("module", "check"), [(m, check) for m in MODULES for check in sorted(checks_of(CHECKS[m]))]
)
def test_not_begun(module, check):
    def stub(*args, **kwargs):
        raise NotImplementedError("not begun")

    with pytest.raises(NotImplementedError, match="not begun"):
        getattr(CHECKS[module], check)(stub)
