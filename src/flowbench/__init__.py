"""Normalizing flows in PyTorch, trained with Lightning, configured with Hydra."""

from flowbench.checkpoint import load
from flowbench.flows import MAF, Flow, Gaussian

__version__ = "0.1.0.dev0"

__all__ = ["MAF", "Flow", "Gaussian", "__version__", "load"]
