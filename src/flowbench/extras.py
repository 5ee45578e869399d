"""Installation of the packages that only some tasks need."""

__all__ = ["how_to_install"]


def how_to_install(extra: str) -> str:
    """The command that installs an extra, from the package index and in a clone.

    Example:
        >>> how_to_install("sound")
        'pip install "flowbench[sound]", in a clone pip install -e ".[sound]"'
    """
    return f'pip install "flowbench[{extra}]", in a clone pip install -e ".[{extra}]"'
