"""The pictures of runs as files beside the page, which browsers load when they are looked at."""

import hashlib
import re
from pathlib import Path

from flowbench.atomic_files import replacing
from flowbench.report.collect import ReportError
from flowbench.run.reading import RunFolderError, read_picture, read_text

__all__ = ["Pictures"]


class Pictures:
    """The folder `<page>_files` beside a page; each picture is named by what it holds.

    Args:
        page: the HTML file that shows them.
    """

    def __init__(self, page: Path) -> None:
        self.page = page
        self.folder: Path = page.with_name(f"{page.stem}_files")
        self.kept: set[str] = set()
        if self.folder.is_symlink():
            raise ReportError(f"{self.folder}: is a link, expected a folder; remove it")

    def add(self, path: Path) -> str:
        """Copy a picture, unless it is there already.

        Args:
            path: of a PNG in a run folder.

        Returns:
            Its address as the page names it.

        Raises:
            RunFolderError: it is not a picture any more.
        """
        content = read_picture(path)
        copy = self.folder / f"{hashlib.sha256(content).hexdigest()[:16]}.png"
        if not _is_file(copy, size=len(content)):
            self.folder.mkdir(exist_ok=True)
            with replacing(copy, durable=False) as part:
                part.write_bytes(content)
        self.kept.add(copy.name)
        return f"{self.folder.name}/{copy.name}"

    def former(self) -> set[str]:
        """The names that the page on disk refers to; none if it is unreadable."""
        try:
            text = read_text(self.page)
        except RunFolderError:
            return set()
        named = re.escape(self.folder.name)
        return set(re.findall(f'"{named}/([0-9a-f]{{16}}\\.png)"', text))

    def remove(self, names: set[str]) -> None:
        """Delete those of the former page that the new one does not refer to."""
        for name in names - self.kept:
            (self.folder / name).unlink(missing_ok=True)
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()


def _is_file(path: Path, *, size: int) -> bool:
    """Whether there is a regular file of that size, not a link to one."""
    return path.is_file() and not path.is_symlink() and path.stat().st_size == size
