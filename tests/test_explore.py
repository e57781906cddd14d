"""The explorer: what it chooses, what it says, and what its picture shows."""

import base64
import io
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from natlib import explore
from natlib.cost import CostTable
from natlib.explore import (
    METHODS,
    ObjectiveExplorer,
    choose,
    objectives_of,
    read_archive,
    why_empty,
    within,
)
from natlib.plots import to_png
from natlib.search import knee_points, non_dominated
from natlib.space import Architecture, SearchSpace

POCKET = SearchSpace.pocket()
FRONT = np.array([[0.0, 4.0], [1.0, 2.0], [2.0, 1.0], [4.0, 0.0]])


def make_table(n=40, n_objectives=3, space=POCKET, seed=0):
    rng = np.random.default_rng(seed)
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


def points_labelled(explorer, label):
    """The data of what the front's panel shows under a label of its legend."""
    ax = explorer.figure.axes[0]
    found = [c.get_offsets() for c in ax.collections if c.get_label() == label]
    found += [line.get_xydata() for line in ax.lines if line.get_label() == label]
    assert len(found) <= 1
    return np.asarray(found[0]) if found else np.zeros((0, 2))


def pixels(explorer):
    data, _ = explorer._repr_mimebundle_()
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data["image/png"]))))


# choose


def test_weights_move_the_choice_along_the_front():
    rows = [choose(FRONT, [w, 1 - w]) for w in (1.0, 0.6, 0.4, 0.0)]
    assert rows == [0, 1, 2, 3]
    rows = [choose(FRONT, [w, 1 - w], method="pseudo") for w in (1.0, 0.6, 0.4, 0.0)]
    assert rows == [0, 1, 2, 3]


def test_chebyshev_by_hand():
    F = np.array([[0.0, 1.0], [0.3, 0.6], [1.0, 0.0]])
    assert choose(F, [0.5, 0.5]) == 1  # 0.30 against 0.50
    assert choose(F, [0.9, 0.1]) == 0  # 0.10 against 0.27
    assert choose(F, [0.3, 0.7]) == 2  # 0.30 against 0.42


def test_pseudo_weights_by_hand():
    F = np.array([[0.0, 1.0], [0.25, 0.5], [1.0, 0.0]])  # pseudo-weights (1, 0), (.6, .4), (0, 1)
    assert choose(F, [0.81, 0.19], method="pseudo") == 0
    assert choose(F, [0.79, 0.21], method="pseudo") == 1
    assert choose(F, [0.31, 0.69], method="pseudo") == 1
    assert choose(F, [0.29, 0.71], method="pseudo") == 2


def test_knee_is_the_library_s_first_knee_and_ignores_weights():
    F = make_table(60)[["top1_err", "madds", "params"]].to_numpy()
    front = np.flatnonzero(non_dominated(F))
    expected = front[knee_points(F[front], 1)[0]]
    assert choose(F, [1, 1, 1], method="knee") == choose(F, [0, 0, 5], method="knee") == expected


def test_all_weights_zero_count_as_equal():
    assert choose(FRONT, [0, 0]) == choose(FRONT, [3, 3])


def test_a_zero_weight_does_not_choose_a_dominated_point():
    assert choose(np.array([[1.0, 9.0], [1.0, 2.0], [2.0, 1.0]]), [1, 0]) == 1


@pytest.mark.parametrize("method", METHODS.values())
def test_ties_go_to_the_first_row(method):
    assert choose(np.array([[3.0, 3.0], [1.0, 2.0], [1.0, 2.0]]), [1, 1], method=method) == 1
    assert choose(np.ones((4, 3)), [1, 1, 1], method=method) == 0


@pytest.mark.parametrize("method", METHODS.values())
def test_single_point(method):
    assert choose([[5.0, 2e6]], [0.2, 0.8], method=method) == 0


@pytest.mark.parametrize("method", METHODS.values())
def test_nan_is_never_chosen(method):
    F = np.vstack([[np.nan, -1], FRONT, [-1, np.inf]])
    assert choose(F, [1, 1], method=method) in (1, 2, 3, 4)
    assert choose(np.full((3, 2), np.nan), [1, 1], method=method) is None


def test_limits_are_inclusive_and_hold_on_both_sides():
    assert within(FRONT, [[1, 2], [1, 2]]).tolist() == [False, True, True, False]
    assert choose(FRONT, [1, 0], [[1, 2], [0, 9]]) == 1
    assert choose(FRONT, [1, 0], [[5, 6], [0, 9]]) is None


def test_choose_refuses_bad_input():
    with pytest.raises(ValueError, match="must be 2 numbers, none below zero"):
        choose(FRONT, [1, -1])
    with pytest.raises(ValueError, match="must be 2 numbers"):
        choose(FRONT, [1, 1, 1])
    with pytest.raises(ValueError, match="no method 'best': choose from chebyshev"):
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


# why_empty


def test_it_says_which_limit_excludes_everything_and_by_how_much():
    message = why_empty(FRONT, [[5.5, 6], [0, 9]], ["error (%)", "MAdds (M)"])
    assert message == (
        "The limit error (%) from 5.5 to 6 (missed by 1.5) excludes all 4 architectures: widen it."
    )


def test_it_names_every_limit_that_excludes_everything():
    message = why_empty(FRONT, [[5, 6], [7, 9]], ["error (%)", "MAdds (M)"])
    assert "error (%) from 5 to 6 (missed by 1) and MAdds (M) from 7 to 9 (missed by 3)" in message
    assert "each exclude all 4" in message


def test_it_names_what_the_nearest_one_breaks_where_limits_exclude_everything_together():
    message = why_empty(FRONT, [[0, 1], [0, 1.5]], ["error (%)", "MAdds (M)"])
    assert "MAdds (M) from 0 to 1.5 (missed by 0.5) and the other limits together" in message
    assert "error" not in message


def test_it_says_when_nothing_is_finite():
    assert "finite" in why_empty([[np.nan, 1.0]], [[0, 1], [0, 1]], ["a", "b"])


# Reading archives


def test_archives_from_table_file_and_run_folder_are_the_same(tmp_path):
    table = make_table(5)
    table.to_csv(tmp_path / "archive.csv", index=False)
    lines = "".join(json.dumps(row) + "\n" for row in table.to_dict("records"))
    (tmp_path / "archive.jsonl").write_text(lines)
    for source in (table, tmp_path / "archive.csv", tmp_path, str(tmp_path)):
        found = ObjectiveExplorer(source)
        assert list(map(str, found.architectures)) == list(table["architecture"])
        np.testing.assert_allclose(found.D[:, 0], table["top1_err"])
        np.testing.assert_allclose(found.D[:, 1], table["madds"] / 1e6)


def test_reading_refuses_what_is_no_archive(tmp_path):
    with pytest.raises(FileNotFoundError, match="no archive at .*archive.jsonl: give"):
        read_archive(tmp_path)
    with pytest.raises(ValueError, match="column 'architecture', but this one has 2 rows"):
        read_archive(pd.DataFrame({"madds": [1, 2]}))
    with pytest.raises(ValueError, match="has 0 rows"):
        ObjectiveExplorer(make_table(5).iloc[:0])
    with pytest.raises(ValueError, match="1 of the two or more objectives"):
        objectives_of(make_table(5)[["architecture", "madds"]])


def test_objectives_are_known_by_name_or_given():
    table = make_table(5, 4).assign(iteration=0, mine=1.0)
    assert objectives_of(table) == ["top1_err", "madds", "params", "top1_err_task3"]
    assert ObjectiveExplorer(table, objectives=["madds", "mine"]).labels == ["MAdds (M)", "mine"]


# The widget


def test_every_weight_slider_drives_the_choice(explorer):
    for name in explorer.objectives:
        explorer.reset()
        for other, slider in explorer.weights.items():
            slider.value = float(other == name)
        best = explorer.table[name].min()
        assert explorer.table[name][explorer.chosen] == best
        assert str(explorer.architecture) in explorer.alt
        shown = explorer.D[explorer.chosen, [1, 0]]
        np.testing.assert_allclose(points_labelled(explorer, "chosen"), [shown])


def test_every_limit_slider_drives_the_choice(explorer):
    for j, name in enumerate(explorer.objectives):
        explorer.reset()
        slider, middle = explorer.limits[name], float(np.median(explorer.D[:, j]))
        for limits in ((slider.min, middle), (middle, slider.max)):
            slider.value = limits
            keeps = (explorer.D[:, j] >= limits[0]) & (explorer.D[:, j] <= limits[1])
            assert keeps[explorer.chosen]
            assert f"40 architectures, {keeps.sum()} within" in explorer.alt
            inside = points_labelled(explorer, "within the limits")
            np.testing.assert_allclose(inside, explorer.D[keeps][:, [1, 0]])
            outside = points_labelled(explorer, "outside the limits")
            np.testing.assert_allclose(outside, explorer.D[~keeps][:, [1, 0]])


def test_the_method_drives_the_choice(explorer):
    explorer.weights["top1_err"].value = 0.9
    for method in METHODS.values():
        explorer.method.value = method
        weights = [slider.value for slider in explorer.weights.values()]
        assert explorer.chosen == choose(explorer.D, weights, method=method)
        assert f"Chosen by {explorer.method.label}: " in explorer.alt
    assert method == "knee" and all(slider.disabled for slider in explorer.weights.values())
    explorer.method.value = "chebyshev"
    assert not any(slider.disabled for slider in explorer.weights.values())


def test_the_front_is_shown_in_the_objectives_asked_for(explorer):
    explorer.right.value, explorer.up.value = "params", "madds"
    ax = explorer.figure.axes[0]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("parameters (M)", "MAdds (M)")
    inside = points_labelled(explorer, "within the limits")
    np.testing.assert_allclose(inside, explorer.D[:, [2, 1]])
    assert "MAdds (M) against parameters (M)" in explorer.alt


def test_parallel_coordinates_show_the_chosen_one_between_best_and_worst(explorer):
    (line,) = (s for s in explorer.figure.axes[1].lines if s.get_label() == "chosen")
    low, span = explorer.D.min(axis=0), np.ptp(explorer.D, axis=0)
    np.testing.assert_allclose(line.get_ydata(), (explorer.D[explorer.chosen] - low) / span)


def test_no_limit_excludes_anything_at_the_start(explorer):
    assert explorer.feasible.all()
    assert all(slider.value == (slider.min, slider.max) for slider in explorer.limits.values())


def test_an_empty_feasible_set_is_explained(explorer):
    slider, least = explorer.limits["madds"], explorer.D[:, 1].min()
    slider.value = (slider.min, slider.min)
    gap = least - slider.min
    assert gap > 0 and explorer.chosen is None and explorer.architecture is None
    for text in (explorer.status.value, explorer.alt):
        assert "The limit MAdds (M) from" in text and f"missed by {gap:.3g}" in text
    assert len(points_labelled(explorer, "outside the limits")) == 40
    assert not len(points_labelled(explorer, "within the limits"))
    assert [text.get_text() for text in explorer.figure.axes[2].texts] == [explore.NOTHING]
    explorer.compare()
    assert explorer.kept == []
    explorer.reset()
    assert explorer.chosen is not None and "missed" not in explorer.status.value


def test_reset_puts_every_control_back(explorer):
    start, alt = [control.value for control in explorer.inputs], explorer.alt
    for slider in explorer.weights.values():
        slider.value = 0.1
    explorer.weights["madds"].value = 1.0
    explorer.limits["madds"].value = (explorer.limits["madds"].min, 2.0)
    explorer.method.value, explorer.right.value = "pseudo", "params"
    explorer.compare()
    explorer.buttons["reset"].click()
    assert [control.value for control in explorer.inputs] == start
    assert explorer.alt == alt and explorer.kept == []
    explorer.weights["top1_err"].value, explorer.weights["madds"].value = 0.0, 1.0
    explorer.weights["params"].value = 0.0
    assert explorer.table["madds"][explorer.chosen] == explorer.table["madds"].min()


def test_compare_keeps_three_and_shows_them(explorer):
    seen = []
    for weight in (0.0, 0.3, 0.6, 0.8, 1.0):
        explorer.weights["top1_err"].value = weight
        explorer.buttons["compare"].click()
        explorer.buttons["compare"].click()
        seen += [explorer.chosen] if explorer.chosen not in seen else []
    assert len(seen) >= 4, "the archive of this test has too few different choices"
    assert explorer.kept == seen[-3:]
    titles = [ax.texts[-1].get_text() for ax in explorer.figure.axes[2:]]
    for name, row in zip("ABC", explorer.kept, strict=True):
        architecture = str(explorer.architectures[row])
        assert f"{name}: {architecture}" in titles
        assert f"Kept as {name}: {architecture}" in explorer.alt
        np.testing.assert_allclose(points_labelled(explorer, name), [explorer.D[row, [1, 0]]])


def test_export_hands_the_chosen_architecture_over():
    taken = []
    explorer = ObjectiveExplorer(make_table(), on_export=lambda a: taken.append(a) or "net.onnx")
    explorer.buttons["export"].click()
    assert taken == [explorer.architecture] and isinstance(taken[0], Architecture)
    assert "exported: net.onnx" in explorer.status.value
    assert not explorer.buttons["export"].disabled


def test_export_without_a_callback_is_off_and_refuses(explorer):
    assert explorer.buttons["export"].disabled
    with pytest.raises(RuntimeError, match="give 'on_export'"):
        explorer.export()


def test_exceptions_reach_the_reader(explorer, monkeypatch):
    def fail(*args, **kwargs):
        raise ZeroDivisionError

    explorer.on_export = fail
    with pytest.raises(ZeroDivisionError):
        explorer.export()
    monkeypatch.setattr(explore, "choose", fail)
    with pytest.raises(ZeroDivisionError):
        explorer.weights["madds"].value = 0.9


def test_nan_and_ties_and_a_single_point():
    table = make_table(12)
    table.loc[[2, 5], "top1_err"] = np.nan
    explorer = ObjectiveExplorer(table)
    assert "12 architectures, 10 within the limits" in explorer.alt
    assert explorer.chosen not in (2, 5)
    pixels(explorer)
    tied = make_table(6).assign(top1_err=10.0, madds=1e6, params=1e5)
    single = make_table(1)
    for table in (tied, single):
        explorer = ObjectiveExplorer(table)
        assert explorer.chosen == 0 and explorer.feasible.all()
        pixels(explorer)
    explorer = ObjectiveExplorer(table.assign(madds=np.nan))
    assert explorer.chosen is None and "finite" in explorer.alt
    pixels(explorer)


@pytest.mark.parametrize("n_objectives", range(2, 13))
def test_two_to_twelve_objectives(n_objectives):
    explorer = ObjectiveExplorer(make_table(20, n_objectives))
    assert len(explorer.weights) == len(explorer.limits) == n_objectives
    explorer.weights[explorer.objectives[-1]].value = 1.0
    assert f"all {n_objectives} objectives" in explorer.alt
    assert len(explorer.figure.axes[1].get_xticks()) == n_objectives
    assert pixels(explorer).shape[1] == round(10.5 * 110)


def test_both_spaces_are_known_by_their_strings():
    explorer = ObjectiveExplorer(make_table(5, space=SearchSpace.paper()))
    assert explorer.space == SearchSpace.paper() and explorer.architecture.width in (1.0, 1.2)


def test_the_picture_has_alt_text_and_changes_with_the_choice(explorer):
    data, metadata = explorer._repr_mimebundle_()
    assert metadata["image/png"]["alt"] == data["text/plain"] == explorer.alt
    before = pixels(explorer)
    explorer.weights["top1_err"].value = 1.0
    assert (pixels(explorer) != before).any()


def test_what_is_shown_is_controls_and_one_picture_that_is_replaced(explorer, monkeypatch):
    shown, updated = [], []

    class Handle:
        def update(self, data, metadata, raw):
            updated.append(metadata["image/png"]["alt"])

    def display(thing, metadata=None, **options):
        shown.append((thing, metadata))
        return Handle()

    monkeypatch.setattr(explore, "display", display)
    explorer._ipython_display_()
    (controls, _), (data, metadata) = shown
    assert controls is explorer.controls
    assert "image/png" in data and metadata["image/png"]["alt"] == explorer.alt
    explorer.weights["top1_err"].value = 1.0
    explorer.compare()
    explorer.reset()
    assert len(updated) == 3 and updated[-1] == explorer.alt


def test_only_what_moves_is_drawn_anew(explorer, monkeypatch):
    drawn = []
    original = explore.frame
    monkeypatch.setattr(explore, "frame", lambda *a: drawn.append(a) or original(*a))
    figure, start = explorer.figure, pixels(explorer)
    explorer.weights["top1_err"].value = 1.0
    explorer.limits["madds"].value = (explorer.limits["madds"].min, 3.0)
    assert explorer.figure is figure and not drawn
    moved = pixels(explorer)
    explorer.compare()
    assert explorer.figure is not figure and len(drawn) == 1, "there is room for kept ones now"
    explorer.reset()
    np.testing.assert_array_equal(pixels(explorer), start)
    explorer.weights["top1_err"].value = 1.0
    explorer.limits["madds"].value = (explorer.limits["madds"].min, 3.0)
    np.testing.assert_array_equal(pixels(explorer), moved)


def test_the_picture_is_that_of_a_figure_drawn_at_once(explorer):
    quick = pixels(explorer)
    whole = np.asarray(Image.open(io.BytesIO(to_png(explorer.figure, quick=True))))
    np.testing.assert_array_equal(quick, whole)
