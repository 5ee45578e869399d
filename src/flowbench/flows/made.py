"""The masked autoencoder for distribution estimation, as a density."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from flowbench.config.limits import AtLeastOne, Positive
from flowbench.config.options import options_of
from flowbench.flows.autoregressive import Autoregressive
from flowbench.flows.families import BernoulliFamily, Family, GaussianFamily, MixtureFamily
from flowbench.flows.flow import Flow
from flowbench.nn import AutoregressiveNetwork
from flowbench.nn.options import Activation
from flowbench.transforms import Chain
from flowbench.transforms.univariate import LOG_SCALE_BOUND

__all__ = ["MADE"]

OF_THE_NETWORK_ALONE = [
    "params",
    "use_bias",
    "bias_initializer",
    "kernel_regularizer",
    "bias_regularizer",
    "kernel_constraint",
    "bias_constraint",
    "validate_args",
]


class MADE(Flow, options=options_of(AutoregressiveNetwork, without=OF_THE_NETWORK_ALONE)):
    r"""p(x) = Πᵢ p(xᵢ | x before i, context), parameterised by one masked network.

    As a flow it is a base (`Autoregressive`) under the identity. With the family "gaussian" it is
    the density of a one-layer `MAF`. The network is an `AutoregressiveNetwork`, whose options it
    takes.

    Args:
        family: of the conditionals: "gaussian", "mixture" (of Gaussians: MADE MoG) or "bernoulli"
            (features of 0 and 1).
        components: number of Gaussians of a "mixture".
        log_scale_bound: soft bound on the |log-scale| of a Gaussian; None leaves it unbounded.
        zero_output: start with all parameters of the conditionals at zero.
        **options: those of `AutoregressiveNetwork`.

    Raises:
        TypeError: an option is unknown (the message suggests one).
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

    by_column = True
    conflicts = AutoregressiveNetwork.conflicts
    needs: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        **AutoregressiveNetwork.needs,
        "components": {"family": "mixture"},
    }

    def __init__(
        self,
        features: AtLeastOne,
        *,
        family: Literal["gaussian", "mixture", "bernoulli"] = "gaussian",
        components: AtLeastOne = 10,
        log_scale_bound: Positive | None = LOG_SCALE_BOUND,
        hidden_units: Sequence[AtLeastOne] = (100, 100),
        activation: Activation | None = "relu",
        **options: Any,
    ) -> None:
        conditional = _family(family, components, log_scale_bound)
        network = AutoregressiveNetwork(
            features,
            conditional.params,
            hidden_units=hidden_units,
            activation=activation,
            **options,
        )
        super().__init__(Autoregressive(network, conditional), Chain())


def _family(name: str, components: int, log_scale_bound: float | None) -> Family:
    match name:
        case "gaussian":
            return GaussianFamily(log_scale_bound)
        case "mixture":
            return MixtureFamily(components, log_scale_bound)
    return BernoulliFamily()
