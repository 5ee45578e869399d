"""Is the composed configuration sound?"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from flowbench.config.limits import (
    Accelerator,
    AtLeastOne,
    Decay,
    NotNegative,
    Positive,
    Schedule,
    Seed,
)
from flowbench.config.signatures import (
    problems_of_call,
    problems_of_node,
    problems_of_value,
    show,
    without,
)

__all__ = ["ConfigError", "Training", "check", "resolved"]

SIZES = {"features", "context_features"}
TRAINER_OWN = {"callbacks", "default_root_dir", "logger"}
TRAINER_OWN |= {"num_sanity_val_steps", "enable_model_summary", "plugins"}
# What would not reach our training, or break it: it counts its steps itself, validates every epoch
# on all rows, and is as exact as float32.
TRAINER_OWN |= {"precision", "max_steps", "min_steps", "accumulate_grad_batches"}
TRAINER_OWN |= {"gradient_clip_val", "gradient_clip_algorithm", "check_val_every_n_epoch"}
TRAINER_OWN |= {"val_check_interval", "limit_train_batches", "limit_val_batches"}
TRAINER_OWN |= {"overfit_batches", "fast_dev_run", "barebones", "enable_checkpointing"}


class ConfigError(Exception):
    """Mistakes in a configuration, one sentence per line, each with the full key."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """Optimisation: the keys of `training`, with their units in configs/train.yaml."""

    batch_size: AtLeastOne
    learning_rate: Positive
    weight_decay: NotNegative
    noise: NotNegative
    ema: Decay | None
    gradient_clip_norm: Positive | None
    schedule: Schedule
    patience: AtLeastOne | None


@dataclass(frozen=True, kw_only=True)
class _Paths:
    data: str
    output: str
    cache: str


@dataclass(frozen=True, kw_only=True)
class _Published:
    source: str
    model: str


@dataclass(frozen=True, kw_only=True)
class _Everything:
    seed: Seed
    overwrite: bool
    init_from: str | None
    save_minutes: Positive
    figures: bool | Sequence[str] = True
    published: Mapping[str, Any] | None
    protocol: Mapping[str, Any] | None = None
    paths: Mapping[str, Any]
    model: Mapping[str, Any]
    data: Mapping[str, Any]
    training: Mapping[str, Any]
    trainer: Mapping[str, Any]
    logger: Mapping[str, Any]
    callbacks: Mapping[str, Any]


def check(config: DictConfig) -> None:
    """Refuse a configuration that cannot run, before any data are read.

    The keys below every `_target_` are held against its signature, and their values against its
    annotations; where there is no annotation, any value passes.

    Args:
        config: as composed by Hydra.

    Raises:
        ConfigError: all problems together, one per line.
    """
    plain = resolved(config)
    problems = [f"{key} is missing: give {key}=..." for key in OmegaConf.missing_keys(config)]
    problems += dict.fromkeys(_problems(plain))
    if problems:
        raise ConfigError("\n".join(problems))


def resolved(config: DictConfig) -> dict[str, Any]:
    """The configuration as plain values, every `${...}` replaced.

    Raises:
        ConfigError: an interpolation leads nowhere.

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


def _problems(config: Mapping[str, Any]) -> Iterator[str]:
    yield from problems_of_call("", _Everything, config)
    sections = {key: value for key, value in config.items() if isinstance(value, dict)}
    yield from problems_of_call("paths", _Paths, sections.get("paths"))
    yield from problems_of_call("published", _Published, sections.get("published"))
    yield from problems_of_call("training", Training, sections.get("training"))
    yield from _of_trainer(sections.get("trainer", {}))
    for key, supplied in (("model", SIZES), ("data", set())):
        if key in sections:
            yield from _of_name(f"{key}.name", sections[key].get("name"))
            yield from problems_of_node(key, without(sections[key], {"name"}), supplied=supplied)
    for name, node in sections.get("logger", {}).items():
        yield from problems_of_node(f"logger.{name}", node, supplied={"save_dir"})
    for name, node in sections.get("callbacks", {}).items():
        yield from problems_of_node(f"callbacks.{name}", node, supplied=set())


def _of_name(key: str, name: object) -> Iterator[str]:
    if not isinstance(name, str) or not re.fullmatch(r"\w[\w.+-]*", name):
        yield f"{key}={show(name)}: expected a folder name: letters, digits, _ . + -"


def _of_trainer(trainer: Mapping[str, Any]) -> Iterator[str]:
    """Problems of the Trainer's keys; flowbench is stricter than the Trainer about some."""
    import pytorch_lightning

    stricter = {"accelerator": Accelerator, "max_epochs": AtLeastOne}
    stricter |= {"strategy": Literal["auto", "ddp"]} if "strategy" in trainer else {}
    for name, annotation in stricter.items():
        yield from problems_of_value(f"trainer.{name}", trainer.get(name), annotation)
    rest = without(trainer, set(stricter))
    yield from problems_of_call("trainer", pytorch_lightning.Trainer, rest, supplied=TRAINER_OWN)
