"""The text of `--help`: groups and keys of a composed configuration, explained."""

import re
import textwrap
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, get_args, get_origin

from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from flowbench.config.docstrings import meanings, summary
from flowbench.config.settings import Auto, Evaluation, Paths, Settings, TrainerKeys, Training
from flowbench.config.signatures import parameters, target_of
from flowbench.config.targets import HYDRA_KEYS
from flowbench.config.words import describe, show

__all__ = ["explained_groups", "explained_keys", "register_help"]

WIDTH = 99
COLUMN = 36  # where meanings begin
SECTIONS = {"paths", "model", "data", "training", "evaluation", "trainer", "logger", "protocol"}
BESIDE = {
    "name": "part of the path of the run folder",
    "embedding": "a module that summarises a raw context for the flow: {_target_: ...}",
}


def register_help() -> None:
    """Let the template of the page contain `${explained_groups:}` and `${explained_keys:}`."""
    for name, make in (("explained_groups", explained_groups), ("explained_keys", explained_keys)):
        OmegaConf.register_new_resolver(
            name,  # Hydra goes on to fill in the text as a string.Template
            lambda *, _root_, make=make: make(_root_).replace("$", "$$"),
            replace=True,
        )


def explained_groups(config: DictConfig) -> str:
    """The groups and their choices; `group=choice` takes one.

    Args:
        config: as composed by Hydra, with its own node.
    """
    loader = GlobalHydra.instance().config_loader()
    choices: dict[str, list[str]] = {}
    groups = [group for group in loader.list_groups("") if group != "hydra"]
    for group in groups:
        inner = [f"{group}/{name}" for name in loader.list_groups(group)]
        groups += [name for name in inner if name not in config.hydra.runtime.choices]
        first, _, folder = group.partition("/")
        names = loader.get_group_options(group)
        choices.setdefault(first, []).extend(f"{folder}/{name}".lstrip("/") for name in names)
    lines = (f"{group}: {', '.join(names)}" for group, names in choices.items())
    return "\n".join(textwrap.fill(line, WIDTH, subsequent_indent="  ") for line in lines)


def explained_keys(config: DictConfig) -> str:
    """Every key with its value, meaning, type and limits, in sections.

    Args:
        config: as composed by Hydra, with its own node or without.
    """
    return "\n\n".join("\n".join(lines) for lines in _sections(config))


def _sections(config: DictConfig) -> Iterator[list[str]]:
    single = [key for key in meanings(Settings) if key in config and key not in SECTIONS]
    yield _section("", "run", Settings, OmegaConf.masked_copy(config, single))
    yield _section("paths.", "paths", Paths, config.paths)
    yield from _of_node("model", config.model)
    yield from _of_node("data", config.data)
    yield _section("training.", "training", Training, config.training)
    yield _section("evaluation.", "evaluation", Evaluation, config.evaluation)
    yield _section("auto.", "auto", Auto, config.auto)
    yield _of_trainer(config.trainer)
    for name, node in config.logger.items():
        yield from _of_node(f"logger.{name}", node)
    for name in ("sweeper", "launcher") if "hydra" in config else ():
        node = config.hydra[name]
        known = meanings(target_of(node))  # further keys of Slurm are in its file
        kept = [key for key in node if key in known or key in HYDRA_KEYS]
        yield from _of_node(f"hydra.{name}", OmegaConf.masked_copy(node, kept))


def _of_node(key: str, node: DictConfig) -> Iterator[list[str]]:
    """The options of the class that a mapping names, and of those inside it."""
    target = target_of(node)
    if target is None or not set(node) - HYDRA_KEYS:
        return
    yield _section(f"{key}.", f"{key}: {node['_target_']}", target, node)
    for name in map(str, node):
        if isinstance(inner := _value(node, name), dict):
            yield from _of_node(f"{key}.{name}", OmegaConf.create(inner))


def _section(prefix: str, title: str, target: Callable[..., Any], node: DictConfig) -> list[str]:
    types = {name: one.annotation for name, one in (parameters(target) or {}).items()}
    lines = [f"== {title} ==", *textwrap.wrap(summary(target), WIDTH)]
    return lines + _keys(prefix, node, BESIDE | meanings(target), types)


def _of_trainer(node: DictConfig) -> list[str]:
    """Keys of flowbench's own, and others with the first sentence from the Trainer's docstring."""
    told, options = meanings(TrainerKeys), parameters(TrainerKeys) or {}
    if not set(node) <= set(TrainerKeys.own()):
        from pytorch_lightning import Trainer  # slow to import

        further = {name: text.partition(". ")[0] for name, text in meanings(Trainer).items()}
        told, options = further | told, (parameters(Trainer) or {}) | options
    types = {name: one.annotation for name, one in options.items()}
    return ["== trainer ==", *_keys("trainer.", node, told, types)]


def _keys(
    prefix: str, node: DictConfig, told: Mapping[str, str], types: Mapping[str, Any]
) -> list[str]:
    lines = []
    for name in map(str, node):
        if name not in HYDRA_KEYS:
            value = _value(node, name)
            shown = "{...}" if isinstance(value, dict) and value else show(value)
            meaning = re.sub(r"null \(None\)|\bNone\b", "null", told.get(name, "").rstrip("."))
            words = f"{meaning}{_kind(types.get(name), meaning)}"
            lines += _entry(f"{prefix}{name}={shown.replace(', ', ',')}", words)
    return lines


def _kind(annotation: Any, meaning: str) -> str:
    """The type and its limits, unless the meaning names all choices."""
    choices = get_args(annotation) if get_origin(annotation) is Literal else [None]
    if annotation is None or all(str(choice) in meaning for choice in choices):
        return ""
    return f" ({describe(annotation)})"


def _entry(head: str, text: str) -> list[str]:
    """A key with its value, and what it means beside it or, where it is long, below."""
    below = len(head) >= COLUMN
    lines = textwrap.wrap(text, WIDTH - COLUMN) or [""]
    lines = ["", *lines] if below else lines
    first, *rest = (f"{'':{COLUMN}}{line}".rstrip() for line in lines)
    return [head + first[len(head) :], *rest]


def _value(node: DictConfig, key: str) -> Any:
    """The plain value of a key; its text where that refers to what is missing."""
    try:
        value = node[key]
        return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
    except OmegaConfBaseException:
        return OmegaConf.to_container(node)[key]  # type: ignore[index]
