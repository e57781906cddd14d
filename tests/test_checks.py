"""The self-checks of the exercises: right answers pass, typical mistakes fail with a fitting word.

The answers stand in `tests/checks`, one module for each module of `natlib.teach.checks`.
"""

import importlib
import inspect
import pkgutil

import pytest

import natlib.teach.checks

pytest.importorskip("tests.checks", reason="a hand-out has no answers")
MODULES = [module.name for module in pkgutil.iter_modules(natlib.teach.checks.__path__)]
CHECKS = {name: importlib.import_module(f"natlib.teach.checks.{name}") for name in MODULES}
ANSWERS = {name: importlib.import_module(f"tests.checks.{name}") for name in MODULES}
RIGHT = [
    pytest.param(getattr(CHECKS[module], check), answer, id=f"{module}-{check}-{number}")
    for module in MODULES
    for check, answers in ANSWERS[module].RIGHT.items()
    for number, answer in enumerate(answers)
]
WRONG = [
    pytest.param(getattr(CHECKS[module], check), answer, pattern, id=f"{module}-{check}-{mistake}")
    for module in MODULES
    for check, answers in ANSWERS[module].WRONG.items()
    for mistake, answer, pattern in answers
]


def checks_of(module):
    """Returns the names of the checks that a module of `natlib.teach.checks` defines."""
    functions = inspect.getmembers(module, inspect.isfunction)
    return {n for n, f in functions if n.startswith("check_") and f.__module__ == module.__name__}


@pytest.mark.parametrize("module", MODULES)
def test_every_check_has_answers(module):
    names = checks_of(CHECKS[module])
    assert names
    assert names == set(ANSWERS[module].RIGHT) == set(ANSWERS[module].WRONG)
    assert all(ANSWERS[module].RIGHT.values())
    few = {check: n for check in names if (n := len(ANSWERS[module].WRONG[check])) < 3}
    assert not few, "give three typical mistakes at least for each check"


@pytest.mark.parametrize(("check", "answer"), RIGHT)
def test_right_answer(check, answer, capsys):
    check(answer)
    assert len(capsys.readouterr().out.splitlines()) == 1


@pytest.mark.parametrize(("check", "answer", "pattern"), WRONG)
def test_wrong_answer(check, answer, pattern):
    with pytest.raises(AssertionError, match=pattern) as error:
        check(answer)
    message = str(error.value)
    assert message.strip()[0].isupper() or message[0] in "('0123456789", message
    assert message.rstrip()[-1] in ".?!", f"a message is made of sentences: {message}"


@pytest.mark.parametrize(
    ("module", "check"), [(m, check) for m in MODULES for check in sorted(checks_of(CHECKS[m]))]
)
def test_not_begun(module, check):
    def stub(*args, **kwargs):
        raise NotImplementedError("not begun")

    with pytest.raises(NotImplementedError, match="not begun"):
        getattr(CHECKS[module], check)(stub)
