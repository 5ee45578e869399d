"""The composed configuration: is it sound, and which run folder is its own?"""

import difflib
import hashlib
import inspect
import json
import pkgutil
import re
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import Field, TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError, PydanticUndefinedAnnotation

__all__ = [
    "ConfigError",
    "Training",
    "check",
    "did_you_mean",
    "resolved",
    "run_directory",
    "run_hash",
]

MISSING = "???"
HYDRA_KEYS = {"_target_", "_args_", "_partial_", "_recursive_", "_convert_"}
SIZES = {"features", "context_features"}
TRAINER_OWN = {"callbacks", "default_root_dir", "logger"}
TRAINER_OWN |= {"num_sanity_val_steps", "enable_model_summary", "plugins"}
ELSEWHERE = {"accelerator", "devices", "num_nodes", "strategy"}
DISPLAY = {"enable_progress_bar", "log_every_n_steps", "profiler"}

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
AtLeastOne = Annotated[int, Field(ge=1)]
Accelerator = Literal["auto", "cpu", "gpu", "cuda", "mps", "tpu"]


class ConfigError(Exception):
    """Mistakes in a configuration, one sentence per line, each with the full key."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """Optimisation: the keys of `training`, with their units in configs/train.yaml."""

    batch_size: AtLeastOne
    learning_rate: Positive
    weight_decay: NotNegative
    noise: NotNegative
    ema: Annotated[float, Field(gt=0, lt=1)] | None
    gradient_clip_norm: Positive | None
    schedule: Literal["constant", "cosine"]
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
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    overwrite: bool
    init_from: str | None
    save_minutes: Positive
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


def run_hash(config: DictConfig) -> str:
    """Eight hexadecimal digits over all that changes the result, whatever the order of the keys.

    `seed` and `paths` enter by name, not by value, wherever others refer to them.
    """
    symbolic = OmegaConf.create(OmegaConf.to_container(config))
    assert isinstance(symbolic, DictConfig)
    symbolic.seed = "<seed>"
    symbolic.paths = {key: f"<paths.{key}>" for key in config.paths}
    plain = resolved(symbolic)
    kept = {
        "model": plain["model"],
        "data": _without(plain["data"], {"data_dir", "cache_dir"}),
        "training": plain["training"],
        "trainer": _without(plain["trainer"], ELSEWHERE | DISPLAY),
    }
    kept |= {key: plain[key] for key in ("init_from", "callbacks") if plain[key]}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:8]


def run_directory(config: DictConfig) -> Path:
    """The folder of a run: `<paths.output>/<data>/<model>/<hash>/seed=<n>`."""
    folder = Path(config.paths.output, config.data.name, config.model.name)
    return folder / run_hash(config) / f"seed={config.seed}"


def did_you_mean(word: str, choices: Iterable[str], *, prefix: str = "") -> str:
    """The end of a sentence about an unknown word: its nearest choices, prefixed, or nothing.

    Example:
        >>> did_you_mean("layer", ["layers", "seed"])
        '; did you mean layers?'
    """
    choices = list(choices)
    found = [choice for choice in choices if choice.endswith(f".{word}")]
    found = found or difflib.get_close_matches(word, choices, n=2)
    return f"; did you mean {_either(prefix + choice for choice in found)}?" if found else ""


def _either(words: Iterable[str]) -> str:
    *front, last = dict.fromkeys(words)
    return f"{', '.join(front)} or {last}" if front else last


def _without(mapping: Mapping[str, Any], keys: set[str]) -> dict[str, Any]:
    return {key: value for key, value in mapping.items() if key not in keys}


def _problems(config: Mapping[str, Any]) -> Iterator[str]:
    yield from _of_call("", _Everything, config)
    sections = {key: value for key, value in config.items() if isinstance(value, dict)}
    yield from _of_call("paths", _Paths, sections.get("paths"))
    yield from _of_call("published", _Published, sections.get("published"))
    yield from _of_call("training", Training, sections.get("training"))
    yield from _of_trainer(sections.get("trainer", {}))
    for key, supplied in (("model", SIZES), ("data", set())):
        if key in sections:
            yield from _of_name(f"{key}.name", sections[key].get("name"))
            yield from _of_node(key, _without(sections[key], {"name"}), supplied=supplied)
    for name, node in sections.get("logger", {}).items():
        yield from _of_node(f"logger.{name}", node, supplied={"save_dir"})
    for name, node in sections.get("callbacks", {}).items():
        yield from _of_node(f"callbacks.{name}", node, supplied=set())


def _of_name(key: str, name: object) -> Iterator[str]:
    if not isinstance(name, str) or not re.fullmatch(r"\w[\w.+-]*", name):
        yield f"{key}={_show(name)}: expected a folder name: letters, digits, _ . + -"


def _of_trainer(trainer: Mapping[str, Any]) -> Iterator[str]:
    """Problems of the Trainer's keys; flowbench is stricter than the Trainer about some."""
    import pytorch_lightning

    stricter = {"accelerator": Accelerator, "max_epochs": AtLeastOne}
    stricter |= {"strategy": Literal["auto", "ddp"]} if "strategy" in trainer else {}
    for name, annotation in stricter.items():
        yield from _of_value(f"trainer.{name}", trainer.get(name), annotation)
    rest = _without(trainer, set(stricter))
    yield from _of_call("trainer", pytorch_lightning.Trainer, rest, supplied=TRAINER_OWN)


def _of_node(key: str, node: object, *, supplied: set[str]) -> Iterator[str]:
    """Problems of a mapping that Hydra will instantiate."""
    if not isinstance(node, dict) or not isinstance(node.get("_target_"), str):
        yield f"{key}._target_ is missing: expected the dotted name of a class or function"
        return
    try:
        target = pkgutil.resolve_name(node["_target_"])
    except Exception as error:  # whatever a foreign module does when it is imported
        yield f"{key}._target_={node['_target_']}: {' '.join(str(error).split())}"
        return
    if not callable(target):
        yield f"{key}._target_={node['_target_']}: expected a class or function"
        return
    yield from _of_call(key, target, node, supplied=supplied)
    for name, value in node.items():
        yield from _nested(f"{key}.{name}", value)


def _of_call(
    key: str,
    target: Callable[..., Any],
    values: Mapping[str, Any] | None,
    *,
    supplied: Iterable[str] = (),
) -> Iterator[str]:
    """Problems of calling a target with keywords, some of which flowbench itself will add."""
    parameters = _parameters(target)
    if values is None or parameters is None:
        return
    prefix = f"{key}." if key else ""
    keywords = [name for name, one in parameters.items() if one.kind is not one.VAR_KEYWORD]
    for name, value in _without(values, HYDRA_KEYS).items():
        if name in supplied:
            yield f"{prefix}{name}: flowbench sets it itself; leave it out"
        elif name in keywords:
            yield from _of_value(prefix + name, value, parameters[name].annotation)
        elif len(keywords) == len(parameters):
            near = did_you_mean(name, keywords, prefix=prefix)
            yield f"{prefix}{name}: unknown key{near or '; known: ' + ', '.join(sorted(keywords))}"
    if "_args_" in values or values.get("_partial_"):
        return
    for name in keywords:
        given = name in values or name in supplied
        if not given and parameters[name].default is inspect.Parameter.empty:
            yield f"{prefix}{name} is missing: expected {_describe(parameters[name].annotation)}"


def _parameters(target: Callable[..., Any]) -> dict[str, inspect.Parameter] | None:
    """What a target takes by keyword, with `**kwargs` if it has them; None where nobody knows."""
    try:
        signature = inspect.signature(target, eval_str=True)
    except Exception:  # an annotation that cannot be evaluated here
        try:
            signature = inspect.signature(target)
        except (TypeError, ValueError):
            return None
    closed = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.VAR_POSITIONAL)
    return {name: one for name, one in signature.parameters.items() if one.kind not in closed}


def _nested(key: str, value: object) -> Iterator[str]:
    """Problems of the nodes with a `_target_` inside a value."""
    if isinstance(value, dict) and "_target_" in value:
        yield from _of_node(key, value, supplied=set())
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _nested(f"{key}.{name}", inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _nested(f"{key}[{index}]", inner)


def _holds_node(value: object) -> bool:
    if isinstance(value, dict):
        return "_target_" in value or any(map(_holds_node, value.values()))
    return isinstance(value, list) and any(map(_holds_node, value))


def _of_value(key: str, value: object, annotation: Any) -> Iterator[str]:
    """A problem if a plain value does not fit an annotation that pydantic understands."""
    if annotation is inspect.Parameter.empty or value == MISSING or _holds_node(value):
        return
    try:
        adapter = TypeAdapter(annotation)
    except (PydanticSchemaGenerationError, PydanticUndefinedAnnotation):
        return
    try:  # as JSON, where strict means what it means in YAML: a list may become a tuple
        adapter.validate_json(json.dumps(value, default=str), strict=True)
    except ValidationError:
        near = did_you_mean(str(value), _words(annotation))
        yield f"{key}={_show(value)}: expected {_describe(annotation)}{near}"


def _show(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str).replace('"', "")


def _words(annotation: Any) -> list[str]:
    """The words of all `Literal`s in an annotation."""
    if get_origin(annotation) is Literal:
        return [str(word) for word in get_args(annotation)]
    return [word for inner in get_args(annotation) for word in _words(inner)]


PLAIN = {int: "an integer", float: "a number", bool: "true or false", str: "text"}
PLAIN |= {type(None): "null", Path: "a path", Any: "anything"}
LIMITS = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}


def _describe(annotation: Any) -> str:
    """An annotation in words.

    Example:
        >>> _describe(Sequence[int] | Literal["none"] | None)
        'a list (each entry an integer), none or null'
    """
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        limits = [
            limit for field in arguments[1:] for limit in getattr(field, "metadata", [field])
        ]
        words = [
            f"{word} {getattr(limit, name)}"
            for limit in limits
            for name, word in LIMITS.items()
            if hasattr(limit, name)
        ]
        return f"{_describe(arguments[0])} {' and '.join(words)}".strip()
    if origin is Literal:
        return _either(map(str, arguments))
    if origin in (Union, types.UnionType):
        return _either(map(_describe, arguments))
    if origin in (list, tuple, Sequence, Iterable):
        return f"a list (each entry {_either(_describe(a) for a in arguments if a is not ...)})"
    if origin in (dict, Mapping):
        return "a mapping"
    if origin is Callable:
        return "a function"
    return PLAIN.get(annotation, getattr(annotation, "__name__", str(annotation)))
