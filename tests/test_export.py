"""Exported networks say what the subnet says, and carry what is needed to use them."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image

from natlib.data import Split, Task, to_input
from natlib.deploy.export import export, latency_ms, load, load_weights, take_home
from natlib.inputs.pictures import READING
from natlib.space import Architecture, SearchSpace
from natlib.supernet import Subnet
from natlib.transfer import report, transfer
from tests.helpers.transfer_worker import TINY

POCKET, PAPER = SearchSpace.pocket(), SearchSpace.paper()
PREDICT = Path(__file__).parents[1] / "examples" / "predict.py"


@pytest.fixture(scope="module")
def task():
    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.integers(0, 256, (12, 3, 32, 32), dtype=np.uint8))
    split = Split(images, torch.arange(12) % 4)
    splits = {"train": split, "valid": split, "test": split}
    classes = ("cat", "dog", "bird", "naïve 魚")
    return Task("toy", classes, **splits, mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3), flip=True)


def make_subnet(space, arch, task, activation=None):
    """A subnet whose logits differ from image to image, as those of a trained one do."""
    torch.manual_seed(0)
    subnet = Subnet(space, arch, task.num_classes, activation)
    images = to_input(task.train.images, arch.resolution, task)
    with torch.inference_mode():
        for layer in subnet.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                layer.momentum = None  # statistics of exactly these images
        subnet.train()(images)
        subnet.eval()
        logits = subnet(to_input(task.valid.images, arch.resolution, task))
        scale = 1 / (logits - logits.mean(0)).std()
        subnet.classifier.weight *= scale
        subnet.classifier.bias.copy_(-(logits.mean(0) - subnet.classifier.bias) * scale)
    return subnet


def logits_of(subnet, images):
    with torch.inference_mode():
        return subnet(images).numpy()


def ends_and_random(space, quick):
    """Smallest, largest and 20 random subnets; those after the first `quick` are slow tests."""
    archs = [space.smallest(), space.largest(), *map(space.decode, space.sample(20, 0))]
    marks = [[]] * quick + [[pytest.mark.slow]] * (len(archs) - quick)
    return [pytest.param(space, a, marks=m) for a, m in zip(archs, marks, strict=True)]


@pytest.fixture(scope="module")
def pocket_subnet(task):
    return make_subnet(POCKET, POCKET.decode(POCKET.sample(1, 5)[0]), task)


@pytest.mark.parametrize(
    ("space", "arch"),
    ends_and_random(POCKET, 22) + ends_and_random(PAPER, 6),
    ids=lambda value: str(value) if isinstance(value, Architecture) else value.name,
)
def test_onnx_says_what_the_subnet_says(space, arch, task, tmp_path):
    subnet = make_subnet(space, arch, task)
    path = export(subnet, tmp_path / "net.onnx", task=task)
    images = to_input(task.test.images[:5], arch.resolution, task)
    expected = logits_of(subnet, images)
    assert np.ptp(expected, axis=0).max() > 1, "logits that hardly differ would hide an error"
    np.testing.assert_allclose(load(path).run(images.numpy()), expected, atol=1e-4, rtol=0)


def test_published_activation_is_exported(task, tmp_path):
    subnet = make_subnet(POCKET, POCKET.smallest(), task, activation="mish")
    export(subnet, tmp_path / "net.onnx", task=task)


def test_metadata_say_how_to_use_the_file(pocket_subnet, task, tmp_path):
    path = export(pocket_subnet, tmp_path / "net.onnx", task=task)
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    about = {prop.key: json.loads(prop.value) for prop in model.metadata_props}
    side = pocket_subnet.arch.resolution
    assert (
        about
        == load(path).about
        == {
            "architecture": str(pocket_subnet.arch),
            "task": "toy",
            "classes": ["cat", "dog", "bird", "naïve 魚"],
            "reading": {**READING, "side": 32, "crop": 1.0},
            "input_size": [3, side, side],
            "mean": [0.4, 0.5, 0.6],
            "std": [0.2, 0.25, 0.3],
        }
    )
    assert Architecture.from_string(about["architecture"]) == pocket_subnet.arch


def test_the_subnet_stays_as_it_is(pocket_subnet, task, tmp_path):
    before = {name: tensor.clone() for name, tensor in pocket_subnet.state_dict().items()}
    pocket_subnet.train()
    export(pocket_subnet, tmp_path / "net.onnx", task=task)
    assert pocket_subnet.training
    pocket_subnet.eval()
    after = pocket_subnet.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_file_that_differs_is_not_written(pocket_subnet, task, tmp_path, monkeypatch):
    class Spoilt(onnxruntime.InferenceSession):
        def run(self, *args):
            return [super().run(*args)[0] + 0.1]

    monkeypatch.setattr(onnxruntime, "InferenceSession", Spoilt)
    with pytest.raises(RuntimeError, match="differ from the subnet's by .*nothing was written"):
        export(pocket_subnet, tmp_path / "net.onnx", task=task)
    assert not list(tmp_path.iterdir())


def test_another_ending_is_refused(pocket_subnet, task, tmp_path):
    with pytest.raises(ValueError, match="exported as ONNX: let the name net.h5 end in .onnx"):
        export(pocket_subnet, tmp_path / "net.h5", task=task)


def test_another_task_is_refused(task, tmp_path):
    subnet = Subnet(POCKET, POCKET.smallest(), 7)
    with pytest.raises(ValueError, match="7 classes apart, task 'toy' has 4: export it with"):
        export(subnet, tmp_path / "net.onnx", task=task)


def test_loading_nothing(tmp_path):
    with pytest.raises(FileNotFoundError, match="no exported network at"):
        load(tmp_path / "net.onnx")


def test_latency_is_a_positive_time(pocket_subnet, task, tmp_path):
    assert latency_ms(export(pocket_subnet, tmp_path / "net.onnx", task=task), repeats=10) > 0


@pytest.mark.parametrize("crop", [1.0, 0.875])
def test_the_example_classifies_a_picture_from_the_file_alone(pocket_subnet, task, tmp_path, crop):
    task = replace(task, crop=crop)
    export(pocket_subnet, tmp_path / "net.onnx", task=task)
    images = task.test.images[:3]
    side = pocket_subnet.arch.resolution
    logits = logits_of(pocket_subnet, to_input(images, side, task, crop=crop))
    names = []
    for i, image in enumerate(images):
        names.append(tmp_path / f"{i}.png")
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(names[-1])
    command = [sys.executable, "-X", "utf8", PREDICT, tmp_path / "net.onnx", *names]
    lines = subprocess.run(command, capture_output=True, encoding="utf-8").stdout.splitlines()
    assert len(lines) == 3
    for line, name, best in zip(lines, names, logits.argmax(axis=1), strict=True):
        assert line.startswith(f"{name}: {task.classes[best]} ") and line.endswith(" ms)")
    assert "natlib" not in PREDICT.read_text("utf-8").split('"""')[2]


def test_the_example_asks_for_what_is_missing():
    found = subprocess.run([sys.executable, PREDICT], capture_output=True, text=True)
    assert found.returncode != 0 and found.stderr.startswith("Give a network and at least one")


def test_a_run_writes_its_networks_to_take_along(tiny_task, tiny_supernet, tmp_path):
    profile = replace(TINY, iterations=1, crop=0.9)
    run = transfer(tiny_task, profile, supernet=tiny_supernet, run_dir=tmp_path, progress=False)
    table = report(run)
    files = take_home(run, table)
    assert len(files) == 2 * len(table) and all(file.exists() for file in files)
    for row in table.itertuples():
        subnet, about = load_weights(tmp_path / f"{row.name}.safetensors")
        assert str(subnet.arch) == row.architecture == about["architecture"]
        assert about["classes"] == ["red", "green", "blue"] and about["reading"]["crop"] == 0.9
        x = to_input(tiny_task.test.images, subnet.arch.resolution, tiny_task, crop=0.9)
        logits = logits_of(subnet, x)
        top1 = 100 * (logits.argmax(axis=1) == tiny_task.test.labels.numpy()).mean()
        assert top1 == pytest.approx(row.test_top1, abs=2)
        onnx = load(tmp_path / f"{row.name}.onnx").run(x.numpy())
        np.testing.assert_allclose(onnx, logits, atol=1e-3)
    with pytest.raises(FileNotFoundError, match="There is no exported network"):
        load_weights(tmp_path / "M9.safetensors")
    tiny_supernet.save(tmp_path / "net.safetensors")
    with pytest.raises(ValueError, match="holds no network of a report"):
        load_weights(tmp_path / "net.safetensors")
