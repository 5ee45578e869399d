"""An embedding summarises raw contexts for a flow of any family."""

import sys

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from run_commands import composed, train
from torch import nn

import flowbench
from flowbench.checkpoint import CheckpointError
from flowbench.config.configuration import ConfigError
from flowbench.data import DataModule, RawData
from flowbench.flows import Flow, StandardNormal
from flowbench.from_config import build_flow
from flowbench.run.main import config_directory
from flowbench.transforms import Chain

MODULE = "tests_of_embeddings"
MAPS = (1, 4, 4)


def rows(n, seed):
    """Two numbers whose mean is the brightness of a picture, and the picture."""
    rng = np.random.default_rng(seed)
    level = rng.normal(size=(n, 1))
    pictures = level[:, :, None, None] + 0.1 * rng.normal(size=(n, *MAPS))
    return level + 0.1 * rng.normal(size=(n, 2)), pictures


class Pictures(DataModule):
    def read(self):
        sizes = {"train": 1000, "val": 200, "test": 200}
        drawn = {split: rows(n, seed) for seed, (split, n) in enumerate(sizes.items())}
        return RawData(
            x={split: x for split, (x, _) in drawn.items()},
            context={split: pictures for split, (_, pictures) in drawn.items()},
        )


class Summary(nn.Sequential):
    def __init__(self, *, size=3):
        super().__init__(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(size))


class Own(Flow):
    """A flow whose constructor has an embedding of its own."""

    def __init__(self, features, *, context_features, embedding):
        self.given = context_features
        super().__init__(StandardNormal(features), Chain(), embedding)


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    monkeypatch.setitem(sys.modules, MODULE, sys.modules[__name__])
    monkeypatch.setattr("flowbench.run.run.draw_figures", lambda *_: None)


@pytest.fixture
def folder(tmp_path):
    """Of configurations, with one of our data."""
    (tmp_path / "configs" / "data").mkdir(parents=True)
    text = f"name: pictures\n_target_: {MODULE}.Pictures\nbatch_size: ${{training.batch_size}}\n"
    (tmp_path / "configs" / "data" / "pictures.yaml").write_text(text)
    return tmp_path


def words(folder, *overrides):
    return [f"hydra.searchpath=[file://{folder / 'configs'}]", "data=pictures", "logger=none",
            "trainer=cpu", "trainer.max_epochs=3", "training.batch_size=50",
            "training.learning_rate=1e-2", *overrides]  # fmt: skip


NODE = f"+model.embedding={{_target_: {MODULE}.Summary, size: 3}}"
SMALL = ["model.layers=2", "model.hidden_units=[16]"]


def test_a_run_on_contexts_that_are_pictures(folder):
    path, result = train(folder, *words(folder, *SMALL, NODE))
    assert result["context_features"] == 16
    assert result["test"]["log_likelihood"]["data_space"]["mean"] > 0.5  # without a context −2.5
    with pytest.raises(CheckpointError, match="pass trust=True"):
        flowbench.load(path)
    density = flowbench.load(path, trust=True)
    x, pictures = rows(200, 2)
    scored = density.log_prob(x, pictures)
    mean = result["test"]["log_likelihood"]["data_space"]["mean"]
    assert scored.mean().item() == pytest.approx(mean, abs=1e-5)
    assert density.sample(5, pictures[:3]).shape == (5, 3, 2)
    with pytest.raises(
        ValueError, match=r"context has shape \(7, 16\), expected \[\.\.\., 1, 4, 4]"
    ):
        density.log_prob(x[:7], pictures[:7].reshape(7, 16))


CONDITIONAL = (
    "maf maf_mog maf_spline maf_strong iaf made made_mog realnvp realnvp_spline nice".split()
)


@pytest.mark.parametrize("model", CONDITIONAL)
def test_every_family_takes_an_embedding(model):
    with initialize_config_dir(str(config_directory()), version_base="1.3"):
        node = dict(compose("train", [f"model={model}"]).model)
    node |= {"embedding": {"_target_": f"{MODULE}.Summary", "size": 3}}
    node |= {"seed": 0} if "seed" in node else {}
    flow = build_flow(node, features=4, context_features=16, context_shape=MAPS)
    pictures = torch.randn(7, *MAPS, requires_grad=True)
    log_prob = flow.log_prob(torch.randn(7, 4), pictures)
    log_prob.sum().backward()
    assert log_prob.shape == (7,)
    assert all(p.grad is not None for p in flow.embedding.parameters())
    assert flow.eval().sample((2,), pictures.detach()).shape == (2, 7, 4)


def test_blocks_share_an_embedding():
    node = {"_target_": "flowbench.flows.MADE", "hidden_units": [8], "embedding": {
        "_target_": f"{MODULE}.Summary"}}  # fmt: skip
    flow = build_flow(node, features=6, context_features=16, context_shape=MAPS, blocks=3)
    assert flow.log_prob(torch.randn(5, 6), torch.randn(5, *MAPS)).shape == (5,)
    assert [name for name, _ in flow.named_modules() if name.endswith("embedding")] == [
        "embedding"
    ]


def test_a_constructor_that_has_an_embedding_is_given_it():
    node = {"_target_": f"{MODULE}.Own", "embedding": {"_target_": f"{MODULE}.Summary"}}
    flow = build_flow(node, features=2, context_features=16, context_shape=MAPS)
    assert isinstance(flow.embedding, Summary)
    assert flow.construction[1]["context_features"] == 16


def test_an_embedding_in_plain_python(tmp_path):
    flow = flowbench.MAF(2, context_features=3, layers=2, hidden_units=[16])
    flow.embedding = Summary(size=3)
    x, pictures = rows(1000, 0)
    density = flowbench.fit(flow, x, pictures, max_epochs=3, learning_rate=1e-2, batch_size=50)
    fresh = density.log_prob(*rows(500, 1))
    assert fresh.mean().item() > 0.5
    with pytest.raises(ValueError, match="MAF was altered after its construction"):
        density.save(tmp_path / "density.ckpt")


@pytest.mark.parametrize(
    ("overrides", "kind", "sentence"),
    [
        ([], ValueError, r"contexts of the data have shape \(1, 4, 4\), expected vectors or"),
        (["+model.embedding={_target_: torch.nn.Conv2d, in_channels: 3, out_channels: 1, "
          "kernel_size: 1}"], ValueError, r"does not take contexts of shape \(1, 4, 4\)"),
        (["+model.embedding={_target_: torch.nn.Identity}"], ValueError, "expected .2, features."),
        (["+model.embedding={_target_: builtins.dict}"], ValueError, "dict gives a dict, exp"),
        ([f"+model.embedding={{_target_: {MODULE}.Summary, sizes: 3}}"], ConfigError,
         "model.embedding.sizes: unknown key; did you mean model.embedding.size?"),
        (["data=toy", NODE], ValueError, "no context; expected model.embedding=null"),
    ],
)  # fmt: skip
def test_mistakes_are_one_sentence(folder, overrides, kind, sentence):
    with pytest.raises(kind, match=sentence) as caught:
        train(folder, *words(folder, *SMALL, *overrides))
    assert len(str(caught.value).splitlines()) == 1
    assert not list(folder.glob("outputs/*"))


def test_no_embedding_is_the_meaning_of_its_absence(folder):
    config = composed(*words(folder, "+model.embedding=null"))
    flow = build_flow(config.model, features=2, context_features=3)
    assert flow.embedding is None
