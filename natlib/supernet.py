"""The supernet: one network that holds the weights of every subnet of a search space.

The architecture is an argument of `forward`, never a state: `supernet(images, arch)`. A subnet is
read out by `extract`. Both are built from `SearchSpace.blocks`. At the paper's scale this is
Once-for-all MobileNetV3, whose weights load (`natlib.paper.checkpoints`).
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Self
from zipfile import is_zipfile

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from natlib import layers
from natlib.inputs import checks, demand, listed
from natlib.inputs.weights import foreign, read_weights
from natlib.space import Architecture, SearchSpace


class Subnet(nn.Module):
    """One subnet as a plain module, independent of any supernet.

    `activation` replaces every one of the space's; without `random` weights are yet to be set.
    """

    def __init__(
        self, space: SearchSpace, arch: Architecture, num_classes: int,
        activation: str | None = None, random: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        about = {"what": "activation", "name": activation, "known": ", ".join(layers.ACTIVATIONS)}
        demand(activation in (None, *layers.ACTIVATIONS), "settings.choice", **about)
        self.arch = arch
        blocks = [block._replace(act=activation or block.act) for block in space.blocks(arch)]
        stem, *residuals, final, mix = map(layers.build, blocks)
        self.first_conv, self.blocks = stem, nn.ModuleList(residuals)
        self.final_expand_layer, self.feature_mix_layer = final, mix
        self.classifier = layers.Linear(blocks[-1].c_out, num_classes)
        if random:
            self.apply(layers.initialise)

    def forward(self, images: Tensor, arch: Architecture | None = None) -> Tensor:
        """Maps images `(n, 3, h, w)` to logits `(n, num_classes)`; whatever `arch` is passed."""
        x = self.first_conv(layers.laid_out(images))
        for block in self.blocks:
            x = block(x)
        return self.classifier(self.feature_mix_layer(self.final_expand_layer(x)))


class WeightSet(nn.Module):
    """The shared weights of all subnets of one width multiplier."""

    def __init__(self, space: SearchSpace, width: float, num_classes: int) -> None:
        super().__init__()
        self.max_depth = space.max_depth
        stem, first, *inner, final, mix = space.blocks(space.largest(width))
        elastic = [layers.ElasticBlock(block, space.kernels) for block in inner]
        self.first_conv = layers.build(stem)
        self.blocks = nn.ModuleList([layers.build(first), *elastic])
        self.final_expand_layer, self.feature_mix_layer = layers.build(final), layers.build(mix)
        self.classifier = layers.Linear(mix.c_out, num_classes)

    def layers_of(self, arch: Architecture) -> list[tuple[layers.ElasticBlock, int, float]]:
        """Returns the elastic blocks that the architecture uses, with kernel and expand ratio."""
        return [
            (self.blocks[1 + stage * self.max_depth + position], kernel, expand)
            for stage, pairs in enumerate(arch.stages())
            for position, (kernel, expand) in enumerate(pairs)
        ]

    def forward(self, images: Tensor, arch: Architecture) -> Tensor:
        """Maps images `(n, 3, h, w)` to the subnet's logits `(n, num_classes)`."""
        x = self.blocks[0](self.first_conv(layers.laid_out(images)))
        for block, kernel, expand in self.layers_of(arch):
            x = block(x, kernel, expand)
        return self.classifier(self.feature_mix_layer(self.final_expand_layer(x)))


class Supernet(nn.Module):
    """All subnets of a search space in one module, one `WeightSet` per width multiplier."""

    def __init__(self, space: SearchSpace, num_classes: int) -> None:
        super().__init__()
        self.space, self.num_classes = space, num_classes
        weight_sets = [WeightSet(space, width, num_classes) for width in space.widths]
        self.weight_sets = nn.ModuleList(weight_sets).apply(layers.initialise)

    def forward(self, images: Tensor, arch: Architecture) -> Tensor:
        """Maps images `(n, 3, h, w)` of its resolution to a subnet's logits `(n, num_classes)`."""
        return self.weight_sets[self.space.encode(arch)[1]](images, arch)

    @torch.no_grad()
    def extract(self, arch: Architecture) -> Subnet:
        """Reads a subnet out: a plain module with its own copy of the weights that it uses.

        The batch-norm statistics it gets fit no subnet: see `natlib.evaluate.recalibrate`.
        """
        with next(self.parameters()).device:  # where its weights are
            subnet = Subnet(self.space, arch, self.num_classes, random=False)
        weights = self.weight_sets[self.space.widths.index(arch.width)]
        for name in ("first_conv", "final_expand_layer", "feature_mix_layer", "classifier"):
            layers.copy_slices(getattr(subnet, name), getattr(weights, name))
        layers.copy_slices(subnet.blocks[0], weights.blocks[0])
        blocks = zip(subnet.blocks[1:], weights.layers_of(arch), strict=True)
        for plain, (elastic, kernel, _) in blocks:
            layers.copy_slices(plain, elastic)
            channels = plain.depth_conv.bn.num_features
            plain.depth_conv.conv.weight.copy_(elastic.depthwise_weight(kernel, channels))
        return subnet.train(self.training)

    def replace_classifier(self, num_classes: int) -> None:
        """Gives every weight set a new, untrained classifier for a new task (NAT, warm-up)."""
        for weights in self.weight_sets:
            old = weights.classifier
            weights.classifier = layers.Linear(old.in_features, num_classes).to(old.weight.device)
            layers.initialise(weights.classifier)
        self.num_classes = num_classes

    def save(self, path: str | Path, **metadata: str) -> None:
        """Writes weights, space, classes and further metadata as safetensors; renames the file."""
        about = {"space": self.space.to_json(), "num_classes": str(self.num_classes)}
        state = {name: tensor.contiguous() for name, tensor in self.state_dict().items()}
        with checks.replacing(path) as temporary:
            save_file(state, temporary, metadata=about | metadata)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Reads what `save` wrote, or a run folder, or its checkpoint; raises if it is none."""
        path = Path(path) / "checkpoint.pt" if Path(path).is_dir() else Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"There is no supernet at {path}.")
        if is_zipfile(path):
            return cls._of_run(read_weights(path), str(path))
        try:
            with safe_open(path, framework="pt") as file:
                state = {name: file.get_tensor(name) for name in file.keys()}
                about = file.metadata() or {}
        except SafetensorError as error:
            told = foreign(path) or error
            raise ValueError(f"{path} is no complete safetensors file: {told}.") from None
        if "space" not in about:
            raise ValueError(f"{path} was not written by Supernet.save: it names no search space.")
        net = cls(SearchSpace.from_json(about["space"]), int(about["num_classes"]))
        load_state(net, state, str(path))
        return net

    @classmethod
    def _of_run(cls, content: dict, what: str) -> Self:
        try:
            space, averaged = content["settings"]["space"], content["average"]
            state = {k.removeprefix("module."): v for k, v in averaged.items() if k != "n_averaged"}
            n = len(state["weight_sets.0.classifier.bias"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"{what} is no checkpoint of a transfer: it lacks {error}.") from None
        net = cls(SearchSpace.from_json(json.dumps(space)), n)
        load_state(net, state, what)
        return net


def state_problems(module: nn.Module, state: Mapping[str, Tensor]) -> str:
    """Returns which names and shapes of a state dict do not fit a module; empty if all do."""
    own = module.state_dict()
    kinds = {
        "missing": [name for name in own if name not in state],
        "unexpected": [name for name in state if name not in own],
        "misshapen": [k for k in own if k in state and own[k].shape != state[k].shape],
    }
    return "; ".join(
        f"{len(names)} {kind} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
        for kind, names in kinds.items()
        if names
    )


def load_state(module: nn.Module, state: Mapping[str, Tensor], what: str) -> None:
    """Loads a state dict, called `what`, or raises with the names and shapes that do not fit."""
    if problems := state_problems(module, state):
        raise ValueError(f"{what} does not fit: {problems}; nothing was loaded.")
    broken = [name for name, tensor in state.items() if not tensor.isfinite().all()]
    demand(not broken, "weights.broken", what=what, named=listed(broken))
    module.load_state_dict(state)
