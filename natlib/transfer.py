"""Neural Architecture Transfer: search and adaptation in turn, over an archive.

The loop of the paper (NAT, "The loop"), each step a function that can be called by itself:

    run = start(task, profile)           new classifier on a pre-trained supernet
    warm_up(run)                         0. the largest subnets, then uniformly drawn ones
    fill_archive(run)                    1. measure a first sample of architectures
    for each iteration:
        search_candidates(run)           2a-c. surrogate, NSGA-III, choice; measure; archive
        adapt(run)                       2d-e. train the subnets that the archive's best suggest
        measure_again(run)               2f. the weights changed, so did the accuracies
    report(run)                          3. M1 to M4, and their accuracy on test

`transfer` does all of it and keeps a run folder from which it resumes.
"""

from __future__ import annotations

import argparse
import copy
import json
import platform
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from natlib import __version__, parallel, runs
from natlib.cost import CostTable
from natlib.data import TARGETS, Task, load_task, pretrained_path
from natlib.evaluate import evaluate, fixed_sample, part_errors
from natlib.latency import LatencyTable, describe_machine
from natlib.profiles import PROFILES, Profile, get_profile
from natlib.search import (
    choose_candidates,
    gene_distribution,
    hypervolume,
    knee_points,
    non_dominated,
    nsga3,
    sample_distribution,
    sample_spread,
    select_best,
)
from natlib.space import IntMatrix, SearchSpace
from natlib.supernet import Supernet
from natlib.surrogate import SURROGATES, rank_metrics
from natlib.train import (
    cosine,
    device_of,
    largest_subnets,
    make_optimizer,
    pick_device,
    subnets_from,
    train,
    uniform_subnets,
)

MODES = ("distribution", "uniform", "none")
# Name to a function of a run and encodings `(n, n_var)` that returns the cost of each, `(n,)`.
COSTS: dict[str, Callable[[Run, IntMatrix], NDArray]] = {
    "madds": lambda run, X: run.table.madds(X),
    "params": lambda run, X: run.table.params(X),
    "latency_ms": lambda run, X: run.latency.latency_ms(X),
}
LATENCY = "latency.json"  # in the run folder
CHECKPOINT_SECONDS = 300.0


@dataclass
class Run:
    """A transfer under way.

    Attributes:
        task: The target task.
        profile: The settings.
        net: The supernet, which adapts.
        optimizer: Its optimizer.
        objectives: Names of the columns of `F`: `top1_err`, or for a task that was joined
            `top1_err_PART` of each part, then the costs.
        mode: How the supernet adapts, one of `MODES`.
        seed: Seed of everything random.
        limits: Upper bounds that candidates must keep, by name of objective.
        run_dir: The run folder, or `None`.
        progress: Whether to show progress.
        latency: Predicts `latency_ms`, where that is an objective.
        X: The archive's encodings, int64 `(n, n_var)`.
        F: The archive's objectives, all minimised, float64 `(n, n_objectives)`.
        born: Iteration in which each architecture joined the archive, int64 `(n,)`.
        reference: Worst corner of the box in which hypervolume is measured, fixed for the run.
        history: One dict per iteration.
        step: Training steps done.
        searched: Iterations whose candidates are in the archive.
        iteration: Iterations completed.
        evaluations: Evaluations of a subnet on the validation split so far.
    """

    task: Task
    profile: Profile
    net: Supernet
    optimizer: torch.optim.Optimizer
    objectives: tuple[str, ...]
    mode: str
    seed: int
    limits: dict[str, float]
    run_dir: Path | None
    progress: bool
    latency: LatencyTable | None
    X: IntMatrix
    F: NDArray[np.float64]
    born: IntMatrix
    reference: list[float] | None = None
    history: list[dict] = field(default_factory=list)
    step: int = 0
    searched: int = 0
    iteration: int = 0
    evaluations: int = 0

    @property
    def space(self) -> SearchSpace:
        """The search space."""
        return self.net.space

    @property
    def table(self) -> CostTable:
        """Parameters and MAdds of the space."""
        return CostTable(self.space, self.task.num_classes)

    @property
    def costs(self) -> dict[str, Callable[[IntMatrix], NDArray]]:
        """The objectives that are computed, not measured: name to function of encodings."""
        return {name: partial(COSTS[name], self) for name in self.objectives[self.n_errors :]}

    @property
    def n_errors(self) -> int:
        """The number of objectives that are measured: the first columns of `F`."""
        return max(1, len(self.task.parts))

    @property
    def summary(self) -> NDArray[np.float64]:
        """The mean of the errors over the parts of the task, and the costs, `(n, 1 + costs)`."""
        return np.column_stack(
            [self.F[:, : self.n_errors].mean(axis=1), self.F[:, self.n_errors :]]
        )

    @property
    def front(self) -> NDArray[np.int64]:
        """Rows of the archive that no other row dominates, cheapest first."""
        rows = np.flatnonzero(non_dominated(self.F))
        return rows[np.argsort(self.F[rows, self.n_errors])]

    def rng(self, purpose: int, iteration: int = 0) -> np.random.Generator:
        """Returns the random generator of a purpose in an iteration; see `natlib.train`."""
        return np.random.default_rng((self.seed, purpose, iteration))

    def steps(self, epochs: float) -> int:
        """Returns the number of training steps of so many epochs."""
        per_epoch = len(self.task.train.labels) // self.profile.batch_size
        return round(epochs * max(per_epoch, self.profile.min_steps))


def start(
    task: Task | str,
    profile: Profile | str | None = None,
    *,
    objectives: Sequence[str] = ("top1_err", "madds"),
    mode: str = "distribution",
    limits: dict[str, float] | None = None,
    seed: int = 0,
    supernet: Supernet | str | Path | None = None,
    run_dir: str | Path | None = None,
    device: str | None = None,
    progress: bool = True,
    latency: LatencyTable | None = None,
) -> Run:
    """Prepares a transfer: a pre-trained supernet with a new classifier (NAT, step 0).

    Args:
        task: The target task, or its name or folder as `load_task` takes it.
        profile: The settings, or their name; `NATLIB_PROFILE` by default.
        objectives: What to minimise: `top1_err` first, then any of `madds`, `params` and
            `latency_ms`. Of a task that was joined, `top1_err` is the error on each part.
        mode: `"distribution"` adapts the subnets that the archive's best suggest (the paper's
            way), `"uniform"` any subnets, `"none"` only searches.
        limits: Upper bounds that candidates must keep, such as `{"madds": 2e6}`.
        seed: Seed of everything random.
        supernet: A supernet or its file; the profile's pre-trained one by default.
        run_dir: The run folder, or `None` to keep nothing.
        device: Device name; the best available by default.
        progress: Whether to show progress.
        latency: Predicts `latency_ms` where that is an objective; by default the table in the run
            folder, or one that is measured now.

    Raises:
        ValueError: If an argument is not among the choices.
        FileNotFoundError: If the data or the supernet is missing.
    """
    profile, objectives, limits = get_profile(profile), tuple(objectives), dict(limits or {})
    check_choices(objectives, mode, limits)
    if not isinstance(supernet, Supernet):
        supernet = Supernet.load(supernet or pretrained_path(profile.space))
    if not isinstance(task, Task):
        task = load_task(task, side=max(supernet.space.resolutions))
    torch.manual_seed(seed)
    supernet.replace_classifier(task.num_classes)
    net = supernet.to(pick_device(device), memory_format=torch.channels_last)
    errors = [f"top1_err_{name}" for name, _ in task.parts] or ["top1_err"]
    if "latency_ms" in objectives:
        latency = find_latency(net, None if run_dir is None else Path(run_dir), latency)
    return Run(
        task=task,
        profile=profile,
        net=net,
        optimizer=make_optimizer(net),
        objectives=(*errors, *objectives[1:]),
        mode=mode,
        seed=seed,
        limits=limits,
        run_dir=None if run_dir is None else Path(run_dir),
        progress=progress,
        latency=latency,
        X=np.zeros((0, net.space.n_var), dtype=np.int64),
        F=np.zeros((0, len(errors) + len(objectives) - 1)),
        born=np.zeros(0, dtype=np.int64),
    )


def find_latency(
    net: Supernet, run_dir: Path | None, latency: LatencyTable | None = None
) -> LatencyTable:
    """Returns the latency table of the run folder, else the one that is passed, else a new one.

    So a run that goes on never mixes two measurements. A warning says where the table is of
    another machine.

    Raises:
        ValueError: If the folder holds another table or has lost its own, or if several processes
            would each measure one.
    """
    path = None if run_dir is None else run_dir / LATENCY
    if path is not None and path.exists():
        stored = LatencyTable.load(path)
        if stored.space != net.space or not (latency is None or latency.same_as(stored)):
            raise ValueError(
                f"{path} holds other latencies than those that are passed, or of another space: "
                "resume without 'latency', or choose another run folder."
            )
        warn_of_another_machine(stored, net, path)
        return stored
    if run_dir is not None and (run_dir / runs.CHECKPOINT).exists():
        raise ValueError(
            f"The latencies of the run in {run_dir} are lost: put {LATENCY} back, or choose "
            "another run folder."
        )
    if latency is None and parallel.world_size() > 1:
        raise ValueError(
            "Several processes would each measure latencies of their own: measure a LatencyTable "
            f"once and save it as {LATENCY} in the run folder."
        )
    return latency or LatencyTable.measure(net.space, device_of(net), num_classes=net.num_classes)


def warn_of_another_machine(table: LatencyTable, net: Supernet, path: Path) -> None:
    """Warns where a latency table was measured on another machine than this one."""
    here = describe_machine(device_of(net))
    there = {key: table.about.get(key) for key in here}
    if there != here:
        warnings.warn(
            f"The latencies in {path} were measured on {there}, but this is {here}: the run goes "
            "on with them.",
            stacklevel=2,
        )


def check_choices(objectives: tuple[str, ...], mode: str, limits: dict[str, float]) -> None:
    """Checks the arguments that name something.

    Raises:
        ValueError: If one of them is not among the choices.
    """
    unknown = [name for name in objectives[1:] if name not in COSTS]
    if objectives[:1] != ("top1_err",) or len(objectives) < 2 or unknown:
        raise ValueError(
            f"The objectives {list(objectives)} cannot be searched: begin with 'top1_err' and add "
            f"at least one of {list(COSTS)}."
        )
    if mode not in MODES:
        raise ValueError(f"There is no adaptation mode '{mode}': choose from {', '.join(MODES)}.")
    unknown = [name for name in limits if name not in objectives]
    if unknown:
        raise ValueError(f"The limit on '{unknown[0]}' names no objective of {list(objectives)}.")


def estimate(run: Run, trials: int = 3) -> pd.DataFrame:
    """Predicts what the whole transfer takes, from a few steps on a copy of the supernet.

    Args:
        run: A run that has not begun; it is left as it is.
        trials: Steps, and evaluations, that are timed after one untimed each.

    Returns:
        One row per phase, `times` (how often), `each` (seconds) and `minutes`; `total` ends it.
    """
    p, trial = run.profile, copy.deepcopy(run)
    trial.progress, trial.run_dir = False, None
    sampler = uniform_subnets(run.space, p.subnets_per_step, run.seed)
    X = run.space.sample(trials + 1, run.seed)
    step = seconds_each(
        lambda i: train_to(trial, i + 1, sampler, lambda step: 0.0, "trial"), trials
    )
    evaluation = seconds_each(lambda i: measure(trial, X[i : i + 1], "trial"), trials)
    again = 0 if run.mode == "none" else p.archive + p.candidates * (p.iterations + 1) / 2
    counts = {
        "warm-up": (run.steps(p.warmup_largest) + run.steps(p.warmup_uniform), step),
        "first archive": (p.archive, evaluation),
        "new candidates": (p.iterations * p.candidates, evaluation),
        "adaptation": (0 if run.mode == "none" else p.iterations * run.steps(p.adapt), step),
        "measuring again": (round(p.iterations * again), evaluation),
    }
    table = pd.DataFrame(counts, index=["times", "each"]).T
    table["minutes"] = table.times * table.each / 60
    table.loc["total", "minutes"] = table.minutes.sum()
    return table


def seconds_each(work: Callable[[int], None], trials: int) -> float:
    """Returns the median seconds of `work(1)` to `work(trials)`, after an untimed `work(0)`."""
    seconds = []
    for i in range(trials + 1):
        begin = time.perf_counter()
        work(i)
        seconds.append(time.perf_counter() - begin)
    return float(np.median(seconds[1:]))


def warm_up(run: Run) -> None:
    """Trains the largest subnets on the task, then uniformly drawn ones (NAT, step 0)."""
    p = run.profile
    largest, uniform = run.steps(p.warmup_largest), run.steps(p.warmup_uniform)
    schedule = cosine(p.warmup_lr, largest + uniform, warmup=(largest + uniform) // 10)
    train_to(run, largest, largest_subnets(run.space), schedule, "warm-up, largest", distill=False)
    sampler = uniform_subnets(run.space, p.subnets_per_step, run.seed)
    train_to(run, largest + uniform, sampler, schedule, "warm-up, uniform")


def fill_archive(run: Run) -> None:
    """Measures a first sample that covers the range of MAdds evenly (NAT, step 1)."""
    add(run, sample_spread(run.space, run.table, run.profile.archive, run.rng(1)))
    worst = run.summary.max(axis=0)
    worst[0] = max(worst[0], 1.0)  # an easy task may be solved without an error from the start
    run.reference = worst.tolist()
    run.history.append(describe_iteration(run, {}, {}))


def search_candidates(run: Run) -> None:
    """Fits the surrogate, searches with it, measures what fills the front (NAT, steps 2a to 2c)."""
    p, seconds = run.profile, {}
    begin = time.perf_counter()
    surrogate = SURROGATES[p.surrogate](run.space, run.seed)
    errors = run.F[:, : run.n_errors]
    surrogate.fit(run.X, errors if run.task.parts else errors[:, 0])
    found = nsga3(
        run.space,
        columns_of(surrogate.predict, run.objectives[: run.n_errors]) | run.costs,
        run.X[run.front],
        limits=run.limits,
        population=p.population,
        generations=p.generations,
        seed=int(run.rng(2, run.searched).integers(2**31)),
    )
    chosen = choose_candidates(found.F, run.F, p.candidates, X_new=found.X, X_archive=run.X)
    X, predicted = found.X[chosen], found.F[chosen, : run.n_errors].mean(axis=1)
    seconds["search"] = time.perf_counter() - begin
    begin = time.perf_counter()
    add(run, X)
    seconds["measure"] = time.perf_counter() - begin
    quality = rank_metrics(run.summary[-len(X) :, 0], predicted)
    run.searched += 1
    run.history.append(describe_iteration(run, quality, seconds))


def columns_of(
    predict: Callable[[IntMatrix], NDArray], names: Sequence[str]
) -> dict[str, Callable[[IntMatrix], NDArray]]:
    """Returns each column of what `predict` returns as an objective, by name.

    They are asked for the same encodings one after another; `predict` only once.
    """
    last: list = [None, None]

    def column(X: IntMatrix, k: int) -> NDArray:
        if last[0] is not X:
            last[:] = X, predict(X).reshape(len(X), -1)
        return last[1][:, k]

    return {name: partial(column, k=k) for k, name in enumerate(names)}


def adapt(run: Run) -> None:
    """Trains the subnets that the archive's best suggest (NAT, steps 2d and 2e).

    Mode `uniform` draws the subnets uniformly instead, mode `none` trains nothing.
    """
    if run.mode == "none":
        return
    p, space = run.profile, run.space
    first = run.steps(p.warmup_largest) + run.steps(p.warmup_uniform)
    schedule = cosine(p.adapt_lr, p.iterations * run.steps(p.adapt), first=first)
    if run.mode == "uniform":
        sampler = uniform_subnets(space, p.subnets_per_step, run.seed)
    else:
        best = run.X[select_best(run.F, min(p.best, len(run.X)))]
        genes = gene_distribution(best, space)
        sampler = subnets_from(
            space, lambda rng: sample_distribution(genes, space, p.subnets_per_step, rng), run.seed
        )
    begin = time.perf_counter()
    train_to(run, first + (run.iteration + 1) * run.steps(p.adapt), sampler, schedule, "adapting")
    run.history[-1]["seconds_adapt"] = round(time.perf_counter() - begin, 2)


def measure_again(run: Run) -> None:
    """Measures the whole archive with the adapted weights (NAT, step 2f)."""
    begin = time.perf_counter()
    if run.mode != "none":
        run.F[:, : run.n_errors] = measure(run, run.X, "measuring the archive again")
    run.iteration += 1
    update = {
        "hypervolume": run_hypervolume(run),
        "best_err": float(run.summary[:, 0].min()),
        "evaluations": run.evaluations,
        "steps": run.step,
        "seconds_measure_again": round(time.perf_counter() - begin, 2),
    }
    run.history[-1].update(update)


def report(run: Run, n: int = 4) -> pd.DataFrame:
    """Returns the knee points M1 ... Mn with their accuracy on test (NAT, step 3).

    Nothing before this looks at the test split. Of a task that was joined, accuracies are means
    over its parts.

    Args:
        run: The transfer.
        n: Number of knee points.

    Returns:
        One row per network: `name`, `architecture`, `params`, `madds`, `valid_top1` and
        `test_top1` (percent), `test_se` (standard error of the test accuracy).
    """
    rows = run.front[knee_points(run.summary[run.front], n)]
    correct = evaluate(
        run.net,
        run.X[rows],
        run.task,
        "test",
        calibration=run.profile.calibration,
        progress=run.progress,
        description="test accuracy of the chosen subnets",
    )
    errors = part_errors(correct, run.task.test, run.task)
    test = 100 - errors.mean(axis=1)
    return pd.DataFrame(
        {
            "name": [f"M{i + 1}" for i in range(len(rows))],
            "architecture": [str(run.space.decode(x)) for x in run.X[rows]],
            "params": run.table.params(run.X[rows]),
            "madds": run.table.madds(run.X[rows]),
            "valid_top1": 100 - run.summary[rows, 0],
            "test_top1": test,
            "test_se": np.sqrt(test * (100 - test) / correct.shape[1]),
        }
    )


def transfer(
    task: Task | str,
    profile: Profile | str | None = None,
    *,
    run_dir: str | Path | None = None,
    resume: bool = True,
    on_iteration: Callable[[Run], None] | None = None,
    **options,
) -> Run:
    """Transfers a supernet to a task and returns the finished run.

    Args:
        task: The target task, or its name or folder as `load_task` takes it.
        profile: The settings, or their name; `NATLIB_PROFILE` by default.
        run_dir: The run folder, or `None` to keep nothing.
        resume: Whether to go on with what the folder holds; otherwise a folder that holds a run
            is refused.
        on_iteration: Called with the run after the archive was filled and after each iteration.
        **options: As for `start`.

    Raises:
        ValueError: If an argument is not among the choices, or the folder holds something else.
        RuntimeError: If another process works in the folder.
    """
    parallel.connect()
    run = start(task, profile, run_dir=run_dir, **options)
    alone = run.run_dir is None or parallel.rank() > 0
    with nullcontext() if alone else runs.locked(run.run_dir):
        if run.run_dir is not None:
            open_folder(run, resume)
        if run.progress:
            tell_outset(run)
        if not len(run.X):
            warm_up(run)
            fill_archive(run)
            finish_iteration(run, on_iteration)
        while run.iteration < run.profile.iterations:
            if run.searched == run.iteration:
                search_candidates(run)
                save(run)
            adapt(run)
            measure_again(run)
            finish_iteration(run, on_iteration)
    return run


def tell_outset(run: Run) -> None:
    """Prints the device, and what the transfer will take or where it goes on."""
    where = f"{device_of(run.net)}, {parallel.world_size()} process(es)"
    if run.step:
        text = f"going on after step {run.step} and iteration {run.iteration}"
    else:
        minutes = estimate(run, trials=2).loc["total", "minutes"]
        text = f"about {minutes:.0f} minutes, {peak_memory():.1f} GB of memory after a few steps"
    if parallel.rank() == 0:
        print(f"{run.task.name}, profile {run.profile.name}, on {where}: {text}")


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


def finish_iteration(run: Run, on_iteration: Callable[[Run], None] | None) -> None:
    """Saves the run and tells about the iteration."""
    save(run)
    if run.progress and parallel.rank() == 0:
        print(iteration_line(run.history[-1]))
    if on_iteration is not None:
        on_iteration(run)


def iteration_line(row: dict) -> str:
    """Returns one line of text about a row of the history."""
    seconds = {k.removeprefix("seconds_"): v for k, v in row.items() if k.startswith("seconds_")}
    spent = ", ".join(f"{phase} {value:.0f}" for phase, value in seconds.items())
    return (
        f"iteration {row['iteration']:2d}: hypervolume {row['hypervolume']:.4f}, "
        f"best error {row['best_err']:.1f}%, {row['archive']} architectures"
        + (f", surrogate tau {row['kendall']:+.2f}" if "kendall" in row else "")
        + (f" (seconds: {spent})" if spent else "")
    )


def add(run: Run, X: IntMatrix) -> None:
    """Measures architectures and adds them to the archive."""
    errors = measure(run, X, f"measuring {len(X)} architectures")
    F = np.column_stack([errors, *(cost(X) for cost in run.costs.values())])
    run.X, run.F = np.vstack([run.X, X]), np.vstack([run.F, F])
    run.born = np.concatenate([run.born, np.full(len(X), run.searched + bool(len(run.born)))])


def measure(run: Run, X: IntMatrix, description: str) -> NDArray[np.float64]:
    """Returns the top-1 errors on the validation split in percent, `(n, n_errors)`."""
    correct = evaluate(
        run.net,
        X,
        run.task,
        n_images=run.profile.validation,
        calibration=run.profile.calibration,
        progress=run.progress,
        description=description,
    )
    run.evaluations += len(X)
    return part_errors(correct, fixed_sample(run.task.valid, run.profile.validation), run.task)


def train_to(
    run: Run, last: int, sampler: Callable, schedule: Callable, label: str, distill: bool = True
) -> None:
    """Trains from the run's step to step `last`, with a checkpoint every few minutes."""
    saved = time.monotonic()

    def after_step(step: int) -> None:
        nonlocal saved
        run.step = step + 1
        if time.monotonic() - saved > CHECKPOINT_SECONDS:
            save(run)
            saved = time.monotonic()

    train(
        run.net,
        run.optimizer,
        run.task,
        sampler,
        schedule,
        range(run.step, last),
        batch_size=run.profile.batch_size,
        seed=run.seed,
        distill=distill,
        micro_batches=run.profile.micro_batches,
        after_step=after_step,
        description=label,
        progress=run.progress,
    )


def run_hypervolume(run: Run) -> float:
    """Returns the share of the box between zero error, least cost and `run.reference`.

    Of a task that was joined, the mean error over its parts stands for all of them: a hypervolume
    of twelve objectives takes too long.
    """
    smallest = run.space.encode(run.space.smallest())[None]
    ideal = [0.0, *(float(cost(smallest)[0]) for cost in run.costs.values())]
    return float(hypervolume(run.summary, run.reference, ideal))


def describe_iteration(run: Run, quality: dict, seconds: dict) -> dict:
    """Returns the history's row of an iteration, as far as it is known."""
    return {
        "iteration": run.searched,
        "hypervolume": run_hypervolume(run),
        "best_err": float(run.summary[:, 0].min()),
        "archive": len(run.X),
        "evaluations": run.evaluations,
        "steps": run.step,
        **{name: float(value) for name, value in quality.items()},
        **{f"seconds_{name}": round(value, 2) for name, value in seconds.items()},
    }


def settings(run: Run) -> dict:
    """Returns everything that must be the same for a run to be resumed."""
    return {
        "task": run.task.name,
        "profile": asdict(run.profile),
        "objectives": list(run.objectives),
        "mode": run.mode,
        "seed": run.seed,
        "limits": run.limits,
    }


def open_folder(run: Run, resume: bool) -> None:
    """Checks the run folder's settings and takes up its last checkpoint."""
    versions = {"python": platform.python_version(), "torch": torch.__version__}
    versions |= {"numpy": np.__version__, "natlib": __version__}
    device = str(device_of(run.net))
    about = {"settings": settings(run), "versions": versions, "device": device}
    if not resume and (run.run_dir / runs.CHECKPOINT).exists():
        raise ValueError(f"{run.run_dir} holds a run already: resume it or choose another folder.")
    if parallel.rank() == 0:
        runs.check_config(run.run_dir, about)
        if run.latency is not None:
            run.latency.save(run.run_dir / LATENCY)
    parallel.wait_for_all()
    saved = runs.read_checkpoint(run.run_dir)
    if saved is None:
        return
    tensors, state = saved
    runs.restore(run.net, run.optimizer, tensors)
    for name in ("reference", "history", "step", "searched", "iteration", "evaluations"):
        setattr(run, name, state[name])
    run.X = np.array(state["X"], dtype=np.int64).reshape(-1, run.space.n_var)
    run.F = np.array(state["F"], dtype=np.float64).reshape(-1, len(run.objectives))
    run.born = np.array(state["born"], dtype=np.int64)


def save(run: Run) -> None:
    """Writes the checkpoint and the views of it into the run folder."""
    if run.run_dir is None or parallel.rank() > 0:
        return
    state = {"X": run.X.tolist(), "F": run.F.tolist(), "born": run.born.tolist()}
    for name in ("reference", "history", "step", "searched", "iteration", "evaluations"):
        state[name] = getattr(run, name)
    runs.save_checkpoint(run.run_dir, run.net, run.optimizer, state)
    table = archive_table(run)
    lines = "".join(json.dumps(row) + "\n" for row in table.to_dict("records"))
    runs.write_text(run.run_dir / "archive.jsonl", lines)
    runs.write_text(run.run_dir / "history.csv", pd.DataFrame(run.history).to_csv(index=False))
    runs.write_text(run.run_dir / "front.csv", table.iloc[run.front].to_csv(index=False))


def archive_table(run: Run) -> pd.DataFrame:
    """Returns the archive: `architecture`, one column per objective, `iteration` of joining."""
    names = [str(run.space.decode(x)) for x in run.X]
    table = pd.DataFrame(run.F, columns=list(run.objectives))
    table.insert(0, "architecture", names)
    table["iteration"] = run.born
    return table


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a transfer from a shell; see `python -m natlib.transfer --help`."""
    options = vars(make_parser().parse_args(arguments))
    try:
        options["limits"] = dict(parse_limit(text) for text in options.pop("limit"))
        run = transfer(options.pop("task"), options.pop("profile"), **options)
        networks = report(run)
    except (ValueError, OSError, RuntimeError, FloatingPointError) as error:
        raise SystemExit(f"{error}") from None
    if parallel.rank() == 0:
        write_report(run, networks)
    parallel.disconnect()


def write_report(run: Run, networks: pd.DataFrame) -> None:
    """Writes the table of `report` into the run folder, and prints it."""
    runs.write_text(run.run_dir / "report.csv", networks.to_csv(index=False))
    print(networks.round(2).to_string(index=False))
    print(f"All results are in {run.run_dir}: front.csv, archive.jsonl, history.csv, report.csv.")


def make_parser() -> argparse.ArgumentParser:
    """Returns the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m natlib.transfer",
        description="Transfers a pre-trained supernet to a task: searches subnets that trade "
        "accuracy off against cost, and adapts the weights to them. Interrupt it whenever you "
        "like: the same command goes on where it stopped.",
    )
    add = parser.add_argument
    add("--task", required=True, help=f"the target task: {', '.join(TARGETS)}, a data set of "
        "the paper such as cifar10, or a folder that holds one of pictures per class")  # fmt: skip
    add("--profile", choices=PROFILES, help="how much to compute; default: quick, or what the "
        "environment variable NATLIB_PROFILE says")  # fmt: skip
    add("--run-dir", required=True, type=Path, help="folder for results; made if it is missing")
    add("--mode", choices=MODES, default="distribution", help="which subnets adaptation trains: "
        "drawn from the distribution of the best (default), uniform, or none at all")  # fmt: skip
    add("--objectives", nargs="+", default=["top1_err", "madds"], metavar="NAME",
        help=f"what to minimise: top1_err and any of {', '.join(COSTS)}")  # fmt: skip
    add("--limit", action="append", default=[], metavar="NAME=VALUE",
        help="upper bound of an objective, such as madds=2e6; may be repeated")  # fmt: skip
    add("--seed", type=int, default=0, help="seed of everything random (default: 0)")
    add("--supernet", type=Path, help="file of a pre-trained supernet; default: the profile's")
    add("--device", help="cuda, mps or cpu; default: the best there is")
    return parser


def parse_limit(text: str) -> tuple[str, float]:
    """Reads a limit such as `madds=2e6`.

    Raises:
        ValueError: If it has no such form.
    """
    name, _, value = text.partition("=")
    try:
        return name, float(value)
    except ValueError:
        raise ValueError(f"The limit '{text}' is not of the form madds=2e6.") from None


if __name__ == "__main__":
    main()
