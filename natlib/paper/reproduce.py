"""Runs the transfer on the data sets of the paper, one after the other, and collects the results.

The same command goes on where it was interrupted, and rehearses where `NATLIB_DATA` holds rehearsal
miniatures. `examples/reproduce.slurm` shares the data sets out over the jobs of a cluster.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pandas as pd

from natlib import __version__
from natlib.data import Task, write_text
from natlib.evaluate import InputBatches, correct_predictions
from natlib.inputs import say
from natlib.inputs.processes import connect, rank
from natlib.inputs.weights import read_weights
from natlib.paper import results
from natlib.paper.checkpoints import load_ofa, load_published
from natlib.paper.datasets import DATA_SETS, data_folder, dataset_task, find_data_set
from natlib.profiles import PROFILES, Profile, get_profile
from natlib.space import SearchSpace
from natlib.supernet import Subnet, Supernet
from natlib.train import pick_device
from natlib.transfer import report, side_of, transfer

# As few of everything as shows that it runs, for all eleven miniatures in half a minute.
REHEARSAL = replace(
    PROFILES["quick"], name="rehearsal", batch_size=32, min_steps=2, subnets_per_step=1,
    archive=6, iterations=1, candidates=2, best=3, population=20, generations=3,
)  # fmt: skip
OFA_FILES = {width: f"ofa/ofa_mbv3_d234_e346_k357_w{width}" for width in (1.0, 1.2)}


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

    One that fails, for example because it is not there, does not stop the others: the reason for
    each of these is returned. A name that is unknown is a `ValueError` before anything begins.
    """
    profile = get_profile(profile)
    side = side_of(profile, getattr(SearchSpace, profile.space)())
    for name in names:
        find_data_set(name)

    def work(name: str) -> None:
        task = dataset_task(name, data, side=side, seed=seed)
        title = task.name.replace(" (rehearsal)", "-rehearsal")
        folder = Path(out) / f"{title}-{profile.name}-{seed}"
        if (folder / results.RESULT).exists():
            return _say(f"{task.name}: done already, in {folder}")
        _say(f"{task.name}: profile {profile.name}, seed {seed}, in {folder}")
        net = supernet or _official_supernet(profile, data)
        run = transfer(task, profile, run_dir=folder, seed=seed, supernet=net, **options)
        _write_result(folder, task, report(run), dataset=name, profile=profile.name, seed=seed)

    return _reasons(work, names)


def measure_published(
    *, out: str | Path, data: str | Path | None = None, device: str | None = None
) -> dict[str, str]:
    """Measures the authors' published networks on test; arguments and returns as `reproduce`.

    Their weights files, as far as they are there, lie in `nat/DATASET/NAME` below the data folder;
    `NAME` is the authors' name of the network's folder, like `net-img@228-flops@211-top1@77.0`.
    """
    networks, space = results.published_networks(), SearchSpace.paper()
    networks.index = networks.dataset + "/" + networks.name

    def work(place: str) -> None:
        network, folder = networks.loc[place], Path(out) / place.replace("/", "-")
        files = sorted((data_folder(data) / "nat" / place).glob("*"))
        files = [f for f in files if f.suffix not in (".config", ".subnet", ".encoding")]
        if not files or (folder / results.RESULT).exists():
            return
        mish, arch = "mish" if network.activation == "mish" else None, network.architecture
        subnet = Subnet(space, arch, network.num_classes, mish)
        load_published(subnet, read_weights(files[0]))
        paper = PROFILES["paper"]
        task = dataset_task(network.dataset, data, side=side_of(paper, space))
        task = replace(task, crop=paper.crop)
        batches = InputBatches(task.test, arch.resolution, task, pick_device(device))
        correct = correct_predictions(subnet.to(batches.device).eval(), batches)
        top1 = 100 * float(correct.double().mean())
        se = (top1 * (100 - top1) / len(correct)) ** 0.5
        row = {"network": network.network, "architecture": str(arch), "top1": top1, "top1_se": se}
        row |= {"params": network.counted_params, "madds": network.counted_madds}
        about = {"dataset": network.dataset, "profile": results.AUTHORS, "seed": 0}
        _write_result(folder, task, pd.DataFrame([row]), **about)
        _say(f"{place}, {task.name}: top-1 {top1:.2f}%, {network.top1}% published")

    return _reasons(work, networks.index)


def _reasons(work: Callable[[str], None], names: Sequence[str]) -> dict[str, str]:
    """Does the work for each name, and returns why it failed where it did."""
    failed = {}
    for name in names:
        try:
            work(name)
        except (ValueError, OSError, RuntimeError, FloatingPointError) as error:
            failed[name] = str(error)
            _say(f"{name} failed: {error}")
    return failed


def _say(text: str) -> None:
    """Prints from one process only."""
    if rank() == 0:
        print(text, flush=True)


def _write_result(folder: Path, task: Task, networks: pd.DataFrame, **about: str | int) -> None:
    """Writes what `read_results` collects, as the last file of a run, from one process only."""
    if rank() > 0:
        return
    names = {"name": "network", "test_top1": "top1", "test_se": "top1_se"}
    rows = networks.rename(columns=names).to_json(orient="records", double_precision=15)
    date = datetime.now().astimezone().isoformat(timespec="seconds")
    about |= {"rehearsal": task.name != about["dataset"], "date": date, "version": __version__}
    about |= {"networks": json.loads(rows)}
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / results.RESULT, json.dumps(about, indent=1))


def _official_supernet(profile: Profile, data: str | Path | None) -> Supernet | None:
    """Returns the supernet of the official checkpoints, or `None` for the pocket one that ships."""
    if profile.space != "paper":
        return None
    files = {width: data_folder(data) / file for width, file in OFA_FILES.items()}
    if missing := [str(file) for file in files.values() if not file.is_file()]:
        raise FileNotFoundError(say("weights.ofa", named=" and ".join(missing)))
    net = Supernet(SearchSpace.paper(), num_classes=1000)
    load_ofa(net, {width: read_weights(file) for width, file in files.items()})
    return net


def main(arguments: Sequence[str] | None = None) -> int:
    """Transfers to the data sets of the paper; exits with 1 if one failed.

    Interrupt it whenever you like: the same command goes on where it stopped.
    """
    parser = argparse.ArgumentParser("python -m natlib reproduce", description=main.__doc__)
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
    options = vars(parser.parse_args(arguments))
    index, names, profile = (options.pop(key) for key in ("index", "tasks", "profile"))
    if index is not None and not 0 <= index < len(names):
        raise ValueError(f"There is no task {index}: choose from 0 to {len(names) - 1}.")
    connect()
    failed = reproduce(names if index is None else [names[index]], profile, **options)
    if index is None and rank() == 0:
        if get_profile(profile).space == "paper":
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
