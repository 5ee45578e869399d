"""Asking Slurm, and waiting for it."""

import subprocess
import time


def wait_until(condition, *, seconds, what):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what() if callable(what) else what
        time.sleep(0.2)


def output(*words):
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.stdout.strip() or done.stderr.strip()
