"""A linear layer with fixed connections."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flowbench.nn.options import (
    CONSTRAINTS,
    INITIALIZERS,
    REGULARIZERS,
    Constraint,
    Function,
    Initializer,
    Regularizer,
    resolve,
)

__all__ = ["MaskedLinear", "constrain", "regularization"]


class MaskedLinear(nn.Module):
    r"""y = (W ∘ M) x + b with a fixed mask M.

    The mask is applied in every call, so that it holds whatever the weight is set to. Outside M
    the weight starts at zero and has zero gradient.

    Args:
        mask: which inputs an output sees, bool `[out, in]`.
        use_bias: whether there is a bias b.
        kernel_initializer: name or callable that fills a tensor `[out, in]` in place.
        bias_initializer: as `kernel_initializer`, for `[out]`.
        kernel_regularizer: name or callable from the weight to a penalty added to the loss.
        bias_regularizer: as `kernel_regularizer`, for the bias.
        kernel_constraint: name or callable that replaces the weight after each step.
        bias_constraint: as `kernel_constraint`, for the bias.

    Raises:
        ValueError: an option is unknown.

    Example:
        >>> import torch
        >>> layer = MaskedLinear(torch.tensor([[True, False]]), kernel_initializer="ones")
        >>> layer(torch.tensor([3.0, 5.0]))
        tensor([3.], grad_fn=<ViewBackward0>)
    """

    mask: Tensor

    def __init__(
        self,
        mask: Tensor,
        *,
        use_bias: bool = True,
        kernel_initializer: Initializer = "glorot_uniform",
        bias_initializer: Initializer = "zeros",
        kernel_regularizer: Regularizer | None = None,
        bias_regularizer: Regularizer | None = None,
        kernel_constraint: Constraint | None = None,
        bias_constraint: Constraint | None = None,
    ) -> None:
        super().__init__()
        self.weight: nn.Parameter = nn.Parameter(torch.empty(mask.shape))
        self.bias: nn.Parameter | None = nn.Parameter(torch.empty(len(mask))) if use_bias else None
        self.kernel_initializer: Function | None = resolve(
            "kernel_initializer", kernel_initializer, INITIALIZERS
        )
        self.bias_initializer: Function | None = resolve(
            "bias_initializer", bias_initializer, INITIALIZERS
        )
        self.kernel_regularizer: Function | None = resolve(
            "kernel_regularizer", kernel_regularizer, REGULARIZERS
        )
        self.bias_regularizer: Function | None = resolve(
            "bias_regularizer", bias_regularizer, REGULARIZERS
        )
        self.kernel_constraint: Function | None = resolve(
            "kernel_constraint", kernel_constraint, CONSTRAINTS
        )
        self.bias_constraint: Function | None = resolve(
            "bias_constraint", bias_constraint, CONSTRAINTS
        )
        self.register_buffer("mask", mask.to(self.weight.dtype), persistent=False)
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Reinitialise the weight and the bias."""
        assert self.kernel_initializer is not None
        assert self.bias_initializer is not None
        self.kernel_initializer(self.weight)
        self.weight.mul_(self.mask)
        if self.bias is not None:
            self.bias_initializer(self.bias)

    @property
    def regularized(self) -> bool:
        """Whether the layer has a regularizer."""
        return self.kernel_regularizer is not None or self.bias_regularizer is not None

    @property
    def constrained(self) -> bool:
        """Whether the layer has a constraint."""
        return self.kernel_constraint is not None or self.bias_constraint is not None

    def set_mask(self, mask: Tensor) -> None:
        """Replace the mask."""
        self.mask = mask.to(self.weight)

    @property
    def kernel(self) -> Tensor:
        """The masked weight, W ∘ M, `[out, in]`."""
        return self.weight * self.mask

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer to `[..., in]`."""
        return F.linear(x, self.kernel, self.bias)

    def extra_repr(self) -> str:
        """Sizes and the fraction of connections kept."""
        outputs, inputs = self.mask.shape
        return f"{inputs}, {outputs}, connected={float(self.mask.mean()):.0%}"


def regularization(module: nn.Module) -> Tensor | float:
    """The penalty that the regularizers of all masked layers in a module add to the loss.

    Example:
        >>> import torch
        >>> options = {"kernel_initializer": "ones", "kernel_regularizer": "l2"}
        >>> regularization(MaskedLinear(torch.ones(2, 3), **options))
        tensor(0.0600, grad_fn=<AddBackward0>)
    """
    penalty: Tensor | float = 0.0
    for layer in module.modules():
        if isinstance(layer, MaskedLinear):
            if layer.kernel_regularizer is not None:
                penalty = penalty + layer.kernel_regularizer(layer.kernel)
            if layer.bias is not None and layer.bias_regularizer is not None:
                penalty = penalty + layer.bias_regularizer(layer.bias)
    return penalty


@torch.no_grad()
def constrain(module: nn.Module) -> None:
    """Apply the constraints of all masked layers in a module; called after each optimiser step.

    Example:
        >>> import torch
        >>> options = {"kernel_initializer": "ones", "kernel_constraint": "unit_norm"}
        >>> constrain(layer := MaskedLinear(torch.ones(1, 4), **options))
        >>> layer.weight.tolist()
        [[0.5, 0.5, 0.5, 0.5]]
    """
    for layer in module.modules():
        if isinstance(layer, MaskedLinear):
            if layer.kernel_constraint is not None:
                layer.weight.copy_(layer.kernel_constraint(layer.kernel) * layer.mask)
            if layer.bias is not None and layer.bias_constraint is not None:
                layer.bias.copy_(layer.bias_constraint(layer.bias))
