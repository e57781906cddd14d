"""Puts claims of the paper to the test at pocket scale, into `data/archives/`.

    python data/study_pocket.py modes      distribution against uniform: `modes.csv`
    python data/study_pocket.py fixed      a transfer against fixed networks: `fixed.csv`

Both take hours; `--missing` lists what is left. Each unit is recorded when it is done, and resumed
if it was stopped, so a study goes on where it was when it is called again. Several processes, one
thread each (`OMP_NUM_THREADS=1`), share a study if they are started beside each other.

The endpoints were settled before the first run; settings were chosen on seeds from 100 on.

*modes*: transfers of 10 iterations from a first archive of 100. Whatever the mode, a seed has the
same warm-up, the same first archive and as many steps on as many subnets. Endpoint: test top-1 at
equal MAdds, that is the front's test top-1, interpolated linearly in log MAdds at 8 sizes from the
least of `SIZES` to the largest, or to the limit, and averaged. A pair is a task and a seed; the
distribution is ahead of uniform if its endpoint is larger. The hypervolume by iteration is shown
beside it.

*fixed*: at each of `SIZES`, of the front of a transfer the architecture that is best on validation
among those of at most so many MAdds, as it is (`nat`) and fine-tuned alone (`nat_finetuned`); and
the network of that size of a family that is scaled uniformly, trained alone from the same pre-
trained weights (`fixed`) or from random ones (`scratch`), at the rate that its validation prefers.
Endpoint: test top-1, the mean over the four sizes, `nat_finetuned` minus `fixed`. Budgets are equal
in training MAdds: a transfer and the fine-tuning of its four networks, a tenth more, take together
as many as the four networks of the family at one rate. That only the family needs several rates is
not counted. A step counts three times the MAdds of a prediction: once forwards, twice on the way
back.
"""

from __future__ import annotations

import argparse
import itertools
import json
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from filelock import FileLock, Timeout

from natlib.cost import CostTable
from natlib.data import DATA, Task, load_task, pretrained_path, write_text
from natlib.deploy.finetune import Finetuned, finetune
from natlib.evaluate import evaluate
from natlib.inputs.folders import stratified_cut
from natlib.profiles import PROFILES, Profile
from natlib.space import Architecture, SearchSpace
from natlib.supernet import Supernet
from natlib.train import pick_device
from natlib.transfer import (
    Transfer,
    transfer,
)  # fmt: skip

ARCHIVES = DATA / "archives"
WORK = DATA.parent / "build" / "studies"  # run folders and locks
TASKS = ("animals", "digits")
QUICK = PROFILES["quick"]
SPACE = SearchSpace.pocket()


@dataclass(frozen=True)
class Unit:
    """What is done in one piece; a study leaves open what it does not vary."""

    task: str
    seed: int
    mode: str | None = None  # of study 1
    fraction: float | None = None  # of the train split
    budget: float | None = None  # in times the quick profile's training
    method: str | None = None

    @property
    def columns(self) -> dict:
        """What names the unit in its table."""
        return {k: v for k, v in vars(self).items() if v is not None}

    def __str__(self) -> str:
        return "-".join(map(str, self.columns.values()))


def uniform_network(resolution: int, depth: int, kernel: int, expand: int) -> Architecture:
    """Returns a network of the family that is scaled uniformly: all layers and stages alike."""
    stages = len(SPACE.stage_widths)
    layers = [kernel] * depth * stages, [expand] * depth * stages, [depth] * stages
    names = {"r": resolution, "w": 1.0} | dict(zip(("ks", "e", "d"), layers, strict=True))
    return Architecture.from_dict(names)


SIZES = {  # MAdds that name the networks of the family: resolution, depth, kernel, expand ratio
    0.45e6: uniform_network(16, 1, 3, 2),
    1.34e6: uniform_network(20, 2, 3, 2),
    3.83e6: uniform_network(24, 2, 5, 4),
    10.26e6: uniform_network(32, 3, 5, 4),
}

# Study 1
LONG = replace(QUICK, iterations=10, archive=100, validation=500, calibration=300)
LIMIT = 1.5e6
MODES = {  # mode of adaptation, smoothing, limit in MAdds
    "uniform": ("uniform", 1.0, None),
    "distribution": ("distribution", 1.0, None),
    "little smoothing": ("distribution", 0.1, None),
    "uniform, limit": ("uniform", 1.0, LIMIT),
    "distribution, limit": ("distribution", 1.0, LIMIT),
    "none": ("none", 1.0, None),
}

# Study 2
BUDGETS, FRACTIONS = (1.0, 0.25, 0.0625, 4.0, 16.0), (1.0, 0.25, 0.06)
RATES = (0.1, 0.2, 0.4)  # widened as long as the best is at an edge
FINETUNE_LR = 0.1  # of the networks that a transfer chose
FINETUNE_SHARE = 0.1  # of the transfer's training MAdds
TOTAL = 1 + FINETUNE_SHARE  # of the family as well
MADDS_OF_STEP = 3  # a step costs three times the MAdds of a prediction
COLUMNS = {
    "modes": [
        "task", "seed", "mode", "limit", "iteration", "hypervolume", "best_err", "kendall",
        "train_madds", "evaluations", "test_at_equal_madds",
    ],
    "fixed": [
        "task", "seed", "fraction", "budget", "method", "size", "architecture", "madds",
        "test_top1", "valid_top1", "train_madds", "measure_madds", "lr", "trials",
    ],
}  # fmt: skip


def madds_of(arch: Architecture, task: Task) -> int:
    """Returns the MAdds of an architecture."""
    return int(CostTable(SPACE, task.num_classes).madds(SPACE.encode(arch)[None])[0])


def grid(limit: float | None) -> np.ndarray:
    """Returns the eight MAdds at which fronts are compared."""
    return np.geomspace(min(SIZES), limit or max(SIZES), 8)


def test_at(run: Transfer, madds: np.ndarray) -> float:
    """Returns the front's test top-1 in percent, interpolated at some MAdds, and averaged."""
    rows = run.archive.front
    correct = evaluate(
        run.net, run.archive.X[rows], run.task, "test", calibration=run.profile.calibration,
        progress=False,
    )  # fmt: skip
    found = np.log(run.costs["madds"](run.archive.X[rows]))
    return float(np.interp(np.log(madds), found, 100 * correct.mean(axis=1)).mean())


def mode_of(task: Task, unit: Unit) -> Iterator[dict]:
    """Does a transfer of study 1: a row for the first archive and one for each iteration."""
    mode, smoothing, limit = MODES[unit.mode]
    limits = {} if limit is None else {"madds": limit}
    how = {"mode": mode, "limits": limits, "seed": unit.seed, "progress": False}
    run = transfer(task, replace(LONG, smoothing=smoothing), run_dir=WORK / str(unit), **how)
    run.history[-1]["test_at_equal_madds"] = test_at(run, grid(limit))
    yield from ({"limit": limit} | row for row in run.history)
    shutil.rmtree(run.run_dir)


def cut(task: Task, fraction: float, seed: int) -> Task:
    """Returns a task with a part of its train split, each class in proportion."""
    if fraction == 1:
        return task
    rows = stratified_cut(task.train.labels.numpy(), round(fraction * len(task.train)), seed)
    return replace(task, train=task.train.take(rows))


def scaled(budget: float) -> Profile:
    """Returns the quick profile with so many times its training."""
    longer = {k: getattr(QUICK, k) * budget for k in ("warmup_largest", "warmup_uniform", "adapt")}
    return replace(QUICK, **longer)


def nat_of(task: Task, unit: Unit) -> Iterator[dict]:
    """Does a transfer, and fine-tunes what it finds at each size: eight rows."""
    how = {"run_dir": WORK / str(unit), "seed": unit.seed, "progress": False}
    run = transfer(task, scaled(unit.budget), **how)
    archive, share = run.archive, FINETUNE_SHARE * run.train_madds / len(SIZES)
    for size, family in SIZES.items():
        front = archive.front[archive.costs[archive.front, 0] <= madds_of(family, task)]
        arch = SPACE.decode(archive.X[front[np.argmin(archive.errors[front, 0])]])
        madds = madds_of(arch, task)
        profile = alone(share / (MADDS_OF_STEP * QUICK.batch_size * madds), FINETUNE_LR)
        tuned = finetune(run.net.extract(arch), task, profile, seed=unit.seed, progress=False)
        row = {"size": size, "architecture": str(arch), "madds": madds, "trials": 1}
        valid, looked = tuned.history.valid_top1, len(SIZES) * rounds_madds(arch, task)
        for method, test, top1, train, measure, lr in (
            ("nat", "before", valid[0], 1, 0, 0.0),
            ("nat_finetuned", "after", valid.max(), TOTAL, looked, FINETUNE_LR),
        ):
            row |= {"method": method, "test_top1": tuned.test[test], "valid_top1": top1, "lr": lr}
            row |= {"measure_madds": measured_madds(run) + measure}
            yield row | {"train_madds": train * run.train_madds}
    shutil.rmtree(run.run_dir)


def measured_madds(run: Transfer) -> int:
    """Returns what a transfer spent on measuring its archive, again in each iteration."""
    p, born = run.profile, run.archive.born
    times = 1 + run.iteration + 1 - np.maximum(born, 1)
    pictures = min(p.validation, len(run.task.valid)) + min(p.calibration, len(run.task.train))
    return int((times * run.costs["madds"](run.archive.X)).sum()) * pictures


def rounds_madds(arch: Architecture, task: Task) -> int:
    """Returns what `finetune` spends on measuring one network on validation."""
    pictures = len(task.valid) + min(QUICK.calibration, len(task.train))
    return (QUICK.finetune_rounds + 1) * pictures * madds_of(arch, task)


def alone(steps: float, lr: float) -> Profile:
    """Returns the profile of training one network alone."""
    return replace(QUICK, finetune_steps=max(round(steps), 4), finetune_lr=lr)


def fixed_of(task: Task, unit: Unit, train_madds: float) -> Iterator[dict]:
    """Trains each network of the family at as many rates as it takes: four rows.

    All four together may take `train_madds` at one rate.
    """
    for size, arch in SIZES.items():
        madds = madds_of(arch, task)
        steps = train_madds / len(SIZES) / (MADDS_OF_STEP * QUICK.batch_size * madds)
        trials: dict[float, Finetuned] = {}
        for rate in widening(RATES, trials):
            torch.manual_seed(unit.seed)
            net = Supernet(SPACE, task.num_classes)
            if unit.method == "fixed":
                net = Supernet.load(pretrained_path("pocket"))
                net.replace_classifier(task.num_classes)
            subnet = net.to(pick_device(), memory_format=torch.channels_last).extract(arch)
            how = {"seed": unit.seed, "progress": False}
            trials[rate] = finetune(subnet, task, alone(steps, rate), **how)
        lr = best_rate(trials)
        row = {"size": size, "architecture": str(arch), "madds": madds, "method": unit.method}
        row |= {"test_top1": trials[lr].test["after"], "train_madds": train_madds, "lr": lr}
        row |= {"measure_madds": len(SIZES) * rounds_madds(arch, task)}
        yield row | {"valid_top1": trials[lr].history.valid_top1.max(), "trials": len(trials)}


def best_rate(trials: dict[float, Finetuned]) -> float:
    """Returns the rate that validation prefers."""
    return max(trials, key=lambda rate: trials[rate].history.valid_top1.max())


def widening(rates: Sequence[float], trials: dict[float, Finetuned]) -> Iterator[float]:
    """Yields rates, then twice or half the best of the `trials` as long as it is at an edge."""
    yield from rates
    while (best := best_rate(trials)) in (min(trials), max(trials)):
        yield best * 2 if best == max(trials) else best / 2


def units_of(study: str) -> Iterator[Unit]:
    """Yields what a study consists of, in the order in which it is done."""
    if study == "modes":
        for seed, task, mode in itertools.product(range(5), TASKS, MODES):
            yield Unit(task, seed, mode)
        return
    for budget, fraction, seed, task in itertools.product(BUDGETS, FRACTIONS, range(3), TASKS):
        methods = ("nat", "fixed", "scratch") if budget >= 1 else ("fixed",)
        if budget >= 1 or fraction == 1:
            yield from (Unit(task, seed, None, fraction, budget, m) for m in methods)


def recorded(study: str) -> pd.DataFrame:
    """Returns what is recorded of a study."""
    path = ARCHIVES / f"{study}.csv"
    return pd.read_csv(path) if path.exists() else pd.DataFrame(columns=COLUMNS[study])


def is_done(unit: Unit, table: pd.DataFrame) -> bool:
    """Returns whether a unit is in a table."""
    about = unit.columns
    return bool((table[list(about)] == pd.Series(about)).all(axis=1).any())


def do(study: str, unit: Unit) -> list[dict]:
    """Does a unit; returns its rows, or none if it waits for another one."""
    if study == "modes":
        return list(mode_of(load_task(unit.task), unit))
    task = cut(load_task(unit.task), unit.fraction, unit.seed)
    if unit.method == "nat":
        return list(nat_of(task, unit))
    of_nat = recorded("fixed").query("method == 'nat_finetuned'")
    base = replace(unit, budget=max(unit.budget, 1.0), method="nat_finetuned")
    if not is_done(base, of_nat):
        return []
    same = (of_nat[list(base.columns)] == pd.Series(base.columns)).all(axis=1)
    train_madds = of_nat[same].train_madds.iloc[0] * unit.budget / base.budget
    return list(fixed_of(task, unit, train_madds))


def record(study: str, unit: Unit, rows: list[dict]) -> None:
    """Adds rows to the table of a study, and says in `provenance.json` how it was made."""
    with FileLock(WORK / ".lock"):
        new = pd.DataFrame([unit.columns | row for row in rows])[COLUMNS[study]]
        table = pd.concat([recorded(study), new]).sort_values(COLUMNS[study][:5], kind="stable")
        write_text(ARCHIVES / f"{study}.csv", table.to_csv(index=False, float_format="%.6g"))
        path = ARCHIVES / "provenance.json"
        about = json.loads(path.read_text(encoding="utf-8"))
        command, version = f"python data/study_pocket.py {study}", torch.__version__.split("+")[0]
        date = time.strftime("%Y-%m-%d")
        about[f"{study}.csv"] = {"command": command, "date": date, "torch": version}
        write_text(path, json.dumps(about, indent=1, sort_keys=True) + "\n")


def main() -> None:
    """Does what is left of a study, unit by unit, beside other processes that do the same."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("study", choices=list(COLUMNS))
    parser.add_argument("--missing", action="store_true", help="only list what is left")
    arguments = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    for unit in units_of(arguments.study):
        if is_done(unit, recorded(arguments.study)):
            continue
        if arguments.missing:
            print(unit)
            continue
        try:
            with FileLock(WORK / f"{arguments.study}-{unit}.lock", timeout=0):
                if is_done(unit, recorded(arguments.study)):
                    continue
                begin = time.time()
                if rows := do(arguments.study, unit):
                    record(arguments.study, unit, rows)
                    print(unit, f"{time.time() - begin:.0f} s", *rows, sep="\n  ", flush=True)
        except Timeout:
            pass  # another process is at it


if __name__ == "__main__":
    main()
