"""The user's own table."""

import dataclasses
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from flowbench.config.options import options_of
from flowbench.data.base import DataModule
from flowbench.data.conversion import Conversion, Originals
from flowbench.data.loader import Rows
from flowbench.data.options import DataError, three_fractions
from flowbench.data.raw import SPLITS, RawData
from flowbench.data.selection import Selection
from flowbench.data.table.columns import Asked, Columns
from flowbench.data.table.context import (
    context_rows,
    refuse_constant_contexts,
    standardize_context,
)
from flowbench.data.table.convert import convert_table
from flowbench.data.table.dependent import independent_targets
from flowbench.data.table.discrete import (
    discrete_targets,
    measures_of,
    outside_lattices,
    refuse_spikes,
)
from flowbench.data.table.domain import (
    Bounds,
    Circular,
    bounds_of,
    domain_warnings,
    periods_of,
    refuse_unmodelled,
)
from flowbench.data.table.form import Form
from flowbench.data.table.lattice import Discrete, dequantize
from flowbench.data.table.noise import with_noise
from flowbench.data.table.notices import table_warnings
from flowbench.data.table.preprocess import apply_steps, domain_steps, table_preprocess
from flowbench.data.table.splits import split_table

__all__ = ["Table"]

FORM = options_of(Form)


class Table(DataModule, options=options_of(DataModule) | FORM):
    """Rows of numbers from `.csv`, `.tsv`, `.xlsx`, `.parquet`, `.feather` or arrays.

    Text (`.csv`, `.tsv`, `.txt`, `.dat`) may be compressed (`.gz`, `.bz2`, `.xz`, `.zst`, `.zip`);
    arrays are `.npy`, `.npz` and `.h5`. A column of text that holds nothing but true and false,
    or yes and no, is one of numbers, 1 and 0.

    The rows are split at random by fractions unless the file defines the split: by a column, or
    as three arrays `train`, `val` and `test` (also `training`, `valid`, `validation`, `dev`,
    `testing`, in upper or lower case). Within a split they keep the order of the file. Statistics
    are those of the training rows. Rows are counted from 1 after the header. The file is converted
    and read in chunks, and a split too large for memory is memory-mapped, so that a table may be
    larger than memory; only a few numbers per row (such as their order) are kept in memory.

    Args:
        path: the file.
        columns: columns to model, by name (in arrays by number, from 0); None: all that have no
            other role.
        context_columns: numeric columns that the density is conditioned on.
        categorical_columns: columns of labels that the density is conditioned on; each is one-hot
            encoded, with its labels in order, after the numeric context columns.
        fractions: fractions of the rows for train, val and test, which sum to 1; unused if the
            file defines the split.
        split_column: a column of text or `.parquet` with the values train, val and test (or
            another of their names, as above).
        group_column: rows with the same value here (a speaker, a patient) share a split.
        weight_column: column of how much each row counts, numbers of at least 0 and of any scale,
            which is not modelled: training, statistics and mean scores are weighted by it, and
            rows of weight 0 are left out.
        dequantize: add uniform noise, as wide as the step, to the values of columns on a lattice
            (such as integers); that of a row is the same in every run. Lattices are those of the
            training rows; other values get no noise, with a warning. Scored files get such noise
            too. Refused if noise leaves a value that many rows share, as in a column
            of zeros and numbers. Without it, such columns raise a warning.
        discrete_columns: modelled columns of which lattices, and single values that many rows
            share (such as the zeros of an amount), are taken into account, or "auto": all that
            have any. Lattices get noise, as `dequantize` adds it; single values stay and have
            probabilities of their own, which the model must know (model=made_mixed).
        clip_quantiles: two quantiles of the training rows, e.g. 0.001 and 0.999, to which
            values are clipped in all splits, before the steps below; the density is then that of
            the clipped values. None: no clipping.
        log_columns: modelled columns, all positive, whose logarithm is taken.
        bounds: modelled columns with their lower and upper bound, one of which may be null, e.g.
            `{share: [0, 1], price: [0, null]}`; they are mapped to the real line, so that samples
            lie strictly between the bounds.
        circular_columns: modelled columns with their period, e.g. `{hour: 24, wind: 360}`, whose
            two ends are the same point; for the models MAF, IAF and RealNVP. Values are taken
            modulo the period, and samples lie in [0, period).
        drop_dependent: leave out columns that are constant or linear combinations of earlier
            columns or contexts, up to 10⁻⁵ of their standard deviation in the training rows,
            instead of refusing them.
        standardize: then scale columns (circular ones excepted) and contexts to mean 0 and
            standard deviation 1.
        key: the array to read from an `.npz` or `.h5` that holds several, or the sheet of an
            `.xlsx`.
        cache_dir: folder of the converted arrays; safe to delete.
        seed: seeds the split and the order of batches.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> path = Path(tempfile.mkdtemp()) / "x.npy"
        >>> np.save(path, np.random.default_rng(0).normal(size=(50, 3)))
        >>> data = Table(path=path, context_columns=[2], cache_dir=path.parent / "cache")
        >>> data.setup()
        >>> data.rows["train"].x.shape, data.rows["train"].context.shape
        (torch.Size([40, 2]), torch.Size([40, 1]))
    """

    cache_dir: str | Path

    def __init__(
        self,
        *,
        path: str | Path,
        columns: list[str | int] | None = None,
        context_columns: list[str | int] | None = None,
        categorical_columns: list[str | int] | None = None,
        fractions: Sequence[float] = (0.8, 0.1, 0.1),
        split_column: str | None = None,
        group_column: str | int | None = None,
        weight_column: str | int | None = None,
        dequantize: bool = False,
        discrete_columns: Literal["auto"] | list[str | int] | None = None,
        clip_quantiles: Sequence[float] | None = None,
        log_columns: list[str | int] | None = None,
        bounds: Bounds | None = None,
        circular_columns: Circular | None = None,
        drop_dependent: bool = False,
        standardize: bool = True,
        key: str | None = None,
        cache_dir: str | Path = "cache",
        **options: Any,
    ) -> None:
        given = {name: options.pop(name) for name in FORM if name in options}
        super().__init__(**options)
        self.form: Form = Form(**given)
        self.form_options: dict[str, Any] = {
            name: one.parameter.default for name, one in FORM.items()
        } | given
        self.path: Path = Path(path).expanduser()
        self.columns: list[str] | None = (
            None if columns is None else [str(name) for name in columns]
        )
        self.context_columns: list[str] = [str(name) for name in context_columns or []]
        self.categorical_columns: list[str] = [str(name) for name in categorical_columns or []]
        self.fractions: list[float] = three_fractions(fractions)
        self.split_column = split_column
        self.group_column: str | None = None if group_column is None else str(group_column)
        self.weight_column: str | None = None if weight_column is None else str(weight_column)
        self.dequantize = dequantize
        self.discrete_columns: list[str] | Literal["auto"] | None = (
            [str(name) for name in discrete_columns]
            if isinstance(discrete_columns, list)
            else discrete_columns
        )
        self.clip_quantiles: list[float] | None = (
            None if clip_quantiles is None else _two_quantiles(clip_quantiles)
        )
        self.log_columns: list[str] = [str(name) for name in log_columns or []]
        self.bounds: dict[str, list[float | None]] = bounds_of(bounds)
        self.periods: dict[str, float] = periods_of(circular_columns)
        self.drop_dependent = drop_dependent
        self.standardize = standardize
        self.key = key
        self.cache_dir = cache_dir

    def prepare_data(self) -> None:
        """Convert the file and find the lattices of its training rows, unless already done."""
        self._measured(self._conversion())

    def fingerprint(self) -> str | None:
        """The recorded SHA-256 of the file, recomputed if the file changed."""
        return self._originals().fingerprint()

    @property
    def context_names(self) -> list[str]:  # noqa: D102
        flags = [f"{name}={one}" for name, of in self.raw.categories.items() for one in of]
        return [*self.context_columns, *flags]

    def read(self) -> RawData:
        """The three splits, read from the converted file on slicing.

        Raises:
            DataError: the file or the options are invalid.
        """
        found = self._conversion()
        measured = self._measured(found)
        treated = [*measured["lattices"], *measured["atoms"]]
        told = {"treated": treated, "clip_quantiles": self.clip_quantiles}
        for sentence in table_warnings({**found.meta, **measured}, **told):
            warnings.warn(f"{self.path}: {sentence}", stacklevel=2)
        columns = Columns(**found.meta["columns"])
        self.split_by_chance = "all" in found.arrays and columns.split is columns.group is None
        noisy = {columns.targets.index(name): at for name, at in measured["lattices"].items()}
        rows = [
            with_noise(split, noisy, part=0 if "all" in found.arrays else part)
            for part, split in enumerate(self._splits(found))
        ]
        numbers = [split.then(lambda part: part[:, : len(columns.numbers)]) for split in rows]
        self._refuse_confined_twice(columns)
        kept = independent_targets(
            numbers[0],
            columns,
            mapped=self._to_the_line(columns.targets) if self.log_columns or self.bounds else None,
            drop=self.drop_dependent,
            path=self.path,
        )
        refuse_constant_contexts(numbers[0], columns, path=self.path)
        places = [columns.targets.index(name) for name in kept]
        targets = [split.then(lambda part: part[:, places]) for split in rows]
        x: dict[str, Any] = dict(zip(SPLITS, targets, strict=True))
        weight = _weights(rows) if columns.weight is not None else {}
        counts = weight["train"] / weight["train"].mean() if weight else None
        domain = self._domain(kept)
        taken = [name for named in domain.values() for name in named]
        for sentence in domain_warnings(x["train"], kept, taken=taken, periods=domain["periods"]):
            warnings.warn(f"{self.path}: {sentence}", stacklevel=2)
        categories = found.meta["categories"]
        context = context_rows(rows, columns, categories=categories, path=self.path)
        return RawData(
            x=x,
            preprocess=table_preprocess(
                x,
                kept,
                clip_quantiles=self.clip_quantiles,
                **domain,
                standardized=self.standardize,
                weight=counts,
                path=self.path,
            ),
            feature_names=kept,
            circular=list(map(kept.index, domain["periods"])),
            sha256=found.sha256,
            categories=categories,
            lattices=_of(kept, measured["lattices"]),
            atoms=_of(kept, measured["atoms"]),
            context=context,
            weight=weight,
            missing=self.form.marginalizes,
            context_preprocess=(
                standardize_context(
                    context["train"], columns.contexts, weight=counts, path=self.path
                )
                if context and self.standardize
                else []
            ),
        )

    def redrawn(self, split: str, draw: int) -> Rows:
        """The rows of a split with another draw of the noise, from the file without noise."""
        found = self._conversion()
        targets = Columns(**found.meta["columns"]).targets
        kept = [targets.index(name) for name in self.raw.feature_names]
        place = SPLITS.index(split)
        x = np.asarray(self._splits(found)[place][:], np.float64)[:, kept]
        lattices = {self.raw.feature_names.index(n): at for n, at in self.raw.lattices.items()}
        dequantize(x, lattices, generator=np.random.default_rng([draw, place]))
        fresh = self.model_space(x)
        return self.rows[split].changed(x=fresh.x, log_det=fresh.log_det)

    def _domain(self, kept: list[str]) -> dict[str, Any]:
        """The columns with logarithms, bounds and periods, as far as they are modelled."""
        return {
            "log_columns": [name for name in self.log_columns if name in kept],
            "bounds": _of(kept, self.bounds),
            "periods": _of(kept, self.periods),
        }

    def _to_the_line(self, targets: list[str]) -> Callable[[Selection], Selection]:
        steps = domain_steps(targets, **self._domain(targets))
        return lambda rows: apply_steps(steps, rows)

    def _refuse_confined_twice(self, columns: Columns) -> None:
        options: dict[str, Any] = {"data.log_columns": self.log_columns}
        options |= {"data.bounds": self.bounds, "data.circular_columns": self.periods}
        contexts = [*columns.contexts, *columns.categorical]
        refuse_unmodelled(columns.targets, options, contexts=contexts)

    def _splits(self, found: Conversion) -> list[Selection]:
        """The rows of train, val and test, without noise."""
        columns = Columns(**found.meta["columns"])
        return split_table(
            found.arrays, columns, fractions=self.fractions, seed=self.seed, path=self.path
        )

    def _originals(self) -> Originals:
        options = (
            "columns",
            "context_columns",
            "categorical_columns",
            "split_column",
            "group_column",
            "weight_column",
            "log_columns",
            "key",
        )
        return Originals(
            name="table",
            files=[self.path],
            cache_dir=self.cache_dir,
            version=6,
            options={name: getattr(self, name) for name in options} | self.form_options,
        )

    def _conversion(self) -> Conversion:
        return self._originals().convert(self._build, source="data.path names it")

    def _build(self, folder: Path) -> dict[str, Any]:
        asked = Asked(
            targets=self.columns,
            contexts=self.context_columns,
            categorical=self.categorical_columns,
            split=self.split_column,
            group=self.group_column,
            weight=self.weight_column,
            logs=self.log_columns,
        )
        return convert_table(self.path, folder, key=self.key, form=self.form, asked=asked)

    def _measured(self, converted: Conversion) -> Mapping[str, Any]:
        """What is discrete about the training rows, and how far it is taken into account."""

        def build(folder: Path) -> dict[str, Any]:
            del folder
            columns = Columns(**converted.meta["columns"])
            splits: dict[str, Selection] = dict(zip(SPLITS, self._splits(converted), strict=True))
            found = discrete_targets(splits["train"], columns.targets)
            lattices, atoms = self._measures(found, columns)
            known = {"lattices": lattices, "atoms": atoms}
            outside = outside_lattices(splits, columns.targets, **known)
            if self.discrete_columns is None:  # flows see numbers
                del outside["beyond"]
            return {
                **known,
                "outside": outside,
                "discrete": {name: one._asdict() for name, one in found.items()},
            }

        names = ("dequantize", "discrete_columns", "fractions", "seed")
        asked = {name: getattr(self, name) for name in names}
        originals = dataclasses.replace(
            table := self._originals(),
            name="table_lattices",
            files=[],
            places=[self.path],
            options={**table.options, **asked, "sha256": converted.sha256},
        )
        return originals.convert(build, source="").meta

    def _measures(self, found: Mapping[str, Discrete], columns: Columns) -> tuple[Any, Any]:
        """The lattices and atoms to take into account, by column."""
        asked, where = self.discrete_columns, str(self.path)
        if asked is None:
            if not self.dequantize:
                return {}, {}
            refuse_spikes(found, where=where)
            return {name: one.lattice for name, one in found.items() if one.step is not None}, {}
        if asked != "auto":
            contexts = [*columns.contexts, *columns.categorical]
            refuse_unmodelled(columns.targets, {"data.discrete_columns": asked}, contexts=contexts)
        return measures_of(found, asked, where=where)


def _of(names: list[str], values: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of a mapping that have one of these names."""
    return {name: value for name, value in values.items() if name in names}


def _weights(rows: Sequence[Selection]) -> dict[str, Any]:
    """The last column of train, val and test."""
    last = (np.asarray(split.then(lambda part: part[:, -1:]), np.float64) for split in rows)
    return {name: column[:, 0] for name, column in zip(SPLITS, last, strict=True)}


def _two_quantiles(quantiles: Sequence[float]) -> list[float]:
    if len(quantiles) != 2 or not 0 <= quantiles[0] < quantiles[1] <= 1:
        raise DataError(
            f"data.clip_quantiles={list(quantiles)}: expected two rising numbers between 0 and 1"
        )
    return list(quantiles)
