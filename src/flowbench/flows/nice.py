"""NICE: additive coupling layers."""

from collections.abc import Sequence

from torch import nn

from flowbench.flows.base import DiagonalNormal
from flowbench.flows.flow import Flow
from flowbench.flows.stack import coupling_layers
from flowbench.nn.mlp import MLP
from flowbench.nn.options import Function
from flowbench.transforms import Chain, ShiftMap

__all__ = ["NICE"]


class NICE(Flow):
    r"""A stack of additive coupling layers, which preserve the volume, on a learnt normal base.

    The scaling layer of the paper is the learnt scale of the base (`DiagonalNormal`).

    Args:
        features: size of the event.
        context_features: size of the context, 0 for none.
        layers: number of coupling layers.
        hidden_units: width of each hidden layer of each network.
        activation: name or callable; None is linear.
        num_masked: number of features that the layer at the data leaves unchanged: the first
            ones, or the last ones where it is negative. Without it and `fraction_masked`, those of
            odd index (from 0) are.
        fraction_masked: the same as a share of the features, rounded toward zero.
        kernel_initializer: name or callable, for the weights.
        zero_output: start every layer at the identity.

    Raises:
        ValueError: an option is out of range (the message names it).

    References:
        Dinh et al. 2015, "NICE: Non-linear independent components estimation" (arXiv:1410.8516).

    Example:
        >>> import torch
        >>> flow = NICE(3, hidden_units=[16])
        >>> flow.log_prob(torch.zeros(7, 3)).shape
        torch.Size([7])
    """

    def __init__(
        self,
        features: int,
        *,
        context_features: int = 0,
        layers: int = 4,
        hidden_units: Sequence[int] = (100, 100),
        activation: str | Function | None = "relu",
        num_masked: int | None = None,
        fraction_masked: float | None = None,
        kernel_initializer: str | Function = "glorot_uniform",
        zero_output: bool = False,
    ) -> None:
        def conditioner(masked: int, mapped: int) -> nn.Module:
            return MLP(
                masked,
                ShiftMap.params,
                outputs=mapped,
                hidden_units=hidden_units,
                context_features=context_features,
                activation=activation,
                kernel_initializer=kernel_initializer,
                zero_output=zero_output,
            )

        from_data = coupling_layers(
            features,
            layers=layers,
            univariate=ShiftMap(),
            conditioner=conditioner,
            num_masked=num_masked,
            fraction_masked=fraction_masked,
        )
        super().__init__(DiagonalNormal(features), Chain(reversed(from_data)))
