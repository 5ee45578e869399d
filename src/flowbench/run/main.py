"""The command: Hydra composes, `run` trains, and a user's mistake ends in one sentence."""

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, InstantiationException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from flowbench.config.choices import refuse_foreign_protocol, refuse_idle_sweep
from flowbench.config.configuration import check
from flowbench.config.files import complete_files
from flowbench.config.help import register_help
from flowbench.config.hints import hydra_sentence, null_sentence
from flowbench.config.sentences import cause, sentence
from flowbench.console import in_console
from flowbench.run.config_directory import config_directory
from flowbench.run.identity import run_directory
from flowbench.training.interrupted import Interrupted

__all__ = ["config_directory", "main"]

RANKS = ("RANK", "LOCAL_RANK", "SLURM_PROCID")  # only the first process of a training prints
PACKAGE = Path(__file__).resolve().parents[1]
INTERRUPTED = 130


@in_console
def main() -> None:
    """Run `python train.py ...` or `flowbench-train ...`: exit code 0, 1, 75 (saved) or 130."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises its errors instead of printing them
    if sys.stderr.isatty() and _is_first():
        print("loading …", end="\r", file=sys.stderr, flush=True)  # the next line goes over it
    complete_files()
    register_help()
    try:
        directory = str(config_directory())
        hydra.main(version_base="1.3", config_path=directory, config_name="train")(_job)()
    except KeyboardInterrupt:
        _leave_interrupted()
    except Interrupted as stop:
        _leave_interrupted(str(stop), code=stop.code)
    except SystemExit as stop:
        if isinstance(stop.__context__, KeyboardInterrupt):  # the Trainer has handled it
            _leave_interrupted()
        raise
    except Exception as error:
        if isinstance(error, HydraException) and not isinstance(error, InstantiationException):
            sys.exit(hydra_sentence(error))
        if not _is_expected(error):
            if told := null_sentence(error, sys.argv[1:]):
                sys.exit(told)
            raise
        sys.exit(sentence(error))


def _job(config: DictConfig) -> Any:
    """One run. In a sweep it prints its own error, since Hydra reports only the first."""
    try:
        refuse_idle_sweep()
        refuse_foreign_protocol(config, config_directory())
        with _announced(config):
            settings = check(config)
        from flowbench.run.run import run  # slow to import: `--help` does without

        return run(settings, run_directory(config))
    except Exception as error:
        expected = _is_expected(error)
        if HydraConfig.get().mode is RunMode.MULTIRUN:
            print(sentence(error) if expected else traceback.format_exc(), file=sys.stderr)
            raise
        if not expected:
            raise
        raise SystemExit(sentence(error)) from error


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


def _leave_interrupted(reason: str = "interrupted", *, code: int = INTERRUPTED) -> None:
    print(f"{reason}; the same command resumes the run", file=sys.stderr)
    sys.exit(code)


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
    if not frames or PACKAGE not in Path(frames[-1].filename).resolve().parents:
        return False
    return (frames[-1].line or "").startswith("raise ")


if __name__ == "__main__":
    main()
