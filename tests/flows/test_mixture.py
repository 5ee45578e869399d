"""Mixtures of flows: the mean of their densities, and one training for all."""

from functools import partial

import pytest
import torch

from flowbench.flows import MADE, MAF, LatticeMADE, Mixture, mixture_of

SMALL = {"hidden_units": [8], "seed": 0}


def test_it_is_the_mean_of_the_densities_and_each_learns_all_rows():
    torch.manual_seed(0)
    flows = [MAF(2, layers=1, context_features=2, **SMALL), MADE(2, context_features=2, **SMALL)]
    mixture = Mixture(flows)
    x, context = torch.randn(50, 2), torch.eye(2).repeat(25, 1)
    mixture.initialize(x, context)
    mixture.eval().recompute_statistics(x, context)
    terms = torch.stack([flow.log_prob(x, context) for flow in flows])
    torch.testing.assert_close(mixture.log_prob(x, context), terms.exp().mean(0).log())
    together = mixture.train().log_prob(x, context)
    alone = torch.stack([flow.log_prob(x, context) for flow in flows])
    torch.testing.assert_close(together, alone.mean(0))


def test_samples_come_from_all_flows_alike():
    torch.manual_seed(0)
    mixture = Mixture([MADE(1, **SMALL), MADE(1, **SMALL)]).eval()
    for sign, flow in zip((-1, 1), mixture.base.flows, strict=True):
        for parameter in flow.parameters():
            torch.nn.init.zeros_(parameter)
        flow.base.network.layers[-1].bias.data[0] = 50.0 * sign
    x, log_prob = mixture.sample_and_log_prob((2000,))
    assert (x > 0).float().mean().item() == pytest.approx(0.5, abs=0.05)
    torch.testing.assert_close(mixture.log_prob(x), log_prob)


def test_each_has_an_order_of_its_own_and_the_lattice_of_the_data():
    made = partial(LatticeMADE, hidden_units=[8], input_order="random")
    lattice = {"levels": [3] * 9}
    mixture, again = (mixture_of(9, lattice=lattice, seed=3, flow=made) for _ in range(2))
    orders = [flow.base.network.order for flow in mixture.base.flows]
    assert len({tuple(order) for order in orders}) == 4
    assert orders == [flow.base.network.order for flow in again.base.flows]


def test_flows_of_unequal_sizes_are_refused():
    with pytest.raises(ValueError, match="2 flows: expected at least one, all of equal size"):
        Mixture([MADE(1), MADE(2)])
    with pytest.raises(ValueError, match="0 flows: expected at least one"):
        Mixture([])
