"""The reproduction command, on rehearsal miniatures and with a profile of seconds."""

import importlib
import json
import shutil
import subprocess
from dataclasses import replace
from functools import wraps
from pathlib import Path

import pytest
import torch

from natlib.__main__ import main
from natlib.paper.datasets import DATA_SETS
from natlib.paper.miniatures import rehearse
from natlib.paper.reproduce import OFA_FILES, measure_published, reproduce
from natlib.paper.results import (
    AUTHORS,
    COUNTED,
    RESULT,
    YOURS,
    published_networks,
    read_results,
    rehearsal_table,
    reproduction_table,
)
from natlib.profiles import PROFILES, get_profile
from natlib.space import SearchSpace
from natlib.supernet import Subnet, Supernet
from natlib.teach.estimate import estimated_hours, throughput

module = importlib.import_module("natlib.paper.reproduce")
loop = importlib.import_module("natlib.transfer")
TINY = replace(
    PROFILES["quick"], warmup_largest=0.05, warmup_uniform=0.05, adapt=0.05, min_steps=20,
    batch_size=8, subnets_per_step=1, archive=4, iterations=1, candidates=1, best=4,
    population=20, generations=2, surrogate="ridge", calibration=16,
)  # fmt: skip


@pytest.fixture(scope="module")
def miniatures(tmp_path_factory):
    return rehearse(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def supernet(tmp_path_factory):
    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("supernet") / "net.safetensors"
    Supernet(SearchSpace.pocket(), 4).save(file)
    return file


@pytest.fixture
def command(miniatures, supernet, tmp_path, monkeypatch):
    monkeypatch.setitem(PROFILES, "quick", TINY)

    def run(*arguments):
        common = ("--data", miniatures, "--supernet", supernet, "--out", tmp_path / "runs")
        return main(["reproduce", *(str(a) for a in (*common, "--device", "cpu", *arguments))])

    return run


def test_three_data_sets_with_two_iterations(command, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(PROFILES, "quick", replace(TINY, archive=6, iterations=2))
    assert command("--tasks", "cars", "cifar10", "pets") == 0
    out = capsys.readouterr().out
    assert "Rehearsal, which says nothing about the data sets:" in out
    results = read_results(tmp_path / "runs")
    assert set(results.dataset) == {"cars", "cifar10", "pets"}
    assert results.rehearsal.all() and set(results.profile) == {"quick"}
    folder = tmp_path / "runs" / "cars-rehearsal-quick-0"
    assert len((folder / "history.csv").read_text("utf-8").splitlines()) == 1 + 1 + 2
    assert (tmp_path / "runs" / "reproduction.md").is_file()
    table = reproduction_table(tmp_path / "runs")
    assert set(table[(YOURS, "source")]) == {"not run"}


def test_all_eleven_interrupted_and_resumed_end_with_one_table(command, tmp_path, monkeypatch):
    done, original = [], loop.measure_again

    @wraps(original)
    def interrupted(run):
        done.append(run.task.name)
        if len(done) == 4:
            raise KeyboardInterrupt
        original(run)

    monkeypatch.setattr(loop, "measure_again", interrupted)
    with pytest.raises(SystemExit, match="Interrupted: the same command goes on from here"):
        command()
    finished = set(read_results(tmp_path / "runs").dataset)
    assert finished == set(list(DATA_SETS)[:3])
    before = {f: f.stat().st_mtime_ns for f in (tmp_path / "runs").rglob(RESULT)}
    assert command() == 0
    assert all(file.stat().st_mtime_ns == time for file, time in before.items())
    assert done[4] == done[3] == "cifar100 (rehearsal)" and len(done) == 11 + 1
    table = rehearsal_table(tmp_path / "runs")
    assert list(dict.fromkeys(table.dataset)) == sorted(DATA_SETS)


def test_a_data_set_that_is_missing_does_not_stop_the_others(
    command, tmp_path, capsys, monkeypatch
):
    load = module.dataset_task

    def missing_dtd(name, *args, **options):
        if name == "dtd":
            raise FileNotFoundError("DTD is not complete")
        return load(name, *args, **options)

    monkeypatch.setattr(module, "dataset_task", missing_dtd)
    assert command("--tasks", "dtd", "pets") == 1
    assert "dtd failed: DTD is not complete" in capsys.readouterr().out
    assert set(read_results(tmp_path / "runs").dataset) == {"pets"}


def test_index_of_an_array_job(command, tmp_path):
    assert command("--tasks", "cars", "stl10", "--index", "1") == 0
    assert set(read_results(tmp_path / "runs").dataset) == {"stl10"}
    assert not (tmp_path / "runs" / "reproduction.csv").exists()
    with pytest.raises(SystemExit, match="There is no task 11: choose from 0 to 10"):
        command("--index", "11")


def test_wrong_arguments(command, capsys):
    with pytest.raises(SystemExit):
        command("--tasks", "car")
    assert "invalid choice: 'car'" in capsys.readouterr().err
    with pytest.raises(ValueError, match="no data set 'car'"):
        reproduce(["car"], TINY, out="runs")


def test_only_the_first_process_writes(command, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(module, "rank", lambda: 1)
    assert command("--tasks", "cars", "--index", "0") == 0
    assert not list((tmp_path / "runs").rglob(RESULT))
    assert "seed 0, in" not in capsys.readouterr().out


def test_official_checkpoints_are_picked_up(miniatures, tmp_path, monkeypatch):
    def run(data):
        return reproduce(["cars"], "paper", out=tmp_path / "runs", data=data)["cars"]

    class Started(RuntimeError):
        pass

    def start(task, profile, *, supernet, **options):
        started.append(supernet)
        raise Started

    assert "ofa_mbv3_d234_e346_k357_w1.2 cannot be found: get them from" in run(miniatures)
    started = []
    monkeypatch.setattr(module, "transfer", start)
    with torch.device("meta"):
        net = Supernet(SearchSpace.paper(), 1000)
    files = [miniatures / file for file in OFA_FILES.values()]
    files[0].parent.mkdir()
    try:
        for i, (file, weights) in enumerate(zip(files, net.weight_sets, strict=True)):
            state = weights.state_dict()
            state = {k: torch.full(v.shape, i + 3, dtype=v.dtype) for k, v in state.items()}
            torch.save({"state_dict": state}, file)
        run(miniatures)
        for i, weights in enumerate(started[0].weight_sets):
            assert all((tensor == i + 3).all() for tensor in weights.state_dict().values())
        files[0].write_bytes(b"nothing")
        assert "w1.0 holds no PyTorch weights" in run(miniatures)
    finally:
        shutil.rmtree(files[0].parent)


def test_authors_weights_are_picked_up_and_measured(miniatures, tmp_path, monkeypatch):
    network = published_networks().query("dataset == 'dtd'").iloc[0]
    space = SearchSpace.paper()
    subnet = Subnet(space, network.architecture, network.num_classes)
    hits = torch.arange(40) < 30
    monkeypatch.setattr(module, "correct_predictions", lambda subnet, batches: hits)
    folder = miniatures / "nat" / "dtd" / network["name"]
    folder.mkdir(parents=True)
    (folder / "net.config").write_text("{}", "utf-8")
    torch.save(subnet.state_dict(), folder / "net.inherited")
    try:
        assert measure_published(out=tmp_path, data=miniatures, device="cpu") == {}
        [measured] = read_results(tmp_path).to_dict("records")
        assert measured["top1"] == 75 and measured["profile"] == AUTHORS
        assert measured["rehearsal"] and measured["network"] == network["name"]
        row = reproduction_row(tmp_path, network["name"])
        assert torch.isnan(torch.tensor(row[(COUNTED, "top-1 (%)")]))
        unmark_rehearsal(next(tmp_path.rglob(RESULT)))
        row = reproduction_row(tmp_path, network["name"])
        assert row[(COUNTED, "top-1 (%)")] == measured["top1"]
        assert "authors' weights measured on 20" in row[(COUNTED, "source")]
        (folder / "net.inherited").write_bytes(b"nothing")
        failed = measure_published(out=tmp_path / "again", data=miniatures, device="cpu")
        assert "holds no PyTorch weights" in failed[f"dtd/{network['name']}"]
    finally:
        (folder / "net.inherited").unlink()


def reproduction_row(runs, network):
    table = reproduction_table(runs)
    return table[table[("", "network")] == network].iloc[0]


def unmark_rehearsal(file):
    file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | {"rehearsal": False}))


def test_slurm_example_covers_the_eleven(capsys):
    script = (Path(__file__).parents[1] / "examples" / "reproduce.slurm").read_text("utf-8")
    assert f"#SBATCH --array=0-{len(DATA_SETS) - 1}\n" in script
    assert subprocess.run(["bash", "-n"], input=script, text=True).returncode == 0
    arguments = script.replace("\\\n", " ").rsplit("-m natlib reproduce", 1)[1].split()
    wanted = {name for name in arguments if name.startswith("--")}
    assert wanted == {"--profile", "--out", "--index"}
    with pytest.raises(SystemExit):
        main(["reproduce", "--help"])
    explained = capsys.readouterr().out
    assert all(name in explained for name in wanted)


def test_the_hours_of_some_data_sets_are_printed(capsys):
    assert (
        main(["estimate", "--tasks", "cars", "dtd", "--profile", "quick", "--device", "cpu"]) == 0
    )
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Images a second and subnet: training ")
    assert lines[1] == "Hours with profile quick:"
    assert [line.split()[0] for line in lines[-2:]] == ["cars", "dtd"]


def test_hours_follow_from_throughput():
    net = Supernet(SearchSpace.pocket(), 10)
    before = [p.clone() for p in net.parameters()]
    training, evaluation = throughput(net, batch_size=4, trials=1)
    assert 0 < training < float("inf") and 0 < evaluation < float("inf")
    assert all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))
    paper_profile = get_profile("paper")
    hours, slower = (estimated_hours(paper_profile, n, 2 * n) for n in (1000.0, 500.0))
    assert list(hours.index) == list(DATA_SETS) and (slower.hours == 2 * hours.hours).all()
    adapt = 30 * 5 * (4 + 1 / 3)  # the frozen teacher only predicts
    images = (40_000 // 96) * 96 * (100 * 2 + 150 * 5 + adapt)
    assert hours.loc["cifar10", "training"] == pytest.approx(images / 1000 / 3600)
    evaluations = 100 + 30 * 8 + sum(100 + 8 * (i + 1) for i in range(30))
    assert hours.loc["cifar10", "evaluation"] == pytest.approx(
        evaluations * (10_000 + 2_000) / 2000 / 3600
    )
