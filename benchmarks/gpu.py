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

import torch

from natlib import SearchSpace, Supernet, Task
from natlib.data import SPLITS, Split, make_task
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
    return make_task("made up", names, dict.fromkeys(SPLITS, split))


def measure(
    space: SearchSpace,
    task: Task,
    device: torch.device,
    dtype: torch.dtype | None,
    steps: int,
    batch: int,
) -> tuple[list[float], float, float]:
    """Trains and returns the teacher's loss at each step, images a second and GB at the peak.

    `dtype` is the type of autocast, or `None` for float32.
    """
    torch.manual_seed(0)
    net = Supernet(space, CLASSES).to(device, memory_format=torch.channels_last)
    sampler, losses = uniform_subnets(space, 4, seed=0), []
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)

    def watch(step: int) -> None:
        images, labels = training_batch(task, batch, step, 0, device)
        loss = add_gradients(net, task, images, labels, sampler(step)[:1], dtype=dtype)
        losses.append(float(loss.mean()))

    optimizer, schedule, untimed = make_optimizer(net), cosine(0.01, steps), min(5, steps - 1)
    options = {"batch_size": batch, "dtype": dtype, "progress": False}
    train(net, optimizer, task, sampler, schedule, range(untimed), **options)
    begin = time.perf_counter()
    train(net, optimizer, task, sampler, schedule, range(untimed, steps), **options)
    rate = (steps - untimed) * batch * 5 / (time.perf_counter() - begin)
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
    for name, dtype in (("float32", None), ("mixed", half_precision(device))):
        sizes = arguments.steps, arguments.batch
        losses, rate, peak = measure(space, task, device, dtype, *sizes)
        curve = " ".join(f"{loss:.3f}" for loss in losses[:: max(1, len(losses) // 8)])
        print(f"{name:8s} ({dtype}): {rate:.0f} subnet images/s, peak {peak:.2f} GB, loss {curve}")


if __name__ == "__main__":
    main()
