"""The pocket tasks: what ships is whole, split cleanly, and turned into the right batches."""

import json
import shutil

import numpy as np
import pytest
import torch

from natlib import data
from natlib.data import (
    MIRRORED,
    POCKET,
    SPLITS,
    TARGETS,
    load_task,
    pretrained_path,
    to_input,
)
from natlib.inputs.checks import verify_checksum

NEAR = 9.0  # grey levels, as in data/build_pocket.py


@pytest.fixture(scope="module", params=MIRRORED)
def task(request):
    return load_task(request.param)


def thumbnails(images):
    return torch.nn.functional.avg_pool2d(images.float(), 2).flatten(1)


def test_every_target_is_a_task():
    assert set(TARGETS) < set(MIRRORED)


def test_splits_are_whole(task):
    assert len(task.classes) == task.num_classes == len(set(task.classes))
    for name in SPLITS:
        split = getattr(task, name)
        assert split.images.shape == (len(split), 3, 32, 32)
        assert split.images.dtype == torch.uint8 and split.labels.dtype == torch.int64
        counts = torch.bincount(split.labels, minlength=task.num_classes)
        assert len(counts) == task.num_classes
        assert counts.min() >= 10, f"{name} has a class of {counts.min()} pictures"


def test_classes_have_the_same_shares_in_every_split(task):
    shares = [
        torch.bincount(getattr(task, name).labels) / len(getattr(task, name)) for name in SPLITS
    ]
    for share in shares[1:]:
        torch.testing.assert_close(share, shares[0], atol=0.01, rtol=0)


def test_no_near_duplicate_on_two_sides_of_a_split(task):
    rows = {name: thumbnails(getattr(task, name).images) for name in SPLITS}
    mirrors = {name: thumbnails(getattr(task, name).images.flip(3)) for name in SPLITS}
    for a, b in (("train", "valid"), ("train", "test"), ("valid", "test")):
        for other in (rows[b], mirrors[b]):
            distance = torch.cdist(rows[a], other) / np.sqrt(other.shape[1])
            assert distance.min() > 0.99 * NEAR, f"{a} and {b} share a picture"


def test_statistics_are_those_of_the_train_split(task):
    x = to_input(task.train.images, 32, task)
    assert x.mean((0, 2, 3)).abs().max() < 1e-3
    assert (x.std((0, 2, 3)) - 1).abs().max() < 1e-3


def test_shipped_files_stay_small():
    size = sum(path.stat().st_size for path in POCKET.iterdir())
    assert size <= 20e6, f"data/pocket holds {size / 1e6:.1f} MB"


def test_every_shipped_file_has_its_checksum():
    names = {path.name for path in POCKET.iterdir()} - {"checksums.json"}
    assert names == set(json.loads((POCKET / "checksums.json").read_text("utf-8")))
    for name in names:
        verify_checksum(POCKET / name)


def test_wrong_name():
    with pytest.raises(ValueError, match="no task 'birds': choose from source, animals"):
        load_task("birds")


@pytest.fixture
def copied(tmp_path, monkeypatch):
    for name in ("emoji.npz", "checksums.json"):
        shutil.copy(POCKET / name, tmp_path)
    monkeypatch.setattr(data, "POCKET", tmp_path)
    return tmp_path


def test_corrupt_file(copied):
    raw = bytearray((copied / "emoji.npz").read_bytes())
    raw[len(raw) // 2] ^= 1
    (copied / "emoji.npz").write_bytes(raw)
    with pytest.raises(ValueError, match=r"emoji.npz is damaged .*: (run|install)"):
        load_task("emoji")


def test_truncated_file(copied):
    path = copied / "emoji.npz"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match="is damaged"):
        load_task("emoji")


def test_missing_file(copied):
    (copied / "emoji.npz").unlink()
    with pytest.raises(FileNotFoundError, match="emoji.npz is missing: it ships with the project"):
        load_task("emoji")


def test_no_supernet_ships_for_the_paper_space():
    with pytest.raises(FileNotFoundError, match="No supernet of the paper space ships .*load_ofa"):
        pretrained_path("paper")


def test_to_input_resizes_to_channels_last(task):
    x = to_input(task.train.images[:4], 20, task)
    assert x.shape == (4, 3, 20, 20) and x.dtype == torch.float32
    assert x.is_contiguous(memory_format=torch.channels_last)
