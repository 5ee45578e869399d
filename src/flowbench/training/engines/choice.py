"""Which engine trains a flow."""

from collections.abc import Callable

from flowbench.native.build import BuildError
from flowbench.native.program import Unsupported
from flowbench.training.engines.base import Engine, Trained
from flowbench.training.engines.compiled import Compiled
from flowbench.training.engines.native import Native
from flowbench.training.engines.plain import Plain
from flowbench.training.engines.told import tell
from flowbench.training.turns import turns

__all__ = ["engine_for"]

WORTHWHILE = 3000  # steps, after which the time to build the native engine is saved
LONG = 50_000  # steps, after which the time of torch.compile is saved on a CPU


def engine_for(
    module: Trained, name: str, steps: Callable[[], int], rows: Callable[[], int]
) -> Engine:
    """The engine of a training; the plain one, with a line that says why, where a faster fails.

    Args:
        module: to be trained.
        name: as in `training.engine`.
        steps: gives the number of steps of the training, at most.
        rows: gives the number of rows of a minibatch in this process.
    """
    kinds = {"plain": _plain, "native": _native, "compiled": _compiled, "auto": _fastest}
    try:
        return kinds[name](module, steps, rows)
    except Unsupported as reason:
        if name != "auto":
            tell(f"the {name} engine does not know {reason}")
    except BuildError as error:
        tell(str(error))
    return Plain(module)


Count = Callable[[], int]


def _plain(module: Trained, steps: Count, rows: Count) -> Engine:
    return Plain(module)


def _native(module: Trained, steps: Count, rows: Count) -> Engine:
    return Native(module)


def _compiled(module: Trained, steps: Count, rows: Count) -> Engine:
    return Compiled(module, rows())


def _fastest(module: Trained, steps: Count, rows: Count) -> Engine:
    """The one that pays, by the number of steps and the device alone."""
    if any(flat.is_cuda for flat in module.flat.tensors):
        return Compiled(module, rows())
    member = turns()
    count = steps() * (member.of if member else 1)  # those of a pack share what it costs
    if count < WORTHWHILE:
        return Plain(module)
    try:
        return Native(module)
    except Unsupported:
        on_cpu = all(flat.is_cpu for flat in module.flat.tensors)
        return Compiled(module, rows()) if on_cpu and count >= LONG else Plain(module)
