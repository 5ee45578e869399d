"""Single values with probabilities of their own, beside a density."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from flowbench.flows.columns import Atom

__all__ = ["Atoms"]


class Atoms(nn.Module):
    r"""p(x) = πⱼ at the atoms aⱼ of a column, and (1 − Σⱼ πⱼ) times a density elsewhere.

    The measure is that which counts at atoms, and that of length elsewhere. In coordinates that
    change by w per data unit, an atom's density is πⱼ / w, so that in data units it is πⱼ. The
    parameters of a column are the logits of its atoms, relative to the rest.

    Args:
        atoms: those of all columns.
        features: number of columns.
    """

    places: Tensor
    rounding: Tensor
    log_widths: Tensor

    def __init__(self, atoms: Sequence[Atom], *, features: int) -> None:
        super().__init__()
        each = [[one for one in atoms if one.column == column] for column in range(features)]
        self.params: int = max(map(len, each))
        self.columns: list[int] = [column for column, own in enumerate(each) if own]
        here = torch.get_default_device()

        def padded(name: str, missing: float) -> Tensor:
            rows = [
                [getattr(one, name) for one in own] + [missing] * (self.params - len(own))
                for own in each
            ]
            return torch.tensor(rows, dtype=torch.float64, device="cpu").to(here)

        self.register_buffer("places", padded("place", math.nan), persistent=False)
        self.register_buffer("rounding", padded("rounding", 0.0), persistent=False)
        self.register_buffer("log_widths", padded("log_width", 0.0), persistent=False)
        self.start: nn.Parameter | None = (
            nn.Parameter(torch.zeros(features, self.params)) if self.params else None
        )

    def log_prob(self, u: Tensor, terms: Tensor, params: Tensor) -> Tensor:
        """Log-densities `[..., features]`, given those of the rest.

        Args:
            u: coordinates `[..., features]`.
            terms: log-densities of the rest, `[..., features]`.
            params: `[..., features, self.params]`.
        """
        if self.start is None:
            return terms
        shares = self._log_shares(params + self.start, self.places)
        here = self._here(u)
        atom = (shares[..., :-1] - self.log_widths.to(terms)).masked_fill(~here, 0.0).sum(-1)
        return torch.where(here.any(-1), atom, terms + shares[..., -1])

    def uniform(self, u: Tensor, rest: Tensor, params: Tensor) -> Tensor:
        """Uniform numbers `[..., features]`, given those of the rest: atoms first, in order.

        The arguments are those of `log_prob`.
        """
        if self.start is None:
            return rest
        shares = self._log_shares(params + self.start, self.places).exp()
        here, share = self._here(u), shares[..., :-1]
        place = share.cumsum(-1) - torch.rand_like(rest).unsqueeze(-1) * share
        atom = place.masked_fill(~here, 0.0).sum(-1)
        return torch.where(here.any(-1), atom, 1 - shares[..., -1] * (1 - rest))

    def sample(self, u: Tensor, params: Tensor, feature: int) -> Tensor:
        """Coordinates of one column, `[rows]`: those given, or an atom."""
        if feature not in self.columns or self.start is None:
            return u
        places = self.places[feature]
        shares = self._log_shares(params + self.start[feature], places)
        chosen = torch.multinomial(shares.exp(), 1).squeeze(-1)
        atom = places[chosen.clamp(max=self.params - 1)].to(u)
        return torch.where(chosen < self.params, atom, u)

    @torch.no_grad()
    def initialize(self, u: Tensor) -> Tensor:
        """Start at the shares of training rows; returns these with NaN in place of atoms."""
        if self.start is None:
            return u
        here = self._here(u)
        if not self.start.any():  # neither initialised nor trained before
            share = here.double().mean(0).clamp(1e-4, 1 - 1e-4)
            rest = (1 - share.sum(-1, keepdim=True)).clamp(min=1e-4)
            self.start.copy_((share / rest).log().masked_fill(self.places.isnan(), 0.0))
        return u.masked_fill(here.any(-1), torch.nan)

    def _here(self, u: Tensor) -> Tensor:
        """Which coordinates are which atoms, `[..., features, atoms]`."""
        return (u.detach().unsqueeze(-1) - self.places).abs() <= self.rounding

    def _log_shares(self, logits: Tensor, places: Tensor) -> Tensor:
        logits = logits.masked_fill(places.isnan(), -torch.inf)
        return torch.cat([logits, torch.zeros_like(logits[..., :1])], -1).log_softmax(-1)
