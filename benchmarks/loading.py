"""Whether reading pictures is hidden behind the training step, and what kept pictures cost.

    python benchmarks/loading.py [--steps 12]

A picture takes time to be read, here by sleeping, so that a batch takes half as long as a step.
Without workers the step then takes 1.5 times as long. Expected with one worker: less than 1.15.
Memory: pictures that are decoded and kept, beside their bytes.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from PIL import Image
from psutil import Process

from natlib import Supernet, Task, load_task
from natlib.data import Split, pretrained_path
from natlib.inputs.pictures import LazyImages
from natlib.train import make_optimizer, train

BATCH = 32


def slow(pixels: np.ndarray, seconds: float, row: int) -> Image.Image:
    """Opens a picture after some time."""
    time.sleep(seconds)
    return Image.fromarray(pixels[row])


def step_seconds(task: Task, workers: int, steps: int) -> float:
    """Returns the median seconds of a step, without the first ones, which start workers."""
    net = Supernet.load(pretrained_path("pocket")).to(memory_format=torch.channels_last)
    net.replace_classifier(task.num_classes)
    archs = [net.space.largest(), *map(net.space.decode, net.space.sample(3, 0))]
    times = []
    train(
        net, make_optimizer(net), task, lambda step: archs, lambda step: 0.01, range(steps + 3),
        batch_size=BATCH, workers=workers, progress=False,
        after_step=lambda step: times.append(time.perf_counter()),
    )  # fmt: skip
    return float(np.median(np.diff(times[2:])))


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=12)
    steps = parser.parse_args().steps
    task = load_task("animals")
    pixels = task.train.images.permute(0, 2, 3, 1).numpy()
    memory = step_seconds(task, 0, steps)
    print(f"step from memory: {1000 * memory:.0f} ms")
    for workers in (0, 1, 2):
        load = partial(slow, pixels, memory / 2 / BATCH)
        lazy = LazyImages(load, len(pixels), 32, keep=0)
        seconds = step_seconds(replace(task, train=Split(lazy, task.train.labels)), workers, steps)
        print(f"reading takes half a step, {workers} workers: {seconds / memory:.2f} times as long")
    n, side = 2000, 256
    noise = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    lazy = LazyImages(lambda row: Image.fromarray(noise), n, side)
    lazy[:10]
    before = Process().memory_info().rss
    for rows in torch.arange(n).split(100):
        lazy[rows]
    used = (Process().memory_info().rss - before) / 1e6
    print(
        f"{n} pictures of {side} px are {3 * n * side**2 / 1e6:.0f} MB; kept they took {used:.0f}"
    )


if __name__ == "__main__":
    main()
