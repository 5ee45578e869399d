"""A flow combined with the preprocessing of its data."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from flowbench.flows.flow import Flow
from flowbench.transforms import Bounded, Chain, Log, Transform
from flowbench.transforms.base import widened
from flowbench.transforms.present_cells import inverse_of_present

__all__ = ["Preprocessed"]

DIGITS = 2.0**-16  # resolution of samples, as a fraction of a unit of model space


class Preprocessed(Flow):
    r"""log p(x) = log p_flow(u) + log |det ∂u/∂x|, where u is x after preprocessing.

    Preprocessing computes in float64, so that data may be large compared with their standard
    deviation; the flow computes in its own dtype. Contexts are passed to the flow as they are.

    Args:
        flow: the density in model space.
        preprocess: maps model space to data units; its `inverse` preprocesses.

    Example:
        >>> import torch
        >>> from flowbench.flows import Gaussian
        >>> from flowbench.transforms import Standardize
        >>> flow = Preprocessed(Gaussian(1), Standardize(mean=[5e6], std=[1.0]))
        >>> flow.log_prob(torch.tensor([5e6 + 1], dtype=torch.float64))
        tensor(-1.4189, dtype=torch.float64)
    """

    def __init__(self, flow: Flow, preprocess: Transform) -> None:
        super().__init__(flow.base, Chain([flow.transform, preprocess]))
        self.flow = flow
        self.preprocess = preprocess
        self.eval()

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Log-density in nats of `[..., features]` in data units."""
        x = x if x.dtype in (torch.float32, torch.float64) else widened(x)
        u, log_det = self.to_model_space(x)
        return self.flow.log_prob(u.to(self.flow.dtype), context) + log_det

    def sample_and_log_prob(
        self, sample_shape: int | Sequence[int] = (), context: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Samples in data units with their log-densities; differentiable if `has_rsample`."""
        u, log_prob = self.flow.sample_and_log_prob(sample_shape, context)
        x, log_det = self.to_data_units(u)
        return x, log_prob - log_det

    @property
    def marginalizes(self) -> bool:
        """Whether NaN is a missing cell, as for the flow."""
        return self.flow.marginalizes

    def to_model_space(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map data units to model space; of a missing cell, the log-determinant does not count."""
        if self.marginalizes:
            return inverse_of_present(self.preprocess, x)
        return self.preprocess.inverse(x)

    def to_data_units(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Map model space to data units, in float64 if float32 cannot represent the data."""
        return self.preprocess(widened(u) if self.needs_float64() else u)

    @torch.no_grad()
    def needs_float64(self) -> bool:
        """Whether float32 in data units would move points in model space, or overflow."""
        if self.flow.device.type in ("mps", "meta"):
            return False
        if any(isinstance(step, Bounded | Log) for step in self.preprocess.modules()):
            return True
        u = torch.linspace(-math.pi, math.pi, 8, dtype=torch.float64, device=self.flow.device)
        exact, _ = self.preprocess(u.unsqueeze(-1).expand(-1, self.features))
        rounded, _ = self.preprocess.inverse(exact.float().double())
        return bool(((rounded - self.preprocess.inverse(exact)[0]).abs() > DIGITS).any())
