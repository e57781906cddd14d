"""Times and judges surrogates and search: `python benchmarks/search.py [--seeds 5] [--parts abc]`.

Part c takes `--methods`, names of its rows, to run some of them only.

a. The RBF ensemble, 500 members on 300 points asked 10,000 times, beside the same members one by
   one, and one by one for one architecture at a time.
b. One inner iteration of the search: fit, 20 generations of 100, choose 8.
c. An ImageNet-scale oracle in place of measurements: the hypervolume that searches reach with 340
   evaluations, relative to the best of three NSGA-II runs with 80,000 evaluations each.

The oracle is `ofa/acc_predictor.npz` in the folder that NATLIB_SHARED names: others trained it on
real ImageNet evaluations. Without it part c is left out, and a formula stands in for it in a and b.
"""

import argparse
import os
import time
from pathlib import Path

import numpy as np
import pandas as pd
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.problem import Problem
from scipy.interpolate import RBFInterpolator
from threadpoolctl import threadpool_info

from natlib import search
from natlib.cost import CostTable
from natlib.space import SearchSpace
from natlib.surrogate import SURROGATES, RBFEnsemble, rank_metrics

SPACE = SearchSpace.paper(resolutions=range(112, 225, 16), widths=(1.2,))
COST = CostTable(SPACE, num_classes=1000)
IDEAL, REFERENCE = (16.0, 50e6), (32.0, 900e6)  # error in percent, MAdds
FIRST, ITERATIONS, CHOSEN = 100, 30, 8
BUDGET = FIRST + ITERATIONS * CHOSEN
SMALL_POPULATION = 20  # of the searches without a surrogate: 340 evaluations are 17 generations


def load_oracle():
    """Returns the function from encodings to top-1 error in percent, or `None` without its file."""
    path = Path(os.environ.get("NATLIB_SHARED", "")) / "ofa" / "acc_predictor.npz"
    if not path.is_file():
        return None
    arrays = np.load(path)
    layers = [(arrays[f"{i}.weight"].T, arrays[f"{i}.bias"]) for i in (0, 2, 4, 6)]

    def top1_err(X):
        resolution, _, blocks = np.split(SPACE.features(X), [8, 9], axis=1)
        blocks = blocks.reshape(len(X), 20, 6)
        kernels, expands = (
            blocks[:, :, :3].reshape(len(X), 60),
            blocks[:, :, 3:].reshape(len(X), 60),
        )
        hidden = np.hstack([kernels, expands, resolution]).astype(np.float32)
        for i, (weight, bias) in enumerate(layers):
            hidden = np.maximum(hidden, 0) if i else hidden
            hidden = hidden @ weight + bias
        return 100 * (1 - hidden[:, 0].astype(np.float64))

    return top1_err


def stand_in(X):
    """Returns a made-up top-1 error in percent, smooth in the MAdds and rough in the genes."""
    rough = np.sin(SPACE.features(X) @ np.random.default_rng(0).normal(size=129))
    return 120 - 5 * np.log(COST.madds(X)) + 0.3 * rough


def timed(function, *args):
    """Returns what a function returns, and how many seconds it took."""
    begin = time.perf_counter()
    result = function(*args)
    return result, time.perf_counter() - begin


def one_by_one(ensemble, X, y, queries, few=5):
    """Fits and asks the ensemble's members with scipy: all queries at once, then singly.

    Asking singly is measured for `few` queries and scaled up.
    """

    def fit():
        return [(g, RBFInterpolator(X[:, g], y, kernel="cubic", degree=1)) for g in subsets]

    def ask(points):
        return np.mean([member(points[:, genes]) for genes, member in members], axis=0)

    varying = np.flatnonzero(np.ptp(X, axis=0))  # scipy's tail cannot stand a constant gene
    subsets = [np.intersect1d(genes, varying) for genes in ensemble.subsets_]
    members, fitting = timed(fit)
    predicted, asking = timed(ask, queries)
    _, singly = timed(lambda: [ask(query[None]) for query in queries[:few]])
    return predicted, fitting, asking, singly * len(queries) / few


def ensemble_table(top1_err):
    """Part a: seconds and Kendall's tau of the ensemble and of its members one by one."""
    X, queries = SPACE.sample(300, 0), SPACE.sample(10_000, 1)
    y, true = top1_err(X), top1_err(queries)
    RBFEnsemble().fit(X, y).predict(queries[:100])  # the first call starts the threads
    ensemble, fitting = timed(RBFEnsemble().fit, X, y)
    predicted, asking = timed(ensemble.predict, queries)
    theirs, their_fitting, their_asking, their_singly = one_by_one(ensemble, X, y, queries)
    tau, their_tau = (rank_metrics(true, p)["kendall"] for p in (predicted, theirs))
    table = pd.DataFrame(
        {
            "fit s": [fitting, their_fitting, their_fitting],
            "predict s": [asking, their_asking, their_singly],
            "kendall": [tau, their_tau, their_tau],
        },
        index=["RBFEnsemble", "members one by one", "and one architecture at a time (scaled up)"],
    )
    table.insert(2, "total s", table["fit s"] + table["predict s"])
    table.insert(3, "ratio", table["total s"] / table["total s"].iloc[0])
    return table


def inner_iteration(name, X, F, seed=0):
    """Returns the candidates of one iteration and what the surrogate was: the loop of the paper."""
    surrogate = SURROGATES[name](SPACE, seed).fit(X, F[:, 0])
    return search_with(surrogate.predict, X, F, seed)


def search_with(predict, X, F, seed):
    """Returns the encodings that NSGA-III and the choice of candidates make of a prediction."""
    start = X[search.non_dominated(F)]
    found = search.nsga3(SPACE, lambda X: measure(predict, X), start, seed=seed)
    rows = search.choose_candidates(found.F, F, CHOSEN, X_new=found.X, X_archive=X)
    return found.X[rows]


def iteration_table(top1_err):
    """Part b: seconds of one inner iteration with an archive of 300."""
    X = search.sample_spread(SPACE, COST.madds, 300, 0)
    F = measure(top1_err, X)
    inner_iteration("ridge", X, F)
    seconds = {name: timed(inner_iteration, name, X, F)[1] for name in SURROGATES}
    table = pd.DataFrame({"s per iteration": seconds})
    return table.assign(ratio=table / table.loc["rbf"])


def measure(top1_err, X):
    """Returns error and MAdds, `(n, 2)`."""
    return np.column_stack([top1_err(X), COST.madds(X)])


def with_surrogate(name):
    """Returns the search of the paper without training: archive, surrogate, NSGA-III, choice."""

    def run(top1_err, seed):
        X = search.sample_spread(SPACE, COST.madds, FIRST, seed)
        F = measure(top1_err, X)
        for i in range(ITERATIONS):
            s = 1000 * seed + i
            new = inner_iteration(name, X, F, s) if name else search_with(top1_err, X, F, s)
            X, F = np.vstack([X, new]), np.vstack([F, measure(top1_err, new)])
        return F

    return run


def without_surrogate(algorithm, sample, population=SMALL_POPULATION, budget=BUDGET):
    """Returns a search that measures every individual of an algorithm."""

    def run(top1_err, seed):
        seen = []

        def recorded(X):
            seen.append(measure(top1_err, X))
            return seen[-1]

        algorithm(recorded, sample(population, seed), population, budget // population - 1, seed)
        return np.vstack(seen)

    return run


def nsga3(evaluate, start, population, generations, seed):
    """Searches as `natlib` does, without a surrogate."""
    options = {"population": population, "generations": generations, "seed": seed}
    search.nsga3(SPACE, evaluate, start, **options)


def nsga2(evaluate, start, population, generations, seed):
    """Searches with NSGA-II and the same operators."""
    algorithm = NSGA2(population, start, **search.operators(SPACE))
    problem = Problem(SPACE.n_var, 2, xl=SPACE.lower, xu=SPACE.upper)
    algorithm.setup(problem, termination=("n_gen", generations + 1), seed=seed)
    while algorithm.has_next():
        individuals = algorithm.ask()
        algorithm.tell(individuals.set("F", evaluate(individuals.get("X"))))


def spread(n, seed):
    """Returns the even first sample."""
    return search.sample_spread(SPACE, COST.madds, n, seed)


OPPONENTS = {
    "random": lambda top1_err, seed: measure(top1_err, SPACE.sample(BUDGET, seed)),
    "even sample alone": lambda top1_err, seed: measure(top1_err, spread(BUDGET, seed)),
    "NSGA-II, random start": without_surrogate(nsga2, SPACE.sample),
    "NSGA-III, random start": without_surrogate(nsga3, SPACE.sample),
    "NSGA-II, even start": without_surrogate(nsga2, spread),
    "NSGA-III, even start": without_surrogate(nsga3, spread),
}
RIVALS = ("rbf", "rbf_thermometer", "ridge", "gp", "gp_onehot")
OURS = {f"NAT, {name}": with_surrogate(name) for name in RIVALS}
CEILING = {"NAT, oracle as surrogate": with_surrogate(None)}


def oracle_table(top1_err, seeds, methods):
    """Part c: hypervolume relative to the reference front, by method and seed."""
    long_run = without_surrogate(nsga2, spread, population=400, budget=80_000)
    fronts = np.vstack([long_run(top1_err, seed) for seed in range(3)])
    best = search.hypervolume(fronts[search.non_dominated(fronts)], REFERENCE, IDEAL)
    print(f"reference front: {best:.4f} of the box")
    rows = {}
    for name, method in methods.items():
        begin = time.perf_counter()
        reached = [
            search.hypervolume(method(top1_err, seed), REFERENCE, IDEAL) / best
            for seed in range(seeds)
        ]
        seconds = (time.perf_counter() - begin) / seeds
        row = {f"seed {seed}": value for seed, value in enumerate(reached)}
        rows[name] = row | {"median": np.median(reached), "s per search": seconds}
        print(f"{name}: median {rows[name]['median']:.3f}, {seconds:.1f} s per search", flush=True)
    return pd.DataFrame(rows).T


def main():
    """Runs the parts that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--parts", default="abc")
    parser.add_argument("--methods", nargs="+", default=[], help="such as 'NAT, gp'; else all")
    options = parser.parse_args()
    oracle = load_oracle()
    threads = {pool["num_threads"] for pool in threadpool_info()}
    print(
        f"{os.cpu_count()} cores, BLAS and OpenMP threads {threads}, load {os.getloadavg()[0]:.1f}"
    )
    print("target: " + ("stand-in (no oracle: set NATLIB_SHARED)" if oracle is None else "oracle"))
    if "a" in options.parts:
        print("\na. RBF ensemble, 500 members, 300 points, 10,000 predictions")
        print(ensemble_table(oracle or stand_in).to_string(float_format="%.3f"))
    if "b" in options.parts:
        print("\nb. One inner iteration: fit on 300, 20 generations of 100, choose 8")
        print(iteration_table(oracle or stand_in).to_string(float_format="%.3f"))
    if "c" in options.parts and oracle is not None:
        print(f"\nc. Hypervolume at {BUDGET} evaluations relative to the reference front")
        methods = OPPONENTS | OURS | CEILING
        methods = {name: methods[name] for name in options.methods or methods}
        table = oracle_table(oracle, options.seeds, methods)
        print(table.to_string(float_format="%.3f"))
        columns = [f"seed {seed}" for seed in range(options.seeds)]
        strongest = table.loc[table.index.isin(OPPONENTS), columns].max()
        for name in table.index.intersection(list(OURS)) if strongest.notna().all() else ():
            ahead = int((table.loc[name, columns] > strongest).sum())
            print(f"{name}: ahead of every opponent on {ahead} of {options.seeds} seeds")
    elif "c" in options.parts:
        print("\nc. left out: there is no oracle (set NATLIB_SHARED)")


if __name__ == "__main__":
    main()
