"""The real data, where FLOWBENCH_DATA names a folder that has them."""

import os
from pathlib import Path

import pytest


def real(name):
    """A file or folder of the real data; without it the test is skipped."""
    root = os.environ.get("FLOWBENCH_DATA")
    if not root or not (Path(root) / name).exists():
        pytest.skip(f"FLOWBENCH_DATA names no folder with {name}")
    return Path(root) / name
