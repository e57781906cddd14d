"""The search space: encodings, repair, sampling and the string form."""

import json
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from natlib.space import Architecture, SearchSpace, expanded_channels, make_divisible

PUBLISHED = json.loads(
    (Path(__file__).parents[1] / "data/paper/published_subnets.json").read_text("utf-8")
)
SPACES = {"paper": SearchSpace.paper(), "pocket": SearchSpace.pocket()}
TINY = replace(
    SearchSpace.pocket(),
    name="tiny",
    resolutions=(16, 32),
    widths=(1.0, 1.5),
    expands=(2,),
    max_depth=2,
    stage_widths=(8, 16),
    stage_strides=(1, 2),
    stage_acts=("relu", "h_swish"),
    stage_se=(False, True),
)

every_space = pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)


@st.composite
def architectures(draw, space):
    depths = [draw(st.integers(space.min_depth, space.max_depth)) for _ in space.stage_widths]
    layers = sum(depths)
    choose = {"min_size": layers, "max_size": layers}
    return Architecture(
        draw(st.sampled_from(space.resolutions)),
        draw(st.sampled_from(space.widths)),
        tuple(depths),
        tuple(draw(st.lists(st.sampled_from(space.kernels), **choose))),
        tuple(draw(st.lists(st.sampled_from(space.expands), **choose))),
    )


def integers(space, rows=()):
    """Any integers, most of them near the bounds of the genes."""
    values = st.integers(-3, 20) | st.integers(-(2**40), 2**40)
    return arrays(np.int64, (*rows, space.n_var), elements=values)


@every_space
@given(data=st.data())
def test_decode_inverts_encode(space, data):
    arch = data.draw(architectures(space))
    x = space.encode(arch)
    assert space.decode(x) == arch
    assert np.array_equal(space.validated(x)[0], x)


@every_space
@given(data=st.data())
def test_encode_after_decode_repairs(space, data):
    x = data.draw(integers(space))
    assert np.array_equal(space.encode(space.decode(x)), space.repair(x))


@every_space
@given(data=st.data())
def test_repair_is_idempotent_and_canonical(space, data):
    X = data.draw(integers(space, rows=(4,)))
    repaired = space.repair(X)
    assert np.array_equal(space.repair(repaired), repaired)
    assert (repaired >= space.lower).all() and (repaired <= space.upper).all()
    genes = space.layer_genes(repaired)
    assert not ((genes[:, :, :-1] == 0) & (genes[:, :, 1:] > 0)).any(), "a hole is left"
    assert np.array_equal(np.stack([space.repair(x) for x in X]), repaired)


@every_space
@given(data=st.data())
def test_string_and_dict_round_trip(space, data):
    arch = data.draw(architectures(space))
    assert Architecture.from_string(str(arch)) == arch
    assert space.parse(space.format(arch)) == arch
    assert Architecture.from_dict(json.loads(json.dumps(arch.to_dict()))) == arch


def test_repair_closes_holes():
    x = [0, 0, 3, 0, 2, 9, 0, 0, 1, 5, 0]
    assert SPACES["pocket"].repair(x).tolist() == [0, 0, 3, 2, 0, 6, 0, 0, 1, 5, 0]


@every_space
def test_samples_are_valid_and_reach_every_choice(space):
    X = space.sample(4000, np.random.default_rng(0))
    assert X.dtype == np.int64 and np.array_equal(space.validated(X), X)
    assert np.array_equal(X.min(axis=0), space.lower)
    assert np.array_equal(X.max(axis=0), space.upper)
    depths = space.depths(X)
    for depth in range(space.min_depth, space.max_depth + 1):
        share = (depths == depth).mean()
        assert abs(share - 1 / (space.max_depth - space.min_depth + 1)) < 0.03
    assert np.array_equal(X, space.sample(4000, 0)), "the same seed gives the same sample"


def test_size_counts_every_architecture():
    values = [range(low, high + 1) for low, high in zip(TINY.lower, TINY.upper, strict=True)]
    canonical = {tuple(TINY.repair(x)) for x in product(*values)}
    assert len(canonical) == TINY.size == 2 * 2 * (2 + 2**2) ** 2
    assert len({TINY.decode(x) for x in canonical}) == TINY.size


def test_sizes():
    assert SPACES["paper"].size == 17 * 2 * (9**2 + 9**3 + 9**4) ** 5
    assert SPACES["pocket"].size == 5 * (6 + 6**2 + 6**3) ** 3
    assert (SPACES["paper"].n_var, SPACES["pocket"].n_var) == (22, 11)


@every_space
def test_smallest_and_largest(space):
    assert np.array_equal(space.encode(space.largest()), space.upper)
    assert np.array_equal(space.encode(space.smallest()), space.lower)
    assert space.largest(1.0).width == space.smallest(1.0).width == 1.0


@pytest.mark.parametrize("net", PUBLISHED, ids=lambda net: f"{net['dataset']}-{net['name']}")
def test_published_networks_round_trip(net):
    arch = Architecture.from_dict(net["arch"])
    text = str(arch)
    assert len(text.replace(" ", "")) == 23
    assert Architecture.from_string(text) == Architecture.from_string(text.replace(" ", "")) == arch
    assert arch.to_dict() == net["arch"]
    assert arch in SPACES["paper"] and arch not in SPACES["pocket"]


def test_published_string_of_m1():
    m1 = next(net for net in PUBLISHED if net["name"] == "NAT-M1")
    assert str(Architecture.from_dict(m1["arch"])) == "08 0 1100 1440 5510 5220 8877"


@every_space
def test_features_tell_architectures_apart(space):
    X = space.sample(300, 1)
    features = space.features(X)
    assert set(np.unique(features)) == {0.0, 1.0}
    assert len(np.unique(features, axis=0)) == len(np.unique(X, axis=0))
    layers = space.depths(X).sum(axis=1)
    assert np.array_equal(features.sum(axis=1), 2 + 2 * layers), "one per decision"


def test_features_layout():
    space = SPACES["pocket"]
    row = space.features(space.encode(space.smallest()))[0]
    block = [1, 0, 1, 0, 0]  # kernel 3 of (3, 5), expand ratio 1 of (1, 2, 4)
    assert row.tolist() == [1, 0, 0, 0, 0, 1] + (block + [0] * 10) * 3


@pytest.mark.parametrize(
    ("channels", "divisible"), [(19.2, 24), (28.8, 32), (134.4, 136), (3, 8), (36, 40), (120, 120)]
)
def test_make_divisible(channels, divisible):
    assert make_divisible(channels) == divisible


def test_expanded_width_is_rounded_then_made_divisible():
    assert [expanded_channels(24, e) for e in (3, 4, 6)] == [72, 96, 144]
    assert expanded_channels(17, 3.5) == 64  # 59.5 rounds to 60, and 60 to 64


GOOD = SPACES["paper"].largest().to_dict()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"r": 225}, r"resolution 225 is not in the space: choose from \[192, 196"),
        ({"w": 1.1}, r"width 1.1 is not in the space: choose from \[1.0, 1.2\]"),
        ({"ks": [9] * 20}, "kernel 9 is not in the space"),
        ({"e": [5] * 20}, "expand ratio 5 is not in the space"),
        ({"d": [4, 4, 4, 4]}, "has 5 stages, the architecture 4"),
        ({"d": [4, 4, 4, 4], "ks": [3] * 17}, "has 16 layers and needs as many kernels"),
        ({"d": [4, 4, 4, 5, 3]}, "depth of stage 4 5 is not in the space: choose from"),
        ({"d": [5, 5, 5, 5]}, "has 5 stages, the architecture 4"),
        ({"r": 224.5}, r"'r' of the architecture takes whole numbers, not \[224.5\]"),
    ],
)
def test_architectures_outside_the_space(change, sentence):
    with pytest.raises(ValueError, match=sentence):
        SPACES["paper"].encode(Architecture.from_dict(GOOD | change))


def test_description_without_depths():
    with pytest.raises(ValueError, match="The architecture has no e, d: give r, w, ks, e, d"):
        Architecture.from_dict({"r": 224, "w": 1.0, "ks": []})


@pytest.mark.parametrize(
    ("X", "sentence"),
    [
        (np.zeros((3, 21), int), r"has 22 integers, but the matrix has shape \(3, 21\)"),
        (np.zeros((2, 3, 22), int), r"has shape \(2, 3, 22\)"),
        (np.full(22, 0.5), "integers only: round the matrix first"),
        (np.full(22, np.nan), "integers only"),
        (["a"] * 22, "integers only"),
    ],
)
def test_matrices_that_hold_no_encoding(X, sentence):
    for function in (SPACES["paper"].repair, SPACES["paper"].validated, SPACES["paper"].features):
        with pytest.raises(ValueError, match=sentence):
            function(X)


def test_validated_names_the_row():
    X = SPACES["pocket"].sample(4, 0)
    X[2, 2:5] = (3, 0, 2)
    with pytest.raises(ValueError, match=r"Row 2, .* no canonical encoding of the pocket space"):
        SPACES["pocket"].validated(X)


def test_whole_floats_are_integers():
    X = SPACES["pocket"].sample(4, 0)
    checked = SPACES["pocket"].as_rows(X.astype(float))
    assert checked.dtype == np.int64 and np.array_equal(checked, X)


def test_decode_takes_one_encoding():
    with pytest.raises(ValueError, match="decode takes one encoding"):
        SPACES["pocket"].decode(SPACES["pocket"].sample(2, 0))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("08 0 1100", "has 7 digits: an architecture string of the paper's space has 23"),
        ("08 0 1100 1440 5510 5220 887x", "no architecture string of the paper space"),
        ("08 0 1010 1440 5510 5220 8877", "no canonical encoding"),
        ("17 0 1100 1440 5510 5220 8877", "no canonical encoding"),
    ],
)
def test_strings_that_hold_no_architecture(text, sentence):
    with pytest.raises(ValueError, match=sentence):
        Architecture.from_string(text)


def test_string_of_an_architecture_of_another_space():
    arch = replace(SPACES["paper"].smallest(), resolution=160)
    assert Architecture.from_dict(json.loads(str(arch).replace("'", '"'))) == arch
