"""`model.embedding`: a module that summarises a raw context for a flow of any class."""

from collections.abc import Mapping
from typing import Any

from flowbench.config.signatures import parameters, target_of, without

__all__ = ["split_embedding"]


def split_embedding(model: Mapping[str, Any]) -> tuple[dict[str, Any], Any]:
    """Separate the keys of a flow's constructor from the embedding that is attached afterwards.

    If the constructor takes an `embedding` itself, nothing is separated.

    Args:
        model: the configuration of a flow.

    Returns:
        The keys of the constructor; the node of the embedding, or None.

    Example:
        >>> node = {"_target_": "torch.nn.Flatten"}
        >>> split_embedding({"_target_": "flowbench.flows.MAF", "embedding": node})
        ({'_target_': 'flowbench.flows.MAF'}, {'_target_': 'torch.nn.Flatten'})
    """
    target = target_of(model)
    if "embedding" not in model or (target and "embedding" in (parameters(target) or {})):
        return dict(model), None
    return without(model, {"embedding"}), model["embedding"]
