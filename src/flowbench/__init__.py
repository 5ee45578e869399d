"""Normalizing flows in PyTorch, trained with Lightning, configured with Hydra."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from flowbench.elsewhere import unknown_names

if TYPE_CHECKING:
    from flowbench.checkpoint import CheckpointError, load
    from flowbench.density import TrainedDensity
    from flowbench.flows import (
        IAF,
        MADE,
        MAF,
        NICE,
        Blockwise,
        Flow,
        Gaussian,
        GaussianMixture,
        Histogram,
        KernelDensity,
        LatticeMADE,
        LinearGaussian,
        Mixture,
        PixelCNN,
        RealNVP,
    )
    from flowbench.training.fitting import fit

__version__ = "0.1.0.dev0"

__all__ = [
    "IAF",
    "MADE",
    "MAF",
    "NICE",
    "Blockwise",
    "CheckpointError",
    "Flow",
    "Gaussian",
    "GaussianMixture",
    "Histogram",
    "KernelDensity",
    "LatticeMADE",
    "LinearGaussian",
    "Mixture",
    "PixelCNN",
    "RealNVP",
    "TrainedDensity",
    "__version__",
    "fit",
    "load",
]

HOME = {
    "CheckpointError": "flowbench.checkpoint",
    "TrainedDensity": "flowbench.density",
    "fit": "flowbench.training.fitting",
    "load": "flowbench.checkpoint",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that the command's help does not import torch."""
    if name not in __all__:
        unknown_names(__name__)(name)
    return getattr(import_module(HOME.get(name, "flowbench.flows")), name)


def __dir__() -> list[str]:
    return sorted(__all__)
