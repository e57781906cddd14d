"""Checks of the exercises of notebook 04: adaptation, ranks of subnets, fair comparisons."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from scipy.stats import kendalltau
from torch import Tensor
from torch.nn.functional import cross_entropy

from natlib.search import gene_distribution
from natlib.space import SearchSpace
from natlib.teach.checks import asking, cases, passed, require, says, tabled
from natlib.train import cosine

check_expected_trainings = tabled(__name__, "check_expected_trainings", shape=())


def check_adaptation_rate(adaptation_rate: Callable[..., float]) -> None:
    """Judges `adaptation_rate(step, peak, first, iterations, steps_each)`: one cosine over all."""
    say, steps = says(check_adaptation_rate), range(100, 141)
    ask, right = asking(adaptation_rate, "The rate of step {0}"), cosine(0.08, 40, first=100)
    rates = np.array([ask(step, 0.08, 100, 4, 10) for step in steps])
    rises = np.diff(rates) > 1e-12
    require(np.isclose(rates[0], 0.08), say.begin, rate=rates[0])
    require(abs(rates[-1]) < 1e-9, say.end, rate=rates[-1])
    require(not rises.any(), say.rises, step=steps[rises.argmax()])
    require(np.allclose(rates, [right(s) for s in steps]), say.between, rate=rates[10])
    passed("one cosine over the whole adaptation, the same as natlib.train.cosine.")


def check_gene_shares(gene_shares: Callable[..., ArrayLike]) -> None:
    """Judges `gene_shares(X_best, gene, space, smoothing)`: smoothed shares of each value."""
    say, space = says(check_gene_shares), SearchSpace.pocket()

    def ask(X: np.ndarray, gene: int, smoothing: float = 1.0) -> np.ndarray:
        top = int(space.upper[gene])
        what = f"The vector of shares of gene {gene}, one for each value from 0 to {top},"
        return asking(gene_shares, what, (top + 1,))(X, gene, space, smoothing)

    X = np.tile(space.encode(space.smallest()), (6, 1))
    X[:, 0] = [0, 0, 2, 2, 2, 4]
    shares = ask(X, 0)
    require((shares > 0).all(), say.unseen, value=shares.argmin())
    require(np.isclose(shares.sum(), 1), say.sum, sum=shares.sum())
    right = np.array([3, 1, 4, 1, 2]) / 11
    require(np.allclose(shares, right), say.count, shares=shares.round(3).tolist())
    cases(ask, {say.smoothing: (X, 0, 0.5, np.array([5, 1, 7, 1, 3]) / 17)}, 1e-5)
    first = ask(X, 2)
    require(first[0] == 0, say.first, share=first[0])
    X[-1, 3] = 5  # of six architectures, only the last has a second layer here
    third = ask(X, 4)
    require(np.allclose(third, np.array([2, 1, 1, 1, 1, 1, 1]) / 8), say.third, share=third[0])
    X = space.sample(60, 0)
    for gene, right in enumerate(gene_distribution(X, space, 2.0)):
        cases(ask, {say.random: (X, gene, 2.0, right[: space.upper[gene] + 1])}, 1e-5)
    passed("the same shares as natlib.search.gene_distribution, for every gene.")


def check_distillation_loss(distillation_loss: Callable[..., Tensor]) -> None:
    """Judges `distillation_loss(logits, teacher_logits, labels, temperature)`: both its parts."""
    say, labels = says(check_distillation_loss), torch.tensor([0, 2])
    logits = torch.tensor([[2.0, 0.0, -1.0], [0.5, 1.5, 0.0]])
    teacher = torch.tensor([[3.0, 1.0, -2.0], [-1.0, 2.0, 1.0]])
    hard = cross_entropy(logits, labels)
    for t in (1.0, 4.0):
        loss = distillation_loss(logits, teacher, labels, t)
        require(torch.is_tensor(loss) and loss.shape == (), say.form)
        soft = (teacher / t).softmax(dim=1)
        taught, entropy = cross_entropy(logits / t, soft), -(soft * soft.log()).sum(dim=1).mean()
        one_part = [torch.isclose(loss, part) for part in (hard, t**2 * taught)]
        require(not any(one_part), say.part, t=t)
        divergence = hard + t**2 * (taught - entropy)
        require(not torch.isclose(loss, divergence), say.divergence, t=t)
        require(t == 1 or not torch.isclose(loss, hard + taught), say.factor, t=t)
        require(torch.isclose(loss, hard + t**2 * taught), say.value, t=t, loss=loss)
    distillation_loss(logits.requires_grad_(), teacher.requires_grad_(), labels, 2.0).backward()
    require(logits.grad is not None, say.student)
    require(teacher.grad is None or not teacher.grad.any(), say.teacher)
    passed("with temperature 1 it is the loss of natlib.train, and higher ones soften it.")


def check_misranked_share(misranked_share: Callable[[ArrayLike, ArrayLike], float]) -> None:
    """Judges `misranked_share(a, b)`: of pairs that two measurements order differently."""
    say, ask = says(check_misranked_share), asking(misranked_share, "The share")
    a, (x, y) = np.array([1.0, 2.0, 3.0, 4.0]), np.random.default_rng(0).normal(size=(2, 40))
    equal, reverse = ask(a, a), ask(a, -a)
    require(np.allclose([equal, reverse], [0, 1]), say.ends, equal=equal, reverse=reverse)
    table = {
        say.swapped: (a, [1, 3, 2, 40], 1 / 6),
        say.tie: ([1, 1, 2, 3], [1, 2, 3, 2.5], 1 / 5),
        say.random: (x, y, (1 - kendalltau(x, y).statistic) / 2),
    }
    cases(ask, table, 1e-5)
    passed("without ties it is (1 - Kendall's tau) / 2.")


def check_paired_differences(paired_differences: Callable[..., pd.Series]) -> None:
    """Judges `paired_differences(study, mode, other)`: of what the two of each pair end with."""
    say = says(check_paired_differences)
    ends = {("x", 0): (0.5, 0.4), ("x", 1): (0.3, 0.35), ("y", 0): (0.9, 0.6)}
    modes = [(*run, *of) for run, (a, b) in ends.items() for of in (("new", a), ("old", b))]
    rows = [(*names, i, value / (3 - i)) for *names, value in modes for i in (2, 0, 1)]
    study = pd.DataFrame(rows, columns=["task", "seed", "mode", "iteration", "hypervolume"])
    found = paired_differences(study.sample(frac=1, random_state=1), "new", "old")
    require(isinstance(found, pd.Series) and len(found) == len(ends), say.form)
    require(set(found.index) == set(ends), say.index, index=found.index.tolist())
    right = pd.Series({run: a - b for run, (a, b) in ends.items()})
    require(not np.allclose(found[right.index], -right), say.sign)
    require(np.allclose(found[right.index], right), say.value, found=found.round(3).to_dict())
    passed("each run is compared with its own twin, at the end.")


def check_sign_test(sign_test: Callable[[ArrayLike], float]) -> None:
    """Judges `sign_test(differences)`: the two-sided p-value of a fair coin."""
    coins = [
        ("six wins of six", [1] * 6, 2 / 64),
        ("no win of six, which is as extreme as six", [-1] * 6, 2 / 64),
        ("five wins of six, the loss a large one", [5, 1, 1, 1, 1, -9], 14 / 64),
        ("three wins of six, the most ordinary outcome", [1, -1] * 3, 1),
        ("three wins and a draw, which favours neither", [1, 1, 1, 0], 2 / 8),
        ("fifty wins of a hundred (2**100 is too large for numpy's integers)", [1, -1] * 50, 1),
    ]
    ask = asking(lambda _, differences: sign_test(differences), "The p-value")
    cases(ask, {says(check_sign_test).p: coins}, 1e-5)
    passed("p is the chance of so lopsided a count, or more, where neither mode is better.")
