"""The command: Hydra composes, `run` trains, and an expected mistake ends in one sentence."""

import os
import re
import shlex
import sys
import traceback
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, InstantiationException, MissingConfigException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from flowbench.training.configuration import ConfigError, check
from flowbench.training.interrupted import Interrupted
from flowbench.training.signatures import did_you_mean

__all__ = ["config_directory", "main"]

PACKAGE = Path(__file__).resolve().parents[1]
INTERRUPTED = 130


def main() -> None:
    """Run `python train.py ...` or `flowbench-train ...`: exit code 0, 1, or 128 + a signal's."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises its errors, for us to complete
    try:
        directory = str(config_directory())
        hydra.main(version_base="1.3", config_path=directory, config_name="train")(_job)()
    except KeyboardInterrupt:
        _leave_interrupted()
    except Interrupted as stop:
        _leave_interrupted(str(stop), code=128 + stop.signum)
    except SystemExit as stop:
        if isinstance(stop.__context__, KeyboardInterrupt):  # the Trainer has answered it
            _leave_interrupted()
        raise
    except Exception as error:
        if isinstance(error, HydraException) and not isinstance(error, InstantiationException):
            sys.exit(_hydra_sentence(error))
        if not _is_expected(error):
            raise
        sys.exit(_sentence(error))


def config_directory() -> Path:
    """Where configs/ lies: inside the installed package, or at the root of a checkout.

    Raises:
        FileNotFoundError: it is in neither place.
    """
    places = [PACKAGE / "configs", PACKAGE.parents[1] / "configs"]
    for place in places:
        if (place / "train.yaml").is_file():
            return place
    raise FileNotFoundError(
        f"no train.yaml in {places[0]} nor in {places[1]}: reinstall flowbench"
    )


def _job(config: DictConfig) -> Any:
    """One run. In a sweep it tells its own failure, since Hydra reports only the first."""
    try:
        _refuse_idle_sweep()
        check(config)
        from flowbench.training.run import run  # slow to import: `--help` does without

        return run(config)
    except Exception as error:
        expected = _is_expected(error)
        if HydraConfig.get().mode is RunMode.MULTIRUN:
            print(_sentence(error) if expected else traceback.format_exc(), file=sys.stderr)
            raise
        if not expected:
            raise
        raise SystemExit(_sentence(error)) from error


def _refuse_idle_sweep() -> None:
    """Without `-m` a sweep is but a name, unless all of its keys are given: one of its jobs."""
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


def _leave_interrupted(reason: str = "interrupted", *, code: int = INTERRUPTED) -> None:
    print(f"{reason}; the same command resumes the run", file=sys.stderr)
    sys.exit(code)


def _is_expected(error: Exception) -> bool:
    """Whether a user can mend it: our own errors, the file system's, the Trainer's on its keys."""
    from lightning_fabric.utilities.exceptions import MisconfigurationException

    cause = _cause(error)
    if isinstance(cause, OSError | MisconfigurationException):
        return True
    if type(cause).__module__.partition(".")[0] == "flowbench":
        return True
    return isinstance(cause, ValueError | ArithmeticError) and _is_raised_by_us(cause)


def _is_raised_by_us(error: BaseException) -> bool:
    """Whether a `raise` of this package is its origin, and not something that went wrong below."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames or PACKAGE not in Path(frames[-1].filename).resolve().parents:
        return False
    return (frames[-1].line or "").startswith("raise ")


def _cause(error: BaseException) -> BaseException:
    """What a constructor raised, without Hydra's wrapping."""
    if isinstance(error, InstantiationException) and error.__cause__ is not None:
        return error.__cause__
    return error


def _sentence(error: Exception) -> str:
    cause = _cause(error)
    text = str(cause) or type(cause).__name__
    if isinstance(cause, OSError) and cause.filename:
        text = f"{cause.filename}: {cause.strerror}"
    key = re.search(r"full_key: (\S+)", str(error)) if cause is not error else None
    return f"{key[1]}: {text}" if key else text


def _hydra_sentence(error: HydraException) -> str:
    """Hydra's own words, with the nearest key or choice."""
    words = [str(part).strip() for part in (error, error.__cause__) if part is not None]
    return "\n".join(filter(None, [*words, _hint(error)]))


def _hint(error: HydraException) -> str:
    near, cause = "", error.__cause__
    if isinstance(error, MissingConfigException) and error.options:
        group, _, choice = (error.missing_cfg_file or "").rpartition("/")
        near = did_you_mean(choice, error.options, prefix=f"{group}=")
    elif isinstance(cause, OmegaConfBaseException) and cause.parent_node is not None:
        known = OmegaConf.to_container(cause.parent_node._get_root())
        near = did_you_mean(str(cause.full_key), _full_keys("", known))
    return near.removeprefix("; ")


def _full_keys(prefix: str, value: object) -> list[str]:
    if not isinstance(value, dict):
        return []
    own = {f"{prefix}{name}": inner for name, inner in value.items() if name != "hydra"}
    return [*own, *(key for name, inner in own.items() for key in _full_keys(f"{name}.", inner))]


if __name__ == "__main__":
    main()
