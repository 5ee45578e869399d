"""Wrong use of the networks, and the sentence that it gets."""

import pytest
import torch

from flowbench.nn import AutoregressiveNetwork, MaskedLinear, regularization
from flowbench.nn.masks import input_degrees
from flowbench.nn.mlp import MLP


def network(**options):
    return lambda: AutoregressiveNetwork(3, **options)


def mlp(features=3, **options):
    return lambda: MLP(features, **({"outputs": 2} | options))


def call(module, *inputs):
    return lambda: module()(*inputs)


X, CONTEXT = torch.zeros(5, 3), torch.zeros(5, 2)
CHECKED = network(validate_args=True)
WRONG = {
    "features": (lambda: AutoregressiveNetwork(0), "features=0: expected an integer at least 1"),
    "no number": (
        lambda: AutoregressiveNetwork([3]),
        "features=[3]: expected an integer at least 1",
    ),
    "params": (network(params=0), "params=0: expected an integer at least 1"),
    "context size": (
        network(context_features=-1),
        "context_features=-1: expected an integer at least 0",
    ),
    "widths": (network(hidden_units=8), "hidden_units=8: expected a list"),
    "no units": (
        network(hidden_units=[8, 0]),
        "expected a list (each entry an integer at least 1)",
    ),
    "order": (network(input_order="top-down"), "input_order='top-down' is unknown"),
    "no permutation": (network(input_order=[0, 1, 1]), "[0, 1, 1] is not a permutation"),
    "short order": (network(input_order=[0, 1]), "is not a permutation of 0 … 2 or 1 … 3"),
    "order from 2": (lambda: input_degrees(2, [2, 3]), "is not a permutation of 0 … 1 or 1 … 2"),
    "degrees": (
        network(hidden_units=[4], hidden_degrees="all"),
        "hidden_degrees='all' is unknown",
    ),
    "activation": (network(activation="relo"), "activation='relo' is unknown"),
    "activation across units": (
        network(hidden_units=[4], activation="softmax"),
        "activation='softmax' makes every hidden unit depend on all inputs",
    ),
    "orthogonal bias": (
        network(bias_initializer="orthogonal"),
        "orthogonal initializes kernels: expected another initializer for a bias",
    ),
    "identity bias": (mlp(bias_initializer="identity"), "identity initializes kernels"),
    "orthogonal penalty of a bias": (
        lambda: regularization(network(bias_regularizer="orthogonal_regularizer")()),
        "orthogonal_regularizer is for kernels",
    ),
    "class": (network(activation=torch.nn.ReLU), "activation=ReLU is a class: expected an object"),
    "initializer": (network(kernel_initializer="he"), "kernel_initializer='he' is unknown"),
    "bias initializer": (network(bias_initializer="he"), "bias_initializer='he' is unknown"),
    "regularizer": (network(kernel_regularizer="l3"), "kernel_regularizer='l3' is unknown"),
    "bias regularizer": (network(bias_regularizer="l3"), "bias_regularizer='l3' is unknown"),
    "constraint": (network(kernel_constraint="pos"), "kernel_constraint='pos' is unknown"),
    "bias constraint": (network(bias_constraint="pos"), "bias_constraint='pos' is unknown"),
    "conditional layers": (
        network(context_features=2, conditional_input_layers="last"),
        "conditional_input_layers='last' is unknown: expected 'all_layers' or 'first_layer'",
    ),
    "residual, even": (
        network(residual=True, hidden_units=[4, 4]),
        "pairs of layers (1, 3, 5, …)",
    ),
    "residual, widths": (network(residual=True, hidden_units=[4, 4, 5]), "all of one width"),
    "context given": (
        call(network(), X, CONTEXT),
        "context_features=0, but a context was given",
    ),
    "context missing": (
        call(network(context_features=2), X),
        "context_features=2, but a context was not given",
    ),
    "shape": (call(CHECKED, torch.zeros(5, 4)), "x has shape (5, 4), expected [..., 3]"),
    "NaN": (call(CHECKED, X / 0), "x has values that are not finite"),
    "context shape": (
        call(network(validate_args=True, context_features=2), X, X),
        "context has shape (5, 3), expected [..., 2]",
    ),
    "masked linear": (
        lambda: MaskedLinear(torch.ones(2, 2), kernel_initializer="he"),
        "kernel_initializer='he' is unknown",
    ),
    "mlp, features": (mlp(-1), "features=-1: expected an integer at least 0"),
    "mlp, params": (mlp(params=0), "params=0: expected an integer at least 1"),
    "mlp, outputs": (mlp(outputs=-1), "outputs=-1: expected an integer at least 0"),
    "mlp, context size": (
        mlp(context_features=-1),
        "context_features=-1: expected an integer at least 0",
    ),
    "mlp, widths": (mlp(hidden_units=8), "hidden_units=8: expected a list"),
    "mlp, no units": (mlp(hidden_units=[0]), "expected a list (each entry an integer at least 1)"),
    "mlp, activation": (mlp(activation="relo"), "activation='relo' is unknown"),
    "mlp, initializer": (mlp(kernel_initializer="he"), "kernel_initializer='he' is unknown"),
    "mlp, context given": (call(mlp(), X, CONTEXT), "but a context was given"),
    "mlp, context missing": (
        call(mlp(context_features=2), X),
        "context_features=2, but a context was not given",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_use_is_told_in_one_sentence(name):
    build, message = WRONG[name]
    with pytest.raises(ValueError) as error:
        build()
    assert message in str(error.value)
    assert "\n" not in str(error.value)
