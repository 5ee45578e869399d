"""How the entries of a race stand."""

from dataclasses import dataclass, field

__all__ = ["Standing"]


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
