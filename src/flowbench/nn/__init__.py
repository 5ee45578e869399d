"""Networks: masks, masked linear layers, the autoregressive network, a plain one."""

from flowbench.nn.autoregressive import AutoregressiveNetwork
from flowbench.nn.linear import MaskedLinear, constrain, regularization
from flowbench.nn.masks import autoregressive_masks
from flowbench.nn.mlp import MLP, ShiftAndLogScale

__all__ = [
    "MLP",
    "AutoregressiveNetwork",
    "MaskedLinear",
    "ShiftAndLogScale",
    "autoregressive_masks",
    "constrain",
    "regularization",
]
