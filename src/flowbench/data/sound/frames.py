"""What clips are conditioned on: each frame on those before it, and the label."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["ClipContexts", "frame_contexts"]


@dataclass(frozen=True, kw_only=True)
class ClipContexts:
    """The contexts of clips: where a row is a frame those before it and its position; the label.

    Attributes:
        frames: of a whole clip, where a row is a frame; else None.
        count: how many frames condition a frame.
        start: a frame `[coefficients]` that stands for those before the clip.
        labels: in the order of their one-hot form; none where the label is not given.
    """

    frames: int | None
    count: int
    start: NDArray[Any]
    labels: Sequence[str]

    def rows(self, magnitudes: NDArray[Any], labels: Sequence[str]) -> NDArray[np.float32] | None:
        """Contexts in data units, row by row; None where rows have none.

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
        """The preprocessing of contexts that follows from the one of frames; labels stay.

        Args:
            steps: of a frame: perhaps `Log`, perhaps `Standardize`.
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
