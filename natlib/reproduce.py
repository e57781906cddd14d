"""Runs the transfer on the data sets of the paper, one after the other, and collects the results.

    python -m natlib.reproduce --tasks cifar10 flowers102 --profile paper --out runs/

Interrupt it whenever you like: the same command goes on where it stopped. With `--index` it does
one of the tasks only, for the array jobs of a cluster (see `examples/reproduce.slurm`). Where
`NATLIB_DATA` holds rehearsal miniatures, the same command rehearses.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from natlib import __version__, paper, parallel, runs
from natlib.data import Split, Task, make_task, to_input
from natlib.datasets import DATA_SETS, data_folder, dataset_task, find_data_set
from natlib.profiles import PROFILES, Profile, get_profile
from natlib.space import SearchSpace
from natlib.supernet import Subnet, Supernet
from natlib.train import device_of, make_optimizer, pick_device, train, uniform_subnets
from natlib.transfer import report, transfer

# As few of everything as shows that it runs, for all eleven miniatures in about a minute.
REHEARSAL = replace(
    PROFILES["quick"],
    name="rehearsal",
    batch_size=16,
    min_steps=5,
    archive=6,
    iterations=1,
    candidates=2,
    best=3,
)
OFA_FILES = {width: f"ofa/ofa_mbv3_d234_e346_k357_w{width}" for width in (1.0, 1.2)}
ERRORS = (ValueError, OSError, RuntimeError, FloatingPointError)


def reproduce(
    names: Sequence[str],
    profile: Profile | str | None = None,
    *,
    out: str | Path,
    data: str | Path | None = None,
    seed: int = 0,
    supernet: str | Path | None = None,
    device: str | None = None,
    progress: bool = True,
) -> dict[str, str]:
    """Transfers to data sets, one after the other; finished ones are left alone.

    A data set that fails, for example because it is not there, does not stop the others.

    Args:
        names: Names of the data sets.
        profile: The settings, or their name; `NATLIB_PROFILE` by default.
        out: Folder in which each data set gets a run folder.
        data: Folder of the data sets; the one that `NATLIB_DATA` names by default.
        seed: Seed of everything random.
        supernet: File of a pre-trained supernet; by default the pocket one that ships, or the
            official Once-for-all checkpoints in `ofa` below the data folder.
        device: Device name; the best available by default.
        progress: Whether to show progress.

    Returns:
        The reason for each data set that failed.

    Raises:
        ValueError: If there is no data set, or no profile, of such a name.
    """
    for name in names:
        find_data_set(name)
    profile, failed = get_profile(profile), {}
    for name in names:
        try:
            task = dataset_task(name, data, side=max(space_of(profile).resolutions), seed=seed)
            folder = run_folder(out, task, profile, seed)
            if (folder / paper.RESULT).exists():
                say(f"{task.name}: done already, in {folder}")
                continue
            say(f"{task.name}: profile {profile.name}, seed {seed}, in {folder}")
            run = transfer(
                task,
                profile,
                run_dir=folder,
                seed=seed,
                supernet=supernet or default_supernet(profile, data),
                device=device,
                progress=progress,
            )
            networks = networks_of(report(run))
            if is_first_process():
                write_result(folder, name, task, profile.name, seed, networks)
        except ERRORS as error:
            failed[name] = str(error)
            say(f"{name} failed: {error}")
    return failed


def space_of(profile: Profile) -> SearchSpace:
    """Returns the search space of a profile."""
    return {"pocket": SearchSpace.pocket, "paper": SearchSpace.paper}[profile.space]()


def run_folder(out: str | Path, task: Task, profile: Profile, seed: int) -> Path:
    """Returns the run folder of a task; rehearsals have one of their own."""
    return Path(out) / f"{task.name}-{profile.name}-{seed}".replace(" (rehearsal)", "-rehearsal")


def is_first_process() -> bool:
    """Whether this is the process that writes and prints, of those that `torchrun` started."""
    return os.environ.get("RANK", "0") == "0"


def say(text: str) -> None:
    """Prints from one process only."""
    if is_first_process():
        print(text, flush=True)


def networks_of(table: pd.DataFrame) -> list[dict]:
    """Returns the networks of a report under the names of `natlib.paper.read_results`."""
    names = {"name": "network", "test_top1": "top1", "test_se": "top1_se"}
    return json.loads(table.rename(columns=names).to_json(orient="records", double_precision=15))


def write_result(
    folder: Path, name: str, task: Task, profile: str, seed: int, networks: list[dict]
) -> None:
    """Writes what `natlib.paper.read_results` collects, as the last file of a run."""
    result = {
        "dataset": name,
        "rehearsal": task.name != name,
        "profile": profile,
        "seed": seed,
        "date": datetime.now().astimezone().isoformat(timespec="seconds"),
        "version": __version__,
        "networks": networks,
    }
    folder.mkdir(parents=True, exist_ok=True)
    runs.write_text(folder / paper.RESULT, json.dumps(result, indent=1))


def default_supernet(profile: Profile, data: str | Path | None) -> Supernet | None:
    """Returns the supernet to start from, or `None` for the one that ships.

    Raises:
        FileNotFoundError: If the official checkpoints are missing, with what to do.
    """
    if profile.space != "paper":
        return None
    files = {width: data_folder(data) / file for width, file in OFA_FILES.items()}
    missing = [str(file) for file in files.values() if not file.is_file()]
    if missing:
        raise FileNotFoundError(
            f"The paper's space starts from the official Once-for-all checkpoints, and "
            f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing: get them "
            "from https://github.com/mit-han-lab/once-for-all, and put them there."
        )
    net = Supernet(SearchSpace.paper(), num_classes=1000)
    net.load_ofa({width: read_weights(file) for width, file in files.items()})
    return net


def read_weights(path: Path) -> dict:
    """Reads a file of PyTorch weights, and nothing but weights.

    Raises:
        ValueError: If it is damaged or holds anything else.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged archives fail in many ways
        raise ValueError(f"{path} holds no PyTorch weights: {error}") from None


def measure_published(
    *, out: str | Path, data: str | Path | None = None, device: str | None = None
) -> dict[str, str]:
    """Measures the networks that the authors published on test, where their weights files lie.

    A weights file lies in `nat/DATASET/NAME` below the data folder, where `NAME` is the folder
    name that the authors gave the network, such as `net-img@228-flops@211-top1@77.0`.

    Args:
        out: Folder for the results, which `natlib.paper.reproduction_table` collects.
        data: Folder of the data sets; the one that `NATLIB_DATA` names by default.
        device: Device name; the best available by default.

    Returns:
        The reason for each network that failed.
    """
    space, failed = SearchSpace.paper(), {}
    for network in paper.published_networks().itertuples():
        place = f"{network.dataset}/{network.name}"
        file = weights_file(data_folder(data) / "nat" / place)
        folder = Path(out) / place.replace("/", "-")
        if file is None or (folder / paper.RESULT).exists():
            continue
        try:
            task = dataset_task(network.dataset, data, side=max(space.resolutions))
            figures = measure_weights(file, network, task, pick_device(device))
        except ERRORS as error:
            failed[place] = str(error)
            say(f"{place} failed: {error}")
            continue
        say(f"{place}, {task.name}: top-1 {figures['top1']:.2f}%, {network.top1}% published")
        write_result(folder, network.dataset, task, paper.AUTHORS, 0, [figures])
    return failed


def weights_file(folder: Path) -> Path | None:
    """Returns the file in a folder that is none of the authors' descriptions."""
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    weights = [f for f in files if f.suffix not in (".config", ".subnet", ".encoding")]
    return weights[0] if weights else None


def measure_weights(file: Path, network: tuple, task: Task, device: torch.device) -> dict:
    """Returns the figures of a published network, a row of `natlib.paper.published_networks`.

    Raises:
        ValueError: If the file holds no weights, or none of this network.
    """
    mish = "mish" if network.activation == "mish" else None
    subnet = Subnet(SearchSpace.paper(), network.architecture, network.num_classes, mish)
    subnet.load_published(read_weights(file))
    correct = count_correct(subnet.to(device).eval(), task, network.architecture.resolution)
    top1 = 100 * correct / len(task.test)
    return {
        "network": network.network,
        "architecture": str(network.architecture),
        "top1": top1,
        "top1_se": float(np.sqrt(top1 * (100 - top1) / len(task.test))),
        "params": network.counted_params,
        "madds": network.counted_madds,
    }


@torch.inference_mode()
def count_correct(subnet: Subnet, task: Task, resolution: int, batch_size: int = 100) -> int:
    """Returns how many test pictures a module in `eval` mode classifies correctly."""
    correct, device = 0, device_of(subnet)
    for rows in torch.arange(len(task.test)).split(batch_size):
        inputs = to_input(task.test.images[rows], resolution, task, device)
        correct += int((subnet(inputs).argmax(dim=1).cpu() == task.test.labels[rows]).sum())
    return correct


def throughput(net: Supernet, batch_size: int = 8, trials: int = 2) -> tuple[float, float]:
    """Measures how many images a second a supernet takes, in training and in evaluation.

    Args:
        net: The supernet, on its device; its weights stay as they are.
        batch_size: Images a batch.
        trials: Batches that are timed, after an untimed one.

    Returns:
        Images a second and subnet, averaged over uniformly drawn subnets: training, evaluation.
    """
    side, rng = max(net.space.resolutions), torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (batch_size, 3, side, side), generator=rng).byte()
    pictures = Split(images, torch.zeros(batch_size, dtype=torch.int64))
    task = make_task("noise", ("noise",), dict.fromkeys(("train", "valid", "test"), pictures))
    sampler = uniform_subnets(net.space, 3, seed=0)
    seconds = {"train": [], "evaluate": []}
    for step in range(trials + 1):
        begin = time.perf_counter()
        train(net, make_optimizer(net), task, sampler, lambda step: 0.0, range(step, step + 1),
              batch_size=batch_size, progress=False)  # fmt: skip
        seconds["train"].append((time.perf_counter() - begin) / 4)
        begin = time.perf_counter()
        for arch in sampler(step):
            count_correct(net.extract(arch).eval(), task, arch.resolution)
        seconds["evaluate"].append((time.perf_counter() - begin) / 4)
    return tuple(batch_size / float(np.median(times[1:])) for times in seconds.values())


def estimated_hours(profile: Profile, training: float, evaluation: float) -> pd.DataFrame:
    """Predicts the hours that a transfer to each of the eleven data sets takes.

    Args:
        profile: The settings.
        training: Images a second and subnet in training, as `throughput` measures them.
        evaluation: Images a second and subnet in evaluation.

    Returns:
        One row per data set: `training`, `evaluation` and `hours` in all. Loading pictures and
        searching are left out.
    """
    p, widths, rows = profile, len(space_of(profile).widths), {}
    again = p.archive + p.candidates * (p.iterations + 1) / 2
    evaluations = p.archive + p.iterations * (p.candidates + again)
    for name, entry in DATA_SETS.items():
        steps = max(entry.train // p.batch_size, p.min_steps)
        subnets = p.warmup_largest * widths
        subnets += (p.warmup_uniform + p.iterations * p.adapt) * (1 + p.subnets_per_step)
        images = steps * p.batch_size * subnets
        valid = min(entry.valid, p.validation or entry.valid)
        seen = evaluations * (valid + min(p.calibration, entry.train))
        rows[name] = {
            "training": images / training / 3600,
            "evaluation": seen / evaluation / 3600,
        }
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("data set")
    return table.assign(hours=table.sum(axis=1))


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; see `python -m natlib.reproduce --help`.

    Returns:
        1 if a data set or a network failed, else 0.
    """
    options = make_parser().parse_args(arguments)
    try:
        names = chosen_tasks(options.tasks, options.index)
        if options.estimate:
            return print_estimate(options)
        failed = reproduce(
            names,
            options.profile,
            out=options.out,
            data=options.data,
            seed=options.seed,
            supernet=options.supernet,
            device=options.device,
        )
        if options.index is None and is_first_process():
            if get_profile(options.profile).space == "paper":
                failed |= measure_published(
                    out=options.out, data=options.data, device=options.device
                )
            print_tables(options.out)
    except ERRORS as error:
        raise SystemExit(str(error)) from None
    except KeyboardInterrupt:
        raise SystemExit("Interrupted: the same command goes on from here.") from None
    finally:
        parallel.disconnect()
    return int(bool(failed))


def chosen_tasks(names: Sequence[str], index: int | None) -> list[str]:
    """Returns the tasks to do: all of them, or the one of an index that counts from 0.

    Raises:
        ValueError: If there is no task of that index.
    """
    if index is None:
        return list(names)
    if not 0 <= index < len(names):
        raise ValueError(f"There is no task {index}: choose from 0 to {len(names) - 1}.")
    return [names[index]]


def print_estimate(options: argparse.Namespace) -> int:
    """Measures the throughput of this computer and prints the hours for each data set."""
    profile, device = get_profile(options.profile), pick_device(options.device)
    net = Supernet(space_of(profile), num_classes=1000).to(device)
    training, evaluation = throughput(net)
    print(f"Images a second and subnet on {device}: training {training:.1f}, evaluation "
          f"{evaluation:.1f}. Hours with profile {profile.name}:")  # fmt: skip
    print(estimated_hours(profile, training, evaluation).loc[list(options.tasks)].round(2))
    return 0


def print_tables(out: str | Path) -> None:
    """Prints what the runs gave, and writes the reproduction table beside them."""
    rehearsed, table = paper.rehearsal_table(out), paper.reproduction_table(out)
    if len(rehearsed):
        print("Rehearsal, which says nothing about the data sets:")
        print(rehearsed.round(2).to_string(index=False))
    own = table[table[(paper.YOURS, "source")] != "not run"]
    if len(own):
        print(own[["", paper.PUBLISHED, paper.YOURS]].round(2).to_string(index=False))
    print(f"The whole table: {', '.join(map(str, paper.export(table, out)))}")


def make_parser() -> argparse.ArgumentParser:
    """Returns the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m natlib.reproduce",
        description="Transfers to the data sets of the paper, one after the other. Interrupt it "
        "whenever you like: the same command goes on where it stopped.",
    )
    add = parser.add_argument
    add("--tasks", nargs="+", choices=DATA_SETS, default=list(DATA_SETS), metavar="NAME",
        help=f"data sets (default: all): {', '.join(DATA_SETS)}")  # fmt: skip
    add("--index", type=int, help="do only the task of this index, from 0: for array jobs")
    add("--profile", choices=PROFILES, help="how much to compute; default: quick, or what the "
        "environment variable NATLIB_PROFILE says")  # fmt: skip
    add("--out", type=Path, default=Path("runs"), help="folder for run folders (default: runs)")
    add("--data", type=Path, help="folder of the data sets (default: what NATLIB_DATA says)")
    add("--seed", type=int, default=0, help="seed of everything random (default: 0)")
    add("--supernet", type=Path, help="file of a pre-trained supernet; default: the profile's")
    add("--device", help="cuda, mps or cpu; default: the best there is")
    add("--estimate", action="store_true", help="only measure speed, and print expected hours")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
