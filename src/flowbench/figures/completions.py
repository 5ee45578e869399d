"""Lower halves of pictures, drawn given the upper halves."""

from pathlib import Path

import torch

from flowbench.data import ImageDataModule
from flowbench.figures.pictures import save_pictures
from flowbench.flows import Flow
from flowbench.flows.autoregressive_levels import AutoregressiveLevels

__all__ = ["can_complete", "draw_completions"]

PICTURES = 8


def can_complete(flow: Flow, data: ImageDataModule) -> bool:
    """Whether lower halves are drawn at the cost of a sample: by a model of levels in order."""
    base, known = flow.base, _upper_half(data)
    if not isinstance(base, AutoregressiveLevels):
        return False
    return sorted(base.network.order[:known]) == list(range(known))


def draw_completions(flow: Flow, data: ImageDataModule, path: Path) -> None:
    """Draw a line for each of eight test rows: the picture, and seven ways to complete its top.

    Args:
        flow: of which `can_complete` holds.
        data: the data module, set up.
        path: of the picture.
    """
    assert isinstance(flow.base, AutoregressiveLevels)
    rows = data.rows["test"]
    index = torch.linspace(0, len(rows) - 1, min(PICTURES, len(rows))).long()
    context = None if rows.context is None else rows.context[index]
    if context is not None and flow.embedding is not None:
        context = flow.embedding(context)
    known, copies = flow.transform.inverse(rows.x[index])[0], PICTURES - 1
    drawn = flow.base.completed(
        known.repeat_interleave(copies, 0),
        _upper_half(data),
        None if context is None else context.repeat_interleave(copies, 0),
    )
    lines = torch.cat([known.unsqueeze(1).to(drawn), drawn.unflatten(0, (-1, copies))], dim=1)
    save_pictures(data.pictures(lines.flatten(0, 1)), path, columns=PICTURES)


def _upper_half(data: ImageDataModule) -> int:
    """The number of values in the upper half of a picture."""
    height, width, channels = data.image_shape
    return height // 2 * width * channels
