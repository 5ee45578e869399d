"""Jobs of one architecture in one process, which compute their steps together."""

import json
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.utils import JobReturn, run_job, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from flowbench.config.configuration import resolved
from flowbench.config.limits import AtLeastOne
from flowbench.run.identity import run_directory
from hydra_plugins.flowbench_sweeps.commands import compose, logs, slug

__all__ = ["PackedLauncher", "architecture", "packs_of"]

ORDERS = ("seed", "input_order", "hidden_degrees")  # which change masks, but no shapes


class PackedLauncher(Launcher):
    """Trains jobs of one architecture together, in this process; each is an ordinary run.

    Jobs that differ in seeds, orders of features or optimisation alone are one pack, whose
    steps are computed as one, wherever the engine is "compiled" (on a GPU, for instance); others
    share the process. What cannot be packed runs by itself.

    Args:
        jobs: in one pack, at most.
    """

    def __init__(self, *, jobs: AtLeastOne = 16) -> None:
        self.jobs = jobs

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Keep the configuration."""
        self.context = hydra_context
        self.function = task_function
        self.config = config

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run all jobs; the outcome of each is in its folder.

        Raises:
            Interrupted: a signal has stopped them, and they are saved.
        """
        setup_globals()
        packs = packs_of(job_overrides, self.context.config_loader, self.config, at_most=self.jobs)
        sizes = " + ".join(str(len(pack)) for pack in packs)
        print(f"{len(job_overrides)} jobs, packed as {sizes}; what they print is in "
              f"{logs(self.config)}/", flush=True)  # fmt: skip
        for pack in packs:
            self.run(pack)
        return []

    def run(self, pack: Sequence[Sequence[str]]) -> None:
        """Run the jobs of a pack together.

        Args:
            pack: the overrides of each.

        Raises:
            Interrupted: a signal has stopped them, and they are saved.
        """
        from flowbench.training.engines.pack import Pack  # slow to import

        with ExitStack() as stack:
            members = []
            for overrides in pack:
                folder = run_directory(compose(self.context.config_loader, self.config, overrides))
                log = logs(self.config) / f"{slug(folder)}.log"
                log.parent.mkdir(parents=True, exist_ok=True)
                members.append((self._job(overrides), stack.enter_context(log.open("a"))))
            with _stopping_all():
                errors = Pack(members).run()
        for error in errors:
            if error is not None and not isinstance(error, Exception | SystemExit):
                raise error

    def _job(self, overrides: Sequence[str]) -> Callable[[], object]:
        config = self.context.config_loader.load_sweep_config(self.config, list(overrides))

        def job() -> object:
            return run_job(
                task_function=self.function,
                config=config,
                job_dir_key="hydra.sweep.dir",
                job_subdir_key="hydra.sweep.subdir",
                hydra_context=self.context,
                configure_logging=False,
            )

        return job


def packs_of(
    job_overrides: Sequence[Sequence[str]],
    loader: ConfigLoader,
    config: DictConfig,
    *,
    at_most: int,
) -> list[list[Sequence[str]]]:
    """Jobs by architecture.

    Args:
        job_overrides: of the jobs.
        loader: Hydra's.
        config: of the sweep.
        at_most: jobs of a pack.
    """
    alike: dict[object, list[Sequence[str]]] = {}
    for number, overrides in enumerate(job_overrides):
        found = architecture(resolved(compose(loader, config, overrides)))
        alike.setdefault(number if found is None else found, []).append(overrides)
    return [
        group[start : start + at_most]
        for group in alike.values()
        for start in range(0, len(group), at_most)
    ]


def architecture(config: Mapping[str, Any]) -> str | None:
    """What jobs of a pack have in common; None for one that runs by itself.

    Args:
        config: of the job, resolved.

    Example:
        >>> model = {"name": "maf", "layers": 2}
        >>> config = {"module": None, "training": {"batch_size": 100}, "trainer": {"devices": 1}}
        >>> config["data"] = {"name": "toy"}
        >>> one, other = ({**config, "model": {**model, "seed": seed}} for seed in (0, 1))
        >>> architecture(one) == architecture(other)
        True
        >>> architecture({**one, "trainer": {"devices": 2}}) is None
        True
    """
    trainer = config["trainer"]
    if config["module"] or trainer.get("devices", 1) != 1 or trainer.get("num_nodes", 1) != 1:
        return None
    model = {key: value for key, value in config["model"].items() if key not in ORDERS}
    data = {key: value for key, value in config["data"].items() if key != "seed"}
    same = [model, data, config["training"].get("batch_size")]
    return json.dumps(same, sort_keys=True, default=str)


@contextmanager
def _stopping_all() -> Iterator[None]:
    """Within the block a signal lets all trainings save and stop; a second Ctrl-C kills them.

    Raises:
        Interrupted: at the end of the block, if a signal has come.
    """
    from flowbench.training.interruption import SIGNALS, stop
    from flowbench.training.turns import signal_for_all

    come: list[int] = []

    def note(signum: int, frame: object) -> None:
        come.append(signum)
        signal_for_all(signum)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    signals = (signal.SIGINT, *SIGNALS)
    earlier = {signum: signal.signal(signum, note) for signum in signals}
    try:
        yield
    finally:
        signal_for_all(0)
        for signum, handler in earlier.items():
            signal.signal(signum, handler)
    if come:
        stop(come[0], earlier[come[0]] if come[0] in SIGNALS else None)
