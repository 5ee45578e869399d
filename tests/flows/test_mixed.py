"""Columns with different measures: one density, and samples that follow it."""

import copy
import pickle

import pytest
import torch
from flow_table import one_hot
from torch.func import vmap

from flowbench import fit
from flowbench.flows import MixedMADE
from flowbench.flows.cells import noisy
from flowbench.flows.preprocessed import Preprocessed
from flowbench.own_values import own_values
from flowbench.transforms.steps import build_preprocess

FEW = {"levels": 4, "origin": 5.0, "step": 0.5}
MANY = {"levels": 90, "origin": -20.0}
RAIN = {"atoms": [0.0]}
CAPPED = {"atoms": [0.25, 3.0]}
IMPUTED = FEW | {"atoms": [5.71]}
STANDARD = {"name": "Standardize", "mean": [0.3, 1.5], "std": [0.7, 2.0]}
BOUNDED = {"name": "Bounded", "columns": [0], "low": [-5.0], "high": [9.0]}
COLUMNS = {  # two columns, steps of preprocessing, options
    "few levels": ([FEW, {}], [STANDARD], {}),
    "many levels": ([MANY, FEW], [STANDARD], {"most_categories": 50}),
    "zeros": ([RAIN, FEW], [STANDARD], {"input_order": "right-to-left"}),
    "two atoms": ([CAPPED, {}], [BOUNDED, STANDARD], {"family": "gaussian"}),
    "an atom beside levels": ([IMPUTED, {}], [STANDARD], {"input_order": "right-to-left"}),
    "a spline": ([{}, CAPPED], [STANDARD], {"family": "spline"}),
    "a logarithm": ([FEW, RAIN], [{"name": "Log", "columns": [0]}, STANDARD], {}),
}
EACH = pytest.mark.parametrize("name", COLUMNS)
EITHER = pytest.mark.parametrize(
    ("name", "classes"), [(name, classes) for name in COLUMNS for classes in (0, 2)]
)


def build(name, classes=0, *, seed=0):
    """A density in data units, away from its initial values."""
    torch.manual_seed(seed)
    columns, steps, options = COLUMNS[name]
    measure = {"columns": columns, "preprocess": steps}
    flow = MixedMADE(
        2, measure=measure, context_features=classes, hidden_units=[8], components=2, **options
    ).double()
    density = Preprocessed(flow, build_preprocess(steps))
    first = rows(name, 60)
    flow.initialize(density.preprocess.inverse(first)[0], one_hot(60) if classes else None)
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.3)
    return density.eval()


def rows(name, *shape):
    """Rows in data units, on lattices somewhere in their cells, some at atoms."""
    return torch.stack([values(column, *shape) for column in COLUMNS[name][0]], -1)


def values(column, *shape):
    x = torch.rand(*shape, dtype=torch.float64) * 4
    if "levels" in column:
        cells = torch.randint(column["levels"], shape) + 0.999 * torch.rand(*shape).double()
        x = column["origin"] + cells * column.get("step", 1.0)
    for atom in column.get("atoms", []):
        x = torch.where(torch.rand(*shape) < 0.3, atom, x)
    return x


def grid(column, *, bounded, logarithm):
    """Points of a column in data units, and how much each weighs in its measure."""
    step = column.get("step", 1.0)
    if "levels" in column:
        k = torch.arange(0 if logarithm else -300, column["levels"] + 300).double()
        x, weight = column["origin"] + (k + 0.37) * step, torch.full_like(k, step)
    else:
        v = torch.linspace(-6, 6, 2001, dtype=torch.float64)
        x, weight = v.sinh(), v.cosh() * (v[1] - v[0])
        if bounded:
            share = torch.sigmoid(6 * v)
            x, weight = -5 + 14 * share, 14 * 6 * share * (1 - share) * (v[1] - v[0])
            weight = weight * (share > 0) * (share < 1)
    atoms = torch.tensor(column.get("atoms", []), dtype=torch.float64)
    return torch.cat([x, atoms]), torch.cat([weight, torch.ones_like(atoms)])


@EACH
def test_the_mass_of_all_cells_atoms_and_real_numbers_is_one(name):
    density = build(name)
    columns, steps, _ = COLUMNS[name]
    logarithm = steps[0]["name"] == "Log"
    axes = [
        grid(column, bounded=BOUNDED in steps and not i, logarithm=logarithm and not i)
        for i, column in enumerate(columns)
    ]
    points = torch.cartesian_prod(*[x for x, _ in axes])
    weights = torch.cartesian_prod(*[weight for _, weight in axes]).prod(-1)
    with torch.no_grad():
        log_prob = torch.cat([density.log_prob(part) for part in points.split(100_000)])
    lost = 0.05 if logarithm else 2e-3  # levels below the first have no logarithm
    assert (log_prob.exp() * weights).sum().item() == pytest.approx(1, abs=lost)


@EITHER
def test_samples_come_with_their_density_and_hold_atoms_as_often_as_it_says(name, classes):
    density = build(name, classes)
    context = torch.eye(2, dtype=torch.float64)[1:] if classes else None
    x, log_prob = density.sample_and_log_prob(4000, context)
    torch.testing.assert_close(density.log_prob(x, context), log_prob, rtol=1e-6, atol=1e-6)
    first = COLUMNS[name][2].get("input_order") is None
    for index, column in enumerate(COLUMNS[name][0]):
        for atom in column.get("atoms", []):
            held = (x[..., index] - atom).abs() < 1e-9
            assert held.any()
            if index == (0 if first else 1):  # its probability does not depend on the other
                other = x[held].clone()
                share = density.log_prob(other, None if context is None else context[0]).exp()
                assert share.shape == (int(held.sum()),)


@EITHER
def test_shapes_broadcast_and_rows_do_not_depend_on_each_other(name, classes):
    density = build(name, classes)
    x = rows(name, 5, 1)
    context = torch.eye(2, dtype=torch.float64) if classes else None
    log_prob = density.log_prob(x, context)
    assert log_prob.shape == ((5, 2) if classes else (5, 1))
    assert log_prob.isfinite().all()
    one = density.log_prob(x[2, 0], None if context is None else context[0])
    torch.testing.assert_close(one, log_prob[2, 0])
    assert density.sample((3,), context).shape == ((3, 2, 2) if classes else (3, 2))
    if not classes:
        assert density.sample(0).shape == (0, 2)


@EACH
def test_states_copies_and_types(name):
    density, other = build(name).flow, build(name, seed=1).flow
    x = build(name).preprocess.inverse(rows(name, 9))[0]
    expected = density.log_prob(x)
    other.load_state_dict(density.state_dict())
    for twin in (other, copy.deepcopy(density), pickle.loads(pickle.dumps(density))):
        assert torch.equal(twin.log_prob(x), expected)
    single = copy.deepcopy(density).float()
    given = single.log_prob(x.float())
    assert given.dtype == single.sample(2).dtype == torch.float32
    torch.testing.assert_close(given, expected.float(), rtol=1e-3, atol=1e-3)


@EITHER
def test_every_parameter_learns_and_rows_can_be_mapped(name, classes):
    flow = build(name, classes).flow.train()
    x, context = flow.sample(64, one_hot(1)[0] if classes else None), None
    if classes:
        context = one_hot(64)
    (-flow(x, context).mean()).backward()
    for key, parameter in flow.named_parameters():
        assert parameter.grad.isfinite().all(), key
    flow.eval()
    given = (x, context) if classes else (x,)
    torch.testing.assert_close(vmap(flow.log_prob)(*given), flow.log_prob(*given))


@EACH
@pytest.mark.filterwarnings("ignore")
def test_exported_and_compiled(name):
    density = build(name)
    batch = torch.export.Dim("batch")
    program = torch.export.export(density, (rows(name, 4),), dynamic_shapes=({0: batch},))
    x = rows(name, 7)
    torch.testing.assert_close(program.module()(x), density.log_prob(x))


@pytest.mark.parametrize("name", ["few levels", "many levels"])
def test_the_density_is_constant_in_a_cell(name):
    density = build(name).float()
    x = rows(name, 20)
    column = COLUMNS[name][0][0]
    step = column.get("step", 1.0)
    edges = column["origin"] + ((x[:, 0] - column["origin"]) / step).floor() * step
    at = [torch.stack([edges + share * step, x[:, 1]], -1) for share in (0.0, 0.5, 0.999)]
    terms = [density.log_prob(points) for points in at]
    torch.testing.assert_close(terms[0], terms[1], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(terms[0], terms[2], rtol=1e-4, atol=1e-4)


def test_an_atom_has_its_share_of_the_rows_before_training():
    torch.manual_seed(0)
    x = torch.where(torch.rand(5000) < 0.4, 0.0, torch.rand(5000) + 0.5).unsqueeze(-1)
    flow = MixedMADE(1, measure={"columns": [RAIN]}, hidden_units=[])
    flow.initialize(x)
    shares = flow.eval().log_prob(torch.tensor([[0.0], [0.01]])).exp().flatten().tolist()
    assert shares[0] == pytest.approx((x == 0).float().mean().item(), abs=0.01)
    assert shares[1] < 0.1
    drawn = flow.sample(2000)
    assert (drawn == 0).float().mean().item() == pytest.approx(0.4, abs=0.04)


def test_frequent_levels_and_heavy_tails_are_known_before_training():
    """Against the entropy of the shares of the rows, which no density of levels exceeds."""
    generator = torch.Generator().manual_seed(0)
    k = torch.empty(20_000).log_normal_(3, 1, generator=generator).floor()
    k[torch.rand(20_000, generator=generator) < 0.3] = 0
    k[torch.rand(20_000, generator=generator) < 0.1] = 40
    x = k.clamp(max=2000).unsqueeze(-1) + 0.5
    flow = MixedMADE(1, measure={"columns": [{"levels": 2001}]}, hidden_units=[])
    flow.initialize(x)
    flow.eval()
    shares = x.unique(return_counts=True)[1] / len(x)
    assert flow.log_prob(x).mean() > (shares * shares.log()).sum() - 0.15
    for level, share in ((0.0, 0.28), (40.0, 0.105)):
        assert flow.log_prob(torch.tensor([level])).exp().item() == pytest.approx(share, abs=0.02)


@pytest.mark.parametrize(
    ("measure", "told"),
    [
        ({"columns": [{}]}, "measure: has 1 columns, expected 2"),
        ({"columns": [{"levels": 3, "step": 0.0}, {}]}, "column 0 has levels=3 and step=0.0"),
    ],
)
def test_columns_that_do_not_fit_are_refused(measure, told):
    with pytest.raises(ValueError, match=told):
        MixedMADE(2, measure=measure)


@pytest.mark.parametrize("step", [1.0, 0.01])
def test_points_of_fine_lattices_come_back_from_float32(step):
    x = torch.arange(0, 100_000, 7).double().unsqueeze(-1) * step
    scaled = [{"name": "Standardize", "mean": [x.mean().item()], "std": [x.std().item()]}]
    preprocess = build_preprocess(scaled)
    drawn = preprocess(preprocess.inverse(x)[0].float().double())[0]
    own = own_values(drawn, preprocess, names=["n"], lattices={"n": (0.0, step)}, atoms={})
    torch.testing.assert_close(own, x, rtol=1e-12, atol=0)


@pytest.mark.parametrize("levels", [2**18, 2**24])
def test_noise_of_samples_stays_in_cells_however_many(levels):
    place = torch.arange(0, levels, 1009).float()
    assert torch.equal(noisy(place).floor(), place)


def test_standardizing_is_refused_only_where_it_would_move_a_lattice_or_an_atom():
    x = torch.randn(60, 2, generator=torch.Generator().manual_seed(0))
    with pytest.raises(ValueError, match="standardizing would move the rows"):
        fit(MixedMADE(2, measure={"columns": [{}, RAIN]}, hidden_units=[4]), x)
    assert fit(MixedMADE(2, hidden_units=[4]), x, max_epochs=1).log_prob(x).isfinite().all()
