"""The figures of the notebook on the supernet show what they are given, and its sliders work."""

import pandas as pd
import pytest
import torch
from matplotlib.colors import to_hex

from natlib import plots_supernet as ps
from natlib.cost import CostTable
from natlib.space import Architecture, SearchSpace
from natlib.supernet import Supernet

POCKET = SearchSpace.pocket()
ARCH = Architecture(24, 1.0, (1, 2, 3), (5, 3, 3, 5, 5, 5), (2, 1, 1, 4, 4, 4))


def bars(ax):
    return [(bar.get_height(), to_hex(bar.get_facecolor())) for bar in ax.patches]


def test_an_architecture_is_drawn_with_kernel_as_colour_and_expand_as_height():
    figure = ps.draw_architecture({"A": ARCH, "B": POCKET.smallest()}, POCKET, {"A": "cheap"})
    first, second = figure.axes
    three, five = (to_hex(ps.KERNEL_COLORS[k]) for k in (3, 5))
    assert bars(first) == [(2, five), (1, three), (1, three), (4, five), (4, five), (4, five)]
    assert [text.get_text() for text in first.texts] == list("533555")
    assert len(bars(second)) == 3
    assert first.get_title("left") == "A: 24 px, width 1.0, cheap"
    assert [text.get_text() for text in figure.legends[0].texts] == ["kernel 3", "kernel 5"]


def test_kernels_and_maps_stand_in_rows():
    kernels = {"large": torch.randn(4, 5, 5), "small": torch.randn(4, 3, 3)}
    figure = ps.plot_kernels(kernels)
    shown = [ax.images[0].get_array() for ax in figure.axes[:8]]
    assert torch.equal(torch.tensor(shown[5].data), kernels["small"][1])
    assert (
        figure.axes[0].get_ylabel() == "large" and figure.axes[3].get_title("left") == "channel 3"
    )
    maps = {"a": torch.randn(1, 6, 6), "b": torch.randn(3, 4, 4)}
    figure = ps.plot_maps(maps, ["x", "y", "z"])
    assert [len(ax.images) for ax in figure.axes] == [1, 0, 0, 1, 1, 1]
    assert figure.axes[3].get_ylabel() == "b\n4x4 px"


def test_feature_maps_are_those_of_the_layer_and_leave_no_hook():
    subnet = Supernet(POCKET, 10).eval().extract(ARCH)
    inputs = torch.randn(2, 3, 24, 24)
    with torch.no_grad():
        expected = subnet.blocks[0](subnet.first_conv(inputs))[0]
    assert torch.equal(ps.feature_maps(subnet, "blocks.0", inputs), expected)
    before_excitation = ps.feature_maps(subnet, "blocks.2.depth_conv", inputs)
    assert (before_excitation >= -0.4).all(), "h-swish, before the layers that work in place"
    assert not subnet.blocks[0]._forward_hooks


def test_points_and_bars_are_in_units():
    ax = ps.plot_recalibration([50, 60], [20, 30], ["a", "b"]).axes[0]
    assert [line.get_xdata().tolist() for line in ax.lines] == [[50, 60], [20, 30]]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b"]
    cost = CostTable(POCKET, 10)
    table = cost.per_layer(POCKET.encode(ARCH))
    madds, params = ps.plot_layer_costs(table).axes
    total = sum(bar.get_width() for bar in madds.patches)
    assert total == pytest.approx(cost.madds(POCKET.encode(ARCH))[0] / 1e6)
    assert (madds.get_xlabel(), params.get_xlabel()) == ("MAdds (M)", "parameters (thousand)")
    ax = ps.plot_accuracy({"t": pd.DataFrame({"top1_err": [20.0], "madds": [3e6]})}).axes[0]
    assert ax.lines[0].get_xydata().tolist() == [[3.0, 80.0]]
    ax = ps.plot_latency([1.0, 2.0, 3.0], [2.0, 4.0, 5.0]).axes[0]
    assert ax.get_title("left").endswith("1.00") and "(ms)" in ax.get_xlabel()


@pytest.fixture
def sliders(monkeypatch):
    shown = []

    class Handle:
        def update(self, data, **options):
            shown.append((data, options["metadata"]))

    def display(thing, **options):
        if not options:
            return None
        shown.append((thing, options["metadata"]))
        return Handle()

    monkeypatch.setattr(ps, "display", display)
    sliders = ps.StageSliders(ARCH, CostTable(POCKET, 10), stage=2)
    sliders._ipython_display_()
    return sliders, shown


def test_sliders_change_one_stage_and_redraw(sliders):
    sliders, shown = sliders
    assert sliders.arch == ARCH and len(shown) == 1
    sliders.depth.value = 1
    sliders.kernel.value = 3
    sliders.expand.value = 2
    assert sliders.arch.stages() == [*ARCH.stages()[:2], [(3, 2)]]
    assert len(shown) == 4
    texts = [data["text/plain"] for data, _ in shown]
    assert "has 3 layers of kernel 5 and expand ratio 4" in texts[0]
    madds = sliders.cost.madds(POCKET.encode(sliders.arch))[0]
    assert f"has 1 layers of kernel 3 and expand ratio 2: {madds / 1e6:.2f} M MAdds" in texts[3]
    assert len({data["image/png"] for data, _ in shown}) == 4
    assert shown[3][1]["image/png"]["alt"] == texts[3]
