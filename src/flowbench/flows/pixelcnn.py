"""Masked convolutions over the levels of pixels, as a density."""

from collections.abc import Mapping
from typing import Any, Literal

from flowbench.config.limits import AtLeastOne
from flowbench.config.options import options_of
from flowbench.flows.lattice import AutoregressiveLevels, LatticeFlow
from flowbench.flows.lattice_data import cells, levels_of, picture_shape
from flowbench.flows.levels import family_of
from flowbench.nn import ConvolutionalNetwork

__all__ = ["PixelCNN"]


class PixelCNN(LatticeFlow, options=options_of(ConvolutionalNetwork, without=["shape", "params"])):
    r"""p(x) = Πᵢ P(level of xᵢ | levels before i, context) / (volume of the cell of x).

    The conditionals come from a `ConvolutionalNetwork`, whose options it takes, pixel after pixel
    in raster order and channel after channel.

    Args:
        features: size of an event.
        lattice: what the levels are, given by the data: `levels`, their number, one for all or one
            per feature; `shape`, height, width and channels; and, where model space is not the
            levels themselves, `origin`, `step` and `preprocess` of `LatticeCoordinates`.
        family: of the conditionals: "categorical" or "logistic" (a discretised mixture of logistic
            distributions, for many ordered levels).
        components: number of logistic distributions of a mixture.
        **options: those of `ConvolutionalNetwork`.

    Raises:
        TypeError: an option is unknown (the message suggests one).
        ValueError: an option is out of range, or the data are no pictures.

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
        levels = levels_of(features, lattice)
        shape = picture_shape(features, lattice)
        conditionals = family_of(family, levels, components=components)
        network = ConvolutionalNetwork(shape, conditionals.params, **options)
        base = AutoregressiveLevels(network, conditionals, levels)
        super().__init__(base, cells(features, lattice or {}))
