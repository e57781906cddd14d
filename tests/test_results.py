"""The reproduction table holds what was published, what we count, and your runs, and no more."""

import csv
import json
import re
from types import SimpleNamespace

import jupytext
import numpy as np
import pandas as pd
import pytest
from torchvision.models import get_model_weights

from natlib.data import DATA
from natlib.paper import results
from natlib.paper.datasets import DATA_SETS
from natlib.paper.results import (
    COUNTED,
    MOBILE_LIMIT,
    PAPER,
    PUBLISHED,
    RESULT,
    YOURS,
    mobile_setting,
    published_networks,
    published_results,
    read_results,
    rehearsal_table,
    reproduction_table,
    styled,
    write_table,
)
from natlib.teach.plots import plot_reproduction

NETWORKS = json.loads((PAPER / "published_subnets.json").read_text("utf-8"))
with (PAPER / "results.csv").open(encoding="utf-8") as results_file:
    ROWS = list(csv.DictReader(results_file))


def write_run(folder, dataset, top1=50.0, profile="quick", rehearsal=False, date="2026-01-02"):
    networks = [
        {"network": f"M{i}", "architecture": "00 0", "top1": top1 + i, "top1_se": 0.5,
         "params": 1_000_000 * i, "madds": 2_500_000 * i}
        for i in range(1, 5)
    ]  # fmt: skip
    about = {"dataset": dataset, "rehearsal": rehearsal, "profile": profile, "seed": 3,
             "date": f"{date}T10:00:00", "networks": networks}  # fmt: skip
    folder.mkdir(parents=True)
    (folder / RESULT).write_text(json.dumps(about), "utf-8")


def row_of(table, dataset, network):
    key = (table[("", "data set")] == dataset) & (table[("", "network")] == network)
    assert key.sum() == 1
    return table[key].iloc[0]


def test_the_eleven_are_those_of_the_paper():
    assert set(published_results().dataset) == set(DATA_SETS)
    assert len(ROWS) == 44
    for network in published_networks().itertuples():
        assert network.num_classes == DATA_SETS[network.dataset].classes


def test_all_published_rows_equal_the_file():
    table = reproduction_table()
    for row in ROWS:
        found = row_of(table, row["dataset"], row["model"])
        assert found[(PUBLISHED, "top-1 (%)")] == float(row["top1_percent"])
        assert found[(PUBLISHED, "params (M)")] == float(row["params_M"])
        assert found[(PUBLISHED, "MAdds (M)")] == float(row["madds_M"])
        assert found[(PUBLISHED, "source")] == "; ".join(filter(None, ["paper", row["note"]]))
        assert found[(YOURS, "source")] == "not run" and pd.isna(found[(YOURS, "top-1 (%)")])
    assert "90.9" in row_of(table, "cars", "NAT-M1")[(PUBLISHED, "source")]


def test_all_published_networks_show_our_exact_count():
    table = reproduction_table()
    counted = table[table[(COUNTED, "MAdds (M)")].notna()]
    assert len(counted) == len(NETWORKS) == 14 and len(table) == 44 + 4
    for network in NETWORKS:
        same = counted[
            (counted[("", "data set")] == network["dataset"])
            & (counted[(PUBLISHED, "MAdds (M)")] == network["published_madds_M"])
        ]
        assert len(same) == 1
        row = same.iloc[0]
        assert row[(PUBLISHED, "top-1 (%)")] == network["published_top1"]
        assert round(1e6 * row[(COUNTED, "params (M)")]) == network["counted_params"]
        assert round(1e6 * row[(COUNTED, "MAdds (M)")]) == network["counted_macs_conv_linear"]
        assert -3 < row[(COUNTED, "MAdds, difference (%)")] < 0
        if network["published_params_M"]:
            assert abs(row[(COUNTED, "params (M)")] - network["published_params_M"]) < 0.1
    others = table.drop(counted.index)
    assert set(others[(COUNTED, "source")]) == {"no architecture published"}


def test_your_runs_enter_with_their_provenance(tmp_path):
    write_run(tmp_path / "a" / "cars", "cars", profile="paper")
    write_run(tmp_path / "b" / "cars", "cars", top1=10.0, date="2026-03-04")
    write_run(tmp_path / "pets old", "pets")
    write_run(tmp_path / "pets new", "pets", top1=60.0, date="2026-03-04")
    write_run(tmp_path / "dtd", "dtd", rehearsal=True)
    table = reproduction_table(tmp_path)
    cars, pets = row_of(table, "cars", "NAT-M2"), row_of(table, "pets", "NAT-M4")
    assert (cars[(YOURS, "top-1 (%)")], cars[(YOURS, "params (M)")]) == (52, 2)
    assert (
        cars[(YOURS, "source")] == f"profile paper, seed 3, 2026-01-02, {tmp_path / 'a' / 'cars'}"
    )
    assert pets[(YOURS, "top-1 (%)")] == 64 and "pets new" in pets[(YOURS, "source")]
    assert table[(YOURS, "top-1 (%)")].notna().sum() == 8
    extra = "net-img@256-flops@199-top1@92.1"
    assert row_of(table, "cars", extra)[(YOURS, "source")] == "not run"


def test_rehearsals_never_enter_the_results(tmp_path):
    write_run(tmp_path / "dtd", "dtd", rehearsal=True)
    write_run(tmp_path / "pets", "pets")
    assert row_of(reproduction_table(tmp_path), "dtd", "NAT-M1")[(YOURS, "source")] == "not run"
    rehearsed = rehearsal_table(tmp_path)
    assert set(rehearsed.dataset) == {"dtd"} and len(rehearsed) == 4
    assert rehearsed.kind.str.contains("rehearsal").all()
    assert len(rehearsal_table(tmp_path / "none")) == 0


def test_a_damaged_result_is_named(tmp_path):
    write_run(tmp_path / "dtd", "dtd")
    (tmp_path / "dtd" / RESULT).write_text('{"dataset": ', "utf-8")
    with pytest.raises(ValueError, match=r"dtd/result\.json is damaged: delete it and start"):
        read_results(tmp_path)


def test_written_tables_are_whole(tmp_path):
    table = reproduction_table()
    as_csv, as_markdown = write_table(table, tmp_path / "out")
    again = pd.read_csv(as_csv)
    assert again.shape == table.shape
    assert (again["published MAdds (M)"].to_numpy() == table[(PUBLISHED, "MAdds (M)")]).all()
    lines = [" ".join(line.split()) for line in as_markdown.read_text("utf-8").splitlines()]
    assert len(lines) == 2 + len(table)
    assert {line.count("|") for line in lines} == {table.shape[1] + 1}
    assert "9.135928" in lines[5] and lines[5].endswith("| – | – | – | – | not run |")
    few = pd.DataFrame({"a": [1, 2.5], "b": [None, "x"]})
    lines = write_table(few, tmp_path, "few")[1].read_text("utf-8").splitlines()
    assert [line.replace(" ", "") for line in lines[2:]] == ["|1|–|", "|2.5|x|"]


def test_styled_table_rounds_what_was_measured_and_shows_exact_counts():
    html = styled(reproduction_table()).to_html()
    assert "9.135928" in html and "80.5" in html and "not run" in html and "nan" not in html


def test_mobile_setting_states_sources():
    table = mobile_setting()
    assert table.source.str.len().gt(0).all() and len(set(table.family)) == 7
    nat = table[table.family == "NAT"]
    assert nat.madds.tolist() == [225, 312, 490, 600] and nat.madds.max() <= MOBILE_LIMIT
    assert table.madds.is_monotonic_increasing
    theirs = table[table.source.str.startswith("torchvision ")]
    assert len(theirs) == 11
    for row in theirs.itertuples():
        weights = get_model_weights(row.network)[row.source.split(", ")[1]]
        assert row.top1 == weights.meta["_metrics"]["ImageNet-1K"]["acc@1"]
        assert row.params == pytest.approx(weights.meta["num_params"] / 1e6)
        assert row.madds == pytest.approx(1000 * weights.meta["_ops"])


def test_figures(tmp_path):
    write_run(tmp_path / "cars", "cars")
    figure = plot_reproduction(reproduction_table(tmp_path))
    shown = [ax for ax in figure.axes if ax.get_title("left")]
    assert [ax.get_title("left") for ax in shown] == list(dict.fromkeys(r["dataset"] for r in ROWS))
    assert len(shown[0].lines[0].get_xdata()) == 4


def test_the_ledger_is_whole():
    claims = pd.read_csv(PAPER / "claims.csv", keep_default_na=False)
    assert list(claims) == ["claim", "paper", "networks", "ours", "scale", "settle"]
    assert (claims != "").all(axis=None) and claims.claim.is_unique and len(claims) == 11


def test_search_costs_have_a_source_and_one_unit():
    cost = pd.read_csv(PAPER / "search_cost.csv")
    assert cost.source.str.match(r"arXiv \d{4}\.\d{5}").all() and cost.without.notna().all()
    for row in cost.itertuples():
        number, unit = re.fullmatch(r"(?:about )?([\d.,]+) (.+)", row.published).groups()
        hours = {"GPU-days": 24, "GPU-day": 24, "GPU-hours": 1, "V100-hours": 1}.get(unit)
        assert (hours is None) == pd.isna(row.gpu_days)
        if hours:
            assert row.gpu_days == pytest.approx(float(number.replace(",", "")) * hours / 24, 0.01)


def run_cell(containing, **names):
    """Runs a cell of notebook 05 and returns its names."""
    notebook = jupytext.read(DATA.parent / "notebooks" / "05_reproduction.py")
    [cell] = [cell.source for cell in notebook.cells if containing in cell.source]
    names |= {"pd": pd, "np": np, "results": results}
    exec(cell, names)
    return names


def test_the_ledger_pairs_what_was_recorded():
    ahead = run_cell("def ahead(")["ahead"]
    about = "nat_finetuned", "fixed", "test_top1"
    columns = ["task", "seed", "fraction", "budget", "method", "size", "test_top1"]
    rows = [
        ("animals", seed, 1.0, budget, method, size, 80.0 + gain * seed + size)
        for seed in (1, 2)
        for budget in (1.0, 4.0)
        for method, gain in (("nat_finetuned", 2.0), ("fixed", 1.0))
        for size in (0, 1)
    ]
    rows += [("digits", 1, 1.0, 1.0, "fixed", 0, 50.0)]  # not yet its partner
    table = pd.DataFrame(rows, columns=columns)
    said = "animals, budget 1.0: +1.5 points (+1.0 to +2.0; ahead in 2 of 2)"
    assert ahead(table, *about, ["task", "budget"]).split("; animals")[0] == said
    assert "digits" not in ahead(table, *about, ["task"])
    assert ahead(table.query("seed > 5"), *about, ["task"]) == "not run"


@pytest.mark.parametrize(
    ("top1", "needed"),
    [(80.0, 4 / (1.1 - 0.1)), (75.0, 4 / (0.55 - 0.1)), (81.0, 0.0), (60.0, np.nan)],
)
def test_deployments_from_which_on_a_transfer_is_cheaper(top1, needed, tmp_path, monkeypatch):
    """Four networks: the transfer takes 4 TMAdds, its fine-tuning 0.4; fixed ones 1.1 or 4.4."""
    monkeypatch.setattr(results, "DATA", tmp_path)
    rows = [(1.0, "nat", 0.0, 3.0, 1.0, 1), (1.0, "nat_finetuned", top1, 3.4, 1.0, 1)]
    rows += [(1.0, "fixed", 80.0, 1.0, 0.1, 4), (0.25, "fixed", 70.0, 0.25, 0.025, 4)]
    columns = ["budget", "method", "test_top1", "train_madds", "measure_madds", "trials"]
    table = pd.DataFrame(rows, columns=columns).assign(task="animals", fraction=1.0, size=1e6)
    table["seed"] = 0
    half = table[:3].assign(task="digits")  # its fixed networks are not all there yet
    table[["train_madds", "measure_madds"]] *= 1e12
    (tmp_path / "archives").mkdir()
    for name in ("modes", "fixed"):
        pd.concat([table, half]).to_csv(tmp_path / "archives" / f"{name}.csv", index=False)
    found = run_cell("needed[task", **run_cell("def curves(", **run_cell("def ahead(")))
    assert set(found["needed"].index.droplevel("counted")) == {
        ("animals", size, 0) for size in ("mean of four", 1e6)
    }
    counts = found["needed"][1.0].xs("mean of four", level="size")
    assert counts["animals", "all rates", 0] == pytest.approx(needed, nan_ok=True)
    if top1 == 80:
        known = 4 / (1.1 / 4 - 0.1)
        assert counts["animals", "one rate", 0] == pytest.approx(known)
    shown = {}
    plots = SimpleNamespace(plot_bands=lambda panels, *_, **__: shown.update(panels))
    plots.show = lambda figure, alt: None
    found["modes"] = pd.DataFrame(
        {"iteration": 10, "hypervolume": 0.5, "task": "animals", "seed": 0, "mode": modes}
        for modes in ("uniform", "distribution")
    )
    run_cell("plots.plot_bands(panels", **found | {"plots": plots, "said": {}})
    lines = {name: list(line.index) for name, line in shown["animals"].items()}
    assert lines["fixed"] == pytest.approx([0.275, 1.1])
    assert lines["NAT, 1"] == pytest.approx([4.1]) and lines["NAT, 16"] == pytest.approx([0.35])


def test_readme_says_from_how_many_deployments_on_a_transfer_is_cheaper():
    needed = run_cell("needed[task", **run_cell("def curves(", **run_cell("def ahead(")))["needed"]
    readme = (DATA.parent / "README.md").read_text("utf-8")

    def of(task, size, counted, budgets=(1.0, 4.0, 16.0)):
        found = needed.xs((task, size, counted), level=("task", "size", "counted"))
        return sorted({*np.ceil(found[[*budgets]]).to_numpy().ravel()})

    told = []
    for counted, text in {
        "all rates": "from {:.0f} to {:.0f} deployments on, on the animals",
        "one rate": "from {:.0f} to {:.0f} on if the right one is known",
    }.items():
        found = of("animals", "mean of four", counted)
        told.append(text.format(found[0], found[-1]))
    [of_all] = of("digits", "mean of four", "all rates", [1.0])
    of_one = of("digits", "mean of four", "one rate", [1.0])
    ends = f"{of_one[0]:.0f} to {of_one[-1]:.0f}"
    told.append(f"from {of_all:.0f} and from {ends} on at the quick budget")
    more = needed.xs(("digits", "mean of four", "all rates"), level=("task", "size", "counted"))
    beyond = (more[[4.0, 16.0]] == 0).sum().tolist()
    assert (len(more), beyond) == (3, [1, 2]), "README.md has these counts in words"
    animals, digits = (of(task, 450_000.0, "all rates") for task in ("animals", "digits"))
    told.append(f"takes {animals[0]:.0f} to {animals[-1]:.0f} deployments on the animals")
    told.append(f"on the digits {min(n for n in digits if n > 0):.0f} or more, or it never pays")
    assert digits[0] < 0 and not [text for text in told if text not in readme], told
