"""Official weights: Once-for-all's supernets, and the networks that NAT's authors published."""

import re
from collections.abc import Mapping

import torch

from natlib.inputs import demand
from natlib.inputs.weights import unwrapped
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


def load_ofa(net: Supernet, checkpoints: Mapping[float, Mapping]) -> None:
    """Loads official Once-for-all MobileNetV3 checkpoints into a supernet with 1,000 classes.

    They are state dicts by width, also wrapped as others do. If a width or a key is missing,
    unexpected or misshapen, nothing is loaded, and that is a `ValueError`.
    """
    widths, given = list(net.space.widths), sorted(checkpoints)
    demand(given == sorted(widths), "weights.widths", widths=widths, given=given)
    titles = [f"The checkpoint of width {width}" for width in widths]
    states = [_renamed(checkpoints[w], title) for w, title in zip(widths, titles, strict=True)]
    parts = list(zip(net.weight_sets, states, titles, strict=True))
    misfits = [part for part in parts if state_problems(*part[:2])]
    for part in misfits or parts:  # a misfit is told before anything is loaded
        load_state(*part)


def load_published(subnet: Subnet, checkpoint: Mapping) -> None:
    """Loads weights in the layout of the published networks; a `ValueError` if they do not fit."""
    what = "The published network"
    load_state(subnet, _renamed(checkpoint, what), what)


def _renamed(checkpoint: Mapping, what: str) -> dict[str, torch.Tensor]:
    state = unwrapped(checkpoint, what)
    for pattern, replacement in RENAMED.items():
        state = {re.sub(pattern, replacement, name): tensor for name, tensor in state.items()}
    return state
