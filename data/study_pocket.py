"""Puts claims of the paper to the test at pocket scale, into `data/archives/`.

    python data/study_pocket.py modes      distribution against uniform: `modes.csv`
    python data/study_pocket.py fixed      a transfer against fixed networks: `fixed.csv`
    python data/study_pocket.py settings   what the profile's settings rest on: `settings.csv`

The first two take hours; `--missing` lists what is left. Each unit is recorded when it is done, and
resumed if it was stopped, so a study goes on where it was when it is called again, and several
processes that are started beside each other share its units, and the trials of a unit. For nine
minutes of a machine with many cores or a GPU:

    python data/study_pocket.py fixed --processes 16 --device cuda --seconds 540 --only budget=4

`--only` takes columns of the table and their values; of a column that is named twice, either value.
When the seconds are over, no further unit begins, and those under way stop at the next moment from
which they go on later: in `build/studies` is what they need, and what each trial of a rate found.
Whoever changes what a trial computes deletes that folder, as well as the rows.
`--add TABLE` takes in what another machine recorded. The column `device` is "cpu" or the card's
name. What is compared is from one device: a pair that was begun on another one is left out; if both
did, the one that did more stays.

The endpoints were settled before the first run; settings were chosen on seeds from 100 on.

*modes*: transfers of 10 iterations from a first archive of 100. Whatever the mode, a seed has the
same warm-up, the same first archive and as many steps on as many subnets. Endpoint: test top-1 at
equal MAdds, that is the front's test top-1, interpolated linearly in log MAdds at 8 sizes from the
least of `SIZES` to the largest, or to the limit, and averaged. A pair is a task and a seed; the
distribution is ahead of uniform if its endpoint is larger. The hypervolume by iteration is shown
beside it. Seeds 0 to 4, animals and digits.

*fixed*: at each of `SIZES`, of the front of a transfer the architecture that is best on validation
among those of at most so many MAdds, as it is (`nat`) and fine-tuned alone (`nat_finetuned`); and
the network of that size of a family that is scaled uniformly, trained alone from the same pre-
trained weights (`fixed`) or from random ones (`scratch`), at the rate that its validation prefers.
Endpoint: test top-1, the mean over the four sizes, `nat_finetuned` minus `fixed`. Budgets are equal
in training MAdds: a transfer and the fine-tuning of its four networks, a tenth more, take together
as many as the four networks of the family at one rate. That only the family is given several rates
is not counted. A step counts three times the MAdds of a prediction: once forwards, twice on the way
back. Seeds 0 to 2, budgets of 1, 4 and 16 times the quick profile's training, fractions 1, 0.25 and
0.06 of the train split; the family alone also at a quarter and a sixteenth of budget 1, on the
whole split, for the curve of costs in notebook 05; on a card, a budget of 64 on the whole split.

*settings*: the quick profile beside itself with other settings, on validation alone, seeds 101 and
102. Figures: top-1 at equal MAdds as in *modes*, and the best of any network no larger than the
least of `SIZES`. The profile had been chosen before, by trials whose figures were not kept.

The goals were named before the first run, too: distribution ahead of uniform in at least 8 of the
10 pairs without a limit; no hypervolume lost by the first iteration, on average; `nat_finetuned`
ahead of `fixed` on average over the sizes, on both tasks, at budgets 4 and 16.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from filelock import FileLock, Timeout

from natlib.cost import CostTable
from natlib.data import DATA, Task, load_task, pretrained_path, write_text
from natlib.deploy.finetune import finetune
from natlib.evaluate import evaluate
from natlib.inputs.folders import stratified_cut
from natlib.layers import layout
from natlib.profiles import PROFILES, Profile
from natlib.space import Architecture, SearchSpace
from natlib.supernet import Supernet
from natlib.train import pick_device
from natlib.transfer import Transfer, transfer

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


class TimeIsUp(Exception):
    """A unit stopped at a moment from which it can go on."""


@dataclass(frozen=True)
class Place:
    """Where units are done, and until when."""

    device: torch.device
    until: float = math.inf  # seconds, as time.monotonic counts them

    @property
    def name(self) -> str:
        """What the tables call it."""
        kind = self.device.type
        return torch.cuda.get_device_name(self.device) if kind == "cuda" else kind

    def folder(self, unit: Unit) -> Path:
        """Returns where a unit keeps what is not yet recorded; a device has its own."""
        return WORK / self.name.removeprefix("cpu") / str(unit)

    def check(self, *_: object) -> None:
        """Raises `TimeIsUp` if it is."""
        if time.monotonic() > self.until:
            raise TimeIsUp


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

# What the settings rest on
SETTINGS = {  # what differs from the quick profile
    "quick": {},
    "rate 0.06": {"adapt_lr": 0.06},
    "not averaged": {"average": 1},
    "smallest as drawn": {"always": ()},
    "first version": {"adapt_lr": 0.06, "average": 1, "always": ()},
}

# Study 2
BUDGETS, FRACTIONS = (1.0, 0.25, 0.0625, 4.0, 16.0), (1.0, 0.25, 0.06)
ON_A_CARD = 64.0  # a further budget there
RATES = (0.1, 0.2, 0.4)  # widened as long as the best is at an edge
FINETUNE_LR = 0.1  # of the networks that a transfer chose
FINETUNE_SHARE = 0.1  # of the transfer's training MAdds
TOTAL = 1 + FINETUNE_SHARE  # of the family as well
MADDS_OF_STEP = 3  # a step costs three times the MAdds of a prediction
FAMILY = ("fixed", "scratch")  # methods whose trials several processes share
COLUMNS = {
    "modes": [
        "task", "seed", "mode", "limit", "iteration", "hypervolume", "best_err", "kendall",
        "train_madds", "evaluations", "test_at_equal_madds", "device",
    ],
    "settings": [
        "task", "seed", "mode", "iteration", "hypervolume", "best_err", "train_madds",
        "valid_at_equal_madds", "smallest_top1", "device",
    ],
    "fixed": [
        "task", "seed", "fraction", "budget", "method", "size", "architecture", "madds",
        "test_top1", "valid_top1", "train_madds", "measure_madds", "lr", "trials", "device",
    ],
}  # fmt: skip
PAIRS = {  # what is compared; a budget below 1 belongs to the transfer of budget 1
    "modes": ["task", "seed"],
    "settings": ["task", "seed"],
    "fixed": ["task", "seed", "fraction", "budget"],
}
ROWS = {  # what it consists of
    "modes": ["mode", "iteration"],
    "settings": ["mode", "iteration"],
    "fixed": ["method", "size"],
}
GRACE = 60  # seconds that a unit has to come to a moment from which it can go on


def madds_of(arch: Architecture, task: Task) -> int:
    """Returns the MAdds of an architecture."""
    return int(CostTable(SPACE, task.num_classes).madds(SPACE.encode(arch)[None])[0])


def grid(limit: float | None) -> np.ndarray:
    """Returns the eight MAdds at which fronts are compared."""
    return np.geomspace(min(SIZES), limit or max(SIZES), 8)


def at_equal_madds(run: Transfer, top1: np.ndarray, limit: float | None) -> float:
    """Returns the front's top-1, `(len(front),)`, interpolated on the grid, and averaged."""
    madds = run.archive.costs[run.archive.front, 0]
    return float(np.interp(np.log(grid(limit)), np.log(madds), top1).mean())


def test_top1(run: Transfer) -> np.ndarray:
    """Returns the top-1 on test, in percent, of the networks of the front."""
    rows = run.archive.front
    correct = evaluate(
        run.net, run.archive.X[rows], run.task, "test", calibration=run.profile.calibration,
        progress=False,
    )  # fmt: skip
    return 100 * correct.mean(axis=1)


def mode_of(task: Task, unit: Unit, place: Place) -> Iterator[dict]:
    """Does a transfer of study 1: a row for the first archive and one for each iteration."""
    mode, smoothing, limit = MODES[unit.mode]
    limits = {} if limit is None else {"madds": limit}
    how = {"mode": mode, "limits": limits, "seed": unit.seed} | how_at(place, unit)
    run = transfer(task, replace(LONG, smoothing=smoothing), **how)
    run.history[-1]["test_at_equal_madds"] = at_equal_madds(run, test_top1(run), limit)
    yield from ({"limit": limit} | row for row in run.history)


def setting_of(task: Task, unit: Unit, place: Place) -> Iterator[dict]:
    """Does a transfer with other settings: a row for the first archive and one an iteration."""
    profile = replace(QUICK, **SETTINGS[unit.mode])
    run = transfer(task, profile, seed=unit.seed, **how_at(place, unit))
    madds, top1 = run.archive.costs[:, 0], 100 - run.archive.errors[:, 0]
    smallest = top1[madds <= madds_of(SIZES[min(SIZES)], task)].max()
    at = at_equal_madds(run, top1[run.archive.front], None)
    run.history[-1] |= {"valid_at_equal_madds": at, "smallest_top1": smallest}
    yield from run.history


def how_at(place: Place, unit: Unit) -> dict:
    """Returns the arguments of a transfer that say where it runs."""
    how = {"device": str(place.device), "run_dir": place.folder(unit), "progress": False}
    return how | {"on_iteration": place.check}


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


def nat_of(task: Task, unit: Unit, place: Place) -> Iterator[dict]:
    """Does a transfer, and fine-tunes what it finds at each size: eight rows."""
    run = transfer(task, scaled(unit.budget), seed=unit.seed, **how_at(place, unit))
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


def fixed_of(task: Task, unit: Unit, train_madds: float, place: Place) -> Iterator[dict]:
    """Trains each network of the family at as many rates as it takes: four rows.

    All four together may take `train_madds` at one rate. Processes share the trials of a unit; each
    trial is kept until all are done. While some are under way elsewhere, there are no rows.
    """
    folder = place.folder(unit)
    folder.mkdir(parents=True, exist_ok=True)
    while left := [(size, rate) for size in SIZES for rate in wanted_rates(valid_of(folder, size))]:
        if not any(try_out(task, unit, size, rate, train_madds, place) for size, rate in left):
            return
    for size, arch in SIZES.items():
        valid = valid_of(folder, size)
        lr = best_rate(valid)
        row = {"size": size, "architecture": str(arch), "madds": madds_of(arch, task)}
        row |= {"method": unit.method, "test_top1": read_trial(folder, size, lr)[1], "lr": lr}
        row |= {"measure_madds": len(SIZES) * rounds_madds(arch, task)}
        yield row | {"valid_top1": valid[lr], "trials": len(valid), "train_madds": train_madds}


def trial_path(folder: Path, size: float, rate: float) -> Path:
    """Returns where a trial is kept: top-1 in percent on validation, and on test."""
    return folder / f"{size:.0f}-{rate:g}.json"


def read_trial(folder: Path, size: float, rate: float) -> list[float]:
    """Returns what a trial found."""
    return json.loads(trial_path(folder, size, rate).read_text(encoding="utf-8"))


def valid_of(folder: Path, size: float) -> dict[float, float]:
    """Returns the top-1 on validation of the trials of a size, by rate, in the order of trial."""
    rates = [float(path.stem.split("-", 1)[1]) for path in folder.glob(f"{size:.0f}-*.json")]
    rates.sort(key=lambda rate: (rate not in RATES, rate if rate >= RATES[0] else -rate))
    return {rate: read_trial(folder, size, rate)[0] for rate in rates}


def try_out(
    task: Task, unit: Unit, size: float, rate: float, train_madds: float, place: Place
) -> bool:
    """Does a trial if nobody is at it; returns whether it is done."""
    path, arch = trial_path(place.folder(unit), size, rate), SIZES[size]
    steps = train_madds / len(SIZES) / (MADDS_OF_STEP * QUICK.batch_size * madds_of(arch, task))
    try:
        with FileLock(path.with_suffix(".lock"), timeout=0):
            if not path.exists():
                place.check()
                found = trial(task, unit, arch, alone(steps, rate), place, path.with_suffix(".pt"))
                write_text(path, json.dumps(found))
                path.with_suffix(".pt").unlink(missing_ok=True)
                print(unit, path.stem, *found, flush=True)
            return True
    except Timeout:
        return False


def trial(
    task: Task, unit: Unit, arch: Architecture, profile: Profile, place: Place, checkpoint: Path
) -> list[float]:
    """Trains a network alone; returns its best top-1 on validation, and that on test, in percent.

    At a rate at which training breaks off, that is nothing.
    """
    torch.manual_seed(unit.seed)
    net = Supernet(SPACE, task.num_classes)
    if unit.method == "fixed":
        net = Supernet.load(pretrained_path("pocket"))
        net.replace_classifier(task.num_classes)
    subnet = net.to(place.device, memory_format=layout(place.device)).extract(arch)
    how = {"seed": unit.seed, "progress": False, "checkpoint": checkpoint}
    try:
        tuned = finetune(subnet, task, profile, **how)
    except FloatingPointError:
        return [0.0, 0.0]
    return [float(tuned.history.valid_top1.max()), float(tuned.test["after"])]


def best_rate(valid: dict[float, float]) -> float:
    """Returns the rate that validation prefers, of top-1 by rate."""
    return max(valid, key=valid.get)


def wanted_rates(valid: dict[float, float]) -> list[float]:
    """Returns the rates to try after those in `valid`: twice or half the best while at an edge."""
    if left := [rate for rate in RATES if rate not in valid]:
        return left
    best = best_rate(valid)
    return [best * 2] if best == max(valid) else [best / 2] if best == min(valid) else []


def units_of(study: str, kind: str = "cpu") -> Iterator[Unit]:
    """Yields what a study consists of on a kind of device, in the order in which it is done."""
    if study != "fixed":
        seeds, modes = (range(5), MODES) if study == "modes" else ((101, 102), SETTINGS)
        for seed, task, mode in itertools.product(seeds, TASKS, modes):
            yield Unit(task, seed, mode)
        return
    budgets = (*BUDGETS, ON_A_CARD) if kind == "cuda" else BUDGETS
    for budget, fraction, seed, task in itertools.product(budgets, FRACTIONS, range(3), TASKS):
        methods = ("nat", "fixed", "scratch") if budget >= 1 else ("fixed",)
        if 1 <= budget < ON_A_CARD or fraction == 1:
            yield from (Unit(task, seed, None, fraction, budget, m) for m in methods)


def is_among(unit: Unit, only: Sequence[str]) -> bool:
    """Returns whether a unit keeps all of `only`, texts KEY=VALUE; of one key, any value."""
    wanted: dict[str, set[str]] = {}
    for text in only:
        key, _, value = text.partition("=")
        wanted.setdefault(key, set()).add(value)
    values = {key: getattr(unit, key, None) for key in wanted}
    names = {k: {str(v), f"{v:g}"} if isinstance(v, float) else {str(v)} for k, v in values.items()}
    return all(wanted[key] & names[key] for key in wanted)


def recorded(study: str, path: Path | None = None) -> pd.DataFrame:
    """Returns what is recorded of a study, or what another table of it holds."""
    path = path or ARCHIVES / f"{study}.csv"
    table = pd.read_csv(path) if path.exists() else pd.DataFrame(columns=COLUMNS[study])
    table = table.reindex(columns=COLUMNS[study])
    return table.assign(device=table.device.astype(object).fillna("cpu"))


def rows_of(about: dict, table: pd.DataFrame) -> pd.DataFrame:
    """Returns the rows that have some values."""
    return table[(table[list(about)] == pd.Series(about, dtype=object)).all(axis=1)]


def with_pairs(table: pd.DataFrame) -> pd.DataFrame:
    """Returns a table in which `PAIRS` names the pair of each row."""
    return table.assign(budget=table.budget.clip(lower=1)) if "budget" in table else table


def is_elsewhere(study: str, unit: Unit, place: Place) -> bool:
    """Returns whether a unit's pair was begun on another device."""
    pair = with_pairs(pd.DataFrame([unit.columns])).loc[0, PAIRS[study]].to_dict()
    return bool((rows_of(pair, with_pairs(recorded(study))).device != place.name).any())


def do(study: str, unit: Unit, place: Place) -> list[dict]:
    """Does a unit; returns its rows, or none if it waits for another one."""
    if study != "fixed":
        rows = mode_of if study == "modes" else setting_of
        return list(rows(load_task(unit.task), unit, place))
    task = cut(load_task(unit.task), unit.fraction, unit.seed)
    if unit.method == "nat":
        return list(nat_of(task, unit, place))
    base = replace(unit, budget=max(unit.budget, 1.0), method="nat_finetuned")
    of_nat = rows_of(base.columns, recorded("fixed"))
    if of_nat.empty:
        return []
    train_madds = of_nat.train_madds.iloc[0] * unit.budget / base.budget
    return list(fixed_of(task, unit, train_madds, place))


def record(study: str, new: pd.DataFrame) -> None:
    """Adds rows to the table of a study, and says in `provenance.json` how it was made.

    Of a pair that was begun on two devices, the rows of the one that did more stay.
    """
    pair = PAIRS[study]
    with FileLock(WORK / ".lock"):
        tables = [table for table in (recorded(study), new[COLUMNS[study]]) if len(table)]
        table = pd.concat(tables, ignore_index=True)
        table = table.drop_duplicates([*pair, *ROWS[study], "device"], ignore_index=True)
        begun = with_pairs(table)
        done = begun.groupby([*pair, "device"]).device.transform("size")
        most = begun.loc[done.sort_values(ascending=False, kind="stable").index]
        table = table[table.device == most.groupby(pair).device.transform("first").sort_index()]
        table = table.sort_values(COLUMNS[study][:5], kind="stable")
        write_text(ARCHIVES / f"{study}.csv", table.to_csv(index=False, float_format="%.6g"))
        path = ARCHIVES / "provenance.json"
        about = json.loads(path.read_text(encoding="utf-8"))
        command, version = f"python data/study_pocket.py {study}", torch.__version__.split("+")[0]
        date = time.strftime("%Y-%m-%d")
        about[f"{study}.csv"] = {"command": command, "date": date, "torch": version}
        write_text(path, json.dumps(about, indent=1, sort_keys=True) + "\n")


def attempt(study: str, unit: Unit, place: Place) -> bool:
    """Does a unit if it is left and nobody is at it; returns whether it waits for another unit."""
    shared = unit.method in FAMILY
    try:
        with nullcontext() if shared else FileLock(WORK / f"{study}-{unit}.lock", timeout=0):
            done = len(rows_of(unit.columns, recorded(study)))
            if done or is_elsewhere(study, unit, place):
                return False
            place.check()
            begin = time.monotonic()
            if rows := do(study, unit, place):
                table = pd.DataFrame([unit.columns | row for row in rows])
                record(study, table.assign(device=place.name))
                if not shared:  # another process may still look at the trials
                    shutil.rmtree(place.folder(unit), ignore_errors=True)
                took = f"{time.monotonic() - begin:.0f} s on {place.name}"
                print(unit, took, *rows, sep="\n  ", flush=True)
            return not rows
    except Timeout:
        return False  # another process is at it


def work(study: str, units: Sequence[Unit], place: Place) -> None:
    """Does what is left of some units, beside other processes that do the same."""
    sys.modules[transfer.__module__].CHECKPOINT_SECONDS = 30.0  # they may be ended at any moment
    try:
        while any([attempt(study, unit, place) for unit in units]):
            place.check()
            time.sleep(5)
    except TimeIsUp:
        print("The time is up. Called again, the study goes on.", flush=True)


def in_processes(n: int, argv: Sequence[str], seconds: float) -> None:
    """Starts `n` processes of one thread each, and waits for them; they end with this one."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command, until = (
        [sys.executable, __file__, *argv, "--processes", "1"],
        time.monotonic() + seconds,
    )
    workers: list[subprocess.Popen] = []
    try:
        for _ in range(n):
            workers.append(subprocess.Popen(command, env=os.environ | threads))
        while any(worker.poll() is None for worker in workers):
            if time.monotonic() > until + GRACE:
                print("Processes that are still at work are ended.", flush=True)
                break
            time.sleep(0.5)
        if failed := sum(worker.poll() not in (0, None) for worker in workers):
            sys.exit(f"{failed} of {n} processes failed.")
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.wait()


def main(argv: Sequence[str] | None = None) -> None:
    """Does what is left of a study."""
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("study", choices=list(COLUMNS))
    parser.add_argument("--missing", action="store_true", help="only list what is left")
    parser.add_argument("--add", type=Path, help="take in a table from another machine")
    parser.add_argument("--only", nargs="+", default=[], metavar="KEY=VALUE", help="some units")
    parser.add_argument("--device", help="cpu or cuda; otherwise the best there is")
    parser.add_argument("--processes", type=int, default=1, help="of one thread each")
    parser.add_argument("--seconds", type=float, default=math.inf, help="after which to stop")
    options = parser.parse_args(argv)
    place = Place(pick_device(options.device), time.monotonic() + options.seconds)
    units = units_of(options.study, place.device.type)
    units = [unit for unit in units if is_among(unit, options.only)]
    if not units:
        parser.error(f"'{options.study}' has nothing with {' '.join(options.only)}: see --missing")
    if options.add and not options.add.is_file():
        parser.error(f"{options.add} is no file")
    WORK.mkdir(parents=True, exist_ok=True)
    if options.add:
        record(options.study, recorded(options.study, options.add))
    elif options.missing:
        table = recorded(options.study)
        print(*(unit for unit in units if rows_of(unit.columns, table).empty), sep="\n")
    elif options.processes > 1:
        in_processes(options.processes, argv, options.seconds)
    else:
        work(options.study, units, place)


if __name__ == "__main__":
    main()
