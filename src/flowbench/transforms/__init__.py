"""Invertible maps with log-determinants; forward is noise → data. Start with `base.py`."""

from flowbench.transforms.autoregressive import MaskedAutoregressive
from flowbench.transforms.base import Chain, Inverse, Transform
from flowbench.transforms.elementwise import Affine, Logit, Standardize
from flowbench.transforms.linear import Permute, TriangularAffine
from flowbench.transforms.normalization import BatchNorm, recompute_statistics
from flowbench.transforms.univariate import AffineMap, UnivariateMap

__all__ = [
    "Affine",
    "AffineMap",
    "BatchNorm",
    "Chain",
    "Inverse",
    "Logit",
    "MaskedAutoregressive",
    "Permute",
    "Standardize",
    "Transform",
    "TriangularAffine",
    "UnivariateMap",
    "recompute_statistics",
]
