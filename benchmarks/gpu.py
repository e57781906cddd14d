"""The paper's scale on one card: throughput, loading, whole transfers; writes one JSON file.

    python benchmarks/gpu.py --out gpu.json            on a machine with a card: at most 8 minutes
    python benchmarks/gpu.py --out x.json --device cpu  rehearses it on small pictures: 3 minutes

What is expected on a card; `benchmarks/RESULTS.md` says what was found, and what is yet to be run:

step      teacher and four subnets of the paper's space, 96 pictures of 224 px: in float32 and in
          mixed precision at least 0.8 of the rate at which the same five networks train as plain
          modules; a CUDA graph of the frozen teacher changes less than a tenth of the step
measure   recalibrating and measuring 50 subnets takes at most 1.5 times the plain forward passes
loading   with 8 and 16 workers the card waits for JPEG files less than a tenth of the time
transfer  profile gpu, two tasks, three seeds, beside each other, as far as they come: hypervolumes
          rise; with `--minutes 30` all end
processes two of them on one card find the first archive of one, and equal each other throughout

Every part is written when it is done; `--only step,measure` does some.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torchvision
from PIL import Image
from torch import nn
from torch.nn import functional

from natlib import SearchSpace, Supernet, Task
from natlib.data import SPLITS, Split, folder_task, make_task, to_input, write_text
from natlib.evaluate import InputBatches, correct_predictions, evaluate
from natlib.inputs import pictures
from natlib.inputs.processes import rank
from natlib.layers import fold_batch_norm, layout
from natlib.profiles import PROFILES
from natlib.train import autocast, half_precision, make_optimizer, pick_device, train
from natlib.transfer import archive_table, transfer

ROOT = Path(__file__).parents[1]
CLASSES = 10
PARTS = ("step", "measure", "loading", "processes", "transfer")
# On a card; and in a rehearsal on a CPU.
SIZES = {
    "cuda": {"side": 224, "batch": 96, "steps": 20, "subnets": 50, "valid": 5000, "calibrate": 2000,
             "files": 1000, "workers": (8, 16), "profile": "gpu", "seeds": 3, "minutes": 4.0},
    "cpu": {"side": 64, "batch": 4, "steps": 3, "subnets": 3, "valid": 60, "calibrate": 40,
            "files": 40, "workers": (1, 2), "profile": "quick", "seeds": 1, "minutes": 1.0},
}  # fmt: skip


def made_up_task(n: int, side: int) -> Task:
    """Returns pictures of coloured noise whose class is a colour: learnable, and quickly made."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, CLASSES, (n,), generator=generator)
    colours = torch.randint(60, 196, (CLASSES, 3, 1, 1), generator=generator)
    noise = torch.randint(-60, 60, (n, 3, side, side), generator=generator, dtype=torch.int16)
    split = Split((colours[labels] + noise).to(torch.uint8), labels)
    names = tuple(str(c) for c in range(CLASSES))
    return make_task("made up", names, dict.fromkeys(SPLITS, split))


def seconds(work: Callable[[int], object], n: int, device: torch.device) -> float:
    """Returns the mean seconds of `work(i)` over `n` calls, after three that are not timed."""
    for i in range(3):
        work(i)
    wait(device)
    begin = time.perf_counter()
    for i in range(n):
        work(i)
    wait(device)
    return (time.perf_counter() - begin) / n


def wait(device: torch.device) -> None:
    """Waits until the device has done all."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def new_supernet(space: SearchSpace, device: torch.device) -> Supernet:
    """Returns a supernet of random weights."""
    torch.manual_seed(0)
    return Supernet(space, CLASSES).to(device, memory_format=layout(device))


def seconds_alone(net: nn.Module, task: Task, size: dict, dtype: torch.dtype | None) -> float:
    """Returns the seconds of a step of the standard recipe, of a plain network alone."""
    device, batch = next(net.parameters()).device, size["batch"]
    images, labels = task.train.images[:batch].to(device), task.train.labels[:batch].to(device)
    optimizer = make_optimizer(net.train())

    def step(number: int) -> None:
        optimizer.zero_grad(set_to_none=True)
        x = to_input(images, size["side"], task, device)
        with autocast(device, dtype):
            loss = functional.cross_entropy(net(x).float(), labels)
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimizer.step()

    return seconds(step, size["steps"], device)


def steps(device: torch.device, size: dict) -> Iterator[dict]:
    """Part 1: the step of the supernet beside the same networks trained alone."""
    side, batch, n = size["side"], size["batch"], size["steps"]
    space = SearchSpace.paper(resolutions=(side,), widths=(1.0,))
    task = made_up_task(2 * batch, side)
    archs = [space.largest(), *map(space.decode, space.sample(4, 0))]
    precisions = {"float32": None, "mixed": half_precision(device) or torch.bfloat16}
    for name, dtype in precisions.items():
        net = new_supernet(space, device)
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        how = {"batch_size": batch, "dtype": dtype, "progress": False}
        optimizer = make_optimizer(net)
        fixed = (net, optimizer, task, lambda step: archs, lambda step: 1e-3)
        train(*fixed, range(3), **how)
        wait(device)
        begin = time.perf_counter()
        train(*fixed, range(n), **how)
        wait(device)
        ours = (time.perf_counter() - begin) / n
        peak = torch.cuda.max_memory_allocated(device) / 1e9 if device.type == "cuda" else None
        plain = [net.extract(arch) for arch in archs]
        alone = sum(seconds_alone(subnet, task, size, dtype) for subnet in plain)
        known = torchvision.models.mobilenet_v3_large(num_classes=CLASSES)
        known = known.to(device, memory_format=layout(device))
        yield {
            "precision": name, "dtype": str(dtype), "step_ms": 1000 * ours,
            "subnet_images_per_s": len(archs) * batch / ours,
            "static_images_per_s": len(archs) * batch / alone, "ratio": alone / ours,
            "mobilenet_v3_large_images_per_s": batch / seconds_alone(known, task, size, dtype),
            "peak_gb": peak,
        }  # fmt: skip
    x = to_input(task.train.images[:batch], side, task, device)
    for name, dtype in precisions.items():
        yield {"precision": name} | teachers(plain[0], x, dtype, n)


def teachers(teacher: nn.Module, x: torch.Tensor, dtype, n: int) -> dict:
    """Times a frozen teacher's forward pass: as it is, and as a CUDA graph."""
    teacher = copy.deepcopy(teacher).eval()

    def forward() -> torch.Tensor:
        with torch.no_grad(), torch.autocast(x.device.type, dtype, dtype is not None, False):
            return teacher(x)

    found = {"teacher_ms": 1000 * seconds(lambda i: forward(), n, x.device)}
    if x.device.type == "cuda":
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            forward()
        found["teacher_as_graph_ms"] = 1000 * seconds(lambda i: graph.replay(), n, x.device)
    return found


def measurements(device: torch.device, size: dict) -> Iterator[dict]:
    """Part 2: recalibrating and measuring subnets beside plain forward passes."""
    space = SearchSpace.paper(resolutions=(size["side"],), widths=(1.0,))
    task = made_up_task(size["valid"], size["side"])
    net, X = new_supernet(space, device), space.sample(size["subnets"], 1)
    # The first use of each shape of a convolution takes long on a card, which is no measuring.
    few, begin = size["valid"] // 15, time.perf_counter()
    evaluate(net, X, task, n_images=few, calibration=few, progress=False)
    wait(device)
    first, begin = time.perf_counter() - begin, time.perf_counter()
    evaluate(net, X, task, calibration=size["calibrate"], progress=False)
    wait(device)
    ours = time.perf_counter() - begin
    subnets = [fold_batch_norm(net.extract(space.decode(x)).eval()) for x in X]
    n = size["valid"] + size["calibrate"]
    images = task.valid.images[np.arange(n) % len(task.valid)].to(device)
    split = Split(images, torch.zeros(n, dtype=torch.int64, device=device))
    batches = InputBatches(split, size["side"], task, device)
    correct_predictions(subnets[0], batches)
    wait(device)
    begin = time.perf_counter()
    for subnet in subnets:
        correct_predictions(subnet, batches)
    wait(device)
    plain = time.perf_counter() - begin
    yield {"subnets": len(X), "pictures": n, "seconds": ours, "plain_seconds": plain,
           "ratio": ours / plain, "first_use_seconds": first}  # fmt: skip


def write_photos(folder: Path, n: int) -> None:
    """Writes JPEG files of 500 x 375 pixels, about as large as photos of that size are."""
    rng = np.random.default_rng(0)
    grain = rng.normal(0, 12, (375, 500, 3))
    for i in range(n):
        soft = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        picture = np.asarray(Image.fromarray(soft).resize((500, 375), Image.Resampling.BICUBIC))
        picture = (picture + np.roll(grain, i, axis=0)).clip(0, 255).astype(np.uint8)
        place = folder / str(i % CLASSES)
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(place / f"{i}.jpg", quality=90)


def loading(device: torch.device, size: dict) -> Iterator[dict]:
    """Part 3: the step from JPEG files, beside the step from pictures in memory."""
    side, batch, n = size["side"], size["batch"], 2 * size["steps"]
    space = SearchSpace.paper(resolutions=(side,), widths=(1.0,))
    archs = [space.largest(), *map(space.decode, space.sample(4, 0))]
    with tempfile.TemporaryDirectory() as place:
        write_photos(Path(place), size["files"])
        megabytes = sum(f.stat().st_size for f in Path(place).rglob("*.jpg")) / 1e6
        pictures.DECODED_BYTES = 0  # nothing is kept: each picture is decoded when it is needed
        files = folder_task(place, side=side, progress=False)
        net = new_supernet(space, device)
        optimizer = make_optimizer(net)

        def run(task: Task, augment: str, workers: int) -> float:
            """Returns the seconds of a step, without the first ones, which start workers."""
            times = []

            def after(step: int) -> None:
                wait(device)
                times.append(time.perf_counter())

            train(
                net, optimizer, task, lambda step: archs, lambda step: 1e-3, range(n),
                batch_size=batch, augment=augment, workers=workers, progress=False,
                after_step=after,
            )  # fmt: skip
            return (times[-1] - times[n // 2]) / (n - 1 - n // 2)

        memory = run(
            replace(files, train=Split(files.train.images[:], files.train.labels)), "shift", 0
        )
        for workers in size["workers"]:
            each = run(files, "crop", workers)
            yield {"workers": workers, "step_ms": 1000 * each, "from_memory_ms": 1000 * memory,
                   "waiting": max(0.0, 1 - memory / each), "files_mb": megabytes}  # fmt: skip
        pictures.DECODED_BYTES = 4 * 2**30


def processes(device: torch.device, size: dict) -> Iterator[dict]:
    """Part 5: two processes on one device against one."""
    with tempfile.TemporaryDirectory() as place:
        one = [sys.executable, __file__]
        two = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node",
               "2", __file__]  # fmt: skip
        tables = {}
        for name, command in (("one", one), ("two", two)):
            folder = Path(place) / name
            work = ["--work", str(folder), "--device", device.type, "--out", "-"]
            subprocess.run([*command, *work], check=True, env=environment(), cwd=ROOT)
            for path in sorted(folder.glob("*.csv")):
                tables[f"{name} {path.stem}"] = pd.read_csv(path)
    one, first, second = (tables[key] for key in ("one 0", "two 0", "two 1"))
    start = one[one.iteration == 0], first[first.iteration == 0]
    same = start[0].architecture.tolist() == start[1].architecture.tolist()
    off = (start[0].top1_err - start[1].top1_err).abs().max() if same else None
    yield {"both_equal": first.equals(second), "first_archive_equal": same,
           "largest_difference_of_top1_err_in_it": off}  # fmt: skip


def work(folder: Path, device: str) -> None:
    """What each process of part 5 does: a short transfer, its archive at the end as a table."""
    short = {"iterations": 1, "archive": 8, "validation": 300, "population": 20, "generations": 5}
    short = replace(PROFILES["quick"], **short, adapt=0.1, warmup_largest=0.1, warmup_uniform=0.1)
    run = transfer("animals", short, device=device, progress=False)
    folder.mkdir(parents=True, exist_ok=True)
    archive_table(run).to_csv(folder / f"{rank()}.csv", index=False)


def transfers(device: torch.device, size: dict) -> Iterator[dict]:
    """Part 4: whole transfers, beside each other, as far as they come in the time."""
    with tempfile.TemporaryDirectory() as place:
        started = {}
        for task in ("animals", "digits"):
            for seed in range(size["seeds"]):
                folder = Path(place) / f"{task}-{seed}"
                command = [sys.executable, "-m", "natlib", "transfer", "--task", task, "--seed",
                           str(seed), "--profile", size["profile"], "--device", device.type,
                           "--run-dir", str(folder)]  # fmt: skip
                quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
                started[folder] = subprocess.Popen(command, cwd=ROOT, env=environment(), **quiet)
        begin, end = time.time(), time.time() + 60 * size["minutes"]
        done: dict[Path, float] = {}
        while len(done) < len(started) and time.time() < end:
            time.sleep(0.5)
            finished = [f for f, p in started.items() if p.poll() is not None]
            done |= {f: time.time() - begin for f in finished if f not in done}
        for folder, process in started.items():
            process.terminate()
            process.wait()
            history = folder / "history.csv"
            begun = history.exists() and history.stat().st_size > 9
            rows = pd.read_csv(history) if begun else pd.DataFrame()
            report = folder / "report.csv"
            best = pd.read_csv(report).test_top1.max() if report.exists() else None
            volumes = rows.hypervolume.round(4).tolist() if len(rows) else []
            yield {"run": folder.name, "seconds": done.get(folder), "iterations": len(rows) - 1,
                   "of": PROFILES[size["profile"]].iterations, "hypervolume": volumes,
                   "best_test_top1": best}  # fmt: skip


def environment() -> dict[str, str]:
    """Returns the environment of processes beside each other: one thread each."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": path}


WORK = {"step": steps, "measure": measurements, "loading": loading, "transfer": transfers,
        "processes": processes}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures part by part, and writes what there is after each."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", required=True, help="the JSON file")
    parser.add_argument("--only", default=",".join(PARTS), help="parts, with commas between them")
    parser.add_argument("--device", help="default: the best there is")
    parser.add_argument("--minutes", type=float, help="for the transfers")
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.work:
        return work(options.work, options.device)
    device = pick_device(options.device)
    if device.type != "cuda" and options.device is None:
        raise SystemExit("There is no CUDA card here: --device cpu rehearses it (see --help).")
    card = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    size = SIZES[device.type] | ({"minutes": options.minutes} if options.minutes else {})
    found = {"device": card, "cores": os.cpu_count(), "torch": torch.__version__,
             "cudnn": torch.backends.cudnn.version(), "date": time.strftime("%Y-%m-%d"),
             "settings": size}  # fmt: skip
    for part in options.only.split(","):
        begin, found[part] = time.time(), []
        try:
            for row in WORK[part](device, size):
                found[part].append(row)
                print(part, row, flush=True)
        except Exception as error:  # the other parts are measured all the same
            found[part].append({"error": repr(error)})
            print(part, repr(error), flush=True)
        found[f"{part}_seconds"] = round(time.time() - begin, 1)
        write_text(Path(options.out), json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
