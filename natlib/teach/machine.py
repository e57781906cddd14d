"""Is this machine ready? What a learner's first minutes can stumble over, in one table."""

import os
import platform
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import joblib
import pandas as pd

from natlib.profiles import get_profile

ROOT = Path(__file__).parents[2]
MEMINFO = Path("/proc/meminfo")
FREE_GB, MEMORY_GB = 2.0, 4.0  # what the course needs on the disk and in memory
# `make notebooks` and the step that `_minutes` times, both on one machine with two slow cores.
REFERENCE_MINUTES, REFERENCE_STEP_MS, PATIENCE_MINUTES = 22.0, 130.0, 60.0
Finding = tuple[bool, str]


def check() -> pd.DataFrame:
    """Looks at all that can go wrong, in rows `what`: is it `ok`, what was `found`, what to do."""
    looks = {
        "Python": _python,
        "packages": _packages,
        "device": _device,
        "threads": _threads,
        "memory": _memory,
        "free disk": lambda: _room(shutil.disk_usage(ROOT).free, FREE_GB, "make room"),
        "shipped data": _data,
        "profile": lambda: (True, f"{get_profile().name} (NATLIB_PROFILE chooses)"),
        "quick series": _minutes,
    }
    table = pd.DataFrame(columns=["ok", "found"], index=pd.Index([], name="what"))
    for what, look in looks.items():
        try:
            table.loc[what] = look()
        except (ImportError, OSError, ValueError) as error:
            advice = ": run 'make lab', which installs what is missing"
            table.loc[what] = False, f"{error}{advice if isinstance(error, ImportError) else ''}"
    return table.astype({"ok": bool})


def _judge(ok: bool, found: str, advice: str) -> Finding:
    return ok, found if ok else f"{found}: {advice}"


def _python() -> Finding:
    found = platform.python_version()
    return _judge(found.startswith("3.11."), found, "the course is tested with 3.11 only")


def _packages() -> Finding:
    lock = ROOT / "requirements.lock"
    lines = lock.read_text().splitlines() if lock.exists() else []
    pins = [line.split("==") for line in lines if "==" in line]
    differing = [f"{name} {_installed(name)}" for name, pin in pins if _installed(name) != pin]
    main = ", ".join(f"{name} {_installed(name)}" for name in ("torch", "numpy", "pymoo"))
    found = f"{main}; {len(pins) - len(differing)} of {len(pins)} as in requirements.lock"
    return _judge(not differing, found, f"run 'make lab' ({', '.join(differing[:4])} differ)")


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

    threads, cores = torch.get_num_threads(), joblib.cpu_count()  # those that we may use
    idle = threads < cores and "OMP_NUM_THREADS" not in os.environ
    effect = "be faster" if threads > cores else "use all" if idle else ""
    advice = f"; OMP_NUM_THREADS={cores} would {effect}" if effect else ""
    return threads <= cores, f"{threads} for {cores} cores{advice}"


def _memory() -> Finding:
    if not MEMINFO.exists():
        return True, "this system does not tell"
    sizes = dict(line.split(":") for line in MEMINFO.read_text().splitlines())
    return _room(1024 * int(sizes["MemAvailable"].split()[0]), MEMORY_GB, "close other programs")


def _room(free: float, needed: float, advice: str) -> Finding:
    found = f"{free / 1e9:.1f} GB free"
    return _judge(free >= 1e9 * needed, found, f"{advice}, {needed:.0f} GB are needed")


def _data() -> Finding:
    from natlib.data import MIRRORED, POCKET, verify_checksum

    names = [*(f"{task}.npz" for task in MIRRORED), "supernet.safetensors"]
    for name in names:
        verify_checksum(POCKET / name)
    return True, f"{len(names)} files, checksums right"


def _minutes() -> Finding:
    import torch

    from natlib.deploy.latency import timer
    from natlib.space import SearchSpace
    from natlib.supernet import Supernet
    from natlib.train import pick_device

    space, device = SearchSpace.pocket(), pick_device()
    known = {"net": Supernet(space, num_classes=10).to(device), "arch": space.largest()}
    known["images"] = torch.zeros(32, 3, 32, 32, device=device)
    run, threads = "net(images, arch).sum().backward()", torch.get_num_threads()
    step = 1e3 * timer(run, known, threads).timeit(5).median  # two warm up
    minutes = max(2, REFERENCE_MINUTES * step / REFERENCE_STEP_MS)
    found = f"about {minutes:.0f} minutes, judged by a training step of {step:.0f} ms"
    advice = "close other programs, or start with notebook 00"
    return _judge(minutes <= PATIENCE_MINUTES, found, advice)
