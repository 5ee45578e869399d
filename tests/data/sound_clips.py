"""Small clips in the layout of FSDD, written and loaded."""

import numpy as np
import pytest

from flowbench.data import Fsdd

soundfile = pytest.importorskip("soundfile", reason="soundfile is not installed")

RATE = 4000
SMALL = {"sample_rate": RATE, "seconds": 0.25, "fft_length": 64, "frame_ms": 16, "step_ms": 10}


def write_clip(path, samples, rate=RATE):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, subtype="PCM_16")


def noise(seed, samples):
    return 0.1 * np.random.default_rng(seed).standard_normal(samples)


def write_fsdd(folder):
    """Two words by two speakers, 14 recordings each, of 800 to 1100 samples."""
    for index, word in enumerate(("one", "zero")):
        for speaker in ("ann", "bob"):
            for n in range(14):
                samples = noise([index, n, len(speaker)], 800 + 25 * n)
                write_clip(folder / word / f"{speaker}_nohash_{n}.wav", samples)
    return folder


def load(folder, cls=Fsdd, **options):
    data = cls(path=folder, cache_dir=folder.parent / "cache", **{**SMALL, **options})
    data.setup()
    return data


def sizes(data):
    return {split: len(rows) for split, rows in data.rows.items()}
