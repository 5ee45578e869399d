"""The place where a computation stops being finite."""

import torch
from torch import Tensor

from flowbench.flows import Flow
from flowbench.transforms import Folded
from flowbench.transforms.base import layers_from_data

__all__ = ["first_non_finite"]


@torch.no_grad()
def first_non_finite(flow: Flow, x: Tensor, context: Tensor | None = None) -> str:
    """Name the first non-finite value on the way from the data to the log-likelihood.

    Args:
        flow: the density.
        x: rows `[rows, features]`.
        context: their contexts, or None.

    Returns:
        A phrase such as "layer 3 of 10 from the data (BatchNorm): log_gamma".

    Example:
        >>> import torch
        >>> from flowbench.flows import MAF
        >>> flow = MAF(2, layers=1, batch_norm=True, hidden_units=[4])
        >>> torch.nn.init.constant_(flow.transform.transforms[0].log_gamma, float("nan"))
        Parameter containing:
        tensor([nan, nan], requires_grad=True)
        >>> first_non_finite(flow, torch.zeros(3, 2))
        'layer 2 of 2 from the data (BatchNorm): its parameter log_gamma'
    """
    if not x.isfinite().all():
        return "the data"
    if context is not None and flow.embedding is not None:
        context = flow.embedding(context)
    transform = flow.transform
    if isinstance(transform, Folded):  # shared by the blocks of an event
        (x, context), transform = transform.fold(x, context), transform.transform
    layers = layers_from_data(transform)
    for number, layer in enumerate(layers, start=1):
        name = f"layer {number} of {len(layers)} from the data ({type(layer).__name__})"
        for parameter, value in layer.named_parameters():
            if not value.isfinite().all():
                return f"{name}: its parameter {parameter}"
        x, log_det = layer.inverse(x, context)
        for what, value in (("its output", x), ("its log-determinant", log_det)):
            if not value.isfinite().all():
                return f"{name}: {what}"
    for parameter, value in flow.base.named_parameters():
        if not value.isfinite().all():
            return f"the base ({type(flow.base).__name__}): its parameter {parameter}"
    return f"the base ({type(flow.base).__name__}): its log-density"
