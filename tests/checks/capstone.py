"""Answers to the capstone: its solutions, other styles, and its solutions with errors planted."""

import ast
import linecache
import zlib
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.interpolate import RBFInterpolator
from torch.nn import functional

from natlib import data, search
from natlib.surrogate import RBFEnsemble
from natlib.teach.checks.capstone import NATLIB

SCRIPT = Path(__file__).parents[2] / "notebooks" / "solutions" / "07_capstone.py"
KEPT = ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef


@cache
def source():
    """Returns the functions, classes and imports of the solutions: nothing that computes."""
    tree = ast.parse(SCRIPT.read_text(encoding="utf-8"))
    return ast.unparse(ast.Module([node for node in tree.body if isinstance(node, KEPT)], []))


def planted(name, *swaps):
    """Returns a function of the solutions, with pieces of its code (old, new, old, ...) swapped."""
    code = source()
    for old, new in zip(swaps[::2], swaps[1::2], strict=True):
        assert old in code, f"the solutions hold no '{old}'"
        code = code.replace(old, new)
    space, file = {}, f"capstone {zlib.crc32(code.encode())}"
    linecache.cache[file] = len(code), None, code.splitlines(True), file  # as notebooks have it
    exec(compile(code, file, "exec"), space)
    return space[name]


def errors(name, table):
    """Returns `(mistake, answer, pattern)` of planted errors: a pattern, and what is swapped."""
    return [(mistake, planted(name, *swaps), p) for mistake, (p, *swaps) in table.items()]


# Other styles of right answers.


def logits_with_layers_of(weights, images, arch):
    x = weights.blocks[0](weights.first_conv(images))
    for layer, kernel, expand in weights.layers_of(arch):
        x = planted("elastic_layer")(layer, x, kernel, expand)
    x = weights.feature_mix_layer(weights.final_expand_layer(x))
    return functional.linear(x, weights.classifier.weight, weights.classifier.bias)


def logits_with_padded_matrix(weights, images, arch):
    """Flattens with einsum, and multiplies the channels that are not used away."""
    swaps = "(centre @ matrix.T)", "torch.einsum('cs,ts->ct', centre, matrix)"
    return planted("subnet_logits", *swaps)(weights, images, arch)


def measure_by_reset(subnet, training, validation):
    norms = [m for m in subnet.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    seen = 0
    for norm in norms:
        norm.reset_running_stats()
    subnet.train()
    with torch.inference_mode():
        for images, labels in training:
            seen += len(labels)
            for norm in norms:
                norm.momentum = len(labels) / seen
            subnet(images)
        subnet.eval()
        wrong = sum((subnet(x).max(dim=1).indices != y).sum() for x, y in validation)
    return torch.tensor(100.0) * wrong / sum(len(y) for _, y in validation)  # a 0-d tensor


def measure_in_float32(subnet, training, validation):
    return np.float32(NATLIB["measure"](subnet, training, validation))


def measure_by_loop(subnet, training, validation):
    NATLIB["measure"](subnet, training, validation)
    hits = []
    for images, labels in validation:
        with torch.no_grad():
            hits += [
                int(z.argmax()) == int(label)
                for z, label in zip(subnet(images), labels, strict=True)
            ]
    return 100 * (1 - sum(hits) / len(hits))


def step_of_the_sum(net, optimizer, task, images, labels, archs):
    """One backward pass for all."""
    teacher, *students = [net(data.to_input(images, a.resolution, task), a) for a in archs]
    with torch.no_grad():
        soft = torch.softmax(teacher, dim=1)
    loss = functional.cross_entropy(teacher, labels)
    for logits in students:
        log = functional.log_softmax(logits, dim=1)
        loss = loss + functional.nll_loss(log, labels) - (soft * log).sum(dim=1).mean()
    optimizer.zero_grad(set_to_none=False)
    loss.backward()
    torch.nn.utils.clip_grad_norm_([p for g in optimizer.param_groups for p in g["params"]], 5)
    optimizer.step()
    return loss


def step_clipped_by_hand(net, optimizer, task, images, labels, archs):
    clip = "nn.utils.clip_grad_norm_(net.parameters(), 5.0)"
    by_hand = """gradients = [p.grad for p in net.parameters() if p.grad is not None]
    norm = torch.sqrt(sum((g ** 2).sum() for g in gradients))
    [g.mul_(min(1, 5 / float(norm))) for g in gradients]"""
    planted("supernet_step", clip, by_hand)(net, optimizer, task, images, labels, archs)


def ensemble_of_scipy(X, y, members, genes, seed):
    """Merges equal rows and leaves constant genes out, as scipy needs it; returns float32."""
    rng, models = np.random.default_rng(seed), []
    for _ in range(members):
        G = rng.choice(X.shape[1], genes, replace=False)
        G = [g for g in G if np.ptp(X[:, g]) > 0]
        table = pd.DataFrame(X[:, G]).assign(y=y).groupby(list(range(len(G))), sort=False).y.mean()
        points = np.array(table.index.to_list(), dtype=float).reshape(-1, len(G))
        models.append((G, RBFInterpolator(points, table.to_numpy(), kernel="cubic", degree=1)))

    def predict(X_new):
        total = sum(model(X_new[:, G]) for G, model in models) / members
        return torch.tensor(total)

    return predict


def ensemble_as_list(X, y, members, genes, seed):
    predict = planted("ensemble")(X, y, members, genes, seed)
    return lambda X_new: [float(value) for value in predict(X_new)]


def ensemble_as_series(X, y, members, genes, seed):
    model = RBFEnsemble(members, genes / X.shape[1], seed=seed + 7, dtype="float64").fit(X, y)
    return lambda X_new: pd.Series(model.predict(X_new))


def select_at_random(F, n):
    """As NSGA-III has it: a random niche of the least crowded, of a crowded one a random point."""
    rng = np.random.default_rng(5)
    niche, distance = planted("niches")(F, search.reference_directions(F.shape[1], n))
    kept, left = [], list(range(len(F)))
    while len(kept) < n:
        layer = [left[i] for i in np.flatnonzero(search.non_dominated(F[left]))]
        left = [i for i in left if i not in layer]
        if len(kept) + len(layer) <= n:
            kept += layer
            continue
        while len(kept) < n:
            counts = {k: sum(niche[i] == k for i in kept) for k in {niche[i] for i in layer}}
            k = rng.choice([k for k in counts if counts[k] == min(counts.values())])
            members = [i for i in layer if niche[i] == k]
            closest = min(members, key=lambda i: distance[i])
            kept.append(rng.choice(members) if counts[k] else closest)
            layer.remove(kept[-1])
    return [int(i) for i in kept]


def candidates_by_loop(F_new, F_archive, k):
    known = {tuple(row) for row in F_archive}
    rows = []
    for i, row in enumerate(F_new):
        if tuple(row) not in known:
            known.add(tuple(row))
            rows.append(i)
    both = np.vstack([F_archive, F_new])
    N = (both - both.min(axis=0)) / np.ptp(both, axis=0)
    N, there = N[len(F_archive) :], list(N[: len(F_archive)])
    chosen = []
    for _ in range(min(k, len(rows))):
        m = F_new.shape[1]
        volumes = [search.hypervolume([*there, N[i]], m * [1.1], m * [0]) for i in rows]
        chosen.append(rows.pop(int(np.argmax(volumes))))
        there.append(N[chosen[-1]])
    return torch.tensor(chosen)


def draw_by_row(X_best, space, n, rng):
    """Counts with pandas, draws with cumulated shares, ends stages in a second pass."""
    X = np.empty((n, space.n_var))
    for gene in range(space.n_var):
        layer = (gene - 2) % space.max_depth if gene >= 2 else 0
        column = pd.Series(X_best[:, gene])[X_best[:, gene - 1] > 0 if layer else slice(None)]
        values = range(int(space.lower[gene]), int(space.upper[gene]) + 1)
        shares = column.value_counts().reindex(values, fill_value=0) + 1
        edges = np.cumsum(shares.to_numpy()) / shares.sum()
        X[:, gene] = values[0] + np.searchsorted(edges, rng.random(n), side="right")
    for row in X:
        for stage in row[2:].reshape(-1, space.max_depth):
            stage[np.cumprod(stage > 0) == 0] = 0
    return torch.tensor(X.astype(np.float32))


def trial_of(loop):
    """Returns the trial of the notebook with another loop."""
    space = planted("DriftingProblem")

    def trial(seed):
        problem = space(seed)
        return problem, loop(problem, NATLIB, iterations=3, k=6, best=10, seed=seed)

    return trial


def nat_in_float32(problem, pieces, **how):
    X, found = planted("nat")(problem, pieces, **how)
    return torch.tensor(X), [np.float32(error) for error in found]


def nat_by_rows(problem, pieces, iterations, k, best, seed):
    """Measures one row at a time, and carries a dict."""
    archive = {tuple(x): problem.measure(x[None])[0] for x in problem.first}
    for i in range(iterations):
        X, found = np.array(list(archive)), np.array(list(archive.values()))
        for x in planted("propose")(problem, pieces, X, found, k, seed + i):
            archive[tuple(x)] = problem.measure(x[None])[0]
        X = np.array(list(archive))
        F = np.array([[archive[tuple(x)], problem.cost(x[None])[0]] for x in X])
        problem.adapt(X[pieces["select"](F, best)])
        archive = {tuple(x): problem.measure(x[None])[0] for x in X}
    return np.array(list(archive)), list(archive.values())


def compared(**pieces):
    """Returns what the last check judges: a loop over own pieces, on the task that drifts."""

    def compare(count):
        mine = {n: count(n, pieces[n]) if n in pieces else f for n, f in NATLIB.items()}
        problem, how = planted("DriftingProblem"), {"iterations": 2, "k": 4, "best": 8, "seed": 1}
        return [chosen["nat"](problem(1), chosen, **how) for chosen in (mine, NATLIB)]

    return compare


def own(*names, **others):
    return compared(**{name: planted(name) for name in names}, **others)


RIGHT = {
    "check_subnet_logits": [
        planted("subnet_logits"), NATLIB["subnet_logits"], logits_with_layers_of,
        logits_with_padded_matrix,
    ],
    "check_measure": [
        planted("measure"), measure_by_reset, measure_in_float32, measure_by_loop,
    ],
    "check_supernet_step": [
        planted("supernet_step"), NATLIB["supernet_step"], step_of_the_sum, step_clipped_by_hand,
    ],
    "check_ensemble": [
        planted("ensemble"), ensemble_of_scipy, ensemble_as_list, ensemble_as_series,
    ],
    "check_select": [
        planted("select"), NATLIB["select"], select_at_random,
        lambda F, n: pd.Series(planted("select")(F, n)),
    ],
    "check_candidates": [
        planted("candidates"), NATLIB["candidates"], candidates_by_loop,
        lambda *a: pd.Series(planted("candidates")(*a)),
    ],
    "check_draw": [
        planted("draw"), NATLIB["draw"], draw_by_row,
        lambda *a: planted("draw")(*a).tolist(),
    ],
    "check_nat": [
        planted("trial"), trial_of(NATLIB["nat"]), trial_of(nat_by_rows), trial_of(nat_in_float32),
    ],
    "check_own_nat": [own("ensemble", "select", "candidates", "nat"), own("candidates"), own()],
}  # fmt: skip

UNTRAINED = "weights (after the steps )?are wrong"
WRONG = {
    "check_subnet_logits": errors(
        "subnet_logits",
        {
            "last channels": ("first ones are used", "conv.weight[:mid]", "conv.weight[-mid:]"),
            "no matrix": ("Centre, then", "(centre @ matrix.T)", "centre"),
            "matrix transposed": ("Centre, then", "matrix.T", "matrix"),
            "corner": ("Centre, then", "1:-1, 1:-1", "2:, 2:"),
            "padding of the largest": (
                "stops|Centre, then",
                "padding=kernel // 2",
                "padding=2",
            ),
            "no residual": ("needs no slicing", "x + y if layer.residual else y", "y"),
            "one activation less": (
                "needs no slicing",
                "depthwise.act(sliced_norm(y, depthwise.bn))",
                "sliced_norm(y, depthwise.bn)",
            ),
            "no squeeze": ("needs no slicing", "layer.se.sliced(y)", "y"),
            "no fixed block": (
                "stops|needs no slicing",
                "weights.blocks[0](weights.first_conv(images))",
                "weights.first_conv(images)",
            ),
            "layers side by side": (
                "first layers|stops",
                "1 + stage * weights.max_depth + place",
                "1 + sum(arch.depths[:stage]) + place",
            ),
            "last layers": (
                "first layers|stops",
                "stage * weights.max_depth + place",
                "(stage + 1) * weights.max_depth - len(layers) + place",
            ),
            "data": (
                "cuts the gradient",
                "depthwise.conv.weight[:mid]",
                "depthwise.conv.weight.data[:mid]",
            ),
            "in place": (
                "stops with RuntimeError",
                "x + y if layer.residual else y",
                "x.add_(y) if layer.residual else y",
            ),
            "no return": (
                "end with 'return'|stops",
                "return weights.classifier",
                "weights.classifier",
            ),
        },
    ),
    "check_measure": errors(
        "measure",
        {
            "stale": ("old statistics|statistics are", "subnet.train()", "subnet.eval()"),
            "momentum of torch": ("old statistics|statistics are", "len(images) / seen", "0.1"),
            "batches count alike": (
                "counts the same|statistics are",
                "len(images) / seen",
                "None",
                "seen += len(images)",
                "[n.reset_running_stats() for n in norms] if not seen else 0; seen += 1",
            ),
            "mean of batch means": (
                "counts the same",
                "torch.cat(hits).float().mean()",
                "torch.stack([h.float().mean() for h in hits]).mean()",
            ),
            "accuracy": ("not the accuracy", "100 - 100 * torch", "100 * torch"),
            "a share": (
                "in percent",
                "100 - 100 * torch.cat(hits).float().mean().item()",
                "1 - torch.cat(hits).float().mean().item()",
            ),
            "in training mode": ("eval mode", "subnet.eval()", "pass"),
            "the least logit": ("largest logit", "argmax(dim=1)", "argmin(dim=1)"),
            "recalibrated on validation": ("training batches", "in training", "in validation"),
            "wrong line": (
                "stops in line .*hits = .*AttributeError",
                ".argmax(dim=1)",
                ".argmx(dim=1)",
            ),
        },
    ),
    "check_supernet_step": errors(
        "supernet_step",
        {
            "a step for each": (
                UNTRAINED,
                "        loss.backward()",
                "        loss.backward(); optimizer.step()",
            ),
            "no teacher": (
                "teacher's probabilities",
                "loss = loss + cross_entropy(logits, soft_labels)",
                "pass",
            ),
            "teacher learns": (
                "constants|stops",
                "logits.detach().softmax",
                "logits.softmax",
                "loss.backward()",
                "loss.backward(retain_graph=True)",
            ),
            "logits as labels": (
                "probabilities",
                "logits.detach().softmax(dim=1)",
                "logits.detach()",
            ),
            "over the batch": ("probabilities", "softmax(dim=1)", "softmax(dim=0)"),
            "mean": (
                "without a mean",
                "loss.backward()",
                "(loss / len(archs)).backward()",
                "cross_entropy(logits, soft_labels)",
                "cross_entropy(logits, soft_labels)",
            ),
            "each teaches the next": (
                "first subnet teaches",
                "loss.backward()",
                "loss.backward(); soft_labels = logits.detach().softmax(dim=1)",
            ),
            "no clip": ("clipped to 5", "nn.utils.clip_grad_norm_(net.parameters(), 5.0)", "pass"),
            "old gradients": ("step before cleared", "optimizer.zero_grad()", "pass"),
            "one resolution": (UNTRAINED, "images, arch.resolution, task", "images, 32, task"),
            "no step": (UNTRAINED, "    optimizer.step()", "    pass"),
            "in eval mode": (
                UNTRAINED,
                "optimizer.zero_grad()",
                "optimizer.zero_grad(); net.eval()",
            ),
        },
    ),
    "check_ensemble": errors(
        "ensemble",
        {
            "linear kernel": ("power of three", "** 3", "** 1"),
            "no tail": (
                "linear tail",
                "np.column_stack([cubes, np.ones(len(A)), A - centre])",
                "np.column_stack([cubes, np.ones(len(A))])",
            ),
            "sum": ("their mean", "np.mean(", "np.sum("),
            "solve": (
                "stops .*Singular",
                "np.linalg.lstsq(matrix, right, rcond=None)[0]",
                "np.linalg.solve(matrix, right)",
            ),
            "all genes": ("genes of its own", "[:genes]", "[:]"),
            "the same genes": (
                "genes of its own",
                "rng.permutation(X.shape[1])",
                "np.arange(X.shape[1])",
            ),
            "other genes later": ("the same genes", "f(A[:, G])", "f(A[:, :genes])"),
            "the first twin": (
                "through their mean",
                "n, centre, offset = (len(X), X.mean(axis=0), y.mean())",
                "_, i = np.unique(X, axis=0, return_index=True); X, y = X[i], y[i]; "
                "n, centre, offset = (len(X), X.mean(axis=0), y.mean())",
            ),
            "in place": (
                "work on a copy",
                "right = np.append(y - offset,",
                "y -= offset; right = np.append(y,",
            ),
        },
    ),
    "check_select": errors(
        "select",
        {
            "no scale": ("other units|scale", "np.where(span > 0, span, 1)", "1"),
            "scale of all": (
                "scale|rows",
                "np.ptp(F[search.non_dominated(F)], axis=0)",
                "np.ptp(F, axis=0)",
            ),
            "no direction of length 1": (
                "rows",
                "unit = directions / np.linalg.norm(directions, axis=1, keepdims=True)",
                "unit = directions",
            ),
            "distance from the point": (
                "rows",
                "np.linalg.norm(N[:, None] - foot, axis=2)",
                "np.linalg.norm(N[:, None] - unit, axis=2)",
            ),
            "the closest of all": (
                "rows",
                "np.lexsort([distance[layer], counts])",
                "np.argsort(distance[layer])",
            ),
            "the farthest": ("rows", "[distance[layer], counts]", "[-distance[layer], counts]"),
            "counts as they were": ("rows", "niche[kept]", "niche[kept[:len(kept) // 13 * 13]]"),
            "no layers": (
                "first layer",
                "layer = left[search.non_dominated(F[left])]",
                "layer = left",
            ),
            "layers anew": (
                "found once|rows",
                "min(len(layer), n - len(kept))",
                "1 if len(kept) + len(layer) > n else len(layer)",
                "left = np.setdiff1d(left, layer)",
                "everything = left",
                "np.delete(layer, best))",
                "layer); left = np.setdiff1d(everything, kept)",
            ),
            "a mask": (
                "first layer",
                "    return kept",
                "    return np.isin(np.arange(len(F)), kept)",
            ),
        },
    ),
    "check_candidates": errors(
        "candidates",
        {
            "box as wide as the range": ("1.1 times", "1.1 * np.ptp", "1.0 * np.ptp"),
            "each by itself": ("next to nothing", "F_new[[*chosen, i]]", "F_new[[i]]"),
            "least error": ("fills its gap", "key=volume", "key=lambda i: -F_new[i, 0]"),
            "without the archive": (
                "those that add most",
                "np.vstack([F_archive, F_new[[*chosen, i]]])",
                "F_new[[*chosen, i]]",
            ),
            "the least": ("fills its gap", "max(left", "min(left"),
            "known rows": (
                "what is new",
                "- len(F_archive)\n",
                "- len(F_archive)\n    first = np.arange(len(F_new))\n",
            ),
            "one too many": ("fills its gap|is not", "len(chosen) < k", "len(chosen) <= k"),
            "a tight box": (
                "1.1 times",
                "1.1 * np.ptp(both, axis=0)",
                "0.6 * np.ptp(both, axis=0)",
            ),
            "one range for all": (
                "each objective|is not|stopped",
                "1.1 * np.ptp(both, axis=0)",
                "1.1 * np.ptp(both) / 1e3",
            ),
        },
    ),
    "check_draw": errors(
        "draw",
        {
            "uniform": (
                "not right",
                "1 + (counted[:, None] == values).sum(axis=0)",
                "np.ones(len(values))",
            ),
            "unseen never": ("once more", "counts = 1 + ", "counts = "),
            "half": ("once more", "counts = 1 + ", "counts = 0.5 + "),
            "impossible": (
                "impossible|stopped",
                "np.arange(space.lower[gene], space.upper[gene] + 1)",
                "np.arange(0, space.upper[gene] + 1)",
            ),
            "holes": ("canonical", "X[X[:, gene - 1] == 0, gene] = 0", "pass"),
            "skipped rows count": (
                "decide nothing",
                "X_best[X_best[:, gene - 1] > 0, gene] if follows else ",
                "",
            ),
            "whole rows": (
                "not right",
                "    return X\n",
                "    return X_best[rng.integers(len(X_best), size=n)]\n",
            ),
            "the commonest": (
                "not right",
                "rng.choice(values, n, p=counts / counts.sum())",
                "values[counts.argmax()]",
            ),
        },
    ),
    "check_nat": errors(
        "trial",
        {
            "old errors stay": (
                "not measured again",
                "problem.adapt(X[pieces['select'](F, best)])\n        errors = problem.measure(X)",
                "problem.adapt(X[pieces['select'](F, best)])",
            ),
            "new ones only": (
                "not measured again",
                "problem.adapt(X[pieces['select'](F, best)])\n        errors = problem.measure(X)",
                "problem.adapt(X[pieces['select'](F, best)])\n        "
                "errors[-k:] = problem.measure(X[-k:])",
            ),
            "never adapts": (
                "adapted 0 times",
                "problem.adapt(X[pieces['select'](F, best)])",
                "pass",
            ),
            "one iteration less": ("adapted 2 times", "range(iterations)", "range(iterations - 1)"),
            "twice as many": (
                "should be measured, not",
                "found[pieces['candidates'](judge(found), F, k)]",
                "found[pieces['candidates'](judge(found), F, 2 * k)]",
            ),
            "adapts to the old archive": (
                "At adaptation 1, 16",
                "np.vstack([X, new]), np.append(errors, problem.measure(new))",
                "X, errors",
                "problem.adapt(X[pieces['select'](F, best)])",
                "problem.adapt(X[pieces['select'](F, best)]); X = np.vstack([X, new])",
            ),
            "known ones": (
                "should be measured, not|canonical|34",
                "np.array([x for x in found if not (x == X).all(axis=1).any()])",
                "X",
            ),
            "measures too much": (
                "118",
                "errors = (np.vstack([X, new]), np.append(errors, problem.measure(new)))",
                "errors = (np.vstack([X, new]), problem.measure(np.vstack([X, new])))",
            ),
            "random": (
                "no better",
                "found[pieces['candidates'](judge(found), F, k)]",
                "problem.space.sample(k, seed)",
            ),
            "errors of before": (
                "errors that they have \\*now\\*",
                "    return (X, errors)",
                "    return (X, F[:, 0])",
            ),
            "adapts to all": (
                "best ten",
                "problem.adapt(X[pieces['select'](F, best)])",
                "problem.adapt(X)",
            ),
            "adapts to the worst": (
                "best ten",
                "pieces['select'](F, best)",
                "pieces['select'](-F, best)",
            ),
            "adapts to the new ones": ("best ten", "X[pieces['select'](F, best)]", "X[-best:]"),
            "an error": ("stops .*KeyError", "pieces['ensemble']", "pieces['Ensemble']"),
        },
    ),
    "check_own_nat": [
        ("a piece that is not called", own("draw", "select"), "without calling draw"),
        (
            "wrong ensemble",
            own("select", ensemble=planted("ensemble", "np.mean(", "np.sum(")),
            "their mean",
        ),
        (
            "wrong survival",
            own(
                select=planted(
                    "select", "layer = left[search.non_dominated(F[left])]", "layer = left"
                )
            ),
            "first layer",
        ),
        (
            "wrong candidates",
            own(candidates=planted("candidates", "max(left", "min(left")),
            "fills its gap",
        ),
        (
            "too many",
            own(nat=planted("nat", "range(iterations)", "range(iterations + 1)")),
            "was the budget kept",
        ),
        (
            "a loop that ignores the dict",
            own(
                "ensemble", nat=lambda problem, pieces, **how: NATLIB["nat"](problem, NATLIB, **how)
            ),
            "without calling ensemble",
        ),
        (
            "a loop that is behind",
            own(
                nat=lambda problem, pieces, **how: (
                    problem.space.sample(24, 0),
                    problem.measure(problem.space.sample(24, 0)) + 20,
                )
            ),
            "more than chance",
        ),
    ],
}
