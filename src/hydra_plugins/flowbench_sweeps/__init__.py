"""What Hydra finds of flowbench: a sweep with a table at its end, and two launchers."""

from hydra_plugins.flowbench_sweeps.grid_sweeper import GridSweeper
from hydra_plugins.flowbench_sweeps.local_launcher import LocalLauncher
from hydra_plugins.flowbench_sweeps.slurm_launcher import SlurmLauncher

__all__ = ["GridSweeper", "LocalLauncher", "SlurmLauncher"]
