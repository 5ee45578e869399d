"""Make the .npz files beside this script: weights and log-densities of TensorFlow Probability.

It needs tensorflow, tf-keras and tensorflow-probability 0.25, which the tests do without:
`python tests/nn/tfp_weights/make.py`.
"""

from pathlib import Path

import numpy as np
import tensorflow_probability as tfp

tfb, tfd = tfp.bijectors, tfp.distributions
RANDOM = np.random.default_rng(0)


def randomized(variables):
    """Set all variables to new values, zero where a kernel was zero (masked)."""
    for variable in variables:
        values = RANDOM.normal(size=variable.shape, scale=0.4)
        if variable.shape.rank == 2:
            values *= variable.numpy() != 0
        variable.assign(values)
    return [variable.numpy() for variable in variables]


def saved(name, bijector, variables, features, context=None):
    """Write weights, rows (and contexts) and log-densities."""
    weights = randomized(variables)
    base = tfd.MultivariateNormalDiag(loc=np.zeros(features, np.float32))
    x = RANDOM.normal(size=(20, features)).astype(np.float32)
    given = {} if context is None else {"bijector_kwargs": {"conditional_input": context}}
    log_prob = tfd.TransformedDistribution(base, bijector).log_prob(x, **given).numpy()
    arrays = {f"weight_{i}": weight for i, weight in enumerate(weights)}
    arrays |= {"x": x, "log_prob": log_prob} | ({} if context is None else {"context": context})
    np.savez_compressed(Path(__file__).with_name(f"{name}.npz"), **arrays)


def autoregressive_network(name, features, context_features=0, **options):
    """A layer of masked autoregressive flow with an `AutoregressiveNetwork`."""
    context = None
    if context_features:
        context = RANDOM.normal(size=(20, context_features)).astype(np.float32)
        options |= {"conditional": True, "conditional_event_shape": [context_features]}
    made = tfb.AutoregressiveNetwork(params=2, event_shape=[features], **options)
    made.build([None, features])
    saved(name, tfb.MaskedAutoregressiveFlow(made), made.weights, features, context)


def template(name, make, bijector, features):
    """A layer with one of the default templates, whose variables exist after its first call."""
    layer = bijector(make)
    layer.inverse(np.zeros([1, features], np.float32))
    saved(name, layer, make.variables, features)


autoregressive_network("network", 4, hidden_units=[9, 7], activation="relu")
autoregressive_network(
    "network_all_layers", 3, 2,
    conditional_input_layers="all_layers", hidden_units=[6, 5], activation="leaky_relu",
    input_order="right-to-left",
)  # fmt: skip
autoregressive_network(
    "network_first_layer", 3, 2,
    conditional_input_layers="first_layer", hidden_units=[6, 5], activation="tanh",
    hidden_degrees="random", use_bias=False,
)  # fmt: skip
template(
    "masked_template",
    tfb.masked_autoregressive_default_template(hidden_layers=[8, 7]),
    tfb.MaskedAutoregressiveFlow,
    3,
)
template(
    "real_nvp_template",
    tfb.real_nvp_default_template(hidden_layers=[6, 5]),
    lambda make: tfb.RealNVP(num_masked=2, shift_and_log_scale_fn=make),
    5,
)
