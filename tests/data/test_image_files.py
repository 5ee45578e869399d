"""What the files and folders of pictures stand for: pixels, splits and labels."""

import struct
from zlib import crc32

import numpy as np
import pytest

from flowbench.data import DataError, ImageFolder
from flowbench.data.images.files import picture_size, read_pictures

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")

RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16)
HIDDEN = np.where(RAMP < 128, 255, RAMP)  # what is transparent below, on white


def grey_alpha(mode):
    """The ramp, transparent where it is dark."""
    alpha = Image.fromarray(np.where(RAMP < 128, 0, 255).astype(np.uint8))
    picture = Image.fromarray(RAMP).convert(mode)
    picture.putalpha(alpha)
    return picture


def half_transparent():
    picture = Image.new("RGBA", (2, 2), (0, 100, 200, 51))
    return picture, {}, np.full((2, 2, 3), [204, 224, 244], np.uint8)


PIXELS = {
    "8 bits": lambda: (Image.fromarray(RAMP), {}, RAMP),
    "16 bits": lambda: (Image.fromarray(RAMP.astype(np.uint16) * 257), {}, RAMP),
    "the lower 8 of 16 bits": lambda: (Image.fromarray(RAMP.astype(np.uint16)), {}, 0 * RAMP),
    "16 bits, one grey transparent": lambda: (
        Image.fromarray(RAMP.astype(np.uint16) * 257),
        {"transparency": 3 * 257},
        np.where(RAMP == 3, 255, RAMP),
    ),
    "1 bit": lambda: (Image.fromarray(RAMP > 99), {}, np.where(RAMP > 99, 255, 0)),
    "palette": lambda: (Image.fromarray(RAMP).convert("P"), {}, RAMP),
    "palette, one colour transparent": lambda: (
        Image.fromarray(RAMP).convert("P"),
        {"transparency": 3},
        np.where(RAMP == 3, 255, RAMP),
    ),
    "grey and alpha": lambda: (grey_alpha("L"), {}, HIDDEN),
    "colour and alpha": lambda: (grey_alpha("RGB"), {}, HIDDEN),
    "a fifth opaque": half_transparent,
    "opaque": lambda: (Image.fromarray(RAMP).convert("RGBA"), {}, RAMP),
}


def pixels_of(path, *, channels):
    height, width = picture_size(path)
    [chunk] = read_pictures([path], shape=(height, width, channels), resize=False)
    return chunk[0].transpose(1, 2, 0)


@pytest.mark.parametrize("name", PIXELS)
def test_pixels_are_what_is_seen_on_white_in_8_bits(name, tmp_path):
    picture, options, expected = PIXELS[name]()
    picture.save(tmp_path / "a.png", **options)
    expected = expected if expected.ndim == 3 else expected[..., None].repeat(3, axis=-1)
    np.testing.assert_array_equal(pixels_of(tmp_path / "a.png", channels=3), expected)
    grey = Image.fromarray(expected.astype(np.uint8)).convert("L")
    np.testing.assert_array_equal(pixels_of(tmp_path / "a.png", channels=1)[..., 0], grey)


@pytest.mark.parametrize("order", ["<u2", ">u2"])
def test_tiff_of_16_bits(order, tmp_path):
    mode = "I;16" if order == "<u2" else "I;16B"
    data = (RAMP.astype(np.uint16) * 257).astype(order).tobytes()
    Image.frombytes(mode, (16, 16), data).save(tmp_path / "a.tif")
    np.testing.assert_array_equal(pixels_of(tmp_path / "a.tif", channels=1)[..., 0], RAMP)


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_pixels_without_a_white_are_refused(dtype, tmp_path):
    Image.fromarray(RAMP.astype(dtype)).save(tmp_path / "a.tif")
    message = r"a\.tif is not a readable picture: .* expected 8 or 16 bits per channel"
    with pytest.raises(DataError, match=message):
        pixels_of(tmp_path / "a.tif", channels=1)


def test_pictures_stand_upright_by_their_exif_tag(tmp_path):
    picture = Image.fromarray(RAMP[:8])
    exif = picture.getexif()
    exif[274] = 6  # orientation: to be turned clockwise
    picture.save(tmp_path / "a.png", exif=exif)
    assert picture_size(tmp_path / "a.png") == (16, 8)
    seen = pixels_of(tmp_path / "a.png", channels=1)[..., 0]
    np.testing.assert_array_equal(seen, np.rot90(RAMP[:8], -1))


def folder_of(root, files):
    """A folder of pictures, each file of its own grey; the names by grey."""
    for grey, name in enumerate(files):
        path = root / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((2, 2), grey, np.uint8)).save(path)
    return root / "photos"


def found_in(folder, **options):
    """What is made of a folder: split → the greys of its pictures, and the data module."""
    data = ImageFolder(path=folder, cache_dir=folder.parent / "cache", color=False, **options)
    data.setup()
    return {s: np.floor(x[:, 0]).astype(int).tolist() for s, x in data.raw.x.items()}, data


def test_pictures_of_every_format_count(tmp_path):
    suffixes = ["bmp", "gif", "pgm", "png", "PNG", "tga", "tif", "tiff", "webp"]
    folder = folder_of(tmp_path, [f"a.{suffix}" for suffix in suffixes])
    found, _ = found_in(folder)
    assert sum(map(len, found.values())) == len(suffixes)
    (folder / "Thumbs.db").touch()
    (folder / "b.heic").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"b\.heic is not a readable picture"):
        found_in(folder)


def ten(folder):
    return [f"{folder}/{index}.png" for index in range(10)]


NAMES = [
    ("train", "val", "test"),
    ("Train", "Valid", "TEST"),
    ("training", "validation", "testing"),
    ("train", "dev", "test"),
]


@pytest.mark.parametrize("names", NAMES)
@pytest.mark.parametrize("label", ["", "/cat"])
def test_folders_that_are_named_like_splits_are_splits(names, label, tmp_path):
    folder = folder_of(tmp_path, [file for name in names for file in ten(name + label)])
    found, data = found_in(folder)
    assert [sorted(greys) for greys in found.values()] == [
        list(range(10)), list(range(10, 20)), list(range(20, 30)),
    ]  # fmt: skip
    assert data.labels == (["cat"] if label else [])


LAYOUTS = [
    (["train/1.png", "test/1.png", "1.png"], r"photos holds test and train, .* beside 1\.png"),
    (["train/1.png", "val/a/1.png", "cat/1.png"], r"holds train and val, .* beside cat, expected"),
    (
        ["train/1.png", "val/1.png", "valid/1.png"],
        r"holds val and valid, which both name the split 'val'",
    ),
    (["a/1.png", "b/1.png", "c.png"], r"c\.png has no label, but others have, such as .*a/1\.png"),
    (
        ["train/a/1.png", "test/1.png"],
        r"test/1\.png has no label, but others have, such as .*train/a/1",
    ),
    (["a/b/1.png"], r"a/b/1\.png: expected <label>/<file> or <file> below .*, perhaps in train/"),
    (["train/a/b/1.png"], r"train/a/b/1\.png: expected <label>/<file> or <file> below"),
]


@pytest.mark.parametrize(("files", "message"), LAYOUTS)
def test_other_layouts_are_one_sentence(files, message, tmp_path):
    with pytest.raises(DataError, match=message):
        found_in(folder_of(tmp_path, files))


def test_a_label_without_training_pictures_is_no_context(tmp_path):
    folder = folder_of(
        tmp_path, [*ten("train/a"), *ten("train/b"), *ten("test/a"), *ten("test/c")]
    )
    assert found_in(folder)[1].labels == ["a", "b", "c"]
    with pytest.raises(DataError, match=r"images holds the label 'c', but in no training picture"):
        found_in(folder, label_context=True)


def claims(width, height):
    """The head of a PNG of this size, with no pixels behind it."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    head = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", crc32(body))
    return head + struct.pack(">I", 9) + b"IDAT" + bytes(13)


DAMAGED = {
    "few bytes for many pixels": (claims(60_000, 60_000), r"b\.png has more than [\d,]+ pixels"),
    "more than a warning's worth": (claims(10_000, 10_000), r"b\.png has more than [\d,]+ pixels"),
    "no pixels": (claims(2, 2), r"b\.png is not a readable picture"),
    "nothing": (b"", r"b\.png is not a readable picture"),
    "text": (b"<html>", r"b\.png is not a readable picture"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_or_unfolding_picture_is_named(name, tmp_path):
    content, message = DAMAGED[name]
    folder = folder_of(tmp_path, ten("."))
    (folder / "b.png").write_bytes(content)
    with pytest.raises(DataError, match=message):
        found_in(folder)


def test_half_a_picture_and_one_of_another_size_are_named(tmp_path):
    folder = folder_of(tmp_path, ten("."))
    whole = folder / "a.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (4, 4), np.uint8)).save(whole)
    with pytest.raises(
        DataError, match=r"4 × 4 pixels .*, expected|2 × 2 pixels .*, expected 4 × 4"
    ):
        found_in(folder)
    whole.write_bytes(whole.read_bytes()[:50])
    with pytest.raises(DataError, match=r"a\.png is not a readable picture"):
        found_in(folder)


def test_all_pictures_that_cannot_be_read_are_told_together(tmp_path):
    folder = folder_of(tmp_path, ten("train") + ten("test") + ten("val"))
    broken = [folder / "train" / f"{index}.png" for index in (2, 5, 7)]
    for path in broken:
        path.write_bytes(b"no picture")
    with pytest.raises(DataError) as refusal:
        found_in(folder)
    told = str(refusal.value).splitlines()
    assert sorted(line.split(" is not a readable")[0] for line in told) == [*map(str, broken)]


def test_files_that_are_no_pictures_are_told(tmp_path):
    folder = folder_of(tmp_path, ten("a"))
    for name in ("Thumbs.db", "a/notes.txt", ".hidden"):
        (folder / name).touch()
    with pytest.warns(UserWarning, match="2 files are left out, .* pictures: Thumbs.db, a/notes"):
        found_in(folder)
    with pytest.warns(UserWarning, match="2 files are left out"):  # the same from the cache
        found_in(folder)
