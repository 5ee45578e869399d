"""Kernel densities: a Gaussian bump on every training row, a baseline for few features."""

import torch
from torch import Tensor

from flowbench.config.limits import AtLeastOne, AtLeastZero, Seed
from flowbench.flows.base import HALF_LOG, Base
from flowbench.flows.flow import Flow
from flowbench.flows.mixture_uniforms import mixture_uniforms
from flowbench.transforms import TriangularAffine

__all__ = ["KernelDensity"]

WIDTHS = torch.logspace(-2.5, 0.5, 61, dtype=torch.float64)
TRIED = 2000  # rows
CHUNK = 128


class KernelDensity(Flow):
    r"""p(x) = (1/n) Σᵢ N(x; xᵢ, h² C) over training rows xᵢ, in closed form (`initialize`).

    C is the covariance of the rows, and h the width under which training rows are most likely,
    each given all others.

    Args:
        features: size of the event.
        context_features: 0.
        centres: most training rows that are kept, drawn at random where there are more.
        seed: of that draw.

    Raises:
        ValueError: there are contexts, or (in `initialize`) weights, or the covariance of the rows
            is singular.

    References:
        Silverman 1986, "Density estimation for statistics and data analysis", sections 3.4 and
        4.3.

    Example:
        >>> import torch
        >>> flow = KernelDensity(1)
        >>> flow.initialize(torch.tensor([[-1.0], [0.0], [1.0]]))
        >>> flow.sample(4).shape
        torch.Size([4, 1])
    """

    base: "_Kernels"
    transform: TriangularAffine
    by_column = True

    def __init__(
        self,
        features: AtLeastOne,
        *,
        context_features: AtLeastZero = 0,
        centres: AtLeastOne = 5000,
        seed: Seed = 0,
    ) -> None:
        if context_features:
            raise ValueError(
                f"context_features={context_features}: a kernel density is given no contexts; "
                "expected another model, such as gaussian_mixture for labels"
            )
        super().__init__(_Kernels(features, centres), TriangularAffine(features))
        self.seed = seed

    @torch.no_grad()
    def initialize(
        self, x: Tensor, context: Tensor | None = None, weight: Tensor | None = None
    ) -> None:
        """Keep rows, whitened, and choose the width."""
        if weight is not None:
            raise ValueError(
                "a kernel density counts all rows alike: expected rows without weights, or "
                "another model, such as gaussian_mixture"
            )
        self._embed(context)
        self.transform.initialize(x)
        generator = torch.Generator().manual_seed(self.seed)
        kept = torch.randperm(len(x), generator=generator)[: len(self.base.centres)]
        self.base.set(self.transform.inverse(x[kept.to(x.device)].double())[0])


class _Kernels(Base):
    """Kernels on whitened rows; unused places lie at infinity."""

    context_features = 0
    has_rsample = False
    centres: Tensor
    width: Tensor
    count: Tensor

    def __init__(self, features: int, centres: int) -> None:
        super().__init__()
        self.features = features
        self.register_buffer("centres", torch.zeros(centres, features))
        self.register_buffer("width", torch.ones(()))
        self.register_buffer("count", torch.ones((), dtype=torch.long))

    def set(self, rows: Tensor) -> None:
        """Take whitened rows as centres, and choose the width."""
        self.centres.zero_()[: len(rows)] = rows
        self.count.fill_(len(rows))
        self.width.fill_(_best_width(rows))

    def log_prob(self, u: Tensor, context: Tensor | None = None) -> Tensor:
        rows = u.reshape(-1, self.features)
        unused = torch.arange(len(self.centres), device=u.device) >= self.count
        parts = [
            (-0.5 * _squares(part, self.centres) / self.width.square())
            .masked_fill(unused, -torch.inf)
            .logsumexp(-1)
            for part in rows.split(CHUNK)
        ]
        terms = torch.cat(parts) if parts else rows.new_zeros(0)
        constant = self.count.log() + self.features * (self.width.log() + HALF_LOG)
        return (terms - constant).reshape(u.shape[:-1])

    def uniforms(self, u: Tensor, context: Tensor | None = None) -> Tensor:
        centres = self.centres[: self.count]
        log_weights = torch.zeros_like(centres[:, 0])
        widths = self.width.expand(self.features, 1)

        def of(rows: Tensor) -> Tensor:
            pairs = zip(rows.mT, centres.mT, strict=True)
            z = ((own.unsqueeze(-1) - of_all) / self.width for own, of_all in pairs)
            return mixture_uniforms(z, widths, log_weights)

        parts = u.reshape(-1, self.features).split(CHUNK)
        return torch.cat([of(part) for part in parts]).reshape(u.shape)

    def sample(self, shape: torch.Size, context: Tensor | None = None) -> Tensor:
        noise = torch.randn(
            *shape, self.features, dtype=self.width.dtype, device=self.width.device
        )
        chosen = (torch.rand_like(noise[..., 0]) * self.count).long()
        return self.centres[chosen] + self.width * noise


def _squares(one: Tensor, other: Tensor) -> Tensor:
    """Squared distances, differentiable also where they are 0."""
    return (one.unsqueeze(-2) - other).square().sum(-1)


def _best_width(rows: Tensor) -> float:
    """The width under which some of the rows are most likely, each given all others."""
    n, features = rows.shape
    if n == 1:
        return 1.0
    scores = torch.zeros(len(WIDTHS), dtype=torch.float64)
    for start in range(0, min(n, TRIED), CHUNK):
        part = rows[start : min(n, TRIED, start + CHUNK)].double()
        squares = torch.cdist(part, rows.double()).square()
        own = torch.arange(len(part))
        squares[own, own + start] = torch.inf
        for place, width in enumerate(WIDTHS):
            scores[place] += (-0.5 * squares / width**2).logsumexp(-1).sum()
    scores -= min(n, TRIED) * features * WIDTHS.log()
    return WIDTHS[scores.argmax()].item()
