"""The challenge: who finds most of a true front with few look-ups?

    python -m natlib challenge FILES...

A submission is a JSON file, which is read and never run:

    {"name": "my team", "table": "pocket", "lookups": [[4, 1, 2, 2, 2, 2, 2, 2], ...]}

`lookups` are encodings of the table in the order of looking, `BUDGET` at most, no two the same.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from natlib.inputs.checks import verify_checksum
from natlib.teach.tables import FOLDER, TABLES, TableSpace, load_table

BUDGET = 40  # look-ups
BASELINES = ("random", "NAT's inner loop")  # methods of the recording


def read_submission(path: str | Path) -> tuple[str, TableSpace, list[int]]:
    """Returns name, table and rows; a `ValueError` says what breaks the rules, and where."""

    def require(condition: object, message: str) -> None:
        if not condition:
            raise ValueError(f"{path}: {message}.")

    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{path}: this is no JSON ({error}): write it with json.dump.") from None
    keys = ["name", "table", "lookups"]
    require(isinstance(content, dict) and {*content} == {*keys}, f"give {', '.join(keys)} alone")
    name, table, lookups = map(content.get, keys)
    require(isinstance(name, str) and name.strip() and name.isprintable(), "name is a line of text")
    require(table in TABLES, f"table is one of {', '.join(TABLES)}")
    fits = isinstance(lookups, list) and 1 <= len(lookups) <= BUDGET
    require(fits, f"lookups is a list of 1 to {BUDGET} encodings")
    space, rows = load_table(table), []
    for number, x in enumerate(lookups, 1):
        whole = isinstance(x, list) and all(type(g) is int and abs(g) < 1000 for g in x) and x
        require(whole, f"look-up {number} is no list of small integers")
        try:
            rows += space.rows(x).tolist()
        except ValueError as error:
            raise ValueError(f"{path}: look-up {number}, {error}") from None
        require(rows[-1] not in rows[:-1], f"look-up {number} repeats an earlier one: drop it")
    return name, space, rows


def rank(paths: Sequence[str | Path]) -> pd.DataFrame:
    """Ranks submissions to one table by the share of the true hypervolume that they reached.

    Among them stand two baselines, medians of ten recorded seeds after as many look-ups.
    """
    submissions = [read_submission(path) for path in paths]
    if len(tables := sorted({space.name for _, space, _ in submissions})) > 1:
        raise ValueError(f"The files are for {' and '.join(tables)}: rank one table at a time.")
    space = submissions[0][1]
    F = space.measure(space.X)
    table = [(name, len(rows), space.reached(F[rows])) for name, _, rows in submissions]
    with np.load(verify_checksum(FOLDER / "searches.npz"), allow_pickle=False) as recorded:
        for name in BASELINES:
            runs = recorded[space.name][recorded["methods"].tolist().index(name), :, :BUDGET]
            share = np.median([space.reached(F[rows]) for rows in runs])
            table.append((f"({name}: median of {len(runs)} runs)", BUDGET, share))
    columns = ["name", "look-ups", "share of the true hypervolume"]
    ranked = pd.DataFrame(table, columns=columns).sort_values(columns[2], ascending=False)
    return ranked.set_index(ranked[columns[2]].rank(ascending=False, method="min").astype(int))


def main(arguments: Sequence[str]) -> None:
    """Prints the ranking of the files that the command line names."""
    told = "Ranks submissions, JSON files as notebooks/challenge.py describes them. Nothing is run."
    parser = argparse.ArgumentParser(prog="python -m natlib challenge", description=told)
    parser.add_argument("files", nargs="+", type=Path)
    print(rank(parser.parse_args(arguments).files).round(4).to_string(index_names=False))
