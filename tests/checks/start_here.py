"""Answers to the exercises of notebook 00."""

import numpy as np

from natlib.search import non_dominated


def best_by_loop(archive, limit):
    best = None
    for row in archive.itertuples():
        key = (row.top1_err, row.madds)
        if row.madds <= limit and (best is None or key < best[0]):
            best = key, row.architecture
    return best[1]


def place_in_the_rest(archive, limit):
    return archive.architecture.iloc[archive[archive.madds <= limit].top1_err.argmin()]


def first_of_equals(archive, limit):
    allowed = archive[archive.madds <= limit]
    return allowed.architecture[allowed.top1_err.idxmin()]


def strictly_below(archive, limit):
    return best_by_loop(archive[archive.madds < limit], limit)


def scaled(F, axis=0):
    low = F.min(axis=axis, keepdims=True)
    return (F - low) / (F.max(axis=axis, keepdims=True) - low)


def standardised(F):
    return (F - F.mean(axis=0)) / F.std(axis=0)


def choice(scale, sign=1):
    return lambda F, w: int((sign * scale(F) @ w).argmin())


def staircase(archive, error, cost):
    """Keeps one of those that are equal."""
    rows = archive.sort_values([cost, error])
    lowest = rows[error].cummin()
    return set(rows.architecture[rows[error] < lowest.shift(fill_value=np.inf)])


def by_loop(archive, error, cost):
    points = [*zip(archive.architecture, archive[error], archive[cost], strict=True)]
    return {
        name
        for name, e, c in points
        if not any(e2 <= e and c2 <= c and (e2, c2) != (e, c) for _, e2, c2 in points)
    }


def front(archive, columns, signs=(1, 1)):
    F = archive[list(columns)].to_numpy() * signs
    return set(archive.architecture[non_dominated(F)])


def best_error(table, limit, strict=False, empty=100.0):
    kept = table[table.madds < limit] if strict else table[table.madds <= limit]
    return kept.top1_err.min() if len(kept) else empty


def behind(archive, drawn, limit, **options):
    return best_error(drawn, limit, **options) - best_error(archive, limit, **options)


RIGHT = {
    "check_dominated": [lambda: {"F", "C"}, lambda: ["C", "F"]],
    "check_best_within": [
        best_by_loop,
        lambda a, limit: min(
            zip(a.top1_err, a.madds, a.architecture, strict=True),
            key=lambda row: (row[1] > limit, *row[:2]),
        )[2],
        lambda a, limit: a[a.madds <= limit].nsmallest(1, ["top1_err", "madds"]).iat[0, 0],
        lambda a, limit: (
            a.query("madds <= @limit")
            .sort_values("madds")
            .set_index("architecture")
            .top1_err.idxmin()
        ),
    ],
    "check_weighted_sum": [choice(scaled), lambda F, w: np.argmin((w * scaled(F)).sum(axis=1))],
    "check_front_of": [by_loop],
    "check_halvings": [
        lambda: "more",
        lambda: np.str_("more"),
        lambda: "more",
        lambda: "".join("more"),
    ],
    "check_confirmed": [
        lambda: 32.0,
    ],
    "check_shortfall": [
        behind,
        lambda a, d, m: np.float32(behind(a, d, m)),
        lambda a, d, m: min([*d.query("madds <= @m").top1_err, 100]) - best_error(a, m),
        lambda a, d, m: d.top1_err.where(d.madds <= m, 100).min() - best_error(a, m),
    ],
}
WRONG = {
    "check_dominated": [
        ("equals do not count", lambda: {"F"}, "1 more of the six is"),
        ("the largest errors", lambda: {"A", "B", "C"}, "A is not dominated"),
        ("the front", lambda: {"A", "B", "D", "E"}, "is not dominated"),
        ("not begun", lambda: set(), "2 more of the six are"),
        ("numbers", lambda: {2, 5}, "letters"),
        ("the cheapest", lambda: {"A", "C", "F"}, "A is not dominated"),
    ],
    "check_best_within": [
        ("no limit", lambda a, limit: best_by_loop(a, np.inf), "limit was 350"),
        ("place in the rest", place_in_the_rest, "limit was 350|looked up"),
        ("largest error", lambda a, m: best_by_loop(a.assign(top1_err=-a.top1_err), m), "Smaller"),
        ("the row's label", lambda a, m: a[a.madds <= m].top1_err.idxmin(), "string"),
        ("the row's label as a string", lambda a, m: str(a.top1_err.idxmin()), "no architecture"),
        ("the limit excluded", strictly_below, "exactly"),
        ("first of equals", first_of_equals, "cheaper"),
        (
            "sorted by error alone",
            lambda a, m: (
                a[a.madds <= m].sort_values("top1_err", kind="stable").architecture.iloc[0]
            ),
            "cheaper",
        ),
    ],
    "check_weighted_sum": [
        ("maximised", choice(scaled, -1), "Which end"),
        ("not scaled", choice(lambda F: F), "in millions"),
        ("divided by the worst", choice(lambda F: F / F.max(axis=0)), "really 0"),
        ("divided by the deviation", choice(standardised), "least sum"),
        ("weights swapped", lambda F, w: choice(scaled)(F, w[::-1]), "Which end|own column"),
        ("wrong axis", choice(lambda F: scaled(F, axis=1)), "."),
        ("the sum itself", lambda F, w: (scaled(F) @ w).min(), "number of one row"),
        (
            "best column",
            lambda F, w: scaled(F)[:, w.argmax()].argmin(),
            "least sum|really 0|in millions",
        ),
        ("two columns only", lambda F, w: (scaled(F)[:, :2] @ w[:2]).argmin(), "least sum"),
    ],
    "check_front_of": [
        ("columns fixed", lambda a, e, c: front(a, ["top1_err", "madds"]), "cost that was named"),
        ("error fixed", lambda a, e, c: front(a, ["top1_err", c]), "error that was named"),
        ("cost maximised", lambda a, e, c: front(a, [e, c], (1, -1)), "cheapest"),
        ("the best half", lambda a, e, c: {*a.sort_values(e).architecture[:3]}, "cheapest"),
        ("dominated ones", lambda a, e, c: {*a.architecture} - front(a, [e, c]), "cheapest"),
        ("a mask", lambda a, e, c: non_dominated(a[[e, c]].to_numpy()), "set of strings"),
        ("all but duplicates", lambda a, e, c: {*a.drop_duplicates(e).architecture}, "minimised"),
        ("one of equals", staircase, "equal in both columns"),
    ],
    "check_halvings": [
        ("less", lambda: "less", "Subtract"),
        ("the same", lambda: "the same", "Subtract"),
        ("capital", lambda: "More", "should be"),
        ("a number", lambda: 2, "should be"),
        ("a list", lambda: ["more"], "should be"),
        ("nothing", lambda: None, "should be"),
    ],
    "check_confirmed": [
        ("a share", lambda: 0.32, "how many of these"),
        ("of b", lambda: 8 / 17 * 100, "half a"),
        ("a count", lambda: 8, "how many of these"),
        ("both", lambda: 8 / 34 * 100, "half a"),
        ("a list", lambda: [32], "one number"),
        ("text", lambda: "32%", "should hold numbers"),
    ],
    "check_shortfall": [
        ("no limit for the drawn", lambda a, d, m: d.top1_err.min() - best_error(a, m), "limit"),
        ("no limit", lambda a, d, m: d.top1_err.min() - a.top1_err.min(), "nothing away"),
        ("the other way round", lambda a, d, m: -behind(a, d, m), "what is subtracted"),
        ("limit excluded", lambda a, d, m: behind(a, d, m, strict=True), "exactly"),
        ("nothing is NaN", lambda a, d, m: behind(a, d, m, empty=np.nan), "not finite|100%"),
        ("nothing is no error", lambda a, d, m: behind(a, d, m, empty=0), "100%"),
    ],
}
