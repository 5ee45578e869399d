"""Hydra plugins: two sweepers, which end with a table of all runs, and two launchers."""

from hydra_plugins.flowbench_sweeps.grid_sweeper import GridSweeper
from hydra_plugins.flowbench_sweeps.local_launcher import LocalLauncher
from hydra_plugins.flowbench_sweeps.search_sweeper import SearchSweeper
from hydra_plugins.flowbench_sweeps.slurm_launcher import SlurmLauncher

__all__ = ["GridSweeper", "LocalLauncher", "SearchSweeper", "SlurmLauncher"]
