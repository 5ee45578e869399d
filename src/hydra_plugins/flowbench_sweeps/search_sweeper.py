"""A search: what to run is drawn from a space, at random or as the runs so far suggest."""

import hashlib
import importlib.util
import json
import logging
import math
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import env_override
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig
from pydantic import Field

from flowbench.config.configuration import ConfigError
from flowbench.config.limits import AtLeastOne
from flowbench.extras import how_to_install
from flowbench.run.names import STUDY, SWEEP, TRIAL, sweep_text
from hydra_plugins.flowbench_sweeps.interruptible import interruptible
from hydra_plugins.flowbench_sweeps.jobs import Job, conclude, refuse_if_all_are_bad
from hydra_plugins.flowbench_sweeps.options import check_options
from hydra_plugins.flowbench_sweeps.space import search_space
from hydra_plugins.flowbench_sweeps.trials import Sampler, Trials

__all__ = ["SearchSweeper", "trials_at_a_time"]

MOST = 256  # trials at a time, as submitit's arrays
POLL_SECONDS = 0.2


class SearchSweeper(Sweeper):
    """Trials drawn from a space until there are enough; a table of all comes at the end.

    The study is a file in the sweep's folder, named by what is searched and how: the same command
    goes on with it, also in several terminals or on several machines at once.

    Args:
        sampler: "tpe", or "random".
        n_trials: finished or pruned ones that the study shall have.
        seed: of the sampler.
        pruner: "median" gives up a run that at some epoch is worse than the median; None: no run.
        params: key → values, as in an override.
    """

    def __init__(
        self,
        *,
        sampler: Sampler,
        n_trials: AtLeastOne,
        seed: Annotated[int, Field(ge=0)],
        pruner: Literal["median"] | None,
        params: Mapping[str, str] | None = None,
    ) -> None:
        self.sampler: Sampler = sampler
        self.n_trials = n_trials
        self.seed = seed
        self.pruner = pruner
        self.params = params or {}

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Check the options, and remember what Hydra tells.

        Raises:
            ConfigError: an option makes no sense, or Optuna is not installed.
        """
        from hydra.core.plugins import Plugins

        if importlib.util.find_spec("optuna") is None:
            raise ConfigError(
                f"a search needs Optuna, which is not installed: {how_to_install('sweep')}"
            )
        check_options(config)
        self.loader = hydra_context.config_loader
        self.base: DictConfig = config
        self.launcher: Any = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Search.

        Args:
            arguments: overrides as on the command line.

        Raises:
            ConfigError: the space makes no sense, or none of it can be run.
        """
        texts = [*(f"{key}={values}" for key, values in self.params.items()), *arguments]
        parsed = OverridesParser.create(config_loader=self.loader).parse_overrides(texts)
        overrides = {override.get_key_element(): override for override in parsed}
        space = search_space(overrides.values())
        fixed = [
            f"{key}={override.get_value_element_as_str()}"
            for key, override in overrides.items()
            if key not in space
        ]

        def job(parameters: Mapping[str, Any]) -> Job:
            words = [*fixed, *(f"{key}={value}" for key, value in parameters.items())]
            return Job.of(words, self.loader, self.base)

        journal = self._journal(_first_of(space, job), space)
        trials = Trials(
            journal,
            space,
            job=job,
            sampler=self.sampler,
            seed=self.seed,
            n_trials=self.n_trials,
            pruned=self.pruner is not None,
        )
        told = {SWEEP: sweep_text(texts), STUDY: str(journal.absolute())}
        with env_override(told), interruptible():
            limit = getattr(self.launcher, "at_a_time", 1)
            workers = trials_at_a_time(limit, sampler=self.sampler, n_trials=self.n_trials)
            _in_parallel(lambda: self._work(trials), workers)
        best = trials.best()
        conclude(trials.jobs(), *([best] if best else []))

    def _work(self, trials: Trials) -> None:
        logging.getLogger("hydra._internal.core_plugins.basic_launcher").addFilter(_silent)
        while (trial := trials.take()) is not None:
            print(f"trial {trial.number}: {trial.told}", flush=True)
            words = list(trial.job.overrides)
            if self.pruner is not None:
                words.append(f"+hydra.job.env_set.{TRIAL}={trial.number}")
            self.launcher.launch([words], initial_job_idx=trial.number)
            trials.tell(trial)

    def _journal(self, first: Path, space: Mapping[str, Any]) -> Path:
        """The file of the study, named by all that makes it another one."""
        identity = [*first.parts[-4:], self.sampler, self.seed, self.pruner]
        identity += [sorted(map(str, space.items()))]
        name = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:8]
        return Path(self.base.hydra.sweep.dir, ".studies", f"{name}.journal")


def trials_at_a_time(limit: int | None, *, sampler: Sampler, n_trials: int) -> int:
    """How many trials run side by side.

    A suggestion learns from the trials that have ended when it is made: if all were made at once,
    they would be drawn at random.

    Args:
        limit: the launcher's; None: it leaves the choice to the search.
        sampler: that suggests.
        n_trials: of the study.

    Example:
        >>> trials_at_a_time(None, sampler="tpe", n_trials=50)
        13
    """
    sensible = math.ceil(n_trials / 4) if sampler == "tpe" else MOST
    return min(limit or sensible, n_trials)


def _silent(_record: logging.LogRecord) -> bool:
    """Hydra's launcher would announce every trial, which its line here has told."""
    return False


def _first_of(space: Mapping[str, Any], job: Callable[[Mapping[str, Any]], Job]) -> Path:
    """The run folder of the first values of a space, or of the last if those cannot be run.

    Raises:
        ConfigError: neither can, or earlier runs would be deleted.
    """
    ends = [
        job(
            {
                key: of.choices[end] if hasattr(of, "choices") else (of.low, of.high)[end]
                for key, of in space.items()
            }
        )
        for end in (0, -1)
    ]
    refuse_if_all_are_bad(ends)
    if any(end.config.get("overwrite") for end in ends):
        raise ConfigError(
            "overwrite=true: a search goes on with its trials; to start it over, delete its "
            "file in .studies/"
        )
    return next(end.folder.path for end in ends if end.folder is not None)


def _in_parallel(work: Callable[[], None], workers: int) -> None:
    """Do it in several threads, which end with this one; alone in this one.

    Raises:
        BaseException: the first that any of them has raised.
    """
    if workers == 1:
        work()
        return
    errors: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, daemon=True) for _ in range(workers)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads) and not errors:
        time.sleep(POLL_SECONDS)
    if errors:
        raise errors[0]
