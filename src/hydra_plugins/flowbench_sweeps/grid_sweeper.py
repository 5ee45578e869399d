"""All combinations of what `-m` sweeps over: those that are missing are run, and all are told."""

from collections.abc import Mapping
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import env_override
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from flowbench.config.configuration import ConfigError
from flowbench.run.names import SWEEP, sweep_text
from hydra_plugins.flowbench_sweeps.interruptible import interruptible
from hydra_plugins.flowbench_sweeps.jobs import Job, conclude, refuse_if_all_are_bad
from hydra_plugins.flowbench_sweeps.options import check_options

__all__ = ["GridSweeper"]


class GridSweeper(BasicSweeper):
    """Hydra's grid, of which only missing runs are started; a table of all comes at the end.

    A job that fails neither stops nor hides the others; the exit code is 1 if any has failed.

    Args:
        params: key → values, as in an override.
    """

    def __init__(self, *, params: Mapping[str, Any] | None = None) -> None:
        super().__init__(max_batch_size=None, params=dict(params or {}))

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Check the options, and remember what Hydra tells.

        Raises:
            ConfigError: an option makes no sense.
        """
        check_options(config)
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def sweep(self, arguments: list[str]) -> Any:
        """Run what is missing of a grid.

        Args:
            arguments: overrides as on the command line.

        Raises:
            ConfigError: an interval, of which there is no grid; or no combination can be run.
        """
        assert self.config is not None
        assert self.hydra_context is not None
        assert self.launcher is not None
        loader = self.hydra_context.config_loader
        texts = [*self._parse_config(), *arguments]
        overrides = OverridesParser.create(config_loader=loader).parse_overrides(texts)
        for override in overrides:
            if override.is_interval_sweep():
                raise ConfigError(
                    f"{override.input_line}: a grid needs single values; draw from an interval "
                    "with hydra/sweeper=random or hydra/sweeper=optuna"
                )
        [combinations] = self.split_arguments(overrides, None)
        jobs = [Job.of(words, loader, self.config) for words in combinations]
        refuse_if_all_are_bad(jobs)
        missing = [job.overrides for job in jobs if job.missing]
        with env_override({SWEEP: sweep_text(texts)}), interruptible():
            if missing:
                self.launcher.launch(missing, initial_job_idx=0)
        conclude(jobs)
