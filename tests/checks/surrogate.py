"""Answers to the exercises of notebook 02."""

import numpy as np
from scipy.stats import kendalltau, pearsonr, spearmanr
from sklearn.model_selection import KFold, cross_val_predict

from natlib.cost import CostTable
from natlib.space import SearchSpace
from natlib.surrogate import rank_metrics

SPACE = SearchSpace.pocket()
COST = CostTable(SPACE, 10)


def kendall(a, b):
    return rank_metrics(a, b)["kendall"]


def pairs(a, b):
    """Returns the sign of each pair, once: 1 in the same order, -1 opposite, 0 tied."""
    rows, columns = np.triu_indices(len(a), 1)
    return np.sign((a[rows] - a[columns]) * (b[rows] - b[columns]))


def tied_on_both_sides(a, b):
    """Leaves out pairs that are tied on one side only."""
    rows, columns = np.triu_indices(len(a), 1)
    tied_a, tied_b = a[rows] == a[columns], b[rows] == b[columns]
    untied = (~tied_a | tied_b).sum() * (~tied_b | tied_a).sum()
    return pairs(a, b).sum() / np.sqrt(untied) if np.ptp(a) and np.ptp(b) else 0.0


def other(statistic):
    return lambda a, b: 0.0 if np.ptp(a) * np.ptp(b) == 0 else statistic(a, b).statistic


def folds_of(n, folds, seed, shuffle=True):
    order = np.random.default_rng(seed).permutation(n) if shuffle else np.arange(n)
    return np.array_split(order, folds)


def cross_validate(fit="others", place=True, shuffle=True, use_seed=True):
    """Returns a cross-validation; the options make typical mistakes."""

    def unseen(make_model, X, y, folds=5, seed=0):
        parts = folds_of(len(X), folds, seed if use_seed else 0, shuffle)
        guesses, in_turn = np.zeros(len(X)), []
        for number, fold in enumerate(parts):
            others = np.setdiff1d(np.arange(len(X)), fold)
            rows = {"others": others, "all": np.arange(len(X)), "next": parts[number - 1]}[fit]
            guesses[fold] = make_model().fit(X[rows], y[rows]).predict(X[fold])
            in_turn.append(guesses[fold])
        return guesses if place else np.concatenate(in_turn)

    return unseen


def with_scikit_learn(make_model, X, y, folds=5, seed=0):
    guesses = np.zeros(len(X))
    for learn, ask in KFold(folds, shuffle=True, random_state=seed).split(X):
        guesses[ask] = make_model().fit(X[learn], y[learn]).predict(X[ask])
    return guesses


def with_one_call(make_model, X, y, folds=5, seed=0):
    cut = KFold(folds, shuffle=True, random_state=seed)
    return cross_val_predict(make_model(), X, y, cv=cut)


def unseeded(make_model, X, y, folds=5, seed=0):
    return with_scikit_learn(make_model, X, y, folds, None)


def values_not_indexed(make_model, X, y, folds=5, seed=0):
    guesses = np.zeros(len(X))
    for fold in folds_of(len(X), folds, seed):
        others = np.setdiff1d(np.arange(len(X)), fold)
        guesses[fold] = make_model().fit(X[others], y).predict(X[fold])
    return guesses


def one_split(make_model, X, y, folds=5, seed=0):
    fold, *others = folds_of(len(X), folds, seed)
    rows = np.concatenate(others)
    guesses = np.zeros(len(X))
    guesses[fold] = make_model().fit(X[rows], y[rows]).predict(X[fold])
    return guesses


def values_unshuffled(make_model, X, y, folds=5, seed=0):
    order = np.random.default_rng(seed).permutation(len(X))
    return cross_validate()(make_model, X[order], y, folds, seed)


def unequal_folds(make_model, X, y, folds=5, seed=0):
    order, size, guesses = np.random.default_rng(seed).permutation(len(X)), len(X) // folds, 0 * y
    for fold in (order[i * size : (i + 1) * size] for i in range(folds)):
        others = np.setdiff1d(order, fold)
        guesses[fold] = make_model().fit(X[others], y[others]).predict(X[fold])
    return guesses


def within(groups, y, guesses):
    found = {}
    for group in set(groups.tolist()):
        rows = [i for i, g in enumerate(groups) if g == group]
        found[group] = float(kendalltau(y[rows], guesses[rows]).statistic)
    return found


def gap(y, guesses, k):
    ranked = sorted(zip(guesses, y, strict=True))[:k]
    return sum(measured - promised for promised, measured in ranked) / k


def parts(X):
    genes = SPACE.layer_genes(X)
    kernels = ((genes > 0) & (genes % 2 == 0)).sum(axis=(1, 2))
    expands = ((genes + 1) // 2).sum(axis=2)
    return [X[:, 0], X[:, 0] ** 2, SPACE.depths(X), expands, kernels, np.log(COST.madds(X))]


def good_features(X):
    return np.column_stack(parts(X)).astype(float)


RIGHT = {
    "check_kendall": [kendall],
    "check_unseen": [cross_validate(), with_scikit_learn, with_one_call],
    "check_within": [within],
    "check_overrated": [gap],
    "check_features": [good_features],
    "check_promise": [
        lambda: "ridge",
        lambda: np.str_("ridge"),
        lambda: "RIDGE".lower(),
        lambda: "ridge",
    ],
    "check_one_mistake": [
        lambda: 0.8,
        lambda: np.float32(0.8),
        lambda: 1 - 2 * 19 / 190,
        lambda: np.array(152 / 190),
    ],
}
WRONG = {
    "check_kendall": [
        ("share of pairs", lambda a, b: (pairs(a, b) > 0).mean(), "the reverse order -1"),
        ("each pair twice", lambda a, b: pairs(a, b).sum() / len(a) ** 2, "how often"),
        ("Pearson", other(pearsonr), "how far apart"),
        ("Spearman", other(spearmanr), "List the three pairs"),
        ("ties ignored", lambda a, b: pairs(a, b).mean(), "two factors"),
        ("a constant side", lambda a, b: kendalltau(a, b).statistic, "divide by"),
        ("tied on both sides", tied_on_both_sides, "tied on both"),
    ],
    "check_unseen": [
        ("learns everything", cross_validate(fit="all"), "leave the fold out"),
        ("guesses in turn", cross_validate(place=False), "order of the rows"),
        ("not shuffled", cross_validate(shuffle=False), "shuffle before"),
        ("learns one fold", cross_validate(fit="next"), "learn from the 32 or 33"),
        ("seed not used", cross_validate(use_seed=False), "use the seed"),
        ("no seed", unseeded, "seed alone"),
        ("values not indexed", values_not_indexed, "belong together"),
        ("one split", one_split, "4 models"),
        ("values not shuffled along", values_unshuffled, "belong together"),
        ("the rest is lost", unequal_folds, "4 models|once"),
    ],
    "check_within": [
        ("over all", lambda g, y, p: dict.fromkeys(g.tolist(), kendall(y, p)), "different groups"),
        ("a list", lambda g, y, p: list(within(g, y, p).values()), "dict"),
        ("sorted first", lambda g, y, p: within(g, np.sort(y), np.sort(p)), "exactly reversed"),
        ("group numbers", lambda g, y, p: within(g, p, p), "exactly reversed"),
        ("absolute", lambda g, y, p: {k: abs(t) for k, t in within(g, y, p).items()}, "reversed"),
        (
            "ties ignored",
            lambda g, y, p: {k: pairs(y[g == k], p[g == k]).mean() for k in set(g.tolist())},
            "considers ties",
        ),
    ],
    "check_overrated": [
        ("sign", lambda y, p, k: -gap(y, p, k), "subtracted from which"),
        ("measured best", lambda y, p, k: (y - p)[np.argsort(y)[:k]].mean(), "smallest"),
        ("liked least", lambda y, p, k: (y - p)[np.argsort(-p)[:k]].mean(), "smallest"),
        ("each by itself", lambda y, p, k: (np.sort(y) - np.sort(p))[:k].mean(), "same. row"),
        ("absolute", lambda y, p, k: abs(y - p)[np.argsort(p)[:k]].mean(), "two means"),
        ("not the mean", lambda y, p, k: (y - p)[np.argsort(p)[:k]].sum(), "on average"),
        ("k from two", lambda y, p, k: (y - p)[np.argsort(p)[: min(k, 2)]].mean(), "all rows"),
    ],
    "check_features": [
        ("the genes", lambda X: X.astype(float), "do not tell"),
        ("MAdds alone", lambda X: np.log(COST.madds(X))[:, None], "do not tell"),
        ("too many", SPACE.features, "at most 12"),
        ("one vector", lambda X: np.log(COST.madds(X)), "rows"),
        ("centred", lambda X: good_features(X) - good_features(X).mean(axis=0), "by itself"),
        ("not finite", lambda X: np.where(X > 0, X, np.inf), "not finite"),
    ],
    "check_promise": [
        ("rbf", lambda: "rbf", "highest"),
        ("gp", lambda: "gp", "highest"),
        ("nothing", lambda: None, "should be"),
        ("a number", lambda: 0.3, "should be"),
        ("another", lambda: "gp_onehot", "should be"),
        ("a list", lambda: ["ridge"], "should be"),
    ],
    "check_one_mistake": [
        ("pairs that count once", lambda: 1 - 19 / 190, "too large"),
        ("one pair", lambda: 1 - 2 / 190, "too large"),
        ("opposite", lambda: -0.8, "too small"),
        ("perfect", lambda: 1, "too large"),
        ("nothing", lambda: 0, "too small"),
        ("half the pairs", lambda: 1 - 19 / 95 - 0.1, "too small"),
    ],
}
