"""Official weights: Once-for-all's supernets, and the networks that NAT's authors published."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch

from natlib.supernet import Subnet, Supernet, load_state, state_problems

# Patterns of names in official checkpoints, in both spellings, and what stands here instead.
RENAMED = {
    r"^(blocks\.\d+)\.(?:mobile_inverted_)?conv\.": r"\1.",
    r"\.depth_conv\.conv\.(\dto\d)_matrix$": r".kernel_matrices.\1",
    r"\.depth_conv\.se\.fc\.": ".se.",
    r"\.conv\.conv\.": ".conv.",
    r"\.bn\.bn\.": ".bn.",
    r"^classifier\.linear\.": "classifier.",
}


def read_weights(path: str | Path) -> dict:
    """Reads a file of PyTorch weights; a `ValueError` if it holds anything else."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged archives fail in many ways
        raise ValueError(f"{path} holds no PyTorch weights: {error}") from None


def load_ofa(net: Supernet, checkpoints: Mapping[float, Mapping]) -> None:
    """Loads official Once-for-all MobileNetV3 checkpoints, one per width multiplier.

    Args:
        net: A supernet of the paper's space with 1,000 classes.
        checkpoints: State dict of each width, as it is or wrapped in `{"state_dict": ...}`.

    Raises:
        ValueError: If a width or a key is missing, unexpected or misshapen; nothing was loaded.
    """
    widths = net.space.widths
    if set(checkpoints) != set(widths):
        raise ValueError(
            f"The space has the widths {list(widths)}: give one checkpoint for each, not "
            f"{sorted(checkpoints)}."
        )
    states = [_renamed(checkpoints[width]) for width in widths]
    titles = [f"The checkpoint of width {width}" for width in widths]
    parts = list(zip(net.weight_sets, states, titles, strict=True))
    misfits = [part for part in parts if state_problems(*part[:2])]
    for part in misfits or parts:  # a misfit is told before anything is loaded
        load_state(*part)


def load_published(subnet: Subnet, checkpoint: Mapping) -> None:
    """Loads weights in the layout of the published networks; a `ValueError` if they do not fit."""
    load_state(subnet, _renamed(checkpoint), "The published network")


def _renamed(checkpoint: Mapping) -> dict[str, torch.Tensor]:
    state = dict(checkpoint.get("state_dict", checkpoint))
    for pattern, replacement in RENAMED.items():
        state = {re.sub(pattern, replacement, name): tensor for name, tensor in state.items()}
    return state
