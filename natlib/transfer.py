"""Neural Architecture Transfer: search and adaptation in turn, over an archive.

The loop of the paper (NAT, "The loop"), each step a function that can be called by itself:

    run = start(task, profile)           a new classifier on a pre-trained supernet
    warm_up(run)                         0.   the largest subnets, then uniformly drawn ones
    fill_archive(run)                    1.   measure a first sample of architectures
    while run.iteration < run.profile.iterations:
        search_candidates(run)           2a-c surrogate, NSGA-III, choice; measure; archive
        adapt(run)                       2d-e train the subnets that the archive's best suggest
        measure_again(run)               2f   the weights changed, so did the accuracies
    report(run)                          3.   M1 to M4, and their accuracy on test

`transfer` does all of it and keeps a run folder. There `checkpoint.pt` is the truth, a complete
state at any moment; `config.json` and the `.csv` files are views of it for people.
"""

import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from functools import partial, wraps
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from filelock import FileLock, Timeout
from numpy.typing import ArrayLike, NDArray
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from natlib import search, train
from natlib.cost import CostTable
from natlib.data import SPLITS, Task, fixed_sample, load_task, pretrained_path, write_text
from natlib.evaluate import balanced, evaluate, recalibrate_on
from natlib.inputs import checks, demand
from natlib.inputs.loading import CHANGES
from natlib.inputs.pictures import digest
from natlib.inputs.processes import Stopped, connect, from_first, rank, world_size
from natlib.inputs.weights import read_checkpoint
from natlib.layers import layout
from natlib.profiles import Profile, get_profile
from natlib.space import Architecture, IntMatrix, SearchSpace
from natlib.supernet import Subnet, Supernet, load_state
from natlib.surrogate import SURROGATES, rank_metrics

MODES = ("distribution", "uniform", "none")
CHECKPOINT = "checkpoint.pt"  # in the run folder
# What a checkpoint keeps of a run and of its archive as it is, and what as a state.
PROGRESS = ("history", "step", "train_madds", "iteration", "phase")
ARRAYS = ("X", "errors", "costs", "born")
LEARNER = ("learner", "average", "optimizer", "teacher")
CHECKPOINT_SECONDS = 300.0  # between two checkpoints in training
FloatMatrix = NDArray[np.float64]
Costs = dict[str, Callable[[IntMatrix], ArrayLike]]


@dataclass(frozen=True)
class Settings:
    """What a transfer is to do; a run is resumed with the same settings only."""

    profile: Profile
    objectives: tuple[str, ...]  # what is minimised: the measured errors first, then costs
    mode: str  # which subnets adaptation trains, one of MODES
    limits: dict[str, float]  # upper bounds of what is sought, by name of objective
    seed: int  # of everything random
    supernet: str = ""  # digest of the weights to begin with


@dataclass
class Archive:
    """All architectures that were measured."""

    X: IntMatrix  # canonical encodings (n, n_var)
    errors: FloatMatrix  # measured objectives in percent (n, n_errors)
    costs: FloatMatrix  # computed objectives (n, n_costs)
    born: IntMatrix  # iteration in which each joined (n,)
    box: tuple[list, list] | None = None  # ideal and reference point of the hypervolume
    limits: NDArray | float = np.inf  # upper bounds of the objectives (n_objectives,)

    def add(self, X: IntMatrix, errors: FloatMatrix, costs: FloatMatrix, iteration: int) -> None:
        """Adds rows, and notes the iteration in which they join."""
        rows = {"X": X, "errors": errors, "costs": costs, "born": np.full(len(X), iteration)}
        vars(self).update({k: np.concatenate([vars(self)[k], rows[k]]) for k in rows})

    @property
    def F(self) -> FloatMatrix:
        """All objectives, minimised, `(n, n_objectives)`: errors, then costs."""
        return np.hstack([self.errors, self.costs])

    @property
    def summary(self) -> FloatMatrix:
        """The mean of the errors, which stands for many of them, and costs, `(n, 1 + n_costs)`."""
        return np.column_stack([self.errors.mean(axis=1), self.costs])

    @property
    def within(self) -> IntMatrix:
        """Rows that keep the limits; all rows as long as none does."""
        keeps = (self.F <= self.limits).all(axis=1)
        return np.flatnonzero(keeps if keeps.any() else ~keeps)

    @property
    def front(self) -> IntMatrix:
        """Rows within the limits that no other row dominates, cheapest first."""
        rows = self.within[search.non_dominated(self.F[self.within])]
        return rows[np.argsort(self.costs[rows, 0])]

    @property
    def hypervolume(self) -> float:
        """Share of the box that `summary` dominates."""
        return search.hypervolume(self.summary, reference=self.box[1], ideal=self.box[0])

    def best(self, n: int) -> IntMatrix:
        """Encodings of the best `n` within the limits by NSGA-III survival (NAT, step 2d)."""
        rows = self.within  # all of them if there are fewer
        return self.X[rows[search.select_best(self.F[rows], min(n, len(rows)))]]


@dataclass
class Transfer:
    """A transfer under way: settings, learner and its optimizer, archive, history.

    Measured, reported and exported is `net`, the running average of the learner's weights over
    about `profile.average` steps; over one step it is the learner itself.
    """

    task: Task
    settings: Settings
    learner: Supernet  # which adapts
    average: AveragedModel  # of its weights
    optimizer: torch.optim.Optimizer
    costs: Costs  # what can be computed, by name: functions of encodings (n, n_var) to (n,)
    archive: Archive
    run_dir: Path | None = None
    progress: bool = True
    history: list[dict] = field(default_factory=list)  # the first archive, then each iteration
    step: int = 0  # training steps done
    train_madds: int = 0  # their multiply-adds: one forward pass, and two for the way back
    iteration: int = 0  # iterations completed
    phase: str = "warm_up"  # the step of the loop that is next
    teacher: Subnet | None = None  # the frozen one, if the profile wants it

    @property
    def net(self) -> Supernet:
        """The supernet that is measured."""
        return self.average.module

    @property
    def space(self) -> SearchSpace:
        """The search space."""
        return self.learner.space

    @property
    def profile(self) -> Profile:
        """The numbers of the settings."""
        return self.settings.profile

    @property
    def evaluations(self) -> int:
        """Evaluations of a subnet on the validation split so far."""
        again = np.maximum(self.iteration + 1 - np.maximum(self.archive.born, 1), 0)
        return len(again) + int(again.sum()) * (self.settings.mode != "none")

    def costs_of(self, X: IntMatrix) -> FloatMatrix:
        """Returns the computed objectives, float64 `(n, n_costs)`."""
        names = self.settings.objectives[len(self.task.error_names) :]
        return np.column_stack([self.costs[name](X) for name in names]).astype(np.float64)

    def steps_of(self, epochs: float) -> int:
        """Returns the number of training steps of so many epochs."""
        p = self.profile
        return round(epochs * max(len(self.task.train) // p.batch_size, p.min_steps))

    @property
    def warmup_steps(self) -> int:
        """Training steps of the warm-up."""
        return sum(map(self.steps_of, (self.profile.warmup_largest, self.profile.warmup_uniform)))


def start(
    task: Task | str,  # the target task, or its name or folder as load_task takes it
    profile: Profile | str | None = None,  # the numbers, or their name; None: NATLIB_PROFILE
    *,
    objectives: Sequence[str] = ("top1_err", "madds"),  # top1_err first, then costs
    mode: str = "distribution",  # adapts what the best suggest; "uniform" any subnets; "none"
    limits: dict[str, float] | None = None,  # of all that is sought, such as {"madds": 2e6}
    seed: int = 0,  # of everything random
    supernet: Supernet | str | Path | None = None,  # trained in place; or its file; or None: ours
    costs: Costs | None = None,  # further ones, such as {"latency_ms": table.latency_ms}
    run_dir: str | Path | None = None,  # the run folder; None keeps nothing
    device: str | None = None,  # None: the best available
    progress: bool = True,
) -> Transfer:
    """Prepares a transfer: a pre-trained supernet with a new classifier (NAT, step 0).

    `ValueError` if an argument is not among the choices, `FileNotFoundError` if a file is missing.
    """
    connect()
    profile, limits, objectives = get_profile(profile), dict(limits or {}), tuple(objectives)
    known = ["madds", "params", *(costs or {})]
    choices = {"adaptation mode": (mode, MODES), "surrogate": (profile.surrogate, SURROGATES)}
    choices["augmentation"] = (profile.augment, CHANGES)
    checks.check_settings(asdict(profile), choices, objectives, known, seed)
    if not isinstance(supernet, Supernet):
        supernet = Supernet.load(supernet or pretrained_path(profile.space))
    side = side_of(profile, supernet.space)
    task = task if isinstance(task, Task) else load_task(task, side=side)
    task = replace(task, crop=profile.crop)
    names, n_errors = (*task.error_names, *objectives[1:]), len(task.error_names)
    origin = digest(*(tensor.cpu() for tensor in supernet.state_dict().values()))
    torch.manual_seed(seed)
    supernet.replace_classifier(task.num_classes)
    net = supernet.to(device := train.pick_device(device), memory_format=layout(device))
    table, run_dir = CostTable(net.space, task.num_classes), Path(run_dir) if run_dir else None
    costs = {"madds": table.madds, "params": table.params} | (costs or {})
    settings = Settings(profile, names, mode, limits, int(seed), origin)
    average = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(1 - 1 / profile.average))
    optimizer, shape = train.make_optimizer(net), (net.space.n_var, n_errors, len(names) - n_errors)
    X, errors, values = (np.zeros((0, width)) for width in shape)
    archive = Archive(X.astype(np.int64), errors, values, born=np.zeros(0, dtype=np.int64))
    archive.limits = np.array([limits.get(name, np.inf) for name in names])
    run = Transfer(task, settings, net, average, optimizer, costs, archive, run_dir, progress)
    return _checked(run)


def side_of(profile: Profile, space: SearchSpace) -> int:
    """Returns the pixels at which pictures are kept: what is seen of them fills every input."""
    return math.ceil(max(space.resolutions) / profile.crop)


def _checked(run: Transfer) -> Transfer:
    """Returns a run; raises a `ValueError` where its task, limits or costs cannot work."""
    task, settings, space = run.task, run.settings, run.space
    for split in SPLITS:
        checks.check_split(split, *vars(getattr(task, split)).values(), task.num_classes)
    labels = fixed_sample(task.valid, run.profile.validation).labels
    errors = task.errors(np.ones((1, len(labels)), dtype=bool), labels)
    demand(np.isfinite(errors).all(), "settings.part", n=len(labels))
    ends = [space.encode(arch) for arch in (space.smallest(), space.largest())]
    X = np.vstack([*ends, space.sample(1000, settings.seed)])
    checks.check_limits(settings.limits, settings.objectives, run.costs, X)
    first_sample(run)  # raises by itself
    return run


def in_turn(then: str) -> Callable[[Callable], Callable]:
    """Makes a function a step of the loop, followed by `then`: out of turn it is refused."""

    def decorate(function: Callable) -> Callable:
        @wraps(function)
        def step(run: Transfer, *args, **kwargs) -> None:
            if run.phase != function.__name__:
                told = f"This run does not do {function.__name__} now: call {run.phase}, which is"
                raise RuntimeError(f"{told} next, or begin anew with start.")
            begin = time.perf_counter()
            function(run, *args, **kwargs)
            run.phase = then
            for row in run.history[-1:]:
                row[f"seconds_{function.__name__}"] = round(time.perf_counter() - begin, 2)

        return step

    return decorate


@in_turn(then="fill_archive")
def warm_up(run: Transfer) -> None:
    """Trains the largest subnets on the task, then uniformly drawn ones (NAT, step 0).

    The profile may ask for the largest subnet as it is now as the teacher from here on.
    """
    p, last = run.profile, run.warmup_steps
    schedule = train.cosine(p.warmup_lr, last, warmup=last // 10)
    largest = [run.space.largest(width) for width in run.space.widths]
    first, of_a_step = run.steps_of(p.warmup_largest), lambda step: largest
    train_to(run, first, of_a_step, schedule, "warm-up, largest", teacher=None)
    of_each = p.subnets_per_step, run.settings.seed, ("largest", *p.always)
    train_to(run, last, train.uniform_subnets(run.space, *of_each), schedule, "warm-up, uniform")
    if p.teacher == "frozen":
        run.teacher = run.net.extract(run.space.largest())
        recalibrate_on(run.teacher, run.task, p.calibration)


def first_sample(run: Transfer) -> IntMatrix:
    """Draws encodings for the first archive that keep the limits on costs, `(n, n_var)`."""
    limits = run.archive.limits[run.archive.errors.shape[1] :]

    def keeps(X: IntMatrix) -> NDArray[np.bool_]:
        return (run.costs_of(X) <= limits).all(axis=1)

    n, seed = run.profile.archive, run.settings.seed
    return search.sample_spread(run.space, run.costs["madds"], n, seed, keeps)


@in_turn(then="search_candidates")
def fill_archive(run: Transfer) -> None:
    """Measures a first sample that covers MAdds within the limits evenly (NAT, step 1)."""
    archive, X = run.archive, first_sample(run)
    archive.add(X, measure(run, X), run.costs_of(X), iteration=0)
    worst = archive.summary.max(axis=0)
    worst[0] = max(worst[0], 1.0)  # an easy task may be solved without an error from the start
    cheapest = run.costs_of(run.space.encode(run.space.smallest())[None])[0]
    archive.box = [0.0, *cheapest.tolist()], worst.tolist()
    run.history.append(_figures(run))


def propose(run: Transfer) -> tuple[IntMatrix, FloatMatrix]:
    """Fits a surrogate, searches with it, and chooses what fills the front (NAT, 2a to 2c).

    Returns new encodings, int64 `(k, n_var)`, and the errors predicted for them, `(k, n_errors)`.
    """
    p, archive, settings = run.profile, run.archive, run.settings
    n_var, n_errors = run.space.n_var, archive.errors.shape[1]

    def find() -> FloatMatrix:
        surrogate = SURROGATES[p.surrogate](run.space, settings.seed)
        surrogate.fit(archive.X, archive.errors if n_errors > 1 else archive.errors[:, 0])
        found = search.nsga3(
            run.space, lambda X: np.column_stack([surrogate.predict(X), run.costs_of(X)]),
            archive.X[archive.front], population=p.population, generations=p.generations,
            limits=archive.limits, seed=1000 * settings.seed + run.iteration,
        )  # fmt: skip
        rows = search.choose_candidates(found.F, archive.F, p.candidates, found.X, archive.X)
        return np.hstack([found.X[rows], found.F[rows, :n_errors]])

    chosen = from_first(find, train.device_of(run.net))
    return chosen[:, :n_var].astype(np.int64), chosen[:, n_var:]


@in_turn(then="adapt")
def search_candidates(run: Transfer, proposal: Callable = propose) -> None:
    """Searches architectures that fill the gaps of the front; measures them (NAT, 2a to 2c).

    Another `proposal` than `propose` may predict nothing, and give `None` for the errors.
    """
    X, predicted = proposal(run)
    if len(X):
        run.archive.add(X, measure(run, X), run.costs_of(X), run.iteration + 1)
    else:
        _say(run, f"iteration {run.iteration + 1:2d}: nothing new to measure was found")
    run.history.append(_figures(run) | {"iteration": run.iteration + 1})
    if len(X) and predicted is not None:
        measured = run.archive.summary[-len(X) :, 0]
        run.history[-1].update(rank_metrics(measured, predicted.mean(axis=1)))


@in_turn(then="measure_again")
def adapt(run: Transfer) -> None:
    """Trains the subnets that the archive's best suggest (NAT, 2d and 2e), as the mode says."""
    p, space, seed = run.profile, run.space, run.settings.seed
    if run.settings.mode == "none":
        return
    draw = partial(space.sample, p.subnets_per_step)
    if run.settings.mode == "distribution":
        find = partial(search.gene_distribution, run.archive.best(p.best), space, p.smoothing)
        genes = from_first(find, train.device_of(run.net))
        draw = partial(search.sample_distribution, genes, space, p.subnets_per_step)
    always = p.always if run.teacher else ("largest", *p.always)
    sampler, steps = train.subnets_from(space, draw, seed, always), run.steps_of(p.adapt)
    schedule = train.cosine(p.adapt_lr, p.iterations * steps, first=run.warmup_steps)
    last = run.warmup_steps + (run.iteration + 1) * steps
    train_to(run, last, sampler, schedule, "adapting", teacher=run.teacher or "first")


@in_turn(then="search_candidates")
def measure_again(run: Transfer) -> None:
    """Measures the whole archive with the adapted weights (NAT, step 2f)."""
    if run.settings.mode != "none":
        run.archive.errors = measure(run, run.archive.X)
    run.iteration += 1
    run.history[-1].update(_figures(run))


def report(run: Transfer, n: int = 4) -> pd.DataFrame:
    """Returns the knee points M1 ... Mn with their accuracy on test (NAT, step 3).

    Nothing before this looks at the test split. Columns `name`, `architecture`, `params`, `madds`,
    and in percent (means of a joined task) `valid_top1`, `test_top1`, its standard error `test_se`;
    if some class has over twice the pictures of another, `test_balanced`, the mean over classes.
    """
    archive = run.archive
    rows = archive.front[search.knee_points(archive.summary[archive.front], n)]
    X, how = archive.X[rows], {"calibration": run.profile.calibration, "progress": run.progress}
    correct = evaluate(run.net, X, run.task, "test", description="test accuracy", **how)
    test = 100 - run.task.errors(correct, run.task.test.labels).mean(axis=1)
    table = pd.DataFrame({
        "name": [f"M{i + 1}" for i in range(len(rows))],
        "architecture": [str(run.space.decode(x)) for x in X],
        "params": run.costs["params"](X), "madds": run.costs["madds"](X),
        "valid_top1": 100 - archive.summary[rows, 0], "test_top1": test,
        "test_se": np.sqrt(test * (100 - test) / correct.shape[1]),
    })  # fmt: skip
    return table.assign(**balanced(correct, run.task.test.labels))


def transfer(
    task: Task | str, profile: Profile | str | None = None, *, run_dir: str | Path | None = None,
    resume: bool = True, on_iteration: Callable[[Transfer], None] = lambda run: None, **options,
) -> Transfer:  # fmt: skip
    """Transfers a supernet to a task and returns the finished run; arguments are those of `start`.

    A run that the folder holds is taken up, or refused without `resume`: a `ValueError`, as for a
    run with other settings, pictures or supernet; a `RuntimeError`, if another process works in it.
    More iterations are allowed: the learning rate then follows the schedule of the new length, so
    it rises where the old one had ended. So are other limits. `on_iteration` is called with the run
    after the archive was filled and after each iteration.
    """
    run = start(task, profile, run_dir=run_dir, **options)

    def do(step: Callable[[Transfer], None]) -> None:
        if run.phase == step.__name__:  # otherwise it was done before the run was interrupted
            step(run)
            save(run)
            if run.phase == "search_candidates":
                row = run.history[-1]
                told = f"hypervolume {row['hypervolume']:.4f}, best error {row['best_err']:.1f}%"
                _say(run, f"iteration {run.iteration:2d}: {told}, {row['archive']} architectures")
                on_iteration(run)

    with _run_folder(run, resume):
        do(warm_up)
        do(fill_archive)
        while run.iteration < run.profile.iterations:
            do(search_candidates)
            do(adapt)
            do(measure_again)
    return run


def measure(run: Transfer, X: IntMatrix) -> FloatMatrix:
    """Returns the top-1 errors on the validation split in percent, `(n, n_errors)`."""
    p = run.profile
    correct = evaluate(
        run.net, X, run.task, n_images=p.validation, calibration=p.calibration,
        progress=run.progress, description=f"measuring {len(X)} subnets",
    )  # fmt: skip
    return run.task.errors(correct, fixed_sample(run.task.valid, p.validation).labels)


def train_to(run: Transfer, last: int, sampler: Callable, schedule: Callable, label="", **options):
    """Trains from the run's step to step `last`; saves every few minutes, and when stopped."""
    saved = time.monotonic()

    def after_step(step: int) -> None:
        nonlocal saved
        run.step = step + 1
        run.average.update_parameters(run.learner)
        if time.monotonic() - saved > CHECKPOINT_SECONDS:
            save(run)
            saved = time.monotonic()

    p, steps = run.profile, range(run.step, last)
    pictures, frozen = min(p.batch_size, len(run.task.train)), options.get("teacher")
    forwards = [frozen.arch] if isinstance(frozen, Subnet) else []

    def counted(step: int) -> list[Architecture]:
        archs = sampler(step)  # back and forth a subnet takes three times what it takes forth
        X = np.stack([run.space.encode(arch) for arch in [*archs, *forwards]])
        times = np.repeat([3, 1], [len(archs), len(forwards)])
        run.train_madds += pictures * int(run.costs["madds"](X) @ times)
        return archs

    names = ("batch_size", "micro_batches", "augment", "workers")
    how = {name: getattr(p, name) for name in names} | {"seed": run.settings.seed}
    how |= {"after_step": after_step, "progress": run.progress, "description": label} | options
    try:
        train.train(run.learner, run.optimizer, run.task, counted, schedule, steps, **how)
    except Stopped:
        save(run)
        raise


def _figures(run: Transfer) -> dict:
    archive = run.archive
    figures = {"iteration": run.iteration, "hypervolume": archive.hypervolume}
    best = float(archive.summary[archive.within, 0].min())
    figures |= {"best_err": best, "archive": len(archive.X), "evaluations": run.evaluations}
    return figures | {"steps": run.step, "train_madds": run.train_madds}


def _say(run: Transfer, text: str) -> None:
    if run.progress and rank() == 0:
        print(text)


def archive_table(run: Transfer) -> pd.DataFrame:
    """Returns the archive: `architecture`, one column per objective, `iteration` of joining."""
    names = [str(run.space.decode(x)) for x in run.archive.X]
    columns = dict(zip(run.settings.objectives, run.archive.F.T, strict=True))
    return pd.DataFrame({"architecture": names} | columns | {"iteration": run.archive.born})


def _settings(run: Transfer) -> dict:
    """Returns what must be equal for a run to be resumed, as JSON gives it back."""
    ends = np.stack([run.space.encode(a) for a in (run.space.smallest(), run.space.largest())])
    costs = {"costs of smallest and largest": run.costs_of(ends).tolist()}
    about = {"task": run.task.name, "space": asdict(run.space)} | run.task.identity | costs
    return json.loads(json.dumps(asdict(run.settings) | about))


def save(run: Transfer) -> None:
    """Writes the checkpoint and the views of it, under temporary names that are then changed."""
    if run.run_dir is None or rank() > 0:
        return
    archive = {name: torch.from_numpy(getattr(run.archive, name)) for name in ARRAYS}
    content = {name: getattr(run, name) for name in PROGRESS}
    content |= {"settings": _settings(run), "archive": archive, "box": run.archive.box}
    content |= {name: getattr(run, name).state_dict() for name in LEARNER if getattr(run, name)}
    with checks.replacing(run.run_dir / CHECKPOINT) as temporary, open(temporary, "wb") as file:
        torch.save(content, file)
    write_text(run.run_dir / "config.json", json.dumps(content["settings"], indent=1))
    table, history = archive_table(run), pd.DataFrame(run.history)
    front = table.iloc[run.archive.front if len(table) else []]
    for name, view in {"archive": table, "front": front, "history": history}.items():
        write_text(run.run_dir / f"{name}.csv", view.to_csv(index=False))


def load_checkpoint(run: Transfer, resume: bool = True) -> None:
    """Takes up the last checkpoint; a damaged one, or one of another run, is a `ValueError`."""
    path, wanted = run.run_dir / CHECKPOINT, _settings(run)
    content = read_checkpoint(path, "a transfer", "learner", "archive", *PROGRESS)
    found = content["settings"]
    if not resume:
        raise ValueError(f"{run.run_dir} holds a run already: resume it or choose another folder.")
    more = wanted["profile"]["iterations"] >= found["profile"]["iterations"]
    may = ["workers", *["iterations"] * more]  # differ, and limits
    found["profile"] |= {name: wanted["profile"][name] for name in may}
    found["limits"] = wanted["limits"]
    differs = checks.difference(found, wanted)
    demand(not differs, "settings.resume", folder=run.run_dir, differs=differs)
    load_state(run.learner, content["learner"], str(path))
    if "teacher" in content:
        run.teacher = run.net.extract(run.space.largest()).eval()
    for name in set(LEARNER[1:]) & set(content):
        getattr(run, name).load_state_dict(content[name])
    vars(run).update({name: content[name] for name in PROGRESS})
    archive = {name: tensor.numpy() for name, tensor in content["archive"].items()}
    vars(run.archive).update(archive, box=content["box"])


@contextmanager
def _run_folder(run: Transfer, resume: bool) -> Iterator[None]:
    """Holds the run folder for this run, and takes up the checkpoint in it."""
    lock = nullcontext()
    if run.run_dir is not None and rank() == 0:
        run.run_dir.mkdir(parents=True, exist_ok=True)
        lock = FileLock(run.run_dir / ".lock", timeout=0)
    try:
        with lock:
            if run.run_dir is not None and (run.run_dir / CHECKPOINT).exists():
                load_checkpoint(run, resume)
            on = f"{train.device_of(run.net)}, {world_size()} process(es)"
            after = f": going on after step {run.step}, iteration {run.iteration}" * (run.step > 0)
            _say(run, f"{run.task.name}, profile {run.profile.name}, on {on}{after}")
            yield
    except Timeout:
        raise RuntimeError(
            f"Another process is working in {run.run_dir}: wait for it, or choose another folder."
        ) from None


if __name__ == "__main__":  # the older command line
    from natlib.__main__ import main

    sys.exit(main(["transfer", *sys.argv[1:]]))
