"""The logarithm of some features and clipping: both directions, and the edges."""

import pytest
import torch

from flowbench.transforms import Clip, Log


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_log_and_back(dtype):
    x = torch.rand(7, 4, dtype=dtype) + 0.5
    log = Log(columns=[2, 0])
    u, log_det = log.inverse(x)
    torch.testing.assert_close(u[:, [0, 2]], x[:, [0, 2]].log())
    torch.testing.assert_close(u[:, [1, 3]], x[:, [1, 3]])
    back, other = log(u)
    torch.testing.assert_close(back, x)
    torch.testing.assert_close(other, -log_det)
    assert u.dtype == log_det.dtype == dtype


def test_log_det_is_that_of_autograd():
    x = torch.rand(4, dtype=torch.float64) + 0.5
    log = Log(columns=[1, 3])
    jacobian = torch.autograd.functional.jacobian(lambda value: log.inverse(value)[0], x)
    torch.testing.assert_close(log.inverse(x)[1], torch.linalg.slogdet(jacobian)[1])


@pytest.mark.parametrize("columns", [[], [-1], [1, 1]])
def test_odd_columns_are_refused(columns):
    with pytest.raises(ValueError, match="numbers from 0, each once"):
        Log(columns=columns)


@pytest.mark.parametrize("value", [0.0, -0.0, -1.0, -torch.inf])
def test_there_is_no_density_where_there_is_no_logarithm(value):
    x = torch.tensor([[2.0, 1.0], [value, 1.0], [2.0, value], [float("nan"), 1.0]])
    u, log_det = Log(columns=[0]).inverse(x)
    assert log_det[[0, 2]].isfinite().all()
    assert log_det[1] == -torch.inf
    assert u[1].isfinite().all()
    assert log_det[3].isnan()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_clipping_in_both_directions(dtype):
    clip = Clip(low=[-1.0, 0.0], high=[1.0, 5.0])
    x = torch.tensor([[0.5, 3.0], [-7.0, 7.0], [torch.inf, -torch.inf]], dtype=dtype)
    expected = torch.tensor([[0.5, 3.0], [-1.0, 5.0], [1.0, 0.0]], dtype=dtype)
    for direction in (clip.inverse, clip):
        value, log_det = direction(x)
        assert torch.equal(value, expected)
        assert torch.equal(log_det, torch.zeros(3, dtype=dtype))


def test_crossed_bounds_are_refused():
    with pytest.raises(ValueError, match="low must not exceed high"):
        Clip(low=[1.0], high=[0.0])
