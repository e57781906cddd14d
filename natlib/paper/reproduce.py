"""Runs the transfer on the data sets of the paper, one after the other, and collects the results.

    python -m natlib reproduce --tasks cifar10 flowers102 --profile paper --out runs/

The same command goes on where it was interrupted, and rehearses where `NATLIB_DATA` holds rehearsal
miniatures. `examples/reproduce.slurm` shares the data sets out over the jobs of a cluster.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import count
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from natlib import __version__
from natlib.data import SPLITS, Split, Task, make_task, write_text
from natlib.deploy.latency import timer
from natlib.evaluate import InputBatches, correct_predictions, evaluate
from natlib.paper import results
from natlib.paper.checkpoints import load_ofa, load_published, read_weights
from natlib.paper.datasets import DATA_SETS, data_folder, dataset_task, find_data_set
from natlib.profiles import PROFILES, Profile, get_profile
from natlib.space import SearchSpace
from natlib.supernet import Subnet, Supernet
from natlib.train import make_optimizer, pick_device, rank, train, uniform_subnets
from natlib.transfer import report, transfer

# As few of everything as shows that it runs, for all eleven miniatures in about a minute.
REHEARSAL = replace(
    PROFILES["quick"], name="rehearsal", batch_size=16, min_steps=5,
    archive=6, iterations=1, candidates=2, best=3,
)  # fmt: skip
OFA_FILES = {width: f"ofa/ofa_mbv3_d234_e346_k357_w{width}" for width in (1.0, 1.2)}
FAILURES = (ValueError, OSError, RuntimeError, FloatingPointError)


def reproduce(
    names: Sequence[str],  # of data sets
    profile: Profile | str | None = None,  # None: NATLIB_PROFILE
    *,
    out: str | Path,  # folder in which each data set gets a run folder
    data: str | Path | None = None,  # folder of the data sets; None: what NATLIB_DATA names
    seed: int = 0,  # of everything random
    supernet: str | Path | None = None,  # its file; None: the pocket one, or data/ofa's
    **options,  # as for natlib.transfer.start, such as device and progress
) -> dict[str, str]:
    """Transfers to data sets, one after the other; finished ones are left alone.

    A data set that fails, for example because it is not there, does not stop the others: the reason
    for each of these is returned.
    """
    profile = get_profile(profile)
    for name in names:
        find_data_set(name)

    def work(name: str) -> None:
        task = dataset_task(name, data, side=max(_space(profile).resolutions), seed=seed)
        title = task.name.replace(" (rehearsal)", "-rehearsal")
        folder = Path(out) / f"{title}-{profile.name}-{seed}"
        if (folder / results.RESULT).exists():
            return _say(f"{task.name}: done already, in {folder}")
        _say(f"{task.name}: profile {profile.name}, seed {seed}, in {folder}")
        net = supernet or _official_supernet(profile, data)
        run = transfer(task, profile, run_dir=folder, seed=seed, supernet=net, **options)
        _write_result(folder, name, task, profile.name, seed, report(run))

    return _reasons(work, names)


def measure_published(
    *, out: str | Path, data: str | Path | None = None, device: str | None = None
) -> dict[str, str]:
    """Measures the networks that the authors published on test, where their weights files lie.

    A weights file lies in `nat/DATASET/NAME` below the data folder, where `NAME` is the folder
    name that the authors gave the network, such as `net-img@228-flops@211-top1@77.0`. Arguments,
    and what is returned, are as with `reproduce`.
    """
    networks, space = results.published_networks(), SearchSpace.paper()
    networks = networks.set_index(networks.dataset + "/" + networks.name)

    def work(place: str) -> None:
        network, folder = networks.loc[place], Path(out) / place.replace("/", "-")
        files = sorted((data_folder(data) / "nat" / place).glob("*"))
        files = [f for f in files if f.suffix not in (".config", ".subnet", ".encoding")]
        if not files or (folder / results.RESULT).exists():
            return
        mish, arch = "mish" if network.activation == "mish" else None, network.architecture
        subnet = Subnet(space, arch, network.num_classes, mish)
        load_published(subnet, read_weights(files[0]))
        task = dataset_task(network.dataset, data, side=max(space.resolutions))
        batches = InputBatches(task.test, arch.resolution, task, pick_device(device))
        correct = correct_predictions(subnet.to(batches.device).eval(), batches)
        top1 = 100 * float(correct.double().mean())
        se = np.sqrt(top1 * (100 - top1) / len(correct))
        row = {"network": network.network, "architecture": str(arch), "top1": top1, "top1_se": se}
        row |= {"params": network.counted_params, "madds": network.counted_madds}
        _write_result(folder, network.dataset, task, results.AUTHORS, 0, pd.DataFrame([row]))
        _say(f"{place}, {task.name}: top-1 {top1:.2f}%, {network.top1}% published")

    return _reasons(work, networks.index)


def _reasons(work: Callable[[str], None], names: Sequence[str]) -> dict[str, str]:
    """Does the work for each name, and returns why it failed where it did."""
    failed = {}
    for name in names:
        try:
            work(name)
        except FAILURES as error:
            failed[name] = str(error)
            _say(f"{name} failed: {error}")
    return failed


def _space(profile: Profile) -> SearchSpace:
    return getattr(SearchSpace, profile.space)()


def _say(text: str) -> None:
    """Prints from one process only."""
    if rank() == 0:
        print(text, flush=True)


def _write_result(
    folder: Path, name: str, task: Task, profile: str, seed: int, networks: pd.DataFrame
) -> None:
    """Writes what `read_results` collects, as the last file of a run, from one process only."""
    if rank() > 0:
        return
    names = {"name": "network", "test_top1": "top1", "test_se": "top1_se"}
    rows = networks.rename(columns=names).to_json(orient="records", double_precision=15)
    date = datetime.now().astimezone().isoformat(timespec="seconds")
    about = {"dataset": name, "rehearsal": task.name != name, "profile": profile, "seed": seed}
    about |= {"date": date, "version": __version__, "networks": json.loads(rows)}
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / results.RESULT, json.dumps(about, indent=1))


def _official_supernet(profile: Profile, data: str | Path | None) -> Supernet | None:
    """Returns the supernet of the official checkpoints, or `None` for the pocket one that ships."""
    if profile.space != "paper":
        return None
    files = {width: data_folder(data) / file for width, file in OFA_FILES.items()}
    if missing := [str(file) for file in files.values() if not file.is_file()]:
        raise FileNotFoundError(
            f"{' and '.join(missing)} cannot be found: get them from Once-for-all's authors "
            "(https://github.com/mit-han-lab/once-for-all), and put them there."
        )
    net = Supernet(SearchSpace.paper(), num_classes=1000)
    load_ofa(net, {width: read_weights(file) for width, file in files.items()})
    return net


def throughput(net: Supernet, batch_size: int = 8, trials: int = 2) -> tuple[float, float]:
    """Measures how many images a second and subnet a supernet takes, in training and evaluation.

    Four uniformly drawn subnets see each of `trials` batches. The supernet keeps its weights.
    """
    space, side, numbers = net.space, max(net.space.resolutions), count()
    images = np.random.default_rng(0).integers(256, size=(batch_size, 3, side, side)).astype("u1")
    split = Split(torch.from_numpy(images), torch.zeros(batch_size, dtype=torch.int64))
    task = make_task("noise", ("noise",), dict.fromkeys(SPLITS, split))
    optimizer, sampler, X = make_optimizer(net), uniform_subnets(space, 3, 0), space.sample(4, 0)

    def training() -> None:
        how = {"batch_size": batch_size, "progress": False}
        train(net, optimizer, task, sampler, lambda step: 0.0, [next(numbers)], **how)

    def evaluation() -> None:  # sees as many pictures again to recalibrate batch norm
        evaluate(net, X, task, calibration=batch_size, progress=False)

    threads, work = torch.get_num_threads(), (training, evaluation)
    seconds = [timer("f()", {"f": f}, threads).timeit(trials).mean for f in work]
    return 4 * batch_size / seconds[0], 8 * batch_size / seconds[1]


def estimated_hours(profile: Profile, training: float, evaluation: float) -> pd.DataFrame:
    """Predicts what a transfer to each of the eleven data sets takes, from what `throughput` gives.

    Returns:
        Hours, one row per data set: `training`, `evaluation`, and both together, `hours`. Loading
        pictures and searching are left out.
    """
    p, index = profile, pd.Index(DATA_SETS, name="data set")
    sets = pd.DataFrame([*DATA_SETS.values()], index)
    subnets = p.warmup_largest * len(_space(p).widths)
    subnets += (p.warmup_uniform + p.iterations * p.adapt) * (1 + p.subnets_per_step)
    images = (sets.train // p.batch_size).clip(lower=p.min_steps) * p.batch_size * subnets
    again = p.archive + p.candidates * (p.iterations + 1) / 2
    seen = sets.valid.clip(upper=p.validation) + sets.train.clip(upper=p.calibration)
    seen *= p.archive + p.iterations * (p.candidates + again)
    hours = {"training": images / training / 3600, "evaluation": seen / evaluation / 3600}
    return pd.DataFrame(hours).assign(hours=lambda table: table.sum(axis=1))


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line, and returns 1 if a data set or a network failed, else 0."""
    options = vars(_make_parser().parse_args(arguments))
    index, estimate, names = (options.pop(key) for key in ("index", "estimate", "tasks"))
    options["profile"] = profile = get_profile(options["profile"])
    if index is not None and not 0 <= index < len(names):
        raise ValueError(f"There is no task {index}: choose from 0 to {len(names) - 1}.")
    if estimate:
        net = Supernet(_space(profile), num_classes=1000).to(pick_device(options["device"]))
        speeds = throughput(net)
        print("Images a second and subnet: training {:.1f}, evaluation {:.1f}.".format(*speeds))
        print(f"Hours with profile {profile.name}:")
        print(estimated_hours(profile, *speeds).loc[names].round(2))
        return 0
    failed = reproduce(names if index is None else [names[index]], **options)
    if index is None and rank() == 0:
        if profile.space == "paper":
            failed |= measure_published(**{k: options[k] for k in ("out", "data", "device")})
        _print_tables(options["out"])
    return int(bool(failed))


def _print_tables(out: Path) -> None:
    """Prints what the runs gave, and writes the reproduction table beside them."""
    rehearsed, table = results.rehearsal_table(out), results.reproduction_table(out)
    if len(rehearsed):
        print("Rehearsal, which says nothing about the data sets:")
        print(rehearsed.round(2).to_string(index=False))
    own = table[table[(results.YOURS, "source")] != "not run"]
    if len(own):
        print(own[["", results.PUBLISHED, results.YOURS]].round(2).to_string(index=False))
    print(f"The whole table: {', '.join(map(str, results.write_table(table, out)))}")


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m natlib reproduce",
        description="Transfers to the data sets of the paper, one after the other. Interrupt it "
        "whenever you like: the same command goes on where it stopped.",
    )
    add = parser.add_argument
    add("--tasks", nargs="+", choices=DATA_SETS, default=list(DATA_SETS), metavar="NAME",
        help=f"data sets (default: all): {', '.join(DATA_SETS)}")  # fmt: skip
    add("--index", type=int, help="do only the task of this index, from 0: for array jobs")
    add("--profile", choices=PROFILES, help="how much to compute (default: NATLIB_PROFILE, quick)")
    add("--out", type=Path, default=Path("runs"), help="folder for run folders (default: runs)")
    add("--data", type=Path, help="folder of the data sets (default: what NATLIB_DATA says)")
    add("--seed", type=int, default=0, help="seed of everything random (default: 0)")
    add("--supernet", type=Path, help="file of a pre-trained supernet; default: the profile's")
    add("--device", help="cuda, mps or cpu; default: the best there is")
    add("--estimate", action="store_true", help="only measure speed, and print expected hours")
    return parser
