"""The explorer: what it chooses, what it says, and the state that code and page share.

What it does in the page is in `test_browser.py`.
"""

import json
import re

import nbformat
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from nbclient import NotebookClient

from natlib.__main__ import main
from natlib.cost import CostTable
from natlib.search import knee_points, non_dominated
from natlib.space import SearchSpace
from natlib.teach.explorer import (
    METHODS,
    ObjectiveExplorer,
    choose,
    objectives_of,
    read_archive,
    why_empty,
)

FRONT = np.array([[0.0, 4.0], [1.0, 2.0], [2.0, 1.0], [4.0, 0.0]])


def make_table(n=40, n_objectives=3, space=None):
    space, rng = space or SearchSpace.pocket(), np.random.default_rng(0)
    X, costs = space.sample(n, rng), CostTable(space, 10)
    madds = costs.madds(X)
    errors = 5 + 30 * np.exp(-madds / madds.mean())
    table = pd.DataFrame({"architecture": [str(space.decode(x)) for x in X]})
    table["top1_err"], table["madds"], table["params"] = errors, madds, costs.params(X)
    for i in range(3, n_objectives):
        table[f"top1_err_task{i}"] = errors + rng.normal(0, 3, n)
    return table.iloc[:, : 1 + n_objectives]


@pytest.fixture
def explorer():
    return ObjectiveExplorer(make_table())


# choose


def test_weights_move_the_choice_along_the_front():
    for method in ("chebyshev", "pseudo"):
        rows = [choose(FRONT, [w, 1 - w], method=method) for w in (1.0, 0.6, 0.4, 0.0)]
        assert rows == [0, 1, 2, 3]


def test_chebyshev_by_hand():
    F = np.array([[0.0, 1.0], [0.3, 0.6], [1.0, 0.0]])
    assert choose(F, [0.5, 0.5]) == 1  # 0.30 against 0.50
    assert choose(F, [0.9, 0.1]) == 0  # 0.10 against 0.27
    assert choose(F, [0.3, 0.7]) == 2  # 0.30 against 0.42


def test_pseudo_weights_by_hand():
    F = np.array([[0.0, 1.0], [0.25, 0.5], [1.0, 0.0]])  # pseudo-weights (1, 0), (.6, .4), (0, 1)
    weights, rows = (0.81, 0.79, 0.31, 0.29), [0, 1, 1, 2]
    assert [choose(F, [w, 1 - w], method="pseudo") for w in weights] == rows


def test_knee_is_the_library_s_first_knee_and_ignores_weights():
    F = make_table(60)[["top1_err", "madds", "params"]].to_numpy()
    front = np.flatnonzero(non_dominated(F))
    expected = front[knee_points(F[front], 1)[0]]
    assert choose(F, [1, 1, 1], method="knee") == choose(F, [0, 0, 5], method="knee") == expected


def test_reference_point_by_hand():
    F = np.array([[0.0, 1.0], [0.3, 0.6], [1.0, 0.0]])
    wishes = ([0.0, 1.0], [0.3, 0.6], [0.4, 0.6], [1.0, 0.0], [0.9, 0.1])
    rows = [choose(F, [1, 0], method="reference", reference=wish) for wish in wishes]
    assert rows == [0, 1, 1, 2, 2]
    assert choose(F, [0, 5], method="reference") == choose(F, [1, 1]) == 1, "the ideal point"


@pytest.mark.parametrize("method", METHODS.values())
def test_corners_of_every_method(method):
    tied = np.array([[3.0, 3.0], [1.0, 2.0], [1.0, 2.0]])
    assert choose(tied, [1, 1], method=method) == 1, "ties go to the first row"
    assert choose(np.ones((4, 3)), [1, 1, 1], method=method) == 0
    assert choose([[5.0, 2e6]], [0.2, 0.8], method=method) == 0
    assert choose(FRONT, [0, 0], method=method) == choose(FRONT, [3, 3], method=method)
    F = np.vstack([[np.nan, -1], FRONT, [-1, np.inf]])
    assert choose(F, [1, 1], method=method) in (1, 2, 3, 4)
    assert choose(np.full((3, 2), np.nan), [1, 1], method=method) is None


def test_ties_of_the_score_go_to_the_least_sum():
    assert choose(np.array([[1.0, 9.0], [1.0, 2.0], [2.0, 1.0]]), [1, 0]) == 1
    assert choose([[0, 1, 1], [1, 0, 1], [0.5, 0.9, 0], [1, 1, 0]], [0, 0, 1]) == 2


def test_limits_are_inclusive_and_hold_on_both_sides():
    assert [choose(FRONT, [w, 1 - w], [[1, 2], [1, 2]]) for w in (1, 0)] == [1, 2]
    assert choose(FRONT, [1, 0], [[1, 2], [0, 9]]) == 1
    assert choose(FRONT, [1, 0], [[5, 6], [0, 9]]) is None


def test_choose_refuses_bad_input():
    with pytest.raises(ValueError, match="must be 2 numbers, none below zero"):
        choose(FRONT, [1, -1])
    with pytest.raises(ValueError, match="must be 2 numbers"):
        choose(FRONT, [1, 1, 1])
    with pytest.raises(ValueError, match="[Nn]o method 'best': choose from chebyshev"):
        choose(FRONT, [1, 1], method="best")


@st.composite
def decisions(draw):
    shape = draw(st.integers(1, 25)), draw(st.integers(2, 12))
    coarse = st.one_of(st.integers(0, 4).map(float), st.floats(-1e9, 1e9), st.just(np.nan))
    F = draw(arrays(np.float64, shape, elements=coarse))
    weights = draw(arrays(np.float64, shape[1], elements=st.floats(0, 1)))
    ends = draw(arrays(np.float64, (shape[1], 2), elements=st.sampled_from([-1e9, 1, 3, 1e9])))
    return F, weights, np.sort(ends, axis=1), draw(st.sampled_from(list(METHODS.values())))


@given(decisions())
def test_a_choice_keeps_the_limits_and_is_never_dominated_by_one_that_does(decision):
    F, weights, limits, method = decision
    keeps = (np.isfinite(F) & (F >= limits[:, 0]) & (F <= limits[:, 1])).all(axis=1)
    row = choose(F, weights, limits, method)
    assert (row is None) == (not keeps.any())
    if row is not None:
        assert keeps[row]
        others = F[keeps]
        assert not ((others <= F[row]).all(axis=1) & (others < F[row]).any(axis=1)).any()


@given(decisions(), st.data())
def test_an_upper_limit_moves_the_choice_only_if_it_excludes_it(decision, data):
    F, weights, _, method = decision
    row = choose(F, weights, None, method)
    if row is not None:
        other = data.draw(st.integers(0, len(F) - 1))
        high = np.fmax(F[row], F[other])
        limits = np.column_stack([np.full(len(high), -np.inf), high])
        assert choose(F, weights, limits, method) == row


def test_why_empty_names_the_limits_and_by_how_much_they_are_missed():
    labels = ["error (%)", "MAdds (M)"]
    assert why_empty(FRONT, [[5.5, 6], [0, 9]], labels) == (
        "The limit error (%) from 5.5 to 6 (missed by 1.5) excludes all 4 architectures: widen it."
    )
    both = why_empty(FRONT, [[5, 6], [7, 9]], labels)
    assert "error (%) from 5 to 6 (missed by 1) and MAdds (M) from 7 to 9 (missed by 3)" in both
    assert "each exclude all 4" in both
    together = why_empty(FRONT, [[0, 1], [0, 1.5]], labels)
    assert "MAdds (M) from 0 to 1.5 (missed by 0.5) and the other limits together" in together
    assert "error" not in together
    assert "finite" in why_empty([[np.nan, 1.0]], [[0, 1], [0, 1]], labels)


# Archives


def test_archives_from_table_file_and_run_folder_are_the_same(tmp_path):
    table = make_table(5)
    table.to_csv(tmp_path / "archive.csv", index=False)
    for source in (table, tmp_path / "archive.csv", tmp_path, str(tmp_path)):
        found = ObjectiveExplorer(source)
        assert list(map(str, found.architectures)) == list(table["architecture"])
        np.testing.assert_allclose(found.D[:, :2], table[["top1_err", "madds"]] * [1, 1e-6])


def test_what_is_no_archive_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"archive at .*archive\.csv: give"):
        read_archive(tmp_path)
    with pytest.raises(ValueError, match="column 'architecture'.* 2 rows and the columns madds"):
        read_archive(pd.DataFrame({"madds": [1, 2]}))
    with pytest.raises(ValueError, match="has 0 rows"):
        ObjectiveExplorer(make_table(5).iloc[:0])
    with pytest.raises(ValueError, match="Fewer than two"):
        objectives_of(make_table(5)[["architecture", "madds"]])


def test_objectives_are_known_by_name_or_given():
    table = make_table(5, 4).assign(iteration=0, mine=1.0)
    assert objectives_of(table) == ["top1_err", "madds", "params", "top1_err_task3"]
    assert ObjectiveExplorer(table, objectives=["madds", "mine"]).labels == ["MAdds (M)", "mine"]


def test_both_spaces_are_known_by_their_strings_and_others_are_given():
    explorer = ObjectiveExplorer(make_table(5, space=SearchSpace.paper()))
    assert explorer.space == SearchSpace.paper() and explorer.architecture.width in (1.0, 1.2)
    with pytest.raises(ValueError, match="pocket"):
        ObjectiveExplorer(explorer.table, space=SearchSpace.pocket())


# The state, shared with the page


def data(html):
    """What the page reads."""
    return json.loads(re.search(r'<script type="application/json">(.*?)</script>', html)[1])


def test_every_weight_drives_the_choice(explorer):
    for name in explorer.objectives:
        for other, slider in explorer.weights.items():
            slider.value = float(other == name)
        assert explorer.table[name][explorer.chosen] == explorer.table[name].min()
        assert explorer.architecture == explorer.architectures[explorer.chosen]
        assert str(explorer.architecture) in repr(explorer)


def test_every_limit_drives_the_choice_and_excludes_nothing_at_the_start(explorer):
    low, high = zip(*(slider.value for slider in explorer.limits.values()), strict=True)
    assert ((explorer.D >= low) & (explorer.D <= high)).all()
    for j, slider in enumerate(explorer.limits.values()):
        explorer.reset()
        middle = float(np.median(explorer.D[:, j]))
        for ends in ((slider.min, middle), (middle, slider.max)):
            slider.value = ends
            assert ends[0] <= explorer.D[explorer.chosen, j] <= ends[1]


def test_method_and_reference_point_are_set_by_name(explorer):
    for method in METHODS.values():
        explorer.set(method=method, reference=list(explorer.D[7]))
        expected = choose(explorer.D, [0.5] * 3, method=method, reference=explorer.D[7])
        assert explorer.chosen == expected
    with pytest.raises(ValueError, match="No colour to set: there are method, right"):
        explorer.set(colour="red")


def test_the_page_moves_the_sliders_and_chooses_by_hand(explorer):
    state = explorer.bridge.state | {"weights": [1.0, 0.0, 0.25], "picked": 5, "log": True}
    state["limits"] = [[10, 20], *state["limits"][1:]]
    explorer.bridge.state = state  # as the page sends it
    assert [slider.value for slider in explorer.weights.values()] == [1.0, 0.0, 0.25]
    assert explorer.limits["top1_err"].value == (10, 20)
    assert explorer.chosen == 5 and explorer.bridge.state == state
    explorer.weights["madds"].value = 1.0
    assert explorer.bridge.state["weights"] == [1.0, 1.0, 0.25] and explorer.bridge.state["log"]
    assert explorer.bridge.state["picked"] is None, "a moved slider decides again"


def test_an_empty_feasible_set_is_undone(explorer):
    slider = explorer.limits["madds"]
    slider.value = (slider.min, slider.min)
    assert explorer.chosen is None and explorer.architecture is None
    explorer.compare()
    assert explorer.kept == []
    explorer.reset()
    assert explorer.chosen is not None


def test_compare_keeps_three_and_reset_puts_everything_back(explorer):
    start, seen = explorer.bridge.state, []
    for weight in (0.0, 0.3, 0.6, 0.8, 1.0):
        explorer.weights["top1_err"].value = weight
        explorer.compare()
        explorer.compare()
        seen += [explorer.chosen] if explorer.chosen not in seen else []
    assert len(seen) >= 4, "the archive of this test has too few different choices"
    assert explorer.kept == seen[-3:] == data(explorer.html())["state"]["kept"]
    explorer.set(method="pseudo", right=2)
    explorer.reset()
    assert explorer.bridge.state == start and explorer.weights["top1_err"].value == 0.5
    explorer.weights["madds"].value = 1.0
    assert explorer.bridge.state != start, "the sliders are still heard"


def test_export_hands_the_chosen_architecture_over(explorer):
    assert not data(explorer.html())["exports"]
    with pytest.raises(RuntimeError, match="give 'on_export'"):
        explorer.export()
    taken = []
    explorer = ObjectiveExplorer(make_table(), on_export=lambda a: taken.append(a) or "net.onnx")
    explorer.bridge._handle_custom_msg("export", [])  # as the page asks for it
    assert taken == [explorer.architecture]
    assert explorer.bridge.state["said"] == "exported: net.onnx"
    explorer.weights["madds"].value = 1.0
    assert explorer.bridge.state["said"] == ""


def test_an_export_that_fails_says_why():
    explorer = ObjectiveExplorer(make_table(), on_export=lambda architecture: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        explorer.export()
    assert explorer.bridge.state["said"] == "ZeroDivisionError: division by zero"


@pytest.mark.parametrize("n_objectives", [2, 5, 12])
def test_two_to_twelve_objectives(n_objectives):
    explorer = ObjectiveExplorer(make_table(20, n_objectives), pictures=100)
    found = data(explorer.html())
    assert len(explorer.weights) == len(explorer.limits) == n_objectives
    np.testing.assert_array_equal(found["F"], explorer.D)
    errors = [name.startswith("top1_err") for name in explorer.objectives]
    assert found["pictures"] == [100 * error for error in errors]


def test_nan_and_ties_and_a_single_point():
    holes = make_table(12)
    holes.loc[[2, 5], "top1_err"] = np.nan
    explorer = ObjectiveExplorer(holes)
    assert explorer.chosen not in (2, 5)
    assert data(explorer.html())["finite"] == [i for i in range(12) if i not in (2, 5)]
    tied, single = make_table(6).assign(top1_err=10.0, madds=1e6, params=1e5), make_table(1)
    assert ObjectiveExplorer(tied).chosen == ObjectiveExplorer(single).chosen == 0
    nothing = ObjectiveExplorer(single.assign(madds=np.nan))
    assert nothing.chosen is None and data(nothing.html())["finite"] == []


@pytest.mark.parametrize("space", [SearchSpace.pocket(), SearchSpace.paper()])
def test_the_page_knows_the_layers(space):
    explorer = ObjectiveExplorer(make_table(5, space=space))
    found = data(explorer.html())
    for genes, arch in zip(found["layers"], explorer.architectures, strict=True):
        active = [int(gene) - 1 for gene in genes if gene != "0"]
        assert [found["kernels"][gene % len(space.kernels)][0] for gene in active] == [
            *arch.kernels
        ]
        assert [found["expands"][gene // len(space.kernels)] for gene in active] == [*arch.expands]


def test_names_cannot_break_the_page(explorer):
    table = make_table(5).rename(columns={"params": "top1_err_</script><b>"})
    html = ObjectiveExplorer(table).html()
    assert html.count("</script>") == 2 and "</script><b> error (%)" in data(html)["labels"]


def test_a_command_writes_a_page_that_needs_nothing_else(tmp_path, capsys):
    make_table(400, 12).to_csv(tmp_path / "archive.csv", index=False)
    out = tmp_path / "page.html"
    assert main(["explore", str(tmp_path), "--out", str(out), "--pictures", "500"]) == 0
    assert "400 architectures, 12 objectives" in capsys.readouterr().out
    page = out.read_text("utf-8")
    assert page.startswith("<!doctype html>") and len(page) < 400_000
    assert not re.search(r"(src|href)=|url\(|import ", page)
    with pytest.raises(SystemExit, match="no column size, but architecture, top1_err"):
        main(["explore", str(tmp_path), "--out", str(out), "--objectives", "madds", "size"])


def test_a_saved_notebook_holds_a_page_for_each_cell_of_one_explorer(tmp_path):
    make_table().to_csv(tmp_path / "archive.csv", index=False)
    start = """from natlib.teach.explorer import ObjectiveExplorer
explorer = ObjectiveExplorer("archive.csv")
explorer"""
    cells = [start, "explorer.weights['top1_err'].value = 1.0", "explorer"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    options = {"resources": {"metadata": {"path": str(tmp_path)}}, "kernel_name": "python3"}
    NotebookClient(notebook, timeout=120, **options).execute()
    outputs = [out.data for cell in notebook.cells for out in cell.outputs]
    first, second = (data(out["text/html"]) for out in outputs if "text/html" in out)
    assert first["key"] == second["key"] and first["serial"] < second["serial"]
    assert second["state"]["weights"][0] == 1.0
    assert all("text/html" not in out for out in outputs if "widget-view" in "".join(out))
