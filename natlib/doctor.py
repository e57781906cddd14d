"""Is this machine ready? What a learner's first minutes can stumble over, in one table."""

from __future__ import annotations

import os
import platform
import shutil
import statistics
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parents[1]
MEMINFO = Path("/proc/meminfo")
FREE_GB = 2.0
MEMORY_GB = 4.0
# `make notebooks` and the step that `_step_ms` times, both on one machine with two slow cores.
REFERENCE_MINUTES = 22.0
REFERENCE_STEP_MS = 130.0
PATIENCE_MINUTES = 60.0

Finding = tuple[bool, str]


def check() -> pd.DataFrame:
    """Looks at Python, packages, device, threads, memory, disk, data, profile and speed.

    Returns:
        One row per check: `what`, `ok` and `found`, which says what to do where it is not ok.
    """
    checks: dict[str, Callable[[], Finding]] = {
        "Python": _python,
        "packages": _packages,
        "device": _device,
        "threads": _threads,
        "memory": _memory,
        "free disk": _disk,
        "shipped data": _data,
        "profile": _profile,
        "quick series": _minutes,
    }
    rows = [(what, *_finding(look)) for what, look in checks.items()]
    return pd.DataFrame(rows, columns=["what", "ok", "found"]).set_index("what")


def _finding(look: Callable[[], Finding]) -> Finding:
    try:
        return look()
    except ImportError as error:
        return False, f"{error}: run 'make lab', which installs what is missing"


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
    main = ", ".join(f"{name} {_installed(name)}" for name in ("torch", "numpy", "pymoo"))
    return True, f"{main}; all {len(pins)} as in requirements.lock"


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
    return True, f"{device.type} ({name})"


def _threads() -> Finding:
    import torch

    threads, cores = torch.get_num_threads(), _cores()
    advice = ""
    if threads > cores or (threads < cores and "OMP_NUM_THREADS" not in os.environ):
        effect = "would use all" if threads < cores else "would be faster"
        advice = f"; OMP_NUM_THREADS={cores} {effect}"
    return threads <= cores, f"{threads} for {cores} cores{advice}"


def _cores() -> int:
    """Returns how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory() -> Finding:
    free = _available_gb()
    if free is None:
        return True, "this system does not tell"
    advice = "" if free >= MEMORY_GB else f": close other programs, {MEMORY_GB:.0f} GB are needed"
    return free >= MEMORY_GB, f"{free:.1f} GB free{advice}"


def _available_gb() -> float | None:
    """Returns the memory that programs can still have; on Linux, what caches hold counts."""
    if MEMINFO.exists():
        sizes = dict(line.split(":") for line in MEMINFO.read_text().splitlines())
        return int(sizes["MemAvailable"].split()[0]) * 1024 / 1e9
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    except (AttributeError, OSError, ValueError):
        return None


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


def _minutes() -> Finding:
    step = _step_ms()
    minutes = REFERENCE_MINUTES * step / REFERENCE_STEP_MS
    found = f"about {max(2, round(minutes))} minutes, judged by a training step of {step:.0f} ms"
    slow = minutes > PATIENCE_MINUTES
    return not slow, found + (": close other programs, or start with notebook 00" if slow else "")


def _step_ms() -> float:
    """Returns the median time of a training step of the largest pocket subnet, in milliseconds."""
    import torch

    from natlib.space import SearchSpace
    from natlib.supernet import Supernet
    from natlib.train import pick_device

    space, device = SearchSpace.pocket(), pick_device()
    net = Supernet(space, num_classes=10).to(device)
    images = torch.zeros(32, 3, 32, 32, device=device)
    times = []
    for _ in range(7):
        begin = time.perf_counter()
        net(images, space.largest()).sum().backward()
        float(next(net.parameters()).grad.sum())  # waits for the device
        times.append(1e3 * (time.perf_counter() - begin))
    return statistics.median(times[2:])  # the first passes warm up
