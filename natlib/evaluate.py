"""What a subnet is worth: its accuracy after recalibrating its batch norm.

The supernet's running batch-norm statistics are a mixture over all the subnets it was trained on
and fit none of them. Before a subnet is measured, they are computed anew from training images at
its resolution (NAT, "E means").
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm.auto import tqdm

from natlib.data import Split, Task, to_input
from natlib.layers import fold_batch_norm
from natlib.space import IntMatrix
from natlib.supernet import Supernet
from natlib.train import device_of, mixed_precision

EVALUATION_BATCH = 100


def fixed_sample(split: Split, n: int | None) -> Split:
    """Returns `n` pictures of a split, always the same ones; all of them for `None`."""
    if n is None or n >= len(split):
        return split
    return split.take(np.random.default_rng(0).permutation(len(split))[:n])


@torch.no_grad()
def recalibrate(subnet: nn.Module, inputs: Tensor, batch_size: int = EVALUATION_BATCH) -> None:
    """Computes the running batch-norm statistics of a module anew, in place, in one pass.

    Args:
        subnet: The module; it is left in `eval` mode.
        inputs: Training images as the module expects them, float32 `(n, 3, r, r)`.
        batch_size: Images a batch; the statistics are the mean over batches.
    """
    norms = [layer for layer in subnet.modules() if isinstance(layer, nn.BatchNorm2d)]
    momenta = [layer.momentum for layer in norms]
    for layer in norms:
        layer.reset_running_stats()
        layer.momentum = None
    subnet.train()
    for batch in inputs.split(batch_size):
        subnet(batch)
    for layer, momentum in zip(norms, momenta, strict=True):
        layer.momentum = momentum
    subnet.eval()


@torch.inference_mode()
def correct_predictions(
    subnet: nn.Module, inputs: Tensor, labels: Tensor, batch_size: int = EVALUATION_BATCH
) -> Tensor:
    """Returns which images a module classifies correctly, bool `(n,)`.

    Args:
        subnet: A module in `eval` mode.
        inputs: Images, float32 `(n, 3, r, r)`.
        labels: Classes, int64 `(n,)`.
        batch_size: Images a batch.
    """
    pairs = zip(inputs.split(batch_size), labels.split(batch_size), strict=True)
    return torch.cat([subnet(x).argmax(dim=1) == y for x, y in pairs])


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
    labels = data.labels.to(device)
    correct = np.zeros((len(X), len(labels)), dtype=bool)
    bar = tqdm(total=len(X), desc=description, unit="subnet", disable=not progress, leave=False)
    for r in np.unique(X[:, 0]):
        resolution = net.space.resolutions[r]
        inputs = to_input(data.images, resolution, task, device)
        calibration_inputs = to_input(calibration_data.images, resolution, task, device)
        for row in np.flatnonzero(X[:, 0] == r):
            with mixed_precision(device):
                subnet = net.extract(net.space.decode(X[row]))
                recalibrate(subnet, calibration_inputs)
                hits = correct_predictions(fold_batch_norm(subnet), inputs, labels)
            correct[row] = hits.cpu().numpy()
            bar.update()
            bar.set_postfix(top1=f"{100 * correct[row].mean():.1f}%", refresh=False)
    bar.close()
    return correct


def top1_errors(correct: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Returns the top-1 errors in percent, `(n,)`, of what `evaluate` returned."""
    return 100 * (1 - correct.mean(axis=1))
