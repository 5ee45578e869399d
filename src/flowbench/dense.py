"""Conversion of array-likes to ordinary tensors, and of results back to the form given."""

import sys
import warnings
from numbers import Number
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["as_tensor", "dense", "like"]


def dense(name: str, value: Tensor) -> Tensor:
    """A tensor with an ordinary memory layout; floating-point numbers get at least 32 bits.

    Gradients flow through it.

    Args:
        name: of the tensor, for the message.
        value: real numbers; sparse tensors become dense, and 16-bit numbers float32.

    Raises:
        ValueError: it holds complex numbers, or has no values (a tensor on the meta device).

    Example:
        >>> dense("x", torch.eye(2, dtype=torch.bfloat16).to_sparse()).dtype
        torch.float32
    """
    if value.is_meta:
        raise ValueError(f"{name} is on the meta device, where tensors have no values")
    if value.is_complex():
        raise ValueError(f"{name} holds {value.dtype}, expected real numbers")
    if value.layout != torch.strided:
        value = value.to_dense()
    return value.float() if value.is_floating_point() and value.itemsize < 4 else value


def as_tensor(name: str, value: Any) -> Tensor:
    """The numbers of a tensor, array, list or frame; an array shares its memory if possible.

    Masked cells of an array are NaN.

    Args:
        name: of the value, for the message.
        value: real numbers, integers or booleans.

    Raises:
        ValueError: it holds something else, or lists of unequal length.

    Example:
        >>> as_tensor("x", [[1, 2]])
        tensor([[1, 2]])
    """
    if isinstance(value, Tensor):
        return dense(name, value)
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        value = np.ma.filled(value.astype(np.float64), np.nan)
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{name} is not an array of numbers: {reason}") from error
    if array.dtype == object and array.ndim == 0 and value is not None:
        given = type(value).__name__
        raise ValueError(
            f"{name} is a {given}, expected a tensor, array, list or frame of numbers"
        )
    if array.dtype.kind not in "fiub":
        raise ValueError(
            f"{name} holds {array.dtype}, expected numbers{_first_other(value, array)}"
        )
    with warnings.catch_warnings(action="ignore"):  # a frame's memory may be read-only
        try:
            return dense(name, torch.from_numpy(array))
        except (TypeError, ValueError):  # negative strides, foreign byte order, 80 bits
            return torch.from_numpy(np.array(array, np.float64))


def _first_other(value: Any, array: np.ndarray) -> str:
    """Where the first cell is that is not a number, with rows and unnamed columns from 1."""
    if array.ndim != 2:
        return ""
    columns = list(getattr(value, "columns", range(1, array.shape[1] + 1)))
    for (row, column), cell in np.ndenumerate(array):
        if not isinstance(cell, Number):
            return f": row {row + 1}, column {columns[column]!r} holds {str(cell)!r}"
    return ""


def like(given: Any, values: Tensor, *, name: str = "log_density") -> Any:
    """Results in the form of the input.

    Args:
        given: a tensor or nested list (the result is a tensor), a `DataFrame` of pandas or polars
            (a `Series`, if there is one result per row; that of pandas has the frame's index), or
            anything else with `__array__` (an array).
        values: the results.
        name: of the series.

    Example:
        >>> like(np.zeros((2, 3)), torch.ones(2))
        array([1., 1.], dtype=float32)
    """
    if isinstance(given, Tensor) or not hasattr(given, "__array__"):
        return values
    array = values.detach().cpu().numpy()
    pandas, polars = sys.modules.get("pandas"), sys.modules.get("polars")
    if array.ndim != 1:
        return array
    if pandas and isinstance(given, pandas.DataFrame):
        return pandas.Series(array, index=given.index, name=name)
    if polars and isinstance(given, polars.DataFrame):
        return polars.Series(name, array)
    return array
