"""Checks of the exercises of notebook 04: adaptation, ranks of subnets, fair comparisons."""

import numpy as np
import pandas as pd
import torch
from torch.nn.functional import cross_entropy

from natlib.search import gene_distribution
from natlib.space import SearchSpace
from natlib.teach.checks import asking, cases, judged, numbers, require, same, tabled
from natlib.train import cosine

check_sign_test = tabled(__name__, "check_sign_test", "The p-value", ())
check_untried = tabled(__name__, "check_untried", shape=())
check_contrary = tabled(__name__, "check_contrary", shape=())
check_expected_trainings = tabled(__name__, "check_expected_trainings", shape=())


@judged("The rate of step {0}", ())
def check_adaptation_rate(ask, say):
    """Judges `adaptation_rate(step, peak, first, iterations, steps_each)`: one cosine over all."""
    for peak, first, iterations, each in ((0.08, 100, 4, 10), (0.5, 7, 3, 5)):
        n = iterations * each
        right, steps = cosine(peak, n, first=first), range(first, first + n + 1)
        rates = np.array([ask(step, peak, first, iterations, each) for step in steps])
        rises = np.diff(rates) > 1e-6
        require(same(rates[0], peak), say.begin, rate=rates[0], first=first, peak=peak)
        require(abs(rates[-1]) < 1e-6, say.end, rate=rates[-1], n=iterations)
        require(not rises.any(), say.rises, step=steps[rises.argmax()])
        require(same(rates, [right(s) for s in steps]), say.between, rate=rates[n // 4])


@judged()
def check_gene_shares(gene_shares, say):
    """Judges `gene_shares(X_best, gene, space, smoothing)`: smoothed shares of each value."""
    space = SearchSpace.pocket()

    def ask(X, gene, space=space, *smoothing):  # 1 by default
        top = int(space.upper[gene])
        what = f"The vector of shares of gene {gene}, one for each value from 0 to {top},"
        return asking(gene_shares, what, (top + 1,))(X, gene, space, *smoothing)

    X = np.tile(space.encode(space.smallest()), (6, 1))
    X[:, 0] = [0, 2, 4, 2, 0, 2]
    shares = ask(X, 0)
    require((shares > 0).all(), say.unseen, value=shares.argmin())
    require(same(shares.sum(), 1), say.sum, sum=shares.sum())
    right = np.array([3, 1, 4, 1, 2]) / 11
    require(same(shares, right), say.count, shares=shares.round(3).tolist())
    cases(ask, {say.smoothing: (X, 0, space, 0.5, np.array([5, 1, 7, 1, 3]) / 17)})
    first = ask(X, 2)
    require(first[0] == 0, say.first, share=first[0])
    X[-1, 3] = 5  # of six architectures, only the last has a second layer here
    third = ask(X, 4)
    require(same(third, np.array([2, 1, 1, 1, 1, 1, 1]) / 8), say.third, share=third[0])
    for space_, message in ((space, say.random), (SearchSpace.paper(), say.paper)):
        X = space_.sample(60, 0)
        for gene, right in enumerate(gene_distribution(X, space_, 2.0)):
            cases(ask, {message: (X, gene, space_, 2.0, right[: space_.upper[gene] + 1])})


@judged()
def check_distillation_loss(ask, say):
    """Judges `distillation_loss(logits, teacher_logits, labels, temperature)` and its gradient."""
    labels = torch.tensor([0, 2])
    logits = torch.tensor([[2.0, 0.0, -1.0], [0.5, 1.5, 0.0]])
    teacher = torch.tensor([[3.0, 1.0, -2.0], [-1.0, 2.0, 1.0]])
    for t in (1.0, 4.0):
        student, master = logits.clone().requires_grad_(), teacher.clone().requires_grad_()
        loss = ask(student, master, labels, t)
        require(torch.is_tensor(loss) and loss.shape == (), say.form)
        soft, hard = (teacher / t).softmax(dim=1), cross_entropy(logits, labels)
        taught, entropy = cross_entropy(logits / t, soft), -(soft * soft.log()).sum(dim=1).mean()
        require(not any(same(loss, part) for part in (hard, t**2 * taught)), say.part, t=t)
        require(not same(loss, hard + t**2 * (taught - entropy)), say.divergence, t=t)
        require(t == 1 or not same(loss, hard + taught), say.factor, t=t)
        require(same(loss, hard + t**2 * taught), say.value, t=t, loss=loss)
        require(loss.requires_grad, say.student, t=t)
        loss.backward()
        require(master.grad is None or not master.grad.any(), say.teacher)
        pupil = logits.clone().requires_grad_()
        (cross_entropy(pupil, labels) + t**2 * cross_entropy(pupil / t, soft)).backward()
        require(same(student.grad, pupil.grad), say.student, t=t)


@judged("The share", ())
def check_misranked_share(ask, say):
    """Judges `misranked_share(a, b)`: of pairs that two measurements order differently."""
    random = []
    for seed in range(10):
        x, y = np.random.default_rng(seed).normal(0, 3, size=(2, 40)).round(seed % 2 * 9)
        signs = np.sign(np.subtract.outer(x, x) * np.subtract.outer(y, y))
        random.append((x, y, (signs < 0).sum() / (signs != 0).sum()))
    return {say.random: random}


@judged()
def check_paired_differences(paired_differences, say):
    """Judges `paired_differences(study, mode, other)`: of what the two of each pair end with."""
    ends = {("x", 0): (0.5, 0.4), ("x", 1): (0.3, 0.35), ("y", 0): (0.9, 0.6)}
    third = ("third", 0.1)  # of no interest
    modes = [(*r, *of) for r, (a, b) in ends.items() for of in (("new", a), ("old", b), third)]
    rows = [(*names, i, end / (3 - i)) for *names, end in modes for i in (2, 0, 1)]
    study = pd.DataFrame(rows, columns=["task", "seed", "mode", "iteration", "hypervolume"])
    found = paired_differences(study.sample(frac=1, random_state=1), "new", "old")
    require(isinstance(found, pd.Series | dict) and len(found) == len(ends), say.form)
    require(set(found.keys()) == set(ends), say.index, index=list(found.keys()))
    found = numbers([found[run] for run in ends], (3,), "The Series of differences")
    right = np.array([a - b for a, b in ends.values()])
    require(not same(found, -right), say.sign)
    require(same(found, right), say.value, found=dict(zip(ends, found.round(3), strict=True)))
