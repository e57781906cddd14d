"""A Python that has the packages of the course but not natlib, as on a fresh machine."""

import json
import os
import sys
import sysconfig
import venv
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]


def make_bare(folder: Path) -> Path:
    """Makes the environment and returns its Python. Packages are those of this environment."""
    venv.create(folder)
    place = {"base": str(folder), "platbase": str(folder)}
    packages = Path(sysconfig.get_path("purelib", "venv", place))
    here = dict.fromkeys(sysconfig.get_path(kind) for kind in ("purelib", "platlib"))
    # What `.pth` files there lead to is not followed, and so natlib is not found.
    (packages / "packages.pth").write_text("\n".join(here), encoding="utf-8")
    scripts = Path(sysconfig.get_path("scripts", "venv", place))
    return scripts / Path(sys.executable).name


def clean_environment(**more: str) -> dict[str, str]:
    """Returns the variables of this process without what leads to natlib."""
    return {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | more


def run_cells(python: Path, folder: Path, cells: list[str], home: Path, **more: str) -> list:
    """Runs cells in a kernel of a Python, in a folder, and returns them with their outputs.

    Args:
        python: The Python of the kernel.
        folder: Where the notebook lies.
        cells: The code; a cell that fails does not stop the next.
        home: A folder for what Jupyter writes.
        more: Further variables of the kernel.
    """
    argv = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = home / "kernels" / "bare" / "kernel.json"
    spec.parent.mkdir(parents=True, exist_ok=True)
    spec.write_text(
        json.dumps({"argv": argv, "display_name": "bare", "language": "python"}), "utf-8"
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    client = NotebookClient(
        notebook,
        kernel_name="bare",
        timeout=600,
        startup_timeout=300,
        allow_errors=True,
        resources={"metadata": {"path": str(folder)}},
    )
    before, os.environ["JUPYTER_PATH"] = os.environ.get("JUPYTER_PATH"), str(home)
    try:
        client.execute(env=clean_environment(**more))
    finally:
        os.environ.pop("JUPYTER_PATH")
        os.environ |= {} if before is None else {"JUPYTER_PATH": before}
    return notebook.cells


def said(cell: nbformat.NotebookNode) -> str:
    """Returns what a cell printed, and the text of its error."""
    texts = [out.get("text", "\n".join(out.get("traceback", []))) for out in cell.outputs]
    return "\n".join(texts)
