"""Networks of which some inputs are angles, given to them as cosine and sine."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from flowbench.nn.autoregressive import AutoregressiveNetwork
from flowbench.nn.incremental import generate
from flowbench.nn.masks import InputOrder, input_degrees, seeded

__all__ = ["AngularInputs", "AngularNetwork", "unrolled"]


def unrolled(x: Tensor, angles: Tensor) -> Tensor:
    """An event with the cosines of some features in their places, and their sines at the end.

    Args:
        x: `[..., features]`.
        angles: index of the features that are angles in radians, int64.

    Example:
        >>> unrolled(torch.tensor([0.0, 5.0]), torch.tensor([0]))
        tensor([1., 5., 0.])
    """
    chosen = x.index_select(-1, angles)
    return torch.cat([x.index_copy(-1, angles, chosen.cos()), chosen.sin()], dim=-1)


class AngularInputs(nn.Module):
    """A network of events some of whose features are angles.

    Args:
        network: takes the `unrolled` events and a context.
        angles: features that are angles in radians, from 0.

    Example:
        >>> from flowbench.nn import MLP
        >>> AngularInputs(MLP(3, outputs=1), angles=[1])(torch.zeros(5, 2)).shape
        torch.Size([5, 1, 2])
    """

    def __init__(self, network: nn.Module, angles: Sequence[int]) -> None:
        super().__init__()
        self.network = network
        self.angles: Tensor
        self.register_buffer("angles", torch.tensor(angles, dtype=torch.int64), persistent=False)

    @property
    def params(self) -> Any:
        """The parameters per output of the network."""
        return getattr(self.network, "params", None)

    @property
    def context_features(self) -> int | None:
        """Size of the context that the network takes."""
        return getattr(self.network, "context_features", None)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """The network's parameters for each output, `[..., outputs, params]`."""
        return self.network(unrolled(x, self.angles), context)


class AngularNetwork(AngularInputs):
    """An `AutoregressiveNetwork` of events some of whose features are angles.

    An angle has two adjacent places in the order of the inner network, for cosine and sine; its
    own parameters are those of the first.

    Args:
        features: size of the event.
        params: parameters per feature.
        angles: features that are angles in radians, from 0.
        input_order: as in `AutoregressiveNetwork`.
        seed: as in `AutoregressiveNetwork`.
        **options: the others of `AutoregressiveNetwork`.

    Example:
        >>> AngularNetwork(2, 3, angles=[0], hidden_units=[8])(torch.zeros(5, 2)).shape
        torch.Size([5, 2, 3])
    """

    def __init__(
        self,
        features: int,
        params: int,
        *,
        angles: Sequence[int],
        input_order: InputOrder = "left-to-right",
        seed: int | None = None,
        **options: Any,
    ) -> None:
        generator = seeded(seed)
        degrees = input_degrees(features, input_order, generator)
        twice = torch.zeros(features, dtype=torch.int64, device="cpu")
        twice[list(angles)] = 1
        firsts = degrees + (twice * (degrees < degrees.unsqueeze(-1))).sum(-1)
        order = torch.cat([firsts, firsts[list(angles)] + 1]).tolist()
        network = AutoregressiveNetwork(
            len(order), params, input_order=order, seed=seed, **options
        )
        super().__init__(network, angles)
        self.features = features

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """The parameters of every feature, `[..., features, params]`."""
        return super().forward(x, context)[..., : self.features, :]

    def check_context(self, context: Tensor | None) -> Tensor | None:
        """As in `AutoregressiveNetwork`."""
        return self._inner.check_context(context)

    def generate(
        self,
        next_values: Callable[[Tensor, slice], Tensor],
        *,
        rows: int,
        context: Tensor | None = None,
    ) -> Tensor:
        """Feature-by-feature generation at the cost of one pass; see `nn.incremental.generate`."""
        angles, order = self.angles.tolist(), self.order
        values: dict[int, Tensor] = {}

        def next_inner(params: Tensor, places: slice) -> Tensor:
            inner = self._inner.order[places]
            own = [index for index, feature in enumerate(inner) if feature < self.features]
            if own:
                known = slice(len(values), len(values) + len(own))
                found = next_values(params[:, own], known).unbind(-1)
                values.update(zip(order[known], found, strict=True))
            seen = [
                values[angles[feature - self.features]].sin()
                if feature >= self.features
                else values[feature].cos()
                if feature in angles
                else values[feature]
                for feature in inner
            ]
            return torch.stack(seen, dim=-1)

        generate(self._inner, next_inner, rows=rows, context=context)
        return torch.stack([values[feature] for feature in range(self.features)], dim=-1)

    @property
    def order(self) -> list[int]:
        """The features in the order in which they are generated."""
        return [feature for feature in self._inner.order if feature < self.features]

    @property
    def _inner(self) -> AutoregressiveNetwork:
        assert isinstance(self.network, AutoregressiveNetwork)
        return self.network
