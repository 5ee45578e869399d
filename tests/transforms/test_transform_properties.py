"""What every layer must do, whichever it is."""

from copy import deepcopy
from itertools import product

import pytest
import torch
from torch.autograd.functional import jacobian
from transform_layers import LAYERS, build, contexts, data, events

every_layer = pytest.mark.parametrize("name", LAYERS)
DEPENDS_ON_MODE = ("BatchNorm", "Chain")


@every_layer
def test_each_direction_undoes_the_other(name):
    layer, context = build(name), contexts(name, 50)
    u, x = events(50), data(name, 50)
    torch.testing.assert_close(layer.inverse(layer(u, context)[0], context)[0], u)
    torch.testing.assert_close(layer(layer.inverse(x, context)[0], context)[0], x)


@every_layer
def test_log_det_is_that_of_the_jacobian_in_both_directions(name):
    layer, context = build(name), contexts(name)
    for direction, point in ((layer.forward, events()), (layer.inverse, data(name))):
        matrix = jacobian(lambda value, to=direction: to(value, context)[0], point)
        _, log_det = direction(point, context)
        torch.testing.assert_close(log_det, torch.linalg.slogdet(matrix)[1])


@every_layer
def test_log_dets_of_one_point_cancel(name):
    layer, context = build(name), contexts(name, 50)
    x, log_det = layer(events(50), context)
    torch.testing.assert_close(layer.inverse(x, context)[1], -log_det)


@every_layer
@pytest.mark.parametrize("batch", [(), (1,), (6,), (3, 2)])
def test_any_batch_shape_gives_the_same_rows(name, batch):
    layer, context = build(name), contexts(name, *batch)
    for direction, values in (
        (layer.forward, events(*batch)),
        (layer.inverse, data(name, *batch)),
    ):
        value, log_det = direction(values, context)
        assert value.shape == values.shape
        assert log_det.shape == batch
        for row in product(*map(range, batch)):
            alone, term = direction(values[row], None if context is None else context[row])
            torch.testing.assert_close(value[row], alone)
            torch.testing.assert_close(log_det[row], term)


@pytest.mark.parametrize("name", [name for name in LAYERS if "context" in name])
def test_one_context_serves_a_batch(name):
    layer = build(name)
    for context in (contexts(name), contexts(name, 2), contexts(name, 3, 1)):
        full = context.expand(3, 2, -1)
        for direction in (layer.forward, layer.inverse):
            for value, expected in zip(
                direction(events(3, 2), context), direction(events(3, 2), full), strict=True
            ):
                torch.testing.assert_close(value, expected)


@pytest.mark.parametrize("name", [name for name in LAYERS if "context" in name])
def test_the_context_matters(name):
    layer, context = build(name), contexts(name, 1)
    assert not torch.allclose(
        layer.inverse(events(5), context)[1], layer.inverse(events(5), context + 1)[1]
    )


@every_layer
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_dtype_is_kept(name, dtype):
    layer, context = build(name, dtype=dtype), contexts(name, 5, dtype=dtype)
    outputs = [
        *layer(events(5, dtype=dtype), context),
        *layer.inverse(data(name, 5, dtype=dtype), context),
    ]
    assert {output.dtype for output in outputs} == {dtype}


@every_layer
def test_float32_agrees_with_float64(name):
    for exact, single in zip(
        build(name).inverse(data(name, 50), contexts(name, 50)),
        build(name, dtype=torch.float32).inverse(
            data(name, 50, dtype=torch.float32), contexts(name, 50, dtype=torch.float32)
        ),
        strict=True,
    ):
        torch.testing.assert_close(single, exact.float(), rtol=1e-4, atol=1e-4)


@every_layer
def test_a_state_dict_restores_the_density_exactly(name):
    layer, other, context = build(name), build(name, seed=9), contexts(name, 5)
    other.load_state_dict(layer.state_dict())
    for direction, values in (("forward", events(5)), ("inverse", data(name, 5))):
        for value, expected in zip(
            getattr(other, direction)(values, context),
            getattr(layer, direction)(values, context),
            strict=True,
        ):
            assert torch.equal(value, expected)


@every_layer
def test_a_copy_computes_the_same_and_learns_the_same(name):
    layer, context = build(name), contexts(name, 5)
    copy = deepcopy(layer)
    for one in (layer, copy):
        value, log_det = one.inverse(data(name, 5), context)
        if log_det.requires_grad:
            (value.sum() + log_det.sum()).backward()
    for (key, parameter), other in zip(layer.named_parameters(), copy.parameters(), strict=True):
        assert parameter is not other
        torch.testing.assert_close(other, parameter)
        torch.testing.assert_close(other.grad, parameter.grad, msg=key)


@every_layer
@pytest.mark.parametrize("direction", ["forward", "inverse"])
def test_every_parameter_gets_a_finite_gradient(name, direction):
    layer, context = build(name), contexts(name, 50)
    values = events(50) if direction == "forward" else data(name, 50)
    values.requires_grad_()
    value, log_det = getattr(layer, direction)(values, context)
    (value.square().sum() + log_det.sum()).backward()
    for key, tensor in {"input": values, **dict(layer.named_parameters())}.items():
        assert tensor.grad is not None, key
        assert tensor.grad.isfinite().all(), key
        assert tensor.grad.any() or not tensor.numel(), key


@pytest.mark.parametrize("name", [name for name in LAYERS if name not in DEPENDS_ON_MODE])
def test_training_mode_changes_nothing(name):
    layer, context = build(name), contexts(name, 20)
    for direction, values in (("forward", events(20)), ("inverse", data(name, 20))):
        expected = getattr(layer.eval(), direction)(values, context)
        for value, other in zip(
            getattr(layer.train(), direction)(values, context), expected, strict=True
        ):
            torch.testing.assert_close(value, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["autoregressive spline", "coupling gated", "LULinear permuted"])
def test_gradients_are_those_of_finite_differences(name):
    layer = build(name)
    for direction in (layer.forward, layer.inverse):
        assert torch.autograd.gradcheck(direction, events(2).requires_grad_())


@every_layer
def test_autocast_and_16_bit_inputs_are_computed_in_float32(name):
    layer, context = build(name, dtype=torch.float32), contexts(name, 5, dtype=torch.float32)
    for direction, values in (
        (layer.forward, events(5, dtype=torch.float32)),
        (layer.inverse, data(name, 5, dtype=torch.float32)),
    ):
        narrow = values.bfloat16()
        given = None if context is None else context.bfloat16()
        wide = None if given is None else given.float()
        expected = [*direction(values, context), *direction(narrow.float(), wide)]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = [*direction(values, context), *direction(narrow, given)]
        for one, other in zip(found, expected, strict=True):
            assert torch.equal(one, other)
