"""How long a notebook takes and how much memory it needs: what many learners on one server ask.

    python benchmarks/notebooks.py notebooks/00_start_here.ipynb ...

Executes each notebook in a kernel of its own, asks that kernel at the end for the most memory that
it ever held (not the programs that it started), and prints a row of the table in
`notebooks/instructor.md`. The notebooks themselves are left as they are.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell

ASK = """
import json, os, resource, sys
unit = 1 if sys.platform == "darwin" else 1024  # bytes on macOS, KiB on Linux
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
used = resource.getrusage(resource.RUSAGE_SELF)
cpu = used.ru_utime + used.ru_stime
print(json.dumps({"peak": peak, "cpu": cpu, "threads": os.environ.get("OMP_NUM_THREADS")}))
"""


def measure(path: Path) -> dict:
    """Executes a notebook and returns what it took.

    Returns:
        `seconds` by the clock, `cpu` seconds of the kernel, `peak` memory of the kernel in bytes,
        `threads` as `OMP_NUM_THREADS` has them, and `size` of the executed copy in bytes.
    """
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(new_code_cell(ASK))
    client = NotebookClient(notebook, timeout=None, resources={"metadata": {"path": path.parent}})
    begin = time.perf_counter()
    client.execute()
    seconds = time.perf_counter() - begin
    answer = json.loads(notebook.cells.pop().outputs[0].text)
    return {"seconds": seconds, "size": len(nbformat.writes(notebook))} | answer


def main() -> None:
    """Prints a row for each notebook of the command line."""
    parser = argparse.ArgumentParser(description="Seconds and memory of executed notebooks.")
    parser.add_argument("notebooks", nargs="+", type=Path, help="notebooks to execute")
    print("| notebook | seconds | CPU seconds | peak memory | executed copy | threads |")
    for path in parser.parse_args().notebooks:
        took = measure(path)
        print(
            f"| {path.stem} | {took['seconds']:.0f} | {took['cpu']:.0f} | {took['peak'] / 1e9:.1f} "
            f"GB | {took['size'] / 1e6:.1f} MB | {took['threads'] or 'all'} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
