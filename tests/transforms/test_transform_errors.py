"""Wrong use, and the sentence that it gets."""

import math

import pytest
import torch
from torch.nn import Identity

from flowbench.nn import AutoregressiveNetwork
from flowbench.nn.mlp import MLP, ShiftAndLogScale
from flowbench.transforms import (
    Affine,
    AffineMap,
    BatchNorm,
    Coupling,
    Folded,
    Logit,
    LULinear,
    MaskedAutoregressive,
    Permute,
    RationalQuadraticMap,
    Reshape,
    Standardize,
    TriangularAffine,
    leading_mask,
)

WRONG = {
    "affine, no size": (lambda: Affine(1.0), "'features' is needed"),
    "affine, zero scale": (lambda: Affine([0.0], [0.0]), "scale finite and not 0"),
    "affine, NaN": (lambda: Affine([float("nan")]), "shift must be finite"),
    "standardize": (lambda: Standardize([0.0], [-1.0]), "must be positive, got [-1.0]"),
    "logit": (lambda: Logit(0.5), "between 0 and 0.5, got 0.5"),
    "permute": (lambda: Permute([0, 2]), "permutation=[0, 2] is not a permutation of 0 … 1"),
    "lu": (lambda: LULinear(3, permutation=[1, 0]), "permutation has 2 entries, expected 3"),
    "batch norm": (lambda: BatchNorm(2, statistics="all"), "statistics='all' is unknown"),
    "batch of one": (
        lambda: BatchNorm(2).inverse(torch.ones(1, 2)),
        "at least two rows, got x of (1, 2); call .eval() to score",
    ),
    "masked autoregressive, params": (
        lambda: MaskedAutoregressive(AutoregressiveNetwork(2, 3)),
        "the conditioner has params=3, expected 2 for AffineMap",
    ),
    "coupling, params": (
        lambda: Coupling(2, MLP(1, 5, outputs=1), num_masked=1),
        "the conditioner has params=5, expected 2 for AffineMap",
    ),
    "singular": (
        lambda: TriangularAffine(2).initialize(torch.ones(5, 2)),
        "singular at feature 1",
    ),
    "bound": (lambda: AffineMap(0.0), "bound=0.0: expected a number above 0 or None"),
    "bins": (
        lambda: RationalQuadraticMap(0),
        "bins=0: expected an integer at least 1 and at most 500",
    ),
    "interval": (lambda: RationalQuadraticMap(bound=-1.0), "bound=-1.0"),
    "reshape": (lambda: Reshape([2, 3], event_shape_in=[5]), "different numbers of elements"),
    "reshape, event": (lambda: Reshape([2, 3])(torch.zeros(5)), "expected [..., (6,)]"),
    "no groups": (lambda: Folded(Logit(), groups=0), "groups=0: expected at least 1"),
    "unequal groups": (
        lambda: Folded(Logit(), groups=2).inverse(torch.zeros(5)),
        "5 features has no 2 equal groups",
    ),
    "masked, neither": (lambda: leading_mask(3), "num_masked=None and fraction_masked=None"),
    "masked, both": (
        lambda: leading_mask(3, num_masked=1, fraction_masked=0.5),
        "num_masked=1 and fraction_masked=0.5: expected one of them",
    ),
    "masked, too many": (
        lambda: leading_mask(3, num_masked=3),
        "expected an integer from -2 to 2",
    ),
    "masked, too few": (lambda: leading_mask(3, num_masked=-3), "num_masked=-3"),
    "masked, no integer": (lambda: leading_mask(3, num_masked=1.5), "num_masked=1.5: expected an"),
    "masked, truth": (lambda: leading_mask(3, num_masked=True), "num_masked=True: expected an"),
    "masked, fraction truth": (
        lambda: leading_mask(3, fraction_masked=True),
        "fraction_masked=True: expected a number",
    ),
    "masked, fraction NaN": (lambda: leading_mask(3, fraction_masked=math.nan), "=nan: expected"),
    "masked, fraction": (lambda: leading_mask(3, fraction_masked=1.5), "fraction_masked=1.5"),
    "mask and number": (
        lambda: Coupling(2, Identity(), mask=torch.ones(2).bool(), num_masked=1),
        "neither num_masked nor fraction_masked",
    ),
    "mask, dtype": (
        lambda: Coupling(2, Identity(), mask=torch.ones(2)),
        "mask has dtype torch.float32 and shape (2,), expected bool [2]",
    ),
    "mask, shape": (
        lambda: Coupling(3, Identity(), mask=torch.ones(2).bool()),
        "shape (2,), expected bool [3]",
    ),
    "conditioner": (
        lambda: Coupling(3, MLP(1, outputs=1), num_masked=1)(torch.zeros(3)),
        "returned shape (1, 2), expected [..., 2, 2]",
    ),
    "no networks": (lambda: ShiftAndLogScale(), "both None: expected at least one"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_use_is_told_in_one_sentence(name):
    build, message = WRONG[name]
    with pytest.raises(ValueError) as error:
        build()
    assert message in str(error.value)
    assert "\n" not in str(error.value)
