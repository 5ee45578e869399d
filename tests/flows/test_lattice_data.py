"""Models of levels on data: closed forms, pictures, counts, and what is refused."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from flowbench import fit
from flowbench.checkpoint import load, saved_values
from flowbench.data import Digits
from flowbench.density import TrainedDensity
from flowbench.flows import Histogram, LatticeMADE
from flowbench.from_config import build_flow

SMALL = {"units": 4, "inner_units": 4, "blocks": 1, "first_kernel": 3}


def test_the_histogram_is_made_of_the_shares_of_the_training_rows():
    flow = Histogram(2, lattice={"levels": [2, 3]}, context_features=2)
    counts = torch.tensor([[[90, 10], [20, 80]], [[1, 99], [50, 50]]])
    each = torch.arange(2)
    columns = [torch.cat([each.repeat_interleave(n) for n in of]) for of in counts.transpose(0, 1)]
    x = torch.stack(columns, -1) + 0.5
    context = torch.eye(2).repeat_interleave(100, 0)
    flow.initialize(x, context)
    shares = flow.base.log_shares.exp()
    torch.testing.assert_close(shares[..., :2], counts / 100, atol=0.02, rtol=0)
    assert 0 < shares[1, 1, 2] < 0.01
    with pytest.raises(ValueError, match=r"class 1 of 0 … 1 has no training rows"):
        flow.initialize(x[:100], context[:100])


def test_the_pseudo_count_makes_left_out_rows_likely():
    torch.manual_seed(0)
    few, many = torch.randint(8, (12, 1)), torch.randint(8, (4000, 1)) // 4 * 7
    shares = {}
    for name, k in (("few", few), ("many", many)):
        flow = Histogram(1, lattice={"levels": 8})
        flow.initialize(k + 0.5)
        shares[name] = flow.base.log_shares.exp().flatten()
    assert (shares["few"] - 1 / 8).abs().max() < 0.1  # far from their own shares
    assert shares["many"][1:7].max() < 1e-5


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    data = Digits(cache_dir=tmp_path_factory.mktemp("cache"), dequantize="once")
    data.prepare_data()
    data.setup()
    return data


MODELS = {
    "pixelcnn": {"_target_": "flowbench.flows.PixelCNN", **SMALL},
    "made_lattice": {"_target_": "flowbench.flows.LatticeMADE", "hidden_units": [10]},
    "histogram": {"_target_": "flowbench.flows.Histogram"},
}


@pytest.mark.parametrize("model", MODELS)
def test_pictures_are_learned_saved_and_drawn_in_their_levels(model, digits, tmp_path):
    torch.manual_seed(0)
    flow = build_flow(MODELS[model], **digits.sizes)
    train, test = digits.rows["train"], digits.rows["test"]
    flow.initialize(train.x, None)
    flow.eval()
    with torch.no_grad():
        terms = flow.log_prob(test.x) + test.log_det
    pixels = torch.from_numpy(np.floor(digits.raw.x["test"]))
    assert -terms.mean() / 64 / math.log(2) == pytest.approx(2.359, abs=0.005)  # bits per pixel
    saved = saved_values({"model": MODELS[model]}, digits)
    density = TrainedDensity(
        flow, preprocess=digits.preprocess, context_preprocess=digits.context_preprocess,
        config={}, saved=saved,
    )  # fmt: skip
    density.save(tmp_path / "density.ckpt")
    again = load(tmp_path / "density.ckpt")
    torch.testing.assert_close(
        again.log_prob(pixels).double(), terms.double(), rtol=1e-4, atol=1e-3
    )
    torch.testing.assert_close(
        again.log_prob(pixels + 0.999), again.log_prob(pixels), rtol=1e-4, atol=1e-3
    )
    drawn = again.sample(5)
    assert ((drawn >= 0) & (drawn < 17)).all()


def test_data_that_a_model_of_levels_cannot_have_are_refused(digits):
    node = MODELS["pixelcnn"]
    with pytest.raises(ValueError, match=r"needs data on a lattice: whole pictures"):
        build_flow(node, features=4, context_features=0)
    with pytest.raises(
        ValueError, match=r"needs data of pictures, with height, width and channel"
    ):
        build_flow(node, features=4, context_features=0, lattice={"levels": 3})
    with pytest.raises(ValueError, match=r"levels=\[3, 4\], expected 4 numbers from 1"):
        LatticeMADE(4, lattice={"levels": [3, 4]})


def test_integers_are_seen_in_the_same_nats_by_a_mixture_of_any_family():
    """A discretised logistic distribution is nearly a logistic density over fine levels."""
    flow = partial(LatticeMADE, 1, family="logistic", components=1, hidden_units=[])
    fine = flow(lattice={"levels": 2001}).double().eval()
    x = torch.linspace(300.5, 1700.5, 50, dtype=torch.float64).unsqueeze(-1)
    place = (x.floor() / 1000 - 1).squeeze(-1)
    logistic = -place - 2 * nn.functional.softplus(-place) - math.log(1000)
    torch.testing.assert_close(fine.log_prob(x), logistic, rtol=1e-4, atol=1e-4)


def test_counts_are_fitted_without_hydra(tmp_path):
    torch.manual_seed(0)
    x = torch.poisson(torch.tensor([[2.0, 0.5]]).expand(300, 2))
    lattice = {"levels": [int(count) for count in x.amax(0) + 1], "unbounded": True}
    flow = LatticeMADE(2, lattice=lattice, hidden_units=[8])
    with pytest.raises(ValueError, match=r"standardizing would move the rows"):
        fit(flow, x)
    density = fit(flow, x, standardized=False, max_epochs=2)
    poisson = torch.distributions.Poisson(torch.tensor([2.0, 0.5]))
    terms = density.log_prob(x)
    assert terms.mean().item() == pytest.approx(poisson.log_prob(x).sum(-1).mean().item(), abs=0.1)
    density.save(tmp_path / "counts.ckpt")
    assert torch.equal(load(tmp_path / "counts.ckpt").log_prob(x), terms)
