"""Pre-trains the pocket supernet on the source task and writes `data/pocket/supernet.safetensors`.

    python data/build_pocket.py --packages FOLDER --fetch --pretraining build/pretraining.npz
    python data/pretrain_pocket.py --data build/pretraining.npz

Every step trains the largest subnet on the labels, and the smallest and two random ones on the
labels and on the largest one's predictions. About half an hour on one CPU core.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import time
from pathlib import Path

import numpy as np
import torch

from natlib.data import POCKET, Task, read_task
from natlib.evaluate import evaluate, top1_errors
from natlib.space import SearchSpace
from natlib.supernet import Supernet
from natlib.train import cosine, make_optimizer, train, uniform_subnets

CLIPART_REPEATS = 10  # the drawings are so much fewer than the clothes
N_CLOTHES = 10


def balance(task: Task) -> Task:
    """Repeats the drawings of the train split, so that most batches hold enough of them."""
    labels = task.train.labels.numpy()
    repeats = np.where(labels < N_CLOTHES, 1, CLIPART_REPEATS)
    return dataclasses.replace(
        task, train=task.train.take(np.repeat(np.arange(len(labels)), repeats))
    )


def main() -> None:
    """Trains, measures and writes the supernet."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="what build_pocket.py wrote")
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--lr", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=POCKET / "supernet.safetensors")
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)
    task = balance(read_task(arguments.data, "source", flip=True))
    space = SearchSpace.pocket()
    net = Supernet(space, task.num_classes).to(memory_format=torch.channels_last)
    begin = time.perf_counter()

    def tell(step: int) -> None:
        if step % 200 == 0:
            print(f"step {step}, {time.perf_counter() - begin:.0f} s", flush=True)

    train(
        net,
        make_optimizer(net),
        task,
        uniform_subnets(space, 3, arguments.seed, ("largest", "smallest")),
        cosine(arguments.lr, arguments.steps, warmup=arguments.steps // 10),
        range(arguments.steps),
        batch_size=arguments.batch_size,
        seed=arguments.seed,
        after_step=tell,
        progress=False,
    )
    ends = np.stack([space.encode(space.largest()), space.encode(space.smallest())])
    X = np.vstack([ends, space.sample(30, arguments.seed)])
    top1 = 100 - top1_errors(evaluate(net, X, task, progress=False))
    figures = (
        f"source task, validation split, top-1: largest {top1[0]:.1f}%, smallest {top1[1]:.1f}%, "
        f"30 random subnets {top1[2:].mean():.1f} +- {top1[2:].std(ddof=1):.1f}%"
    )
    command = f"python data/pretrain_pocket.py --steps {arguments.steps} --seed {arguments.seed}"
    net.save(arguments.out, command=command, date=time.strftime("%Y-%m-%d"), figures=figures)
    write_checksum(arguments.out)
    print(figures)


def write_checksum(path: Path) -> None:
    """Enters a file into the `checksums.json` beside it."""
    checksums = path.parent / "checksums.json"
    sums = json.loads(checksums.read_text("utf-8")) if checksums.exists() else {}
    sums[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    checksums.write_text(json.dumps(sums, indent=1, sort_keys=True) + "\n", "utf-8")


if __name__ == "__main__":
    main()
