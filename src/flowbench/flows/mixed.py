"""An autoregressive density of columns with different measures."""

from collections.abc import Iterator, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from flowbench.flows.atoms import Atoms
from flowbench.flows.base import Base
from flowbench.flows.conditionals import Conditionals
from flowbench.flows.flow import Flow
from flowbench.nn import AutoregressiveNetwork
from flowbench.nn.contexts import for_each_row
from flowbench.transforms import Transform

__all__ = ["MixedBase", "MixedFlow"]

SAMPLES = 1024  # drawn at once
CHUNK = 8192


class MixedBase(Base):
    r"""p(u) = Πᵢ p(uᵢ | u before i, context), where each column has conditionals of its kind.

    Args:
        network: maps what it is told of the columns, and a context, to their parameters: those of
            the conditionals, then those of the atoms.
        kinds: the columns of each kind of conditionals, and these.
        atoms: single values with probabilities of their own, beside all conditionals.
    """

    has_rsample = False
    anchor: Tensor

    def __init__(
        self,
        network: AutoregressiveNetwork,
        kinds: Sequence[tuple[Sequence[int], Conditionals]],
        atoms: Atoms,
    ) -> None:
        super().__init__()
        self.features: int = network.features
        self.context_features: int = network.context_features
        self.network = network
        self.kinds: nn.ModuleList = nn.ModuleList(kind for _, kind in kinds)
        self.atoms = atoms
        here = torch.get_default_device()
        self.columns: list[list[int]] = [list(columns) for columns, _ in kinds]
        order = [column for columns in self.columns for column in columns]
        self.back: list[int] = [order.index(column) for column in range(self.features)]
        self.home: dict[int, tuple[Conditionals, int]] = {
            column: (kind, place)
            for columns, kind in kinds
            for place, column in enumerate(columns)
        }
        # This buffer gives samples the dtype and device of the flow.
        self.register_buffer("anchor", torch.zeros((), device=here), persistent=False)

    def inputs(self, u: Tensor) -> Tensor:
        """What the network is told of coordinates `[..., features]`."""
        parts = [kind.inputs(u[..., columns]).to(self.anchor) for columns, kind in self._kinds()]
        return torch.cat(parts, -1)[..., self.back]

    def log_prob(self, u: Tensor, context: Tensor | None = None) -> Tensor:  # noqa: D102
        params = self.network(self.inputs(u), context)
        terms = self._each("log_prob", u, params)
        return self.atoms.log_prob(u, terms, self._of_atoms(params)).sum(-1)

    def uniforms(self, u: Tensor, context: Tensor | None = None) -> Tensor:  # noqa: D102
        params = self.network(self.inputs(u), context)
        return self.atoms.uniform(u, self._each("uniform", u, params), self._of_atoms(params))

    def _each(self, method: Literal["log_prob", "uniform"], u: Tensor, params: Tensor) -> Tensor:
        """What the conditionals of each column say of its coordinates."""
        parts = [
            getattr(kind, method)(u[..., columns], params[..., columns, : kind.params])
            for columns, kind in self._kinds()
        ]
        return torch.cat([part.to(self.anchor) for part in parts], -1)[..., self.back]

    @torch.no_grad()
    def sample(self, shape: torch.Size, context: Tensor | None = None) -> Tensor:  # noqa: D102
        context = for_each_row(self.network.check_context(context), shape)
        rows = torch.arange(shape.numel()).split(SAMPLES)
        drawn = [
            self._drawn(len(part), None if context is None else context[part]) for part in rows
        ]
        return torch.cat(drawn).reshape(*shape, self.features)

    def _drawn(self, rows: int, context: Tensor | None) -> Tensor:
        columns: list[Tensor] = [self.anchor] * self.features

        def told(params: Tensor, feature: int) -> Tensor:
            kind, place = self.home[feature]
            u = kind.sample(params[..., : kind.params], place)
            columns[feature] = self.atoms.sample(u, self._of_atoms(params), feature)
            return kind.inputs(columns[feature], place).to(self.anchor)

        def next_values(params: Tensor, places: slice) -> Tensor:
            features = self.network.order[places]
            return torch.stack(list(map(told, params.unbind(1), features)), -1)

        self.network.generate(next_values, rows=rows, context=context)
        return torch.stack(columns, -1)

    @torch.no_grad()
    def initialize(self, u: Tensor) -> None:
        """Start at what the coordinates of training rows suggest."""
        rest = self.atoms.initialize(u)
        for columns, kind in self._kinds():
            kind.initialize(rest[..., columns])

    def _of_atoms(self, params: Tensor) -> Tensor:
        return params[..., params.shape[-1] - self.atoms.params :]

    def _kinds(self) -> Iterator[tuple[list[int], Conditionals]]:
        return zip(self.columns, self.kinds, strict=True)  # type: ignore[arg-type]


class MixedFlow(Flow):
    """A flow whose noise is the coordinates of columns, each with its measure.

    Args:
        base: the density of the coordinates.
        transform: maps them to model space.
    """

    base: MixedBase
    by_column = True

    def __init__(self, base: MixedBase, transform: Transform) -> None:
        super().__init__(base, transform)

    @torch.no_grad()
    def initialize(
        self, x: Tensor, context: Tensor | None = None, weight: Tensor | None = None
    ) -> None:
        """Start at what training rows suggest, all alike; called before training."""
        del context, weight
        self.base.initialize(
            torch.cat([self.transform.inverse(part)[0] for part in x.split(CHUNK)])
        )
