"""Muon: the steps of matrices against singular value decompositions, all others against AdamW."""

import copy

import pytest
import torch
from torch import nn

from flowbench.nn import ConvolutionalNetwork
from flowbench.training import Muon

SHAPES = {"square": (8, 8), "wide": (4, 24), "tall": (24, 4), "kernel": (6, 2, 3, 4)}


@pytest.fixture(autouse=True)
def same_numbers():
    torch.manual_seed(0)


def of_gradients(parameter, gradients, **options):
    """The parameter after a step with each gradient."""
    trained = nn.Parameter(parameter.clone())
    optimizer = Muon([trained], **options)
    for gradient in gradients:
        trained.grad = gradient.clone()
        optimizer.step()
    return trained.detach()


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_a_step_has_the_singular_vectors_of_the_momentum_and_equal_lengths(shape):
    start, *gradients = torch.randn(3, *shape, dtype=torch.float64)
    before, after = (
        of_gradients(start, gradients[:n], lr=0.1, momentum=0.9, weight_decay=0.5) for n in (1, 2)
    )
    momentum = 0.1 * (0.9 * gradients[0] + gradients[1])
    ahead = (0.9 * momentum + 0.1 * gradients[1]).reshape(shape[0], -1)
    step = ((1 - 0.1 * 0.5) * before - after).reshape(shape[0], -1)
    u, _, vt = torch.linalg.svd(ahead, full_matrices=False)
    lengths = u.T @ step @ vt.T / (0.1 * max(1, len(u) / vt.shape[1]) ** 0.5)
    torch.testing.assert_close(lengths, torch.diag(lengths.diag()), atol=1e-6, rtol=0)
    assert 0.3 < lengths.diag().min() < lengths.diag().max() < 1.3


def test_parameters_of_one_dimension_are_stepped_by_adamw():
    start, *gradients = torch.randn(6, 5)
    ours, theirs = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    options = {"weight_decay": 0.1}
    optimizers = [
        Muon([ours], lr=1.0, adam_lr=0.03, adam_betas=(0.8, 0.95), **options),
        torch.optim.AdamW([theirs], lr=0.03, betas=(0.8, 0.95), **options),
    ]
    for gradient in gradients:
        for one, optimizer in zip((ours, theirs), optimizers, strict=True):
            one.grad = gradient.clone()
            optimizer.step()
    torch.testing.assert_close(ours, theirs)


def test_names_tell_weights_from_tables():
    network = ConvolutionalNetwork((3, 3, 1), 4, units=4, inner_units=2, blocks=1)
    named = Muon(network.named_parameters()).param_groups
    weights = [layer.weight for layer in network.modules() if hasattr(layer, "weight")]
    assert {*map(id, named[0]["params"])} == {*map(id, weights)}
    assert network.positions.ndim == 3
    assert any(one is network.positions for one in named[1]["params"])
    unnamed = Muon(network.parameters()).param_groups
    assert any(one is network.positions for one in unnamed[0]["params"])


def test_entries_outside_a_mask_get_no_step():
    network = ConvolutionalNetwork((4, 4, 2), 3, units=4, inner_units=4, blocks=1)
    before = copy.deepcopy(network)
    optimizer = Muon(network.named_parameters(), lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        (network(torch.rand(5, 32)) - 1).square().sum().backward()
        optimizer.step()
    for old, new in zip(before.modules(), network.modules(), strict=True):
        if hasattr(old, "mask"):
            assert torch.equal(old.weight[~old.mask], new.weight[~new.mask])
    assert not torch.equal(before.first.weight, network.first.weight)


def test_a_matrix_without_a_gradient_stays():
    start = torch.randn(3, 4)
    assert torch.equal(of_gradients(start, [torch.zeros(3, 4)]), start)
    assert torch.equal(Muon([nn.Parameter(start)]).param_groups[0]["params"][0], start)


def test_state_of_a_checkpoint_continues():
    x = torch.randn(20, 6)
    one = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 2))
    first = Muon(one.named_parameters(), lr=0.05)

    def train(module, optimizer, steps):
        for _ in range(steps):
            optimizer.zero_grad()
            (module(x) - 1).square().mean().backward()
            optimizer.step()

    train(one, first, 3)
    other = copy.deepcopy(one)
    second = Muon(other.named_parameters(), lr=0.05)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    train(one, first, 3)
    train(other, second, 3)
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"lr": -1.0}, "lr=-1.0: expected a number from 0 on"),
        ({"momentum": 1.0}, "a decay of 1.0: expected a number from 0 to below 1"),
    ],
)
def test_options_out_of_range_are_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        Muon([torch.zeros(2, 2)], **options)
