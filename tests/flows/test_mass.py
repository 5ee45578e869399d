"""It stays a density, whatever writes the weights, and samples follow it."""

import copy
import pickle

import pytest
import torch
from flow_table import (
    ALL,
    CLOSE,
    FEATURES,
    FLOWS,
    build,
    classes_of,
    context_of,
    drawn_anew,
    events,
    grid,
)
from torch import nn
from torch.func import functional_call, jacrev, vmap
from torch.nn.utils import parameters_to_vector, prune, vector_to_parameters
from torch.optim.swa_utils import AveragedModel

import flowbench
from flowbench.nn import MaskedLinear


def by_us(flow, x, context):
    flowbench.fit(flow, x, context, max_epochs=1, standardized=False, batch_size=20)
    flow.eval()


def by_a_plain_loop(flow, x, context, optimizer=torch.optim.Adam, parameters=None):
    parameters = [*flow.parameters()] if parameters is None else parameters
    step = optimizer(parameters, lr=0.02)
    flow.train()
    for _ in range(4):
        step.zero_grad()
        (-flow.log_prob(x, context).mean()).backward()
        step.step()
    flow.eval()


def by_muon(flow, x, context):
    """Its steps are orthogonal as matrices, hence mix the rows of a weight."""
    matrices = [p for p in flow.parameters() if p.ndim == 2 and p.numel()]
    if matrices and hasattr(torch.optim, "Muon"):
        by_a_plain_loop(flow, x, context, torch.optim.Muon, matrices)
    for matrix in matrices:
        left, _, right = torch.linalg.svd(torch.randn_like(matrix), full_matrices=False)
        matrix.data.add_(left @ right, alpha=0.1)


def by_init(flow, x, context):
    drawn_anew(flow)


def by_vector(flow, x, context):
    vector = parameters_to_vector(flow.parameters())
    vector_to_parameters(vector + 0.1 * torch.randn_like(vector), flow.parameters())


def by_data(flow, x, context):
    for parameter in flow.parameters():
        parameter.data = parameter.data + 0.1 * torch.randn_like(parameter)


def by_averaging(flow, x, context):
    average, other = AveragedModel(flow), copy.deepcopy(flow)
    drawn_anew(other)
    average.update_parameters(flow)
    average.update_parameters(other)
    flow.load_state_dict(average.module.state_dict())


def by_pruning(flow, x, context):
    for layer in flow.modules():
        if isinstance(layer, (MaskedLinear, nn.Linear)) and layer.weight.numel():
            prune.random_unstructured(layer, "weight", 0.3)


WRITES = [
    by_us,
    by_a_plain_loop,
    by_muon,
    by_init,
    by_vector,
    by_data,
    by_averaging,
    by_pruning,
]


def mass(log_prob, name, context, dtype=torch.float64):
    points, areas = grid(name, 141)
    with torch.no_grad():
        return (log_prob(points.to(dtype), context).double().exp() * areas).sum().item()


@ALL
def test_mass_is_one_whatever_writes_the_weights(name):
    start = build(name, classes_of(name), features=2, noise=0.05)
    context = context_of(name, 1)
    x, given = events(name, 60, 2), context_of(name, 60)
    for write in WRITES if [*start.parameters()] else [by_us]:
        flow = copy.deepcopy(start)
        write(flow, x, given)
        assert mass(flow.log_prob, name, context) == pytest.approx(1, abs=0.02), write.__name__
        if write is by_pruning:  # its state has other keys
            continue
        again = pickle.loads(pickle.dumps(copy.deepcopy(start)))
        again.load_state_dict(flow.state_dict())
        assert torch.equal(again.log_prob(x, given), flow.log_prob(x, given)), write.__name__
        if write is by_init:
            single = context if context is None else context.float()
            found = mass(flow.float().log_prob, name, single, torch.float32)
            assert found == pytest.approx(1, abs=0.02)


@ALL
def test_mass_is_one_as_constructed(name):
    flow = FLOWS[name](2, context_features=classes_of(name), seed=0).eval()
    context = context_of(name, 1)
    context = None if context is None else context.float()
    found = mass(flow.log_prob, name, context, torch.float32)
    assert found == pytest.approx(1, abs=0.02)


@ALL
def test_mass_is_one_by_functional_call(name):
    flow = build(name, classes_of(name), features=2, noise=0.05)
    moved = {key: p + 0.1 * torch.randn_like(p) for key, p in flow.named_parameters()}
    context = context_of(name, 1)
    given = mass(lambda x, c: functional_call(flow, moved, (x, c)), name, context)
    assert given == pytest.approx(1, abs=0.02)


DIRECTIONS = torch.tensor([[0.8, 0.6], [0.6, -0.8], [-0.28, 0.96]], dtype=torch.float64)


def statistics(x, log_prob):
    """What samples and density are compared by: some projections, and the log-density itself."""
    return [*(DIRECTIONS @ x.mT), log_prob]


def ks_distance(samples, values, masses):
    """Largest distance of two distribution functions, the second that of masses at values."""
    values, order = values.sort()
    ranks = torch.searchsorted(samples.sort().values, values + 1e-9, right=True)
    return (ranks / len(samples) - masses[order].cumsum(0)).abs().max().item()


@ALL
def test_samples_follow_the_density(name):
    torch.manual_seed(0)
    flow = build(name, classes_of(name), features=2, noise=0.1)
    context = context_of(name, 1)
    points, areas = grid(name, 281)
    with torch.no_grad():
        on_grid = flow.log_prob(points, context)
    x = flow.sample(20_000, context).view(-1, 2)
    with torch.no_grad():
        of_samples = flow.log_prob(x, context)
    masses = on_grid.exp() * areas
    pairs = zip(statistics(x, of_samples), statistics(points, on_grid), strict=True)
    for samples, values in pairs:
        assert ks_distance(samples, values, masses) < 0.018  # at 20,000 draws, p = 5e-6


@ALL
def test_map_and_way_back_agree_with_foreign_weights(name):
    flow = build(name, classes_of(name))
    drawn_anew(flow)
    context = context_of(name, 5)
    given = None if context is None else flow.embedding(context).detach()
    x = events(name, 5, FEATURES)
    with torch.no_grad():
        u, log_det = flow.transform.inverse(x, given)
        again, there = flow.transform(u, given)
    torch.testing.assert_close(again, x, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(there, -log_det, rtol=1e-6, atol=1e-6)
    rows = (x,) if given is None else (x, given)
    jacobian = vmap(jacrev(lambda *row: flow.transform.inverse(*row)[0]))(*rows)
    torch.testing.assert_close(torch.linalg.slogdet(jacobian)[1].detach(), log_det, **CLOSE)
