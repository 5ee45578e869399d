"""Layers in the words that the library reads, as far as that knows them."""

import struct
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from flowbench.native.hooks import hook_in
from flowbench.nn import AutoregressiveNetwork, MaskedLinear
from flowbench.nn.activations import ACTIVATIONS
from flowbench.nn.mlp import MLP, ShiftAndLogScale, SplitMLP
from flowbench.transforms import (
    AffineMap,
    BatchNorm,
    Chain,
    Coupling,
    MaskedAutoregressive,
    ShiftMap,
    Transform,
)

__all__ = ["Unsupported", "added_to", "buffers_of", "type_of", "unknown_kind", "words_of"]

KNOWN = ("linear", "relu", "leaky_relu", "elu", "selu", "tanh", "sigmoid", "silu")
NONE = (-1, -1)  # no parameter in a flat tensor, no row of a network's output
OVERRIDABLE = {"forward", "inverse", "log_prob"}


class Unsupported(Exception):
    """The library has no arithmetic for a part of the flow; the message names it."""


def words_of(
    layers: Sequence[Transform],
    features: int,
    contexts: int,
    places: Mapping[nn.Parameter, int],
    base: Sequence[nn.Parameter] = (),
) -> array:
    """The words for layers, given from data to noise.

    Args:
        layers: as `layers_from_data` gives them.
        features: size of the event.
        contexts: size of the context, 0 for none.
        places: where each parameter begins in a flat tensor.
        base: mean and log-scale of the base; empty: it is N(0, I).

    Raises:
        Unsupported: a layer is unknown to the library.

    Example:
        >>> from flowbench.transforms import Permute
        >>> words_of([Permute([1, 0])], 2, 0, {})
        Traceback (most recent call last):
        flowbench.native.program.Unsupported: the transform Permute
    """
    words = _Words(places)
    words.add(features, contexts, *(map(words.place, base) if base else NONE))
    words.add(sum(one.numel() for one in places), len(layers))
    for layer in layers:
        _layer(words, layer, features, contexts)
    return words.words


def type_of(tensors: Iterable[Tensor]) -> torch.dtype:
    """The dtype that all tensors have, which are in memory, row after row.

    Raises:
        Unsupported: they differ, or are not as the library reads them.
    """
    tensors = list(tensors)
    types = {one.dtype for one in tensors}
    if types not in ({torch.float32}, {torch.float64}):
        raise Unsupported("numbers of several types")
    if not all(one.is_cpu and one.is_contiguous() for one in tensors):
        raise Unsupported("numbers on another device, or not row after row")
    return types.pop()


class _Words:
    def __init__(self, places: Mapping[nn.Parameter, int]) -> None:
        self.words = array("q")
        self.places = dict(places)

    def add(self, *values: Any) -> None:
        for value in values:
            number = isinstance(value, float)
            self.words.append(struct.unpack("q", struct.pack("d", value))[0] if number else value)

    def place(self, parameter: nn.Parameter | None) -> int:
        """Where a parameter begins; each belongs to one place in the flow."""
        if parameter is None:
            return -1
        if parameter not in self.places:
            raise Unsupported("parameters that are not trained, or shared between layers")
        return self.places.pop(parameter)


def added_to(module: nn.Module) -> str:
    """What another class, or a hook, adds to the arithmetic of the known parts; empty: nothing."""
    for part in module.modules():
        if isinstance(part, Chain) and type(part) is not Chain:
            return f"the transform {type(part).__name__}"
        if not OVERRIDABLE.isdisjoint(vars(part)):
            return f"the replaced method of {type(part).__name__}"
    return hook_in(module)


def _layer(words: _Words, layer: Transform, features: int, contexts: int) -> None:
    if type(layer) is BatchNorm:
        _expect(layer.mean, features)
        words.add(1, words.place(layer.log_gamma), words.place(layer.beta))
        words.add(layer.mean.data_ptr(), layer.variance.data_ptr())
        words.add(float(layer.epsilon), float(layer.momentum), int(not layer.training))
        return
    if unknown := unknown_kind(layer):
        raise Unsupported(unknown)
    assert isinstance(layer, MaskedAutoregressive | Coupling)
    univariate = layer.univariate
    bound = univariate.bound if isinstance(univariate, AffineMap) else None
    words.add(0, 0.0 if bound is None else float(bound))
    if isinstance(layer, Coupling):
        inputs, mapped = layer.masked.tolist(), layer.mapped.tolist()
    elif isinstance(layer.conditioner, AutoregressiveNetwork):
        inputs = mapped = list(range(layer.conditioner.features))
    else:
        raise Unsupported(f"the network {type(layer.conditioner).__name__}")
    if max([*inputs, *mapped], default=-1) != features - 1:
        raise Unsupported("layers of several sizes")
    networks, sources = _conditioner(layer.conditioner, len(mapped))
    words.add(len(networks))
    for network in networks:
        _network(words, network, inputs, len(mapped), contexts)
    words.add(len(mapped))
    for feature, (shift, scale) in zip(mapped, sources, strict=True):
        words.add(feature, *shift, *scale)


def unknown_kind(layer: Transform) -> str:
    """The kind of layer, or of map in it, that the library does not know; empty: it knows it."""
    if type(layer) is BatchNorm:
        return ""
    if type(layer) not in (MaskedAutoregressive, Coupling):
        return f"the transform {type(layer).__name__}"
    assert isinstance(layer, MaskedAutoregressive | Coupling)
    known = type(layer.univariate) in (AffineMap, ShiftMap)
    return "" if known else f"the map {type(layer.univariate).__name__}"


Source = tuple[int, int]  # number of the network, row of its output


def _conditioner(
    conditioner: nn.Module, count: int
) -> tuple[list[nn.Module], Iterator[tuple[Source, Source]]]:
    """The networks of a conditioner, and where they compute the parameters of each feature."""
    if not count:
        return [], iter(())
    if type(conditioner) is ShiftAndLogScale:
        parts = (conditioner.shift, conditioner.log_scale)
        networks = [part for part in parts if part is not None]
        if any(type(part) not in (MLP, SplitMLP) or part.params != 1 for part in networks):
            raise Unsupported("the networks of ShiftAndLogScale")
        numbers = [-1 if part is None else networks.index(part) for part in parts]
        pairs = ([NONE if n < 0 else (n, row) for n in numbers] for row in range(count))
        return networks, ((shift, scale) for shift, scale in pairs)
    rows: Callable[[int, int], int]
    if type(conditioner) is SplitMLP:
        rows = lambda feature, which: which * count + feature  # noqa: E731
    else:
        params = getattr(conditioner, "params", 0)
        rows = lambda feature, which: feature * params + which  # noqa: E731
    single = getattr(conditioner, "params", 0) == 1
    return [conditioner], (
        ((0, rows(feature, 0)), NONE if single else (0, rows(feature, 1)))
        for feature in range(count)
    )


def _network(
    words: _Words, network: nn.Module, inputs: list[int], mapped: int, contexts: int
) -> None:
    if type(network) is AutoregressiveNetwork:
        if network.residual or network.dropout.p or network.validate_args:
            raise Unsupported("residual networks, dropout and validate_args")
        given = list(network.context_layers)
    elif type(network) in (MLP, SplitMLP):
        given = [] if network.context_layer is None else [network.context_layer]
    else:
        raise Unsupported(f"the network {type(network).__name__}")
    assert isinstance(network, AutoregressiveNetwork | MLP)
    if contexts != network.context_features:
        raise Unsupported("layers with contexts of several sizes")
    names = [name for name in KNOWN if _is(network.activation, ACTIVATIONS[name])]
    if not names and len(network.layers) > 1:
        raise Unsupported("the activation")
    words.add(len(inputs), *inputs, KNOWN.index(names[0]) if names else 0, len(network.layers))
    width = len(inputs)
    for index, layer in enumerate(network.layers):
        below, width = width, len(layer.weight)  # type: ignore[arg-type]
        words.add(width, *_linear(words, layer, width, below))
        context = given[index] if index < len(given) else None
        words.add(-1 if context is None else _linear(words, context, width, contexts)[0])
        words.add(layer.mask.data_ptr() if isinstance(layer, MaskedLinear) else 0)
    if isinstance(network, AutoregressiveNetwork):
        _stages(words, network)
    else:
        words.add(0)
    if width != mapped * network.params:
        raise Unsupported("layers of several sizes")


def _stages(words: _Words, network: AutoregressiveNetwork) -> None:
    """In which stage of generation each input and hidden unit is computed."""
    starts = torch.tensor(network.stages[1:])
    words.add(len(starts))
    for degrees in network.degrees:
        words.words.extend(torch.bucketize(degrees.cpu(), starts, right=True).tolist())


def _is(one: Callable[..., Tensor], other: Callable[..., Tensor]) -> bool:
    """Whether two functions are the same; copies of a partial function are."""
    if isinstance(one, partial) and isinstance(other, partial):
        return (one.func, one.args, one.keywords) == (other.func, other.args, other.keywords)
    return one is other


def _linear(words: _Words, layer: Any, outputs: int, inputs: int) -> tuple[int, int]:
    if type(layer) not in (MaskedLinear, nn.Linear):
        raise Unsupported(f"the layer {type(layer).__name__}")
    _expect(layer.weight, outputs, inputs)
    if layer.bias is not None:
        _expect(layer.bias, outputs)
    if isinstance(layer, MaskedLinear):
        _expect(layer.mask, outputs, inputs)
    return words.place(layer.weight), words.place(layer.bias)


def _expect(value: Tensor, *shape: int) -> None:
    if value.shape != shape:
        raise Unsupported("layers of several sizes")


def buffers_of(module: nn.Module) -> list[Tensor]:
    """The tensors other than parameters whose addresses are in the words."""
    return [
        buffer
        for part in module.modules()
        if isinstance(part, MaskedLinear | BatchNorm)
        for buffer in part.buffers(recurse=False)
    ]
