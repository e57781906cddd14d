"""Latency predicted by look-up against latency measured end to end, on this machine.

    python benchmarks/latency.py [--networks N] [--batch-size B]

Random subnets of the pocket space. The table is measured first, block by block, then every
network as a whole, batch norm folded; rounds go over all networks in turn, so that a busy moment
of the machine hits all alike. Everything runs on one thread.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import kendalltau, spearmanr

from natlib.deploy.latency import LatencyTable, measure_in_turn
from natlib.layers import fold_batch_norm
from natlib.space import IntMatrix, SearchSpace
from natlib.supernet import Supernet


def measure_networks(net: Supernet, X: IntMatrix, batch_size: int) -> NDArray[np.float64]:
    """Returns the median milliseconds of whole networks, `(n,)`."""
    subnets = [fold_batch_norm(net.extract(net.space.decode(x))) for x in X]
    sides = [net.space.resolutions[r] for r in X[:, 0]]
    images = [torch.randn(batch_size, 3, side, side) for side in sides]
    return measure_in_turn(subnets, images, rounds=50)


def main() -> None:
    """Measures and prints the agreement."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", type=int, default=30)
    parser.add_argument("--batch-size", type=int, default=1)
    options = parser.parse_args()
    space = SearchSpace.pocket()
    torch.manual_seed(0)
    begin = time.perf_counter()
    table = LatencyTable.measure(space, batch_size=options.batch_size, num_classes=10)
    seconds = time.perf_counter() - begin
    X = space.sample(options.networks, rng=0)
    measured = measure_networks(Supernet(space, 10).eval(), X, options.batch_size)
    predicted = table.latency_ms(X)
    print(table.about)
    print(f"table measured in           {seconds:8.1f} s")
    print(f"networks take               {measured.min():8.3f} to {measured.max():.3f} ms")
    print(f"Spearman's rho (target 0.9) {spearmanr(predicted, measured).statistic:8.3f}")
    print(f"Kendall's tau               {kendalltau(predicted, measured).statistic:8.3f}")
    print(f"predicted / measured        {np.median(predicted / measured):8.3f} (median)")


if __name__ == "__main__":
    main()
