"""The command: Hydra composes, `run` trains, and a user's mistake ends in one sentence."""

import os
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import hydra
from hydra import compose
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path, get_args_parser
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from flowbench.config.choices import idle_groups, refuse_foreign_protocol, refuse_idle_sweep
from flowbench.config.composing import problems_of_overrides
from flowbench.config.configuration import check, remarks
from flowbench.config.files import complete_files
from flowbench.config.help import register_help
from flowbench.config.hints import composition_sentence
from flowbench.config.quoting import quoted
from flowbench.config.sentences import cause, sentence
from flowbench.console import in_console, is_own
from flowbench.exits import FAILED, INTERRUPTED, Exit, exit_code, explained
from flowbench.run.config_directory import config_directory
from flowbench.run.identity import run_directory
from flowbench.training.interrupted import Interrupted

__all__ = ["config_directory", "main"]

RANKS = ("RANK", "LOCAL_RANK", "SLURM_PROCID")  # only the first process of a training prints
FOLDERS = ("FLOWBENCH_DATA", "FLOWBENCH_CACHE")
AGAIN = "the same command resumes the run"
OUT_OF_MEMORY = ("can't allocate memory", "out of memory", "Unable to allocate")


@in_console
def main() -> None:
    """Run `python train.py ...` or `flowbench-train ...`; `exits` has the exit codes."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises its errors instead of printing them
    for name in FOLDERS:
        if os.environ.get(name) == "":  # to Hydra, an empty variable is a value
            del os.environ[name]
    if sys.stderr.isatty() and _is_first():
        print("loading …", end="\r", file=sys.stderr, flush=True)  # the next line goes over it
    with explained(interrupted=f"interrupted; {AGAIN}"):
        sys.argv[1:] = map(quoted, sys.argv[1:])
        complete_files()
        register_help()
        _compose_and_run()


def _compose_and_run() -> None:
    begun = False

    @wraps(_job)
    def job(config: DictConfig) -> Any:
        nonlocal begun
        begun = True
        return _job(config)

    try:
        directory = str(config_directory())
        hydra.main(version_base="1.3", config_path=directory, config_name="train")(job)()
    except Interrupted as stop:
        raise Exit(f"{stop}; {AGAIN}", stop.code) from stop
    except Exit:
        raise
    except SystemExit as stop:
        if isinstance(stop.__context__, KeyboardInterrupt):  # the Trainer has handled it
            raise Exit(f"interrupted; {AGAIN}", INTERRUPTED) from stop
        raise
    except Exception as error:
        if begun or not isinstance(error, HydraException):  # some of Hydra's are OSErrors
            _refuse(error)
        if begun:
            raise
        raise Exit("\n".join(_problems() or [composition_sentence(error, None)])) from error


def _problems() -> list[str]:
    """All that is wrong with the overrides of this command."""
    options = get_args_parser().parse_args()
    places = create_config_search_path(os.path.abspath(options.config_path or config_directory()))
    if options.config_dir:
        places.prepend("command-line", f"file://{os.path.abspath(options.config_dir)}")
    GlobalHydra.instance().clear()
    Hydra.create_main_hydra2("flowbench", places)
    try:
        return problems_of_overrides(
            lambda words: compose(options.config_name or "train", list(words)),
            options.overrides,
            sweep=options.multirun,
        )
    finally:
        GlobalHydra.instance().clear()


def _refuse(error: Exception) -> None:
    """End the command with a sentence, if the error is one that a user can understand.

    Raises:
        Exit: it is.
    """
    origin = cause(error)
    if _is_of_memory(origin):
        line = str(origin).splitlines()[0] if str(origin) else "MemoryError"
        raise Exit(f"out of memory; fewer or smaller layers need less ({line})", FAILED) from error
    if _is_expected(error):
        raise Exit(sentence(error), exit_code(origin)) from error


def _job(config: DictConfig) -> Any:
    """One run. In a sweep it prints its own error, since Hydra reports only the first."""
    try:
        refuse_idle_sweep()
        refuse_foreign_protocol(config, config_directory())
        with _announced(config):
            settings = check(config)
        for told in idle_groups() + remarks(settings.plain):
            warnings.warn(told, stacklevel=1)
        from flowbench.run.run import run  # slow to import: `--help` does without
        from flowbench.training.accelerator import refuse_absent

        refuse_absent(settings.trainer)
        return run(settings, run_directory(config))
    except Exception as error:
        if HydraConfig.get().mode is not RunMode.MULTIRUN:
            _refuse(error)
            raise
        try:
            _refuse(error)
        except Exit as stop:
            print(stop, file=sys.stderr)
        else:
            print(traceback.format_exc(), file=sys.stderr)
        raise


@contextmanager
def _announced(config: DictConfig) -> Iterator[None]:
    """Print on stderr what is run, before the slow imports, and its folder once that is known."""
    if not _is_first():
        yield
        return
    model, data, seed = (
        OmegaConf.select(config, key, throw_on_resolution_failure=False)
        for key in ("model.name", "data.name", "seed")
    )
    print(f"{model} on {data}, seed {seed}", end="", file=sys.stderr, flush=True)
    try:
        yield
        print(f" → {run_directory(config)}", end="", file=sys.stderr)
    finally:
        print(file=sys.stderr, flush=True)


def _is_first() -> bool:
    return all(os.environ.get(name, "0") == "0" for name in RANKS)


def _is_of_memory(error: BaseException) -> bool:
    told = isinstance(error, RuntimeError) and any(word in str(error) for word in OUT_OF_MEMORY)
    return told or isinstance(error, MemoryError)


def _is_expected(error: Exception) -> bool:
    """Whether a user can fix it: our own errors, those of files, the Trainer's about its keys."""
    origin = cause(error)
    if isinstance(origin, OSError) or type(origin).__module__.partition(".")[0] == "flowbench":
        return True
    if isinstance(origin, ValueError | ArithmeticError) and _is_raised_by_us(origin):
        return True
    from lightning_fabric.utilities.exceptions import MisconfigurationException

    return isinstance(origin, MisconfigurationException)


def _is_raised_by_us(error: BaseException) -> bool:
    """Whether a `raise` of this package is its origin, and not something that went wrong below."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames or not is_own(frames[-1].filename):
        return False
    return (frames[-1].line or "").startswith("raise ")


if __name__ == "__main__":
    main()
