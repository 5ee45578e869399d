"""The Jacobian of an autoregressive layer is triangular in its order, whatever the options."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd.functional import jacobian

from flowbench.nn import AutoregressiveNetwork
from flowbench.transforms import AffineMap, MaskedAutoregressive, RationalQuadraticMap

WIDTHS = st.integers(1, 7)


@st.composite
def options(draw):
    features = draw(st.integers(1, 6))
    residual = draw(st.booleans())
    if residual:
        hidden_units = [draw(WIDTHS)] * draw(st.sampled_from([1, 3, 5]))
    else:
        hidden_units = draw(st.lists(WIDTHS, max_size=3))
    orders = st.sampled_from(["left-to-right", "right-to-left", "random"])
    return {
        "features": features,
        "params": draw(st.sampled_from([2, 5])),
        "hidden_units": hidden_units,
        "residual": residual,
        "input_order": draw(orders | st.permutations(range(features))),
        "hidden_degrees": draw(st.sampled_from(["equal", "random"])),
        "context_features": draw(st.sampled_from([0, 2])),
        "conditional_input_layers": draw(st.sampled_from(["all_layers", "first_layer"])),
        "seed": draw(st.integers(0, 99)),
    }


def network_and_context(options):
    torch.manual_seed(options["seed"])
    network = AutoregressiveNetwork(activation="tanh", **options).double()
    context = torch.randn(options["context_features"]).double()
    return network, context if len(context) else None


@settings(max_examples=60, deadline=None, derandomize=True)
@given(options())
def test_parameters_depend_on_the_features_before_and_on_no_other(options):
    network, context = network_and_context(options)
    point = torch.randn(options["features"]).double()
    matrix = jacobian(lambda x: network(x, context), point)
    degrees = network.degrees[0]
    before = degrees[:, None] > degrees[None, :]
    assert not matrix[~before.unsqueeze(1).expand_as(matrix)].any()


@settings(max_examples=40, deadline=None, derandomize=True)
@given(options())
def test_the_map_is_triangular_and_both_directions_agree(options):
    network, context = network_and_context(options)
    univariate = AffineMap() if options["params"] == 2 else RationalQuadraticMap(2)
    layer = MaskedAutoregressive(network, univariate).eval()
    x = torch.randn(options["features"]).double()
    u, log_det = layer.inverse(x, context)
    again, opposite = layer(u, context)
    torch.testing.assert_close(again, x)
    torch.testing.assert_close(opposite, -log_det)
    sequence = network.degrees[0].argsort()
    matrix = jacobian(lambda value: layer.inverse(value, context)[0], x)[sequence][:, sequence]
    assert not matrix.triu(1).any()
    torch.testing.assert_close(matrix.diagonal().abs().log().sum(), log_det)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(options())
def test_the_first_feature_depends_on_the_context(options):
    """With "all_layers" through the last layer, with "first_layer" through units of degree 0."""
    options |= {"context_features": 2, "hidden_degrees": "equal"}
    network, context = network_and_context(options)
    first = int(network.degrees[0].argmin())
    x = torch.randn(options["features"]).double()
    gradient = jacobian(lambda value: network(x, value)[first], context)
    assert gradient.any()
