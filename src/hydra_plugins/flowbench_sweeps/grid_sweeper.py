"""A grid sweep: missing runs are started, and a table lists all runs."""

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

from flowbench.config.configuration import ConfigError
from hydra_plugins.flowbench_sweeps.jobs import conclude, refuse_if_all_are_bad
from hydra_plugins.flowbench_sweeps.run_sweeper import RunSweeper

__all__ = ["GridSweeper"]


class GridSweeper(RunSweeper):
    """Hydra's grid, but only missing runs are started, and a table of all runs is printed.

    A failing job neither stops nor hides the others; the exit code is 1 if any has failed.

    Args:
        params: key → values, as in an override.
    """

    def sweep(self, arguments: list[str]) -> None:
        """Run the missing jobs of a grid.

        Args:
            arguments: overrides as on the command line.

        Raises:
            ConfigError: an interval is given, which has no grid; or no combination can be run.
        """
        overrides = self.parse(arguments)
        for override in overrides:
            if override.is_interval_sweep():
                raise ConfigError(
                    f"{override.input_line}: a grid needs single values; draw from an interval "
                    "with hydra/sweeper=random or hydra/sweeper=optuna"
                )
        [combinations] = BasicSweeper.split_arguments(overrides, None)
        jobs = [self.job(words) for words in combinations]
        refuse_if_all_are_bad(jobs)
        missing = [job.overrides for job in jobs if job.missing]
        with self.running(overrides):
            if missing:
                self.launcher.launch(missing, initial_job_idx=0)
        conclude(jobs)
