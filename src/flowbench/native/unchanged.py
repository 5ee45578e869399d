"""Whether a module is still as it was: its parts, their attributes, and where its numbers lie."""

from itertools import chain
from operator import attrgetter, is_
from typing import Any

from torch import Tensor, nn

__all__ = ["Unchanged"]

VERSION = attrgetter("_version")
PLACE = (Tensor.data_ptr, Tensor.stride, Tensor.numel)


class Unchanged:
    """A module at the time of the call, to be compared with the same module later.

    It sees other parts, hooks, modes, attributes of parts, tensors of other shapes or in other
    places, and other whole numbers in them; it does not look at real numbers, nor into lists.

    Args:
        module: which is not kept alive by this; its parts are.

    Example:
        >>> layer = nn.Linear(2, 2)
        >>> unchanged = Unchanged(layer)
        >>> before = unchanged()
        >>> _ = layer.eval()
        >>> before, unchanged()
        (True, False)
    """

    def __init__(self, module: nn.Module) -> None:
        tables = [
            table
            for part in module.modules()
            for table in (vars(part), *(v for v in vars(part).values() if isinstance(v, dict)))
        ]
        tensors = [*module.parameters(), *module.buffers()]
        self._tables = [table for table in tables if table]
        self._empty = [table for table in tables if not table]
        self._real = [one for one in tensors if one.is_floating_point()]
        self._whole = [one for one in tensors if not one.is_floating_point()]
        told = not any(one.is_inference() for one in self._whole)  # these count no versions
        self._before = self._state() if told else None

    def __call__(self) -> bool:
        """Whether nothing has changed."""
        if self._before is None or any(self._empty):
            return False
        (objects, *rest), (now, *others) = self._before, self._state()
        return len(now) == len(objects) and all(map(is_, now, objects)) and others == rest

    def _state(self) -> list[Any]:
        objects = list(chain.from_iterable(map(dict.values, self._tables)))
        places = [list(map(part, self._real)) for part in PLACE]
        return [objects, places, list(map(VERSION, self._whole))]
