"""The search space: which subnets exist, how each is written as integers, and what it is made of.

An architecture has two equal forms. `Architecture` is the readable one: resolution, width
multiplier, and the depth, kernels and expand ratios of every stage. Search works on the other,
the *encoding*: one int64 per decision (NAT, "Encoding"; 22 of them at the paper's scale)

    x = [resolution index, width index, layer genes of stage 1, ..., layer genes of stage S]

with `max_depth` layer genes per stage. A layer gene is 0 if the layer is skipped, else
`1 + kernel index + len(kernels) * expand index`. Only the last layers of a stage may be skipped,
so every architecture has exactly one encoding: the *canonical* one, which `SearchSpace.repair`
makes of any integers. `SearchSpace.blocks` lists the layers of an architecture; networks
(`natlib.supernet`), costs (`natlib.cost`) and latencies are all made from that list.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from math import prod
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

IntMatrix = NDArray[np.int64]


def make_divisible(channels: float, divisor: int = 8) -> int:
    """Rounds a channel count to a multiple of `divisor`, never more than 10% below it.

    The rule of the MobileNet family: the nearest multiple, or the next larger one where the
    nearest would lose more than a tenth of the channels.
    """
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


def expanded_channels(in_channels: int, expand: float) -> int:
    """Channels between the two 1x1 convolutions of an inverted residual: the expanded width."""
    return make_divisible(round(in_channels * expand))


def squeezed_channels(channels: int) -> int:
    """Channels inside a squeeze-and-excitation block: a quarter of the expanded width."""
    return make_divisible(channels // 4)


class Block(NamedTuple):
    """One layer of a network.

    Its kind is `"conv"` (convolution, batch norm, activation), `"residual"` (inverted residual) or
    `"pooled"` (global average pooling, then a 1x1 convolution without batch norm).
    """

    name: str  # its place, such as "stage 2, layer 1"
    kind: str
    c_in: int  # input channels
    c_out: int  # output channels
    kernel: int  # side; in an inverted residual, of the depthwise kernel
    expand: float | None  # expand ratio of an inverted residual; None where nothing is expanded
    stride: int
    act: str  # activation, a key of natlib.layers.ACTIVATIONS
    squeeze: bool  # whether there is squeeze-and-excitation
    side: int  # of its input, in pixels

    @property
    def mid(self) -> int:
        """Channels of the depthwise convolution of an inverted residual."""
        return self.c_in if self.expand is None else expanded_channels(self.c_in, self.expand)

    @property
    def out_side(self) -> int:
        """Side of the output in pixels; padding keeps the side at stride 1."""
        return 1 if self.kind == "pooled" else -(-self.side // self.stride)


@dataclass(frozen=True)
class Architecture:
    """One subnet, described by its decisions."""

    resolution: int  # side of the square input image in pixels
    width: float  # multiplier of the weight set that the subnet is read from
    depths: tuple[int, ...]  # layers of each stage
    kernels: tuple[int, ...]  # of each active layer, stage after stage
    expands: tuple[float, ...]  # expand ratio of each active layer, stage after stage

    def __post_init__(self) -> None:
        if not sum(self.depths) == len(self.kernels) == len(self.expands):
            raise ValueError(
                f"An architecture with depths {list(self.depths)} has {sum(self.depths)} layers "
                "and needs as many kernels and expand ratios, not "
                f"{len(self.kernels)} and {len(self.expands)}."
            )

    @classmethod
    def from_dict(cls, description: dict) -> Architecture:
        """Reads the published form `{"r": 224, "w": 1.0, "ks": [...], "e": [...], "d": [...]}`.

        Raises:
            ValueError: If a key is missing, a number is no whole one, or kernels `ks` and expand
                ratios `e`, which list active layers only, do not fit the depths `d`.
        """
        missing = [key for key in ("r", "w", "ks", "e", "d") if key not in description]
        if missing:
            raise ValueError(f"The architecture has no {', '.join(missing)}: give r, w, ks, e, d.")
        for key in ("r", "d", "ks", "e"):
            values = np.atleast_1d(description[key]).tolist()
            if any(value != int(value) for value in values):
                raise ValueError(f"'{key}' of the architecture takes whole numbers, not {values}.")
        lists = (tuple(map(int, description[key])) for key in ("d", "ks", "e"))
        return cls(int(description["r"]), float(description["w"]), *lists)

    def to_dict(self) -> dict:
        """Returns the published form; `Architecture.from_dict` reads it back."""
        lists = {"ks": list(self.kernels), "e": list(self.expands), "d": list(self.depths)}
        return {"r": self.resolution, "w": self.width, **lists}

    @classmethod
    def from_string(cls, text: str) -> Architecture:
        """Reads the published string, for example `08 0 1100 1440 5510 5220 8877`.

        Spaces do not count. The number of digits tells the space, the paper's or the pocket one,
        else there is a `ValueError`; for a space of your own use `SearchSpace.parse`.
        """
        spaces = {space.n_var + 1: space for space in (SearchSpace.paper(), SearchSpace.pocket())}
        digits = len("".join(text.split()))
        if digits not in spaces:
            raise ValueError(
                f"'{text}' has {digits} digits: an architecture string of the paper's space has "
                "23, one of the pocket space has 12."
            )
        return spaces[digits].parse(text)

    def __str__(self) -> str:
        """The published string where the paper's or the pocket space holds it, else the dict."""
        for space in (SearchSpace.paper(), SearchSpace.pocket()):
            if self in space:
                return space.format(self)
        return str(self.to_dict())

    def stages(self) -> list[list[tuple[int, float]]]:
        """Returns the `(kernel, expand ratio)` pairs of the active layers, stage by stage."""
        pairs = iter(zip(self.kernels, self.expands, strict=True))
        return [[next(pairs) for _ in range(depth)] for depth in self.depths]


@dataclass(frozen=True)
class SearchSpace:
    """A family of MobileNetV3-like subnets that share the weights of one supernet."""

    name: str
    resolutions: tuple[int, ...]  # choices in pixels, ascending
    widths: tuple[float, ...]  # choices of the multiplier; each has a weight set of its own
    kernels: tuple[int, ...]  # choices of a layer's kernel size, ascending
    expands: tuple[int, ...]  # choices of a layer's expand ratio, ascending
    min_depth: int  # layers of a stage at least
    max_depth: int  # and at most
    stem_width: int  # output channels of stem and fixed first block, before the multiplier
    stage_widths: tuple[int, ...]  # output channels of each stage, before the multiplier
    stage_strides: tuple[int, ...]  # stride of the first layer of each stage
    stage_acts: tuple[str, ...]  # activation of each stage
    stage_se: tuple[bool, ...]  # whether the layers of a stage have squeeze-and-excitation
    head_widths: tuple[int, int]  # of final expand and feature mix, before the multiplier
    stem_stride: int = 2

    @classmethod
    def paper(
        cls, resolutions: Sequence[int] = range(192, 257, 4), widths: Sequence[float] = (1.0, 1.2)
    ) -> SearchSpace:
        """The space of the paper: Once-for-all MobileNetV3, 22 genes (NAT, "The search space")."""
        return cls(
            "paper", tuple(resolutions), tuple(widths), kernels=(3, 5, 7), expands=(3, 4, 6),
            min_depth=2, max_depth=4, stem_width=16, stage_widths=(24, 40, 80, 112, 160),
            stage_strides=(2, 2, 2, 1, 2), stage_acts=("relu",) * 2 + ("h_swish",) * 3,
            stage_se=(False, True, False, True, True), head_widths=(960, 1280),
        )  # fmt: skip

    @classmethod
    def pocket(cls) -> SearchSpace:
        """A space of the same build that two CPU cores can train: 11 genes, 32 px pictures."""
        return cls(
            "pocket", (16, 20, 24, 28, 32), widths=(1.0,), kernels=(3, 5), expands=(1, 2, 4),
            min_depth=1, max_depth=3, stem_width=16, stage_widths=(24, 40, 64),
            stage_strides=(1, 2, 2), stage_acts=("relu", "h_swish", "h_swish"),
            stage_se=(False, True, True), head_widths=(192, 256),
        )  # fmt: skip

    def to_json(self) -> str:
        """Returns the space as JSON, to be kept with files that belong to it."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> SearchSpace:
        """Reads what `to_json` wrote."""
        fields = json.loads(text)
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()})

    def blocks(self, arch: Architecture) -> list[Block]:
        """Lists the layers of a subnet from input to output, all but the linear classifier.

        Raises:
            ValueError: If the architecture is outside the space.
        """
        self.encode(arch)  # complains where it is outside
        stem, *stages, final, mix = (
            make_divisible(channels * arch.width)
            for channels in (self.stem_width, *self.stage_widths, *self.head_widths)
        )
        layers = [
            ("stem", "conv", stem, 3, None, self.stem_stride, "h_swish", False),
            ("first block", "residual", stem, 3, None, 1, "relu", False),
        ]
        for s, pairs in enumerate(arch.stages()):
            for i, (kernel, expand) in enumerate(pairs):
                shape = (stages[s], kernel, expand, 1 if i else self.stage_strides[s])
                look = (self.stage_acts[s], self.stage_se[s])
                layers.append((f"stage {s + 1}, layer {i + 1}", "residual", *shape, *look))
        layers.append(("final expand", "conv", final, 1, None, 1, "h_swish", False))
        layers.append(("feature mix", "pooled", mix, 1, None, 1, "h_swish", False))
        blocks, c_in, side = [], 3, arch.resolution
        for name, kind, c_out, *rest in layers:
            blocks.append(Block(name, kind, c_in, c_out, *rest, side))
            c_in, side = c_out, blocks[-1].out_side
        return blocks

    @property
    def n_stages(self) -> int:
        """Number of stages."""
        return len(self.stage_widths)

    @property
    def n_layer_choices(self) -> int:
        """Number of `(kernel, expand ratio)` pairs, and so the largest layer gene."""
        return len(self.kernels) * len(self.expands)

    @property
    def n_var(self) -> int:
        """Number of genes of an encoding."""
        return 2 + self.n_stages * self.max_depth

    @cached_property
    def lower(self) -> IntMatrix:
        """Smallest value of each gene, int64 `(n_var,)`."""
        stage = [1] * self.min_depth + [0] * (self.max_depth - self.min_depth)
        return np.array([0, 0] + stage * self.n_stages, dtype=np.int64)

    @cached_property
    def upper(self) -> IntMatrix:
        """Largest value of each gene, int64 `(n_var,)`."""
        layers = [self.n_layer_choices] * (self.n_stages * self.max_depth)
        return np.array([len(self.resolutions) - 1, len(self.widths) - 1, *layers], dtype=np.int64)

    @cached_property
    def size(self) -> int:
        """Exact number of architectures: `R * W * (sum over depths d of choices^d)^stages`."""
        stage = sum(self.n_layer_choices**d for d in range(self.min_depth, self.max_depth + 1))
        return prod((len(self.resolutions), len(self.widths), stage**self.n_stages))

    def layer_genes(self, X: IntMatrix) -> IntMatrix:
        """Returns the layer genes of `X` as int64 `(n, n_stages, max_depth)`."""
        return X[:, 2:].reshape(len(X), self.n_stages, self.max_depth)

    def depths(self, X: IntMatrix) -> IntMatrix:
        """Returns the number of active layers per stage, int64 `(n, n_stages)`."""
        return (self.layer_genes(X) > 0).sum(axis=2)

    def as_rows(self, X: ArrayLike) -> IntMatrix:
        """Returns integers as an int64 matrix `(n, n_var)`; one encoding becomes one row."""
        matrix = np.atleast_2d(np.asarray(X))
        if matrix.ndim != 2 or matrix.shape[1] != self.n_var:
            raise ValueError(
                f"An encoding of the {self.name} space has {self.n_var} integers, "
                f"but the matrix has shape {np.shape(X)}."
            )
        numeric = np.issubdtype(matrix.dtype, np.number)
        if not numeric or not np.isfinite(matrix).all() or (matrix != np.round(matrix)).any():
            raise ValueError("An encoding holds integers only: round the matrix first.")
        return matrix.astype(np.int64)

    def validated(self, X: ArrayLike) -> IntMatrix:
        """Like `as_rows`; raises a `ValueError` that names the first row that is not canonical."""
        matrix = self.as_rows(X)
        wrong = np.flatnonzero((matrix != self.repair(matrix)).any(axis=1))
        if len(wrong):
            raise ValueError(
                f"Row {wrong[0]}, {matrix[wrong[0]].tolist()}, is no canonical encoding of the "
                f"{self.name} space: pass the matrix through space.repair first."
            )
        return matrix

    def repair(self, X: ArrayLike) -> IntMatrix:
        """Returns canonical encodings near integers `(n, n_var)` or `(n_var,)`; int64, same shape.

        Values are clipped to their bounds first, which may add a layer at the start of a stage.
        Where a skipped layer is then followed by an active one the hole is closed: the later layer
        moves up, and the depth stays. Repairing again changes nothing.
        """
        clipped = np.clip(self.as_rows(X), self.lower, self.upper)
        genes = self.layer_genes(clipped)
        skipped_last = np.argsort(genes == 0, axis=2, kind="stable")
        closed = np.take_along_axis(genes, skipped_last, axis=2)
        repaired = np.hstack([clipped[:, :2], closed.reshape(len(clipped), -1)])
        return repaired.reshape(np.shape(X))

    def sample(self, n: int, rng: np.random.Generator | int) -> IntMatrix:
        """Draws `n` architectures as the uniform warm-up does, int64 `(n, n_var)`.

        Resolution, width, the depth of each stage and the kernel and expand ratio of each layer
        are uniform and independent (uniform over architectures would nearly always be deep).
        """
        rng = np.random.default_rng(rng)
        ends = rng.integers(0, self.upper[:2] + 1, size=(n, 2))
        shape = (n, self.n_stages, self.max_depth)
        layers = rng.integers(1, self.n_layer_choices + 1, size=shape)
        depths = rng.integers(self.min_depth, self.max_depth + 1, size=(n, self.n_stages, 1))
        layers[np.arange(self.max_depth) >= depths] = 0
        return np.hstack([ends, layers.reshape(n, -1)]).astype(np.int64)

    def largest(self, width: float | None = None) -> Architecture:
        """Returns the subnet with every choice at its largest, of one width or the widest."""
        index = len(self.widths) - 1 if width is None else _index("width", width, self.widths)
        return self.decode(np.concatenate([self.upper[:1], [index], self.upper[2:]]))

    def smallest(self, width: float | None = None) -> Architecture:
        """Returns the subnet with every choice at its smallest, of one width or the narrowest."""
        index = 0 if width is None else _index("width", width, self.widths)
        return self.decode(np.concatenate([self.lower[:1], [index], self.lower[2:]]))

    def encode(self, arch: Architecture) -> IntMatrix:
        """Returns the canonical encoding of an architecture, int64 `(n_var,)`.

        Raises:
            ValueError: If a decision is not among the choices of the space.
        """
        if len(arch.depths) != self.n_stages:
            raise ValueError(
                f"The {self.name} space has {self.n_stages} stages, the architecture "
                f"{len(arch.depths)}."
            )
        x = np.zeros(self.n_var, dtype=np.int64)
        x[0] = _index("resolution", arch.resolution, self.resolutions)
        x[1] = _index("width", arch.width, self.widths)
        for stage, layers in enumerate(arch.stages()):
            depths = range(self.min_depth, self.max_depth + 1)
            _index(f"depth of stage {stage + 1}", len(layers), depths)
            for i, (kernel, expand) in enumerate(layers, start=2 + stage * self.max_depth):
                expand_index = _index("expand ratio", expand, self.expands)
                kernel_index = _index("kernel", kernel, self.kernels)
                x[i] = 1 + kernel_index + len(self.kernels) * expand_index
        return x

    def decode(self, x: ArrayLike) -> Architecture:
        """Returns the architecture that `repair(x)` encodes, of one encoding `(n_var,)`."""
        x = self.repair(x).ravel()
        if len(x) != self.n_var:
            raise ValueError("decode takes one encoding: decode the rows of a matrix one by one.")
        genes = x[2:].reshape(self.n_stages, self.max_depth)
        active = genes[genes > 0] - 1
        depths = tuple(int(depth) for depth in (genes > 0).sum(axis=1))
        kernels = tuple(self.kernels[g % len(self.kernels)] for g in active)
        expands = tuple(self.expands[g // len(self.kernels)] for g in active)
        return Architecture(self.resolutions[x[0]], self.widths[x[1]], depths, kernels, expands)

    def __contains__(self, arch: Architecture) -> bool:
        """Whether the architecture can be encoded in this space."""
        try:
            self.encode(arch)
        except ValueError:
            return False
        return True

    def format(self, arch: Architecture) -> str:
        """Returns the published string form: two digits of resolution, one of width, stages."""
        x = self.encode(arch)
        stages = x[2:].reshape(self.n_stages, self.max_depth)
        return " ".join([f"{x[0]:02d}", str(x[1]), *("".join(map(str, s)) for s in stages)])

    def parse(self, text: str) -> Architecture:
        """Reads the string form back; one that is not canonical or too long is a `ValueError`."""
        digits = "".join(text.split())
        if len(digits) != self.n_var + 1 or not digits.isdecimal():
            raise ValueError(
                f"'{text}' is no architecture string of the {self.name} space, which has "
                f"{self.n_var + 1} digits."
            )
        return self.decode(self.validated([int(digits[:2]), *map(int, digits[2:])])[0])

    def features(self, X: ArrayLike) -> NDArray[np.float64]:
        """Returns every decision as a category: what a surrogate may see instead of integers.

        One-hot blocks for resolution and width, and for each layer one-hot kernel and one-hot
        expand ratio, all zero where the layer is skipped. Constant columns stay, so that the layout
        depends on the space alone: float64 `(n, R + W + stages * max_depth * (K + E))`.
        """
        X = self.validated(X)
        genes = X[:, 2:, None]
        kernels = (genes - 1) % len(self.kernels) == np.arange(len(self.kernels))
        expands = (genes - 1) // len(self.kernels) == np.arange(len(self.expands))
        layers = np.concatenate([kernels, expands], axis=2) & (genes > 0)
        resolution = X[:, [0]] == np.arange(len(self.resolutions))
        width = X[:, [1]] == np.arange(len(self.widths))
        return np.hstack([resolution, width, layers.reshape(len(X), -1)]).astype(np.float64)


def _index(what: str, value: float, choices: Sequence[float]) -> int:
    if value not in choices:
        raise ValueError(f"{what} {value} is not in the space: choose from {list(choices)}.")
    return list(choices).index(value)
