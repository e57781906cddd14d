"""natlib against the packages of the `peers` extra."""

import pytest
import torch
from torch import nn

from natlib.layers import fold_batch_norm
from natlib.paper.checkpoints import load_ofa
from natlib.space import Architecture, SearchSpace
from natlib.supernet import Supernet

pytestmark = pytest.mark.peers
networks = pytest.importorskip("ofa.imagenet_classification.elastic_nn.networks")

SPACE = SearchSpace.paper()
CHOICES = {"ks_list": [3, 5, 7], "expand_ratio_list": [3, 4, 6], "depth_list": [2, 3, 4]}


def select(peer: nn.Module, arch: Architecture) -> None:
    """Sets the peer's active subnet, which takes a value for skipped layers too."""
    padded = [layers + [(3, 3)] * (SPACE.max_depth - len(layers)) for layers in arch.stages()]
    kernels, expands = zip(*(layer for layers in padded for layer in layers), strict=True)
    peer.set_active_subnet(ks=list(kernels), e=list(expands), d=list(arch.depths))


@torch.no_grad()
def make_peer(width: float, perturbed: bool) -> nn.Module:
    """Builds the peer with fresh weights or with perturbed ones, statistics of one batch."""
    torch.manual_seed(int(10 * width))
    peer = networks.OFAMobileNetV3(width_mult=width, **CHOICES)
    if perturbed:
        for tensor in peer.state_dict().values():
            if tensor.is_floating_point():
                scale = 0.3 if tensor.ndim < 4 else 0.3 * tensor.std().item()
                tensor.add_(scale * (torch.rand_like(tensor) - 0.5))
    peer.set_bn_param(momentum=0.9, eps=1e-5)
    peer.set_max_net()
    peer.train()(torch.randn(8, 3, 96, 96))
    return peer.eval()


@pytest.mark.parametrize("perturbed", [False, True], ids=["fresh", "perturbed"])
@torch.no_grad()
def test_subnets_compute_what_once_for_all_computes(perturbed):
    peers = {width: make_peer(width, perturbed) for width in SPACE.widths}
    net = Supernet(SPACE, 1000).eval()
    load_ofa(net, {width: peer.state_dict() for width, peer in peers.items()})
    images = torch.randn(3, 3, 96, 96)
    X = SPACE.sample(20, rng=5)
    X[:, 1] = [0, 1] * 10
    for row, x in enumerate(X):
        arch = SPACE.decode(x)
        peer, batch = peers[arch.width], images[: 1 if row % 4 < 2 else 3]
        select(peer, arch)
        subnet = net.extract(arch)
        outputs = [net(batch, arch), subnet(batch), fold_batch_norm(subnet)(batch)]
        for expected in (peer(batch), peer.get_active_subnet().eval()(batch)):
            tolerance = 1e-4 * expected.abs().max()
            for found in outputs:
                assert (found - expected).abs().max() < tolerance, str(arch)
