"""The coupling transform: some features pass through and condition the map of the others."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from flowbench.nn.columns import ColumnFunction
from flowbench.transforms.base import Transform, real_event
from flowbench.transforms.columns import columns_of, mapped_in_parts
from flowbench.transforms.coupling_masks import leading_mask
from flowbench.transforms.univariate import AffineMap, UnivariateMap, check_params

__all__ = ["Coupling"]

Direction = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


class Coupling(Transform):
    r"""Masked features are unchanged; the others are xᵢ = g(uᵢ; hᵢ), with h computed from them.

    Both directions take one pass of the conditioner, and log |det ∂x/∂u| = Σᵢ log |∂g/∂uᵢ| over
    the mapped features. With no feature masked, the conditioner sees only the context; with all
    masked, this is the identity.

    Args:
        features: size of the event.
        conditioner: maps the masked features `[..., masked]` and a context to
            `[..., features − masked, params]`, such as `flowbench.nn.MLP`.
        univariate: the map g; an `AffineMap` by default.
        mask: which features are left unchanged, bool `[features]`.
        num_masked: number of features to mask: the first ones, or the last ones if negative.
        fraction_masked: as `num_masked`, but as a fraction of the features, rounded toward zero.

    Raises:
        ValueError: not exactly one of mask, num_masked and fraction_masked is given, it is out of
            range or of the wrong shape, or the conditioner's output does not fit.

    References:
        Dinh et al. 2017, "Density estimation using Real NVP" (arXiv:1605.08803), sections 3.2 to
        3.4.

    Example:
        >>> import torch
        >>> from flowbench.nn.mlp import MLP
        >>> layer = Coupling(3, MLP(1, outputs=2, hidden_units=[8]), num_masked=1)
        >>> x, log_det = layer(torch.ones(5, 3))
        >>> x.shape, log_det.shape
        (torch.Size([5, 3]), torch.Size([5]))
    """

    mask: Tensor
    masked: Tensor
    mapped: Tensor
    restore: Tensor

    def __init__(
        self,
        features: int,
        conditioner: nn.Module,
        univariate: UnivariateMap | None = None,
        *,
        mask: Tensor | None = None,
        num_masked: int | None = None,
        fraction_masked: float | None = None,
    ) -> None:
        super().__init__()
        if mask is None:
            mask = leading_mask(features, num_masked=num_masked, fraction_masked=fraction_masked)
        elif num_masked is not None or fraction_masked is not None:
            raise ValueError("a mask is given: expected neither num_masked nor fraction_masked")
        if mask.dtype != torch.bool or mask.shape != (features,):
            raise ValueError(
                f"mask has dtype {mask.dtype} and shape {tuple(mask.shape)}, "
                f"expected bool [{features}]"
            )
        self.conditioner = conditioner
        self.univariate: UnivariateMap = AffineMap() if univariate is None else univariate
        check_params(conditioner, self.univariate)
        self.register_buffer("mask", mask.clone())
        for name in ("masked", "mapped", "restore"):
            self.register_buffer(name, torch.empty(0, dtype=torch.int64), persistent=False)
        _index(self)
        for name in ("mask", "masked", "mapped", "restore"):
            setattr(self, name, getattr(self, name).to(torch.get_default_device()))
        self.register_load_state_dict_post_hook(_index)

    @property
    def context_features(self) -> int | None:  # type: ignore[override]
        """Size of the context that the conditioner takes."""
        return getattr(self.conditioner, "context_features", None)

    def forward(self, u: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:  # noqa: D102
        return self._map(self.univariate, u, context)

    def inverse(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:  # noqa: D102
        return self._map(self.univariate.inverse, x, context)

    def _map(
        self,
        univariate: Direction,
        value: Tensor,
        context: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        value = real_event(value, len(self.mask))
        if not len(self.mapped):
            return value, value.new_zeros(value.shape[:-1])
        if (columns := columns_of(self.conditioner, value, context)) is not None:
            of_columns = partial(self._map_columns, univariate, columns)
            return mapped_in_parts(of_columns, self.conditioner, value, context)
        masked = value.index_select(-1, self.masked)
        params = self.conditioner(masked, context)
        self._check(params)
        mapped, log_det = univariate(value.index_select(-1, self.mapped), params)
        batch = mapped.shape[:-1]
        parts = torch.cat([masked.expand(*batch, -1), mapped], dim=-1)
        return parts.index_select(-1, self.restore), log_det.sum(-1).expand(batch)

    def _map_columns(
        self, univariate: Direction, columns: ColumnFunction, value: Tensor, context: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """The same for columns `[features, rows]`, which are overwritten."""
        params = columns(value.index_select(0, self.masked), context).permute(2, 0, 1)
        self._check(params)
        mapped, log_det = univariate(value.index_select(0, self.mapped).mT, params)
        return value.index_copy_(0, self.mapped, mapped.mT), log_det.sum(-1)

    def _check(self, params: Tensor) -> None:
        expected = (len(self.mapped), self.univariate.params)
        if params.shape[-2:] != expected:
            raise ValueError(
                f"the conditioner returned shape {tuple(params.shape)}, "
                f"expected [..., {expected[0]}, {expected[1]}]"
            )


def _index(layer: nn.Module, _incompatible: object = None) -> None:
    """Set the indices that follow from the mask."""
    assert isinstance(layer, Coupling)
    if layer.mask.is_meta:
        return
    layer.masked = layer.mask.nonzero().squeeze(-1)
    layer.mapped = (~layer.mask).nonzero().squeeze(-1)
    layer.restore = torch.cat([layer.masked, layer.mapped]).argsort()
