"""How exactly a transform undoes itself in the arithmetic at hand.

In float32 a round trip of every single layer loses less than 10⁻⁴ of the largest value of a row on
standard normal inputs, and less than 0.1 on Student's t with 2 degrees of freedom, scaled by up to
10⁴. Ten affine layers with batch norms on standardised data, as in a run, stay below 10⁻⁴ and, for
all of those data, 10⁻². Relu networks without norms have no such bound: far out the log-scales
saturate layer after layer, and the values grow until they overflow. The error is then NaN, never a
number; tanh networks are bounded there.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from flowbench.transforms import Transform

__all__ = ["RoundTripError", "round_trip_error"]


class RoundTripError(NamedTuple):
    """The largest error over all rows; NaN where a value on the way is not finite.

    Attributes:
        absolute: max |x′ − x|, in the units of x.
        relative: max over rows of max |x′ − x| / max |x|, of the row.
    """

    absolute: float
    relative: float


@torch.no_grad()
def round_trip_error(
    transform: Transform, x: Tensor, context: Tensor | None = None
) -> RoundTripError:
    """The error of data → noise → data; `Inverse(transform)` gives that of the other round.

    Args:
        transform: the map; its batch norms are in evaluation mode.
        x: on the data side, `[rows, features]`, none of them zero throughout.
        context: `[rows, context_features]`, or None.

    Example:
        >>> import torch
        >>> from flowbench.transforms import Permute
        >>> round_trip_error(Permute([1, 0]), torch.tensor([[3.0, 4.0]]))
        RoundTripError(absolute=0.0, relative=0.0)
    """
    u, log_det = transform.inverse(x, context)
    again, log_det_again = transform(u, context)
    error = (again - x).abs().amax(-1)
    if not (u.isfinite().all() and log_det.isfinite().all() and log_det_again.isfinite().all()):
        error = torch.full_like(error, torch.nan)
    return RoundTripError(error.max().item(), (error / x.abs().amax(-1)).max().item())
