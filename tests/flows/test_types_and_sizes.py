"""Types, sizes, strides and devices: the right value, or one sentence."""

import warnings

import pytest
import torch
from flow_table import (
    ALL,
    CLASSES,
    CLOSE,
    FEATURES,
    FLOWS,
    build,
    classes_of,
    context_of,
    data,
    events,
)

from flowbench.flows import MAF
from flowbench.transforms import ActNorm, Affine, BatchNorm, Clip, Logit, Permute


@ALL
def test_whole_numbers_and_16_bits_have_their_value_or_are_refused(name):
    flow = build(name, CLASSES).float()
    x, context = torch.tensor([[1, 0, 1], [0, 0, 1], [0, 1, 0]]), torch.eye(2).long()[[0, 1, 1]]
    expected = flow.log_prob(x.float(), context.float())
    for dtype in (torch.float16, torch.bfloat16):
        given = flow.log_prob(x.to(dtype), context.to(dtype))
        assert given.dtype == torch.float32
        assert torch.equal(given, expected)
    assert torch.equal(flow.log_prob(x.float(), context), expected)
    for dtype in (torch.int64, torch.uint8, torch.bool):
        if name == "made_bernoulli":
            assert torch.equal(flow.log_prob(x.to(dtype), context), expected)
        else:
            with pytest.raises(ValueError, match=rf"x holds {dtype}, expected torch.float32"):
                flow.log_prob(x.to(dtype), context)
    with pytest.raises(ValueError, match=r"x holds torch.complex64, expected real numbers"):
        flow.log_prob(x.to(torch.complex64), context)
    with pytest.raises(ValueError, match=r"context holds torch.complex64, expected real numbers"):
        flow.log_prob(x.float(), context.to(torch.complex64))


@ALL
def test_autocast_changes_nothing(name):
    flow = build(name, classes_of(name)).float()
    context = None if context_of(name, 6) is None else context_of(name, 6).float()
    x = events(name, 6, FEATURES).float()
    expected = flow.log_prob(x, context)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(flow.log_prob(x, context), expected)
        assert flow.sample(2, context).dtype == torch.float32


def test_parameters_of_16_bits_are_refused():
    flow = MAF(2, layers=1, hidden_units=[4]).eval().half()
    for use in (lambda: flow.log_prob(torch.zeros(2)), lambda: flow.sample(2)):
        with pytest.raises(ValueError, match=r"torch.float16, expected .* flow.float\(\)"):
            use()


@ALL
def test_empty_batches(name):
    flow = build(name, classes_of(name))
    context = context_of(name, 0)
    shape = (4,) if classes_of(name) else (4, 0)
    assert flow.sample(shape, context).shape == (4, 0, FEATURES)
    for batch in ((0,), (3, 0), (0, 3), (2, 0, 3)):
        given = context_of(name, *batch)
        assert flow.log_prob(events(name, *batch, FEATURES), given).shape == batch
    for count in (0, (0,), (2, 0), (0, 2)):
        x, log_prob = flow.sample_and_log_prob(count, context_of(name))
        assert x.shape == (*log_prob.shape, FEATURES)
        assert log_prob.shape == ((0,) if count == 0 else count)


@ALL
def test_shapes_on_the_meta_device(name):
    flow = build(name, classes_of(name)).to("meta")
    context = None if context_of(name, 4) is None else context_of(name, 4).to("meta")
    log_prob = flow.log_prob(events(name, 4, FEATURES).to("meta"), context)
    x = flow.sample(() if classes_of(name) else (4,), context)
    assert (log_prob.shape, x.shape) == ((4,), (4, FEATURES))
    assert log_prob.is_meta
    assert x.is_meta


@ALL
def test_strides_do_not_matter(name):
    flow = build(name, classes_of(name))
    x, context = events(name, FEATURES, 8).mT, context_of(name, 8)
    expected = flow.log_prob(x.contiguous(), context)
    torch.testing.assert_close(flow.log_prob(x, context), expected, **CLOSE)
    same = flow.log_prob(x[:1].expand(8, -1), None if context is None else context[:1])
    torch.testing.assert_close(same, expected[:1].expand(8), **CLOSE)


@pytest.mark.parametrize(
    "transform",
    [Affine([0.5, 1.0]), Clip([0.0, 0.0], [1.0, 2.0]), Permute([1, 0]), ActNorm(2), BatchNorm(2)],
)
def test_transforms_refuse_another_size_and_convert_whole_numbers(transform):
    transform.eval()
    for way in (transform.forward, transform.inverse):
        for size in (1, 3):
            with pytest.raises(ValueError, match=rf"shape \(4, {size}\), expected \[\.\.\., 2\]"):
                way(torch.zeros(4, size))
        for one, other in zip(
            way(torch.tensor([1, 2])), way(torch.tensor([1.0, 2.0])), strict=True
        ):
            assert one.dtype == torch.float32
            assert torch.equal(one, other)
        with pytest.raises(ValueError, match="complex64, expected real numbers"):
            way(torch.zeros(2, dtype=torch.complex64))


def test_logit_of_whole_numbers():
    for one, other in zip(
        Logit(0.05).inverse(torch.tensor([0, 1])),
        Logit(0.05).inverse(torch.tensor([0.0, 1.0])),
        strict=True,
    ):
        assert torch.equal(one, other)


@ALL
def test_construction_on_meta_and_back(name):
    there = build(name, classes_of(name))
    with torch.device("meta"):
        flow = FLOWS[name](FEATURES, context_features=classes_of(name), seed=0)
    assert all(value.is_meta for value in flow.state_dict().values())
    flow.double().to_empty(device="cpu").load_state_dict(there.state_dict())
    x, context = data(name, classes_of(name), 4)
    assert torch.equal(flow.eval().log_prob(x, context), there.log_prob(x, context))


@ALL
def test_the_default_type(name):
    torch.set_default_dtype(torch.float64)
    try:
        with warnings.catch_warnings(action="error"):
            flow = FLOWS[name](FEATURES, context_features=classes_of(name), seed=0).eval()
        assert {p.dtype for p in flow.parameters()} <= {torch.float64}
        x, context = data(name, classes_of(name), 4)
        assert flow.log_prob(x, context).dtype == flow.sample(2, context).dtype == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


def test_a_device_without_float64_gets_float32():
    def to_such_a_device(value):
        if value.dtype == torch.float64:
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype")
        return value

    flow = build("gaussian").float()
    flow.transform.double()
    expected = flow.log_prob(x := torch.randn(4, FEATURES))
    flow._apply(to_such_a_device)
    assert {value.dtype for value in flow.buffers()} == {torch.float32}
    torch.testing.assert_close(flow.log_prob(x), expected)
