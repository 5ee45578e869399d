"""What Keras's names mean, against numbers computed from the definitions in its documentation."""

import math

import numpy as np
import pytest
import torch

from flowbench.nn import MaskedLinear
from flowbench.nn.options import ACTIVATIONS, CONSTRAINTS, INITIALIZERS, REGULARIZERS

X = np.array([-7.0, -3.5, -1.0, -0.7, -0.4, 0.0, 0.2, 0.5, 0.9, 1.0, 2.5, 6.5])
SELU = 1.0507009873554805, 1.6732632423543772


def clipped(x, low, high):
    return np.clip(x, low, high)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softplus(x):
    return np.log1p(np.exp(x))


def normal(x):
    """The distribution function of N(0, 1)."""
    return 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


DEFINITIONS = {
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: clipped(x, 0, 6),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.2 * x),
    "elu": lambda x: np.where(x > 0, x, np.expm1(x)),
    "celu": lambda x: np.where(x > 0, x, np.expm1(x)),
    "selu": lambda x: SELU[0] * np.where(x > 0, x, SELU[1] * np.expm1(x)),
    "gelu": lambda x: x * normal(x),
    "silu": lambda x: x * sigmoid(x),
    "swish": lambda x: x * sigmoid(x),
    "hard_silu": lambda x: x * clipped(x / 6 + 0.5, 0, 1),
    "hard_swish": lambda x: x * clipped(x / 6 + 0.5, 0, 1),
    "mish": lambda x: x * np.tanh(softplus(x)),
    "softplus": softplus,
    "squareplus": lambda x: (x + np.sqrt(x**2 + 4)) / 2,
    "sparse_plus": lambda x: np.where(x <= -1, 0, np.where(x < 1, (x + 1) ** 2 / 4, x)),
    "tanh": np.tanh,
    "hard_tanh": lambda x: clipped(x, -1, 1),
    "tanh_shrink": lambda x: x - np.tanh(x),
    "soft_shrink": lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.5, 0),
    "hard_shrink": lambda x: np.where(np.abs(x) > 0.5, x, 0),
    "softsign": lambda x: x / (np.abs(x) + 1),
    "sigmoid": sigmoid,
    "hard_sigmoid": lambda x: clipped(x / 6 + 0.5, 0, 1),
    "sparse_sigmoid": lambda x: clipped(0.5 * (x + 1), 0, 1),
    "log_sigmoid": lambda x: -softplus(-x),
    "exponential": np.exp,
    "softmax": lambda x: np.exp(x) / np.exp(x).sum(),
    "log_softmax": lambda x: x - np.log(np.exp(x).sum()),
}


def test_every_activation_has_its_definition_here():
    assert list(DEFINITIONS) == list(ACTIVATIONS)


@pytest.mark.parametrize("name", DEFINITIONS)
def test_activations(name):
    x = torch.tensor(X, requires_grad=True)
    np.testing.assert_allclose(
        ACTIVATIONS[name](x).detach().numpy(), DEFINITIONS[name](X), rtol=1e-12, atol=1e-12
    )
    inside = torch.tensor([-2.3, -0.7, 0.3, 0.8, 2.2], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(ACTIVATIONS[name], inside)
    assert torch.autograd.gradgradcheck(ACTIVATIONS[name], inside)


# Of a kernel with 40 inputs and 120 outputs: limit of a uniform distribution, or standard
# deviation of a normal before it is truncated at two of these.
UNIFORM = {
    "random_uniform": 0.05,
    "uniform": 0.05,
    "glorot_uniform": math.sqrt(6 / 160),
    "he_uniform": math.sqrt(6 / 40),
    "lecun_uniform": math.sqrt(3 / 40),
}
TRUNCATED = 0.87962566103423978
TRUNCATED_NORMAL = {
    "truncated_normal": 0.05,
    "variance_scaling": math.sqrt(1 / 40) / TRUNCATED,
    "glorot_normal": math.sqrt(2 / 160) / TRUNCATED,
    "he_normal": math.sqrt(2 / 40) / TRUNCATED,
    "lecun_normal": math.sqrt(1 / 40) / TRUNCATED,
}
NORMAL = {"random_normal": 0.05, "normal": 0.05}


def uniform_between(limit):
    return limit, lambda x: (x + limit) / (2 * limit)


def truncated_normal(deviation):
    return 2 * deviation, lambda x: (normal(x / deviation) - normal(-2)) / (normal(2) - normal(-2))


def normal_of(deviation):
    return math.inf, lambda x: normal(x / deviation)


# Largest absolute value, and distribution function.
RANDOM = (
    {name: uniform_between(limit) for name, limit in UNIFORM.items()}
    | {name: truncated_normal(deviation) for name, deviation in TRUNCATED_NORMAL.items()}
    | {name: normal_of(deviation) for name, deviation in NORMAL.items()}
)
FIXED = {
    "zeros": np.zeros((120, 40)),
    "zero": np.zeros((120, 40)),
    "ones": np.ones((120, 40)),
    "one": np.ones((120, 40)),
    "constant": np.zeros((120, 40)),
    "identity": np.eye(120, 40),
}


def filled(name, *shape):
    torch.manual_seed(0)
    return INITIALIZERS[name](torch.empty(shape, dtype=torch.float64)).numpy()


def test_every_initializer_has_its_definition_here():
    assert {*RANDOM, *FIXED, "orthogonal"} == set(INITIALIZERS)


@pytest.mark.parametrize("name", RANDOM)
def test_random_initializers(name):
    largest, distribution = RANDOM[name]
    values = np.sort(filled(name, 120, 40).ravel())
    assert np.abs(values).max() <= largest
    steps = np.arange(len(values) + 1) / len(values)
    expected = distribution(values)
    distance = max((steps[1:] - expected).max(), (expected - steps[:-1]).max())
    assert distance < 1.95 / math.sqrt(len(values))  # Kolmogorov and Smirnov, at 0.1 %


def test_a_normal_truncated_at_two_deviations_has_this_deviation():
    density = math.exp(-2) / math.sqrt(2 * math.pi)
    assert math.sqrt(1 - 4 * density / (normal(2) - normal(-2))) == pytest.approx(TRUNCATED)


@pytest.mark.parametrize("name", FIXED)
def test_fixed_initializers(name):
    np.testing.assert_array_equal(filled(name, 120, 40), FIXED[name])


def test_the_orthogonal_initializer():
    kernel = filled("orthogonal", 12, 4)
    np.testing.assert_allclose(kernel.T @ kernel, np.eye(4), atol=1e-12)


def test_a_bias_has_its_length_as_both_fans():
    assert np.abs(filled("glorot_uniform", 1000)).max() == pytest.approx(
        math.sqrt(3 / 1000), rel=0.01
    )


def test_the_fans_of_a_masked_kernel_are_those_of_its_full_shape():
    torch.manual_seed(0)
    mask = torch.zeros(300, 200, dtype=torch.bool)
    mask[:, ::10] = True
    weight = MaskedLinear(mask, kernel_initializer="he_uniform").weight
    assert weight.abs().max().item() == pytest.approx(math.sqrt(6 / 200), rel=0.01)


KERNEL = np.array([[0.3, -0.4], [3.0, 4.0], [-1.0, 2.0]])  # three units, two inputs


def normalized_inputs():
    return KERNEL / np.linalg.norm(KERNEL, axis=0)


PENALTIES = {
    "l1": 0.01 * np.abs(KERNEL).sum(),
    "l2": 0.01 * (KERNEL**2).sum(),
    "l1_l2": 0.01 * (np.abs(KERNEL) + KERNEL**2).sum(),
    "orthogonal_regularizer": 0.01 * abs(normalized_inputs().prod(axis=1).sum()),  # of one pair
}


def test_every_regularizer_has_its_definition_here():
    assert set(PENALTIES) == set(REGULARIZERS)


@pytest.mark.parametrize("name", PENALTIES)
def test_regularizers(name):
    assert REGULARIZERS[name](torch.tensor(KERNEL)).item() == pytest.approx(PENALTIES[name])


def test_the_orthogonal_regularizer_is_the_mean_over_pairs_and_defined_without_any():
    penalty = REGULARIZERS["orthogonal_regularizer"]
    assert penalty(torch.ones(2, 5)).item() == pytest.approx(0.01)
    assert penalty(torch.ones(5, 1)).item() == 0
    kernel = torch.zeros(2, 3, requires_grad=True)
    penalty(kernel).backward()
    assert kernel.grad.isfinite().all()


NORMS = np.array([[0.5], [5.0], [math.sqrt(5)]])
KEPT = {
    "max_norm": KERNEL * np.minimum(NORMS, 2) / (NORMS + 1e-7),
    "min_max_norm": KERNEL * np.clip(NORMS, 0, 1) / (NORMS + 1e-7),
    "unit_norm": KERNEL / (NORMS + 1e-7),
    "non_neg": np.maximum(KERNEL, 0),
}


def test_every_constraint_has_its_definition_here():
    assert set(KEPT) == set(CONSTRAINTS)


@pytest.mark.parametrize("name", KEPT)
def test_constraints(name):
    constrained = CONSTRAINTS[name](torch.tensor(KERNEL)).numpy()
    np.testing.assert_allclose(constrained, KEPT[name], rtol=1e-12)
    assert not CONSTRAINTS[name](torch.zeros(3)).any()
