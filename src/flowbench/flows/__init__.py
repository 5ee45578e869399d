"""Densities: a flow is a base distribution pushed through a transform."""

from flowbench.flows.autoregressive import Autoregressive
from flowbench.flows.autoregressive_transform import AutoregressiveTransform, DistributionBase
from flowbench.flows.base import Base, DiagonalNormal, StandardNormal
from flowbench.flows.blockwise import Blockwise
from flowbench.flows.distribution import FlowDistribution
from flowbench.flows.families import BernoulliFamily, Family, GaussianFamily, MixtureFamily
from flowbench.flows.flow import Flow
from flowbench.flows.gaussian import Gaussian
from flowbench.flows.made import MADE
from flowbench.flows.maf import MAF

__all__ = [
    "MADE",
    "MAF",
    "Autoregressive",
    "AutoregressiveTransform",
    "Base",
    "BernoulliFamily",
    "Blockwise",
    "DiagonalNormal",
    "DistributionBase",
    "Family",
    "Flow",
    "FlowDistribution",
    "Gaussian",
    "GaussianFamily",
    "MixtureFamily",
    "StandardNormal",
]
