"""On which kind of device a training runs."""

import torch

__all__ = ["chosen"]


def chosen(accelerator: str) -> str:
    """What stands for "auto": a GPU of CUDA if there is one, else the processor.

    Apple's GPUs have no float64, which some densities need; they are taken by name only.

    Example:
        >>> chosen("cpu")
        'cpu'
        >>> chosen("auto") == ("cuda" if torch.cuda.is_available() else "cpu")
        True
    """
    if accelerator != "auto":
        return accelerator
    return "cuda" if torch.cuda.is_available() else "cpu"
