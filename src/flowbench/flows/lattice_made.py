"""The masked autoencoder over the levels of a lattice, as a density."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from flowbench.config.limits import AtLeastOne
from flowbench.config.options import options_of
from flowbench.flows.autoregressive_levels import AutoregressiveLevels
from flowbench.flows.lattice import LatticeFlow
from flowbench.flows.lattice_description import Lattice
from flowbench.flows.levels import family_of
from flowbench.flows.made import OF_THE_NETWORK_ALONE
from flowbench.nn import AutoregressiveNetwork
from flowbench.nn.options import Function

__all__ = ["LatticeMADE"]


class LatticeMADE(
    LatticeFlow, options=options_of(AutoregressiveNetwork, without=OF_THE_NETWORK_ALONE)
):
    r"""p(x) = Πᵢ P(level of xᵢ | levels before i, context) / (volume of the cell of x).

    The conditionals come from an `AutoregressiveNetwork`, whose options it takes. Each feature has
    its own number of levels.

    Args:
        features: size of an event.
        lattice: of the data, such as `{"levels": 17}` or `{"levels": [2, 5, 17]}`: the number of
            levels of each feature; further keys are the attributes of
            `flowbench.flows.lattice_description.Lattice`. `train.py` gives it; in Python it is
            required.
        family: of the conditionals: "categorical" or "logistic" (a discretised mixture of logistic
            distributions, for many ordered levels).
        components: number of logistic distributions of a mixture.
        zero_output: start at the shares of the levels in the training rows, whatever the others.
        **options: those of `AutoregressiveNetwork`.

    Raises:
        TypeError: an option is unknown (the message suggests one).
        ValueError: an option is out of range, or the data are on no lattice.

    References:
        Germain et al. 2015, "MADE" (arXiv:1502.03509).

    Example:
        >>> import torch
        >>> flow = LatticeMADE(3, lattice={"levels": [2, 5, 17]}, hidden_units=[16])
        >>> flow.log_prob(torch.tensor([1.2, 4.0, 16.9])).shape, flow.sample((2,)).shape
        (torch.Size([]), torch.Size([2, 3]))
    """

    conflicts = AutoregressiveNetwork.conflicts
    needs: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        **AutoregressiveNetwork.needs,
        "components": {"family": "logistic"},
    }

    def __init__(
        self,
        features: AtLeastOne,
        *,
        lattice: Mapping[str, Any] | None = None,
        family: Literal["categorical", "logistic"] = "categorical",
        components: AtLeastOne = 10,
        hidden_units: Sequence[AtLeastOne] = (200,),
        activation: str | Function | None = "relu",
        zero_output: bool = True,
        **options: Any,
    ) -> None:
        known = Lattice.of(features, lattice)
        conditionals = family_of(family, known.counts, components=components)
        network = AutoregressiveNetwork(
            features,
            conditionals.params,
            hidden_units=hidden_units,
            activation=activation,
            zero_output=zero_output,
            **options,
        )
        super().__init__(AutoregressiveLevels(network, conditionals, known), known)
