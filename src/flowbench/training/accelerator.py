"""The kind of device that a training uses."""

import torch

__all__ = ["chosen"]


def chosen(accelerator: str) -> str:
    """The accelerator, with "auto" resolved: a CUDA GPU if there is one, else the CPU.

    Apple's GPUs have no float64, which some densities need; they must be named explicitly.

    Example:
        >>> chosen("cpu")
        'cpu'
        >>> chosen("auto") == ("cuda" if torch.cuda.is_available() else "cpu")
        True
    """
    if accelerator != "auto":
        return accelerator
    return "cuda" if torch.cuda.is_available() else "cpu"
