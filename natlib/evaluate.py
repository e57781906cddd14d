"""What a subnet is worth: its accuracy after recalibrating its batch norm.

The supernet's running batch-norm statistics are a mixture over all the subnets it was trained on
and fit none of them. Before a subnet is measured, they are computed anew from training images at
its resolution (NAT, "E means").
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm.auto import tqdm

from natlib.data import Split, Task, to_input, within_part
from natlib.layers import fold_batch_norm, in_parts
from natlib.parallel import add_up, rank, world_size
from natlib.space import IntMatrix
from natlib.supernet import Supernet
from natlib.train import device_of, mixed_precision

EVALUATION_BATCH = 100
CACHE_BYTES = 2e9  # inputs of a split at one resolution that are kept rather than made again


def fixed_sample(split: Split, n: int | None) -> Split:
    """Returns `n` pictures of a split, always the same ones; all of them for `None`."""
    if n is None or n >= len(split):
        return split
    return split.take(fixed_rows(len(split), n))


def fixed_rows(size: int, n: int | None) -> NDArray[np.int64]:
    """Returns `n` numbers below `size`, always the same ones; all of them for `None`."""
    return np.random.default_rng(0).permutation(size)[:n]


class InputBatches:
    """The batches of a split at one resolution, kept where they fit in `CACHE_BYTES`.

    Iterating gives pairs of inputs, float32 `(n, 3, r, r)`, and labels, int64 `(n,)`.

    Args:
        split: The pictures.
        resolution: Side of the inputs in pixels.
        task: Gives mean and standard deviation of the channels.
        device: Where the batches lie.
        batch_size: Images a batch.
    """

    def __init__(
        self,
        split: Split,
        resolution: int,
        task: Task,
        device: torch.device | str = "cpu",
        batch_size: int = EVALUATION_BATCH,
    ) -> None:
        self.split, self.resolution, self.task = split, resolution, task
        self.device, self.batch_size = device, batch_size
        small = len(split) * 3 * resolution**2 * 4 <= CACHE_BYTES
        self.kept = list(self._make()) if small else None

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return iter(self.kept) if self.kept is not None else self._make()

    def _make(self) -> Iterator[tuple[Tensor, Tensor]]:
        for rows in torch.arange(len(self.split)).split(self.batch_size):
            images, labels = self.split.images[rows], self.split.labels[rows]
            yield (
                to_input(images, self.resolution, self.task, self.device),
                labels.to(self.device),
            )


@torch.no_grad()
def recalibrate(subnet: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
    """Computes the running batch-norm statistics of a module anew, in place, in one pass.

    Args:
        subnet: The module; it is left in `eval` mode.
        batches: Training images and labels, as `InputBatches` gives them; the statistics are the
            mean over batches.
    """
    norms = [layer for layer in subnet.modules() if isinstance(layer, nn.BatchNorm2d)]
    momenta = [layer.momentum for layer in norms]
    for layer in norms:
        layer.reset_running_stats()
        layer.momentum = None
    subnet.train()
    for inputs, _ in batches:
        subnet(inputs)
    for layer, momentum in zip(norms, momenta, strict=True):
        layer.momentum = momentum
    subnet.eval()


@torch.inference_mode()
def correct_predictions(
    subnet: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], task: Task | None = None
) -> Tensor:
    """Returns which images a module classifies correctly, bool `(n,)`.

    Args:
        subnet: A module in `eval` mode.
        batches: Images and labels, as `InputBatches` gives them.
        task: The task; where it was joined, each image is classified within its own part.
    """
    logits = [(in_parts(subnet, inputs), labels) for inputs, labels in batches]
    if task is not None:
        logits = [(within_part(z, labels, task), labels) for z, labels in logits]
    return torch.cat([z.argmax(dim=1) == labels for z, labels in logits])


def evaluate(
    net: Supernet,
    X: IntMatrix,
    task: Task,
    split: str = "valid",
    *,
    n_images: int | None = None,
    calibration: int = 1000,
    progress: bool = True,
    description: str = "evaluating",
) -> NDArray[np.bool_]:
    """Measures subnets on a split, each after recalibrating its batch norm.

    Subnets of one resolution are measured together, so that images are resized once.

    Args:
        net: The supernet that the subnets are read from.
        X: Canonical encodings, `(n, n_var)`.
        task: The task.
        split: `"valid"` to choose by, `"test"` only to report.
        n_images: Images of the split to measure on, the same for every subnet; all by default.
        calibration: Training images for the batch norm, the same for every subnet.
        progress: Whether to show a progress bar.
        description: Label of the progress bar.

    Returns:
        Which images each subnet classifies correctly, `(n, n_images)`; `top1_errors` makes
        percentages of it.
    """
    X, device = net.space.check_valid(X), device_of(net)
    data = fixed_sample(getattr(task, split), n_images)
    calibration_data = fixed_sample(task.train, calibration)
    correct = np.zeros((len(X), len(data)), dtype=bool)
    mine = np.arange(rank(), len(X), world_size())
    hidden = not progress or rank() > 0
    bar = tqdm(total=len(mine), desc=description, unit="subnet", disable=hidden, leave=False)
    for r in np.unique(X[mine, 0]):
        resolution = net.space.resolutions[r]
        batches = InputBatches(data, resolution, task, device)
        calibration_batches = InputBatches(calibration_data, resolution, task, device)
        for row in mine[X[mine, 0] == r]:
            with mixed_precision(device):
                subnet = net.extract(net.space.decode(X[row]))
                recalibrate(subnet, calibration_batches)
                hits = correct_predictions(fold_batch_norm(subnet), batches, task)
            correct[row] = hits.cpu().numpy()
            bar.update()
            bar.set_postfix(top1=f"{100 * correct[row].mean():.1f}%", refresh=False)
    bar.close()
    return add_up(correct, device)


def top1_errors(correct: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Returns the top-1 errors in percent, `(n,)`, of what `evaluate` returned."""
    return 100 * (1 - correct.mean(axis=1))


def part_errors(correct: NDArray[np.bool_], data: Split, task: Task) -> NDArray[np.float64]:
    """Returns the top-1 errors in percent on each part of a task, `(n, parts)`.

    Args:
        correct: What `evaluate` returned, `(n, n_images)`.
        data: The images that it measured on.
        task: The task; one that was not joined has one part.
    """
    part = task.part_of[data.labels].numpy()
    return np.column_stack([top1_errors(correct[:, part == k]) for k in range(part.max() + 1)])
