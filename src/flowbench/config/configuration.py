"""The composed configuration as typed settings, or all its problems at once."""

import inspect
import pkgutil
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, fields
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from flowbench.config.combinations import idle
from flowbench.config.defaults import defaults_of
from flowbench.config.embedding import split_embedding
from flowbench.config.errors import ConfigError
from flowbench.config.settings import (
    Auto,
    Evaluation,
    Paths,
    Published,
    Settings,
    TrainerKeys,
    Training,
)
from flowbench.config.signatures import (
    problems_of_call,
    problems_of_node,
    problems_of_value,
    target_of,
    without,
)
from flowbench.config.words import near_or_all, show

__all__ = ["SIZES", "ConfigError", "Training", "check", "remarks", "resolved"]

SECTIONS: dict[str, Any] = {
    "paths": Paths,
    "published": Published,
    "training": Training,
    "evaluation": Evaluation,
    "auto": Auto,
    "trainer": TrainerKeys,
}
ADDED = ("evaluation", "auto")  # absent from configurations of earlier versions
SIZES = {"features", "context_features", "circular", "lattice", "measure"}
ALL_ROWS = "an epoch is all rows of the data, and trainer.max_epochs limits a training"
EVERY_EPOCH = "all validation rows are scored after every epoch"
STEPS = "epochs are counted, not steps: set trainer.max_epochs"
NO_SPLIT = "there is no such stage, and scripts/evaluate.py scores splits"
SAVED = "the best and the last epoch are always saved, since the best one is scored"
CLIPPING = "gradients are clipped by norm: set training.gradient_clip_norm"
AVERAGED = (
    "has no effect on a run, which scores its best epoch; expected training.ema=0.999, an average "
    "that is validated and scored"
)
MONITORED = ("train/log_likelihood", "val/log_likelihood")
# Callbacks of Lightning that a run cannot have, with those derived from them: why.
REFUSED_CALLBACKS = {
    "StochasticWeightAveraging": AVERAGED,
    "WeightAveraging": AVERAGED,
    "BatchSizeFinder": "training.batch_size is the batch of a step, whatever its size",
    "GradientAccumulationScheduler": "training.batch_size is the batch of a step",
    "LearningRateFinder": "set training.learning_rate, or sweep it (-m)",
    "ModelPruning": "it renames the parameters, which checkpoints could then not restore",
}
# Keys of the Trainer that a run cannot have: why, and what to set instead.
REFUSED_OF_TRAINER = {
    "accumulate_grad_batches": "training.batch_size is the batch of a step, whatever its size",
    "barebones": SAVED,
    "callbacks": "flowbench sets it itself: yours go into the section callbacks",
    "check_val_every_n_epoch": EVERY_EPOCH,
    "default_root_dir": "it is the folder of the run, below paths.output",
    "enable_autolog_hparams": "loggers get the configuration of the run",
    "enable_checkpointing": SAVED,
    "enable_model_summary": "flowbench sets it itself, and counts the parameters in the result",
    "fast_dev_run": "it leaves no result, whereas trainer.max_epochs=1 gives a short run",
    "gradient_clip_algorithm": CLIPPING,
    "gradient_clip_val": CLIPPING,
    "limit_predict_batches": NO_SPLIT,
    "limit_test_batches": NO_SPLIT,
    "limit_train_batches": ALL_ROWS,
    "limit_val_batches": EVERY_EPOCH,
    "logger": "flowbench sets it itself: choose with logger=wandb, csv, …",
    "max_steps": STEPS,
    "min_steps": STEPS,
    "model_registry": "it is of a service that flowbench does not use",
    "num_sanity_val_steps": "flowbench sets it itself; there is nothing to check before training",
    "overfit_batches": ALL_ROWS,
    "plugins": "flowbench sets it itself",
    "precision": "flows are trained in float32, in which log-likelihoods are exact enough",
    "reload_dataloaders_every_n_epochs": "rows stay the same in all epochs",
    "sync_batchnorm": "batch norms of flowbench have the statistics of all rows already",
    "use_distributed_sampler": "flowbench divides the rows of a batch over devices itself",
    "val_check_interval": EVERY_EPOCH,
}


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
    problems += _of_other_bytes("", plain)
    if problems:
        raise ConfigError("\n".join(problems))
    published = plain["published"]
    sections = {
        "paths": Paths(**plain["paths"]),
        "published": None if published is None else Published(**published),
        "training": Training(**plain["training"]),
        "evaluation": Evaluation(**plain.get("evaluation", {})),
        "auto": Auto(**plain.get("auto", {})),
        "trainer": TrainerKeys.of(plain["trainer"]),
    }
    return Settings(**{**plain, **sections}, plain=plain)


def remarks(plain: Mapping[str, Any]) -> list[str]:
    """Sentences about options that are set, but have no effect beside the others.

    Args:
        plain: a configuration without mistakes, every `${...}` replaced.
    """
    found = [told for key in ("model", "data") for told in _idle(key, plain[key])]
    training = plain["training"]
    if plain["model"]["name"] != "auto" and (searched := plain.get("auto")):
        known = defaults_of(Auto)
        found += [
            f"auto.{key}={value} has no effect without model=auto"
            for key, value in searched.items()
            if value != known[key]
        ]
    return found + list(idle(Training, training, defaults_of(Training), prefix="training."))


def _idle(key: str, node: object) -> Iterator[str]:
    """Options without effect of a mapping with a `_target_`, and of those inside it."""
    if not isinstance(node, Mapping):
        return
    if (target := target_of(node)) is not None:
        yield from idle(target, node, defaults_of(target), prefix=f"{key}.")
    for name, inner in node.items():
        yield from _idle(f"{key}.{name}", inner)


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
        yield from _of_section(name, config.get(name, {} if name in ADDED else None))
    for key, supplied in (("model", SIZES), ("data", set())):
        yield from _of_named(key, config.get(key), supplied=supplied)
    if config.get("module") is not None:
        yield from problems_of_node("module", config["module"], supplied={"flow", "training"})
    for section, supplied in (("logger", {"save_dir"}), ("callbacks", set())):
        nodes = config.get(section)
        for name, node in nodes.items() if isinstance(nodes, dict) else ():
            problems = [*problems_of_node(f"{section}.{name}", node, supplied=supplied)]
            if section == "callbacks":
                own = config.get("module") is not None
                problems = problems or [*_of_callback(f"{section}.{name}", node, own_module=own)]
            yield from problems
    yield from _of_search(config)


def _of_other_bytes(key: str, value: object) -> Iterator[str]:
    """Texts of bytes that are not UTF-8, which no file of a run can hold."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _of_other_bytes(f"{key}.{name}".lstrip("."), inner)
    elif isinstance(value, str) and any("\ud800" <= one <= "\udfff" for one in value):
        shown = value.encode(errors="backslashreplace").decode()
        yield f"{key}={shown}: is not UTF-8, expected such a name; rename it, or link to it"


def _of_search(config: Mapping[str, Any]) -> Iterator[str]:
    """What `model=auto` cannot have: parameters to start from, and several devices."""
    model, trainer = config.get("model"), config.get("trainer")
    if not (isinstance(model, dict) and isinstance(trainer, dict) and model.get("name") == "auto"):
        return
    if config.get("init_from") is not None:
        yield f"init_from={show(config['init_from'])}: model=auto trains models of its own choice"
    for key in ("devices", "num_nodes"):
        value = trainer.get(key, 1)
        count = len(value) if isinstance(value, list) else value
        if isinstance(count, int) and count > 1:
            yield f"trainer.{key}={show(value)}: model=auto trains on one device, expected 1"


def _of_callback(key: str, node: Mapping[str, Any], *, own_module: bool) -> Iterator[str]:
    """Problems of a callback of the Trainer, whose options are right."""
    from pytorch_lightning import callbacks

    target, monitor = node["_target_"], node.get("monitor")
    kind = pkgutil.resolve_name(target)
    if not isinstance(kind, type):
        return  # a function, which may return one
    if not issubclass(kind, callbacks.Callback):
        yield f"{key}._target_={target}: expected a subclass of pytorch_lightning.Callback"
    for name, reason in REFUSED_CALLBACKS.items():
        refused = getattr(callbacks, name, None)  # some came with a later version of Lightning
        if refused is not None and issubclass(kind, refused):
            yield f"{key}._target_={target}: {reason}"
    if issubclass(kind, callbacks.EarlyStopping) and not (own_module or monitor in MONITORED):
        expected = near_or_all(str(monitor), MONITORED)
        yield f"{key}.monitor={show(monitor)}: there is no such score{expected}"


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
    for one in fields(TrainerKeys):
        if one.name in TrainerKeys.own() and (one.name in trainer or one.default is MISSING):
            yield from problems_of_value(f"trainer.{one.name}", trainer.get(one.name), one.type)
    for name in filter(REFUSED_OF_TRAINER.__contains__, trainer):
        yield f"trainer.{name}: leave it out; {REFUSED_OF_TRAINER[name]}"
    rest = without(trainer, {*TrainerKeys.own(), *REFUSED_OF_TRAINER})
    if rest:
        from pytorch_lightning import Trainer  # slow to import

        yield from problems_of_call("trainer", Trainer, rest)
