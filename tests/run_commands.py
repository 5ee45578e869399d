"""What the commands do, in this process: compose, check and train; the other scripts."""

import importlib.util
from pathlib import Path

from hydra import compose, initialize_config_dir

from flowbench.config.configuration import check
from flowbench.run.config_directory import config_directory
from flowbench.run.identity import run_directory
from flowbench.run.run import run

SCRIPTS = Path(__file__).parents[1] / "scripts"


def composed(*overrides):
    """A sound configuration."""
    with initialize_config_dir(str(config_directory()), version_base="1.3"):
        config = compose("train", list(overrides))
    check(config)
    return config


def train(folder, *overrides):
    """A run with all its files below a folder: where, and its result."""
    places = [f"paths.output={folder / 'outputs'}", f"paths.cache={folder / 'cache'}"]
    config = composed(*places, *overrides)
    path = run_directory(config)
    return path, run(check(config), path)


def script(name):
    """The main function of a script."""
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main
