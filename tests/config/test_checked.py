"""Constructors refuse unknown names and values outside of their limits, each in one sentence."""

import copy
import math
from typing import Literal

import numpy as np
import pytest
import torch

from flowbench.config.checked import Checked
from flowbench.config.limits import AtLeastOne, Positive
from flowbench.config.options import options_of
from flowbench.flows import IAF, MADE, MAF, NICE, ConditionalNormal, MixtureFamily, RealNVP
from flowbench.nn import MLP, AutoregressiveNetwork
from flowbench.transforms import AffineMap
from flowbench.transforms.maps import MAPS

UNKNOWN = {
    "near": (
        MAF,
        {"hidden_unit": [8]},
        "hidden_unit is not an option of MAF; did you mean hidden",
    ),
    "derived": (IAF, {"layer": 2}, "layer is not an option of IAF; did you mean layers?"),
    "left out": (IAF, {"dropout": 0.1}, "dropout is not an option of IAF; its options are feat"),
    "of the maps": (NICE, {"bins": 3}, "bins is not an option of NICE"),
    "of the network": (MADE, {"use_bias": False}, "use_bias is not an option of MADE"),
    "network": (AutoregressiveNetwork, {"hidden": [8]}, "did you mean hidden_units"),
    "transforms": (MAF, {"transforms": 3}, "did you mean layers?"),
    "hidden features": (RealNVP, {"hidden_features": [8]}, "did you mean hidden_units?"),
    "context": (MAF, {"context": 5}, "did you mean context_features?"),
    "random": (MAF, {"randperm": True}, 'did you mean input_order="random"?'),
    "no such": (RealNVP, {"randperm": True}, "randperm is not an option of RealNVP; its options"),
    "passes": (
        MAF,
        {"passes": 2},
        "passes is not an option of MAF; an autoregressive flow of two",
    ),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_an_unknown_name_is_refused_with_a_suggestion(name):
    cls, options, sentence = UNKNOWN[name]
    with pytest.raises(TypeError) as caught:
        cls(3, **options)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


TOGETHER = {
    "names and values": (
        lambda: MAF(3, layer=3, transforms=3, layers=0),
        ["layer is not an option", "transforms is not an option", "layers=0: expected"],
    ),
    "missing": (lambda: MAF(layer=3), ["features is missing: MAF needs it", "layer is not"]),
    "by position": (
        lambda: MAF(3, 5, layer=3),
        [
            "MAF takes only features by position, but 1 more value is given: name it",
            "layer is not",
        ],
    ),
    "two by position": (lambda: MAF(3, 5, 6), ["MAF takes only features by position, but 2 more"]),
}


@pytest.mark.parametrize("name", TOGETHER)
def test_all_mistakes_of_a_call_are_told_together(name):
    build, sentences = TOGETHER[name]
    with pytest.raises(TypeError) as caught:
        build()
    lines = str(caught.value).splitlines()
    assert len(lines) == len(sentences)
    assert all(line.startswith(one) for line, one in zip(lines, sentences, strict=True))


OUTSIDE = {
    "layers": (lambda: MAF(3, layers=0), "layers=0: expected an integer at least 1"),
    "no integer": (lambda: NICE(3, layers=2.5), "layers=2.5: expected an integer at least 1"),
    "no number": (lambda: IAF(3, layers="2"), "layers='2': expected an integer at least 1"),
    "entries": (
        lambda: MADE(3, hidden_units=[8, 0]),
        "hidden_units=[8, 0]: expected a list (each entry an integer at least 1)",
    ),
    "no list": (lambda: RealNVP(3, hidden_units=8), "hidden_units=8: expected a list"),
    "share": (
        lambda: MAF(3, dropout=1.0),
        "dropout=1.0: expected a number at least 0 and below 1",
    ),
    "map": (
        lambda: MAF(3, log_scale_bound=-1),
        "log_scale_bound=-1: expected a number above 0 or",
    ),
    "infinite": (
        lambda: RealNVP(3, tail_bound=math.inf),
        "tail_bound=inf is too large: expected",
    ),
    "NaN": (lambda: AffineMap(math.nan), "bound=nan: expected a number above 0 or None"),
    "bins": (lambda: IAF(3, bins=501), "bins=501: expected an integer at least 1 and at most 500"),
    "word": (
        lambda: IAF(3, univariate="splin"),
        f"univariate='splin' is unknown: expected {', '.join(map(repr, MAPS))} or UnivariateMap; "
        "did you mean 'spline'?",
    ),
    "family": (lambda: MADE(3, family="normal"), "family='normal' is unknown: expected 'gauss"),
    "case": (lambda: MAF(3, activation="ELU"), "function or None; did you mean 'elu'?"),
    "base": (lambda: MAF(3, base="mog"), "base='mog' is unknown: expected 'normal' or 'mixture'"),
    "positional": (lambda: MixtureFamily(0), "components=0: expected an integer at least 1"),
    "context": (
        lambda: ConditionalNormal(3, context_features=0),
        "context_features=0: expected an integer at least 1",
    ),
}


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_value_outside_of_its_limits_is_refused(name):
    build, sentence = OUTSIDE[name]
    with pytest.raises(ValueError) as caught:
        build()
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_numbers_and_lists_of_other_libraries_are_taken():
    flow = MAF(
        np.int64(3), layers=torch.tensor(1), hidden_units=np.array([8]), input_order=(2, 0, 1)
    )
    assert flow.log_prob(torch.zeros(2, 3)).shape == (2,)
    assert AffineMap(np.float32(2)).bound == 2


def test_a_class_of_ones_own_may_take_any_name():
    class Mine(MAF):
        def __init__(self, features, **options):
            super().__init__(features, **options)

    assert Mine(3, layers=1).features == 3
    with pytest.raises(TypeError, match="layer is not an option of MAF; did you mean layers"):
        Mine(3, layer=1)
    with pytest.raises(ValueError, match="base='mog' is unknown"):
        Mine(3, base="mog")


def test_a_copy_needs_no_arguments():
    network = MLP(2, outputs=1)
    assert copy.deepcopy(network).outputs == 1


class Plain(Checked):
    """A class.

    Args:
        size: how
            large.
        **options: the others.
    """

    def __init__(
        self, size: Positive, *, kind: Literal["a", 1] = "a", rows: AtLeastOne = 2
    ) -> None: ...


class Derived(Plain, options=options_of(Plain, without=["kind"])):
    """A class that says what differs.

    Args:
        rows: three.
        **options: those of Plain.

    Raises:
        ValueError: never.
    """

    def __init__(self, *, rows: AtLeastOne = 3, **options):
        super().__init__(rows=rows, **options)


def test_options_are_shown_where_they_are_inherited():
    assert {name: one.parameter.default for name, one in options_of(Derived).items()} == {
        "rows": 3,
        "size": options_of(Plain)["size"].parameter.empty,
    }
    assert Derived.__doc__ == (
        "A class that says what differs.\n\nArgs:\n    rows: three.\n    size: how large.\n\n"
        "Raises:\n    ValueError: never."
    )
    with pytest.raises(TypeError, match="kind is not an option of Derived"):
        Derived(size=1, kind="a")


def test_words_need_not_be_text():
    assert isinstance(Plain(1, kind=1), Plain)
    with pytest.raises(ValueError, match="kind=2: expected 'a' or 1"):
        Plain(1, kind=2)
