"""Is this machine ready? What a learner's first minutes can stumble over, in one table."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parents[1]
FREE_GB = 2.0
MEMORY_GB = 4.0

Finding = tuple[bool, str]


def check() -> pd.DataFrame:
    """Looks at Python, packages, device, memory, disk and the shipped data.

    Returns:
        One row per check: `what`, `ok` and `found`, which says what to do where it is not ok.
    """
    checks: dict[str, Callable[[], Finding]] = {
        "Python": _python,
        "packages": _packages,
        "device": _device,
        "memory": _memory,
        "free disk": _disk,
        "shipped data": _data,
        "profile": _profile,
    }
    rows = [(what, *look()) for what, look in checks.items()]
    return pd.DataFrame(rows, columns=["what", "ok", "found"]).set_index("what")


def _python() -> Finding:
    found = platform.python_version()
    right = platform.python_version_tuple()[:2] == ("3", "11")
    return right, found if right else f"{found}: the course is tested with 3.11 only"


def _packages() -> Finding:
    lock = ROOT / "requirements.lock"
    if not lock.exists():
        return True, "no requirements.lock to compare with"
    pins = [line.split("==") for line in lock.read_text().splitlines() if "==" in line]
    differing = [f"{name} {_installed(name)}" for name, pin in pins if _installed(name) != pin]
    if differing:
        shown = ", ".join(differing[:4]) + (", ..." if len(differing) > 4 else "")
        return False, f"{len(differing)} differ from requirements.lock ({shown}): run 'make lab'"
    return True, f"{len(pins)} as in requirements.lock"


def _installed(name: str) -> str:
    try:
        return version(name).split("+")[0]
    except PackageNotFoundError:
        return "missing"


def _device() -> Finding:
    import torch

    from natlib.train import pick_device

    device = pick_device()
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return True, f"{device.type} ({name}), {torch.get_num_threads()} of {os.cpu_count()} threads"


def _memory() -> Finding:
    try:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    except (AttributeError, OSError, ValueError):
        return True, "this system does not tell"
    advice = "" if free >= MEMORY_GB else f": close other programs, {MEMORY_GB:.0f} GB are needed"
    return free >= MEMORY_GB, f"{free:.1f} GB free{advice}"


def _disk() -> Finding:
    free = shutil.disk_usage(ROOT).free / 1e9
    advice = "" if free >= FREE_GB else f": make room, {FREE_GB:.0f} GB are needed"
    return free >= FREE_GB, f"{free:.0f} GB free{advice}"


def _data() -> Finding:
    from natlib.data import MIRRORED, POCKET, verify_checksum

    names = [*(f"{task}.npz" for task in MIRRORED), "supernet.safetensors"]
    for name in names:
        try:
            verify_checksum(POCKET / name)
        except (OSError, ValueError) as error:
            return False, str(error)
    return True, f"{len(names)} files, checksums right"


def _profile() -> Finding:
    from natlib.profiles import get_profile

    try:
        return True, f"{get_profile().name} (NATLIB_PROFILE chooses)"
    except ValueError as error:
        return False, str(error)
