"""What was recorded is whole, and the pocket world has the signal that the course teaches with."""

import json

import numpy as np
import pandas as pd
import pytest

from natlib.cost import CostTable
from natlib.data import DATA
from natlib.paper.joined import compare
from natlib.space import Architecture, SearchSpace
from natlib.teach.explorer import objectives_of

ARCHIVES = DATA / "archives"


def read(name):
    return pd.read_csv(ARCHIVES / name)


def test_every_recording_says_how_it_was_made():
    provenance = json.loads((ARCHIVES / "provenance.json").read_text("utf-8"))
    assert set(provenance) == {path.name for path in ARCHIVES.glob("*.csv")}
    scripts = ("python data/record_pocket.py", "python data/study_pocket.py")
    for about in provenance.values():
        assert about["command"].startswith(scripts) and about["date"]


def test_archive_holds_different_architectures_with_their_exact_cost():
    archive, space = read("pocket_animals.csv"), SearchSpace.pocket()
    X = np.stack([space.encode(Architecture.from_string(text)) for text in archive.architecture])
    assert len(np.unique(X, axis=0)) == len(X) >= 300
    table = CostTable(space, 10)
    np.testing.assert_array_equal(table.madds(X), archive.madds)
    np.testing.assert_array_equal(table.params(X), archive.params)
    halves = (archive.top1_err_a + archive.top1_err_b) / 2
    np.testing.assert_allclose(halves, archive.top1_err, atol=0.01)


RATES = pytest.mark.parametrize("lr", [0.03, 0.1])  # 0.1 is the quick profile's


def signal(task, lr):
    table = read("signal.csv").set_index(["task", "lr"])
    return table.loc[(task, lr)]


@RATES
@pytest.mark.parametrize("task", ["animals", "digits"])
def test_halves_of_the_validation_split_agree_about_ranks(task, lr):
    assert signal(task, lr).halves_spearman >= 0.85
    assert signal(task, lr).madds_spearman >= 0.5


MISSED = pytest.mark.xfail(reason="animals at the quick profile's rate: 7.2 points, not 8")


@pytest.mark.parametrize(
    ("task", "lr"),
    [
        ("animals", 0.03),
        pytest.param("animals", 0.1, marks=MISSED),
        ("digits", 0.03),
        ("digits", 0.1),
    ],
)
def test_the_largest_subnet_beats_the_smallest(task, lr):
    assert signal(task, lr).largest_top1 - signal(task, lr).smallest_top1 >= 8


@RATES
def test_pretraining_helps(lr):
    table = read("gain.csv").query("lr == @lr")
    gain = table.groupby("task").gain.agg(["mean", "std", "count"])
    assert (gain["count"] >= 3).all()
    assert sorted(gain["mean"])[-1] >= 3 and sorted(gain["mean"])[-2] >= 1
    assert (gain["mean"] >= -gain["std"]).all()


def at_the_end(study):
    return study[study.iteration == study.iteration.max()]


def test_modes_of_a_seed_begin_alike_and_spend_the_same():
    study = read("modes.csv")
    assert len(study) and not study.duplicated(["task", "seed", "mode", "iteration"]).any()
    ends = at_the_end(study)
    assert study.test_at_equal_madds.notna().sum() == len(ends) == ends.test_at_equal_madds.count()
    for _, group in study.groupby(["task", "seed", study.limit.fillna(0)]):
        assert group.device.nunique() == 1
        assert (group.groupby("mode").iteration.agg(["min", "max", "size"]) == [0, 10, 11]).all(
            axis=None
        )
        assert np.ptp(group.hypervolume[group.iteration == 0]) < 0.05  # roundings of a GPU apart
        trained = at_the_end(group[group["mode"] != "none"])
        assert trained.evaluations.nunique() <= 1


def test_readme_counts_the_pairs():
    pairs = at_the_end(read("modes.csv")).pivot_table(
        "test_at_equal_madds", ["task", "seed"], "mode"
    )
    gain = (pairs["distribution"] - pairs["uniform"]).dropna()
    told = f"ahead of uniform in {(gain > 0).sum()} of {len(gain)} recorded pairs"
    readme = (DATA.parent / "README.md").read_text("utf-8")
    assert told in readme, f"README.md should say: {told}"
    loss = (pairs["uniform, limit"] - pairs["distribution, limit"]).dropna()
    told = f"a limit of 1.5 M MAdds it is behind in {(loss > 0).sum()} of {len(loss)}"
    assert told in readme, f"README.md should say: {told}"
    points = loss.groupby("task").mean()
    told = f"by {points['animals']:.1f} points on the animals and {points['digits']:.1f} on the"
    assert told in readme, f"README.md should say: {told}"


def test_readme_says_what_else_was_recorded():
    readme = (DATA.parent / "README.md").read_text("utf-8")
    by = [(read(f"{n}.csv").eval("nat_err - mean_err")).mean() for n in ("three", "radar")]
    told = [f"by {by[0]:.1f} points with three objectives", f"by {by[1]:.1f} with twelve"]
    for name in ("three", "radar"):
        nat, fixed = (read(f"{name}.csv").query(f"method == '{m}'") for m in ("NAT", "fixed"))
        assert fixed.mean_err[fixed.madds.idxmin()] < nat.mean_err.min(), "README says so"
    ends = at_the_end(read("modes.csv")).pivot_table("hypervolume", ["task", "seed"], "mode")
    ahead = (ends["distribution"] > ends["uniform"]).sum()
    told.append(f"in hypervolume on validation it is ahead in {ahead} of {len(ends)}")
    means = (
        read("fixed.csv")
        .query("fraction == 1")
        .pivot_table("test_top1", ["budget", "task", "seed"], "method")
    )
    adds = (means["nat_finetuned"] - means["nat"]).dropna().groupby(["budget", "task"]).mean()
    told.append("adds {:.1f} points on the animals and {:.1f} on the digits".format(*adds[1]))
    told.append("at sixteen times {:.1f} and {:.1f} (".format(*adds[16]))
    assert not [text for text in told if text not in readme], "README.md should say this"


def test_readme_says_by_how_much_transfers_are_ahead_of_fixed_networks():
    study, readme = read("fixed.csv"), (DATA.parent / "README.md").read_text("utf-8")
    settings = ["fraction", "budget", "task", "seed"]
    means = study.pivot_table("test_top1", settings, "method")
    gain = (means["nat_finetuned"] - means["fixed"]).dropna().loc[1].groupby(["budget", "task"])
    for budget, of_it in gain.mean().groupby("budget"):
        told = ", ".join(f"{task} {points:+.1f}" for (_, task), points in of_it.items())
        assert told in readme, f"README.md should say of {budget:g}: {told}"
    sizes = study[study.fraction == 1].pivot_table(
        "test_top1", ["task", "budget", "size"], "method"
    )
    sizes = (sizes["nat_finetuned"] - sizes["fixed"]).dropna()
    small, *rest = sizes["digits", 4]
    ends = f"{min(rest):.1f} to {max(rest):.1f}"
    told = f"behind by {-small:.1f} at the smallest size and ahead by {ends}"
    assert told in readme, f"README.md should say: {told}"
    assert f"nowhere ahead by more than {sizes['animals'].max():.1f}, at any" in readme
    alone = study.query("task == 'animals' and fraction == 1 and budget == 1").set_index("seed")
    smallest = alone[alone["size"] == alone["size"].min()].query("method == 'fixed'").test_top1
    found = alone[alone.method == "nat_finetuned"].groupby("seed").test_top1.max()
    assert (smallest > found).all(), "README.md says that one fixed network is better than all"
    parts = (means["nat_finetuned"] - means["fixed"]).dropna().xs(1, level="budget")
    for task, of_it in parts.groupby(["task", "fraction"]).mean().groupby("task"):
        told = f"{task} {', '.join(f'{points:+.1f}' for points in of_it[::-1])}"
        assert told in readme, f"README.md should say: {told}"


def test_fixed_networks_and_transfers_cost_the_same():
    if not (ARCHIVES / "fixed.csv").exists():
        pytest.skip("the study of fixed networks is not recorded")
    study, space = read("fixed.csv"), SearchSpace.pocket()
    X = np.stack([space.encode(Architecture.from_string(text)) for text in study.architecture])
    np.testing.assert_array_equal(CostTable(space, 10).madds(X), study.madds)
    assert study.test_top1.between(0, 100).all() and (study.madds <= 1.02 * study["size"]).all()
    base = study.assign(budget=study.budget.clip(lower=1))
    for _, pair in base.groupby(["task", "seed", "fraction", "budget"]):
        assert pair.device.nunique() == 1
    for _, unit in study[study.budget >= 1].groupby(["task", "seed", "fraction", "budget"]):
        assert (unit.groupby("method")["size"].nunique() == 4).all()
        spent = unit.groupby("method").train_madds.mean()
        alike = spent.drop("nat", errors="ignore")
        np.testing.assert_allclose(alike, alike.iloc[0], rtol=1e-4)
        np.testing.assert_allclose(1.1 * spent["nat"], alike.iloc[0], rtol=1e-4)
    alone = study[study.method.isin(["fixed", "scratch"])]
    assert (alone.trials >= 3).all() and alone.lr.gt(0).all()


def test_twelve_objectives_are_searched_better_than_at_random():
    study, space = read("many.csv"), SearchSpace.pocket()
    names = objectives_of(study)
    assert len(names) == 12 and study.seed.nunique() >= 3
    for _, group in study.groupby("seed"):
        archives = dict(list(group.groupby("method")))
        ours, random = archives["NSGA-III"], archives["random"]
        assert len(ours) == len(random) == ours.architecture.nunique()
        first = [a[a.iteration == 0][["architecture", *names]].to_numpy() for a in (ours, random)]
        np.testing.assert_array_equal(*first)
        X = np.stack([space.encode(Architecture.from_string(text)) for text in ours.architecture])
        np.testing.assert_array_equal(CostTable(space, 49).madds(X), ours.madds)
        found = compare({name: a[names].to_numpy() for name, a in archives.items()})
        assert found["NSGA-III"] < found["random"]


@pytest.mark.parametrize(
    ("name", "costs", "classes"),
    [("three.csv", ["params", "latency_ms"], 10), ("radar.csv", ["madds"], 49)],
)
def test_a_fixed_network_stands_beside_one_that_costs_no_more(name, costs, classes):
    table, space = read(name), SearchSpace.pocket()
    X = np.stack([space.encode(Architecture.from_string(text)) for text in table.architecture])
    np.testing.assert_array_equal(CostTable(space, classes).madds(X), table.madds)
    errors = table[[column for column in table if column.startswith("top1_err")]]
    np.testing.assert_allclose(table.mean_err, errors.mean(axis=1), atol=1e-3)
    nat, fixed = (table[table.method == method] for method in ("NAT", "fixed"))
    assert len(fixed) == 4 and fixed.lr.notna().all() and table.train_madds.nunique() == 1
    for _, row in fixed.iterrows():
        no_dearer = nat[(nat[costs] <= row[costs].astype(float)).all(axis=1)]
        assert row.nat_err == no_dearer.mean_err[no_dearer.valid_err.idxmin()]
