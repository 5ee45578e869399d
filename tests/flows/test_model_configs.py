"""Every file in configs/model/ composes, is sound, builds, and takes a step."""

from functools import cache

import pytest
import torch
from hydra import compose, initialize_config_dir

from flowbench.config.configuration import check, resolved
from flowbench.from_config import build_flow
from flowbench.run.config_directory import config_directory

FILES = sorted((config_directory() / "model").glob("*.yaml"))
OF_LEVELS = ("pixelcnn", "made_lattice", "made_lattice_mixture", "histogram")
EACH = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
EACH_FLOW = pytest.mark.parametrize(
    "file", [f for f in FILES if f.stem != "auto"], ids=lambda f: f.stem
)


@cache
def composed(file):
    if file.stem in ("zuko", "nflows", "normflows"):
        pytest.importorskip(file.stem, reason=f"{file.stem} is not installed")
    with initialize_config_dir(str(config_directory()), version_base="1.3"):
        return compose("train", [f"model={file.stem}", "data=toy", "logger=csv"])


def test_every_model_has_a_file():
    expected = {"gaussian", "made", "made_mog", "made_bernoulli", "maf", "maf_mog", "maf_spline"}
    expected |= {"maf_strong", "iaf", "realnvp", "realnvp_spline", "nice", "blockwise"}
    expected |= {"zuko", "nflows", "normflows", "pixelcnn", "made_lattice", "histogram"}
    expected |= {"made_lattice_mixture", "made_mixed"}
    assert expected <= {file.stem for file in FILES}


@EACH
def test_it_is_sound_and_named_after_its_file(file):
    config = composed(file)
    check(config)
    assert config.model.name == file.stem


@EACH_FLOW
@pytest.mark.parametrize("context_features", [0, 2])
def test_it_takes_a_step(file, context_features):
    torch.manual_seed(0)
    model = resolved(composed(file))["model"]
    if file.stem in ("nflows", "kernel") and context_features:
        with pytest.raises(ValueError, match=r"context_features"):
            build_flow(model, features=6, context_features=context_features)
        return
    lattice = {"levels": 3, "shape": [2, 3, 1]}
    flow = build_flow(model, features=6, context_features=context_features, lattice=lattice)
    x = torch.randn(32, 6)
    if file.stem in OF_LEVELS:
        x = 3 * torch.rand(32, 6)
    if file.stem == "made_bernoulli":
        x = (x > 0).float()
    context = torch.eye(context_features).repeat(16, 1) if context_features else None
    flow.initialize(x, context)
    before = flow(x, context).mean()
    parameters = list(flow.parameters())
    if parameters:
        optimizer = torch.optim.Adam(parameters, lr=1e-4)
        (-before).backward()
        optimizer.step()
        assert flow(x, context).mean() > before
    flow.eval().recompute_statistics(x, context)
    assert flow.log_prob(x, context).isfinite().all()
    assert flow.sample((3,), context).shape == ((3, 32, 6) if context_features else (3, 6))


@EACH_FLOW
@pytest.mark.parametrize("shared", [True, False])
def test_it_models_channels_apart(file, shared):
    torch.manual_seed(0)
    model = resolved(composed(file))["model"]
    if file.stem in OF_LEVELS:
        with pytest.raises(ValueError, match=r"\(data.layout=interleaved or planar\)"):
            build_flow(model, features=12, context_features=0, blocks=3, lattice={"levels": 3})
        return
    flow = build_flow(model, features=12, context_features=0, blocks=3, shared=shared)
    if file.stem == "normflows":  # starts at the identity, whatever its blocks
        for parameter in flow.parameters():
            parameter.data.add_(torch.randn_like(parameter), alpha=0.1)
    x = torch.randn(32, 12)
    if file.stem == "made_bernoulli":
        x = (x > 0).float()
    flow.initialize(x)
    flow.eval().recompute_statistics(x)
    log_prob = flow.log_prob(x).detach()
    other = x.clone()
    other[:, 4:8] = other[:, 4:8].flip(0)
    first, second = (flow.log_prob(part).detach() for part in (x, other))
    # The sum over the rows stays the same only where channels do not depend on each other.
    torch.testing.assert_close(first.sum(), second.sum(), rtol=1e-4, atol=1e-3)
    turned = flow.log_prob(x.reshape(-1, 3, 4).flip(1).flatten(1)).detach()
    assert torch.allclose(turned, log_prob, rtol=1e-3, atol=1e-3) == shared
    assert flow.sample((5,)).shape == (5, 12)
