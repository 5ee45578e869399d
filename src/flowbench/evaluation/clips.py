"""Events of several rows, such as clips of frames: their log-likelihoods and samples."""

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flowbench.data import DataModule, SoundDataModule

__all__ = ["Sampler", "per_event", "rows_per_event", "sample_clips"]


class Sampler(Protocol):
    """What draws samples in data units, such as the density that `flowbench.load` returns."""

    def sample(self, n: int, context: Tensor | None = None) -> Tensor:
        """Draw `[n, *context_batch, features]`."""
        ...


def rows_per_event(data: DataModule) -> int:
    """How many rows make up an event: one, or one per frame of a clip."""
    return data.rows_per_clip if isinstance(data, SoundDataModule) else 1


def per_event(terms: Tensor, data: DataModule) -> Tensor:
    """Log-likelihoods of events `[events]`: log p(clip) = Σ log p(frame | frames before it).

    Args:
        terms: log-likelihoods of all rows of a split `[rows]`.
        data: the data module, set up.
    """
    return terms.reshape(-1, rows_per_event(data)).sum(-1)


def sample_clips(
    density: Sampler, data: SoundDataModule, *, n: int, label: str | None = None
) -> NDArray[np.float64]:
    """Draw the magnitudes of n clips, `[≤ n, frames, coefficients]`; a sequence frame by frame.

    Clips whose frames diverge to values that are not finite are left out.

    Args:
        density: of the rows of `data`.
        data: the data module, set up.
        n: how many clips, including those left out.
        label: of the clips, where the label is (part of) the context.

    Raises:
        ValueError: the label is unknown, or no clip is finite.
    """
    if data.label_context and label not in data.labels:
        raise ValueError(f"label={label!r} is not one of the labels {data.labels}")
    steps = data.frames if data.sequence else 1
    clips = np.zeros((n, data.frames, data.coefficients))
    for step in range(steps):
        n = len(clips)
        contexts = data.contexts(clips[:, : step + 1], [label or ""] * n)
        if contexts is None:
            drawn = density.sample(n).cpu().double()
        else:
            present = torch.from_numpy(contexts.reshape(n, -1, contexts.shape[-1])[:, -1])
            drawn = density.sample(1, present)[0].cpu().double()
        finite = _is_finite(drawn, data)
        if not finite.any():
            raise ValueError(
                f"frame {step + 1} of the drawn clips is not finite: given frames unlike those of "
                "the data, the density runs away from them; train it longer"
            )
        drawn, clips = drawn.numpy()[finite], clips[finite]
        if not data.sequence:
            return data.spectrograms(drawn)
        clips[:, step] = drawn
    return clips


def _is_finite(drawn: Tensor, data: SoundDataModule) -> NDArray[np.bool_]:
    """Whether rows `[n, features]` stay finite in preprocessing, in float32: 0 may have no log."""
    u, log_det = data.preprocess.inverse(drawn.float().double())
    return (u.isfinite().all(-1) & log_det.isfinite()).numpy()
