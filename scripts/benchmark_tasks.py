"""One optimiser step of a workload, or a training from start to end, in each library.

A library is imported where it is used: each runs in an environment of its own.
"""

# pyright: reportMissingImports=false, reportMissingModuleSource=false
from collections.abc import Callable
from typing import Any

import numpy as np
from benchmark_works import BINS, LAYERS, Work, products

__all__ = ["FITS", "STEPS"]

Step = Callable[[], object]
RATE = 1e-4
EPOCHS = 5


def rows(work: Work, count: int) -> tuple[Any, Any]:
    """Events and contexts, float32; correlated, so that there is something to learn."""
    draw = np.random.default_rng(0)
    x = draw.standard_normal((count, work.features)) @ draw.standard_normal((work.features,) * 2)
    c = draw.standard_normal((count, work.context)) if work.context else None
    x = (x - x.mean(0)) / x.std(0)
    return x.astype("float32"), None if c is None else c.astype("float32")


def _tensors(work: Work, count: int) -> Any:
    import torch

    return [None if part is None else torch.from_numpy(part) for part in rows(work, count)]


def _flow(work: Work) -> Any:
    from flowbench.flows import MAF, RealNVP

    sizes: dict[str, Any] = {"hidden_units": work.hidden, "batch_norm": work.batch_norm}
    if work.kind == "realnvp":
        return RealNVP(work.features, layers=LAYERS, **sizes)
    univariate = "spline" if work.kind == "spline" else "affine"
    return MAF(
        work.features, context_features=work.context, layers=LAYERS, univariate=univariate, **sizes
    )


def _flowbench(work: Work, count: int) -> tuple[Step, str]:
    from flowbench.config.settings import Training
    from flowbench.data import Batch
    from flowbench.training.maximum_likelihood import MaximumLikelihood

    engine = "compiled" if work.kind == "spline" else "native"
    options = Training(learning_rate=RATE, weight_decay=0.0, engine=engine)
    module = MaximumLikelihood(_flow(work), options)
    module.rows_per_step = lambda: count
    optimizer = module.configure_optimizers()
    module.arithmetic.begin()
    batch = Batch(*_tensors(work, count))
    return lambda: module._optimise(optimizer, batch), module.engine


def _floor(work: Work, count: int) -> tuple[Step, str]:
    """The dense products of a step, and nothing else, by PyTorch's `mm` into given tensors."""
    import torch

    calls = []
    for layer in range(LAYERS):
        for index, (i, o) in enumerate(products(work)):
            x, w, g = torch.randn(count, i), torch.randn(o, i), torch.randn(count, o)
            y, gw, gx = torch.empty(count, o), torch.empty(o, i), torch.empty(count, i)
            calls += [(x, w.mT, y), (g.mT, x, gw)]
            if layer or index:
                calls.append((g, w, gx))

    def step() -> None:
        for one, other, out in calls:
            torch.mm(one, other, out=out)

    return step, ""


def _torch_step(module: Any, log_prob: Callable[[], Any]) -> Step:
    import torch

    optimizer = torch.optim.Adam(module.parameters(), lr=RATE, fused=True)

    def step() -> None:
        optimizer.zero_grad()
        (-log_prob().mean()).backward()
        optimizer.step()

    return step


def _zuko_flow(work: Work) -> Any:
    import zuko

    if work.batch_norm:
        return None
    kinds = {"maf": zuko.flows.MAF, "realnvp": zuko.flows.RealNVP, "spline": zuko.flows.NSF}
    options = {"bins": BINS} if work.kind == "spline" else {}
    return kinds[work.kind](
        work.features, work.context, transforms=LAYERS, hidden_features=work.hidden, **options
    )


def _zuko(work: Work, count: int) -> tuple[Step, str] | None:
    flow = _zuko_flow(work)
    if flow is None:
        return None
    x, context = _tensors(work, count)
    return _torch_step(flow, lambda: flow(context).log_prob(x)), ""


def _nflows(work: Work, count: int) -> tuple[Step, str] | None:
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
    x, context = _tensors(work, count)
    return _torch_step(flow, lambda: flow.log_prob(x, context)), ""


def _normflows(work: Work, count: int) -> tuple[Step, str] | None:
    """Its autoregressive layers the other way round, so that the density is one pass."""
    import normflows
    from normflows.flows import AffineCouplingBlock, MaskedAffineAutoregressive, Permute
    from normflows.flows.neural_spline.autoregressive import (
        MaskedPiecewiseRationalQuadraticAutoregressive,
    )
    from torch import nn

    x, context = _tensors(work, count)
    base = normflows.distributions.base.DiagGaussian(work.features, trainable=False)
    if work.kind == "realnvp":
        half = work.features // 2
        parts: list[Any] = []
        for _ in range(LAYERS):
            network = normflows.nets.MLP([half, *work.hidden, 2 * half])
            parts += [AffineCouplingBlock(network), Permute(work.features, mode="swap")]
        flow = normflows.NormalizingFlow(base, parts)
        return _torch_step(flow, lambda: flow.log_prob(x)), ""
    options: dict[str, Any] = {"num_blocks": len(work.hidden) - 1, "use_residual_blocks": False}
    options |= {"context_features": work.context or None}
    kind: Any = MaskedAffineAutoregressive
    if work.kind == "spline":
        kind = MaskedPiecewiseRationalQuadraticAutoregressive
        options |= {"num_bins": BINS, "tails": "linear", "tail_bound": 3.0}
    layers = nn.ModuleList()
    for _ in range(LAYERS):
        layers.append(kind(work.features, work.hidden[0], **options))
        if work.batch_norm:
            layers.append(normflows.flows.BatchNorm())

    def log_prob() -> Any:
        u, total = x, 0
        for layer in layers:
            autoregressive = isinstance(layer, kind)
            u, log_det = layer(u, context=context) if autoregressive else layer(u)
            u, total = u.flip(-1) if autoregressive else u, total + log_det
        return base.log_prob(u) + total

    return _torch_step(layers, log_prob), ""


def _flowjax(work: Work, count: int) -> tuple[Step, str] | None:
    """One jitted function of flat, donated arrays: the fastest loop that it allows."""
    if work.batch_norm:
        return None
    import equinox
    import jax
    import optax
    import paramax
    from flowjax import flows
    from flowjax.bijections import RationalQuadraticSpline
    from flowjax.distributions import Normal

    options: dict[str, Any] = {"base_dist": Normal(jax.numpy.zeros(work.features))}
    options |= {"cond_dim": work.context or None, "flow_layers": LAYERS}
    options |= {"nn_width": work.hidden[0], "nn_depth": len(work.hidden)}
    if work.kind == "spline":
        options["transformer"] = RationalQuadraticSpline(knots=BINS, interval=3)
    make = flows.coupling_flow if work.kind == "realnvp" else flows.masked_autoregressive_flow
    fixed = {"is_leaf": lambda leaf: isinstance(leaf, paramax.NonTrainable)}
    params, static = equinox.partition(
        make(jax.random.key(0), **options), equinox.is_inexact_array, **fixed
    )
    optimizer = optax.adam(RATE)
    leaves, tree = jax.tree_util.tree_flatten((params, optimizer.init(params)))
    x, c = (None if part is None else jax.numpy.asarray(part) for part in rows(work, count))

    def loss(params: Any, x: Any, c: Any) -> Any:
        flow = paramax.unwrap(equinox.combine(params, static))
        return -flow.log_prob(x, c).mean()

    def update(leaves: Any, x: Any, c: Any) -> Any:
        params, state = jax.tree_util.tree_unflatten(tree, leaves)
        value, gradient = jax.value_and_grad(loss)(params, x, c)
        change, state = optimizer.update(gradient, state, params)
        params = equinox.apply_updates(params, change)
        return jax.tree_util.tree_leaves((params, state)), value

    jitted = jax.jit(update, donate_argnums=0)
    held = [[jax.numpy.array(leaf) for leaf in leaves]]

    def step() -> None:
        held[0], value = jitted(held[0], x, c)
        value.block_until_ready()

    return step, ""


def _tfp(work: Work, count: int) -> tuple[Step, str] | None:
    """A function compiled by XLA."""
    if work.batch_norm or work.context or work.kind == "spline":
        return None
    import tensorflow as tf
    import tf_keras
    from tensorflow_probability import bijectors, distributions

    networks, parts = [], []
    for _ in range(LAYERS):
        if work.kind == "maf":
            network: Any = bijectors.AutoregressiveNetwork(
                params=2,
                event_shape=[work.features],
                hidden_units=list(work.hidden),
                activation="relu",
            )
            parts.append(bijectors.MaskedAutoregressiveFlow(network))
        else:
            half = work.features // 2
            widths = [*work.hidden, 2 * half]
            activations = ["relu"] * len(work.hidden) + [None]
            network = tf_keras.Sequential(
                [
                    tf_keras.layers.Dense(width, activation=activation)
                    for width, activation in zip(widths, activations, strict=True)
                ]
            )
            network.build((None, half))
            parts.append(
                bijectors.RealNVP(
                    num_masked=half,
                    shift_and_log_scale_fn=lambda x, _, network=network, **__: tf.split(
                        network(x), 2, -1
                    ),
                )
            )
        networks.append(network)
        parts.append(bijectors.Permute(list(reversed(range(work.features)))))
    normal = distributions.MultivariateNormalDiag(tf.zeros(work.features))
    flow = distributions.TransformedDistribution(normal, bijectors.Chain(parts[:-1]))
    x = tf.constant(rows(work, count)[0])
    flow.log_prob(x[:2])  # makes the weights
    weights = [weight for network in networks for weight in network.trainable_variables]
    optimizer = tf_keras.optimizers.Adam(RATE)
    optimizer.build(weights)
    optimizer.jit_compile = False  # the function is compiled as a whole

    @tf.function(jit_compile=True)
    def update(x: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(flow.log_prob(x))
        optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        return loss

    return lambda: update(x).numpy(), ""


STEPS: dict[str, Callable[[Work, int], tuple[Step, str] | None]] = {
    "flowbench": _flowbench,
    "floor": _floor,
    "zuko": _zuko,
    "nflows": _nflows,
    "normflows": _normflows,
    "flowjax": _flowjax,
    "tfp": _tfp,
}


def _flowbench_fit(work: Work, batch: int) -> tuple[Step, str] | None:
    import flowbench

    x, context = _tensors(work, 100 * batch)
    engine = "plain" if work.kind == "spline" else "native"
    options: dict[str, Any] = {"batch_size": batch, "max_epochs": EPOCHS, "learning_rate": RATE}

    def fit() -> None:
        flowbench.fit(_flow(work), x, context, engine=engine, progress=False, **options)

    return fit, engine


def _zuko_fit(work: Work, batch: int) -> tuple[Step, str] | None:
    """The loop that its users write, with what `flowbench.fit` does: the best epoch is kept."""
    import copy

    import torch
    from torch.utils.data import DataLoader, TensorDataset

    if _zuko_flow(work) is None:
        return None
    x, context = _tensors(work, 100 * batch)
    held = len(x) // 10

    def fit() -> None:
        flow = _zuko_flow(work)
        optimizer = torch.optim.Adam(flow.parameters(), lr=RATE)
        parts = [part[held:] for part in (x, context) if part is not None]
        loader = DataLoader(TensorDataset(*parts), batch_size=batch, shuffle=True)
        best, state = -float("inf"), None
        for _ in range(EPOCHS):
            for rows in loader:
                loss = -flow(*rows[1:]).log_prob(rows[0]).mean()
                optimizer.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(flow.parameters(), 5.0)
                optimizer.step()
            with torch.no_grad():
                given = [] if context is None else [context[:held]]
                score = flow(*given).log_prob(x[:held]).mean().item()
            if score > best:
                best, state = score, copy.deepcopy(flow.state_dict())
        flow.load_state_dict(state)

    return fit, ""


FITS = {"flowbench": _flowbench_fit, "zuko": _zuko_fit}
