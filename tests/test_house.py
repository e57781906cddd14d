"""The house stands: rooms import one way and keep to their budgets, a name means one thing."""

import ast
import importlib
import re
import subprocess
import sys
from collections import defaultdict
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from natlib.__main__ import COMMANDS, main

ROOT = Path(__file__).parents[1]
FILES = {  # by name of the module
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((ROOT / "natlib").rglob("*.py"))
}
TREES = {module: ast.parse(path.read_text("utf-8")) for module, path in FILES.items()}
DOORS = ("natlib", "natlib.__main__")  # these lead into the rooms
ROOMS = {"inputs": 815, "deploy": 450, "paper": 900, "teach": 2715}  # most lines
MAY_USE = {  # `inputs` is the ground floor: it uses nothing of natlib, and all may use it
    "inputs": (), "core": ("inputs",), "deploy": ("inputs",), "paper": ("inputs", "deploy"),
    "teach": ("inputs", "deploy", "paper"),
}  # fmt: skip
CORE = [name for name in FILES if name.count(".") == 1 and name.split(".")[1] not in ROOMS]
CORE.remove("natlib.__main__")


def room_of(module):
    """Returns the room of a module, `core`, or `door`."""
    place = (module.split(".") + [""])[1]
    return place if place in ROOMS else "door" if module in DOORS else "core"


def lines_of(modules):
    return {name: len(FILES[name].read_text("utf-8").splitlines()) for name in modules}


def imports_of(module, tree):
    """Returns the modules of natlib that a module imports, anywhere in it."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module} imports relative to itself: write natlib.NAME"
            inner = {f"{node.module}.{alias.name}" for alias in node.names} & set(FILES)
            found |= inner or {node.module}
    return found & set(FILES)


IMPORTS = {module: imports_of(module, tree) for module, tree in TREES.items()}


def functions_of(tree, prefix=""):
    """Yields name and node of the functions, methods and classes of a module; not nested ones."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield prefix + node.name, node
        if isinstance(node, ast.ClassDef):
            yield from functions_of(node, f"{prefix}{node.name}.")


DEFINITIONS = [
    (f"{module}.{name}", node) for module in TREES for name, node in functions_of(TREES[module])
]


def is_public(name):
    return not any(part.startswith("_") for part in name.split("."))


def test_core_is_read_in_an_afternoon():
    assert len(CORE) <= 12, f"the core has {len(CORE)} modules: {CORE}"
    lines = lines_of(CORE)
    total = sum(lines.values())
    assert total <= 2600, f"the core has {total} lines: {lines}"


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_keeps_to_its_budget(room):
    lines = lines_of(name for name in FILES if room_of(name) == room)
    total = sum(lines.values())
    assert 0 < total <= ROOMS[room], f"natlib.{room} has {total} lines: {lines}"


def test_all_of_natlib_keeps_to_its_budget():
    total = sum(lines_of(FILES).values())
    assert total <= 7700, f"natlib has {total} lines"


def test_rooms_import_one_way():
    wrong = [
        f"{module} imports {other}"
        for module, others in IMPORTS.items()
        for other in others
        if (room := room_of(module)) != "door" and (there := room_of(other)) in ROOMS
        if there != room and there not in MAY_USE[room]
    ]
    assert not wrong
    below = [
        m for m in FILES if room_of(m) == "inputs" and {*map(room_of, IMPORTS[m])} - {"inputs"}
    ]
    assert not below, "the ground floor uses nothing else of natlib"
    assert IMPORTS["natlib"] - set(CORE) == {"natlib.teach.machine"}
    at_once = set().union(*(imports_of("natlib", node) for node in TREES["natlib"].body[1:-1]))
    assert at_once <= set(CORE), "natlib/__init__ imports the machine check only when asked for it"


def test_core_modules_have_an_order():
    try:
        tuple(TopologicalSorter({name: IMPORTS[name] & set(CORE) for name in CORE}).static_order())
    except CycleError as error:
        pytest.fail(f"these import each other: {' -> '.join(error.args[1])}")


def test_functions_are_short():
    long = {}
    for name, node in DEFINITIONS:
        if not isinstance(node, ast.ClassDef):
            text = node.body[0] if ast.get_docstring(node) else None
            docstring = text.end_lineno - text.lineno + 1 if text else 0
            lines = node.end_lineno - node.lineno + 1 - docstring
            long |= {name: lines} if lines > 40 else {}
    assert not long, "more than 40 lines without the docstring"


def says_nothing_new(node):
    """Says whether a method only sets a property, or only takes away what it overrides."""
    decorators = map(ast.unparse, getattr(node, "decorator_list", []))
    return ast.unparse(node.body[-1]) == "..." or any(d.endswith(".setter") for d in decorators)


def test_what_is_public_has_a_docstring():
    silent = [
        name
        for name, node in [*TREES.items(), *DEFINITIONS]
        if is_public(name) or name in DOORS
        if not ast.get_docstring(node) and not says_nothing_new(node)
    ]
    assert not silent


def test_no_constant_is_defined_twice():
    places = defaultdict(set)
    for module, tree in TREES.items():
        for node in tree.body:
            targets = getattr(node, "targets", [getattr(node, "target", None)])
            for name in (n.id for t in targets if t for n in ast.walk(t) if hasattr(n, "id")):
                if re.fullmatch(r"[A-Z][A-Z0-9_]+", name):
                    places[name].add(module)
    assert not {name: found for name, found in places.items() if len(found) > 1}


def test_a_name_means_one_thing():
    allowed = {
        "describe": set(),
        "check": {"natlib.teach.machine.check"},
        "export": {
            "natlib.deploy.export.export",
            "natlib.teach.explorer.ObjectiveExplorer.export",
        },
    }
    for word, places in allowed.items():
        found = {name for name, _ in DEFINITIONS if name.rpartition(".")[2] == word}
        assert found <= places, f"'{word}' means something else already"
    networks = {"torch.nn", "torch.nn.functional"}
    as_f = [
        module
        for module, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        if any(alias.asname == "F" for alias in node.names)
        if {getattr(node, "module", None), *(alias.name for alias in node.names)} & networks
    ]
    assert not as_f, "F is the matrix of objectives: write 'from torch.nn import functional'"


FRESH = """
from natlib import SearchSpace, Supernet, load_task, transfer
{rooms}
import contextlib, runpy, sys
assert natlib.transfer is transfer and callable(transfer), "natlib.transfer is the function"
from natlib.transfer import start
sys.argv[1:] = ["--help"]
for module in ("natlib", "natlib.transfer"):  # as python -m does it
    with contextlib.suppress(SystemExit):
        runpy.run_module(module, run_name="__main__")
"""


def test_a_fresh_process_has_the_main_names_and_both_command_lines():
    rooms = "\n".join(f"import {name}" for name in FILES if name not in DOORS)
    fresh = [sys.executable, "-c", FRESH.format(rooms=rooms)]
    done = subprocess.run(fresh, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    assert all(f"\n    {command}" in done.stdout for command in COMMANDS)
    assert "usage: python -m natlib transfer" in done.stdout, "python -m natlib.transfer is gone"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command, capsys):
    with pytest.raises(SystemExit) as done:
        main([command, "--help"])
    assert not done.value.code
    out, err = capsys.readouterr()
    assert out.startswith(f"usage: python -m natlib {command}")
    assert "Warning" not in err


def test_texts_name_what_exists():
    """Modules, and what is in them, that texts and examples name as `natlib.something`."""
    texts = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "Makefile")]
    for folder in (".devcontainer", "benchmarks", "data", "docs", "examples", "notebooks"):
        texts += [path for end in ("md", "py", "slurm") for path in ROOT.glob(f"{folder}/*.{end}")]
    names = {
        (str(path.relative_to(ROOT)), name.rstrip("."))
        for path in texts
        for name in re.findall(r"(?<![\w/.-])natlib(?!\.zip)(?:\.\w+)+", path.read_text("utf-8"))
    }
    assert not [f"{path}: {name}" for path, name in sorted(names) if not exists(name)]


def exists(name):
    """Says whether a dotted name leads to a module of natlib or to something in one."""
    parts = name.split(".")
    n = max(i for i in range(1, len(parts) + 1) if ".".join(parts[:i]) in FILES)
    found = importlib.import_module(".".join(parts[:n]))
    for part in parts[n:]:
        found = getattr(found, part, None)
    return found is not None
