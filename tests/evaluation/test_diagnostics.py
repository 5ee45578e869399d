"""Diagnostics find what is wrong with a flow that was made wrong in a known way."""

import math

import pytest
import torch
from torch import nn

from flowbench.data import Batch, Rows
from flowbench.evaluation.base_space import base_normality, noise, normal_quantiles
from flowbench.evaluation.diagnostics import bounded_share, gradient_norms
from flowbench.flows import MAF, Flow, RealNVP, StandardNormal
from flowbench.transforms import Affine, Chain


def rows(x, context=None):
    return Rows(x, context, torch.tensor(0.0))


@pytest.mark.parametrize(
    ("shape", "qq"),
    [
        (lambda z: z, 0.0),
        (lambda z: z + 0.5, 0.5),
        (lambda z: 2 * z, 1.0),
        (lambda z: z.sign() * z.square(), 0.899),
    ],
)
def test_quantiles_are_held_against_those_of_the_normal(shape, qq):
    """A shift, a scale and heavy tails of one of two features, the √mean square by hand."""
    z = normal_quantiles(20_000)
    other = z[torch.randperm(len(z), generator=torch.Generator().manual_seed(0))]
    found = base_normality(torch.stack([shape(z), other], dim=-1))
    assert found["qq_max"] == pytest.approx(qq, abs=0.01)
    assert found["qq_mean"] == pytest.approx(qq / 2, abs=0.01)
    assert found["correlation_max"] < 0.05
    for quantile in found["quantiles"]:
        expected = shape(torch.tensor(quantile["normal"])).item()
        near = [quantile["lowest"], quantile["highest"]]
        assert min(abs(value - expected) for value in near) < 0.06
        assert quantile["mean"] == pytest.approx(sum(near) / 2)


def test_noise_is_what_the_transform_and_the_embedding_make_of_the_rows():
    torch.manual_seed(0)
    maf = MAF(2, context_features=3, layers=1, hidden_units=[8])
    flow = Flow(maf.base, maf.transform, nn.Linear(1, 3)).eval()
    x, context = torch.randn(9000, 2), torch.randn(9000, 1)
    with torch.no_grad():
        u, _ = flow.transform.inverse(x, flow.embedding(context))
    torch.testing.assert_close(noise(flow, rows(x, context)).float(), u)
    assert bounded_share(flow, rows(x, context)) == 0.0
    assert [part["layer"] for part in gradient_norms(flow, [Batch(x, context)])] == [
        "1 MaskedAutoregressive", "2 BatchNorm", "embedding", "all",
    ]  # fmt: skip


@pytest.mark.parametrize("kind", [MAF, RealNVP])
def test_log_scales_at_their_bound_are_counted(kind):
    torch.manual_seed(0)
    options = {"output_scale": 1.0} if kind is MAF else {}
    flow = kind(2, layers=1, hidden_units=[8], log_scale_bound=0.01, batch_norm=False, **options)
    flow.eval()
    x = 10 * torch.randn(500, 2)
    share = bounded_share(flow, rows(x))
    assert 0.3 < share <= 1
    free = kind(2, layers=1, hidden_units=[8], log_scale_bound=None).eval()
    assert bounded_share(free, rows(x)) is None


def test_gradient_norms_are_those_of_a_normal_distribution():
    """With u = (x − t) / s, −log p has the gradients −u/s by t and (1 − u²)/s by s."""

    class Learnt(Affine):
        def __init__(self):
            super().__init__(features=1)
            self.t, self.log_s = nn.Parameter(torch.tensor(1.0)), nn.Parameter(torch.tensor(0.5))

        def inverse(self, x, context=None):
            log_det = -self.log_s.expand(len(x))
            return (x - self.t) * torch.exp(-self.log_s), log_det

    flow = Flow(StandardNormal(1), Chain([Learnt()]))
    batches = [Batch(torch.randn(50, 1) + shift, None) for shift in (0.0, 4.0)]
    expected = []
    for x in (batch.x for batch in batches):
        u = (x - 1) / math.exp(0.5)
        by_t, by_log_s = -u.mean() / math.exp(0.5), (1 - u.square()).mean()
        expected.append(math.hypot(by_t, by_log_s))
    layer, everything = gradient_norms(flow, batches)
    assert layer["layer"] == "1 Learnt"
    assert layer["mean"] == everything["mean"] == pytest.approx(sum(expected) / 2, rel=1e-5)
    assert layer["max"] == pytest.approx(max(expected), rel=1e-5)
    assert gradient_norms(Flow(StandardNormal(1), Chain()), batches) == []
