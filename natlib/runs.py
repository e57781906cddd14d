"""The run folder: what a transfer leaves behind, and how an interrupted one goes on.

`checkpoint.safetensors` is the truth: weights, momentum, archive and history in one file, written
under a temporary name and renamed, so that at any moment a complete state is on disk. The other
files are views of it for people and notebooks, written anew after each checkpoint:
`config.json`, `archive.jsonl`, `history.csv` and `front.csv`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

CHECKPOINT = "checkpoint.safetensors"
CONFIG = "config.json"
FORMAT = "natlib run 1"


@contextmanager
def locked(run_dir: Path) -> Iterator[None]:
    """Holds the run folder for this process.

    Raises:
        RuntimeError: If another process works in it.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    lock = FileLock(run_dir / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise RuntimeError(
            f"Another process is working in {run_dir}: wait for it or choose another run folder."
        ) from None
    try:
        yield
    finally:
        lock.release()


def write_text(path: Path, text: str) -> None:
    """Writes a text file under a temporary name and renames it."""
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def check_config(run_dir: Path, config: dict) -> None:
    """Compares the settings with those that the folder was started with; writes them if it is new.

    Raises:
        ValueError: If the folder belongs to a run with other settings, naming the first of them.
    """
    path = run_dir / CONFIG
    if not path.exists():
        write_text(path, json.dumps(config, indent=1))
        return
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))["settings"]
    except (json.JSONDecodeError, KeyError, TypeError):
        raise ValueError(
            f"{path} is damaged or was not written by a transfer: choose another run folder."
        ) from None
    wanted = json.loads(json.dumps(config["settings"]))
    for key, value in wanted.items():
        if settings.get(key) != value:
            raise ValueError(
                f"{run_dir} belongs to a run with {key} = {settings.get(key)!r}, not {value!r}: "
                "choose another run folder, or resume with the same settings."
            )


def save_checkpoint(
    run_dir: Path, net: nn.Module, optimizer: torch.optim.Optimizer, state: dict
) -> None:
    """Writes weights, momentum and state as one file, all or nothing.

    Args:
        run_dir: The run folder.
        net: The module.
        optimizer: Its SGD optimizer.
        state: What else the run needs to go on, as plain JSON values.
    """
    tensors = {f"net.{name}": tensor for name, tensor in net.state_dict().items()}
    for name, parameter in net.named_parameters():
        momentum = optimizer.state.get(parameter, {}).get("momentum_buffer")
        if momentum is not None:
            tensors[f"momentum.{name}"] = momentum
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    temporary = run_dir / (CHECKPOINT + ".part")
    save_file(tensors, temporary, metadata={"format": FORMAT, "state": json.dumps(state)})
    temporary.replace(run_dir / CHECKPOINT)


def read_checkpoint(run_dir: Path) -> tuple[dict[str, Tensor], dict] | None:
    """Returns tensors and state of the last checkpoint, or `None` where there is none yet.

    Raises:
        ValueError: If the file is truncated or foreign.
    """
    path = run_dir / CHECKPOINT
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except SafetensorError as error:
        raise ValueError(
            f"{path} is truncated or damaged ({error}): delete it to begin anew."
        ) from None
    if about.get("format") != FORMAT:
        raise ValueError(f"{path} was not written by a transfer of this version of natlib.")
    return tensors, json.loads(about["state"])


def restore(net: nn.Module, optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Puts the tensors of `read_checkpoint` back into a module and its optimizer."""
    net.load_state_dict(
        {name[4:]: tensor for name, tensor in tensors.items() if name.startswith("net.")}
    )
    for name, parameter in net.named_parameters():
        momentum = tensors.get(f"momentum.{name}")
        if momentum is not None:
            buffer = torch.empty_like(parameter).copy_(momentum)
            optimizer.state[parameter]["momentum_buffer"] = buffer
