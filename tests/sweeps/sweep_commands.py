"""Sweeps as a user starts them, of runs that take a second."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
SMALL = [
    "data.train_rows=400",
    "data.val_rows=100",
    "model.layers=1",
    "model.hidden_units=[4]",
    "training.batch_size=100",
    "trainer=cpu",
    "trainer.max_epochs=1",
    "logger=csv",
    "figures=false",
]


def arguments(output, *overrides):
    return ["-m", *SMALL, f"paths.output={output}", *overrides]


def results(output):
    """Every result below a folder, and when it was written."""
    return {path: path.stat().st_mtime_ns for path in output.glob("*/*/*/*/result.json")}


def table(text):
    """The rows at the end of a sweep, as dictionaries."""
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line[:2] == "| "]
    header, _, *rows = [[cell.strip() for cell in line] for line in lines]
    return [dict(zip(header, row, strict=True)) for row in rows]


def statuses(text):
    return [row["status"].partition(" ")[0] for row in table(text)]
