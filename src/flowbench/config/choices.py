"""Presets that do not apply to the command are refused."""

import shlex
import sys
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from flowbench.config.errors import ConfigError

__all__ = ["OF_SWEEPS", "idle_groups", "refuse_foreign_protocol", "refuse_idle_sweep"]

OF_SWEEPS = ("hydra/launcher", "hydra.launcher", "hydra/sweeper", "hydra.sweeper")


def idle_groups() -> list[str]:
    """Sentences about choices for a sweep where there is none."""
    hydra_config = HydraConfig.get()
    if hydra_config.mode is RunMode.MULTIRUN:
        return []
    words = [word for word in hydra_config.overrides.hydra if word.startswith(OF_SWEEPS)]
    return [f"{word} has no effect without -m" for word in words]


def refuse_idle_sweep() -> None:
    """Refuse `sweep=…` without `-m`, unless all keys of the sweep are given, as in a job of it.

    Raises:
        ConfigError: it is refused; the message shows the command that sweeps.
    """
    hydra_config = HydraConfig.get()
    preset = hydra_config.runtime.choices.get("sweep")
    if preset is None or hydra_config.mode is RunMode.MULTIRUN:
        return
    given = {word.partition("=")[0].lstrip("+") for word in hydra_config.overrides.task}
    if not given.issuperset(hydra_config.sweeper.get("params") or {}):
        words = [f"sweep={preset}", *sys.argv[1:]]
        raise ConfigError(
            f"sweep={preset} needs -m: python train.py -m {shlex.join(dict.fromkeys(words))}"
        )


def refuse_foreign_protocol(config: DictConfig, directory: Path) -> None:
    """Refuse a protocol that has no settings for the chosen data set, or no row of the model.

    Args:
        config: as composed by Hydra.
        directory: where the configuration files are.

    Raises:
        ConfigError: the protocol has none.
    """
    choices = HydraConfig.get().runtime.choices
    protocol = choices.get("protocol")
    if protocol is None:
        return
    data, data_sets = choices["data"], _files(directory / "protocol" / "data", protocol)
    if OmegaConf.missing_keys(config.get("protocol") or {}) and data not in data_sets:
        raise ConfigError(
            f"protocol={protocol} has no settings for data={data}: it has {', '.join(data_sets)}"
        )
    model, models = choices["model"], _files(directory / "protocol" / "model", protocol)
    if config.published is not None and "model" not in config.published and model not in models:
        raise ConfigError(
            f"protocol={protocol} has no row for model={model}: it has {', '.join(models)}; with "
            "published=null the model is trained as the protocol trains others"
        )


def _files(directory: Path, protocol: str) -> list[str]:
    """What a protocol has files for."""
    found = sorted(directory.glob(f"{protocol}_*.yaml"))
    return [file.stem.removeprefix(f"{protocol}_") for file in found]
