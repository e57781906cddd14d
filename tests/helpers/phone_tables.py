"""The latency tables that Once-for-all's authors measured on phones, as a `LatencyTable`."""

import re
from pathlib import Path

from natlib.cost import tabulate
from natlib.deploy.latency import LatencyTable
from natlib.space import Block, SearchSpace


def read_phone_table(folder: Path, space: SearchSpace) -> LatencyTable:
    """Reads `160_lookup_table.yaml` and so on, one file per resolution.

    Where several hold the same block, the last counts.

    Raises:
        KeyError: If a block of the space is not in the tables.
    """
    files = {int(f.name.split("_")[0]): f for f in folder.glob("*_lookup_table.yaml")}
    entry = re.compile(r"^(\S+):\n(?:  .*\n)*?  mean: (\S+)$", re.MULTILINE)
    table = {}
    for resolution in sorted(files):
        for name, ms in entry.findall(files[resolution].read_text("utf-8")):
            table[name] = float(ms)
    ms = tabulate(space, lambda block: sum(table[n] for n in names_of(block)), sorted(files))
    for w, width in enumerate(space.widths):
        features = space.blocks(space.smallest(width))[-1].c_out
        ms[:, w, :, 0] += table[f"Logits-input:1x1x{features}-output:1000"]
    return LatencyTable(space, sorted(files), ms, {"device": folder.name, "batch_size": 1})


def names_of(block: Block) -> list[str]:
    """Returns the names of a block's parts in the tables."""
    images, c_out = f"input:{block.side}x{block.side}x{block.c_in}", block.c_out
    end = f"output:{block.out_side}x{block.out_side}x{c_out}"
    if block.kind == "pooled":
        return [
            f"AvgPool2D-{images}-output:1x1x{block.c_in}",
            f"Conv_2-input:1x1x{block.c_in}-output:1x1x{c_out}",
        ]
    if block.kind == "conv":
        return [f"{'Conv' if block.kernel == 3 else 'Conv_1'}-{images}-{end}"]
    skip = block.stride == 1 and block.c_in == c_out
    return [
        f"expanded_conv-{images}-{end}-expand:{block.mid}-kernel:{block.kernel}"
        f"-stride:{block.stride}-idskip:{skip:d}-se:{block.squeeze:d}-hs:{block.act == 'h_swish':d}"
    ]
