r"""Degrees and masks of an autoregressive network (MADE).

Every unit has a degree. Inputs have degrees 1 … features in their order, a hidden unit of degree d
sees the units of degree ≤ d in the layer below, and an output of degree d sees hidden units of
degree < d: output i depends only on the inputs that come before i. See Germain et al. 2015
(arXiv:1502.03509), sections 3 and 4.2.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

__all__ = [
    "HiddenDegrees",
    "InputOrder",
    "assign_degrees",
    "autoregressive_masks",
    "input_degrees",
    "is_permutation",
    "masks_from_degrees",
    "no_permutation",
    "seeded",
]

InputOrder = Literal["left-to-right", "right-to-left", "random"] | Sequence[int]
HiddenDegrees = Literal["equal", "random"]


def seeded(seed: int | None = None) -> torch.Generator:
    """A generator on the CPU, with a seed, or one drawn from the global generator."""
    drawn = int(torch.randint(2**62, (), device="cpu")) if seed is None else seed
    return torch.Generator(device="cpu").manual_seed(drawn)


def input_degrees(
    features: int,
    input_order: InputOrder = "left-to-right",
    generator: torch.Generator | None = None,
) -> Tensor:
    """Degrees of the inputs, from 1.

    Args:
        features: size of the event.
        input_order: a name, or the degree of every feature (a permutation, counted from 0 or 1).
        generator: draws a "random" order.

    Returns:
        A permutation of 1 … features, int64 `[features]`.

    Raises:
        ValueError: the order is neither a known name nor a permutation.

    Example:
        >>> input_degrees(3, "right-to-left")
        tensor([3, 2, 1])
        >>> input_degrees(3, [1, 0, 2])
        tensor([2, 1, 3])
    """
    natural = torch.arange(1, features + 1, device="cpu")
    if isinstance(input_order, str):
        match input_order:
            case "left-to-right":
                return natural
            case "right-to-left":
                return natural.flip(0)
            case "random":
                return torch.randperm(features, generator=generator, device="cpu") + 1
        raise ValueError(
            f"input_order={input_order!r} is unknown: expected 'left-to-right', 'right-to-left', "
            f"'random' or a permutation of the {features} features"
        )
    order = torch.as_tensor(list(input_order), dtype=torch.int64, device="cpu")
    if torch.equal(order.sort().values, natural - 1):
        order = order + 1
    if not torch.equal(order.sort().values, natural):
        raise ValueError(no_permutation(order.tolist(), features))
    return order


def no_permutation(order: Sequence[int], features: int | None = None) -> str:
    """That an order is not a permutation of so many features, by default of its own length."""
    size = len(order) if features is None else features
    return f"input_order={list(order)} is not a permutation of 0 … {size - 1} or 1 … {size}"


def is_permutation(order: Sequence[int]) -> bool:
    """Whether an order is one of 0, 1, … or of 1, 2, ….

    Example:
        >>> [is_permutation(order) for order in ([1, 0], [2, 1], [2, 2])]
        [True, True, False]
    """
    found = sorted(map(int, order))
    return found in (list(range(len(found))), list(range(1, len(found) + 1)))


def assign_degrees(
    inputs: Tensor,
    hidden_units: Sequence[int],
    hidden_degrees: HiddenDegrees = "equal",
    *,
    generator: torch.Generator | None = None,
    from_zero: bool = False,
) -> list[Tensor]:
    r"""Degrees of all layers: the inputs and every hidden layer.

    With "equal", unit k of n (from 1) has degree max(d_min, ⌈k (features − 1) / (n + 1)⌉), at most
    features − 1, where d_min is the smallest degree of the previous layer; with "random" the
    degrees are uniform on d_min … features − 1. This is the allocation of TensorFlow Probability.

    Args:
        inputs: degrees of the inputs, `[features]`.
        hidden_units: width of each hidden layer.
        hidden_degrees: "equal" or "random".
        generator: draws "random" degrees.
        from_zero: start at degree 0 (units that see no input, only a context): "equal" then means
            ⌊(k − 1) features / n⌋, which covers the degrees 0 … features − 1 evenly.

    Returns:
        One int64 tensor per layer, the inputs first.

    Raises:
        ValueError: a width is not positive, or `hidden_degrees` is unknown.

    Example:
        >>> assign_degrees(torch.tensor([1, 2, 3]), [4])[1]
        tensor([1, 1, 2, 2])
    """
    if hidden_degrees not in ("equal", "random"):
        raise ValueError(
            f"hidden_degrees={hidden_degrees!r} is unknown: expected 'equal' or 'random'"
        )
    if any(units < 1 for units in hidden_units):
        raise ValueError(f"hidden_units={list(hidden_units)}: every layer needs at least one unit")
    features = len(inputs)
    degrees, lowest = [inputs], 0 if from_zero else 1
    for units in hidden_units:
        lowest = min(lowest, features - 1)
        if hidden_degrees == "random":
            highest = max(features, lowest + 1)
            layer = torch.randint(lowest, highest, (units,), generator=generator, device="cpu")
            if from_zero:
                layer[0] = lowest  # or the first feature might not depend on the context
        elif from_zero:
            layer = torch.arange(units, device="cpu") * features // units
        else:
            steps = torch.arange(1, units + 1, dtype=torch.float64, device="cpu")
            layer = torch.ceil(steps * (features - 1) / (units + 1)).long().clamp(min=lowest)
        degrees.append(layer)
        lowest = int(layer.min())
    return degrees


def masks_from_degrees(degrees: Sequence[Tensor], params: int) -> list[Tensor]:
    """The masks of a network whose layers have these degrees.

    Args:
        degrees: inputs first, then each hidden layer.
        params: outputs per feature.

    Returns:
        One bool mask `[out, in]` per linear layer; the last one's rows are ordered i * params + p.

    Example:
        >>> [mask.int().tolist() for mask in masks_from_degrees([torch.tensor([1, 2])], 1)]
        [[[0, 0], [1, 0]]]
    """
    hidden = [above[:, None] >= below[None, :] for below, above in pairwise(degrees)]
    outputs = degrees[0].repeat_interleave(params)
    return [*hidden, outputs[:, None] > degrees[-1][None, :]]


def autoregressive_masks(
    features: int,
    params: int,
    hidden_units: Sequence[int],
    input_order: InputOrder = "left-to-right",
    hidden_degrees: HiddenDegrees = "equal",
    generator: torch.Generator | None = None,
) -> list[Tensor]:
    """The masks of a MADE, one per linear layer (Germain et al. 2015, equations 8 and 9).

    Args:
        features: size of the event.
        params: outputs per feature.
        hidden_units: width of each hidden layer; empty for a single linear layer.
        input_order: as in `input_degrees`.
        hidden_degrees: as in `assign_degrees`.
        generator: draws random orders and degrees.

    Returns:
        Bool masks `[out, in]`; the last one's rows are ordered i * params + p.

    Example:
        >>> for mask in autoregressive_masks(3, 1, [2]):
        ...     print(mask.int())
        tensor([[1, 0, 0],
                [1, 1, 0]], dtype=torch.int32)
        tensor([[0, 0],
                [1, 0],
                [1, 1]], dtype=torch.int32)
    """
    inputs = input_degrees(features, input_order, generator)
    degrees = assign_degrees(inputs, hidden_units, hidden_degrees, generator=generator)
    return masks_from_degrees(degrees, params)
