"""`model.embedding`: a module that summarises a raw context for a flow of any class."""

import inspect
import pkgutil
from collections.abc import Mapping
from typing import Any

__all__ = ["split_embedding"]


def split_embedding(model: Mapping[str, Any]) -> tuple[dict[str, Any], Any]:
    """The keys of a flow's constructor, and the embedding that the flow gets afterwards.

    A class whose constructor has an argument `embedding` of its own is given it there.

    Args:
        model: the configuration of a flow.

    Returns:
        The keys of the constructor; the node of the embedding, or None.

    Example:
        >>> node = {"_target_": "torch.nn.Flatten"}
        >>> split_embedding({"_target_": "flowbench.flows.MAF", "embedding": node})
        ({'_target_': 'flowbench.flows.MAF'}, {'_target_': 'torch.nn.Flatten'})
    """
    if "embedding" not in model or _takes_embedding(model["_target_"]):
        return dict(model), None
    return {key: value for key, value in model.items() if key != "embedding"}, model["embedding"]


def _takes_embedding(target: str) -> bool:
    try:
        return "embedding" in inspect.signature(pkgutil.resolve_name(target)).parameters
    except Exception:  # whatever a foreign module does; who builds the model says it
        return False
