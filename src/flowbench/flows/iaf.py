"""Inverse autoregressive flow."""

from collections.abc import Sequence

from flowbench.flows.base import StandardNormal
from flowbench.flows.flow import Flow
from flowbench.flows.stack import Side, Univariate, masked_layers, stack, univariate_map
from flowbench.nn.autoregressive import ConditionalInputLayers
from flowbench.nn.masks import HiddenDegrees, InputOrder
from flowbench.nn.options import Function
from flowbench.transforms import Inverse
from flowbench.transforms.normalization import Statistics

__all__ = ["IAF"]


class IAF(Flow):
    r"""A stack of inverted masked autoregressive layers on a standard normal base.

    The parameters of a layer are computed from its noise, so that a sample with its own
    log-density is one pass of each network (`sample_and_log_prob`, what variational inference
    needs), and the density of other points is made feature by feature: the reverse of a `MAF`,
    whose options it has (but for dropout, which nothing made feature by feature can have).

    Args:
        features: size of the event.
        context_features: size of the context, 0 for none.
        layers: number of autoregressive layers.
        univariate: map of each feature: "affine", "shift", "gated" (the paper), "spline" or a
            `UnivariateMap`.
        hidden_units: width of each hidden layer of each network.
        activation: name or callable; None is linear.
        input_order: order of the layer at the data; "random" draws a new one for every layer.
        reverse: reverse the order at each layer.
        hidden_degrees: "equal" or "random".
        batch_norm: put a batch norm beside every layer.
        batch_norm_side: on which side of the layer: "noise" or "data".
        batch_norm_statistics: "dataset" or "running".
        lu_linear: put a random permutation and an LU linear map before and behind every layer.
        conditional_input_layers: "all_layers" or "first_layer".
        log_scale_bound: largest |log-scale| of an affine map, softly; None leaves it free.
        bins: number of bins of a "spline".
        tail_bound: B of a "spline", which is the identity outside of [−B, B].
        residual: residual networks.
        kernel_initializer: name or callable, for the weights.
        zero_output: start every layer at parameters of zero: the identity, except for "gated".
        seed: of random orders, degrees and permutations; weights are drawn by `torch.manual_seed`.

    Raises:
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
        batch_norm: bool = False,
        batch_norm_side: Side = "noise",
        batch_norm_statistics: Statistics = "dataset",
        lu_linear: bool = False,
        conditional_input_layers: ConditionalInputLayers = "all_layers",
        log_scale_bound: float | None = 7.0,
        bins: int = 8,
        tail_bound: float = 3.0,
        residual: bool = False,
        kernel_initializer: str | Function = "glorot_uniform",
        zero_output: bool = False,
        seed: int | None = None,
    ) -> None:
        masked = masked_layers(
            features,
            layers=layers,
            univariate=univariate_map(
                univariate, log_scale_bound=log_scale_bound, bins=bins, tail_bound=tail_bound
            ),
            input_order=input_order,
            reverse=reverse,
            seed=seed,
            hidden_units=hidden_units,
            context_features=context_features,
            conditional_input_layers=conditional_input_layers,
            hidden_degrees=hidden_degrees,
            activation=activation,
            kernel_initializer=kernel_initializer,
            residual=residual,
            zero_output=zero_output,
        )
        chain = stack(
            [Inverse(layer) for layer in masked],
            features,
            batch_norm=batch_norm,
            batch_norm_side=batch_norm_side,
            batch_norm_statistics=batch_norm_statistics,
            lu_linear=lu_linear,
            seed=seed,
        )
        super().__init__(StandardNormal(features), chain)
