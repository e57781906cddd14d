"""The training loop: supernets on any device and in several processes, step by numbered step.

Everything random in a step (its images, their augmentation, its subnets) is a function of the
seed and of the step's number, and so is the learning rate. A run that goes on after a stop is
therefore the same as one that never stopped, with weights and momentum alone to remember.

`torchrun` starts several processes that act as one: each trains the same subnets on its own part
of every batch, and gradients are averaged. What is trained when, `natlib.transfer` decides.
"""

import math
import os
from collections import deque
from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional
from tqdm.auto import tqdm

from natlib.data import Task, to_input
from natlib.inputs import demand, processes
from natlib.inputs.loading import training_batches
from natlib.inputs.processes import Stopped, rank, world_size
from natlib.space import Architecture, IntMatrix, SearchSpace

Sampler = Callable[[int], list[Architecture]]
Schedule = Callable[[int], float]
Names = tuple[str, ...]

BEHIND = 2  # steps after which losses on a card are looked at


def train(
    net: nn.Module,  # the supernet, or whatever else takes images and an architecture
    optimizer: torch.optim.Optimizer, task: Task,  # of which only the train split is touched
    sampler: Sampler,  # gives the subnets of a step
    schedule: Schedule,  # gives the learning rate of a step
    steps: range, *,  # numbers of the steps to do
    batch_size: int,  # images a step, over all processes
    seed: int = 0,  # of the batches and their augmentation
    teacher: nn.Module | str | None = "first",  # of a step; or a Subnet in eval mode; or none
    augment: str = "shift",  # a key of natlib.inputs.loading.CHANGES
    dtype: torch.dtype | str | None = "auto",  # of autocast: half_precision; None is float32
    clip: float = 5.0,  # largest norm of the gradient
    micro_batches: int = 1,  # parts into which a process cuts its images, to save memory
    workers: int = 0,  # processes that read pictures ahead
    after_step: Callable[[int], None] = lambda step: None,
    description: str = "training", progress: bool = True,  # the bar's label; whether to show it
) -> None:  # fmt: skip
    """Trains a supernet on subnets of it, in place (NAT, steps 0 and 2e).

    A loss that is not finite is a `FloatingPointError` that names subnet and step; weights are as
    before it. A device out of memory is a `RuntimeError` with the number of micro-batches to try.
    """
    net.train()
    device, parts = device_of(net), _parts(task, batch_size, micro_batches)
    dtype = half_precision(device) if dtype == "auto" else dtype
    batches = training_batches(
        task.train.images, task.train.labels, steps, batch_size=batch_size, seed=seed,
        device=device, augment=augment, flip=task.flip, crop=task.crop, parts=parts,
        process=(rank(), world_size()), workers=workers,
    )  # fmt: skip
    shown = {"unit": "step", "leave": False, "disable": not progress or rank() > 0}
    with processes.stoppable() as signals:
        update = _Update(net, optimizer, dtype, clip, signals)
        how = {"teacher": teacher, "dtype": dtype, "scale": update.scaler.scale}
        how["crop"] = task.crop if augment == "shift" else 1.0  # the others crop at random
        for step, pieces in zip(bar := tqdm(steps, description, **shown), batches, strict=True):
            archs, losses = sampler(step), []
            with processes.memory_advice(device, len(pieces[0][0]), parts):
                for *piece, share in pieces:
                    losses.append(add_gradients(net, task, *piece, archs, share=share, **how))
            update(step, schedule(step), archs, torch.stack(losses).mean(dim=0))
            bar.set_postfix(loss=update.loss, refresh=False)
            after_step(step)
            update.stop_if_told()
        update.look(behind=0)


def add_gradients(
    net: nn.Module, task: Task, images: Tensor, labels: Tensor, archs: Sequence[Architecture], *,
    teacher: nn.Module | str | None = "first", dtype: torch.dtype | None = None,  # as for train
    share: float = 1.0,  # factor of the gradients
    crop: float = 1.0,  # share of the pictures' sides that is seen
    scale: Callable[[Tensor], Tensor] = lambda loss: loss,  # of the loss that is differentiated
) -> Tensor:  # fmt: skip
    r"""Adds up the gradients of several subnets on one batch (NAT, 4 subnets a step).

    A subnet that predicts :math:`\pi` minimises :math:`\mathrm{CE}(\text{label}, \pi)`, and with a
    teacher that predicts :math:`\pi_0` the sum of that and :math:`\mathrm{CE}(\pi_0, \pi)`:
    knowledge distillation, CE + KD. Images are uint8 `(n, 3, h, w)`, labels int64 `(n,)`; what
    returns is the cross-entropy of each subnet with the labels, `(len(archs),)`.
    """

    def predict(model: Callable[..., Tensor], resolution: int, *arch: Architecture) -> Tensor:
        x = to_input(images, resolution, task, images.device, crop)
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


def _parts(task: Task, batch_size: int, parts: int) -> int:
    """Returns into how many parts a process cuts its images: none has a single one."""
    n = min(batch_size, len(task.train))
    demand(n >= 2 * world_size(), "settings.processes", n=n, processes=world_size())
    return min(parts, n // (2 * world_size()))


class _Update:
    """Changes the weights by a step; sees losses that are not finite, and signals.

    On a card it looks at losses two steps later, and a scaler skips such a step there. All
    processes see the same in the same step.
    """

    def __init__(self, net, optimizer, dtype: torch.dtype | None, clip: float, signals: list[int]):
        self.net, self.optimizer, self.clip, self.signals = net, optimizer, clip, signals
        self.device, self.loss, self.told = device_of(net), "", 0.0
        on_card = self.device.type == "cuda"
        how = {"init_scale": 1.0, "growth_interval": 2**30, "enabled": on_card}
        how = {} if dtype == torch.float16 else how
        self.scaler = torch.amp.GradScaler(self.device.type, **how)
        self.behind, self.noted = BEHIND if on_card else 0, deque()
        weights = [w for g in optimizer.param_groups if g["fused"] for w in g["params"]]
        for weight in weights:  # a fused step wants momentum for all, and in their layout
            momentum, own = torch.zeros_like(weight), optimizer.state[weight]
            own["momentum_buffer"] = momentum.copy_(own.get("momentum_buffer", momentum))
        optimizer.zero_grad(set_to_none=True)

    def __call__(self, step: int, lr: float, archs: list[Architecture], losses: Tensor) -> None:
        """Averages gradients over the processes and applies them; `losses` are `(len(archs),)`."""
        processes.average_gradients(self.net)  # before unscaling: all skip what overflows
        told = torch.full((1,), float(len(self.signals)), device=self.device)
        seen, ready = torch.cat([losses, told]), None
        if world_size() > 1:
            dist.all_reduce(seen)
        if self.device.type == "cuda":
            seen, ready = seen.to("cpu", non_blocking=True), torch.cuda.Event()
            ready.record()
        self.noted.append((step, archs, seen, ready))
        self.look(self.behind)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.scaler.unscale_(self.optimizer)
        nn.utils.clip_grad_norm_(self.net.parameters(), self.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)

    def look(self, behind: int) -> None:
        """Looks at all noted losses but the last `behind`."""
        while len(self.noted) > behind:
            step, archs, seen, ready = self.noted.popleft()
            if ready is not None:
                ready.synchronize()
            *losses, self.told = (seen / world_size()).tolist()
            for arch, loss in zip(archs, losses, strict=True):
                if not math.isfinite(loss):
                    told = f"The loss of subnet {arch} was no finite number at step {step}"
                    advice = "lower the learning rate or the gradient clip"
                    raise FloatingPointError(f"{told}: {advice}.")
            self.loss = f"{np.mean(losses):.3f}"

    def stop_if_told(self) -> None:
        """Raises `Stopped` if a signal has come to any process."""
        if self.told > 0 if world_size() > 1 else self.signals:
            raise Stopped


def make_optimizer(net: nn.Module) -> torch.optim.SGD:
    """Returns SGD with momentum; the learning rate is set at each step by a schedule."""
    fused = device_of(net).type == "cuda"
    how = {"momentum": 0.9, "weight_decay": 3e-4, "nesterov": True, "fused": fused}
    return torch.optim.SGD(net.parameters(), 0.0, **how)


def cosine(peak: float, total: int, warmup: int = 0, first: int = 0) -> Schedule:
    """Returns a rate that rises in `warmup` steps to `peak`, then falls to 0 at `first + total`."""

    def schedule(step: int) -> float:
        step = step - first
        if step < warmup:
            return peak * (step + 1) / warmup
        return peak * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))

    return schedule


def uniform_subnets(space: SearchSpace, n: int, seed: int, always: Names = ("largest",)) -> Sampler:
    """Returns a sampler that gives the subnets of `always` and `n` uniformly drawn ones."""
    return subnets_from(space, lambda rng: space.sample(n, rng), seed, always)


def subnets_from(
    space: SearchSpace,
    draw: Callable[[np.random.Generator], IntMatrix],
    seed: int,
    always: Names = ("largest",),  # what every step trains first: that, the "smallest", or none
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
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    available = [kind for kind in ("cuda", "mps", "cpu") if there.get(kind, True)]
    name = name or available[0]
    if name.split(":")[0] not in available:
        raise ValueError(f"Device '{name}' is not available here: choose from {available}.")
    if name == "cuda" and "LOCAL_RANK" in os.environ:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count())
        name = f"cuda:{torch.cuda.current_device()}"
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
