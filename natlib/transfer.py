"""Neural Architecture Transfer: search and adaptation in turn, over an archive.

The loop of the paper (NAT, "The loop"), each step a function that can be called by itself:

    run = start(task, profile)           a new classifier on a pre-trained supernet
    warm_up(run)                         0.   the largest subnets, then uniformly drawn ones
    fill_archive(run)                    1.   measure a first sample of architectures
    while run.iteration < profile.iterations:
        search_candidates(run)           2a-c surrogate, NSGA-III, choice; measure; archive
        adapt(run)                       2d-e train the subnets that the archive's best suggest
        measure_again(run)               2f   the weights changed, so did the accuracies
    report(run)                          3.   M1 to M4, and their accuracy on test

`transfer` does all of it and keeps a run folder. There `checkpoint.safetensors` is the truth:
weights, momentum, archive and history in one file, so that at any moment a complete state is on
disk. `config.json`, `archive.csv`, `front.csv` and `history.csv` are views of it for people.
"""

from __future__ import annotations

import json
import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import wraps
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from filelock import FileLock, Timeout
from numpy.typing import ArrayLike, NDArray
from safetensors.torch import save_file

from natlib.cost import CostTable
from natlib.data import Task, fixed_sample, load_task, pretrained_path, write_text
from natlib.evaluate import evaluate
from natlib.profiles import Profile, get_profile
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
from natlib.supernet import Supernet, read_tensors
from natlib.surrogate import SURROGATES, rank_metrics
from natlib.train import (
    SubnetSampler,
    connect,
    cosine,
    device_of,
    from_first,
    largest_subnets,
    make_optimizer,
    pick_device,
    rank,
    subnets_from,
    train,
    uniform_subnets,
    wait_for_all,
    world_size,
)

MODES = ("distribution", "uniform", "none")
CHECKPOINT, CONFIG = "checkpoint.safetensors", "config.json"
CHECKPOINT_SECONDS = 300.0  # between two checkpoints in training
FORMAT = "natlib run 2"
FloatMatrix = NDArray[np.float64]


@dataclass(frozen=True)
class Settings:
    """What a transfer is to do; a run is resumed with the same settings only.

    Attributes:
        profile: The numbers.
        objectives: What is minimised: the measured errors first, then costs.
        mode: Which subnets adaptation trains, one of `MODES`.
        limits: Upper bounds that candidates must keep, by name of objective.
        seed: Seed of everything random.
    """

    profile: Profile
    objectives: tuple[str, ...] = ("top1_err", "madds")
    mode: str = "distribution"
    limits: dict[str, float] = field(default_factory=dict)
    seed: int = 0


@dataclass
class Archive:
    """All architectures that were measured.

    Attributes:
        X: Canonical encodings, int64 `(n, n_var)`.
        F: Objectives, all minimised, float64 `(n, n_objectives)`: errors in percent, then costs.
        born: Iteration in which each joined, int64 `(n,)`.
        n_errors: How many of the first columns of `F` are measured; the others are costs.
        box: Best and worst corner of the box in which hypervolume is measured, fixed for a run.
    """

    X: IntMatrix
    F: FloatMatrix
    born: IntMatrix
    n_errors: int = 1
    box: tuple[list[float], list[float]] | None = None

    def add(self, X: IntMatrix, errors: FloatMatrix, costs: FloatMatrix, iteration: int) -> None:
        """Adds rows."""
        self.X = np.vstack([self.X, X])
        self.F = np.vstack([self.F, np.hstack([errors, costs])])
        self.born = np.concatenate([self.born, np.full(len(X), iteration)])

    @property
    def errors(self) -> FloatMatrix:
        """The measured objectives, `(n, n_errors)`; assign to them when weights have changed."""
        return self.F[:, : self.n_errors]

    @errors.setter
    def errors(self, errors: FloatMatrix) -> None:
        self.F[:, : self.n_errors] = errors

    @property
    def summary(self) -> FloatMatrix:
        """The mean of the errors, which stands for many of them, and costs, `(n, 1 + costs)`."""
        return np.column_stack([self.errors.mean(axis=1), self.F[:, self.n_errors :]])

    @property
    def front(self) -> IntMatrix:
        """Rows that no other row dominates, cheapest first."""
        rows = np.flatnonzero(non_dominated(self.F))
        return rows[np.argsort(self.F[rows, self.n_errors])]

    def best(self, n: int) -> IntMatrix:
        """Encodings of the best `n` by NSGA-III survival (NAT, step 2d), or of all if fewer."""
        return self.X[select_best(self.F, min(n, len(self.X)))]

    @property
    def hypervolume(self) -> float:
        """Share of the box that `summary` dominates."""
        ideal, reference = self.box
        return hypervolume(self.summary, reference, ideal)


@dataclass
class Transfer:
    """A transfer under way: settings, learner (net, optimizer, step), archive, history.

    Attributes:
        task: The target task.
        settings: What it is to do.
        net: The supernet, which adapts.
        optimizer: Its optimizer.
        costs: The objectives that are computed: name to function of encodings, `(n,)` each.
        archive: What was measured.
        history: One dict per iteration.
        step: Training steps done.
        iteration: Iterations completed.
        phase: Name of the step of the loop that is next.
        run_dir: The run folder, or `None`.
        progress: Whether to show progress.
    """

    task: Task
    settings: Settings
    net: Supernet
    optimizer: torch.optim.Optimizer
    costs: dict[str, Callable[[IntMatrix], ArrayLike]]
    archive: Archive
    history: list[dict] = field(default_factory=list)
    step: int = 0
    iteration: int = 0
    phase: str = "warm_up"
    run_dir: Path | None = None
    progress: bool = True

    @property
    def space(self) -> SearchSpace:
        """The search space."""
        return self.net.space

    @property
    def profile(self) -> Profile:
        """The numbers of the settings."""
        return self.settings.profile

    @property
    def evaluations(self) -> int:
        """Evaluations of a subnet on the validation split so far."""
        again = 0 if self.settings.mode == "none" else self.iteration
        return len(self.archive.X) + sum(
            int((self.archive.born <= i + 1).sum()) for i in range(again)
        )

    def costs_of(self, X: IntMatrix) -> FloatMatrix:
        """Returns the computed objectives, float64 `(n, costs)`."""
        return np.column_stack([cost(X) for cost in self.costs.values()]).astype(np.float64)

    def rng(self, purpose: int) -> np.random.Generator:
        """Returns the random generator of a purpose in this iteration."""
        return np.random.default_rng((self.settings.seed, purpose, self.iteration))

    def steps_of(self, epochs: float) -> int:
        """Returns the number of training steps of so many epochs."""
        per_epoch = len(self.task.train) // self.profile.batch_size
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
    costs: dict[str, Callable[[IntMatrix], ArrayLike]] | None = None,
    run_dir: str | Path | None = None,
    device: str | None = None,
    progress: bool = True,
) -> Transfer:
    """Prepares a transfer: a pre-trained supernet with a new classifier (NAT, step 0).

    Args:
        task: The target task, or its name or folder as `load_task` takes it.
        profile: The settings, or their name; `NATLIB_PROFILE` by default.
        objectives: What to minimise: `top1_err` first, then `madds`, `params` or further costs.
            Of a joined task, `top1_err` is the error on each part.
        mode: `"distribution"` adapts the subnets that the archive's best suggest (the paper's
            way), `"uniform"` any subnets, `"none"` only searches.
        limits: Upper bounds that candidates must keep, such as `{"madds": 2e6}`.
        seed: Seed of everything random.
        supernet: A supernet or its file; the profile's pre-trained one by default.
        costs: Further costs by name, functions of encodings `(n, n_var)` that return `(n,)`, such
            as `{"latency_ms": table.latency_ms}`.
        run_dir: The run folder, or `None` to keep nothing.
        device: Device name; the best available by default.
        progress: Whether to show progress.

    Raises:
        ValueError: If an argument is not among the choices.
        FileNotFoundError: If the data or the supernet is missing.
    """
    profile, limits, names = get_profile(profile), dict(limits or {}), tuple(objectives)
    _refuse_unknown(names, ("madds", "params", *(costs or {})), mode)
    if not isinstance(supernet, Supernet):
        supernet = Supernet.load(supernet or pretrained_path(profile.space))
    if not isinstance(task, Task):
        task = load_task(task, side=max(supernet.space.resolutions))
    objectives = (*task.error_names, *names[1:])
    unknown = [name for name in limits if name not in objectives]
    if unknown:
        raise ValueError(f"The limit on '{unknown[0]}' names no objective of {list(objectives)}.")
    torch.manual_seed(seed)
    supernet.replace_classifier(task.num_classes)
    net = supernet.to(pick_device(device), memory_format=torch.channels_last)
    table = CostTable(net.space, task.num_classes)
    known = {"madds": table.madds, "params": table.params} | (costs or {})
    empty = np.zeros((0, net.space.n_var), int), np.zeros((0, len(objectives))), np.zeros(0, int)
    return Transfer(
        task=task,
        settings=Settings(profile, objectives, mode, limits, seed),
        net=net,
        optimizer=make_optimizer(net),
        costs={name: known[name] for name in names[1:]},
        archive=Archive(*empty, n_errors=len(task.error_names)),
        run_dir=None if run_dir is None else Path(run_dir),
        progress=progress,
    )


def _refuse_unknown(objectives: tuple[str, ...], costs: tuple[str, ...], mode: str) -> None:
    unknown = [name for name in objectives[1:] if name not in costs]
    if objectives[:1] != ("top1_err",) or len(objectives) < 2 or unknown:
        raise ValueError(
            f"The objectives {list(objectives)} cannot be searched: begin with 'top1_err' and add "
            f"at least one of {list(costs)}."
        )
    if mode not in MODES:
        raise ValueError(f"There is no adaptation mode '{mode}': choose from {', '.join(MODES)}.")


def in_turn(then: str) -> Callable[[Callable], Callable]:
    """Makes a function a step of the loop: it runs only when it is next, and says so otherwise.

    Args:
        then: Name of the step that follows.
    """

    def decorate(function: Callable) -> Callable:
        @wraps(function)
        def step(run: Transfer, *args, **kwargs) -> None:
            if run.phase != function.__name__:
                raise RuntimeError(
                    f"{function.__name__} is not what this run does next: call {run.phase}, or "
                    "begin anew with start."
                )
            begin = time.perf_counter()
            function(run, *args, **kwargs)
            run.phase = then
            if run.history:
                seconds = round(time.perf_counter() - begin, 2)
                run.history[-1][f"seconds_{function.__name__}"] = seconds

        return step

    return decorate


@in_turn(then="fill_archive")
def warm_up(run: Transfer) -> None:
    """Trains the largest subnets on the task, then uniformly drawn ones (NAT, step 0)."""
    p = run.profile
    largest, total = run.steps_of(p.warmup_largest), _warmup_steps(run)
    schedule = cosine(p.warmup_lr, total, warmup=total // 10)
    train_to(run, largest, largest_subnets(run.space), schedule, "warm-up, largest", teacher=None)
    sampler = uniform_subnets(run.space, p.subnets_per_step, run.settings.seed)
    train_to(run, total, sampler, schedule, "warm-up, uniform")


@in_turn(then="search_candidates")
def fill_archive(run: Transfer) -> None:
    """Measures a first sample that covers the range of MAdds evenly (NAT, step 1)."""
    table = CostTable(run.space, run.task.num_classes)
    X = sample_spread(run.space, table, run.profile.archive, run.rng(1))
    run.archive.add(X, measure(run, X), run.costs_of(X), iteration=0)
    worst = run.archive.summary.max(axis=0)
    worst[0] = max(worst[0], 1.0)  # an easy task may be solved without an error from the start
    cheapest = run.costs_of(run.space.encode(run.space.smallest())[None])[0]
    run.archive.box = [0.0, *cheapest.tolist()], worst.tolist()
    run.history.append(_figures(run))


@in_turn(then="adapt")
def search_candidates(
    run: Transfer, propose: Callable[[Transfer], tuple[IntMatrix, FloatMatrix | None]] | None = None
) -> None:
    """Searches architectures that fill the gaps of the front; measures them (NAT, 2a to 2c).

    Args:
        run: The transfer.
        propose: Gives new encodings `(k, n_var)` and the errors predicted for them
            `(k, n_errors)`, or `None` for these; by default `natlib.transfer.propose`.
    """
    X, predicted = (propose or globals()["propose"])(run)
    if len(X):
        run.archive.add(X, measure(run, X), run.costs_of(X), run.iteration + 1)
    new = run.archive.summary[len(run.archive.X) - len(X) :, 0]
    known = predicted is not None and len(X) > 0
    quality = rank_metrics(new, predicted.mean(axis=1)) if known else {}
    run.history.append(_figures(run) | {"iteration": run.iteration + 1} | quality)


def propose(run: Transfer) -> tuple[IntMatrix, FloatMatrix]:
    """Fits a surrogate, searches with it, and chooses what fills the front (NAT, 2a to 2c).

    The first of several processes does it for all.

    Returns:
        New encodings, int64 `(k, n_var)`, and the errors predicted for them, `(k, n_errors)`.
    """
    p, archive, n_var = run.profile, run.archive, run.space.n_var

    def search() -> FloatMatrix:
        surrogate = SURROGATES[p.surrogate](run.space, run.settings.seed)
        surrogate.fit(
            archive.X, archive.errors.squeeze(axis=1) if archive.n_errors == 1 else archive.errors
        )
        found = nsga3(
            run.space,
            lambda X: np.column_stack([surrogate.predict(X), run.costs_of(X)]),
            archive.X[archive.front],
            limits=[run.settings.limits.get(name, np.inf) for name in run.settings.objectives],
            population=p.population,
            generations=p.generations,
            seed=int(run.rng(2).integers(2**31)),
        )
        rows = choose_candidates(found.F, archive.F, p.candidates, found.X, archive.X)
        return np.hstack([found.X[rows], found.F[rows, : archive.n_errors]])

    chosen = from_first(search, device_of(run.net))
    return chosen[:, :n_var].astype(np.int64), chosen[:, n_var:]


@in_turn(then="measure_again")
def adapt(run: Transfer) -> None:
    """Trains the subnets that the archive's best suggest (NAT, steps 2d and 2e).

    Mode `uniform` draws the subnets uniformly instead, mode `none` trains nothing.
    """
    p, space, mode, seed = run.profile, run.space, run.settings.mode, run.settings.seed
    if mode == "none":
        return
    sampler = uniform_subnets(space, p.subnets_per_step, seed)
    if mode == "distribution":
        genes = gene_distribution(run.archive.best(p.best), space)
        sampler = subnets_from(
            space, lambda rng: sample_distribution(genes, space, p.subnets_per_step, rng), seed
        )
    first, steps = _warmup_steps(run), run.steps_of(p.adapt)
    schedule = cosine(p.adapt_lr, p.iterations * steps, first=first)
    train_to(run, first + (run.iteration + 1) * steps, sampler, schedule, "adapting")


@in_turn(then="search_candidates")
def measure_again(run: Transfer) -> None:
    """Measures the whole archive with the adapted weights (NAT, step 2f)."""
    if run.settings.mode != "none":
        run.archive.errors = measure(run, run.archive.X)
    run.iteration += 1
    run.history[-1].update(_figures(run))


def report(run: Transfer, n: int = 4) -> pd.DataFrame:
    """Returns the knee points M1 ... Mn with their accuracy on test (NAT, step 3).

    Nothing before this looks at the test split. Of a joined task, accuracies are means over its
    parts.

    Args:
        run: The transfer.
        n: Number of knee points.

    Returns:
        One row per network: `name`, `architecture`, `params`, `madds`, `valid_top1` and
        `test_top1` (percent), `test_se` (standard error of the test accuracy).
    """
    archive, table = run.archive, CostTable(run.space, run.task.num_classes)
    rows = archive.front[knee_points(archive.summary[archive.front], n)]
    X, how = archive.X[rows], {"calibration": run.profile.calibration, "progress": run.progress}
    correct = evaluate(run.net, X, run.task, "test", description="test accuracy", **how)
    test = 100 - run.task.errors(correct, run.task.test.labels).mean(axis=1)
    return pd.DataFrame(
        {
            "name": [f"M{i + 1}" for i in range(len(rows))],
            "architecture": [str(run.space.decode(x)) for x in X],
            "params": table.params(X),
            "madds": table.madds(X),
            "valid_top1": 100 - archive.summary[rows, 0],
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
    on_iteration: Callable[[Transfer], None] | None = None,
    **options,
) -> Transfer:
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
    connect()
    run = start(task, profile, run_dir=run_dir, **options)

    def proceed(step: Callable[[Transfer], None]) -> None:
        if run.phase == step.__name__:  # otherwise it was done before the run was interrupted
            step(run)
            if run.phase == "search_candidates":
                _tell(run)
            save(run)
            if run.phase == "search_candidates" and on_iteration is not None:
                on_iteration(run)

    with _locked(run.run_dir):
        open_folder(run, resume)
        proceed(warm_up)
        proceed(fill_archive)
        while run.iteration < run.profile.iterations:
            proceed(search_candidates)
            proceed(adapt)
            proceed(measure_again)
    return run


def measure(run: Transfer, X: IntMatrix) -> FloatMatrix:
    """Returns the top-1 errors on the validation split in percent, `(n, n_errors)`."""
    p = run.profile
    how = {"calibration": p.calibration, "progress": run.progress}
    how["description"] = f"measuring {len(X)} architectures"
    correct = evaluate(run.net, X, run.task, n_images=p.validation, **how)
    return run.task.errors(correct, fixed_sample(run.task.valid, p.validation).labels)


def train_to(
    run: Transfer,
    last: int,
    sampler: SubnetSampler,
    schedule: Callable[[int], float],
    description: str,
    **options,
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
        seed=run.settings.seed,
        micro_batches=run.profile.micro_batches,
        after_step=after_step,
        description=description,
        progress=run.progress,
        **options,
    )


def _warmup_steps(run: Transfer) -> int:
    return run.steps_of(run.profile.warmup_largest) + run.steps_of(run.profile.warmup_uniform)


def _figures(run: Transfer) -> dict:
    """Returns what the history says of an iteration."""
    return {
        "iteration": run.iteration,
        "hypervolume": run.archive.hypervolume,
        "best_err": float(run.archive.summary[:, 0].min()),
        "archive": len(run.archive.X),
        "evaluations": run.evaluations,
        "steps": run.step,
    }


def _tell(run: Transfer) -> None:
    """Prints one line about the iteration."""
    row = run.history[-1]
    spent = [f"{k.removeprefix('seconds_')} {v:.0f}" for k, v in row.items() if "seconds_" in k]
    if run.progress and rank() == 0:
        print(
            f"iteration {row['iteration']:2d}: hypervolume {row['hypervolume']:.4f}, "
            f"best error {row['best_err']:.1f}%, {row['archive']} architectures"
            + (f", surrogate tau {row['kendall']:+.2f}" if "kendall" in row else "")
            + f" (seconds: {', '.join(spent)})"
        )


def archive_table(run: Transfer) -> pd.DataFrame:
    """Returns the archive: `architecture`, one column per objective, `iteration` of joining."""
    table = pd.DataFrame(run.archive.F, columns=list(run.settings.objectives))
    table.insert(0, "architecture", [str(run.space.decode(x)) for x in run.archive.X])
    return table.assign(iteration=run.archive.born)


def save(run: Transfer) -> None:
    """Writes the checkpoint and the views of it into the run folder, if there is one.

    Files are written under a temporary name and renamed.
    """
    if run.run_dir is None or rank() > 0:
        return
    archive, momentum = run.archive, run.optimizer.state
    tensors = {f"net.{name}": tensor for name, tensor in run.net.state_dict().items()}
    tensors |= {
        f"momentum.{name}": momentum[p]["momentum_buffer"]
        for name, p in run.net.named_parameters()
        if p in momentum
    }
    tensors = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    for name in ("X", "F", "born"):
        tensors[f"archive.{name}"] = torch.from_numpy(getattr(archive, name))
    state = {name: getattr(run, name) for name in ("history", "step", "iteration", "phase")}
    metadata = {"format": FORMAT, "state": json.dumps(state | {"box": archive.box})}
    save_file(tensors, run.run_dir / f"{CHECKPOINT}.part", metadata=metadata)
    (run.run_dir / f"{CHECKPOINT}.part").replace(run.run_dir / CHECKPOINT)
    table, history = archive_table(run), pd.DataFrame(run.history)
    views = {"archive": table, "front": table.iloc[archive.front], "history": history}
    for name, view in views.items():
        write_text(run.run_dir / f"{name}.csv", view.to_csv(index=False))


def open_folder(run: Transfer, resume: bool = True) -> None:
    """Takes up the last checkpoint of the run folder, after comparing the settings.

    Raises:
        ValueError: If the folder belongs to a run with other settings, naming the first of them,
            a file is damaged, or it holds a run that is not to be resumed.
    """
    folder = run.run_dir
    if folder is not None:
        if (folder / CHECKPOINT).exists() and not resume:
            raise ValueError(f"{folder} holds a run already: resume it or choose another folder.")
        if rank() == 0:
            _compare_settings(run)
        wait_for_all()
        if (folder / CHECKPOINT).exists():
            _load_checkpoint(run)
    if run.progress and rank() == 0:
        on = f"{device_of(run.net)}, {world_size()} process(es)"
        after = f": going on after step {run.step} and iteration {run.iteration}" * bool(run.step)
        print(f"{run.task.name}, profile {run.profile.name}, on {on}{after}")


def _compare_settings(run: Transfer) -> None:
    """Holds the settings against those in `config.json`; writes them if the folder is new."""
    ends = np.stack([run.space.encode(a) for a in (run.space.smallest(), run.space.largest())])
    settings = asdict(run.settings) | {"task": run.task.name}
    settings["costs of smallest and largest"] = run.costs_of(ends).tolist()
    versions = {"python": platform.python_version(), "torch": torch.__version__}
    about = {"settings": settings, "versions": versions, "device": str(device_of(run.net))}
    path, wanted = run.run_dir / CONFIG, json.loads(json.dumps(settings))
    if not path.exists():
        write_text(path, json.dumps(about, indent=1))
        return
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["settings"]
    except (json.JSONDecodeError, KeyError, TypeError):
        raise ValueError(
            f"{path} is damaged or was not written by a transfer: choose another run folder."
        ) from None
    for key, value in wanted.items():
        if found.get(key) != value:
            raise ValueError(
                f"{run.run_dir} belongs to a run with {key} = {found.get(key)!r}, not {value!r}: "
                "choose another run folder, or resume with the same settings."
            )


def _load_checkpoint(run: Transfer) -> None:
    path = run.run_dir / CHECKPOINT
    try:
        tensors, about = read_tensors(path)
    except ValueError as error:
        raise ValueError(f"{error} Delete it to begin anew.") from None
    if about.get("format") != FORMAT:
        raise ValueError(f"{path} was not written by a transfer of this version of natlib.")
    state = json.loads(about["state"])
    run.archive.box = state.pop("box")
    for name, value in state.items():
        setattr(run, name, value)
    for name in ("X", "F", "born"):
        setattr(run.archive, name, tensors[f"archive.{name}"].numpy())
    net = {name[4:]: tensor for name, tensor in tensors.items() if name.startswith("net.")}
    run.net.load_state_dict(net)
    for name, parameter in run.net.named_parameters():
        if f"momentum.{name}" in tensors:
            momentum = torch.empty_like(parameter).copy_(tensors[f"momentum.{name}"])
            run.optimizer.state[parameter]["momentum_buffer"] = momentum


@contextmanager
def _locked(folder: Path | None) -> Iterator[None]:
    """Holds the run folder for this process."""
    if folder is None or rank() > 0:
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise RuntimeError(
            f"Another process is working in {folder}: wait for it or choose another run folder."
        ) from None
    try:
        yield
    finally:
        lock.release()


if __name__ == "__main__":  # the command line of earlier versions
    from natlib.__main__ import main

    sys.exit(main(["transfer", *sys.argv[1:]]))
