"""Loading weights of Keras networks, such as those of TensorFlow Probability."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from flowbench.nn.autoregressive import AutoregressiveNetwork
from flowbench.nn.masks import masks_from_degrees
from flowbench.nn.mlp import MLP

__all__ = ["load_keras_weights"]


def load_keras_weights(network: AutoregressiveNetwork | MLP, weights: Sequence[ArrayLike]) -> None:
    """Load the weights of the same network in Keras.

    An `AutoregressiveNetwork` keeps its masks if the kernels fit them. Otherwise the masks are
    inferred from the kernels: the degree of a hidden unit becomes the largest degree of the units
    that feed it. This covers random hidden degrees and the masks of TFP's
    `masked_autoregressive_default_template`, which differ from those of its
    `AutoregressiveNetwork`.

    Args:
        network: a network with the sizes and options of the one in Keras; for
            `real_nvp_default_template`, a `SplitMLP`.
        weights: as returned by `get_weights()`: for each layer its kernel `[in, out]`, its bias
            `[out]` if it has one, and the kernel of the context if the context enters there; or in
            the order of a template's `variables`, with the bias before the kernel.

    Raises:
        ValueError: the arrays do not have the shapes of the network's parameters, the kernels
            belong to another input order, or the network is residual.

    Example:
        >>> network = MLP(1, outputs=1, params=1)
        >>> load_keras_weights(network, [[[2.0]], [3.0]])
        >>> network(torch.ones(1)).item()
        5.0
    """
    state = network.state_dict()
    names = list(_names(network))
    arrays = [torch.as_tensor(np.asarray(array)).to(state[names[0]]) for array in weights]
    if arrays and arrays[0].ndim == 1 and len(arrays) % 2 == 0:
        arrays[::2], arrays[1::2] = arrays[1::2], arrays[::2]
    expected = [tuple(reversed(state[name].shape)) for name in names]
    given = [tuple(array.shape) for array in arrays]
    if given != expected:
        raise ValueError(f"weights have the shapes {given}, expected {expected}")
    state |= {name: array.t() for name, array in zip(names, arrays, strict=True)}
    if isinstance(network, AutoregressiveNetwork):
        kernels = [state[f"layers.{index}.weight"] for index in range(len(network.layers))]
        for index, degrees in enumerate(_fitting_degrees(network, kernels)):
            state[f"degrees_{index}"] = degrees
    network.load_state_dict(state)


def _names(network: AutoregressiveNetwork | MLP) -> Iterator[str]:
    """The names of the parameters, in the order of `get_weights()`."""
    known = dict(network.named_parameters())
    for index in range(len(network.layers)):
        context = f"context_layers.{index}.weight"
        if isinstance(network, MLP) and index == 0:
            context = "context_layer.weight"
        for name in (f"layers.{index}.weight", f"layers.{index}.bias", context):
            if name in known:
                yield name


def _fitting_degrees(network: AutoregressiveNetwork, kernels: Sequence[Tensor]) -> list[Tensor]:
    """The degrees of the network if its masks keep all connections, else the kernels'."""
    if network.residual:
        raise ValueError("the network is residual, expected residual=False, as in Keras")
    if _fit(kernels, network.degrees, network.params):
        return network.degrees
    degrees = network.degrees[:1]
    for kernel in kernels[:-1]:
        degrees.append(((kernel != 0) * degrees[-1]).amax(-1))
    if not _fit(kernels, degrees, network.params):
        raise ValueError(
            f"the kernels are not autoregressive in the order {degrees[0].tolist()} of the "
            "network: expected the input_order of the network in Keras"
        )
    return degrees


def _fit(kernels: Sequence[Tensor], degrees: Sequence[Tensor], params: int) -> bool:
    masks = masks_from_degrees(degrees, params)
    return not any(kernel[~mask].any() for kernel, mask in zip(kernels, masks, strict=True))
