"""What the options of the networks do."""

import pytest
import torch

from flowbench.nn import AutoregressiveNetwork, constrain, regularization
from flowbench.nn.activations import ACROSS_UNITS
from flowbench.nn.mlp import MLP, ShiftAndLogScale, SplitMLP
from flowbench.nn.options import ACTIVATIONS, INITIALIZERS


@pytest.mark.parametrize(
    ("x", "context", "batch"),
    [((), (), ()), ((5,), (), (5,)), ((5, 1), (7,), (5, 7)), ((1,), (4, 1), (4, 1))],
)
@pytest.mark.parametrize("conditional_input_layers", ["all_layers", "first_layer"])
def test_batches_of_events_and_contexts_broadcast(x, context, batch, conditional_input_layers):
    network = AutoregressiveNetwork(
        3,
        5,
        hidden_units=[4],
        context_features=2,
        conditional_input_layers=conditional_input_layers,
    )
    plain = MLP(3, 5, outputs=3, hidden_units=[4], context_features=2)
    for one in (network, plain):
        assert one(torch.randn(*x, 3), torch.randn(*context, 2)).shape == (*batch, 3, 5)


@pytest.mark.parametrize("activation", [None, torch.sin, *ACTIVATIONS])
def test_activations_by_name_and_as_callables(activation):
    x = torch.randn(5, 3)
    assert MLP(3, outputs=3, hidden_units=[4], activation=activation)(x).isfinite().all()
    if activation not in ACROSS_UNITS:
        assert (
            AutoregressiveNetwork(3, hidden_units=[4], activation=activation)(x).isfinite().all()
        )


ZEROS = ("zeros", "zero", "constant", "identity")  # the last within masks
FILLED = [name for name in INITIALIZERS if name not in ZEROS]


@pytest.mark.parametrize("initializer", FILLED)
def test_initializers_fill_the_weights(initializer):
    for network in (
        AutoregressiveNetwork(3, hidden_units=[4], kernel_initializer=initializer),
        MLP(3, outputs=3, hidden_units=[4], kernel_initializer=initializer),
    ):
        assert all(layer.weight.any() for layer in network.layers)
        assert not any(layer.bias.any() for layer in network.layers)


@pytest.mark.parametrize("hidden_units", [[], [4]])
def test_a_network_can_start_at_zero(hidden_units):
    options = {"hidden_units": hidden_units, "context_features": 2, "bias_initializer": "ones"}
    options |= {"zero_output": True}
    for network in (AutoregressiveNetwork(3, **options), MLP(3, outputs=3, **options)):
        assert not network(torch.randn(5, 3), torch.randn(5, 2)).any()


def test_biases_can_be_left_out():
    for network in (
        AutoregressiveNetwork(3, hidden_units=[4], use_bias=False),
        MLP(3, outputs=3, hidden_units=[4], use_bias=False),
    ):
        assert all(parameter.ndim == 2 for parameter in network.parameters())


def test_regularizers_enter_the_loss():
    network = AutoregressiveNetwork(
        2,
        1,
        hidden_units=[3],
        kernel_initializer="ones",
        bias_initializer="ones",
        kernel_regularizer="l2",
        bias_regularizer=lambda bias: bias.sum(),
    )
    kept = sum(int(layer.mask.sum()) for layer in network.layers)
    torch.testing.assert_close(regularization(network), torch.tensor(0.01 * kept + 3 + 2))


def test_constraints_are_applied_within_the_masks():
    network = AutoregressiveNetwork(
        4,
        hidden_units=[8],
        kernel_constraint=lambda weight: weight.abs() + 1,
        bias_constraint="non_neg",
        bias_initializer=lambda bias: torch.nn.init.constant_(bias, -1.0),
    )
    constrain(network)
    for layer in network.layers:
        assert (layer.weight >= layer.mask).all()
        assert not layer.weight[layer.mask == 0].any()
        assert not layer.bias.any()


@pytest.mark.parametrize(
    ("constraint", "length"),
    [("max_norm", 2.0), ("min_max_norm", 1.0), ("unit_norm", 1.0), ("non_neg", None)],
)
def test_constraints_by_name_hold_for_each_unit_and_for_the_biases(constraint, length):
    options = {"kernel_constraint": constraint, "bias_constraint": constraint}
    network = AutoregressiveNetwork(4, hidden_units=[8], bias_initializer="ones", **options)
    with torch.no_grad():
        for layer in network.layers:
            layer.weight.mul_(100)
    constrain(network)
    for layer in network.layers:
        if length is None:
            assert (layer.weight >= 0).all()
            continue
        norms = layer.weight[layer.mask.any(1)].norm(dim=1)
        torch.testing.assert_close(norms, torch.full_like(norms, length))
        assert layer.bias.norm() <= length + 1e-6


def test_dropout_acts_in_training_only():
    network = AutoregressiveNetwork(3, hidden_units=[50], dropout=0.5, activation="relu")
    x = torch.randn(5, 3)
    assert not torch.equal(network(x), network(x))
    network.eval()
    assert torch.equal(network(x), network(x))


def test_a_missing_part_is_zero():
    x = torch.randn(5, 3)
    shift, log_scale = (MLP(3, 1, outputs=2, hidden_units=[4]) for _ in range(2))
    both = ShiftAndLogScale(shift=shift, log_scale=log_scale)(x)
    assert torch.equal(both, torch.cat([shift(x), log_scale(x)], dim=-1))
    assert torch.equal(ShiftAndLogScale(shift=shift)(x)[..., 1], torch.zeros(5, 2))
    assert torch.equal(ShiftAndLogScale(log_scale=log_scale)(x)[..., 0], torch.zeros(5, 2))


def test_an_mlp_is_the_usual_composition():
    network = MLP(2, 1, outputs=3, hidden_units=[4], context_features=1, activation="tanh")
    x, context = torch.randn(5, 2), torch.randn(5, 1)
    first, last = network.layers
    hidden = torch.tanh(first(x) + context @ network.context_layer.weight.mT)
    torch.testing.assert_close(network(x, context), last(hidden).unsqueeze(-1))


def test_an_mlp_without_inputs_is_a_function_of_the_context():
    network = MLP(0, outputs=2, context_features=1)
    assert network(torch.zeros(5, 0), torch.randn(5, 1)).shape == (5, 2, 2)


def test_the_last_layer_of_a_split_network_is_in_parts():
    options = {"outputs": 3, "hidden_units": [4], "context_features": 2}
    network, split = MLP(2, **options), SplitMLP(2, **options)
    split.load_state_dict(network.state_dict())
    inputs = torch.randn(7, 1, 2), torch.randn(5, 2)
    units = network(*inputs).flatten(-2)
    shift, log_scale = split(*inputs).unbind(-1)
    assert torch.equal(torch.cat([shift, log_scale], dim=-1), units)
