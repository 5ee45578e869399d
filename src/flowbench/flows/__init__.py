"""Densities: a flow is a base distribution pushed through a transform."""

from typing import TYPE_CHECKING

from flowbench.elsewhere import unknown_names
from flowbench.flows.autoregressive import Autoregressive
from flowbench.flows.autoregressive_transform import AutoregressiveTransform, DistributionBase
from flowbench.flows.base import Base, DiagonalNormal, StandardNormal
from flowbench.flows.blockwise import Blockwise, SharedBlocks, equal_blocks
from flowbench.flows.conditional import ConditionalNormal
from flowbench.flows.distribution import FlowDistribution
from flowbench.flows.families import BernoulliFamily, Family, GaussianFamily, MixtureFamily
from flowbench.flows.flow import Flow
from flowbench.flows.gaussian import Gaussian
from flowbench.flows.gaussian_mixture import GaussianMixture
from flowbench.flows.histogram import Histogram
from flowbench.flows.iaf import IAF
from flowbench.flows.johnson import Johnson, johnson_of
from flowbench.flows.kernel import KernelDensity
from flowbench.flows.lattice_made import LatticeMADE
from flowbench.flows.linear_gaussian import LinearGaussian
from flowbench.flows.made import MADE
from flowbench.flows.maf import MAF
from flowbench.flows.mixed_made import MixedMADE
from flowbench.flows.mixture import Mixture, ensemble, mixture_of
from flowbench.flows.nice import NICE
from flowbench.flows.pixelcnn import PixelCNN
from flowbench.flows.realnvp import RealNVP

__all__ = [
    "IAF",
    "MADE",
    "MAF",
    "NICE",
    "Autoregressive",
    "AutoregressiveTransform",
    "Base",
    "BernoulliFamily",
    "Blockwise",
    "ConditionalNormal",
    "DiagonalNormal",
    "DistributionBase",
    "Family",
    "Flow",
    "FlowDistribution",
    "Gaussian",
    "GaussianFamily",
    "GaussianMixture",
    "Histogram",
    "Johnson",
    "KernelDensity",
    "LatticeMADE",
    "LinearGaussian",
    "MixedMADE",
    "Mixture",
    "MixtureFamily",
    "PixelCNN",
    "RealNVP",
    "SharedBlocks",
    "StandardNormal",
    "ensemble",
    "equal_blocks",
    "johnson_of",
    "mixture_of",
]

if not TYPE_CHECKING:  # to type checkers, a module with a __getattr__ has every name
    __getattr__ = unknown_names(__name__)
