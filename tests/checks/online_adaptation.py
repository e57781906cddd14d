"""Answers to the exercises of notebook 04."""

import math
from itertools import combinations

import numpy as np
import torch
import torch.nn.functional as F
from scipy.stats import binomtest, kendalltau, rankdata

from natlib.search import gene_distribution
from natlib.train import cosine


def rate(step, peak, first, iterations, steps_each):
    return cosine(peak, iterations * steps_each, first=first)(step)


def restarted(step, peak, first, iterations, steps_each):
    done = (step - first) % steps_each / steps_each if step < first + iterations * steps_each else 1
    return peak * 0.5 * (1 + math.cos(math.pi * done))


def shaped(shape):
    """Returns a schedule that is `shape` of the share of the adaptation that is done."""
    return lambda step, peak, first, n, each: peak * shape((step - first) / (n * each))


def shares(X, gene, space, smoothing=1.0):
    return gene_distribution(X, space, smoothing)[gene, : space.upper[gene] + 1]


def counted(X, gene, space, smoothing=1.0, *, lower=True, real_only=False):
    """Counts everybody, also those whose layer before is skipped."""
    counts = np.bincount(X[:, gene], minlength=space.upper[gene] + 1) + smoothing
    if lower:
        counts[: space.lower[gene]] = 0
    return counts / (len(X) if real_only else counts.sum())


def shares_of_three(X, gene, space, smoothing=1.0):
    """Takes it for granted that a stage has three layers at most."""
    seen = X[X[:, gene - 1] > 0] if gene >= 2 and (gene - 2) % 3 else X
    return counted(seen, gene, space, smoothing)


def distil(logits, teacher, labels, t, *, student_t=True, factor=True, dim=1, detach=True):
    teacher = teacher.detach() if detach else teacher
    soft = (teacher / t).softmax(dim=dim)
    taught = F.cross_entropy(logits / t if student_t else logits, soft)
    return F.cross_entropy(logits, labels) + taught * (t**2 if factor else 1)


def half_cut_off(logits, teacher, labels, t):
    plain = F.cross_entropy(logits.detach(), labels)
    return distil(logits, teacher, labels, t) - F.cross_entropy(logits, labels) + plain


def by_logarithms(logits, teacher, labels, t):
    soft = F.softmax(teacher.detach() / t, dim=-1)
    hard = -torch.log_softmax(logits, 1)[range(len(labels)), labels].mean()
    return hard - t**2 * (soft * torch.log_softmax(logits / t, 1)).sum(dim=1).mean()


def without_gradients(logits, teacher, labels, t):
    with torch.no_grad():
        soft = torch.softmax(teacher.clone() / t, dim=1)
    loss = F.cross_entropy(logits / t, soft, reduction="sum") * t**2
    return (F.cross_entropy(logits, labels, reduction="sum") + loss) / len(labels)


def in_double(logits, teacher, labels, t):
    return distil(logits.double(), teacher.double(), labels, t)


def divergence(logits, teacher, labels, t):
    student, soft = (logits / t).log_softmax(1), (teacher.detach() / t).softmax(1)
    taught = t**2 * F.kl_div(student, soft, reduction="batchmean")
    return F.cross_entropy(logits, labels) + taught


def by_pairs(a, b):
    signs = [np.sign((a[i] - a[j]) * (b[i] - b[j])) for i, j in combinations(range(len(a)), 2)]
    return signs.count(-1) / (signs.count(-1) + signs.count(1))


def by_matrix(a, b, pairs=lambda n: n * n):
    opposite = (np.subtract.outer(a, a) * np.subtract.outer(b, b) < 0).sum()
    return opposite / pairs(len(a))


def at_the_end(study):
    return study[study.iteration == study.iteration.max()]


def differences(study, mode, other):
    runs = at_the_end(study).set_index(["task", "seed", "mode"]).hypervolume.unstack("mode")
    return runs[mode] - runs[other]


def row_by_row(study, mode, other):
    last = at_the_end(study)
    ours, theirs = (last[last["mode"] == m].set_index(["task", "seed"]) for m in (mode, other))
    return ours.hypervolume - theirs.hypervolume.to_numpy()


def over_iterations(study, mode, other):
    means = study.groupby(["task", "seed", "mode"]).hypervolume.mean().unstack("mode")
    return means[mode] - means[other]


def by_task(study, mode, other):
    return differences(study, mode, other).groupby("task").mean()


def coin(d, alternative="two-sided", **options):
    wins, n = int((d > 0).sum()), int((d != 0).sum())
    return binomtest(wins, n, alternative=alternative, **options).pvalue


def in_64_bits(d):
    n, wins = np.sum(d != 0), np.sum(d > 0)
    lopsided = [k for k in range(n + 1) if abs(k - n / 2) >= abs(wins - n / 2)]
    return sum(math.comb(int(n), k) for k in lopsided) / max(2**n, 1)


def draws_as_losses(d):
    return binomtest(int((d > 0).sum()), len(d)).pvalue


def twice_one_sided(d):
    return 2 * min(coin(d, "greater"), coin(d, "less"))


def more_lopsided_only(d):
    wins, n = int((d > 0).sum()), int((d != 0).sum())
    return sum(math.comb(n, k) for k in range(n + 1) if abs(k - n / 2) > abs(wins - n / 2)) / 2**n


RIGHT = {
    "check_adaptation_rate": [rate],
    "check_gene_shares": [shares],
    "check_distillation_loss": [distil, by_logarithms, without_gradients, in_double],
    "check_misranked_share": [by_pairs],
    "check_paired_differences": [
        differences,
        lambda *a: differences(*a).sort_index(ascending=False),
        lambda *a: differences(*a).rename("gain"),
    ],
    "check_sign_test": [coin, lambda d: min(1, twice_one_sided(d))],
    "check_untried": [
        lambda: 10,
    ],
    "check_contrary": [
        lambda: 22.727,
    ],
    "check_expected_trainings": [
        lambda: 4,
        lambda: 108 / 27,
        lambda: np.float32(4),
        lambda: np.array(4.0),
    ],
}
WRONG = {
    "check_adaptation_rate": [
        ("no return", lambda *args: None, "'return'"),
        ("from step zero", lambda s, p, f, n, e: cosine(p, n * e)(s), "counted from the beginning"),
        ("iterations too many", lambda s, p, f, n, e: cosine(p, n * e + e, first=f)(s), "whole"),
        ("restarted", restarted, "never starts again"),
        ("a whole wave", shaped(lambda x: 0.5 + 0.5 * math.cos(2 * math.pi * x)), "how far"),
        ("rises", shaped(lambda x: 0.5 - 0.5 * math.cos(math.pi * x)), "not the peak"),
        ("linear", shaped(lambda x: 1 - x), "half wave"),
        ("quarter wave", shaped(lambda x: math.cos(math.pi / 2 * x)), "half wave"),
    ],
    "check_gene_shares": [
        ("not smoothed", lambda X, g, s, c=1.0: counted(X, g, s, 0), "probability zero"),
        (
            "real ones only below",
            lambda X, g, s, c=1.0: counted(X, g, s, c, real_only=True),
            "add up",
        ),
        ("always by one", lambda X, g, s, c=1.0: shares(X, g, s, 1.0), "smoothing 0.5"),
        (
            "uniform",
            lambda X, g, s, c=1.0: np.full(s.upper[g] + 1, 1 / (s.upper[g] + 1)),
            "count each",
        ),
        (
            "first layer skipped",
            lambda X, g, s, c=1.0: counted(X, g, s, c, lower=False),
            "space.lower",
        ),
        ("asks everybody", counted, "decide anything"),
        ("values seen only", lambda X, g, s, c=1.0: np.unique(X[:, g]) * 1.0, "shape"),
        ("one space", lambda X, g, s, c=1.0: shares_of_three(X, g, s, c), "max_depth"),
    ],
    "check_distillation_loss": [
        ("labels only", lambda x, t, y, T: F.cross_entropy(x, y), "one of the two parts"),
        ("one per picture", lambda x, t, y, T: F.cross_entropy(x, y, reduction="none"), "mean"),
        ("divergence", divergence, "KL"),
        ("no factor", lambda *a: distil(*a, factor=False), "lost its factor"),
        ("over pictures", lambda *a: distil(*a, dim=0), "over the classes"),
        ("teacher alone softened", lambda *a: distil(*a, student_t=False), "both sides"),
        ("teacher learns", lambda *a: distil(*a, detach=False), "reaches the teacher"),
        ("half cut off", half_cut_off, "wrong gradient"),
        ("all cut off", lambda x, t, y, T: distil(x.detach(), t, y, T), "wrong gradient"),
    ],
    "check_misranked_share": [
        ("agreement", lambda a, b: 1 - by_pairs(a, b), "of 0, and"),
        ("squares", by_matrix, "paired with itself|list the pairs"),
        ("twice", lambda a, b: by_matrix(a, b, lambda n: n * (n - 1) / 2), "of 0, and"),
        ("Kendall's tau", lambda a, b: kendalltau(a, b).statistic, "of 0, and"),
        ("ties below", lambda a, b: by_matrix(a, b, lambda n: n * (n - 1)), "tie"),
        (
            "displaced",
            lambda a, b: np.abs(rankdata(a) - rankdata(b)).sum() / (len(a) ** 2 / 2),
            "list the pairs",
        ),
    ],
    "check_paired_differences": [
        ("row by row", row_by_row, "in no order"),
        ("wrong way round", lambda s, a, b: differences(s, b, a), "wrong way round"),
        ("mean over iterations", over_iterations, "last iteration"),
        ("mean over seeds", by_task, "averaged"),
        ("all iterations", lambda s, a, b: differences_of_all(s, a, b), "other iterations"),
        ("numbers only", lambda s, a, b: differences(s, a, b).to_numpy(), "3 pairs"),
    ],
    "check_sign_test": [
        ("one-sided", lambda d: coin(d, "greater"), "either side"),
        ("more than one", twice_one_sided, "exceed one"),
        ("more lopsided only", more_lopsided_only, "at least as lopsided"),
        ("share of wins", lambda d: np.mean(d > 0), "equally likely"),
        ("draw counts as loss", draws_as_losses, "draw"),
        ("64 bits", in_64_bits, "too large"),
    ],
    "check_untried": [
        ("of all", lambda: 66, "lower"),
        ("share", lambda: 10 / 66, "lower"),
        ("below the lower bound, too", lambda: 13, "lower"),
        ("nothing", lambda: None, "return"),
        ("list", lambda: [10], "one number"),
        ("text", lambda: "ten", "should hold numbers"),
    ],
    "check_contrary": [
        ("front of the mean", lambda: 52.2, "half a"),
        ("all pairs", lambda: 8.6, "half a"),
        ("share", lambda: 0.227, "half a"),
        ("ties count", lambda: 5 / 24 * 100, "half a"),
        ("nothing", lambda: None, "return"),
        ("half b", lambda: 37.5, "half a"),
    ],
    "check_expected_trainings": [
        ("a step", lambda: 36 / 27, "too few"),
        ("uniform", lambda: 108 / 7, "too many"),
        ("one imaginary observation", lambda: 108 / 21, "too many"),
        ("never", lambda: 0, "too few"),
        ("no smoothing of the others", lambda: 108 / 20, "too many"),
        ("one subnet a step with all", lambda: 36 / 20, "too few"),
    ],
}


def differences_of_all(study, mode, other):
    runs = study.set_index(["task", "seed", "iteration", "mode"]).hypervolume.unstack("mode")
    return runs[mode] - runs[other]
