"""Where preprocessing leaves no density: −inf of a trained density, an error of training data."""

import numpy as np
import pytest
import torch

from flowbench.checkpoint import TrainedDensity
from flowbench.data import DataError, DataModule, RawData, Toy
from flowbench.flows import MAF
from flowbench.transforms.steps import build_preprocess

LOG = [{"name": "Log", "columns": [1]}, {"name": "Standardize", "mean": [0, 0], "std": [1, 2]}]
LOGIT = [{"name": "Affine", "scale": 256.0, "features": 2}, {"name": "Logit", "alpha": 0.05}]
CLIP = [{"name": "Clip", "low": [0, 1], "high": [10, 20]}, *LOG]
CASES = [
    (LOG, [[3.0, 2.0], [-3.0, 1e-30]], [[3.0, 0.0], [3.0, -2.0], [0.0, -torch.inf]]),
    (LOGIT, [[0.0, 255.9], [-10.0, 3.0]], [[-20.0, 3.0], [3.0, 300.0], [1e30, 3.0]]),
    (CLIP, [[3.0, 2.0], [-3.0, 0.5], [99.0, -7.0]], []),
]


class Rows(DataModule):
    """Given rows in all three splits."""

    def __init__(self, x, preprocess):
        super().__init__()
        self.raw_rows = RawData(
            x=dict.fromkeys(("train", "val", "test"), np.array(x)),
            preprocess=preprocess,
        )

    def read(self):
        return self.raw_rows


@pytest.mark.parametrize(("steps", "inside", "outside"), CASES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_outside_of_its_support_a_density_is_zero(steps, inside, outside, dtype):
    flow = MAF(2, layers=1, hidden_units=[4])
    empty = build_preprocess([])
    density = TrainedDensity(
        flow, preprocess=build_preprocess(steps), context_preprocess=empty, config={}
    )
    assert density.log_prob(torch.tensor(inside, dtype=dtype)).isfinite().all()
    if outside:
        assert (density.log_prob(torch.tensor(outside, dtype=dtype)) == -torch.inf).all()


def test_clipped_values_have_the_density_of_the_bound():
    flow = MAF(2, layers=1, hidden_units=[4])
    empty = build_preprocess([])
    density = TrainedDensity(
        flow, preprocess=build_preprocess(CLIP), context_preprocess=empty, config={}
    )
    beyond, bound = torch.tensor([[-5.0, 2.0], [3.0, 0.0]]), torch.tensor([[0.0, 2.0], [3.0, 1.0]])
    assert torch.equal(density.log_prob(beyond), density.log_prob(bound))
    samples = density.sample(1000)
    assert (samples >= torch.tensor([0.0, 1.0])).all()
    assert (samples <= torch.tensor([10.0, 20.0])).all()


@pytest.mark.parametrize(("steps", "inside", "outside"), CASES[:2])
def test_no_model_is_trained_on_rows_outside(steps, inside, outside):
    Rows(inside, steps).setup()
    with pytest.raises(DataError, match=r"1 of 3 rows, the first of them row 2 \(from 0\), have"):
        Rows([*inside, outside[0]], steps).setup()


SPLITS = ("train", "val", "test")
NO_DATA = {
    "no RawData": (lambda: {"train": np.ones((3, 2))}, "Given.read returned dict, expected"),
    "no test": (lambda: RawData(x={"train": np.ones((3, 2))}), r"x\['val'\] is NoneType"),
    "text": (lambda: RawData(x=dict.fromkeys(SPLITS, np.array([["a"]]))), "is <U1 of shape"),
    "NaN": (lambda: RawData(x=dict.fromkeys(SPLITS, np.array([[0.0], [np.nan]]))), "row 1 "),
}


@pytest.mark.parametrize("name", NO_DATA)
def test_what_read_gives_is_checked(name):
    make, sentence = NO_DATA[name]

    class Given(DataModule):
        def read(self):
            return make()

    with pytest.raises(DataError, match=sentence):
        Given().setup()


def test_the_hash_of_rows_without_a_file_is_that_of_the_arrays():
    hashes = [Rows(x, []).fingerprint() for x in ([[0.0]], [[0.0]], [[1.0]])]
    assert hashes[0] == hashes[1] != hashes[2]


@pytest.mark.parametrize(("key", "value"), [("train_rows", -5), ("val_rows", 0)])
def test_toy_data_of_no_rows_are_refused(key, value):
    with pytest.raises(DataError, match=f"data.{key}={value}: expected an integer at least 1"):
        Toy(**{key: value})
