"""Batch norms in a training loop of one's own."""

import copy

import pytest
import torch
from torch.func import functional_call, grad

from flowbench.flows import (
    MAF,
)
from flowbench.transforms import ActNorm, BatchNorm


@pytest.mark.parametrize("statistics", ["dataset", "running"])
def test_a_plain_loop_then_eval_is_the_density_that_was_trained(statistics):
    torch.manual_seed(0)
    rows = 3 * torch.randn(4000, 2) + 5
    options = {"layers": 3, "hidden_units": [8], "seed": 0, "batch_norm_statistics": statistics}
    flow = MAF(2, **options)
    optimizer = torch.optim.Adam(flow.parameters(), 1e-3)
    for _ in range(80):
        optimizer.zero_grad()
        (-flow.log_prob(rows[torch.randint(4000, (500,))]).mean()).backward()
        optimizer.step()
    trained = flow.log_prob(rows).mean().item()
    assert flow.eval().log_prob(rows).mean().item() == pytest.approx(trained, abs=0.1)
    assert flow.sample(4000).std(0).tolist() == pytest.approx([3.0, 3.0], rel=0.2)


def test_a_frozen_batch_norm_keeps_its_statistics():
    flow = MAF(2, layers=2, hidden_units=[8], seed=0)
    frozen, free = (part for part in flow.modules() if isinstance(part, BatchNorm))
    rows = 3 * torch.randn(50, 2) + 5
    frozen.eval()
    flow.log_prob(rows)
    flow.recompute_statistics(rows)
    assert not frozen.training
    assert free.training
    assert not frozen.mean.any()
    assert free.mean.any()
    flow.eval().recompute_statistics(rows)
    assert frozen.mean.any()


def test_recomputing_takes_the_statistics_of_all_rows_in_training_mode_too():
    flow = MAF(2, layers=2, hidden_units=[8], seed=0)
    rows = 3 * torch.randn(50, 2) + 5
    twin = copy.deepcopy(flow).eval()
    flow.train().recompute_statistics(rows)
    twin.recompute_statistics(rows)
    assert torch.equal(flow.eval().log_prob(rows), twin.log_prob(rows))


def test_a_functional_training_step_updates_the_statistics():
    flow = MAF(2, layers=1, hidden_units=[8])
    rows = 3 * torch.randn(50, 2) + 5
    twin = copy.deepcopy(flow)
    parameters = dict(flow.named_parameters())
    grad(lambda given: functional_call(flow, given, (rows,)).mean())(parameters)
    twin.log_prob(rows)
    for one, other in zip(flow.buffers(), twin.buffers(), strict=True):
        torch.testing.assert_close(one, other)


def test_act_norm_starts_once():
    layer = ActNorm(2)
    layer.initialize(torch.randn(50, 2) + 3)
    before = copy.deepcopy(layer.state_dict())
    layer.initialize(torch.randn(50, 2) - 3)
    assert all(torch.equal(value, before[key]) for key, value in layer.state_dict().items())
