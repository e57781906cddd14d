"""What the paper reports, what the authors published, and what you measured: one table.

It never mixes three kinds of figures: *published* (by the paper, or in the name of a network that
its authors put online), *counted here* from a published architecture, and measured in *your run*.
"""

import json
from pathlib import Path

import pandas as pd

from natlib.cost import block_cost, classifier_cost
from natlib.data import DATA, write_text
from natlib.space import Architecture, SearchSpace

PAPER = DATA / "paper"
RESULT = "result.json"  # what natlib.paper.reproduce leaves in a run folder
AUTHORS = "authors' weights"  # stands as the profile of what was measured with them
PUBLISHED, COUNTED, YOURS = "published", "counted here", "your run"
MOBILE_LIMIT = 600  # MAdds in millions of the mobile setting on ImageNet
NETWORK = ["dataset", "network"]  # what names a row


def published_results() -> pd.DataFrame:
    """Returns the paper's 44 results: `top1` (percent), `params`, `madds` (millions), `note`."""
    table = pd.read_csv(PAPER / "results.csv", keep_default_na=False)
    return table.set_axis([*NETWORK, "top1", "params", "madds", "note"], axis=1)


def published_networks() -> pd.DataFrame:
    """Returns the 14 networks that the authors published, with `counted_params`, `counted_madds`.

    `network` is the paper's name, or where its table has none the authors', which is also `name`;
    `top1` (percent), `params` and `madds` (millions) are as published.
    """
    space, table = SearchSpace.paper(), pd.read_json(PAPER / "published_subnets.json")
    table = table.rename(columns=lambda name: name.removeprefix("published_").removesuffix("_M"))
    table["architecture"] = table.pop("arch").map(Architecture.from_dict)
    blocks = zip(map(space.blocks, table.architecture), table.num_classes, strict=True)
    costs = [sum(map(block_cost, b), classifier_cost(b[-1].c_out, n)) for b, n in blocks]
    table["counted_params"], table["counted_madds"] = zip(*costs, strict=True)
    table = table.merge(published_results()[[*NETWORK, "madds"]], "left", ["dataset", "madds"])
    return table.assign(network=table.network.fillna(table.name))


def read_results(runs: str | Path | None) -> pd.DataFrame:
    """Collects the results of finished runs, wherever they lie below the folder `runs`, if any.

    Returns one row per network: `top1` and `top1_se` are in percent, `params` and `madds` exact. A
    damaged result file is a `ValueError`.
    """
    rows = []
    for file in sorted(Path(runs).rglob(RESULT)) if runs else ():
        try:
            about = json.loads(file.read_text(encoding="utf-8")) | {"folder": str(file.parent)}
            source = "profile {profile}, seed {seed}, {date:.10}, {folder}".format(**about)
            rows += [about | {"source": source} | network for network in about["networks"]]
        except (ValueError, KeyError):
            what_to_do = "delete it and start 'python -m natlib reproduce' again"
            raise ValueError(f"{file} is damaged: {what_to_do}.") from None
    columns = [*NETWORK, "rehearsal", "profile", "seed", "date", "folder", "architecture", "top1"]
    table = pd.DataFrame(rows, columns=[*columns, "top1_se", "params", "madds", "source"])
    return table.astype({"rehearsal": bool})


def _latest(results: pd.DataFrame) -> pd.DataFrame:
    """Returns the networks of one run per data set: of the paper's profile if any, the latest."""
    ordered = results.assign(paper=results.profile == "paper").sort_values(["paper", "date"])
    chosen = ordered.groupby("dataset").folder.last()
    return results[results.folder == results.dataset.map(chosen)]


def _side_by_side(runs: str | Path | None) -> pd.DataFrame:
    """Returns a row per published network, with what was counted and measured for it joined."""
    rows, networks, results = published_results(), published_networks(), read_results(runs)
    rows["source"] = ("paper; " + rows.note).str.removesuffix("; ")
    networks["how"] = networks.architecture.astype(str) + " " + networks.activation
    extra = networks[~networks.network.isin(rows.network)].assign(source="authors' file name")
    order, rows = rows.dataset.unique(), pd.concat([rows, extra], join="inner")
    rows = pd.concat([rows[rows.dataset == name] for name in order], ignore_index=True)
    results = results[~results.rehearsal]
    authors, yours = (results[(results.profile == AUTHORS) == by] for by in (True, False))
    authors = authors.drop_duplicates(NETWORK, keep="last")
    yours = _latest(yours).assign(network=lambda table: "NAT-" + table.network)
    for other, suffix in ((networks, "_counted"), (authors, "_authors"), (yours, "_yours")):
        rows = rows.join(other.set_index(NETWORK).add_suffix(suffix), NETWORK)
    return rows


def reproduction_table(runs: str | Path | None = None) -> pd.DataFrame:
    """Returns paper, published networks and your own runs, below the folder `runs`, side by side.

    One row per result of the paper, and per published network that its table does not have. The
    upper level of the columns is the kind of figure, and each kind has a `source`.
    """
    rows = _side_by_side(runs)
    top1, params, madds = "top-1 (%)", "params (M)", "MAdds (M)"
    counted = rows.counted_madds_counted / 1e6
    measured = (f"; {AUTHORS} measured on " + rows.date_authors.str[:10]).fillna("")
    figures = {
        "": {"data set": rows.dataset, "network": rows.network},
        PUBLISHED: {top1: rows.top1, params: rows.params, madds: rows.madds, "source": rows.source},
        COUNTED: {
            top1: rows.top1_authors, params: rows.counted_params_counted / 1e6, madds: counted,
            "MAdds, difference (%)": 100 * (counted / rows.madds - 1),
            "source": (rows.how_counted + measured).fillna("no architecture published"),
        },
        YOURS: {
            top1: rows.top1_yours, "standard error": rows.top1_se_yours,
            params: rows.params_yours / 1e6, madds: rows.madds_yours / 1e6,
            "source": rows.source_yours.astype(object).fillna("not run"),
        },
    }  # fmt: skip
    parts = {kind: pd.DataFrame(columns) for kind, columns in figures.items()}
    return pd.concat(parts, axis=1).infer_objects()


def rehearsal_table(runs: str | Path | None) -> pd.DataFrame:
    """Returns what rehearsals gave: proof that the pipeline runs, and nothing else."""
    results = read_results(runs)
    columns = [*NETWORK, "top1", "params", "madds", "profile", "seed", "date"]
    rehearsed = _latest(results[results.rehearsal])[columns]
    return rehearsed.assign(kind="rehearsal, not a result").reset_index(drop=True)


def mobile_setting() -> pd.DataFrame:
    """Returns NAT-M1 to M4 on ImageNet beside other networks for phones, with sources, by MAdds."""
    nat = published_results().query("dataset == 'imagenet'").assign(family="NAT", source="paper")
    table = pd.concat([pd.read_csv(PAPER / "mobile.csv"), nat], join="inner")
    return table.sort_values("madds", kind="stable", ignore_index=True)


def write_table(table: pd.DataFrame, folder: str | Path, name: str = "reproduction") -> list[Path]:
    """Writes a table as `NAME.csv` and `NAME.md` into a folder, and returns both paths."""
    flat = table.set_axis([c if isinstance(c, str) else " ".join(c).strip() for c in table], axis=1)
    paths = [Path(folder, f"{name}.{ending}") for ending in ("csv", "md")]
    paths[0].parent.mkdir(parents=True, exist_ok=True)
    write_text(paths[0], flat.to_csv(index=False))
    known = flat.round(6).astype(object).where(flat.notna(), None)
    look = {"index": False, "floatfmt": ".10g", "missingval": "–"}  # numbers as they are
    write_text(paths[1], known.to_markdown(**look) + "\n")
    return paths


def styled(table: pd.DataFrame) -> "pd.io.formats.style.Styler":
    """Returns the reproduction table for a notebook: rounded, with a dash where nothing is."""
    exact = {(COUNTED, "params (M)"): "{:.6f}", (COUNTED, "MAdds (M)"): "{:.6f}"}
    decimals = {column: "{:.1f}" for column in table.select_dtypes("number").columns} | exact
    style = table.style.format(decimals, na_rep="–").hide(axis="index")
    return style.set_caption("Published, counted here, and measured in your runs")
