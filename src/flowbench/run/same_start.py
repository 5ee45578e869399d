"""Ranks that train together must resume the same run at the same point."""

from flowbench import ranks
from flowbench.run.folder import RunFolder, RunFolderError

__all__ = ["refuse_different_starts"]


def refuse_different_starts(folder: RunFolder) -> None:
    """Compare what every rank finds in the run folder with what rank 0 finds.

    Args:
        folder: as this rank sees it.

    Raises:
        RunFolderError: on all ranks, if one of them would start from another point.
    """
    if ranks.size() == 1:
        return
    found = ranks.gathered((folder.standing(), str(folder.path.absolute())))
    first, its_path = found[0]
    for rank, (standing, path) in enumerate(found):
        if standing != first:
            raise RunFolderError(
                f"rank {rank} finds {standing} in {path}, and rank 0 {first} in {its_path}: "
                "paths.output must lie on a file system that all nodes share"
            )
