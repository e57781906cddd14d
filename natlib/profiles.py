"""Every number that differs between a laptop and a GPU, in one place.

`NATLIB_PROFILE` chooses: `quick` (the default; minutes on two CPU cores), `gpu` (the pocket space
with more of everything) or `paper` (the paper's space, with the settings of its authors' later
framework).
"""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Profile:
    """The settings of a transfer (NAT, "The loop"); lengths are in epochs of the train split.

    Attributes:
        name: Name of the profile.
        space: Name of the search space, `"pocket"` or `"paper"`.
        warmup_largest: Epochs of training the largest subnet of each width.
        warmup_uniform: Epochs of training uniformly drawn subnets.
        adapt: Epochs of adaptation in each iteration.
        min_steps: Steps that one epoch has at least, for small tasks.
        batch_size: Images a step.
        subnets_per_step: Subnets a step besides the teacher.
        warmup_lr: Peak learning rate of the warm-up.
        adapt_lr: Peak learning rate of the adaptation.
        archive: Architectures that are evaluated before the first iteration.
        iterations: Iterations of search and adaptation.
        candidates: Architectures that each iteration adds to the archive.
        best: Size of the archive's best part, whose genes give the distribution.
        population: Population of NSGA-III.
        generations: Generations of NSGA-III.
        surrogate: Name of the surrogate, a key of `natlib.surrogate.SURROGATES`.
        calibration: Training images for recalibrating batch norm.
        validation: Validation images that the search measures on; `None` takes all.
        finetune_steps: Steps of fine-tuning one chosen network alone.
        finetune_lr: Peak learning rate of that.
        finetune_rounds: How often it is measured on validation meanwhile.
        micro_batches: Parts into which a process cuts its images of a step, to save memory.
    """

    name: str
    space: str
    warmup_largest: float
    warmup_uniform: float
    adapt: float
    min_steps: int
    batch_size: int
    subnets_per_step: int
    warmup_lr: float
    adapt_lr: float
    archive: int
    iterations: int
    candidates: int
    best: int
    population: int = 100
    generations: int = 20
    surrogate: str = "rbf"
    calibration: int = 1000
    validation: int | None = None
    finetune_steps: int = 200
    finetune_lr: float = 0.1
    finetune_rounds: int = 4
    micro_batches: int = 1


# The pocket profiles take "gp", which ranks better from few measurements than "rbf" (notebook 02).
# fmt: off
PROFILES = {
    "quick": Profile(
        "quick", "pocket", warmup_largest=0.5, warmup_uniform=1.5, adapt=0.6, min_steps=50,
        batch_size=64, subnets_per_step=3, warmup_lr=0.1, adapt_lr=0.06,
        archive=32, iterations=5, candidates=8, best=20,
        surrogate="gp", calibration=400, validation=1000,
    ),
    "gpu": Profile(
        "gpu", "pocket", warmup_largest=5, warmup_uniform=10, adapt=2, min_steps=50,
        batch_size=64, subnets_per_step=4, warmup_lr=0.1, adapt_lr=0.06,
        archive=100, iterations=30, candidates=8, best=50,
        surrogate="gp", calibration=2000, finetune_steps=2000,
    ),
    "paper": Profile(
        "paper", "paper", warmup_largest=100, warmup_uniform=150, adapt=5, min_steps=1,
        batch_size=96, subnets_per_step=4, warmup_lr=7.5e-3, adapt_lr=2.5e-3,
        archive=100, iterations=30, candidates=8, best=150,
        surrogate="rbf", calibration=2000, finetune_steps=10_000, finetune_lr=7.5e-3,
    ),
}
# fmt: on


def get_profile(profile: str | Profile | None = None) -> Profile:
    """Returns a profile by name, or by `NATLIB_PROFILE`, or as it is.

    Raises:
        ValueError: If there is no profile of this name.
    """
    if isinstance(profile, Profile):
        return profile
    name = profile or os.environ.get("NATLIB_PROFILE", "quick")
    if name not in PROFILES:
        raise ValueError(f"There is no profile '{name}': choose from {', '.join(PROFILES)}.")
    return PROFILES[name]
