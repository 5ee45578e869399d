"""The race: every entry trains for a while, the better half goes on, until the time is over."""

import json
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import torch
from torch import Tensor

from flowbench.atomic_files import write_text
from flowbench.checkpoint import load
from flowbench.config.errors import ConfigError
from flowbench.config.settings import Settings
from flowbench.data import DataError
from flowbench.evaluation.likelihood import LikelihoodError, log_likelihoods
from flowbench.evaluation.score import Score
from flowbench.flows import Flow, Johnson
from flowbench.run.auto.folds import Fold
from flowbench.run.auto.portfolio import Entry
from flowbench.run.building import flow_of, module_of
from flowbench.run.fit import fit
from flowbench.run.folder import RunFolder
from flowbench.training.flow_module import NonFiniteError

__all__ = ["Race", "Standing"]

SCORING = 0.05  # of the time, kept for the end
CLOSED = 0.4  # of the time, at most, for closed forms; but one is always fitted
HALVING = 0.4  # of the time, where finalists train on further folds afterwards
FINALISTS = 3  # that do
COMPILING_PAYS = 1200.0  # seconds of a race, below which a minute of torch.compile is too much
EXPECTED = (ConfigError, DataError, LikelihoodError, NonFiniteError, ValueError)


@dataclass
class Standing:
    """How an entry stands.

    Attributes:
        seconds: wall time that it had, on each of the folds on which it has trained.
        epochs: that it trained on each of them.
        val: its mean log-likelihood on the rows that choose, in nats; None until it has one.
        status: "waiting", "running", "done" (its training ended), "behind", or "out" (with why).
        why: one sentence.
    """

    seconds: list[float] = field(default_factory=list)
    epochs: list[int] = field(default_factory=list)
    val: float | None = None
    status: str = "waiting"
    why: str = ""


class Race:
    """The entries and their standings, in the folder of a run.

    Flows first train on the first fold alone; the best of them go on to the others.

    Args:
        entries: in the order in which they start.
        folds: the rows that train and those that choose.
        settings: of the run.
        folder: of the run; every entry trains in folders below it.
        seconds: of wall time, earlier attempts included.
        say: is told how entries stand.
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
    ) -> None:
        self.entries = {entry.name: entry for entry in entries}
        self.folds = folds
        self.settings = settings
        self.folder = folder
        self.seconds = seconds
        self.say = say
        self.terms: dict[tuple[str, int], Tensor] = {}
        self.spent, self.standings = self._read()
        self.started = time.monotonic()

    @property
    def file(self) -> Path:
        """Where the standings are kept, so that an interrupted race goes on."""
        return self.folder.path / "race.json"

    def folder_of(self, name: str, fold: int = 0) -> RunFolder:
        """Where an entry trains."""
        return RunFolder(self.folder.path / "race" / name / f"fold={fold}")

    def left(self) -> float:
        """Seconds until the race is over."""
        return (1 - SCORING) * self.seconds - self.spent - (time.monotonic() - self.started)

    def ranked(self, names: Iterable[str]) -> list[str]:
        """The best of some entries first; those without a score last."""

        def score(name: str) -> float:
            found = self.standings[name].val
            return math.inf if found is None else -found

        return sorted(names, key=score)

    def scored(self) -> tuple[list[str], int]:
        """The entries that have trained on all folds, the best first, and how many these are.

        If the time was too short for that, those that have trained on the most.
        """
        scored = [name for name, one in self.standings.items() if one.val is not None]
        for folds in range(len(self.folds), 0, -1):
            if names := [n for n in scored if len(self.standings[n].seconds) == folds]:
                return self.ranked(names), folds
        return [], 1

    def run(self) -> None:
        """Closed forms first; then the flows, of which the better half goes on each time."""
        for name, entry in self.entries.items():
            if not entry.baseline or not self._goes_on(name):
                continue
            if self._is_too_large(entry) or self._is_late():
                self.standings[name].status = "behind"
            else:
                self._closed_form(name)
        flows = [name for name, entry in self.entries.items() if not entry.baseline]
        several = len(self.folds) > 1
        self._halve(flows, (1 - HALVING) * self.left() if several else 0.0)
        self._first_epoch(flows)
        if several:
            scored = [name for name in flows if self.standings[name].val is not None]
            self._finish(self.ranked(scored)[:FINALISTS])

    def flow(self, name: str, fold: int) -> Flow:
        """A density that has trained, of rows in model space."""
        flow = load(self.folder_of(name, fold).best).flow
        if not self.entries[name].johnson:
            return flow
        found = Johnson(flow)
        found.transform.load_state_dict(self.folds[fold].scale.state_dict())
        return found.eval()

    def terms_of(self, name: str, folds: int) -> Tensor:
        """The log-likelihoods, in model space, of the rows that choose in the first folds."""
        return torch.cat([self._terms(name, fold) for fold in range(folds)])

    def weights(self, folds: int) -> Tensor | None:
        """How much each of these rows counts; None: all the same."""
        found = [fold.data.rows["val"].weight for fold in self.folds[:folds]]
        return None if found[0] is None else torch.cat(found)  # type: ignore[arg-type]

    def _terms(self, name: str, fold: int) -> Tensor:
        if (name, fold) not in self.terms:  # of an earlier attempt
            rows = self.folds[fold].data.rows["val"]
            self.terms[name, fold] = log_likelihoods(self.flow(name, fold), rows)
        return self.terms[name, fold]

    def _is_too_large(self, entry: Entry) -> bool:
        """Whether a smaller entry of its kind is behind one that is smaller still."""
        if not entry.smaller:
            return False
        smaller = self.entries[entry.smaller]
        if self.standings[smaller.name].status == "done" and smaller.smaller:
            return self.ranked([smaller.smaller, smaller.name])[0] == smaller.smaller
        return self.standings[smaller.name].status != "done"

    def _is_late(self) -> bool:
        """Whether closed forms have had their share of the time."""
        return bool(self.scored()[0]) and self.left() < (1 - CLOSED) * self.seconds

    def _closed_form(self, name: str) -> None:
        for fold in range(len(self.standings[name].seconds), len(self.folds)):
            if self._goes_on(name):
                self._advance(name, math.inf, fold)
        if self._goes_on(name):
            self.standings[name].status = "done"
        self._tell(name)

    def _halve(self, flows: list[str], over: float) -> None:
        """Rounds on the first fold until so many seconds are left; the last is of one flow."""
        rounds = math.ceil(math.log2(max(1, len(flows)))) + 1
        for left in range(rounds, 0, -1):
            self._round(flows, (self.left() - over) / left)
            flows = self._better_half(flows)

    def _first_epoch(self, flows: list[str]) -> None:
        """However long it takes, if nothing else has a score."""
        for name in flows:
            if not self.scored()[0] and self._goes_on(name):
                self._advance(name, math.inf)
                self._tell(name)

    def _round(self, names: list[str], seconds: float) -> None:
        """A round of the race; what an entry leaves over goes to the others."""
        ends = time.monotonic() + seconds
        waiting = [name for name in names if self._goes_on(name)]
        while waiting:
            name = waiting.pop(0)
            self._advance(name, max(0.5, (ends - time.monotonic()) / (len(waiting) + 1)))
            self._tell(name)

    def _finish(self, names: list[str]) -> None:
        """Train the finalists on the other folds, each in as much of the time as all others."""
        waiting = [(name, fold) for name in names for fold in range(1, len(self.folds))]
        while waiting and self.left() > 0:
            name, fold = waiting.pop(0)
            standing = self.standings[name]
            if fold < len(standing.seconds) or standing.status == "out":
                continue
            self._advance(name, max(0.5, self.left() / (len(waiting) + 1)), fold)
            if len(standing.seconds) == len(self.folds) and standing.status != "out":
                standing.status = "done"
                self._tell(name)
        self._write()

    def _goes_on(self, name: str) -> bool:
        return self.standings[name].status in ("waiting", "running")

    def _better_half(self, names: list[str]) -> list[str]:
        ranked = self.ranked(names)
        kept = ranked[: max(1, math.ceil(len(ranked) / 2))]
        for name in set(ranked) - set(kept):
            if self._goes_on(name):
                self.standings[name].status = "behind"
        self._write()
        return kept

    def _advance(self, name: str, seconds: float, fold: int = 0) -> None:
        """Train an entry on a fold for some seconds more, and score it."""
        standing = self.standings[name]
        had = standing.seconds[fold] if fold < len(standing.seconds) else 0.0
        begun = time.monotonic()
        try:
            self._train(name, had + seconds, fold)
        except TimeoutError:
            standing.status, standing.why = "running", "no epoch has ended"
        except EXPECTED as error:
            standing.status, standing.why = "out", " ".join(str(error).split())
        finally:
            standing.seconds[fold:] = [had + time.monotonic() - begun]
            self._write()

    def _tell(self, name: str) -> None:
        one = self.standings[name]
        told = one.why if one.val is None else f"{one.val:.4f} nats"
        self.say(f"  {name:24} {sum(one.seconds):7.1f} s  {told}")

    def _train(self, name: str, seconds: float, fold: int) -> None:
        entry, standing = self.entries[name], self.standings[name]
        settings = self._settings_of(entry, seconds)
        johnson, rows = entry.johnson, self.folds[fold]
        data = rows.training(johnson=johnson, closed=entry.baseline)
        data.batch_size = settings.training.batch_size
        flow = flow_of(settings, data)
        module = module_of(settings, flow, data)
        folder = self.folder_of(name, fold)
        folder.path.mkdir(parents=True, exist_ok=True)
        fitted = fit(module, data, settings, folder, [], command="")
        assert fitted is not None
        chosen = rows.chosen_by(johnson=johnson)
        log_det = chosen.log_det - rows.chosen_by(johnson=False).log_det
        self.terms[name, fold] = log_likelihoods(fitted.flow, chosen) + log_det
        terms = self.terms_of(name, fold + 1)
        standing.val = Score.of(terms, weight=self.weights(fold + 1)).mean
        standing.epochs[fold:] = [len(fitted.history)]
        rested = len(fitted.history) - 1 - fitted.best_epoch
        over = not entry.baseline and rested >= self._patience(entry)
        standing.status = "done" if over else "running"

    def _patience(self, entry: Entry) -> float:
        own = entry.training.get("patience", self.settings.training.patience)
        return math.inf if own is None else own

    def _settings_of(self, entry: Entry, seconds: float) -> Settings:
        """The settings of the run, with the model and the training of an entry."""
        trainer = replace(
            self.settings.trainer,
            max_epochs=1 if math.isinf(seconds) else 1_000_000,
            max_time=None if math.isinf(seconds) else timedelta(seconds=seconds),
            enable_progress_bar=False,
        )
        model = {"name": entry.name, **entry.model}
        engine = self.settings.training.engine
        if engine == "auto" and self.seconds < COMPILING_PAYS:
            engine = "native" if entry.native else "plain"
        return replace(
            self.settings,
            plain={**self.settings.plain, "model": model},
            model=model,
            training=replace(self.settings.training, **entry.training, engine=engine),
            trainer=trainer,
            overwrite=False,
            callbacks={},
        )

    def _read(self) -> tuple[float, dict[str, Standing]]:
        """The standings of an earlier attempt."""
        standings = {name: Standing() for name in self.entries}
        if not self.file.is_file():
            return 0.0, standings
        known = json.loads(self.file.read_text(encoding="utf-8"))
        for name in standings:
            if name in known["entries"]:
                standings[name] = Standing(**known["entries"][name])
        return known["seconds"], standings

    def _write(self) -> None:
        spent = self.spent + time.monotonic() - self.started
        entries = {name: vars(standing) for name, standing in self.standings.items()}
        write_text(self.file, json.dumps({"seconds": spent, "entries": entries}, indent=2))
