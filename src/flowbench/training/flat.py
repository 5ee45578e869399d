"""All parameters of a module in one tensor, which spares the optimiser its overhead."""

import torch
from torch import Tensor, nn

__all__ = ["FlatParameters"]


class FlatParameters:
    """The parameters of a module, and their gradients, as views of one tensor per dtype.

    The module works as before, and an optimiser or a norm acts on all parameters at once, as long
    as gradients are set to zero, not to None.

    Args:
        module: with its parameters on their final device.

    Example:
        >>> layer = nn.Linear(3, 2)
        >>> flat = FlatParameters(layer)
        >>> flat.tensors[0].data.fill_(1.0)
        tensor([1., 1., 1., 1., 1., 1., 1., 1.])
        >>> layer.bias
        Parameter containing:
        tensor([1., 1.], requires_grad=True)
    """

    def __init__(self, module: nn.Module) -> None:
        groups: dict[torch.dtype, list[nn.Parameter]] = {}
        self.names: dict[Tensor, str] = {}
        for name, parameter in module.named_parameters():
            if parameter.requires_grad:
                groups.setdefault(parameter.dtype, []).append(parameter)
                self.names[parameter] = name
        self.groups: list[list[nn.Parameter]] = list(groups.values())
        self.tensors: list[nn.Parameter] = [
            nn.Parameter(torch.cat([one.detach().flatten() for one in group]))
            for group in self.groups
        ]
        for flat, group in zip(self.tensors, self.groups, strict=True):
            for view, parameter in zip(_views(flat.data, group), group, strict=True):
                parameter.data = view

    def attach_gradients(self) -> None:
        """Set all gradients to zero, as views of the gradients of the flat tensors."""
        self.gradients: list[Tensor] = [torch.zeros_like(flat) for flat in self.tensors]
        for flat, gradient, group in zip(self.tensors, self.gradients, self.groups, strict=True):
            flat.grad = gradient
            for view, parameter in zip(_views(gradient, group), group, strict=True):
                parameter.grad = view


def _views(flat: torch.Tensor, group: list[nn.Parameter]) -> list[torch.Tensor]:
    parts = flat.split([parameter.numel() for parameter in group])
    return [part.view(parameter.shape) for part, parameter in zip(parts, group, strict=True)]
