"""Programs of `torch.export` as ONNX files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.export import ExportedProgram

from flowbench.commands.programs import ExportError

__all__ = ["PACKAGES", "read", "write"]

SUFFIX = ".onnx"
PACKAGES = ("onnx", "onnxscript", "onnxruntime")


def write(program: ExportedProgram, path: Path) -> None:
    """Write a program as an `.onnx` file.

    Raises:
        ExportError: an operation has no equivalent.
    """
    try:
        converted = torch.onnx.export(program, dynamo=True, verbose=False)
        assert converted is not None
        converted.save(path)
    except Exception as error:  # torch and onnxscript have no common class for them
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ExportError(f"torch.onnx does not support this flow: {reason}") from error


def read(path: Path) -> Callable[..., NDArray[np.floating]]:
    """The function in an `.onnx` file, run by onnxruntime."""
    import onnxruntime  # pyright: ignore[reportMissingImports]

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]

    def run(*inputs: Tensor) -> NDArray[np.floating]:
        values = {name: part.numpy() for name, part in zip(names, inputs, strict=True)}
        return session.run(None, values)[0]

    return run
