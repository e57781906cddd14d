"""Fine-tuning: the chosen network, read out of the supernet, is trained alone for a while.

In the supernet its weights serve many subnets; alone they serve one. The training loop is that of
`natlib.train`. What is kept is chosen on the validation split, and that may be the network as it
was; the test split is looked at once, at the end, before and after.
"""

import copy
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from natlib.data import Split, Task
from natlib.evaluate import InputBatches, correct_predictions, recalibrate_on
from natlib.inputs import checks, demand
from natlib.inputs.pictures import digest
from natlib.inputs.weights import read_checkpoint
from natlib.layers import fold_batch_norm
from natlib.profiles import Profile, get_profile
from natlib.supernet import Subnet
from natlib.train import cosine, device_of, make_optimizer, train


class Finetuned(NamedTuple):
    """The better network, and how it became so.

    `history` holds `valid_top1` in percent after each round, row 0 for the network as it was.
    `test` holds top-1 in percent on the test split, `before` and `after`, their difference `gain`,
    and `gain_se`, its standard error over the pictures.
    """

    subnet: Subnet
    history: pd.DataFrame
    test: dict[str, float]


def finetune(
    subnet: Subnet,  # read out of a supernet; it is left as it is
    task: Task,  # that it was chosen for
    profile: Profile | str | None = None,  # gives finetune_lr, finetune_steps and finetune_rounds
    *,
    seed: int = 0,  # of the batches
    progress: bool = True,  # whether to show it
    checkpoint: str | Path | None = None,  # a file to go on from, written after each round
) -> Finetuned:
    """Trains a subnet alone and keeps it as it was best on the validation split.

    A loss that is not finite is a `FloatingPointError`; a checkpoint of another network, task,
    profile or seed is a `ValueError`.
    """
    profile, net = get_profile(profile), copy.deepcopy(subnet)
    optimizer, steps = make_optimizer(net), profile.finetune_steps
    schedule = cosine(profile.finetune_lr, steps, warmup=steps // 10)
    ends = np.linspace(0, steps, profile.finetune_rounds + 1).round().astype(int)
    versions = [_calibrated(subnet, task, profile)]
    if checkpoint:
        path, about = Path(checkpoint), _settings(subnet, task, profile, seed)
        versions += _taken_up(path, about, net, optimizer)
    for i in range(len(versions), len(ends)):
        train(
            net, optimizer, task, lambda step: [subnet.arch], schedule, range(*ends[i - 1 : i + 1]),
            batch_size=profile.batch_size, seed=seed, micro_batches=profile.micro_batches,
            augment=profile.augment, workers=profile.workers,
            description=f"fine-tuning, round {i} of {len(ends) - 1}", progress=progress,
        )  # fmt: skip
        versions.append(_calibrated(net, task, profile))
        if checkpoint:
            states = [part.state_dict() for part in (net, optimizer, *versions[1:])]
            with checks.replacing(path) as temporary:
                torch.save({"settings": about, "states": states}, temporary)
    accuracies = [100 * _hits(version, task, task.valid).mean() for version in versions]
    best = versions[int(np.argmax(accuracies))]
    before, after = (100 * _hits(version, task, task.test) for version in (versions[0], best))
    gain = after - before
    test = {"before": before.mean(), "after": after.mean(), "gain": gain.mean()}
    test["gain_se"] = gain.std(ddof=1) / np.sqrt(len(gain))
    return Finetuned(best, pd.DataFrame({"step": ends, "valid_top1": accuracies}), test)


def _settings(subnet: Subnet, task: Task, profile: Profile, seed: int) -> dict:
    weights = digest(*(tensor.cpu() for tensor in subnet.state_dict().values()))
    about = {"seed": seed, "architecture": str(subnet.arch), "weights": weights, "task": task.name}
    return about | task.identity | {"profile": asdict(replace(profile, workers=0))}


def _taken_up(path: Path, settings: dict, net: Subnet, optimizer) -> Iterator[Subnet]:
    """Brings net and optimizer to where a checkpoint had them; yields the versions until then."""
    if path.exists():
        content = read_checkpoint(path, "fine-tuning", "states")
        differs = checks.difference(content["settings"], settings)
        demand(not differs, "settings.resume", folder=path, differs=differs)
        for part, state in zip((net, optimizer), content["states"], strict=False):
            part.load_state_dict(state)
        for state in content["states"][2:]:
            (version := copy.deepcopy(net).eval()).load_state_dict(state)
            yield version


def _calibrated(subnet: Subnet, task: Task, profile: Profile) -> Subnet:
    """Returns a copy of a subnet with batch norm recalibrated on training pictures."""
    subnet = copy.deepcopy(subnet)
    recalibrate_on(subnet, task, profile.calibration)
    return subnet


def _hits(subnet: Subnet, task: Task, split: Split) -> NDArray[np.float64]:
    """Returns 1 for each picture that a subnet in `eval` mode classifies correctly, else 0."""
    batches = InputBatches(split, subnet.arch.resolution, task, device_of(subnet))
    correct = correct_predictions(fold_batch_norm(copy.deepcopy(subnet)), batches, task)
    return correct.cpu().numpy().astype(float)
