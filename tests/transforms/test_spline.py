"""The rational-quadratic spline, also where its parameters are extreme."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from flowbench.transforms import RationalQuadraticMap
from flowbench.transforms.spline import knots, slopes

DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


def parameters(rows, bins, *, scale, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    params = torch.randn(rows, 3 * bins - 1, dtype=torch.float64, generator=generator)
    return (scale * params).to(dtype)


@DTYPES
@pytest.mark.parametrize("bins", [1, 2, 8, 100])
def test_parameters_of_zero_are_the_identity(bins, dtype):
    x = torch.linspace(-4, 4, 1001, dtype=dtype)
    params = torch.zeros(1001, 3 * bins - 1, dtype=dtype)
    for direction in (RationalQuadraticMap(bins), RationalQuadraticMap(bins).inverse):
        value, log_slope = direction(x, params)
        torch.testing.assert_close(value, x, atol=2e-6, rtol=0)
        torch.testing.assert_close(log_slope, torch.zeros_like(x), atol=2e-6, rtol=0)


@DTYPES
def test_knots_are_met_exactly(dtype):
    spline = RationalQuadraticMap(5)
    params = parameters(20, 5, scale=2, dtype=dtype)
    abscissae, ordinates = knots(params.mT[:10], bound=3.0)
    for knot in range(6):
        u, log_slope = spline.inverse(abscissae[knot], params)
        assert torch.equal(u, ordinates[knot])
        assert torch.equal(spline(ordinates[knot], params)[0], abscissae[knot])
        inner = slopes(params[:, 9 + knot]) if 0 < knot < 5 else torch.ones(20, dtype=dtype)
        torch.testing.assert_close(log_slope.exp(), inner, rtol=1e-4, atol=0)


@DTYPES
def test_outside_of_the_interval_it_is_the_identity(dtype):
    x = torch.tensor([-torch.inf, -1e30, -3.001, 3.001, 1e30, torch.inf], dtype=dtype)
    params = parameters(6, 8, scale=3, dtype=dtype)
    for direction in (RationalQuadraticMap(), RationalQuadraticMap().inverse):
        value, log_slope = direction(x, params)
        assert torch.equal(value, x)
        assert not log_slope.any()


@DTYPES
@pytest.mark.parametrize("scale", [1, 10, 1e4, 1e30])
@pytest.mark.parametrize("direction", ["forward", "inverse"])
def test_it_is_finite_and_monotone_whatever_the_parameters(scale, dtype, direction):
    spline = RationalQuadraticMap(8)
    params = parameters(50, 8, scale=scale, dtype=dtype).requires_grad_()
    points = torch.linspace(-3.5, 3.5, 701, dtype=dtype).unsqueeze(-1).requires_grad_()
    value, log_slope = getattr(spline, direction)(points, params)
    assert value.shape == log_slope.shape == (701, 50)
    assert value.isfinite().all()
    assert log_slope.isfinite().all()
    assert (value.diff(dim=0) >= -1e-6).all()
    for gradient in torch.autograd.grad(value.sum() + log_slope.sum(), [points, params]):
        assert gradient.isfinite().all()


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(1, 12), st.floats(0.1, 50), st.floats(0, 3), st.integers(0, 999))
def test_both_directions_agree(bins, bound, scale, seed):
    spline = RationalQuadraticMap(bins, bound=bound)
    params = parameters(40, bins, scale=scale, seed=seed)
    u = torch.linspace(-1.2, 1.2, 40, dtype=torch.float64) * bound
    x, log_slope = spline(u, params)
    again, opposite = spline.inverse(x, params)
    torch.testing.assert_close(again, u, atol=1e-9 * bound, rtol=1e-9)
    torch.testing.assert_close(opposite, -log_slope, atol=1e-6, rtol=1e-6)


def test_gradients_are_those_of_finite_differences():
    spline = RationalQuadraticMap(4)
    u = torch.linspace(-2.9, 2.9, 7, dtype=torch.float64).requires_grad_()
    inputs = u, parameters(7, 4, scale=1).requires_grad_()
    assert torch.autograd.gradcheck(spline, inputs)
    assert torch.autograd.gradcheck(spline.inverse, inputs)
