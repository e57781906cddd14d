"""Tables hold what was measured or published; fronts are the true ones; challenges are fair."""

import json
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
from pymoo.indicators.hv import HV

from natlib.__main__ import main
from natlib.cost import CostTable
from natlib.data import DATA
from natlib.deploy.latency import LatencyTable
from natlib.search import non_dominated, nsga3
from natlib.space import Architecture, SearchSpace
from natlib.surrogate import SURROGATES
from natlib.teach.tables import CELL, FOLDER, TABLES, TableSpace, load_table
from notebooks import challenge

sys.path.insert(0, str(DATA))
NASBENCH_SUMS = {"cifar10": 821_142_442, "cifar100": 120_139_759, "imagenet": 39_770_731}
POCKET_SUMS = [9_731_562, 9_650_214, 6_648_343]
BEST = {"cifar10": 91.61, "cifar100": 73.49, "imagenet": 46.73}  # mean accuracies, as published
SIZE = {
    "cifar10": 73_306,
    "cifar100": 79_156,
    "imagenet": 80_456,
}  # parameters without convolutions


@pytest.fixture(scope="module", params=TABLES)
def table(request):
    return load_table(request.param)


def architecture(table, x):
    """Returns the architecture of an encoding of the table "pocket"."""
    resolution, kernel, *stages = (c[i] for c, i in zip(table.genes.values(), x, strict=True))
    depths = tuple(stages[1::2])
    expands = tuple(e for e, d in zip(stages[::2], depths, strict=True) for _ in range(d))
    return Architecture(resolution, 1.0, depths, (kernel,) * sum(depths), expands)


def test_provenance_says_how_every_table_was_made():
    files = {path.name for path in FOLDER.glob("*.npz")}
    about = json.loads((FOLDER / "provenance.json").read_text("utf-8"))
    assert files == {"pocket.npz", "nasbench201.npz", "searches.npz"} == set(about)
    assert all({"command", "date"} <= set(entry) for entry in about.values())
    sizes = {name: (FOLDER / name).stat().st_size for name in files}
    assert sizes["pocket.npz"] < 2e6 and sizes["nasbench201.npz"] < 1e6


@pytest.mark.parametrize("name", BEST)
def test_nasbench201_is_as_published(name):
    table = load_table(name)
    assert len(table.X) == 15_625
    assert round(100 - table.columns["top1_err"].min(), 2) == BEST[name]
    ones, threes = (
        (table.X == list(CELL.values())[0].index(f"conv {k}")).sum(axis=1) for k in ("1x1", "3x3")
    )
    counted = SIZE[name] + 28_000 * ones + 243_040 * threes
    np.testing.assert_array_equal(table.columns["params"], counted)
    cut = (table.X[:, 3:] == 0).all(axis=1)  # no edge leads to the output
    assert (
        table.columns["top1_err"][cut].min() > {"cifar10": 89, "cifar100": 98, "imagenet": 98}[name]
    )


def test_nasbench201_sums():
    arrays = np.load(FOLDER / "nasbench201.npz", allow_pickle=False)
    trained = arrays["correct_cifar10"] != np.iinfo(np.uint16).max
    assert trained.sum() == 39_419
    sums = {n: int(arrays[f"correct_{n}"][trained].sum(dtype=np.int64)) for n in BEST}
    assert sums == NASBENCH_SUMS


def test_the_pocket_bench_is_the_part_of_the_pocket_space_that_it_says():
    table, space = load_table("pocket"), SearchSpace.pocket()
    rows = np.random.default_rng(0).permutation(len(table.X))[:300]
    X = np.stack([space.encode(architecture(table, x)) for x in table.X[rows]])
    cost, latency = CostTable(space, 10), LatencyTable.load(FOLDER / "latency.json")
    np.testing.assert_array_equal(table.columns["madds"][rows], cost.madds(X))
    np.testing.assert_array_equal(table.columns["params"][rows], cost.params(X))
    np.testing.assert_allclose(table.columns["latency_ms"][rows], latency.latency_ms(X), rtol=1e-6)
    halves = [table.columns[f"top1_err_{half}"] for half in "ab"]
    np.testing.assert_allclose(table.columns["top1_err"], np.mean(halves, axis=0))
    arrays = np.load(FOLDER / "pocket.npz", allow_pickle=False)
    assert arrays["correct"].sum(axis=0).tolist() == POCKET_SUMS


def test_true_fronts_are_those_of_brute_force(table):
    F = table.measure(table.X)
    error, cost = F.T
    worse = np.concatenate(
        [
            ((e >= error) & (c >= cost) & ((e > error) | (c > cost))).any(axis=1)
            for e, c in (part.T[:, :, None] for part in np.array_split(F, 50))
        ]
    )
    np.testing.assert_array_equal(~worse, non_dominated(F))
    np.testing.assert_array_equal(np.unique(F[~worse], axis=0), table.true_front())
    assert table.reached(table.true_front()) == 1
    assert 0 < table.reached(F[:100]) < 1


def test_rows_are_found_and_what_is_not_there_is_refused(table):
    rows = np.random.default_rng(1).integers(len(table.X), size=50)
    np.testing.assert_array_equal(table.rows(table.X[rows]), rows)
    assert (table.repair(np.full((2, table.n_var), 99)) == table.upper).all()
    for x in (table.upper + 1, table.lower - 1, [0.5] * table.n_var, [0]):
        with pytest.raises(ValueError, match=f"not in the table '{table.name}'"):
            table.measure([x])


def test_unknown_tables_are_refused():
    with pytest.raises(ValueError, match="no table 'mnist': choose from pocket, cifar10"):
        load_table("mnist")


def test_features_are_levels_or_categories():
    genes = {"level": (16, 24, 32), "kind": ("a", "b")}
    table = TableSpace("small", genes, {})
    expected = [[0, 0, 1, 0], [0, 0, 0, 1], [1, 0, 1, 0], [1, 0, 0, 1], [1, 1, 1, 0], [1, 1, 0, 1]]
    np.testing.assert_array_equal(table.features(table.X), expected)


@pytest.mark.parametrize("name", ["rbf", "forest", "ridge_onehot", "gp_onehot"])
def test_searches_and_surrogates_take_a_table_as_a_space(table, name):
    X = table.X[np.random.default_rng(0).permutation(len(table.X))[:60]]
    F = table.measure(X)
    surrogate = SURROGATES[name](table, 0).fit(X, F[:, 0])
    options = {"population": 20, "generations": 4, "seed": 0}
    found = nsga3(
        table,
        lambda X: np.column_stack([surrogate.predict(X), table.measure(X)[:, 1]]),
        X[non_dominated(F)],
        **options,
    )
    assert len(np.unique(table.rows(found.X))) == len(found.X)


def test_recorded_searches_look_at_a_hundred_networks_each():
    recorded = np.load(FOLDER / "searches.npz", allow_pickle=False)
    for name in TABLES:
        runs = recorded[name].reshape(-1, 100)
        assert len(runs) == 10 * len(recorded["methods"])
        assert all(len(set(rows)) == 100 for rows in runs.tolist())
        assert runs.max() < len(load_table(name).X)


def test_a_recorded_search_can_be_repeated():
    from record_searches import METHODS, search_with

    recorded = np.load(FOLDER / "searches.npz", allow_pickle=False)
    for number, method in enumerate(METHODS):
        if not method.startswith("NAT"):
            rows = search_with(METHODS[method], load_table("cifar10"), seed=3)
            np.testing.assert_array_equal(recorded["cifar10"][number, 3], rows, method)


def test_expected_gain_agrees_with_draws():
    from record_searches import gains_of

    rng = np.random.default_rng(0)
    front, worst = np.array([[1.0, 3.0], [2.0, 2.0], [3.0, 1.0]]), np.array([4.0, 4.0])
    mean, sd, cost = np.array([1.5, 0.5, 3.8]), np.array([0.5, 0.2, 0.3]), np.array([1.5, 0.2, 2.5])
    volume = HV(ref_point=worst)
    draws = [
        [volume(np.vstack([front, [m + s * z, c]])) - volume(front) for z in rng.normal(size=4000)]
        for m, s, c in zip(mean, sd, cost, strict=True)
    ]
    found = gains_of(mean, cost, sd, front, worst)
    np.testing.assert_allclose(found, np.mean(draws, axis=1), rtol=0.05, atol=0.005)


def test_the_reader_of_the_package_loads_no_class():
    from build_tables import Plain

    with pytest.raises(pickle.UnpicklingError, match="numbers only"):
        Plain(Path(__file__).open("rb")).find_class("os", "system")


# The challenge.


def submission(path, **changes):
    content = {
        "name": "we",
        "table": "cifar10",
        "lookups": [[3, 3, 3, 3, 3, 3], [1, 1, 1, 1, 1, 1]],
    }
    path.write_text(json.dumps(content | changes), "utf-8")
    return path


def test_a_challenge_is_ranked_beside_the_baselines(tmp_path, capsys):
    table = load_table("cifar10")
    F = table.measure(table.X)
    best = table.X[non_dominated(F)].tolist()
    files = [
        submission(tmp_path / "a.json"),
        submission(tmp_path / "b.json", name="knows", lookups=best),
    ]
    ranked = challenge.rank(files)
    assert ranked.name.iloc[0] == "knows" and ranked.iloc[0, 2] == pytest.approx(1)
    assert set(ranked["look-ups"]) == {2, len(best), challenge.BUDGET}
    assert ranked.name.str.contains("median of 10").sum() == 2
    main(["challenge", *map(str, files)])
    assert "knows" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"lookups": [[0] * 6, [1] * 6, [0] * 6]}, "look-up 3 repeats"),
        ({"lookups": [[i, j, 0, 0, 0, 0] for i in range(5) for j in range(5)] * 2}, "1 to 40"),
        ({"lookups": []}, "1 to 40"),
        ({"lookups": [[0, 0, 0, 0, 0, 5]]}, "look-up 1, .*not in the table"),
        ({"lookups": [[0, 0, 0]]}, "look-up 1, .*not in the table"),
        ({"lookups": [[0, 0, 0, 0, 0, 0.5]]}, "look-up 1 is no list"),
        ({"lookups": [[True] * 6]}, "look-up 1 is no list"),
        ({"lookups": [[10**30] * 6]}, "look-up 1 is no list"),
        ({"lookups": "import os"}, "lookups is a list"),
        ({"table": "secret"}, "table is one of"),
        ({"table": ["pocket"]}, "table is one of"),
        ({"name": "a\nb"}, "name is a line"),
        ({"name": 3}, "name is a line"),
        ({"code": "print()"}, "give .* alone"),
    ],
)
def test_what_breaks_the_rules_is_refused_in_a_sentence(tmp_path, changes, told):
    path = submission(tmp_path / "a.json", **changes)
    with pytest.raises(SystemExit, match=told) as stopped:
        main(["challenge", str(path)])
    assert str(path) in str(stopped.value) and "\n" not in str(stopped.value)


def test_what_is_no_json_and_mixed_tables_are_refused(tmp_path):
    path = tmp_path / "a.json"
    for text in ("__import__('os')", "", "[" * 100_000):
        path.write_text(text, "utf-8")
        with pytest.raises(ValueError, match="no JSON"):
            challenge.read_submission(path)
    with pytest.raises(OSError):
        challenge.read_submission(tmp_path / "missing.json")
    files = [submission(path), submission(tmp_path / "b.json", table="imagenet")]
    with pytest.raises(ValueError, match="one table at a time"):
        challenge.rank(files)
