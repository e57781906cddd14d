"""The figures of the notebooks on surrogates and NSGA-III draw what they are given."""

import numpy as np
import pandas as pd
import pytest

from natlib import plots_search
from natlib.search import Found, reference_directions
from natlib.space import SearchSpace

SPACE = SearchSpace.pocket()
RNG = np.random.default_rng(0)
F = np.column_stack([RNG.uniform(5, 14, 30), RNG.uniform(1e6, 1e7, 30)])
X = SPACE.sample(30, 0)
SCORES = pd.DataFrame(
    [(name, n, split, 0.5 + split / 10) for name in "abc" for n in (20, 40) for split in range(3)],
    columns=["surrogate", "size", "split", "kendall"],
)

FIGURES = {
    "curves": lambda: plots_search.plot_curves(F[:, 1], F[:, 0], F[:, 1], {"one": F[:, 0]}),
    "predictions": lambda: plots_search.plot_predictions(F[:, 0], {"a": F[:, 0], "b": F[:, 0]}),
    "learning": lambda: plots_search.plot_learning_curves(SCORES, "a", 0.8),
    "residuals": lambda: plots_search.plot_residuals(X, {"a": F[:, 0], "b": F[:, 0]}, SPACE),
    "layers": lambda: plots_search.plot_layers(F[:10], [0, 1, 2, 0, 1, 2, 0, 1, 2, 0]),
    "survivors": lambda: plots_search.plot_survivors(
        RNG.random((9, 2)), {"a": [0, 1], "b": [2]}, reference_directions(2, 5)
    ),
    "simplex": lambda: plots_search.plot_simplex(reference_directions(3, 20), ["a", "b", "c"]),
    "generations": lambda: plots_search.plot_generations({0: F, 5: F, 9: F}, F),
    "candidates": lambda: plots_search.plot_candidates(F, F, [3, 1]),
}


@pytest.mark.parametrize("name", FIGURES)
def test_figures_have_labels_and_data(name):
    figure = FIGURES[name]()
    drawn = [ax for ax in figure.axes if ax.has_data()]
    assert drawn
    shared = figure.get_supxlabel() + figure.get_supylabel()
    for ax in drawn:
        in_row = [other for other in drawn if other.get_subplotspec() is not None]
        assert ax.get_xlabel() or shared or any(other.get_xlabel() for other in in_row)
        assert ax.get_ylabel() or shared or any(other.get_ylabel() for other in in_row)


def test_candidates_are_numbered_in_order():
    figure = plots_search.plot_candidates(F, F, [3, 1])
    texts = {text.get_text(): text.xy for text in figure.axes[0].texts}
    np.testing.assert_allclose(texts["1"], [F[3, 1] / 1e6, F[3, 0]])
    np.testing.assert_allclose(texts["2"], [F[1, 1] / 1e6, F[1, 0]])


def test_limit_slider_searches_again():
    asked = []

    def search(limit):
        asked.append(limit)
        rows = F[:, 1] <= limit
        return Found(X[rows], F[rows])

    slider = plots_search.LimitSlider(search, F, [3e6, 6e6, 1e7])
    assert asked == [6e6]
    before = slider.picture()[1]["image/png"]["alt"]
    slider.slider.value = 3e6
    assert asked == [6e6, 3e6]
    assert (slider.found.F[:, 1] <= 3e6).all()
    after = slider.picture()[1]["image/png"]["alt"]
    assert "3.0 M MAdds" in after and after != before
