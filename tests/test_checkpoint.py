"""Checkpoints: what is refused in them, and the density that they give."""

import pytest
import torch

from flowbench.checkpoint import CheckpointError, TrainedDensity, load
from flowbench.flows import MAF, RealNVP
from flowbench.transforms.steps import build_preprocess

OPTIONS = {"layers": 1, "hidden_units": [4], "seed": 0}
MODEL = {"_target_": "flowbench.flows.MAF", **OPTIONS}
STANDARDIZE = [{"name": "Standardize", "mean": [0.5, 0.5], "std": [3.0, 3.0]}]


def checkpoint(path, model, flow=None, version=2):
    values = {
        "format": version,
        "config": {"model": model},
        "sizes": {"features": 2, "context_features": 0},
        "preprocess": STANDARDIZE,
        "context_preprocess": [],
        "feature_names": ["a", "b"],
        "categories": {},
    }
    flow = MAF(2, **OPTIONS) if flow is None else flow
    state = {f"flow.{name}": value for name, value in flow.state_dict().items()}
    torch.save({"flowbench": values, "state_dict": state}, path)
    return path


def density(*, context_features=0):
    steps = [{"name": "Standardize", "mean": [1.0] * 2, "std": [2.0] * 2}]
    return TrainedDensity(
        MAF(2, context_features=context_features, **OPTIONS),
        preprocess=build_preprocess(STANDARDIZE),
        context_preprocess=build_preprocess(steps if context_features else []),
        config={},
        context_shape=(context_features,),
    )


def call(name, **arguments):
    return {"_target_": name, **arguments}


FOREIGN = {
    "another library": call("builtins.print", features=2),
    "nested": MODEL | {"hidden_units": call("builtins.open", file="MADE", mode="w")},
    "in a tuple": MODEL | {"hidden_units": (call("builtins.open", file="MADE", mode="w"),)},
    "through a module of flowbench": MODEL
    | {"hidden_units": call("flowbench.data.conversion.os.mkdir", path="MADE")},
    "through a function of flowbench": MODEL
    | {"hidden_units": call("flowbench.checkpoint.load", run="other.ckpt", trust=True)},
    "hidden in an interpolation": MODEL
    | {"hidden_units": "${oc.create:'{_target_: os.mkdir, path: MADE}'}"},
}


@pytest.mark.parametrize("name", FOREIGN)
def test_code_from_outside_is_refused_and_never_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = checkpoint(tmp_path / "x.ckpt", FOREIGN[name])
    with pytest.raises(CheckpointError, match="from outside flowbench; pass trust=True"):
        load(path)
    assert not (tmp_path / "MADE").exists()


def test_foreign_code_runs_for_whoever_trusts_it(tmp_path):
    model = MODEL | {"hidden_units": call("builtins.list", _args_=[[4]])}
    path = checkpoint(tmp_path / "x.ckpt", model)
    assert load(path, trust=True).log_prob(torch.zeros(3, 2)).shape == (3,)


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (MODEL | {"_target_": "flowbench.flows.Nothing"}, "Nothing"),
        ({"_target_": "flowbench.transforms.ActNorm"}, "gives a ActNorm, expected a .*Flow"),
        (MODEL | {"of_another_version": 1}, "of_another_version"),
        (MODEL | {"layers": 0}, "built: layers=0"),
    ],
)
def test_a_model_that_cannot_be_built_is_told_in_one_sentence(model, sentence, tmp_path):
    path = checkpoint(tmp_path / "x.ckpt", model)
    with pytest.raises(CheckpointError, match=f"cannot be .*{sentence}") as caught:
        load(path)
    assert len(str(caught.value).splitlines()) == 1


def test_a_checkpoint_gives_the_density_that_was_saved(tmp_path):
    torch.manual_seed(0)
    path = checkpoint(tmp_path / "x.ckpt", MODEL)
    torch.manual_seed(0)
    flow = MAF(2, **OPTIONS).eval()
    x = torch.randn(5, 2)
    expected = flow.log_prob((x - 0.5) / 3) - 2 * torch.tensor(3.0).log()
    torch.testing.assert_close(load(path).log_prob(x), expected.detach())


@pytest.mark.parametrize("said", [{}, {"networks": "separate"}, {"networks": "shared"}])
def test_a_real_nvp_that_does_not_say_so_has_separate_networks(said, tmp_path):
    flow = RealNVP(2, **{"networks": "separate", **OPTIONS, **said}).eval()
    model = {"_target_": "flowbench.RealNVP", **OPTIONS, **said}
    found = load(checkpoint(tmp_path / "some.ckpt", model, flow))
    assert torch.equal(found.flow.log_prob(torch.ones(1, 2)), flow.log_prob(torch.ones(1, 2)))


@pytest.mark.parametrize(
    ("version", "activation"), [(2, torch.nn.LeakyReLU(0.01)), (3, torch.nn.LeakyReLU(0.2))]
)
def test_leaky_relu_means_what_it_meant_when_the_checkpoint_was_written(
    version, activation, tmp_path
):
    flow = MAF(2, **OPTIONS, activation=activation).eval()
    path = checkpoint(tmp_path / "a.ckpt", MODEL | {"activation": "leaky_relu"}, flow, version)
    x = torch.linspace(-3, 3, 10).view(5, 2)
    expected = flow.log_prob(x)
    density = load(path)
    assert torch.equal(density.flow.log_prob(x), expected)
    density.save(tmp_path / "b.ckpt")
    assert torch.equal(load(tmp_path / "b.ckpt").flow.log_prob(x), expected)


def test_whole_numbers_have_the_density_of_the_same_real_ones():
    x, c = torch.tensor([[1, 2], [0, 7]]), torch.tensor([[0, 1], [1, 0]])
    plain, conditional = density(), density(context_features=2)
    torch.testing.assert_close(plain.log_prob(x).float(), plain.log_prob(x.float()))
    expected = conditional.log_prob(x.float(), c.float())
    torch.testing.assert_close(conditional.log_prob(x, c).float(), expected)
    torch.manual_seed(0)
    samples = conditional.sample(3, c)
    torch.manual_seed(0)
    assert torch.equal(samples, conditional.sample(3, c.float()))


def test_another_size_is_refused_even_where_it_would_broadcast():
    with pytest.raises(ValueError, match=r"x has shape \(4, 1\), expected \[\.\.\., 2\]"):
        density().log_prob(torch.zeros(4, 1))
    with pytest.raises(ValueError, match=r"context has shape \(4, 1\), expected \[\.\.\., 2\]"):
        density(context_features=2).log_prob(torch.zeros(4, 2), torch.zeros(4, 1))
    with pytest.raises(ValueError, match=r"context has shape \(4, 1\), expected \[\.\.\., 2\]"):
        density(context_features=2).sample(1, torch.zeros(4, 1))
