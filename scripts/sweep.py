"""Orders × activations × batch norm: runs what is missing, and writes docs/results/sweep.md."""

import argparse
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from flowbench.formatting import duration
from flowbench.report.collect import RunRecord, collect
from flowbench.report.effects import Effect, sweeps
from flowbench.report.settings import settings_of
from flowbench.report.table import score_of
from flowbench.report.text import effects_table, markdown_table

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("FLOWBENCH_DATA", "data")).absolute()
GAS = ["data=table", "data.name=gas_stand_in", f"data.path={DATA}/gas/gas_flow_samples.npy"]


class Part(NamedTuple):
    """One sweep: what it is called on the page, and its overrides."""

    title: str
    words: Sequence[str]


PARTS = {
    "digits": Part(
        "Digits, 64 features",
        ["data=digits", "training.batch_size=100", "trainer.max_epochs=30"],
    ),
    "power": Part(
        "POWER, the first half of 2007, 6 features",
        ["data=power_2007h1", f"data.path={DATA}/power/power_2007h1.npz",
         "training.batch_size=1024", "trainer.max_epochs=3"],
    ),
    "gas": Part(
        "GAS stand-in, 8 features",
        [*GAS, "training.batch_size=256", "trainer.max_epochs=2"],
    ),
    "gas_article": Part(
        "GAS stand-in, the article's settings",
        [*GAS, "training.batch_size=100", "trainer.max_epochs=1", "model.layers=10",
         "model.batch_norm_side=data", "model.output_scale=1.0", "training.learning_rate=1e-4",
         "training.weight_decay=0", "training.gradient_clip_norm=null",
         "model.input_order=left-to-right", "model.reverse=true,false"],
    ),
    "banana": Part(
        "Banana, one layer",
        ["data=toy", "model.layers=1", "training.batch_size=256", "trainer.max_epochs=10",
         "model.input_order=left-to-right,right-to-left"],
    ),
    "banana_deep": Part(
        "Banana, five layers",
        ["data=toy", "training.batch_size=256", "trainer.max_epochs=10",
         "model.input_order=left-to-right,right-to-left"],
    ),
}  # fmt: skip
COMMON = [
    *("sweep=article", "hydra/launcher=packed", "model=maf", "model.hidden_units=[64,64]"),
    *("training.patience=null", "figures=false", "logger=csv", "trainer=cpu"),
]


def main() -> None:
    """Run the sweeps, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("outputs/sweep"), help="of the runs")
    parser.add_argument("--page", type=Path, default=Path("docs/results/sweep.md"))
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=list(PARTS), metavar="PART",
                        help=f"only some of the sweeps: {', '.join(PARTS)}")  # fmt: skip
    options = parser.parse_args()
    for name in options.parts:
        output = f"paths.output={options.output.absolute() / name}"
        command = [sys.executable, ROOT / "train.py", "-m", *COMMON, *PARTS[name].words, output]
        subprocess.run(command, check=False)  # a failed run is a result, too
