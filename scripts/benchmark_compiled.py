"""Tasks of the libraries that compile them by XLA: flowjax and TensorFlow Probability."""

# pyright: reportMissingImports=false, reportMissingModuleSource=false
from collections.abc import Callable
from typing import Any

from benchmark_works import BINS, LAYERS, RATE, Work, rows

__all__ = ["COMPILED"]

Task = Callable[[], object]


def _flowjax(kind: str, work: Work, count: int) -> Task | None:
    """Jitted functions; a step is one of flat, donated arrays, the fastest loop that it allows."""
    if work.batch_norm:
        return None
    import equinox
    import jax
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
    flow = make(jax.random.key(0), **options)
    x, c = (None if part is None else jax.numpy.asarray(part) for part in rows(work, count))
    if kind == "train":
        return _flowjax_step(flow, x, c)
    params, static = equinox.partition(flow, equinox.is_array)

    def compute(params: Any, key: Any, x: Any, c: Any) -> Any:
        whole = paramax.unwrap(equinox.combine(params, static))
        if kind == "log_prob":
            return whole.log_prob(x, c)
        return whole.sample(key, (count,), None if c is None else c[0])

    jitted, key = jax.jit(compute), jax.random.key(1)
    return lambda: jitted(params, key, x, c).block_until_ready()


def _flowjax_step(flow: Any, x: Any, c: Any) -> Task:
    import equinox
    import jax
    import optax
    import paramax

    fixed = {"is_leaf": lambda leaf: isinstance(leaf, paramax.NonTrainable)}
    params, static = equinox.partition(flow, equinox.is_inexact_array, **fixed)
    optimizer = optax.adam(RATE)
    leaves, tree = jax.tree_util.tree_flatten((params, optimizer.init(params)))

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

    return step


def _tfp(kind: str, work: Work, count: int) -> Task | None:
    """Functions compiled by XLA."""
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
    if kind == "log_prob":
        score = tf.function(flow.log_prob, jit_compile=True)
        return lambda: score(x).numpy()
    if kind == "sample":
        draw = tf.function(lambda: flow.sample(count), jit_compile=True)
        return lambda: draw().numpy()
    optimizer = tf_keras.optimizers.Adam(RATE)
    optimizer.build(weights)
    optimizer.jit_compile = False  # the function is compiled as a whole

    @tf.function(jit_compile=True)
    def update(x: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(flow.log_prob(x))
        optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        return loss

    return lambda: update(x).numpy()


COMPILED: dict[str, Callable[[str, Work, int], Task | None]] = {"flowjax": _flowjax, "tfp": _tfp}
