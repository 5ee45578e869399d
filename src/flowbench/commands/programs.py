"""A trained density as programs of `torch.export`, which run without flowbench."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from flowbench.density import TrainedDensity
from flowbench.flows import Autoregressive, Flow
from flowbench.transforms import Inverse, MaskedAutoregressive

__all__ = [
    "ExportError",
    "FromNoise",
    "LogDensity",
    "largest_difference",
    "read",
    "trace",
    "write",
]

SUFFIX = ".pt2"
LARGEST_LOOP = 64  # features
ROUNDING = 1e-3


class ExportError(Exception):
    """A density, or a part of it, that cannot be exported, told in one sentence."""


class LogDensity(nn.Module):
    """Rows `[rows, features]` and contexts in data units → log-densities `[rows]` in nats.

    Raises:
        ExportError: the flow computes densities feature by feature, and has more than 64.
    """

    def __init__(self, density: TrainedDensity) -> None:
        super().__init__()
        if any(isinstance(part, MaskedAutoregressive) for part in _inverted(density.flow)):
            _refuse_long_loop("log-densities", density.flow)
        self.density = density

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """The log-densities."""
        given = self.density.context_for_flow(context)
        return self.density.in_data_units.log_prob(x, given)


class FromNoise(nn.Module):
    """Standard normal noise `[rows, features]` and contexts in data units → samples in data units.

    Raises:
        ExportError: samples are computed feature by feature, and there are more than 64.
    """

    def __init__(self, density: TrainedDensity) -> None:
        super().__init__()
        flow = density.flow
        inverted = _inverted(flow)
        loops = [part for part in flow.modules() if isinstance(part, MaskedAutoregressive)]
        if isinstance(flow.base, Autoregressive) or any(part not in inverted for part in loops):
            _refuse_long_loop("samples", flow)
        self.density = density
        self.dtype: torch.dtype = (
            torch.float64 if density.in_data_units.needs_float64() else flow.dtype
        )

    def forward(self, noise: Tensor, context: Tensor | None = None) -> Tensor:
        """The samples, float64 where float32 cannot hold the data."""
        flow: Any = self.density.flow
        given = self.density.context_for_flow(context)
        if given is not None and flow.embedding is not None:
            given = flow.embedding(given)
        u = flow.base.from_noise(noise.to(flow.dtype), given)
        u, _ = flow.transform(u, given)
        return self.density.preprocess(u.to(self.dtype))[0]


def _inverted(flow: Flow) -> set[nn.Module]:
    """The transforms that the flow uses in the opposite direction."""
    return {part.transform for part in flow.modules() if isinstance(part, Inverse)}


def _refuse_long_loop(what: str, flow: Flow) -> None:
    if flow.features > LARGEST_LOOP:
        raise ExportError(
            f"{what} of {type(flow).__name__} are computed feature by feature, of which there are "
            f"{flow.features}; such a loop can be exported for at most {LARGEST_LOOP}"
        )


def trace(module: nn.Module, inputs: tuple[Tensor, ...]) -> ExportedProgram:
    """A program for any number of rows.

    Args:
        module: `LogDensity` or `FromNoise`.
        inputs: example rows, at least two.

    Raises:
        ExportError: samples are not a function of normal noise, or the module does what
            `torch.export` cannot follow.
    """
    shapes = ({0: Dim("rows")},) * len(inputs)
    try:
        with torch.no_grad():
            module.eval()(*inputs)
            program = torch.export.export(module, inputs, dynamic_shapes=shapes)
    except NotImplementedError as error:
        raise ExportError(str(error)) from error
    except Exception as error:  # torch has no common class for them
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ExportError(f"torch.export does not support this flow: {reason}") from error
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # paths of this machine
    return program


def write(program: ExportedProgram, path: Path) -> None:
    """Write a program as a `.pt2` file."""
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    path.write_bytes(buffer.getvalue())


def read(path: Path) -> Callable[..., Tensor]:
    """The function in a `.pt2` file, as a user of the file gets it."""
    return torch.export.load(path).module()


@torch.no_grad()
def largest_difference(
    found: Callable[..., Any], expected: nn.Module, inputs: tuple[Tensor, ...]
) -> float:
    """The largest difference of two functions on all rows together, and on the first alone.

    Log-densities are compared in nats, relative to 1 + |log p|; samples in standard deviations.

    Raises:
        ExportError: it is more than rounding.
    """
    want = expected(*inputs)
    scale = 1 + want.abs() if want.ndim == 1 else want.std(0).expand_as(want)
    worst = 0.0
    for rows in (slice(None), slice(1)):
        got = torch.as_tensor(found(*(part[rows] for part in inputs)))
        difference = (got - want[rows]).abs() / scale[rows]
        difference = difference.masked_fill(got == want[rows], 0.0).nan_to_num(torch.inf)
        worst = max(worst, difference.max().item())
    if worst > ROUNDING:
        raise ExportError(f"the exported program differs from the density by {worst:.1g}")
    return worst
