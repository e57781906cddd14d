"""A transfer onto real photos, where the extra material is present, as at the paper's scale.

Workers read the files, and cut and recolour them at random; networks see 64 to 96 px.
"""

from dataclasses import replace

import pytest
import torch

from natlib.data import folder_task, pretrained_path
from natlib.inputs.pictures import LazyImages
from natlib.profiles import PROFILES
from natlib.space import SearchSpace
from natlib.supernet import Supernet
from natlib.transfer import report, side_of, transfer

SPACE = replace(SearchSpace.pocket(), name="photos", resolutions=(64, 80, 96))
PROFILE = replace(
    PROFILES["quick"], warmup_largest=1, warmup_uniform=1.5, adapt=0.5, min_steps=1, archive=6,
    iterations=1, candidates=4, best=6, validation=100, calibration=100, batch_size=32,
    subnets_per_step=1, augment="crop", crop=0.875, workers=2,
)  # fmt: skip


def person(path):
    """Pictures of the hand signs come in blocks of about ten per person."""
    return int(path.stem.removeprefix("IMG_")) // 10


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options", "times"),  # as long as the profile's warm-up
    [("sign_digits", {"groups": person, "flip": False}, 1), ("clothing", {}, 3)],
)
def test_transfer_onto_a_folder_of_photos(shared, name, options, times):
    side = side_of(PROFILE, SPACE)
    task = folder_task(shared / "datasets" / name, side=side, progress=False, **options)
    assert side == 110 and isinstance(task.train.images, LazyImages)
    pretrained = Supernet.load(pretrained_path("pocket"))
    net = Supernet(SPACE, pretrained.num_classes)  # the weights fit any resolution
    net.load_state_dict(pretrained.state_dict())
    longer = {k: times * getattr(PROFILE, k) for k in ("warmup_largest", "warmup_uniform")}
    run = transfer(task, replace(PROFILE, **longer), supernet=net, progress=False)
    table = report(run)
    majority = 100 * torch.bincount(task.test.labels).max() / len(task.test)
    print(f"\n{name}: majority class {majority:.1f}%\n{table.to_string()}")
    assert table.test_top1.max() > 2 * majority
