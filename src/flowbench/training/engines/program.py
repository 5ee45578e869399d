"""A flow in the words that the native engine reads, as far as that knows its parts."""

from array import array
from collections.abc import Mapping

from torch import nn

from flowbench.flows import Flow
from flowbench.flows.autoregressive import Autoregressive
from flowbench.flows.base import DiagonalNormal, StandardNormal
from flowbench.flows.families import GaussianFamily
from flowbench.native.program import Unsupported, added_to, buffers_of, type_of, words_of
from flowbench.nn import MaskedLinear
from flowbench.transforms import MaskedAutoregressive
from flowbench.transforms.base import layers_from_data

__all__ = ["added_to_flow", "words_of_flow"]


def words_of_flow(flow: Flow, places: Mapping[nn.Parameter, int]) -> array:
    """The words for a flow.

    Args:
        flow: to be trained.
        places: where each parameter begins in the flat tensor.

    Raises:
        Unsupported: a part of the flow is unknown to the native engine.

    Example:
        >>> from flowbench.flows import MAF
        >>> flow = MAF(2, layers=1, hidden_units=[4], univariate="spline")
        >>> words_of_flow(flow, dict.fromkeys(flow.parameters(), 0))
        Traceback (most recent call last):
        flowbench.native.program.Unsupported: the map RationalQuadraticMap
    """
    if added := added_to_flow(flow):
        raise Unsupported(added)
    layers, base = layers_from_data(flow.transform), flow.base
    learned: list[nn.Parameter] = []
    if type(base) is Autoregressive and type(base.family) is GaussianFamily:
        layers.append(MaskedAutoregressive(base.network, base.family.map))
    elif type(base) is DiagonalNormal:
        learned = [base.mean, base.log_scale]
    elif type(base) is not StandardNormal:
        raise Unsupported(f"the base {type(base).__name__}")
    if any(one.regularized for one in flow.modules() if isinstance(one, MaskedLinear)):
        raise Unsupported("regularizers")
    type_of([*places, *buffers_of(flow)])
    return words_of(layers, flow.features, flow.context_features or 0, places, learned)


def added_to_flow(flow: Flow) -> str:
    """What another class, or a hook, adds to the arithmetic of the known parts; empty: nothing."""
    if type(flow).forward is not Flow.forward or type(flow).log_prob is not Flow.log_prob:
        return f"the log_prob of {type(flow).__name__}"
    if flow.embedding is not None:
        return "the embedding of contexts"
    return added_to(flow)
