"""The supernet: one network that holds the weights of every subnet of a search space.

The architecture is an argument of `forward`, never a state: `supernet(images, arch)`. A subnet is
read out, with weights of its own, by `extract`. At the paper's scale this is Once-for-all
MobileNetV3, and its official checkpoints load.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from natlib.layers import (
    ACTIVATIONS,
    ConvNorm,
    ElasticBlock,
    InvertedResidual,
    channels_last,
    read_out,
    skeleton,
)
from natlib.space import Architecture, SearchSpace

StateDict = Mapping[str, Tensor]


def build(layer: type[nn.Module], *args) -> nn.Module:
    """Builds a layer from its class and arguments."""
    return layer(*args)


class Subnet(nn.Module):
    """One subnet as a plain module, independent of any supernet.

    Args:
        space: The search space that the architecture belongs to.
        arch: The architecture.
        num_classes: Outputs of the classifier.
        activation: Replaces every activation, for example `"mish"`; `None` keeps the space's.
        make: Makes a layer from its class and arguments: `build`, or `natlib.layers.skeleton`.

    Raises:
        ValueError: If the architecture is outside the space, or the activation is none of
            `natlib.layers.ACTIVATIONS`.
    """

    def __init__(
        self,
        space: SearchSpace,
        arch: Architecture,
        num_classes: int,
        activation: str | None = None,
        make: Callable[..., nn.Module] = build,
    ) -> None:
        super().__init__()
        space.encode(arch)  # complains where the architecture is outside the space
        if activation is not None and activation not in ACTIVATIONS:
            raise ValueError(
                f"There is no activation '{activation}': choose from {[*ACTIVATIONS]}."
            )
        self.arch = arch
        stem, channels = space.stem_channels(arch.width), space.stage_channels(arch.width)
        head_act = activation or "h_swish"
        self.first_conv = make(ConvNorm, 3, stem, 3, space.stem_stride, 1, head_act)
        first_act = activation or "relu"
        blocks = [make(InvertedResidual, stem, stem, 3, None, 1, first_act, False)]
        c_in = stem
        for stage, layers in enumerate(arch.stages()):
            c_out, stride = channels[stage], space.stage_strides[stage]
            act, squeeze = activation or space.stage_acts[stage], space.stage_se[stage]
            for kernel, expand in layers:
                shape = (c_in, c_out, kernel, expand, stride, act, squeeze)
                blocks.append(make(InvertedResidual, *shape))
                c_in, stride = c_out, 1
        self.blocks = nn.ModuleList(blocks)
        final, mix = space.head_channels(arch.width)
        self.final_expand_layer = make(ConvNorm, c_in, final, 1, 1, 1, head_act)
        self.feature_mix_layer = make(FeatureMix, final, mix, head_act)
        self.classifier = make(nn.Linear, mix, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Maps images `(n, 3, h, w)` to logits `(n, num_classes)`."""
        x = self.first_conv(channels_last(images))
        for block in self.blocks:
            x = block(x)
        return self.classifier(self.feature_mix_layer(self.final_expand_layer(x)))

    def load_published(self, state_dict: StateDict) -> None:
        """Loads a weights file in the layout of the NAT authors' published networks.

        Raises:
            ValueError: If keys are missing, unexpected or misshapen; nothing is changed then.
        """
        load_checked(self, plain_names(unwrap(state_dict)), "The published network")


class FeatureMix(nn.Module):
    """Global average pooling, then a 1x1 convolution without batch norm and bias, activation.

    Args:
        c_in: Input channels.
        c_out: Output channels.
        act: Activation.
    """

    def __init__(self, c_in: int, c_out: int, act: str) -> None:
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, 1, bias=False)
        self.act = ACTIVATIONS[act]()

    def forward(self, x: Tensor) -> Tensor:
        """Maps `(n, c_in, h, w)` to features `(n, c_out)`."""
        return self.act(self.conv(x.mean((2, 3), keepdim=True))).flatten(1)


class WeightSet(nn.Module):
    """The shared weights of all subnets of one width multiplier.

    Args:
        space: The search space.
        width: Width multiplier.
        num_classes: Outputs of the classifier.
    """

    def __init__(self, space: SearchSpace, width: float, num_classes: int) -> None:
        super().__init__()
        self.max_depth = space.max_depth
        stem = space.stem_channels(width)
        self.first_conv = ConvNorm(3, stem, 3, space.stem_stride, act="h_swish")
        self.blocks = nn.ModuleList([InvertedResidual(stem, stem, 3, None, 1, "relu", False)])
        c_in = stem
        for stage, c_out in enumerate(space.stage_channels(width)):
            for position in range(space.max_depth):
                block = ElasticBlock(
                    c_in,
                    c_out,
                    space.kernels,
                    space.expands,
                    stride=space.stage_strides[stage] if position == 0 else 1,
                    act=space.stage_acts[stage],
                    squeeze=space.stage_se[stage],
                )
                self.blocks.append(block)
                c_in = c_out
        final, mix = space.head_channels(width)
        self.final_expand_layer = ConvNorm(c_in, final, 1, act="h_swish")
        self.feature_mix_layer = FeatureMix(final, mix, "h_swish")
        self.classifier = nn.Linear(mix, num_classes)

    def layers_of(self, arch: Architecture) -> list[tuple[ElasticBlock, int, float]]:
        """Returns the elastic blocks that the architecture uses, with kernel and expand ratio."""
        return [
            (self.blocks[1 + stage * self.max_depth + position], kernel, expand)
            for stage, layers in enumerate(arch.stages())
            for position, (kernel, expand) in enumerate(layers)
        ]

    def forward(self, images: Tensor, arch: Architecture) -> Tensor:
        """Maps images `(n, 3, h, w)` to the subnet's logits `(n, num_classes)`."""
        x = self.blocks[0](self.first_conv(channels_last(images)))
        for block, kernel, expand in self.layers_of(arch):
            x = block(x, kernel, expand)
        return self.classifier(self.feature_mix_layer(self.final_expand_layer(x)))


class Supernet(nn.Module):
    """All subnets of a search space in one module, one `WeightSet` per width multiplier.

    Args:
        space: The search space.
        num_classes: Outputs of the classifier.
    """

    def __init__(self, space: SearchSpace, num_classes: int) -> None:
        super().__init__()
        self.space = space
        self.num_classes = num_classes
        self.weight_sets = nn.ModuleList(
            [WeightSet(space, width, num_classes) for width in space.widths]
        )
        self.apply(_initialise)

    def forward(self, images: Tensor, arch: Architecture) -> Tensor:
        """Computes the logits of one subnet.

        Args:
            images: float32 `(n, 3, h, w)`, resized to the architecture's resolution already.
            arch: The architecture.

        Returns:
            Logits, `(n, num_classes)`.

        Raises:
            ValueError: If the architecture is outside the space.
        """
        return self.weights_of(arch)(images, arch)

    def weights_of(self, arch: Architecture) -> WeightSet:
        """Returns the weight set of the architecture's width, after checking the architecture."""
        return self.weight_sets[self.space.encode(arch)[1]]

    @torch.no_grad()
    def extract(self, arch: Architecture) -> Subnet:
        """Reads a subnet out: a plain module with its own copy of the weights.

        Its running batch-norm statistics are the supernet's, which no subnet can use as they are:
        see `natlib.evaluate.recalibrate`.

        Raises:
            ValueError: If the architecture is outside the space.
        """
        weights = self.weights_of(arch)
        subnet = Subnet(self.space, arch, self.num_classes, make=skeleton)
        for name in ("first_conv", "final_expand_layer", "feature_mix_layer", "classifier"):
            setattr(subnet, name, read_out(getattr(subnet, name), getattr(weights, name)))
        subnet.blocks[0] = read_out(subnet.blocks[0], weights.blocks[0])
        for number, (block, kernel, _) in enumerate(weights.layers_of(arch), start=1):
            subnet.blocks[number] = block.extract(subnet.blocks[number], kernel)
        subnet.training = subnet.blocks.training = self.training
        return subnet

    def replace_classifier(self, num_classes: int) -> None:
        """Gives every weight set a new, untrained classifier (NAT, warm-up).

        Args:
            num_classes: Classes of the new task.
        """
        for weights in self.weight_sets:
            old = weights.classifier
            weights.classifier = nn.Linear(old.in_features, num_classes).to(old.weight.device)
            _initialise(weights.classifier)
        self.num_classes = num_classes

    def load_ofa(self, checkpoints: Mapping[float, StateDict]) -> None:
        """Loads official Once-for-all MobileNetV3 checkpoints, one per width multiplier.

        Both spellings of the keys are read, and a checkpoint wrapped in `{"state_dict": ...}`.

        Args:
            checkpoints: State dict of each width multiplier.

        Raises:
            ValueError: If a width or a key is missing, unexpected or misshapen. Nothing has been
                loaded then.
        """
        if set(checkpoints) != set(self.space.widths):
            raise ValueError(
                f"The space has the widths {list(self.space.widths)}: give one checkpoint for "
                f"each, not {sorted(checkpoints)}."
            )
        named = {w: plain_names(unwrap(checkpoints[w])) for w in self.space.widths}
        for width, weights in zip(self.space.widths, self.weight_sets, strict=True):
            check_state(weights, named[width], f"The checkpoint of width {width}")
        for width, weights in zip(self.space.widths, self.weight_sets, strict=True):
            weights.load_state_dict(named[width])

    def save(self, path: str | Path, **metadata: str) -> None:
        """Writes the weights as safetensors, with the space and the classes in the metadata.

        Args:
            path: The file; it is written under a temporary name and renamed.
            **metadata: Further strings to keep, such as how the weights were made.
        """
        path = Path(path)
        about = {"space": self.space.to_json(), "num_classes": str(self.num_classes)}
        temporary = path.with_name(path.name + ".part")
        state = {name: tensor.contiguous() for name, tensor in self.state_dict().items()}
        save_file(state, temporary, metadata=about | metadata)
        temporary.replace(path)

    @classmethod
    def load(cls, path: str | Path) -> Supernet:
        """Reads a supernet that `save` wrote.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If the file is truncated or was written by something else.
        """
        if not Path(path).is_file():
            raise FileNotFoundError(f"There is no supernet at {path}.")
        try:
            with safe_open(path, framework="pt") as file:
                about = file.metadata() or {}
                state = {name: file.get_tensor(name) for name in file.keys()}
        except SafetensorError as error:
            raise ValueError(f"{path} is no complete safetensors file: {error}.") from error
        if "space" not in about:
            raise ValueError(f"{path} was not written by Supernet.save: it names no search space.")
        net = cls(SearchSpace.from_json(about["space"]), int(about["num_classes"]))
        load_checked(net, state, str(path))
        return net


def plain_names(state_dict: StateDict) -> dict[str, Tensor]:
    """Renames the keys of an Once-for-all or published NAT checkpoint to the names used here."""
    renames = [
        (r"^(blocks\.\d+)\.(?:mobile_inverted_)?conv\.", r"\1."),
        (r"\.depth_conv\.conv\.(\dto\d)_matrix$", r".kernel_matrices.\1"),
        (r"\.depth_conv\.se\.fc\.", ".se."),
        (r"\.conv\.conv\.", ".conv."),
        (r"\.bn\.bn\.", ".bn."),
        (r"^classifier\.linear\.", "classifier."),
    ]
    named = {}
    for key, tensor in state_dict.items():
        for pattern, replacement in renames:
            key = re.sub(pattern, replacement, key)
        named[key] = tensor
    return named


def unwrap(checkpoint: Mapping) -> StateDict:
    """Returns the state dict of a checkpoint that may be wrapped in `{"state_dict": ...}`."""
    return checkpoint.get("state_dict", checkpoint)


def check_state(module: nn.Module, state: StateDict, what: str) -> None:
    """Compares names and shapes with those of a module.

    Raises:
        ValueError: Naming the missing, unexpected or misshapen keys.
    """
    own = module.state_dict()
    wrong_shape = [k for k in own if k in state and own[k].shape != state[k].shape]
    problems = [
        f"{len(keys)} {problem} ({', '.join(keys[:3])}{', ...' if len(keys) > 3 else ''})"
        for problem, keys in (
            ("missing", [k for k in own if k not in state]),
            ("unexpected", [k for k in state if k not in own]),
            ("misshapen", wrong_shape),
        )
        if keys
    ]
    if problems:
        raise ValueError(f"{what} does not fit: {'; '.join(problems)}; nothing was loaded.")


def load_checked(module: nn.Module, state: StateDict, what: str) -> None:
    """Loads a state dict after `check_state`.

    Raises:
        ValueError: As `check_state`; the module is unchanged then.
    """
    check_state(module, state, what)
    module.load_state_dict(state)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.01)
        nn.init.zeros_(module.bias)
