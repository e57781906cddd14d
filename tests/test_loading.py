"""Training batches: functions of seed and step, whoever reads them; each process reads its own."""

import pickle
from functools import partial

import pytest
import torch
from PIL import Image

from natlib.inputs.loading import (
    CHANGES,
    MARGIN,
    batch_rows,
    changes,
    shift_and_flip,
    training_batches,
)
from natlib.inputs.pictures import LazyImages

SIDE = 16


def open_one(opened, row):
    opened.append(row)
    noise = torch.randint(256, (20, 24, 3), generator=torch.Generator().manual_seed(row))
    return Image.fromarray(noise.byte().numpy())


@pytest.fixture
def lazy():
    return LazyImages(partial(open_one, []), 30, SIDE)


LABELS = torch.arange(30)


def read(images, steps=range(4), **options):
    """Returns images, labels and shares of all steps, each put together."""
    how = {"batch_size": 8, "seed": 1} | options
    steps = [
        list(zip(*step, strict=True)) for step in training_batches(images, LABELS, steps, **how)
    ]
    return [(torch.cat(images), torch.cat(labels), shares) for images, labels, shares in steps]


def equal(some, others):
    pairs = zip(some, others, strict=True)
    return all(torch.equal(a[0], b[0]) and torch.equal(a[1], b[1]) for a, b in pairs)


@pytest.mark.parametrize("augment", CHANGES)
def test_workers_and_memory_change_nothing(augment, lazy):
    plain = read(lazy, augment=augment)
    assert equal(plain, read(lazy, augment=augment, workers=2))
    assert equal(plain, read(lazy[:], augment=augment))
    assert equal(plain[2:], read(lazy, range(2, 4), augment=augment, workers=1)), "going on"
    assert not equal(plain, read(lazy, augment=augment, seed=2))
    assert plain[0][0].dtype == torch.uint8 and plain[0][0].shape == (8, 3, SIDE, SIDE)


@pytest.mark.parametrize("augment", ["shift", "crop"])
@pytest.mark.parametrize("parts", [1, 2])
def test_processes_read_their_own_part_of_one_batch(augment, parts, lazy):
    whole = read(lazy, augment=augment)
    opened = [[], []]
    parted = [
        read(LazyImages(partial(open_one, opened[k]), 30, SIDE, keep=0), augment=augment,
             process=(k, 2), parts=parts) for k in range(2)
    ]  # fmt: skip
    assert [len(rows) for rows in opened] == [16, 16]
    for step, (images, labels, shares) in enumerate(whole):
        mine = [parted[k][step] for k in range(2)]
        assert sum(sum(part[2]) for part in mine) == pytest.approx(2 * sum(shares))
        found = torch.cat([part[1] for part in mine])
        assert torch.equal(found.sort().values, labels.sort().values)
        rows = [labels.tolist().index(label) for label in found.tolist()]
        assert torch.equal(torch.cat([part[0] for part in mine]), images[rows])


def test_global_random_numbers_are_left_alone(lazy):
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    read(lazy, augment="randaugment")
    assert torch.equal(torch.rand(1), expected)


def test_a_larger_batch_than_the_split(lazy):
    ((images, labels, shares),) = read(lazy, range(1), batch_size=99)
    assert len(images) == len(labels) == 30 and sum(shares) == 1


def test_crops_are_of_what_a_network_sees():
    picture = torch.full((3, 40, 40), 7, dtype=torch.uint8)
    assert changes("crop", (9, 3, 40, 40), flip=True, crop=0.875)(picture).shape == (3, 35, 35)


def test_only_what_may_be_mirrored_is():
    ramp = torch.arange(8, dtype=torch.uint8).mul(30).expand(3, 8, 8)
    falls = {
        flip: [
            bool((changes("crop", ramp.shape, flip, 1.0)(ramp).int().diff(dim=2) < 0).any())
            for _ in range(40)
        ]
        for flip in (True, False)
    }
    assert not any(falls[False]) and 5 < sum(falls[True]) < 35


def test_workers_are_sent_what_they_need_and_not_what_was_decoded(lazy):
    lazy[:]
    sent = pickle.dumps(lazy)
    assert len(sent) < 5000
    assert torch.equal(pickle.loads(sent)[3], lazy[3])


def test_shift_and_flip_moves_each_picture_as_a_whole():
    image = torch.randint(0, 256, (1, 3, 32, 32), dtype=torch.uint8)
    margin = round(32 * MARGIN)
    padded = torch.nn.functional.pad(image.float(), [margin] * 4, mode="replicate").byte()
    places = range(2 * margin + 1)
    possible = [padded[..., i : i + 32, j : j + 32] for i in places for j in places]
    mirrored = [picture.flip(3) for picture in possible]
    generator = torch.Generator().manual_seed(0)
    results = shift_and_flip(image.repeat(200, 1, 1, 1), generator, flip=True)
    found = [[torch.equal(r[None], p) for p in possible + mirrored].index(True) for r in results]
    assert 60 < sum(f < len(possible) for f in found) < 140
    assert len(set(found)) > 50


def test_shift_and_flip_does_not_mirror_where_it_must_not():
    ramp = torch.arange(8, dtype=torch.uint8).expand(50, 3, 8, 8)
    results = shift_and_flip(ramp, torch.Generator().manual_seed(0), flip=False).int()
    assert (results.diff(dim=3) >= 0).all()


def test_batches_of_an_epoch_are_disjoint_and_change_with_epoch_and_seed():
    epoch = torch.cat([batch_rows(10, 3, step, seed=0) for step in range(3)])
    assert len(epoch.unique()) == 9
    assert not torch.equal(batch_rows(10, 3, 0, 0), batch_rows(10, 3, 3, 0))
    assert not torch.equal(batch_rows(10, 3, 0, 0), batch_rows(10, 3, 0, 1))
    assert torch.equal(batch_rows(10, 3, 4, 0), batch_rows(10, 3, 4, 0))
