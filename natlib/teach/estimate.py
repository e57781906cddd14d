"""What transfers will take, before they start: a few steps are timed and multiplied."""

import argparse
import copy
import sys
import timeit
from collections.abc import Callable, Sequence
from dataclasses import replace

import pandas as pd
import torch
from psutil import Process

from natlib import SearchSpace, Supernet, train
from natlib.data import SPLITS, Split, make_task
from natlib.evaluate import evaluate
from natlib.inputs.processes import rank, world_size
from natlib.paper.datasets import DATA_SETS
from natlib.profiles import PROFILES, Profile, get_profile
from natlib.transfer import Transfer, measure, train_to


def estimate(run: Transfer, trials: int = 3) -> pd.DataFrame:
    """Predicts what a run that has not begun takes, from `trials` steps on a copy of its supernet.

    Returns one row per phase, `times` (how often), `each` (seconds) and `minutes`, and the `total`.
    """
    p, adapts = run.profile, run.settings.mode != "none"
    learner, average, optimizer = copy.deepcopy((run.learner, run.average, run.optimizer))
    trial = replace(run, learner=learner, average=average, optimizer=optimizer)
    trial.progress, trial.run_dir = False, None
    always, n = ("largest", *p.always), p.subnets_per_step
    sampler = train.uniform_subnets(run.space, n, run.settings.seed, always)
    X = run.space.sample(trials + 1, run.settings.seed)
    step = seconds_each(lambda i: train_to(trial, i + 1, sampler, lambda step: 0.0), trials)
    evaluation = seconds_each(lambda i: measure(trial, X[i : i + 1]), trials)
    again = p.archive + p.candidates * (p.iterations + 1) / 2 if adapts else 0
    counts = {
        "warm-up": (run.warmup_steps, step),
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
    """Returns the least seconds of `work(1)` to `work(trials)`, after an untimed `work(0)`."""
    times = [timeit.timeit(lambda i=i: work(i), number=1) for i in range(trials + 1)]
    return min(times[1:])  # what else the machine does only makes it longer


def outlook(run: Transfer) -> None:
    """Prints what a run that has not begun will take."""
    minutes = estimate(run, trials=2).loc["total", "minutes"]
    if rank() == 0:
        where = f"{train.device_of(run.net)}, {world_size()} process(es)"
        told = f"about {minutes:.0f} minutes, and {memory_gb(run):.1f} GB of memory"
        print(f"{run.task.name} on {where}: {told}, as a few steps showed.")


def memory_gb(run: Transfer) -> float:
    """Returns how much memory was taken at most: of the card that a run is on, else in all."""
    device = train.device_of(run.net)
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    if sys.platform == "win32":
        return Process().memory_info().peak_wset / 1e9
    from resource import RUSAGE_SELF, getrusage

    return getrusage(RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9


def throughput(net: Supernet, batch_size: int = 8, trials: int = 2) -> tuple[float, float]:
    """Measures how many images a second and subnet a supernet takes, in training and evaluation.

    Four uniformly drawn subnets see each of `trials` batches. The supernet keeps its weights.
    """
    side = max(net.space.resolutions)
    noise = torch.randint(256, (batch_size, 3, side, side), generator=torch.Generator()).byte()
    split = Split(noise, torch.zeros(batch_size, dtype=torch.int64))
    task = make_task("noise", ("noise",), dict.fromkeys(SPLITS, split))
    sampler, X = train.uniform_subnets(net.space, 3, seed=0), net.space.sample(4, 0)
    fixed = (net, train.make_optimizer(net), task, sampler, lambda step: 0.0)
    size, how = {"batch_size": batch_size}, {"calibration": batch_size, "progress": False}
    step = seconds_each(lambda i: train.train(*fixed, [i], **size, progress=False), trials)
    evaluation = seconds_each(lambda i: evaluate(net, X, task, **how), trials)
    return 4 * batch_size / step, 8 * batch_size / evaluation  # 4 more to recalibrate batch norm


def estimated_hours(profile: Profile, training: float, evaluation: float) -> pd.DataFrame:
    """Predicts the hours of a transfer to each data set of the paper, given its `throughput`.

    Columns `training`, `evaluation` and `hours`, of both. Loading and searching are left out.
    """
    p, sets = profile, pd.DataFrame(DATA_SETS.values(), pd.Index(DATA_SETS, name="data set"))
    subnets = p.warmup_largest * len(getattr(SearchSpace, p.space)().widths)
    drawn, teacher = p.subnets_per_step + len(p.always), 1 if p.teacher == "first" else 1 / 3
    subnets += p.warmup_uniform * (1 + drawn) + p.iterations * p.adapt * (teacher + drawn)
    images = (sets.train // p.batch_size).clip(lower=p.min_steps) * p.batch_size * subnets
    again = p.archive + p.candidates * (p.iterations + 1) / 2
    seen = sets.valid.clip(upper=p.validation) + sets.train.clip(upper=p.calibration)
    seen *= p.archive + p.iterations * (p.candidates + again)
    hours = {"training": images / training / 3600, "evaluation": seen / evaluation / 3600}
    return pd.DataFrame(hours).assign(hours=lambda table: table.sum(axis=1))


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures this computer's speed, and predicts the hours for data sets of the paper."""
    parser = argparse.ArgumentParser("python -m natlib estimate", description=main.__doc__)
    add = parser.add_argument
    add("--tasks", nargs="+", choices=DATA_SETS, default=list(DATA_SETS), metavar="NAME",
        help=f"data sets (default: all): {', '.join(DATA_SETS)}")  # fmt: skip
    add("--profile", choices=PROFILES, help="how much to compute (default: NATLIB_PROFILE, quick)")
    add("--device", help="cuda, mps or cpu; default: the best there is")
    options = parser.parse_args(arguments)
    profile = get_profile(options.profile)
    net = Supernet(getattr(SearchSpace, profile.space)(), num_classes=1000)
    speeds = throughput(net.to(train.pick_device(options.device)))
    print("Images a second and subnet: training {:.1f}, evaluation {:.1f}.".format(*speeds))
    hours = estimated_hours(profile, *speeds).loc[options.tasks].round(2)
    print(f"Hours with profile {profile.name}:", hours, sep="\n")
