"""What a subnet takes: milliseconds of whole populations by table look-up.

A subnet's latency is nearly the sum of its layers' latencies. So every distinct block is timed
once, by itself, and after that the latency of any architecture is a sum of entries of a table, as
in `natlib.cost` (Cai et al., ProxylessNAS, 2019, which NAT follows). A table belongs to the
machine on which it was measured and to one batch size.
"""

from __future__ import annotations

import json
import platform
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from natlib.cost import Block, look_up, side_after, strided, tabulate, tabulate_ends
from natlib.layers import ConvNorm, InvertedResidual, channels_last, fold_batch_norm
from natlib.runs import write_text
from natlib.space import SearchSpace, expanded_channels
from natlib.supernet import FeatureMix

WARM_UP = 5


class LatencyTable:
    """Latency of subnets on one machine, by look-up.

    Args:
        space: The search space.
        resolutions: Resolutions that were measured, ascending; those in between are interpolated.
        ends: Milliseconds of stem and head, `(resolutions, widths, 2)`.
        layers: Milliseconds of the layers, `(resolutions, widths, stages, max_depth, genes)`.
        about: Description of the machine and of the measurement.

    Raises:
        ValueError: If the space has resolutions below or above the measured ones.
    """

    def __init__(
        self,
        space: SearchSpace,
        resolutions: Sequence[int],
        ends: ArrayLike,
        layers: ArrayLike,
        about: dict,
    ) -> None:
        if min(space.resolutions) < resolutions[0] or max(space.resolutions) > resolutions[-1]:
            raise ValueError(
                f"The latencies were measured at {resolutions[0]} to {resolutions[-1]} px, but the "
                f"space asks for {min(space.resolutions)} to {max(space.resolutions)} px: measure "
                "more resolutions or choose fewer."
            )
        self.space, self.resolutions, self.about = space, list(resolutions), about
        # Rounded to what `save` writes, so that a table is the same after it was read back.
        self.ends, self.layers = (np.asarray(ms, float).round(6) for ms in (ends, layers))
        shares = [
            np.interp(space.resolutions, resolutions, row) for row in np.eye(len(resolutions))
        ]
        self._ends = np.einsum("mr,m...->r...", shares, self.ends)
        self._layers = np.einsum("mr,m...->r...", shares, self.layers)

    def latency_ms(self, X: ArrayLike) -> NDArray[np.float64]:
        """Returns the predicted latency of each row of `X` in milliseconds a batch, `(n,)`.

        Raises:
            ValueError: If a row is no canonical encoding of the space.
        """
        return look_up(self.space, X, self._ends, self._layers)

    def same_as(self, other: LatencyTable) -> bool:
        """Returns whether another table holds the same milliseconds of the same space."""
        return self.space == other.space and all(
            np.array_equal(ours, theirs)
            for ours, theirs in ((self.ends, other.ends), (self.layers, other.layers))
        )

    @classmethod
    def measure(
        cls,
        space: SearchSpace,
        device: torch.device | str = "cpu",
        batch_size: int = 1,
        *,
        num_classes: int = 1000,
        resolutions: Sequence[int] | None = None,
        repeats: int = 10,
        rounds: int = 3,
        threads: int = 1,
    ) -> LatencyTable:
        """Times each distinct block of a space, batch norm folded.

        Args:
            space: The search space.
            device: Where to measure.
            batch_size: Images a batch.
            num_classes: Outputs of the classifier.
            resolutions: Resolutions to measure; by default at most five of the space's, with the
                smallest and the largest.
            repeats: Timed runs of each block in a round; their median counts.
            rounds: How often the whole table is measured. Of each block the shortest counts: what
                else the machine does makes a time longer, never shorter.
            threads: Threads on a CPU. Small blocks gain nothing from several, which on a busy
                machine spend their time waiting for each other.
        """
        resolutions = resolutions or spread(space.resolutions, 5)

        def time_of(layers: list[nn.Module], channels: int, side: int) -> float:
            images = torch.randn(batch_size, channels, side, side, device=device)
            module = fold_batch_norm(nn.Sequential(*layers).to(device).eval())
            return measure_ms(module, channels_last(images), repeats, threads)

        def time_of_block(block: Block) -> float:
            *shape, side, act, squeeze = block
            return time_of([InvertedResidual(*shape, act, squeeze)], block.c_in, side)

        def time_of_ends(resolution: int, width: float) -> tuple[float, float]:
            channels = space.stage_channels(width)[-1]
            side = side_after(space, resolution, space.n_stages)
            stem = time_of(stem_layers(space, width), 3, resolution)
            return stem, time_of(head_layers(space, width, num_classes), channels, side)

        ends = [tabulate_ends(space, resolutions, time_of_ends) for _ in range(rounds)]
        layers = [tabulate(space, resolutions, time_of_block) for _ in range(rounds)]
        about = describe_machine(device) | {"threads": threads, "batch_size": batch_size}
        about["num_classes"] = num_classes
        return cls(space, resolutions, np.min(ends, axis=0), np.min(layers, axis=0), about)

    def save(self, path: str | Path) -> None:
        """Writes the table as JSON, under a temporary name that is then changed."""
        content = {
            "about": self.about,
            "space": self.space.to_json(),
            "resolutions": self.resolutions,
            "ends_ms": self.ends.tolist(),
            "layers_ms": self.layers.tolist(),
        }
        write_text(Path(path), json.dumps(content) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> LatencyTable:
        """Reads a table that `save` wrote.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If the file is truncated or was written by something else.
        """
        try:
            content = json.loads(Path(path).read_text())
            space = SearchSpace.from_json(content["space"])
            tables = (content["resolutions"], content["ends_ms"], content["layers_ms"])
            return cls(space, *tables, content["about"])
        except FileNotFoundError:
            raise FileNotFoundError(f"There is no latency table at {path}.") from None
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise ValueError(
                f"{path} is no complete latency table: measure anew and save it with "
                "LatencyTable.save."
            ) from error

    @classmethod
    def from_lookup_tables(cls, folder: str | Path, space: SearchSpace) -> LatencyTable:
        """Reads the tables that Once-for-all measured on phones.

        Args:
            folder: Holds `160_lookup_table.yaml` and so on, one file per resolution; where several
                hold the same block, the last counts.
            space: The space of the paper, with widths and resolutions that the tables cover.

        Raises:
            FileNotFoundError: If the folder holds no table.
            ValueError: If a block of the space is not in the tables.
        """
        tables = read_lookup_tables(folder)
        merged = {name: ms for table in tables.values() for name, ms in table.items()}

        def time_of(name: str) -> float:
            if name not in merged:
                raise ValueError(f"The tables in {folder} have no entry {name}: check the space.")
            return merged[name]

        def time_of_ends(resolution: int, width: float) -> list[float]:
            return [sum(map(time_of, names)) for names in end_names(space, resolution, width)]

        ends = tabulate_ends(space, list(tables), time_of_ends)
        layers = tabulate(space, list(tables), lambda block: time_of(block_name(block)))
        about = {"device": Path(folder).name, "batch_size": 1}
        return cls(space, list(tables), ends, layers, about)


def read_lookup_tables(folder: str | Path) -> dict[int, dict[str, float]]:
    """Returns the mean milliseconds of each block, by resolution, of Once-for-all's phone tables.

    Raises:
        FileNotFoundError: If the folder holds no table.
    """
    files = {int(f.name.split("_")[0]): f for f in Path(folder).glob("*_lookup_table.yaml")}
    if not files:
        raise FileNotFoundError(f"There is no *_lookup_table.yaml in {folder}.")
    entry = re.compile(r"^(\S+):\n(?:  .*\n)*?  mean: (\S+)$", re.MULTILINE)
    return {
        resolution: {name: float(ms) for name, ms in entry.findall(files[resolution].read_text())}
        for resolution in sorted(files)
    }


def spread(values: Sequence[int], n: int) -> list[int]:
    """Returns at most `n` of the values, evenly spread, the first and the last among them."""
    index = np.unique(np.linspace(0, len(values) - 1, n).round().astype(int))
    return [values[i] for i in index]


def measure_ms(module: nn.Module, images: Tensor, repeats: int = 30, threads: int = 1) -> float:
    """Returns the median time of a forward pass in milliseconds, after a warm-up.

    Args:
        module: A module in `eval` mode, on the device of the images.
        images: Its input.
        repeats: Number of timed passes.
        threads: Threads on a CPU.
    """
    with torch.inference_mode(), cpu_threads(threads):
        times = [pass_ms(module, images) for _ in range(WARM_UP + repeats)]
    return float(np.median(times[WARM_UP:]))


def measure_in_turn(
    modules: Sequence[nn.Module], images: Sequence[Tensor], rounds: int = 30, threads: int = 1
) -> NDArray[np.float64]:
    """Returns the median time of a forward pass of each module in milliseconds, `(n,)`.

    Every round times each module once, so that a slow moment of the machine hits all alike.

    Args:
        modules: Modules in `eval` mode.
        images: Input of each.
        rounds: Number of timed rounds, after a warm-up.
        threads: Threads on a CPU.
    """
    pairs = list(zip(modules, images, strict=True))
    with torch.inference_mode(), cpu_threads(threads):
        times = [[pass_ms(*pair) for pair in pairs] for _ in range(WARM_UP + rounds)]
    return np.median(times[WARM_UP:], axis=0)


@contextmanager
def cpu_threads(n: int) -> Iterator[None]:
    """Lets torch use `n` threads on the CPU meanwhile."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def pass_ms(module: nn.Module, images: Tensor) -> float:
    """Times one forward pass on the device of the images, in milliseconds."""
    return (cuda_ms if images.device.type == "cuda" else wall_ms)(module, images)


def cuda_ms(module: nn.Module, images: Tensor) -> float:
    """Times one pass with CUDA events."""
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    module(images)
    end.record()
    end.synchronize()
    return begin.elapsed_time(end)


def wall_ms(module: nn.Module, images: Tensor) -> float:
    """Times one pass with the clock, and waits for Apple's MPS to finish."""
    begin = time.perf_counter()
    module(images)
    if images.device.type == "mps":
        torch.mps.synchronize()
    return 1e3 * (time.perf_counter() - begin)


def describe_machine(device: torch.device | str) -> dict[str, str]:
    """Returns what a measured latency depends on besides the network."""
    kind = torch.device(device).type
    name = torch.cuda.get_device_name(device) if kind == "cuda" else platform.machine()
    return {"device": f"{name} {kind}", "cpu": cpu_name(), "torch": torch.__version__}


def cpu_name() -> str:
    """Returns the model of the CPU, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        return platform.processor()
    return next((line.split(": ", 1)[1] for line in lines if line.startswith("model name")), "")


def stem_layers(space: SearchSpace, width: float) -> list[nn.Module]:
    """Returns the stem and the fixed first block."""
    channels = space.stem_channels(width)
    first = InvertedResidual(channels, channels, 3, None, 1, "relu", False)
    return [ConvNorm(3, channels, 3, space.stem_stride, act="h_swish"), first]


def head_layers(space: SearchSpace, width: float, num_classes: int) -> list[nn.Module]:
    """Returns final expand layer, feature-mix layer and classifier."""
    final, mix = space.head_channels(width)
    expand = ConvNorm(space.stage_channels(width)[-1], final, 1, act="h_swish")
    return [expand, FeatureMix(final, mix, "h_swish"), nn.Linear(mix, num_classes)]


def block_name(block: Block) -> str:
    """Returns the name of a block in the phone tables."""
    side = strided(block.side, block.stride)
    skip = block.stride == 1 and block.c_in == block.c_out
    return (
        f"expanded_conv-input:{block.side}x{block.side}x{block.c_in}"
        f"-output:{side}x{side}x{block.c_out}-expand:{expanded_channels(block.c_in, block.expand)}"
        f"-kernel:{block.kernel}-stride:{block.stride}-idskip:{skip:d}-se:{block.squeeze:d}"
        f"-hs:{block.act == 'h_swish':d}"
    )


def end_names(space: SearchSpace, resolution: int, width: float) -> tuple[list[str], list[str]]:
    """Returns the names of what makes up stem and head in the phone tables."""
    stem, last = space.stem_channels(width), space.stage_channels(width)[-1]
    final, mix = space.head_channels(width)
    begin, end = side_after(space, resolution, 0), side_after(space, resolution, space.n_stages)
    first = Block(stem, stem, 3, 1, 1, begin, "relu", False)
    conv = f"Conv-input:{resolution}x{resolution}x3-output:{begin}x{begin}x{stem}"
    return [conv, block_name(first)], [
        f"Conv_1-input:{end}x{end}x{last}-output:{end}x{end}x{final}",
        f"AvgPool2D-input:{end}x{end}x{final}-output:1x1x{final}",
        f"Conv_2-input:1x1x{final}-output:1x1x{mix}",
        f"Logits-input:1x1x{mix}-output:1000",
    ]
