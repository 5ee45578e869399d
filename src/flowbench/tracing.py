"""Reading and writing values under torch.func, torch.compile and torch.export."""

import torch
from torch import Tensor
from torch._C import _functorch  # type: ignore[attr-defined]
from torch._functorch.pyfunctorch import temporarily_clear_interpreter_stack
from torch.autograd import forward_ad
from torch.nn.modules.module import _has_any_global_hook

__all__ = ["assign_lerp", "holds", "may_overwrite", "may_split"]


def holds(condition: Tensor) -> bool:
    """Whether a condition holds everywhere or cannot be read: traced, vmapped, or on meta.

    Example:
        >>> holds(torch.tensor([True, False])), holds(torch.ones(2, device="meta") > 0)
        (False, True)
    """
    if torch.compiler.is_compiling() or condition.is_meta:
        return True
    condition = _evaluated(condition)
    if _functorch.is_batchedtensor(condition):
        return True
    return bool(condition.all())


def may_overwrite() -> bool:
    """Whether tensors may be written in place: not under autograd or torch.func."""
    if torch.is_grad_enabled():
        return False
    return torch.compiler.is_compiling() or not torch._C._are_functorch_transforms_active()


def may_split(value: Tensor) -> bool:
    """Whether rows of a tensor may be computed in turn, with in-place steps, and unobserved.

    No graph is recorded, and neither a mode nor a hook sees each operation or module.

    Example:
        >>> with torch.no_grad():
        ...     may_split(torch.zeros(2))
        True
        >>> may_split(torch.zeros(2))
        False
    """
    if torch.is_grad_enabled() or torch.compiler.is_compiling() or type(value) is not Tensor:
        return False
    if torch._C._get_tracing_state() is not None or forward_ad._current_level >= 0:
        return False
    if torch._C._len_torch_dispatch_stack() or _has_any_global_hook():
        return False
    return not torch._C._are_functorch_transforms_active()


@torch.no_grad()
def assign_lerp(buffer: Tensor, value: Tensor, weight: float) -> None:
    """Move a buffer toward a value in place, also under the derivatives of torch.func.

    Example:
        >>> buffer = torch.zeros(1)
        >>> def square(x):
        ...     assign_lerp(buffer, x, 0.5)
        ...     return x.square().sum()
        >>> torch.func.grad(square)(torch.ones(1)), buffer
        (tensor([2.]), tensor([0.5000]))
    """
    value = value.detach()
    if not torch.compiler.is_compiling() and not _is_wrapped(buffer):
        value = _evaluated(value)
        if not _is_wrapped(value):
            with temporarily_clear_interpreter_stack():
                buffer.lerp_(value, weight)
            return
    buffer.add_(value - buffer, alpha=weight)  # which vmap vectorises, unlike lerp_


def _is_wrapped(value: Tensor) -> bool:
    return _functorch.is_functorch_wrapped_tensor(value)


def _evaluated(value: Tensor) -> Tensor:
    """The values at which torch.func takes a derivative."""
    while _functorch.is_gradtrackingtensor(value):
        value = _functorch.get_unwrapped(value)
    return value
