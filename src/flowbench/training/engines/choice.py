"""Which engine trains a flow."""

import sys
from collections.abc import Callable

from flowbench import ranks
from flowbench.training.engines.base import Engine, Trained
from flowbench.training.engines.build import BuildError
from flowbench.training.engines.native import Native
from flowbench.training.engines.plain import Plain
from flowbench.training.engines.program import Unsupported

__all__ = ["engine_for"]

WORTHWHILE = 3000  # steps, after which the time to build the native engine is saved


def engine_for(module: Trained, name: str, steps: Callable[[], int]) -> Engine:
    """The engine of a training; the plain one, with a line that says why, where a faster fails.

    Args:
        module: to be trained.
        name: as in `training.engine`.
        steps: gives the number of steps of the training, at most.
    """
    if name == "plain" or (name == "auto" and steps() < WORTHWHILE):
        return Plain(module)
    try:
        return Native(module)
    except Unsupported as reason:
        if name == "native":
            _tell(f"the native engine does not know {reason}")
    except BuildError as error:
        _tell(str(error))
    return Plain(module)


def _tell(reason: str) -> None:
    if ranks.rank() == 0:
        print(f"training.engine=plain: {reason}", file=sys.stderr, flush=True)
