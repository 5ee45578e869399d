"""Waiting for other processes, however busy the machine is."""

import time

PATIENCE = 900  # seconds: many times what anything here takes, and shorter than a hung job


def wait_until(condition, *, what, pause=0.05):
    """Come back once a condition holds; fail saying what was waited for, maybe by a function."""
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline, (
            f"waited {PATIENCE} s for {what() if callable(what) else what}"
        )
        time.sleep(pause)
    return found
