"""Latency tables: arithmetic of the look-up, files, the table of a run, real phone tables."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from natlib.data import DATA
from natlib.deploy import latency
from natlib.deploy.latency import LatencyTable, for_run, measure_in_turn, measure_ms
from natlib.space import Architecture, SearchSpace
from natlib.supernet import Subnet, Supernet
from natlib.transfer import CHECKPOINT
from tests.helpers.phone_tables import read_phone_table

SPACE = SearchSpace.pocket()
SMALL = replace(SPACE, resolutions=(16, 32), kernels=(3,), expands=(1,), max_depth=1)


@pytest.fixture
def parameters_as_ms(monkeypatch):
    """Replaces the clock: a module takes as many milliseconds as it has weights."""
    asked = []

    def count(module: nn.Module, images: torch.Tensor, repeats: int, threads: int) -> float:
        assert not module.training
        assert not any(isinstance(layer, nn.BatchNorm2d) for layer in module.modules())
        asked.append(1)
        return float(sum(p.numel() for p in module.parameters() if p.ndim > 1)) + images.shape[0]

    monkeypatch.setattr(latency, "measure_ms", count)
    return asked


def weights_of(arch: Architecture) -> int:
    return sum(p.numel() for p in Subnet(SPACE, arch, 10).parameters() if p.ndim > 1)


def test_latency_is_the_sum_over_the_blocks(parameters_as_ms):
    table = LatencyTable.measure(SPACE, batch_size=2, num_classes=10, rounds=2)
    X = SPACE.sample(10, 0)
    expected = [weights_of(SPACE.decode(x)) + 2 * (5 + np.count_nonzero(x[2:])) for x in X]
    assert table.latency_ms(X).tolist() == pytest.approx(expected)
    # At each resolution (stages x (first, later) x choices + 4 ends), less what two resolutions
    # share: 20 and 24 px both end at 3x3, 28 and 32 px at 4x4. And the classifier.
    distinct = 5 * (3 * 2 * 6 + 4) - 2 * (6 + 2) + 1
    assert len(parameters_as_ms) == 2 * distinct, "each distinct block is timed once a round"
    assert table.about["batch_size"] == 2 and "torch" in table.about


def test_resolutions_in_between_are_interpolated():
    ms = np.zeros((3, 1, 7, 10))
    ms[..., 0] = np.array([2, 4, 6]).reshape(3, 1, 1)  # at 16, 24, 32 px
    table = LatencyTable(SPACE, [16, 24, 32], ms, {})
    X = np.tile(SPACE.lower, (5, 1))
    X[:, 0] = range(5)
    assert table.latency_ms(X) == pytest.approx([2, 3, 4, 5, 6])


def test_resolutions_outside_are_refused():
    wide = replace(SPACE, resolutions=(16, 20, 36))
    with pytest.raises(
        ValueError, match="measured at 16 to 32 px, but the space asks for 16 to 36"
    ):
        LatencyTable(wide, [16, 32], np.zeros((2, 1, 7, 10)), {})


def test_the_shortest_of_the_rounds_counts(monkeypatch):
    def faster_with_every_block():
        times = iter(range(10_000, 0, -1))
        monkeypatch.setattr(latency, "measure_ms", lambda *args: float(next(times)))

    faster_with_every_block()
    first = LatencyTable.measure(SMALL, rounds=1)
    faster_with_every_block()
    second = LatencyTable.measure(SMALL, rounds=2)
    X = SMALL.sample(4, 0)
    assert (second.latency_ms(X) < first.latency_ms(X)).all()


def test_modules_are_timed_in_turn():
    order = []

    class Spy(nn.Module):
        def forward(self, x):
            order.append(self)
            return x

    modules = [Spy(), Spy()]
    found = measure_in_turn(modules, [torch.zeros(1)] * 2, rounds=3)
    assert found.shape == (2,) and (found > 0).all()
    turns = [a for a, b in zip(order, [None, *order], strict=False) if a is not b]
    assert turns == modules * 3


def test_measure_save_load(tmp_path):
    table = LatencyTable.measure(SMALL, repeats=1, rounds=1)
    X = SMALL.sample(4, 0)
    assert (table.latency_ms(X) > 0).all()
    table.save(tmp_path / "table.json")
    loaded = LatencyTable.load(tmp_path / "table.json")
    assert loaded.same_as(table) and loaded.space == SMALL and loaded.about == table.about
    np.testing.assert_array_equal(loaded.latency_ms(X), table.latency_ms(X))
    with pytest.raises(ValueError, match="no canonical encoding"):
        loaded.latency_ms(X + 9)


def test_files_that_are_no_table(tmp_path):
    path = tmp_path / "table.json"
    with pytest.raises(FileNotFoundError, match="There is no latency table at .*table.json"):
        LatencyTable.load(path)
    for text in ("", '{"about": {', "{}", "[1]"):
        path.write_text(text, "utf-8")
        with pytest.raises(ValueError, match="table.json is no complete latency table: measure"):
            LatencyTable.load(path)


def test_measuring_uses_as_many_threads_as_asked_and_no_longer():
    before, seen = torch.get_num_threads(), []

    class Spy(nn.Module):
        def forward(self, x):
            seen.append(torch.get_num_threads())
            return x

    measure_ms(Spy(), torch.ones(1), repeats=1, threads=2)
    measure_ms(Spy(), torch.ones(1), repeats=1)
    assert set(seen) == {1, 2} and torch.get_num_threads() == before


# The table of a run


@pytest.fixture
def net():
    return Supernet(SMALL, 3)


def test_a_run_goes_on_with_the_table_that_it_began_with(net, tmp_path, monkeypatch):
    monkeypatch.setattr(latency, "measure_ms", lambda *args: 2.5)
    table = for_run(net, tmp_path / "run")
    assert table.about["num_classes"] == 3
    monkeypatch.setattr(latency, "measure_ms", lambda *args: 3.5)
    assert for_run(net, tmp_path / "run").same_as(table)
    assert for_run(net, tmp_path / "run", table).same_as(table)
    assert not for_run(net).same_as(table), "without a folder it is measured anew"
    assert for_run(net, None, table) is table
    with pytest.raises(ValueError, match="holds other latencies than those that are passed"):
        for_run(net, tmp_path / "run", for_run(net))


def test_a_table_of_another_machine_is_told(net, tmp_path, monkeypatch):
    monkeypatch.setattr(latency, "measure_ms", lambda *args: 2.5)
    table = for_run(net, tmp_path)
    content = json.loads((tmp_path / "latency.json").read_text("utf-8"))
    content["about"]["cpu"] = "an abacus"
    (tmp_path / "latency.json").write_text(json.dumps(content), "utf-8")
    with pytest.warns(UserWarning, match="measured on .*an abacus.* goes on with them"):
        assert for_run(net, tmp_path).same_as(table)


def test_a_run_that_lost_its_table_does_not_get_another(net, tmp_path):
    (tmp_path / CHECKPOINT).touch()
    with pytest.raises(ValueError, match="latencies of the run in .* are lost: put latency.json"):
        for_run(net, tmp_path)


def test_several_processes_share_one_table(net, tmp_path, monkeypatch):
    monkeypatch.setattr(latency, "world_size", lambda: 2)
    with pytest.raises(ValueError, match="measure a LatencyTable once and save it as latency.json"):
        for_run(net, tmp_path)
    table = LatencyTable(SMALL, SMALL.resolutions, np.ones((2, 1, 2, 4)), {})
    assert for_run(net, tmp_path, table) is table
    assert LatencyTable.load(tmp_path / "latency.json").same_as(table)


# Tables that ship, one for each device


@pytest.mark.parametrize("path", sorted((DATA / "latency").glob("*.json")), ids=lambda p: p.stem)
def test_a_recorded_table_says_where_and_how(path):
    table = LatencyTable.load(path)
    assert table.space == SPACE and (table.latency_ms(SPACE.sample(50, 0)) > 0).all()
    name, _, kind = path.stem.rpartition("-")
    assert table.about["device"].endswith(f" {kind}")
    assert table.about["command"] == f"python data/record_latency.py {name}"
    assert {"cpu", "torch", "threads", "batch_size", "date"} <= set(table.about)


# The phone tables that Once-for-all's authors measured


def test_phone_networks_take_what_their_names_say(shared):
    space = SearchSpace.paper(resolutions=range(160, 225, 4), widths=(1.2,))
    table = read_phone_table(shared / "ofa/note10_latency", space)
    nets = json.loads((shared / "ofa/specialized_nets.json").read_text("utf-8"))
    nets = [net for net in nets if net["device"] == "note10" and net["w"] == 1.2]
    assert len(nets) == 2
    for net in nets:
        named = float(net["budget"].removesuffix("ms"))
        predicted = table.latency_ms(space.encode(Architecture.from_dict(net)))
        assert predicted == pytest.approx([named], rel=0.1)
