"""Settings and names, looked at before work starts; files that are written whole or not at all."""

import hashlib
import json
import secrets
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from numbers import Integral, Real
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import Tensor

from natlib.inputs import WORDS, demand, say

MOST_SEED = 4_000_000  # a search takes 1000 times the seed, and libraries take 32 bits


def is_one_of(name: str, known: Collection[str]) -> bool:
    """Returns whether a name is known; that it is a folder of folders too is a `ValueError`."""
    found = name in known
    demand(not (found and any(Path(name).glob("*/"))), "names.twofold", name=name)
    return found


def check_settings(
    profile: Mapping, choices: Mapping[str, tuple[str, Collection[str]]],
    objectives: tuple[str, ...], known: Sequence[str], seed: int,
) -> None:  # fmt: skip
    """Raises a `ValueError` that names what cannot work; `choices` are names, and those known."""
    for what, (name, names) in choices.items():
        demand(name in names, "settings.choice", what=what, name=name, known=", ".join(names))
    for name, least in WORDS["lowest"].items():
        kind, number = (Integral, Real)[isinstance(least, float)], profile.get(name)
        fine = number is None or isinstance(number, kind) and least <= number < np.inf
        demand(fine, "settings.number", name=name, number=number, least=least)
    fine = objectives[:1] == ("top1_err",) and {*objectives[1:]} <= {*known}
    fine = fine and 2 <= len(objectives) == len({*objectives})
    demand(fine, "settings.objectives", objectives=list(objectives), known=list(known))
    fine = isinstance(seed, Integral) and 0 <= seed <= MOST_SEED
    demand(fine, "settings.seed", seed=seed, most=MOST_SEED)


def check_limits(
    limits: Mapping[str, float], names: Sequence[str], costs: Mapping[str, Callable], X: NDArray
) -> None:
    """Raises a `ValueError` that names the limit that none of the subnets `X` keeps."""
    kept = np.ones(len(X), dtype=bool)
    for name, limit in limits.items():
        demand(name in names, "settings.limit", name=name, known=list(names))
        fine = isinstance(limit, Real) and 0 < limit < np.inf
        demand(fine, "settings.limit_number", name=name, limit=limit)
    for name in costs.keys() & names:
        values, limit = np.asarray(costs[name](X), dtype=float), limits.get(name, np.inf)
        fine = values.shape == (len(X),) and np.isfinite(values).all()
        demand(fine, "settings.cost", name=name, n=len(X), shape=values.shape)
        demand(values.min() <= limit, "settings.low", name=name, limit=limit, least=values.min())
        kept &= values <= limit
    demand(kept.any(), "settings.together", limits=dict(limits))


def check_split(name: str, images: Sequence, labels: Tensor, n_classes: int) -> None:
    """Raises a `ValueError` where a split cannot be trained or measured on."""
    fine = len(images) == len(labels) > (name == "train")
    demand(fine, "settings.split", name=name, n=len(images), m=len(labels))
    low, high = int(labels.min()), int(labels.max())
    about = {"name": name, "low": low, "high": high, "n": n_classes}
    demand(0 <= low <= high < n_classes, "settings.labels", **about)


def difference(found: object, wanted: object, name: str = "") -> str:
    """Returns the first place where two settings differ, with both values; empty if none does."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        parts = [(f"{name}.{k}", found.get(k), wanted.get(k)) for k in {**wanted, **found}]
    elif isinstance(found, list) and isinstance(wanted, list) and len(found) == len(wanted):
        parts = [(f"{name}.{i}", *pair) for i, pair in enumerate(zip(found, wanted, strict=True))]
    else:
        return "" if found == wanted else f"{name[1:]} = {found!r}, not {wanted!r}"
    return next((told for k, *pair in parts if (told := difference(*pair, k))), "")


def verify_checksum(path: Path) -> Path:
    """Returns a shipped file; raises if it is missing or not that of `checksums.json` beside it."""
    whole = "install natlib from a fresh copy of the project with 'pip install --editable .'"
    restore = f"run 'git checkout data/{path.parent.name}'"
    restore = restore if (path.parents[2] / ".git").exists() else whole
    demand(path.is_file(), "files.not_shipped", FileNotFoundError, path=path, restore=restore)
    expected = json.loads((path.parent / "checksums.json").read_text("utf-8"))[path.name]
    fine = hashlib.sha256(path.read_bytes()).hexdigest() == expected
    demand(fine, "files.not_as_shipped", path=path, restore=restore)
    return path


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Gives the name of a temporary file, which in the end replaces the path or leaves no trace."""
    path = Path(path)
    temporary = path.with_name(f"part-{secrets.token_hex(4)}-{path.name}")
    try:
        yield temporary
        temporary.replace(path)
    except (OSError, SafetensorError, RuntimeError) as error:
        why = error.__context__ or error  # torch hides what the disk said
        if isinstance(why, RuntimeError):
            raise
        raise OSError(say("files.write", path=path, why=why)) from None
    finally:
        temporary.unlink(missing_ok=True)
