"""Exact evaluation of trained densities."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowbench.evaluation.likelihood import log_likelihoods
    from flowbench.evaluation.paired import paired_difference
    from flowbench.evaluation.score import Score, summarize
    from flowbench.evaluation.split import evaluate

__all__ = ["Score", "evaluate", "log_likelihoods", "paired_difference", "summarize"]

HOME = {
    "Score": "score",
    "evaluate": "split",
    "log_likelihoods": "likelihood",
    "paired_difference": "paired",
    "summarize": "score",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: reading a result does without torch."""
    if name not in HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{HOME[name]}"), name)
