"""What a transfer will take, before it starts: a few steps are timed and multiplied."""

from __future__ import annotations

import copy
import sys
import time
from collections.abc import Callable

import pandas as pd
import torch

from natlib.train import device_of, rank, uniform_subnets, world_size
from natlib.transfer import Transfer, measure, train_to


def estimate(run: Transfer, trials: int = 3) -> pd.DataFrame:
    """Predicts what a whole transfer takes, from a few steps on a copy of the supernet.

    Args:
        run: A run that has not begun; it is left as it is.
        trials: Steps, and evaluations, that are timed after one untimed each.

    Returns:
        One row per phase, `times` (how often), `each` (seconds) and `minutes`; `total` ends it.
    """
    p, adapts = run.profile, run.settings.mode != "none"
    trial = copy.copy(run)
    trial.net = copy.deepcopy(run.net)
    trial.optimizer = type(run.optimizer)(trial.net.parameters(), lr=0.0)
    trial.progress, trial.run_dir = False, None
    sampler = uniform_subnets(run.space, p.subnets_per_step, run.settings.seed)
    X = run.space.sample(trials + 1, run.settings.seed)
    step = seconds_each(lambda i: train_to(trial, i + 1, sampler, lambda step: 0.0), trials)
    evaluation = seconds_each(lambda i: measure(trial, X[i : i + 1]), trials)
    again = p.archive + p.candidates * (p.iterations + 1) / 2 if adapts else 0
    counts = {
        "warm-up": (run.steps_of(p.warmup_largest) + run.steps_of(p.warmup_uniform), step),
        "first archive": (p.archive, evaluation),
        "new candidates": (p.iterations * p.candidates, evaluation),
        "adaptation": (p.iterations * run.steps_of(p.adapt) * adapts, step),
        "measuring again": (round(p.iterations * again), evaluation),
    }
    table = pd.DataFrame(counts, index=["times", "each"]).T
    table["minutes"] = table.times * table.each / 60
    table.loc["total", "minutes"] = table.minutes.sum()
    return table


def seconds_each(work: Callable[[int], object], trials: int) -> float:
    """Returns the least seconds of `work(1)` to `work(trials)`, after an untimed `work(0)`.

    What else the machine does makes a trial longer, never shorter.
    """
    seconds = []
    for i in range(trials + 1):
        begin = time.perf_counter()
        work(i)
        seconds.append(time.perf_counter() - begin)
    return min(seconds[1:])


def outlook(run: Transfer) -> None:
    """Prints what a run that has not begun will take."""
    minutes = estimate(run, trials=2).loc["total", "minutes"]
    if rank() == 0:
        where = f"{device_of(run.net)}, {world_size()} process(es)"
        memory = f"{peak_memory():.1f} GB of memory after a few steps"
        print(f"{run.task.name} on {where}: about {minutes:.0f} minutes, {memory}")


def peak_memory() -> float:
    """Returns the most memory used so far in GB: of the CUDA card, else of this process."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 1e9
    try:
        import resource
    except ImportError:  # Windows
        return float("nan")
    unit = 1 if sys.platform == "darwin" else 1024  # bytes on macOS, KiB on Linux
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9
