"""Installing, moving and copying the project: what goes wrong is said in one sentence."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from urllib.request import urlopen

import nbformat
import pytest
from packaging.version import Version

from tests.helpers import bare, resolve

ROOT = Path(__file__).parents[1]
PAIRS = [(python, system) for python in resolve.PYTHONS for system in resolve.SYSTEMS]
SENTENCE = "choose the kernel of the course's environment: README.md tells how to make one"
COLORS = re.compile(r"\x1b\[[0-9;]*m")
needs_make = pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory):
    python = bare.make_bare(tmp_path_factory.mktemp("an environment") / "venv")
    find = [python, "-c", "import importlib.util as u; assert not u.find_spec('natlib')"]
    if subprocess.run(find, cwd=python.parent, env=bare.clean_environment()).returncode:
        pytest.skip("natlib lies among the packages: it was installed without --editable")
    return python


@pytest.fixture
def project(tmp_path):
    """A copy of the project, without what these tests do not need, in a folder with a blank."""
    copy = tmp_path / "a copy"
    shutil.copytree(ROOT / "natlib", copy / "natlib", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "requirements.lock", "Makefile"):
        shutil.copy(ROOT / name, copy)
    (copy / "notebooks").mkdir()
    return copy


def python(code, folder, path):
    """Runs a line of Python in a folder, with another one to import from."""
    command = [sys.executable, *code]
    environment = bare.clean_environment(PYTHONPATH=str(path))
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


# The lock.


def test_the_lock_has_one_release_of_each_package_for_each_python_and_system():
    for pair in PAIRS:
        names = [line.split("==")[0] for line in resolve.needed(*pair)]
        assert len(names) == len(set(names)) > 100, pair
        assert ("colorama" in names) == (pair[1] == "win") and "torch" in names
        assert ("appnope" in names) == (pair[1] == "macos")


def test_the_index_has_what_the_lock_names_for_another_system(tmp_path):
    """One pair; `make lock` asks for all."""
    pip = subprocess.run(
        [sys.executable, "-m", "pip", "--version"], capture_output=True, text=True, check=True
    )
    if Version(pip.stdout.split()[1]) < Version("24"):
        pytest.skip("this pip would download every package: it has no use for metadata alone")
    lock = tmp_path / "small.lock"
    lock.write_text("colorama==0.4.6\n", encoding="utf-8")
    if resolve.resolve("3.12", "win", "--retries=0", "--timeout=10", lock=lock):
        pytest.skip("no package index can be reached")
    assert not resolve.resolve("3.12", "win")
    lock.write_text("colorama==0.4.666\n", encoding="utf-8")
    assert "colorama==0.4.666" in resolve.resolve("3.12", "win", lock=lock)


def test_a_build_of_torch_for_the_cpu_fits_the_lock(tmp_path):
    (pin,) = [line for line in resolve.needed("3.12", "linux") if line.startswith("torch==")]
    release = pin.removeprefix("torch==") + "+cpu"
    info = f"torch-{release}.dist-info"
    with zipfile.ZipFile(tmp_path / f"torch-{release}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: torch\nVersion: {release}"
        )
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-deps", "--no-index"]
    command += ["--ignore-installed", f"--find-links={tmp_path}", pin]
    done = subprocess.run(command, capture_output=True, text=True)
    assert f"Would install torch-{release}" in done.stdout, done.stderr


# Wrong environments.


@pytest.mark.parametrize("name", ["02_surrogate", "exercises/05_reproduction"])
def test_the_first_cell_in_a_wrong_kernel_says_what_to_do(bare_python, tmp_path, name):
    """Also what an editor shows where the project was moved and its environment leads nowhere."""
    path = ROOT / "notebooks" / f"{name}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    first = next(cell.source for cell in notebook.cells if cell.cell_type == "code")
    (cell,) = bare.run_cells(bare_python, path.parent, [first], tmp_path)
    error = COLORS.sub("", bare.said(cell))
    assert "No module named 'natlib'" in error and SENTENCE in error


def test_natlib_of_another_folder_says_so(project):
    """A project that was copied with its environment, or natlib installed without --editable."""
    done = python(["-c", "import natlib"], project / "notebooks", ROOT)
    sentence = done.stderr.splitlines()[-1]
    assert done.returncode and sentence.startswith(f"ImportError: The project in {project} got")
    assert f"natlib from {ROOT}" in sentence and "README.md" in sentence
    assert python(["-c", "import natlib"], project / "notebooks", project).returncode == 0
    assert python(["-c", "import natlib"], project.parent, ROOT).returncode == 0


@pytest.mark.parametrize("command", ["notebooks", "handout"])
def test_commands_say_what_an_installed_package_lacks(project, command):
    folder = project.parent / "elsewhere"
    shutil.copytree(project / "natlib", folder / "natlib")
    done = python(["-m", "natlib", command], project.parent, folder)
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
    assert "without the notebooks" in done.stderr and "--editable ." in done.stderr


def test_a_command_without_packages_says_what_to_do(project, bare_python):
    code = "import sys; sys.modules['nbclient'] = None; from natlib.__main__ import main; main()"
    shutil.copytree(ROOT / "docs", project / "docs")
    shutil.copy(ROOT / "notebooks" / "execute.py", project / "notebooks")
    done = python(["-c", code, "notebooks"], project, project)
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
    assert "nbclient" in done.stderr and "README.md" in done.stderr


def environment(folder, says):
    """Makes what looks to make like an environment, whose Python prints something."""
    (folder / "bin").mkdir(parents=True)
    program = folder / "bin" / "python"
    program.write_text(f"#!/bin/sh\n{says}\n", encoding="utf-8")
    program.chmod(0o755)
    (folder / ".created").touch()
    (folder / ".installed").touch()


def make(*arguments):
    command = ["make", "-n", *arguments]
    clean = bare.clean_environment(MAKEFLAGS="", PYTHONPATH=str(ROOT))
    return subprocess.run(command, cwd=ROOT, env=clean, capture_output=True, text=True)


@needs_make
@pytest.mark.parametrize("says", ["echo /elsewhere/natlib/__init__.py", "exit 1", None])
def test_make_says_that_an_environment_is_of_another_folder_or_system(tmp_path, says):
    environment(tmp_path / "venv", says)
    if says is None:  # a link to a Python that this system lacks
        (tmp_path / "venv" / "bin" / "python").unlink()
    made = make("test", f"VENV={tmp_path / 'venv'}")
    assert made.returncode and "was not made for this folder on this system" in made.stderr
    assert f'rm -r "{tmp_path / "venv"}"' in made.stderr
    assert make("help", f"VENV={tmp_path / 'venv'}").returncode == 0


@needs_make
def test_jupyterlab_starts_as_root_and_otherwise(tmp_path):
    environment(tmp_path / "venv", f'exec "{sys.executable}" "$@"')
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = f"--no-browser --ServerApp.port={port} --IdentityProvider.token=natlib"
    home = {f"JUPYTER_{kind}_DIR": str(tmp_path / kind) for kind in ("CONFIG", "RUNTIME", "DATA")}
    clean = bare.clean_environment(MAKEFLAGS="", PYTHONPATH=str(ROOT), **home)
    with (tmp_path / "log").open("w", encoding="utf-8") as log:
        server = subprocess.Popen(
            ["make", "lab", f"VENV={tmp_path / 'venv'}", f"LAB={options}"],
            cwd=ROOT, env=clean, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        try:
            wait_for(f"http://127.0.0.1:{port}/api/status?token=natlib", server, tmp_path / "log")
        finally:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def wait_for(address, server, log):
    for _ in range(240):
        assert server.poll() is None, log.read_text(encoding="utf-8")
        try:
            with urlopen(address):
                return
        except OSError:
            time.sleep(0.5)
    raise TimeoutError(log.read_text(encoding="utf-8"))


# A hosted notebook.


def test_the_first_cell_of_a_hosted_notebook_runs(project, bare_python, tmp_path):
    text = (ROOT / "docs" / "colab.md").read_text(encoding="utf-8")
    (first,) = re.findall(r"```ipython\n(.*?)```", text, re.DOTALL)
    files = tmp_path / "my files"
    for name in ("a project", "z/y/x"):  # others, which are not natlib
        (files / name).mkdir(parents=True)
        (files / name / "pyproject.toml").touch()
    shutil.make_archive(str(files / "natlib"), "zip", project.parent, project.name)
    where = "import natlib, pathlib; print(natlib.__file__); print(pathlib.Path.cwd())"
    offline = {"PIP_NO_BUILD_ISOLATION": "0", "PIP_NO_INDEX": "1"}  # all packages are there
    cells = bare.run_cells(bare_python, files, [first, where, first, where], tmp_path, **offline)
    root = files / "natlib" / project.name
    assert not [cell for cell in cells if any(out.get("ename") for out in cell.outputs)]
    for cell in (cells[1], cells[3]):
        assert said_last(cell, 2) == [str(root / "natlib" / "__init__.py"), str(root / "notebooks")]
    later = [bare_python, "-c", "import natlib; print(natlib.__file__)"]
    done = subprocess.run(
        later, cwd=root, env=bare.clean_environment(), capture_output=True, text=True
    )
    assert done.stdout.strip() == str(root / "natlib" / "__init__.py"), done.stderr


def said_last(cell, n):
    return bare.said(cell).strip().splitlines()[-n:]
