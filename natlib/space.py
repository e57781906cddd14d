"""The search space: which subnets exist, how each is written as integers, and what it is made of.

`Architecture` is the readable form of a subnet. Search works on another one, the *encoding*: one
int64 per decision (NAT, "Encoding"; 22 of them at the paper's scale)

    x = [resolution index, width index, layer genes of stage 1, ..., layer genes of stage S]

with `max_depth` genes per stage. A layer gene is 0 if the layer is skipped, else `1 + kernel index
+ len(kernels) * expand index`. Only the last layers of a stage may be skipped, so an architecture
has one encoding only: the *canonical* one, which `SearchSpace.repair` makes of any integers.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

IntMatrix = NDArray[np.int64]


def make_divisible(channels: float, divisor: int = 8) -> int:
    """Rounds to the nearest multiple, or the next if that loses over 10%; as all MobileNets do."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


def expanded_channels(in_channels: int, expand: float) -> int:
    """Channels between the two 1x1 convolutions of an inverted residual: the expanded width."""
    return make_divisible(round(in_channels * expand))


def squeezed_channels(channels: int) -> int:
    """Channels inside a squeeze-and-excitation block: a quarter of the expanded width."""
    return make_divisible(channels // 4)


class Block(NamedTuple):
    """One layer of a network."""

    name: str  # its place, such as "stage 2, layer 1"
    kind: str  # "conv", "residual" (inverted) or "pooled" (global average, conv, no batch norm)
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
            told = f"An architecture with depths {list(self.depths)} has {sum(self.depths)} layers"
            found = f"{len(self.kernels)} and {len(self.expands)}"
            raise ValueError(f"{told} and needs as many kernels and expand ratios, not {found}.")

    @classmethod
    def from_dict(cls, description: dict) -> Self:
        """Reads the published form `{"r": 224, "w": 1.0, "ks": [...], "e": [...], "d": [...]}`.

        `ks` and `e` list active layers, or all as Once-for-all's lists do; a `ValueError` says what
        is missing or does not fit.
        """
        missing = [key for key in ("r", "w", "ks", "e", "d") if key not in description]
        if missing:
            raise ValueError(f"The architecture has no {', '.join(missing)}: give r, w, ks, e, d.")
        for key in ("r", "d", "ks", "e"):
            values = np.atleast_1d(description[key]).tolist()
            if any(value != int(value) for value in values):
                raise ValueError(f"'{key}' of the architecture takes whole numbers, not {values}.")
        lists = [tuple(map(int, description[key])) for key in ("d", "ks", "e")]
        depths, n = lists[0], len(lists[1]) // max(1, len(lists[0]))  # layers of a stage, if of all
        if len(lists[1]) == len(lists[2]) == len(depths) * n > sum(depths) and max(depths) <= n:
            active = [n * stage + i for stage, d in enumerate(depths) for i in range(d)]
            lists[1:] = [tuple(values[i] for i in active) for values in lists[1:]]
        return cls(int(np.ravel(description["r"])[0]), float(description["w"]), *lists)

    def to_dict(self) -> dict:
        """Returns the published form; `Architecture.from_dict` reads it back."""
        lists = {"ks": list(self.kernels), "e": list(self.expands), "d": list(self.depths)}
        return {"r": self.resolution, "w": self.width, **lists}

    @classmethod
    def from_string(cls, text: str) -> "Architecture":
        """Reads the published string, for example `08 0 1100 1440 5510 5220 8877`.

        The number of digits tells the paper's or the pocket space; others have their `parse`.
        """
        spaces = {space.n_var + 1: space for space in (SearchSpace.paper(), SearchSpace.pocket())}
        digits = len("".join(text.split()))
        if digits not in spaces:
            told = f"'{text}' has {digits} digits: an architecture string of the paper's space has"
            raise ValueError(f"{told} 23, one of the pocket space has 12.")
        return spaces[digits].parse(text)

    def __str__(self) -> str:
        """The published string where the paper's or the pocket space holds it, else the dict."""
        spaces = (SearchSpace.paper(), SearchSpace.pocket())
        return next((s.format(self) for s in spaces if self in s), str(self.to_dict()))

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
    ) -> Self:
        """The space of the paper: Once-for-all MobileNetV3, 22 genes (NAT, "The search space")."""
        return cls(
            "paper", tuple(resolutions), tuple(widths), kernels=(3, 5, 7), expands=(3, 4, 6),
            min_depth=2, max_depth=4, stem_width=16, stage_widths=(24, 40, 80, 112, 160),
            stage_strides=(2, 2, 2, 1, 2), stage_acts=("relu",) * 2 + ("h_swish",) * 3,
            stage_se=(False, True, False, True, True), head_widths=(960, 1280),
        )  # fmt: skip

    @classmethod
    def pocket(cls) -> Self:
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
    def from_json(cls, text: str) -> Self:
        """Reads what `to_json` wrote."""
        fields = json.loads(text).items()
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in fields})

    def blocks(self, arch: Architecture) -> list[Block]:
        """Lists the layers of a subnet from input to output, all but the linear classifier."""
        self.encode(arch)  # raises a ValueError where it is outside the space
        widths = (self.stem_width, *self.stage_widths, *self.head_widths)
        stem, *stages, final, mix = (make_divisible(width * arch.width) for width in widths)
        layers = [("stem", "conv", stem, 3, None, self.stem_stride, "h_swish", False)]
        layers.append(("first block", "residual", stem, 3, None, 1, "relu", False))
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
        return len(self.resolutions) * len(self.widths) * stage**self.n_stages

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
            told = f"An encoding of the {self.name} space has {self.n_var} integers"
            raise ValueError(f"{told}, but the matrix has shape {np.shape(X)}.")
        numeric = np.issubdtype(matrix.dtype, np.number)
        if not numeric or not np.isfinite(matrix).all() or (matrix != np.round(matrix)).any():
            raise ValueError("An encoding holds integers only: round the matrix first.")
        return matrix.astype(np.int64)

    def validated(self, X: ArrayLike) -> IntMatrix:
        """Like `as_rows`; raises a `ValueError` that names the first row that is not canonical."""
        matrix = self.as_rows(X)
        wrong = np.flatnonzero((matrix != self.repair(matrix)).any(axis=1))
        if len(wrong):
            told = f"Row {wrong[0]}, {matrix[wrong[0]].tolist()}, is no canonical encoding of"
            cure = "pass the matrix through space.repair first"
            raise ValueError(f"{told} the {self.name} space: {cure}.")
        return matrix

    def repair(self, X: ArrayLike) -> IntMatrix:
        """Returns canonical encodings near integers `(n, n_var)` or `(n_var,)`; int64, same shape.

        Values are clipped to their bounds first, which may add a layer at the start of a stage.
        Then active layers move up into the holes that skipped ones left; the depth stays.
        """
        clipped = np.clip(self.as_rows(X), self.lower, self.upper)
        genes = self.layer_genes(clipped)
        skipped_last = np.argsort(genes == 0, axis=2, kind="stable")
        clipped[:, 2:] = np.take_along_axis(genes, skipped_last, axis=2).reshape(len(genes), -1)
        return clipped.reshape(np.shape(X))

    def sample(self, n: int, rng: np.random.Generator | int) -> IntMatrix:
        """Draws `n` architectures, every decision uniform and independent: int64 `(n, n_var)`.

        The warm-up draws so: uniform over architectures would nearly always be deep.
        """
        rng = np.random.default_rng(rng)
        ends = rng.integers(0, self.upper[:2] + 1, size=(n, 2))
        layers = rng.integers(1, self.n_layer_choices + 1, (n, self.n_stages, self.max_depth))
        depths = rng.integers(self.min_depth, self.max_depth + 1, size=(n, self.n_stages, 1))
        layers[np.arange(self.max_depth) >= depths] = 0
        return np.hstack([ends, layers.reshape(n, -1)])

    def largest(self, width: float | None = None) -> Architecture:
        """Returns the subnet with every choice at its largest, of one width or the widest."""
        index = len(self.widths) - 1 if width is None else _index("width", width, self.widths)
        return self.decode(np.concatenate([self.upper[:1], [index], self.upper[2:]]))

    def smallest(self, width: float | None = None) -> Architecture:
        """Returns the subnet with every choice at its smallest, of one width or the narrowest."""
        index = 0 if width is None else _index("width", width, self.widths)
        return self.decode(np.concatenate([self.lower[:1], [index], self.lower[2:]]))

    def encode(self, arch: Architecture) -> IntMatrix:
        """Returns the canonical encoding, int64 `(n_var,)`; outside the space a `ValueError`."""
        n, depths = len(arch.depths), range(self.min_depth, self.max_depth + 1)
        if n != self.n_stages:
            told = f"The {self.name} space has {self.n_stages} stages, the architecture {n}."
            raise ValueError(told)
        x = [_index("resolution", arch.resolution, self.resolutions)]
        x.append(_index("width", arch.width, self.widths))
        for stage, layers in enumerate(arch.stages(), start=1):
            _index(f"depth of stage {stage}", len(layers), depths)
            for kernel, expand in layers:
                row = _index("expand ratio", expand, self.expands)
                x.append(1 + _index("kernel", kernel, self.kernels) + len(self.kernels) * row)
            x += [0] * (self.max_depth - len(layers))
        return np.array(x, dtype=np.int64)

    def decode(self, x: ArrayLike) -> Architecture:
        """Returns the architecture that `repair(x)` encodes, of one encoding `(n_var,)`."""
        x = self.repair(x).ravel()
        if len(x) != self.n_var:
            raise ValueError("decode takes one encoding: decode the rows of a matrix one by one.")
        active = [divmod(gene - 1, len(self.kernels)) for gene in x[2:] if gene]
        depths = tuple(self.depths(x[None])[0].tolist())
        kernels = tuple(self.kernels[kernel] for _, kernel in active)
        expands = tuple(self.expands[expand] for expand, _ in active)
        return Architecture(self.resolutions[x[0]], self.widths[x[1]], depths, kernels, expands)

    def __contains__(self, arch: Architecture) -> bool:
        """Whether the architecture can be encoded in this space."""
        try:
            return self.encode(arch) is not None
        except ValueError:
            return False

    def format(self, arch: Architecture) -> str:
        """Returns the published string form: two digits of resolution, one of width, stages."""
        x = self.encode(arch)
        stages = ("".join(map(str, genes)) for genes in self.layer_genes(x[None])[0])
        return " ".join([f"{x[0]:02d}", str(x[1]), *stages])

    def parse(self, text: str) -> Architecture:
        """Reads the string form back; one that is not canonical or too long is a `ValueError`."""
        digits = "".join(text.split())
        if len(digits) != self.n_var + 1 or not digits.isdecimal():
            told = f"'{text}' is no architecture string of the {self.name} space, which has"
            raise ValueError(f"{told} {self.n_var + 1} digits.")
        return self.decode(self.validated([int(digits[:2]), *map(int, digits[2:])])[0])

    def features(self, X: ArrayLike) -> NDArray[np.float64]:
        """Returns every decision as a category: what a surrogate may see instead of integers.

        One-hot resolution and width, then one-hot kernel and expand ratio of each layer, all zero
        if skipped; constant columns stay: float64 `(n, R + W + stages * max_depth * (K + E))`.
        """
        X = self.validated(X)
        expand, kernel = np.divmod(X[:, 2:, None] - 1, len(self.kernels))
        choices = [kernel == np.arange(len(self.kernels)), expand == np.arange(len(self.expands))]
        layers = np.concatenate(choices, axis=2) & (X[:, 2:, None] > 0)
        resolution = X[:, [0]] == np.arange(len(self.resolutions))
        width = X[:, [1]] == np.arange(len(self.widths))
        return np.hstack([resolution, width, layers.reshape(len(X), -1)]).astype(np.float64)


def _index(what: str, value: float, choices: Sequence[float]) -> int:
    if value not in choices:
        raise ValueError(f"{what} {value} is not in the space: choose from {list(choices)}.")
    return list(choices).index(value)
