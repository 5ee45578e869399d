"""Configuration files contain only what they change; reading one adds all other options.

A file in `model/` or `data/` names a class, and all options of that class become keys, as do those
of `training` and `evaluation` in the primary configuration. Each can be overridden on the command
line, with a plus or without, as can all arguments of the Trainer.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.override_parser.types import Override, OverrideType
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigResult
from omegaconf import DictConfig, OmegaConf

from flowbench.config.configuration import SIZES
from flowbench.config.defaults import completed, defaults_of
from flowbench.config.first_keys import FIRST_KEYS
from flowbench.config.settings import Auto, Evaluation, Training

__all__ = ["BESIDE", "GIVEN", "CompletingFiles", "complete_files", "is_said"]

# Values that a run gives to options of these names.
GIVEN: dict[str, dict[str, Any]] = {
    "model": {"seed": "${seed}"},
    "data": {
        "data_dir": "${paths.data}",
        "cache_dir": "${paths.cache}",
        "batch_size": "${training.batch_size}",
        "seed": "${seed}",
    },
    "hydra/launcher": {},
    "hydra/sweeper": {},
}
# Further keys, which are not options of the class.
BESIDE: dict[str, dict[str, Any]] = {"model": {"embedding": None}}
SECTIONS: dict[str, Any] = {"training": Training, "evaluation": Evaluation, "auto": Auto}
CHECKED_LATER = ("trainer.",)  # all arguments of the Trainer are keys, though no file sets them

_apply = ConfigLoaderImpl._apply_overrides_to_config


class CompletingFiles(FileConfigSource):
    """Hydra's source of configuration files, which completes what it reads."""

    def load_config(self, config_path: str) -> ConfigResult:
        """Read a file and add the options that it leaves out."""
        result = super().load_config(config_path)
        if OmegaConf.is_dict(result.config):
            result.config = _complete(result.config, config_path.removesuffix(".yaml"))
        return result


def complete_files() -> None:
    """Let Hydra complete every file that it reads from now on."""
    Plugins.instance()  # registers Hydra's own source
    SourcesRegistry.instance().types["file"] = CompletingFiles
    ConfigLoaderImpl._apply_overrides_to_config = staticmethod(_apply_with_or_without_plus)


def _apply_with_or_without_plus(overrides: list[Override], cfg: DictConfig) -> None:
    """Accept a plus before any key, and none before those of the Trainer."""
    for override in overrides:
        later = override.key_or_group.startswith(CHECKED_LATER)
        if override.is_add() or (later and override.type is OverrideType.CHANGE):
            override.type = OverrideType.FORCE_ADD
    _apply(overrides, cfg)


def is_said(node: DictConfig, key: str) -> bool:
    """Whether a file sets a key of `model` or `data`, or did when files contained all keys.

    Args:
        node: `config.model` or `config.data`.
        key: below it, e.g. `layers` or `flow.layers`.
    """
    return bool(node._get_flag(f"said {key}"))


def _complete(config: Any, path: str) -> Any:
    said: Any = OmegaConf.to_container(config)
    group = path.rpartition("/")[0]
    if not group:
        sections = {
            name: defaults_of(section) | (said.get(name) or {})
            for name, section in SECTIONS.items()
        }
        return OmegaConf.create(said | sections)
    if group not in GIVEN:
        return config
    whole = completed(said, given=GIVEN[group], supplied=SIZES)
    if "_target_" in said:
        whole = {**whole, **BESIDE.get(group, {}), **whole}
    return OmegaConf.create(whole, flags=_flags(said, path))


def _flags(said: Mapping[str, Any], path: str) -> dict[str, bool]:
    """Which keys a file sets, as flags, which OmegaConf keeps through merges."""
    if path not in FIRST_KEYS:
        return {f"said {key}": True for key in _keys(said)}
    known = {key for keys in FIRST_KEYS.values() for key in keys}
    return {f"said {key}": key in FIRST_KEYS[path] for key in known}


def _keys(node: Mapping[str, Any]) -> Iterator[str]:
    for key, value in node.items():
        yield key
        if isinstance(value, dict):
            yield from (f"{key}.{inner}" for inner in _keys(value))
