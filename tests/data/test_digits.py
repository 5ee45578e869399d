"""The digits of scikit-learn."""

import numpy as np
import torch
from sklearn.datasets import load_digits

from flowbench.data import Digits


def test_digits_are_those_of_scikit_learn(tmp_path):
    data = Digits(cache_dir=tmp_path, label_context=True)
    data.setup()
    known = load_digits()
    pixels = np.concatenate([np.floor(data.raw.x[split]) for split in ("train", "val", "test")])
    np.testing.assert_array_equal(pixels, known.data)
    labels = torch.cat([data.rows[split].context for split in ("train", "val", "test")])
    np.testing.assert_array_equal(labels.argmax(-1), known.target)
    assert data.raw.preprocess[0]["scale"] == 17
    shown = data.pictures(data.raw.x["test"])
    np.testing.assert_array_equal(shown, np.round(known.images[-179:, ..., None] * 255 / 16))


def test_the_threshold_is_of_the_pixel_alone(tmp_path):
    grey, binary = Digits(cache_dir=tmp_path), Digits(cache_dir=tmp_path, binarize="threshold")
    for data in (grey, binary):
        data.setup()
    pixels = np.floor(grey.raw.x["train"])
    assert {8, 9} <= set(np.unique(pixels))
    np.testing.assert_array_equal(binary.raw.x["train"], pixels >= 8.5)
