"""Speech Commands and FSDD: the official split, and the real clips."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from real_data import real

from flowbench.data import Fsdd, SpeechCommands
from flowbench.data.sound.clips import hash_split

pytest.importorskip("soundfile", reason="soundfile is not installed")


def test_official_split_of_speech_commands():
    shares = np.unique([hash_split(f"{i:08x}") for i in range(3000)], return_counts=True)
    assert shares[0].tolist() == ["test", "train", "val"]
    np.testing.assert_allclose(shares[1] / 3000, [0.1, 0.8, 0.1], atol=0.02)


def test_real_clips_of_the_canonical_test_set_are_test():
    with real("speech_commands/MANIFEST.tsv").open() as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t") if row["source"] == "pico"]
    assert len(rows) > 100
    assert {hash_split(Path(row["file"]).name.split("_")[0]) for row in rows} == {"test"}


def test_real_speech_commands(tmp_path):
    data = SpeechCommands(
        data_dir=real("speech_commands").parent,
        cache_dir=tmp_path,
        train_label="zero",
        batch_size=4,
    )
    data.prepare_data()
    data.setup()
    assert data.features == 257
    assert sum(map(len, data.rows.values())) == 33
    assert len(data.labels) == 30
    assert len(data.scored["cat"]) > 0
    assert torch.isfinite(data.rows["train"].x).all()


def test_real_fsdd(tmp_path):
    data = Fsdd(
        data_dir=real("fsdd").parent, cache_dir=tmp_path, train_label="zero", window="sequence"
    )
    data.prepare_data()
    data.setup()
    sizes = {split: len(rows) for split, rows in data.rows.items()}
    assert sizes == {"train": 240 * 98, "val": 30 * 98, "test": 30 * 98}
    assert (data.features, data.context_features) == (129, 259)
    assert {label: len(rows) for label, rows in data.scored.items()} == dict.fromkeys(
        data.labels, 30 * 98
    )
    assert torch.isfinite(data.rows["train"].context).all()
