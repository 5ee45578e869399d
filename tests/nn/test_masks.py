"""Masks, entry by entry, against matrices written out by hand."""

from itertools import accumulate, pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from flowbench.nn import AutoregressiveNetwork, autoregressive_masks
from flowbench.nn.masks import assign_degrees, input_degrees

# (features, params, hidden units, order) → masks [out, in], by the allocation of TFP.
BY_HAND = [
    ((2, 1, [], "left-to-right"), [[[0, 0], [1, 0]]]),
    ((2, 2, [], "right-to-left"), [[[0, 1], [0, 1], [0, 0], [0, 0]]]),
    ((1, 2, [3], "left-to-right"), [[[0], [0], [0]], [[1, 1, 1], [1, 1, 1]]]),
    # Four units of the degrees ⌈2/5⌉, ⌈4/5⌉, ⌈6/5⌉, ⌈8/5⌉ = 1, 1, 2, 2.
    (
        (3, 1, [4], "left-to-right"),
        [
            [[1, 0, 0], [1, 0, 0], [1, 1, 0], [1, 1, 0]],
            [[0, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 1]],
        ],
    ),
    # Inputs of the degrees 2, 3, 1; units of 1, 2 and then of 1, 1, 2.
    (
        (3, 1, [2, 3], [2, 3, 1]),
        [
            [[0, 0, 1], [1, 0, 1]],
            [[1, 0], [1, 0], [1, 1]],
            [[1, 1, 0], [1, 1, 1], [0, 0, 0]],
        ],
    ),
    # A layer narrower than the event: one unit of degree ⌈3/2⌉ = 2, and below it nothing lower.
    (
        (4, 1, [1, 2], "left-to-right"),
        [[[1, 1, 0, 0]], [[1], [1]], [[0, 0], [0, 0], [1, 1], [1, 1]]],
    ),
]


@pytest.mark.parametrize(("options", "expected"), BY_HAND, ids=str)
def test_masks_by_hand(options, expected):
    features, params, hidden_units, order = options
    masks = autoregressive_masks(features, params, hidden_units, order)
    assert [mask.int().tolist() for mask in masks] == expected


@pytest.mark.parametrize(
    ("features", "hidden_units", "expected"),
    [
        (3, [4], [[1, 1, 2, 2]]),
        (5, [3], [[1, 2, 3]]),
        (6, [2, 2], [[2, 4], [2, 4]]),
        (4, [6], [[1, 1, 2, 2, 3, 3]]),
        (2, [3, 1], [[1, 1, 1], [1]]),
    ],
)
def test_equal_degrees_by_hand(features, hidden_units, expected):
    degrees = assign_degrees(input_degrees(features), hidden_units)
    assert [layer.tolist() for layer in degrees[1:]] == expected


def test_degrees_from_zero_by_hand():
    degrees = assign_degrees(input_degrees(3), [6, 2], from_zero=True)
    assert [layer.tolist() for layer in degrees[1:]] == [[0, 0, 1, 1, 2, 2], [0, 1]]


@pytest.mark.parametrize("order", [[2, 0, 1], [3, 1, 2]], ids=["from 0", "from 1"])
def test_explicit_orders_are_degrees(order):
    assert input_degrees(3, order).tolist() == [3, 1, 2]


def test_random_choices_follow_the_generator():
    first, again, other = (
        autoregressive_masks(
            9, 2, [20, 20], "random", "random", generator=torch.Generator().manual_seed(seed)
        )
        for seed in (1, 1, 2)
    )
    assert all(map(torch.equal, first, again))
    assert not all(map(torch.equal, first, other))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    features=st.integers(1, 6),
    params=st.integers(1, 3),
    hidden_units=st.lists(st.integers(1, 8), max_size=3),
    order=st.sampled_from(["left-to-right", "right-to-left", "random"]),
    degrees=st.sampled_from(["equal", "random"]),
    seed=st.integers(0, 99),
)
def test_paths_lead_from_earlier_inputs_only(features, params, hidden_units, order, degrees, seed):
    """The product of the masks counts the paths from an input to an output."""
    generator = torch.Generator().manual_seed(seed)
    inputs = input_degrees(features, order, torch.Generator().manual_seed(seed))
    masks = autoregressive_masks(features, params, hidden_units, order, degrees, generator)
    sizes = [features, *hidden_units, features * params]
    assert [mask.shape for mask in masks] == [(above, below) for below, above in pairwise(sizes)]
    *_, paths = accumulate((mask.long() for mask in masks), lambda below, above: above @ below)
    earlier = (inputs[:, None] > inputs).repeat_interleave(params, dim=0)
    assert not paths[~earlier].any()
    if not hidden_units:
        assert torch.equal(paths.bool(), earlier)


@pytest.mark.parametrize("features", [2, 3, 7])
def test_wide_layers_leave_no_earlier_input_out(features):
    masks = autoregressive_masks(features, 1, [5 * features, 5 * features])
    *_, paths = accumulate((mask.long() for mask in masks), lambda below, above: above @ below)
    assert torch.equal(paths.bool(), torch.ones(features, features).tril(-1).bool())


def test_a_network_has_these_masks():
    network = AutoregressiveNetwork(4, 2, hidden_units=[5, 6], input_order=[3, 1, 0, 2])
    expected = autoregressive_masks(4, 2, [5, 6], [3, 1, 0, 2])
    for layer, mask in zip(network.layers, expected, strict=True):
        assert torch.equal(layer.mask.bool(), mask)
        assert not layer.weight[~mask].any()


def test_a_restored_network_has_the_masks_of_the_one_that_was_saved():
    options = {"hidden_units": [8, 8], "input_order": "random", "hidden_degrees": "random"}
    network, other = (AutoregressiveNetwork(6, seed=seed, **options) for seed in (1, 2))
    other.load_state_dict(network.state_dict())
    for layer, copy in zip(network.layers, other.layers, strict=True):
        assert torch.equal(layer.mask, copy.mask)
