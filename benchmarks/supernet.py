"""The supernet beside the package `ofa`: same machine, same threads, same shapes, in turn.

    python benchmarks/supernet.py [--repeats N] [--cpu-time]

`make peers` installs `ofa`. Both sides are timed alternately, call by call; the table shows
medians, and the ratio of the medians against its target. On a machine that is busy with other
things, `OMP_NUM_THREADS=1` and `--cpu-time` count what the process itself has computed.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.nn import functional

from natlib import Architecture, CostTable, SearchSpace, Supernet
from natlib.evaluate import correct_predictions
from natlib.layers import fold_batch_norm

try:
    from ofa.imagenet_classification.elastic_nn.networks import OFAMobileNetV3
    from ofa.nas.efficiency_predictor import Mbv3FLOPsModel
except ImportError as error:
    raise SystemExit("This benchmark needs the package ofa: run 'make peers'.") from error

CHOICES = {"ks_list": [3, 5, 7], "expand_ratio_list": [3, 4, 6], "depth_list": [2, 3, 4]}
Step = Callable[[int], object]
Pair = tuple[Step, Step]


def peer_arguments(space: SearchSpace, arch: Architecture) -> dict:
    """Returns an architecture as the peer takes it: with a value for skipped layers too."""
    padded = [layers + [(3, 3)] * (space.max_depth - len(layers)) for layers in arch.stages()]
    kernels, expands = zip(*(layer for layers in padded for layer in layers), strict=True)
    return {"ks": list(kernels), "e": list(expands), "d": list(arch.depths)}


def in_turn(pair: Pair, repeats: int, clock: Callable[[], float]) -> tuple[float, float]:
    """Returns the median seconds of both, called alternately with the number of the round."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for number in range(repeats + 1):
        for step, times in zip(pair, seconds, strict=True):
            begin = clock()
            step(number)
            times.append(clock() - begin)
    ours, theirs = (statistics.median(times[1:]) for times in seconds)
    return ours, theirs


def forward(net: Supernet, peer: nn.Module) -> Pair:
    """The largest subnet of width 1.0, batch 32 at 224 px; natlib's as `evaluate` runs it."""
    images, labels = torch.randn(32, 3, 224, 224), torch.zeros(32)
    ours = fold_batch_norm(net.eval().extract(net.space.largest()))
    peer.set_max_net()
    theirs = peer.get_active_subnet().eval()
    inference = torch.inference_mode()
    predict = inference(lambda _: correct_predictions(ours, [(images, labels)]))
    return predict, inference(lambda _: theirs(images))


def training(net: Supernet, peer: nn.Module, archs: Sequence[Architecture]) -> Pair:
    """Forward, backward and SGD step of random subnets, batch 32 at 96 px."""
    images, labels = torch.randn(32, 3, 96, 96), torch.randint(1000, (32,))

    def step_of(module: nn.Module, predict: Callable[[Architecture], torch.Tensor]) -> Step:
        optimizer = torch.optim.SGD(module.train().parameters(), lr=1e-3, momentum=0.9)

        def step(number: int) -> None:
            optimizer.zero_grad(set_to_none=True)
            functional.cross_entropy(predict(archs[number % len(archs)]), labels).backward()
            optimizer.step()

        return step

    def peer_predict(arch: Architecture) -> torch.Tensor:
        peer.set_active_subnet(**peer_arguments(net.space, arch))
        return peer(images)

    return step_of(net, lambda arch: net(images, arch)), step_of(peer, peer_predict)


def extraction(net: Supernet, peer: nn.Module, archs: Sequence[Architecture]) -> Pair:
    """Reading out subnets with their own weights."""

    def theirs(number: int) -> nn.Module:
        peer.set_active_subnet(**peer_arguments(net.space, archs[number % len(archs)]))
        return peer.get_active_subnet()

    return lambda number: net.extract(archs[number % len(archs)]), theirs


def cost(net: Supernet, peer: nn.Module, n: int) -> Pair:
    """The MAdds of `n` architectures; the peer's are described beforehand as it takes them."""
    X = net.space.sample(n, rng=1)
    table, model = CostTable(net.space, 1000), Mbv3FLOPsModel(peer)
    described = [
        peer_arguments(net.space, arch) | {"image_size": arch.resolution}
        for arch in map(net.space.decode, X)
    ]
    return lambda _: table.madds(X), lambda _: [model.get_efficiency(d) for d in described]


def main() -> None:
    """Runs the comparisons and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=20, help="rounds of each comparison")
    parser.add_argument("--cpu-time", action="store_true", help="CPU time, not wall-clock time")
    options = parser.parse_args()
    repeats, clock = options.repeats, time.process_time if options.cpu_time else time.perf_counter
    torch.manual_seed(0)
    space = SearchSpace.paper(widths=(1.0,))
    net, peer = Supernet(space, 1000), OFAMobileNetV3(width_mult=1.0, **CHOICES)
    archs = [space.decode(x) for x in space.sample(repeats, rng=0)]
    rows = [
        ("forward, largest, batch 32 at 224 px", forward(net, peer), repeats, 0.35),
        ("training step, batch 32 at 96 px", training(net, peer, archs), repeats, 0.7),
        ("extraction, largest", extraction(net, peer, [space.largest()]), 5 * repeats, 0.3),
        ("extraction, random", extraction(net, peer, archs), 5 * repeats, 0.3),
        ("cost of 10,000 architectures", cost(net, peer, 10_000), 3, 1 / 500),
    ]
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, medians of", end=" ")
    print("CPU time" if options.cpu_time else "wall-clock time")
    print(f"{'':46s}{'natlib':>10s}{'ofa':>12s}{'ratio':>10s}{'target':>10s}")
    for name, pair, rounds, target in rows:
        ours, theirs = in_turn(pair, rounds, clock)
        numbers = f"{1e3 * ours:7.1f} ms{1e3 * theirs:9.1f} ms{ours / theirs:10.5f}{target:10.3f}"
        print(f"{name:46s}{numbers}", flush=True)


if __name__ == "__main__":
    main()
