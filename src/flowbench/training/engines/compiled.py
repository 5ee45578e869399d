"""The engine of any flow that torch.compile can trace."""

import copy
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_leaves

from flowbench import ranks
from flowbench.data import Batch
from flowbench.native.hooks import hook_in
from flowbench.native.program import Unsupported
from flowbench.training.engines.base import Trained
from flowbench.training.engines.functional import Differentiated, Inputs, function_of, inputs_of
from flowbench.training.engines.pack import Step
from flowbench.training.engines.plain import Plain, differentiate
from flowbench.training.engines.told import tell
from flowbench.training.turns import turns
from flowbench.transforms import BatchNorm

__all__ = ["Compiled", "compile_step"]


class Compiled(Plain):
    """Log-likelihood and gradient as one compiled function; the optimiser of the plain engine.

    It is compiled for minibatches of one size, at the first of them; the plain engine computes
    those of other sizes (the last one of an epoch). Where it cannot be compiled, this engine
    becomes the plain one, with a line that says why.

    Args:
        module: to be trained.
        rows: of a minibatch.
        backend: of torch.compile.

    Raises:
        Unsupported: its step needs the other processes of the training.
    """

    name = "compiled"

    def __init__(self, module: Trained, rows: int, backend: str = "inductor") -> None:
        if ranks.size() > 1:
            if any(isinstance(one, BatchNorm) for one in module.flow.modules()):
                raise Unsupported("batch norms over several processes")
            if module.regularized:
                raise Unsupported("regularizers over several processes")
        super().__init__(module)
        self.rows = rows
        cuda = any(flat.is_cuda for flat in module.flat.tensors)
        self.compiled = partial(compile_step, backend=backend, cuda=cuda)
        self.function = self.compiled(function_of(module))

    def begin(self) -> None:
        """Follow what may have changed between steps: gradients, hooks, buffers."""
        super().begin()
        self.known = self.name == "compiled" and not hook_in(self.module.flow)
        self.inputs = inputs_of(self.module) if self.known else None
        if self.inputs and turns():
            self.program = _program_of(self.module.flow, self.inputs)

    def gradient(self, batch: Batch) -> tuple[float, float]:
        """Set the gradients for a batch."""
        if self.inputs is None or len(batch.x) != self.rows:
            return super().gradient(batch)
        try:
            found = self._computed(self.inputs, batch)
        except Exception as error:  # of many kinds
            total = differentiate(self.module, batch)  # which tells what is wrong with the batch
            self._give_up(error)
            return total
        return self._take(found, self.inputs, batch)

    def _computed(self, inputs: Inputs, batch: Batch) -> Differentiated:
        """The step; together with those of other trainings, if they take turns with this one."""
        member = turns()
        if member is None:
            return self.function(inputs, batch.x, batch.context)
        given = tuple(None if part is None else part.shape for part in batch)
        return member.ask(
            Step(
                key=(self.program, given),
                alone=self.function,
                program=lambda: function_of(self.module, copy.deepcopy(self.module.flow)),
                compiled=self.compiled,
                inputs=inputs,
                x=batch.x,
                context=batch.context,
            )
        )

    def _take(self, found: Differentiated, inputs: Inputs, batch: Batch) -> tuple[float, float]:
        rows = len(batch.x)
        total = self.module.total(batch, found.log_likelihood.item() * rows)
        for name, new in found.state.items():
            inputs.state[name].copy_(new)
        for gradient, new in zip(self.module.flat.gradients, found.gradients, strict=True):
            gradient.copy_(new)
            if ranks.size() > 1:
                gradient.mul_(rows / total[1])
        return total

    def _give_up(self, error: Exception) -> None:
        self.name, self.inputs = "plain", None
        lines = [line for line in str(error).splitlines() if line.strip()]
        reason = lines[0].strip() if lines else type(error).__name__
        tell(f"torch.compile cannot compile {type(self.module.flow).__name__}: {reason}")


def _program_of(flow: nn.Module, inputs: Inputs) -> object:
    """What flows of one architecture share if their steps are one program.

    Besides shapes, this is the numbers that modules hold, such as bounds, sizes and modes.
    """
    shapes = tuple((one.shape, one.dtype, one.device) for one in tree_leaves(inputs))
    numbers = tuple(
        (name, value)
        for module in flow.modules()
        for name, value in vars(module).items()
        if isinstance(value, int | float) and not name.startswith("_")
    )
    return shapes, numbers


def compile_step(function: Any, backend: str, *, cuda: bool) -> Any:
    """Compile a step for one size of minibatches, in one piece, with PyTorch's random numbers.

    Args:
        function: the step.
        backend: of torch.compile.
        cuda: whether it runs on a GPU, as one CUDA graph.
    """
    options: dict[str, Any] = {"fallback_random": True, "triton.cudagraphs": cuda}
    return torch.compile(
        function,
        fullgraph=True,
        dynamic=False,
        backend=backend,
        options=options if backend == "inductor" else None,
    )
