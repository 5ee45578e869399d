"""A configuration from a stranger names only classes of flowbench."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from torch import nn

from flowbench.stored import CheckpointError

__all__ = ["refuse_foreign"]


def refuse_foreign(config: Mapping[str, Any], *, what: str, path: Path) -> None:
    """Refuse a configuration that would run code other than flowbench's own.

    Each target must be, in a model, a module that flowbench itself defines or a function of its
    flows, and in a data module such a data module; a name such as
    `flowbench.data.conversion.shutil.rmtree` leads outside.

    Args:
        config: of the model or the data module.
        what: "model" or "data module".
        path: of the run or checkpoint, for the message.

    Raises:
        CheckpointError: a target is foreign; the message names the first.
    """
    is_own = _is_data if what == "data module" else _is_part_of_model
    foreign = [name for name in _targets(config) if not _leads(name, is_own)]
    if foreign:
        raise CheckpointError(
            f"{path}: the {what} is built by {foreign[0]}, from outside flowbench; "
            "pass trust=True (--trust) if you trust that code"
        )


def _leads(name: str, is_own: Callable[[Any, str], bool]) -> bool:
    """Whether a name leads to something of flowbench's own."""
    if not name.startswith("flowbench."):
        return False
    try:
        found = resolve_name(name)
    except (ImportError, AttributeError, ValueError):
        return True  # it does not exist: nothing runs, and building it fails with a message
    return is_own(found, f"{getattr(found, '__module__', '')}.")


def _is_part_of_model(found: Any, home: str) -> bool:
    if isinstance(found, type):
        return home.startswith("flowbench.") and issubclass(found, nn.Module)
    return home.startswith("flowbench.flows.")


def _is_data(found: Any, home: str) -> bool:
    is_module = isinstance(found, type) and hasattr(found, "prepare_data")
    return is_module and home.startswith("flowbench.data.")


def _targets(value: Any) -> Iterator[str]:
    """All `_target_` names in a configuration, and interpolations, which could hide more."""
    if isinstance(value, Mapping):
        if "_target_" in value:
            yield str(value["_target_"])
        for inner in value.values():
            yield from _targets(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _targets(inner)
    elif isinstance(value, str) and "${" in value:
        yield value
