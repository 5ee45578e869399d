"""Networks: masks, masked linear layers, the autoregressive network."""

from flowbench.nn.autoregressive import AutoregressiveNetwork
from flowbench.nn.linear import MaskedLinear, constrain, regularization
from flowbench.nn.masks import autoregressive_masks

__all__ = [
    "AutoregressiveNetwork",
    "MaskedLinear",
    "autoregressive_masks",
    "constrain",
    "regularization",
]
