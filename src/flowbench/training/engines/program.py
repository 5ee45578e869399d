"""A flow in the words that the native engine reads, as far as that knows its layers."""

import struct
from array import array
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from flowbench.flows import Flow
from flowbench.flows.autoregressive import Autoregressive
from flowbench.flows.base import DiagonalNormal, StandardNormal
from flowbench.flows.families import GaussianFamily
from flowbench.nn import AutoregressiveNetwork, MaskedLinear
from flowbench.nn.activations import ACTIVATIONS
from flowbench.nn.mlp import MLP, ShiftAndLogScale, SplitMLP
from flowbench.training.engines.hooks import hook_in
from flowbench.transforms import (
    AffineMap,
    BatchNorm,
    Chain,
    Coupling,
    MaskedAutoregressive,
    ShiftMap,
    Transform,
)
from flowbench.transforms.base import layers_from_data

__all__ = ["Unsupported", "added_to", "buffers_of", "words_of"]

KNOWN = ("linear", "relu", "leaky_relu", "elu", "selu", "tanh", "sigmoid", "silu")
NONE = (-1, -1)  # no parameter in a flat tensor, no row of a network's output


OVERRIDABLE = {"forward", "inverse", "log_prob"}


class Unsupported(Exception):
    """The native engine has no arithmetic for a part of the flow; the message names it."""


def words_of(flow: Flow, places: dict[nn.Parameter, int]) -> array:
    """The words for a flow.

    Args:
        flow: to be trained.
        places: where each parameter begins in the flat tensor.

    Raises:
        Unsupported: a part of the flow is unknown to the native engine.

    Example:
        >>> from flowbench.flows import MAF
        >>> flow = MAF(2, layers=1, hidden_units=[4], univariate="spline")
        >>> words_of(flow, dict.fromkeys(flow.parameters(), 0))
        Traceback (most recent call last):
        flowbench.training.engines.program.Unsupported: the map RationalQuadraticMap
    """
    if added := added_to(flow):
        raise Unsupported(added)
    if {one.dtype for one in [*places, *buffers_of(flow)]} not in (
        {torch.float32},
        {torch.float64},
    ):
        raise Unsupported("numbers of several types")
    words = _Words(places)
    layers = layers_from_data(flow.transform)
    words.add(flow.features, flow.context_features or 0)
    base = flow.base
    if type(base) is Autoregressive and type(base.family) is GaussianFamily:
        layers.append(MaskedAutoregressive(base.network, base.family.map))
    elif type(base) not in (StandardNormal, DiagonalNormal):
        raise Unsupported(f"the base {type(base).__name__}")
    learned = isinstance(base, DiagonalNormal)
    words.add(*(map(words.place, (base.mean, base.log_scale)) if learned else NONE))
    words.add(sum(one.numel() for one in places), len(layers))
    for layer in layers:
        _layer(words, layer, flow.context_features or 0)
    return words.words


class _Words:
    def __init__(self, places: dict[nn.Parameter, int]) -> None:
        self.words = array("q")
        self.places = places

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


def added_to(flow: Flow) -> str:
    """What another class, or a hook, adds to the arithmetic of the known parts; empty: nothing."""
    if type(flow).forward is not Flow.forward or type(flow).log_prob is not Flow.log_prob:
        return f"the log_prob of {type(flow).__name__}"
    if flow.embedding is not None:
        return "the embedding of contexts"
    for module in flow.modules():
        if isinstance(module, Chain) and type(module) is not Chain:
            return f"the transform {type(module).__name__}"
        if not OVERRIDABLE.isdisjoint(vars(module)):
            return f"the replaced method of {type(module).__name__}"
    return hook_in(flow)


def _layer(words: _Words, layer: Transform, contexts: int) -> None:
    if type(layer) is BatchNorm:
        words.add(1, words.place(layer.log_gamma), words.place(layer.beta))
        words.add(layer.mean.data_ptr(), layer.variance.data_ptr())
        words.add(float(layer.epsilon), float(layer.momentum), int(not layer.training))
        return
    if type(layer) not in (MaskedAutoregressive, Coupling):
        raise Unsupported(f"the transform {type(layer).__name__}")
    assert isinstance(layer, MaskedAutoregressive | Coupling)
    univariate = layer.univariate
    if type(univariate) not in (AffineMap, ShiftMap):
        raise Unsupported(f"the map {type(univariate).__name__}")
    bound = univariate.bound if isinstance(univariate, AffineMap) else None
    words.add(0, 0.0 if bound is None else float(bound))
    if isinstance(layer, Coupling):
        inputs, mapped = layer.masked.tolist(), layer.mapped.tolist()
    elif isinstance(layer.conditioner, AutoregressiveNetwork):
        inputs = mapped = list(range(layer.conditioner.features))
    else:
        raise Unsupported(f"the network {type(layer.conditioner).__name__}")
    networks, sources = _conditioner(layer.conditioner, len(mapped))
    words.add(len(networks))
    for network in networks:
        _network(words, network, inputs, contexts)
    words.add(len(mapped))
    for feature, (shift, scale) in zip(mapped, sources, strict=True):
        words.add(feature, *shift, *scale)


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


def _network(words: _Words, network: nn.Module, inputs: list[int], contexts: int) -> None:
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
    for index, layer in enumerate(network.layers):
        words.add(layer.weight.shape[0])  # type: ignore[union-attr, index]
        words.add(*_linear(words, layer), *_context(words, given, index))
        words.add(layer.mask.data_ptr() if isinstance(layer, MaskedLinear) else 0)


def _is(one: Callable[..., Tensor], other: Callable[..., Tensor]) -> bool:
    """Whether two functions are the same; copies of a partial function are."""
    if isinstance(one, partial) and isinstance(other, partial):
        return (one.func, one.args, one.keywords) == (other.func, other.args, other.keywords)
    return one is other


def _linear(words: _Words, layer: Any) -> tuple[int, int]:
    if type(layer) not in (MaskedLinear, nn.Linear):
        raise Unsupported(f"the layer {type(layer).__name__}")
    if isinstance(layer, MaskedLinear) and layer.regularized:
        raise Unsupported("regularizers")
    return words.place(layer.weight), words.place(layer.bias)


def _context(words: _Words, given: Sequence[Any], index: int) -> tuple[int, ...]:
    return _linear(words, given[index])[:1] if index < len(given) else (-1,)


def buffers_of(flow: Flow) -> list[Tensor]:
    """The tensors other than parameters whose addresses are in the words."""
    return [
        buffer
        for module in flow.modules()
        if isinstance(module, MaskedLinear | BatchNorm)
        for buffer in module.buffers(recurse=False)
    ]
