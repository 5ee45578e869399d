"""Masked autoregressive flow."""

from collections.abc import Sequence
from typing import Literal

from flowbench.flows.base import StandardNormal
from flowbench.flows.flow import Flow
from flowbench.nn import AutoregressiveNetwork
from flowbench.nn.autoregressive import ConditionalInputLayers
from flowbench.nn.masks import HiddenDegrees, InputOrder, input_degrees
from flowbench.nn.options import Function
from flowbench.transforms import AffineMap, BatchNorm, Chain, MaskedAutoregressive, Transform
from flowbench.transforms.normalization import Statistics

__all__ = ["MAF"]


class MAF(Flow):
    r"""A stack of masked autoregressive layers with batch norms, on a standard normal base.

    Layer 1 touches the data and has the given order; the orders of the layers behind it are
    reversed in turn (`reverse`), which costs nothing: a permutation is folded into the degrees.
    Each batch norm sits on the noise side of its layer.

    Args:
        features: size of the event.
        context_features: size of the context, 0 for none.
        layers: number of autoregressive layers.
        hidden_units: width of each hidden layer of each network.
        activation: name or callable.
        input_order: order of the first layer; "random" draws a new one for every layer.
        reverse: reverse the order at each layer.
        hidden_degrees: "equal" or "random".
        batch_norm: put a batch norm behind every layer, the last included.
        batch_norm_statistics: "dataset" (the paper) or "running".
        conditional_input_layers: "all_layers" or "first_layer".
        log_scale_bound: largest |log-scale| of a layer, softly; None leaves it free.
        residual: residual networks.
        dropout: probability of dropping a hidden unit in training.
        kernel_initializer: name or callable, for the weights.
        zero_output: start every layer at the identity.
        seed: of random orders and degrees.

    Raises:
        ValueError: an option is out of range (the message names it).

    References:
        Papamakarios et al. 2017, "Masked autoregressive flow for density estimation"
        (arXiv:1705.07057).

    Example:
        >>> import torch
        >>> flow = MAF(3, layers=2, hidden_units=[16])
        >>> flow.log_prob(torch.zeros(7, 3)).shape
        torch.Size([7])
    """

    def __init__(
        self,
        features: int,
        *,
        context_features: int = 0,
        layers: int = 5,
        hidden_units: Sequence[int] = (100, 100),
        activation: str | Function | None = "relu",
        input_order: InputOrder = "left-to-right",
        reverse: bool = True,
        hidden_degrees: HiddenDegrees = "equal",
        batch_norm: bool = True,
        batch_norm_statistics: Statistics = "dataset",
        conditional_input_layers: ConditionalInputLayers = "all_layers",
        log_scale_bound: float | None = 7.0,
        residual: bool = False,
        dropout: float = 0.0,
        kernel_initializer: str | Function = "glorot_uniform",
        zero_output: bool = False,
        seed: int | None = None,
    ) -> None:
        if layers < 1:
            raise ValueError(f"layers={layers}: expected at least 1")
        stack: list[Transform] = []
        for layer in range(layers):
            layer_seed = None if seed is None else seed + layer
            order = input_order
            if input_order != "random":
                degrees = input_degrees(features, input_order)
                order = (features + 1 - degrees if reverse and layer % 2 else degrees).tolist()
            network = AutoregressiveNetwork(
                features,
                params=AffineMap.params,
                hidden_units=hidden_units,
                context_features=context_features,
                conditional_input_layers=conditional_input_layers,
                input_order=order,
                hidden_degrees=hidden_degrees,
                activation=activation,
                kernel_initializer=kernel_initializer,
                residual=residual,
                dropout=dropout,
                zero_output=zero_output,
                seed=layer_seed,
            )
            stack.append(MaskedAutoregressive(network, AffineMap(log_scale_bound)))
            if batch_norm:
                stack.append(BatchNorm(features, statistics=batch_norm_statistics))
        super().__init__(StandardNormal(features), Chain(reversed(stack)))
