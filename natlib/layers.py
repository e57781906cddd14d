"""The layers of MobileNetV3, plain and elastic.

An *elastic* layer holds the weights of the largest layer that the search space allows and works
as any smaller one: it takes kernel size and expand ratio as arguments of `forward` and slices its
weights accordingly (NAT, "Elastic weights"). A plain layer is what such a slice becomes when it
is read out; both have the same submodule names.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from natlib.space import Block, expanded_channels, squeezed_channels

ACTIVATIONS = {
    "identity": nn.Identity,
    "relu": lambda: nn.ReLU(inplace=True),
    "h_swish": lambda: nn.Hardswish(inplace=True),
    "mish": lambda: nn.Mish(inplace=True),
}


class Conv2d(nn.Conv2d):
    """A convolution without weights: to draw them is most of the time of reading a subnet out."""

    def reset_parameters(self) -> None: ...  # noqa: D102


class Linear(nn.Linear):
    """A linear layer without weights, likewise."""

    reset_parameters = Conv2d.reset_parameters


class ConvNorm(nn.Module):
    """A convolution without bias that keeps the side at stride 1, its batch norm, an activation."""

    def __init__(
        self, c_in: int, c_out: int, kernel: int, stride: int = 1, groups: int = 1, act="relu"
    ) -> None:  # fmt: skip
        super().__init__()
        self.conv = Conv2d(c_in, c_out, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(c_out)
        self.act = ACTIVATIONS[act]()

    def forward(self, x: Tensor) -> Tensor:
        """Maps `(n, c_in, h, w)` to `(n, c_out, h / stride, w / stride)`."""
        return self.act(self.bn(self.conv(x)))


class SqueezeExcite(nn.Module):
    """Squeeze-and-excitation: scales each channel by a gate computed from all channel means."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = squeezed_channels(channels)
        self.reduce = Conv2d(channels, squeezed, 1)
        self.expand = Conv2d(squeezed, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Maps `(n, c, h, w)` to the same shape."""
        gate = self.expand(functional.relu(self.reduce(x.mean((2, 3), keepdim=True))))
        return scale_channels(x, functional.hardsigmoid(gate))

    def sliced(self, x: Tensor) -> Tensor:
        """Does the same with the first `c` channels, squeezed to a quarter of *those*."""
        c, squeezed = x.shape[1], squeezed_channels(x.shape[1])
        gate = x.mean((2, 3), keepdim=True)
        weight, bias = self.reduce.weight[:squeezed, :c], self.reduce.bias[:squeezed]
        gate = functional.relu(functional.conv2d(gate, weight, bias))
        weight, bias = self.expand.weight[:c, :squeezed], self.expand.bias[:c]
        return scale_channels(x, functional.hardsigmoid(functional.conv2d(gate, weight, bias)))


def scale_channels(x: Tensor, gate: Tensor) -> Tensor:
    """Multiplies each channel of `x` by its gate, in place unless the gradient needs `x`."""
    return x * gate if torch.is_grad_enabled() else x.mul_(gate)


class InvertedResidual(nn.Module):
    """Expand 1x1 (not without an expand ratio), depthwise, squeeze-and-excitation, project 1x1."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        mid, act, bare = block.mid, block.act, block.expand is None
        self.inverted_bottleneck = None if bare else ConvNorm(block.c_in, mid, 1, act=act)
        self.depth_conv = ConvNorm(mid, mid, block.kernel, block.stride, groups=mid, act=act)
        self.se = SqueezeExcite(mid) if block.squeeze else None
        self.point_linear = ConvNorm(mid, block.c_out, 1, act="identity")
        self.residual = block.stride == 1 and block.c_in == block.c_out

    def forward(self, x: Tensor) -> Tensor:
        """Maps `(n, c_in, h, w)` to `(n, c_out, h / stride, w / stride)`."""
        y = x if self.inverted_bottleneck is None else self.inverted_bottleneck(x)
        y = self.depth_conv(y)
        y = y if self.se is None else self.se(y)
        y = self.point_linear(y)
        return y.add_(x) if self.residual else y


class ElasticBlock(InvertedResidual):
    """An inverted residual that works with any of the kernel sizes and with smaller ratios.

    The first `expanded_channels(c_in, expand)` channels are used. A smaller kernel is the centre
    of the next larger one, flattened and multiplied by a learned matrix, one per step (7 to 5,
    then 5 to 3) and shared by all channels. `block` is the largest shape that it can take.
    """

    def __init__(self, block: Block, kernels: Sequence[int]) -> None:
        super().__init__(block)
        self.c_in, self.stride, self.kernels = block.c_in, block.stride, tuple(kernels)
        self.kernel_matrices = nn.ParameterDict(
            {f"{k + 2}to{k}": nn.Parameter(torch.eye(k * k)) for k in self.kernels[:-1]}
        )

    def depthwise_weight(self, kernel: int, channels: int) -> Tensor:
        """Returns the depthwise kernels of a size, `(channels, 1, kernel, kernel)`."""
        weight = self.depth_conv.conv.weight[:channels]
        for size in reversed([k for k in self.kernels[:-1] if k >= kernel]):
            centre = weight[:, :, 1:-1, 1:-1].reshape(channels, size * size)
            matrix = self.kernel_matrices[f"{size + 2}to{size}"]
            weight = functional.linear(centre, matrix).view(channels, 1, size, size)
        return weight

    def forward(self, x: Tensor, kernel: int, expand: float) -> Tensor:
        """Does with `(n, c_in, h, w)` what the plain block of this kernel and ratio does."""
        mid, conv2d = expanded_channels(self.c_in, expand), functional.conv2d
        y = conv2d(x, self.inverted_bottleneck.conv.weight[:mid])
        y = self.inverted_bottleneck.act(sliced_norm(y, self.inverted_bottleneck.bn))
        weight = self.depthwise_weight(kernel, mid)
        y = conv2d(y, weight, stride=self.stride, padding=kernel // 2, groups=mid)
        y = self.depth_conv.act(sliced_norm(y, self.depth_conv.bn))
        y = y if self.se is None else self.se.sliced(y)
        y = self.point_linear.bn(conv2d(y, self.point_linear.conv.weight[:, :mid]))
        return y.add_(x) if self.residual else y


def sliced_norm(x: Tensor, bn: nn.BatchNorm2d) -> Tensor:
    """Applies the first channels of a batch norm, as many as `x` has, and trains only those."""
    c = x.shape[1]
    statistics, affine = (bn.running_mean[:c], bn.running_var[:c]), (bn.weight[:c], bn.bias[:c])
    return functional.batch_norm(x, *statistics, *affine, bn.training, bn.momentum, bn.eps)


class PooledConv(nn.Module):
    """Global average pooling, then a 1x1 convolution without batch norm and bias, activation."""

    def __init__(self, c_in: int, c_out: int, act: str) -> None:
        super().__init__()
        self.conv = Conv2d(c_in, c_out, 1, bias=False)
        self.act = ACTIVATIONS[act]()

    def forward(self, x: Tensor) -> Tensor:
        """Maps `(n, c_in, h, w)` to features `(n, c_out)`."""
        return self.act(self.conv(x.mean((2, 3), keepdim=True))).flatten(1)


def build(block: Block) -> nn.Module:
    """Builds the plain module that a block describes."""
    if block.kind == "residual":
        return InvertedResidual(block)
    if block.kind == "pooled":
        return PooledConv(block.c_in, block.c_out, block.act)
    return ConvNorm(block.c_in, block.c_out, block.kernel, block.stride, act=block.act)


def layout(device: torch.device) -> torch.memory_format:
    """Returns how images and weights lie in memory: on a CPU the channels come last."""
    # On a card cuDNN would compile each new shape of a depthwise convolution: up to two seconds.
    return torch.channels_last if device.type == "cpu" else torch.contiguous_format


def laid_out(images: Tensor) -> Tensor:
    """Returns images `(n, c, h, w)` in the layout of their device."""
    return images.contiguous(memory_format=layout(images.device))


@torch.no_grad()
def initialise(module: nn.Module) -> None:
    """Fills one convolution or linear layer at random; `network.apply(initialise)` does all."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out")
    elif isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.01)
    if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)


def copy_slices(target: nn.Module, source: nn.Module) -> None:
    """Fills a module with the first channels of a larger one with tensors of the same names."""
    for name, module in target._modules.items():
        if module is not None:
            copy_slices(module, source._modules[name])
    for name, tensor in (*target._parameters.items(), *target._buffers.items()):
        if tensor is not None:
            larger = source._parameters.get(name, source._buffers.get(name))
            tensor.copy_(larger[tuple(map(slice, tensor.shape))])


def fold_batch_norm(module: nn.Module) -> nn.Module:
    """Folds each batch norm of a plain module in `eval` mode into its convolution, in place."""
    if module.training:
        raise ValueError("Batch norm can be folded in eval mode only: call .eval() first.")
    for layer in module.modules():
        if isinstance(layer, ConvNorm) and isinstance(layer.bn, nn.BatchNorm2d):
            layer.conv, layer.bn = fuse_conv_bn_eval(layer.conv, layer.bn), nn.Identity()
    return module
