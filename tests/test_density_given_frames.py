"""What a density takes besides tensors: arrays, lists and frames."""

import numpy as np
import pandas as pd
import pytest
import torch

import flowbench
from flowbench.density import TrainedDensity
from flowbench.transforms import Chain

DATA = np.random.default_rng(0).normal(size=(200, 3)) * [1.0, 10.0, 5.0] + [0.0, 50.0, -3.0]
FRAME = pd.DataFrame(DATA, columns=["a", "b", "c"])
X, CONTEXT = FRAME[["a", "b"]], FRAME[["c"]]


def fitted(x, context=None):
    sizes = {} if context is None else {"context_features": 1}
    flow = flowbench.MAF(2, layers=1, hidden_units=[4], **sizes)
    return flowbench.fit(flow, x, context, max_epochs=1)


@pytest.fixture(scope="module", params=["fitted", "loaded"])
def density(request, tmp_path_factory):
    density = fitted(X, CONTEXT)
    if request.param == "fitted":
        return density
    density.save(path := tmp_path_factory.mktemp("density") / "density.ckpt")
    return flowbench.load(path)


@pytest.mark.parametrize(
    ("x", "context"),
    [
        (X, CONTEXT),
        (X[["b", "a"]], CONTEXT),
        (FRAME, FRAME[["c", "b"]]),
        (FRAME.assign(word="text"), FRAME.assign(word="text")),
        (DATA[:, :2], DATA[:, 2:]),
        (DATA[:, :2].tolist(), DATA[:, 2:].tolist()),
        (pd.DataFrame(DATA[:, :2]), pd.DataFrame(DATA[:, 2:])),
        (X.rename(columns={"a": "p", "b": "q"}), CONTEXT.rename(columns={"c": "r"})),
    ],
)
def test_columns_are_found_by_name_or_place(density, x, context):
    expected = density.log_prob(torch.from_numpy(DATA[:, :2]), torch.from_numpy(DATA[:, 2:]))
    assert np.array_equal(density.log_prob(x, context), expected)
    assert density.sample(2, context).shape == (2, 200, 2)


def test_a_context_is_also_given_by_the_names_of_its_columns(density):
    expected = density.log_prob(X, density.context({"c": 2.0}))
    assert np.array_equal(density.log_prob(X, {"c": 2.0}), expected)
    assert density.sample(3, {"c": [2.0, 3.0]}).shape == (3, 2, 2)
    with pytest.raises(ValueError, match="given c, but a context was not given"):
        density.sample(3)
    with pytest.raises(ValueError, match="'d' is not a column of the context; it has c"):
        density.log_prob(X, {"d": 2.0})


def test_names_of_columns(density):
    assert density.feature_names == ["a", "b"]
    assert density.context_columns == ["c"]
    assert density.context({"c": 2.0}).tolist() == [2.0]


@pytest.mark.parametrize(
    ("x", "sentence"),
    [
        (FRAME[["a", "c"]], "x has no column 'b'; it has a, c"),
        (X.astype(str), r"x holds object, expected numbers: row 1, column 'a' holds '"),
        (
            X.astype(object).assign(b=["2.0", *X["b"][1:]]),
            "x holds object, expected numbers: row 1, column 'b' holds '2.0'",
        ),
        (FRAME[["c"]], r"x has shape \(200, 1\), expected \[\.\.\., 2\]"),
        ([[1.0, "b"]], "x holds <U32, expected numbers: row 1, column 1 holds '1.0'"),
    ],
)
def test_what_does_not_fit_is_one_sentence(density, x, sentence):
    with pytest.raises(ValueError, match=sentence):
        density.log_prob(x, CONTEXT)


def test_a_density_without_names_takes_columns_by_their_places():
    density = fitted(DATA[:, :2])
    assert np.array_equal(density.log_prob(X), density.log_prob(DATA[:, :2]))


def test_arrays_that_torch_does_not_take_as_they_are(density):
    read_only = DATA[:, :2].copy()
    read_only.flags.writeable = False
    expected = density.log_prob(DATA[:, :2], DATA[:, 2:])
    assert np.array_equal(density.log_prob(read_only, DATA[:, 2:]), expected)
    backwards = density.log_prob(DATA[::-1, :2], DATA[::-1, 2:])
    assert np.array_equal(backwards, expected[::-1])


@pytest.fixture(scope="module")
def labelled():
    """A density given a number and a label."""
    return TrainedDensity(
        flowbench.MAF(2, context_features=3, layers=1, hidden_units=[4]),
        preprocess=Chain([]),
        context_preprocess=Chain([]),
        config={"data": {"context_columns": ["temp"]}},
        context_shape=(3,),
        categories={"shop": ["Bern", "Zürich"]},
    )


BOTH = [[1.0, 1.0, 0.0], [2.0, 0.0, 1.0]]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"shop": "Bern", "temp": 1}, BOTH[0]),
        ({"shop": "Bern", "temp": torch.tensor(1.0)}, BOTH[0]),
        ({"shop": ["Bern", "Zürich"], "temp": [1, 2]}, BOTH),
        ({"temp": (1, 2), "shop": np.array(["Bern", "Zürich"])}, BOTH),
        ({"temp": torch.tensor([1, 2]), "shop": pd.Series(["Bern", "Zürich"])}, BOTH),
        (pd.DataFrame({"shop": ["Bern", "Zürich"], "temp": [1, 2]}), BOTH),
        ({"shop": ["Bern"], "temp": [1.0]}, BOTH[:1]),
        ({"shop": "Bern", "temp": [1.0, 3.0]}, [BOTH[0], [3.0, 1.0, 0.0]]),
        ({"shop": [], "temp": []}, []),
    ],
)
def test_contexts_from_columns(labelled, values, expected):
    context = labelled.context(values)
    assert context.dtype == torch.float64
    assert context.tolist() == expected
    assert labelled.sample(2, context).shape == (2, *context.shape[:-1], 2)


def test_a_frame_is_a_context_by_its_columns(labelled):
    frame = pd.DataFrame({"other": [0, 0], "shop": ["Bern", "Zürich"], "temp": [1, 2]})
    x = torch.zeros(2, 2)
    assert np.array_equal(labelled.log_prob(x, frame), labelled.log_prob(x, BOTH))
    with pytest.raises(ValueError, match="the context lacks 'temp'"):
        labelled.log_prob(x, frame[["shop"]])


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            {"shop": ["Bern"] * 3, "temp": [1, 2]},
            r"shapes 'temp' \[2\], 'shop' \[3\], expected one",
        ),
        ({"shop": "Bern", "temp": [[1], [2]]}, r"shapes 'temp' \[2, 1\], 'shop' \[\], expected"),
        ({"shop": ["Bern", "Rome"], "temp": [1, 2]}, "'Rome', expected one of Bern, Zürich"),
        ({"shop": "Bern", "temp": [1, "warm"]}, "'temp' is given 'warm', expected a finite"),
        (pd.DataFrame({"shop": ["Bern"]}), "the context lacks 'temp'"),
    ],
)
def test_mistakes_in_contexts(labelled, values, sentence):
    with pytest.raises(ValueError, match=sentence):
        labelled.context(values)
