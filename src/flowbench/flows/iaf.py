"""Inverse autoregressive flow."""

from collections.abc import Mapping
from typing import Any, ClassVar

from flowbench.config.limits import AtLeastOne
from flowbench.config.options import options_of
from flowbench.flows.flow import Flow
from flowbench.flows.maf import MAF
from flowbench.transforms import Chain, Inverse, MaskedAutoregressive
from flowbench.transforms.base import layers_from_data

__all__ = ["IAF"]


class IAF(Flow, options=options_of(MAF, without=["base", "components", "dropout"])):
    r"""A `MAF` whose masked autoregressive layers are inverted.

    The parameters of a layer are computed from its noise, so that a sample and its log-density
    take one pass of each network (`sample_and_log_prob`, as variational inference needs), whereas
    the density of other points is computed feature by feature, which rules out dropout. The
    paper's map is `univariate="gated"`.

    Args:
        **options: those of `MAF`.

    Raises:
        TypeError: an option is unknown (the message suggests one).
        ValueError: an option is out of range (the message names it).

    References:
        Kingma et al. 2016, "Improving variational inference with inverse autoregressive flow"
        (arXiv:1606.04934).

    Example:
        >>> import torch
        >>> x, log_prob = IAF(3, layers=2, hidden_units=[16]).sample_and_log_prob((7,))
        >>> x.shape, log_prob.shape
        (torch.Size([7, 3]), torch.Size([7]))
    """

    conflicts = MAF.conflicts
    needs: ClassVar[Mapping[str, Mapping[str, Any]]] = MAF.needs

    def __init__(self, features: AtLeastOne, *, batch_norm: bool = False, **options: Any) -> None:
        maf = MAF(features, batch_norm=batch_norm, **options)
        layers = [
            Inverse(layer) if isinstance(layer, MaskedAutoregressive) else layer
            for layer in layers_from_data(maf.transform)
        ]
        super().__init__(maf.base, Chain(reversed(layers)))
