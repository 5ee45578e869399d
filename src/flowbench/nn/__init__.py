"""Networks: masks, masked linear layers, the autoregressive network and the MLP."""

from flowbench.nn.autoregressive import AutoregressiveNetwork
from flowbench.nn.convolutional import ConvolutionalNetwork, MaskedConvolution
from flowbench.nn.keras_weights import load_keras_weights
from flowbench.nn.linear import MaskedLinear, constrain, regularization
from flowbench.nn.masks import autoregressive_masks
from flowbench.nn.mlp import MLP, ShiftAndLogScale, SplitMLP

__all__ = [
    "MLP",
    "AutoregressiveNetwork",
    "ConvolutionalNetwork",
    "MaskedConvolution",
    "MaskedLinear",
    "ShiftAndLogScale",
    "SplitMLP",
    "autoregressive_masks",
    "constrain",
    "load_keras_weights",
    "regularization",
]
