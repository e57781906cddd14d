"""The capstone as a whole: the learner's own code runs, in any mixture with natlib's pieces."""

import ast
from itertools import combinations

import jupytext
import numpy as np
import pytest

from natlib import search
from natlib.teach.checks import capstone as checks

answers = pytest.importorskip("tests.checks.capstone", reason="a hand-out has no answers")
OWN = sorted(checks.NATLIB.keys() - {"search"})


@pytest.fixture(scope="module")
def notebook():
    """Returns what the first half of the solutions defines, after a warm-up of a few steps."""
    space = {"__name__": "__main__"}
    for cell in jupytext.read(answers.SCRIPT).cells:
        if cell.cell_type == "code" and "check" not in cell.metadata.get("tags", []):
            quick = {'batch_size": 32': 'batch_size": 8', "train, 100": "train, 40"}
            quick |= {"valid, 200": "valid, 40", "range(6)": "range(1)", ", 32, self": ", 8, self"}
            for old, new in quick.items():
                cell.source = cell.source.replace(old, new)
            kept = [n for n in ast.parse(cell.source).body if not is_display(n)]
            exec(compile(ast.Module(kept, []), "the notebook", "exec"), space)
    return space


def is_display(node):
    return isinstance(node, ast.Expr) and ast.unparse(node).startswith("print")


def counted(calls):
    def count(name, piece):
        def call(*arguments, **options):
            calls[name] = calls.get(name, 0) + 1
            return piece(*arguments, **options)

        return call

    return count


def test_all_pieces_of_the_solutions_are_in_the_dict(notebook):
    pieces = notebook["pieces"]
    assert pieces.keys() == checks.NATLIB.keys()
    assert all(pieces[name] is not checks.NATLIB[name] for name in pieces)


def test_every_own_piece_is_called_in_the_transfer(notebook):
    calls = {}
    fronts = notebook["compare"](counted(calls))
    assert calls.keys() == checks.NATLIB.keys()
    assert calls["nat"] == 1 and calls["ensemble"] == 2 and calls["draw"] == calls["supernet_step"]
    assert calls["measure"] == 12 + 4 + 16 + 4 + 20
    for X, errors in fronts:
        assert np.shape(X) == (20, 11) and np.shape(errors) == (20,)


SUBSETS = [("select", "search"), ("measure", "draw", "nat")]
SINGLE = [pytest.param(names, marks=pytest.mark.slow) for names in combinations(OWN, 1)]


@pytest.mark.parametrize("names", [*SUBSETS, *SINGLE], ids="-".join)
def test_any_of_the_pieces_can_be_natlibs(notebook, names):
    mixed = {n: notebook["pieces"][n] if n in names else f for n, f in checks.NATLIB.items()}
    X, errors = notebook["transfer"](mixed, seed=1)
    assert len(np.unique(X, axis=0)) == 20
    assert all(0 <= error <= 100 for error in errors)


def test_without_an_own_piece_the_last_check_says_what_to_do(capsys):
    checks.check_own_nat(answers.compared())
    assert "None of the pieces is yours yet" in capsys.readouterr().out


def test_the_last_check_names_the_calls_of_own_pieces(capsys):
    checks.check_own_nat(answers.own("ensemble", "candidates", "nat"))
    said = capsys.readouterr().out
    assert "3 of 9 pieces are yours" in said
    assert "ensemble 2, candidates 2, nat 1" in said


@pytest.mark.parametrize("name", [check.removeprefix("check_") for check in answers.WRONG])
def test_at_least_six_errors_are_planted(name):
    assert len(answers.WRONG[f"check_{name}"]) >= 6
    assert len(answers.RIGHT[f"check_{name}"]) >= 3


def test_an_error_names_the_line_of_the_learner_and_none_of_ours():
    broken = answers.planted("draw", "rng.choice", "rng.chose")
    told = r"stops in line \d+, `X\[:, gene\] = rng.chose"
    with pytest.raises(AssertionError, match=told) as error:
        checks.check_draw(broken)
    assert error.value.__cause__ is None and error.value.__suppress_context__


def test_answers_that_change_what_they_get_do_no_harm_to_the_next():
    def greedy(F, n):
        F *= 0
        return np.arange(n)

    with pytest.raises(AssertionError):
        checks.check_select(greedy)
    checks.check_select(search.select_best)
