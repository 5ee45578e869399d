"""Trainings of one architecture in one process: their steps are computed together."""

import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TextIO

import torch
from torch import Tensor
from torch.func import vmap
from torch.utils._pytree import tree_map

from flowbench.training.engines.functional import Differentiated, Inputs
from flowbench.training.turns import Turns, cpu_seconds, signal_for_all

__all__ = ["Pack", "Step"]

GIVEN = ("inputs", "x", "context")


class Step(NamedTuple):
    """A step that a training asks for.

    Attributes:
        key: equal for steps of one program: shapes of tensors, modes of modules.
        alone: its compiled program.
        program: makes the program itself, from a copy of the flow.
        compiled: compiles a program.
        inputs: of the step.
        x: the rows.
        context: their contexts.
    """

    key: object
    alone: Callable[..., Differentiated]
    program: Callable[[], Callable[..., Differentiated]]
    compiled: Callable[[Any], Any]
    inputs: Inputs
    x: Tensor
    context: Tensor | None


class Pack:
    """Runs functions that train, in turns, and computes the steps that they wait for together.

    A step of n trainings is one program over a leading dimension K ≥ n: at first K is their
    number; when some have ended, the power of two above the rest, so that few programs are
    compiled and at most half of their work is in vain.

    Args:
        functions: that train, with the files to which each prints.
    """

    def __init__(self, functions: Sequence[tuple[Callable[[], object], TextIO]]) -> None:
        self.members = [Turns(function, told, of=len(functions)) for function, told in functions]
        self.programs: dict[object, Callable[..., Any]] = {}
        self.failed: set[object] = set()  # keys of programs that cannot be compiled

    def run(self) -> list[BaseException | None]:
        """Run all of them; returns what ended each, None if it has returned.

        After `signal_for_all` no more of them begin.
        """
        begun = []
        for member in self.members:
            if not signal_for_all():
                begun.append(member)
                member.start()
                member.go_on()
        while waiting := [member for member in begun if not member.ended]:
            groups: dict[object, list[Turns]] = {}
            for member in waiting:
                groups.setdefault(member.question.key, []).append(member)
            for group in groups.values():
                self._answer(group)
            for member in waiting:
                member.go_on()
        return [member.error for member in self.members]

    def _answer(self, group: list[Turns]) -> None:
        """Compute the steps of a group; together, if that is possible."""
        steps: list[Step] = [member.question for member in group]
        begun = cpu_seconds()
        found = self._together(steps) if len(group) > 1 else None
        share = (cpu_seconds() - begun) / len(group)
        for index, (member, step) in enumerate(zip(group, steps, strict=True)):
            member.cpu_seconds += share
            if found is None:
                member.answer = lambda step=step: step.alone(step.inputs, step.x, step.context)
            else:
                member.answer = lambda one=found[index]: one

    def _together(self, steps: list[Step]) -> list[Differentiated] | None:
        first, count = steps[0], len(steps)
        size = min(len(self.members), 1 << (count - 1).bit_length())
        key = (size, first.key)
        if key in self.failed:
            return None
        if key not in self.programs:
            self.programs[key] = first.compiled(_stacked(first.program()))
        program = self.programs[key]
        filled = [*steps, *[steps[-1]] * (size - count)]
        try:
            found = program(*([getattr(one, name) for one in filled] for name in GIVEN))
        except Exception as error:  # of many kinds
            self.failed.add(key)
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            print(f"steps one by one, not packed: {reason}", file=sys.stderr, flush=True)
            return None
        return [tree_map(lambda value, k=k: value[k], found) for k in range(count)]


def _stacked(program: Callable[..., Any]) -> Callable[..., Any]:
    """A program over lists of arguments."""

    def stacked(inputs: list[Inputs], x: list[Tensor], context: list[Tensor | None]) -> Any:
        both = tree_map(lambda *values: torch.stack(values), inputs[0], *inputs[1:])
        given = None if context[0] is None else torch.stack(context)  # type: ignore[arg-type]
        dims = (0, 0, None if given is None else 0)
        return vmap(program, in_dims=dims)(both, torch.stack(x), given)

    return stacked
