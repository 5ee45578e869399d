"""The same flow in the libraries that use PyTorch: its density and its samples.

A library is imported where it is used, since some are installed in folders of their own.
"""

# pyright: reportMissingImports=false, reportMissingModuleSource=false
from collections.abc import Callable
from typing import Any, NamedTuple

from benchmark_works import BINS, LAYERS, Work

__all__ = ["MODELS", "Model", "ours", "zuko_flow"]


class Model(NamedTuple):
    """A flow of a library.

    Attributes:
        module: its parameters.
        log_prob: maps rows and their contexts, or None, to log-densities.
        sample: maps a number of rows and contexts, or None, to samples.
    """

    module: Any
    log_prob: Callable[[Any, Any], Any]
    sample: Callable[[int, Any], Any]


def ours(work: Work) -> Any:
    """The flow of this package."""
    from flowbench.flows import MAF, RealNVP

    sizes: dict[str, Any] = {"hidden_units": work.hidden, "batch_norm": work.batch_norm}
    if work.kind == "realnvp":
        return RealNVP(work.features, layers=LAYERS, **sizes)
    univariate = "spline" if work.kind == "spline" else "affine"
    return MAF(
        work.features, context_features=work.context, layers=LAYERS, univariate=univariate, **sizes
    )


def _flowbench(work: Work) -> Model:
    flow = ours(work)

    def sample(count: int, context: Any) -> Any:
        return flow.sample(count, None if context is None else context[0])

    return Model(flow, flow.log_prob, sample)


def zuko_flow(work: Work) -> Any:
    """Zuko's flow, or None: it has no batch norms."""
    import zuko

    if work.batch_norm:
        return None
    kinds = {"maf": zuko.flows.MAF, "realnvp": zuko.flows.RealNVP, "spline": zuko.flows.NSF}
    options = {"bins": BINS} if work.kind == "spline" else {}
    return kinds[work.kind](
        work.features, work.context, transforms=LAYERS, hidden_features=work.hidden, **options
    )


def _zuko(work: Work) -> Model | None:
    flow = zuko_flow(work)
    if flow is None:
        return None

    def sample(count: int, context: Any) -> Any:
        return flow(None if context is None else context[0]).sample((count,))

    return Model(flow, lambda x, context: flow(context).log_prob(x), sample)


def _nflows(work: Work) -> Model:
    from nflows.distributions import StandardNormal
    from nflows.flows import Flow
    from nflows.nn.nets import MLP
    from nflows.transforms import (
        AffineCouplingTransform,
        BatchNorm,
        CompositeTransform,
        MaskedAffineAutoregressiveTransform,
        MaskedPiecewiseRationalQuadraticAutoregressiveTransform,
        ReversePermutation,
    )

    class Conditioner(MLP):
        def forward(self, inputs: Any, context: Any = None) -> Any:
            return super().forward(inputs)

    options: dict[str, Any] = {"num_blocks": len(work.hidden) - 1, "use_residual_blocks": False}
    options |= {"context_features": work.context or None}
    parts: list[Any] = []
    for layer in range(LAYERS):
        if work.kind == "realnvp":
            mask = [(feature + layer) % 2 for feature in range(work.features)]
            parts.append(
                AffineCouplingTransform(mask, lambda a, b: Conditioner([a], [b], work.hidden))
            )
            continue
        if work.kind == "spline":
            made: Any = MaskedPiecewiseRationalQuadraticAutoregressiveTransform(
                work.features, work.hidden[0], num_bins=BINS, tails="linear", tail_bound=3.0,
                **options,
            )  # fmt: skip
        else:
            made = MaskedAffineAutoregressiveTransform(work.features, work.hidden[0], **options)
        parts += [made, ReversePermutation(work.features)]
        if work.batch_norm:
            parts.append(BatchNorm(work.features))
    flow = Flow(CompositeTransform(parts), StandardNormal([work.features]))

    def sample(count: int, context: Any) -> Any:
        return flow.sample(count, None if context is None else context[:1])

    return Model(flow, flow.log_prob, sample)


def _normflows(work: Work) -> Model | None:
    """Its autoregressive layers the other way round, so that the density is one pass."""
    if work.context:  # which its masked networks do not take
        return None
    import normflows
    import torch
    from normflows.flows import AffineCouplingBlock, MaskedAffineAutoregressive, Permute
    from normflows.flows.neural_spline.autoregressive import (
        MaskedPiecewiseRationalQuadraticAutoregressive,
    )
    from torch import nn

    base = normflows.distributions.base.DiagGaussian(work.features, trainable=False)
    if work.kind == "realnvp":
        half = work.features // 2
        parts: list[Any] = []
        for _ in range(LAYERS):
            network = normflows.nets.MLP([half, *work.hidden, 2 * half])
            parts += [AffineCouplingBlock(network), Permute(work.features, mode="swap")]
        flow = normflows.NormalizingFlow(base, parts)
        return Model(flow, lambda x, _: flow.log_prob(x), lambda count, _: flow.sample(count)[0])
    options: dict[str, Any] = {"num_blocks": len(work.hidden) - 1, "use_residual_blocks": False}
    options |= {"context_features": work.context or None}
    kind: Any = MaskedAffineAutoregressive
    if work.kind == "spline":
        kind = MaskedPiecewiseRationalQuadraticAutoregressive
        options |= {"num_bins": BINS, "tails": "linear", "tail_bound": 3.0}
    layers: Any = nn.ModuleList()
    for _ in range(LAYERS):
        layers.append(kind(work.features, work.hidden[0], **options))
        if work.batch_norm:
            layers.append(normflows.flows.BatchNorm())

    def log_prob(x: Any, context: Any) -> Any:
        u, total = x, 0
        for layer in layers:
            autoregressive = isinstance(layer, kind)
            u, log_det = layer(u, context=context) if autoregressive else layer(u)
            u, total = u.flip(-1) if autoregressive else u, total + log_det
        return base.log_prob(u) + total

    def sample(count: int, context: Any) -> Any:
        x = torch.randn(count, work.features)
        for layer in reversed(layers):
            autoregressive = isinstance(layer, kind)
            x = x.flip(-1) if autoregressive else x
            x = (layer.inverse(x, context=context) if autoregressive else layer.inverse(x))[0]
        return x

    return Model(layers, log_prob, sample)


MODELS: dict[str, Callable[[Work], Model | None]] = {
    "flowbench": _flowbench,
    "zuko": _zuko,
    "nflows": _nflows,
    "normflows": _normflows,
}
