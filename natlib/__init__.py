"""natlib: Neural Architecture Transfer (NAT), rebuilt as a library to read and a course to run.

The modules of this folder are the method: a search space (`space`, `cost`), the supernet that
holds its weights (`layers`, `supernet`), tasks and training (`data`, `train`, `evaluate`), search
(`surrogate`, `search`), and the loop that joins them (`transfer`, with the numbers in
`profiles`). Below it, `natlib.inputs` reads what comes from outside. Three rooms stand beside it:
`natlib.deploy` takes a network home, `natlib.paper` reproduces the paper, `natlib.teach` draws and
checks for the notebooks.
"""

import sys
import warnings
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]  # its folder, or one of installed packages
_here = next((p for p in (Path.cwd(), *Path.cwd().parents) if (p / "natlib/space.py").exists()), 0)
if _here and not _here.samefile(PROJECT):  # as when an environment was copied with its project
    raise ImportError(
        f"The project in {_here} got natlib from {PROJECT}: this environment is of another folder. "
        f"Make one here as README.md says, or run '{Path(sys.executable)} -m pip install "
        f"--no-deps --editable {_here}' and restart."
    )
# `python -m natlib.transfer`, the older command line, finds its module imported already.
warnings.filterwarnings("ignore", "'natlib.transfer' found in sys.modules", RuntimeWarning)
__version__ = "0.1.0"

try:
    from natlib.cost import CostTable
    from natlib.data import Task, load_task
    from natlib.search import nsga3
    from natlib.space import Architecture, SearchSpace
    from natlib.supernet import Supernet
    from natlib.surrogate import RBFEnsemble
    from natlib.transfer import transfer
except ImportError as error:  # `natlib.check` must be able to say what is missing
    _missing = error
except KeyboardInterrupt:
    if sys.argv[0] != "-m":  # which stands there while `python -m natlib` imports this
        raise
    raise SystemExit("Interrupted before anything began.") from None
else:
    _missing = None

__all__ = [
    "Architecture",
    "CostTable",
    "RBFEnsemble",
    "SearchSpace",
    "Supernet",
    "Task",
    "check",
    "load_task",
    "nsga3",
    "transfer",
]


def __getattr__(name: str) -> object:
    if name == "check":
        from natlib.teach.machine import check

        return check
    if _missing is not None and name in __all__:
        raise ImportError(f"{_missing}; natlib.check() says what to install.") from _missing
    raise AttributeError(f"module 'natlib' has no attribute '{name}'")
