"""Masked autoregressive flow."""

from collections.abc import Sequence
from typing import Any, Literal

from flowbench.flows.autoregressive import Autoregressive
from flowbench.flows.base import Base, StandardNormal
from flowbench.flows.families import MixtureFamily
from flowbench.flows.flow import Flow
from flowbench.flows.stack import (
    Side,
    Univariate,
    layer_order,
    masked_layers,
    stack,
    univariate_map,
)
from flowbench.nn import AutoregressiveNetwork
from flowbench.nn.autoregressive import ConditionalInputLayers
from flowbench.nn.masks import HiddenDegrees, InputOrder
from flowbench.nn.options import Function
from flowbench.transforms.normalization import Statistics

__all__ = ["MAF"]


class MAF(Flow):
    r"""A stack of masked autoregressive layers with batch norms.

    Layer 1 touches the data and has the given order; the orders of the layers behind it are
    reversed in turn (`reverse`), which costs nothing: a permutation is folded into the degrees.
    Each batch norm sits on the noise side of its layer (`batch_norm_side`). With `base="mixture"`
    it is MAF MoG: the noise is a `MADE` of mixtures with the networks' options, its order the next
    in turn. With `univariate="spline"` it is an autoregressive neural spline flow. A new
    flow is in training mode, where batch norms take the statistics of the batch: call `.eval()` to
    score.

    Args:
        features: size of the event.
        context_features: size of the context, 0 for none.
        layers: number of autoregressive layers.
        univariate: map of each feature: "affine", "shift", "gated", "spline" or a `UnivariateMap`.
        hidden_units: width of each hidden layer of each network.
        activation: name or callable; None is linear.
        input_order: order of the first layer; "random" draws a new one for every layer.
        reverse: reverse the order at each layer.
        hidden_degrees: "equal" or "random".
        batch_norm: put a batch norm beside every layer, the last included.
        batch_norm_side: on which side of the layer: "noise" (the paper) or "data".
        batch_norm_statistics: "dataset" (the paper) or "running".
        lu_linear: put a random permutation and an LU linear map before and behind every layer.
        conditional_input_layers: "all_layers" or "first_layer".
        base: "normal", N(0, I), or "mixture".
        components: number of Gaussians of a "mixture".
        log_scale_bound: largest |log-scale| of an affine map or a Gaussian, softly; None leaves it
            free.
        bins: number of bins of a "spline".
        tail_bound: B of a "spline", which is the identity outside of [−B, B].
        residual: residual networks.
        dropout: probability of dropping a hidden unit in training.
        kernel_initializer: name or callable, for the weights.
        zero_output: start every layer at parameters of zero: the identity, except for "gated".
        seed: of random orders, degrees and permutations; weights are drawn by `torch.manual_seed`.

    Raises:
        ValueError: an option is out of range (the message names it).

    References:
        Papamakarios et al. 2017, "Masked autoregressive flow for density estimation"
        (arXiv:1705.07057); Durkan et al. 2019, "Neural spline flows" (arXiv:1906.04032) for
        splines, and for residual networks with LU linear maps.

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
        univariate: Univariate = "affine",
        hidden_units: Sequence[int] = (100, 100),
        activation: str | Function | None = "relu",
        input_order: InputOrder = "left-to-right",
        reverse: bool = True,
        hidden_degrees: HiddenDegrees = "equal",
        batch_norm: bool = True,
        batch_norm_side: Side = "noise",
        batch_norm_statistics: Statistics = "dataset",
        lu_linear: bool = False,
        conditional_input_layers: ConditionalInputLayers = "all_layers",
        base: Literal["normal", "mixture"] = "normal",
        components: int = 10,
        log_scale_bound: float | None = 7.0,
        bins: int = 8,
        tail_bound: float = 3.0,
        residual: bool = False,
        dropout: float = 0.0,
        kernel_initializer: str | Function = "glorot_uniform",
        zero_output: bool = False,
        seed: int | None = None,
    ) -> None:
        network: dict[str, Any] = {
            "hidden_units": hidden_units,
            "context_features": context_features,
            "conditional_input_layers": conditional_input_layers,
            "hidden_degrees": hidden_degrees,
            "activation": activation,
            "kernel_initializer": kernel_initializer,
            "residual": residual,
            "dropout": dropout,
            "zero_output": zero_output,
        }
        masked = masked_layers(
            features,
            layers=layers,
            univariate=univariate_map(
                univariate, log_scale_bound=log_scale_bound, bins=bins, tail_bound=tail_bound
            ),
            input_order=input_order,
            reverse=reverse,
            seed=seed,
            **network,
        )
        chain = stack(
            masked,
            features,
            batch_norm=batch_norm,
            batch_norm_side=batch_norm_side,
            batch_norm_statistics=batch_norm_statistics,
            lu_linear=lu_linear,
            seed=seed,
        )
        noise: Base = StandardNormal(features)
        if base == "mixture":
            family = MixtureFamily(components, log_scale_bound)
            network |= {
                "input_order": layer_order(features, input_order, layers, reverse=reverse),
                "seed": None if seed is None else seed + layers,
            }
            noise = Autoregressive(
                AutoregressiveNetwork(features, family.params, **network), family
            )
        elif base != "normal":
            raise ValueError(f"base={base!r} is unknown: expected 'normal' or 'mixture'")
        super().__init__(noise, chain)
