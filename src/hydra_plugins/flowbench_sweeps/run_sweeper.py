"""The base of both sweepers: checked options, parsed overrides, jobs, interruption."""

import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.utils import env_override
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from flowbench.config.configuration import ConfigError, resolved
from flowbench.config.signatures import problems_of_node
from flowbench.exits import SAVED
from flowbench.run.names import SWEEP, sweep_text
from flowbench.training.interrupted import Interrupted
from hydra_plugins.flowbench_sweeps.jobs import Job

__all__ = ["RunSweeper"]


class RunSweeper(Sweeper):
    """A sweeper whose jobs are runs.

    Args:
        params: key → values, as in an override.
    """

    def __init__(self, *, params: Mapping[str, str] | None = None) -> None:
        self.params = params or {}

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Check the options of the sweeper and of its launcher, and make the launcher.

        Raises:
            ConfigError: all problems together, one per line.
        """
        from hydra.core.plugins import Plugins

        problems = [
            problem
            for name in ("sweeper", "launcher")
            for problem in problems_of_node(
                f"hydra.{name}", resolved(config.hydra[name]), supplied=set()
            )
        ]
        if problems:
            raise ConfigError("\n".join(problems))
        self.config: DictConfig = config
        self.loader = hydra_context.config_loader
        self.launcher: Any = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def parse(self, arguments: Sequence[str]) -> list[Override]:
        """The overrides of `params`, then those of the command line."""
        texts = [*(f"{key}={values}" for key, values in self.params.items()), *arguments]
        return OverridesParser.create(config_loader=self.loader).parse_overrides(texts)

    def job(self, overrides: Sequence[str]) -> Job:
        """The job of some overrides, composed and checked."""
        return Job.of(overrides, self.loader, self.config)

    @contextmanager
    def running(self, overrides: Sequence[Override], **environment: str) -> Iterator[None]:
        """Within the block, jobs know their sweep, and SIGTERM raises `Interrupted`.

        Args:
            overrides: of the sweep.
            environment: further variables for the jobs.
        """
        text = sweep_text(str(override.input_line) for override in overrides)
        earlier = signal.signal(signal.SIGTERM, _interrupt)
        try:
            with env_override({SWEEP: text, **environment}):
                yield
        finally:
            signal.signal(signal.SIGTERM, earlier)


def _interrupt(signum: int, frame: Any) -> None:
    raise Interrupted(signum, code=SAVED)
