"""Every file in configs/model/ composes, is sound, is explained, builds, and takes a step."""

import pytest
import torch
from hydra import compose, initialize_config_dir

from flowbench.checkpoint import build_flow
from flowbench.training.configuration import check, resolved
from flowbench.training.main import config_directory

FILES = sorted((config_directory() / "model").glob("*.yaml"))
EACH = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


def composed(file, *overrides):
    with initialize_config_dir(str(config_directory()), version_base="1.3"):
        return compose("train", [f"model={file.stem}", "data=toy", "logger=csv", *overrides])


def test_every_model_has_a_file():
    expected = {"gaussian", "made", "made_mog", "made_bernoulli", "maf", "maf_mog", "maf_spline"}
    expected |= {"maf_strong", "iaf", "realnvp", "realnvp_spline", "nice"}
    assert expected <= {file.stem for file in FILES}


@EACH
def test_it_is_sound_and_named_after_its_file(file):
    config = composed(file)
    check(config)
    assert config.model.name == file.stem


@EACH
def test_every_key_is_explained(file):
    lines = file.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("# ")
    for line in lines:
        assert line.startswith(("#", "_target_")) or "  # " in line, line


@EACH
@pytest.mark.parametrize("context_features", [0, 2])
def test_it_takes_a_step(file, context_features):
    torch.manual_seed(0)
    model = resolved(composed(file))["model"]
    flow = build_flow(model, features=6, context_features=context_features)
    x = torch.randn(32, 6)
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
