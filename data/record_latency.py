"""Records how long the blocks of the pocket space take on this machine, for notebook 06.

    python data/record_latency.py NAME

Writes `data/latency/NAME-cpu.json`, for one thread, and where there is a CUDA card also
`data/latency/NAME-cuda.json`; one picture at a time, less than a minute. Each file says processor
or card, threads, version of torch, date and command. Let nothing else run meanwhile.
"""

from __future__ import annotations

import argparse
import re
import time
from datetime import date

import torch

from natlib.data import DATA
from natlib.deploy.latency import LatencyTable
from natlib.space import SearchSpace

ROUNDS = 9  # of which the shortest time of each block counts


def record(name: str, device: str) -> str:
    """Measures and writes the table of one device; returns a line that says so."""
    begin, path = time.monotonic(), DATA / "latency" / f"{name}-{device}.json"
    table = LatencyTable.measure(SearchSpace.pocket(), device, num_classes=10, rounds=ROUNDS)
    command = f"python data/record_latency.py {name}"
    table.about |= {"date": date.today().isoformat(), "command": command}
    path.parent.mkdir(exist_ok=True)
    table.save(path)
    return f"{path}: {table.about}, in {time.monotonic() - begin:.0f} s"


def main() -> None:
    """Records the tables that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", metavar="NAME", help="what to call this machine, such as laptop")
    name = parser.parse_args().name
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", name):
        parser.error(f"'{name}': take small letters, digits and hyphens, such as old-laptop")
    for device in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
        print(record(name, device), flush=True)


if __name__ == "__main__":
    main()
