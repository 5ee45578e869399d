"""What clips are conditioned on: each frame on those before it, and the label."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["ClipContexts", "frame_contexts"]


@dataclass(frozen=True, kw_only=True)
class ClipContexts:
    """The contexts of clips: for frame rows, earlier frames and the position; then the label.

    Attributes:
        frames: number of frames in a whole clip if a row is a frame; else None.
        count: number of earlier frames that a frame is conditioned on.
        start: a frame `[coefficients]` that stands in for those before the clip.
        labels: labels in one-hot order; empty if the label is not part of the context.
    """

    frames: int | None
    count: int
    start: NDArray[Any]
    labels: Sequence[str]

    def rows(self, magnitudes: NDArray[Any], labels: Sequence[str]) -> NDArray[np.float32] | None:
        """Contexts in data units, one per row; None if rows have none.

        Args:
            magnitudes: `[clips, n, coefficients]`, the first n frames of clips.
            labels: one per clip.
        """
        parts, rows = [], 1
        if self.frames is not None:
            sizes = {"count": self.count, "frames": self.frames}
            parts.append(frame_contexts(magnitudes, start=self.start, **sizes))
            rows = magnitudes.shape[1]
        if self.labels:
            one_hot = np.eye(len(self.labels), dtype=np.float32)
            codes = one_hot[[self.labels.index(label) for label in labels]]
            parts.append(np.repeat(codes[:, None], rows, axis=1))
        if not parts:
            return None
        joined = np.concatenate(parts, axis=-1)
        return joined.reshape(-1, joined.shape[-1])

    def preprocess(self, steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The preprocessing of contexts derived from that of frames; labels are left unchanged.

        Args:
            steps: preprocessing of a frame: perhaps `Log`, perhaps `Standardize`.
        """
        if self.frames is None:
            return []
        result: list[dict[str, Any]] = []
        for step in steps:
            if step["name"] == "Log" and self.count:
                result.append(step | {"columns": list(range(self.count * len(self.start)))})
            elif step["name"] == "Standardize":
                mean = [*step["mean"] * self.count, 0.5, *[0.0] * len(self.labels)]
                std = [*step["std"] * self.count, 12**-0.5, *[1.0] * len(self.labels)]
                result.append(step | {"mean": mean, "std": std})
        return result


def frame_contexts(
    magnitudes: NDArray[Any], *, count: int, start: NDArray[Any], frames: int
) -> NDArray[np.float32]:
    """The context of every frame: `count` earlier frames, oldest first, and its position.

    Args:
        magnitudes: `[clips, n, coefficients]`, the first n frames of clips.
        count: number of earlier frames.
        start: a frame `[coefficients]` that stands in for those before the clip.
        frames: number in a whole clip; the position goes from 0 at the first to 1 at the last.

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
