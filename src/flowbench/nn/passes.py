"""Value-by-value generation by whole passes of a network, whatever its `forward` does."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

__all__ = ["generate_by_passes", "is_overridden"]


def is_overridden(network: nn.Module, *classes: type[nn.Module]) -> bool:
    """Whether calling a network does something else than the `forward` of these classes says.

    That is so with a hook, or a subclass with a `forward` of its own, in any of its parts.

    Args:
        network: with its parts.
        classes: of the network and its layers.

    Example:
        >>> layer = nn.Linear(1, 1)
        >>> is_overridden(layer, nn.Linear)
        False
        >>> _ = layer.register_forward_hook(print)
        >>> is_overridden(layer, nn.Linear)
        True
    """
    for part in network.modules():
        if part._forward_hooks or part._forward_pre_hooks or "forward" in vars(part):
            return True
        own = next((one for one in classes if isinstance(part, one)), None)
        if own is not None and type(part).forward is not own.forward:
            return True
    return False


def generate_by_passes(
    network: nn.Module,
    next_values: Callable[[Tensor, slice], Tensor],
    *,
    order: Sequence[int],
    rows: int,
    like: Tensor,
    context: Tensor | None = None,
) -> Tensor:
    """Generate values in an order, each by one pass of the network, without writing in place.

    Args:
        network: maps values `[rows, features]` and a context to parameters `[rows, features, n]`.
        next_values: maps the parameters `[rows, 1, n]` of a value and its place in the order to
            the value, `[rows, 1]`.
        order: the features, in the order in which they are generated.
        rows: number of samples.
        like: a tensor with their dtype, on their device.
        context: `[rows or 1, context_features]`, or None.

    Returns:
        The samples `[rows, features]`.
    """
    back = torch.tensor(order, device=like.device).argsort()
    unknown = like.new_zeros(rows, len(order))
    values: list[Tensor] = []
    for place, feature in enumerate(order):
        x = torch.cat([*values, unknown[:, place:]], dim=-1).index_select(-1, back)
        params = network(x, context)[..., feature : feature + 1, :]
        values.append(next_values(params, slice(place, place + 1)))
    return torch.cat(values, dim=-1).index_select(-1, back)
