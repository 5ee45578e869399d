"""The same masked autoregressive flow in the libraries beside which ours is timed.

Those that are not installed are left out: zuko, nflows and normflows come with
`pip install -e ".[peers]"`, TensorFlow Probability from elsewhere.
"""

# pyright: reportMissingImports=false, reportMissingModuleSource=false
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any

import torch
from torch import nn

__all__ = ["samplers", "zuko_maf"]

Sampler = Callable[[], object]


def samplers(
    features: int, samples: int, hidden: Sequence[int], layers: int = 5
) -> dict[str, Callable[[], object]]:
    """Name → a function that draws samples, of every library that is installed."""
    makers = {
        "zuko": _zuko,
        "nflows": _nflows,
        "normflows": _normflows,
        "tensorflow_probability": _tfp,
    }
    return {
        name: make(features, samples, hidden, layers)
        for name, make in makers.items()
        if find_spec(name)
    }


def zuko_maf(features: int, hidden: Sequence[int], *, layers: int, activation: str) -> Any:
    """Zuko's MAF, or None where it is not installed."""
    if not find_spec("zuko"):
        return None
    import zuko

    kinds = {"relu": nn.ReLU, "tanh": nn.Tanh}
    return zuko.flows.MAF(
        features, transforms=layers, hidden_features=hidden, activation=kinds[activation]
    )


def _zuko(features: int, samples: int, hidden: Sequence[int], layers: int) -> Sampler:
    flow = zuko_maf(features, hidden, layers=layers, activation="relu").eval()
    return lambda: flow().sample((samples,))


def _nflows(features: int, samples: int, hidden: Sequence[int], layers: int) -> Sampler:
    from nflows.distributions import StandardNormal
    from nflows.flows import Flow
    from nflows.transforms import (
        CompositeTransform,
        MaskedAffineAutoregressiveTransform,
        ReversePermutation,
    )

    stack = []
    for _ in range(layers):
        made = MaskedAffineAutoregressiveTransform(
            features, hidden[0], num_blocks=len(hidden) - 1, use_residual_blocks=False
        )
        stack += [made, ReversePermutation(features)]
    flow = Flow(CompositeTransform(stack), StandardNormal([features])).eval()
    return lambda: flow.sample(samples)


def _normflows(features: int, samples: int, hidden: Sequence[int], layers: int) -> Sampler:
    """Its layers the other way round, so that the density is one pass, as in a MAF."""
    from normflows.flows import MaskedAffineAutoregressive

    made = [
        MaskedAffineAutoregressive(
            features, hidden[0], num_blocks=len(hidden) - 1, use_residual_blocks=False
        ).eval()
        for _ in range(layers)
    ]

    def sample() -> torch.Tensor:
        x = torch.randn(samples, features)
        for layer in made:
            x = layer.inverse(x)[0].flip(-1)
        return x

    return sample


def _tfp(features: int, samples: int, hidden: Sequence[int], layers: int) -> Sampler:
    """In graph mode, which is its faster one."""
    import tensorflow as tf
    import tensorflow_probability as tfp

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    bijectors: list[Any] = []
    for _ in range(layers):
        network = tfp.bijectors.AutoregressiveNetwork(
            params=2, hidden_units=list(hidden), activation="relu"
        )
        bijectors.append(tfp.bijectors.MaskedAutoregressiveFlow(network))
        bijectors.append(tfp.bijectors.Permute(list(reversed(range(features)))))
    normal = tfp.distributions.MultivariateNormalDiag(loc=[0.0] * features)
    flow = tfp.distributions.TransformedDistribution(normal, tfp.bijectors.Chain(bijectors))
    flow.log_prob(tf.zeros([1, features]))  # makes the weights
    draw = tf.function(lambda: flow.sample(samples))
    return lambda: draw().numpy()
