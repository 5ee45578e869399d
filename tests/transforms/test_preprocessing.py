"""The logarithm of some features: both directions, against autograd."""

import pytest
import torch

from flowbench.transforms.preprocessing import Log


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
