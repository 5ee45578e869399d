"""Reads columns of a pickled table from any pandas version, without running what it names.

Unpickling can run arbitrary code. Here every class and function named by the pickle becomes an
inert `Record` of its name, arguments and state; the table is then read from these records.
"""

import pickle
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from flowbench.data.options import DataError

__all__ = ["read_pickled_table"]


class Record:
    """What a pickle says about one object: `name(*args)` and then `state`; it does nothing."""

    name: ClassVar[str]
    args: tuple[Any, ...]
    state: Any

    def __new__(cls, *args: Any) -> "Record":
        record = super().__new__(cls)
        record.args = args
        record.state = None
        return record

    def __setstate__(self, state: Any) -> None:
        self.state = state


class RecordingUnpickler(pickle.Unpickler):
    """Builds only containers, text, numbers and records."""

    def find_class(self, module_name: str, global_name: str, /) -> type[Record]:
        """A record class in place of the named class or function."""
        return type("Record", (Record,), {"name": global_name})


def read_pickled_table(path: Path) -> dict[str, NDArray[np.float64]]:
    """The numeric columns of a pickled `DataFrame`, by name, in the order of the table.

    It reads files from Python 2 and pandas 0.x (protocol 2; the state of the block manager is
    axes, blocks, and names per block) and from later versions (blocks with their positions).

    Raises:
        DataError: the file is not a pickled table of numbers.
    """
    try:
        with path.open("rb") as file:
            table = RecordingUnpickler(file, encoding="latin1").load()
        state = table.state
        columns = _columns(state["_mgr"] if "_mgr" in state else state["_data"])
    except Exception as error:  # a damaged or hostile file may raise anything
        raise DataError(f"{path} is not a pickled pandas table of numbers: {error!r}") from error
    lengths = {len(column) for column in columns.values()}
    if len(lengths) != 1:
        raise DataError(
            f"{path} holds columns of the lengths {sorted(lengths)}, expected one length"
        )
    return columns


def _columns(manager: Record) -> dict[str, NDArray[np.float64]]:
    columns: dict[str, NDArray[np.float64]] = {}
    if isinstance(manager.state, tuple) and len(manager.state) >= 3:
        axes, blocks, items = manager.state[:3]
        names = _labels(axes[0])
        for values, block_items in zip(blocks, items, strict=True):
            columns.update(zip(_labels(block_items), _numbers(values), strict=True))
    else:
        blocks, axes = manager.args
        names = _labels(axes[0])
        for block in blocks:
            values, place = block.args[:2]
            positions = _positions(place, len(names))
            labels = [names[position] for position in positions]
            columns.update(zip(labels, _numbers(values), strict=True))
    return {name: columns[name] for name in names}


def _numbers(record: Record) -> NDArray[np.float64]:
    values = _array(record)
    if values.dtype.kind not in "fiu":
        raise ValueError(f"a column holds {values.dtype}, not numbers")
    return values


def _positions(place: Record, size: int) -> list[int]:
    if place.name == "BlockPlacement":
        place = place.args[0]
    if place.name == "slice":
        return list(range(size))[slice(*place.args)]
    return _array(place).tolist()


def _labels(index: Record) -> list[str]:
    """The labels of an index: the first array of text that its record holds."""
    for record in _records(index):
        if record.name == "_restore_array":
            return _arrow_text(record)
        if record.name == "_reconstruct":
            labels = _array(record).tolist()
            if all(isinstance(label, str) for label in labels):
                return labels
    raise ValueError("the table has no column names")


def _records(value: Any) -> Iterator[Record]:
    """All records inside a value, outer ones first."""
    if isinstance(value, Record):
        yield value
        yield from _records(value.args)
        yield from _records(value.state)
    elif isinstance(value, dict):
        yield from _records(list(value.values()))
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _records(part)


def _array(record: Record) -> NDArray[Any]:
    """The array of numpy's `_reconstruct` (any protocol) or `_frombuffer` (protocol 5)."""
    if record.name == "_frombuffer":
        raw, dtype, shape, order = record.args
    else:
        # in early pandas an Index was itself an array; its state is nested in a tuple
        state = record.state[0] if isinstance(record.state[0], tuple) else record.state
        _, shape, dtype, fortran, raw = state
        order = "F" if fortran else "C"
    if isinstance(raw, list):
        return np.array(raw, dtype=object).reshape(shape)
    return np.frombuffer(_bytes(raw), dtype=_dtype(dtype)).reshape(shape, order=order)


def _dtype(record: Record) -> np.dtype[Any]:
    kind = record.args[0]
    if kind[0] not in "fiu":
        raise ValueError(f"an array holds {kind!r}, not numbers")
    return np.dtype(record.state[1].replace("|", "") + kind)


def _bytes(raw: Any) -> bytes:
    """Bytes as the protocols write them: plain, as text, or as a call that constructs them."""
    if isinstance(raw, Record):
        raw = raw.args[0]
        return _bytes(raw)
    return raw.encode("latin1") if isinstance(raw, str) else bytes(raw)


def _arrow_text(record: Record) -> list[str]:
    """Text of an Arrow array: (type, length, nulls, offset, [validity, ends, characters], …)."""
    kind, length, _, offset, buffers = record.args[0][:5]
    width = np.int64 if kind.args[0].startswith("large") else np.int32
    ends = np.frombuffer(_bytes(buffers[1]), dtype=width)[offset : offset + length + 1]
    characters = _bytes(buffers[2])
    return [characters[start:end].decode() for start, end in pairwise(ends)]
