"""What the whole table of the benchmark has."""

from typing import NamedTuple

__all__ = ["PEERS", "WANTED", "Wanted", "wanted"]

PEERS = ["zuko", "nflows", "normflows", "flowjax", "tfp"]
WITH = {  # peers that have the flow; those not named have all of them
    "W5": ["zuko", "nflows", "normflows", "flowjax"],
    "W6": ["zuko", "nflows", "flowjax"],
    "W7": ["nflows", "normflows"],
}
SIZES = {
    "train": {"W1": "100,1024,8192", "W2": "100,1024", "W3": "100", "W4": "100,1024"}
    | {"W5": "100,1024", "W6": "100", "W7": "100"},
    "log_prob": dict.fromkeys(["W1", "W2", "W4", "W6"], "8192"),
    "sample": {"W1": "100,1000,10000", "W2": "100,1000", "W4": "100,1000,10000"},
}


class Wanted(NamedTuple):
    """Rows of the table that one call of scripts/benchmark.py makes.

    Attributes:
        benchmark: its name.
        options: further arguments.
        rows: task, work, size and peer of each.
    """

    benchmark: str
    options: list[str]
    rows: list[tuple[str, str, int, str]]


def _compared(task: str, work: str, size: int) -> Wanted:
    peers = WITH.get(work, PEERS)
    sized = "--batch" if task == "train" else "--rows"
    options = ["--work", work, sized, str(size), "--peers", ",".join(peers)]
    return Wanted(task, options, [(task, work, size, peer) for peer in peers])


WANTED = [
    _compared(task, work, int(size))
    for task, works in SIZES.items()
    for work, sizes in works.items()
    for size in sizes.split(",")
]
WANTED += [
    Wanted("fit", ["--work", "W1", "--batch", "100"], [("fit", "W1", 100, "zuko")]),
    Wanted("loader", [], [("loader", "loader", 100_000, "DataLoader")]),
    Wanted(
        "packed",
        [],
        [("packed", work, 8, "8 processes") for work in ("W1", "W1 with figures")],
    ),
    Wanted("startup", [], [(name, name, 1, "torch") for name in ("import", "help")]),
]


def wanted() -> list[tuple[str, str, int, str]]:
    """Task, work, size and peer of every row."""
    return [row for one in WANTED for row in one.rows]
