"""Events mapped to numbers that are independent and uniform if they are of the density."""

from functools import partial

import pytest
import torch
from torch import nn

from flowbench.evaluation.uniformity import distances
from flowbench.flows import (
    IAF,
    MADE,
    MAF,
    NICE,
    Base,
    Blockwise,
    ConditionalNormal,
    Flow,
    Gaussian,
    GaussianMixture,
    Histogram,
    Johnson,
    KernelDensity,
    LatticeMADE,
    MixedMADE,
    Mixture,
    PixelCNN,
    RealNVP,
    SharedBlocks,
    StandardNormal,
)
from flowbench.transforms import Chain

ROWS = 3000
CRITICAL = 2.2 / ROWS**0.5  # exceeded by one uniform feature in 8,000
MEASURE = {"columns": [{"levels": 3}, {"levels": 100}, {}, {"atoms": [0.0, 2.0]}]}
SMALL = {"hidden_units": [8]}


def two_heaps(columns=3):
    heaps = torch.tensor([[-2.0] * columns, [1.0] * columns])[torch.arange(400) % 2]
    return heaps + torch.randn(400, columns) @ torch.randn(columns, columns)


def fitted(flow, x=None):
    flow.initialize(two_heaps() if x is None else x)
    return flow


def of_pairs(k):
    return fitted(Histogram(2, lattice={"levels": [2, 5]}), k)


FLOWS = {
    "made": lambda: MADE(3, **SMALL),
    "made, mixture": lambda: MADE(3, family="mixture", components=3, **SMALL),
    "made, binary": lambda: MADE(3, family="bernoulli", **SMALL),
    "made_lattice": lambda: LatticeMADE(3, lattice={"levels": [2, 5, 17]}, **SMALL),
    "made_lattice, logistic": lambda: LatticeMADE(
        3, lattice={"levels": [2, 5, 17]}, family="logistic", **SMALL
    ),
    "made_lattice, unbounded": lambda: LatticeMADE(
        2, lattice={"levels": [4, 9], "unbounded": True}, **SMALL
    ),
    "pixelcnn": lambda: PixelCNN(
        4, lattice={"levels": 5, "shape": [2, 2, 1]}, units=4, inner_units=2, blocks=1
    ),
    "mixed": lambda: MixedMADE(4, measure=MEASURE, most_categories=8, **SMALL),
    "mixed, splines": lambda: MixedMADE(3, family="spline", **SMALL),
    "gaussian": lambda: fitted(Gaussian(3)),
    "gaussian_mixture": lambda: fitted(GaussianMixture(3, components=2)),
    "histogram": lambda: of_pairs(torch.tensor([[0.5, 1.5], [1.5, 3.5], [1.5, 4.5]])),
    "kernel": lambda: fitted(KernelDensity(3)),
    "maf": lambda: MAF(3, layers=2, **SMALL),
    "iaf": lambda: IAF(3, layers=1, **SMALL),
    "nice": lambda: NICE(4, **SMALL),
    "realnvp": lambda: RealNVP(4, circular=[1], **SMALL),
    "johnson": lambda: fitted(Johnson(Gaussian(3))),
    "blocks": lambda: Blockwise([MADE(2, **SMALL), Gaussian(1)]),
    "shared blocks": lambda: SharedBlocks(MADE(2, **SMALL), blocks=2),
    "mixture": lambda: Mixture([MADE(3, **SMALL), fitted(Gaussian(3))], weights=[0.3, 0.7]),
    "conditional normal": lambda: Flow(ConditionalNormal(2, context_features=2), Chain()),
    "labels": lambda: Gaussian(2, context_features=2),
    "given contexts": lambda: MADE(3, context_features=2, **SMALL),
}


@pytest.fixture(params=FLOWS)
def flow(request):
    torch.manual_seed(1)
    made = FLOWS[request.param]()
    for parameter in made.parameters():
        nn.init.normal_(parameter, 0, 0.5)
    return made.eval()


def test_events_of_the_density_are_uniform_in_every_feature_and_of_others_not(flow):
    context = None
    if flow.context_features:
        context = torch.eye(2)[torch.arange(ROWS) % 2]
    x = flow.sample((), context) if context is not None else flow.sample(ROWS)
    uniforms = flow.uniforms(x, context).double()
    assert distances(uniforms).max() < CRITICAL
    assert uniforms.T.corrcoef().fill_diagonal_(0).abs().max() < 4 / ROWS**0.5
    others = torch.where(torch.rand(ROWS, 1) < 0.5, x, x[:1])
    assert distances(flow.uniforms(others, context).double()).max() > 2 * CRITICAL


@pytest.mark.parametrize("kind", [GaussianMixture, partial(KernelDensity, centres=50)])
def test_they_are_the_conditional_distribution_functions_of_columns(kind):
    """The numbers, by integrating the density over the last column."""
    torch.manual_seed(2)
    flow = fitted(kind(3)).double()
    x = two_heaps()[:3].double()
    line = torch.linspace(-10, 10, 2_001, dtype=torch.float64)
    for row, uniform in zip(x, flow.uniforms(x), strict=True):
        points = torch.cat([row[:2].expand(len(line), 2), line.unsqueeze(-1)], -1)
        density = flow.log_prob(points).exp()
        below = density[line <= row[2]].sum() / density.sum()
        assert uniform[2] == pytest.approx(below.item(), abs=0.01)


def test_a_density_without_distribution_functions_says_so():
    class Other(StandardNormal):
        uniforms = Base.uniforms

    with pytest.raises(
        NotImplementedError, match="Other does not know its distribution functions"
    ):
        Flow(Other(2), Chain()).uniforms(torch.zeros(2))
