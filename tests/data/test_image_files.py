"""What the files and folders of pictures stand for: pixels, splits and labels."""

import numpy as np
import pytest

from flowbench.data import DataError
from flowbench.data.image_files import picture_size, read_pictures

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")

RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16)

PIXELS = {
    "8 bits": lambda: (Image.fromarray(RAMP), {}, RAMP),
    "16 bits": lambda: (Image.fromarray(RAMP.astype(np.uint16) * 257), {}, RAMP),
    "the lower 8 of 16 bits": lambda: (Image.fromarray(RAMP.astype(np.uint16)), {}, 0 * RAMP),
    "1 bit": lambda: (Image.fromarray(RAMP > 99), {}, np.where(RAMP > 99, 255, 0)),
    "palette": lambda: (Image.fromarray(RAMP).convert("P"), {}, RAMP),
    "opaque": lambda: (Image.fromarray(RAMP).convert("RGBA"), {}, RAMP),
}


def pixels_of(path, *, channels):
    height, width = picture_size(path)
    [chunk] = read_pictures([path], shape=(height, width, channels), resize=False)
    return chunk[0].transpose(1, 2, 0)


@pytest.mark.parametrize("name", PIXELS)
def test_pixels_are_those_of_the_file_in_8_bits(name, tmp_path):
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
    message = r"a\.tif is no readable picture: .* expected 8 or 16 bits per channel"
    with pytest.raises(DataError, match=message):
        pixels_of(tmp_path / "a.tif", channels=1)
