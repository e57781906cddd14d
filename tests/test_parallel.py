"""Several processes do what one does, and a killed process loses nothing."""

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from natlib.transfer import CHECKPOINT
from tests.helpers.transfer_worker import work

ROOT = Path(__file__).parents[1]
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
WORKER = ["-m", "tests.helpers.transfer_worker"]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
# Processes begin as copies of one that has imported natlib, which takes longer than their work.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload([work.__module__])


def start(*arguments):
    process = PROCESSES.Process(target=work, args=arguments)
    process.start()
    return process


def finish(process):
    process.join(timeout=300)
    assert process.exitcode == 0


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    finish(start(folder, 2, 2))
    return load_file(folder / "end0.safetensors")


def test_two_processes_equal_one_with_the_same_global_batch(tmp_path):
    """Up to the first archive: sums are rounded in another order, and later that flips choices."""
    one, two = tmp_path / "one", tmp_path / "two"
    finish(start(one, 2, 0))
    command = [sys.executable, *TORCHRUN, *WORKER, str(two), "1", "0"]
    done = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr.decode()
    expected = load_file(one / "end0.safetensors")
    for rank in (0, 1):
        end = load_file(two / f"end{rank}.safetensors")
        assert torch.equal(end.pop("X"), expected["X"])
        assert (end.pop("F") - expected["F"]).abs().max() <= 2 * 100 / 60, "two pictures of 60"
        for name, tensor in end.items():
            torch.testing.assert_close(tensor, expected[name], atol=2e-3, rtol=1e-2, msg=name)


def test_killed_at_random_moments_it_ends_with_the_archive_of_an_undisturbed_run(
    tmp_path, undisturbed
):
    rng = random.Random(0)
    kills = 0
    while not (tmp_path / "end0.safetensors").exists():
        process = start(tmp_path, 2, 2)
        if kills < 10:
            before = modified(tmp_path / CHECKPOINT)
            while process.is_alive() and modified(tmp_path / CHECKPOINT) == before:
                time.sleep(0.002)
            time.sleep(rng.random() * 0.1)
            process.kill()
            process.join()
            kills += process.exitcode == -signal.SIGKILL
        else:
            finish(process)
    end = load_file(tmp_path / "end0.safetensors")
    assert kills == 10
    for name, tensor in undisturbed.items():
        assert torch.equal(end[name], tensor), name


def modified(path):
    return path.stat().st_mtime_ns if path.exists() else None
