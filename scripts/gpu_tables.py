"""The rows of the published tables: which runs they are, and what they are expected to cost.

    python scripts/gpu_tables.py outputs/tables            # one line per command, cheapest first

`scripts/gpu_tables.sh` downloads the data, starts these commands and writes the page.
"""

import argparse
import math
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

import flowbench
from flowbench import data as data_sets
from flowbench.config.configuration import resolved
from flowbench.config.settings import Training
from flowbench.data import Batch
from flowbench.evaluation.published import table_name
from flowbench.formatting import integer
from flowbench.run.config_directory import config_directory
from flowbench.training.maximum_likelihood import MaximumLikelihood

UCI = ("power", "gas", "hepmass", "miniboone", "bsds300")
IMAGES = ("mnist", "cifar10")
MAF_PAPER = (
    ["model=gaussian"],
    ["model=made"],
    ["model=made_mog"],
    ["model=realnvp", "model.layers=5"],
    ["model=realnvp", "model.layers=10"],
    ["model=maf", "model.layers=5"],
    ["model=maf", "model.layers=10"],
    ["model=maf_mog", "model.layers=5"],
)
NSF_PAPER = (["model=maf_strong"], ["model=maf_spline"], ["model=realnvp_spline"])
SEEDS = "seed=0,1,2"  # of tables; pictures are trained once
FLIPPED = 90_000  # training rows of CIFAR-10, mirror images included
EPOCHS = 100  # that early stopping is expected to need
WORK = 6  # multiplications and additions of a step, per row and parameter
LARGE = {"features": 784, "layers": 1, "hidden_units": [1024, 1024], "batch_norm": False}
SMALL = {"features": 6, "layers": 5, "hidden_units": [100, 100], "batch_norm": False}
BATCH = 100
STEPS = 20


class Speed(NamedTuple):
    """What the device has been measured to do.

    Attributes:
        layer: seconds of a step per layer, however small it is.
        work: multiplications and additions per second in large layers.
    """

    layer: float
    work: float


class Row(NamedTuple):
    """A row of a table.

    Attributes:
        name: model and data set, as the table has them.
        words: overrides of the run.
        seconds: that it is expected to take, all seeds together.
    """

    name: str
    words: list[str]
    seconds: float


def cells() -> Iterator[list[str]]:
    """The overrides of every row of both tables, without seeds."""
    for data, model in product((*UCI, *IMAGES), MAF_PAPER):
        yield ["protocol=maf_paper", f"data={data}", *model]
    for data, model in product(IMAGES, MAF_PAPER):
        yield ["protocol=maf_paper", f"data={data}", "data.label_context=true", *model]
    for data, model in product(UCI[:4], NSF_PAPER):
        yield ["protocol=nsf_paper", f"data={data}", *model]


def rows(speed: Speed) -> list[Row]:
    """All rows, the cheapest first."""
    found = []
    with initialize_config_dir(str(config_directory()), version_base="1.3"):
        for words in cells():
            config = resolved(compose("train", words))
            of_table = config["data"]["name"] in UCI
            found.append(
                Row(
                    name=f"{config['published']['model']} on {table_name(config['data'])}",
                    words=[*words, SEEDS if of_table else "seed=0"],
                    seconds=_seconds(config, speed) * (3 if of_table else 1),
                )
            )
    return sorted(found, key=lambda row: row.seconds)


def _seconds(config: dict[str, Any], speed: Speed) -> float:
    """What one run is expected to take."""
    data, batch = config["data"], config["training"]["batch_size"]
    splits = getattr(data_sets, data["_target_"].rpartition(".")[2]).expected
    features = splits["test"][1]
    count = splits["train"][0] if "train" in splits else FLIPPED
    model = {k: v for k, v in config["model"].items() if k not in ("name", "embedding")}
    context = 10 if data.get("label_context") else 0
    with torch.device("meta"):
        flow = instantiate(model, features=features, context_features=context)
    parameters = sum(parameter.numel() for parameter in flow.parameters())
    if not parameters:
        return 0.0  # in closed form
    epochs = EPOCHS if config["training"]["patience"] else config["trainer"]["max_epochs"]
    step = model.get("layers", 1) * speed.layer + WORK * parameters * batch / speed.work
    return epochs * math.ceil(count / batch) * step


def measured(device: str) -> Speed:
    """The speed of a device, by a few steps of a small and of a large flow."""
    small, large = (_step(options, device) for options in (SMALL, LARGE))
    layer = small / SMALL["layers"]
    flow = flowbench.MAF(**LARGE)
    work = WORK * BATCH * sum(parameter.numel() for parameter in flow.parameters())
    return Speed(layer=layer, work=work / max(large - layer, large / 10))


def _step(options: dict[str, Any], device: str) -> float:
    """Seconds of a step of the plain engine."""
    flow = flowbench.MAF(**options).to(device)
    module = MaximumLikelihood(flow, Training(engine="plain"))
    module.rows_per_step = lambda: BATCH
    optimizer = module.configure_optimizers()
    module.arithmetic.begin()
    batch = Batch(torch.randn(BATCH, options["features"], device=device), None)
    for _ in range(3):
        module._optimise(optimizer, batch)
    start = time.perf_counter()
    for _ in range(STEPS):
        loss = module._optimise(optimizer, batch)
    torch.as_tensor(loss).sum().item()  # waits for the device
    return (time.perf_counter() - start) / STEPS


def told(found: Sequence[Row], speed: Speed, device: str) -> Iterable[str]:
    """The rows with their costs, in lines for people."""
    yield (f"{device}: {1e3 * speed.layer:.2f} ms per step and layer, "
           f"{speed.work / 1e9:,.0f} G operations per second")  # fmt: skip
    total = 0.0
    for row in found:
        total += row.seconds
        yield f"{row.seconds / 3600:9.2f} h {total / 3600:9.1f} h  {row.name}"
    yield (
        f"{len(found)} rows, {integer(total / 3600)} h in all, at most: steps were measured "
        "without compilation, the seeds of a row, packed, cost less than their sum, and early "
        f"stopping is taken to come after {EPOCHS} epochs"
    )


def main() -> None:
    """Print the commands, and the costs on stderr."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path, help="folder of the runs")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    speed = measured(options.device)
    found = rows(speed)
    print(*told(found, speed, options.device), sep="\n", file=sys.stderr)
    trainer = "trainer=gpu" if options.device == "cuda" else "trainer=cpu"
    for row in found:
        words = [*row.words, trainer, "logger=csv", f"paths.output={options.output}"]
        print("-m", "hydra/launcher=packed", *words)


if __name__ == "__main__":
    main()
