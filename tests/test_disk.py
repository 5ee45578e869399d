"""A full disk is an error with a path and numbers, before anything is mapped."""

import os
import shutil
import subprocess

import numpy as np
import pytest

from flowbench import disk
from flowbench.atomic_files import write_text
from flowbench.data import DataError
from flowbench.data.images.dequantisation import chunked, write_pictures
from flowbench.data.sound.feature_options import FeatureOptions
from flowbench.data.sound.features import write_features
from flowbench.data.table.table import Table
from flowbench.disk import FullDiskError, mapped_array


@pytest.fixture
def full(monkeypatch):
    """A disk without room for blocks, whose files may grow all the same, as sparse ones do."""

    def refuse(file, start, size):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "posix_fallocate", refuse)


def pictures(folder):
    pixels = np.zeros((3, 1, 2, 2), np.uint8)
    labels, rng = np.zeros(3, np.uint8), np.random.RandomState(0)
    write_pictures(folder, "train", chunked(pixels), labels, shape=(2, 2, 1), rng=rng)


def features(folder):
    options = FeatureOptions(window="hann", mel=None, floor=0.0, sample_rate=4000, seconds=0.5,
                             frame_ms=16, step_ms=8, fft_length=None)  # fmt: skip
    write_features(folder / "train.npy", [], options)


@pytest.mark.parametrize(
    "write", [pictures, features, lambda folder: mapped_array(folder / "a", dtype="f4", shape=[9])]
)
def test_blocks_are_reserved_before_an_array_is_mapped(write, full, tmp_path):
    with pytest.raises(
        FullDiskError, match=r"the disk is full \(.*B needed, .*B free\)"
    ) as caught:
        write(tmp_path)
    assert caught.value.filename.startswith(str(tmp_path))
    assert not list(tmp_path.iterdir())


def test_what_cannot_fit_is_refused_before_the_disk_is_filled(tmp_path):
    with pytest.raises(FullDiskError, match=r"4e\+06 TB needed"):
        mapped_array(tmp_path / "x.npy", dtype=np.float32, shape=(10**9, 10**9))
    assert not list(tmp_path.iterdir())


def test_a_table_is_written_without_mapping_what_is_not_there(tmp_path, monkeypatch):
    """Rows are appended as files are, where a full disk is an error."""
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(1000, 3)))
    monkeypatch.setattr(np.lib.format, "open_memmap", None)
    monkeypatch.setattr(np, "memmap", None)
    monkeypatch.setattr(np, "load", lambda path, **_: np.lib.format.read_array(open(path, "rb")))
    table = Table(path=tmp_path / "x.npy", cache_dir=tmp_path / "cache", fractions=(0.5, 0.4, 0.1))
    table.prepare_data()
    [array] = tmp_path.glob("cache/table/*/all.npy")
    written = np.lib.format.read_array(array.open("rb"))
    assert np.array_equal(written, np.lib.format.read_array((tmp_path / "x.npy").open("rb")))


def test_a_file_that_does_not_fit_names_itself_and_what_is_free(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(
        FullDiskError, match=r"result\.json.*|the disk is full \(.* free\)"
    ) as caught:
        write_text(tmp_path / "result.json", "{}")
    assert caught.value.filename == str(tmp_path / "result.json")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.getuid() != 0, reason="mounting needs root")
def test_a_table_larger_than_its_disk_is_one_sentence(tmp_path):
    """On a real, small disk: without reserved blocks this would be a signal."""
    small = tmp_path / "disk"
    small.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(small)]
    if not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(100_000, 3)))
        table = Table(path=tmp_path / "x.npy", cache_dir=small / "cache")
        with pytest.raises(DataError, match=rf"{small}/cache.* of free space, but "):
            table.prepare_data()
        with pytest.raises(FullDiskError, match=r"2\.4 MB needed, .* free"):
            mapped_array(small / "y.npy", dtype=np.float64, shape=(100_000, 3))
        assert not list(small.rglob("*.npy"))
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_without_an_allocating_call_zeros_are_written(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "posix_fallocate")
    monkeypatch.setattr(disk, "BLOCK", 100)
    array = mapped_array(tmp_path / "x.npy", dtype=np.float32, shape=(1000, 3))
    array[:] = 1
    assert (tmp_path / "x.npy").stat().st_blocks * 512 >= array.nbytes
    assert np.load(tmp_path / "x.npy").sum() == 3000
