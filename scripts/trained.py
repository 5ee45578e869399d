"""Runs that a page is about: trained unless they are finished."""

from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir

from flowbench.config.configuration import check
from flowbench.config.quoting import quoted
from flowbench.run.config_directory import config_directory
from flowbench.run.identity import run_directory
from flowbench.run.run import run


def trained(*overrides: str) -> tuple[Path, dict[str, Any]]:
    """The folder of a run, which is trained unless it is finished, and its result."""
    with initialize_config_dir(str(config_directory()), version_base="1.3"):
        config = compose("train", list(map(quoted, overrides)))
    path = run_directory(config)
    return path, run(check(config), path)
