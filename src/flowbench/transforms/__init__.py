"""Invertible maps with log-determinants; forward is noise → data. Start with `base.py`."""

from typing import TYPE_CHECKING

from flowbench.elsewhere import unknown_names
from flowbench.transforms.actnorm import ActNorm
from flowbench.transforms.autoregressive import MaskedAutoregressive
from flowbench.transforms.base import Chain, Inverse, Transform
from flowbench.transforms.circular import CircularSplineMap
from flowbench.transforms.coupling import Coupling
from flowbench.transforms.coupling_masks import (
    alternating_mask,
    channel_mask,
    checkerboard_mask,
    leading_mask,
)
from flowbench.transforms.elementwise import Affine, Logit, Standardize
from flowbench.transforms.johnson import JohnsonSU
from flowbench.transforms.linear import LULinear, Permute, TriangularAffine
from flowbench.transforms.normalization import BatchNorm, recompute_statistics, weighing
from flowbench.transforms.preprocessing import Angle, Bounded, Clip, Log
from flowbench.transforms.reshape import Folded, Reshape
from flowbench.transforms.spline import RationalQuadraticMap
from flowbench.transforms.univariate import AffineMap, GatedMap, ShiftMap, UnivariateMap

__all__ = [
    "ActNorm",
    "Affine",
    "AffineMap",
    "Angle",
    "BatchNorm",
    "Bounded",
    "Chain",
    "CircularSplineMap",
    "Clip",
    "Coupling",
    "Folded",
    "GatedMap",
    "Inverse",
    "JohnsonSU",
    "LULinear",
    "Log",
    "Logit",
    "MaskedAutoregressive",
    "Permute",
    "RationalQuadraticMap",
    "Reshape",
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
    "weighing",
]

if not TYPE_CHECKING:  # to type checkers, a module with a __getattr__ has every name
    __getattr__ = unknown_names(__name__)
