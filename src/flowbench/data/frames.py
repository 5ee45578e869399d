"""Frames of a clip, each conditioned on those before it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["frame_context_steps", "frame_contexts"]


def frame_contexts(
    magnitudes: NDArray[Any], *, count: int, start: NDArray[Any], frames: int
) -> NDArray[np.float32]:
    """What precedes every frame: `count` frames, the oldest first, and the position in the clip.

    Args:
        magnitudes: `[clips, n, coefficients]`, the first n frames of clips.
        count: how many frames.
        start: a frame `[coefficients]` that stands for those before the clip.
        frames: of a whole clip; the position goes from 0 at the first to 1 at the last.

    Returns:
        `[clips, n, count · coefficients + 1]`.

    Example:
        >>> frame_contexts(np.array([[[5], [6], [7]]]), count=2, start=np.zeros(1), frames=3)
        array([[[0. , 0. , 0. ],
                [0. , 5. , 0.5],
                [5. , 6. , 1. ]]], dtype=float32)
    """
    clips, n, coefficients = magnitudes.shape
    contexts = np.empty((clips, n, count * coefficients + 1), np.float32)
    for back in range(1, count + 1):
        part = slice((count - back) * coefficients, (count - back + 1) * coefficients)
        contexts[:, :back, part] = start
        contexts[:, back:, part] = magnitudes[:, : n - back] if n > back else 0
    contexts[..., -1] = np.arange(n) / max(1, frames - 1)
    return contexts


def frame_context_steps(
    steps: list[dict[str, Any]], *, count: int, coefficients: int, labels: int
) -> list[dict[str, Any]]:
    """The preprocessing of contexts that follows from the one of frames.

    Args:
        steps: of a frame: perhaps `Log`, perhaps `Standardize`.
        count: frames in a context.
        coefficients: of a frame.
        labels: one-hot features after the position; they stay as they are.
    """
    result: list[dict[str, Any]] = []
    for step in steps:
        if step["name"] == "Log" and count:
            result.append(step | {"columns": list(range(count * coefficients))})
        elif step["name"] == "Standardize":
            mean = [*step["mean"] * count, 0.5, *[0.0] * labels]
            std = [*step["std"] * count, 12**-0.5, *[1.0] * labels]
            result.append(step | {"mean": mean, "std": std})
    return result
