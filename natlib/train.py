"""The training loop: supernets on any device and in several processes, step by numbered step.

Everything random in a step (its images, their augmentation, its subnets) is a function of the
seed and of the step's number, and so is the learning rate. A run that goes on after a stop is
therefore the same as one that never stopped, with weights and momentum alone to remember.

`torchrun` starts several processes that act as one: each trains the same subnets on its own part
of every batch, and gradients are averaged. What is trained when, `natlib.transfer` decides.
"""

import atexit
import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from tqdm.auto import tqdm

from natlib.data import Task, batch_indices, shift_and_flip, to_input
from natlib.inputs import demand
from natlib.space import Architecture, IntMatrix, SearchSpace

Sampler = Callable[[int], list[Architecture]]
Schedule = Callable[[int], float]
Names = tuple[str, ...]
Augmentation = Callable[[Tensor, torch.Generator, bool], Tensor]

LARGEST = ("largest",)  # the teacher of a step comes first


def train(
    net: nn.Module,  # the supernet, or whatever else takes images and an architecture
    optimizer: torch.optim.Optimizer, task: Task,  # of which only the train split is touched
    sampler: Sampler,  # gives the subnets of a step
    schedule: Schedule,  # gives the learning rate of a step
    steps: range, *,  # numbers of the steps to do
    batch_size: int,  # images a step, over all processes
    seed: int = 0,  # of the batches and their augmentation
    teacher: nn.Module | str | None = "first",  # of a step; or a Subnet in eval mode; or none
    augment: Augmentation = shift_and_flip,
    dtype: torch.dtype | str | None = "auto",  # of autocast: half_precision; None is float32
    clip: float = 5.0,  # largest norm of the gradient
    micro_batches: int = 1,  # parts into which a process cuts its images, to save memory
    after_step: Callable[[int], None] = lambda step: None,
    description: str = "training", progress: bool = True,  # the bar's label; whether to show it
) -> None:  # fmt: skip
    """Trains a supernet on subnets of it, in place (NAT, steps 0 and 2e).

    A loss that is not finite is a `FloatingPointError` that names subnet and step, before weights
    change; a device out of memory is a `RuntimeError` with the number of micro-batches to try.
    """
    net.train()
    device, micro_batches = device_of(net), _parts(task, batch_size, micro_batches)
    dtype = half_precision(device) if dtype == "auto" else dtype
    scaler = torch.amp.GradScaler(device.type, enabled=dtype == torch.float16)
    how = {"unit": "step", "leave": False, "disable": not progress or rank() > 0}
    for step in (bar := tqdm(steps, desc=description, **how)):
        for group in optimizer.param_groups:
            group["lr"] = schedule(step)
        optimizer.zero_grad(set_to_none=True)
        images, labels = training_batch(task, batch_size, step, seed, device, augment)
        archs, losses = sampler(step), []
        how = {"teacher": teacher, "dtype": dtype, "scale": scaler.scale}
        at_a_time = len(images) // (micro_batches * world_size())
        with _memory_advice(device, at_a_time, micro_batches):
            for *piece, share in _pieces(images, labels, micro_batches):
                losses.append(add_gradients(net, task, *piece, archs, share=share, **how))
        loss = _finite_mean(torch.stack(losses), archs, step)
        average_gradients(net)  # before unscaling: an overflow anywhere makes all skip the step
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(net.parameters(), clip)
        scaler.step(optimizer)
        scaler.update()
        bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
        after_step(step)


def add_gradients(
    net: nn.Module, task: Task, images: Tensor, labels: Tensor, archs: Sequence[Architecture], *,
    teacher: nn.Module | str | None = "first", dtype: torch.dtype | None = None,  # as for train
    share: float = 1.0,  # factor of the gradients
    scale: Callable[[Tensor], Tensor] = lambda loss: loss,  # of the loss that is differentiated
) -> Tensor:  # fmt: skip
    r"""Adds up the gradients of several subnets on one batch (NAT, 4 subnets a step).

    A subnet that predicts :math:`\pi` minimises :math:`\mathrm{CE}(\text{label}, \pi)`, and with a
    teacher that predicts :math:`\pi_0` the sum of that and :math:`\mathrm{CE}(\pi_0, \pi)`:
    knowledge distillation, CE + KD. Images are uint8 `(n, 3, h, w)`, labels int64 `(n,)`; what
    returns is the cross-entropy of each subnet with the labels, `(len(archs),)`.
    """

    def predict(model: Callable[..., Tensor], resolution: int, *arch: Architecture) -> Tensor:
        x = to_input(images, resolution, task, images.device)
        with autocast(images.device, dtype):
            return task.within(model(x, *arch), labels).float()

    soft_labels, losses = None, []
    if isinstance(teacher, nn.Module):
        with torch.no_grad():
            soft_labels = predict(teacher, teacher.arch.resolution).softmax(dim=1)
    for arch in archs:
        logits = predict(net, arch.resolution, arch)
        loss = functional.cross_entropy(logits, labels)
        losses.append(loss.detach())
        if soft_labels is not None:
            loss = loss + functional.cross_entropy(logits, soft_labels)
        elif teacher == "first":
            soft_labels = logits.detach().softmax(dim=1)
        scale(loss * share).backward()
    return torch.stack(losses)


def training_batch(
    task: Task, batch_size: int, step: int, seed: int, device: torch.device | str,
    augment: Augmentation = shift_and_flip,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Returns the augmented images, uint8 `(n, 3, h, w)`, and the labels of a numbered step."""
    n = len(task.train)
    index = batch_indices(n, min(batch_size, n), step, seed)
    generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
    images = augment(task.train.images[index].to(device), generator, task.flip)
    return images, task.train.labels[index].to(device)


def _parts(task: Task, batch_size: int, parts: int) -> int:
    """Returns into how many parts a process cuts its images: none has a single one."""
    n = min(batch_size, len(task.train))
    demand(n >= 2 * world_size(), "settings.processes", n=n, processes=world_size())
    return min(parts, n // (2 * world_size()))


def _pieces(images: Tensor, labels: Tensor, parts: int) -> Iterator[tuple[Tensor, Tensor, float]]:
    """Yields the parts of this process, and the share of each: every image counts the same."""
    n = parts * world_size()
    for part in range(rank() * parts, (rank() + 1) * parts):
        piece = images[part::n], labels[part::n]
        yield *piece, len(piece[1]) * world_size() / len(labels)


def _finite_mean(losses: Tensor, archs: Sequence[Architecture], step: int) -> float:
    mean = losses.mean().item()
    if not math.isfinite(mean):
        wrong = int((~losses.isfinite()).any(dim=0).nonzero()[0])
        raise FloatingPointError(
            f"The loss of subnet {archs[wrong]} was no finite number at step {step}: "
            "lower the learning rate or the gradient clip."
        )
    return mean


@contextmanager
def _memory_advice(device: torch.device, images: int, parts: int) -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError:
        told = f"{device} is out of memory with {images} images at a time"
        advice = f"pass micro_batches={2 * parts}, or a smaller batch size"
        raise RuntimeError(f"{told}: {advice}.") from None


def make_optimizer(net: nn.Module) -> torch.optim.SGD:
    """Returns SGD with momentum; the learning rate is set at each step by a schedule."""
    return torch.optim.SGD(net.parameters(), 0.0, momentum=0.9, weight_decay=3e-4, nesterov=True)


def cosine(peak: float, total: int, warmup: int = 0, first: int = 0) -> Schedule:
    """Returns a rate that rises in `warmup` steps to `peak`, then falls to 0 at `first + total`."""

    def schedule(step: int) -> float:
        step = step - first
        if step < warmup:
            return peak * (step + 1) / warmup
        return peak * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))

    return schedule


def uniform_subnets(space: SearchSpace, n: int, seed: int, always: Names = LARGEST) -> Sampler:
    """Returns a sampler that gives the subnets of `always` and `n` uniformly drawn ones."""
    return subnets_from(space, lambda rng: space.sample(n, rng), seed, always)


def subnets_from(
    space: SearchSpace,
    draw: Callable[[np.random.Generator], IntMatrix],
    seed: int,
    always: Names = LARGEST,  # what every step trains first: the "largest", the "smallest", or none
) -> Sampler:
    """Returns a sampler that gives the subnets of `always`, then what `draw` draws `(n, n_var)`.

    Each width has weights of its own, so a step trains one width: that of the first one drawn.
    """

    def sampler(step: int) -> list[Architecture]:
        X = draw(np.random.default_rng((seed, step)))
        X[:, 1] = X[0, 1]
        drawn = [space.decode(x) for x in X]
        return [getattr(space, name)(drawn[0].width) for name in always] + drawn

    return sampler


def pick_device(name: str | None = None) -> torch.device:
    """Returns the named device, or the best there is: CUDA (a card a process), MPS, the CPU."""
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    available = [kind for kind in there if there[kind]]
    name = name or available[0]
    if name.split(":")[0] not in available:
        raise ValueError(f"Device '{name}' is not available here: choose from {available}.")
    if name == "cuda" and "LOCAL_RANK" in os.environ:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        name = f"cuda:{os.environ['LOCAL_RANK']}"
    return torch.device(name)


def device_of(net: nn.Module) -> torch.device:
    """Returns the device of a module's parameters."""
    return next(net.parameters()).device


def half_precision(device: torch.device) -> torch.dtype | None:
    """Returns the type to compute in besides float32: bfloat16 or float16 on CUDA, else none."""
    if device.type != "cuda":  # a CPU computes these networks no faster (benchmarks/training.py)
        return None
    real = torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.bfloat16 if real else torch.float16


def autocast(device: torch.device, dtype: torch.dtype | str | None = "auto") -> torch.autocast:
    """Returns the context in which a network computes in a type; `"auto"` is `half_precision`."""
    dtype = half_precision(device) if dtype == "auto" else dtype
    return torch.autocast(device.type, dtype, enabled=dtype is not None)


def connect() -> None:
    """Joins the other processes, if `torchrun` started several: nccl on CUDA, else gloo."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
        atexit.register(dist.destroy_process_group)


def world_size() -> int:
    """Returns the number of processes."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Returns the number of this process, 0 for the one that decides, writes and prints."""
    return dist.get_rank() if dist.is_initialized() else 0


def average_gradients(net: nn.Module) -> None:
    """Replaces each gradient by its mean over the processes, in one exchange."""
    if world_size() > 1:
        gradients = [p.grad for p in net.parameters() if p.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients]) / world_size()
        dist.all_reduce(flat)
        for gradient in gradients:
            gradient.copy_(flat[: gradient.numel()].view_as(gradient))
            flat = flat[gradient.numel() :]


def add_up(values: NDArray, device: torch.device) -> NDArray:
    """Returns the sum over the processes of an integer or boolean array, on every process."""
    total = torch.from_numpy(values.astype(np.int64)).to(device)
    if world_size() > 1:
        dist.all_reduce(total)
    return total.cpu().numpy().astype(values.dtype)


def from_first(make: Callable[[], NDArray], device: torch.device) -> NDArray:
    """Lets the first process make a float64 matrix, and returns it on all: roundings may differ."""
    if world_size() == 1:
        return make()
    made = make() if rank() == 0 else np.zeros((0, 0))
    shape = torch.tensor(made.shape, device=device)
    dist.broadcast(shape, 0)
    matrix = torch.from_numpy(made if rank() == 0 else np.zeros(tuple(shape))).to(device)
    dist.broadcast(matrix, 0)
    return matrix.cpu().numpy()
