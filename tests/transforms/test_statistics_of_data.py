"""What layers take from data before and while they are trained."""

import pytest
import torch
from transform_layers import FEATURES, autoregressive

from flowbench.transforms import (
    ActNorm,
    BatchNorm,
    Chain,
    Folded,
    Inverse,
    Permute,
    recompute_statistics,
)


@pytest.fixture
def rows():
    torch.manual_seed(0)
    return (torch.randn(500, FEATURES) * 10 ** torch.linspace(-3, 5, FEATURES) + 7).double()


def moments_of(u):
    variance, mean = torch.var_mean(u, 0, correction=0)
    return mean, variance


def assert_standardized(u):
    mean, variance = moments_of(u)
    torch.testing.assert_close(mean, torch.zeros_like(mean), atol=1e-5, rtol=0)
    torch.testing.assert_close(variance, torch.ones_like(mean), atol=1e-3, rtol=0)


def test_act_norm_standardizes_the_rows_it_starts_from(rows):
    layer = ActNorm(FEATURES).double()
    layer.initialize(rows, chunk=99)
    assert_standardized(layer.inverse(rows)[0])


def test_act_norm_leaves_the_scale_of_a_constant_feature():
    layer = ActNorm(2)
    layer.initialize(torch.tensor([[0.1, 1.0], [0.1, 3.0], [0.1, 5.0]]))
    assert layer.log_scale[0] == 0
    assert layer.log_scale[1] > 0


def test_each_act_norm_of_a_chain_sees_what_comes_before_it(rows):
    first, second = ActNorm(FEATURES), ActNorm(FEATURES)
    chain = Chain([second, Chain([autoregressive(), first])]).double().eval()
    chain.initialize(rows)
    assert_standardized(first.inverse(rows)[0])
    assert_standardized(chain.inverse(rows)[0])


def test_chunks_change_nothing(rows):
    context = torch.randn(500, 2).double()
    states = []
    for chunk in (64, 500):
        torch.manual_seed(1)
        chain = Chain([ActNorm(FEATURES), autoregressive(context_features=2)]).double()
        chain.initialize(rows / 1e3, context, chunk=chunk)
        states.append(chain.transforms[0].state_dict())
    for value, other in zip(states[0].values(), states[1].values(), strict=True):
        torch.testing.assert_close(value, other)


def test_batch_norm_statistics_are_those_of_all_rows(rows):
    chain = Chain([BatchNorm(FEATURES), autoregressive(), BatchNorm(FEATURES)]).double().eval()
    recompute_statistics(chain, rows, chunk=64)
    mean, variance = moments_of(rows)
    torch.testing.assert_close(chain.transforms[2].mean, mean)
    torch.testing.assert_close(chain.transforms[2].variance, variance)
    assert_standardized(chain.inverse(rows)[0])


def test_batch_norm_statistics_within_folded_parts(rows):
    rows = (rows - rows.mean(0)) / rows.std(0)
    inner = Chain([BatchNorm(2), autoregressive(features=2), BatchNorm(2)])
    folded = Folded(inner, groups=2)
    chain = Chain([BatchNorm(FEATURES), folded, Permute([1, 0, 3, 2])]).double().eval()
    recompute_statistics(chain, rows)
    parts = rows[:, [1, 0, 3, 2]].reshape(-1, 2)
    torch.testing.assert_close(inner.transforms[2].mean, parts.mean(0))
    assert_standardized(inner.inverse(parts)[0])
    assert_standardized(chain.inverse(rows)[0])


@pytest.mark.parametrize(
    "transform",
    [
        BatchNorm(FEATURES),
        Chain([autoregressive(), BatchNorm(FEATURES)]),
        Chain([BatchNorm(FEATURES), autoregressive()]),
        Folded(Chain([BatchNorm(2), BatchNorm(2)]), groups=2),
        Chain([ActNorm(FEATURES), Inverse(Permute([1, 0, 3, 2])), ActNorm(FEATURES)]),
    ],
)
def test_the_rows_are_left_alone(transform, rows):
    before = rows.clone()
    transform.double().eval()
    recompute_statistics(transform, rows)
    transform.initialize(rows)
    assert torch.equal(rows, before)


def test_running_statistics_follow_the_batches(rows):
    layer = BatchNorm(FEATURES, statistics="running", momentum=0.5).double()
    for _ in range(60):
        layer.inverse(rows)
    torch.testing.assert_close(layer.mean, rows.mean(0))
    expected = layer.inverse(rows)[0]
    torch.testing.assert_close(layer.eval().inverse(rows)[0], expected)
