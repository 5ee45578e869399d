"""The race: every entry trains for a while, the better half goes on, until the time is over."""

import math
import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from flowbench.config.errors import ConfigError
from flowbench.config.settings import Settings
from flowbench.data import DataError
from flowbench.evaluation.likelihood import LikelihoodError
from flowbench.run.auto.budget import Budget
from flowbench.run.auto.folds import Fold
from flowbench.run.auto.members import Members
from flowbench.run.auto.portfolio import Entry
from flowbench.run.auto.standing import Standing, read_standings, write_standings
from flowbench.run.folder import RunFolder
from flowbench.training.flow_module import NonFiniteError

__all__ = ["CALIBRATION", "MOST_MEMBERS", "Race"]

CALIBRATION = 0.05  # of the time, at least, kept for it
MOST_KEPT = 0.5  # of the time, for scores and calibration
CLOSED = 0.4  # of the time, at most, for closed forms; but one is always fitted
HALVING = 0.4  # of the time, where finalists train on further folds afterwards
FINALISTS = 3  # that do, at most
MOST_MEMBERS = 8  # of the mixture, at most
FAR_BEHIND = 1.0  # nats per row, with which none becomes a member
SHORTEST = 0.5  # seconds of training
GROWTH = 2.0  # of the time that a closed form of twice the size takes
COMPILING_PAYS = 1200.0  # seconds of a race, below which a minute of torch.compile is too much
EXPECTED = (ConfigError, DataError, LikelihoodError, NonFiniteError, ValueError)


class Race:
    """The entries and their standings, in the folder of a run.

    Flows first train on the first fold alone; the best of them go on to the others.

    Args:
        entries: in the order in which they start.
        folds: the rows that train and those that choose.
        settings: of the run.
        folder: of the run; every entry trains in folders below it.
        seconds: of wall time, earlier attempts included, until test rows are scored.
        say: is told how entries stand.
        clock: seconds since some moment.
    """

    def __init__(
        self,
        entries: list[Entry],
        folds: list[Fold],
        settings: Settings,
        folder: RunFolder,
        *,
        seconds: float,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.entries = {entry.name: entry for entry in entries}
        self.folds = folds
        self.settings = settings
        self.folder = folder
        self.say = say
        compiles = seconds >= COMPILING_PAYS
        self.members = Members(self.entries, folds, settings, folder, compiles=compiles)
        known = read_standings(self.file)
        unwritten = max(0.0, self.members.newest() - known.written)  # by a killed process
        self.standings = {name: known.standings.get(name, Standing()) for name in self.entries}
        self.finalists = known.finalists
        self.budget = Budget(seconds, before=known.seconds + unwritten, clock=clock)
        self.clock = clock
        self.reasons: dict[str, str] = {}  # for being out, and which entry had each first
        self._keep()

    @property
    def file(self) -> Path:
        """Where the standings are kept, so that an interrupted race goes on."""
        return self.folder.path / "race.json"

    def ranked(self, names: Iterable[str]) -> list[str]:
        """The best of some entries first; those without a score last."""
        return sorted(names, key=lambda name: -self._val(name))

    def _val(self, name: str) -> float:
        found = self.standings[name].val
        return -math.inf if found is None else found

    def scored(self) -> list[str]:
        """The entries that have a density."""
        return [name for name, one in self.standings.items() if one.val is not None]

    def chosen(self) -> tuple[list[str], int]:
        """The entries among which to choose, the best first, and the folds that choose.

        They have trained on all folds; but if the time was too short for one that is ahead by more
        than two standard errors on those that it had, these folds choose.
        """
        names, folds = self.scored(), {name: self.standings[name].folds for name in self.scored()}
        found: list[str] = []
        count = 1
        for most in sorted(set(folds.values()), reverse=True):
            means = {n: self.members.mean(n, most) for n in names if folds[n] >= most}
            several = sorted(means, key=lambda name: -means[name])
            if not found or self.members.is_ahead(several[0], found[0], most):
                found, count = several, most
        return found, count

    def run(self) -> None:
        """Closed forms first; then the flows, of which the better half goes on each time."""
        for name, entry in self.entries.items():
            if not entry.baseline or not self._goes_on(name):
                continue
            if self._is_too_large(entry):
                self.standings[name].status = "behind"
            elif self._is_late(self._expected(entry)):
                self.standings[name].drop()
            else:
                self._closed_form(name)
        flows = [name for name, entry in self.entries.items() if not entry.baseline]
        several = len(self.folds) > 1
        if self.finalists is None:
            left = [name for name in flows if self.standings[name].status != "behind"]
            self._halve(left, share=HALVING if several else 1.0)
            self._first_epoch(flows)
            self.finalists = self._to_fold(flows) if several else []
        self._finish(self.finalists)

    def _is_too_large(self, entry: Entry) -> bool:
        """Whether a smaller entry of its kind is behind one that is smaller still."""
        if not entry.smaller:
            return False
        smaller = self.entries[entry.smaller]
        if self.standings[smaller.name].status == "done" and smaller.smaller:
            return self.ranked([smaller.smaller, smaller.name])[0] == smaller.smaller
        return self.standings[smaller.name].status != "done"

    def _expected(self, entry: Entry) -> float:
        """Seconds that a closed form will take on all folds."""
        smaller = self.standings.get(entry.smaller, Standing())
        return GROWTH * sum(smaller.seconds)

    def _is_late(self, expected: float) -> bool:
        """Whether closed forms would have had more than their share of the time after the next."""
        share = CLOSED * self.budget.seconds
        return bool(self.scored()) and self.budget.spent() + expected > share

    def _closed_form(self, name: str) -> None:
        standing = self.standings[name]
        for fold in range(standing.folds, len(self.folds)):
            if self._goes_on(name):
                self._advance(name, math.inf, fold)
            if self._is_late((standing.over or 0.0) * (len(self.folds) - fold - 1)):
                break
        if self._goes_on(name):
            standing.status = "done" if standing.folds == len(self.folds) else "behind"
        self._tell(name)

    def _halve(self, flows: list[str], *, share: float) -> None:
        """Rounds on the first fold in a share of the time; the last is of one flow."""
        begun = self.clock()

        def left() -> float:
            took = self.clock() - begun
            return share * (self.budget.left() + took) - took

        rounds = math.ceil(math.log2(max(1, len(flows)))) + 1
        for remaining in range(rounds, 0, -1):
            self._round(flows, left() / remaining, left)
            flows = self._better_half(flows)

    def _first_epoch(self, flows: list[str]) -> None:
        """However long it takes, if nothing else has a score."""
        for name in flows:
            if not self.scored() and self.standings[name].status != "out":
                self._advance(name, math.inf)
                self._tell(name)

    def _round(self, names: list[str], seconds: float, left: Callable[[], float]) -> None:
        """A round of the race; what an entry leaves over goes to the others."""
        ends = self.clock() + seconds
        waiting = [name for name in names if self._goes_on(name)]
        while waiting:
            name = waiting.pop(0)
            if self._fits(name, left()):
                self._advance(name, (ends - self.clock()) / (len(waiting) + 1))
                self._tell(name)

    def _to_fold(self, flows: list[str]) -> list[str]:
        """The best flows: as many as can train on the other folds for as long as on the first."""
        names = [name for name in self.ranked(flows) if self.standings[name].val is not None]
        found, left = names[:1], self.budget.left()
        for place, name in enumerate(names[:FINALISTS]):
            left -= (len(self.folds) - 1) * self.standings[name].seconds[0]
            if place and left > 0:
                found.append(name)
        return found

    def _finish(self, names: list[str]) -> None:
        """Train the finalists on the other folds, each in as much of the time as all others."""
        waiting = [(name, fold) for name in names for fold in range(1, len(self.folds))]
        while waiting:
            name, fold = waiting.pop(0)
            standing = self.standings[name]
            if (
                fold < standing.folds
                or standing.status == "out"
                or not self._fits(name, self.budget.left())
            ):
                continue
            self._advance(name, self.budget.left() / (len(waiting) + 1), fold)
            if standing.folds == len(self.folds) and standing.status != "out":
                standing.status = "done"
                self._tell(name)
        self._write()

    def _goes_on(self, name: str) -> bool:
        return self.standings[name].status in ("waiting", "running")

    def _over(self, name: str) -> float:
        """Seconds that a turn of a flow takes beside its training.

        Of a new one, as few as any; but a single one that is known tells little of others.
        """
        if (own := self.standings[name].over) is not None:
            return own
        flows = [one.over for n, one in self.standings.items() if not self.entries[n].baseline]
        known = [over for over in flows if over is not None]
        return min(known) if len(known) > 1 else 0.0

    def _fits(self, name: str, seconds: float) -> bool:
        return seconds >= SHORTEST + self._over(name)

    def _better_half(self, names: list[str]) -> list[str]:
        ranked = self.ranked(names)
        kept = ranked[: max(1, math.ceil(len(ranked) / 2))]
        for name in set(ranked) - set(kept):
            if self._goes_on(name):
                self.standings[name].drop()
        self._write()
        return kept

    def _advance(self, name: str, seconds: float, fold: int = 0) -> None:
        """Train an entry on a fold for some seconds more, and score it."""
        standing = self.standings[name]
        had = standing.seconds[fold] if fold < len(standing.seconds) else 0.0
        trained = standing.trained[fold] if fold < len(standing.trained) else 0.0
        asked = max(SHORTEST, seconds - self._over(name))
        begun = self.clock()
        try:
            self._train(name, trained + asked, fold)
            standing.trained[fold:] = [] if math.isinf(asked) else [trained + asked]
        except TimeoutError:  # the next turn begins anew
            standing.status, standing.why = "running", "no epoch has ended"
            standing.trained[fold:] = [trained]
        except EXPECTED as error:
            standing.status, standing.why = "out", " ".join(str(error).split())
        finally:
            took = self.clock() - begun
            standing.seconds[fold:] = [had + took]
            standing.over = took if math.isinf(seconds) else max(0.0, took - asked)
            self._keep()
            self._write()

    def _tell(self, name: str) -> None:
        one = self.standings[name]
        told = self._reason(name) if one.val is None else f"{one.val:.4f} nats"
        self.say(f"  {name:24} {sum(one.seconds):7.1f} s  {told}")

    def _reason(self, name: str) -> str:
        """Why an entry has no score; why it is out, if told before, by the entry that was."""
        why = self.standings[name].why
        if self.standings[name].status != "out":
            return why
        first = self.reasons.setdefault(re.sub(r"^model=\w+ ", "", why), name)
        return why if first == name else f"out, as {first}"

    def _train(self, name: str, seconds: float, fold: int) -> None:
        standing = self.standings[name]
        fitted = self.members.train(name, seconds, fold)
        begun = self.clock()
        self.members.terms_of(name, fold + 1)
        standing.scoring = self.clock() - begun
        standing.val = self.members.mean(name, fold + 1)
        standing.epochs[fold:], standing.why = [len(fitted.history)], ""
        rested = len(fitted.history) - 1 - fitted.best_epoch
        over = not self.entries[name].baseline and rested >= self._patience(self.entries[name])
        standing.status = "done" if over else "running"

    def _patience(self, entry: Entry) -> float:
        own = entry.training.get("patience", self.settings.training.patience)
        return math.inf if own is None else own

    def _keep(self) -> None:
        """Keep the time that scores of test rows will take, and some for the calibration."""
        rows = self.folds[0].data.rows
        ratio = max(1.0, len(rows["test"]) / len(rows["val"]))
        members = self.ranked(self.scored())[:MOST_MEMBERS]
        best = max((self._val(name) for name in members), default=0.0)
        members = [name for name in members if self._val(name) > best - FAR_BEHIND]
        baselines = [name for name in self.scored() if self.entries[name].baseline]
        each = sum(self.standings[name].scoring for name in [*members, *members, *baselines])
        kept = len(self.folds) * ratio * each + CALIBRATION * self.budget.seconds
        self.budget.kept = min(MOST_KEPT * self.budget.seconds, kept)

    def _write(self) -> None:
        write_standings(
            self.file, self.standings, seconds=self.budget.spent(), finalists=self.finalists
        )
