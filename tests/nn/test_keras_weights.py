"""Networks of TensorFlow Probability, brought over, give its log-densities."""

from pathlib import Path

import numpy as np
import pytest
import torch

from flowbench.flows import Flow, StandardNormal
from flowbench.nn import MLP, AutoregressiveNetwork, SplitMLP, load_keras_weights
from flowbench.transforms import AffineMap, Coupling, MaskedAutoregressive

SAVED = Path(__file__).with_name("tfp_weights")


def autoregressive(features, **options):
    return lambda: AutoregressiveNetwork(features, **options)


# As `tfp_weights/make.py` has them.
NETWORKS = {
    "network": autoregressive(4, hidden_units=[9, 7], activation="relu"),
    "network_all_layers": autoregressive(
        3, hidden_units=[6, 5], activation="leaky_relu", input_order="right-to-left",
        context_features=2,
    ),
    "network_first_layer": autoregressive(
        3, hidden_units=[6, 5], activation="tanh", use_bias=False,
        context_features=2, conditional_input_layers="first_layer",
    ),
    "masked_template": autoregressive(3, hidden_units=[8, 7], activation="relu"),
    "real_nvp_template": lambda: SplitMLP(2, outputs=3, hidden_units=[6, 5], activation="relu"),
}  # fmt: skip


def saved(name):
    with np.load(SAVED / f"{name}.npz") as arrays:
        weights = [arrays[f"weight_{index}"] for index in range(len(arrays))
                   if f"weight_{index}" in arrays]  # fmt: skip
        context = torch.from_numpy(arrays["context"]) if "context" in arrays else None
        return weights, torch.from_numpy(arrays["x"]), context, arrays["log_prob"]


def layer(network):
    if isinstance(network, MLP):
        return Coupling(5, network, AffineMap(None), num_masked=2)
    return MaskedAutoregressive(network, AffineMap(None))


@pytest.mark.parametrize("name", NETWORKS)
def test_log_densities_are_those_of_tfp(name):
    weights, x, context, expected = saved(name)
    network = NETWORKS[name]()
    load_keras_weights(network, weights)
    flow = Flow(StandardNormal(x.shape[-1]), layer(network))
    log_prob = flow.log_prob(x, context).detach().numpy()
    np.testing.assert_allclose(log_prob, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_what_is_brought_over_is_saved_and_sampled(name):
    weights, x, context, _ = saved(name)
    network = NETWORKS[name]()
    load_keras_weights(network, weights)
    again = NETWORKS[name]()
    again.load_state_dict(network.state_dict())
    transform = layer(network)
    u, _ = layer(again).inverse(x, context)
    torch.testing.assert_close(transform(u, context)[0], x)


def test_masks_stay_where_the_kernels_fit():
    weights, *_ = saved("network")
    network = NETWORKS["network"]()
    before = [layer.mask.clone() for layer in network.layers]
    load_keras_weights(network, [np.zeros_like(weight) for weight in weights])
    after = [layer.mask for layer in network.layers]
    assert all(map(torch.equal, before, after))


def test_biases_may_come_before_their_kernels_or_behind():
    weights, x, *_ = saved("real_nvp_template")
    assert weights[0].ndim == 1
    swapped = [weights[index] for index in (1, 0, 3, 2, 5, 4)]
    networks = [NETWORKS["real_nvp_template"]() for _ in range(2)]
    for network, given in zip(networks, (weights, swapped), strict=True):
        load_keras_weights(network, given)
    assert torch.equal(*(network(x[:, :2]) for network in networks))


def test_a_wrong_order_of_inputs_is_told():
    weights, *_ = saved("masked_template")
    network = AutoregressiveNetwork(3, hidden_units=[8, 7], input_order="right-to-left")
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(ValueError, match=r"not autoregressive in the order \[3, 2, 1\]"):
        load_keras_weights(network, weights)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


@pytest.mark.parametrize("wrong", [slice(2, None), slice(None, -1), slice(0)])
def test_arrays_of_other_shapes_are_told(wrong):
    weights, *_ = saved("real_nvp_template")
    with pytest.raises(ValueError, match=r"weights have the shapes .*, expected \[\(2, 6\), "):
        load_keras_weights(NETWORKS["real_nvp_template"](), weights[wrong])


def test_a_residual_network_is_refused():
    network = AutoregressiveNetwork(2, hidden_units=[3], residual=True)
    with pytest.raises(ValueError, match="residual=False"):
        load_keras_weights(network, [p.detach().t() for p in network.parameters()])
