"""Names of a run: its command, its identity, its name and group in loggers."""

import os
import shlex
import sys
import time
from collections.abc import Iterable, Mapping
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser

from flowbench.atomic_files import write_text
from flowbench.run.config_directory import config_directory
from flowbench.run.folder import RunFolder

__all__ = [
    "STUDY",
    "SWEEP",
    "TRIAL",
    "config_flags",
    "run_command",
    "run_group",
    "run_identity",
    "run_name",
    "sweep_text",
]

# Environment variables of a sweep's jobs: its text, the file of its study, the trial number.
SWEEP, STUDY, TRIAL = "FLOWBENCH_SWEEP", "FLOWBENCH_STUDY", "FLOWBENCH_TRIAL"
LONGEST = 128
UNTOLD = ("hydra", "logger", "paths", "overwrite", "trainer.accelerator", "trainer.devices")


def run_command() -> str:
    """The command for this run alone, even if a sweep has started it."""
    if SWEEP in os.environ:
        flags = config_flags(HydraConfig.get()) if HydraConfig.initialized() else []
        return shlex.join(["python", "train.py", *flags, *_job_overrides()])
    program = ["python", *sys.argv] if sys.argv[0].endswith(".py") else sys.argv
    return shlex.join(program)


def config_flags(hydra: Any) -> list[str]:
    """The flags that select a configuration directory other than flowbench's own.

    Args:
        hydra: the node of that name in the configuration.
    """
    flags = {"main": "--config-path", "command-line": "--config-dir"}
    found = [
        f"{flags[source.provider]}={source.path}"
        for source in hydra.runtime.config_sources
        if source.provider in flags and source.path != str(config_directory())
    ]
    name = hydra.job.config_name
    return found if name == "train" else [*found, f"--config-name={name}"]


def run_identity(folder: RunFolder, *, overwrite: bool) -> str:
    """`<hash>-<seed>`, the same for a resumed run; with a time stamp if the run was started over.

    It is stored in the folder, which `overwrite=true` has emptied by then.
    """
    path = folder.path / "wandb" / "id"
    if not path.is_file():
        seed = folder.path.name.removeprefix("seed=")
        attempt = f"-{int(time.time())}" if overwrite else ""
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, f"{folder.path.parent.name}-{seed}{attempt}")
    return path.read_text(encoding="utf-8")


def run_name(config: Mapping[str, Any]) -> str:
    """The overrides that distinguish a run: in a sweep, those that are swept over."""
    overrides = _job_overrides()
    swept = {_key(text) for text in os.environ.get(SWEEP, "").splitlines() if _is_swept(text)}
    told = [text for text in overrides if _key(text) in swept] or overrides
    words = [text for text in told if not _key(text).startswith(UNTOLD)]
    default = f"{config['model']['name']} on {config['data']['name']}, seed {config['seed']}"
    return (" ".join(words) or default)[:LONGEST]


def run_group() -> str | None:
    """A name that all runs of a sweep share; None outside sweeps."""
    return " ".join(os.environ.get(SWEEP, "").splitlines())[:LONGEST] or None


def sweep_text(overrides: Iterable[str]) -> str:
    """A sweep, one override per line: swept keys, then fixed ones; later overrides win.

    Example:
        >>> print(sweep_text(["model=maf", "model.layers=1,2", "hydra/launcher=local"]))
        model.layers=1,2
        model=maf
    """
    last = {_key(text): text for text in overrides if not _key(text).startswith(UNTOLD)}
    return "\n".join(sorted(last.values(), key=_is_swept, reverse=True))


def _job_overrides() -> list[str]:
    return list(HydraConfig.get().overrides.task) if HydraConfig.initialized() else []


def _is_swept(text: str) -> bool:
    return OverridesParser.create().parse_override(text).is_sweep_override()


def _key(override: str) -> str:
    return override.partition("=")[0].lstrip("+~")
