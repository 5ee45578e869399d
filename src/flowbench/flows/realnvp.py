"""Real NVP: affine coupling layers."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from flowbench.flows.base import StandardNormal
from flowbench.flows.flow import Flow
from flowbench.flows.stack import Side, Univariate, coupling_layers, stack, univariate_map
from flowbench.nn.mlp import MLP, ShiftAndLogScale
from flowbench.nn.options import Function
from flowbench.transforms.normalization import Statistics

__all__ = ["RealNVP"]


class RealNVP(Flow):
    r"""A stack of coupling layers with batch norms, on a standard normal base.

    Each layer leaves some features unchanged, and maps the others given those; the two halves
    change places at each layer. Both directions are one pass. An affine layer has separate
    networks for shift and log-scale. With `univariate="spline"` it is a coupling neural spline
    flow, whose layers have one network each.

    Args:
        features: size of the event.
        context_features: size of the context, 0 for none.
        layers: number of coupling layers.
        univariate: map of each feature: "affine", "shift", "gated", "spline" or a `UnivariateMap`.
        hidden_units: width of each hidden layer of each network.
        activation: name or callable, of the networks; None is linear.
        scale_activation: the same, of the networks for the log-scale of "affine".
        num_masked: number of features that the layer at the data leaves unchanged: the first
            ones, or the last ones where it is negative. Without it and `fraction_masked`, those of
            odd index (from 0) are.
        fraction_masked: the same as a share of the features, rounded toward zero.
        batch_norm: put a batch norm beside every layer, the last included.
        batch_norm_side: on which side of the layer: "noise" (the paper) or "data".
        batch_norm_statistics: "dataset" (the paper) or "running".
        lu_linear: put a random permutation and an LU linear map before and behind every layer.
        log_scale_bound: largest |log-scale| of an affine map, softly; None leaves it free.
        bins: number of bins of a "spline".
        tail_bound: B of a "spline", which is the identity outside of [−B, B].
        kernel_initializer: name or callable, for the weights.
        zero_output: start every layer at parameters of zero: the identity, except for "gated".
        seed: of random permutations; weights are drawn by `torch.manual_seed`.

    Raises:
        ValueError: an option is out of range (the message names it).

    References:
        Dinh et al. 2017, "Density estimation using Real NVP" (arXiv:1605.08803); Papamakarios et
        al. 2017 (arXiv:1705.07057), section 4.1, whose form for vectors this is; Durkan et al.
        2019, "Neural spline flows" (arXiv:1906.04032).

    Example:
        >>> import torch
        >>> flow = RealNVP(3, layers=2, hidden_units=[16])
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
        scale_activation: str | Function | None = "tanh",
        num_masked: int | None = None,
        fraction_masked: float | None = None,
        batch_norm: bool = True,
        batch_norm_side: Side = "noise",
        batch_norm_statistics: Statistics = "dataset",
        lu_linear: bool = False,
        log_scale_bound: float | None = 7.0,
        bins: int = 8,
        tail_bound: float = 3.0,
        kernel_initializer: str | Function = "glorot_uniform",
        zero_output: bool = False,
        seed: int | None = None,
    ) -> None:
        each = univariate_map(
            univariate, log_scale_bound=log_scale_bound, bins=bins, tail_bound=tail_bound
        )
        options: dict[str, Any] = {
            "hidden_units": hidden_units,
            "context_features": context_features,
            "kernel_initializer": kernel_initializer,
            "zero_output": zero_output,
        }

        def conditioner(masked: int, mapped: int) -> nn.Module:
            params = 1 if univariate == "affine" else each.params
            network = MLP(masked, params, outputs=mapped, activation=activation, **options)
            if univariate != "affine":
                return network
            log_scale = MLP(masked, 1, outputs=mapped, activation=scale_activation, **options)
            return ShiftAndLogScale(shift=network, log_scale=log_scale)

        layer_list = coupling_layers(
            features,
            layers=layers,
            univariate=each,
            conditioner=conditioner,
            num_masked=num_masked,
            fraction_masked=fraction_masked,
        )
        chain = stack(
            layer_list,
            features,
            batch_norm=batch_norm,
            batch_norm_side=batch_norm_side,
            batch_norm_statistics=batch_norm_statistics,
            lu_linear=lu_linear,
            seed=seed,
        )
        super().__init__(StandardNormal(features), chain)
