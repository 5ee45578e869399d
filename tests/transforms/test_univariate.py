"""Univariate maps: their formulas, and a user's own."""

import pytest
import torch
from transform_layers import FEATURES, autoregressive, coupling, events

from flowbench.transforms import AffineMap, GatedMap, Inverse, ShiftMap, UnivariateMap


class SinhMap(UnivariateMap):
    """A map that a user might write: x = sinh(u) · exp(s)."""

    params = 1

    def forward(self, u, params):
        log_scale = params.squeeze(-1)
        return torch.sinh(u) * log_scale.exp(), torch.cosh(u).log() + log_scale

    def inverse(self, x, params):
        log_scale = params.squeeze(-1)
        u = torch.asinh(x * torch.exp(-log_scale))
        return u, -torch.cosh(u).log() - log_scale


@pytest.mark.parametrize("place", [autoregressive, coupling])
def test_a_map_of_ones_own(place):
    layer = place(SinhMap()).double()
    x, log_det = layer(events(6))
    u, opposite = layer.inverse(x)
    torch.testing.assert_close(u, events(6))
    torch.testing.assert_close(opposite, -log_det)


@pytest.mark.parametrize("place", [autoregressive, coupling])
def test_shifts_preserve_the_volume(place):
    layer = place(ShiftMap()).double()
    assert not layer(events(6))[1].any()
    assert not layer.inverse(events(6))[1].any()


def test_log_scale_is_softly_bounded():
    raw = torch.tensor([-1e30, -0.01, 0.0, 0.01, 1e30])
    params = torch.stack([torch.zeros(5), raw], dim=-1)
    _, log_scale = AffineMap(7.0)(torch.ones(5), params)
    torch.testing.assert_close(log_scale, torch.tensor([-7, -0.01, 0.0, 0.01, 7]))
    _, free = AffineMap(None)(torch.ones(5), params)
    assert torch.equal(free, raw)


def test_inverted_gated_layer_is_the_formula_of_the_iaf_paper():
    layer = Inverse(autoregressive(GatedMap())).double()
    noise = events(6)
    mean, raw = layer.transform.conditioner(noise).unbind(-1)
    gate = 0.01 + 0.99 * torch.sigmoid(raw + 2)
    data, log_det = layer(noise)
    torch.testing.assert_close(data, gate * noise + (1 - gate) * mean)
    torch.testing.assert_close(log_det, gate.log().sum(-1))


@pytest.mark.parametrize("raw", [-1e30, -40.0, 0.0, 40.0, 1e30])
def test_gate_is_finite_however_far_it_is_pushed(raw):
    u, params = torch.tensor([-1e4, 0.0, 1e4]), torch.tensor([3.0, raw]).expand(3, 2)
    for output in (*GatedMap()(u, params), *GatedMap().inverse(u, params)):
        assert output.isfinite().all()


@pytest.mark.parametrize("place", [autoregressive, coupling])
@pytest.mark.parametrize("univariate", [AffineMap(), ShiftMap()], ids=["affine", "shift"])
def test_networks_that_end_in_zero_start_at_the_identity(place, univariate):
    layer = place(univariate).double()
    torch.nn.init.zeros_(layer.conditioner.layers[-1].weight)
    x, log_det = layer(events(6))
    assert x.shape[-1] == FEATURES
    assert torch.equal(x, events(6))
    assert not log_det.any()
