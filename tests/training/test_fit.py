"""A flow trained on tensors, without Hydra."""

import logging

import numpy as np
import pytest
import torch
from rows_to_fit import rows
from torch import nn

import flowbench
from flowbench.checkpoint import CheckpointError
from flowbench.evaluation.runs import open_run
from flowbench.training.averaging import WeightAverage
from flowbench.training.maximum_likelihood import NonFiniteError


def entropy():
    return np.log(2 * np.pi * np.e) + np.log(5 * 1e-3)


def test_a_conditional_density_in_the_units_of_the_data():
    x, c = rows()
    flow = flowbench.MAF(2, context_features=1, layers=2, hidden_units=[16])
    density = flowbench.fit(flow, x, c, max_epochs=30, batch_size=100)
    fresh, given = (torch.from_numpy(part) for part in rows(seed=1))
    mean = density.log_prob(fresh, given).mean().item()
    assert mean == pytest.approx(-entropy(), abs=0.1)
    drawn = density.sample(2000, torch.tensor([[13.0]]))[:, 0]
    assert drawn[:, 0].mean().item() == pytest.approx(126, abs=2)
    assert not flow.training
    assert not density.flow.training


def test_closed_form_flows_are_only_fitted(tmp_path):
    x, _ = rows()
    density = flowbench.fit(flowbench.Gaussian(2), x, standardized=False)
    density.save(tmp_path / "density.ckpt")
    assert np.array_equal(
        flowbench.load(tmp_path / "density.ckpt").log_prob(x), density.log_prob(x)
    )
    assert density.log_prob(torch.from_numpy(x)).mean().item() == pytest.approx(
        -np.log(2 * np.pi * np.e) - np.log(np.sqrt(425) * 1e-3), abs=0.1
    )


def test_batch_norms_hold_the_statistics_of_the_training_rows():
    x, _ = rows(1000)
    flow = flowbench.MAF(2, layers=1, hidden_units=[8])
    density = flowbench.fit(flow, x, max_epochs=2, validation=0.2)
    first, norm = list(flow.transform.transforms)[::-1]
    index = np.random.default_rng(0).permutation(1000)[200:]
    with torch.no_grad():
        u = density.preprocess.inverse(torch.from_numpy(x[index]))[0].float()
        u, _ = first.inverse(u)
    torch.testing.assert_close(norm.mean, u.mean(0), atol=1e-4, rtol=1e-4)


def test_the_same_seed_gives_the_same_density_and_leaves_the_random_state_alone():
    x, _ = rows(600)

    def trained():
        torch.manual_seed(1)
        flow = flowbench.MAF(2, layers=1, hidden_units=[8], dropout=0.1)
        state = torch.get_rng_state()
        density = flowbench.fit(flow, x, max_epochs=2, noise=0.1)
        assert torch.equal(torch.get_rng_state(), state)
        return density.log_prob(torch.from_numpy(x))

    assert torch.equal(trained(), trained())


def test_a_flow_in_evaluation_mode_is_trained_like_any_other():
    x, _ = rows(300)

    def trained(mode):
        flow = flowbench.MAF(2, layers=1, hidden_units=[8])
        torch.nn.utils.vector_to_parameters(torch.full((64,), 0.1), flow.parameters())
        return flowbench.fit(flow.train(mode), x, max_epochs=1).log_prob(x)

    assert np.array_equal(trained(True), trained(False))


def test_parameters_of_a_run_are_the_start(tmp_path):
    x, _ = rows(600)
    flow = flowbench.MAF(2, layers=1, hidden_units=[8])
    flowbench.fit(flow, x, max_epochs=20).save(tmp_path / "a.ckpt")
    other = flowbench.MAF(2, layers=1, hidden_units=[8])
    flowbench.fit(other, x, init_from=tmp_path / "a.ckpt", max_epochs=1, learning_rate=1e-9)
    for one, two in zip(flow.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one, two, atol=1e-6, rtol=1e-6)
    wide = flowbench.MAF(2, layers=1, hidden_units=[9])
    with pytest.raises(CheckpointError, match=r"has shape .* expected"):
        flowbench.fit(wide, x, init_from=tmp_path / "a.ckpt")
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        flowbench.fit(other, x, init_from=tmp_path / "b.ckpt")


def test_the_average_is_what_is_validated_and_returned():
    x, _ = rows(1000)
    seen = []

    class Spy(WeightAverage):
        def _update(self):
            super()._update()
            seen.append((self.tensors[0].clone(), self.other[0].clone()))

    flow = flowbench.MAF(2, layers=1, hidden_units=[8])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("flowbench.training.averaging.WeightAverage", Spy)
        flowbench.fit(flow, x, max_epochs=1, ema=0.9, learning_rate=1e-2)
    weights = [one for one, _ in seen]
    average = weights[0] * 0
    decays = [min(0.9, (1 + t) / (10 + t)) for t in range(1, len(seen) + 1)]
    first = seen[0][1] - (1 - decays[0]) * weights[0]
    average = first / decays[0]
    for weight, decay in zip(weights, decays, strict=True):
        average = decay * average + (1 - decay) * weight
    got = nn.utils.parameters_to_vector(flow.parameters())
    torch.testing.assert_close(got, average, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(got, weights[-1], atol=1e-4)


def test_without_a_finite_epoch_there_is_no_density():
    x = np.random.default_rng(0).normal(size=(100, 2))
    x[np.random.default_rng(0).permutation(100)[0]] = 1e30  # it is held out
    flow = flowbench.MAF(2, layers=1, hidden_units=[4], batch_norm=False)
    level = logging.getLogger("pytorch_lightning").level
    with pytest.raises(NonFiniteError, match="no epoch had a finite validation log-likelihood"):
        flowbench.fit(flow, x, standardized=False, max_epochs=1)
    assert logging.getLogger("pytorch_lightning").level == level


def test_a_flow_in_float64_is_trained_and_kept_in_it(tmp_path):
    x, c = (torch.from_numpy(part) for part in rows(600))
    flow = flowbench.MAF(2, context_features=1, layers=2, hidden_units=[8], dropout=0.1).double()
    density = flowbench.fit(flow, x, c, max_epochs=2, noise=0.01, ema=0.9)
    density.save(tmp_path / "density.ckpt")
    again = flowbench.load(tmp_path / "density.ckpt")
    for one in (density, again):
        assert {part.dtype for part in one.flow.parameters()} == {torch.float64}
        assert one.log_prob(x, c).dtype == one.sample(3, c[:1]).dtype == torch.float64
    assert np.array_equal(again.log_prob(x, c), density.log_prob(x, c))
    u = again.flow.transform.inverse(density.preprocess.inverse(x)[0], c)[0]
    torch.testing.assert_close(again.flow.transform(u, c)[0], density.preprocess.inverse(x)[0])


def test_rows_of_a_flow_in_float64_keep_their_digits(tmp_path):
    x = 1e9 + np.random.default_rng(0).normal(size=(2000, 1))  # float32 has steps of 64 there
    density = flowbench.fit(flowbench.Gaussian(1).double(), x, standardized=False)
    entropy = 0.5 * np.log(2 * np.pi * np.e)
    assert density.log_prob(x).mean().item() == pytest.approx(-entropy, abs=0.05)
    density.save(tmp_path / "density.ckpt")
    again = flowbench.load(tmp_path / "density.ckpt")
    assert np.array_equal(again.log_prob(x), density.log_prob(x))
    assert again.sample(3).dtype == torch.float64


def test_a_fitted_density_is_saved_and_loaded(tmp_path):
    x, c = rows(300)
    flow = flowbench.MAF(2, context_features=1, layers=2, hidden_units=[8], input_order="random")
    density = flowbench.fit(flow, x, c, max_epochs=2)
    assert [row["epoch"] for row in density.history] == [0, 1]
    assert np.isfinite(density.history[-1]["val/log_likelihood"])
    path = tmp_path / "new" / "density.ckpt"
    density.save(path)
    again = flowbench.load(path)
    again.save(path)
    assert np.array_equal(flowbench.load(path).log_prob(x, c), density.log_prob(x, c))
    assert flowbench.load(path).history == density.history
    assert [file.name for file in path.parent.iterdir()] == ["density.ckpt"]
    with pytest.raises(CheckpointError, match="fitted to rows in memory"):
        open_run(path)


def bounded():
    flow = flowbench.MAF(2, layers=1, hidden_units=[8])
    flow.transform.transforms[-1].univariate.bound = 1e-3
    return flow


@pytest.mark.parametrize(
    ("flow", "sentence"),
    [
        (flowbench.MAF(2, layers=1, activation=torch.relu), "MAF was given activation, a "),
        (bounded(), "MAF was altered after its construction"),
        (type("Mine", (flowbench.MAF,), {})(2, layers=1), "Mine is a class from outside"),
    ],
)
def test_what_a_checkpoint_cannot_describe_is_not_saved(flow, sentence, tmp_path):
    density = flowbench.fit(flow, rows(100)[0], max_epochs=1)
    with pytest.raises(ValueError, match=sentence):
        density.save(tmp_path / "density.ckpt")
    assert not list(tmp_path.iterdir())


def test_an_average_has_no_running_statistics():
    flow = flowbench.MAF(2, layers=1, hidden_units=[8], batch_norm_statistics="running")
    with pytest.raises(ValueError, match=r"ema=0\.9 with batch_norm_statistics=running: .*"):
        flowbench.fit(flow, rows(100)[0], max_epochs=1, ema=0.9)


@pytest.mark.parametrize(
    "accelerator",
    ["cpu", pytest.param("auto", marks=[pytest.mark.gpu, pytest.mark.skipif(
        not torch.cuda.is_available(), reason="needs a CUDA device")])],
)  # fmt: skip
def test_the_random_numbers_of_the_caller_go_on(accelerator):
    devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]

    def drawn(between):
        torch.manual_seed(3)
        between()
        return [torch.rand(3, device=device).tolist() for device in devices]

    flow = flowbench.MAF(2, layers=1, hidden_units=[8])
    train = lambda: flowbench.fit(flow, rows(100)[0], max_epochs=1, accelerator=accelerator)  # noqa: E731
    assert drawn(train) == drawn(lambda: None)
