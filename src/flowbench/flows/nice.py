"""NICE: additive coupling layers."""

from collections.abc import Mapping
from typing import Any, ClassVar

from flowbench.config.combinations import ANY
from flowbench.config.limits import AtLeastOne
from flowbench.config.options import options_of
from flowbench.flows.base import DiagonalNormal
from flowbench.flows.flow import Flow
from flowbench.flows.realnvp import RealNVP
from flowbench.transforms.maps import MapOptions

__all__ = ["NICE"]

BETWEEN_LAYERS = ["batch_norm", "batch_norm_side", "batch_norm_statistics", "lu_linear", "seed"]
OF_THE_MAP = ["univariate", "circular", "networks", "scale_activation"]
OF_THE_MAP += MapOptions.__annotations__


class NICE(Flow, options=options_of(RealNVP, without=BETWEEN_LAYERS + OF_THE_MAP)):
    r"""A `RealNVP` of additive layers, which preserve volume, on a learned normal base.

    The scaling layer of the paper is the learned scale of the base (`DiagonalNormal`).

    Args:
        zero_output: start the output layers of the networks at zero, so that every layer starts at
            the identity.
        **options: those of `RealNVP`, as far as they concern the networks and the masks.

    Raises:
        TypeError: an option is unknown (the message suggests one).
        ValueError: an option is out of range (the message names it).

    References:
        Dinh et al. 2015, "NICE: Non-linear independent components estimation" (arXiv:1410.8516).

    Example:
        >>> import torch
        >>> flow = NICE(3, hidden_units=[16])
        >>> flow.log_prob(torch.zeros(7, 3)).shape
        torch.Size([7])
    """

    conflicts = RealNVP.conflicts
    needs: ClassVar[Mapping[str, Mapping[str, Any]]] = {"activation": {"hidden_units": ANY}}

    def __init__(self, features: AtLeastOne, *, layers: AtLeastOne = 4, **options: Any) -> None:
        additive = RealNVP(
            features, layers=layers, univariate="shift", batch_norm=False, **options
        )
        super().__init__(DiagonalNormal(features), additive.transform)
