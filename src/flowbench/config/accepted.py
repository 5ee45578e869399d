"""The names of the arguments that a call may give."""

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from flowbench.config.synonyms import ELSEWHERE
from flowbench.config.words import did_you_mean

__all__ = ["Accepted"]


class Accepted:
    r"""Which arguments a function takes, by position and by name.

    Args:
        name: of the function, or of the class of a constructor, in sentences.
        known: its parameters.

    Example:
        >>> def build(features, *, layers=5): ...
        >>> accepted = Accepted("build", list(inspect.signature(build).parameters.values()))
        >>> print(*accepted.problems((), {"transforms": 3}), sep="\n")
        features is missing: build needs it
        transforms is not an option of build; did you mean layers?
    """

    def __init__(self, name: str, known: list[inspect.Parameter]) -> None:
        kinds = inspect.Parameter
        self.name = name
        self.order = [one.name for one in known if one.kind is not kinds.VAR_KEYWORD]
        self.options = [one for one in self.order if one != "self"]
        self.places = sum(one.kind is kinds.POSITIONAL_OR_KEYWORD for one in known)
        self.any_name = len(self.order) < len(known)
        self.any_place = any(one.kind is kinds.VAR_POSITIONAL for one in known)
        self.needed = [
            one.name
            for one in known
            if one.default is kinds.empty
            and one.kind in (kinds.POSITIONAL_OR_KEYWORD, kinds.KEYWORD_ONLY)
        ]

    def by_name(self, positional: tuple[Any, ...]) -> dict[str, Any]:
        """The values given by position, with their names."""
        return dict(zip(self.order[: self.places], positional, strict=False))

    def problems(self, positional: tuple[Any, ...], named: Mapping[str, Any]) -> Iterator[str]:
        """Sentences about names that are unknown or missing, and values without a name."""
        for option in self.needed:
            if option not in self.by_name(positional) and option not in named:
                yield f"{option} is missing: {self.name} needs it"
        if len(positional) > self.places and not self.any_place:
            yield self._nameless(len(positional) - self.places)
        for option in named:
            if option not in self.order and not self.any_name:
                yield self._unknown(option)

    def _nameless(self, more: int) -> str:
        places = [one for one in self.order[: self.places] if one != "self"]
        by_place = f"takes only {', '.join(places)}" if places else "takes no option"
        beyond = "more " if places else ""
        given, them = (
            (f"1 {beyond}value is", "it") if more == 1 else (f"{more} {beyond}values are", "them")
        )
        example = next((f", as in {one}=…" for one in self.order[self.places :]), "")
        return f"{self.name} {by_place} by position, but {given} given: name {them}{example}"

    def _unknown(self, option: str) -> str:
        if option in ELSEWHERE:
            hint = f"; {ELSEWHERE[option]}"
        else:
            listed = f"; its options are {', '.join(self.options)}"
            hint = did_you_mean(option, self.options) or listed
        return f"{option} is not an option of {self.name}{hint}"
