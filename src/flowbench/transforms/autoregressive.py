"""The masked autoregressive transform: each feature is mapped given the previous ones."""

from functools import partial

import torch
from torch import Tensor, nn

from flowbench.nn import AutoregressiveNetwork
from flowbench.nn.angles import AngularNetwork
from flowbench.nn.columns import ColumnFunction
from flowbench.transforms.base import Transform, real_event
from flowbench.transforms.columns import columns_of, mapped_in_parts
from flowbench.transforms.univariate import AffineMap, UnivariateMap, check_params

__all__ = ["MaskedAutoregressive"]


class MaskedAutoregressive(Transform):
    r"""xᵢ = g(uᵢ; hᵢ) with parameters hᵢ computed from the features before i (and the context).

    The density direction (`inverse`) is one pass of the conditioner. The Jacobian is triangular:
    log |det ∂x/∂u| = Σᵢ log |∂g/∂uᵢ|.

    Args:
        conditioner: maps x `[..., features]` and a context to `[..., features, params]`,
            autoregressive in x, such as `flowbench.nn.AutoregressiveNetwork`.
        univariate: the map g; an `AffineMap` by default.

    Raises:
        ValueError: the conditioner's `params` differ from those of the map.

    References:
        Papamakarios et al. 2017, "Masked autoregressive flow" (arXiv:1705.07057), section 3.1.

    Example:
        >>> import torch
        >>> from flowbench.nn import AutoregressiveNetwork
        >>> transform = MaskedAutoregressive(AutoregressiveNetwork(3, hidden_units=[8]))
        >>> u, log_det = transform.inverse(torch.zeros(5, 3))
        >>> u.shape, log_det.shape
        (torch.Size([5, 3]), torch.Size([5]))
    """

    def __init__(self, conditioner: nn.Module, univariate: UnivariateMap | None = None) -> None:
        super().__init__()
        self.conditioner = conditioner
        self.univariate: UnivariateMap = AffineMap() if univariate is None else univariate
        check_params(conditioner, self.univariate)

    @property
    def context_features(self) -> int | None:  # type: ignore[override]
        """Size of the context that the conditioner takes."""
        return getattr(self.conditioner, "context_features", None)

    def forward(self, u: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map noise to data, feature by feature in order.

        This costs about one pass of an `AutoregressiveNetwork` (`nn.incremental`), or one pass per
        feature of any other conditioner.
        """
        u = real_event(u, getattr(self.conditioner, "features", None))
        if isinstance(self.conditioner, AutoregressiveNetwork | AngularNetwork):
            return self._forward_incrementally(self.conditioner, u, context)
        x, log_det = u, u
        for _ in range(u.shape[-1]):
            x, log_det = self.univariate(u, self.conditioner(x, context))
        return x, log_det.sum(-1)

    def _forward_incrementally(
        self, network: AutoregressiveNetwork | AngularNetwork, u: Tensor, context: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        if network.check_context(context) is not None:
            assert context is not None
            batch = torch.broadcast_shapes(u.shape[:-1], context.shape[:-1])
            u = u.expand(*batch, -1)
            context = context.expand(*batch, -1).reshape(-1, context.shape[-1])
        order = network.order
        noise = u.reshape(-1, u.shape[-1]).mT
        noise = noise.index_select(0, torch.tensor(order, device=u.device)).mT
        log_derivatives = []

        def next_values(params: Tensor, places: slice) -> Tensor:
            values, start = [], places.start
            for univariate, count in self.univariate.runs(order[places]):
                own = slice(start - places.start, start - places.start + count)
                given = params[:, own, : univariate.params]
                value, log_derivative = univariate(noise[:, start : start + count], given)
                start += count
                values.append(value)
                log_derivatives.append(log_derivative.mT)
            return torch.cat(values, dim=-1) if len(values) > 1 else values[0]

        x = network.generate(next_values, rows=noise.shape[0], context=context)
        log_det = torch.cat(log_derivatives).sum(0)
        return x.reshape(u.shape), log_det.reshape(u.shape[:-1])

    def inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:  # noqa: D102
        x = real_event(x, getattr(self.conditioner, "features", None))
        if (columns := columns_of(self.conditioner, x, context)) is not None:
            of_columns = partial(self._inverse_of_columns, columns)
            return mapped_in_parts(of_columns, self.conditioner, x, context)
        u, log_det = self.univariate.inverse(x, self.conditioner(x, context))
        return u, log_det.sum(-1)

    def _inverse_of_columns(
        self, columns: ColumnFunction, x: Tensor, context: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        params = columns(x, context).permute(2, 0, 1)
        u, log_det = self.univariate.inverse(x.mT, params)
        return u.mT, log_det.sum(-1)
