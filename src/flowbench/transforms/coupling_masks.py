"""Masks of coupling layers: which features are left unchanged.

Image masks are for flat events `[channels * height * width]`, channels first. `start`, 0 or 1,
selects which half is left unchanged; a stack of layers alternates between them.
"""

from fractions import Fraction
from numbers import Integral, Real

import torch
from torch import Tensor

__all__ = ["alternating_mask", "channel_mask", "checkerboard_mask", "leading_mask"]


def leading_mask(
    features: int, *, num_masked: int | None = None, fraction_masked: float | None = None
) -> Tensor:
    """Mask (leave unchanged) the first features, or the last ones if the number is negative.

    Args:
        features: size of the event.
        num_masked: number of features, from −(features − 1) to features − 1.
        fraction_masked: fraction of the features, from −1 to 1; their number is rounded toward
            zero, in decimal arithmetic, so that 0.29 of 100 features is 29.

    Returns:
        Bool `[features]`.

    Raises:
        ValueError: both or neither are given, or the given one is out of range.

    Example:
        >>> leading_mask(4, num_masked=1)
        tensor([ True, False, False, False])
        >>> leading_mask(5, fraction_masked=-0.5)
        tensor([False, False, False,  True,  True])
    """
    if (num_masked is None) == (fraction_masked is None):
        raise ValueError(
            f"num_masked={num_masked} and fraction_masked={fraction_masked}: expected one of them"
        )
    if num_masked is not None:
        count = _number(num_masked, features)
    else:
        count = _share(fraction_masked, features)
    index = torch.arange(features, device="cpu")
    return index < count if count >= 0 else index >= features + count


def _number(given: object, features: int) -> int:
    if isinstance(given, bool) or not isinstance(given, Integral) or abs(int(given)) >= features:
        raise ValueError(
            f"num_masked={given}: expected an integer from {1 - features} to {features - 1}, "
            f"for {features} features"
        )
    return int(given)


def _share(given: object, features: int) -> int:
    if isinstance(given, bool) or not isinstance(given, Real) or not -1 <= float(given) <= 1:
        raise ValueError(f"fraction_masked={given}: expected a number from −1 to 1")
    return int(features * Fraction(str(given)))


def alternating_mask(features: int, *, start: int = 0) -> Tensor:
    """Every second feature is left unchanged, starting with feature `start`.

    Example:
        >>> alternating_mask(4, start=1)
        tensor([False,  True, False,  True])
    """
    return torch.arange(features, device="cpu") % 2 == _checked(start)


def checkerboard_mask(height: int, width: int, *, channels: int = 1, start: int = 0) -> Tensor:
    """Pixels with an even sum of row and column are left unchanged, in all channels.

    Args:
        height: of the image, in pixels.
        width: of the image, in pixels.
        channels: number of channels.
        start: 1 for odd sums.

    Returns:
        Bool `[channels * height * width]`.

    References:
        Dinh et al. 2017 (arXiv:1605.08803), section 3.4.

    Example:
        >>> checkerboard_mask(2, 3).view(2, 3).int()
        tensor([[1, 0, 1],
                [0, 1, 0]], dtype=torch.int32)
    """
    board = (
        torch.arange(height, device="cpu")[:, None] + torch.arange(width, device="cpu")
    ) % 2 == _checked(start)
    return board.flatten().repeat(channels)


def channel_mask(channels: int, height: int, width: int, *, start: int = 0) -> Tensor:
    """The first half of the channels (the larger if they are odd) is left unchanged.

    Args:
        channels: number of channels.
        height: of the image, in pixels.
        width: of the image, in pixels.
        start: 1 for the second half.

    Returns:
        Bool `[channels * height * width]`.

    References:
        Dinh et al. 2017 (arXiv:1605.08803), section 3.4.

    Example:
        >>> channel_mask(3, 1, 2)
        tensor([ True,  True,  True,  True, False, False])
    """
    half = (torch.arange(channels, device="cpu") >= (channels + 1) // 2).long() == _checked(start)
    return half.repeat_interleave(height * width)


def _checked(start: int) -> int:
    if start not in (0, 1):
        raise ValueError(f"start={start}: expected 0 or 1")
    return start
