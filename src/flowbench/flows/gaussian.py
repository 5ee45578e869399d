"""The full-covariance Gaussian: the baseline, and the checksum of a data pipeline."""

from flowbench.flows.base import StandardNormal
from flowbench.flows.flow import Flow
from flowbench.transforms import TriangularAffine

__all__ = ["Gaussian"]


class Gaussian(Flow):
    r"""N(m, C) with mean and covariance of the training rows, in closed form (`initialize`).

    Args:
        features: size of the event.

    Example:
        >>> import torch
        >>> flow = Gaussian(2)
        >>> flow.initialize(torch.randn(1000, 2) * 3)
        >>> flow.log_prob(torch.zeros(2)).shape
        torch.Size([])
    """

    def __init__(self, features: int) -> None:
        super().__init__(StandardNormal(features), TriangularAffine(features))
