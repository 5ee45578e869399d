"""The distribution functions of features under mixtures, each given the features before it."""

from collections.abc import Iterable

import torch
from torch import Tensor

__all__ = ["mixture_uniforms"]


def mixture_uniforms(z: Iterable[Tensor], scales: Tensor, log_weights: Tensor) -> Tensor:
    r"""Σₖ P(k | features before i) Φ(zₖᵢ) for mixtures of Gaussians.

    Args:
        z: of each feature in turn `[rows, K]`, under each component its distance from the mean
            given the features before it, in standard deviations.
        scales: these standard deviations, of each feature, `[d, K]` or `[d, 1]`.
        log_weights: of the components, `[K]`, up to a constant.

    Returns:
        `[rows, d]`.

    Example:
        >>> z = torch.tensor([[[0.0, 9.0]], [[0.0, 9.0]]])
        >>> mixture_uniforms(z, torch.ones(2, 1), torch.zeros(2))
        tensor([[0.7500, 0.5000]])
    """
    terms, found = log_weights, []
    for of, scale in zip(z, scales, strict=True):
        found.append((terms.softmax(-1) * torch.special.ndtr(of)).sum(-1))
        terms = terms - 0.5 * of.square() - scale.log()
    return torch.stack(found, -1)
