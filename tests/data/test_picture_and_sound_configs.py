"""Every configuration of pictures and sound, composed, checked, built and loaded."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import OmegaConf

from flowbench.config.configuration import check
from flowbench.data import Cifar10, Digits, ImageFolder, Mnist

CONFIGS = str(Path(__file__).parents[2] / "configs")
PIXELS = np.random.default_rng(0).integers(0, 256, (60, 3073), dtype=np.uint8)


def binary_batches(root):
    for batch in range(6):
        name = f"data_batch_{batch}.bin" if batch else "test_batch.bin"
        records = PIXELS[10 * batch : 10 * batch + 10].copy()
        records[:, 0] %= 10
        records.tofile(root / name)


def idx_files(root):
    for part, rows in (("train", 30), ("t10k", 10)):
        images = np.resize(PIXELS, (rows, 28, 28))
        labels = np.arange(rows) % 10
        for kind, values in (("images-idx3", images), ("labels-idx1", labels)):
            sizes = np.array(values.shape, ">i4").tobytes()
            head = bytes([0, 0, 8, values.ndim]) + sizes
            (root / f"{part}-{kind}-ubyte").write_bytes(head + values.astype(np.uint8).tobytes())


def pictures(root):
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    for index in range(20):
        picture = image.fromarray(PIXELS[index, :75].reshape(5, 5, 3))
        picture.save(root / f"{index}.png")


def clips(root):
    soundfile = pytest.importorskip("soundfile", reason="soundfile is not installed")
    for word in ("no", "yes"):
        (root / word).mkdir()
        for speaker in range(20):
            samples = np.random.default_rng(speaker).standard_normal(12_000) / 10
            name = f"{speaker:08x}_nohash_{speaker}.wav"
            soundfile.write(root / word / name, samples, 16_000, subtype="PCM_16")


def nothing(root):
    """They come with scikit-learn."""


SETS = {
    "mnist": (idx_files, 784),
    "cifar10": (binary_batches, 3072),
    "digits": (nothing, 64),
    "images": (pictures, 75),
    "fsdd": (clips, 129),
    "speech_commands": (clips, 257),
    "sound": (clips, 257),
}


@pytest.mark.parametrize("name", SETS)
def test_configuration_is_composed_and_loaded(name, tmp_path):
    original, features = SETS[name]
    original(tmp_path)
    path = [] if name == "digits" else [f"data.path={tmp_path}"]
    with initialize_config_dir(CONFIGS, version_base=None):
        config = compose("train", [f"data={name}", f"paths.cache={tmp_path}/cache", *path])
    check(config)
    node = OmegaConf.to_container(config.data, resolve=True)
    data = instantiate({k: v for k, v in node.items() if k != "name"}, _convert_="all")
    data.prepare_data()
    data.setup()
    assert data.features == features
    assert all(len(data.rows[split]) for split in ("train", "val", "test"))
    for split, rows in data.rows.items():
        assert torch.isfinite(rows.x).all()
        x = data.preprocess(rows.x.double())[0]
        np.testing.assert_allclose(x, data.raw.x[split], rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("cls", [Mnist, Digits, Cifar10, ImageFolder])
def test_pictures_are_dequantised_or_binarised(cls, tmp_path):
    SETS[cls.name][0](tmp_path)
    path = {} if cls is Digits else {"path": tmp_path}
    for change, kind in (({}, (True, False)), ({"binarize": "sampled"}, (False, True))):
        data = cls(cache_dir=tmp_path / "cache", **path, **change)
        raw = data.read()
        assert (raw.dequantized, raw.discrete) == kind
