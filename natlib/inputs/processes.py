"""Other processes that act as one with this one, and signals from outside.

`torchrun` starts several processes. Gradients are averaged over them, measurements shared out, and
what must be equal on all is made by the first one, which decides, writes and prints.
"""

import atexit
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import nn

from natlib.inputs import say

BUCKET = 2**23  # gradients that processes exchange at once


def connect() -> None:
    """Joins the other processes of `torchrun`, if any: by nccl with a card each, else by gloo."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not dist.is_initialized():
        own_card = int(os.environ["LOCAL_WORLD_SIZE"]) <= torch.cuda.device_count()
        dist.init_process_group("nccl" if own_card else "gloo")
        atexit.register(dist.destroy_process_group)


def world_size() -> int:
    """Returns the number of processes."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Returns the number of this process, 0 for the one that decides, writes and prints."""
    return dist.get_rank() if dist.is_initialized() else 0


def average_gradients(net: nn.Module) -> None:
    """Replaces each gradient by its mean over the processes, exchanged in buckets."""
    if world_size() == 1:
        return
    buckets, sent = [[]], []
    for gradient in (p.grad for p in net.parameters() if p.grad is not None):
        if sum(g.numel() for g in buckets[-1]) + gradient.numel() > BUCKET:
            buckets.append([])
        buckets[-1].append(gradient)
    for bucket in buckets:  # one travels while the next is packed
        flat = torch.cat([gradient.flatten() for gradient in bucket]) / world_size()
        sent.append((bucket, flat, dist.all_reduce(flat, async_op=True)))
    for bucket, flat, travel in sent:
        travel.wait()
        for gradient, mean in zip(bucket, flat.split([g.numel() for g in bucket]), strict=True):
            gradient.copy_(mean.view_as(gradient))


def add_up(values: NDArray, device: torch.device) -> NDArray:
    """Returns the sum over the processes of an integer or boolean array, on every process."""
    total = torch.from_numpy(values.astype(np.int64)).to(device)
    if world_size() > 1:
        dist.all_reduce(total)
    return total.cpu().numpy().astype(values.dtype)


def from_first(make: Callable[[], NDArray], device: torch.device) -> NDArray:
    """Lets the first process make a float64 matrix, and returns it on all: roundings may differ."""
    if world_size() == 1:
        return make()
    made = make() if rank() == 0 else np.zeros((0, 0))
    shape = torch.tensor(made.shape, device=device)
    dist.broadcast(shape, 0)
    matrix = torch.from_numpy(made if rank() == 0 else np.zeros(tuple(shape))).to(device)
    dist.broadcast(matrix, 0)
    return matrix.cpu().numpy()


class Stopped(KeyboardInterrupt):
    """SIGINT or SIGTERM has ended training, between two steps."""


@contextmanager
def stoppable() -> Iterator[list[int]]:
    """Notes SIGINT and SIGTERM in a list, that they do not end a step; a second one does."""
    received: list[int] = []

    def note(number: int, frame: object) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)

    main = threading.current_thread() is threading.main_thread()
    handled = (signal.SIGINT, signal.SIGTERM) if main else ()  # another thread gets none
    before = {number: signal.signal(number, note) for number in handled}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)


@contextmanager
def memory_advice(device: torch.device, images: int, parts: int) -> Iterator[None]:
    """Turns an error that a device is out of memory into one that names what to change."""
    try:
        yield
    except torch.OutOfMemoryError:
        told = say("settings.memory", device=device, images=images, parts=2 * parts)
        raise RuntimeError(told) from None
