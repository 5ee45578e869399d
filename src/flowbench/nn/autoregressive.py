"""The autoregressive network: MADE, plain or residual, optionally with a context."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from flowbench.config.checked import Checked
from flowbench.config.combinations import ANY
from flowbench.config.limits import AtLeastOne, AtLeastZero, DrawSeed, Dropout, NotNegative
from flowbench.nn.activations import ACROSS_UNITS, activated
from flowbench.nn.contexts import declared
from flowbench.nn.incremental import generate
from flowbench.nn.linear import MaskedLinear
from flowbench.nn.masks import (
    HiddenDegrees,
    InputOrder,
    assign_degrees,
    input_degrees,
    is_permutation,
    masks_from_degrees,
    no_permutation,
    seeded,
)
from flowbench.nn.options import (
    ACTIVATIONS,
    Activation,
    Constraint,
    Function,
    Initializer,
    Regularizer,
    resolve,
)
from flowbench.nn.passes import generate_by_passes, is_overridden

__all__ = ["AutoregressiveNetwork", "ConditionalInputLayers"]

ConditionalInputLayers = Literal["all_layers", "first_layer"]


class AutoregressiveNetwork(Checked, nn.Module):
    r"""Masked autoencoder for distribution estimation (MADE).

    It maps `[..., features]` to `[..., features, params]`.
    Output i depends on the inputs j with order(j) < order(i), and on the context. With
    `residual=True` the first hidden layer is followed by blocks of two: h ← h + W₂ a(W₁ a(h)).

    Args:
        features: size of the event.
        params: outputs per feature.
        hidden_units: width of each hidden layer; none makes the network linear.
        context_features: size of the context, 0 for none.
        conditional_input_layers: the context enters every layer ("all_layers"), or only the first
            one ("first_layer"; hidden degrees then start at 0, so that the first feature depends
            on it too). It enters through separate, unmasked linear maps.
        input_order: "left-to-right", "right-to-left", "random", or the degree of every feature.
        hidden_degrees: "equal" or "random".
        activation: name or callable, applied to each unit separately; None is linear.
        use_bias: whether the layers have biases.
        kernel_initializer: name or callable, for the weights.
        bias_initializer: name or callable, for the biases.
        kernel_regularizer: name or callable; enters the loss (`flowbench.nn.regularization`).
        bias_regularizer: as `kernel_regularizer`, for the biases.
        kernel_constraint: name or callable; applied after each step (`flowbench.nn.constrain`).
        bias_constraint: as `kernel_constraint`, for the biases.
        zero_output: start the last layer at zero, so that a flow starts at the identity.
        output_scale: factor of the initial weights of the last layer.
        residual: add skip connections; needs an odd number of hidden layers of equal width.
        dropout: probability of dropping a hidden unit in training.
        validate_args: check the shape of every input and that it is finite, at some cost.
        seed: of random orders and degrees; None draws one from PyTorch's generator.

    Raises:
        ValueError: a size is not positive, an option is unknown, an order is not a permutation, or
            a context is given though none was declared, or missing though one was.

    References:
        Germain et al. 2015, "MADE" (arXiv:1502.03509); Durkan & Nash 2019 for residual masks.

    Example:
        >>> import torch
        >>> network = AutoregressiveNetwork(3, params=2, hidden_units=[16, 16], activation="relu")
        >>> network(torch.zeros(5, 3)).shape
        torch.Size([5, 3, 2])
    """

    needs: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "activation": {"hidden_units": ANY},
        "hidden_degrees": {"hidden_units": ANY},
        "dropout": {"hidden_units": ANY},
    }

    @classmethod
    def conflicts(cls, options: Mapping[str, Any]) -> Iterator[str]:
        """Widths that cannot be residual, activations across units, orders that repeat."""
        hidden_units, activation = list(options["hidden_units"]), options["activation"]
        order = options["input_order"]
        if options["residual"] and (len(set(hidden_units)) != 1 or len(hidden_units) % 2 == 0):
            yield (
                f"hidden_units={hidden_units}: a residual network needs one layer and then "
                "pairs of layers (1, 3, 5, …), all of one width"
            )
        if isinstance(activation, str) and activation in ACROSS_UNITS:
            yield (
                f"activation={activation!r} makes every hidden unit depend on all inputs: "
                "expected one that acts on each unit by itself"
            )
        if not isinstance(order, str) and not is_permutation(order):
            yield no_permutation(list(order))

    def __init__(
        self,
        features: AtLeastOne,
        params: AtLeastOne = 2,
        *,
        hidden_units: Sequence[AtLeastOne] = (),
        context_features: AtLeastZero = 0,
        conditional_input_layers: ConditionalInputLayers = "all_layers",
        input_order: InputOrder = "left-to-right",
        hidden_degrees: HiddenDegrees = "equal",
        activation: Activation | None = None,
        use_bias: bool = True,
        kernel_initializer: Initializer = "glorot_uniform",
        bias_initializer: Initializer = "zeros",
        kernel_regularizer: Regularizer | None = None,
        bias_regularizer: Regularizer | None = None,
        kernel_constraint: Constraint | None = None,
        bias_constraint: Constraint | None = None,
        zero_output: bool = False,
        output_scale: NotNegative = 1.0,
        residual: bool = False,
        dropout: Dropout = 0.0,
        validate_args: bool = False,
        seed: DrawSeed | None = None,
    ) -> None:
        super().__init__()
        self.features = features
        self.params = params
        self.hidden_units: tuple[int, ...] = tuple(hidden_units)
        self.context_features = context_features
        self.residual = residual
        self.validate_args = validate_args
        self.activation: Function = (
            resolve("activation", activation, ACTIVATIONS) or ACTIVATIONS["linear"]
        )
        self.dropout: nn.Dropout = nn.Dropout(dropout)

        from_zero = context_features > 0 and conditional_input_layers == "first_layer"
        generator = seeded(seed)
        degrees = assign_degrees(
            input_degrees(features, input_order, generator),
            hidden_units[:1] if residual else hidden_units,
            hidden_degrees,
            generator=generator,
            from_zero=from_zero,
        )
        if residual:
            degrees += [degrees[1]] * (len(hidden_units) - 1)
        for layer, layer_degrees in enumerate(degrees):
            self.register_buffer(f"degrees_{layer}", layer_degrees.to(torch.get_default_device()))
        self._tabulate(degrees)

        options: dict[str, Any] = {
            "use_bias": use_bias,
            "kernel_initializer": kernel_initializer,
            "bias_initializer": bias_initializer,
            "kernel_regularizer": kernel_regularizer,
            "bias_regularizer": bias_regularizer,
            "kernel_constraint": kernel_constraint,
            "bias_constraint": bias_constraint,
        }
        masks = masks_from_degrees(degrees, params)
        self.layers: nn.ModuleList = nn.ModuleList(MaskedLinear(mask, **options) for mask in masks)
        conditioned = masks if conditional_input_layers == "all_layers" else masks[:1]
        if not context_features:
            conditioned = []
        options |= {"use_bias": False}
        self.context_layers: nn.ModuleList = nn.ModuleList(
            MaskedLinear(mask.new_ones(len(mask), context_features), **options)
            for mask in conditioned
        )
        for layer in [self.layers[-1], *self.context_layers[len(masks) - 1 :]]:
            _rescale(layer, 0.0 if zero_output else output_scale, bias=zero_output)
        self.register_load_state_dict_post_hook(_restore_masks)

    @property
    def degrees(self) -> list[Tensor]:
        """Degrees of the inputs and of every hidden layer."""
        return [getattr(self, f"degrees_{layer}") for layer in range(len(self.hidden_units) + 1)]

    def _tabulate(self, degrees: Sequence[Tensor]) -> None:
        """Precompute what generation needs from the degrees, as Python integers.

        `order[k]` is the feature of degree k + 1, `ends[layer][d]` the number of units in a layer
        with degree below d, and `known_sorted[layer]` whether its degrees never decrease. A stage
        of generation, the degrees `stages[s] : stages[s + 1]`, ends with one on which later
        features depend: that of a unit in the last hidden layer.
        """
        self.order: list[int] = degrees[0].argsort().tolist()
        self.known_sorted: list[bool] = [bool((layer.diff() >= 0).all()) for layer in degrees]
        self.ends: list[list[int]] = []
        for layer in degrees:
            counts = torch.bincount(layer, minlength=self.features + 1)
            self.ends.append([0, *counts.cumsum(0).tolist()])
        last = degrees[-1]
        starts = last[last < self.features].unique() + 1
        self.stages: list[int] = [0, *starts.tolist(), self.features + 1]

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Compute the parameters of every feature.

        Args:
            x: `[..., features]`.
            context: `[..., context_features]`, if declared.

        Returns:
            `[..., features, params]`; batch dimensions of x and context broadcast.
        """
        if self.validate_args:
            self._validate(x, context)
        self.check_context(context)
        last = len(self.layers) - 1
        hidden = skip = self._layer(0, x, context)
        for index in range(1, last + 1):
            units = activated(self.activation, hidden, read_again=self.residual)
            if not self.residual or index % 2 == 0:
                units = self.dropout(units)
            hidden = self._layer(index, units, context)
            if self.residual and index % 2 == 0 and index < last:
                hidden = skip = skip + hidden
        return hidden.unflatten(-1, (self.features, self.params))

    def generate(
        self,
        next_values: Callable[[Tensor, slice], Tensor],
        *,
        rows: int,
        context: Tensor | None = None,
    ) -> Tensor:
        """Generate features in the network's order; see `flowbench.nn.incremental.generate`.

        Where `forward` is overridden or hooked, each feature takes a pass of the network.
        """
        if not is_overridden(self, AutoregressiveNetwork, MaskedLinear):
            return generate(self, next_values, rows=rows, context=context)
        return generate_by_passes(
            self, next_values, order=self.order, rows=rows, like=next(self.parameters()),
            context=context,
        )  # fmt: skip

    def check_context(self, context: Tensor | None) -> Tensor | None:
        """The context; see `flowbench.nn.contexts.declared`."""
        return declared(context, self.context_features)

    def _layer(self, index: int, x: Tensor, context: Tensor | None) -> Tensor:
        hidden = self.layers[index](x)
        if context is not None and index < len(self.context_layers):
            hidden = hidden + self.context_layers[index](context)
        return hidden

    def _validate(self, x: Tensor, context: Tensor | None) -> None:
        for name, value, size in (
            ("x", x, self.features),
            ("context", context, self.context_features),
        ):
            if value is None:
                continue
            if value.shape[-1:] != (size,):
                raise ValueError(f"{name} has shape {tuple(value.shape)}, expected [..., {size}]")
            if not value.isfinite().all():
                raise ValueError(f"{name} has values that are not finite")


def _restore_masks(network: nn.Module, _incompatible: object) -> None:
    assert isinstance(network, AutoregressiveNetwork)
    degrees = network.degrees
    if degrees[0].is_meta:
        return
    masks = masks_from_degrees(degrees, network.params)
    for layer, mask in zip(network.layers, masks, strict=True):
        layer.set_mask(mask)  # type: ignore[operator]
    for layer in network.context_layers:
        layer.set_mask(torch.ones_like(layer.weight))  # type: ignore[operator, arg-type]
    network._tabulate(degrees)


@torch.no_grad()
def _rescale(layer: nn.Module, factor: float, *, bias: bool) -> None:
    """Multiply the initial weights of a layer, and its biases on request."""
    for name, parameter in layer.named_parameters():
        if factor != 1 and (bias or name == "weight"):
            parameter.mul_(factor)
