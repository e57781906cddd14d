"""A training step at the paper's scale on a GPU: throughput, memory, float32 against mixed.

    python benchmarks/gpu.py [--steps 50] [--batch 96] [--side 224]

Teacher and four subnets of the paper's space a step, on made-up pictures of ten classes. Expect
mixed precision to need about half the memory of float32, to be faster on cards with tensor cores,
and to follow its loss curve closely. `--device cpu --batch 4 --side 64 --steps 3` rehearses it
without a GPU.
"""

from __future__ import annotations

import argparse
import time
from unittest.mock import patch

import torch

from natlib.data import Split, Task, make_task
from natlib.space import SearchSpace
from natlib.supernet import Supernet
from natlib.train import (
    add_gradients,
    cosine,
    half_precision,
    make_optimizer,
    pick_device,
    train,
    training_batch,
    uniform_subnets,
)

CLASSES = 10


def made_up_task(n: int, side: int) -> Task:
    """Returns pictures of coloured noise whose class is a colour: learnable, and quickly made."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, CLASSES, (n,), generator=generator)
    colours = torch.randint(60, 196, (CLASSES, 3, 1, 1), generator=generator)
    noise = torch.randint(-60, 60, (n, 3, side, side), generator=generator)
    split = Split((colours[labels] + noise).to(torch.uint8), labels)
    names = tuple(str(c) for c in range(CLASSES))
    return make_task("made up", names, {"train": split, "valid": split, "test": split})


def measure(
    space: SearchSpace, task: Task, device: torch.device, steps: int, batch: int
) -> tuple[list[float], float, float]:
    """Trains and returns the teacher's loss at each step, images a second and GB at the peak."""
    torch.manual_seed(0)
    net = Supernet(space, CLASSES).to(device, memory_format=torch.channels_last)
    sampler, losses = uniform_subnets(space, 4, seed=0), []
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)

    def watch(step: int) -> None:
        images, labels = training_batch(task, task.train, batch, step, 0, device)
        losses.append(float(add_gradients(net, task, images, labels, sampler(step)[:1]).mean()))

    optimizer, schedule = make_optimizer(net), cosine(0.01, steps)
    options = {"batch_size": batch, "progress": False}
    train(net, optimizer, task, sampler, schedule, range(5), **options)
    begin = time.perf_counter()
    train(net, optimizer, task, sampler, schedule, range(5, steps), **options)
    rate = (steps - 5) * batch * 5 / (time.perf_counter() - begin)
    peak = torch.cuda.max_memory_allocated(device) / 1e9 if device.type == "cuda" else float("nan")
    train(
        net, optimizer, task, sampler, lambda step: 0.01, range(steps), after_step=watch, **options
    )
    return losses, rate, peak


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--batch", type=int, default=96)
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--device", help="default: the best there is")
    arguments = parser.parse_args()
    device = pick_device(arguments.device)
    if device.type != "cuda" and arguments.device is None:
        raise SystemExit("There is no CUDA card here: --device cpu rehearses it (see --help).")
    space = SearchSpace.paper(resolutions=(arguments.side,), widths=(1.0,))
    task = made_up_task(8 * arguments.batch, arguments.side)
    for name, kind in (("float32", None), ("mixed", half_precision(device))):
        with patch("natlib.train.half_precision", lambda device, kind=kind: kind):
            losses, rate, peak = measure(space, task, device, arguments.steps, arguments.batch)
        curve = " ".join(f"{loss:.3f}" for loss in losses[:: max(1, len(losses) // 8)])
        print(f"{name:8s} ({kind}): {rate:.0f} subnet images/s, peak {peak:.2f} GB, loss {curve}")


if __name__ == "__main__":
    main()
