"""The masked autoencoder over columns with different measures, as a density."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from flowbench.config.limits import AtLeastOne, AtLeastZero
from flowbench.config.options import options_of
from flowbench.flows.atoms import Atoms
from flowbench.flows.cells import Cells
from flowbench.flows.columns import Columns
from flowbench.flows.conditionals import CellConditionals, Conditionals, RealConditionals
from flowbench.flows.families import Family, GaussianFamily, MixtureFamily, SplineFamily
from flowbench.flows.levels import CategoricalLevels
from flowbench.flows.made import OF_THE_NETWORK_ALONE
from flowbench.flows.mixed import MixedBase, MixedFlow
from flowbench.flows.rounded import InflatedLevels
from flowbench.nn import AutoregressiveNetwork
from flowbench.nn.options import Activation

__all__ = ["MixedMADE"]


class MixedMADE(
    MixedFlow, options=options_of(AutoregressiveNetwork, without=OF_THE_NETWORK_ALONE)
):
    r"""p(x) = Πᵢ p(xᵢ | x before i, context), where each column has conditionals of its measure.

    A column on a lattice has probabilities of its cells: one for each of few levels, and a mixture
    of rounded logistic distributions for many, beside the most frequent levels. Another column has
    a density of the family. Atoms have probabilities of their own beside either. The conditionals
    come from one `AutoregressiveNetwork`, whose options it takes.

    Args:
        features: size of an event.
        measure: the columns of the data, which describe it: plain values with the names and
            meanings of `flowbench.flows.columns.Columns`; None: no lattices, no atoms.
        family: of columns without a lattice: "mixture" (of Gaussians), "gaussian" or "spline".
        components: number of distributions of a mixture.
        most_categories: the most levels of a lattice that get a probability each.
        zero_output: start at what each column of the training rows suggests by itself.
        **options: those of `AutoregressiveNetwork`.

    Raises:
        TypeError: an option is unknown (the message suggests one).
        ValueError: an option is out of range, or the columns are not those of the features.

    References:
        Germain et al. 2015, "MADE" (arXiv:1502.03509).

    Example:
        >>> import torch
        >>> columns = [{"levels": 5}, {"atoms": [0.0]}, {}]
        >>> flow = MixedMADE(3, measure={"columns": columns}, hidden_units=[16])
        >>> flow.log_prob(torch.tensor([3.7, 0.0, -1.2])).shape, flow.sample((2,)).shape
        (torch.Size([]), torch.Size([2, 3]))
    """

    conflicts = AutoregressiveNetwork.conflicts
    needs: ClassVar[Mapping[str, Mapping[str, Any]]] = AutoregressiveNetwork.needs

    def __init__(
        self,
        features: AtLeastOne,
        *,
        measure: Mapping[str, Any] | None = None,
        family: Literal["mixture", "gaussian", "spline"] = "mixture",
        components: AtLeastOne = 10,
        most_categories: AtLeastZero = 64,
        hidden_units: Sequence[AtLeastOne] = (200, 200),
        activation: Activation | None = "relu",
        zero_output: bool = True,
        **options: Any,
    ) -> None:
        known = Columns.of(features, measure)
        kinds = _kinds(known, _family(family, components), most_categories, components)
        atoms = Atoms(known.atoms, features=features)
        network = AutoregressiveNetwork(
            features,
            max(kind.params for _, kind in kinds) + atoms.params,
            hidden_units=hidden_units,
            activation=activation,
            zero_output=zero_output,
            **options,
        )
        super().__init__(MixedBase(network, kinds, atoms), known.coordinates())


def _kinds(
    known: Columns, family: Family, most_categories: int, components: int
) -> list[tuple[list[int], Conditionals]]:
    """The columns of each kind of conditionals, as far as there are any."""
    levels = {index: known.each[index].levels for index in known.lattices}
    few = [index for index, count in levels.items() if count <= most_categories]
    many = [index for index, count in levels.items() if count > most_categories]
    real = [index for index in range(len(known.each)) if index not in levels]
    kinds: list[tuple[list[int], Conditionals]] = []
    if few:
        cells = Cells([levels[index] for index in few], unbounded=True)
        kinds.append((few, CellConditionals(cells, CategoricalLevels(cells.counts.tolist()))))
    if many:
        cells = Cells([levels[index] for index in many], unbounded=True)
        inflated = InflatedLevels(cells.counts.tolist(), components=components)
        kinds.append((many, CellConditionals(cells, inflated)))
    if real:
        kinds.append((real, RealConditionals(family, len(real))))
    return kinds


def _family(name: str, components: int) -> Family:
    match name:
        case "gaussian":
            return GaussianFamily()
        case "spline":
            return SplineFamily()
    return MixtureFamily(components)
