"""The engine of affine stacks on the CPU: native/steps.cpp, by way of ctypes."""

import ctypes
import weakref
from array import array
from typing import Any

import torch
from torch import Tensor
from torch.optim import Adam

from flowbench import ranks
from flowbench.data import Batch
from flowbench.native.build import library
from flowbench.native.program import Unsupported, buffers_of
from flowbench.training.engines.base import Trained
from flowbench.training.engines.plain import differentiate
from flowbench.training.engines.program import added_to_flow, words_of_flow
from flowbench.transforms import BatchNorm

__all__ = ["Native"]


class Native:
    """Gradients by hand and Adam, over one flat tensor.

    Args:
        module: to be trained.

    Raises:
        Unsupported: its flow or its settings have a part that this engine does not know.
        BuildError: the engine cannot be built on this machine.
    """

    name = "native"

    def __init__(self, module: Trained) -> None:
        self.module = module
        self.sizes = (module.flow.features, module.flow.context_features)
        self.norms = [one for one in module.flow.modules() if isinstance(one, BatchNorm)]
        if module.options.optimizer is not None:
            raise Unsupported("training.optimizer")
        if len(module.flat.tensors) != 1 or not module.flat.tensors[0].is_cpu:
            raise Unsupported("parameters of several types, or on a GPU")
        if ranks.size() > 1 and any(norm.training for norm in self.norms):
            raise Unsupported("batch norms over several processes")
        (self.flat,) = module.flat.tensors
        self._words()
        self.calls = _Calls(self.flat.dtype)
        self.optimizer = FlatAdam(self.flat, module, self.calls)
        self.signature: list[Any] | None = None

    def begin(self) -> None:
        """Follow what may have changed between steps: hooks, modes, masks, addresses."""
        self.module.flat.attach_gradients()
        buffers = buffers_of(self.module.flow)
        signature = [norm.training for norm in self.norms] + [one.data_ptr() for one in buffers]
        self.known = not added_to_flow(self.module.flow)
        if self.known and signature != self.signature:
            self.program = _Program(self.calls, self._words(), buffers)
            self.signature = signature
        (self.gradients,) = self.module.flat.gradients
        self.addresses = (self.flat.data_ptr(), self.gradients.data_ptr())
        self.fewest = 2 if any(norm.training for norm in self.norms) else 1
        self.threads = torch.get_num_threads()
        if self.known:
            self.calls.clear(self.program.address, self.flat.data_ptr())

    def gradient(self, batch: Batch) -> tuple[float, float]:
        """Set the gradients for a batch."""
        if not self.known or not self._fits(batch):
            return differentiate(self.module, batch)  # which tells what is wrong with the batch
        x = self._plain(batch.x)
        context = None if batch.context is None else self._plain(batch.context)
        rows = (x.data_ptr(), None if context is None else context.data_ptr(), len(x))
        value = self.calls.gradient(self.program.address, *self.addresses, *rows, self.threads)
        total = self.module.total(batch, value)
        if ranks.size() > 1:
            self.gradients.mul_(len(x) / total[1])
        return total

    def clip(self, longest: float | None) -> Tensor:
        """Shorten the gradients of the next step to a norm; returns that of before."""
        norm = self.calls.norm(self.addresses[1], self.flat.numel())
        self.optimizer.factor = 1.0 if longest is None else min(1.0, longest / (norm + 1e-6))
        return self.flat.new_tensor(norm)

    def _fits(self, batch: Batch) -> bool:
        rows, features, contexts = len(batch.x), *self.sizes
        needed = (rows, contexts) if contexts else None
        given = None if batch.context is None else batch.context.shape
        return batch.x.shape == (rows, features) and given == needed and rows >= self.fewest

    def _plain(self, part: Tensor) -> Tensor:
        return part.to(self.flat.dtype).contiguous()

    def _words(self) -> array:
        (group,) = self.module.flat.groups
        places, place = {}, 0
        for parameter in group:
            places[parameter] = place
            place += parameter.numel()
        return words_of_flow(self.module.flow, places)


class FlatAdam(Adam):
    """Adam over one flat tensor; its states are those of the fused Adam of PyTorch."""

    def __init__(self, flat: Tensor, module: Trained, calls: "_Calls") -> None:
        options = module.options
        super().__init__(
            [flat], lr=options.learning_rate, weight_decay=options.weight_decay, fused=True
        )
        self.calls = calls
        self.factor = 1.0  # of the gradients of the next step

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One step, with the gradients times `factor`."""
        del closure
        (group,) = self.param_groups
        (flat,) = group["params"]
        state = self.state[flat]
        if not state:
            state["step"] = torch.zeros((), dtype=torch.float32)
            state["exp_avg"] = torch.zeros_like(flat)
            state["exp_avg_sq"] = torch.zeros_like(flat)
        state["step"] += 1
        rates = _Rates(
            group["lr"], group["weight_decay"], *group["betas"], group["eps"], state["step"].item()
        )
        tensors = (flat, flat.grad, state["exp_avg"], state["exp_avg_sq"])
        addresses = [tensor.data_ptr() for tensor in tensors]
        self.calls.adam(*addresses, flat.numel(), self.factor, rates)


class _Program:
    """A flow as the library knows it, with the tensors whose addresses it knows."""

    def __init__(self, calls: "_Calls", words: array, tensors: list[Tensor]) -> None:
        self.tensors = tensors
        self.address = calls.make(words.buffer_info()[0])
        weakref.finalize(self, calls.free, self.address)


class _Rates(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_double) for name in ("rate", "decay", "beta1", "beta2", "epsilon", "step")
    ]


class _Calls:
    """The functions of the library for one dtype."""

    def __init__(self, dtype: torch.dtype) -> None:
        pointer, size, number = ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_double
        self.suffix = str(dtype).removeprefix("torch.")
        self.make = self._function("make", pointer, [pointer])
        self.free = self._function("free", None, [pointer])
        self.clear = self._function("clear", None, [pointer] * 2)
        self.gradient = self._function("gradient", number, [pointer] * 5 + [size, ctypes.c_int])
        self.norm = self._function("norm", number, [pointer, size])
        rates = ctypes.POINTER(_Rates)
        self.adam = self._function("adam", None, [pointer] * 4 + [size, number, rates])

    def _function(self, name: str, result: Any, takes: list[Any]) -> Any:
        found = getattr(library(), f"{name}_{self.suffix}")
        found.restype, found.argtypes = result, takes
        return found
