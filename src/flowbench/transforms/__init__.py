"""Invertible maps with log-determinants; forward is noise → data. Start with `base.py`."""

from flowbench.transforms.autoregressive import MaskedAutoregressive
from flowbench.transforms.base import Chain, Inverse, Transform
from flowbench.transforms.coupling import Coupling
from flowbench.transforms.coupling_masks import (
    alternating_mask,
    channel_mask,
    checkerboard_mask,
    leading_mask,
)
from flowbench.transforms.elementwise import Affine, Logit, Standardize
from flowbench.transforms.linear import Permute, TriangularAffine
from flowbench.transforms.normalization import BatchNorm, recompute_statistics
from flowbench.transforms.spectral import LogMagnitude
from flowbench.transforms.spline import RationalQuadraticMap
from flowbench.transforms.univariate import AffineMap, GatedMap, ShiftMap, UnivariateMap

__all__ = [
    "Affine",
    "AffineMap",
    "BatchNorm",
    "Chain",
    "Coupling",
    "GatedMap",
    "Inverse",
    "LogMagnitude",
    "Logit",
    "MaskedAutoregressive",
    "Permute",
    "RationalQuadraticMap",
    "ShiftMap",
    "Standardize",
    "Transform",
    "TriangularAffine",
    "UnivariateMap",
    "alternating_mask",
    "channel_mask",
    "checkerboard_mask",
    "leading_mask",
    "recompute_statistics",
]
