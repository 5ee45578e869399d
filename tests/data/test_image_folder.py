"""A folder of pictures: labels, splits, sizes, and its options."""

import shutil

import numpy as np
import pytest

from flowbench.data import DataError, ImageFolder

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")


def write_picture(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def folder_of_pictures(root, *, suffix="png", prefix="", count=10, size=(6, 5)):
    rng = np.random.default_rng(0)
    for label in ("cat", "dog"):
        for index in range(count):
            pixels = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
            write_picture(root / prefix / label / f"{index:03}.{suffix}", pixels)
    return root


def images(folder, **options):
    data = ImageFolder(path=folder, cache_dir=folder.parent / "cache", **options)
    data.setup()
    return data


def test_folder_with_labels(tmp_path):
    folder = folder_of_pictures(tmp_path / "photos")
    data = images(folder, label_context=True)
    assert {split: len(rows) for split, rows in data.rows.items()} == {
        "train": 16,
        "val": 2,
        "test": 2,
    }
    assert data.labels == ["cat", "dog"]
    assert data.image_shape == (6, 5, 3)
    files = {
        np.asarray(Image.open(path)).tobytes(): path.parent.name for path in folder.rglob("*.png")
    }
    for split, rows in data.rows.items():
        drawn = data.pictures(data.raw.x[split])
        for picture, context in zip(drawn, rows.context, strict=True):
            assert files.pop(picture.tobytes()) == data.labels[int(context.argmax())]
    assert not files


def test_flat_folder_in_grey_and_one_size(tmp_path):
    rng = np.random.default_rng(0)
    folder = tmp_path / "flat"
    for index in range(20):
        size = (8, 8) if index % 2 else (10, 6)
        write_picture(folder / f"{index}.jpg", rng.integers(0, 256, size, dtype=np.uint8))
    with pytest.raises(DataError, match=r"has 8 × 8 pixels .* expected 10 × 6; data\.size="):
        images(folder)
    data = images(folder, size=[4, 4], color=False)
    assert data.features == 16
    assert data.raw.feature_names[-1] == "pixel15"
    with pytest.raises(DataError, match=r"at least two labels, but have none"):
        images(folder, size=[4, 4], color=False, label_context=True)


def test_folder_that_says_its_splits(tmp_path):
    folder = folder_of_pictures(tmp_path / "photos", prefix="train")
    folder_of_pictures(folder, prefix="test", count=3)
    data = images(folder, flips=True)
    assert {split: len(rows) for split, rows in data.rows.items()} == {
        "train": 36,
        "val": 2,
        "test": 6,
    }
    first = data.pictures(data.raw.x["train"])
    np.testing.assert_array_equal(first[:18, :, ::-1], first[18:])
    shutil.rmtree(folder)
    assert len(images(folder, flips=True).rows["train"]) == 36


BAD = [
    (
        {"fractions": [0.5, 0.5, 0.5]},
        r"data\.fractions=\[0\.5, 0\.5, 0\.5\]: expected three numbers",
    ),
    ({"fractions": [1, 0, 0]}, r"data\.fractions=\[1, 0, 0\]: expected a list \(each .* above 0"),
    ({"size": [0, 4]}, r"data\.size=\[0, 4\]: expected a list \(each entry an integer at least 1"),
    ({"size": [4]}, r"data\.size=\[4\]: expected \[height, width\] in pixels"),
    ({"alpha": 0.5}, r"data\.alpha=0\.5: expected a number above 0 and below 0\.5"),
    ({"layout": "plane"}, r"data\.layout='plane' is unknown: .*; did you mean 'planar'\?"),
]


@pytest.mark.parametrize(("options", "message"), BAD)
def test_bad_option_is_one_sentence(tmp_path, options, message):
    with pytest.raises(DataError, match=message):
        images(folder_of_pictures(tmp_path / "photos"), **options)


def test_bad_folder_is_one_sentence(tmp_path):
    with pytest.raises(
        DataError, match=r"nowhere/<label>/<picture>.png is expected .*; data\.path"
    ):
        images(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty/<label>/<picture>.png is expected"):
        images(tmp_path / "empty")
    folder = folder_of_pictures(tmp_path / "photos")
    (folder / "cat" / "000.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"000\.png is not a readable picture"):
        images(folder)
