"""Conditioners of coupling layers: plain MLPs, and separate ones for shift and log-scale."""

import warnings
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from flowbench.config.checked import Checked
from flowbench.config.limits import AtLeastOne, AtLeastZero
from flowbench.nn.contexts import declared
from flowbench.nn.options import (
    ACTIVATIONS,
    INITIALIZERS,
    Activation,
    Function,
    Initializer,
    resolve,
)

__all__ = ["MLP", "ShiftAndLogScale", "SplitMLP"]


class MLP(Checked, nn.Module):
    r"""A fully connected network from `[..., features]` to `[..., outputs, params]`.

    Args:
        features: number of inputs; with 0, a function of the context alone, or a constant.
        params: parameters per output.
        outputs: number of features to compute parameters for.
        hidden_units: width of each hidden layer; none makes the network linear.
        context_features: size of the context, 0 for none; it enters the first layer.
        activation: name or callable; None is linear.
        use_bias: whether the layers have biases.
        kernel_initializer: name or callable, for the weights.
        bias_initializer: name or callable, for the biases.
        zero_output: start the last layer at zero, so that a flow starts at the identity.

    Raises:
        ValueError: a size is out of range, an option is unknown, or a context is given though none
            was declared, or missing though one was.

    Example:
        >>> import torch
        >>> network = MLP(2, outputs=3, hidden_units=[16, 16], activation="relu")
        >>> network(torch.zeros(5, 2)).shape
        torch.Size([5, 3, 2])
    """

    def __init__(
        self,
        features: AtLeastZero,
        params: AtLeastOne = 2,
        *,
        outputs: AtLeastZero,
        hidden_units: Sequence[AtLeastOne] = (),
        context_features: AtLeastZero = 0,
        activation: Activation | None = None,
        use_bias: bool = True,
        kernel_initializer: Initializer = "glorot_uniform",
        bias_initializer: Initializer = "zeros",
        zero_output: bool = False,
    ) -> None:
        super().__init__()
        self.features = features
        self.params = params
        self.outputs = outputs
        self.context_features = context_features
        self.activation: Function = (
            resolve("activation", activation, ACTIVATIONS) or ACTIVATIONS["linear"]
        )
        kernel = resolve("kernel_initializer", kernel_initializer, INITIALIZERS)
        bias = resolve("bias_initializer", bias_initializer, INITIALIZERS)
        here = {"device": torch.get_default_device()}
        widths = [features, *hidden_units, outputs * params]
        with warnings.catch_warnings(action="ignore"):  # of a layer without inputs
            self.layers: nn.ModuleList = nn.ModuleList(
                nn.utils.skip_init(nn.Linear, size, above, bias=use_bias, **here)
                for size, above in pairwise(widths)
            )
        self.context_layer: nn.Module | None = (
            nn.utils.skip_init(nn.Linear, context_features, widths[1], bias=False, **here)
            if context_features
            else None
        )
        with torch.no_grad():
            for parameter in self.parameters():
                initializer = bias if parameter.ndim == 1 else kernel
                if initializer is not None and parameter.numel():
                    initializer(parameter)
            if zero_output:
                last = nn.ModuleList([self.layers[-1]])
                if self.context_layer is not None and not hidden_units:
                    last.append(self.context_layer)
                for parameter in last.parameters():
                    nn.init.zeros_(parameter)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Compute the parameters.

        Args:
            x: `[..., features]`.
            context: `[..., context_features]`, if declared.

        Returns:
            `[..., outputs, params]`; batch dimensions of x and context broadcast.
        """
        declared(context, self.context_features)
        hidden = self.layers[0](x)
        if self.context_layer is not None:
            hidden = hidden + self.context_layer(context)
        for layer in self.layers[1:]:
            hidden = layer(self.activation(hidden))
        return hidden.unflatten(-1, (self.outputs, self.params))


class SplitMLP(MLP):
    r"""An `MLP` whose last layer is split into one part per parameter.

    With two parameters, the first half of its units are the shifts of an `AffineMap` and the
    second half the log-scales, as in `real_nvp_default_template` of TensorFlow Probability. In an
    `MLP`, the parameters of each output are adjacent.

    Example:
        >>> import torch
        >>> network = SplitMLP(1, outputs=2, bias_initializer=lambda b: b.copy_(torch.arange(4.0)))
        >>> network(torch.zeros(1)).tolist()
        [[0.0, 2.0], [1.0, 3.0]]
    """

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:  # noqa: D102
        units = super().forward(x, context).flatten(-2)
        return units.unflatten(-1, (self.params, self.outputs)).mT


class ShiftAndLogScale(nn.Module):
    r"""Separate networks for the two parameters of an `AffineMap`; a missing one is zero.

    The Real NVP of the MAF paper has a tanh network for the log-scale and a ReLU network for the
    shift; NICE has only the shift.

    Args:
        shift: a module that maps x and a context to `[..., outputs, 1]`, or None.
        log_scale: as `shift`, for the log-scale.

    Raises:
        ValueError: both are None.

    References:
        Papamakarios et al. 2017 (arXiv:1705.07057), section 4.2.

    Example:
        >>> import torch
        >>> options = {"outputs": 1, "hidden_units": [16]}
        >>> network = ShiftAndLogScale(
        ...     shift=MLP(2, 1, activation="relu", **options),
        ...     log_scale=MLP(2, 1, activation="tanh", **options),
        ... )
        >>> network(torch.zeros(5, 2)).shape
        torch.Size([5, 1, 2])
    """

    def __init__(
        self, *, shift: nn.Module | None = None, log_scale: nn.Module | None = None
    ) -> None:
        super().__init__()
        if shift is None and log_scale is None:
            raise ValueError("shift and log_scale are both None: expected at least one network")
        self.shift = shift
        self.log_scale = log_scale
        parts = [part for part in (shift, log_scale) if part is not None]
        sizes = {getattr(part, "context_features", None) for part in parts}
        self.context_features: int | None = sizes.pop() if len(sizes) == 1 else None

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Shift and log-scale, `[..., outputs, 2]`."""
        parts = [part and part(x, context) for part in (self.shift, self.log_scale)]
        present = next(part for part in parts if part is not None)
        parts = [torch.zeros_like(present) if part is None else part for part in parts]
        return torch.cat(torch.broadcast_tensors(*parts), dim=-1)
