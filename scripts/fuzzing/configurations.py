"""Commands of `train.py` with overrides drawn from the options themselves, and hostile ones."""

import os
import random
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from flowbench.config.configuration import REFUSED_OF_TRAINER
from flowbench.config.settings import Paths, Settings, TrainerKeys, Training
from flowbench.config.signatures import parameters, target_of
from flowbench.run import main as command
from flowbench.run.config_directory import config_directory
from fuzzing.attempts import Outcome, attempt
from fuzzing.values import HOSTILE, drawn, written

__all__ = ["campaign"]

MODELS = ("maf", "maf_mog", "maf_spline", "made", "made_mog", "made_bernoulli", "iaf", "realnvp")
MODELS += ("realnvp_spline", "nice", "gaussian", "blockwise", "maf_strong")
MODELS += tuple(name for name in ("zuko", "nflows", "normflows") if find_spec(name))
GROUPS = (
    "model",
    "data",
    "trainer",
    "logger",
    "experiment",
    "protocol",
    "sweep",
    "hydra/launcher",
    "hydra/sweeper",
)
DATA = {
    "toy": ["data.train_rows=64", "data.val_rows=16"],
    "table": ["data.path=rows.csv"],
    "fsdd": [],
    "images": ["data.path=pictures"],
}
SMALL = ["trainer=cpu", "trainer.max_epochs=1", "training.batch_size=32", "logger=csv"]
SMALL += ["figures=false"]
# Their types do not say which values make sense here.
OTHERS = {f"trainer.{name}" for name in [*REFUSED_OF_TRAINER, "devices", "num_nodes", "strategy"]}
OTHERS |= {"model.features", "model.context_features", "model.flow", "data.path", "init_from"}
OTHERS |= {"plain", "published", "model", "data", "training", "trainer", "paths", "module"}
OTHERS |= {"trainer.accelerator", "trainer.others", "figures", "logger", "callbacks", "protocol"}
OTHERS |= {"training.schedule", "training.optimizer", "data.columns", "data.context_columns"}
OTHERS |= {"data.key", "data.split_column", "data.group_column", "data.categorical_columns"}
ROWS = "a,b,c\n" + "".join(f"{i * i % 17 / 7},{i * 3 % 11 / 3},{i % 2}\n" for i in range(80))


def campaign(n: int, *, seed: int = 0, trained: float = 0.25) -> Iterator[Outcome]:
    """Compose and check `n` commands, and really run some of those that are sound.

    Args:
        n: number of commands.
        seed: of what is drawn.
        trained: share of the commands that train where they are sound; the others build data and
            flow only.
    """
    from flowbench.run import run  # imported before the processes are forked

    os.environ["FLOWBENCH_OFFLINE"] = "1"
    train = run.run
    rng = random.Random(seed)
    for _ in range(n):
        words = _words(rng)
        run.run = train if rng.random() < trained else _build
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            (place / "rows.csv").write_text(ROWS)
            outcome = attempt(command.main, ["train.py", *words], place)
            yield _checked(outcome, place, ran=run.run is train)
    run.run = train


def _checked(outcome: Outcome, folder: Path, *, ran: bool) -> Outcome:
    """An outcome, bad also if a run has left no result, or a mistake a folder."""
    results = list(folder.glob("**/result.json"))
    if outcome.bad or not ran:
        return outcome
    shown = any(word in outcome.command.split() for word in ("--help", "--cfg=job"))
    if outcome.code == 0 and not results and not shown:
        return replace(outcome, bad="no result")
    if outcome.code == 2 and list(folder.glob("**/config.yaml")):
        return replace(outcome, bad="a mistake in the command has left a run folder")
    return outcome


def _build(settings: Settings, path: Path) -> dict[str, Any]:
    """In place of a run: build the data module, and the flow for two features."""
    from flowbench.from_config import build_data, build_flow

    build_data(settings.data)
    build_flow(settings.model, features=2, context_features=0)
    print("built")
    return {}


def _words(rng: random.Random) -> list[str]:
    model, data = rng.choice(MODELS), rng.choice([*DATA, "toy", "toy", "table"])
    options = [*_options(model, data)]
    words = [f"model={model}", f"data={data}", *DATA[data], *SMALL]
    for key, value in {"layers": 2, "blocks": 2, "hidden_units": "[8]"}.items():
        words += [f"model.{key}={value}"] if f"model.{key}" in dict(options) else []
    sound = rng.random() < 0.5
    for _ in range(rng.choice([0, 1, 1, 2, 3, 5])):
        words.append(_sound(rng, options) if sound else _override(rng, options))
    if not sound and rng.random() < 0.1:
        words.insert(0, rng.choice(["-m", "--help", "--cfg=job", "--nothing"]))
    return words


def _sound(rng: random.Random, options: list[tuple[str, Any]]) -> str:
    key, annotation = rng.choice([one for one in options if one[0] not in OTHERS])
    return f"{rng.choice(['', '+'])}{key}={written(drawn(annotation, rng))}"


def _override(rng: random.Random, options: list[tuple[str, Any]]) -> str:
    kind = rng.random()
    if kind < 0.08:
        return f"{rng.choice(GROUPS)}={rng.choice(HOSTILE)}"
    if kind < 0.12:
        return rng.choice(HOSTILE)
    key, annotation = rng.choice(options)
    if kind < 0.2:
        place = rng.randrange(len(key))
        key = key[:place] + rng.choice(["", ".", "x", "ü", "=", " "]) + key[place + 1 :]
    sign = rng.choice(["", "", "", "+", "++", "~"])
    value = rng.choice(HOSTILE) if rng.random() < 0.5 else written(drawn(annotation, rng))
    return f"{sign}{key}={value}"


def _options(model: str, data: str) -> Iterator[tuple[str, Any]]:
    """Every key of a run of a model on data, and its annotation."""
    from pytorch_lightning import Trainer

    sections: list[tuple[str, Any]] = [
        ("model.", target_of(_node(f"model/{model}"))),
        ("data.", target_of(_node(f"data/{data}"))),
        ("training.", Training),
        ("trainer.", TrainerKeys),
        ("trainer.", Trainer),
        ("paths.", Paths),
        ("", Settings),
    ]
    for section, target in sections:
        for option, one in (parameters(target) or {}).items():
            yield section + option, one.annotation


def _node(name: str) -> dict[str, Any]:
    """A configuration file with what it inherits."""
    text = (config_directory() / f"{name}.yaml").read_text(encoding="utf-8")
    node = yaml.safe_load(text)
    group = name.partition("/")[0]
    inherited = [one for one in node.pop("defaults", []) if one != "_self_"]
    for parent in inherited:
        node = _node(f"{group}/{parent}") | node
    return node
