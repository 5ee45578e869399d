"""Models of levels: probabilities on the lattice, and densities of the rows of model space."""

import copy
import pickle

import numpy as np
import pytest
import torch
from flow_table import CLASSES, one_hot
from torch import nn
from torch.func import functional_call, grad, vmap

from flowbench.data.images.dequantisation import dequantise
from flowbench.flows import Histogram, LatticeMADE, PixelCNN
from flowbench.flows.lattice_description import Lattice
from flowbench.flows.preprocessed import Preprocessed
from flowbench.transforms.steps import build_preprocess

PICTURE = {"levels": 3, "shape": [2, 2, 1]}
COLOUR = {"levels": 3, "shape": [1, 2, 2]}
OWN = {"levels": [2, 4, 1], "origin": [0.0, 5.0, 0.0], "step": [1.0, 0.5, 2.0]}
SMALL = {"units": 4, "inner_units": 4, "blocks": 1, "first_kernel": 3}


def logit(levels, features):
    scale = {"name": "Affine", "scale": float(levels), "features": features}
    return [scale, {"name": "Logit", "alpha": 0.05}]


FLOWS = {
    "pixelcnn": (PixelCNN, PICTURE | {"preprocess": logit(3, 4)}, SMALL),
    "pixelcnn_colour": (PixelCNN, COLOUR, SMALL | {"gated": True}),
    "pixelcnn_logistic": (PixelCNN, PICTURE, SMALL | {"family": "logistic", "components": 2}),
    "made_lattice": (LatticeMADE, OWN, {"hidden_units": [8]}),
    "made_lattice_random": (
        LatticeMADE,
        OWN | {"preprocess": [{"name": "Permute", "permutation": [2, 0, 1]}]},
        {"hidden_units": [8], "input_order": "random", "seed": 0},
    ),
    "made_lattice_logistic": (
        LatticeMADE,
        OWN | {"preprocess": [{"name": "Standardize", "mean": [0.3] * 3, "std": [0.7] * 3}]},
        {"hidden_units": [8], "family": "logistic", "components": 2},
    ),
    "histogram": (Histogram, OWN, {}),
    "binary": (PixelCNN, PICTURE | {"levels": 2, "discrete": True}, SMALL),
}
EITHER = pytest.mark.parametrize(
    ("name", "classes"), [(name, classes) for name in FLOWS for classes in (0, CLASSES)]
)


def build(name, classes=0, *, seed=0):
    """A flow in evaluation mode, away from its initial values."""
    torch.manual_seed(seed)
    kind, lattice, options = FLOWS[name]
    features = len(Lattice(**lattice).levels) if "shape" not in lattice else 4
    flow = kind(features, context_features=classes, lattice=lattice, **options).double()
    for parameter in flow.parameters():
        nn.init.normal_(parameter, 0, 0.7)
    flow.initialize(rows(flow, 40), one_hot(40) if classes else None)
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.3)
    return flow.eval()


def cells(flow):
    """All combinations of levels."""
    axes = [torch.arange(count).double() for count in flow.base.counts.tolist()]
    return torch.cartesian_prod(*axes)


def rows(flow, *shape):
    """Rows of model space in random cells."""
    places = cells(flow)[torch.randint(len(cells(flow)), shape)]
    if not flow.discrete:
        places = places + torch.rand_like(places) * 0.999
    return flow.transform(places)[0]


def probabilities(flow, context=None):
    """The probability of every cell, by the definition of a density that is constant in cells."""
    places = cells(flow) + (0.0 if flow.discrete else 0.3)
    x, log_det = flow.transform(places)
    with torch.no_grad():
        return (flow.log_prob(x, context) + log_det).exp()


@EITHER
def test_the_probabilities_of_all_cells_add_up_to_one_whatever_the_weights(name, classes):
    flow = build(name, classes)
    context = torch.eye(CLASSES, dtype=torch.float64)[:1] if classes else None
    assert probabilities(flow, context).sum().item() == pytest.approx(1, abs=1e-7)
    for parameter in flow.parameters():
        nn.init.normal_(parameter, 0, 2)
    assert probabilities(flow, context).sum().item() == pytest.approx(1, abs=1e-7)


@EITHER
def test_samples_follow_the_probabilities_and_come_with_their_density(name, classes):
    flow = build(name, classes)
    context = torch.eye(CLASSES, dtype=torch.float64)[1:] if classes else None
    n = 4000
    x, log_prob = flow.sample_and_log_prob(n, context)
    torch.testing.assert_close(flow.log_prob(x, context), log_prob)
    places = flow.transform.inverse(x)[0].reshape(n, -1)
    found = torch.cdist(places.floor(), cells(flow), p=1).argmin(-1)
    expected = probabilities(flow, context)
    shares = torch.bincount(found, minlength=len(expected)) / n
    errors = (expected * (1 - expected) / n).sqrt() + 1 / n
    assert ((shares - expected) / errors).abs().max() < 5
    if not flow.discrete:
        noise = (places - places.floor()).flatten().sort().values
        assert (noise - torch.linspace(0, 1, len(noise))).abs().max() < 0.03


@EITHER
def test_shapes_broadcast_and_rows_do_not_depend_on_each_other(name, classes):
    flow = build(name, classes)
    x = rows(flow, 5, 1)
    context = torch.eye(CLASSES, dtype=torch.float64) if classes else None
    log_prob = flow.log_prob(x, context)
    assert log_prob.shape == ((5, CLASSES) if classes else (5, 1))
    one = flow.log_prob(x[2, 0], None if context is None else context[0])
    torch.testing.assert_close(one, log_prob[2, 0])
    if classes:
        assert not torch.equal(log_prob[:, 0], log_prob[:, 1])
        assert flow.sample((3,), context).shape == (3, CLASSES, flow.features)
        with pytest.raises(ValueError, match="not given"):
            flow.log_prob(x)
    else:
        assert flow.sample((3, 2)).shape == (3, 2, flow.features)
        assert flow.sample().shape == (flow.features,)
        assert flow.sample(0).shape == (0, flow.features)
        assert flow.log_prob(x[:0]).shape == (0, 1)


@EITHER
def test_states_copies_and_types(name, classes):
    flow, other = build(name, classes), build(name, classes, seed=1)
    x, context = rows(flow, 9), one_hot(9) if classes else None
    expected = flow.log_prob(x, context)
    other.load_state_dict(flow.state_dict())
    for twin in (other, copy.deepcopy(flow), pickle.loads(pickle.dumps(flow))):
        assert torch.equal(twin.log_prob(x, context), expected)
    single = copy.deepcopy(flow).float()
    context_single = None if context is None else context.float()
    given = single.log_prob(x.float(), context_single)
    assert given.dtype == single.sample(2, context_single).dtype == torch.float32
    torch.testing.assert_close(given, expected.float(), rtol=1e-3, atol=1e-3)


@EITHER
def test_derivatives(name, classes):
    """In x that of the map to model space; in the parameters and the context all."""
    flow = build(name, classes)
    if flow.discrete or name == "histogram":
        pytest.skip("nothing to differentiate")
    x, context = rows(flow, 3), one_hot(3).requires_grad_() if classes else None
    leaf = x.clone().requires_grad_()
    found = torch.autograd.grad(flow.log_prob(leaf, context).sum(), leaf)[0]
    other = x.clone().requires_grad_()
    log_det = flow.transform.inverse(other)[1].sum()
    expected = torch.zeros_like(x)
    if log_det.requires_grad:
        expected = torch.autograd.grad(log_det, other, allow_unused=True)[0]
    torch.testing.assert_close(found, torch.zeros_like(x) if expected is None else expected)
    parameters = dict(flow.named_parameters())
    smooth = {key: value for key, value in parameters.items() if "logits" in key or "last" in key}

    def of_parameters(*values):
        given = parameters | dict(zip(smooth, values, strict=True))
        return functional_call(flow, given, (x, context)).sum()

    if smooth:
        assert torch.autograd.gradgradcheck(of_parameters, tuple(smooth.values()))
    by_func = grad(lambda given: functional_call(flow, given, (x, context)).sum())(parameters)
    by_autograd = torch.autograd.grad(flow.log_prob(x, context).sum(), [*parameters.values()])
    for one, two in zip(by_func.values(), by_autograd, strict=True):
        torch.testing.assert_close(one, two)


@EITHER
def test_traced_and_mapped(name, classes):
    flow = build(name, classes, seed=1)  # by seed 0, one with labels draws a single point
    given = (rows(flow, 4), *([one_hot(4)] if classes else []))
    expected = flow.log_prob(*given)
    torch.testing.assert_close(vmap(flow.log_prob)(*given), expected)
    drawn = vmap(
        lambda context: flow.sample_and_log_prob(2, context if classes else None),
        randomness="different",
    )
    context = one_hot(5) if classes else torch.zeros(5)
    x, log_prob = drawn(context)
    assert x.shape == (5, 2, flow.features)
    assert len(x.flatten(0, 1).unique(dim=0)) > 1
    torch.testing.assert_close(flow.log_prob(x, context[:, None] if classes else None), log_prob)


@pytest.mark.parametrize("name", ["pixelcnn", "made_lattice", "histogram"])
@pytest.mark.filterwarnings("ignore")
def test_exported_and_compiled(name):
    flow = build(name)
    batch = torch.export.Dim("batch")
    program = torch.export.export(flow, (rows(flow, 4),), dynamic_shapes=({0: batch},))
    x = rows(flow, 7)
    torch.testing.assert_close(program.module()(x), flow.log_prob(x))
    torch.compiler.reset()
    compiled = torch.compile(flow.log_prob, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), flow.log_prob(x))


@pytest.mark.parametrize("name", ["pixelcnn", "made_lattice_logistic", "pixelcnn_colour"])
def test_the_density_is_constant_in_a_cell_of_data_units(name):
    """So the noise of dequantized rows does not matter: log p(x) = log P(cell) − Σ log width."""
    _, lattice, _ = FLOWS[name]
    flow = build(name).float()
    known = Lattice.of(flow.features, lattice)
    density = Preprocessed(flow, build_preprocess(lattice.get("preprocess", [])))
    step = torch.as_tensor(known.step, dtype=torch.float64).expand(flow.features)
    origin = torch.as_tensor(known.origin, dtype=torch.float64)
    places = cells(flow)
    expected = probabilities(flow).log() - step.log().sum()
    for noise in (0.0, 0.5, 1 - 2**-16):
        log_prob = density.log_prob(origin + (places + noise) * step)
        torch.testing.assert_close(log_prob.double(), expected, rtol=1e-4, atol=1e-4)


def test_the_density_of_model_space_integrates_to_one():
    lattice = {"levels": 5, "preprocess": logit(5, 1)}
    flow = LatticeMADE(1, lattice=lattice).double().eval()
    nn.init.normal_(flow.base.family.logits)
    u = torch.linspace(-3.2, 3.2, 200_001, dtype=torch.float64).unsqueeze(-1)
    inside = u[(u.sigmoid() > 0.05) & (u.sigmoid() < 0.95)].unsqueeze(-1)
    mass = flow.log_prob(inside).exp().sum() * (u[1] - u[0])
    assert mass.item() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("alpha", [1e-6, 0.05])
@pytest.mark.parametrize("levels", [2, 17, 256])
@pytest.mark.parametrize("noise", ["none", "least", "half", "most"])
def test_every_level_is_found_again_after_the_logit_in_float32(levels, alpha, noise):
    class Noise:
        def random(self, shape):
            share = {"none": 0.0, "least": 2.0**-53, "half": 0.5, "most": 1 - 2.0**-53}[noise]
            return np.full(shape, share)

    pixels = np.arange(levels, dtype=np.uint8)[:, None]
    x = torch.from_numpy(dequantise(pixels, Noise())).double()
    steps = logit(levels, 1)
    steps[1] |= {"alpha": alpha}
    u = build_preprocess(steps).inverse(x)[0].float()
    flow = Histogram(1, lattice={"levels": levels, "preprocess": steps})
    k, outside = flow.base.cells.outcomes(flow.transform.inverse(u)[0])
    np.testing.assert_array_equal(k, pixels)
    assert not outside.any()


def test_what_is_outside_of_the_levels_has_density_zero_and_nan_stays():
    flow = build("made_lattice")
    x = rows(flow, 4)
    x[0, 0] = -3.0
    x[1, 1] = torch.inf
    x[2, 1] = torch.nan
    log_prob = flow.log_prob(x)
    assert log_prob[:2].tolist() == [-torch.inf] * 2
    assert log_prob[2].isnan()
    assert log_prob[3].isfinite()
    binary = build("binary")
    assert binary.log_prob(torch.full((4,), 0.5).double()) == -torch.inf
    assert torch.equal(
        binary.log_prob(torch.ones(4, dtype=torch.int64)), binary.log_prob(torch.ones(4).double())
    )


def test_an_unbounded_lattice_has_levels_on_and_on():
    lattice = {"levels": 30, "unbounded": True, "origin": 10.0, "step": 2.0}
    flow = LatticeMADE(1, lattice=lattice).double().eval()
    nn.init.normal_(flow.base.family.logits, 0, 0.5)
    x = torch.arange(-400.0, 500, 2).double().unsqueeze(-1)
    masses = 2 * flow.log_prob(x).exp()
    assert masses.sum().item() == pytest.approx(1, abs=1e-6)
    drawn = flow.sample(20_000)
    assert flow.train().log_prob(torch.tensor([-torch.inf]).double()) == -torch.inf
    outside = (drawn < 10) | (drawn >= 70)
    expected = masses[((x < 10) | (x >= 70)).squeeze(-1)].sum().item()
    assert outside.double().mean().item() == pytest.approx(expected, abs=0.01)
    assert drawn.min() < 4
    assert drawn.max() > 76


@EITHER
def test_many_rows_are_computed_in_turn_where_no_gradients_are_needed(name, classes, monkeypatch):
    flow = build(name, classes)
    x, context = rows(flow, 5, 2), one_hot(5, 1) if classes else None
    whole = flow.log_prob(x, context)
    monkeypatch.setattr("flowbench.flows.autoregressive_levels.PARAMETERS", 40)
    monkeypatch.setattr("flowbench.flows.autoregressive_levels.SAMPLES", 3)
    with torch.no_grad():
        torch.testing.assert_close(flow.log_prob(x, context), whole)
    assert flow.sample(4, context).shape == (4, *((5, 1) if classes else ()), flow.features)


def test_completions_follow_the_conditional_density():
    """Of the second of two features, given the first."""
    torch.manual_seed(0)
    flow = LatticeMADE(2, lattice={"levels": [3, 4]}, hidden_units=[8]).eval()
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(torch.randn_like(parameter))
        points = torch.tensor([[1.5, level + 0.5] for level in range(4)])
        expected = flow.log_prob(points).softmax(0)
    drawn = flow.base.completed(points[:1].repeat(8000, 1), 1)
    assert (drawn[:, 0] == 1.5).all()
    shares = drawn[:, 1].long().bincount(minlength=4) / len(drawn)
    torch.testing.assert_close(shares, expected, atol=0.025, rtol=0)
