"""What other libraries call the public names of this one, for the error about an unknown name."""

from collections.abc import Callable
from typing import NoReturn

__all__ = ["unknown_names"]

HERE = {  # what stands here for names of zuko, nflows, normflows and TensorFlow Probability
    "NSF": 'flowbench.MAF(features, univariate="spline")',
    "NCSF": 'flowbench.MAF(features, univariate="spline", circular=range(features))',
    "NeuralSplineFlow": 'flowbench.MAF(features, univariate="spline")',
    "GMM": "flowbench.GaussianMixture(features, components=…)",
    "MaskedAutoregressiveFlow": "flowbench.MAF(features)",
    "InverseAutoregressiveFlow": "flowbench.IAF(features)",
    "SimpleRealNVP": "flowbench.RealNVP(features)",
    "NormalizingFlow": "flowbench.Flow(base, transform)",
    "TransformedDistribution": "flowbench.Flow(base, transform)",
    "DiagNormal": "flowbench.flows.StandardNormal(features)",
    "DiagGaussian": "flowbench.flows.StandardNormal(features)",
    "ComposedTransform": "flowbench.transforms.Chain([…])",
    "CompositeTransform": "flowbench.transforms.Chain([…])",
    "InverseTransform": "flowbench.transforms.Inverse(transform)",
    "MaskedAutoregressiveTransform": "flowbench.transforms.MaskedAutoregressive(conditioner)",
    "GeneralCouplingTransform": "flowbench.transforms.Coupling(features, conditioner)",
    "RandomPermutation": "flowbench.transforms.Permute(permutation)",
    "MonotonicRQSTransform": "flowbench.transforms.RationalQuadraticMap()",
    "save": "density.save(path), of a density from flowbench.fit or flowbench.load",
}
OF_ZUKO = ["BPF", "CNF", "GF", "NAF", "SOSPF", "UNAF"]  # without a counterpart
HERE |= {name: f"flowbench.flows.peers.Zuko(features, flow=zuko.flows.{name})" for name in OF_ZUKO}


def unknown_names(module: str) -> Callable[[str], NoReturn]:
    """The `__getattr__` of a module, which says what stands here for a name of another library.

    Python itself adds names that are spelt alike.

    Args:
        module: its name.

    Example:
        >>> unknown_names("flowbench")("NSF")
        Traceback (most recent call last):
        AttributeError: module 'flowbench' has no attribute 'NSF'; here it is flowbench.MAF(...)
    """

    def unknown(name: str) -> NoReturn:
        hint = f"; here it is {HERE[name]}" if name in HERE else ""
        raise AttributeError(f"module {module!r} has no attribute {name!r}{hint}")

    return unknown
