"""Every number that differs between a laptop and a GPU, in one place.

`NATLIB_PROFILE` chooses: `quick` (minutes on two CPU cores; default), `gpu` (more of everything) or
`paper` (the paper's space, settings of its authors' later framework; 02 to 04 list departures).
"""

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Profile:
    """The settings of a transfer (NAT, "The loop"); lengths are in epochs of the train split."""

    name: str
    space: str  # name of the search space, "pocket" or "paper"
    warmup_largest: float  # epochs of training the largest subnet of each width
    warmup_uniform: float  # epochs of training uniformly drawn subnets
    adapt: float  # epochs of adaptation in each iteration
    min_steps: int  # steps that one epoch has at least, for small tasks
    batch_size: int  # images a step
    subnets_per_step: int  # besides the teacher
    warmup_lr: float  # peak learning rate of the warm-up
    adapt_lr: float  # peak learning rate of the adaptation
    archive: int  # architectures that are evaluated before the first iteration
    iterations: int  # of search and adaptation
    candidates: int  # architectures that each iteration adds to the archive
    best: int  # size of the archive's best part, whose genes give the distribution
    surrogate: str  # a key of natlib.surrogate.SURROGATES
    calibration: int  # training images for recalibrating batch norm
    validation: int | None = None  # images that the search measures on; None takes all
    population: int = 100  # of NSGA-III
    generations: int = 20  # of NSGA-III
    finetune_steps: int = 100  # of fine-tuning one chosen network alone
    finetune_lr: float = 0.1  # peak learning rate of that
    finetune_rounds: int = 4  # how often it is measured on validation meanwhile
    average: int = 1  # steps over which the weights that are measured are averaged
    teacher: str = "first"  # in adaptation: the largest as the step trains it; "frozen": as it was
    smoothing: float = 1.0  # imaginary observations of each choice in the distribution of the best
    always: tuple[str, ...] = ()  # what each step also trains: ("smallest",) or nothing
    micro_batches: int = 1  # parts into which a process cuts its images, to save memory
    augment: str = "shift"  # of training pictures, a key of natlib.inputs.loading.CHANGES
    crop: float = 1.0  # share of a picture's side, its middle, that is seen in use
    workers: int = 0  # processes of each process that read training pictures ahead


# The pocket profiles take "gp", which ranks better from few measurements than "rbf" (notebook 02).
# fmt: off
PROFILES = {
    "quick": Profile(
        "quick", "pocket", warmup_largest=0.5, warmup_uniform=1.5, adapt=0.6, min_steps=50,
        batch_size=64, subnets_per_step=3, warmup_lr=0.1, adapt_lr=0.08, archive=32,
        iterations=5, candidates=8, best=20, surrogate="gp", calibration=400, validation=1000,
        average=20, always=("smallest",),
    ),
    "gpu": Profile(
        "gpu", "pocket", warmup_largest=5, warmup_uniform=10, adapt=2, min_steps=50,
        batch_size=64, subnets_per_step=4, warmup_lr=0.1, adapt_lr=0.08, archive=100,
        iterations=30, candidates=8, best=50, surrogate="gp", calibration=2000,
        finetune_steps=2000, average=20, always=("smallest",), workers=8,
    ),
    "paper": Profile(
        "paper", "paper", warmup_largest=100, warmup_uniform=150, adapt=5, min_steps=1,
        batch_size=96, subnets_per_step=4, warmup_lr=7.5e-3, adapt_lr=2.5e-3, archive=100,
        iterations=30, candidates=8, best=150, surrogate="rbf", calibration=2000,
        finetune_steps=10_000, finetune_lr=7.5e-3, teacher="frozen",
        augment="crop", crop=0.875, workers=8,
    ),
}
# fmt: on


def get_profile(profile: str | Profile | None = None) -> Profile:
    """Returns a profile by name, or by `NATLIB_PROFILE`, or as it is; `ValueError` without one."""
    if isinstance(profile, Profile):
        return profile
    name = profile or os.environ.get("NATLIB_PROFILE", "quick")
    if name not in PROFILES:
        raise ValueError(f"There is no profile '{name}': choose from {', '.join(PROFILES)}.")
    return PROFILES[name]
