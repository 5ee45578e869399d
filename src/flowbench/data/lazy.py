"""Rows that are created on access."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from flowbench.data.loader import Rows

__all__ = ["LazyRows"]


class LazyRows(Mapping[str, Rows]):
    """Label → rows, created on each access and not cached.

    Args:
        labels: the keys.
        make: returns the rows of a label.
    """

    def __init__(self, labels: Sequence[str], make: Callable[[str], Rows]) -> None:
        self.labels = labels
        self.make = make

    def __getitem__(self, label: str) -> Rows:
        if label not in self.labels:
            raise KeyError(label)
        return self.make(label)

    def __iter__(self) -> Iterator[str]:
        return iter(self.labels)

    def __len__(self) -> int:
        return len(self.labels)
