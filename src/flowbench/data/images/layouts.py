"""The order of the pixels and channels of an image in a flat vector."""

from typing import Any, Literal

import numpy as np

__all__ = ["Layout", "PixelOrder", "layout_steps"]

Layout = Literal["interleaved", "planar", "shared_channels", "separate_channels"]
PixelOrder = Literal["raster", "reversed", "random"]


def layout_steps(
    shape: tuple[int, int, int], *, layout: Layout, pixel_order: PixelOrder, seed: int
) -> list[dict[str, Any]]:
    """The preprocessing that brings images into a layout; empty if they already have it.

    Data units have the layout `[height, width, channels]`, in raster order: r0 g0 b0 r1 g1 b1 ….
    It is a permutation, so samples can be turned back into images in any layout.

    Args:
        shape: height, width, channels.
        layout: "interleaved" keeps the channels of a pixel together; all others put channel after
            channel, `[channels, pixels]`.
        pixel_order: row by row, from the last pixel to the first, or drawn at random; the
            channels keep their order.
        seed: seed of the random order.

    Example:
        >>> layout_steps((1, 2, 3), layout="planar", pixel_order="raster", seed=0)
        [{'name': 'Permute', 'permutation': [0, 2, 4, 1, 3, 5]}]
    """
    height, width, channels = shape
    pixels = np.arange(height * width)
    if pixel_order == "reversed":
        pixels = pixels[::-1]
    elif pixel_order == "random":
        pixels = np.random.RandomState(seed).permutation(pixels)
    source = pixels[:, None] * channels + np.arange(channels)
    source = source if layout == "interleaved" else source.T
    permutation = np.argsort(source.reshape(-1)).tolist()
    if permutation == sorted(permutation):
        return []
    return [{"name": "Permute", "permutation": permutation}]
