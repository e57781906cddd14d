"""What the paper reports, what the authors published, and what you measured: one table.

A figure here is of one of three kinds, and the table never mixes them: *published* (by the paper,
or in the name of a network that its authors put online), *counted here* from a published
architecture, or measured in *your run*. Rehearsals are not results and never enter it.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import torchvision
from torchvision.models import WeightsEnum, get_model_weights

from natlib.cost import CostTable
from natlib.data import DATA
from natlib.space import Architecture, SearchSpace

PAPER = DATA / "paper"
RESULT = "result.json"  # what natlib.reproduce leaves in a run folder
AUTHORS = "authors' weights"  # stands as the profile of what was measured with them
PUBLISHED, COUNTED, YOURS = "published", "counted here", "your run"
MOBILE_LIMIT = 600  # MAdds in millions of the mobile setting on ImageNet

MOBILE_NETWORKS = {
    "MobileNetV2": ("mobilenet_v2",),
    "MobileNetV3": ("mobilenet_v3_small", "mobilenet_v3_large"),
    "EfficientNet-B0": ("efficientnet_b0",),
    "MnasNet": ("mnasnet1_0", "mnasnet1_3"),
    "ShuffleNetV2": ("shufflenet_v2_x1_0", "shufflenet_v2_x1_5", "shufflenet_v2_x2_0"),
}
# MAdds in millions and top-1 of two Once-for-all networks, as their published names state them.
ONCE_FOR_ALL = {
    "flops@389M_top1@79.1_finetune@75": (389, 79.1),
    "flops@595M_top1@80.0_finetune@75": (595, 80.0),
}


def published_results() -> pd.DataFrame:
    """Returns the paper's 44 results.

    Returns:
        Columns `dataset`, `network`, `top1` (percent), `params` and `madds` (millions), `note`.
    """
    table = pd.read_csv(PAPER / "results.csv", keep_default_na=False)
    return table.set_axis(["dataset", "network", "top1", "params", "madds", "note"], axis=1)


def published_networks() -> pd.DataFrame:
    """Returns the 14 networks that the authors published, with what we count for them.

    Returns:
        Columns `dataset`; `network`, the paper's name for it, or the authors' where the paper's
        table has no such network; `name`, the authors' name; `architecture`; `activation`;
        `num_classes`; `top1`, `params` and `madds` as published (percent, millions);
        `counted_params` and `counted_madds` (exact).
    """
    networks = json.loads((PAPER / "published_subnets.json").read_text(encoding="utf-8"))
    return pd.DataFrame([describe_network(network) for network in networks])


def describe_network(network: dict) -> dict:
    """Returns a row of `published_networks`."""
    space, paper = SearchSpace.paper(), published_results()
    architecture = Architecture.from_dict(network["arch"])
    x = space.encode(architecture)
    cost = CostTable(space, network["num_classes"])
    same = paper[
        (paper.dataset == network["dataset"]) & (paper.madds == network["published_madds_M"])
    ]
    return {
        "dataset": network["dataset"],
        "network": same.network.iloc[0] if len(same) else network["name"],
        "name": network["name"],
        "architecture": architecture,
        "activation": network["activation"],
        "num_classes": network["num_classes"],
        "top1": network["published_top1"],
        "params": network["published_params_M"],
        "madds": network["published_madds_M"],
        "counted_params": int(cost.params(x)[0]),
        "counted_madds": int(cost.madds(x)[0]),
    }


def read_results(runs: str | Path | None) -> pd.DataFrame:
    """Collects the results of finished runs, wherever below a folder they lie.

    Args:
        runs: A folder of run folders; `None` or a missing one gives no rows.

    Returns:
        One row per network: `dataset`, `rehearsal`, `profile`, `seed`, `date`, `folder`,
        `network`, `architecture`, `top1`, `top1_se` (percent), `params`, `madds` (exact).

    Raises:
        ValueError: If a result file is damaged.
    """
    columns = ["dataset", "rehearsal", "profile", "seed", "date", "folder", "network"]
    columns += ["architecture", "top1", "top1_se", "params", "madds"]
    rows = []
    for file in sorted(Path(runs).rglob(RESULT)) if runs else ():
        try:
            result = json.loads(file.read_text(encoding="utf-8"))
            networks = result.pop("networks")
        except (ValueError, KeyError):
            raise ValueError(
                f"{file} is damaged: delete it and start 'python -m natlib.reproduce' again."
            ) from None
        rows += [result | {"folder": str(file.parent)} | network for network in networks]
    return pd.DataFrame(rows, columns=columns)


def latest(results: pd.DataFrame) -> pd.DataFrame:
    """Returns the networks of one run per data set: of the paper's profile if any, the latest."""
    ordered = results.assign(paper=results.profile == "paper").sort_values(["paper", "date"])
    chosen = ordered.groupby("dataset").folder.last()
    return results[results.folder == results.dataset.map(chosen)]


def reproduction_table(runs: str | Path | None = None) -> pd.DataFrame:
    """Returns paper, published networks and your own runs side by side.

    Args:
        runs: A folder of run folders.

    Returns:
        One row per result of the paper, and after those of its data set each published network
        that the paper's table does not have. The upper level of the columns says what kind of
        figure stands there, and each kind has a column that says where it comes from.
    """
    networks, results = published_networks(), read_results(runs)
    results = results[~results.rehearsal.astype(bool)]
    authors = results[results.profile == AUTHORS].set_index(["dataset", "network"])
    measured = authors[["top1", "date"]].rename(columns={"top1": "top1_measured"})
    networks = networks.join(measured, ["dataset", "network"])
    results, rows = latest(results[results.profile != AUTHORS]), []
    for dataset, paper in published_results().groupby("dataset", sort=False):
        counted = networks[networks.dataset == dataset].set_index("network")
        extra = counted[~counted.index.isin(paper.network)].reset_index()
        yours = results[results.dataset == dataset].set_index("network")
        for row in [*paper.to_dict("records"), *extra.to_dict("records")]:
            rows.append(
                {("", "data set"): dataset, ("", "network"): row["network"]}
                | published_cells(row)
                | counted_cells(row, counted)
                | your_cells(row["network"].removeprefix("NAT-"), yours)
            )
    return pd.DataFrame(rows, columns=pd.MultiIndex.from_tuples(rows[0]))


def published_cells(row: dict) -> dict:
    """Returns the published figures of a row."""
    where = "paper" if row["network"].startswith("NAT-M") else "authors' file name"
    return {
        (PUBLISHED, "top-1 (%)"): row["top1"],
        (PUBLISHED, "params (M)"): row["params"],
        (PUBLISHED, "MAdds (M)"): row["madds"],
        (PUBLISHED, "source"): "; ".join(filter(None, [where, row.get("note", "")])),
    }


def counted_cells(row: dict, counted: pd.DataFrame) -> dict:
    """Returns what we count for the published network of a row, and the difference.

    The top-1 is what its weights gave on test here, if you have them.
    """
    params = madds = top1 = np.nan
    source = "no architecture published"
    if row["network"] in counted.index:
        network = counted.loc[row["network"]]
        params, madds = network.counted_params / 1e6, network.counted_madds / 1e6
        top1, source = network.top1_measured, f"{network.architecture} {network.activation}"
        if pd.notna(top1):
            source += f"; {AUTHORS} measured on {network.date[:10]}"
    return {
        (COUNTED, "top-1 (%)"): top1,
        (COUNTED, "params (M)"): params,
        (COUNTED, "MAdds (M)"): madds,
        (COUNTED, "MAdds, difference (%)"): 100 * (madds / row["madds"] - 1),
        (COUNTED, "source"): source,
    }


def your_cells(network: str, yours: pd.DataFrame) -> dict:
    """Returns what your run measured for `M1` to `M4`, and where that comes from."""
    found = yours.loc[network] if network in yours.index else None
    values = (np.nan,) * 4 if found is None else (
        found.top1, found.top1_se, found.params / 1e6, found.madds / 1e6
    )  # fmt: skip
    names = ("top-1 (%)", "standard error", "params (M)", "MAdds (M)")
    source = "not run" if found is None else (
        f"profile {found.profile}, seed {found.seed}, {found.date[:10]}, {found.folder}"
    )  # fmt: skip
    cells = {(YOURS, name): value for name, value in zip(names, values, strict=True)}
    return cells | {(YOURS, "source"): source}


def rehearsal_table(runs: str | Path | None) -> pd.DataFrame:
    """Returns what rehearsals gave: proof that the pipeline runs, and nothing else."""
    results = read_results(runs)
    rehearsed = latest(results[results.rehearsal.astype(bool)])
    columns = ["dataset", "network", "top1", "params", "madds", "profile", "seed", "date"]
    return rehearsed[columns].assign(kind="rehearsal, not a result").reset_index(drop=True)


def mobile_setting() -> pd.DataFrame:
    """Returns NAT-M1 to M4 on ImageNet beside other networks for phones.

    The others' figures are those that come with torchvision's weights, and those in the names of
    two published Once-for-all networks.

    Returns:
        Columns `family`, `network`, `top1` (percent), `params` and `madds` (millions), `source`;
        sorted by `madds`.
    """
    nat = published_results().query("dataset == 'imagenet'").assign(family="NAT", source="paper")
    rows = nat.drop(columns=["dataset", "note"]).to_dict("records")
    for family, names in MOBILE_NETWORKS.items():
        for name in names:
            weights = get_model_weights(name)
            rows += [{"family": family, "network": name} | stated_figures(w) for w in weights]
    for name, (madds, top1) in ONCE_FOR_ALL.items():
        row = {"family": "Once-for-all", "network": name, "top1": top1, "madds": madds}
        rows.append(row | {"source": "its published name"})
    columns = ["family", "network", "top1", "params", "madds", "source"]
    return pd.DataFrame(rows, columns=columns).sort_values("madds", ignore_index=True)


def stated_figures(weights: WeightsEnum) -> dict:
    """Returns the figures that torchvision states for weights."""
    return {
        "top1": weights.meta["_metrics"]["ImageNet-1K"]["acc@1"],
        "params": weights.meta["num_params"] / 1e6,
        "madds": 1000 * weights.meta["_ops"],
        "source": f"torchvision {torchvision.__version__.split('+')[0]}, {weights.name}",
    }


def to_markdown(table: pd.DataFrame) -> str:
    """Returns a table as Markdown; numbers as they are, missing values as a dash."""
    heads = [" ".join(filter(None, column)) if isinstance(column, tuple) else column
             for column in table.columns]  # fmt: skip
    rows = [heads, ["---"] * len(heads)]
    for values in table.itertuples(index=False):
        rows.append(["–" if pd.isna(value) else show_value(value) for value in values])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def show_value(value: object) -> str:
    """Returns a number with up to six decimals, and anything else as text."""
    return f"{value:.6f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def export(table: pd.DataFrame, folder: str | Path, name: str = "reproduction") -> list[Path]:
    """Writes a table as `NAME.csv` and `NAME.md` into a folder, and returns both paths."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.csv", folder / f"{name}.md"]
    flat = table.copy()
    if table.columns.nlevels > 1:
        flat.columns = [" ".join(filter(None, column)) for column in table.columns]
    flat.to_csv(paths[0], index=False)
    paths[1].write_text(to_markdown(flat), encoding="utf-8")
    return paths


def styled(table: pd.DataFrame) -> pd.io.formats.style.Styler:
    """Returns the reproduction table for a notebook: rounded, with a dash where nothing is."""
    decimals = {column: "{:.1f}" for column in table.columns if column[1].endswith(("(%)", "(M)"))}
    decimals[(YOURS, "standard error")] = "{:.1f}"
    decimals |= {(COUNTED, "params (M)"): "{:.6f}", (COUNTED, "MAdds (M)"): "{:.6f}"}
    style = table.style.format(decimals, na_rep="–").hide(axis="index")
    return style.set_caption("Published, counted here, and measured in your runs")
