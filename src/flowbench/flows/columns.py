"""What a model of mixed columns is told of each column: lattice, single values, or neither."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from flowbench.transforms.base import Chain, Transform
from flowbench.transforms.lattice import LatticeCoordinates
from flowbench.transforms.selected import Selected
from flowbench.transforms.steps import build_preprocess, steps_of

__all__ = ["MOST_LEVELS", "ROUNDING", "Atom", "Column", "Columns"]

ROUNDING = 4e-7  # of float32, in model space
MOST_LEVELS = 2**18  # which rows in float32 tell apart


@dataclass(frozen=True, kw_only=True)
class Column:
    """The measure of one column: that of length, unless it has a lattice or atoms.

    Attributes:
        levels: number of points of a lattice, 0 for none; other values may lie below and above.
        origin: the lowest of them in data units.
        step: their distance.
        atoms: single values, in data units, each of which has a probability of its own.
    """

    levels: int = 0
    origin: float = 0.0
    step: float = 1.0
    atoms: Sequence[float] = ()


@dataclass(frozen=True)
class Atom:
    """A single value with a probability, in the coordinates of its column.

    Attributes:
        column: from 0.
        place: its coordinate.
        log_width: the logarithm of the coordinates' change per data unit there.
        rounding: the largest distance of its coordinate from `place`, for float32.
    """

    column: int
    place: float
    log_width: float
    rounding: float


@dataclass(frozen=True)
class Columns:
    """The measures of all columns, and the steps from data units to model space.

    The coordinate of a column with a lattice is counted in cells, that of another is its value in
    model space.

    Attributes:
        each: one per feature.
        preprocess: the steps from data units to model space; see `build_preprocess`.
    """

    each: Sequence[Column]
    preprocess: Sequence[Mapping[str, Any]] = ()

    @classmethod
    def of(cls, features: int, given: Mapping[str, Any] | None) -> "Columns":
        """The columns that plain values describe; None: none has a lattice or atoms.

        Raises:
            ValueError: they describe another number of features, or no lattice.

        Example:
            >>> Columns.of(2, {"columns": [{"levels": 12}, {"atoms": [0.0]}]}).lattices
            [0]
        """
        given = given or {"columns": [{}] * features}
        each = [Column(**column) for column in given["columns"]]
        if len(each) != features:
            raise ValueError(f"measure: has {len(each)} columns, expected {features}")
        for index, one in enumerate(each):
            if one.levels < 0 or not one.step > 0:
                raise ValueError(
                    f"measure: column {index} has levels={one.levels} and step={one.step}, "
                    "expected a number from 0, and a positive one"
                )
        return cls(each, given.get("preprocess", ()))

    @property
    def lattices(self) -> list[int]:
        """The columns with a lattice whose cells rows in float32 tell apart."""
        return [i for i, one in enumerate(self.each) if 0 < one.levels <= MOST_LEVELS]

    @property
    def atoms(self) -> list[Atom]:
        """All atoms, column after column."""
        return [
            self._atom(index, value) for index, one in enumerate(self.each) for value in one.atoms
        ]

    def coordinates(self) -> Transform:
        """The map from coordinates to model space."""
        if not self.lattices:
            return Chain()
        chosen = [self.each[index] for index in self.lattices]
        cells = LatticeCoordinates(
            len(chosen),
            origin=[one.origin for one in chosen],
            step=[one.step for one in chosen],
            preprocess=self._steps(self.lattices),
        )
        return Selected(cells, features=self.lattices)

    def _atom(self, index: int, value: float) -> Atom:
        if index in self.lattices:
            one = self.each[index]
            place, width = (value - one.origin) / one.step, -torch.tensor(one.step).log().item()
            return Atom(index, place, width, rounding=1e-6 * one.levels)
        row = torch.tensor([value], dtype=torch.float64, device="cpu")
        u, log_det = build_preprocess(self._steps([index])).cpu().inverse(row)
        return Atom(index, u.item(), log_det.item(), rounding=ROUNDING * max(1.0, abs(u.item())))

    def _steps(self, columns: Sequence[int]) -> list[dict[str, Any]]:
        return list(steps_of(columns, self.preprocess, features=len(self.each)))
