"""Answers to the exercises of notebook 06."""

import numpy as np
from pymoo.indicators.gd_plus import GDPlus
from pymoo.indicators.igd import IGD
from pymoo.indicators.igd_plus import IGDPlus
from scipy.stats import kendalltau, rankdata, spearmanr

from natlib.search import non_dominated
from natlib.space import Architecture
from natlib.teach.explorer import choose


def scaled(F):
    return (F - F.min(axis=0)) / np.ptp(F, axis=0)


def pseudo(F, *, good=lambda f: 1 - f, axis=1, scale=scaled):
    values = good(scale(F)) + 1e-12
    return values / values.sum(axis=axis, keepdims=True)


def scaled_in_place(F):
    F -= F.min(axis=0)
    F /= F.max(axis=0)
    return (1 - F) / (1 - F).sum(axis=1, keepdims=True)


def intervals(F, *, swap=False, best=max, scale=scaled, empty=True):
    """Returns the weights at which each row wins, by lines that cross."""
    f = scale(F)[:, ::-1] if swap else scale(F)
    found = []
    for i in range(len(f)):
        low, high = 0.0, 1.0
        for j in range(len(f)):
            (d1, d2), sign = f[i] - f[j], 1 if best is max else -1
            if sign * d1 < 0:
                low = max(low, d2 / (d2 - d1))
            elif sign * d1 > 0:
                high = min(high, d2 / (d2 - d1))
        found.append([np.nan] * 2 if empty and low > high else [low, high])
    return np.array(found)


def neighbours_only(F):
    f = scaled(F)
    d1, d2 = np.diff(f, axis=0).T
    crossing = d2 / (d2 - d1)
    return np.column_stack([[*crossing, 0], [1, *crossing]])


def sampled(n):
    """Returns intervals from trying `n` weights."""

    def by_trial(F):
        weights = np.linspace(0, 1, n)
        wins = (scaled(F) @ [weights, 1 - weights]).argmin(axis=0)
        spans = [weights[wins == i] for i in range(len(F))]
        return [[s.min(), s.max()] if len(s) else [np.nan] * 2 for s in spans]

    return by_trial


def igd_of(better, *, axis=0):
    """Returns an indicator of the distances that `better(F - z)` says."""

    def indicator(F, reference):
        gaps = better(F[:, None] - reference[None])
        return np.sqrt((gaps**2).sum(axis=2)).min(axis=axis).mean()

    return indicator


def ranks_by_order(F):
    return np.corrcoef(F.argsort(axis=0).argsort(axis=0), rowvar=False)


def equal(F):
    return choose(F, np.ones(F.shape[1]))


def deciding(F, *, of=lambda F, k: equal(np.delete(F, k, axis=1)), same=False, last=1):
    """Returns the columns without which `of` chooses another row, or the same one."""
    return [k for k in range(F.shape[1] - last) if (of(F, k) == equal(F)) == same]


def no_weight(F, k):
    return choose(F, np.arange(F.shape[1]) != k)


def cumulated(F):
    """Leaves out one column after another, and never puts one back."""
    left, found = list(range(F.shape[1])), []
    for k in range(F.shape[1] - 1):
        left.remove(k)
        if equal(F[:, left]) != equal(F):
            found.append(k)
    return found


def worst_of_chosen(F):
    worst = int(by_front(F)[equal(F)].argmax())
    return [worst] if worst < F.shape[1] - 1 else []


def latencies(archive, table):
    return table.latency_ms(
        [table.space.encode(Architecture.from_string(a)) for a in archive.architecture]
    )


def in_place(archive, table):
    archive["latency_ms"] = latencies(archive, table)
    return archive


def by_index(archive, table):
    found = dict(enumerate(latencies(archive, table)))
    return archive.assign(latency_ms=archive.index.map(found))


def volume(F, *, scale, best=np.argmax):
    return int(best(np.prod(np.maximum(1.1 - scale(F), 0), axis=1)))


def by_front(F):
    front = F[non_dominated(F)]
    return (F - front.min(axis=0)) / np.ptp(front, axis=0)


def by_zip(archive, table):
    made = archive.copy()
    made["latency_ms"] = [
        float(table.latency_ms(table.space.encode(Architecture.from_string(name))[None])[0])
        for name in archive.architecture
    ]
    return made


def merged(archive, table):
    """Rows that are there twice come out four times."""
    made = archive[["architecture"]].assign(latency_ms=latencies(archive, table))
    return archive.merge(made, on="architecture")


def on_front(archive, table, error="top1_err"):
    rows = archive.assign(ms=latencies(archive, table)).sort_values(["ms", error])
    lowest = rows[error].cummin().shift(fill_value=np.inf)
    return set(rows.architecture[rows[error] < lowest])


def on_front_by_mask(archive, table):
    F = np.column_stack([archive.top1_err, latencies(archive, table)])
    return {name for name, best in zip(archive.architecture, non_dominated(F), strict=True) if best}


RIGHT = {
    "check_chebyshev": [choose, lambda F, w: (scaled(F) * (w / w.sum())).max(axis=1).argmin()],
    "check_pseudo_weights": [pseudo],
    "check_winning_weights": [intervals],
    "check_igd_plus": [
        lambda F, reference: IGDPlus(reference)(F),
        igd_of(lambda gap: np.maximum(gap, 0)),
    ],
    "check_rank_correlation": [lambda F: np.atleast_2d(spearmanr(F).statistic)],
    "check_deciding_tasks": [
        deciding,
        lambda F: np.array(deciding(F)[::-1]),
        lambda F: {*deciding(F)},
    ],
    "check_with_latency": [lambda a, t: a.assign(latency_ms=latencies(a, t)), by_zip],
    "check_knee": [lambda F: choose(F, np.ones(F.shape[1]), method="knee")],
    "check_never": [
        lambda: 18,
    ],
    "check_everywhere": [
        lambda: 0,
    ],
    "check_probability": [lambda: 2**-11, lambda: np.float32(2 / 4096), lambda: 1 / 2048],
    "check_front_on": [on_front, on_front_by_mask, lambda a, t: {*map(str, on_front(a, t))}],
}
WRONG = {
    "check_chebyshev": [
        ("sum", lambda F, w: np.argmin(scaled(F) @ w), "worst"),
        ("largest", lambda F, w: np.argmax((scaled(F) * w).max(axis=1)), "least"),
        ("best objective", lambda F, w: np.argmin((scaled(F) * w).min(axis=1)), "worst"),
        ("not scaled", lambda F, w: np.argmin((F * w).max(axis=1)), "worst|scaled"),
        ("divided by", lambda F, w: np.argmin((scaled(F) / w).max(axis=1)), "demands more"),
        ("no weights", lambda F, w: choose(F, np.ones_like(w)), "demands more"),
        ("scaled by the worst", lambda F, w: np.argmin((F / F.max(0) * w).max(axis=1)), "scale by"),
        ("a row of F", lambda F, w: F[choose(F, w)], "shape"),
    ],
    "check_pseudo_weights": [
        ("per objective", lambda F: pseudo(F, axis=0), "along which axis"),
        ("large is good", lambda F: pseudo(F, good=lambda f: f), "minimised"),
        ("not scaled", lambda F: pseudo(F, scale=lambda F: F / F.max(axis=0)), "scaled"),
        ("not normalised", lambda F: 1 - scaled(F), "add up"),
        ("inverse", lambda F: pseudo(F, good=lambda f: 1 / (f + 1e-6)), "from the worst"),
        ("scaled in place", scaled_in_place, "changed its argument"),
        (
            "two columns",
            lambda F: np.pad(pseudo(F[:, :2]), ((0, 0), (0, F.shape[1] - 2))),
            "right in two",
        ),
    ],
    "check_winning_weights": [
        ("weight of the second", lambda F: intervals(F, swap=True), "least"),
        ("largest sum", lambda F: intervals(F, best=min), "least"),
        ("not scaled", lambda F: intervals(F, scale=lambda F: F), "scaled"),
        ("empty ones kept", lambda F: intervals(F, empty=False), "NaN"),
        ("neighbours only", neighbours_only, "Which of the other two"),
        ("eleven weights", sampled(11), "one interval ends"),
        ("rows, not intervals", lambda F: [0, 2], "two weights"),
    ],
    "check_igd_plus": [
        ("IGD", lambda F, reference: IGD(reference)(F), "only what is .worse"),
        ("the better part", igd_of(lambda gap: np.maximum(-gap, 0)), "only what is .worse"),
        ("GD+", lambda F, reference: GDPlus(reference)(F), "every reference point"),
        (
            "sum of gaps",
            lambda F, z: np.maximum(F[:, None] - z, 0).sum(axis=2).min(axis=0).mean(),
            "Euclidean",
        ),
        (
            "not averaged",
            lambda F, z: igd_of(lambda gap: np.maximum(gap, 0))(F, z) * len(z),
            "become one",
        ),
        (
            "nearest of all",
            lambda F, z: np.sqrt((np.maximum(F[:, None] - z, 0) ** 2).sum(axis=2)).min(),
            "every reference point|become one|worse",
        ),
        (
            "squares",
            lambda F, z: ((np.maximum(F[:, None] - z, 0)) ** 2).sum(axis=2).min(axis=0).mean(),
            "become one",
        ),
    ],
    "check_rank_correlation": [
        ("values", lambda F: np.corrcoef(F, rowvar=False), "or ranks"),
        ("rows", lambda F: np.corrcoef(rankdata(F, axis=1)), "shape"),
        (
            "one argsort",
            lambda F: np.corrcoef(F.argsort(axis=0), rowvar=False),
            "rank of the value",
        ),
        ("ties in order", ranks_by_order, "share the mean"),
        (
            "Kendall",
            lambda F: np.array([[kendalltau(a, b).statistic for a in F.T] for b in F.T]),
            "rank of the value",
        ),
        (
            "least rank of equals",
            lambda F: np.corrcoef(rankdata(F, axis=0, method="min"), rowvar=False),
            "share the mean",
        ),
    ],
    "check_deciding_tasks": [
        ("cost as well", lambda F: deciding(F, last=0), "cost always stays"),
        ("the others", lambda F: deciding(F, same=True), "does it stay"),
        ("all", lambda F: [*range(F.shape[1] - 1)], "another task"),
        ("none", lambda F: [], "at its worst"),
        ("no weight", lambda F: deciding(F, of=no_weight), "it is not there"),
        ("one after another", cumulated, "another task"),
        ("worst of the chosen", worst_of_chosen, "it is not there"),
        ("a mask", lambda F: np.isin(range(F.shape[1] - 1), deciding(F)), "numbers of the columns"),
        ("nothing returned", lambda F: None, "numbers of the columns"),
    ],
    "check_with_latency": [
        ("in place", in_place, "copy"),
        ("latencies only", lambda a, t: latencies(a, t), "DataFrame"),
        (
            "sorted",
            lambda a, t: a.assign(latency_ms=latencies(a, t)).sort_values("latency_ms"),
            "keep their order",
        ),
        ("by index", by_index, "its own architecture"),
        ("another column", lambda a, t: a.assign(latency=latencies(a, t)), "latency_ms"),
        ("merged", merged, "keep their order"),
    ],
    "check_knee": [
        ("least volume", lambda F: volume(F, scale=by_front, best=np.argmin), "largest"),
        ("scaled by all", lambda F: volume(F, scale=scaled), "only the front"),
        ("not scaled", lambda F: volume(F, scale=lambda F: F), "Scale to"),
        ("least sum", lambda F: int(by_front(F).sum(axis=1).argmin()), "larger volume"),
        ("largest of the worst", lambda F: int(by_front(F).max(axis=1).argmin()), "larger volume"),
        (
            "box to 1",
            lambda F: int(np.prod(np.maximum(1 - by_front(F), 0), axis=1).argmax()),
            "larger volume",
        ),
    ],
    "check_never": [
        ("those that are", lambda: 11, "NaN"),
        ("of all", lambda: 29, "NaN"),
        ("share", lambda: 18 / 29, "NaN"),
        ("nothing", lambda: None, "return"),
        ("list", lambda: [18], "one number"),
        ("text", lambda: "18 of 29", "should hold numbers"),
    ],
    "check_everywhere": [
        ("emoji", lambda: 1, "every seed"),
        ("two", lambda: 2, "every seed"),
        ("all", lambda: 11, "every seed"),
        ("nothing", lambda: None, "return"),
        ("list", lambda: [], "one number"),
        ("name", lambda: "emoji", "should hold numbers"),
    ],
    "check_probability": [
        ("one direction", lambda: 2**-12, "too little"),
        ("one objective", lambda: 0.5, "too much"),
        ("any objective", lambda: 1 - 2**-12, "too much"),
        ("percent", lambda: 0.0488, "too much"),
        ("a twelfth", lambda: 1 / 12, "too much"),
        ("eleven", lambda: 2**-13, "too little"),
    ],
    "check_front_on": [
        ("all", lambda a, t: set(a.architecture), "worse in both"),
        ("the best", lambda a, t: a.architecture[a.top1_err == a.top1_err.min()], "worse in both"),
        ("the fastest", lambda a, t: [a.architecture.iloc[latencies(a, t).argmin()]], "in both"),
        ("the last", lambda a, t: [a.architecture.iloc[-1]], "worse in both"),
        ("a mask", lambda a, t: non_dominated(np.c_[a.top1_err, latencies(a, t)]), "in both"),
        ("rows", lambda a, t: {0, 1}, "worse in both"),
        ("nothing", lambda a, t: None, "as a set"),
    ],
}
