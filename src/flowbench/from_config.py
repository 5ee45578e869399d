"""Flows and data modules from their configurations."""

import math
from collections.abc import Mapping, Sequence
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from flowbench.config.embedding import split_embedding
from flowbench.config.signatures import parameters
from flowbench.config.targets import build
from flowbench.flows import Flow, equal_blocks

if TYPE_CHECKING:  # imports Lightning, which takes seconds
    from flowbench.data.base import DataModule

__all__ = ["build_data", "build_flow"]


def build_data(data: Mapping[str, Any]) -> "DataModule":
    """The data module that a `data` configuration describes, not set up."""
    return _instantiate(data)


def build_flow(
    model: Mapping[str, Any],
    *,
    features: int,
    context_features: int,
    context_shape: Sequence[int] = (),
    blocks: int = 1,
    shared: bool = False,
    circular: Sequence[int] = (),
    lattice: Mapping[str, Any] | None = None,
    measure: Mapping[str, Any] | None = None,
) -> Flow:
    """The flow that a `model` configuration describes, for events and contexts of these sizes.

    `model.embedding` becomes the embedding of the flow, whose `context_features` are then the
    output size of the embedding.

    Args:
        model: the configuration.
        features: size of an event.
        context_features: size of a context, 0 for none.
        context_shape: shape of a context that is not a vector.
        blocks: number of equal, independent blocks of an event.
        shared: whether all blocks share the weights of one flow, or each has its own.
        circular: features that are angles in radians.
        lattice: what the levels of the data are, if they have any, for a model that asks for it.
        measure: what lattices and atoms columns have, if any, for a model that asks for it.

    Raises:
        ValueError: the configuration does not describe a `Flow`, its embedding does not fit the
            contexts, or the flow takes no angles.
    """
    own, node = split_embedding(model)
    shape = tuple(context_shape or [context_features])
    embedding = None
    if node is not None:
        embedding, context_features = _build_embedding(node, shape)
    elif len(shape) > 1 and "embedding" not in own:
        raise ValueError(
            f"the contexts of the data have shape {shape}, expected vectors or a model.embedding, "
            "a module that summarises them"
        )

    def flow(features: int, **sizes: Any) -> Flow:
        built = _instantiate(own, features=features, **sizes)
        if not isinstance(built, Flow):
            raise ValueError(
                f"model._target_={model['_target_']} gives a {type(built).__name__}, "
                "expected a flowbench.flows.Flow"
            )
        return built

    sizes: dict[str, Any] = {"context_features": context_features} if context_features else {}
    if circular:
        if "circular" not in (parameters(resolve_name(own["_target_"])) or {}):
            raise ValueError(
                f"model._target_={own['_target_']} takes no circular features, which "
                "data.circular_columns gives: expected model=maf, iaf or realnvp"
            )
        sizes["circular"] = list(circular)
    if blocks == 1:
        taken = parameters(resolve_name(own["_target_"])) or {}
        known = {"lattice": lattice, "measure": measure}
        sizes |= {name: one for name, one in known.items() if one is not None and name in taken}
        built = flow(features, **sizes)
    else:
        built = equal_blocks(features, **sizes, blocks=blocks, shared=shared, flow=flow)
    if embedding is not None:
        built.embedding = embedding
    return built


def _build_embedding(node: Mapping[str, Any], shape: tuple[int, ...]) -> tuple[nn.Module, int]:
    """The module that summarises contexts of a given shape, and the size of a summary."""
    target = f"model.embedding._target_={node['_target_']}"
    if not math.prod(shape):
        raise ValueError(f"{target}: the data have no context; expected model.embedding=null")
    embedding = _instantiate(node)
    if not isinstance(embedding, nn.Module):
        raise ValueError(
            f"{target} gives a {type(embedding).__name__}, expected a torch.nn.Module"
        )
    try:
        with torch.no_grad():
            summary = embedding.eval()(torch.zeros(2, *shape))
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{target} does not take contexts of shape {shape}: {reason}") from error
    if summary.ndim != 2:
        raise ValueError(
            f"{target} gives {tuple(summary.shape)} for two contexts, expected [2, features]"
        )
    embedding.train()
    return embedding, summary.shape[-1]


def _instantiate(node: Mapping[str, Any], **options: Any) -> Any:
    return build({key: value for key, value in node.items() if key != "name"}, **options)
