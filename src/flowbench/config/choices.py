"""Do the chosen presets apply at all?"""

import shlex
import sys
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from flowbench.config.configuration import ConfigError

__all__ = ["refuse_foreign_protocol", "refuse_idle_sweep"]


def refuse_idle_sweep() -> None:
    """Without `-m` a sweep is but a name, unless all of its keys are given: one of its jobs.

    Raises:
        ConfigError: with the command that sweeps.
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
    """A protocol leaves open what its settings for a data set give.

    Args:
        config: as composed.
        directory: of the configurations.

    Raises:
        ConfigError: there are none for this data set.
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
