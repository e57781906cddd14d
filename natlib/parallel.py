"""Several processes that act as one: data-parallel training, evaluation shared out.

`torchrun` starts the processes and tells each its rank; without it there is one, and everything
here does nothing. Every process trains the same subnets on its own part of each batch, and
gradients are averaged.
"""

from __future__ import annotations

import os

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import nn


def connect() -> None:
    """Joins the other processes, if `torchrun` started several: nccl on CUDA, else gloo."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")


def disconnect() -> None:
    """Leaves the other processes."""
    if dist.is_initialized():
        dist.destroy_process_group()


def world_size() -> int:
    """Returns the number of processes."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Returns the number of this process, 0 for the one that writes and prints."""
    return dist.get_rank() if dist.is_initialized() else int(os.environ.get("RANK", "0"))


def wait_for_all() -> None:
    """Waits until every process has come here."""
    if dist.is_initialized():
        dist.barrier()


def average_gradients(net: nn.Module) -> None:
    """Replaces each gradient by its mean over the processes, in one exchange."""
    if world_size() == 1:
        return
    gradients = [p.grad for p in net.parameters() if p.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    flat /= world_size()
    pieces = flat.split([gradient.numel() for gradient in gradients])
    for gradient, piece in zip(gradients, pieces, strict=True):
        gradient.copy_(piece.view_as(gradient))


def add_up(values: NDArray, device: torch.device) -> NDArray:
    """Returns the sum over the processes of an integer or boolean array, on every process."""
    if world_size() == 1:
        return values
    total = torch.from_numpy(values.astype(np.int64)).to(device)
    dist.all_reduce(total)
    return total.cpu().numpy().astype(values.dtype)
