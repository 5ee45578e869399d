"""Ranks that train together go on from the same point of the same run."""

from flowbench import ranks
from flowbench.run.folder import RunFolder, RunFolderError

__all__ = ["refuse_different_starts"]


def refuse_different_starts(folder: RunFolder) -> None:
    """Hold what every rank finds in the run folder against what rank 0 finds there.

    Args:
        folder: as this rank sees it.

    Raises:
        RunFolderError: on all ranks, if one of them would go on from elsewhere.
    """
    found = ranks.gathered((folder.standing(), str(folder.path.absolute())))
    first, its_path = found[0]
    for rank, (standing, path) in enumerate(found):
        if standing != first:
            raise RunFolderError(
                f"rank {rank} finds {standing} in {path}, and rank 0 {first} in {its_path}: "
                "paths.output must lie on a file system that all nodes share"
            )
