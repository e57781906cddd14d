"""Self-checks of the exercises of notebook 04.

Each takes what the learner wrote and tries it on cases small enough to follow by hand. A wrong
answer raises `AssertionError` with a sentence about what is wrong; a right one prints a line.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike
from scipy.stats import kendalltau
from torch import Tensor

from natlib.checks import numbers, passed, require
from natlib.search import gene_distribution
from natlib.space import IntMatrix, SearchSpace
from natlib.train import cosine


def check_adaptation_rate(adaptation_rate: Callable[..., float]) -> None:
    """Judges `adaptation_rate(step, peak, first, iterations, steps_each)`.

    Raises:
        AssertionError: If it is not one cosine over all iterations.
    """
    peak, first, iterations, each = 0.08, 100, 4, 10
    steps = range(first, first + iterations * each + 1)
    answers = {s: adaptation_rate(s, peak, first, iterations, each) for s in steps}
    rates = np.array([numbers(rate, (), f"The rate of step {s}") for s, rate in answers.items()])
    require(
        np.isclose(rates[0], peak),
        f"At step {first}, where adaptation begins, the rate is {rates[0]:.4g} and not the peak "
        f"{peak}: are steps counted from the beginning of the adaptation?",
    )
    require(
        np.isclose(rates[-1], 0, atol=1e-9),
        f"After the last of {iterations} iterations the rate is {rates[-1]:.4g}, not zero: how far "
        "has the cosine come when the whole adaptation is over?",
    )
    rises = np.flatnonzero(np.diff(rates) > 1e-12)
    require(
        not len(rises),
        f"The rate rises after step {steps[rises[0]] if len(rises) else 0}: the schedule spans all "
        "iterations together and never starts again.",
    )
    right = cosine(peak, iterations * each, first=first)
    require(
        np.allclose(rates, [right(s) for s in steps], atol=1e-9),
        f"Beginning and end are right, but at a quarter of the way the rate is {rates[each]:.4g}: "
        "the fall is a half wave of the cosine, slow at both ends.",
    )
    passed("one cosine over the whole adaptation, the same as natlib.train.cosine.")


def check_gene_shares(gene_shares: Callable[..., ArrayLike]) -> None:
    """Judges `gene_shares(X_best, gene, space, smoothing)`.

    Raises:
        AssertionError: If the shares are no smoothed distribution of the gene.
    """
    space = SearchSpace.pocket()
    X = np.tile(space.encode(space.smallest()), (6, 1))
    X[:, 0] = [0, 0, 2, 2, 2, 4]
    shares = _shares_of_resolution(gene_shares, X, space)
    unequal = _shares(gene_shares, X, 0, space, 0.5)
    require(
        np.allclose(shares, np.array([3, 1, 4, 1, 2]) / 11),
        f"Resolutions {X[:, 0].tolist()} give shares {shares.round(3).tolist()}: count each value, "
        "and one imaginary observation of every value besides.",
    )
    require(
        np.allclose(unequal, np.array([5, 1, 7, 1, 3]) / 17),
        "With smoothing 0.5 the shares are wrong: each value has been seen so much more often, not "
        "always once.",
    )
    _check_layer_genes(gene_shares, X, space)
    X = space.sample(60, 0)
    right = gene_distribution(X, space, 2.0)
    for gene in range(space.n_var):
        found = _shares(gene_shares, X, gene, space, 2.0)
        require(
            np.allclose(found, right[gene, : space.upper[gene] + 1]),
            f"Gene {gene} of 60 random architectures has other shares than counting gives.",
        )
    passed("the same shares as natlib.search.gene_distribution, for every gene.")


def _shares(
    gene_shares: Callable[..., ArrayLike],
    X: IntMatrix,
    gene: int,
    space: SearchSpace,
    smooth: float,
) -> np.ndarray:
    """Returns the learner's shares, after a look at their shape."""
    n = int(space.upper[gene]) + 1
    what = f"The vector of shares of gene {gene}, one for each value from 0 to {n - 1},"
    return numbers(gene_shares(X.copy(), gene, space, smooth), (n,), what)


def _shares_of_resolution(
    gene_shares: Callable[..., ArrayLike], X: IntMatrix, space: SearchSpace
) -> np.ndarray:
    """Checks what every smoothed distribution keeps to, and returns it."""
    shares = _shares(gene_shares, X, 0, space, 1.0)
    require(
        (shares > 0).all(),
        f"Resolution {int(shares.argmin())} was not seen and has probability zero: then no subnet "
        "that uses it is ever trained again, and it can never become good.",
    )
    require(
        np.isclose(shares.sum(), 1),
        f"The shares add up to {shares.sum():.3f}: what you divide by must contain the imaginary "
        "observations as well as the real ones.",
    )
    return shares


def _check_layer_genes(
    gene_shares: Callable[..., ArrayLike], X: IntMatrix, space: SearchSpace
) -> None:
    """Checks the genes of layers: what a first layer cannot be, and who is asked about a third."""
    first = _shares(gene_shares, X, 2, space, 1.0)
    require(
        first[0] == 0,
        "Gene 2 is the first layer of a stage, which nobody can skip, but 0 has a probability "
        f"of {first[0]:.2f}: look at space.lower.",
    )
    X = X.copy()
    X[-1, 3] = 5  # of six architectures, only the last has a second layer here
    third = _shares(gene_shares, X, 4, space, 1.0)
    require(
        np.allclose(third, np.array([2, 1, 1, 1, 1, 1, 1]) / 8),
        f"In gene 4, a third layer, 'skipped' has a share of {third[0]:.3f}. Five of these six "
        "architectures have no second layer: did they decide anything about the third?",
    )


def check_distillation_loss(distillation_loss: Callable[..., Tensor]) -> None:
    """Judges `distillation_loss(logits, teacher_logits, labels, temperature)`.

    Raises:
        AssertionError: If it is not cross-entropy with the labels plus that with soft labels.
    """
    logits = torch.tensor([[2.0, 0.0, -1.0], [0.5, 1.5, 0.0]])
    teacher = torch.tensor([[3.0, 1.0, -2.0], [-1.0, 2.0, 1.0]])
    labels = torch.tensor([0, 2])
    for temperature in (1.0, 4.0):
        loss = distillation_loss(logits, teacher, labels, temperature)
        require(
            torch.is_tensor(loss) and loss.shape == (),
            "The loss is no single number, a tensor of shape (): take the mean over the pictures.",
        )
        soft = (teacher / temperature).softmax(dim=1)
        taught = F.cross_entropy(logits / temperature, soft)
        hard = F.cross_entropy(logits, labels)
        _explain(loss, hard, taught, soft, temperature)
    student, teacher = logits.requires_grad_(), teacher.requires_grad_()
    distillation_loss(student, teacher, labels, 2.0).backward()
    require(
        student.grad is not None,
        "No gradient reaches the student: keep its logits as they are.",
    )
    require(
        teacher.grad is None or not teacher.grad.any(),
        "A gradient reaches the teacher: it would learn from its pupil to be easy to imitate. "
        "Its predictions are data here.",
    )
    passed("with temperature 1 it is the loss of natlib.train, and higher ones soften it.")


def _explain(loss: Tensor, hard: Tensor, taught: Tensor, soft: Tensor, t: float) -> None:
    """Says what a wrong loss at temperature `t` looks like."""
    entropy = -(soft * soft.log()).sum(dim=1).mean()
    looks = {
        "only one of the two parts is there": (hard, t**2 * taught),
        "it is that of the divergence (KL): the gradient is the same, but the question asks for "
        "cross-entropy, as natlib.train has it": (hard + t**2 * (taught - entropy),),
        "the soft part lost its factor, so a high temperature teaches next to nothing": (
            (hard + taught,) if t > 1 else ()
        ),
    }
    for what, values in looks.items():
        require(
            not any(torch.isclose(loss, v) for v in values),
            f"At temperature {t:g}, {what}.",
        )
    require(
        torch.isclose(loss, hard + t**2 * taught),
        f"At temperature {t:g} the loss of two pictures is {loss:.4f}. By hand: are probabilities "
        "taken over the classes, and are both sides of the soft part divided by the temperature, "
        "but the logits that meet the labels not?",
    )


def check_misranked_share(misranked_share: Callable[[ArrayLike, ArrayLike], float]) -> None:
    """Judges `misranked_share(a, b)`.

    Raises:
        AssertionError: If it is not the share of pairs that two measurements order differently.
    """

    def share(a: ArrayLike, b: ArrayLike) -> float:
        return float(numbers(misranked_share(np.array(a), np.array(b)), (), "The share"))

    a = np.array([1.0, 2.0, 3.0, 4.0])
    equal, reverse = share(a, a), share(a, -a)
    require(
        np.isclose(equal, 0) and np.isclose(reverse, 1),
        f"Two equal measurements have {equal:.3f} and two opposite ones {reverse:.3f} of their "
        "pairs mis-ranked: it must be 0 and 1. Is nobody paired with itself, and do you divide by "
        "the number of pairs?",
    )
    swapped = share(a, [1.0, 3.0, 2.0, 40.0])
    require(
        np.isclose(swapped, 1 / 6),
        f"Of four architectures two neighbours changed places, and the share is {swapped:.3f}: "
        "list the pairs; distances do not count.",
    )
    tied = share([1.0, 1.0, 2.0, 3.0], [1.0, 2.0, 3.0, 2.5])
    require(
        np.isclose(tied, 1 / 5),
        f"With a tie among four architectures the share is {tied:.3f}. A pair that one of the two "
        "cannot tell apart is neither right nor wrong: who counts then, above and below?",
    )
    a, b = np.random.default_rng(0).normal(size=(2, 40))
    require(
        np.isclose(share(a, b), (1 - kendalltau(a, b).statistic) / 2),
        "For 40 random values the share is wrong, though it was right for four. Is every pair "
        "compared once?",
    )
    passed("without ties it is (1 - Kendall's tau) / 2.")


def check_paired_differences(paired_differences: Callable[..., pd.Series]) -> None:
    """Judges `paired_differences(study, mode, other)`.

    Raises:
        AssertionError: If it does not subtract, run by run, what the two modes end with.
    """
    ends = {("x", 0): (0.5, 0.4), ("x", 1): (0.3, 0.35), ("y", 0): (0.9, 0.6)}
    rows = [
        {"task": task, "seed": seed, "mode": mode, "iteration": i, "hypervolume": value / (3 - i)}
        for (task, seed), pair in ends.items()
        for mode, value in zip(("new", "old"), pair, strict=True)
        for i in (2, 0, 1)
    ]
    study = pd.DataFrame(rows).sample(frac=1, random_state=1)
    found = paired_differences(study, "new", "old")
    right = pd.Series({run: a - b for run, (a, b) in ends.items()})
    require(
        isinstance(found, pd.Series) and len(found) == len(right),
        f"There are {len(right)} pairs, one for each task and seed, so the answer is a Series of "
        f"{len(right)} differences. Were other iterations kept, or runs averaged?",
    )
    require(
        set(found.index) == set(right.index),
        f"The index is {found.index.tolist()}: let (task, seed) say which pair it is.",
    )
    require(
        not np.allclose(found[right.index], -right),
        "The sign is the wrong way round.",
    )
    require(
        np.allclose(found[right.index], right),
        f"The differences are {found.round(3).to_dict()}. Does each stand for one run at its last "
        "iteration, and are the two of a pair of the same task and seed? The rows are in no order.",
    )
    passed("each run is compared with its own twin, at the end.")


def check_sign_test(sign_test: Callable[[ArrayLike], float]) -> None:
    """Judges `sign_test(differences)`.

    Raises:
        AssertionError: If it is not the two-sided p-value of a fair coin.
    """
    cases = {
        (1, 1, 1, 1, 1, 1): (2 / 64, "six wins of six"),
        (-1, -1, -1, -1, -1, -1): (2 / 64, "no win of six, which is as extreme as six"),
        (5, 1, 1, 1, 1, -9): (14 / 64, "five wins of six, the loss a large one"),
        (1, -1, 1, -1, 1, -1): (1.0, "three wins of six, the most ordinary outcome"),
        (1, 1, 1, 0): (2 / 8, "three wins and a draw, which favours neither"),
        (1, -1) * 50: (1.0, "fifty wins of a hundred (2**100 is too large for numpy's integers)"),
    }
    for differences, (right, words) in cases.items():
        p = float(numbers(sign_test(np.array(differences, dtype=float)), (), "The p-value"))
        require(
            np.isclose(p, right),
            f"For {words}, p is {p:.4f}. Count how many of the equally likely sequences of heads "
            "and tails are at least as lopsided, to either side; a share cannot exceed one.",
        )
    passed("p is the chance of so lopsided a count, or more, where neither mode is better.")
