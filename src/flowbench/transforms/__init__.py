"""Invertible maps with log-determinants; forward is noise → data. Start with `base.py`."""

from flowbench.transforms.base import Chain, Inverse, Transform
from flowbench.transforms.elementwise import Affine, Logit, Standardize

__all__ = ["Affine", "Chain", "Inverse", "Logit", "Standardize", "Transform"]
