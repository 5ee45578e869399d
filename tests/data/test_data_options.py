"""Each option of a data set has a type, a meaning and limits, shown by the class itself."""

import inspect
import pydoc

import numpy as np
import pytest

import flowbench.data
from flowbench.config.docstrings import entries
from flowbench.data import Cifar10, DataError, DataModule, Digits, Fsdd, ImageFolder, Mnist, Toy

SETS = [
    one
    for name in flowbench.data.__all__
    if inspect.isclass(one := getattr(flowbench.data, name)) and issubclass(one, DataModule)
]


@pytest.mark.parametrize("cls", SETS)
def test_signature_and_docstring_name_all_options(cls):
    parameters = inspect.signature(cls).parameters
    assert list(entries(cls.__doc__)) == list(parameters)
    for one in parameters.values():
        assert one.kind is one.KEYWORD_ONLY
        assert one.annotation is not one.empty
    assert {"batch_size", "seed"} <= set(parameters)
    text = pydoc.render_doc(cls, renderer=pydoc.plaintext)
    assert all(
        f" {name}: {meaning[:30]}" in text for name, meaning in entries(cls.__doc__).items()
    )


def test_a_set_has_defaults_of_its_own():
    options = {cls: inspect.signature(cls).parameters for cls in SETS}
    assert options[Fsdd]["sample_rate"].default == 8_000
    assert (Fsdd().feature_options.sample_rate, Mnist().dequantize) == (8_000, "once")
    assert options[Cifar10]["alpha"].default == Cifar10().alpha == 0.05
    assert options[Digits]["dequantize"].default == Digits().dequantize == "epoch"
    assert options[ImageFolder]["path"].default is inspect.Parameter.empty


@pytest.mark.parametrize("cls", [Toy, Fsdd, Mnist, Cifar10])
@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"batch_size": 0}, "data.batch_size=0: expected an integer at least 1"),
        ({"batch_size": 2.5}, "data.batch_size=2.5: expected an integer at least 1"),
        ({"seed": -1}, "data.seed=-1: expected an integer at least 0 and below 4294967296"),
    ],
)
def test_a_value_out_of_its_range_is_refused(cls, option, message):
    with pytest.raises(DataError) as caught:
        cls(**option)
    assert str(caught.value) == message


def test_all_wrong_values_of_a_call_are_told_together():
    with pytest.raises(DataError) as caught:
        Toy(train_rows=-5, val_rows=0)
    assert str(caught.value).splitlines() == [
        "data.train_rows=-5: expected an integer at least 1",
        "data.val_rows=0: expected an integer at least 1",
    ]


def test_numbers_of_numpy_are_numbers():
    assert Toy(train_rows=np.int64(7), seed=np.uint8(3)).train_rows == 7
    assert ImageFolder(path=".", fractions=np.array([0.5, 0.25, 0.25])).fractions == [
        0.5,
        0.25,
        0.25,
    ]


@pytest.mark.parametrize(
    ("cls", "option", "message"),
    [
        (Cifar10, {"flip": True}, "flip is not an option of Cifar10; did you mean flips?"),
        (
            Digits,
            {"path": "."},
            "path is not an option of Digits; its options are dequantize, alpha, binarize, "
            "layout, pixel_order, label_context, cache_dir, batch_size, seed",
        ),
        (
            Fsdd,
            {"samplerate": 1},
            "samplerate is not an option of Fsdd; did you mean sample_rate?",
        ),
    ],
)
def test_an_unknown_option_is_refused(cls, option, message):
    with pytest.raises(TypeError) as caught:
        cls(**option)
    assert str(caught.value) == message
