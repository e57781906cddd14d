"""The layers of MobileNetV3, plain and elastic.

An *elastic* layer holds the weights of the largest layer that the search space allows and works
as any smaller one: it takes kernel size and expand ratio as arguments of `forward` and slices its
weights accordingly (NAT, "Elastic weights"). A plain layer is what such a slice becomes when it
is read out. Both have the same submodule names, so that weights pass from one to the other by
name.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from natlib.space import expanded_channels, squeezed_channels

ACTIVATIONS = {
    "identity": nn.Identity,
    "relu": lambda: nn.ReLU(inplace=True),
    "h_swish": lambda: nn.Hardswish(inplace=True),
    "mish": lambda: nn.Mish(inplace=True),
}

PIXELS_AT_A_TIME = 2**16  # of a batch on a CPU


class ConvNorm(nn.Module):
    """A convolution without bias, its batch norm, an activation.

    Args:
        c_in: Input channels.
        c_out: Output channels.
        kernel: Side of the kernel; the padding keeps the side of the image at stride 1.
        stride: Stride.
        groups: Groups of the convolution; `c_in` for a depthwise one.
        act: Activation, a key of `ACTIVATIONS`.
    """

    def __init__(
        self,
        c_in: int,
        c_out: int,
        kernel: int,
        stride: int = 1,
        groups: int = 1,
        act: str = "relu",
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(c_out)
        self.act = ACTIVATIONS[act]()

    def forward(self, x: Tensor) -> Tensor:
        """Maps `(n, c_in, h, w)` to `(n, c_out, h / stride, w / stride)`."""
        return self.act(self.bn(self.conv(x)))

    def fold(self) -> None:
        """Folds the batch norm into the convolution, which then has a bias; `eval` mode only."""
        if isinstance(self.bn, nn.BatchNorm2d):
            self.conv = fuse_conv_bn_eval(self.conv, self.bn)
            self.bn = nn.Identity()


class SqueezeExcite(nn.Module):
    """Squeeze-and-excitation: scales each channel by a gate computed from all channel means.

    Args:
        channels: Channels of the input; a quarter of them are used inside.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = squeezed_channels(channels)
        self.reduce = nn.Conv2d(channels, squeezed, 1)
        self.expand = nn.Conv2d(squeezed, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Maps `(n, channels, h, w)` to the same shape; without gradients, in place."""
        gate = self.expand(F.relu(self.reduce(x.mean((2, 3), keepdim=True))))
        return scale_channels(x, F.hardsigmoid(gate))


class InvertedResidual(nn.Module):
    """Expand 1x1, depthwise convolution, squeeze-and-excitation, project 1x1.

    Args:
        c_in: Input channels.
        c_out: Output channels.
        kernel: Side of the depthwise kernel.
        expand: Expand ratio; `None` leaves the expand convolution out (the fixed first block).
        stride: Stride of the depthwise convolution.
        act: Activation after the first two convolutions.
        squeeze: Whether there is squeeze-and-excitation.
    """

    def __init__(
        self,
        c_in: int,
        c_out: int,
        kernel: int,
        expand: float | None,
        stride: int,
        act: str,
        squeeze: bool,
    ) -> None:
        super().__init__()
        mid = c_in if expand is None else expanded_channels(c_in, expand)
        self.inverted_bottleneck = None if expand is None else ConvNorm(c_in, mid, 1, act=act)
        self.depth_conv = ConvNorm(mid, mid, kernel, stride, groups=mid, act=act)
        self.se = SqueezeExcite(mid) if squeeze else None
        self.point_linear = ConvNorm(mid, c_out, 1, act="identity")
        self.residual = stride == 1 and c_in == c_out

    def forward(self, x: Tensor) -> Tensor:
        """Maps `(n, c_in, h, w)` to `(n, c_out, h / stride, w / stride)`."""
        y = x if self.inverted_bottleneck is None else self.inverted_bottleneck(x)
        y = self.depth_conv(y)
        y = y if self.se is None else self.se(y)
        y = self.point_linear(y)
        return y.add_(x) if self.residual else y


class ElasticBlock(InvertedResidual):
    """An inverted residual that works with any kernel size and expand ratio of the space.

    The first `expanded_channels(c_in, expand)` channels are used. A smaller kernel is the centre
    of the next larger one, flattened and multiplied by a learned matrix, one per step (7 to 5,
    then 5 to 3) and shared by all channels.

    Args:
        c_in: Input channels.
        c_out: Output channels.
        kernels: Kernel sizes, ascending.
        expands: Expand ratios, ascending.
        stride: Stride of the depthwise convolution.
        act: Activation.
        squeeze: Whether there is squeeze-and-excitation.
    """

    def __init__(
        self,
        c_in: int,
        c_out: int,
        kernels: Sequence[int],
        expands: Sequence[float],
        stride: int,
        act: str,
        squeeze: bool,
    ) -> None:
        super().__init__(c_in, c_out, kernels[-1], expands[-1], stride, act, squeeze)
        self.c_in = c_in
        self.stride = stride
        self.kernels = tuple(kernels)
        self.kernel_matrices = nn.ParameterDict(
            {f"{k + 2}to{k}": nn.Parameter(torch.eye(k * k)) for k in self.kernels[:-1]}
        )

    def depthwise_weight(self, kernel: int, channels: int) -> Tensor:
        """Returns the depthwise kernels of a size, `(channels, 1, kernel, kernel)`."""
        weight = self.depth_conv.conv.weight[:channels]
        for size in reversed([k for k in self.kernels[:-1] if k >= kernel]):
            centre = weight[:, :, 1:-1, 1:-1].reshape(channels, size * size)
            matrix = self.kernel_matrices[f"{size + 2}to{size}"]
            weight = F.linear(centre, matrix).view(channels, 1, size, size)
        return weight

    def forward(self, x: Tensor, kernel: int, expand: float) -> Tensor:
        """Works as the plain block of this kernel size and expand ratio.

        Args:
            x: Input, `(n, c_in, h, w)`.
            kernel: Kernel size of the depthwise convolution.
            expand: Expand ratio.

        Returns:
            Output, `(n, c_out, h / stride, w / stride)`.
        """
        mid = expanded_channels(self.c_in, expand)
        y = F.conv2d(x, self.inverted_bottleneck.conv.weight[:mid])
        y = self.inverted_bottleneck.act(sliced_norm(y, self.inverted_bottleneck.bn))
        weight = self.depthwise_weight(kernel, mid)
        y = F.conv2d(y, weight, stride=self.stride, padding=kernel // 2, groups=mid)
        y = self.depth_conv.act(sliced_norm(y, self.depth_conv.bn))
        y = y if self.se is None else sliced_squeeze_excite(y, self.se)
        y = self.point_linear.bn(F.conv2d(y, self.point_linear.conv.weight[:, :mid]))
        return y.add_(x) if self.residual else y

    def extract(self, plain: InvertedResidual, kernel: int) -> InvertedResidual:
        """Returns the plain block of this kernel size, with its own copy of the weights.

        Args:
            plain: A skeleton of the block.
            kernel: Kernel size of its depthwise convolution.
        """
        block = read_out(plain, self)
        if kernel < self.kernels[-1]:
            weight = self.depthwise_weight(kernel, len(plain.depth_conv.conv.weight))
            block.depth_conv.conv.weight = nn.Parameter(weight)
        return block


def sliced_norm(x: Tensor, bn: nn.BatchNorm2d) -> Tensor:
    """Applies the first channels of a batch norm, as many as `x` has.

    In training mode the running statistics of those channels are updated in place.
    """
    c = x.shape[1]
    return F.batch_norm(
        x,
        bn.running_mean[:c],
        bn.running_var[:c],
        bn.weight[:c],
        bn.bias[:c],
        bn.training,
        bn.momentum,
        bn.eps,
    )


def sliced_squeeze_excite(x: Tensor, se: SqueezeExcite) -> Tensor:
    """Applies the first channels of a squeeze-and-excitation, squeezing to a quarter of *those*."""
    c, squeezed = x.shape[1], squeezed_channels(x.shape[1])
    gate = x.mean((2, 3), keepdim=True)
    gate = F.relu(F.conv2d(gate, se.reduce.weight[:squeezed, :c], se.reduce.bias[:squeezed]))
    gate = F.conv2d(gate, se.expand.weight[:c, :squeezed], se.expand.bias[:c])
    return scale_channels(x, F.hardsigmoid(gate))


def scale_channels(x: Tensor, gate: Tensor) -> Tensor:
    """Multiplies each channel of `x` by its gate, in place unless the gradient needs `x`."""
    return x * gate if torch.is_grad_enabled() else x.mul_(gate)


def channels_last(images: Tensor) -> Tensor:
    """Returns images with the channels of a pixel side by side in memory.

    Every layer hands the layout on, and to convolutions of few channels memory traffic is what
    matters. Apple's MPS keeps the usual layout.
    """
    if images.device.type == "mps":
        return images
    return images.contiguous(memory_format=torch.channels_last)


@cache
def skeleton(layer: type[nn.Module], *args: int | float | str | bool | None) -> nn.Module:
    """Returns a layer without weights, always the same one for the same arguments."""
    with torch.device("meta"):
        return layer(*args)


def read_out(plain: nn.Module, source: nn.Module) -> nn.Module:
    """Returns a copy of a skeleton that is filled with the first channels of another module.

    Building a module anew costs ten times as much as copying one.

    Args:
        plain: The skeleton.
        source: A module with tensors of the same names, as large or larger; they are copied.
    """
    copy = plain.__new__(type(plain))
    copy.__dict__ = {k: type(v)() if isinstance(v, dict) else v for k, v in vars(plain).items()}
    copy.__dict__["training"] = source.training
    for name, tensor in plain._parameters.items():
        part = tensor if tensor is None else first_channels(source._parameters[name], tensor.shape)
        copy._parameters[name] = part if part is None else nn.Parameter(part.clone())
    for name, tensor in plain._buffers.items():
        copy._buffers[name] = first_channels(source._buffers[name], tensor.shape).clone()
    for name, module in plain._modules.items():
        child = source._modules[name]
        copy._modules[name] = module if module is None else read_out(module, child)
    return copy


def first_channels(tensor: Tensor, shape: torch.Size) -> Tensor:
    """Returns the part of a tensor that has the first two sizes of a shape, as a view."""
    if len(shape) < 2:
        return tensor[: shape[0]] if shape else tensor
    return tensor[: shape[0], : shape[1]]


def in_parts(module: nn.Module, images: Tensor) -> Tensor:
    """Returns `module(images)`, on a CPU a few images at a time: their feature maps fit its cache.

    Args:
        module: A module in `eval` mode, where an image's output does not depend on the others.
        images: Its input, `(n, 3, h, w)`.
    """
    if images.device.type != "cpu":
        return module(images)
    n = max(1, PIXELS_AT_A_TIME // (images.shape[2] * images.shape[3]))
    return torch.cat([module(part) for part in images.split(n)])


def fold_batch_norm(module: nn.Module) -> nn.Module:
    """Folds every batch norm of a plain module into its convolution, in place.

    For inference: same outputs, less memory traffic.

    Raises:
        ValueError: If the module is not in `eval` mode.
    """
    if module.training:
        raise ValueError("Batch norm can be folded in eval mode only: call .eval() first.")
    for layer in list(module.modules()):
        if isinstance(layer, ConvNorm):
            layer.fold()
    return module
