"""A conversion happens once, whole or not at all, and again only when the original has changed."""

import os
import threading

import numpy as np
import pytest

from flowbench.data import DataError
from flowbench.data.conversion import Originals


class Converter:
    """Turns text into an array and counts how often."""

    def __init__(self, folder):
        self.original = folder / "originals" / "numbers.txt"
        self.original.parent.mkdir()
        self.original.write_text("1 2 3")
        self.cache = folder / "cache"
        self.times = 0

    def build(self, out):
        self.times += 1
        np.save(out / "x.npy", np.array(self.original.read_text().split(), float))
        return {"feature_names": ["x"]}

    def __call__(self, *, build=None, version=1, options=None):
        originals = self.originals(version=version, options=options or {})
        found = originals.convert(build or self.build, source="it comes from here")
        self.sha256 = found.sha256
        return found.arrays["x"].tolist()

    def fingerprint(self):
        return self.originals(version=1).fingerprint()

    def originals(self, **options):
        return Originals(name="numbers", files=[self.original], cache_dir=self.cache, **options)


@pytest.fixture
def converter(tmp_path):
    return Converter(tmp_path)


def test_second_time_reads_the_cache(converter):
    assert converter() == converter() == [1, 2, 3]
    assert converter.times == 1


def test_touched_but_equal_original_is_not_converted_again(converter):
    converter()
    os.utime(converter.original, (1, 1))
    assert converter() == [1, 2, 3]
    assert converter.times == 1


def test_changed_original_is_converted_again(converter):
    converter()
    converter.original.write_text("4 5 6")
    os.utime(converter.original, (1, 1))
    assert converter() == [4, 5, 6]
    assert converter() == [4, 5, 6]
    assert converter.times == 2


def test_version_and_options_have_conversions_of_their_own(converter):
    converter()
    converter(version=2)
    converter(options={"columns": [1]})
    converter()
    assert converter.times == 3


def test_original_may_be_deleted_afterwards(converter):
    converter()
    converter.original.unlink()
    assert converter() == [1, 2, 3]
    with pytest.raises(DataError, match=r"numbers\.txt is expected .* it comes from here"):
        converter(version=2)


def test_original_may_be_read_only(converter):
    converter.original.chmod(0o444)
    converter.original.parent.chmod(0o555)
    try:
        before = sorted(os.listdir(converter.original.parent))
        assert converter() == [1, 2, 3]
        assert sorted(os.listdir(converter.original.parent)) == before
    finally:
        converter.original.parent.chmod(0o755)


def test_interrupted_conversion_does_not_count(converter):
    def crash(out):
        np.save(out / "x.npy", np.zeros(3))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        converter(build=crash)
    assert converter() == [1, 2, 3]


def test_what_a_killed_conversion_leaves_does_not_count(converter):
    converter()
    [folder] = (path.parent for path in converter.cache.rglob("meta.json"))
    folder.rename(folder.with_suffix(".partial"))
    (folder.with_suffix(".partial") / "meta.json").unlink()
    assert converter() == [1, 2, 3]
    assert converter.times == 2
    assert not list(folder.parent.glob("*.partial"))


def test_truncated_array_in_the_cache_is_made_again(converter):
    converter()
    [array] = converter.cache.rglob("x.npy")
    array.write_bytes(array.read_bytes()[:-8])
    assert converter() == [1, 2, 3]
    assert converter.times == 2


def test_damaged_record_is_made_again(converter):
    converter()
    [record] = converter.cache.rglob("meta.json")
    record.write_text("{")
    assert converter() == [1, 2, 3]
    assert converter.times == 2


def test_original_that_changes_meanwhile_is_refused(converter):
    def slow(out):
        converter.original.write_text("7 8 9 10")
        return converter.build(out)

    with pytest.raises(DataError, match="changed while it was converted"):
        converter(build=slow)


def test_concurrent_readers_convert_once(converter):
    threads = [threading.Thread(target=converter) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert converter.times == 1


def test_cache_that_cannot_be_written_is_one_sentence(converter):
    converter.cache.write_text("a file where the folder should be")
    with pytest.raises(DataError, match="a file cannot be read or written"):
        converter()


def test_fingerprint_is_that_of_the_originals_before_and_after(converter):
    before = converter.fingerprint()
    converter()
    assert before == converter.fingerprint() == converter.sha256
    assert converter.times == 1


def test_fingerprint_comes_from_the_record_while_the_stamps_agree(converter, monkeypatch):
    converter()
    monkeypatch.setattr("flowbench.data.conversion._sha256", None)  # nothing is hashed
    assert converter.fingerprint() == converter.sha256
    converter.original.unlink()
    assert converter.fingerprint() == converter.sha256


def test_fingerprint_of_a_changed_original_is_another(converter):
    converter()
    os.utime(converter.original, (1, 1))
    assert converter.fingerprint() == converter.sha256
    converter.original.write_text("4 5 6")
    os.utime(converter.original, (1, 1))
    assert converter.fingerprint() not in (None, converter.sha256)
    changed = converter.fingerprint()
    converter()
    assert converter.sha256 == changed


def test_nothing_has_no_fingerprint(converter):
    converter.original.unlink()
    assert converter.fingerprint() is None
