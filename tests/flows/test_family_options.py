"""An option is said once: signatures, docstrings and checks of all families follow from there."""

import inspect
from typing import get_args

import pytest
import torch

from flowbench.config.options import options_of
from flowbench.config.signatures import problems_of_call
from flowbench.config.words import either
from flowbench.flows import IAF, MADE, MAF, NICE, Gaussian, RealNVP
from flowbench.transforms.maps import MAPS, MapOptions, Univariate, map_options

FAMILIES = pytest.mark.parametrize("family", [MAF, IAF, RealNVP, NICE, MADE, Gaussian])


@FAMILIES
def test_every_option_is_shown_with_its_meaning(family):
    options = options_of(family)
    assert "features" in options
    for name, (parameter, meaning) in options.items():
        assert parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY), name
        assert meaning.endswith("."), name
        assert parameter.annotation is not parameter.empty, name
    assert inspect.signature(family.__init__).parameters.keys() == {"self", *options}


@FAMILIES
def test_defaults_are_those_that_are_shown(family):
    shown = {
        name: parameter.default
        for name, (parameter, _) in options_of(family, without=["features"]).items()
    }
    torch.manual_seed(0)
    flow = family(3)
    torch.manual_seed(0)
    explicit = family(3, **shown)
    for (name, one), (other_name, other) in zip(
        flow.state_dict().items(), explicit.state_dict().items(), strict=True
    ):
        assert name == other_name
        assert torch.equal(one, other), name
    assert repr(flow) == repr(explicit)


def test_a_derived_family_says_what_differs():
    def names(family):
        return set(options_of(family))

    assert names(MAF) - names(IAF) == {"base", "components", "dropout"}
    assert not names(IAF) - names(MAF)
    assert names(NICE) < names(RealNVP)
    assert options_of(IAF)["hidden_units"] == options_of(MAF)["hidden_units"]
    assert (options_of(IAF)["batch_norm"].parameter.default, IAF(2).base.features) == (False, 2)
    assert options_of(NICE)["layers"].parameter.default == 4


def test_maps_and_their_options_are_known_everywhere():
    words, _ = get_args(Univariate)
    assert get_args(words) == tuple(MAPS)
    assert MapOptions.__annotations__.keys() == map_options().keys()
    for family in (MAF, IAF, RealNVP):
        for name, (parameter, _) in map_options().items():
            assert options_of(family)[name].parameter.default == parameter.default


@FAMILIES
def test_configurations_are_checked_by_what_is_shown(family):
    found = list(problems_of_call("model", family, {"layer": 3}, supplied=["features"]))
    assert len(found) == 1
    assert "model.layer: unknown key" in found[0]
    if family in (MAF, IAF, RealNVP):
        wrong = {"layers": 0, "hidden_units": [8, 0], "univariate": "splin", "bins": 501}
        found = list(problems_of_call("model", family, wrong, supplied=["features"]))
        assert [sentence.partition(": ")[2] for sentence in found] == [
            "expected an integer at least 1",
            "expected a list (each entry an integer at least 1)",
            f"expected {either(MAPS)}; did you mean spline?",
            "expected an integer at least 1 and at most 500",
        ]
