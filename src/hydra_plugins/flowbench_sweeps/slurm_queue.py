"""Which of our jobs Slurm has waiting or running, asked once for all of them."""

import os
import subprocess
import sys
import time

__all__ = ["POLL_SECONDS", "SlurmQueue", "squeue"]

POLL_SECONDS = 2.0


class SlurmQueue:
    """The job arrays that are waited for; needs no accounting, as `sacct` would."""

    def __init__(self) -> None:
        self.open: dict[str, int] = {}
        self.listed: list[str] | None = None
        self.asked = 0.0

    def add(self, array: str, *, jobs: int) -> None:
        """Wait for a job array.

        Args:
            array: its number.
            jobs: how many it has.
        """
        self.open[array] = jobs
        self.listed = None  # which is older than the array
        self.asked = time.monotonic()

    def ended(self, array: str) -> bool:
        """Whether no job of an array is waiting or running."""
        if time.monotonic() - self.asked >= POLL_SECONDS:
            self.listed = _listed()
            self.asked = time.monotonic()
        if self.listed is None or array in self.listed:
            return False
        del self.open[array]
        return True

    def tell(self) -> None:
        """Say what goes on when this process ends before its jobs do."""
        if not self.open:
            return
        listed = _listed()
        left = sum(self.open.values() if listed is None else map(listed.count, self.open))
        if left:
            words = " ".join(self.open)
            print(f"{left} jobs go on in Slurm; to cancel them: scancel {words}", file=sys.stderr)


def squeue(*options: str) -> subprocess.CompletedProcess[str]:
    """What `squeue` says, a line per job."""
    words = ["squeue", "--noheader", "--array", *options]
    return subprocess.run(words, capture_output=True, text=True, check=False)


def _listed() -> list[str] | None:
    """The number of the array of each of our jobs; None: Slurm does not answer."""
    found = squeue(f"--user={os.getuid()}", "--format=%F")
    return None if found.returncode else found.stdout.split()
