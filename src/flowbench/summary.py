"""Facts about a density, as text in a terminal and as a table in a notebook."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from flowbench.drawing.learning_curve import best_epoch
from flowbench.flows import Flow
from flowbench.formatting import counted

__all__ = ["Summary", "context_fact", "flow_fact", "listed", "training_fact"]

SHOWN = 8


class Summary(dict[str, str]):
    r"""Name → fact, in the order in which they are shown.

    Args:
        title: what the facts are about.
        facts: name → text; those without a text are left out.

    Example:
        >>> Summary("a density", {"features": "2: rent, area", "context": None})
        a density
          features  2: rent, area
    """

    def __init__(self, title: str, facts: dict[str, str | None]) -> None:
        super().__init__({name: fact for name, fact in facts.items() if fact})
        self.title = title

    def __repr__(self) -> str:
        width = max(map(len, self), default=0)
        return "\n".join([self.title, *(f"  {n:<{width}}  {fact}" for n, fact in self.items())])

    __str__ = __repr__

    def _repr_html_(self) -> str:
        lines = "".join(
            f'<tr><th scope="row" style="text-align: left">{escape(name)}</th>'
            f'<td style="text-align: left">{escape(fact)}</td></tr>'
            for name, fact in self.items()
        )
        caption = f'<caption style="text-align: left">{escape(self.title)}</caption>'
        return f"<table>{caption}<tbody>{lines}</tbody></table>"


def listed(names: list[str]) -> str:
    """The number of some names and the first of them.

    Example:
        >>> listed(["rent", "area"]), listed([])
        ('2: rent, area', 'none')
    """
    more = ", …" if len(names) > SHOWN else ""
    return f"{len(names)}: {', '.join(names[:SHOWN])}{more}" if names else "none"


def flow_fact(flow: Flow) -> str:
    """The size of a flow, its dtype and its device.

    Example:
        >>> from flowbench.flows import NICE
        >>> flow_fact(NICE(2, layers=1, hidden_units=[3]))
        '14 parameters, torch.float32, cpu'
    """
    count = sum(parameter.numel() for parameter in flow.parameters())
    return f"{count:,} parameters, {flow.dtype}, {flow.device}"


def context_fact(size: int, names: list[str]) -> str:
    """What a context consists of: its columns, where they have names.

    Args:
        size: of a context, 0 for none.
        names: of its columns.

    Example:
        >>> context_fact(2, ["age", "city (2 labels)"]), context_fact(2, []), context_fact(0, [])
        ('2: age, city (2 labels)', '2 numbers', 'none')
    """
    if not size or names:
        return listed(names)
    return f"{size} number{'s' if size > 1 else ''}"


def training_fact(history: Sequence[Mapping[str, Any]]) -> str | None:
    """How long a flow was trained, and its best epoch; None: that is not known.

    Args:
        history: one row of scores per epoch.

    Example:
        >>> training_fact([{"epoch": n, "val/log_likelihood": -2 + n} for n in (0, 1)])
        '2 epochs; best: epoch 1, with -1.0000 nats per validation row in model space'
    """
    if (best := best_epoch(history)) is None:
        return None
    epoch, score = best
    return (
        f"{counted(len(history), 'epochs')}; best: epoch {epoch}, with {score:.4f} nats per "
        "validation row in model space"
    )
