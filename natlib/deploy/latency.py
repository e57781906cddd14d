"""What a subnet takes: milliseconds of whole populations by table look-up.

A subnet's latency is nearly the sum of its layers' latencies. So every distinct block is timed
once, by itself, and after that the latency of any architecture is a sum of entries of a table, as
in `natlib.cost` (Cai et al., ProxylessNAS, 2019, which NAT follows). A table belongs to the
machine on which it was measured and to one batch size.
"""

import json
import logging
import platform
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from natlib.cost import look_up, tabulate
from natlib.data import write_text
from natlib.inputs import demand
from natlib.inputs.processes import rank, world_size
from natlib.layers import build, fold_batch_norm, initialise, laid_out
from natlib.space import SearchSpace
from natlib.supernet import Supernet
from natlib.train import device_of
from natlib.transfer import CHECKPOINT

FILE = "latency.json"  # in a run folder


class LatencyTable:
    """Latency of subnets on one machine, by look-up; not beyond the resolutions measured."""

    def __init__(
        self, space: SearchSpace,
        resolutions: Sequence[int],  # that were measured, ascending; between them is interpolated
        ms: ArrayLike,  # of the blocks (resolutions, widths, genes, places), as cost.tabulate does
        about: dict,  # the machine and the measurement
    ) -> None:  # fmt: skip
        ends, wanted = (resolutions[0], resolutions[-1]), space.resolutions
        fine = ends[0] <= min(wanted) and max(wanted) <= ends[1]
        demand(fine, "latency.range", ends=ends, low=min(wanted), high=max(wanted))
        self.space, self.resolutions, self.about = space, list(resolutions), about
        # Rounded to what `save` writes, so that a table is the same after it was read back.
        self.ms = np.asarray(ms, float).round(6)
        self._table = np.apply_along_axis(
            lambda ms: np.interp(space.resolutions, resolutions, ms), 0, self.ms
        )

    def latency_ms(self, X: ArrayLike) -> NDArray[np.float64]:
        """Returns the predicted latency of each encoding in `X` in milliseconds a batch, `(n,)`."""
        return look_up(self.space, X, self._table)

    def same_as(self, other: Self) -> bool:
        """Returns whether another table holds the same milliseconds of the same space."""
        return self.space == other.space and np.array_equal(self.ms, other.ms)

    @classmethod
    def measure(
        cls, space: SearchSpace, device: torch.device | str = "cpu", batch_size: int = 1, *,
        num_classes: int = 1000,
        repeats: int = 5,  # timed runs of each block in a round; their median counts
        rounds: int = 3,  # of which the shortest time counts: what disturbs makes it longer
        threads: int = 1,  # on a CPU; small blocks gain nothing from several
    ) -> Self:  # fmt: skip
        """Times each distinct block of a space at five resolutions or less, batch norm folded."""
        index = np.linspace(0, len(space.resolutions) - 1, 5).round().astype(int)
        resolutions = [space.resolutions[i] for i in np.unique(index)]

        def time_of(module: nn.Module, *shape: int) -> float:
            module = fold_batch_norm(module.apply(initialise).to(device).eval())
            images = torch.randn(batch_size, *shape, device=device)
            return measure_ms(module, images, repeats, threads)

        def measure_all() -> NDArray[np.float64]:
            ms = tabulate(space, lambda b: time_of(build(b), b.c_in, b.side, b.side), resolutions)
            for w, width in enumerate(space.widths):
                features = space.blocks(space.smallest(width))[-1].c_out
                ms[:, w, :, 0] += time_of(nn.Linear(features, num_classes), features)
            return ms

        ms = np.min([measure_all() for _ in range(rounds)], axis=0)
        about = {"threads": threads, "batch_size": batch_size, "num_classes": num_classes}
        return cls(space, resolutions, ms, machine(device) | about)

    def save(self, path: str | Path) -> None:
        """Writes the table as JSON, under a temporary name that is then changed."""
        content = {"about": self.about, "space": self.space.to_json()}
        content |= {"resolutions": self.resolutions, "ms": self.ms.tolist()}
        write_text(Path(path), json.dumps(content) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Reads a table that `save` wrote; raises `ValueError` where it is none."""
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
            space = SearchSpace.from_json(content["space"])
            return cls(space, content["resolutions"], content["ms"], content["about"])
        except FileNotFoundError:
            raise FileNotFoundError(f"There is no latency table at {path}.") from None
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise ValueError(f"{path} is no complete latency table: measure anew.") from error


def for_run(
    net: Supernet, run_dir: str | Path | None = None, latency: LatencyTable | None = None
) -> LatencyTable:
    """Returns the latency table of a run folder, else the one that is passed, else a new one.

    The folder keeps it, so a run that goes on never mixes two measurements; a warning says where
    they are of another machine. `latency_ms` of the table is a cost for `natlib.transfer.start`.
    A folder with another table, or that lost its own, is a `ValueError`, as are several processes
    that would each measure one.
    """
    path = None if run_dir is None else Path(run_dir, FILE)
    if path is not None and path.exists():
        stored = LatencyTable.load(path)
        fine = stored.space == net.space and (latency is None or latency.same_as(stored))
        demand(fine, "latency.other", path=path)
        here = machine(device_of(net))
        there = {key: stored.about.get(key) for key in here}
        if there != here:
            told = f"The latencies in {path} were measured on {there}, but this is {here}"
            warnings.warn(f"{told}: the run goes on with them.", stacklevel=2)
        return stored
    lost = path is not None and path.with_name(CHECKPOINT).exists()
    demand(not lost, "latency.lost", folder=run_dir, file=FILE)
    demand(latency is not None or world_size() == 1, "latency.several", file=FILE)
    if latency is None:
        latency = LatencyTable.measure(net.space, device_of(net), num_classes=net.num_classes)
    if path is not None and rank() == 0:
        path.parent.mkdir(parents=True, exist_ok=True)
        latency.save(path)
    return latency


def measure_ms(module: nn.Module, images: Tensor, repeats: int = 30, threads: int = 1) -> float:
    """Returns the median milliseconds of a forward pass of a module in `eval` mode."""
    return float(measure_in_turn([module], [images], repeats, threads)[0])


def measure_in_turn(
    modules: Sequence[nn.Module], images: Sequence[Tensor], rounds: int = 30, threads: int = 1
) -> NDArray[np.float64]:
    """Returns the median milliseconds of a forward pass of each module in `eval` mode, `(n,)`.

    Every round times each once, so that a slow moment of the machine hits all alike.
    """
    inputs = [laid_out(x) if x.ndim == 4 else x for x in images]
    pairs = [dict(module=m, inputs=x) for m, x in zip(modules, inputs, strict=True)]
    timers = [timer("module(inputs)", names, threads) for names in pairs]
    with torch.inference_mode():
        times = [[one.timeit(1).mean for one in timers] for _ in range(rounds)]
    return 1e3 * np.median(times, axis=0)


def timer(code: str, names: dict, threads: int):
    """Returns torch's timer of a line of code, which warms up and waits for the device."""
    # It looks for a CUDA compiler, which is not needed, and would complain where a GPU is missing.
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    from torch.utils.benchmark import Timer

    return Timer(code, globals=names, num_threads=threads)


def machine(device: torch.device | str) -> dict[str, str]:
    """Returns what a measured latency depends on besides the network."""
    kind, info = torch.device(device).type, Path("/proc/cpuinfo")  # the latter on Linux
    name = torch.cuda.get_device_name(device) if kind == "cuda" else platform.machine()
    model = re.search("model name.*: (.*)", info.read_text("utf-8")) if info.exists() else None
    cpu = model[1] if model else platform.processor()
    return {"device": f"{name} {kind}", "cpu": cpu, "torch": torch.__version__}
