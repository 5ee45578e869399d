"""Flows of affine layers, which the native library knows, of every constructor and option."""

import torch

from flowbench.flows import MADE, MAF, NICE, Flow, RealNVP, StandardNormal
from flowbench.nn import MaskedLinear
from flowbench.nn.mlp import MLP, ShiftAndLogScale
from flowbench.transforms import Coupling

CONTEXT = 3
SMALL = {"layers": 2, "hidden_units": [20, 20]}
FLOWS = {
    "a MAF": lambda: MAF(5, batch_norm=False),
    "batch norms": lambda: MAF(5, **SMALL),
    "batch norms at the data": lambda: MAF(5, batch_norm_side="data", **SMALL),
    "a context": lambda: MAF(5, context_features=CONTEXT, **SMALL),
    "a context of the first layer": lambda: MAF(
        5, context_features=CONTEXT, conditional_input_layers="first_layer", **SMALL
    ),
    "no hidden layer": lambda: MAF(4, hidden_units=(), layers=3, batch_norm=False),
    "one feature": lambda: MAF(1, context_features=CONTEXT, **SMALL),
    "more features than a vector": lambda: MAF(37, hidden_units=[50], layers=2),
    "random orders": lambda: MAF(
        9, input_order="random", hidden_degrees="random", seed=1, hidden_units=[33, 47], layers=3
    ),
    "an order": lambda: MAF(4, input_order=[2, 0, 3, 1], reverse=False, **SMALL),
    "wide": lambda: MAF(6, layers=1, hidden_units=[130, 7, 200]),
    "unbounded": lambda: MAF(5, log_scale_bound=None, **SMALL),
    "shifts": lambda: MAF(5, univariate="shift", **SMALL),
    "a MADE": lambda: MADE(6, hidden_units=[30], context_features=CONTEXT),
    "real NVP": lambda: RealNVP(8, batch_norm=False),
    "real NVP with a context": lambda: RealNVP(7, context_features=CONTEXT, **SMALL),
    "separate networks": lambda: RealNVP(5, networks="separate", **SMALL),
    "half a layer's networks": lambda: Flow(
        StandardNormal(3),
        Coupling(3, ShiftAndLogScale(log_scale=MLP(1, 1, outputs=2)), num_masked=1),
    ),
    "adjacent parameters": lambda: Flow(
        StandardNormal(3), Coupling(3, MLP(2, outputs=1, hidden_units=[9]), num_masked=-2)
    ),
    "NICE": lambda: NICE(6),
    **{
        name: lambda name=name: MAF(5, activation=name, **SMALL)
        for name in ("linear", "leaky_relu", "elu", "selu", "tanh", "sigmoid", "silu")
    },
}


def prepared(make, dtype=torch.float64):
    """A flow whose parameters are all away from zero, as far as masks keep them."""
    torch.manual_seed(0)
    flow = make().to(dtype)
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter, dtype=torch.float64))
        for layer in flow.modules():
            if isinstance(layer, MaskedLinear):
                layer.weight.mul_(layer.mask)
    return flow
