"""The race: every entry trains for a while, the better half goes on, until the time is over."""

import json
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from flowbench.atomic_files import write_text
from flowbench.config.errors import ConfigError
from flowbench.config.settings import Settings
from flowbench.data import DataError, DataModule
from flowbench.evaluation.likelihood import LikelihoodError, log_likelihoods
from flowbench.evaluation.score import Score
from flowbench.run.auto.portfolio import NATIVE, Entry
from flowbench.run.building import flow_of, module_of
from flowbench.run.fit import fit
from flowbench.run.folder import RunFolder
from flowbench.training.flow_module import NonFiniteError

__all__ = ["Race", "Standing"]

SCORING = 0.05  # of the time, kept for the end
COMPILING_PAYS = 1200.0  # seconds of a race, below which a minute of torch.compile is too much
EXPECTED = (ConfigError, DataError, LikelihoodError, NonFiniteError, ValueError)


@dataclass
class Standing:
    """How an entry stands.

    Attributes:
        seconds: wall time that it had.
        epochs: that it trained.
        val: its mean log-likelihood on the rows that choose, in nats; None until it has one.
        status: "waiting", "running", "done" (its training ended), "behind", or "out" (with why).
        why: one sentence.
    """

    seconds: float = 0.0
    epochs: int = 0
    val: float | None = None
    status: str = "waiting"
    why: str = ""


class Race:
    """The entries and their standings, in the folder of a run.

    Args:
        entries: in the order in which they start.
        data: set up; validation rows choose.
        settings: of the run.
        folder: of the run; every entry trains in a folder below it.
        seconds: of wall time, earlier attempts included.
        say: is told how entries stand.
    """

    def __init__(
        self,
        entries: list[Entry],
        data: DataModule,
        settings: Settings,
        folder: RunFolder,
        *,
        seconds: float,
        say: Callable[[str], None],
    ) -> None:
        self.entries = {entry.name: entry for entry in entries}
        self.data = data
        self.settings = settings
        self.folder = folder
        self.seconds = seconds
        self.say = say
        self.spent, self.standings = self._read()
        self.started = time.monotonic()

    @property
    def file(self) -> Path:
        """Where the standings are kept, so that an interrupted race goes on."""
        return self.folder.path / "race.json"

    def folder_of(self, name: str) -> RunFolder:
        """Where an entry trains."""
        return RunFolder(self.folder.path / "race" / name)

    def left(self) -> float:
        """Seconds until the race is over."""
        return (1 - SCORING) * self.seconds - self.spent - (time.monotonic() - self.started)

    def ranked(self, names: Iterable[str]) -> list[str]:
        """The best of some entries first; those without a score last."""

        def score(name: str) -> float:
            found = self.standings[name].val
            return math.inf if found is None else -found

        return sorted(names, key=score)

    def run(self) -> None:
        """Closed forms first; then the flows, of which the better half goes on each time."""
        flows = [name for name, entry in self.entries.items() if not entry.baseline]
        for name, entry in self.entries.items():
            if entry.baseline:
                self._advance(name, math.inf)
        rounds = max(1, math.ceil(math.log2(max(1, len(flows)))))
        for left in range(rounds, 0, -1):
            self._round(flows, self.left() / left)
            flows = self._better_half(flows)
        while self.left() > 1 and (running := [n for n in flows if self._goes_on(n)]):
            self._round(running[:1], self.left())

    def _round(self, names: list[str], seconds: float) -> None:
        """A round of the race; what an entry leaves over goes to the others."""
        ends = time.monotonic() + seconds
        waiting = [name for name in names if self._goes_on(name)]
        while waiting:
            name = waiting.pop(0)
            self._advance(name, max(0.5, (ends - time.monotonic()) / (len(waiting) + 1)))

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

    def _advance(self, name: str, seconds: float) -> None:
        """Train an entry for some seconds more, and score it."""
        entry, standing = self.entries[name], self.standings[name]
        begun = time.monotonic()
        try:
            self._train(name, entry, standing.seconds + seconds)
        except TimeoutError:
            standing.status, standing.why = "running", "no epoch has ended"
        except EXPECTED as error:
            standing.status, standing.why = "out", " ".join(str(error).split())
        finally:
            standing.seconds += time.monotonic() - begun
            self._write()
        told = standing.why if standing.val is None else f"{standing.val:.4f} nats"
        self.say(f"  {name:24} {standing.seconds:7.1f} s  {told}")

    def _train(self, name: str, entry: Entry, seconds: float) -> None:
        settings = self._settings_of(entry, seconds)
        self.data.batch_size = settings.training.batch_size
        flow = flow_of(settings, self.data)
        module = module_of(settings, flow, self.data)
        folder = self.folder_of(name)
        folder.path.mkdir(parents=True, exist_ok=True)
        fitted = fit(module, self.data, settings, folder, [], command="")
        assert fitted is not None
        standing = self.standings[name]
        rows = self.data.rows["val"]
        standing.val = Score.of(log_likelihoods(fitted.flow, rows), weight=rows.weight).mean
        standing.epochs = len(fitted.history)
        over = entry.baseline or standing.epochs - 1 - fitted.best_epoch >= self._patience(entry)
        standing.status = "done" if over else "running"

    def _patience(self, entry: Entry) -> int:
        return entry.training.get("patience", self.settings.training.patience)

    def _settings_of(self, entry: Entry, seconds: float) -> Settings:
        """The settings of the run, with the model and the training of an entry."""
        trainer = replace(
            self.settings.trainer,
            max_epochs=1_000_000,
            max_time=None if math.isinf(seconds) else timedelta(seconds=seconds),
            enable_progress_bar=False,
        )
        model = {"name": entry.name, **entry.model}
        engine = self.settings.training.engine
        if engine == "auto" and self.seconds < COMPILING_PAYS:
            engine = "native" if entry.name in NATIVE else "plain"
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
        """The standings of an earlier attempt; a closed form is fitted again."""
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
