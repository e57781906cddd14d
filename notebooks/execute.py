"""Executes the notebooks of the course, one after another.

    python -m natlib notebooks
    python -m natlib notebooks 00_start_here solutions/00_start_here

Copies with outputs go to `build/notebooks`, and beside each a page that opens without a network.
The notebooks themselves stay as they are.
"""

from __future__ import annotations

import argparse
import os
import re
import time
from collections.abc import Sequence
from pathlib import Path

import joblib
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from docs.pages import make_page
from natlib.data import write_text
from natlib.profiles import get_profile

NOTEBOOKS = Path(__file__).parent
EXECUTED = NOTEBOOKS.parent / "build" / "notebooks"


def names(folder: str = "") -> list[str]:
    """Returns the notebooks of a subfolder, in the order of the course, as `execute` takes them."""
    found = sorted((NOTEBOOKS / folder).glob("[0-9]*.ipynb"))
    return [path.relative_to(NOTEBOOKS).with_suffix("").as_posix() for path in found]


def execute(name: str) -> Path:
    """Executes a notebook and returns the page of its copy.

    Args:
        name: The notebook, as a path below `notebooks/` without its ending.

    Raises:
        RuntimeError: If a cell fails. An older copy stays.
    """
    path = NOTEBOOKS / f"{name}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    quiet = ["--log-level=ERROR"]  # the kernel talks to this process only, and need not warn of it
    place = {"metadata": {"path": str(path.parent)}}
    client = NotebookClient(notebook, timeout=None, extra_arguments=quiet, resources=place)
    try:
        client.execute()
    except CellExecutionError as error:
        raise RuntimeError(f"{error}\n{name} failed; no notebook after it was run.") from None
    copy = EXECUTED / f"{name}.ipynb"
    copy.parent.mkdir(parents=True, exist_ok=True)
    write_text(copy, nbformat.writes(notebook) + "\n")
    return make_page(notebook, copy.with_suffix(".html"))


def prepare() -> None:
    """Sets what kernels inherit: cores, this environment, natlib of this folder, no answers."""
    os.environ.setdefault("OMP_NUM_THREADS", str(joblib.cpu_count()))
    # Matrices that numpy solves here are small: its threads would only wait for each other.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"  # before kernels of the same name elsewhere
    os.environ.pop("JUPYTER_PATH", None)
    os.environ["PYTHONPATH"] = str(NOTEBOOKS.parent)
    os.environ["NATLIB_ANSWERS"] = ""  # copies hold nobody's answers


def minutes(name: str) -> str:
    """Returns what a notebook says at its top about the time it takes."""
    text = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4).cells[0].source
    said = re.search(r"^.*laptop.*$", text, re.MULTILINE)
    return f": {said[0]}" if said else ""


def main(arguments: Sequence[str]) -> None:
    """Executes the notebooks of the command line, else lessons and solutions of the exercises.

    Raises:
        FileNotFoundError: If a notebook does not exist.
        RuntimeError: If a cell fails.
    """
    description = "Executes the notebooks; copies with outputs, and pages, go to build/notebooks."
    parser = argparse.ArgumentParser(prog="python -m natlib notebooks", description=description)
    parser.add_argument("names", nargs="*", metavar="NAME",
        help="such as 00_start_here or solutions/00_start_here; default: all")  # fmt: skip
    known = names() + names("solutions")
    chosen = [name.removesuffix(".ipynb") for name in parser.parse_args(arguments).names] or known
    if missing := sorted(set(chosen) - set(known) - set(names("exercises"))):
        raise FileNotFoundError(
            f"There is no notebook {missing[0]}: choose from {', '.join(known)}."
        )
    prepare()
    threads, profile = os.environ["OMP_NUM_THREADS"], get_profile().name
    print(f"Executing {len(chosen)} notebooks, profile '{profile}', {threads} threads:")
    for name in chosen:
        print(f"{name}{minutes(name)}", flush=True)
        begin = time.monotonic()
        page = execute(name)
        print(f"  {time.monotonic() - begin:.0f} s, {page}", flush=True)
