"""Sheets of pictures."""

import numpy as np
import pytest

from flowbench.figures.pictures import grid, save_pictures

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")


def test_grid_of_pictures(tmp_path):
    pictures = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)
    sheet = grid(pictures)
    assert sheet.shape == (19, 28, 3)
    np.testing.assert_array_equal(sheet[10:18, 1:9], pictures[3])
    save_pictures(pictures, tmp_path / "new" / "grid.png")
    read = np.asarray(Image.open(tmp_path / "new" / "grid.png").convert("RGB"))
    np.testing.assert_array_equal(read, sheet.repeat(8, 0).repeat(8, 1))
