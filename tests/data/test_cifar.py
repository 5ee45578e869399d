"""CIFAR-10: splits, noise, layouts and the way back to pictures."""

import shutil
import zipfile

import numpy as np
import pytest
import torch
from real_data import real

from flowbench.data import Cifar10, DataError

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")


def cifar_records(rows, seed):
    rng = np.random.default_rng(seed)
    records = rng.integers(0, 256, (rows, 3073), dtype=np.uint8)
    records[:, 0] %= 10
    return records


@pytest.fixture
def batches(tmp_path):
    folder = tmp_path / "cifar10" / "cifar-10-batches-bin"
    folder.mkdir(parents=True)
    for batch in range(1, 6):
        cifar_records(8, batch).tofile(folder / f"data_batch_{batch}.bin")
    cifar_records(6, 6).tofile(folder / "test_batch.bin")
    return tmp_path / "cifar10"


def cifar(folder, **options):
    data = Cifar10(path=folder, cache_dir=folder.parent / "cache", **options)
    data.setup()
    return data


def test_cifar_protocol(batches):
    data = cifar(batches, label_context=True)
    known = np.concatenate([cifar_records(8, batch) for batch in range(1, 6)])
    rng = np.random.RandomState(42)
    planar = known[:36, 1:] + rng.rand(36, 3072)
    pictures = planar.reshape(36, 3, 32, 32).transpose(0, 2, 3, 1)
    both = np.concatenate([pictures, pictures[:, :, ::-1]]).reshape(72, -1)
    np.testing.assert_allclose(data.raw.x["train"], both, rtol=1e-6)
    val = known[36:, 1:] + rng.rand(4, 3072)
    val = val.reshape(4, 3, 1024).transpose(0, 2, 1).reshape(4, -1)
    np.testing.assert_allclose(data.raw.x["val"], val, rtol=1e-6)
    s = 0.05 + 0.9 * val / 256
    np.testing.assert_allclose(data.rows["val"].x, np.log(s / (1 - s)), atol=1e-5)
    labels = data.rows["train"].context.argmax(-1).numpy()
    np.testing.assert_array_equal(labels, np.tile(known[:36, 0], 2))
    assert data.context_features == 10
    assert data.raw.dequantized
    assert data.image_shape == (32, 32, 3)
    assert (data.channels, data.pixels) == (3, 1024)
    assert data.raw.feature_names[:4] == ["red0", "green0", "blue0", "red1"]


def test_cifar_without_flips(batches):
    assert len(cifar(batches, flips=False).rows["train"]) == 36


LAYOUTS = ["interleaved", "planar", "shared_channels", "separate_channels"]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("pixel_order", ["raster", "reversed", "random"])
def test_layout_and_its_inverse(batches, layout, pixel_order):
    plain = cifar(batches)
    data = cifar(batches, layout=layout, pixel_order=pixel_order, seed=3)
    picture = plain.rows["test"].x.reshape(-1, 1024, 3)
    order = {
        "raster": np.arange(1024),
        "reversed": np.arange(1024)[::-1],
        "random": np.random.RandomState(3).permutation(1024),
    }[pixel_order]
    expected = picture[:, torch.from_numpy(order.copy())]
    if layout != "interleaved":
        expected = expected.transpose(1, 2)
    torch.testing.assert_close(data.rows["test"].x, expected.reshape(-1, 3072))
    torch.testing.assert_close(data.rows["test"].log_det, plain.rows["test"].log_det)
    back = data.pictures(data.preprocess(data.rows["test"].x.double())[0] + 1e-4)
    original = cifar_records(6, 6)[:, 1:].reshape(6, 3, 32, 32).transpose(0, 2, 3, 1)
    assert (back != original).mean() < 1e-3  # noise next to the upper end
    apart = layout in LAYOUTS[2:]
    blocks = {"blocks": 3, "shared": layout == "shared_channels"} if apart else {}
    expected = {"features": 3072, "context_features": 0, "lattice": data.lattice} | blocks
    assert data.sizes == expected


def test_pixels_are_the_integer_part(batches):
    data = cifar(batches)
    original = cifar_records(6, 6)[:, 1:].reshape(6, 3, 32, 32).transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(data.pictures(data.raw.x["test"]), original)


def test_noise_of_every_epoch(batches):
    data = cifar(batches, dequantize="epoch", batch_size=24, seed=1)
    fixed, pixels = data.rows["val"].x.clone(), np.floor(data.raw.x["train"])
    loader = data.train_dataloader()
    seen = []
    for _ in range(2):
        list(loader)
        x, log_det = data.preprocess(data.rows["train"].x.double())
        assert (np.abs(x.numpy() - pixels - 0.5) < 0.5 + 1e-3).all()
        torch.testing.assert_close(-log_det, data.rows["train"].log_det, atol=0.1, rtol=0)
        seen.append(data.rows["train"].x.clone())
    assert not torch.equal(*seen)
    assert torch.equal(data.rows["val"].x, fixed)
    resumed = data.train_dataloader()
    resumed.load_state_dict({"epoch": 0, "item": 0})
    next(iter(resumed))
    assert torch.equal(data.rows["train"].x, seen[0])


def test_binarised(batches):
    data = cifar(batches, binarize="threshold")
    pixels = cifar_records(6, 6)[:, 1:].reshape(6, 3, 1024).transpose(0, 2, 1).reshape(6, -1)
    np.testing.assert_array_equal(data.rows["test"].x, pixels >= 128)
    assert not data.raw.dequantized
    assert data.rows["test"].log_det.abs().max() == 0
    sampled = cifar(batches, binarize="sampled")
    x = sampled.raw.x["train"]
    assert set(np.unique(x)) == {0, 1}
    np.testing.assert_array_equal(x, cifar(batches, binarize="sampled").raw.x["train"])
    brightness = np.floor(cifar(batches).raw.x["train"]) / 255
    assert abs(np.corrcoef(x.ravel(), brightness.ravel())[0, 1] - 0.577) < 0.02
    assert sampled.pictures(x).max() == 255
    anew = cifar(batches, binarize="sampled", dequantize="epoch", batch_size=24)
    list(anew.train_dataloader())
    assert not np.array_equal(anew.rows["train"].x, x)
    assert set(np.unique(anew.rows["train"].x)) == {0, 1}


def test_originals_may_go_after_conversion(batches):
    before = cifar(batches).raw.x["train"][:]
    shutil.rmtree(batches)
    np.testing.assert_array_equal(cifar(batches).raw.x["train"], before)


def test_damaged_batch_is_one_sentence(batches):
    with (batches / "cifar-10-batches-bin" / "data_batch_3.bin").open("ab") as file:
        file.write(b"x")
    with pytest.raises(DataError, match=r"data_batch_3\.bin holds 24585 bytes, expected records"):
        cifar(batches)


def test_other_number_of_pictures_is_refused_without_path(batches):
    data = Cifar10(data_dir=batches.parent, cache_dir=batches.parent / "cache")
    with pytest.raises(
        DataError, match=r"a val split of shape \(4, 3072\), expected \(5000, 3072"
    ):
        data.setup()


def test_missing_batches_are_one_sentence(tmp_path):
    with pytest.raises(DataError, match=r"data_batch_1\.bin is expected .*cifar-10-binary"):
        Cifar10(data_dir=tmp_path, cache_dir=tmp_path / "cache").setup()


def test_real_cifar_pictures(tmp_path):
    with zipfile.ZipFile(real("cifar10/cifar10_jpeg_subset.zip")) as archive:
        archive.extractall(tmp_path / "cifar10")
    data = cifar(tmp_path / "cifar10")
    assert {split: len(rows) for split, rows in data.rows.items()} == {
        "train": 1800,
        "val": 100,
        "test": 250,
    }
    assert all(torch.isfinite(rows.x).all() for rows in data.rows.values())


def test_real_cifar_pictures_as_binary_batches(tmp_path):
    with zipfile.ZipFile(real("cifar10/cifar10_jpeg_subset.zip")) as archive:
        archive.extractall(tmp_path / "jpeg")
    data = cifar(as_batches(tmp_path / "jpeg", tmp_path / "cifar10"), label_context=True)
    assert {split: len(rows) for split, rows in data.rows.items()} == {
        "train": 1800,
        "val": 100,
        "test": 250,
    }
    frog = next(iter(sorted((tmp_path / "jpeg" / "test" / "frog").iterdir())))
    pictures = data.pictures(data.raw.x["test"])
    index = [p.tobytes() for p in pictures].index(np.asarray(Image.open(frog)).tobytes())
    assert data.labels[int(data.rows["test"].context[index].argmax())] == "frog"


def as_batches(pictures, folder):
    """The pictures of a folder in the format of the binary version, five batches and a test."""
    folder.mkdir()
    records = {}
    for split in ("train", "test"):
        classes = sorted(path.name for path in (pictures / split).iterdir())
        rows = [
            np.append(
                classes.index(path.parent.name), np.moveaxis(np.asarray(Image.open(path)), 2, 0)
            )
            for path in sorted((pictures / split).rglob("*.jpg"))
        ]
        records[split] = np.random.default_rng(0).permutation(np.array(rows, np.uint8))
    for batch, part in enumerate(np.array_split(records["train"], 5), start=1):
        part.tofile(folder / f"data_batch_{batch}.bin")
    records["test"].tofile(folder / "test_batch.bin")
    return folder
