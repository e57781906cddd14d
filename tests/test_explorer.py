"""The explorer: what it chooses, what it says, and what a notebook shows of it."""

import nbformat
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from nbclient import NotebookClient

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
    within,
)
from natlib.teach.plots import picture

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


def shown(explorer, label):
    """The points that the front's panel shows under a label of its legend."""
    ax = explorer.figure.axes[0]
    found = [c.get_offsets() for c in ax.collections if c.get_label() == label]
    found += [line.get_xydata() for line in ax.lines if line.get_label() == label]
    return np.asarray(found[0]) if found else np.zeros((0, 2))


def strips(explorer):
    return [ax.get_title(loc="left") for ax in explorer.figure.axes[2:]]


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
    assert within(FRONT, [[1, 2], [1, 2]]).tolist() == [False, True, True, False]
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


# The widget


def test_every_weight_drives_the_choice(explorer):
    for name in explorer.objectives:
        for other, slider in explorer.weights.items():
            slider.value = float(other == name)
        assert explorer.table[name][explorer.chosen] == explorer.table[name].min()
        np.testing.assert_allclose(shown(explorer, "chosen"), [explorer.D[explorer.chosen, [1, 0]]])
        for text in (explorer.alt, explorer.status.value, strips(explorer)[0]):
            assert str(explorer.architecture) in text


def test_every_limit_drives_the_choice_and_excludes_nothing_at_the_start(explorer):
    for j, (name, slider) in enumerate(explorer.limits.items()):
        explorer.reset()
        assert "40 architectures, 40 within" in explorer.alt
        middle = float(np.median(explorer.D[:, j]))
        for low, high in ((slider.min, middle), (middle, slider.max)):
            explorer.limits[name].value = (low, high)
            keeps = (explorer.D[:, j] >= low) & (explorer.D[:, j] <= high)
            assert keeps[explorer.chosen] and f"{keeps.sum()} within" in explorer.alt
            for rows, label in ((keeps, "within the limits"), (~keeps, "outside the limits")):
                np.testing.assert_allclose(shown(explorer, label), explorer.D[rows][:, [1, 0]])


def test_the_method_drives_the_choice(explorer):
    explorer.weights["top1_err"].value = 0.9
    weights = [slider.value for slider in explorer.weights.values()]
    for method in METHODS.values():
        explorer.method.value = method
        assert explorer.chosen == choose(explorer.D, weights, method=method)
        assert f"Chosen by {explorer.method.label}: " in explorer.alt
        assert all(s.disabled == (method == "knee") for s in explorer.weights.values())


def test_the_front_is_shown_in_the_objectives_asked_for(explorer):
    explorer.right.value, explorer.up.value = "params", "madds"
    ax = explorer.figure.axes[0]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("parameters (M)", "MAdds (M)")
    np.testing.assert_allclose(shown(explorer, "within the limits"), explorer.D[:, [2, 1]])
    assert "MAdds (M) against parameters (M)" in explorer.alt


def test_an_empty_feasible_set_is_explained_and_undone(explorer):
    slider = explorer.limits["madds"]
    slider.value = (slider.min, slider.min)
    assert explorer.chosen is None and explorer.architecture is None
    for text in (explorer.status.value, explorer.alt):
        assert "The limit MAdds (M) from" in text and "missed by" in text
    assert len(shown(explorer, "outside the limits")) == 40
    assert strips(explorer) == ["No architecture keeps all limits."]
    explorer.buttons["compare"].click()
    assert explorer.kept == []
    explorer.buttons["reset"].click()
    assert explorer.chosen is not None and "missed" not in explorer.status.value


def test_compare_keeps_three_and_reset_puts_everything_back(explorer):
    start, alt = [control.value for control in explorer.inputs], explorer.alt
    seen = []
    for weight in (0.0, 0.3, 0.6, 0.8, 1.0):
        explorer.weights["top1_err"].value = weight
        explorer.buttons["compare"].click()
        explorer.buttons["compare"].click()
        seen += [explorer.chosen] if explorer.chosen not in seen else []
    assert len(seen) >= 4, "the archive of this test has too few different choices"
    assert explorer.kept == seen[-3:]
    for name, row in zip("ABC", explorer.kept, strict=True):
        architecture = str(explorer.architectures[row])
        assert f"{name}: {architecture}" in strips(explorer)
        assert f"Kept as {name}: {architecture}" in explorer.alt
        np.testing.assert_allclose(shown(explorer, name), [explorer.D[row, [1, 0]]])
    explorer.method.value, explorer.right.value = "pseudo", "params"
    explorer.buttons["reset"].click()
    assert [control.value for control in explorer.inputs] == start
    assert explorer.alt == alt and explorer.kept == []
    explorer.weights["madds"].value = 1.0
    assert explorer.alt != alt, "the controls are still heard"


def test_export_hands_the_chosen_architecture_over(explorer):
    assert explorer.buttons["export"].disabled
    with pytest.raises(RuntimeError, match="give 'on_export'"):
        explorer.export()
    taken = []
    explorer = ObjectiveExplorer(make_table(), on_export=lambda a: taken.append(a) or "net.onnx")
    explorer.buttons["export"].click()
    assert taken == [explorer.architecture] and "exported: net.onnx" in explorer.status.value


def test_every_slider_says_what_it_moves(explorer):
    for sliders, what in ((explorer.weights, "weight"), (explorer.limits, "limits")):
        names = [slider.tooltip for slider in sliders.values()]
        assert names == [f"{what} of {label}" for label in explorer.labels]


@pytest.mark.parametrize("n_objectives", [2, 5, 12])
def test_two_to_twelve_objectives(n_objectives):
    explorer = ObjectiveExplorer(make_table(20, n_objectives))
    assert len(explorer.weights) == len(explorer.limits) == n_objectives
    assert len(explorer.figure.axes[1].get_xticks()) == n_objectives
    (line,) = (s for s in explorer.figure.axes[1].lines if s.get_label() == "chosen")
    low, span = explorer.D.min(axis=0), np.ptp(explorer.D, axis=0)
    np.testing.assert_allclose(line.get_ydata(), (explorer.D[explorer.chosen] - low) / span)


def test_nan_and_ties_and_a_single_point_are_drawn():
    holes = make_table(12)
    holes.loc[[2, 5], "top1_err"] = np.nan
    explorer = ObjectiveExplorer(holes)
    assert "12 architectures, 10 within" in explorer.alt and explorer.chosen not in (2, 5)
    tied, single = make_table(6).assign(top1_err=10.0, madds=1e6, params=1e5), make_table(1)
    explorers = [explorer, ObjectiveExplorer(tied), ObjectiveExplorer(single)]
    assert explorers[1].chosen == explorers[2].chosen == 0
    explorers += [ObjectiveExplorer(single.assign(madds=np.nan))]
    assert explorers[3].chosen is None and "finite" in explorers[3].alt
    for explorer in explorers:
        picture(explorer.figure, explorer.alt)


def test_a_saved_notebook_shows_the_last_picture_in_every_cell_and_errors_of_handlers(tmp_path):
    make_table().to_csv(tmp_path / "archive.csv", index=False)
    start = """from natlib.teach.explorer import ObjectiveExplorer
explorer = ObjectiveExplorer("archive.csv", on_export=lambda architecture: 1 / 0)
explorer"""
    cells = [start, "explorer", "explorer.weights['top1_err'].value = 1.0; print(explorer.alt)"]
    cells += ["explorer.right.value = 'params'; explorer.up.value = 'madds'; print(explorer.alt)"]
    cells += ["explorer.buttons['export'].click()"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    options = {"resources": {"metadata": {"path": str(tmp_path)}}, "allow_errors": True}
    NotebookClient(notebook, timeout=120, kernel_name="python3", **options).execute()
    outputs = [cell.outputs for cell in notebook.cells]
    pictures = [out for cell in outputs for out in cell if "image/png" in out.get("data", {})]
    moved, last = (cell[0].text.strip() for cell in outputs[2:4])
    assert moved != last and len(pictures) == 2
    for shown_here in pictures:
        assert shown_here.metadata["image/png"]["alt"] == shown_here.data["text/plain"] == last
    assert pictures[0].data["image/png"] == pictures[1].data["image/png"]
    assert [out.ename for out in outputs[4] if out.output_type == "error"] == ["ZeroDivisionError"]
