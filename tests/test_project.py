"""pyproject.toml, the lock, environment.yml and the README say the same things."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import requires, version
from pathlib import Path

import pytest
import yaml
from IPython.core.inputtransformer2 import TransformerManager
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import natlib
from natlib.teach.machine import PYTHONS
from tests.helpers import resolve

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
LOCK_LINES = list(resolve.locked())
HERE = [line for line in LOCK_LINES if line.marker is None or line.marker.evaluate()]
LOCK = {canonicalize_name(line.name): str(line.specifier).removeprefix("==") for line in HERE}
EXTRAS = PROJECT["optional-dependencies"]
LOCKED = [
    Requirement(text)
    for text in sum((EXTRAS[name] for name in ("test", "lint", "site")), PROJECT["dependencies"])
]
CUDA = re.compile(r"nvidia-|cuda-|triton$")  # torch itself says which of these it needs


def test_lock_pins_each_package_once():
    malformed = [line for line in LOCK_LINES if not re.fullmatch(r"==[\w.]+", str(line.specifier))]
    assert not malformed, f"the lock takes only 'name==version', with a marker: {malformed}"
    assert len(LOCK) == len(HERE)


def test_lock_leaves_cuda_to_torch():
    assert not [line for line in LOCK_LINES if CUDA.match(line.name)]


@pytest.mark.parametrize("requirement", LOCKED, ids=str)
def test_lock_satisfies_pyproject(requirement):
    pin = LOCK.get(canonicalize_name(requirement.name))
    assert pin is not None, f"{requirement.name} is not in requirements.lock: run 'make lock'"
    assert requirement.specifier.contains(pin), f"{requirement.name}=={pin} is locked"


def test_lock_holds_what_its_packages_need():
    if any(version(name).split("+")[0] != pin for name, pin in LOCK.items()):
        pytest.skip("the installed versions are not those of requirements.lock")
    missing = []
    for name in sorted(LOCK):
        for need in map(Requirement, requires(name) or []):
            needed = canonicalize_name(need.name)
            if CUDA.match(needed) or (need.marker and not need.marker.evaluate({"extra": ""})):
                continue
            if needed not in LOCK or not need.specifier.contains(LOCK[needed], prereleases=True):
                missing.append(f"{name} needs {need}")
    assert not missing


def test_conda_takes_everything_but_python_from_the_lock():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))
    assert environment["name"] == PROJECT["name"]
    python, pip, through_pip = environment["dependencies"]
    assert python.removeprefix("python=") in PYTHONS and pip == "pip"
    assert through_pip == {"pip": ["-r requirements.lock", "-e ."]}


def test_pythons_are_the_same_everywhere():
    assert PROJECT["requires-python"] == f">={PYTHONS[0]}"
    first = (ROOT / "requirements.lock").read_text("utf-8").splitlines()[0]
    assert f"Python {PYTHONS[0]} to {PYTHONS[-1]}" in first
    makefile, readme = (
        (ROOT / "Makefile").read_text("utf-8"),
        (ROOT / "README.md").read_text("utf-8"),
    )
    assert f"natlib needs Python {PYTHONS[0]} to {PYTHONS[-1]}" in makefile
    assert f"Python {PYTHONS[0]} to {PYTHONS[-1]}" in readme
    assert {".".join(version.split(".")[:2]) for version in resolve.PYTHONS} == set(PYTHONS)
    assert (ROOT / "binder" / "runtime.txt").read_text("utf-8").strip() in {
        f"python-{version}" for version in PYTHONS
    }


def test_one_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert natlib.__version__ == PROJECT["version"] == citation["version"]


def test_one_licence():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert PROJECT["license"] == citation["license"] == "MIT"
    assert (ROOT / "LICENSE").read_text("utf-8").startswith("MIT License")


def test_library_imports_only_what_it_declares():
    import_names = {"ipython": "IPython", "pillow": "PIL", "scikit-learn": "sklearn"}
    declared = {
        import_names.get(name, name)
        for name in (Requirement(text).name for text in PROJECT["dependencies"])
    }
    imported = set()
    for path in (ROOT / "natlib").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                imported |= {getattr(node, "module", None) or alias.name for alias in node.names}
    undeclared = {name.split(".")[0] for name in imported} - declared
    undeclared -= {"natlib", *sys.stdlib_module_names}
    assert not undeclared, "add them to the dependencies in pyproject.toml"


def test_text_is_utf8_on_every_system():
    folders = ("natlib", "notebooks", "docs", "data", "benchmarks", "examples", "tests")
    found = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    careless = re.compile(r"\.(read_text\(\)|open\((\"[rwa]\")?\) as)")
    assert not [str(path) for path in found if careless.search(path.read_text("utf-8"))]


def test_readme_lists_the_notebooks_that_exist():
    listed = set(re.findall(r"\b\d\d_\w+", (ROOT / "README.md").read_text("utf-8")))
    capstone = {"07_capstone"}  # exercise and solution only
    assert listed == {path.stem for path in (ROOT / "notebooks").glob("[0-9]*.py")} | capstone


def test_readme_names_targets_that_exist():
    makefile = (ROOT / "Makefile").read_text("utf-8")
    named = set(re.findall(r"`make ([a-z]+)`", (ROOT / "README.md").read_text("utf-8")))
    assert named
    assert not {target for target in named if not re.search(rf"^{target}:", makefile, re.M)}


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
def test_wrong_python_gives_one_sentence(tmp_path):
    wrong = tmp_path / "python3.11"
    wrong.write_text("#!/bin/sh\nexit 1\n", "utf-8")
    wrong.chmod(0o755)
    made = subprocess.run(
        ["make", f"VENV={tmp_path / 'venv'}", f"PYTHON={wrong}", "test"],
        cwd=ROOT,
        env={**os.environ, "MAKEFLAGS": ""},
        capture_output=True,
        text=True,
    )
    assert made.returncode != 0
    sentence = made.stderr.splitlines()[0]
    assert sentence.startswith("natlib needs Python 3.11 to 3.14") and str(wrong) in sentence
    assert not (tmp_path / "venv").exists()


def test_containers_and_binder_take_the_lock_and_name_no_account():
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text("utf-8"))
    dockerfile = ROOT / ".devcontainer" / container["build"]["dockerfile"]
    (place,) = re.findall(r"NATLIB_VENV=(\S+)", dockerfile.read_text("utf-8"))
    assert container["postCreateCommand"] == f"make {place}/.installed"
    settings = container["customizations"]["vscode"]["settings"]
    assert settings["python.defaultInterpreterPath"] == f"{place}/bin/python"
    assert (ROOT / "binder" / "requirements.txt").read_text("utf-8") == "-r ../requirements.lock\n"
    post_build = ROOT / "binder" / "postBuild"
    assert os.access(post_build, os.X_OK)
    if shutil.which("bash"):
        subprocess.run(["bash", "-n", post_build], check=True)
    files = [*(ROOT / "binder").iterdir(), *(ROOT / ".devcontainer").iterdir()]
    for path in [*files, ROOT / "docs" / "colab.md"]:
        assert not re.search(r"https?://|git@|\.(com|org|io)\b", path.read_text("utf-8")), path


def test_first_cell_of_a_hosted_notebook_is_code():
    (cell,) = re.findall(
        r"```ipython\n(.*?)```", (ROOT / "docs" / "colab.md").read_text("utf-8"), re.S
    )
    ast.parse(TransformerManager().transform_cell(cell))


def test_readme_stays_one_screen():
    """As many lines as before other systems had a place in it, and some."""
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 100
