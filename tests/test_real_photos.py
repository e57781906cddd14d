"""A transfer onto real photos, where the extra material is present."""

import pytest
import torch

from natlib.data import folder_task
from natlib.transfer import report, transfer


def person(path):
    """Pictures of the hand signs come in blocks of about ten per person."""
    return int(path.stem.removeprefix("IMG_")) // 10


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options"),
    [("sign_digits", {"groups": person, "flip": False}), ("clothing", {})],
)
def test_transfer_onto_a_folder_of_photos(shared, name, options):
    task = folder_task(shared / "datasets" / name, progress=False, **options)
    run = transfer(task, "quick", progress=False)
    table = report(run)
    majority = 100 * torch.bincount(task.test.labels).max() / len(task.test)
    print(f"\n{name}: majority class {majority:.1f}%\n{table.to_string()}")
    assert table.test_top1.max() > 2 * majority
