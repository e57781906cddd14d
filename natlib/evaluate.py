"""What a subnet is worth: its accuracy after recalibrating its batch norm.

The supernet's running batch-norm statistics are a mixture over all the subnets it was trained on
and fit none of them. Before a subnet is measured, they are computed anew from training images at
its resolution (NAT, "E means").
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm.auto import tqdm

from natlib.data import Split, Task, fixed_sample, to_input
from natlib.inputs.processes import add_up, rank, world_size
from natlib.layers import fold_batch_norm
from natlib.space import IntMatrix
from natlib.supernet import Subnet, Supernet
from natlib.train import autocast, device_of

KEPT_BYTES = 2.5e9  # of a split: pictures on a card, or inputs at one resolution, that are kept
CARD_PIXELS = 2**23  # of a batch on a card, which small ones leave idle
PIXELS_AT_A_TIME = 2**16  # of a batch on a CPU, so that feature maps fit its cache


def evaluate(
    net: Supernet,
    X: IntMatrix,  # canonical encodings (n, n_var)
    task: Task,
    split: str = "valid",  # to choose by; "test" only to report
    *,
    n_images: int | None = None,  # to measure on, the same for every subnet; None takes all
    calibration: int = 1000,  # training images for the batch norm, the same for every subnet
    progress: bool = True,
    description: str = "evaluating",  # label of the progress bar
) -> NDArray[np.bool_]:
    """Measures subnets on a split, each after recalibrating its batch norm.

    Returns which images each classifies correctly, `(n, n_images)`; `Task.errors` makes percentages
    of that. Subnets of one resolution go together, so that images are resized once, and several
    processes share the subnets out.
    """
    X, device = net.space.validated(X), device_of(net)
    pictures = fixed_sample(getattr(task, split), n_images).on(device, KEPT_BYTES)
    training = fixed_sample(task.train, calibration).on(device, KEPT_BYTES)
    correct = np.zeros((len(X), len(pictures)), dtype=bool)
    mine = np.arange(rank(), len(X), world_size())
    how = {"unit": "subnet", "leave": False, "disable": not progress or rank() > 0}
    bar = tqdm(total=len(mine), desc=description, **how)
    for r in np.unique(X[mine, 0]):
        resolution = net.space.resolutions[r]
        batches = InputBatches(pictures, resolution, task, device)
        training_batches = InputBatches(training, resolution, task, device)
        for row in mine[X[mine, 0] == r]:
            subnet = net.extract(net.space.decode(X[row]))
            recalibrate(subnet, training_batches)
            correct[row] = correct_predictions(fold_batch_norm(subnet), batches, task).cpu()
            bar.update()
            bar.set_postfix(top1=f"{100 * correct[row].mean():.1f}%", refresh=False)
    bar.close()
    return add_up(correct, device)


@torch.no_grad()
def recalibrate(subnet: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
    """Computes the running batch-norm statistics of a module anew, in place, in one pass.

    It is left in `eval` mode; `batches` are training images as `InputBatches` gives them.
    """
    norms, seen = {m: m.momentum for m in subnet.modules() if isinstance(m, nn.BatchNorm2d)}, 0
    for norm in norms:
        norm.reset_running_stats()
    subnet.train()
    for inputs, _ in batches:
        seen += len(inputs)
        for norm in norms:
            norm.momentum = len(inputs) / seen  # the mean over all images, none of which it forgets
        with autocast(inputs.device):
            subnet(inputs)
    for norm, momentum in norms.items():
        norm.momentum = momentum
    subnet.eval()


def recalibrate_on(subnet: Subnet, task: Task, n: int) -> None:
    """Recalibrates a subnet on `n` training images at its resolution, as `evaluate` does."""
    images, resolution = fixed_sample(task.train, n), subnet.arch.resolution
    recalibrate(subnet, InputBatches(images, resolution, task, device_of(subnet)))


@torch.inference_mode()
def correct_predictions(
    subnet: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], task: Task | None = None
) -> Tensor:
    """Returns which images of `InputBatches` a module in `eval` mode gets right, bool `(n,)`."""
    hits = []
    for inputs, labels in batches:
        n = PIXELS_AT_A_TIME // inputs[0, 0].numel() if inputs.device.type == "cpu" else len(inputs)
        with autocast(inputs.device):
            logits = torch.cat([subnet(part) for part in inputs.split(max(1, n))])
        logits = logits if task is None else task.within(logits, labels)
        hits.append(logits.argmax(dim=1) == labels)
    return torch.cat(hits)


def balanced(correct: NDArray[np.bool_], labels: Tensor) -> dict[str, NDArray[np.float64]]:
    """Returns the mean accuracy of the classes, of hits `(n, images)`, if these are uneven."""
    counts = np.bincount(labels)
    present = counts[counts > 0]
    percent = 100 * correct @ (1 / counts[labels]) / len(present)
    return {"test_balanced": percent} if present.max() > 2 * present.min() else {}


@dataclass
class InputBatches:
    """Normalised batches of a split, `(n, 3, r, r)` and labels, that are kept if they fit.

    On a card pictures are kept as they are, since there it takes no time to resize them.
    """

    split: Split
    resolution: int
    task: Task
    device: torch.device | str = "cpu"
    batch_size: int = 100  # on a CPU; a card takes more small pictures at once

    def __post_init__(self) -> None:
        small = len(self.split) * 3 * self.resolution**2 * 4 <= KEPT_BYTES
        if on_card := torch.device(self.device).type == "cuda":
            self.batch_size = min(1000, max(self.batch_size, CARD_PIXELS // self.resolution**2))
        self.kept = list(self._make()) if small and not on_card else None

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return iter(self.kept) if self.kept is not None else self._make()

    def _make(self) -> Iterator[tuple[Tensor, Tensor]]:
        n = len(self.split)  # batches are nearly equal: batch norm can make nothing of one image
        for rows in np.array_split(np.arange(n), -(-n // self.batch_size)):
            rows = slice(rows[0], rows[-1] + 1)
            images, labels = self.split.images[rows], self.split.labels[rows]
            inputs = to_input(images, self.resolution, self.task, self.device, self.task.crop)
            yield inputs, labels.to(self.device)
