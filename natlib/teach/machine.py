"""Is this machine ready? What a learner's first minutes can stumble over, in one table."""

import os
import platform
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version
from subprocess import list2cmdline

import joblib
import pandas as pd
import psutil
from packaging.requirements import Requirement

from natlib import PROJECT
from natlib.profiles import get_profile

LOCK = PROJECT / "requirements.lock"
PYTHONS = ("3.11", "3.12", "3.13", "3.14")  # those that the lock is made for
INSTALL = f": run {list2cmdline([sys.executable, *'-m pip install -r'.split(), str(LOCK)])}"
MICROSOFT = "; torch needs Microsoft's Visual C++ Redistributable"
MACHINES = {"Linux": ("x86_64", "aarch64"), "Windows": ("AMD64",), "Darwin": ("arm64",)}
FREE_GB, MEMORY_GB = 2.0, 4.0  # what the course needs on the disk and in memory
# `make notebooks` and the step that `_minutes` times, both on one machine with two slow cores.
REFERENCE_MINUTES, REFERENCE_STEP_MS, PATIENCE_MINUTES = 22.0, 130.0, 60.0


def check() -> pd.DataFrame:
    """Looks at all that can go wrong, in rows `what`: is it `ok`, what was `found`, what to do."""
    looks = {
        "Python": _python,
        "packages": _packages,
        "device": _device,
        "threads": _threads,
        "memory": lambda: _room(psutil.virtual_memory().available, MEMORY_GB, "close programs"),
        "free disk": lambda: _room(shutil.disk_usage(PROJECT).free, FREE_GB, "make room"),
        "shipped data": _data,
        "profile": lambda: (True, f"{get_profile().name} (NATLIB_PROFILE chooses)"),
        "quick series": _minutes,
    }
    table = pd.DataFrame(columns=["ok", "found"], index=pd.Index([], name="what"))
    for what, look in looks.items():
        try:
            table.loc[what] = look()
        except (ImportError, OSError, ValueError) as error:
            advice = INSTALL if isinstance(error, ImportError) else ""
            unloadable = getattr(error, "winerror", None) in (126, 1114)  # libraries, on Windows
            table.loc[what] = False, f"{error}{MICROSOFT if unloadable else advice}"
    return table.astype({"ok": bool})


def _judge(ok: bool, found: str, advice: str) -> tuple[bool, str]:
    return ok, found if ok else f"{found}: {advice}"


def _python() -> tuple[bool, str]:
    release, system, machine = platform.python_version(), platform.system(), platform.machine()
    found = f"{release} on {system} ({machine}), in {sys.prefix}"
    if machine not in MACHINES.get(system, ()):
        return False, f"{found}: torch is not made for it, use a hosted notebook (docs/colab.md)"
    return _judge(release.startswith(PYTHONS), found, f"the course needs {' or '.join(PYTHONS)}")


def _packages() -> tuple[bool, str]:
    lines = LOCK.read_text("utf-8").splitlines() if LOCK.exists() else []
    pins = [Requirement(line) for line in lines if not line.startswith("#")]
    pins = [pin for pin in pins if pin.marker is None or pin.marker.evaluate()]
    differing = [pin.name for pin in pins if str(pin.specifier) != f"=={_installed(pin.name)}"]
    main = ", ".join(f"{name} {_installed(name)}" for name in ("torch", "numpy", "pymoo"))
    found = f"{main}; {len(pins) - len(differing)} of {len(pins)} as in requirements.lock"
    return _judge(not differing, found, f"{differing[:4]} differ{INSTALL}")


def _installed(name: str) -> str:
    try:
        return version(name).split("+")[0]
    except PackageNotFoundError:
        return "missing"


def _device() -> tuple[bool, str]:
    import torch

    from natlib.train import pick_device

    device = pick_device()
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return True, f"{device.type} ({name})"


def _threads() -> tuple[bool, str]:
    import torch

    threads, cores = torch.get_num_threads(), joblib.cpu_count()  # those that we may use
    idle = threads < cores and "OMP_NUM_THREADS" not in os.environ
    effect = "be faster" if threads > cores else "use all"
    advice = f"; OMP_NUM_THREADS={cores} would {effect}" if threads > cores or idle else ""
    return threads <= cores, f"{threads} for {cores} cores{advice}"


def _room(free: float, needed: float, advice: str) -> tuple[bool, str]:
    found = f"{free / 1e9:.1f} GB free"
    return _judge(free >= 1e9 * needed, found, f"{advice}, {needed:.0f} GB are needed")


def _data() -> tuple[bool, str]:
    from natlib.data import MIRRORED, POCKET
    from natlib.inputs.checks import verify_checksum

    for name in (*(f"{task}.npz" for task in MIRRORED), "supernet.safetensors"):
        verify_checksum(POCKET / name)
    return True, f"{len(MIRRORED) + 1} files, checksums right"


def _minutes() -> tuple[bool, str]:
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
    return _judge(minutes <= PATIENCE_MINUTES, found, "close programs, or start with notebook 00")
