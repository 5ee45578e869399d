"""Preprocessing at the edges of its range."""

import pytest
import torch

from flowbench.transforms import Affine, Chain, Logit

DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
ALPHAS = pytest.mark.parametrize("alpha", [1e-6, 0.05])


@DTYPES
@ALPHAS
def test_logit_at_the_ends_of_its_data(dtype, alpha):
    x = torch.tensor([[0.0], [1.0], [1e-30], [1 - 2**-24]], dtype=dtype)
    u, log_det = Logit(alpha).inverse(x)
    exact = torch.logit(alpha + (1 - 2 * alpha) * x.double()).to(dtype)
    torch.testing.assert_close(u, exact, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(u[0], -u[1])
    torch.testing.assert_close(log_det[0], log_det[1])
    torch.testing.assert_close(Logit(alpha)(u)[0], x)


@DTYPES
@ALPHAS
def test_logit_of_extreme_samples_is_finite_in_both_directions(dtype, alpha):
    noise = torch.tensor([[-1e4], [-200.0], [-30.0], [17.0], [30.0], [200.0], [1e4]], dtype=dtype)
    x, log_det = Logit(alpha)(noise)
    again, opposite = Logit(alpha).inverse(x)
    for value in (x, log_det, again, opposite):
        assert value.isfinite().all()
    assert torch.equal(again.sign(), noise.sign())


@DTYPES
@ALPHAS
@pytest.mark.parametrize("value", [-0.1, 1.2, 255.0, -1e30])
def test_logit_has_no_density_where_no_sample_can_be(dtype, alpha, value):
    x = torch.tensor([[0.5, 0.5], [0.5, value], [0.5, float("nan")]], dtype=dtype)
    u, log_det = Logit(alpha).inverse(x)
    assert log_det[0].isfinite()
    assert log_det[1] == -torch.inf
    assert u[:2].isfinite().all()
    assert log_det[2].isnan()


def test_affine_computes_in_float64():
    large = Affine(shift=[1e8], scale=[1e-3])
    torch.testing.assert_close(
        large.inverse(torch.tensor([1e8 + 8]))[0], torch.tensor([8e3]), rtol=1e-6, atol=0
    )
    chain = Chain([Affine(scale=[1e-30]), Affine(scale=[1e30])])
    torch.testing.assert_close(chain(torch.ones(1))[1], torch.tensor(0.0))
