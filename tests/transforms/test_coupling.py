"""Which features a coupling leaves unchanged, and what the others may depend on."""

import numpy as np
import pytest
import torch
from torch.autograd.functional import jacobian
from transform_layers import FEATURES, coupling, events

from flowbench.nn.mlp import MLP
from flowbench.transforms import (
    Coupling,
    alternating_mask,
    channel_mask,
    checkerboard_mask,
    leading_mask,
)


@pytest.mark.parametrize(
    ("options", "masked"),
    [
        ({"num_masked": 0}, []),
        ({"num_masked": 2}, [0, 1]),
        ({"num_masked": 4}, [0, 1, 2, 3]),
        ({"num_masked": -1}, [4]),
        ({"num_masked": -4}, [1, 2, 3, 4]),
        ({"fraction_masked": 0.0}, []),
        ({"fraction_masked": 0.19}, []),
        ({"fraction_masked": 0.5}, [0, 1]),
        ({"fraction_masked": 0.99}, [0, 1, 2, 3]),
        ({"fraction_masked": 1.0}, [0, 1, 2, 3, 4]),
        ({"fraction_masked": -0.5}, [3, 4]),
        ({"fraction_masked": -0.19}, []),
        ({"fraction_masked": -1.0}, [0, 1, 2, 3, 4]),
    ],
    ids=str,
)
def test_leading_masks(options, masked):
    assert leading_mask(5, **options).nonzero().flatten().tolist() == masked


def test_a_fraction_counts_as_it_is_written():
    for hundredths in range(-100, 101):
        mask = leading_mask(100, fraction_masked=hundredths / 100)
        assert int(mask.sum()) == abs(hundredths)
    assert int(leading_mask(50, fraction_masked=np.float32(0.58)).sum()) == 29
    assert int(leading_mask(3, fraction_masked=0.999).sum()) == 2


@pytest.mark.parametrize("mask", [[1, 0, 0, 0], [0, 1, 0, 1], [1, 0, 1, 1], [0, 0, 0, 0]], ids=str)
def test_mapped_features_depend_on_the_masked_ones_and_on_themselves(mask):
    mask = torch.tensor(mask).bool()
    layer = coupling(mask=mask).double()
    x = events()
    matrix = jacobian(lambda value: layer.inverse(value)[0], x)
    assert torch.equal(layer.inverse(x)[0][mask], x[mask])
    expected = (~mask[:, None] & mask) | torch.eye(FEATURES).bool()
    assert torch.equal(matrix != 0, expected)


def test_with_all_features_masked_it_is_the_identity():
    layer = Coupling(FEATURES, torch.nn.Identity(), fraction_masked=1.0)
    x, log_det = layer(events(3))
    assert torch.equal(x, events(3))
    assert not log_det.any()


def test_a_single_feature_is_mapped_by_a_constant():
    layer = Coupling(1, MLP(0, outputs=1, hidden_units=[3]), fraction_masked=0.5)
    assert layer(torch.ones(7, 1))[1].shape == (7,)


def test_a_mask_is_restored():
    options = {"outputs": 2, "hidden_units": [3]}
    layer = Coupling(4, MLP(2, **options), mask=alternating_mask(4))
    other = Coupling(4, MLP(2, **options), num_masked=2)
    other.load_state_dict(layer.state_dict())
    x = torch.randn(5, 4)
    assert torch.equal(other(x)[0], layer(x)[0])


def test_checkerboard_by_hand():
    rows = checkerboard_mask(3, 4, channels=2, start=1).view(2, 3, 4).int().tolist()
    assert rows == [[[0, 1, 0, 1], [1, 0, 1, 0], [0, 1, 0, 1]]] * 2


def test_channels_by_hand():
    assert channel_mask(3, 2, 2).view(3, 4).all(-1).tolist() == [True, True, False]
    assert channel_mask(4, 1, 2, start=1).tolist() == [False] * 4 + [True] * 4


@pytest.mark.parametrize(
    "mask",
    [
        lambda start: alternating_mask(7, start=start),
        lambda start: checkerboard_mask(3, 5, channels=2, start=start),
        lambda start: channel_mask(3, 2, 2, start=start),
    ],
)
def test_the_two_starts_are_complements(mask):
    assert torch.equal(mask(0), ~mask(1))
    with pytest.raises(ValueError, match="start=2: expected 0 or 1"):
        mask(2)
