"""Presets that do not apply to the command are refused."""

import shlex
import sys
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from flowbench.config.errors import ConfigError

OF_SWEEPS = ("hydra/launcher", "hydra.launcher", "hydra/sweeper", "hydra.sweeper")

__all__ = ["idle_groups", "refuse_foreign_protocol", "refuse_idle_sweep"]


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
    """Refuse a protocol that has no settings for the chosen data set.

    Args:
        config: as composed by Hydra.
        directory: where the configuration files are.

    Raises:
        ConfigError: the protocol has none for this data set.
    """
    if not OmegaConf.missing_keys(config.get("protocol") or {}):
        return
    choices = HydraConfig.get().runtime.choices
    protocol, data = choices["protocol"], choices["data"]
    files = sorted((directory / "protocol" / "data").glob(f"{protocol}_*.yaml"))
    known = [file.stem.removeprefix(f"{protocol}_") for file in files]
    if data not in known:
        raise ConfigError(
            f"protocol={protocol} has no settings for data={data}: it has {', '.join(known)}"
        )
