"""Weights as others keep them: wrapped, with prefixes, or no weights at all."""

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from natlib.inputs import WORDS, demand, listed, say


def read_weights(path: str | Path) -> dict:
    """Reads a file of PyTorch weights; a `ValueError` if it holds anything else."""
    told = foreign(path)
    demand(not told, "weights.foreign", path=path, told=told)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged archives fail in many ways
        odd = isinstance(error, pickle.UnpicklingError)  # torch would advise to trust the file
        why = "it is damaged, or holds Python objects beside a state dict" if odd else error
        raise ValueError(say("weights.unreadable", path=path, why=why)) from None


def read_checkpoint(path: Path, writer: str, *names: str) -> dict:
    """Reads a checkpoint, a dict with `settings` and `names`; a `ValueError` if it is none."""
    try:
        content, why = read_weights(path), f"it lacks one of 'settings', {listed(names, 99)}"
    except ValueError as error:
        content, why = None, error
    fine = isinstance(content, dict) and isinstance(content.get("settings"), dict)
    demand(fine and {*names} <= {*content}, "weights.checkpoint", path=path, writer=writer, why=why)
    return content


def foreign(path: str | Path) -> str:
    """Says what a file is that holds no weights, by its first bytes; empty if it may hold some."""
    with open(path, "rb") as file:
        start = file.read(64).lstrip().decode("latin-1")
    return next((kind for begin, kind in WORDS["kinds"].items() if start.startswith(begin)), "")


def unwrapped(state: Mapping, what: str) -> dict[str, Tensor]:
    """Returns the state dict inside known wrappings and prefixes; a warning says which."""
    found, words = [], WORDS["weights"]
    while not any(isinstance(value, Tensor) for value in state.values()):
        inner = [k for k in words["wrappings"] if isinstance(state.get(k), Mapping)]
        demand(inner, "weights.none", what=what, named=listed(state, 6) or "nothing")
        beside = f", not {listed(inner[1:])}" if inner[1:] else ""
        found, state = [*found, f"what is under '{inner[0]}'{beside}"], state[inner[0]]
    state = {k: v for k, v in state.items() if k != "n_averaged"}  # torch's count of averaged ones
    for prefix in 2 * words["prefixes"]:
        if all(name.startswith(prefix) for name in state):
            state = {name.removeprefix(prefix): value for name, value in state.items()}
            found.append(f"names without '{prefix}'")
    odd = [name for name, value in state.items() if not isinstance(value, Tensor)]
    demand(not odd, "weights.odd", what=what, named=listed(odd))
    if found not in ([], ["what is under 'state_dict'"]):
        warnings.warn(say("weights.unwrapped", what=what, how=", ".join(found)), stacklevel=3)
    return state
