"""Autoregressive probabilities of levels: a product of conditionals."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from flowbench.flows.cells import noisy
from flowbench.flows.lattice import LatticeBase
from flowbench.flows.lattice_description import Lattice
from flowbench.flows.levels import Levels
from flowbench.nn import AutoregressiveNetwork, ConvolutionalNetwork
from flowbench.nn.contexts import for_each_row
from flowbench.tracing import may_split

__all__ = ["AutoregressiveLevels"]

PARAMETERS = 2**24  # computed at once, where no gradients are needed
SAMPLES = 1024  # drawn at once


class AutoregressiveLevels(LatticeBase):
    r"""P(k) = Πᵢ P(kᵢ | k before i, context), with conditionals from one family.

    The network sees the levels scaled to [−1, 1].

    Args:
        network: maps features and a context to `[..., features, family.params]`.
        family: of the conditionals.
        lattice: of the data.
    """

    scales: Tensor

    def __init__(
        self,
        network: AutoregressiveNetwork | ConvolutionalNetwork,
        family: Levels,
        lattice: Lattice,
    ) -> None:
        super().__init__(lattice)
        self.network = network
        self.family = family
        self.context_features: int = network.context_features
        scales = 2 / (self.counts - 1).clamp(min=1).to(self.anchor)
        self.register_buffer("scales", scales, persistent=False)

    def log_prob_of_levels(self, k: Tensor, context: Tensor | None) -> Tensor:  # noqa: D102
        return self._in_parts(self._log_prob, k, context)

    def uniforms_of_levels(self, k: Tensor, context: Tensor | None) -> Tensor:  # noqa: D102
        return self._in_parts(self._uniforms, k, context)

    def _in_parts(
        self, of: Callable[[Tensor, Tensor | None], Tensor], k: Tensor, context: Tensor | None
    ) -> Tensor:
        """A function of levels and contexts, of so many at once as memory is kept for."""
        most = max(1, PARAMETERS // (self.features * self.family.params))
        batch = k.shape[:-1]
        if not may_split(k) or batch.numel() <= most:
            return of(k, context)
        parts = k.reshape(-1, self.features).split(most)
        contexts: Sequence[Tensor | None] = [None] * len(parts)
        if context is not None:
            contexts = context.expand(*batch, -1).flatten(0, -2).split(most)
        return torch.cat([*map(of, parts, contexts)]).unflatten(0, batch)

    def _log_prob(self, k: Tensor, context: Tensor | None) -> Tensor:
        return self.family.log_prob(k, self.network(k * self.scales - 1, context)).sum(-1)

    def _uniforms(self, k: Tensor, context: Tensor | None) -> Tensor:
        return self.family.uniform(k, self.network(k * self.scales - 1, context))

    @torch.no_grad()
    def sample_levels(self, shape: torch.Size, context: Tensor | None) -> Tensor:  # noqa: D102
        context = for_each_row(self.network.check_context(context), shape)
        k = self.counts.new_zeros(shape.numel(), self.features)
        return self._drawn(k, 0, context).reshape(*shape, self.features)

    @torch.no_grad()
    def completed(self, u: Tensor, known: int, context: Tensor | None = None) -> Tensor:
        """Draw the values of later features given those of earlier ones, exactly.

        Args:
            u: coordinates `[rows, features]`.
            known: number of the features that stay as they are, which are the first ones.
            context: `[rows, context_features]`, or None.

        Raises:
            ValueError: the network's order does not begin with them.
        """
        first = sorted(self.network.order[:known])
        if first != list(range(known)):
            raise ValueError(
                f"the order of features begins with {first[:5]}…, expected the first {known}"
            )
        k = self._drawn(self.cells.outcomes(u)[0], known, context)
        place = self.cells.drawn(k, self.anchor)
        drawn = place if self.discrete else noisy(place)
        return torch.cat([u[:, :known].to(drawn), drawn[:, known:]], dim=-1)

    def _drawn(self, k: Tensor, known: int, context: Tensor | None) -> Tensor:
        """Levels `[rows, features]`, of which the first `known` are given."""
        drawn = []
        for part in torch.arange(len(k)).split(SAMPLES):
            given = k[part]

            def next_values(params: Tensor, places: slice, given: Tensor = given) -> Tensor:
                features = self.network.order[places]
                values = [
                    (given[:, feature] if feature < known else self.family.sample(own, feature))
                    * self.scales[feature] - 1
                    for own, feature in zip(params.unbind(1), features, strict=True)
                ]  # fmt: skip
                return torch.stack(values, dim=-1)

            drawn.append(
                self.network.generate(
                    next_values, rows=len(part), context=None if context is None else context[part]
                )
            )
        return ((torch.cat(drawn) + 1) / self.scales).round().long()

    def initialize(
        self, k: Tensor, context: Tensor | None = None, weight: Tensor | None = None
    ) -> None:
        """Start the family at the shares of the levels."""
        self.family.initialize(k, weight)
