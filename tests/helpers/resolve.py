"""Has the lock a release of each package for other Pythons and systems? Nothing is installed.

    python -m tests.helpers.resolve            # every Python on every system
    python -m tests.helpers.resolve 3.12 win   # one of them

Asks the package index that pip is set up for. pip reads markers as this Python and this system
would; so they are evaluated here, as the other ones would.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

from packaging.requirements import Requirement

LOCK = Path(__file__).parents[2] / "requirements.lock"
PYTHONS = ("3.11.2", "3.12", "3.13", "3.14")
# What pip calls a system, and what markers say there. The Linux is one of 2018 or later.
SYSTEMS = {
    "linux": ([f"manylinux_2_{n}_x86_64" for n in range(28, 4, -1)] + ["manylinux2014_x86_64"],
              ("posix", "linux", "Linux", "x86_64")),
    "win": (["win_amd64"], ("nt", "win32", "Windows", "AMD64")),
    "macos": (["macosx_14_0_arm64"], ("posix", "darwin", "Darwin", "arm64")),
}  # fmt: skip
KEYS = ("os_name", "sys_platform", "platform_system", "platform_machine")


def locked(lock: Path = LOCK) -> Iterator[Requirement]:
    """Yields the lines of a lock."""
    lines = lock.read_text(encoding="utf-8").splitlines()
    return (Requirement(line) for line in lines if line and not line.startswith("#"))


def needed(python: str, system: str, lock: Path = LOCK) -> list[str]:
    """Returns the pins of a lock that count for a Python, such as 3.11.2, on one of `SYSTEMS`."""
    full = python if python.count(".") == 2 else f"{python}.0"
    short = ".".join(python.split(".")[:2])
    there = dict(zip(KEYS, SYSTEMS[system][1], strict=True))
    there |= {"python_version": short, "python_full_version": full}
    there |= {"implementation_name": "cpython", "platform_python_implementation": "CPython"}
    return [
        f"{line.name}{line.specifier}"
        for line in locked(lock)
        if line.marker is None or line.marker.evaluate(there)
    ]


def resolve(python: str, system: str, *options: str, lock: Path = LOCK) -> str:
    """Asks pip for each needed package, without what it depends on.

    Args:
        python: The version of Python.
        system: One of `SYSTEMS`.
        options: More options for pip.
        lock: The lock.

    Returns:
        What pip says is missing; nothing if all is there.
    """
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed"]
    command += ["--no-deps", "--only-binary=:all:", "--quiet", f"--python-version={python}"]
    command += [f"--platform={tag}" for tag in SYSTEMS[system][0]]
    done = subprocess.run(
        [*command, *options, *needed(python, system, lock)],
        capture_output=True,
        text=True,
    )
    return done.stderr.strip() if done.returncode else ""


def main(chosen: list[str]) -> int:
    """Prints a line for each pair; returns 1 if one has no release of something, else 0."""
    pairs = [tuple(chosen)] if chosen else list(product(PYTHONS, SYSTEMS))
    with ThreadPoolExecutor(6) as pool:
        missing = dict(zip(pairs, pool.map(lambda pair: resolve(*pair), pairs), strict=True))
    for (python, system), text in missing.items():
        count = len(needed(python, system))
        print(f"Python {python} on {system}: {text or f'all {count} packages are there'}")
    return int(any(missing.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
