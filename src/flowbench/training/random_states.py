"""The states of all random generators, as plain values that a checkpoint may hold."""

import random
from typing import Any

import numpy as np
import torch

__all__ = ["random_states", "restore_random_states"]


def random_states() -> dict[str, Any]:
    """The states of torch, of the current CUDA device, of NumPy and of Python."""
    generator = np.random.get_state(legacy=False)
    assert isinstance(generator, dict)
    key = torch.from_numpy(generator["state"]["key"].astype(np.int64))
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
        "numpy": generator | {"state": {**generator["state"], "key": key}},
        "python": random.getstate(),
    }


def restore_random_states(states: dict[str, Any]) -> None:
    """Continue with the numbers that would have come next.

    Example:
        >>> states = random_states()
        >>> drawn = random.random(), np.random.rand(), torch.rand(1)
        >>> restore_random_states(states)
        >>> drawn == (random.random(), np.random.rand(), torch.rand(1))
        True
    """
    torch.set_rng_state(states["torch"].cpu())
    if states["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"].cpu())
    key = states["numpy"]["state"]["key"].cpu().numpy().astype(np.uint32)
    np.random.set_state(states["numpy"] | {"state": {**states["numpy"]["state"], "key": key}})
    random.setstate(states["python"])
