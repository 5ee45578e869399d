"""Asking Slurm."""

import subprocess


def output(*words):
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.stdout.strip() or done.stderr.strip()
