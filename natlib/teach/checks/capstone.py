"""Checks of the capstone: each piece must do what natlib's does, then the loop, then all of it."""

import copy
from collections import Counter
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from natlib import evaluate, search, train
from natlib.cost import CostTable
from natlib.data import load_task, pretrained_path, to_input
from natlib.space import SearchSpace
from natlib.supernet import Supernet, WeightSet
from natlib.surrogate import RBFEnsemble
from natlib.teach.checks import call, numbers, passed, require, says

POCKET_SPACE = SearchSpace.pocket()
MADDS = CostTable(POCKET_SPACE, num_classes=10).madds
CHANCE = 0.06  # of a hypervolume beside natlib's: over three standard deviations of five seeds
SURVIVALS = [  # cases: objectives, seed of the points, how many survive
    ("layers", 2, 0, 13), ("niches", 2, 34, 20), ("others", 2, 48, 22), ("units", 2, 34, 20),
    ("three", 3, 35, 29),
]  # fmt: skip


def _measure(subnet, training, validation):
    evaluate.recalibrate(subnet, training)
    return 100 - 100 * evaluate.correct_predictions(subnet, validation).float().mean().item()


def _supernet_step(net, optimizer, task, images, labels, archs):
    optimizer.zero_grad()
    train.add_gradients(net, task, images, labels, archs)
    nn.utils.clip_grad_norm_(net.parameters(), 5.0)
    optimizer.step()


def _nat(problem, pieces, iterations, k, best, seed):
    X, errors = problem.first, problem.measure(problem.first)
    for i in range(seed, seed + iterations):
        predict = pieces["ensemble"](X, errors, 100, problem.space.n_var // 2, i)
        F, judge = np.c_[errors, problem.cost(X)], lambda X, p=predict: np.c_[p(X), problem.cost(X)]
        found = pieces["search"](problem.space, judge, X[search.non_dominated(F)], i)
        found = found[~(found[:, None] == X).all(axis=2).any(axis=1)]
        found = found[pieces["candidates"](judge(found), F, k)]
        X, errors = np.vstack([X, found]), np.r_[errors, problem.measure(found)]
        problem.adapt(X[pieces["select"](np.c_[errors, problem.cost(X)], best)])
        errors = problem.measure(X)
    return X, errors


NATLIB = {  # the pieces, as natlib has them
    "subnet_logits": WeightSet.forward,
    "measure": _measure,
    "supernet_step": _supernet_step,
    "ensemble": lambda X, y, members, genes, seed: RBFEnsemble(
        members, genes / np.shape(X)[1], seed=seed, dtype="float64").fit(X, y).predict,
    "select": search.select_best,
    "search": lambda space, judge, X, seed: search.nsga3(
        space, judge, X, population=40, generations=10, seed=seed).X,
    "candidates": search.choose_candidates,
    "draw": lambda X, space, n, rng: search.sample_distribution(
        search.gene_distribution(X, space), space, n, rng),
    "nat": _nat,
}  # fmt: skip


def _left(given: object) -> list[np.ndarray]:
    """Returns what is left of an argument: the numbers of an array, weights and statistics."""
    state = given.state_dict().values() if isinstance(given, nn.Module) else [given]
    tensors = [t.detach() for t in state if torch.is_tensor(t) and t.is_floating_point()]
    return [np.ravel(a) for a in [*tensors, *(g for g in state if isinstance(g, np.ndarray))]]


def _beside(check: Callable, answer: Callable, tries: dict, summary: Callable, tolerance=1e-5):
    """Lets an answer and natlib's piece do tries, `{sentence: arguments}`, twice, on copies.

    Summaries of what they return must agree, and then what they leave of the arguments.
    """
    say, name = vars(says(check)), check.__name__.removeprefix("check_")

    def trace(piece: Callable, arguments: tuple) -> list[np.ndarray]:
        given = copy.deepcopy(arguments)
        found = call(lambda *g: [summary(piece(*g), *g) for _ in range(2)][1], given)
        found = found.detach() if torch.is_tensor(found) else found
        left = np.concatenate([[0.0], *(a for argument in given for a in _left(argument))])
        return [numbers(found, np.shape(found), "What it returns"), left]

    for key, arguments in tries.items():
        pairs = zip(trace(NATLIB[name], arguments), trace(answer, arguments), strict=True)
        parts = list(zip(("value", "after"), pairs, strict=True))
        if not isinstance(arguments[0], nn.Module):  # what nobody may change comes first
            parts.reverse()
        for part, (ours, theirs) in parts:
            fine = ours.shape == theirs.shape
            fine = fine and np.abs(theirs - ours).max() <= tolerance * (1 + np.abs(ours).max())
            require(fine, say.get(part, say[key]), found=_shown(theirs), right=_shown(ours))
    passed(check, say["passed"])


def _shown(values: np.ndarray) -> object:
    """Returns numbers with two digits, or without any where all are whole."""
    values = np.nan_to_num(values).round(2)
    return (values.astype(int) if (values == values.round()).all() else values).tolist()


def _volume(errors: np.ndarray, X: np.ndarray) -> float:
    """Returns the hypervolume of errors and the logarithm of MAdds, in a fixed box."""
    ends = POCKET_SPACE.smallest(), POCKET_SPACE.largest()
    low, high = np.log(MADDS(np.stack([*map(POCKET_SPACE.encode, ends)])))
    return search.hypervolume(np.c_[errors, np.log(MADDS(X))], [100, high], [0, low])


def _source():
    return Supernet.load(pretrained_path("pocket")), load_task("source")


def _logits(found, weights, images, arch):
    if not images.requires_grad:
        return found
    loss, parameters = found.square().sum(), [*weights.parameters()]
    found = torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True)
    return torch.cat([gradient.ravel() for gradient in found])


def check_subnet_logits(subnet_logits: Callable) -> None:
    """Judges width, kernels and depth of a subnet, and the gradients that reach the weights."""
    net, task = _source()
    weights, images = net.weight_sets[0].eval(), to_input(task.valid.images[:6], 16, task)
    genes = {"largest": [6] * 9, "width": [2, 6, 4] * 3, "kernel": [5] * 9}
    genes |= {"depth": [5, 0, 0, 6, 1, 4, 3, 2, 0]}
    tries = {key: (weights, images, POCKET_SPACE.decode([0, 0, *x])) for key, x in genes.items()}
    learning = copy.deepcopy(weights).train(), images.clone().requires_grad_(), tries["depth"][2]
    _beside(check_subnet_logits, subnet_logits, tries | {"gradients": learning}, _logits)


def check_measure(measure: Callable) -> None:
    """Judges recalibration and error, with batches of uneven sizes."""
    (net, task), tries = _source(), {}

    def batches(split, sizes, resolution):
        images = to_input(split.images[: sum(sizes)], resolution, task).split(sizes)
        return list(zip(images, split.labels[: sum(sizes)].split(sizes), strict=True))

    for key, sizes in {"even": (40, 40), "uneven": (64, 9)}.items():
        subnet = net.extract(POCKET_SPACE.decode(POCKET_SPACE.sample(1, sum(sizes))[0])).eval()
        both = [batches(split, sizes, subnet.arch.resolution) for split in (task.train, task.valid)]
        tries[key] = subnet, *both
    _beside(check_measure, measure, tries, lambda error, *_: error)


def check_supernet_step(supernet_step: Callable) -> None:
    """Judges the weights after one step: teacher, students, sum of gradients, clipping."""
    (source, task), tries = _source(), {}
    images, labels = task.train.images[:6], task.train.labels[:6]
    drawn = map(POCKET_SPACE.decode, POCKET_SPACE.sample(2, 0))
    archs = [POCKET_SPACE.largest(), POCKET_SPACE.smallest(), *drawn]
    for key, n in {"teacher": 1, "clip": 1, "student": 2, "sum": 4}.items():
        net = copy.deepcopy(source).train()
        optimizer = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
        wanted = labels.roll(1) if key == "clip" else labels
        tries[key] = net, optimizer, task, images, wanted, archs[:n]
    _beside(check_supernet_step, supernet_step, tries, lambda *_: 0.0)


def check_ensemble(ensemble: Callable) -> None:
    """Judges one member, which is scipy's interpolant, and the mean of many."""
    rng = np.random.default_rng(0)
    cube, plane = (np.indices(n * (3,)).reshape(n, -1).T + 0.0 for n in (4, 2))
    X, y = rng.permutation(cube)[:30], rng.normal(30, 5, 30)
    tries = {
        "one": (X, y, 1, 4, 0),
        "mean": (X, y, 3, 4, 0),
        "constant": (np.insert(X, 2, 7, axis=1), y, 1, 5, 0),
        "twins": (np.vstack([X, X[:8]]), np.append(y, y[:8] + 4), 1, 4, 0),
        "genes": (plane, 5e-5 * plane.sum(axis=1), 1000, 1, 0),  # chance is below the tolerance
    }
    _beside(check_ensemble, ensemble, tries, lambda f, X, *_: f(X[:9] * 0.7 + X[8::-1] * 0.3))


def check_select(select: Callable) -> None:
    """Judges survivors, in cases where the rule of NSGA-III leaves nothing to chance."""
    tries = {}
    for key, m, seed, n in SURVIVALS:
        rng = np.random.default_rng(seed)
        rays = rng.dirichlet(np.full(m, 0.6), 40) * rng.choice([1.0, 1.25, 1.6], size=(40, 1))
        F = rng.permutation(np.vstack([np.eye(m), [range(9, 9 - m, -1)], rays]))
        tries[key] = (F * np.logspace(0, 6, m) + 3) if key == "units" else F, n
    tries["flat"] = np.c_[rng.permutation(40), np.full(40, 5.0)], 9
    _beside(check_select, select, tries, lambda rows, *_: np.sort(rows))


def _points(rows, F, *_):
    return np.array(sorted(map(tuple, F[[*rows]])))


def check_candidates(candidates: Callable) -> None:
    """Judges the choice of what to measure: new points, one after another, that fill gaps."""
    rng = np.random.default_rng(2)  # where the width of the box decides
    known = np.array([[0, 10], [1, 6], [5, 1], [9, 0.0]])
    new = np.array([[2.1, 3.9], [4, 2], [2, 4], [2.05, 3.95]])
    N = np.abs(rng.normal(size=(60, 3)))
    F = (10 - N / np.linalg.norm(N, axis=1, keepdims=True)) * [1, 1e6, 1e3]
    tries = {
        "gap": (new, known, 1),
        "again": (new, known, 2),
        "known": (np.vstack([known, new, new]), known, 6),
        "few": (new[:2], known, 5),
        "random": (F[20:], F[:20], 6),
    }
    _beside(check_candidates, candidates, tries, _points)


def check_draw(draw: Callable) -> None:
    """Judges ten thousand drawn encodings: the shares of values, and of pairs of values."""
    X, how = POCKET_SPACE.sample(60, 0), (POCKET_SPACE, 10_000, np.random.default_rng(1))
    tries = {
        "unseen": (X[:1], *how),
        "skipped": (X[X[:, 3] == 0], *how),
        "pairs": (X[[0, 0, 0, 0, 1, 1, 1]], *how),
    }

    def shares(X, *_):
        X = POCKET_SPACE.as_rows(X)
        values = (X[:, :, None] == np.arange(7)).reshape(len(X), -1) + 0.0
        canonical = (X == POCKET_SPACE.repair(X)).all(axis=1)
        return np.append(values.T @ values / len(X), canonical.mean())

    _beside(check_draw, draw, tries, shares, tolerance=0.02)


def _are_best(task, time: int) -> bool:
    """Says whether a task was adapted, at that place of its log, to ten that survive by layers."""
    task.log, rows = task.log[:time], np.asarray(task.log[time][1])
    X = np.unique(np.vstack([rows for what, rows in task.log if what == "measure"]), axis=0)
    front = X[search.non_dominated(np.c_[task.truth(X), MADDS(X)])]
    inside = {*map(tuple, rows)} & {*map(tuple, front)}
    return len(rows) == 10 and len(inside) == min(10, len(front))


def check_nat(trial: Callable) -> None:
    """Judges the loop by its log on three tasks that drift: budget, order, and front."""
    say, ahead = says(check_nat), []
    for seed in (1, 3, 4):
        task, (X, errors) = call(trial, (seed,))
        times = [i for i, (what, _) in enumerate(task.log) if what == "adapt"]
        require(len(times) == 3, say.adapted, found=len(times))
        seen, sizes = set(), []
        for i, then in pairwise([-1, *times, len(task.log)]):
            again = {tuple(row) for _, rows in task.log[i + 1 : then] for row in rows}
            require(seen <= again, say.again, n=len(seen - again))
            seen |= again
            sizes.append(len(seen))
        asked = sum(len(rows) for what, rows in task.log if what == "measure")
        require(len(seen) == 34, say.budget, found=len(seen))
        for n, (found, due) in enumerate(zip(sizes, (22, 28, 34), strict=False), start=1):
            require(found == due, say.early, n=n, found=found, right=due)
        require(asked <= 118, say.spent, asked=asked)
        require(all(_are_best(copy.copy(task), i) for i in times), say.best)
        X = numbers(X, (34, POCKET_SPACE.n_var), "The archive").astype(int)
        errors = np.ravel(errors)
        fine = errors.shape == (34,) and np.allclose(errors, task.truth(X), 1e-5)
        require(fine, say.returned)
        others = search.sample_spread(POCKET_SPACE, MADDS, 34, seed)
        ahead.append(_volume(errors, X) - _volume(task.truth(others), others))
    require(np.mean(ahead) > 0.05, say.random, ahead=np.mean(ahead))
    passed(check_nat, say.passed)


def check_own_nat(compare: Callable) -> None:
    """Judges all of it: each own piece once more, its calls, and the front beside natlib's."""
    say, own, calls = says(check_own_nat), {}, Counter()

    def count(name: str, piece: Callable) -> Callable:
        def call(*arguments, **options):
            calls[name] += 1
            return piece(*arguments, **options)

        own[name] = piece
        return call

    fronts = call(compare, (count,))
    if not own:
        return print(say.none)
    silent = ", ".join(name for name in own if not calls[name])
    require(not silent, say.silent, names=silent)
    for name in own.keys() - {"search", "nat"}:
        with redirect_stdout(StringIO()):
            globals()[f"check_{name}"](own[name])
    found, right = (len(X) for X, _ in fronts)
    require(found == right, say.size, found=found, right=right)
    ours, theirs = (_volume(errors, X) for X, errors in fronts)
    require(ours > theirs - CHANCE, say.behind, ours=ours, theirs=theirs)
    counts = ", ".join(f"{name} {calls[name]}" for name in own)
    about = {"n": len(own), "of": len(NATLIB), "counts": counts, "ours": ours, "theirs": theirs}
    passed(check_own_nat, say.passed.format(**about))
