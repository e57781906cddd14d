"""Records what the notebooks show of longer runs at pocket scale, into `data/archives/`.

    python data/record_pocket.py signal       does the pocket world have signal? about 30 minutes
    python data/record_pocket.py archive      several hundred subnets, measured; about 10 minutes
    python data/record_pocket.py many         twelve objectives against random; about 20 minutes
    python data/record_pocket.py three        three objectives beside fixed networks; about 15 min.
    python data/record_pocket.py radar        twelve objectives beside fixed ones; about 15 minutes

Times are for one CPU core. `data/archives/provenance.json` says which command made a file, and
when. With `--missing` what is recorded is left out. A transfer that was stopped goes on.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from study_pocket import (
    MADDS_OF_STEP,
    QUICK,
    SIZES,
    WORK,
    alone,
    best_rate,
    madds_of,
    wanted_rates,
)

from natlib.cost import CostTable
from natlib.data import DATA, TARGETS, Task, load_task, pretrained_path, write_text
from natlib.deploy.finetune import Finetuned, finetune
from natlib.deploy.latency import for_run
from natlib.evaluate import InputBatches, correct_predictions, evaluate
from natlib.layers import fold_batch_norm
from natlib.paper.joined import MANY, load_many, random_candidates
from natlib.search import sample_spread
from natlib.space import Architecture, IntMatrix, SearchSpace
from natlib.supernet import Subnet, Supernet
from natlib.surrogate import rank_metrics
from natlib.train import cosine, make_optimizer, train, uniform_subnets
from natlib.transfer import (
    Transfer,
    adapt,
    archive_table,
    fill_archive,
    measure_again,
    propose,
    search_candidates,
    start,
    transfer,
    warm_up,
)

ARCHIVES = DATA / "archives"
SEEDS = (0, 1, 2)
BY_RATE = ("signal.csv", "gain.csv")  # files with rows for each learning rate
STEPS = 300
TWELVE = replace(MANY["quick"], adapt=0.1)  # an epoch of eleven tasks together is longer


def new_supernet(task: Task, seed: int, pretrained: bool) -> Supernet:
    """Returns the pocket supernet with a new classifier, pre-trained or with random weights."""
    torch.manual_seed(seed)
    if pretrained:
        net = Supernet.load(pretrained_path("pocket"))
        net.replace_classifier(task.num_classes)
    else:
        net = Supernet(SearchSpace.pocket(), task.num_classes)
    return net.to(memory_format=torch.channels_last)


def train_on(net: Supernet, task: Task, seed: int, lr: float, steps: int = STEPS) -> None:
    """Trains uniformly drawn subnets with the largest as teacher."""
    train(
        net,
        make_optimizer(net),
        task,
        uniform_subnets(net.space, QUICK.subnets_per_step, seed),
        cosine(lr, steps, warmup=steps // 10),
        range(steps),
        batch_size=QUICK.batch_size,
        seed=seed,
        progress=False,
    )


def random_subnets(space: SearchSpace, n: int) -> IntMatrix:
    """Returns the largest, the smallest and `n` uniformly drawn subnets."""
    ends = np.stack([space.encode(space.largest()), space.encode(space.smallest())])
    return np.vstack([ends, space.sample(n, 0)])


def signal_of(task: Task, net: Supernet, X: IntMatrix) -> dict[str, float]:
    """Measures on validation what separates subnets from noise; `X` as `random_subnets` gives."""
    correct = evaluate(net, X, task, progress=False)
    errors = task.errors(correct, None)[:, 0]
    madds = CostTable(net.space, task.num_classes).madds(X)
    halves = [task.errors(half, None)[2:, 0] for half in (correct[:, ::2], correct[:, 1::2])]
    return {
        "largest_top1": 100 - errors[0],
        "smallest_top1": 100 - errors[1],
        "random_top1": 100 - errors[2:].mean(),
        "random_sd": errors[2:].std(ddof=1),
        "halves_spearman": rank_metrics(*halves)["spearman"],
        "madds_spearman": rank_metrics(-errors[2:], madds[2:])["spearman"],
    }


def record_signal(task: Task, seed: int, lr: float) -> dict[str, pd.DataFrame]:
    """Asks whether subnets differ by more than noise, and whether pre-training helps."""
    about, means, files = {"task": task.name, "seed": seed, "lr": lr}, {}, {}
    for pretrained in (True, False):
        net = new_supernet(task, seed, pretrained)
        X = random_subnets(net.space, 100)
        train_on(net, task, seed, lr)
        if pretrained and seed == SEEDS[0]:
            signal = about | signal_of(task, net, X)
            files["signal.csv"] = pd.DataFrame([signal])
        correct = evaluate(net, X[2:], task, "test", n_images=1000, calibration=500, progress=False)
        means[pretrained] = 100 * correct.mean()
    gain = {"pretrained": means[True], "random": means[False], "gain": means[True] - means[False]}
    return files | {"gain.csv": pd.DataFrame([about | gain])}


def record_archive(task: Task, seed: int, lr: float) -> dict[str, pd.DataFrame]:
    """Measures several hundred subnets of one adapted supernet, on validation and its halves."""
    net = new_supernet(task, seed, pretrained=True)
    train_on(net, task, seed, lr)
    table = CostTable(net.space, task.num_classes)
    X = np.vstack([sample_spread(net.space, table.madds, 200, seed), net.space.sample(220, seed)])
    X = X[np.sort(np.unique(X, axis=0, return_index=True)[1])]
    correct = evaluate(net, X, task, progress=False)
    archive = pd.DataFrame(
        {
            "architecture": [str(net.space.decode(x)) for x in X],
            "top1_err": task.errors(correct, None)[:, 0],
            "madds": table.madds(X),
            "params": table.params(X),
            "top1_err_a": task.errors(correct[:, ::2], None)[:, 0],
            "top1_err_b": task.errors(correct[:, 1::2], None)[:, 0],
        }
    )
    return {f"pocket_{task.name}.csv": archive}


def iterate(run: Transfer, candidates: Callable = propose) -> None:
    """Does all iterations of a transfer whose archive is filled."""
    while run.iteration < run.profile.iterations:
        search_candidates(run, candidates)
        adapt(run)
        measure_again(run)


def record_many(task: Task, seed: int, lr: float) -> dict[str, pd.DataFrame]:
    """Searches with twelve objectives and at random, from one and the same first archive.

    Both see the same supernet, which does not change, and measure as many subnets.
    """
    warm = start(task, MANY["quick"], mode="none", seed=seed, progress=False)
    warm_up(warm)
    fill_archive(warm)
    archives = []
    for method, candidates in (("NSGA-III", propose), ("random", random_candidates)):
        run = copy.deepcopy(warm)
        iterate(run, candidates)
        about = {"task": task.name, "seed": seed, "method": method}
        archives.append(archive_table(run).assign(**about))
    return {"many.csv": pd.concat(archives).astype({"madds": int})}


def train_fixed(
    task: Task, seed: int, train_madds: float, folder: Path
) -> Iterator[tuple[Architecture, float, list[float]]]:
    """Trains the networks of a family that is scaled uniformly, each alone, from the same weights.

    All of them may take `train_madds` together at one rate. Yields each with the rate that its
    validation prefers and its test errors; what the folder holds already is not trained again.
    """
    for arch in SIZES.values():
        path = folder / f"fixed_{arch.resolution}.json"
        if not path.exists():
            cost_of_step = MADDS_OF_STEP * QUICK.batch_size * madds_of(arch, task)
            profile_at = partial(alone, train_madds / len(SIZES) / cost_of_step)
            trials: dict[float, Finetuned] = {}
            valid: dict[float, float] = {}
            while rates := wanted_rates(valid):
                rate, subnet = rates[0], new_supernet(task, seed, pretrained=True).extract(arch)
                trials[rate] = finetune(subnet, task, profile_at(rate), seed=seed, progress=False)
                valid[rate] = trials[rate].history.valid_top1.max()
                print(arch, rate, valid[rate], flush=True)
            lr = best_rate(valid)
            write_text(path, json.dumps([lr, errors_on_test(trials[lr].subnet, task).tolist()]))
        yield arch, *json.loads(path.read_text(encoding="utf-8"))


def errors_on_test(subnet: Subnet, task: Task) -> np.ndarray:
    """Returns the test errors of a network that stands alone, in percent, `(n_errors,)`."""
    batches = InputBatches(task.test, subnet.arch.resolution, task)
    correct = correct_predictions(fold_batch_norm(copy.deepcopy(subnet)), batches, task)
    return task.errors(correct.cpu().numpy()[None], task.test.labels)[0]


def beside_fixed(run: Transfer, rows: IntMatrix) -> pd.DataFrame:
    """Returns test errors and costs of rows of an archive, and of the family trained as long.

    `mean_err` is the mean of the test errors. `nat_err` of a fixed network is that of the row which
    costs no more, in all that was searched, and has the least `valid_err`, the mean on validation.
    """
    task, seed, names = run.task, run.settings.seed, list(run.task.error_names)
    how = {"calibration": run.profile.calibration, "progress": False}
    X = [run.archive.X[row] for row in rows]
    errors = list(
        task.errors(evaluate(run.net, np.array(X), task, "test", **how), task.test.labels)
    )
    told = [{"method": "NAT", "architecture": str(run.space.decode(x))} for x in X]
    for about, valid_err in zip(told, run.archive.summary[rows, 0], strict=True):
        about["valid_err"] = valid_err
    for arch, lr, of_arch in train_fixed(task, seed, run.train_madds, run.run_dir):
        X.append(run.space.encode(arch))
        errors.append(of_arch)
        told.append({"method": "fixed", "architecture": str(arch), "lr": lr})
    table = pd.DataFrame(told).join(pd.DataFrame(np.array(errors), columns=names))
    costs = {name: cost(np.array(X)) for name, cost in run.costs.items()}
    about = {"task": task.name, "seed": seed, "train_madds": run.train_madds}
    table = table.assign(mean_err=table[names].mean(axis=1), **costs, **about)
    nat, searched = table[table.method == "NAT"], list(run.settings.objectives[len(names) :])
    for i, row in table[table.method == "fixed"].iterrows():
        no_dearer = nat[(nat[searched] <= row[searched].astype(float)).all(axis=1)]
        table.loc[i, "nat_err"] = no_dearer.loc[no_dearer.valid_err.idxmin(), "mean_err"]
    return table


def record_three(task: Task, seed: int, lr: float) -> dict[str, pd.DataFrame]:
    """Transfers for accuracy, parameters and latency; reports the front beside fixed networks."""
    folder = WORK / f"three-{task.name}-{seed}"
    latency = for_run(new_supernet(task, seed, pretrained=True), folder)
    how = {"objectives": ("top1_err", "params", "latency_ms"), "run_dir": folder, "seed": seed}
    how |= {"costs": {"latency_ms": latency.latency_ms}, "progress": False}
    run = transfer(task, QUICK, **how)
    return {"three.csv": beside_fixed(run, run.archive.front)}


def record_radar(task: Task, seed: int, lr: float) -> dict[str, pd.DataFrame]:
    """Transfers for twelve objectives; reports four networks beside fixed ones.

    Each has the least mean error on validation among those of at most a fixed network's MAdds.
    """
    how = {"run_dir": WORK / f"radar-{seed}", "seed": seed, "progress": False}
    run = transfer(task, TWELVE, **how)
    error, madds = run.archive.summary.T
    within = [np.flatnonzero(madds <= madds_of(arch, task)) for arch in SIZES.values()]
    chosen = [rows[np.argmin(error[rows])] for rows in within]
    return {"radar.csv": beside_fixed(run, np.array(chosen))}


COMMANDS = {
    "signal": (record_signal, TARGETS, SEEDS),
    "archive": (record_archive, TARGETS[:1], SEEDS[:1]),
    "many": (record_many, ("many",), range(6)),
    "three": (record_three, TARGETS[:1], SEEDS[:1]),
    "radar": (record_radar, ("many",), SEEDS[:1]),
}


def write(name: str, table: pd.DataFrame, lr: float) -> None:
    """Writes a table, and the command and the date that made it.

    Rows of other tasks, seeds and, where they are compared, rates are kept.
    """
    ARCHIVES.mkdir(exist_ok=True)
    path, rates = ARCHIVES / name, [lr]
    if path.exists() and {"task", "seed"} <= set(table):
        keys = ["task", "seed", "lr"] if name in BY_RATE else ["task", "seed"]
        old, ours = pd.read_csv(path), table.set_index(keys).index
        kept = old[~old.set_index(keys).index.isin(ours)]
        table = pd.concat([kept, table]).sort_values(keys, kind="stable")
    if name in BY_RATE:
        rates = sorted(table.lr.unique().tolist())
    write_text(path, table.to_csv(index=False, float_format="%.6g"))
    provenance = ARCHIVES / "provenance.json"
    about = json.loads(provenance.read_text("utf-8")) if provenance.exists() else {}
    option = "" if rates == [QUICK.warmup_lr] else f" --lr {' '.join(map(str, rates))}"
    about[name] = {
        "command": f"python data/record_pocket.py {sys.argv[1]}{option}",
        "date": time.strftime("%Y-%m-%d"),
        "torch": torch.__version__.split("+")[0],
    }
    write_text(provenance, json.dumps(about, indent=1, sort_keys=True) + "\n")


def is_recorded(what: str, task: str, seed: int) -> bool:
    """Returns whether a command's table has rows of a task and a seed."""
    path = ARCHIVES / f"{what}.csv"
    return path.exists() and not pd.read_csv(path).query("task == @task and seed == @seed").empty


def main() -> None:
    """Runs one of the recordings, task by task and seed by seed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=list(COMMANDS))
    parser.add_argument("--tasks", nargs="+", choices=TARGETS)
    parser.add_argument("--seeds", nargs="+", type=int)
    parser.add_argument("--missing", action="store_true", help="only what is not yet recorded")
    parser.add_argument("--lr", nargs="+", type=float, default=[QUICK.warmup_lr], help="peak rates")
    arguments = parser.parse_args()
    record, tasks, seeds = COMMANDS[arguments.what]
    seeds, tasks = arguments.seeds or seeds, arguments.tasks or tasks
    for seed, name, lr in itertools.product(seeds, tasks, arguments.lr):
        task = load_many("quick") if name == "many" else load_task(name)
        if arguments.missing and is_recorded(arguments.what, task.name, seed):
            continue
        for file, table in record(task, seed, lr).items():
            write(file, table, lr)
            print(f"\ndata/archives/{file}\n{table.to_string(max_rows=20)}", flush=True)


if __name__ == "__main__":
    main()
