"""Linear maps across features."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from flowbench.transforms.base import Transform, real_event

__all__ = ["LULinear", "Permute", "TriangularAffine"]

SMALLEST_SHARE = 1e-7  # of a standard deviation: what remains of a feature, given others
ROUNDINGS = 8


class Permute(Transform):
    """xᵢ = u[permutation[i]], with a log-determinant of zero.

    Args:
        permutation: of 0 … features − 1.

    Raises:
        ValueError: it is not a permutation.

    Example:
        >>> import torch
        >>> Permute([2, 0, 1])(torch.tensor([10.0, 20.0, 30.0]))[0]
        tensor([30., 10., 20.])
    """

    context_features: int = 0
    permutation: Tensor

    def __init__(self, permutation: Sequence[int] | Tensor) -> None:
        super().__init__()
        order = torch.as_tensor(permutation, dtype=torch.int64, device="cpu")
        if not torch.equal(order.sort().values, torch.arange(len(order), device="cpu")):
            raise ValueError(
                f"permutation={order.tolist()} is not a permutation of 0 … {len(order) - 1}"
            )
        self.register_buffer("permutation", order.to(torch.get_default_device(), copy=True))

    def forward(self, u: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:  # noqa: D102
        u = real_event(u, len(self.permutation))
        return u.index_select(-1, self.permutation), u.new_zeros(u.shape[:-1])

    def inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:  # noqa: D102
        x = real_event(x, len(self.permutation))
        return x.index_select(-1, self.permutation.argsort()), x.new_zeros(x.shape[:-1])


class LULinear(Transform):
    r"""u = P L U x + b: with a permutation and learned unit lower and upper triangular factors.

    The diagonal of U is exp(d), so that log |det ∂u/∂x| = Σᵢ dᵢ. It starts at L = U = I. Data →
    noise takes two matrix products, noise → data two triangular solves.

    Args:
        features: size of the event.
        permutation: (P z)ᵢ = z[permutation[i]]; none by default.
        bias: whether there is a shift b.

    Raises:
        ValueError: `permutation` is not a permutation of 0 … features − 1.

    References:
        Kingma & Dhariwal 2018, "Glow" (arXiv:1807.03039), section 3.2; Durkan et al. 2019, "Neural
        spline flows" (arXiv:1906.04032), section 3.2.

    Example:
        >>> import torch
        >>> LULinear(2, permutation=[1, 0]).inverse(torch.tensor([3.0, 5.0]))[0]
        tensor([5., 3.], grad_fn=<AddBackward0>)
    """

    context_features: int = 0

    def __init__(
        self,
        features: int,
        *,
        permutation: Sequence[int] | Tensor | None = None,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.permute: Permute = Permute(range(features) if permutation is None else permutation)
        if len(self.permute.permutation) != features:
            raise ValueError(
                f"permutation has {len(self.permute.permutation)} entries, expected {features}"
            )
        # Packed as usual: L below the diagonal, U above it, and the log of U's diagonal on it.
        self.factors: nn.Parameter = nn.Parameter(torch.zeros(features, features))
        self.bias: nn.Parameter | None = nn.Parameter(torch.zeros(features)) if bias else None

    def forward(self, u: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:  # noqa: D102
        u = real_event(u, len(self.factors))
        centred = u if self.bias is None else u - self.bias
        lower, upper = self._triangles()
        rows = self.permute.inverse(centred)[0].reshape(-1, u.shape[-1])
        rows = torch.linalg.solve_triangular(
            lower.mT, rows, upper=True, left=False, unitriangular=True
        )
        rows = torch.linalg.solve_triangular(upper.mT, rows, upper=False, left=False)
        return rows.reshape(u.shape), -self._log_det().expand(u.shape[:-1])

    def inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:  # noqa: D102
        x = real_event(x, len(self.factors))
        lower, upper = self._triangles()
        u, _ = self.permute(x @ upper.mT @ lower.mT)
        u = u if self.bias is None else u + self.bias
        return u, self._log_det().expand(x.shape[:-1])

    def _triangles(self) -> tuple[Tensor, Tensor]:
        identity = torch.eye(
            len(self.factors), dtype=self.factors.dtype, device=self.factors.device
        )
        lower = self.factors.tril(-1) + identity
        return lower, self.factors.triu(1) + self.factors.diagonal().exp().diag()

    def _log_det(self) -> Tensor:
        return self.factors.diagonal().sum()


class TriangularAffine(Transform):
    r"""x = L u + m with a lower triangular L, fitted in closed form.

    L Lᵀ and m are the covariance and the mean of the data. With standard normal noise it is the
    maximum-likelihood Gaussian. It has no trained parameters; `initialize` sets its buffers. The
    covariance counts as singular if a feature, given those before it, has a standard deviation of
    at most 10⁻⁷ of its own, or of eight roundings of the rows' dtype.

    Args:
        features: size of the event.

    Example:
        >>> import torch
        >>> layer = TriangularAffine(2)
        >>> layer.initialize(torch.tensor([[0.0, 1.0], [2.0, 1.5], [4.0, 5.0]]))
        >>> layer.mean
        tensor([2.0000, 2.5000], dtype=torch.float64)
    """

    context_features: int = 0
    mean: Tensor
    cholesky: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features, dtype=torch.float64))
        self.register_buffer("cholesky", torch.eye(features, dtype=torch.float64))

    def forward(self, u: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:  # noqa: D102
        u = real_event(u, len(self.mean))
        x = u.to(self.mean.dtype) @ self.cholesky.mT + self.mean
        return x.to(u.dtype), self._log_det().to(u.dtype).expand(u.shape[:-1])

    def inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:  # noqa: D102
        x = real_event(x, len(self.mean))
        centred = (x.to(self.mean.dtype) - self.mean).reshape(-1, x.shape[-1])
        u = torch.linalg.solve_triangular(self.cholesky.mT, centred, upper=True, left=False)
        return u.reshape(x.shape).to(x.dtype), -self._log_det().to(x.dtype).expand(x.shape[:-1])

    def _log_det(self) -> Tensor:
        return self.cholesky.diagonal().log().sum()

    @property
    def scales(self) -> Tensor:
        """The standard deviation of every feature."""
        return self.cholesky.norm(dim=-1)

    @torch.no_grad()
    def initialize(
        self,
        x: Tensor,
        context: Tensor | None = None,
        weight: Tensor | None = None,
        chunk: int = 8192,
    ) -> None:
        """Fit mean and covariance (biased, maximum likelihood) of `[rows, features]`, in float64.

        Raises:
            ValueError: the covariance is singular; features are counted from 1.
        """
        dtype = self.mean.dtype
        counts = x.new_ones((), dtype=dtype).expand(len(x)) if weight is None else weight.to(dtype)
        pairs = list(zip(x.split(chunk), counts.unsqueeze(-1).split(chunk), strict=True))
        sums = torch.stack([(part.to(dtype) * count).sum(0) for part, count in pairs])
        mean = sums.sum(0) / counts.sum()
        covariance = torch.zeros_like(self.cholesky)
        for part, count in pairs:
            centred = part.to(dtype) - mean
            covariance.addmm_(centred.mT, centred * count)
        self.set_moments(mean, covariance / counts.sum(), rows=len(x), dtype=x.dtype)

    @torch.no_grad()
    def set_moments(
        self, mean: Tensor, covariance: Tensor, *, rows: int, dtype: torch.dtype
    ) -> None:
        """Take a mean and a covariance.

        Args:
            mean: `[features]`, float64.
            covariance: `[features, features]`, float64.
            rows: how many they were estimated from.
            dtype: of these rows.

        Raises:
            ValueError: the covariance is singular; features are counted from 1.
        """
        factor, failed = torch.linalg.cholesky_ex(covariance)
        own = covariance.diagonal()
        rounding = ROUNDINGS * torch.finfo(dtype).eps * (own + mean.square()).sqrt()
        singular = factor.diagonal() <= torch.maximum(rounding, SMALLEST_SHARE * own.sqrt())
        place = int(failed) or (int(singular.nonzero()[0]) + 1 if singular.any() else 0)
        if place:
            raise ValueError(
                f"the covariance of the {rows} training rows is singular at feature {place} "
                f"(from 1) of {len(mean)}: it is constant, or a linear combination of those "
                "before it; leave it out, or train on more rows"
            )
        self.mean.copy_(mean)
        self.cholesky.copy_(factor)
