"""The figures show what they are given, in units, with alt text, readable without colour."""

import base64
import io

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch
from IPython.display import DisplayHandle
from ipywidgets import SelectionSlider
from matplotlib import colors
from nbclient import NotebookClient
from PIL import Image

from natlib.paper.results import reproduction_table
from natlib.space import Architecture, SearchSpace
from natlib.supernet import Supernet
from natlib.teach import plots

POCKET = SearchSpace.pocket()
ARCH = Architecture(24, 1.0, (1, 2, 3), (5, 3, 3, 5, 5, 5), (2, 1, 1, 4, 4, 4))
F = np.array([[30, 1e6], [20, 2e6], [25, 3e6], [10, 4e6]])
X = POCKET.sample(30, 0)
Y = np.random.default_rng(0).uniform(5, 14, 30)
SCORES = pd.DataFrame({0: [0.5, 0.6], 1: [0.7, 1.0]}, index=[20, 40])
PANELS = {"a": ([3, 5], [80, 70]), "b": ([1, 2], [1, 3])}
PICTURES = torch.randint(256, (12, 3, 8, 8), dtype=torch.uint8)
CLASSES = torch.arange(12) % 3

FIGURES = {
    "front": lambda: plots.plot_front(F, before=F + [5, 0], chosen=[1, 3]),
    "hypervolume": lambda: plots.plot_hypervolume({"a": [[0, 1], [1, 2]], "b": [[0, 3]]}),
    "modes": lambda: plots.plot_modes({"a": [0.1, 0.2], "b": [0.3]}),
    "heatmaps": lambda: plots.plot_gene_heatmaps([X, X], POCKET),
    "parallel": lambda: plots.plot_parallel(F, ["top1_err", "madds"], {"mine": 1}),
    "architecture": lambda: plots.draw_architecture({"a": ARCH}, POCKET),
    "recalibration": lambda: plots.plot_recalibration([50, 60], [20, 30], ["a", "b"]),
    "panels": lambda: plots.plot_panels(PANELS, ("x", "y"), sharex=True, sharey=True),
    "bands": lambda: plots.plot_bands({"p": {"a": SCORES, "b": SCORES}}, ("n", "tau")),
    "layers": lambda: plots.plot_layers(F, [0, 1, 2, 0]),
    "candidates": lambda: plots.plot_front(F, before=F, chosen=[3, 1], prefix=""),
    "reproduction": lambda: plots.plot_reproduction(reproduction_table()),
}


def line(ax, label):
    [found] = [line for line in ax.lines if line.get_label() == label]
    return found.get_xydata()


def words(ticks):
    return any(char.isalpha() for tick in ticks for char in tick.get_text())


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_labels_its_axes_and_tells_series_apart_without_colour(name):
    figure = FIGURES[name]()
    plots.picture(figure, name)  # can be drawn
    drawn = [ax for ax in figure.axes if ax.has_data() and ax.get_label() != "<colorbar>"]
    for ax in drawn:
        assert figure.get_supxlabel() or ax.get_xlabel() or words(ax.get_xticklabels())
        beside = words([*ax.get_yticklabels(), *drawn[0].get_yticklabels()])
        title = ax.get_title("left")  # of a heat map: what its rows are
        assert figure.get_supylabel() or ax.get_ylabel() or beside or title
        lines = [line for line in ax.lines if not line.get_label().startswith("_")]
        looks = [(a.get_marker(), a.get_linestyle(), a.get_drawstyle()) for a in lines]
        assert len(set(looks)) == len(looks), looks


@pytest.mark.parametrize(
    ("objective", "label"),
    [
        ("top1_err", "top-1 error (%)"),
        ("madds", "MAdds (M)"),
        ("latency_ms", "latency (ms)"),
        ("top1_err_cats", "cats error (%)"),
        ("joules_each", "joules each"),
    ],
)
def test_labels_have_units(objective, label):
    assert plots.label_of(objective) == label


def test_values_are_in_the_units_of_their_labels():
    found = plots.in_units([[12.5, 3e6, 2e5, 1.5]], ["top1_err", "madds", "params", "latency_ms"])
    np.testing.assert_allclose(found, [[12.5, 3.0, 0.2, 1.5]])
    with pytest.raises(ValueError, match="one name for each column"):
        plots.in_units(F, ["top1_err"])


def test_front_leaves_nan_out():
    points = np.array([[1.0, 5.0], [np.nan, 0.0], [2.0, 3.0], [1.0, 5.0]])
    np.testing.assert_array_equal(plots.front_of(points), [[1, 5], [1, 5], [2, 3]])


def test_images_stand_under_the_name_of_their_class():
    figure = plots.plot_images(PICTURES, CLASSES, ("ant", "bee", "cat"), n=4)
    shown = [ax for ax in figure.axes if ax.images]
    assert [ax.get_title("left") for ax in shown] == ["ant", "bee", "cat"]
    for label, ax in enumerate(shown):
        strip = np.asarray(ax.images[0].get_array())
        own = PICTURES[label == CLASSES].permute(0, 2, 3, 1).numpy()
        for place in range(4):
            picture = strip[:, place * 10 : place * 10 + 8]
            assert any((picture == image).all() for image in own)


def test_front_is_a_staircase_through_what_is_not_dominated():
    [ax] = plots.plot_front(F, chosen=[1, 3]).axes
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("MAdds (M)", "top-1 error (%)")
    np.testing.assert_allclose(line(ax, "front"), [[1, 30], [2, 20], [4, 10]])
    np.testing.assert_allclose(line(ax, "chosen"), [[2, 20], [4, 10]])
    assert [text.get_text() for text in ax.texts] == ["M1", "M2"]
    [ax] = plots.plot_front(F, before=F + [5, 0]).axes
    np.testing.assert_allclose(line(ax, "before: front"), [[1, 35], [2, 25], [4, 15]])


def test_hypervolume_shows_mean_and_range_where_the_index_says():
    [ax] = plots.plot_hypervolume({"NAT": [[0.1, 0.3], [0.3, 0.5]], "random": [[0.1, 0.2]]}).axes
    np.testing.assert_allclose(line(ax, "NAT (2 seeds)"), [[0, 0.2], [1, 0.4]])
    np.testing.assert_allclose(line(ax, "random (1 seed)"), [[0, 0.1], [1, 0.2]])
    band = ax.collections[0].get_paths()[0].vertices
    assert {(0.0, 0.1), (0.0, 0.3), (1.0, 0.3), (1.0, 0.5)} <= set(map(tuple, band.tolist()))
    series = [pd.Series([0.0, 1.0], index=[10, 30]), pd.Series([0.0, 1.0, 2.0], index=[10, 20, 30])]
    [ax] = plots.plot_hypervolume({"NAT": series}, x_label="evaluations").axes
    np.testing.assert_allclose(line(ax, "NAT (2 seeds)"), [[10, 0], [20, 0.75], [30, 1.5]])


def test_modes_show_every_seed_and_the_mean():
    [ax] = plots.plot_modes({"adapted": [0.2, 0.4], "searched only": 0.1}).axes
    np.testing.assert_allclose(line(ax, "adapted")[:, 0], [0.2, 0.4])
    np.testing.assert_allclose(line(ax, "searched only")[:, 0], [0.1])
    assert [text.get_text() for text in ax.texts] == ["0.3", "0.1"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["adapted", "searched only"]


@pytest.mark.parametrize("space", [POCKET, SearchSpace.paper()], ids=lambda s: s.name)
def test_gene_heatmaps_show_the_shares_of_choices(space):
    populations = [space.sample(20, seed) for seed in range(3)]
    figure = plots.plot_gene_heatmaps(populations, space)
    maps = {ax.get_title("left"): ax.collections[0] for ax in figure.axes if ax.get_title("left")}
    assert ("width multiplier" in maps) == (len(space.widths) > 1)
    for iteration, population in enumerate(populations):
        archs = [space.decode(x) for x in population]
        made = {
            "resolution (px)": (space.resolutions, [a.resolution for a in archs]),
            "depth of a stage": (None, [d for a in archs for d in a.depths]),
            "kernel size": (space.kernels, [k for a in archs for k in a.kernels]),
            "expand ratio": (space.expands, [e for a in archs for e in a.expands]),
        }
        for name, (choices, values) in made.items():
            choices = choices or range(space.min_depth, space.max_depth + 1)
            table = maps[name].get_array().reshape(len(choices), len(populations))
            expected = [values.count(choice) / len(values) for choice in choices]
            np.testing.assert_allclose(table[::-1, iteration], expected)


def test_correlations_are_of_ranks():
    found = plots.plot_correlations([[1, 9e6], [2, 4e6], [30, 1e6]], ["top1_err", "madds"])
    np.testing.assert_allclose(found.axes[0].collections[0].get_array().ravel(), [1, -1, -1, 1])


def test_parallel_coordinates_reach_from_best_to_worst():
    [ax] = plots.plot_parallel(F, ["top1_err", "madds"], chosen={"mine": 1}).axes
    np.testing.assert_allclose(line(ax, "mine"), [[0, 0.5], [1, 1 / 3]])
    assert {"10", "30", "1", "4"} <= {text.get_text() for text in ax.texts}


def test_parallel_coordinates_leave_out_what_is_not_finite():
    [ax] = plots.plot_parallel([[np.nan, 1.0], [2.0, np.inf]], ["top1_err", "madds"]).axes
    assert not ax.texts and not any(len(lines.get_paths()) for lines in ax.collections)


def test_an_architecture_is_drawn_with_kernel_as_colour_and_expand_as_height():
    figure = plots.draw_architecture({"A": ARCH, "B": POCKET.smallest()}, POCKET, {"A": "cheap"})
    first, second = figure.axes
    bars = [bar for bar in first.patches if bar.get_facecolor()[3]]
    assert [bar.get_height() for bar in bars] == list(ARCH.expands)
    expected = [colors.to_rgba(plots.KERNEL_COLORS[kernel]) for kernel in ARCH.kernels]
    assert [bar.get_facecolor() for bar in bars] == expected
    assert [text.get_text() for text in first.texts] == [str(kernel) for kernel in ARCH.kernels]
    assert len(first.patches) == len(second.patches) == 9, "skipped layers are dotted"
    assert first.get_title("left") == "A: 24 px, width 1.0, cheap"
    assert second.get_title("left").endswith("width 1.0")
    assert [text.get_text() for text in figure.legends[0].texts] == ["kernel 3", "kernel 5"]


def test_maps_stand_in_rows():
    maps = {"a": torch.randn(1, 6, 6), "b": torch.randn(3, 4, 4)}
    figure = plots.plot_maps(maps, ["x", "y", "z"])
    assert [len(ax.images) for ax in figure.axes] == [1, 0, 0, 1, 1, 1]
    assert figure.axes[0].get_title("left") == "x" and figure.axes[3].get_ylabel() == "b\n4x4 px"
    np.testing.assert_array_equal(figure.axes[4].images[0].get_array(), maps["b"][1])


def test_feature_maps_are_those_of_the_layer_and_leave_no_hook():
    subnet = Supernet(POCKET, 10).eval().extract(ARCH)
    inputs = torch.randn(2, 3, 24, 24)
    with torch.no_grad():
        expected = subnet.blocks[0](subnet.first_conv(inputs))[0]
    assert torch.equal(plots.feature_maps(subnet, "blocks.0", inputs), expected)
    before_excitation = plots.feature_maps(subnet, "blocks.2.depth_conv", inputs)
    assert (before_excitation >= -0.4).all(), "h-swish, before the layers that work in place"
    assert not subnet.blocks[0]._forward_hooks


def test_chosen_points_are_named_in_their_order():
    [ax] = FIGURES["candidates"]().axes
    places = {text.get_text(): text.xy for text in ax.texts}
    np.testing.assert_allclose([places["1"], places["2"]], [[4, 10], [2, 20]])


def test_the_reproduction_has_a_panel_for_each_data_set():
    figure = FIGURES["reproduction"]()
    panels = [ax for ax in figure.axes if ax.get_title("left")]
    assert len(panels) == 11 and len(line(panels[0], "paper")) == 4
    legend = [text.get_text() for text in figure.axes[-1].get_legend().texts]
    assert [text.split()[0] for text in legend] == ["paper", "published", "your"]


@pytest.fixture
def shown(monkeypatch):
    """The pictures that sliders show and update, as `(text, alt)`."""
    pictures = []

    def display(handle, data, metadata, **options):
        pictures.append((data["text/plain"], metadata["image/png"]["alt"]))

    monkeypatch.setattr(DisplayHandle, "display", display)
    return pictures


def test_a_picture_is_drawn_anew_when_a_slider_moves(shown):
    slider = SelectionSlider(options=[0, 1, 2], value=1)
    widget = plots.Redrawn(lambda row: (plots.plot_front(F), f"chosen: {row}"), slider)
    widget._ipython_display_()
    slider.value = 2
    assert shown == [("chosen: 1", "chosen: 1"), ("chosen: 2", "chosen: 2")]


@pytest.mark.parametrize("options", [{}, {"sharex": True, "sharey": True}])
def test_panels_show_their_points_and_shared_axes_a_diagonal(options):
    first, second = plots.plot_panels(PANELS, ("x", "y"), **options).axes
    assert [ax.get_title("left") for ax in (first, second)] == ["a", "b"]
    assert first.lines[-1].get_xydata().tolist() == [[3, 80], [5, 70]]
    assert len(second.lines) == (2 if options else 1)


def test_bands_show_mean_and_range_over_columns_in_each_panel():
    panels = {"first": {"a": SCORES}, "second": {"a": SCORES, "b": SCORES - 0.2}}
    figure = plots.plot_bands(panels, ("n", "tau"), xscale="log")
    first, second = figure.axes
    assert [ax.get_title("left") for ax in figure.axes] == ["first", "second"]
    np.testing.assert_allclose(line(first, "a"), [[20, 0.6], [40, 0.8]])
    np.testing.assert_allclose(line(second, "b"), [[20, 0.4], [40, 0.6]])
    band = first.collections[0].get_paths()[0].vertices
    assert {(20.0, 0.5), (20.0, 0.7), (40.0, 0.6), (40.0, 1.0)} <= set(map(tuple, band.tolist()))
    assert second.get_xscale() == "log"


def test_panels_with_the_same_names_share_one_legend():
    of = {"a": SCORES, "b": SCORES - 0.2}
    shared = plots.plot_bands({"first": of, "second": {"a": SCORES}}, ("n", "tau"))
    assert [text.get_text() for text in shared.legends[0].get_texts()] == ["a", "b"]
    assert not any(ax.get_legend() for ax in shared.axes)
    unlike = plots.plot_bands({"first": of, "second": {"a": SCORES, "c": SCORES}}, ("n", "tau"))
    assert not unlike.legends
    names = [[text.get_text() for text in ax.get_legend().get_texts()] for ax in unlike.axes]
    assert names == [["a", "b"], ["a", "c"]]


def luminance(color):
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in color]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def test_pictures_carry_alt_text_and_are_sharp_and_opaque():
    data, metadata = plots.picture(plots.plot_front(F), '5 < 6 & "so"')
    assert data["text/plain"] == metadata["image/png"]["alt"] == '5 < 6 & "so"'
    img = '<img alt="5 &lt; 6 &amp; &quot;so&quot;" width="672" src="data:image/png;base64,'
    assert data["text/html"].startswith(img)
    image = Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).convert("RGBA")
    assert image.size == (7 * 144, 4 * 144) and image.getpixel((0, 0)) == (255, 255, 255, 255)
    assert 1.05 / (luminance(colors.to_rgb(plots.INK)) + 0.05) > 12
    with pytest.raises(ValueError, match="no alt text: say in a sentence"):
        plots.show(plots.plot_front(F), " ")


def test_a_notebook_shows_each_picture_exactly_once():
    make = "figure = plots.plot_front([[1.0, 2e6], [2.0, 1e6]])\n"
    cells = [
        "from natlib.teach import plots\n" + make + "plots.show(figure, 'a front')",
        "import matplotlib.pyplot as plt\n" + make + "plots.show(figure, 'with pyplot')",
        "plots.show_map()",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    NotebookClient(notebook, kernel_name="python3").execute()
    for cell, kind in zip(notebook.cells, ("png", "png", "svg+xml"), strict=True):
        (output,) = cell.outputs
        assert set(output.data) == {"text/html", f"image/{kind}", "text/plain"}
        assert output.metadata[f"image/{kind}"]["alt"] == output.data["text/plain"]
        assert f'alt="{output.data["text/plain"]}"' in output.data["text/html"]
