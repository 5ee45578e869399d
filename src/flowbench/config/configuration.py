"""The composed configuration as typed settings, or all its problems at once."""

import inspect
import pkgutil
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, fields
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from flowbench.config.embedding import split_embedding
from flowbench.config.settings import Paths, Published, Settings, TrainerKeys, Training
from flowbench.config.signatures import (
    problems_of_call,
    problems_of_node,
    problems_of_value,
    without,
)
from flowbench.config.words import show

__all__ = ["SIZES", "ConfigError", "Training", "check", "resolved"]

SECTIONS = {"paths": Paths, "published": Published, "training": Training, "trainer": TrainerKeys}
SIZES = {"features", "context_features", "lattice"}
TRAINER_OWN = {"callbacks", "default_root_dir", "logger"}
TRAINER_OWN |= {"num_sanity_val_steps", "enable_model_summary", "plugins"}
# These would have no effect on the training loop, or break it: it counts its own steps, validates
# on all rows after every epoch, and needs float32.
TRAINER_OWN |= {"precision", "max_steps", "min_steps", "accumulate_grad_batches"}
TRAINER_OWN |= {"gradient_clip_val", "gradient_clip_algorithm", "check_val_every_n_epoch"}
TRAINER_OWN |= {"val_check_interval", "limit_train_batches", "limit_val_batches"}
TRAINER_OWN |= {"overfit_batches", "fast_dev_run", "barebones", "enable_checkpointing"}


class ConfigError(Exception):
    """Mistakes in a configuration, one sentence per line, each with the full key."""


def check(config: DictConfig) -> Settings:
    """The settings that a configuration gives; all mistakes are reported before data are read.

    The keys beside every `_target_` are checked against its signature, and their values against
    its annotations; without an annotation any value passes.

    Args:
        config: as composed by Hydra.

    Returns:
        The settings, with every `${...}` replaced.

    Raises:
        ConfigError: all problems together, one per line.
    """
    plain = resolved(config)
    problems = [f"{key} is missing: give {key}=..." for key in OmegaConf.missing_keys(config)]
    problems += _each_once(_problems(plain), config)
    if problems:
        raise ConfigError("\n".join(problems))
    published = plain["published"]
    sections = {
        "paths": Paths(**plain["paths"]),
        "published": None if published is None else Published(**published),
        "training": Training(**plain["training"]),
        "trainer": TrainerKeys.of(plain["trainer"]),
    }
    return Settings(**{**plain, **sections}, plain=plain)


def resolved(config: DictConfig) -> dict[str, Any]:
    """The configuration as plain values, every `${...}` replaced.

    Raises:
        ConfigError: an interpolation cannot be resolved.

    Example:
        >>> resolved(OmegaConf.create({"seed": 1, "data": {"seed": "${seed}"}}))
        {'seed': 1, 'data': {'seed': 1}}
    """
    try:
        plain = OmegaConf.to_container(config, resolve=True)
    except OmegaConfBaseException as error:
        raise ConfigError(f"{error.full_key}: {str(error).splitlines()[0]}") from error
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def _each_once(problems: Iterable[str], config: DictConfig) -> list[str]:
    """Problems without those of a key that repeats another one, such as `seed: ${seed}`."""
    keys = {problem: problem.partition("=")[0] for problem in problems}
    return [problem for problem, key in keys.items() if _source(key, config) not in keys.values()]


def _source(key: str, config: DictConfig) -> str:
    """The key whose value a key repeats; nothing if its value is its own."""
    raw: Any = OmegaConf.to_container(config)
    for name in key.split("."):
        raw = raw.get(name) if isinstance(raw, dict) else None
    source = re.fullmatch(r"\$\{([\w.]+)\}", raw) if isinstance(raw, str) else None
    return source[1] if source else ""


def _problems(config: Mapping[str, Any]) -> Iterator[str]:
    rest = without(config, {*SECTIONS})
    yield from problems_of_call("", Settings, rest, supplied=[*SECTIONS, "plain"])
    for name in SECTIONS:
        yield from _of_section(name, config.get(name))
    for key, supplied in (("model", SIZES), ("data", set())):
        yield from _of_named(key, config.get(key), supplied=supplied)
    if config.get("module") is not None:
        yield from problems_of_node("module", config["module"], supplied={"flow", "training"})
    for section, supplied in (("logger", {"save_dir"}), ("callbacks", set())):
        nodes = config.get(section)
        for name, node in nodes.items() if isinstance(nodes, dict) else ():
            yield from problems_of_node(f"{section}.{name}", node, supplied=supplied)


def _of_section(name: str, section: object) -> Iterator[str]:
    """Problems of a section that is a part of the settings itself."""
    if section is None and name == "published":
        return
    if not isinstance(section, dict):
        optional = " or null" if name == "published" else ""
        yield f"{name}={show(section)}: expected a mapping{optional}"
    elif name == "trainer":
        yield from _of_trainer(section)
    else:
        yield from problems_of_call(name, SECTIONS[name], section)
    if name == "training" and isinstance(section, dict):
        yield from _of_optimisation(section)


def _of_optimisation(training: Mapping[str, Any]) -> Iterator[str]:
    """Problems of an optimiser or a learning-rate scheduler that is given by its `_target_`."""
    if isinstance(optimizer := training.get("optimizer"), dict):
        yield from problems_of_node("training.optimizer", optimizer, supplied={"params"})
    if isinstance(schedule := training.get("schedule"), dict):
        problems = [*problems_of_node("training.schedule", schedule, supplied={"optimizer"})]
        yield from problems or _of_scheduler(schedule["_target_"])


def _of_scheduler(target: str) -> Iterator[str]:
    """Refuse a scheduler whose `step` needs an argument, such as a metric."""
    step = getattr(pkgutil.resolve_name(target), "step", None)
    needed = [
        name
        for name, one in (inspect.signature(step).parameters if step else {}).items()
        if name != "self" and one.default is one.empty
    ]
    if needed:
        yield (
            f"training.schedule._target_={target}: needs {needed[0]} at every step, expected a "
            "scheduler that depends on the number of the step alone"
        )


def _of_named(key: str, node: object, *, supplied: set[str]) -> Iterator[str]:
    """Problems of `model` or `data`, whose name is a level of the run folder."""
    if not isinstance(node, dict):
        return
    name = node.get("name")
    if not isinstance(name, str) or not re.fullmatch(r"\w[\w.+-]*", name):
        yield f"{key}.name={show(name)}: expected a folder name: letters, digits, _ . + -"
    rest = without(node, {"name"})
    if isinstance(rest.get("_target_"), str):
        rest, embedding = split_embedding(rest)
        if embedding is not None:
            yield from problems_of_node(f"{key}.embedding", embedding, supplied=set())
    yield from problems_of_node(key, rest, supplied=supplied)


def _of_trainer(trainer: Mapping[str, Any]) -> Iterator[str]:
    """Problems of the Trainer's keys; some are checked more strictly than by the Trainer."""
    import pytorch_lightning

    for one in fields(TrainerKeys):
        if one.name in TrainerKeys.own() and (one.name in trainer or one.default is MISSING):
            yield from problems_of_value(f"trainer.{one.name}", trainer.get(one.name), one.type)
    rest = without(trainer, {*TrainerKeys.own()})
    yield from problems_of_call("trainer", pytorch_lightning.Trainer, rest, supplied=TRAINER_OWN)
