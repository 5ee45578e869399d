"""All layers by name, with weights drawn anew: adding a layer is adding one line."""

import torch

from flowbench.nn import AutoregressiveNetwork, MaskedLinear
from flowbench.nn.mlp import MLP, ShiftAndLogScale, SplitMLP
from flowbench.transforms import (
    ActNorm,
    Affine,
    AffineMap,
    BatchNorm,
    Chain,
    Coupling,
    Folded,
    GatedMap,
    Inverse,
    JohnsonSU,
    Logit,
    LULinear,
    MaskedAutoregressive,
    Permute,
    RationalQuadraticMap,
    Standardize,
    TriangularAffine,
    alternating_mask,
    checkerboard_mask,
)
from flowbench.transforms.maps import MAPS, univariate_map

FEATURES, CONTEXT = 4, 2


def autoregressive(univariate=None, *, features=FEATURES, **options):
    univariate = univariate or AffineMap()
    seed = int(torch.randint(1000, ()))
    options = {"hidden_units": [7, 6], "activation": "tanh", "seed": seed} | options
    network = AutoregressiveNetwork(features, univariate.params, **options)
    return MaskedAutoregressive(network, univariate)


def coupling(univariate=None, *, context_features=0, **mask):
    univariate = univariate or AffineMap()
    mask = mask or {"num_masked": 1}
    masked = int(Coupling(FEATURES, torch.nn.Identity(), **mask).mask.sum())
    network = MLP(
        masked,
        univariate.params,
        outputs=FEATURES - masked,
        hidden_units=[6],
        activation="tanh",
        context_features=context_features,
    )
    return Coupling(FEATURES, network, univariate, **mask)


def separate_networks(**parts):
    options = {"outputs": 2, "hidden_units": [5]}
    networks = {part: MLP(2, 1, activation=name, **options) for part, name in parts.items()}
    return Coupling(FEATURES, ShiftAndLogScale(**networks), num_masked=2)


def johnson():
    layer = JohnsonSU(FEATURES)
    layer.initialize(torch.randn(200, FEATURES).mul(torch.tensor([0.1, 1.0, 1.5, 2.0])).exp())
    return layer


NAMED = {
    f"{place.__name__} {name}": lambda place=place, name=name: place(univariate_map(name))
    for place in (autoregressive, coupling)
    for name in MAPS
    if name != "affine"
}
LAYERS = NAMED | {
    "Affine": lambda: Affine([1.0, -2.0, 0.0, 3.0], [0.5, -2.0, 1.0, 4.0]),
    "Standardize": lambda: Standardize([1.0, -2.0, 0.0, 3.0], [0.5, 2.0, 1.0, 4.0]),
    "Logit": lambda: Logit(0.05),
    "JohnsonSU": johnson,
    "Permute": lambda: Permute([2, 0, 3, 1]),
    "LULinear": lambda: LULinear(FEATURES),
    "LULinear permuted": lambda: LULinear(FEATURES, permutation=[2, 0, 3, 1], bias=False),
    "TriangularAffine": lambda: TriangularAffine(FEATURES),
    "ActNorm": lambda: ActNorm(FEATURES),
    "BatchNorm": lambda: BatchNorm(FEATURES),
    "autoregressive": autoregressive,
    "autoregressive linear": lambda: autoregressive(hidden_units=[]),
    "autoregressive random": lambda: autoregressive(input_order="random", hidden_degrees="random"),
    "autoregressive residual": lambda: autoregressive(residual=True, hidden_units=[8] * 3),
    "autoregressive unbounded": lambda: autoregressive(AffineMap(None)),
    "autoregressive spline": lambda: autoregressive(RationalQuadraticMap(5)),
    "autoregressive context": lambda: autoregressive(context_features=CONTEXT),
    "autoregressive first-layer context": lambda: autoregressive(
        context_features=CONTEXT, conditional_input_layers="first_layer"
    ),
    "autoregressive spline context": lambda: autoregressive(
        RationalQuadraticMap(5), context_features=CONTEXT, input_order="right-to-left"
    ),
    "Inverse(autoregressive)": lambda: Inverse(autoregressive(GatedMap())),
    "Inverse(autoregressive) context": lambda: Inverse(autoregressive(context_features=CONTEXT)),
    "coupling": coupling,
    "coupling last": lambda: coupling(num_masked=-1),
    "coupling fraction": lambda: coupling(fraction_masked=0.6),
    "coupling none masked": lambda: coupling(num_masked=0),
    "coupling alternating": lambda: coupling(mask=alternating_mask(FEATURES, start=1)),
    "coupling checkerboard": lambda: coupling(mask=checkerboard_mask(2, 2)),
    "coupling spline": lambda: coupling(RationalQuadraticMap(4, bound=2.0)),
    "coupling context": lambda: coupling(context_features=CONTEXT),
    "coupling halves": lambda: Coupling(
        FEATURES, SplitMLP(2, outputs=2, hidden_units=[5], activation="tanh"), num_masked=2
    ),
    "coupling two networks": lambda: separate_networks(shift="relu", log_scale="tanh"),
    "coupling shift network": lambda: separate_networks(shift="relu"),
    "coupling log-scale network": lambda: separate_networks(log_scale="tanh"),
    "Folded": lambda: Folded(autoregressive(features=2), groups=2),
    "Folded context": lambda: Folded(
        autoregressive(features=2, context_features=CONTEXT), groups=2
    ),
    "empty Chain": Chain,
    "Chain": lambda: Chain(
        [
            BatchNorm(FEATURES),
            autoregressive(),
            LULinear(FEATURES),
            Inverse(coupling(RationalQuadraticMap())),
            Chain([ActNorm(FEATURES), Permute([3, 2, 1, 0])]),
        ]
    ),
    "Chain context": lambda: Chain(
        [autoregressive(context_features=CONTEXT), coupling(context_features=CONTEXT)]
    ),
}


def build(name, *, seed=0, dtype=torch.float64):
    """The layer in evaluation mode, far from its initial state."""
    torch.manual_seed(seed)
    layer = LAYERS[name]()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
        for part in layer.modules():
            if isinstance(part, MaskedLinear):
                part.set_mask(part.mask)
            if isinstance(part, BatchNorm):
                part.mean.normal_()
                part.variance.uniform_(0.5, 2)
            if isinstance(part, TriangularAffine):
                part.initialize(torch.randn(20, FEATURES))
    return layer.eval().to(dtype)


def events(*batch, dtype=torch.float64, seed=1):
    """Inputs of either side; a `Logit` takes their sigmoid as data."""
    generator = torch.Generator().manual_seed(seed)
    return 1.5 * torch.randn(*batch, FEATURES, dtype=torch.float64, generator=generator).to(dtype)


def data(name, *batch, dtype=torch.float64):
    values = events(*batch, dtype=dtype)
    return torch.sigmoid(values) if name == "Logit" else values


def contexts(name, *batch, dtype=torch.float64):
    if "context" not in name:
        return None
    generator = torch.Generator().manual_seed(2)
    return torch.randn(*batch, CONTEXT, dtype=torch.float64, generator=generator).to(dtype)
