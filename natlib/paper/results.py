"""What the paper reports, what the authors published, and what you measured: one table.

A figure here is of one of three kinds, and the table never mixes them: *published* (by the paper,
or in the name of a network that its authors put online), *counted here* from a published
architecture, or measured in *your run*. Rehearsals are not results and never enter it.
"""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import torchvision
from torchvision.models import get_model_weights

from natlib.cost import CostTable
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
    """Returns the 14 networks that the authors published, with what we count for them.

    Returns:
        Columns `dataset`; `network`, the paper's name, or the authors' where the paper's table has
        no such network; `name`, the authors'; `architecture`; `activation`; `num_classes`; `top1`,
        `params`, `madds` as published (percent, millions); `counted_params`, `counted_madds`.
    """
    space, table = SearchSpace.paper(), pd.read_json(PAPER / "published_subnets.json")
    table = table.rename(columns=lambda name: name.removeprefix("published_").removesuffix("_M"))
    table["architecture"] = table.pop("arch").map(Architecture.from_dict)
    X = [space.encode(architecture)[None] for architecture in table.architecture]
    costs = [CostTable(space, n) for n in table.num_classes]
    table["counted_params"] = [int(cost.params(x)[0]) for cost, x in zip(costs, X, strict=True)]
    table["counted_madds"] = [int(cost.madds(x)[0]) for cost, x in zip(costs, X, strict=True)]
    table = table.merge(published_results()[[*NETWORK, "madds"]], "left", ["dataset", "madds"])
    return table.assign(network=table.network.fillna(table.name))


def read_results(runs: str | Path | None) -> pd.DataFrame:
    """Collects the results of finished runs, wherever they lie below the folder `runs`, if any.

    Returns:
        One row per network: `dataset`, `rehearsal`, `profile`, `seed`, `date`, `folder`, `network`,
        `architecture`, `top1`, `top1_se` (percent), `params`, `madds` (exact), `source`.

    Raises:
        ValueError: If a result file is damaged.
    """
    rows = []
    for file in sorted(Path(runs).rglob(RESULT)) if runs else ():
        try:
            about = json.loads(file.read_text(encoding="utf-8")) | {"folder": str(file.parent)}
            source = "profile {profile}, seed {seed}, {date:.10}, {folder}".format(**about)
            rows += [about | {"source": source} | network for network in about["networks"]]
        except (ValueError, KeyError):
            raise ValueError(
                f"{file} is damaged: delete it and start 'python -m natlib reproduce' again."
            ) from None
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

    Returns:
        One row per result of the paper, and after those of its data set each published network
        that the paper's table does not have. The upper level of the columns says what kind of
        figure stands there, and each kind has a column that says where it comes from.
    """
    rows = _side_by_side(runs)
    madds = rows.counted_madds_counted / 1e6
    measured = (f"; {AUTHORS} measured on " + rows.date_authors.str[:10]).fillna("")
    figures = {
        ("", "data set"): rows.dataset,
        ("", "network"): rows.network,
        (PUBLISHED, "top-1 (%)"): rows.top1,
        (PUBLISHED, "params (M)"): rows.params,
        (PUBLISHED, "MAdds (M)"): rows.madds,
        (PUBLISHED, "source"): rows.source,
        (COUNTED, "top-1 (%)"): rows.top1_authors,
        (COUNTED, "params (M)"): rows.counted_params_counted / 1e6,
        (COUNTED, "MAdds (M)"): madds,
        (COUNTED, "MAdds, difference (%)"): 100 * (madds / rows.madds - 1),
        (COUNTED, "source"): (rows.how_counted + measured).fillna("no architecture published"),
        (YOURS, "top-1 (%)"): rows.top1_yours,
        (YOURS, "standard error"): rows.top1_se_yours,
        (YOURS, "params (M)"): rows.params_yours / 1e6,
        (YOURS, "MAdds (M)"): rows.madds_yours / 1e6,
        (YOURS, "source"): rows.source_yours.astype(object).fillna("not run"),
    }
    return pd.DataFrame(figures).infer_objects()


def rehearsal_table(runs: str | Path | None) -> pd.DataFrame:
    """Returns what rehearsals gave: proof that the pipeline runs, and nothing else."""
    results = read_results(runs)
    columns = [*NETWORK, "top1", "params", "madds", "profile", "seed", "date"]
    rehearsed = _latest(results[results.rehearsal])[columns]
    return rehearsed.assign(kind="rehearsal, not a result").reset_index(drop=True)


def mobile_setting() -> pd.DataFrame:
    """Returns NAT-M1 to M4 on ImageNet beside other networks for phones, sorted by `madds`.

    The others' figures are those that come with torchvision's weights, and those in the names of
    two published Once-for-all networks: `top1` in percent, `params` and `madds` in millions.
    """
    nat = published_results().query("dataset == 'imagenet'").assign(family="NAT", source="paper")
    table, version = pd.read_csv(PAPER / "mobile.csv"), torchvision.__version__.split("+")[0]
    rows = nat[table.columns].values.tolist()
    for family, name, *figures, source in table.itertuples(index=False):
        if source != "torchvision":
            rows.append((family, name, *figures, source))
            continue
        for w in get_model_weights(name):
            figures = w.meta["_metrics"]["ImageNet-1K"]["acc@1"], w.meta["num_params"] / 1e6
            source = f"torchvision {version}, {w.name}"
            rows.append((family, name, *figures, 1000 * w.meta["_ops"], source))
    return pd.DataFrame(rows, columns=table.columns).sort_values("madds", ignore_index=True)


def to_markdown(table: pd.DataFrame) -> str:
    """Returns a table as Markdown; numbers as they are, missing values as a dash."""

    def text(value: object) -> str:
        short = f"{value:.6f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
        return "–" if pd.isna(value) else short

    rows = [table.columns, ["---"] * table.shape[1], *table.itertuples(index=False)]
    return "".join(f"| {' | '.join(map(text, row))} |\n" for row in rows)


def write_table(table: pd.DataFrame, folder: str | Path, name: str = "reproduction") -> list[Path]:
    """Writes a table as `NAME.csv` and `NAME.md` into a folder, and returns both paths."""
    flat = table.set_axis([c if isinstance(c, str) else " ".join(c).strip() for c in table], axis=1)
    paths = [Path(folder, f"{name}.{ending}") for ending in ("csv", "md")]
    paths[0].parent.mkdir(parents=True, exist_ok=True)
    write_text(paths[0], flat.to_csv(index=False))
    write_text(paths[1], to_markdown(flat))
    return paths


def styled(table: pd.DataFrame) -> pd.io.formats.style.Styler:
    """Returns the reproduction table for a notebook: rounded, with a dash where nothing is."""
    exact = {(COUNTED, "params (M)"): "{:.6f}", (COUNTED, "MAdds (M)"): "{:.6f}"}
    decimals = {column: "{:.1f}" for column in table.select_dtypes("number").columns} | exact
    style = table.style.format(decimals, na_rep="–").hide(axis="index")
    return style.set_caption("Published, counted here, and measured in your runs")
