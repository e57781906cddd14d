"""Latency tables: arithmetic of the look-up, files, real phone tables."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from natlib import latency
from natlib.latency import LatencyTable, measure_ms, spread
from natlib.space import Architecture, SearchSpace
from natlib.supernet import Subnet

SPACE = SearchSpace.pocket()


@pytest.fixture
def parameters_as_ms(monkeypatch):
    """Replaces the clock: a module takes as many milliseconds as it has convolution weights."""
    asked = []

    def count(module: nn.Module, images: torch.Tensor, repeats: int, threads: int) -> float:
        assert images.shape[2] <= 32 and not module.training
        asked.append(1)
        return float(sum(p.numel() for p in module.parameters() if p.ndim > 1)) + images.shape[0]

    monkeypatch.setattr(latency, "measure_ms", count)
    return asked


def weights_of(arch: Architecture) -> int:
    return sum(p.numel() for p in Subnet(SPACE, arch, 10).parameters() if p.ndim > 1)


def test_latency_is_the_sum_over_the_blocks(parameters_as_ms):
    table = LatencyTable.measure(SPACE, batch_size=2, num_classes=10, rounds=2)
    X = SPACE.sample(10, 0)
    expected = [weights_of(SPACE.decode(x)) + 2 * (2 + np.count_nonzero(x[2:])) for x in X]
    assert table.latency_ms(X).tolist() == pytest.approx(expected)
    # resolutions x (stages x (first, later) x choices + ends), less the later layers of stage 3
    # that two resolutions share: 20 and 24 px both end at 3x3, 28 and 32 px at 4x4
    distinct = 5 * (3 * 2 * 6 + 2) - 2 * 6
    assert len(parameters_as_ms) == 2 * distinct, "each distinct block is timed once a round"
    assert table.about["batch_size"] == 2 and "torch" in table.about


def test_resolutions_in_between_are_interpolated():
    ends = np.arange(1, 4).reshape(3, 1, 1) * np.ones((3, 1, 2))  # 1, 2, 3 ms at 16, 24, 32 px
    layers = np.zeros((3, 1, 3, 3, 7))
    table = LatencyTable(SPACE, [16, 24, 32], ends, layers, {})
    X = np.tile(SPACE.lower, (5, 1))
    X[:, 0] = range(5)
    assert table.latency_ms(X) == pytest.approx([2, 3, 4, 5, 6])


def test_resolutions_outside_are_refused():
    wide = replace(SPACE, resolutions=(16, 20, 36))
    with pytest.raises(
        ValueError, match="measured at 16 to 32 px, but the space asks for 16 to 36"
    ):
        LatencyTable(wide, [16, 32], np.zeros((2, 1, 2)), np.zeros((2, 1, 3, 3, 7)), {})


def test_the_shortest_of_the_rounds_counts(monkeypatch):
    times = iter(range(10_000, 0, -1))  # the machine becomes faster with every block
    monkeypatch.setattr(latency, "measure_ms", lambda *args: float(next(times)))
    space = replace(SPACE, resolutions=(16,), kernels=(3,), expands=(1,), max_depth=1)
    first = LatencyTable.measure(space, rounds=1)
    times = iter(range(10_000, 0, -1))
    assert (LatencyTable.measure(space, rounds=2).ends < first.ends).all()


def test_modules_are_timed_in_turn(monkeypatch):
    order = []
    monkeypatch.setattr(latency, "pass_ms", lambda module, images: order.append(module) or 1.5)
    modules = [nn.Identity(), nn.Flatten()]
    found = latency.measure_in_turn(modules, [torch.zeros(1)] * 2, rounds=3)
    assert found.tolist() == [1.5, 1.5]
    assert order == modules * (3 + latency.WARM_UP)


def test_measure_save_load(tmp_path):
    space = replace(SPACE, resolutions=(16, 32), kernels=(3,), expands=(1,), max_depth=1)
    table = LatencyTable.measure(space, repeats=1, rounds=1)
    X = space.sample(4, 0)
    assert (table.latency_ms(X) > 0).all()
    table.save(tmp_path / "table.json")
    loaded = LatencyTable.load(tmp_path / "table.json")
    assert loaded.space == space and loaded.about == table.about
    assert loaded.latency_ms(X) == pytest.approx(table.latency_ms(X), abs=1e-4)
    with pytest.raises(ValueError, match="no canonical encoding"):
        loaded.latency_ms(X + 9)


def test_files_that_are_no_table(tmp_path):
    path = tmp_path / "table.json"
    with pytest.raises(FileNotFoundError, match="There is no latency table at .*table.json"):
        LatencyTable.load(path)
    for text in ("", '{"about": {', "{}", "[1]"):
        path.write_text(text)
        with pytest.raises(ValueError, match="table.json is no complete latency table: measure"):
            LatencyTable.load(path)
    with pytest.raises(FileNotFoundError, match="no .*_lookup_table.yaml in"):
        LatencyTable.from_lookup_tables(tmp_path, SPACE)


def test_measure_ms_warms_up_and_takes_the_median(monkeypatch):
    times = iter([100.0] * latency.WARM_UP + [1.0, 2.0, 30.0])
    monkeypatch.setattr(latency, "wall_ms", lambda module, images: next(times))
    assert measure_ms(nn.Identity(), torch.ones(1), repeats=3) == 2.0


def test_measuring_uses_as_many_threads_as_asked_and_no_longer():
    before, seen = torch.get_num_threads(), []

    class Spy(nn.Module):
        def forward(self, x):
            seen.append(torch.get_num_threads())
            return x

    measure_ms(Spy(), torch.ones(1), repeats=1, threads=2)
    measure_ms(Spy(), torch.ones(1), repeats=1)
    assert set(seen) == {1, 2} and torch.get_num_threads() == before


def test_spread_keeps_both_ends():
    assert spread(range(192, 257, 4), 5) == [192, 208, 224, 240, 256]
    assert spread((16, 32), 5) == [16, 32]


# The phone tables that Once-for-all's authors measured


def phone_space(resolutions) -> SearchSpace:
    return SearchSpace.paper(resolutions=resolutions, widths=(1.2,))


def test_phone_networks_take_what_their_names_say(shared):
    space = phone_space(range(160, 225, 4))
    table = LatencyTable.from_lookup_tables(shared / "ofa/note10_latency", space)
    nets = json.loads((shared / "ofa/specialized_nets.json").read_text())
    nets = [net for net in nets if net["device"] == "note10" and net["w"] == 1.2]
    assert len(nets) == 2
    for net in nets:
        named = float(net["budget"].removesuffix("ms"))
        predicted = table.latency_ms(space.encode(Architecture.from_dict(net)))
        assert predicted == pytest.approx([named], rel=0.1)


def test_phone_tables_of_another_width(shared):
    space = replace(phone_space((192,)), widths=(1.0,))
    with pytest.raises(ValueError, match="have no entry Conv-input:160x160x3-output:80x80x16"):
        LatencyTable.from_lookup_tables(shared / "ofa/note10_latency", space)
