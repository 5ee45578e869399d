"""All flows by name, with weights away from their start: adding a flow is adding one line."""

from functools import partial

import pytest
import torch
from torch import nn

from flowbench.flows import (
    IAF,
    MADE,
    MAF,
    NICE,
    Blockwise,
    ConditionalNormal,
    DiagonalNormal,
    Flow,
    Gaussian,
    GaussianMixture,
    LinearGaussian,
    MixedMADE,
    RealNVP,
    equal_blocks,
)
from flowbench.nn import MLP, AutoregressiveNetwork, MaskedLinear
from flowbench.transforms import (
    ActNorm,
    Chain,
    Coupling,
    Folded,
    MaskedAutoregressive,
    Permute,
    checkerboard_mask,
)
from flowbench.transforms.maps import MAPS

FEATURES, CLASSES = 3, 2
SMALL = {"hidden_units": [8], "activation": "tanh", "seed": 0}
STACK = SMALL | {"layers": 2}
RESIDUAL = {"hidden_units": [6, 6, 6], "residual": True, "batch_norm": False, "lu_linear": True}


def learnt_base(features, *, context_features=0, seed=None):
    """A learnt base under one masked layer; with a context, the base alone depends on it."""
    base = DiagonalNormal(features)
    if context_features:
        base = ConditionalNormal(features, context_features=context_features, hidden_units=[4])
    network = AutoregressiveNetwork(features, hidden_units=[8], seed=seed)
    return Flow(base, IgnoresContext(network))


class IgnoresContext(MaskedAutoregressive):
    def forward(self, u, context=None):
        return super().forward(u)

    def inverse(self, x, context=None):
        return super().inverse(x)


def blockwise(features, *, context_features=0, seed=None):
    options = SMALL | {"context_features": context_features, "seed": seed}
    first = MAF(1, layers=1, **options)
    return Blockwise([first, MADE(features - 1, **options)] if features > 1 else [first])


def shared_blocks(features, *, base="normal", context_features=0, seed=None):
    options = STACK | {"context_features": context_features, "seed": seed, "base": base}
    block = partial(MAF, **options)
    return equal_blocks(
        features, context_features=context_features, blocks=features, shared=True, flow=block
    )


def nested_blocks(features, *, context_features=0, seed=None):
    """Own weights for the parts of a block, the same for all blocks."""
    flow = partial(equal_blocks, blocks=1, flow=partial(MAF, **(STACK | {"seed": seed})))
    sizes = {"context_features": context_features, "blocks": features}
    return equal_blocks(features, **sizes, shared=True, flow=flow)


def folded(features, *, context_features=0, seed=None):
    """Shared weights for the channels of an image, one pixel of each."""
    channel = MAF(1, **(STACK | {"context_features": context_features, "seed": seed}))
    return Flow(MAF(features).base, Folded(channel.transform, groups=features))


def pixels(features, *, context_features=0, seed=None):
    """A checkerboard of one row of pixels, behind a permutation of the layout."""
    mask = checkerboard_mask(1, features)
    masked = int(mask.sum())
    sizes = {"outputs": max(1, features - masked), "context_features": context_features}
    network = MLP(masked, 2, hidden_units=[6], activation="tanh", **sizes)
    coupling = Coupling(features, network, mask=mask)
    order = [*range(1, features), 0]
    return Flow(MAF(features).base, Chain([coupling, Permute(order), ActNorm(features)]))


def gaussian(features, *, context_features=0, seed=None):
    return Gaussian(features, context_features=context_features)


def embedded(features, *, context_features=0, seed=None):
    flow = MAF(
        features, **(STACK | {"context_features": 3 * bool(context_features), "seed": seed})
    )
    return Flow(flow.base, flow.transform, nn.Linear(context_features, 3))


def linear_gaussian(features, *, context_features=0, seed=None):
    return LinearGaussian(features, context_features=context_features)


FLOWS = {
    "gaussian": gaussian,
    "linear_gaussian": linear_gaussian,
    "gaussian_mixture": partial(GaussianMixture, components=2),
    "made": partial(MADE, **SMALL),
    "made_mixture": partial(MADE, **SMALL, family="mixture", components=3),
    "made_bernoulli": partial(MADE, **SMALL, family="bernoulli"),
    "made_mixed": partial(MixedMADE, **SMALL, components=2),
    "made_mixed_spline": partial(MixedMADE, **SMALL, family="spline"),
    "maf": partial(MAF, **STACK),
    "maf_running": partial(MAF, **STACK, batch_norm_statistics="running"),
    "maf_norm_first": partial(MAF, **STACK, batch_norm_side="data"),
    "maf_random": partial(
        MAF,
        **STACK,
        input_order="random",
        hidden_degrees="random",
        conditional_input_layers="first_layer",
    ),
    "maf_mog": partial(MAF, **STACK, base="mixture", components=2),
    **{f"maf_{name}": partial(MAF, **STACK, univariate=name) for name in MAPS if name != "affine"},
    "maf_spline": partial(MAF, **(STACK | RESIDUAL), univariate="spline"),
    "maf_strong": partial(MAF, **(STACK | RESIDUAL)),
    "iaf": partial(IAF, **STACK),
    "iaf_gated": partial(IAF, **STACK, univariate="gated", batch_norm=True, lu_linear=True),
    "realnvp": partial(RealNVP, **STACK),
    "realnvp_separate": partial(RealNVP, **STACK, networks="separate"),
    "realnvp_norm_first": partial(RealNVP, **STACK, batch_norm_side="data"),
    "realnvp_masked": partial(RealNVP, **STACK, fraction_masked=-0.5),
    "realnvp_spline": partial(
        RealNVP, **STACK, univariate="spline", batch_norm=False, lu_linear=True
    ),
    "realnvp_running": partial(RealNVP, **STACK, batch_norm_statistics="running"),
    "nice": lambda features, seed=None, **options: NICE(features, hidden_units=[8], **options),
    "learnt_base": learnt_base,
    "blockwise": blockwise,
    "shared_blocks": shared_blocks,
    "shared_blocks_mog": partial(shared_blocks, base="mixture"),
    "nested_blocks": nested_blocks,
    "folded": folded,
    "pixels": pixels,
    "embedded": embedded,
}
CLOSED_FORMS = ("gaussian", "gaussian_mixture", "linear_gaussian")  # without parameters
WITHOUT_CONTEXT = [name for name in FLOWS if name != "embedded"]
EITHER = pytest.mark.parametrize(
    ("name", "classes"),
    [(name, 0) for name in WITHOUT_CONTEXT] + [(name, CLASSES) for name in FLOWS],
)
ALL = CONDITIONAL = pytest.mark.parametrize("name", FLOWS)


def build(name, classes=0, *, features=FEATURES, seed=0, noise=0.2):
    """A flow in evaluation mode, away from its initial values."""
    torch.manual_seed(seed)
    flow = FLOWS[name](features, context_features=classes, seed=seed).double()
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=noise)
        for layer in flow.modules():
            if isinstance(layer, MaskedLinear):
                layer.set_mask(layer.mask)
    rows = torch.randn(200, features, dtype=torch.float64)
    context = one_hot(200) if classes else None
    flow.initialize(rows, context)
    flow.eval().recompute_statistics(rows, context)
    return flow


def one_hot(*shape):
    return nn.functional.one_hot(torch.randint(CLASSES, shape), CLASSES).double()


def data(name, classes, *batch):
    return events(name, *batch, FEATURES), one_hot(*batch) if classes else None


def events(name, *shape):
    x = torch.randn(*shape, dtype=torch.float64)
    return (x > 0).double() if name == "made_bernoulli" else x


CLOSE = {"rtol": 1e-8, "atol": 1e-8}


def classes_of(name):
    """The context it cannot do without."""
    return CLASSES if name == "embedded" else 0


def context_of(name, *batch):
    return one_hot(*batch) if classes_of(name) else None


def drawn_anew(flow):
    for parameter in flow.parameters():
        nn.init.normal_(parameter, 0, 0.2)


def grid(name, points):
    """Points of the plane, closer together at the origin, and the areas they stand for."""
    v = torch.linspace(-6, 6, points, dtype=torch.float64)
    axis, cells = v.sinh(), v.cosh() * (v[1] - v[0])
    if name == "made_bernoulli":
        axis, cells = v.new_tensor([0.0, 1.0]), v.new_ones(2)
    areas = torch.cartesian_prod(cells, cells).prod(-1)
    return torch.cartesian_prod(axis, axis), areas
