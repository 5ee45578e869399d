"""The masked autoencoder for distribution estimation, as a density."""

from collections.abc import Sequence
from typing import Literal

from flowbench.flows.autoregressive import Autoregressive
from flowbench.flows.families import BernoulliFamily, Family, GaussianFamily, MixtureFamily
from flowbench.flows.flow import Flow
from flowbench.nn import AutoregressiveNetwork
from flowbench.nn.autoregressive import ConditionalInputLayers
from flowbench.nn.masks import HiddenDegrees, InputOrder
from flowbench.nn.options import Function
from flowbench.transforms import Chain

__all__ = ["MADE"]


class MADE(Flow):
    r"""p(x) = Πᵢ p(xᵢ | x before i, context), whose parameters one masked network computes.

    As a flow it is all base (`Autoregressive`), under the identity. With the family "gaussian" it
    is the density of a `MAF` of one layer.

    Args:
        features: size of the event.
        context_features: size of the context, 0 for none.
        family: of the conditionals: "gaussian", "mixture" (of Gaussians: MADE MoG) or "bernoulli"
            (features of 0 and 1).
        components: number of Gaussians of a "mixture".
        hidden_units: width of each hidden layer.
        activation: name or callable; None is linear.
        input_order: "left-to-right", "right-to-left", "random", or the degree of every feature.
        hidden_degrees: "equal" or "random".
        conditional_input_layers: "all_layers" or "first_layer".
        log_scale_bound: largest |log-scale| of a Gaussian, softly; None leaves it free.
        residual: a residual network.
        dropout: probability of dropping a hidden unit in training.
        kernel_initializer: name or callable, for the weights.
        zero_output: start with all parameters of the conditionals at zero.
        seed: of random orders and degrees; weights are drawn by `torch.manual_seed`.

    Raises:
        ValueError: an option is out of range (the message names it).

    References:
        Germain et al. 2015, "MADE" (arXiv:1502.03509); Papamakarios et al. 2017
        (arXiv:1705.07057), sections 2.1 and 4.1.

    Example:
        >>> import torch
        >>> flow = MADE(3, family="mixture", hidden_units=[16])
        >>> flow.log_prob(torch.zeros(7, 3)).shape, flow.sample((2,)).shape
        (torch.Size([7]), torch.Size([2, 3]))
    """

    def __init__(
        self,
        features: int,
        *,
        context_features: int = 0,
        family: Literal["gaussian", "mixture", "bernoulli"] = "gaussian",
        components: int = 10,
        hidden_units: Sequence[int] = (100, 100),
        activation: str | Function | None = "relu",
        input_order: InputOrder = "left-to-right",
        hidden_degrees: HiddenDegrees = "equal",
        conditional_input_layers: ConditionalInputLayers = "all_layers",
        log_scale_bound: float | None = 7.0,
        residual: bool = False,
        dropout: float = 0.0,
        kernel_initializer: str | Function = "glorot_uniform",
        zero_output: bool = False,
        seed: int | None = None,
    ) -> None:
        conditional = _family(family, components, log_scale_bound)
        network = AutoregressiveNetwork(
            features,
            params=conditional.params,
            hidden_units=hidden_units,
            context_features=context_features,
            conditional_input_layers=conditional_input_layers,
            input_order=input_order,
            hidden_degrees=hidden_degrees,
            activation=activation,
            kernel_initializer=kernel_initializer,
            residual=residual,
            dropout=dropout,
            zero_output=zero_output,
            seed=seed,
        )
        super().__init__(Autoregressive(network, conditional), Chain())


def _family(name: str, components: int, log_scale_bound: float | None) -> Family:
    match name:
        case "gaussian":
            return GaussianFamily(log_scale_bound)
        case "mixture":
            return MixtureFamily(components, log_scale_bound)
        case "bernoulli":
            return BernoulliFamily()
    raise ValueError(f"family={name!r} is unknown: expected 'gaussian', 'mixture' or 'bernoulli'")
