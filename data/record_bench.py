"""Measures a whole sub-space of one adapted supernet: the pocket bench, `data/tables/pocket.npz`.

    python data/record_bench.py latency     the latency table, half a minute; nothing beside it
    python data/record_bench.py measure     the errors of all subnets, an hour or more; resumable
    python data/record_bench.py pack        the table that ships

The kernel is chosen once for a network, or with `--kernels stage` for each stage; expand ratio and
depth are chosen for each stage; the resolution is any (or one of `--resolutions`). Every subnet is
measured as `natlib.evaluate.evaluate` does it, but a stage that many subnets share runs once: while
batch norm is recalibrated, what a stage gives depends on the stages before it, not on those after.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from build_tables import TABLES, ship
from record_pocket import new_supernet, train_on
from torch import Tensor, nn

from natlib.cost import CostTable
from natlib.data import DATA, Task, load_task
from natlib.deploy.latency import LatencyTable
from natlib.evaluate import InputBatches, correct_predictions, fixed_sample, recalibrate
from natlib.layers import fold_batch_norm
from natlib.space import Architecture, IntMatrix, SearchSpace
from natlib.supernet import Supernet

PARTS, TORCH = DATA.parent / "build" / "bench", torch.__version__.split("+")[0]
SPACE = SearchSpace.pocket()
TASK, SEED, STEPS, RATE = "animals", 0, 300, 0.03  # the supernet of `pocket_animals.csv`
CALIBRATION, TEST = 400, 1000  # training pictures for batch norm, test pictures; all of validation
DEPTHS = range(SPACE.min_depth, SPACE.max_depth + 1)
CHOICES = list(itertools.product(SPACE.kernels, SPACE.expands, DEPTHS))  # of one stage
Batches = list[tuple[Tensor, Tensor]]


def architecture(resolution: int, choices: tuple) -> Architecture:
    """Returns the architecture with one `(kernel, expand ratio, depth)` for each stage."""
    kernels, expands, depths = zip(*choices, strict=True)
    lists = [[v for v, d in zip(values, depths, strict=True) for _ in range(d)]
             for values in (kernels, expands)]  # fmt: skip
    return Architecture(resolution, 1.0, depths, *map(tuple, lists))


def followers(choice: tuple, kernels: str) -> list[int]:
    """Returns which choices the stages after the first may take, given that of the first."""
    free = kernels == "stage"
    return [i for i, (kernel, *_) in enumerate(CHOICES) if free or kernel == choice[0]]


def encodings(resolution: int, first: int, kernels: str) -> IntMatrix:
    """Returns the subnets with this resolution and first stage in the order of the table."""
    later = [CHOICES[i] for i in followers(CHOICES[first], kernels)]
    every = itertools.product([CHOICES[first]], *[later] * (SPACE.n_stages - 1))
    return np.stack([SPACE.encode(architecture(resolution, choices)) for choices in every])


def adapted_supernet(task: Task) -> Supernet:
    """Returns the supernet adapted to the task; it is trained once and kept."""
    path = PARTS / "supernet.safetensors"
    if not path.exists():
        net = new_supernet(task, SEED, pretrained=True)
        train_on(net, task, SEED, steps=STEPS, lr=RATE)
        net.save(path)
    return Supernet.load(path).to(memory_format=torch.channels_last)


def pieces_of(net: Supernet) -> list[list[nn.Sequential]]:
    """Cuts subnets into stages: for each stage, one module for each of `CHOICES`."""
    pieces = []
    for stage in range(SPACE.n_stages):
        pieces.append([])
        for choice in CHOICES:
            others = [CHOICES[0]] * SPACE.n_stages
            others[stage] = choice
            subnet = net.extract(architecture(SPACE.resolutions[0], tuple(others)))
            begin = 1 + sum(depth for *_, depth in others[:stage])
            layers = list(subnet.blocks[begin : begin + choice[-1]])
            if stage == 0:
                layers = [subnet.first_conv, subnet.blocks[0], *layers]
            if stage == SPACE.n_stages - 1:
                layers += [subnet.final_expand_layer, subnet.feature_mix_layer, subnet.classifier]
            pieces[-1].append(nn.Sequential(*layers))
    return pieces


class Tap(nn.Module):
    """Keeps what a module gives, which is what the next stage is calibrated on."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module, self.kept = module, []

    def forward(self, x: Tensor) -> Tensor:
        """Returns what the module makes of `x`, and keeps it."""
        self.kept.append(self.module(x))
        return self.kept[-1]


@torch.inference_mode()
def calibrated(piece: nn.Module, calibration: Batches) -> tuple[nn.Module, Batches]:
    """Returns a copy of a piece, calibrated and folded, and the next piece's calibration."""
    tap = Tap(copy.deepcopy(piece))
    recalibrate(tap, calibration)
    labels = [label for _, label in calibration]
    return fold_batch_norm(tap.module), list(zip(tap.kept, labels, strict=True))


@torch.inference_mode()
def through(piece: nn.Module, calibration: Batches, pictures: list[Batches]) -> tuple:
    """Sends calibration batches and those of the splits through one piece."""
    ready, calibration = calibrated(piece, calibration)
    parts = [[(torch.cat([ready(half) for half in x.split(50)]), y) for x, y in batches]
             for batches in pictures]  # fmt: skip
    return calibration, parts


def hits(piece: nn.Module, calibration: Batches, pictures: list[Batches]) -> Iterator[int]:
    """Yields how many validation pictures, of either half, and test pictures are right."""
    ready, _ = calibrated(piece, calibration)
    valid, test = (correct_predictions(ready, batches) for batches in pictures)
    yield from (int(valid[::2].sum()), int(valid[1::2].sum()), int(test.sum()))


def measure_first(pieces: list, first: int, kernels: str, inputs: tuple) -> np.ndarray:
    """Measures all subnets with one choice for the first stage: counts `(n, 3)`."""
    later, rows = followers(CHOICES[first], kernels), []
    inputs = through(pieces[0][first], *inputs)
    for second in later:
        inner = through(pieces[1][second], *inputs)
        rows += [[*hits(pieces[2][last], *inner)] for last in later]
    return np.array(rows, dtype=np.uint16)


def part(resolution: int, first: int, kernels: str) -> Path:
    """Returns the file of the counts with one resolution and one choice for the first stage."""
    return PARTS / f"{kernels}_{resolution}px_{first:02}.npy"


def measure(kernels: str, resolutions: list[int]) -> None:
    """Measures all subnets of these resolutions; what has been measured is kept."""
    PARTS.mkdir(parents=True, exist_ok=True)
    task = load_task(TASK)
    net = adapted_supernet(task)
    pieces = pieces_of(net)
    for resolution in resolutions:
        calibration = InputBatches(fixed_sample(task.train, CALIBRATION), resolution, task).kept
        splits = (task.valid, fixed_sample(task.test, TEST))
        pictures = [InputBatches(s, resolution, task, batch_size=500).kept for s in splits]
        for first in range(len(CHOICES)):
            path = part(resolution, first, kernels)
            if path.exists():
                continue
            counts = measure_first(pieces, first, kernels, (calibration, pictures))
            with open(path.with_suffix(".part"), "wb") as file:
                np.save(file, counts)
            path.with_suffix(".part").replace(path)
            print(time.strftime("%H:%M:%S"), path.name, len(counts), counts.mean(0), flush=True)


def pack(kernels: str, resolutions: list[int]) -> None:
    """Writes the table of all subnets of these resolutions, once all of them are measured."""
    resolutions, firsts = sorted(resolutions), range(len(CHOICES))
    parts = [part(r, first, kernels) for r in resolutions for first in firsts]
    if missing := sum(not path.exists() for path in parts):
        raise SystemExit(f"{missing} of {len(parts)} parts are not measured yet: measure first.")
    X = np.vstack([encodings(r, first, kernels) for r in resolutions for first in firsts])
    costs, latency = CostTable(SPACE, 10), LatencyTable.load(TABLES / "latency.json")
    task = load_task(TASK)
    n = len(task.valid)
    arrays = {
        "resolutions": np.array(resolutions),
        "correct": np.concatenate([np.load(path) for path in parts]),  # on each of:
        "pictures": np.array([len(range(0, n, 2)), len(range(1, n, 2)), TEST]),
        "madds": costs.madds(X).astype("u4"),
        "params": costs.params(X).astype("u4"),
        "latency_ms": latency.latency_ms(X).astype("f4"),
    }
    about = {"task": TASK, "seed": SEED, "steps": STEPS, "rate": RATE, "calibration": CALIBRATION}
    ship("pocket.npz", arrays, **about, kernels=kernels, cpu=latency.about["cpu"], torch=TORCH)


def measure_latency() -> None:
    """Times every block of the space, one thread, batch size 1."""
    TABLES.mkdir(exist_ok=True)
    table = LatencyTable.measure(
        SPACE, num_classes=len(load_task(TASK).classes), repeats=15, rounds=9
    )
    table.about["load"] = f"{os.getloadavg()[0]:.1f}"
    table.save(TABLES / "latency.json")


def main() -> None:
    """Does one of the steps."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["latency", "measure", "pack"])
    parser.add_argument("--kernels", choices=["network", "stage"], default="network")
    parser.add_argument("--resolutions", nargs="+", type=int, default=[*SPACE.resolutions])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.what == "latency":
        measure_latency()
    elif arguments.what == "measure":
        measure(arguments.kernels, arguments.resolutions)
    else:
        pack(arguments.kernels, arguments.resolutions)


if __name__ == "__main__":
    main()
