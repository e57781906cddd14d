"""Fine-tuning: the chosen network, read out of the supernet, is trained alone for a while.

In the supernet its weights serve many subnets; alone they serve one. The training loop is that of
`natlib.train`. What is kept is chosen on the validation split, and that may be the network as it
was; the test split is looked at once, at the end, before and after.
"""

from __future__ import annotations

import copy
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor, nn

from natlib.data import Split, Task
from natlib.evaluate import InputBatches, correct_predictions, fixed_sample, recalibrate
from natlib.layers import fold_batch_norm
from natlib.profiles import Profile, get_profile
from natlib.space import Architecture
from natlib.supernet import Subnet
from natlib.train import cosine, device_of, make_optimizer, train


class Finetuned(NamedTuple):
    """What fine-tuning gives.

    Attributes:
        subnet: The better network, in `eval` mode.
        history: Top-1 on the validation split in percent after each round, `valid_top1`; row 0 is
            the network as it was.
        test: Top-1 on the test split in percent, `before` and `after`, their difference `gain`,
            and `gain_se`, its standard error over the pictures.
    """

    subnet: Subnet
    history: pd.DataFrame
    test: dict[str, float]


class Alone(nn.Module):
    """A subnet that looks like a supernet to the training loop.

    Args:
        subnet: The subnet.
    """

    def __init__(self, subnet: Subnet) -> None:
        super().__init__()
        self.subnet = subnet

    def forward(self, images: Tensor, arch: Architecture) -> Tensor:
        """Maps images `(n, 3, r, r)` to logits; there is one architecture to ask for."""
        return self.subnet(images)


def finetune(
    subnet: Subnet,
    task: Task,
    profile: Profile | str | None = None,
    *,
    seed: int = 0,
    progress: bool = True,
) -> Finetuned:
    """Trains a subnet alone and keeps it as it was best on the validation split.

    Args:
        subnet: The network, read out of a supernet; it is left as it is.
        task: The task that it was chosen for.
        profile: The settings, or their name; `NATLIB_PROFILE` by default. `finetune_lr`,
            `finetune_steps` and `finetune_rounds` count here.
        seed: Seed of the batches.
        progress: Whether to show progress.

    Raises:
        FloatingPointError: If the loss is not finite.
    """
    profile = get_profile(profile)
    net = Alone(copy.deepcopy(subnet))
    optimizer, steps = make_optimizer(net), profile.finetune_steps
    schedule = cosine(profile.finetune_lr, steps, warmup=steps // 10)
    ends = np.linspace(0, steps, profile.finetune_rounds + 1).round().astype(int)
    versions = [calibrated(subnet, task, profile)]
    accuracies = [correct(versions[0], task, task.valid).mean()]
    for i, (first, last) in enumerate(zip(ends, ends[1:], strict=False)):
        train(
            net, optimizer, task, lambda step: [subnet.arch], schedule, range(first, last),
            batch_size=profile.batch_size, seed=seed, micro_batches=profile.micro_batches,
            description=f"fine-tuning, round {i + 1} of {len(ends) - 1}", progress=progress,
        )  # fmt: skip
        versions.append(calibrated(net.subnet, task, profile))
        accuracies.append(correct(versions[-1], task, task.valid).mean())
    best = int(np.argmax(accuracies))
    history = pd.DataFrame({"step": ends, "valid_top1": 100 * np.array(accuracies)})
    return Finetuned(versions[best], history, on_test(versions[0], versions[best], task))


def calibrated(subnet: Subnet, task: Task, profile: Profile) -> Subnet:
    """Returns a copy of a subnet with batch norm recalibrated on training pictures."""
    subnet = copy.deepcopy(subnet)
    pictures = fixed_sample(task.train, profile.calibration)
    recalibrate(subnet, InputBatches(pictures, subnet.arch.resolution, task, device_of(subnet)))
    return subnet


def correct(subnet: Subnet, task: Task, data: Split) -> NDArray[np.bool_]:
    """Returns which pictures a subnet in `eval` mode classifies correctly, `(n,)`."""
    batches = InputBatches(data, subnet.arch.resolution, task, device_of(subnet))
    return correct_predictions(fold_batch_norm(copy.deepcopy(subnet)), batches, task).cpu().numpy()


def on_test(before: Subnet, after: Subnet, task: Task) -> dict[str, float]:
    """Compares two networks on the test split, picture by picture."""
    hits = [correct(subnet, task, task.test).astype(float) for subnet in (before, after)]
    difference = hits[1] - hits[0]
    return {
        "before": 100 * hits[0].mean(),
        "after": 100 * hits[1].mean(),
        "gain": 100 * difference.mean(),
        "gain_se": 100 * difference.std(ddof=1) / np.sqrt(len(difference)),
    }
