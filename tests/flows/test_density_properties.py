"""Every flow in other hands: foreign weights, derivatives, tracing, types, distributions.

The flows are those of `test_properties`, small and in float64. What is slow (compile, export) is
asked of one flow of each structure, the rest of all.
"""

import copy
import pickle
import warnings

import pytest
import torch
from test_properties import CLASSES, EITHER, FEATURES, FLOWS, build, data, events, one_hot
from torch import nn
from torch.func import functional_call, grad, hessian, jacrev, jvp, vmap
from torch.nn.utils import parameters_to_vector, prune, vector_to_parameters

from flowbench.flows import IAF, MADE, MAF, AutoregressiveTransform, DistributionBase, Flow
from flowbench.nn import AutoregressiveNetwork, MaskedLinear
from flowbench.transforms import ActNorm, Affine, BatchNorm, Clip, Logit, Permute

ALL = pytest.mark.parametrize("name", FLOWS)
TRACED = pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("gaussian", CLASSES),
        ("made_mixture", 0),
        ("made_bernoulli", 0),
        ("maf", CLASSES),
        ("maf_spline", 0),
        ("iaf", 0),
        ("realnvp", 0),
        ("shared_blocks", 0),
    ],
)
CLOSE = {"rtol": 1e-8, "atol": 1e-8}


def classes_of(name):
    return CLASSES if name == "embedded" else 0


def context_of(name, *batch):
    return one_hot(*batch) if classes_of(name) else None


# 1. It stays a density, whatever writes the weights.


def drawn_anew(flow):
    for parameter in flow.parameters():
        nn.init.normal_(parameter, 0, 0.2)


def by_vector(flow):
    if not [*flow.parameters()]:
        return
    vector = parameters_to_vector(flow.parameters())
    vector_to_parameters(vector + 0.1 * torch.randn_like(vector), flow.parameters())


def by_data(flow):
    for parameter in flow.parameters():
        parameter.data = parameter.data + 0.1 * torch.randn_like(parameter)


def by_rows_mixed(flow):
    """A step that is orthogonal as a matrix, as Muon's are."""
    for parameter in flow.parameters():
        if parameter.ndim == 2 and parameter.numel():
            with torch.no_grad():
                left, _, right = torch.linalg.svd(torch.randn_like(parameter), full_matrices=False)
                parameter.add_(left @ right, alpha=0.1)


def averaged(flow):
    other = copy.deepcopy(flow)
    drawn_anew(other)
    with torch.no_grad():
        for mine, its in zip(flow.parameters(), other.parameters(), strict=True):
            mine.lerp_(its, 0.5)


def pruned(flow):
    for layer in flow.modules():
        if isinstance(layer, (MaskedLinear, nn.Linear)) and layer.weight.numel():
            prune.random_unstructured(layer, "weight", 0.3)


WRITES = [drawn_anew, by_vector, by_data, by_rows_mixed, averaged, pruned]


def grid(name, points):
    """Points of the plane, closer together at the origin, and the areas they stand for."""
    v = torch.linspace(-6, 6, points, dtype=torch.float64)
    axis, cells = v.sinh(), v.cosh() * (v[1] - v[0])
    if name == "made_bernoulli":
        axis, cells = v.new_tensor([0.0, 1.0]), v.new_ones(2)
    areas = torch.cartesian_prod(cells, cells).prod(-1)
    return torch.cartesian_prod(axis, axis), areas


def mass(log_prob, name, context):
    points, areas = grid(name, 141)
    with torch.no_grad():
        return (log_prob(points, context).exp() * areas).sum().item()


@ALL
def test_mass_is_one_whatever_writes_the_weights(name):
    start = build(name, classes_of(name), features=2, noise=0.05)
    context = context_of(name, 1)
    x = events(name, 9, 2)
    for write in WRITES:
        flow = copy.deepcopy(start)
        write(flow)
        assert mass(flow.log_prob, name, context) == pytest.approx(1, abs=0.02), write.__name__
        if write is not pruned:  # its state has other keys
            again = pickle.loads(pickle.dumps(copy.deepcopy(start)))
            again.load_state_dict(flow.state_dict())
            assert torch.equal(again.log_prob(x, context), flow.log_prob(x, context))


@ALL
def test_mass_is_one_by_functional_call(name):
    flow = build(name, classes_of(name), features=2, noise=0.05)
    moved = {key: p + 0.1 * torch.randn_like(p) for key, p in flow.named_parameters()}
    context = context_of(name, 1)
    given = mass(lambda x, c: functional_call(flow, moved, (x, c)), name, context)
    assert given == pytest.approx(1, abs=0.02)


DIRECTIONS = torch.tensor([[0.8, 0.6], [0.6, -0.8], [-0.28, 0.96]], dtype=torch.float64)


def statistics(x, log_prob):
    """What samples and density are compared by: some projections, and the log-density itself."""
    return [*(DIRECTIONS @ x.mT), log_prob]


def ks_distance(samples, values, masses):
    """Largest distance of two distribution functions, the second that of masses at values."""
    values, order = values.sort()
    ranks = torch.searchsorted(samples.sort().values, values + 1e-9, right=True)
    return (ranks / len(samples) - masses[order].cumsum(0)).abs().max().item()


@ALL
def test_samples_follow_the_density(name):
    torch.manual_seed(0)
    flow = build(name, classes_of(name), features=2, noise=0.1)
    context = context_of(name, 1)
    points, areas = grid(name, 281)
    with torch.no_grad():
        on_grid = flow.log_prob(points, context)
    x = flow.sample(20_000, context).view(-1, 2)
    with torch.no_grad():
        of_samples = flow.log_prob(x, context)
    masses = on_grid.exp() * areas
    pairs = zip(statistics(x, of_samples), statistics(points, on_grid), strict=True)
    for samples, values in pairs:
        assert ks_distance(samples, values, masses) < 0.018  # at 20,000 draws, p = 5e-6


@pytest.mark.parametrize("kind", [MAF, IAF])
def test_map_and_way_back_agree_with_foreign_weights(kind):
    flow = kind(3, layers=2, hidden_units=[8], seed=0).double().eval()
    drawn_anew(flow)
    x = torch.randn(5, 3).double()
    u, log_det = flow.transform.inverse(x)
    torch.testing.assert_close(flow.transform(u)[0], x, **CLOSE)
    jacobian = vmap(jacrev(lambda row: flow.transform.inverse(row)[0]))(x)
    torch.testing.assert_close(torch.linalg.slogdet(jacobian)[1], log_det, **CLOSE)


# 2. Batch norms in a loop of one's own.


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


# 3. Derivatives.


@ALL
def test_second_derivatives_in_x(name):
    if name == "made_bernoulli":
        pytest.skip("a discrete distribution has no derivative in x")
    flow = build(name, classes_of(name), features=2)
    x = events(name, 3, 2).requires_grad_()
    context = context_of(name, 3)
    assert torch.autograd.gradgradcheck(lambda rows: flow.log_prob(rows, context), x)
    assert torch.autograd.gradcheck(lambda rows: flow.train().log_prob(rows, context), x)
    assert torch.autograd.gradgradcheck(lambda rows: flow.log_prob(rows, context), x, atol=1e-4)


@ALL
def test_transforms_of_torch_func(name):
    flow = build(name, classes_of(name))
    x, context = events(name, 4, FEATURES), context_of(name, 4)

    def one(row, given=None):
        return flow.log_prob(row, given)

    rows = (x,) if context is None else (x, context)
    torch.testing.assert_close(vmap(one)(*rows), flow.log_prob(*rows), **CLOSE)
    if name == "made_bernoulli":
        return
    leaf = x.clone().requires_grad_()
    expected = torch.autograd.grad(flow.log_prob(leaf, context).sum(), leaf)[0]
    torch.testing.assert_close(vmap(grad(one))(*rows), expected, **CLOSE)
    torch.testing.assert_close(vmap(jacrev(one))(*rows), expected, **CLOSE)
    fixed = None if context is None else context[0]
    tangent = torch.randn_like(x[0])
    _, along = jvp(lambda row: one(row, fixed), (x[0],), (tangent,))
    torch.testing.assert_close(along, (expected[0] * tangent).sum(), **CLOSE)
    second = hessian(lambda row: one(row, fixed))(x[0])
    reference = torch.autograd.functional.hessian(lambda row: one(row, fixed), x[0])
    torch.testing.assert_close(second, reference, **CLOSE)


@ALL
def test_gradients_of_torch_func_in_training(name):
    flow = build(name, classes_of(name)).train()
    x, context = data(name, classes_of(name), 6)
    if name == "gaussian":
        pytest.skip("nothing in it is trained")
    parameters = dict(flow.named_parameters())
    by_func = grad(lambda given: functional_call(flow, given, (x, context)).sum())(parameters)
    by_autograd = torch.autograd.grad(flow.log_prob(x, context).sum(), [*parameters.values()])
    for one, other in zip(by_func.values(), by_autograd, strict=True):
        torch.testing.assert_close(one, other, **CLOSE)


@ALL
def test_samples_by_vmap(name):
    flow = build(name, classes_of(name))
    context = one_hot(5) if classes_of(name) else torch.zeros(5)

    def draw(given):
        return flow.sample_and_log_prob((2,), given if classes_of(name) else None)

    for mode in (torch.enable_grad, torch.no_grad):
        with mode():
            x, log_prob = vmap(draw, randomness="different")(context)
        assert x.shape == (5, 2, FEATURES)
        assert len(x.flatten(0, 1).unique(dim=0)) > 1
        conditions = context.unsqueeze(1) if classes_of(name) else None
        torch.testing.assert_close(flow.log_prob(x, conditions), log_prob, **CLOSE)


# 4. Tracing.


@TRACED
def test_export_with_a_batch_of_any_size(name, classes):
    flow = build(name, classes)
    given = tuple(part for part in data(name, classes, 4) if part is not None)
    batch = torch.export.Dim("batch")
    program = torch.export.export(flow, given, dynamic_shapes=({0: batch},) * len(given))
    for rows in (2, 9):
        new = tuple(part for part in data(name, classes, rows) if part is not None)
        torch.testing.assert_close(program.module()(*new), flow(*new), **CLOSE)


class FromNoise(nn.Module):
    def __init__(self, flow):
        super().__init__()
        self.transform = flow.transform

    def forward(self, noise):
        return self.transform(noise)[0]


@pytest.mark.parametrize("name", ["maf", "maf_spline", "iaf", "realnvp"])
def test_export_of_sampling_from_given_noise(name):
    sampler = FromNoise(build(name))
    noise = torch.randn(4, FEATURES).double()
    batch = torch.export.Dim("batch")
    with torch.no_grad():
        program = torch.export.export(sampler, (noise,), dynamic_shapes=({0: batch},))
        noise = torch.randn(7, FEATURES).double()
        torch.testing.assert_close(program.module()(noise), sampler(noise), **CLOSE)


@TRACED
@pytest.mark.filterwarnings("ignore")
def test_compiled_in_one_graph(name, classes):
    flow = build(name, classes)
    x, context = data(name, classes, 4)
    torch.compiler.reset()
    compiled = torch.compile(flow.log_prob, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x, context), flow.log_prob(x, context), **CLOSE)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["maf", "maf_spline", "realnvp"])
@pytest.mark.filterwarnings("ignore")
def test_compiled_by_inductor(name):
    flow = build(name)
    torch.compiler.reset()
    compiled = torch.compile(flow.log_prob, fullgraph=True)
    x, _ = data(name, 0, 4)
    leaf, other = x.clone().requires_grad_(), x.clone().requires_grad_()
    given, expected = compiled(leaf), flow.log_prob(other)
    torch.testing.assert_close(given, expected, **CLOSE)
    given.sum().backward()
    expected.sum().backward()
    torch.testing.assert_close(leaf.grad, other.grad, **CLOSE)


# 5. Types and sizes.


@ALL
def test_whole_numbers_and_16_bits_have_their_value_or_are_refused(name):
    flow = build(name, CLASSES).float()
    x, context = torch.tensor([[1, 0, 1], [0, 0, 1], [0, 1, 0]]), torch.eye(2).long()[[0, 1, 1]]
    expected = flow.log_prob(x.float(), context.float())
    for dtype in (torch.float16, torch.bfloat16):
        given = flow.log_prob(x.to(dtype), context.to(dtype))
        assert given.dtype == torch.float32
        assert torch.equal(given, expected)
    assert torch.equal(flow.log_prob(x.float(), context), expected)
    for dtype in (torch.int64, torch.uint8, torch.bool):
        if name == "made_bernoulli":
            assert torch.equal(flow.log_prob(x.to(dtype), context), expected)
        else:
            with pytest.raises(ValueError, match=rf"x holds {dtype}, expected torch.float32"):
                flow.log_prob(x.to(dtype), context)
    with pytest.raises(ValueError, match=r"x holds torch.complex64, expected real numbers"):
        flow.log_prob(x.to(torch.complex64), context)
    with pytest.raises(ValueError, match=r"context holds torch.complex64, expected real numbers"):
        flow.log_prob(x.float(), context.to(torch.complex64))


@ALL
def test_autocast_changes_nothing(name):
    flow = build(name, classes_of(name)).float()
    context = None if context_of(name, 6) is None else context_of(name, 6).float()
    x = events(name, 6, FEATURES).float()
    expected = flow.log_prob(x, context)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(flow.log_prob(x, context), expected)
        assert flow.sample(2, context).dtype == torch.float32


def test_parameters_of_16_bits_are_refused():
    flow = MAF(2, layers=1, hidden_units=[4]).eval().half()
    for use in (lambda: flow.log_prob(torch.zeros(2)), lambda: flow.sample(2)):
        with pytest.raises(ValueError, match=r"torch.float16, expected .* flow.float\(\)"):
            use()


@ALL
def test_empty_batches(name):
    flow = build(name, classes_of(name))
    context = context_of(name, 0)
    shape = (4,) if classes_of(name) else (4, 0)
    assert flow.sample(shape, context).shape == (4, 0, FEATURES)
    assert flow.log_prob(events(name, 0, FEATURES), context).shape == (0,)
    assert flow.sample_and_log_prob(0, context_of(name))[1].shape == (0,)


@ALL
def test_strides_do_not_matter(name):
    flow = build(name, classes_of(name))
    x, context = events(name, FEATURES, 8).mT, context_of(name, 8)
    expected = flow.log_prob(x.contiguous(), context)
    torch.testing.assert_close(flow.log_prob(x, context), expected, **CLOSE)
    same = flow.log_prob(x[:1].expand(8, -1), None if context is None else context[:1])
    torch.testing.assert_close(same, expected[:1].expand(8), **CLOSE)


@pytest.mark.parametrize(
    "transform",
    [Affine([0.5, 1.0]), Clip([0.0, 0.0], [1.0, 2.0]), Permute([1, 0]), ActNorm(2), BatchNorm(2)],
)
def test_transforms_refuse_another_size_and_convert_whole_numbers(transform):
    transform.eval()
    for way in (transform.forward, transform.inverse):
        for size in (1, 3):
            with pytest.raises(ValueError, match=rf"shape \(4, {size}\), expected \[\.\.\., 2\]"):
                way(torch.zeros(4, size))
        for one, other in zip(
            way(torch.tensor([1, 2])), way(torch.tensor([1.0, 2.0])), strict=True
        ):
            assert one.dtype == torch.float32
            assert torch.equal(one, other)
        with pytest.raises(ValueError, match="complex64, expected real numbers"):
            way(torch.zeros(2, dtype=torch.complex64))


def test_logit_of_whole_numbers():
    for one, other in zip(
        Logit(0.05).inverse(torch.tensor([0, 1])),
        Logit(0.05).inverse(torch.tensor([0.0, 1.0])),
        strict=True,
    ):
        assert torch.equal(one, other)


# 6. torch.distributions.


@EITHER
def test_the_contract_of_a_distribution(name, classes):
    flow = build(name, classes)
    distribution = flow.distribution(one_hot(4) if classes else None)
    batch = (4,) if classes else ()
    assert distribution.sample(3).shape == distribution.sample((3,)).shape == (3, *batch, FEATURES)
    assert distribution.support.is_discrete == (name == "made_bernoulli")
    assert distribution.support.event_dim == 1
    assert distribution.support.check(distribution.sample((5,))).all()
    assert distribution.has_rsample == flow.has_rsample
    wider = distribution.expand((2, *batch))
    assert wider.sample().shape == (2, *batch, FEATURES)
    assert (
        torch.distributions.Independent(wider, 1).log_prob(wider.sample()).shape
        == (2, *batch)[:-1]
    )
    with pytest.raises(ValueError, match="does not expand to"):
        wider.expand((3, *batch))
    for value in ([0.0] * FEATURES, 1.0):
        with pytest.raises(TypeError, match=r"value is a .*, expected a tensor"):
            distribution.log_prob(value)
    with pytest.raises(NotImplementedError):
        torch.distributions.kl_divergence(distribution, distribution)


def test_a_distribution_is_copied_with_a_computed_context():
    flow = build("embedded", CLASSES)
    distribution = flow.distribution(one_hot(4))
    x = torch.zeros(FEATURES).double()
    twin = copy.deepcopy(distribution)
    assert torch.equal(twin.log_prob(x), distribution.log_prob(x))


@pytest.mark.parametrize("flow", [MAF(2, layers=1), MADE(2, dropout=0.5)])
def test_a_distribution_is_not_put_into_training_mode(flow):
    distribution = flow.eval().distribution()
    flow.train()
    for use in (lambda: distribution.log_prob(torch.zeros(2)), distribution.sample):
        with pytest.raises(ValueError, match=r"call \.eval\(\) first"):
            use()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_bounded_base_of_any_type(dtype):
    uniform = torch.distributions.Uniform(torch.zeros(2).double(), torch.ones(2).double())
    base = torch.distributions.Independent(uniform, 1)
    flow = Flow(DistributionBase(base), Affine(scale=[2.0, 2.0])).to(dtype).eval()
    x = torch.tensor([[1.0, 1.0], [9.0, 1.0], [torch.nan, 1.0]], dtype=dtype)
    log_prob = flow.log_prob(x)
    assert log_prob.dtype == flow.sample(3).dtype == dtype
    assert log_prob[0].item() == pytest.approx(-torch.tensor(4.0).log().item())
    assert log_prob[1] == -torch.inf
    assert log_prob[2].isnan()


def test_a_free_log_scale_of_the_layer():
    torch.manual_seed(0)
    network = AutoregressiveNetwork(2, hidden_units=[4])
    base = torch.distributions.Independent(torch.distributions.Normal(torch.zeros(2), 1.0), 1)
    layer = AutoregressiveTransform(network, log_scale_bound=None)
    x = torch.randn(5, 2)
    shift, log_scale = network(x).unbind(-1)
    expected = base.log_prob((x - shift) * torch.exp(-log_scale)) - log_scale.sum(-1)
    torch.testing.assert_close(layer(base).log_prob(x), expected)


# 7. Contexts.


@ALL
def test_a_context_is_told_once_for_all(name):
    flow = build(name, CLASSES)
    x = events(name, 4, FEATURES)
    with pytest.raises(ValueError, match=r"context_features=.*not given"):
        flow.log_prob(x)
    with pytest.raises(ValueError, match="not given"):
        flow.sample(2)
    with pytest.raises(ValueError, match=r"x of shape \(4, 3\) and context of shape \(3, .\)"):
        flow.log_prob(x, one_hot(3))
    if name not in (
        "embedded",
        "learnt_base",
    ):  # (`learnt_base` has a transform of the test's own)
        free = build(name)
        for use in (free.log_prob, lambda _, context: free.sample(2, context)):
            with pytest.raises(ValueError, match=r"context_features=0, but a context was given"):
                use(x, one_hot(4))
        with pytest.raises(
            ValueError, match=r"context has shape \(4, 5\), expected \[\.\.\., 2\]"
        ):
            flow.log_prob(x, torch.zeros(4, 5).double())


# 8. Elsewhere.


@ALL
def test_construction_on_meta_and_back(name):
    there = build(name, classes_of(name))
    with torch.device("meta"):
        flow = FLOWS[name](FEATURES, context_features=classes_of(name), seed=0)
    assert all(value.is_meta for value in flow.state_dict().values())
    flow.double().to_empty(device="cpu").load_state_dict(there.state_dict())
    x, context = data(name, classes_of(name), 4)
    assert torch.equal(flow.eval().log_prob(x, context), there.log_prob(x, context))


@ALL
def test_the_default_type(name):
    torch.set_default_dtype(torch.float64)
    try:
        with warnings.catch_warnings(action="error"):
            flow = FLOWS[name](FEATURES, context_features=classes_of(name), seed=0).eval()
        assert {p.dtype for p in flow.parameters()} <= {torch.float64}
        x, context = data(name, classes_of(name), 4)
        assert flow.log_prob(x, context).dtype == flow.sample(2, context).dtype == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


def test_a_device_without_float64_gets_float32():
    def to_such_a_device(value):
        if value.dtype == torch.float64:
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype")
        return value

    flow = build("gaussian").float()
    flow.transform.double()
    expected = flow.log_prob(x := torch.randn(4, FEATURES))
    flow._apply(to_such_a_device)
    assert {value.dtype for value in flow.buffers()} == {torch.float32}
    torch.testing.assert_close(flow.log_prob(x), expected)


def test_act_norm_starts_once():
    layer = ActNorm(2)
    layer.initialize(torch.randn(50, 2) + 3)
    before = copy.deepcopy(layer.state_dict())
    layer.initialize(torch.randn(50, 2) - 3)
    assert all(torch.equal(value, before[key]) for key, value in layer.state_dict().items())
