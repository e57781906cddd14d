"""Nearly right: no input is silently taken for something else."""

import inspect
import io
import re
import subprocess
import sys
import unicodedata
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from natlib import data
from natlib.__main__ import main, parse_limit
from natlib.data import Split, folder_task, load_task, make_task, to_input
from natlib.deploy.export import export, metadata
from natlib.evaluate import InputBatches, balanced, recalibrate
from natlib.inputs import checks, folders, pictures
from natlib.inputs.weights import read_weights, unwrapped
from natlib.paper.joined import join_tasks, random_candidates
from natlib.space import Architecture, SearchSpace
from natlib.supernet import Subnet, Supernet, load_state
from natlib.teach.explorer import read_archive
from natlib.train import make_optimizer, train, uniform_subnets
from natlib.transfer import CHECKPOINT, start, transfer
from tests.helpers.nearly_right import CASES, GREY, SCALES, draw, fill
from tests.helpers.transfer_worker import TINY, tiny_space, tiny_supernet, tiny_task

ROOT = Path(__file__).parents[1]
PREDICT = ROOT / "examples" / "predict.py"


def load(root, **options):
    return folder_task(root, side=8, progress=False, **options)


def total(task):
    return sum(len(getattr(task, split)) for split in data.SPLITS)


# Folders and pictures ---------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_folder_is_the_right_task_or_a_sentence(case, tmp_path):
    case.make(tmp_path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if case.told:
            with pytest.raises(ValueError, match=case.told) as refused:
                load(tmp_path)
            assert "\n" not in str(refused.value) and str(refused.value).endswith(".")
            return
        task = load(tmp_path)
    assert (task.classes, total(task)) == case.right
    told = [str(warning.message) for warning in caught]
    assert bool(told) == bool(case.warned) and all(re.search(case.warned, text) for text in told)


def test_there_are_enough_cases():
    assert len(CASES) + len(SCALES) >= 100


@settings(max_examples=60)
@given(
    split=st.sampled_from(["train", "training", "valid", "validation", "val", "dev", "test"]),
    before=st.sampled_from(["", "01_", "my ", "the-", "2. "]), case=st.sampled_from("lut"),
    after=st.sampled_from(["", "_set", " images", "2017", "-data", "Photos"]),
)  # fmt: skip
def test_words_for_splits(split, before, case, after):
    word = {"l": split.lower(), "u": split.upper(), "t": split.title()}[case]
    known = {"training": "train", "validation": "valid", "val": "valid", "dev": "valid"}
    wanted = None if before in ("my ", "the-") else known.get(split, split)
    assert folders.split_of(before + word + after) == wanted


@pytest.mark.parametrize("name", ["trainer", "vale", "contest", "test pilot", "devil", "evaluator"])
def test_other_words_are_no_splits(name):
    assert folders.split_of(name) is None


@pytest.mark.parametrize("where", ["", "cat", "train/cat/inner"])
def test_a_closed_folder_is_named(tmp_path, monkeypatch, where):
    fill(tmp_path, *(["train/cat/inner", "train/dog"] if "train" in where else ["cat", "dog"]))
    original = Path.iterdir

    def iterdir(folder):
        if folder == tmp_path / where:
            raise PermissionError(13, "Permission denied")
        return original(folder)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    with pytest.raises(ValueError, match=f"{where} cannot be looked into .Permission denied.: all"):
        load(tmp_path)


@pytest.mark.parametrize("name", SCALES)
def test_pictures_of_another_scale(name, tmp_path):
    values, known = SCALES[name]
    fill(tmp_path, "cat", "dog")
    Image.fromarray(values).save(tmp_path / "cat" / "deep.tif")
    if known:
        seen = pictures.to_square(Image.open(tmp_path / "cat" / "deep.tif"), 16)[0]
        assert (seen - 255 * GREY).abs().max() < 14  # an overshoot of 5% is cut off
        assert total(load(tmp_path)) == 7
    else:
        with pytest.warns(UserWarning, match=r"left out: cat/deep.tif .values .* no known scale"):
            assert total(load(tmp_path)) == 6


def test_a_picture_of_one_colour_is_no_copy_of_another(tmp_path):
    for i, name in enumerate(["cat", "dog"]):
        fill(tmp_path, name)
        for shade in range(3):  # alike at 8 pixels, but not the same files
            side = 20 + 3 * i + shade
            Image.new("RGB", (side, side), "black").save(tmp_path / name / f"black{shade}.png")
    assert total(load(tmp_path)) == 12


def test_uneven_classes_and_empty_channels(tmp_path):
    fill(tmp_path, "cat", n=18)
    fill(tmp_path, "dog", n=3)
    task = load(tmp_path)
    labels = task.test.labels
    assert balanced((labels == 0)[None].numpy(), labels)
    images = torch.zeros(6, 3, 4, 4, dtype=torch.uint8)
    images[:, 0] = torch.arange(96).view(6, 4, 4)
    split = Split(images, torch.arange(6) % 2)
    for spoilt in (images, images * 0, images * 0 + 255):
        split = Split(spoilt, torch.arange(6) % 2)
        task = make_task("dark", ("a", "b"), dict.fromkeys(data.SPLITS, split))
        assert min(task.std) > 0 and to_input(spoilt, 4, task).isfinite().all()


def test_balanced_accuracy():
    labels = torch.tensor([0] * 8 + [1] * 2)
    correct = np.array([labels == 0, labels >= 0])
    table = balanced(correct, labels)["test_balanced"]
    np.testing.assert_allclose(table, [50, 100])
    assert not balanced(correct, torch.arange(10) % 2)


# One name, one thing ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["animals", "emoji", "source"])
def test_a_name_that_is_two_things(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path(name).mkdir()  # such as a run folder
    assert load_task(name).name == name
    fill(Path(name), "cat", "dog")
    with pytest.raises(ValueError, match=f"'{name}' is ambiguous.*: write ./{name} for the folder"):
        load_task(name)
    assert load_task(f"./{name}", side=8).classes == ("cat", "dog")


@pytest.mark.parametrize("name", ["cifar10", "dtd", "food101"])
def test_a_data_set_that_is_a_folder_too(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fill(Path(name), "cat", "dog")
    with pytest.raises(SystemExit, match="is ambiguous"):
        main(["transfer", "--task", name, "--run-dir", "run"])


@pytest.mark.parametrize("name", ["", " ", "birds", "Animals", "pyproject.toml"])
def test_no_such_name(name):
    with pytest.raises(ValueError, match=f"There is no task '{name}': choose from"):
        load_task(name)


# Batches ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [100, 101, 102, 119, 120])
def test_the_last_batch_counts_by_its_pictures(n):
    whole = tiny_task().train
    split, task = whole.take(torch.arange(n)), tiny_task()
    batches = InputBatches(split, 12, task)
    sizes = [len(labels) for _, labels in batches]
    assert sum(sizes) == n and max(sizes) - min(sizes) <= 1 and max(sizes) <= 100
    subnet = tiny_supernet().extract(tiny_space().largest())
    recalibrate(subnet, batches)
    conv, norm = subnet.first_conv.conv, subnet.first_conv.bn
    features = conv(to_input(split.images, 12, task))
    torch.testing.assert_close(norm.running_mean, features.mean((0, 2, 3)), atol=1e-5, rtol=1e-4)


def test_uneven_batches_weigh_by_pictures():
    norm, x = nn.BatchNorm2d(2), torch.randn(30, 2, 4, 4)
    recalibrate(norm, [(x[:20], None), (x[20:], None)])
    torch.testing.assert_close(norm.running_mean, x.mean((0, 2, 3)))


@pytest.mark.parametrize(("n", "parts"), [(4, 9), (5, 2), (7, 3), (2, 64)])
def test_micro_batches_of_few_pictures(n, parts):
    """Parts of a batch hold two pictures at least, and count by their pictures."""
    task = tiny_task()
    task = replace(task, train=task.train.take(torch.arange(n)))
    sampler = uniform_subnets(tiny_space(), 1, seed=0)
    seen = []

    class Watched(Supernet):
        def forward(self, images, arch):
            seen.append(len(images))
            return super().forward(images, arch)

    net = Watched(tiny_space(), 3)
    how = {"batch_size": 64, "progress": False, "micro_batches": parts}
    train(net, make_optimizer(net), task, sampler, lambda step: 0.01, range(1), **how)
    assert min(seen) >= 2 and sum(seen) == 2 * n


def test_one_picture_is_too_few():
    task = replace(tiny_task(), train=tiny_task().train.take(torch.arange(1)))
    net, sampler = tiny_supernet(), uniform_subnets(tiny_space(), 1, seed=0)
    how = {"batch_size": 64, "progress": False}
    with pytest.raises(ValueError, match="1 pictures a step are too few for 1 processes"):
        train(net, make_optimizer(net), task, sampler, lambda step: 0.01, range(1), **how)


# What is used is what was trained ---------------------------------------------------------------


def test_the_example_reads_as_training_does():
    source = PREDICT.read_text("utf-8")
    for function in (pictures.to_bytes, pictures.read_square):
        assert inspect.getsource(function) in source


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """An exported network, and its task."""
    task = tiny_task()
    subnet = Subnet(tiny_space(), tiny_space().smallest(), 3).eval()
    path = export(subnet, tmp_path_factory.mktemp("net") / "net.onnx", task=task)
    return path, subnet, replace(task, classes=("röt", "grün", "魚"))


def photo(path, kind):
    rng = np.random.default_rng(5)
    image = Image.fromarray(rng.integers(0, 256, (40, 60, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    if kind == "clear":
        image.putalpha(Image.fromarray(rng.integers(0, 256, (40, 60), dtype=np.uint8)))
    if kind == "12 bits":
        image = Image.fromarray(rng.integers(0, 4096, (40, 60), dtype=np.uint16))
    if kind == "palette":
        image = image.quantize(8)
    name = path / (kind + {"turned": ".jpg", "12 bits": ".tif"}.get(kind, ".png"))
    image.save(name, exif=exif) if kind == "turned" else image.save(name)
    return name


@pytest.mark.parametrize("kind", ["plain", "turned", "clear", "12 bits", "palette"])
def test_a_photo_is_read_in_use_as_in_training(kind, network, tmp_path):
    _, subnet, task = network
    scope = {"__name__": "predict"}
    exec(compile(PREDICT.read_text("utf-8"), PREDICT, "exec"), scope)
    name = photo(tmp_path, kind)
    about = metadata(subnet, task)
    square = pictures.to_square(Image.open(name), about["reading"]["side"])
    wanted = to_input(square[None], subnet.arch.resolution, task).numpy()
    np.testing.assert_allclose(scope["to_input"](str(name), about), wanted, atol=0.02)


@pytest.mark.parametrize("coding", ["utf-8", "cp1252", "ascii"])
def test_the_example_goes_on_after_a_broken_file(coding, network, tmp_path):
    path, subnet, task = network
    path = export(subnet, tmp_path / "net.onnx", task=task)
    good = photo(tmp_path, "plain")
    (tmp_path / "broken.png").write_bytes(good.read_bytes()[:100])
    command = [sys.executable, PREDICT, path, tmp_path / "broken.png", good]
    done = subprocess.run(command, capture_output=True, env={"PYTHONIOENCODING": coding})
    out, err = done.stdout.decode(coding), done.stderr.decode(coding)
    assert done.returncode == 1 and "Traceback" not in err
    assert "broken.png cannot be read and is left out" in err
    assert f"{good}: " in out and " ms)" in out and (coding == "ascii") == ("röt" not in out)


def test_the_example_names_a_network_that_is_none(tmp_path):
    for content in (b"", b"<html>", b"onnx"):
        (tmp_path / "net.onnx").write_bytes(content)
        command = [sys.executable, PREDICT, tmp_path / "net.onnx", "picture.png"]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 1 and "net.onnx cannot be used" in done.stderr
        assert "Traceback" not in done.stderr


# Resume -----------------------------------------------------------------------------------------


def run_in(folder, task=None, **options):
    options = {"profile": TINY, "supernet": tiny_supernet()} | options
    return transfer(task or tiny_task(), run_dir=folder, progress=False, **options)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    run_in(folder, profile=replace(TINY, iterations=1))
    return folder


def more_pictures(task):
    n = torch.arange(len(task.train)).tolist()
    return replace(task, train=task.train.take(torch.tensor([*n, 0])))


def another_supernet():
    torch.manual_seed(7)
    return Supernet(tiny_space(), 3)


T = tiny_task()
OTHERS = {
    "classes renamed": (replace(T, classes=("red", "green", "violet")), {}, "classes.2 = 'blue'"),
    "classes exchanged": (replace(T, classes=("green", "red", "blue")), {}, "classes.0 = 'red'"),
    "a class more": (replace(T, classes=(*T.classes, "x")), {}, "classes = "),
    "a picture more": (more_pictures(T), {}, "train split = '120 pictures, .*not '121 pictures"),
    "splits exchanged": (replace(T, valid=T.test), {}, "valid split = '90 pict.*not '60 pictures"),
    "other pictures": (replace(T, test=Split(T.test.images + 1, T.test.labels)), {}, "test split"),
    "other labels": (replace(T, test=Split(T.test.images, 2 - T.test.labels)), {}, "test split"),
    "another supernet": (T, {"supernet": another_supernet()}, "supernet = "),
    "another space": (
        T, {"supernet": Supernet(replace(tiny_space(), resolutions=(12,)), 3)}, "supernet = |space",
    ),
    "another batch": (T, {"profile": replace(TINY, batch_size=20)}, "profile.batch_size = 40, n"),
    "fewer iterations": (T, {"profile": replace(TINY, iterations=0)}, "profile.iterations = 1"),
}  # fmt: skip


@pytest.mark.parametrize("what", OTHERS)
def test_a_run_knows_its_data(what, finished):
    task, options, told = OTHERS[what]
    options = {"profile": replace(TINY, iterations=1)} | options
    with pytest.raises(ValueError, match=f"belongs to a run with {told}"):
        run_in(finished, task, **options)


def test_photos_that_were_added_are_noticed(tmp_path):
    fill(tmp_path / "pets", "cat", "dog", n=6)
    before, again = load(tmp_path / "pets").identity, load(tmp_path / "pets").identity
    assert before == again
    draw(tmp_path / "pets" / "dog" / "new.png", 99)
    added = load(tmp_path / "pets").identity
    assert checks.difference(before, added)
    (tmp_path / "pets" / "dog" / "new.png").unlink()
    assert load(tmp_path / "pets").identity == before
    (tmp_path / "pets" / "cat").rename(tmp_path / "pets" / "x")
    (tmp_path / "pets" / "dog").rename(tmp_path / "pets" / "cat")
    (tmp_path / "pets" / "x").rename(tmp_path / "pets" / "dog")
    assert checks.difference(before, load(tmp_path / "pets").identity)


def test_a_finished_run_takes_more_iterations(tmp_path):
    first = run_in(tmp_path, profile=replace(TINY, iterations=1))
    more = run_in(tmp_path, profile=replace(TINY, iterations=2))
    assert (first.iteration, more.iteration) == (1, 2)
    assert len(more.archive.X) > len(first.archive.X)


# Settings ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"limits": {"madds": 10}}, r"limit madds = 10 is below that of every subnet, \d+ at"),
        ({"limits": {"madds": float("nan")}}, "The limit on 'madds' is nan"),
        ({"limits": {"madds": "2e6"}}, "The limit on 'madds' is '2e6'"),
        ({"limits": {"madds": -1}}, "The limit on 'madds' is -1"),
        ({"profile": replace(TINY, surrogate="xgboost")}, "no surrogate 'xgboost': choose from"),
        ({"profile": replace(TINY, archive=1)}, "'archive' of the profile is 1: .* from 2 on"),
        ({"profile": replace(TINY, archive=10**6)}, "A first sample of 1000000 architectures"),
        ({"profile": replace(TINY, validation=0)}, "'validation' of the profile is 0"),
        ({"profile": replace(TINY, best=0)}, "'best' of the profile is 0"),
        ({"profile": replace(TINY, batch_size=1)}, "'batch_size' of the profile is 1"),
        ({"profile": replace(TINY, batch_size=2.5)}, "'batch_size' of the profile is 2.5"),
        ({"profile": replace(TINY, adapt_lr=float("nan"))}, "'adapt_lr' of the profile is nan"),
        ({"objectives": ("top1_err", "madds", "madds")}, "each once"),
        ({"objectives": ("top1_err",)}, "add at least one of"),
        ({"objectives": "top1_err"}, "cannot be searched"),
        ({"seed": 2**33}, "The seed 8589934592 cannot be used: give a whole number from 0"),
        ({"seed": -1}, "The seed -1 cannot be used"),
        ({"seed": 1.5}, "The seed 1.5 cannot be used"),
        ({"mode": "best"}, "no adaptation mode 'best'"),
        ({"objectives": ("top1_err", "x"), "costs": {"x": lambda X: X}}, "cost 'x' must give"),
        ({"objectives": ("top1_err", "x"), "costs": {"x": lambda X: X[:, 0] * np.nan}}, "'x' must"),
    ],
)  # fmt: skip
def test_start_says_what_cannot_work(options, told, monkeypatch):
    monkeypatch.setattr(nn.Module, "forward", None)
    options = {"profile": TINY, "supernet": tiny_supernet()} | options
    with pytest.raises(ValueError, match=told):
        start(tiny_task(), progress=False, **options)


@pytest.mark.parametrize("split", data.SPLITS)
def test_start_looks_at_the_task(split):
    for wrong, told in (
        (T.test.take(torch.arange(0)), "holds 0 pictures and 0 labels"),
        (Split(T.test.images, T.test.labels + 1), "reach from 1 to 3: .* of the 3 classes"),
        (Split(T.test.images[1:], T.test.labels), "holds 59 pictures and 60 labels"),
    ):
        with pytest.raises(ValueError, match=f"The .*{split} split.* {told}|{split} split {told}"):
            start(replace(T, **{split: wrong}), TINY, supernet=tiny_supernet(), progress=False)


def test_one_part_of_a_joined_task_can_be_limited():
    task = join_tasks({"a": T, "b": T}, 12)
    limits = {"top1_err_b": 90.0}
    run = start(task, TINY, supernet=tiny_supernet(), limits=limits, progress=False)
    assert run.settings.limits == limits
    with pytest.raises(ValueError, match="names no objective of .*top1_err_a"):
        start(task, TINY, supernet=tiny_supernet(), limits={"top1_err": 9.0}, progress=False)
    with pytest.raises(ValueError, match="1 pictures .* leave a part of the task without any"):
        profile = replace(TINY, validation=1)
        start(task, profile, supernet=tiny_supernet(), progress=False)


def test_a_space_without_anything_new(capsys):
    """All subnets of a space are in the archive after a while: the run goes on to its end."""
    space = replace(tiny_space(), resolutions=(8,), kernels=(3,), expands=(3,))
    profile = replace(TINY, archive=8, iterations=2, population=4)
    run = transfer(tiny_task(), profile, supernet=Supernet(space, 3))
    assert run.iteration == 2 and len(run.archive.X) == space.size == 8
    assert capsys.readouterr().out.count("nothing new to measure") == 2
    assert random_candidates(run)[0].shape == (0, space.n_var)


# Weights ----------------------------------------------------------------------------------------

STATE = {"first.weight": torch.ones(2), "second.bias": torch.zeros(1)}


@settings(max_examples=50)
@given(
    keys=st.lists(st.sampled_from(["state_dict", "model", "model_state_dict", "ema"]), max_size=2),
    prefixes=st.lists(st.sampled_from(["module.", "_orig_mod.", "model."]), max_size=2),
)  # fmt: skip
def test_known_wrappings_are_read(keys, prefixes):
    content = {"".join(prefixes) + name: value for name, value in STATE.items()}
    for key in keys:
        content = {key: content, "epoch": 3}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = unwrapped(content, "This file")
    assert found.keys() == STATE.keys()
    told = "".join(str(warning.message) for warning in caught)
    assert bool(told) == bool(prefixes or set(keys) - {"state_dict"} or len(keys) > 1)
    assert all(prefix in told for prefix in prefixes)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"epoch": 3, "best": 0.5}, "holds no weights, but 'epoch', 'best'"),
        ({}, "holds no weights, but nothing"),
        (STATE | {"epoch": 3}, "holds more than tensors, 'epoch'"),
        ({"generator": STATE}, "holds no weights, but 'generator'"),
    ],
)
def test_other_wrappings_are_named(content, told):
    with pytest.raises(ValueError, match=f"It {told}"):
        unwrapped(content, "It")


def test_averaged_weights_are_read():
    net = nn.Sequential(nn.Linear(2, 2))
    averaged = torch.optim.swa_utils.AveragedModel(net)
    with pytest.warns(UserWarning, match=r"names without 'module\.'"):
        assert unwrapped(averaged.state_dict(), "It").keys() == net.state_dict().keys()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"<!DOCTYPE html><html>", "a web page, not weights"),
        (b"\n  <html lang='en'>", "a web page, not weights"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b'{"error": "not found"}', "JSON, not weights"),
        (b"\x1f\x8b\x08", "compressed archive"),
        (b"", "no PyTorch weights|no complete safetensors file"),
        (b"\x89HDF\r\n", "HDF5"),
    ],
)
def test_what_is_no_file_of_weights(content, told, tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    for read in (read_weights, Supernet.load):
        with pytest.raises(ValueError, match=told) as refused:
            read(path)
        assert "weights_only" not in str(refused.value)


def test_a_whole_pickled_model_is_named(tmp_path):
    torch.save(nn.Linear(2, 2), tmp_path / "model.pt")
    with pytest.raises(ValueError, match="Python objects beside a state dict") as refused:
        read_weights(tmp_path / "model.pt")
    assert "weights_only" not in str(refused.value)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_no_numbers(number, tmp_path):
    net = tiny_supernet()
    with torch.no_grad():
        net.weight_sets[0].classifier.weight[0, 0] = number
    net.save(tmp_path / "net.safetensors")
    told = (
        r"net.safetensors holds numbers that are not finite, in 'weight_sets.0.classifier.weight'"
    )
    with pytest.raises(ValueError, match=told):
        Supernet.load(tmp_path / "net.safetensors")
    with pytest.raises(ValueError, match="not finite"):
        load_state(net, net.state_dict(), "It")


def test_lists_of_all_layers_are_read():
    depths = [2, 3, 4, 2, 3]
    ks, e = (np.arange(20) % 3).tolist(), (np.arange(20) % 5 + 2).tolist()
    whole = Architecture.from_dict({"r": [224], "w": 1.0, "ks": ks, "e": e, "d": depths})
    rows = [4 * s + i for s, d in enumerate(depths) for i in range(d)]
    assert whole.kernels == tuple(ks[i] for i in rows) and whole.resolution == 224
    assert whole.expands == tuple(e[i] for i in rows)
    with pytest.raises(ValueError, match="needs as many kernels"):
        Architecture.from_dict({"r": 224, "w": 1.0, "ks": ks[:-1], "e": e, "d": depths})
    space = SearchSpace.paper()
    for arch in [space.largest(1.0), *map(space.decode, space.sample(200, 0))]:
        assert Architecture.from_dict(arch.to_dict()) == arch


# Files and consoles -----------------------------------------------------------------------------


def writers(folder):
    net, task = tiny_supernet(), tiny_task()
    subnet = Subnet(tiny_space(), tiny_space().smallest(), 3).eval()
    return {
        "supernet": lambda: net.save(folder / "net.safetensors"),
        "text": lambda: data.write_text(folder / "table.csv", "x" * 10**5),
        "network": lambda: export(subnet, folder / "net.onnx", task=task),
        "run": lambda: run_in(folder, profile=replace(TINY, iterations=0)),
    }


FULL = """
import resource, sys
from pathlib import Path
from tests.test_nearly_right import writers
write = writers(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, resource.RLIM_INFINITY))
for what in write:
    try:
        write[what]()
    except OSError as error:
        print(what, error)
"""


def test_a_full_disk_costs_nothing(tmp_path):
    """Files may not grow beyond some bytes: what stood there is whole, nothing else is left."""
    pytest.importorskip("resource")
    for write in writers(tmp_path).values():
        write()
    (tmp_path / CHECKPOINT).unlink()  # so that the run begins anew
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.suffix != ".lock"}
    command = [sys.executable, "-c", FULL, tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    told = done.stdout.splitlines()
    assert [line.split()[0] for line in told] == [*writers(tmp_path)], done.stderr
    assert all(re.search(r" cannot be written \(.*\): make room", line) for line in told)
    assert {path: path.read_bytes() for path in before} == before
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("part-")]


@pytest.mark.parametrize("what", ["supernet", "text"])
def test_two_writers_of_one_file(what, tmp_path):
    write = writers(tmp_path)[what]
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(write) for _ in range(40)]:
            done.result()
    assert len([*tmp_path.iterdir()]) == 1


def test_two_exports_to_one_path(tmp_path, monkeypatch):
    write = writers(tmp_path)["network"]
    write()
    whole = (tmp_path / "net.onnx").read_bytes()
    module = sys.modules["natlib.deploy.export"]  # torch's part of it takes one thread only
    monkeypatch.setattr(module, "_write", lambda *args: args[-1].write_bytes(whole))
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(write) for _ in range(40)]:
            done.result()
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx"]


ARCHIVE = pd.DataFrame({
    "architecture": ["08 0 11 11 11", "08 0 22 22 22"], "top1_err": [13.8736, 20.5],
    "madds": [2e6, 1e6], "größe": [1.5, 2.5],
})  # fmt: skip


@pytest.mark.parametrize("coding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
@pytest.mark.parametrize(
    ("separator", "decimal"), [(",", "."), (";", ","), (";", "."), ("\t", ",")]
)
def test_tables_as_spreadsheets_save_them(coding, separator, decimal, tmp_path):
    path = tmp_path / "archive.csv"
    ARCHIVE.to_csv(path, index=False, sep=separator, decimal=decimal, encoding=coding)
    pd.testing.assert_frame_equal(read_archive(path), ARCHIVE)


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("madds=2e6", 2e6),
        ("madds=2,5e6", 2.5e6),
        (" madds = 13,8736 ", 13.8736),
        ("madds=1.5", 1.5),
    ],
)
def test_limits_with_decimal_commas(text, limit):
    assert parse_limit(text) == ("madds", limit)


@pytest.mark.parametrize("text", ["madds=1,000", "madds=1,000,000", "madds=", "madds", "madds=x"])
def test_limits_that_are_no_number(text):
    with pytest.raises(ValueError, match="is not of the form madds=2e6"):
        parse_limit(text)


@pytest.mark.parametrize("coding", ["ascii", "cp1252", "latin-1"])
def test_consoles_that_lack_letters(coding, monkeypatch, tmp_path):
    console = io.TextIOWrapper(io.BytesIO(), encoding=coding)
    monkeypatch.setattr(sys, "stdout", console)
    name = unicodedata.normalize("NFC", "Käfer 魚")
    monkeypatch.setitem(
        sys.modules["natlib.__main__"].COMMANDS, "check", ("", lambda _: print(name))
    )
    assert main(["check"]) == 0
    console.flush()
    assert console.buffer.getvalue().decode(coding).startswith("K")


def test_a_limit_given_twice(tmp_path):
    twice = ["--limit", "madds=2e6", "--limit", "madds=1e6"]
    with pytest.raises(SystemExit, match="given twice"):
        main(["transfer", "--task", "emoji", "--run-dir", str(tmp_path), *twice])


def test_interrupting_says_one_sentence(monkeypatch):
    def interrupted(arguments):
        raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules["natlib.__main__"].COMMANDS, "check", ("", interrupted))
    with pytest.raises(SystemExit, match="Interrupted"):
        main(["check"])
