"""Masked convolutions over the levels of pixels, as a density."""

from collections.abc import Mapping
from typing import Any, Literal

from flowbench.config.limits import AtLeastOne
from flowbench.config.options import options_of
from flowbench.flows.autoregressive_levels import AutoregressiveLevels
from flowbench.flows.lattice import LatticeFlow
from flowbench.flows.lattice_description import Lattice
from flowbench.flows.levels import family_of
from flowbench.nn import ConvolutionalNetwork

__all__ = ["PixelCNN"]


class PixelCNN(LatticeFlow, options=options_of(ConvolutionalNetwork, without=["shape", "params"])):
    r"""p(x) = Πᵢ P(level of xᵢ | levels before i, context) / (volume of the cell of x).

    The conditionals come from a `ConvolutionalNetwork`, whose options it takes, pixel after pixel
    in raster order and channel after channel.

    Args:
        features: size of an event: height × width × channels.
        lattice: of the data, such as `{"levels": 256, "shape": [28, 28, 1]}`: the number of levels
            of each value, and height, width and channels; further keys are the attributes of
            `flowbench.flows.lattice_description.Lattice`. `train.py` gives it; in Python it is
            required.
        family: of the conditionals: "categorical" or "logistic" (a discretised mixture of logistic
            distributions, for many ordered levels).
        components: number of logistic distributions of a mixture.
        **options: those of `ConvolutionalNetwork`.

    Raises:
        TypeError: an option is unknown (the message suggests one).
        ValueError: an option is out of range, or the data are not pictures.

    References:
        Van den Oord et al. 2016, "Pixel recurrent neural networks" (arXiv:1601.06759); Salimans et
        al. 2017, "PixelCNN++" (arXiv:1701.05517).

    Example:
        >>> import torch
        >>> pictures = {"levels": 17, "shape": [4, 4, 1]}
        >>> flow = PixelCNN(16, lattice=pictures, units=8, inner_units=4, blocks=1)
        >>> flow.log_prob(torch.full((7, 16), 3.5)).shape, flow.sample((2,)).shape
        (torch.Size([7]), torch.Size([2, 16]))
    """

    def __init__(
        self,
        features: AtLeastOne,
        *,
        lattice: Mapping[str, Any] | None = None,
        family: Literal["categorical", "logistic"] = "categorical",
        components: AtLeastOne = 10,
        **options: Any,
    ) -> None:
        known = Lattice.of(features, lattice)
        conditionals = family_of(family, known.counts, components=components)
        network = ConvolutionalNetwork(known.picture, conditionals.params, **options)
        super().__init__(AutoregressiveLevels(network, conditionals, known), known)
