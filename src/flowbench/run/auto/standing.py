"""How the entries of a race stand."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from flowbench.atomic_files import write_text

__all__ = ["Standing", "read_standings", "write_standings"]


@dataclass
class Standing:
    """How an entry stands.

    Attributes:
        seconds: wall time that it had, on each of the folds on which it has trained.
        epochs: that it trained on each of them.
        trained: seconds of its training alone, on each of them.
        over: seconds beside its training, or of its fit in closed form, when it had its last turn.
        scoring: seconds that its densities of the rows that choose took, in a fold.
        val: its mean log-likelihood on the rows that choose, in nats; None until it has one.
        status: "waiting", "running", "done" (its training ended), "behind", or "out" (with why).
        why: one sentence.
    """

    seconds: list[float] = field(default_factory=list)
    epochs: list[int] = field(default_factory=list)
    trained: list[float] = field(default_factory=list)
    over: float | None = None
    scoring: float = 0.0
    val: float | None = None
    status: str = "waiting"
    why: str = ""

    @property
    def folds(self) -> int:
        """On how many of the folds there is a density."""
        return len(self.epochs)

    def drop(self) -> None:
        """Let it train no more."""
        self.status = "behind"
        if self.val is None and not self.why:
            self.why = "there was no time for it"


class Known(NamedTuple):
    """What an earlier attempt has left.

    Attributes:
        standings: of the entries, by name.
        seconds: that it had.
        finalists: the flows that train on all folds; None: not yet decided.
        written: when, in seconds; infinite: never.
    """

    standings: Mapping[str, Standing]
    seconds: float
    finalists: list[str] | None
    written: float


def read_standings(file: Path) -> Known:
    """The standings of an earlier attempt, if there was one."""
    if not file.is_file():
        return Known({}, 0.0, None, math.inf)
    known = json.loads(file.read_text(encoding="utf-8"))
    standings = {name: Standing(**one) for name, one in known["entries"].items()}
    return Known(standings, known["seconds"], known.get("finalists"), file.stat().st_mtime)


def write_standings(
    file: Path,
    standings: Mapping[str, Standing],
    *,
    seconds: float,
    finalists: list[str] | None,
) -> None:
    """Keep the standings, so that an interrupted race goes on."""
    entries = {name: vars(standing) for name, standing in standings.items()}
    known = {"seconds": seconds, "finalists": finalists, "entries": entries}
    write_text(file, json.dumps(known, indent=2))
