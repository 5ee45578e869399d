"""Network options that take a name or a callable."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from torch import Tensor
from typing_extensions import TypeAliasType

from flowbench.config.limits import OneOf
from flowbench.nn.activations import ACTIVATIONS
from flowbench.nn.constraints import CONSTRAINTS
from flowbench.nn.initializers import INITIALIZERS
from flowbench.nn.regularizers import REGULARIZERS

__all__ = [
    "ACTIVATIONS",
    "CONSTRAINTS",
    "INITIALIZERS",
    "REGULARIZERS",
    "Activation",
    "Constraint",
    "Function",
    "Initializer",
    "Regularizer",
    "resolve",
]

Function = Callable[[Tensor], Any]
Activation = TypeAliasType("Activation", Annotated[str, OneOf(ACTIVATIONS)] | Function)
Initializer = TypeAliasType("Initializer", Annotated[str, OneOf(INITIALIZERS)] | Function)
Regularizer = TypeAliasType("Regularizer", Annotated[str, OneOf(REGULARIZERS)] | Function)
Constraint = TypeAliasType("Constraint", Annotated[str, OneOf(CONSTRAINTS)] | Function)


def resolve(
    option: str, value: str | Function | None, known: Mapping[str, Function]
) -> Function | None:
    """Resolve an option that takes a name or a callable.

    Args:
        option: name of the option, for the error.
        value: a name in `known`, a callable, or None.
        known: functions by name.

    Raises:
        ValueError: the value is neither a known name nor callable, or is a class.

    Example:
        >>> import torch
        >>> resolve("activation", "tanh", ACTIVATIONS)(torch.tensor(0.0))
        tensor(0.)
    """
    if isinstance(value, type):
        raise ValueError(
            f"{option}={value.__name__} is a class: expected an object of it, such as "
            f"{value.__name__}(), or one of {sorted(known)}"
        )
    if value is None or (callable(value) and not isinstance(value, str)):
        return value
    if value not in known:
        raise ValueError(
            f"{option}={value!r} is unknown: expected a callable or one of {sorted(known)}"
        )
    return known[value]
