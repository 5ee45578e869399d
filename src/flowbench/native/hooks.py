"""Hooks, which an engine that does not call modules one by one would leave out."""

from torch import nn

__all__ = ["hook_in"]


def hook_in(module: nn.Module) -> str:
    """The first hook of a module, its parts or their parameters, in words; empty: none.

    Example:
        >>> layer = nn.Linear(1, 1)
        >>> _ = layer.register_forward_hook(print)
        >>> hook_in(nn.Sequential(layer))
        'the hook of Linear'
    """
    for part in module.modules():
        forward = part._forward_hooks or part._forward_pre_hooks
        if forward or part._backward_hooks or part._backward_pre_hooks:
            return f"the hook of {type(part).__name__}"
    watched = any(parameter._backward_hooks for parameter in module.parameters())
    return "the hook of a parameter" if watched else ""
