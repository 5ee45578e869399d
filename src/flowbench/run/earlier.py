"""What a run folder held before `overwrite=true`, kept until the new run has begun.

It waits in a hidden folder. Each step is one rename, so that a process that is killed leaves
nothing half done: whoever opens the folder next gets the earlier contents back.
"""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

__all__ = ["HIDDEN", "delete", "remove", "restore", "set_aside"]

PARTIAL, WHOLE, OLD = ".earlier.partial", ".earlier", ".earlier.old"
HIDDEN = (PARTIAL, WHOLE, OLD)


def set_aside(folder: Path, entries: Iterable[Path]) -> None:
    """Move the contents of a folder out of the way.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / "result.json").touch()
        >>> set_aside(folder, list(folder.iterdir()))
        >>> (folder / "config.yaml").touch()
        >>> restore(folder, [folder / "config.yaml"])
        >>> [path.name for path in folder.iterdir()]
        ['result.json']
    """
    partial = folder / PARTIAL
    partial.mkdir()
    for entry in entries:
        os.replace(entry, partial / entry.name)
    os.replace(partial, folder / WHOLE)


def restore(folder: Path, entries: Iterable[Path]) -> None:
    """Move the earlier contents back, in place of what has come since; nothing if there are none.

    Args:
        folder: of the run.
        entries: of the folder, which are deleted.
    """
    partial, whole = folder / PARTIAL, folder / WHOLE
    if whole.is_dir():
        remove(entries)
        os.replace(whole, partial)
    if partial.is_dir():
        for entry in list(partial.iterdir()):
            os.replace(entry, folder / entry.name)
        partial.rmdir()
    delete(folder)


def delete(folder: Path) -> None:
    """Delete the earlier contents, in one step for whoever looks."""
    whole, old = folder / WHOLE, folder / OLD
    if old.is_dir():
        shutil.rmtree(old)
    if whole.is_dir():
        os.replace(whole, old)
        shutil.rmtree(old)


def remove(entries: Iterable[Path]) -> None:
    """Delete files, links and folders."""
    for entry in entries:
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
