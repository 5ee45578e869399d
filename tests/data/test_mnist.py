"""MNIST from small files of the original format, and from the real ones where they are."""

import gzip
import shutil

import numpy as np
import pytest
import torch
from real_data import real

from flowbench.data import DataError, Mnist


class SmallMnist(Mnist):
    """The same, with fewer images."""

    expected = {"train": (34, 784), "val": (6, 784), "test": (20, 784)}  # noqa: RUF012


def idx(array):
    sizes = np.array(array.shape, ">i4").tobytes()
    return bytes([0, 0, 8, array.ndim]) + sizes + array.astype(np.uint8).tobytes()


def write(folder, train=40, test=20, classes=range(10)):
    rng = np.random.default_rng(0)
    (folder / "mnist").mkdir()
    for part, rows in (("train", train), ("t10k", test)):
        images = rng.integers(0, 256, (rows, 28, 28))
        labels = rng.choice(classes, rows)
        packed = gzip.compress(idx(images), compresslevel=1)
        (folder / "mnist" / f"{part}-images-idx3-ubyte.gz").write_bytes(packed)
        (folder / "mnist" / f"{part}-labels-idx1-ubyte").write_bytes(idx(labels))
    return folder


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path)


def small(folder, **options):
    data = SmallMnist(data_dir=folder, cache_dir=folder / "cache", **options)
    data.setup()
    return data


def test_pixels_get_noise_and_go_to_logit_space(folder):
    data = small(folder, alpha=0.05)
    packed = (folder / "mnist" / "train-images-idx3-ubyte.gz").read_bytes()
    pixels = np.frombuffer(gzip.decompress(packed), np.uint8, offset=16).reshape(40, 784)
    noise = np.random.RandomState(42)
    x = pixels[:34] + noise.rand(34, 784)
    np.testing.assert_allclose(data.raw.x["train"], x, rtol=1e-6)
    x = pixels[34:] + noise.rand(6, 784)
    np.testing.assert_allclose(data.raw.x["val"], x, rtol=1e-6)
    inner = 0.05 + 0.9 * x / 256
    u = np.log(inner / (1 - inner))
    np.testing.assert_allclose(data.rows["val"].x.numpy(), u, atol=1e-5)
    log_det = np.log(0.9 / 256 / (inner * (1 - inner))).sum(-1)
    np.testing.assert_allclose(data.rows["val"].log_det, log_det, rtol=1e-6)
    assert all(array.dtype == np.float32 for array in data.raw.x.values())
    assert max(array.max() for array in data.raw.x.values()) < 256


def test_model_space_maps_back_to_the_data(folder):
    data = small(folder)
    back, log_det = data.preprocess(data.rows["test"].x.double())
    torch.testing.assert_close(back, torch.tensor(data.raw.x["test"]).double(), atol=1e-3, rtol=0)
    torch.testing.assert_close(log_det, -data.rows["test"].log_det, rtol=1e-4, atol=0)


def edit(name, change):
    return lambda folder: (folder / name).write_bytes(change((folder / name).read_bytes()))


LABELS, IMAGES = "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte.gz"


def head(*sizes):
    return bytes([0, 0, 8, len(sizes)]) + np.array(sizes, ">u4").tobytes()


BAD = [
    (lambda f: (f / LABELS).unlink(), rf"{LABELS}\.gz is expected but does not exist; .*copy"),
    (edit(LABELS, lambda b: b[:-1]), r"holds 39 values, but its head says \[40\]"),
    (edit(LABELS, lambda b: b"\x01" + b[1:]), "begins with '01000801', expected '00000801'"),
    (
        edit(LABELS, lambda b: idx(np.zeros(39))),
        "40 images and 39 labels .* expected one label per image",
    ),
    (edit(LABELS, lambda b: b + b"\0"), r"holds more than 40 values, but .* it is another file"),
    (edit(LABELS, lambda b: b[:6]), f"{LABELS} begins with '00000801', expected"),
    (
        edit(LABELS, lambda b: head(2**32 - 1) + b[8:]),
        "claims 4,294,967,295 entries in its header",
    ),
    (edit(IMAGES, lambda b: b[:-9]), "t10k-images.* cannot be read"),
    (edit(IMAGES, lambda b: b[:99] + b"\xff" * 99 + b[198:]), "t10k-images.* cannot be read"),
    (edit(IMAGES, lambda b: gzip.compress(head(10**8, 28, 28))), "claims 100,000,000 entries"),
    (edit(IMAGES, lambda b: b"\x1f\x8b"), "t10k-images.* cannot be read"),
    (edit(IMAGES, lambda b: b""), "t10k-images.* begins with ''"),
    (
        edit(IMAGES, lambda b: gzip.compress(idx(np.zeros((20, 8, 8))))),
        r"t10k-images-idx3-ubyte\.gz holds images of 8 × 8 pixels, expected 28 × 28",
    ),
]


@pytest.mark.parametrize(("damage", "message"), BAD)
def test_bad_original_is_one_sentence(folder, damage, message):
    damage(folder / "mnist")
    with pytest.raises(DataError, match=message):
        small(folder)


@pytest.mark.parametrize("form", ["as they came", "all unzipped", "all gzipped"])
def test_originals_may_go_after_conversion(folder, form):
    for file in list((folder / "mnist").iterdir()):
        if form == "all unzipped" and file.suffix:
            file.with_suffix("").write_bytes(gzip.decompress(file.read_bytes()))
            file.unlink()
        elif form == "all gzipped" and not file.suffix:
            file.with_name(f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
            file.unlink()
    before = small(folder)
    shutil.rmtree(folder / "mnist")
    after = SmallMnist(data_dir=folder, cache_dir=folder / "cache")
    assert after.fingerprint() == before.raw.sha256
    after.prepare_data()  # where nothing may be downloaded
    after.setup()
    np.testing.assert_array_equal(after.raw.x["train"], before.raw.x["train"])


def test_other_number_of_images_is_refused(folder):
    small(folder)
    data = Mnist(data_dir=folder, cache_dir=folder / "cache")
    with pytest.raises(DataError, match=r"shape \(34, 784\), expected \(50000, 784\)"):
        data.setup()


COUNTS = [(2, 1, 1), (5, 4, 1), (12, 10, 2), (900, 750, 150), (60_001, 50_001, 10_000)]


@pytest.mark.parametrize(("images", "train", "val"), COUNTS)
def test_of_any_number_of_images_the_last_sixth_is_validation(
    tmp_path, monkeypatch, images, train, val
):
    found = {}
    monkeypatch.setattr("flowbench.data.images.mnist.write_pictures", note_lengths(found))
    monkeypatch.setattr("flowbench.data.images.mnist.read_idx", zeros(images))
    Mnist(path=tmp_path).build(tmp_path)
    assert found == {"train": train, "val": val, "test": images}


def note_lengths(found):
    return lambda folder, split, chunks, labels, **options: found.update({split: len(labels)})


def zeros(images):
    return lambda path, sizes: np.zeros((images, *sizes), np.uint8)


@pytest.mark.parametrize(("train", "test"), [(0, 5), (1, 5), (5, 0)])
def test_too_few_images_are_one_sentence(tmp_path, train, test):
    data = Mnist(path=write(tmp_path, train, test) / "mnist", cache_dir=tmp_path)
    with pytest.raises(
        DataError, match="at least 2 images to train and validate on and 1 to test"
    ):
        data.setup()


def test_labels_may_be_others_than_digits(tmp_path):
    folder = write(tmp_path, 200, 50, classes=range(1, 27)) / "mnist"
    data = Mnist(path=folder, cache_dir=tmp_path, label_context=True)
    data.setup()
    assert data.labels == [str(label) for label in range(1, 27)]
    labels = np.frombuffer((folder / "t10k-labels-idx1-ubyte").read_bytes(), np.uint8, offset=8)
    np.testing.assert_array_equal(data.raw.context["test"].argmax(-1) + 1, labels)


def test_real_files_give_the_published_gaussian(tmp_path):
    file = real("mnist/train-images-idx3-ubyte.gz")
    data = Mnist(data_dir=file.parents[1], cache_dir=tmp_path)
    data.setup()
    train, test = data.rows["train"].x.double(), data.rows["test"].x.double()
    density = torch.distributions.MultivariateNormal(
        train.mean(0), covariance_matrix=torch.cov(train.T, correction=0)
    )
    assert density.log_prob(test).mean().item() == pytest.approx(-1366.9, abs=0.5)
