"""What a run is called where several are shown together."""

import shlex
import sys
import time
from collections.abc import Iterable, Mapping
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.types import RunMode

from flowbench.training.run_folder import RunFolder

__all__ = ["run_command", "run_group", "run_identity", "run_name"]

LONGEST = 128
UNTOLD = ("hydra", "logger", "paths", "overwrite", "trainer.accelerator", "trainer.devices")


def run_command() -> str:
    """The command that makes this run alone, also where a sweep has started it."""
    if _in_sweep():
        return shlex.join(["python", "train.py", *_job_overrides()])
    program = ["python", *sys.argv] if sys.argv[0].endswith(".py") else sys.argv
    return shlex.join(program)


def run_identity(folder: RunFolder, *, overwrite: bool) -> str:
    """`<hash>-<seed>`, so that a resumed run goes on; with the time of starting over, if it did.

    It is kept in the folder, which `overwrite=true` has emptied when this is asked.
    """
    path = folder.path / "wandb" / "id"
    if not path.is_file():
        seed = folder.path.name.removeprefix("seed=")
        attempt = f"-{int(time.time())}" if overwrite else ""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{folder.path.parent.name}-{seed}{attempt}", encoding="utf-8")
    return path.read_text(encoding="utf-8")


def run_name(config: Mapping[str, Any]) -> str:
    """The overrides that distinguish a run: those swept over in a sweep, else those given."""
    overrides = _job_overrides()
    swept = _swept()
    told = [text for text in overrides if _key(text) in swept] if swept else overrides
    words = [text for text in told if not _key(text).startswith(UNTOLD)]
    default = f"{config['model']['name']} on {config['data']['name']}, seed {config['seed']}"
    return (" ".join(words) or default)[:LONGEST]


def run_group() -> str | None:
    """What the runs of one sweep have in common; None outside sweeps."""
    swept = _swept()
    if not swept:
        return None
    fixed = [text for text in _job_overrides() if _key(text) not in swept]
    words = [text for text in fixed if not _key(text).startswith(UNTOLD)]
    over = [f"{key}={value}" for key, value in swept.items() if not key.startswith(UNTOLD)]
    return " ".join([*words, *over])[:LONGEST]


def _job_overrides() -> list[str]:
    return list(HydraConfig.get().overrides.task) if HydraConfig.initialized() else []


def _in_sweep() -> bool:
    return HydraConfig.initialized() and HydraConfig.get().mode is RunMode.MULTIRUN


def _swept() -> dict[str, str]:
    """Key → the values swept over, as they were written: on the command line or in a preset."""
    if not _in_sweep():
        return {}
    preset = dict(HydraConfig.get().sweeper.get("params") or {})
    return {**_sweeps(f"{key}={value}" for key, value in preset.items()), **_sweeps(sys.argv[1:])}


def _sweeps(texts: Iterable[str]) -> dict[str, str]:
    parser = OverridesParser.create()
    found = {}
    for text in texts:
        try:
            override = parser.parse_override(text)
        except HydraException:  # a flag such as --multirun
            continue
        if override.is_sweep_override():
            found[_key(text)] = text.partition("=")[2]
    return found


def _key(override: str) -> str:
    return override.partition("=")[0].lstrip("+~")
