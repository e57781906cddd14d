"""Training step, batch-norm recalibration and measuring an archive, beside the package `ofa`.

    python benchmarks/training.py [--repeats 5]

Everything that is compared runs in one process with the same threads, the same shapes and the
same subnets, in turn. Without `ofa` (extra `peers`) the figures stand alone.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.profiler import ProfilerActivity, profile

from natlib import Architecture, SearchSpace, Supernet, Task, load_task
from natlib.data import SPLITS, Split, make_task, pretrained_path
from natlib.evaluate import InputBatches, evaluate, recalibrate
from natlib.train import add_gradients, cosine, make_optimizer, train, uniform_subnets

try:
    from ofa.imagenet_classification.elastic_nn.networks import OFAMobileNetV3
    from ofa.imagenet_classification.elastic_nn.utils import set_running_statistics
except ImportError:
    OFAMobileNetV3 = None

SIDE, BATCH, CLASSES = 96, 32, 100
SPACE = SearchSpace.paper(resolutions=(SIDE,), widths=(1.0,))


def alternate(works: dict[str, Callable[[int], None]], repeats: int) -> dict[str, float]:
    """Returns the median seconds of each work, run in turn; `work(0)` is not counted."""
    seconds = {name: [] for name in works}
    for i in range(repeats + 1):
        for name, work in works.items():
            begin = time.perf_counter()
            work(i)
            seconds[name].append(time.perf_counter() - begin)
    return {name: float(np.median(values[1:])) for name, values in seconds.items()}


def random_task(n: int) -> Task:
    """Returns a task of `n` random training pictures."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (n, 3, SIDE, SIDE), dtype=torch.uint8, generator=generator)
    split = Split(images, torch.randint(0, CLASSES, (n,), generator=generator))
    names = tuple(str(c) for c in range(CLASSES))
    return make_task("random", names, dict.fromkeys(SPLITS, split))


def activate(peer: nn.Module, arch: Architecture) -> None:
    """Sets the peer's active subnet, which takes a value for skipped layers too."""
    padded = [layers + [(3, 3)] * (SPACE.max_depth - len(layers)) for layers in arch.stages()]
    kernels, expands = zip(*(layer for layers in padded for layer in layers), strict=True)
    peer.set_active_subnet(ks=list(kernels), e=list(expands), d=list(arch.depths))


def compare_steps(repeats: int) -> dict[str, float]:
    """Times one training step: teacher and four subnets, SGD and clipping included."""
    task, sampler = random_task(BATCH), uniform_subnets(SPACE, 4, seed=0)
    images, labels = task.train.images, task.train.labels
    net = Supernet(SPACE, CLASSES).to(memory_format=torch.channels_last).train()
    optimizer = make_optimizer(net)

    def ours(i: int) -> None:
        optimizer.zero_grad(set_to_none=True)
        add_gradients(net, task, images, labels, sampler(i))
        nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimizer.step()

    works = {"natlib": ours}
    if OFAMobileNetV3 is not None:
        peer = make_peer().train()
        peer_optimizer = make_optimizer(peer)
        x = images / 255

        def theirs(i: int) -> None:
            peer_optimizer.zero_grad(set_to_none=True)
            soft_labels = None
            for arch in sampler(i):
                activate(peer, arch)
                logits = peer(x)
                loss = functional.cross_entropy(logits, labels)
                if soft_labels is None:
                    soft_labels = logits.detach().softmax(dim=1)
                else:
                    loss = loss + functional.cross_entropy(logits, soft_labels)
                loss.backward()
            nn.utils.clip_grad_norm_(peer.parameters(), 5.0)
            peer_optimizer.step()

        works["ofa"] = theirs
    return alternate(works, repeats)


def make_peer() -> nn.Module:
    """Returns the peer's supernet of width 1.0."""
    choices = {"ks_list": [3, 5, 7], "expand_ratio_list": [3, 4, 6], "depth_list": [2, 3, 4]}
    return OFAMobileNetV3(n_classes=CLASSES, width_mult=1.0, **choices)


def compare_recalibration(repeats: int) -> dict[str, float]:
    """Times recalibration on 960 pictures, as a multiple of a plain forward pass over them."""
    task, arch = random_task(960), SPACE.largest()
    subnet = Supernet(SPACE, CLASSES).extract(arch).to(memory_format=torch.channels_last)
    batches = InputBatches(task.train, SIDE, task)

    def forward(module: nn.Module) -> None:
        with torch.inference_mode():
            for x, _ in batches:
                module.eval()(x)

    works = {
        "natlib, forward": lambda i: forward(subnet),
        "natlib, recalibrate": lambda i: recalibrate(subnet, batches),
    }
    if OFAMobileNetV3 is not None:
        peer = make_peer()
        activate(peer, arch)
        peer_subnet = peer.get_active_subnet()
        works["ofa, forward"] = lambda i: forward(peer_subnet)
        works["ofa, recalibrate"] = lambda i: set_running_statistics(peer_subnet, batches)
    return alternate(works, repeats)


def compare_precision(repeats: int) -> dict[str, float]:
    """Times a pocket training step in float32 and with bfloat16 autocast, on this device."""
    task = load_task("animals")
    net = Supernet.load(pretrained_path("pocket")).to(memory_format=torch.channels_last)
    net.replace_classifier(task.num_classes)
    fixed = (net, make_optimizer(net), task, uniform_subnets(net.space, 3, 0), cosine(0.02, 1000))

    def step(i: int, dtype: torch.dtype | None) -> None:
        train(*fixed, range(i, i + 1), batch_size=64, dtype=dtype, progress=False)

    works = {
        "float32": lambda i: step(i, None),
        "bfloat16": lambda i: step(i, torch.bfloat16),
    }
    return alternate(works, 4 * repeats)


def measure_archive(n: int) -> None:
    """Prints what measuring `n` pocket subnets takes, and the share of it outside convolutions."""
    task = load_task("animals")
    net = Supernet.load(pretrained_path("pocket")).to(memory_format=torch.channels_last)
    X = net.space.sample(n, 0)
    evaluate(net, X[:2], task, n_images=1000, progress=False)
    begin = time.perf_counter()
    evaluate(net, X, task, n_images=1000, calibration=1000, progress=False)
    seconds = time.perf_counter() - begin
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        evaluate(net, X[:10], task, n_images=1000, calibration=1000, progress=False)
    events = profiler.key_averages()
    total = sum(event.self_cpu_time_total for event in events)
    convolutions = sum(
        event.self_cpu_time_total for event in events if "conv" in event.key or "addmm" in event.key
    )
    print(
        f"archive of {n} pocket subnets, 1,000 images to recalibrate and 1,000 to measure: "
        f"{seconds:.1f} s, {2000 * n / seconds:.0f} images/s, "
        f"{100 * (1 - convolutions / total):.0f}% of the time outside convolutions"
    )


def main() -> None:
    """Prints the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    print(f"torch {torch.__version__.split('+')[0]}, {torch.get_num_threads()} threads")
    steps = compare_steps(repeats)
    print(f"training step, teacher and 4 subnets, batch {BATCH} at {SIDE} px, width 1.0:")
    for name, seconds in steps.items():
        print(f"  {name:8s}{seconds:6.2f} s, ratio {seconds / steps.get('ofa', seconds):.2f}")
    passes = compare_recalibration(repeats)
    print(f"recalibrating batch norm of the largest subnet on 960 images at {SIDE} px:")
    for name in {key.split(",")[0]: None for key in passes}:
        forward, recalibration = passes[f"{name}, forward"], passes[f"{name}, recalibrate"]
        print(
            f"  {name:8s}forward {forward:.2f} s, recalibrate {recalibration:.2f} s, "
            f"{recalibration / forward:.2f} forward passes"
        )
    precision = compare_precision(repeats)
    ratio = precision["bfloat16"] / precision["float32"]
    print(
        f"pocket training step, teacher and 3 subnets, batch 64: float32 "
        f"{precision['float32']:.3f} s, bfloat16 {precision['bfloat16']:.3f} s, ratio {ratio:.2f}"
    )
    measure_archive(100)


if __name__ == "__main__":
    main()
