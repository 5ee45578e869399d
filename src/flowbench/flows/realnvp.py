"""Real NVP: coupling layers."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, Unpack

from torch import Tensor, nn

from flowbench.config.combinations import ANY
from flowbench.config.limits import AtLeastOne, AtLeastZero, DrawSeed, SignedShare
from flowbench.flows.base import base_of
from flowbench.flows.flow import Flow
from flowbench.flows.stack import NORM_NEEDS, Side, distinct_angles, stack
from flowbench.nn.angles import AngularInputs
from flowbench.nn.mlp import MLP, ShiftAndLogScale, SplitMLP
from flowbench.nn.options import Activation, Initializer
from flowbench.transforms import Coupling, alternating_mask, leading_mask
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
from flowbench.transforms.univariate import UnivariateMap

__all__ = ["RealNVP"]

Networks = Literal["shared", "separate"]

SCALE_ACTIVATION = "tanh"


class RealNVP(Flow, options=map_options()):
    r"""A stack of coupling layers with batch norms, on a standard normal base.

    Each layer leaves some features unchanged and maps the others conditioned on them; the two
    halves swap roles from one layer to the next. Both directions take one pass. With
    `univariate="spline"` it is a coupling neural spline flow.

    Args:
        features: size of the event.
        context_features: size of the context, 0 for none.
        circular: features, from 0, that are angles in radians: their maps are circular splines of
            `bins` bins, networks get their cosine and sine, and batch norms leave them unchanged.
        layers: number of coupling layers.
        univariate: map of each feature, by its name or as a `UnivariateMap`.
        hidden_units: width of each hidden layer of each network.
        activation: name or callable, of the networks; None is linear.
        networks: for the map "affine": "shared", one network per layer for shift and log-scale, or
            "separate", one for each, as in the Real NVP of the MAF paper. Layers with other maps
            have one network each.
        scale_activation: as `activation`, for the separate networks of the log-scale.
        num_masked: number of features that the layer at the data leaves unchanged: the first
            ones, or the last ones if negative. If neither it nor `fraction_masked` is given, those
            of odd index (from 0).
        fraction_masked: as `num_masked`, but as a fraction of the features, rounded toward zero.
        batch_norm: put a batch norm beside every layer, the last included.
        batch_norm_side: side of the layer it is on: "noise" (the paper) or "data".
        batch_norm_statistics: "dataset" (the paper) or "running".
        lu_linear: put a random permutation and an LU linear map before and after every layer.
        kernel_initializer: name or callable, for the weights.
        zero_output: start the output layers of the networks at zero, so that every layer starts at
            the identity, except with the map "gated".
        seed: of random permutations; weights follow `torch.manual_seed`.
        **options: of the map; see `MapOptions`, or `help(RealNVP)`.

    Raises:
        TypeError: an option is unknown (the message suggests one).
        ValueError: an option is out of range (the message names it).

    References:
        Dinh et al. 2017, "Density estimation using Real NVP" (arXiv:1605.08803); Papamakarios et
        al. 2017 (arXiv:1705.07057), section 4.1, whose version for vectors this is; Durkan et al.
        2019, "Neural spline flows" (arXiv:1906.04032).

    Example:
        >>> import torch
        >>> flow = RealNVP(3, layers=2, hidden_units=[16])
        >>> flow.log_prob(torch.zeros(7, 3)).shape
        torch.Size([7])
    """

    needs: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        **MAP_NEEDS,
        **NORM_NEEDS,
        "activation": {"hidden_units": ANY},
        "networks": {"univariate": "affine"},
        "scale_activation": {"univariate": "affine", "hidden_units": ANY},
    }

    @classmethod
    def conflicts(cls, options: Mapping[str, Any]) -> Iterator[str]:
        """An activation without its networks, and numbers of features that exclude each other."""
        known = {"networks": "shared", "univariate": "shift", **options}
        scale = known.get("scale_activation", SCALE_ACTIVATION)
        shared = known["univariate"] == "affine" and known["networks"] == "shared"
        if shared and scale != SCALE_ACTIVATION:
            yield (
                f"scale_activation={scale!r} acts in separate networks only: expected "
                "networks='separate' with it"
            )
        given = {name: known[name] for name in ("num_masked", "fraction_masked")}
        given = {name: value for name, value in given.items() if value is not None}
        if len(given) == 2:
            first, second = (f"{name}={value}" for name, value in given.items())
            yield f"{first} and {second}: expected one of them"
        for name, value in given.items():
            if value == 0:
                yield f"{name}={value}: no feature would depend on another; expected some masked"

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
        networks: Networks = "shared",
        scale_activation: Activation | None = SCALE_ACTIVATION,
        num_masked: int | None = None,
        fraction_masked: SignedShare | None = None,
        batch_norm: bool = True,
        batch_norm_side: Side = "noise",
        batch_norm_statistics: Statistics = "dataset",
        lu_linear: bool = False,
        kernel_initializer: Initializer = "glorot_uniform",
        zero_output: bool = False,
        seed: DrawSeed | None = None,
        **options: Unpack[MapOptions],
    ) -> None:
        each = univariate_map(univariate, **options)
        angles = distinct_angles(circular, features)
        if angles and networks == "separate":
            raise ValueError("networks='separate' has no maps of angles: expected 'shared'")
        affine = univariate == "affine" and not angles

        def mlp(
            mask: Tensor, params: int, activation: Activation | None, kind: type[MLP] = MLP
        ) -> MLP:
            inputs = mask.nonzero().flatten().tolist()
            return kind(
                len(inputs) + sum(i in angles for i in inputs),
                params,
                outputs=int((~mask).sum()),
                hidden_units=hidden_units,
                context_features=context_features,
                activation=activation,
                kernel_initializer=kernel_initializer,
                zero_output=zero_output,
            )

        def coupling(mask: Tensor) -> Coupling:
            own: UnivariateMap = each
            if affine and networks == "separate":
                network: nn.Module = ShiftAndLogScale(
                    shift=mlp(mask, 1, activation), log_scale=mlp(mask, 1, scale_activation)
                )
            else:
                kind = SplitMLP if affine else MLP
                here = [i in angles for i in (~mask).nonzero().flatten().tolist()]
                own = by_feature(each, here, bins=bins_of(options))
                network = mlp(mask, own.params, activation, kind)
            there = [i in angles for i in mask.nonzero().flatten().tolist()]
            if any(there):
                network = AngularInputs(network, [i for i, angle in enumerate(there) if angle])
            return Coupling(features, network, own, mask=mask)

        first = _first_mask(features, num_masked, fraction_masked)
        chain = stack(
            [coupling(~first if layer % 2 else first) for layer in range(layers)],
            features,
            batch_norm=batch_norm,
            batch_norm_side=batch_norm_side,
            batch_norm_statistics=batch_norm_statistics,
            lu_linear=lu_linear,
            seed=seed,
            circular=angles,
        )
        super().__init__(base_of(features, angles), chain)


def _first_mask(features: int, num_masked: int | None, fraction_masked: float | None) -> Tensor:
    """The features that the layer at the data leaves unchanged, bool `[features]`."""
    if num_masked is None and fraction_masked is None:
        return alternating_mask(features, start=1)
    return leading_mask(features, num_masked=num_masked, fraction_masked=fraction_masked)
