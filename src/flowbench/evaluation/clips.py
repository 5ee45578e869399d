"""Events that are several rows, as clips of frames are: their likelihoods, and draws of them."""

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flowbench.data import DataModule, SoundDataModule

__all__ = ["Sampler", "per_event", "rows_per_event", "sample_clips"]


class Sampler(Protocol):
    """What draws `[n, *context_batch, features]` in data units, as `flowbench.load` gives it."""

    def sample(self, n: int, context: Tensor | None = None) -> Tensor:
        """Draw n rows for every context."""
        ...


def rows_per_event(data: DataModule) -> int:
    """How many rows make up what was observed: a clip has one per frame, if it is a sequence."""
    return data.rows_per_clip if isinstance(data, SoundDataModule) else 1


def per_event(terms: Tensor, data: DataModule) -> Tensor:
    """Log-likelihoods of events `[events]`: log p(clip) = Σ log p(frame | frames before it).

    Args:
        terms: those of all rows of a split `[rows]`, whichever ranks have scored them.
        data: the data module, set up.
    """
    return terms.reshape(-1, rows_per_event(data)).sum(-1)


def sample_clips(
    density: Sampler, data: SoundDataModule, *, n: int, label: str | None = None
) -> NDArray[np.float64]:
    """Draw the magnitudes of n clips, `[≤ n, frames, coefficients]`; a sequence frame by frame.

    Clips whose frames run away to values that are not finite are left out.

    Args:
        density: of the rows of `data`.
        data: the data module, set up.
        n: how many clips, those left out among them.
        label: of the clips, where the label is (part of) the context.

    Raises:
        ValueError: the label is needed and not known, or no clip is finite.
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
    """Whether rows `[n, features]` can be given to a density, in float32: 0 may have no log."""
    u, log_det = data.preprocess.inverse(drawn.float().double())
    return (u.isfinite().all(-1) & log_det.isfinite()).numpy()
