"""Sound files of every format and every damage; clips in folders of splits."""

import shutil
import struct

import numpy as np
import pytest
from sound_clips import RATE, load, noise, sizes, soundfile, write_clip

from flowbench.data import DataError, SoundFolder
from flowbench.data.sound.files import read_sound
from flowbench.data.sound.resampling import resample, samples_needed

FORMATS = {
    "wav": {"subtype": "PCM_16"},
    "WAV": {"subtype": "PCM_24"},
    "rf64": {},
    "w64": {},
    "flac": {},
    "ogg": {},
    "opus": {"format": "OGG", "subtype": "OPUS"},
    "mp3": {},
    "aiff": {},
    "au": {},
    "caf": {},
}
LOSSY = ("ogg", "opus", "mp3")
TONE = 0.1 * np.sin(np.arange(8000) / 10)


def written(path, samples=TONE, rate=8000, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, **options)
    return path


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_gives_its_samples_and_half_of_it_is_refused(tmp_path, suffix):
    path = written(tmp_path / f"a.{suffix}", **FORMATS[suffix])
    samples, rate = read_sound(path)
    assert (len(samples), rate) == (8000, 8000)
    tolerance = 0.02 if suffix in LOSSY else 1e-4
    np.testing.assert_allclose(samples[2000:6000], TONE[2000:6000], atol=tolerance)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(
        DataError, match=f"{path} is (damaged or )?(cut short|not a readable sound)"
    ):
        read_sound(path)


def header(offset, form, value):
    """A change of one field in the header of a wav."""
    return lambda b: b[:offset] + struct.pack(form, value) + b[offset + struct.calcsize(form) :]


DAMAGE = {
    "claims 4 GB": (
        header(40, "<I", 2**32 - 1),
        r"claims 4,294,967,295 bytes \(data\), but there",
    ),
    "claims 2 GB": (header(40, "<I", 2**31), r"claims 2,147,483,648 bytes \(data\)"),
    "one byte lost": (lambda b: b[:-1], r"claims 16,000 bytes \(data\), but there are 15,999"),
    "claims half": (header(40, "<I", 8000), "what follows the sound is not part of the format"),
    "another rate": (header(24, "<I", 44_100), "claims 16,000 bytes per second, .* has 88,200"),
    "no rate": (header(24, "<I", 0), "is not a readable sound"),
    "no channels": (header(22, "<H", 0), "is not a readable sound: Channel count is zero"),
    "seven channels": (header(22, "<H", 7), "7 channels of 16 bits do not make up 2 bytes"),
    "24 bits": (header(34, "<H", 24), "1 channels of 24 bits do not make up 2 bytes"),
    "unknown format": (header(20, "<H", 99), "is not a readable sound"),
    "empty": (lambda b: b"", "is not a readable sound"),
    "a page": (lambda b: b"<html>" * 99, "not a readable sound: Format not recognised; expected"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_header_is_one_sentence(tmp_path, name):
    change, message = DAMAGE[name]
    t = np.arange(8000)
    path = written(tmp_path / "a.wav", 0.1 * np.random.default_rng(0).standard_normal(len(t)))
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(DataError, match=f"^{path} .*{message}") as refusal:
        read_sound(path)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("appended", [b"\0" * 99, b"TAG" + b" " * 125])
def test_what_a_program_appends_does_no_harm(tmp_path, appended):
    path = written(tmp_path / "a.wav")
    path.write_bytes(path.read_bytes() + appended)
    assert len(read_sound(path)[0]) == 8000


@pytest.mark.parametrize("value", [1e30, -9.0, np.inf, np.nan, 32_767.0])
@pytest.mark.parametrize("place", [77, 7999])
def test_values_far_beyond_full_scale_are_refused_wherever_they_are(tmp_path, value, place):
    samples = TONE.copy()
    samples[place] = value
    path = written(tmp_path / "a.wav", samples, subtype="FLOAT")
    with pytest.raises(
        DataError, match=rf"sample {place + 1} is .*, expected a number in \[−1, 1\]"
    ):
        read_sound(path, keep=lambda rate: 100)


def test_a_long_file_takes_no_more_memory_than_its_start(tmp_path):
    path = written(tmp_path / "a.flac", np.zeros(3_000_000, np.int16))
    samples, _ = read_sound(path, keep=lambda rate: 2 * rate)
    assert samples.shape == (16_000,)


RATES = [(44_101, 8000), (199_999, 8000), (8000, 199_999), (44_100, 16_000), (3, 8000)]


@pytest.mark.parametrize(("rate", "to"), RATES)
def test_any_ratio_of_rates_keeps_a_tone(rate, to):
    hertz = 0.05 * min(rate, to)
    tone = lambda r: np.sin(2 * np.pi * hertz * np.arange(r) / r)  # noqa: E731
    found = resample(tone(rate).astype(np.float32), rate=rate, to=to)
    edge = 8 * max(1, to // rate)
    assert len(found) == to
    if rate > 3:
        np.testing.assert_allclose(found[edge:-edge], tone(to)[edge:-edge], atol=0.02)


@pytest.mark.parametrize(("rate", "to"), [(44_100, 16_000), (16_000, 8000), (8000, 11_025)])
def test_resampling_is_that_of_torchaudio(rate, to):
    torch = pytest.importorskip("torch")
    from flowbench.data.sound.backend import _functional

    samples = noise(0, 4000).astype(np.float32)
    expected = _functional().resample(torch.from_numpy(samples), rate, to)
    np.testing.assert_allclose(resample(samples, rate=rate, to=to), expected, atol=1e-5)
    few = samples[: samples_needed(500, rate=rate, to=to)]
    np.testing.assert_array_equal(
        resample(few, rate=rate, to=to)[:500], resample(samples, rate=rate, to=to)[:500]
    )


def own(folder, clips=("yes", "no"), speakers=4, suffix="wav", prefix=""):
    for word in clips:
        for speaker in range(speakers):
            samples = (32_768 * noise([speaker, len(word)], 1000)).astype(np.int16)
            written(folder / prefix / word / f"s{speaker}_nohash_0.{suffix}", samples, RATE)
    return folder


def test_formats_may_be_mixed_and_nothing_is_left_out(tmp_path):
    folder = own(tmp_path / "own")
    written(folder / "yes" / "extra_nohash_0.flac", noise(9, 1000), RATE)
    written(folder / "no" / "other_nohash_0.mp3", noise(8, 2000), 16_000)
    written(folder / "no" / "odd_nohash_0.wav", noise(7, 60_000), 199_999)
    data = load(folder, SoundFolder)
    assert sum(map(len, data.clips.values())) == 11
    shutil.rmtree(folder)
    flac = load(own(tmp_path / "flac", suffix="flac"), SoundFolder)
    wav = load(own(tmp_path / "wav"), SoundFolder)
    np.testing.assert_allclose(flac.raw.x["train"], wav.raw.x["train"], rtol=1e-5)


def test_files_of_other_kinds_are_told_and_unreadable_formats_refused(tmp_path):
    folder = own(tmp_path / "own")
    (folder / "yes" / "notes.txt").touch()
    (folder / "yes" / "folder.wav").mkdir()
    with pytest.warns(
        UserWarning, match=r"1 file is left out, .* not one of sound: yes/notes\.txt"
    ):
        load(folder, SoundFolder)
    (folder / "yes" / "b.m4a").write_bytes(b"\0\0\0 ftypM4A ")
    with pytest.raises(DataError, match=r"b\.m4a is not a readable sound: Format not recognised"):
        load(folder, SoundFolder)


def test_all_clips_that_cannot_be_read_are_told_together(tmp_path):
    folder = own(tmp_path / "own", speakers=9)
    broken = sorted(folder.rglob("s[2468]_*.wav"))
    for path in broken:
        path.write_bytes(b"no sound")
    with pytest.raises(DataError) as refusal:
        load(folder, SoundFolder)
    told = str(refusal.value).splitlines()
    assert sorted(line.split(" is no")[0] for line in told) == [str(path) for path in broken]


def test_two_clips_of_one_name_are_refused(tmp_path):
    folder = own(tmp_path / "own")
    written(folder / "yes" / "s1_nohash_0.flac", noise(9, 1000), RATE)
    with pytest.raises(DataError, match=r"s1_nohash_0\.flac and .*s1_nohash_0\.wav are two clips"):
        load(folder, SoundFolder)


GIVEN = [("train", "val", "test"), ("Training", "dev", "testing"), ("train", "valid", "test")]


@pytest.mark.parametrize("names", GIVEN)
def test_folders_that_are_named_like_splits_are_splits(tmp_path, names):
    folder = tmp_path / "own"
    for count, name in zip((6, 2, 3), names, strict=True):
        own(folder, speakers=count, prefix=name)
    data = load(folder, SoundFolder)
    assert sizes(data) == {"train": 12, "val": 4, "test": 6}
    assert data.labels == ["no", "yes"]


def test_missing_splits_are_cut_from_the_training_clips(tmp_path):
    folder = own(own(tmp_path / "own", speakers=9, prefix="train"), speakers=2, prefix="test")
    assert sizes(load(folder, SoundFolder)) == {"train": 16, "val": 2, "test": 4}


@pytest.mark.parametrize(
    ("places", "message"),
    [
        (["train/a.wav", "test/b.wav"], r"(a|b)\.wav: expected train/<label>/<clip>\.wav below"),
        (["train/yes/a.wav", "yes/b.wav"], "holds train, which are splits .* beside yes"),
        (["val/yes/a.wav", "dev/yes/b.wav"], "holds dev and val, which both name the split 'val'"),
        (["val/yes/a.wav", "test/yes/b.wav"], "belongs to the split 'train'"),
    ],
)
def test_other_layouts_are_one_sentence(tmp_path, places, message):
    for place in places:
        write_clip(tmp_path / "own" / place, noise(0, 900))
    with pytest.raises(DataError, match=message):
        load(tmp_path / "own", SoundFolder)
