"""Muon: steps of matrices and kernels that are equally long in all directions."""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, cast

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.adamw import adamw

__all__ = ["Muon"]

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the polynomial of the Newton-Schulz iteration
ROUNDS = 5
EPSILON = 1e-8

Group = dict[str, Any]
State = dict[str, Tensor]


class Muon(Optimizer):
    r"""Steps of matrices along the orthogonal factor of their momentum; AdamW for all else.

    With the gradient G of a weight `[units, …]`, seen as a matrix of that many rows,

    B ← μ B + (1 − μ) G and W ← (1 − η λ) W − η √max(1, rows / columns) · U Vᵀ,

    where U S Vᵀ = μ B + (1 − μ) G is a singular value decomposition. U Vᵀ comes from five rounds
    of a Newton-Schulz iteration, which bring singular values near 1. Entries that never had a
    gradient, as those outside a mask, get no step.

    Weights are the parameters of two or more dimensions whose name ends in "weight"; without
    names, all of two or more dimensions. A `learning_rate` of 0.005 to 0.02 is usual.

    Args:
        params: tensors, or pairs of a name and a tensor, such as `module.named_parameters()`.
        lr: η.
        momentum: μ.
        weight_decay: λ, of all parameters.
        adam_lr: learning rate of AdamW; null (None): lr / 10.
        adam_betas: its decays of the means of gradients and of their squares.

    Raises:
        ValueError: there are no parameters, or an option is out of range.

    References:
        Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks"
        (https://kellerjordan.github.io/posts/muon/).

    Example:
        >>> layer = torch.nn.Linear(4, 4)
        >>> before = layer.weight.detach().clone()
        >>> optimizer = Muon(layer.named_parameters(), lr=0.1)
        >>> layer(torch.eye(4)).square().sum().backward()
        >>> optimizer.step()
        >>> step = torch.linalg.svdvals(before - layer.weight)
        >>> bool(step.max() < 0.13)
        True
    """

    takes_names: ClassVar[bool] = True

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[tuple[str, Tensor]],
        lr: float = 0.02,
        *,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        adam_lr: float | None = None,
        adam_betas: Sequence[float] = (0.9, 0.99),
    ) -> None:
        adam_lr = lr / 10 if adam_lr is None else adam_lr
        for name, value in {"lr": lr, "adam_lr": adam_lr, "weight_decay": weight_decay}.items():
            if value < 0:
                raise ValueError(f"{name}={value}: expected a number from 0 on")
        for decay in (momentum, *adam_betas):
            if not 0 <= decay < 1:
                raise ValueError(f"a decay of {decay}: expected a number from 0 to below 1")
        matrices, others = _parted(params)
        groups: list[Group] = [
            {"params": matrices, "kind": "matrices", "momentum": momentum},
            {
                "params": others,
                "kind": "others",
                "lr": adam_lr,
                "betas": tuple(adam_betas),
                "fused": True,
            },
        ]
        given = [group for group in groups if group["params"]]
        super().__init__(given, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Take one step, after evaluating the loss by a closure, if there is one."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            trained = [tensor for tensor in group["params"] if tensor.grad is not None]
            (_step_matrices if group["kind"] == "matrices" else _step_others)(
                group, trained, [self.state[tensor] for tensor in trained]
            )
        return loss


def _step_matrices(group: Group, matrices: list[Tensor], states: list[State]) -> None:
    """Step all matrices; those of one shape together."""
    momentum = group["momentum"]
    same: dict[tuple[Any, ...], list[tuple[Tensor, Tensor]]] = {}
    for matrix, state in zip(matrices, states, strict=True):
        if not state:
            state["mean"] = torch.zeros_like(matrix)
        gradient = cast("Tensor", matrix.grad)
        mean = state["mean"].lerp_(gradient, 1 - momentum)
        ahead = gradient.lerp(mean, momentum).flatten(1)
        same.setdefault((*ahead.shape, ahead.dtype), []).append((matrix, ahead))
        matrix.mul_(1 - group["lr"] * group["weight_decay"])
    for (rows, columns, _), pairs in same.items():
        ahead = torch.stack([one for _, one in pairs])
        steps = orthogonal(ahead) * (ahead != 0)
        length = group["lr"] * max(1.0, rows / columns) ** 0.5
        for (matrix, _), step in zip(pairs, steps, strict=True):
            matrix.sub_(step.view_as(matrix), alpha=length)


def _step_others(group: Group, tensors: list[Tensor], states: list[State]) -> None:
    for tensor, state in zip(tensors, states, strict=True):
        if not state:
            state |= {name: torch.zeros_like(tensor) for name in ("mean", "square")}
            state["step"] = torch.zeros((), device=tensor.device)
    first, second = group["betas"]
    adamw(
        tensors,
        [cast("Tensor", tensor.grad) for tensor in tensors],
        [state["mean"] for state in states],
        [state["square"] for state in states],
        [],
        [state["step"] for state in states],
        fused=group["fused"],
        amsgrad=False,
        beta1=first,
        beta2=second,
        lr=group["lr"],
        weight_decay=group["weight_decay"],
        eps=EPSILON,
        maximize=False,
    )


def orthogonal(matrices: Tensor) -> Tensor:
    """Matrices `[..., rows, columns]` with their singular values brought near 1."""
    first, third, fifth = COEFFICIENTS
    is_tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if is_tall else matrices
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp(min=EPSILON)
    for _ in range(ROUNDS):
        square = x @ x.mT
        x = first * x + (third * square + fifth * square @ square) @ x
    return x.mT if is_tall else x


def _parted(
    params: Iterable[Tensor] | Iterable[tuple[str, Tensor]],
) -> tuple[list[Tensor], list[Tensor]]:
    """The weights, and all other parameters."""
    matrices: list[Tensor] = []
    others: list[Tensor] = []
    for one in params:
        name, tensor = one if isinstance(one, tuple) else ("weight", one)
        is_weight = tensor.ndim >= 2 and name.endswith("weight")
        (matrices if is_weight else others).append(tensor)
    return matrices, others
