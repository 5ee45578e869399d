"""The line that says why an engine is not used."""

import sys

from flowbench import ranks

__all__ = ["tell"]


def tell(reason: str) -> None:
    """Print on the first rank why the plain engine trains."""
    if ranks.rank() == 0:
        print(f"training.engine=plain: {reason}", file=sys.stderr, flush=True)
