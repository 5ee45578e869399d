"""Facts about an object, as text in a terminal and as a table in a notebook."""

from html import escape

__all__ = ["Summary", "listed"]

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
