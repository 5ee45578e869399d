"""Checks of the arguments of a flow; each error message is one sentence."""

import sys
from collections.abc import Sequence
from operator import index
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from flowbench.chunked import batch_of
from flowbench.flows.base import Base
from flowbench.nn.contexts import declared
from flowbench.transforms import Transform

if TYPE_CHECKING:
    from flowbench.flows.flow import Flow

__all__ = [
    "as_numbers",
    "as_shape",
    "kind",
    "refuse_16_bits",
    "refuse_context",
    "refuse_mismatch",
    "refuse_other_than_tensors",
    "refuse_parts",
    "refuse_shape",
]


def kind(value: object) -> str:
    """The class of a value as a user would write it.

    Example:
        >>> kind([0.0]), kind(torch.zeros(()))
        ('list', 'torch.Tensor')
    """
    cls = type(value)
    home, name = cls.__module__, cls.__qualname__
    package = home.split(".")[0]
    if home == "builtins":
        return name
    short = getattr(sys.modules.get(package), name, None) is cls
    return f"{package if short else home}.{name}"


def as_shape(n: int | Sequence[int]) -> torch.Size:
    """A number of samples, or a shape of samples, as a shape.

    Raises:
        ValueError: a size is negative or not a whole number.

    Example:
        >>> as_shape(3), as_shape((2, 3))
        (torch.Size([3]), torch.Size([2, 3]))
    """
    if isinstance(n, Tensor) and n.ndim:
        raise ValueError(
            f"a tensor of shape {tuple(n.shape)} is not a number of samples, expected a whole "
            "number from 0, or a shape of such; a context comes second, as in sample(10, context)"
        )
    sizes = tuple(n) if isinstance(n, Sequence) else (n,)
    if not all(_is_whole(size) and size >= 0 for size in sizes):
        raise ValueError(
            f"{n!r} samples were asked for, expected a whole number from 0, or a shape of such"
        )
    return torch.Size(map(index, sizes))


def refuse_parts(base: object, transform: object) -> None:
    """Refuse what is not a base and a transform, such as the two in the wrong order.

    Raises:
        TypeError: one of them is something else.
    """
    found = []
    if not isinstance(base, Base):
        found.append(f"base is a {kind(base)}, expected a flowbench.flows.Base{_as_base(base)}")
    if not isinstance(transform, Transform):
        several = isinstance(transform, Sequence | nn.ModuleList)
        way = " (flowbench.transforms.Chain joins several)" if several else ""
        expected = f"expected a flowbench.transforms.Transform{way}"
        found.append(f"transform is a {kind(transform)}, {expected}")
    if found:
        raise TypeError(f"Flow(base, transform): {'; '.join(found)}")


def _as_base(given: object) -> str:
    if isinstance(given, Distribution):
        return " (flowbench.flows.DistributionBase makes one of a distribution)"
    return ""


def refuse_other_than_tensors(flow: "Flow", **given: object) -> None:
    """Refuse arrays, lists and frames, which only densities in data units accept.

    Raises:
        TypeError: a value is neither a tensor nor None.
    """
    for name, value in given.items():
        if value is not None and not isinstance(value, Tensor):
            array = f"{name}.to_numpy()" if hasattr(value, "to_numpy") else name
            raise TypeError(
                f"{name} is a {kind(value)}, expected a tensor: "
                f"torch.as_tensor({array}, dtype={flow.dtype})"
            )


def as_numbers(flow: "Flow", name: str, value: Tensor) -> Tensor:
    """The argument of a flow, as real numbers of at least 32 bits.

    16-bit numbers are converted to the flow's dtype, as are integers in a context (one-hot
    labels) and in the events of a discrete flow.

    Raises:
        ValueError: the numbers are complex, or integers given to a density of real numbers.
    """
    if value.is_complex():
        raise ValueError(f"{name} holds {value.dtype}, expected real numbers ({flow.dtype})")
    if value.is_floating_point():
        return value if value.dtype.itemsize >= 4 else value.to(flow.dtype)
    if name == "context" or flow.discrete:
        return value.to(flow.dtype)
    raise ValueError(_other_type(flow, name, value))


def refuse_16_bits(dtype: torch.dtype) -> None:
    """Refuse to compute with 16-bit parameters.

    Raises:
        ValueError: the parameters of a flow have such a dtype.
    """
    if dtype.itemsize < 4:
        raise ValueError(
            f"the flow's parameters are {dtype}, expected torch.float32 or torch.float64, in "
            "which log-densities are computed: flow.float() converts them"
        )


def refuse_context(flow: "Flow", context: Tensor | None) -> None:
    """Refuse a context that is unexpected, missing or of the wrong size.

    Raises:
        ValueError: the context is one of these.
    """
    size = flow.context_features
    if size is None:
        return
    declared(context, size)
    if context is not None and context.shape[-1:] != (size,):
        raise ValueError(f"context has shape {tuple(context.shape)}, expected [..., {size}]")


def refuse_shape(flow: "Flow", x: Tensor) -> None:
    """Refuse rows of the wrong size, such as contexts in their place.

    Raises:
        ValueError: x does not end in the features of the flow.
    """
    if x.shape[-1:] == (flow.features,):
        return
    size, hint = flow.context_features, ""
    if size and x.shape[-1:] == (size,):
        hint = (
            f"; {size} is the size of a context, which comes second: log_prob(x, context), "
            "sample(10, context), or distribution(context) for the density given a context"
        )
    raise ValueError(f"x has shape {tuple(x.shape)}, expected [..., {flow.features}]{hint}")


def refuse_mismatch(
    flow: "Flow", error: RuntimeError, x: Tensor | None, context: Tensor | None
) -> None:
    """Explain a failed call, if the dtypes or batch shapes of its tensors are the cause.

    Raises:
        ValueError: the tensors do not match the flow or each other.
    """
    for name, value in (("x", x), ("context", context)):
        if value is not None and value.dtype != flow.dtype:
            raise ValueError(_other_type(flow, name, value)) from error
    if x is not None and context is not None:
        batch_of(x, context)


def _other_type(flow: "Flow", name: str, value: Tensor) -> str:
    return (
        f"{name} holds {value.dtype}, expected {flow.dtype}, the type of the flow's parameters: "
        f"{name}.to({flow.dtype}) converts it"
    )


def _is_whole(value: Any) -> bool:
    try:
        index(value)
    except TypeError:
        return False
    return True
