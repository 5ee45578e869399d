"""Densities: a flow is a base distribution pushed through a transform."""

from flowbench.flows.base import Base, StandardNormal
from flowbench.flows.flow import Flow
from flowbench.flows.gaussian import Gaussian
from flowbench.flows.maf import MAF

__all__ = ["MAF", "Base", "Flow", "Gaussian", "StandardNormal"]
