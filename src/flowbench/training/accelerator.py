"""The kind of device that a training uses, and whether this machine has it."""

import torch

from flowbench.config.errors import ConfigError
from flowbench.config.settings import TrainerKeys
from flowbench.config.words import show

__all__ = ["absent", "chosen", "refuse_absent"]


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


def absent(accelerator: str) -> str | None:
    """Why this machine cannot train on a kind of device, or None if it can.

    Example:
        >>> absent("cpu")
    """
    kind = chosen(accelerator)
    gpus, mps = torch.cuda.device_count(), torch.backends.mps.is_available()
    if (kind == "cuda" and not gpus) or (kind == "gpu" and not (gpus or mps)):
        return (
            "PyTorch finds no GPU on this machine; expected cpu, or auto for a GPU where there is "
            "one"
        )
    return "this machine has no GPU of Apple" if kind == "mps" and not mps else None


def refuse_absent(keys: TrainerKeys) -> None:
    """Refuse devices that this machine does not have.

    Args:
        keys: the settings of the section `trainer`.

    Raises:
        ConfigError: there is no such device, or there are fewer.
    """
    if reason := absent(keys.accelerator):
        raise ConfigError(f"trainer.accelerator={keys.accelerator}: {reason}")
    kind = chosen(keys.accelerator)
    gpus, mps = torch.cuda.device_count(), torch.backends.mps.is_available()
    told = f"trainer.devices={show(keys.devices)}"
    if kind == "cpu":
        if not isinstance(keys.devices, int | str) or keys.devices == -1:
            raise ConfigError(f"{told}: CPUs have no numbers; expected how many processes, from 1")
    elif isinstance(keys.devices, int | str):
        if isinstance(keys.devices, int) and keys.devices > max(gpus, int(mps)):
            raise ConfigError(f"{told}: this machine has {max(gpus, int(mps))}")
    elif not keys.devices or len(set(keys.devices)) < len(keys.devices):
        raise ConfigError(f"{told}: expected the numbers of GPUs, each once")
    elif max(keys.devices) >= max(gpus, int(mps)):
        raise ConfigError(f"{told}: the GPUs of this machine end at {max(gpus, int(mps)) - 1}")
