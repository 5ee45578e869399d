"""The user's own table."""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flowbench.data.base import SPLITS, DataError, DataModule, RawData
from flowbench.data.conversion import Conversion, convert
from flowbench.data.moments import moments, refuse_constant, refuse_non_finite, standardize
from flowbench.data.table_files import CsvPart, ParquetPart, Part, open_table

__all__ = ["Table"]

SPLIT_NAMES = {"train": "train", "val": "val", "validation": "val", "test": "test"}


class Table(DataModule):
    """Rows of numbers from `.csv`, `.parquet`, `.npy`, `.npz` or `.h5`.

    The rows are shuffled by the seed and split by fractions, unless the file says the split: by a
    column, or by being three arrays `train`, `val` (or `validation`) and `test`. Statistics are
    those of the training rows. Rows are counted from 1 after the header.

    Args:
        path: the file.
        columns: what to model, by name (by number, from 0, in arrays); None: all that is not
            named otherwise.
        context_columns: what the density is conditioned on; numeric.
        fractions: of the rows for train, val, test; they sum to 1.
        split_column: a column of a `.csv` or `.parquet` with the values train, val (or validation)
            and test.
        standardize: bring columns and contexts to mean 0 and standard deviation 1.
        key: the array in an `.npz` or `.h5` that holds several.
        cache_dir: folder of the converted arrays.
        batch_size: rows per optimiser step.
        seed: of the shuffled split and of the order of batches.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "x.npy"
        >>> np.save(path, np.random.default_rng(0).normal(size=(50, 3)))
        >>> data = Table(path=path, context_columns=[2], cache_dir=path.parent / "cache")
        >>> data.setup()
        >>> data.rows["train"].x.shape, data.rows["train"].context.shape
        (torch.Size([40, 2]), torch.Size([40, 1]))
    """

    def __init__(
        self,
        *,
        path: str | Path,
        columns: list[str | int] | None = None,
        context_columns: list[str | int] | None = None,
        fractions: Sequence[float] = (0.8, 0.1, 0.1),
        split_column: str | None = None,
        standardize: bool = True,
        key: str | None = None,
        cache_dir: str | Path = "cache",
        batch_size: int = 256,
        seed: int = 0,
    ) -> None:
        super().__init__(batch_size=batch_size, seed=seed)
        self.path = Path(path).expanduser()
        self.columns = None if columns is None else [str(name) for name in columns]
        self.context_columns = [str(name) for name in context_columns or []]
        self.fractions = tuple(fractions)
        self.split_column = split_column
        self.standardize = standardize
        self.key = key
        self.cache_dir = cache_dir

    def prepare_data(self) -> None:
        """Convert the file, unless that was done before."""
        self._conversion()

    def read(self) -> RawData:
        """The three splits.

        Raises:
            DataError: whatever is wrong with the file or with what was asked of it.
        """
        found = self._conversion()
        targets, contexts = found.meta["columns"], found.meta["context_columns"]
        names = targets + contexts
        parts = found.arrays
        if self.path.suffix.lower() == ".npy":
            [whole] = open_table(self.path, key=None)["all"].numbers(names)
            parts = {"all": whole}
        for part, values in parts.items():
            if part != "split":
                refuse_non_finite(values, names, where=self._where(part))
        splits = self._splits(parts)
        empty = [split for split, values in splits.items() if not len(values)]
        if empty:
            raise DataError(f"{self.path}: the split {empty[0]!r} is empty, expected rows in it")
        train = splits["train"]
        refuse_constant(moments(train), names, where=f"training rows of {self.path}")
        x = {split: values[:, : len(targets)] for split, values in splits.items()}
        context = {split: values[:, len(targets) :] for split, values in splits.items()}
        return RawData(
            x=x,
            preprocess=self._preprocess(x["train"], targets),
            feature_names=targets,
            sha256=found.sha256,
            context=context if contexts else {},
            context_preprocess=self._preprocess(context["train"], contexts),
        )

    def _preprocess(self, train: NDArray[Any], names: list[str]) -> list[dict[str, Any]]:
        return (
            standardize(train, names, where=str(self.path)) if self.standardize and names else []
        )

    def _conversion(self) -> Conversion:
        options = {
            "columns": self.columns,
            "context_columns": self.context_columns,
            "split_column": self.split_column,
            "key": self.key,
        }
        return convert(
            "table",
            self._build,
            originals=[self.path],
            cache_dir=self.cache_dir,
            version=1,
            options=options,
            source="data.path names it",
        )

    def _build(self, folder: Path) -> dict[str, Any]:
        """Write one array per part, targets before contexts; an `.npy` stays where it is."""
        parts = open_table(self.path, key=self.key)
        chosen = {part: self._choose(source.names) for part, source in parts.items()}
        targets = next(iter(chosen.values()))
        if any(columns != targets for columns in chosen.values()):
            raise DataError(f"{self.path}: train, val and test differ in their number of columns")
        for part, source in parts.items():
            if self.path.suffix.lower() != ".npy":
                rows = _write(folder / f"{part}.npy", source, [*targets, *self.context_columns])
                if not rows:
                    raise DataError(f"{self._where(part)} has no rows, expected at least one")
        if self.split_column is not None:
            np.save(folder / "split.npy", self._split_codes(parts))
        return {"columns": targets, "context_columns": self.context_columns}

    def _choose(self, names: list[str]) -> list[str]:
        """The target columns; every name that was given must exist, and only once."""
        taken = [*self.context_columns, *([self.split_column] if self.split_column else [])]
        asked = [*(self.columns or []), *taken]
        for where, listed in ((str(self.path), names), ("the columns asked for", asked)):
            twice = [name for name in dict.fromkeys(listed) if listed.count(name) > 1]
            if twice:
                raise DataError(f"{where}: the column {twice[0]!r} comes twice, expected it once")
        for name in asked:
            if name not in names:
                near = difflib.get_close_matches(name, names, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(names)}"
                raise DataError(f"{self.path} has no column {name!r}; {hint}")
        targets = [name for name in names if name not in taken]
        targets = targets if self.columns is None else self.columns
        if not targets:
            raise DataError(f"{self.path} has no column left to model, expected at least one")
        return targets

    def _split_codes(self, parts: dict[str, Part]) -> NDArray[np.int8]:
        source = parts.get("all")
        if not isinstance(source, CsvPart | ParquetPart):
            raise DataError(f"data.split_column: {self.path} is no .csv or .parquet")
        values = source.texts(str(self.split_column))
        for row, value in enumerate(values, start=1):
            if value not in SPLIT_NAMES:
                raise DataError(
                    f"{self.path}: row {row}, column {self.split_column!r} holds {value!r}, "
                    f"expected one of {', '.join(SPLIT_NAMES)}"
                )
        return np.array([SPLITS.index(SPLIT_NAMES[value]) for value in values], np.int8)

    def _splits(self, parts: Any) -> dict[str, NDArray[Any]]:
        if "all" not in parts:
            return {split: parts[split] for split in SPLITS}
        whole = parts["all"]
        if "split" in parts:
            code = parts["split"]
            return {split: whole[code == index] for index, split in enumerate(SPLITS)}
        wrong_sum = abs(sum(self.fractions) - 1) > 1e-6
        if len(self.fractions) != 3 or wrong_sum or min(self.fractions) < 0:
            raise DataError(
                f"data.fractions={list(self.fractions)}: expected three numbers "
                "(train, val, test) that sum to 1"
            )
        order = np.random.default_rng(self.seed).permutation(len(whole))
        val, test = (round(fraction * len(whole)) for fraction in self.fractions[1:])
        train = len(whole) - val - test
        bounds = np.split(order, [train, train + val])
        return {split: whole[index] for split, index in zip(SPLITS, bounds, strict=True)}

    def _where(self, part: str) -> str:
        return str(self.path) if part == "all" else f"'{part}' of {self.path}"


def _write(out: Path, source: Part, columns: list[str]) -> int:
    """Append the pieces of a part to one `.npy`; return the number of rows, known at the end."""
    scratch, rows, dtype = out.with_suffix(".bin"), 0, np.dtype(np.float64)
    with scratch.open("wb") as file:
        for piece in source.numbers(columns):
            np.ascontiguousarray(piece).tofile(file)
            rows, dtype = rows + len(piece), piece.dtype
    if rows:
        array = np.lib.format.open_memmap(out, mode="w+", dtype=dtype, shape=(rows, len(columns)))
        array[:] = np.memmap(scratch, dtype, "r").reshape(rows, len(columns))
        array.flush()
    scratch.unlink()
    return rows
