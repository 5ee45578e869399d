"""Options taken from another constructor: shown, explained and checked as a class's own."""

import inspect
import pydoc
from typing import Annotated

import pytest
from annotated_types import Ge

from flowbench.config.checked import Checked
from flowbench.config.docstrings import entries
from flowbench.config.options import options_of
from flowbench.config.signatures import problems_of_call
from flowbench.flows import MAF


class Base(Checked):
    """All.

    Args:
        layers: how many,
            at least one.
        rate: in Hz.
        seed: of what is drawn.

    Raises:
        ValueError: never.
    """

    def __init__(self, *, layers: Annotated[int, Ge(1)] = 5, rate: float = 2.0, seed: int = 0):
        self.given = {"layers": layers, "rate": rate, "seed": seed}


class Faster(Base, options=options_of(Base)):
    """Fast."""

    def __init__(self, *, rate: float = 8.0, **options):
        super().__init__(rate=rate, **options)


class AsFast(Faster):
    """No constructor."""


class Own(Faster, options=options_of(Faster, without=["layers"])):
    """Of its own.

    Args:
        size: of what it has alone.
        seed: of the order.

    Returns:
        nothing
    """

    def __init__(self, size: int, *, seed: int = 1, **options) -> None:
        super().__init__(seed=seed, **options)
        self.size = size


def test_a_new_default_is_used_and_shown():
    assert Faster().given == {"layers": 5, "rate": 8.0, "seed": 0}
    assert Faster(rate=1.0, layers=2).given == {"layers": 2, "rate": 1.0, "seed": 0}
    assert inspect.signature(Faster).parameters["rate"].default == 8.0
    assert inspect.signature(Base).parameters["rate"].default == 2.0
    assert Base().given["rate"] == 2.0
    assert AsFast().given["rate"] == 8.0


def test_own_options_come_first_and_the_parent_takes_the_rest():
    assert (
        str(inspect.signature(Own)) == "(size: int, *, seed: int = 1, rate: float = 8.0) -> None"
    )
    made = Own(3)
    assert (made.size, made.given) == (3, {"layers": 5, "rate": 8.0, "seed": 1})
    assert Own(size=3, rate=1.0).given["rate"] == 1.0


def test_a_class_that_takes_no_options_keeps_its_own_signature():
    class Plain(Faster):
        def __init__(self, *, other: int) -> None:
            super().__init__(layers=other)

    assert list(inspect.signature(Plain).parameters) == ["other"]
    assert Plain(other=7).given == {"layers": 7, "rate": 8.0, "seed": 0}


def test_help_shows_all_options_with_their_meanings():
    text = pydoc.render_doc(Own, renderer=pydoc.plaintext)
    assert "Own(size: int, *, seed: int = 1, rate: float = 8.0)" in text
    assert entries(Faster.__doc__) == entries(Base.__doc__)
    assert entries(Own.__doc__) == {
        "size": "of what it has alone.",
        "seed": "of the order.",
        "rate": "in Hz.",
    }
    assert Own.__doc__.startswith("Of its own.\n\nArgs:\n    size: of")
    assert Own.__doc__.endswith("    rate: in Hz.\n\nReturns:\n    nothing")
    assert Faster.__doc__.startswith("Fast.\n\nArgs:\n    rate: in Hz.\n    layers: how many, at")
    assert AsFast.__doc__ == Faster.__doc__.replace("Fast.", "No constructor.")


@pytest.mark.parametrize(
    ("cls", "options", "message"),
    [
        (Faster, {"layer": 3}, "layer is not an option of Faster; did you mean layers?"),
        (
            Own,
            {"size": 3, "layers": 3},
            "layers is not an option of Own; its options are size, seed, rate",
        ),
        (
            Own,
            {"size": 3, "zzz": 3},
            "zzz is not an option of Own; its options are size, seed, rate",
        ),
    ],
)
def test_other_names_are_refused(cls, options, message):
    with pytest.raises(TypeError) as caught:
        cls(**options)
    assert str(caught.value) == message


def test_only_options_that_there_are_can_be_left_out():
    with pytest.raises(TypeError, match="Base has no option depth"):
        options_of(Base, without=["depth"])


def test_a_long_signature_is_shown_line_by_line():
    shown = str(inspect.signature(MAF)).splitlines()
    assert shown[:3] == ["(", "    features: AtLeastOne,", "    *,"]
    assert "    layers: AtLeastOne = 5," in shown
    assert shown[-1] == ") -> None"


def test_configurations_are_held_against_all_options():
    problems = list(problems_of_call("data", Faster, {"layers": 0, "lag": 1}))
    assert problems == [
        "data.layers=0: expected an integer at least 1",
        "data.lag: unknown key; known: layers, rate, seed",
    ]
