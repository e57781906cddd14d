"""The training loop: supernets on any device, step by numbered step.

Everything random in a step (its images, their augmentation, its subnets) is a function of the
seed and of the step's number, and so is the learning rate. A run that stops after step 700 and
goes on with step 701 is therefore the same as one that never stopped, with nothing to remember
but weights and momentum.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm.auto import tqdm

from natlib.data import Split, Task, augment, batch_indices, to_input, within_part
from natlib.parallel import average_gradients, rank, world_size
from natlib.space import Architecture, SearchSpace

SubnetSampler = Callable[[int], list[Architecture]]
Schedule = Callable[[int], float]


def pick_device(name: str | None = None) -> torch.device:
    """Returns the named device, or the best there is: CUDA, then Apple's MPS, then the CPU.

    Where `torchrun` started several processes, each takes a CUDA card of its own.

    Raises:
        ValueError: If the named device is not available.
    """
    available = ["cpu"]
    if torch.backends.mps.is_available():
        available.insert(0, "mps")
    if torch.cuda.is_available():
        available.insert(0, "cuda")
    name = name or available[0]
    if name.split(":")[0] not in available:
        raise ValueError(f"Device '{name}' is not available here: choose from {available}.")
    if name == "cuda" and "LOCAL_RANK" in os.environ:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        name = f"cuda:{os.environ['LOCAL_RANK']}"
    return torch.device(name)


def half_precision(device: torch.device) -> torch.dtype | None:
    """Returns the type to compute in besides float32: bfloat16 or float16 on CUDA, else none.

    Not on the CPU: there bfloat16 speeds matrix products up, but not these networks
    (`benchmarks/training.py` compares).
    """
    if device.type != "cuda":
        return None
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


def mixed_precision(device: torch.device) -> AbstractContextManager:
    """Returns autocast to `half_precision`, where there is one."""
    dtype = half_precision(device)
    return nullcontext() if dtype is None else torch.autocast(device.type, dtype=dtype)


def cosine(peak: float, total: int, warmup: int = 0, first: int = 0) -> Schedule:
    """Returns a learning rate that rises linearly over `warmup` steps, then falls as a cosine.

    Args:
        peak: Largest learning rate.
        total: Number of steps until it reaches zero.
        warmup: Number of steps of the rise.
        first: Number of the step at which the schedule begins.
    """

    def schedule(step: int) -> float:
        step = step - first
        if step < warmup:
            return peak * (step + 1) / warmup
        return peak * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))

    return schedule


def largest_subnets(space: SearchSpace) -> SubnetSampler:
    """Returns a sampler that gives the largest subnet of each width (NAT, warm-up)."""
    return lambda step: [space.largest(width) for width in space.widths]


def uniform_subnets(
    space: SearchSpace, n: int, seed: int, with_smallest: bool = False
) -> SubnetSampler:
    """Returns a sampler that gives the teacher and uniformly drawn subnets.

    The teacher is the largest subnet of a width, and the others of the step are of its width too:
    with several widths a step trains one, in turn.

    Args:
        space: The search space.
        n: Subnets a step besides the teacher.
        seed: Seed; the subnets of a step depend on it and on the step's number only.
        with_smallest: Whether the first of them is the smallest subnet (the *sandwich rule*).
    """
    return subnets_from(
        space, lambda rng: space.sample(n - with_smallest, rng), seed, with_smallest
    )


def subnets_from(
    space: SearchSpace,
    draw: Callable[[np.random.Generator], np.ndarray],
    seed: int,
    with_smallest: bool = False,
) -> SubnetSampler:
    """Returns a sampler that gives the teacher and the subnets that `draw` draws.

    Args:
        space: The search space.
        draw: Maps a random generator to canonical encodings `(n, n_var)`.
        seed: Seed; the subnets of a step depend on it and on the step's number only.
        with_smallest: Whether the smallest subnet comes right after the teacher.
    """

    def sampler(step: int) -> list[Architecture]:
        X = draw(np.random.default_rng((seed, step)))
        X[:, 1] = step % len(space.widths)
        width = space.widths[step % len(space.widths)]
        smallest = [space.smallest(width)] if with_smallest else []
        return [space.largest(width), *smallest, *(space.decode(x) for x in X)]

    return sampler


def make_optimizer(
    net: nn.Module, momentum: float = 0.9, weight_decay: float = 3e-4
) -> torch.optim.SGD:
    """Returns SGD with momentum; the learning rate is set at each step by a schedule."""
    return torch.optim.SGD(
        net.parameters(), lr=0.0, momentum=momentum, weight_decay=weight_decay, nesterov=True
    )


def train(
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
    task: Task,
    sampler: SubnetSampler,
    schedule: Schedule,
    steps: range,
    *,
    batch_size: int,
    seed: int = 0,
    distill: bool = True,
    clip: float = 5.0,
    micro_batches: int = 1,
    after_step: Callable[[int], None] | None = None,
    description: str = "training",
    progress: bool = True,
) -> None:
    """Trains a supernet on subnets of it, in place.

    Args:
        net: The supernet, or whatever else takes images and an architecture; its device is used.
        optimizer: Optimizer over its parameters.
        task: The task; only its train split is touched.
        sampler: Gives the subnets of a step; the first is the teacher of the others.
        schedule: Gives the learning rate of a step.
        steps: Numbers of the steps to do.
        batch_size: Images a step, over all processes.
        seed: Seed of the batches and of their augmentation.
        distill: Whether the subnets after the first also learn from the first one's predictions.
        clip: Largest norm of the gradient.
        micro_batches: Parts into which each process cuts its images, one after another, to save
            memory. Batch norm sees one part at a time.
        after_step: Called with the number of each finished step.
        description: Label of the progress bar.
        progress: Whether to show the progress bar.

    Raises:
        FloatingPointError: If the loss of a subnet is not finite, naming subnet and step. The
            weights are those of the step before.
        RuntimeError: If the device is out of memory, with the number of micro-batches to try.
    """
    net.train()
    device = device_of(net)
    scaler = torch.amp.GradScaler(device.type, enabled=half_precision(device) == torch.float16)
    parts = micro_batches * world_size()
    bar = tqdm(
        steps, desc=description, unit="step", disable=not progress or rank() > 0, leave=False
    )
    for step in bar:
        for group in optimizer.param_groups:
            group["lr"] = schedule(step)
        images, labels = training_batch(task, task.train, batch_size, step, seed, device)
        optimizer.zero_grad(set_to_none=True)
        archs, losses = sampler(step), []
        try:
            for part in range(rank() * micro_batches, (rank() + 1) * micro_batches):
                piece = slice(part, None, parts)
                losses.append(
                    add_gradients(
                        net, task, images[piece], labels[piece], archs,
                        distill=distill, share=1 / micro_batches, scale=scaler.scale,
                    )
                )  # fmt: skip
        except torch.OutOfMemoryError:
            raise RuntimeError(
                f"{device} is out of memory with {len(images) // parts} images at a time: pass "
                f"micro_batches={2 * micro_batches}, or a smaller batch size."
            ) from None
        loss = checked_mean(torch.stack(losses), archs, step)
        scaler.unscale_(optimizer)
        average_gradients(net)
        nn.utils.clip_grad_norm_(net.parameters(), clip)
        scaler.step(optimizer)
        scaler.update()
        bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
        if after_step is not None:
            after_step(step)


def add_gradients(
    net: nn.Module,
    task: Task,
    images: Tensor,
    labels: Tensor,
    archs: Sequence[Architecture],
    *,
    distill: bool = True,
    share: float = 1.0,
    scale: Callable[[Tensor], Tensor] = lambda loss: loss,
) -> Tensor:
    """Adds up the gradients of several subnets on one batch (NAT, 4 subnets a step).

    The first subnet learns from the labels. With `distill`, the others minimise
    cross-entropy with the labels + cross-entropy with the first one's predictions (CE + KD).

    Args:
        net: The supernet.
        task: The task.
        images: uint8 `(n, 3, h, w)`.
        labels: int64 `(n,)`.
        archs: The subnets.
        distill: Whether the first subnet teaches the others.
        share: Factor of the gradients.
        scale: Scales the loss before it is differentiated.

    Returns:
        Cross-entropy of each subnet with the labels, `(len(archs),)`.
    """
    soft_labels, losses = None, []
    for arch in archs:
        x = to_input(images, arch.resolution, task, images.device)
        with mixed_precision(images.device):
            logits = within_part(net(x, arch), labels, task)
        loss = F.cross_entropy(logits.float(), labels)
        losses.append(loss.detach())
        if distill and soft_labels is not None:
            loss = loss + F.cross_entropy(logits.float(), soft_labels)
        scale(loss * share).backward()
        if soft_labels is None:
            soft_labels = logits.detach().float().softmax(dim=1)
    return torch.stack(losses)


def checked_mean(losses: Tensor, archs: Sequence[Architecture], step: int) -> float:
    """Returns the mean of the losses `(parts, len(archs))` of a step.

    Raises:
        FloatingPointError: If one of them is not finite, naming the subnet.
    """
    mean = losses.mean().item()
    if not math.isfinite(mean):
        wrong = int((~losses.isfinite()).any(dim=0).nonzero()[0])
        raise FloatingPointError(
            f"The loss of subnet {archs[wrong]} was no finite number at step {step}: "
            "lower the learning rate or the gradient clip."
        )
    return mean


def training_batch(
    task: Task, split: Split, batch_size: int, step: int, seed: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Returns the augmented images, uint8 `(n, 3, h, w)`, and the labels of a numbered step."""
    index = batch_indices(len(split.labels), min(batch_size, len(split.labels)), step, seed)
    generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
    images = augment(split.images[index].to(device), generator, task.flip)
    return images, split.labels[index].to(device)


def device_of(net: nn.Module) -> torch.device:
    """Returns the device of a module's parameters."""
    return next(net.parameters()).device
