"""Generation in stages: features that wait for no hidden unit are generated together."""

import pytest
import torch

from flowbench.nn import AutoregressiveNetwork
from flowbench.nn.angles import AngularNetwork

NETWORKS = {
    "few units": (lambda: AutoregressiveNetwork(40, hidden_units=[6, 7], activation="tanh"), 8),
    "reversed": (
        lambda: AutoregressiveNetwork(
            40, hidden_units=[6, 6], activation="tanh", input_order="right-to-left"
        ),
        7,
    ),
    "random": (
        lambda: AutoregressiveNetwork(
            40, hidden_units=[5], activation="elu", input_order="random", hidden_degrees="random",
            seed=0,
        ),
        6,
    ),
    "residual": (
        lambda: AutoregressiveNetwork(40, hidden_units=[4] * 3, activation="elu", residual=True),
        5,
    ),
    "many units": (lambda: AutoregressiveNetwork(9, hidden_units=[80], activation="tanh"), 9),
    "linear": (lambda: AutoregressiveNetwork(9), 9),
    "angles": (
        lambda: AngularNetwork(
            20, 2, angles=[0, 3, 19], hidden_units=[5], activation="tanh", input_order="random",
            seed=0,
        ),
        6,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("gradients", [False, True])
def test_it_equals_one_pass_per_feature_in_few_stages(name, gradients):
    torch.manual_seed(0)
    build, most = NETWORKS[name]
    network = build().double().eval()
    with torch.no_grad():
        for parameter in network.parameters():  # off the masks too
            parameter.add_(0.3 * torch.randn_like(parameter))
    noise = torch.randn(3, network.features, dtype=torch.float64)
    order, stages = list(network.order), []

    def next_values(params, places):
        stages.append(places)
        return params[..., 0] + noise[:, order[places]] * params[..., 1].tanh()

    with torch.set_grad_enabled(gradients):
        drawn = network.generate(next_values, rows=3)
    params = network(drawn)
    expected = params[..., 0] + noise * params[..., 1].tanh()
    torch.testing.assert_close(drawn, expected, rtol=1e-10, atol=1e-10)
    assert len(stages) <= most
