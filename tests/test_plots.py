"""Figures show the data they are given, label their axes, and come with alt text."""

import base64
import io

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib import colors
from nbclient import NotebookClient
from PIL import Image

from natlib import plots
from natlib.data import Split, Task
from natlib.space import SearchSpace

POCKET = SearchSpace.pocket()
F = np.array([[30.0, 1e6], [20.0, 2e6], [25.0, 3e6], [10.0, 4e6]])


def line(figure, label):
    (found,) = (artist for artist in figure.axes[0].lines if artist.get_label() == label)
    return found.get_xydata()


@pytest.fixture
def task():
    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.integers(0, 256, (30, 3, 8, 8), dtype=np.uint8))
    split = Split(images, torch.arange(30) % 3)
    splits = {"train": split, "valid": split, "test": split}
    return Task("toy", ("cat", "dog", "bird"), **splits, mean=(0.5,) * 3, std=(0.2,) * 3, flip=True)


@pytest.mark.parametrize(
    ("objective", "label"),
    [
        ("top1_err", "top-1 error (%)"),
        ("madds", "MAdds (M)"),
        ("params", "parameters (M)"),
        ("latency_ms", "latency (ms)"),
        ("top1_err_cats", "cats error (%)"),
        ("something_else", "something else"),
    ],
)
def test_labels_have_units(objective, label):
    assert plots.label_of(objective) == label


def test_values_are_in_the_units_of_the_labels():
    found = plots.in_units([[12.5, 3e6, 2e5, 1.5]], ["top1_err", "madds", "params", "latency_ms"])
    np.testing.assert_allclose(found, [[12.5, 3.0, 0.2, 1.5]])
    with pytest.raises(ValueError, match="one name for each column"):
        plots.in_units(F, ["top1_err"])


def test_images_stand_under_the_name_of_their_class(task):
    figure = plots.plot_images(task, n=4)
    shown = [ax for ax in figure.axes if ax.images]
    assert [ax.get_title("left") for ax in shown] == list(task.classes)
    for label, ax in enumerate(shown):
        strip = np.asarray(ax.images[0].get_array())
        own = task.train.images[task.train.labels == label].permute(0, 2, 3, 1).numpy()
        for place in range(4):
            picture = strip[:, place * 10 : place * 10 + 8]
            assert any((picture == image).all() for image in own)


def test_front_is_a_staircase_through_what_is_not_dominated():
    figure = plots.plot_front(F, chosen=[1, 3])
    ax = figure.axes[0]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("MAdds (M)", "top-1 error (%)")
    np.testing.assert_allclose(line(figure, "front"), [[1, 30], [2, 20], [4, 10]])
    np.testing.assert_allclose(line(figure, "chosen"), [[2, 20], [4, 10]])
    assert [text.get_text() for text in ax.texts] == ["M1", "M2"]


def test_fronts_before_and_after_differ_in_colour_and_marker():
    figure = plots.plot_front(F, before=F + [5, 0])
    np.testing.assert_allclose(line(figure, "before: front"), [[1, 35], [2, 25], [4, 15]])
    before, after = (a for a in figure.axes[0].lines if a.get_label().endswith("front"))
    assert before.get_marker() != after.get_marker() and before.get_color() != after.get_color()


def test_front_leaves_nan_out():
    points = np.array([[1.0, 5.0], [np.nan, 0.0], [2.0, 3.0], [1.0, 5.0]])
    np.testing.assert_array_equal(plots.front_of(points), [[1, 5], [1, 5], [2, 3]])


def test_hypervolume_shows_mean_and_range_over_seeds():
    figure = plots.plot_hypervolume({"NAT": [[0.1, 0.3], [0.3, 0.5]], "random": [[0.1, 0.2]]})
    np.testing.assert_allclose(line(figure, "NAT (2 seeds)"), [[0, 0.2], [1, 0.4]])
    np.testing.assert_allclose(line(figure, "random (1 seed)"), [[0, 0.1], [1, 0.2]])
    band = figure.axes[0].collections[0].get_paths()[0].vertices
    assert {(0.0, 0.1), (0.0, 0.3), (1.0, 0.3), (1.0, 0.5)} <= set(map(tuple, band.tolist()))


def test_hypervolume_stands_where_its_index_says():
    series = [pd.Series([0.0, 1.0], index=[10, 30]), pd.Series([0.0, 1.0, 2.0], index=[10, 20, 30])]
    figure = plots.plot_hypervolume({"NAT": series}, x_label="evaluations")
    np.testing.assert_allclose(line(figure, "NAT (2 seeds)"), [[10, 0], [20, 0.75], [30, 1.5]])
    assert figure.axes[0].get_xlabel() == "evaluations"


def test_modes_show_every_seed_and_the_mean():
    figure = plots.plot_modes({"adapted": [0.2, 0.4], "searched only": [0.1]})
    np.testing.assert_allclose(line(figure, "adapted")[:, 0], [0.2, 0.4])
    np.testing.assert_allclose(line(figure, "searched only")[:, 0], [0.1])
    ax = figure.axes[0]
    assert [text.get_text() for text in ax.texts] == ["0.3", "0.1"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["adapted", "searched only"]


@pytest.mark.parametrize("space", [POCKET, SearchSpace.paper()], ids=lambda s: s.name)
def test_choice_shares_are_those_of_the_architectures(space):
    X = space.sample(20, 0)
    shares = plots.choice_shares(X, space)
    archs = [space.decode(x) for x in X]
    expected = {
        "resolution (px)": [a.resolution for a in archs],
        "width multiplier": [a.width for a in archs],
        "depth of a stage": [d for a in archs for d in a.depths],
        "kernel size": [k for a in archs for k in a.kernels],
        "expand ratio": [e for a in archs for e in a.expands],
    }
    assert list(shares) == list(expected)
    for name, values in expected.items():
        assert shares[name].sum() == pytest.approx(1)
        for choice, share in shares[name].items():
            assert share == pytest.approx(values.count(choice) / len(values))


def test_gene_heatmaps_have_a_column_for_each_iteration():
    populations = [POCKET.sample(10, seed) for seed in range(4)]
    figure = plots.plot_gene_heatmaps(populations, POCKET)
    maps = {ax.get_title("left"): ax.collections[0] for ax in figure.axes if ax.get_title("left")}
    assert "width multiplier" not in maps and len(maps) == 4
    table = maps["kernel size"].get_array().reshape(2, 4)
    shares = [plots.choice_shares(X, POCKET)["kernel size"] for X in populations]
    np.testing.assert_allclose(table, np.column_stack(shares)[::-1])


def test_correlations_are_of_ranks():
    found = plots.plot_correlations([[1, 9e6], [2, 4e6], [30, 1e6]], ["top1_err", "madds"])
    np.testing.assert_allclose(found.axes[0].collections[0].get_array().ravel(), [1, -1, -1, 1])


def test_parallel_coordinates_reach_from_best_to_worst():
    figure = plots.plot_parallel(F, ["top1_err", "madds"], chosen={"mine": 1})
    np.testing.assert_allclose(line(figure, "mine"), [[0, 0.5], [1, 1 / 3]])
    assert {"10", "30", "1", "4"} <= {text.get_text() for text in figure.axes[0].texts}


def test_drawn_layers_are_those_of_the_architecture():
    figure, ((ax,),) = plots.new_figure()
    arch = POCKET.decode(POCKET.sample(1, 3)[0])
    plots.draw_layers(ax, arch, POCKET)
    assert [int(text.get_text()) for text in ax.texts] == list(arch.kernels)
    filled = [bar.get_height() for bar in ax.patches if bar.get_facecolor()[3]]
    assert filled == list(arch.expands)


def luminance(color):
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in color]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def test_text_has_contrast_on_an_opaque_background():
    picture = Image.open(io.BytesIO(plots.to_png(plots.plot_front(F))))
    assert picture.mode == "RGB" and picture.getpixel((0, 0)) == (255, 255, 255)
    assert 1.05 / (luminance(colors.to_rgb(plots.INK)) + 0.05) > 12


def test_quick_pictures_are_smaller():
    figure = plots.plot_front(F)
    quick = plots.to_png(figure, quick=True)
    assert len(quick) < len(plots.to_png(figure)) / 2
    assert Image.open(io.BytesIO(quick)).convert("RGB").getpixel((0, 0)) == (255, 255, 255)


def test_picture_carries_alt_text_and_its_width_on_the_page():
    data, metadata = plots.picture(plots.plot_front(F), "a front of 3")
    assert data["text/plain"] == "a front of 3"
    assert data["text/html"].startswith('<img alt="a front of 3" width="672" src="data:image/png;')
    assert metadata == {"image/png": {"alt": "a front of 3", "width": 7 * 96}}
    image = Image.open(io.BytesIO(base64.b64decode(data["image/png"])))
    assert image.size == (7 * 144, 4 * 144)
    with pytest.raises(ValueError, match="no alt text: say in a sentence"):
        plots.show(plots.plot_front(F), " ")
    data, _ = plots.picture(plots.plot_front(F), '5 < 6 & "so"')
    assert '<img alt="5 &lt; 6 &amp; &quot;so&quot;" ' in data["text/html"]


def test_a_notebook_shows_a_figure_exactly_once():
    make = "figure = plots.plot_front([[1.0, 2e6], [2.0, 1e6]])\n"
    cells = [
        "from natlib import plots\n" + make + "plots.show(figure, 'a front')",
        "import matplotlib.pyplot as plt\n" + make + "plots.show(figure, 'with pyplot')",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    NotebookClient(notebook, kernel_name="python3").execute()
    for cell, alt in zip(notebook.cells, ("a front", "with pyplot"), strict=True):
        (output,) = cell.outputs
        assert set(output.data) == {"text/html", "image/png", "text/plain"}
        assert output.metadata["image/png"]["alt"] == alt
