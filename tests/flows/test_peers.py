"""Flows of other libraries are the densities that they were, in the shapes of this one."""

import io
from functools import partial
from importlib import import_module

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from flowbench import fit
from flowbench.flows import MAF
from flowbench.flows.peers import NFlows, NormFlows, Zuko, normflows_spline
from flowbench.run.config_directory import config_directory
from flowbench.training.engines import compiled
from flowbench.training.engines.pack import Pack


def zuko(features, context_features=0):
    options = {"transforms": 2, "hidden_features": [8], "features": features}
    return import_module("zuko").flows.NSF(**options, context=context_features)


def nflows(features, context_features=0):
    made = import_module("nflows.transforms").MaskedAffineAutoregressiveTransform
    transform = made(features, 8, context_features=context_features or None)
    normal = import_module("nflows.distributions").StandardNormal([features])
    return import_module("nflows.flows").Flow(transform, normal)


normflows = partial(normflows_spline, layers=2, hidden_features=8)
PEERS = {
    "zuko": (partial(Zuko, flow=lambda features, context: zuko(features, context)), zuko),
    "nflows": (partial(NFlows, flow=nflows), nflows),
    "normflows": (partial(NormFlows, flow=normflows), normflows),
}
EACH = pytest.mark.parametrize("name", PEERS)


def built(name, classes=0):
    pytest.importorskip(name, reason=f"{name} is not installed")
    torch.manual_seed(0)
    flow = PEERS[name][0](2, context_features=classes).eval()
    for parameter in flow.parameters():
        parameter.data.add_(torch.randn_like(parameter), alpha=0.1)
    return flow


@EACH
def test_it_is_the_density_of_the_library(name):
    flow, x = built(name), torch.randn(7, 2)
    original = PEERS[name][1](2)
    original.load_state_dict(flow.base.flow.state_dict())
    density = original() if name == "zuko" else original.eval()
    torch.testing.assert_close(flow.log_prob(x), density.log_prob(x))


@EACH
@pytest.mark.parametrize("classes", [0, 3])
def test_the_total_mass_is_one_and_samples_come_from_it(name, classes):
    flow = built(name, classes)
    context = torch.eye(classes)[1] if classes else None
    axis = torch.linspace(-8, 8, 401)
    grid = torch.cartesian_prod(axis, axis)
    with torch.no_grad():
        density = flow.log_prob(grid, context).exp() * (axis[1] - axis[0]) ** 2
        assert density.sum().item() == pytest.approx(1, abs=1e-2)
        samples = flow.sample((4000,), context)
    assert samples.shape == (4000, 2)
    torch.testing.assert_close(samples.mean(0), density @ grid, rtol=0, atol=0.15)


@EACH
def test_contexts_broadcast_and_matter(name):
    flow, context = built(name, 3), torch.eye(3)
    log_prob = flow.log_prob(torch.zeros(5, 1, 2), context)
    assert log_prob.shape == (5, 3)
    assert log_prob[0].unique().numel() == 3
    assert flow.sample((4, 6), context).shape == (4, 6, 3, 2)
    alone = flow.log_prob(torch.zeros(2), context[2])
    torch.testing.assert_close(alone, log_prob[0, 2])


def of_the_manual(name, features=2):
    """The flow of configs/model/NAME.yaml, in small."""
    pytest.importorskip(name, reason=f"{name} is not installed")
    node = OmegaConf.load(config_directory() / "model" / f"{name}.yaml")
    assert isinstance(node, DictConfig)
    small = {"zuko": {"transforms": 1, "hidden_features": [8]}, "normflows": {"layers": 1}}
    small["nflows"] = {"num_layers": 1, "hidden_features": 8}
    node.flow.update(small[name])
    del node["name"]
    torch.manual_seed(0)
    return instantiate(node, features=features)


@EACH
@pytest.mark.parametrize("packed", [False, True])
def test_where_its_step_cannot_be_traced_it_is_trained_by_the_plain_engine(
    name, packed, capsys, monkeypatch
):
    """By itself, and packed with another; those that can be traced end with the same numbers."""
    traced = partial(torch.compile, fullgraph=True, dynamic=False, backend="eager")
    monkeypatch.setattr(compiled, "compile_step", lambda function, **_: traced(function))
    x = torch.randn(110, 2, generator=torch.Generator().manual_seed(0))

    pytest.importorskip(name, reason=f"{name} is not installed")

    def trained(engine):
        flow = of_the_manual(name)
        fit(flow, x, engine=engine, batch_size=50, max_epochs=2, progress=False)
        return flow.state_dict()

    states, told = [], io.StringIO()

    def job():
        states.append(trained("compiled"))

    if packed:
        assert Pack([(job, told), (job, told)]).run() == [None, None]
    else:
        job()
    lines = (capsys.readouterr().err + told.getvalue()).splitlines()
    kinds = (
        "training.engine=plain: torch.compile cannot compile ",
        "steps one by one, not packed",
    )
    assert all(line.startswith(kinds) for line in lines)
    assert len(lines) <= 1 + 2 * packed
    plain = trained("plain")
    for state in states:
        for key, value in plain.items():
            torch.testing.assert_close(state[key], value, rtol=1e-4, atol=1e-5)


@EACH
def test_a_flow_that_cannot_be_built_is_one_sentence(name):
    kind = PEERS[name][0].func
    with pytest.raises(ValueError, match=r"model\.flow cannot be built: .*features"):
        kind(2, flow=lambda: MAF(2))


class Refusing(torch.nn.Module):
    """A flow of a library, which tells of a wrong option only when it is used."""

    def __init__(self, features, *, late):
        super().__init__()
        if not late:
            raise RuntimeError("Repeats must\nbe non-negative")

    def log_prob(self, x, context=None):
        raise AssertionError("'transforms' cannot be empty")


@pytest.mark.parametrize(
    ("late", "sentence"),
    [
        (False, "model.flow cannot be built: Repeats must be non-negative"),
        (True, "model.flow cannot score a row: 'transforms' cannot be empty"),
    ],
)
def test_an_option_that_the_library_refuses_is_told_when_the_flow_is_built(late, sentence):
    with pytest.raises(ValueError) as caught:
        NFlows(2, flow=partial(Refusing, late=late))
    assert str(caught.value) == sentence
