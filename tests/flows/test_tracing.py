"""Flows in one graph: torch.export and torch.compile, of one flow of each structure."""

import pytest
import torch
from flow_table import CLASSES, CLOSE, FEATURES, build, data, one_hot
from torch import nn

TRACED = pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("gaussian", CLASSES),
        ("gaussian_mixture", CLASSES),
        ("made_mixture", 0),
        ("made_bernoulli", 0),
        ("maf", CLASSES),
        ("maf_spline", 0),
        ("iaf", 0),
        ("realnvp", 0),
        ("shared_blocks", 0),
    ],
)


@TRACED
def test_export_with_a_batch_of_any_size(name, classes):
    flow = build(name, classes)
    given = tuple(part for part in data(name, classes, 4) if part is not None)
    batch = torch.export.Dim("batch")
    program = torch.export.export(flow, given, dynamic_shapes=({0: batch},) * len(given))
    for rows in (2, 9):
        new = tuple(part for part in data(name, classes, rows) if part is not None)
        torch.testing.assert_close(program.module()(*new), flow(*new), **CLOSE)


class FromNoise(nn.Module):
    def __init__(self, flow):
        super().__init__()
        self.transform = flow.transform

    def forward(self, noise):
        return self.transform(noise)[0]


@pytest.mark.parametrize("name", ["maf", "maf_spline", "iaf", "realnvp"])
def test_export_of_sampling_from_given_noise(name):
    sampler = FromNoise(build(name))
    noise = torch.randn(4, FEATURES).double()
    batch = torch.export.Dim("batch")
    with torch.no_grad():
        program = torch.export.export(sampler, (noise,), dynamic_shapes=({0: batch},))
        noise = torch.randn(7, FEATURES).double()
        torch.testing.assert_close(program.module()(noise), sampler(noise), **CLOSE)


@TRACED
@pytest.mark.filterwarnings("ignore")
def test_compiled_in_one_graph(name, classes):
    flow = build(name, classes)
    x, context = data(name, classes, 4)
    torch.compiler.reset()
    compiled = torch.compile(flow.log_prob, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x, context), flow.log_prob(x, context), **CLOSE)


@TRACED
@pytest.mark.filterwarnings("ignore")
def test_sampling_compiled_in_one_graph(name, classes):
    """Without gradients: what `torch.compile` makes of its graph is of no interest here."""
    flow = build(name, classes)
    context = one_hot(2) if classes else None
    torch.compiler.reset()
    compiled = torch.compile(flow.sample, fullgraph=True, backend="eager")
    drawn = []
    for draw in (flow.sample, compiled):
        torch.manual_seed(0)
        drawn.append(draw((5,), context))
    torch.testing.assert_close(*drawn, **CLOSE)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["maf", "maf_spline", "realnvp"])
@pytest.mark.filterwarnings("ignore")
def test_compiled_by_inductor(name):
    flow = build(name)
    torch.compiler.reset()
    compiled = torch.compile(flow.log_prob, fullgraph=True)
    x, _ = data(name, 0, 4)
    leaf, other = x.clone().requires_grad_(), x.clone().requires_grad_()
    given, expected = compiled(leaf), flow.log_prob(other)
    torch.testing.assert_close(given, expected, **CLOSE)
    given.sum().backward()
    expected.sum().backward()
    torch.testing.assert_close(leaf.grad, other.grad, **CLOSE)
