"""What a flow refuses to be given, in one sentence."""

from pkgutil import resolve_name

import numpy as np
import pandas as pd
import pytest
import torch

import flowbench
import flowbench.transforms
from flowbench.elsewhere import HERE
from flowbench.flows import StandardNormal
from flowbench.transforms import Affine, Chain

ROWS = np.zeros((4, 3))
EXPECTED = "expected a tensor: torch.as_tensor"


@pytest.mark.parametrize(
    ("x", "sentence"),
    [
        (ROWS, f"x is a numpy.ndarray, {EXPECTED}(x, dtype=torch.float32)"),
        (ROWS.tolist(), f"x is a list, {EXPECTED}(x, dtype=torch.float32)"),
        (
            pd.DataFrame(ROWS),
            f"x is a pandas.DataFrame, {EXPECTED}(x.to_numpy(), dtype=torch.float32)",
        ),
    ],
)
def test_a_flow_takes_tensors(x, sentence):
    flow = flowbench.MAF(3, context_features=3, layers=1).eval()
    with pytest.raises(TypeError) as caught:
        flow.log_prob(x, torch.zeros(4, 3))
    assert str(caught.value) == sentence
    for use in (lambda: flow.log_prob(torch.zeros(4, 3), x), lambda: flow.sample(2, x)):
        with pytest.raises(TypeError) as caught:
            use()
        assert str(caught.value) == sentence.replace("x is", "context is").replace(
            "tensor(x", "tensor(context"
        )


def test_the_type_of_numbers_is_that_of_the_flow():
    for flow in (flowbench.MAF(3, layers=1), flowbench.Gaussian(3), flowbench.NICE(3)):
        assert flow.dtype == torch.float32
        assert flow.double().dtype == torch.float64
    with pytest.raises(TypeError, match=r"dtype=torch\.float64"):
        flow.log_prob(ROWS)


@pytest.mark.parametrize("n", [2.5, -1, "3", (2, -1), (2, 1.5), None, torch.zeros(2)])
def test_a_number_of_samples_is_whole(n):
    flow = flowbench.MAF(3, layers=1).eval()
    with pytest.raises(ValueError, match="expected a whole number"):
        flow.sample(n)


CONTEXT_ONLY = {
    "flow(c)": (
        lambda flow, c: flow(c),
        ValueError,
        "5 is the size of a context, which comes sec",
    ),
    "of c": (lambda flow, c: flow.log_prob(c), ValueError, "log_prob(x, context), sample(10, con"),
    "flow()": (lambda flow, c: flow(), TypeError, "a flow is called with rows, flow(x, context)"),
    "samples": (
        lambda flow, c: flow.sample(c),
        ValueError,
        "a context comes second, as in sample",
    ),
}


@pytest.mark.parametrize("name", CONTEXT_ONLY)
def test_a_context_without_rows_is_told_where_it_goes(name):
    call, kind, sentence = CONTEXT_ONLY[name]
    flow = flowbench.MAF(3, context_features=5, layers=1).eval()
    with pytest.raises(kind) as caught:
        call(flow, torch.zeros(7, 5))
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


NORMAL, CHAIN = StandardNormal(3), Chain([Affine(scale=[1.0, 2.0, 3.0])])
PARTS = {
    "swapped": (CHAIN, NORMAL, "StandardNormal, expected a flowbench.transforms.Transform"),
    "list": (NORMAL, [CHAIN], "Transform (flowbench.transforms.Chain joins several)"),
    "distribution": (
        torch.distributions.Normal(0, 1),
        CHAIN,
        "DistributionBase makes one of a dis",
    ),
}


@pytest.mark.parametrize("name", PARTS)
def test_a_flow_is_of_a_base_and_a_transform(name):
    base, transform, sentence = PARTS[name]
    with pytest.raises(TypeError) as caught:
        flowbench.Flow(base, transform)
    assert sentence in str(caught.value)


NAMES = {
    "NSF": 'here it is flowbench.MAF(features, univariate="spline")',
    "CNF": "here it is flowbench.flows.peers.Zuko(features, flow=zuko.flows.CNF)",
}


@pytest.mark.parametrize("module", [flowbench, flowbench.flows, flowbench.transforms])
@pytest.mark.parametrize("name", NAMES)
def test_names_of_other_libraries_are_told_what_they_are_here(module, name):
    with pytest.raises(AttributeError) as caught:
        getattr(module, name)
    assert str(caught.value).endswith(NAMES[name])
    assert not hasattr(module, "__path_of_nothing__")


def test_what_stands_here_for_other_names_is_there():
    for told in HERE.values():
        if told.startswith("flowbench."):
            resolve_name(told.partition("(")[0])


@pytest.mark.parametrize("n", [0, 2, (2,), torch.Size([2, 3]), np.int64(2), torch.tensor(2), ()])
def test_numbers_and_shapes_of_samples(n):
    flow = flowbench.MAF(3, layers=1).eval()
    shape = tuple(n) if isinstance(n, tuple) else (int(n),)
    assert flow.sample(n).shape == (*shape, 3)


@pytest.mark.parametrize("flow", [flowbench.MAF, flowbench.RealNVP, flowbench.Gaussian])
@pytest.mark.parametrize(("features", "shown"), [(-1, "-1"), (2.5, "2.5"), ("3", "'3'"), (0, "0")])
def test_a_size_is_a_whole_number(flow, features, shown):
    for build in (lambda: flow(features), lambda: flow(features=features)):
        with pytest.raises(ValueError) as caught:
            build()
        assert str(caught.value) == f"features={shown}: expected an integer at least 1"
