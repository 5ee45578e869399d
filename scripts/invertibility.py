"""Print how exactly each layer undoes itself in float32, on inputs from tame to wild."""

import argparse
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from flowbench.evaluation.invertibility import round_trip_error
from flowbench.nn import AutoregressiveNetwork
from flowbench.nn.masks import InputOrder
from flowbench.nn.mlp import MLP
from flowbench.transforms import (
    ActNorm,
    AffineMap,
    BatchNorm,
    Chain,
    Coupling,
    Folded,
    GatedMap,
    Inverse,
    LULinear,
    MaskedAutoregressive,
    Permute,
    RationalQuadraticMap,
    ShiftMap,
    Standardize,
    Transform,
    TriangularAffine,
    UnivariateMap,
    alternating_mask,
    recompute_statistics,
)


@torch.no_grad()
def errors_of(
    layers: Mapping[str, Callable[[int], Transform]], *, features: int, rows: int, seed: int
) -> dict[str, dict[str, tuple[float, float]]]:
    """Relative errors of both rounds in float32, of fresh layers on inputs from tame to wild.

    A layer with a data-dependent start or batch norms sees the inputs first, as in a run.

    Args:
        layers: name → constructor from the number of features.
        features: size of the event.
        rows: per kind of input.
        seed: of inputs and weights.

    Returns:
        Layer → kind of input → (data → noise → data, noise → data → noise).
    """
    table: dict[str, dict[str, tuple[float, float]]] = {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        inputs = {name: draw(rows, features) for name, draw in INPUTS.items()}
        for name, build in layers.items():
            table[name] = {}
            for kind, x in inputs.items():
                layer = build(features).eval()
                layer.initialize(x)
                recompute_statistics(layer, x)
                rounds = round_trip_error(layer, x), round_trip_error(Inverse(layer), x)
                table[name][kind] = (rounds[0].relative, rounds[1].relative)
    return table


def _student(scale: float) -> Callable[[int, int], Tensor]:
    """Student's t with 2 degrees of freedom: its variance is infinite."""
    distribution = torch.distributions.StudentT(torch.tensor(2.0), scale=scale)
    return lambda rows, features: distribution.sample(torch.Size((rows, features)))


INPUTS: Mapping[str, Callable[[int, int], Tensor]] = {
    "normal": torch.randn,
    "t(2)": _student(1.0),
    "t(2) x 100": _student(100.0),
    "t(2) x 10000": _student(1e4),
}


def _autoregressive(
    univariate: UnivariateMap, *, activation: str = "relu", order: InputOrder = "left-to-right"
) -> Callable[[int], Transform]:
    def build(features: int) -> Transform:
        network = AutoregressiveNetwork(
            features,
            univariate.params,
            hidden_units=[64, 64],
            activation=activation,
            input_order=order,
        )
        return MaskedAutoregressive(network, univariate)

    return build


def _coupling(univariate: UnivariateMap) -> Callable[[int], Transform]:
    def build(features: int) -> Transform:
        mask = alternating_mask(features)
        masked = int(mask.sum())
        network = MLP(
            masked,
            univariate.params,
            outputs=features - masked,
            hidden_units=[64, 64],
            activation="relu",
        )
        return Coupling(features, network, univariate, mask=mask)

    return build


def _stack(
    *, activation: str = "relu", norms: bool = False, standardized: bool = False
) -> Callable[[int], Transform]:
    """Ten affine layers, each with a norm behind it, and standardisation in front of them all."""

    def build(features: int) -> Transform:
        layers: list[Transform] = []
        for layer in range(10):
            layers += [BatchNorm(features)] if norms else []
            order = "right-to-left" if layer % 2 else "left-to-right"
            autoregressive = _autoregressive(AffineMap(), activation=activation, order=order)
            layers.append(autoregressive(features))
        return Chain([*layers, ActNorm(features)] if standardized else layers)

    return build


def _lu(features: int) -> Transform:
    layer = LULinear(features, permutation=torch.randperm(features))
    torch.nn.init.normal_(layer.factors, std=0.3)
    return layer


LAYERS: Mapping[str, Callable[[int], Transform]] = {
    "Permute": lambda features: Permute(torch.randperm(features)),
    "Standardize": lambda features: Standardize(torch.randn(features), torch.rand(features) + 0.1),
    "TriangularAffine": TriangularAffine,
    "BatchNorm": BatchNorm,
    "ActNorm": ActNorm,
    "LULinear": _lu,
    "autoregressive, shift": _autoregressive(ShiftMap()),
    "autoregressive, affine": _autoregressive(AffineMap()),
    "autoregressive, gated": _autoregressive(GatedMap()),
    "autoregressive, spline": _autoregressive(RationalQuadraticMap()),
    "coupling, shift": _coupling(ShiftMap()),
    "coupling, affine": _coupling(AffineMap()),
    "coupling, gated": _coupling(GatedMap()),
    "coupling, spline": _coupling(RationalQuadraticMap()),
    "folded, affine": lambda features: Folded(
        _autoregressive(AffineMap())(features // 2), groups=2
    ),
    "10 x (affine, BatchNorm)": _stack(norms=True),
    "standardized, 10 x (affine, BatchNorm)": _stack(norms=True, standardized=True),
    "standardized, 10 x affine": _stack(standardized=True),
    "10 x affine, tanh": _stack(activation="tanh"),
    "10 x affine": _stack(),
}


def main(arguments: list[str] | None = None) -> None:
    """Print max |x′ − x| / max |x| of the worst row: data → noise → data, then the other round."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument(
        "--features", type=int, default=8, help="size of an event (an even number)"
    )
    parser.add_argument("--rows", type=int, default=1000, help="rows of each kind of input")
    parser.add_argument("--seed", type=int, default=0, help="of inputs and weights")
    options = parser.parse_args(arguments)
    print(f"{'layer':40}" + "".join(f"{kind:>18}" for kind in INPUTS))
    for name, errors in errors_of(LAYERS, **vars(options)).items():
        cells = (f"{data:.1e}, {noise:.1e}" for data, noise in errors.values())
        print(f"{name:40}" + "".join(f"{cell:>18}" for cell in cells))


if __name__ == "__main__":
    main()
