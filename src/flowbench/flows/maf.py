"""Masked autoregressive flow."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Literal, Unpack

from flowbench.config.limits import AtLeastOne, AtLeastZero, DrawSeed, Dropout, NotNegative
from flowbench.flows.autoregressive import Autoregressive
from flowbench.flows.base import Base, base_of
from flowbench.flows.families import MixtureFamily
from flowbench.flows.flow import Flow
from flowbench.flows.stack import NORM_NEEDS, Side, distinct_angles, layer_order, stack
from flowbench.nn import AutoregressiveNetwork
from flowbench.nn.angles import AngularNetwork
from flowbench.nn.autoregressive import ConditionalInputLayers
from flowbench.nn.masks import HiddenDegrees, InputOrder
from flowbench.nn.options import Activation, Initializer
from flowbench.transforms import MaskedAutoregressive
from flowbench.transforms.circular import by_feature
from flowbench.transforms.maps import (
    MAP_NEEDS,
    MapOptions,
    Univariate,
    bins_of,
    map_options,
    univariate_map,
)
from flowbench.transforms.normalization import Statistics
from flowbench.transforms.univariate import LOG_SCALE_BOUND

__all__ = ["MAF"]


class MAF(Flow, options=map_options()):
    r"""A stack of masked autoregressive layers with batch norms.

    Layer 1 is next to the data and has the given order. The next layers alternate between its
    reverse and itself (`reverse`), at no cost: the permutation is folded into the degrees. Each
    batch norm sits on the noise side of its layer (`batch_norm_side`). With `base="mixture"` it is
    MAF MoG: the base is a `MADE` of mixtures with the networks' options and the next order in the
    alternation. With `univariate="spline"` it is an autoregressive neural spline
    flow. A new flow is in training mode, where batch norms use the statistics of the batch: call
    `.eval()` before scoring.

    Args:
        features: size of the event.
        context_features: size of the context, 0 for none.
        circular: features, from 0, that are angles in radians: their maps are circular splines of
            `bins` bins, networks get their cosine and sine, and batch norms leave them unchanged.
        layers: number of autoregressive layers.
        univariate: map of each feature, by its name or as a `UnivariateMap`.
        hidden_units: width of each hidden layer of each network.
        activation: name or callable; None is linear.
        input_order: order of the layer at the data: "left-to-right", "right-to-left", "random" (a
            new order for every layer), or the degree of every feature.
        reverse: reverse the order from each layer to the next.
        hidden_degrees: "equal" or "random".
        batch_norm: put a batch norm beside every layer, the last included.
        batch_norm_side: side of the layer it is on: "noise" (the paper) or "data".
        batch_norm_statistics: "dataset" (the paper) or "running".
        lu_linear: put a random permutation and an LU linear map before and after every layer.
        conditional_input_layers: layers that the context enters: "all_layers" or "first_layer".
        base: "normal", N(0, I), or "mixture".
        components: number of Gaussians of the base "mixture".
        log_scale_bound: soft bound on every |log-scale| that a network computes; None leaves them
            unbounded.
        residual: use residual networks.
        dropout: probability of dropping a hidden unit in training.
        kernel_initializer: name or callable, for the weights.
        zero_output: start the output layers of the networks at zero, so that every layer starts at
            the identity, except with the map "gated".
        output_scale: factor of the initial weights of the output layers. Below 1 the flow starts
            near the identity, which makes the training of deep stacks stable.
        seed: of random orders, degrees and permutations; weights follow `torch.manual_seed`.
        **options: of the map; see `MapOptions`, or `help(MAF)`.

    Raises:
        TypeError: an option is unknown (the message suggests one).
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

    conflicts = AutoregressiveNetwork.conflicts
    needs: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        **AutoregressiveNetwork.needs,
        **MAP_NEEDS,
        **NORM_NEEDS,
        "components": {"base": "mixture"},
    }

    def __init__(
        self,
        features: AtLeastOne,
        *,
        context_features: AtLeastZero = 0,
        circular: Sequence[AtLeastZero] = (),
        layers: AtLeastOne = 5,
        univariate: Univariate = "affine",
        hidden_units: Sequence[AtLeastOne] = (100, 100),
        activation: Activation | None = "relu",
        input_order: InputOrder = "left-to-right",
        reverse: bool = True,
        hidden_degrees: HiddenDegrees = "equal",
        batch_norm: bool = True,
        batch_norm_side: Side = "noise",
        batch_norm_statistics: Statistics = "dataset",
        lu_linear: bool = False,
        conditional_input_layers: ConditionalInputLayers = "all_layers",
        base: Literal["normal", "mixture"] = "normal",
        components: AtLeastOne = 10,
        residual: bool = False,
        dropout: Dropout = 0.0,
        kernel_initializer: Initializer = "glorot_uniform",
        zero_output: bool = False,
        output_scale: NotNegative = 0.1,
        seed: DrawSeed | None = None,
        **options: Unpack[MapOptions],
    ) -> None:
        angles = distinct_angles(circular, features)
        if angles and base == "mixture":
            raise ValueError("base='mixture' has no density of angles: expected 'normal'")
        kind: Any = partial(AngularNetwork, angles=angles) if angles else AutoregressiveNetwork

        def network(layer: int, params: int) -> Any:
            return kind(
                features,
                params,
                hidden_units=hidden_units,
                context_features=context_features,
                conditional_input_layers=conditional_input_layers,
                input_order=layer_order(features, input_order, layer, reverse=reverse),
                hidden_degrees=hidden_degrees,
                activation=activation,
                kernel_initializer=kernel_initializer,
                zero_output=zero_output,
                output_scale=output_scale,
                residual=residual,
                dropout=dropout,
                seed=None if seed is None else seed + layer,
            )

        each = univariate_map(univariate, **options)
        if angles:
            each = by_feature(each, [i in angles for i in range(features)], bins=bins_of(options))
        chain = stack(
            [MaskedAutoregressive(network(layer, each.params), each) for layer in range(layers)],
            features,
            batch_norm=batch_norm,
            batch_norm_side=batch_norm_side,
            batch_norm_statistics=batch_norm_statistics,
            lu_linear=lu_linear,
            seed=seed,
            circular=angles,
        )
        noise: Base = base_of(features, angles)
        if base == "mixture":
            family = MixtureFamily(components, options.get("log_scale_bound", LOG_SCALE_BOUND))
            noise = Autoregressive(network(layers, family.params), family)
        super().__init__(noise, chain)
