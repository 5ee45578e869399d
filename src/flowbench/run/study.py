"""An Optuna study in a file that survives crashes and is shared by several processes."""

from pathlib import Path
from typing import Any

from filelock import FileLock

__all__ = ["open_study"]


class JournalLock:
    """A lock for one writer, released when its process ends, unlike those of Optuna.

    An incomplete last line, left by a crash, is removed before the next one is written.
    """

    def __init__(self, journal: Path) -> None:
        self.journal = journal
        self.lock: FileLock = FileLock(f"{journal}.lock")
        self.release = self.lock.release

    def acquire(self) -> bool:
        """Wait for the lock."""
        self.lock.acquire()
        with self.journal.open("rb+") as file:
            if not (whole := file.read()).endswith(b"\n"):
                file.truncate(whole.rfind(b"\n") + 1)
        return True


def open_study(journal: str | Path, **options: Any) -> Any:
    """The study in a file, which is created if necessary; higher values are better.

    Args:
        journal: path of the file, which several processes may use at once.
        options: of `optuna.create_study`, e.g. its pruner.

    Returns:
        An `optuna.Study`.
    """
    import optuna
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    lock: Any = JournalLock(Path(journal))
    storage = optuna.storages.JournalStorage(JournalFileBackend(str(journal), lock_obj=lock))
    name, direction = "flowbench", "maximize"
    return optuna.create_study(
        storage=storage, study_name=name, direction=direction, load_if_exists=True, **options
    )
