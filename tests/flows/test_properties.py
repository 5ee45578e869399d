"""What holds for every density: shapes, gradients, contexts, precision, saving, total mass 1."""

import copy

import pytest
import torch
from flow_table import (
    CLASSES,
    CLOSED_FORMS,
    CONDITIONAL,
    EITHER,
    FEATURES,
    FLOWS,
    build,
    data,
    events,
    one_hot,
)
from torch import nn


@EITHER
@pytest.mark.parametrize("batch", [(), (1,), (4,), (2, 5)])
def test_log_prob_has_the_shape_of_the_batch(name, classes, batch):
    flow = build(name, classes)
    log_prob = flow.log_prob(*data(name, classes, *batch))
    assert log_prob.shape == batch
    assert log_prob.isfinite().all()


@CONDITIONAL
def test_batches_of_events_and_contexts_broadcast(name):
    flow = build(name, CLASSES)
    x, context = events(name, 5, 1, FEATURES), torch.eye(CLASSES, dtype=torch.float64)
    log_prob = flow.log_prob(x, context)
    apart = [flow.log_prob(x.squeeze(1), label.expand(5, -1)) for label in context]
    torch.testing.assert_close(log_prob, torch.stack(apart, dim=1))
    torch.testing.assert_close(flow.log_prob(x[0, 0], context), log_prob[0])


@CONDITIONAL
def test_the_context_matters(name):
    flow = build(name, CLASSES)
    log_prob = flow.log_prob(events(name, FEATURES), torch.eye(CLASSES, dtype=torch.float64))
    assert log_prob[0] != log_prob[1]


@EITHER
def test_every_parameter_gets_a_finite_gradient(name, classes):
    flow = build(name, classes).train()
    loss = -flow(*data(name, classes, 16)).mean()
    if name not in CLOSED_FORMS:
        loss.backward()
    for key, parameter in flow.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key


@EITHER
@pytest.mark.parametrize("sample_shape", [(), (7,), (2, 3)])
@pytest.mark.parametrize("batch", [(), (4,)])
def test_sample_shapes(name, classes, sample_shape, batch):
    flow = build(name, classes)
    context = one_hot(*batch) if classes else None
    samples = flow.sample(sample_shape, context)
    assert samples.shape == (*sample_shape, *(batch if classes else ()), FEATURES)
    assert not samples.requires_grad
    assert samples.isfinite().all()


@EITHER
def test_statistics_of_all_rows_are_those_of_one_large_batch(name, classes):
    flow = build(name, classes).train()
    if "running" in name:
        pytest.skip("running statistics are not those of one batch")
    x, context = data(name, classes, 500)
    x = 5 + 3 * x if name != "made_bernoulli" else x
    trained = flow.log_prob(x, context).detach()
    flow.eval().recompute_statistics(x, context)
    torch.testing.assert_close(flow.log_prob(x, context).detach(), trained, rtol=1e-3, atol=1e-2)


@EITHER
def test_samples_come_with_their_log_density(name, classes):
    flow = build(name, classes)
    context = one_hot(4) if classes else None
    x, log_prob = flow.sample_and_log_prob((6,), context)
    torch.testing.assert_close(flow.log_prob(x, context), log_prob)


@EITHER
def test_float32_and_float64_agree(name, classes):
    double = build(name, classes)
    single = copy.deepcopy(double).float()
    x, context = data(name, classes, 9)
    context_single = None if context is None else context.float()
    log_prob = single.log_prob(x.float(), context_single)
    assert log_prob.dtype == single.sample((2,), context_single).dtype == torch.float32
    assert double.sample((2,), context).dtype == torch.float64
    expected = double.log_prob(x, context).float()
    torch.testing.assert_close(log_prob, expected, rtol=1e-3, atol=1e-3)


@EITHER
def test_a_state_dict_restores_the_density(name, classes):
    flow, other = build(name, classes), build(name, classes, seed=1)
    other.load_state_dict(flow.state_dict())
    x, context = data(name, classes, 9)
    assert torch.equal(other.log_prob(x, context), flow.log_prob(x, context))


@EITHER
def test_a_copy_is_the_same_density_and_independent(name, classes):
    flow = build(name, classes)
    twin = copy.deepcopy(flow)
    x, context = data(name, classes, 9)
    before = flow.log_prob(x, context)
    assert torch.equal(twin.log_prob(x, context), before)
    for parameter in twin.parameters():
        nn.init.zeros_(parameter)
    assert torch.equal(flow.log_prob(x, context), before)


@EITHER
def test_in_evaluation_a_row_does_not_depend_on_the_others(name, classes):
    flow = build(name, classes)
    x, context = data(name, classes, 9)
    part = flow.log_prob(x[:2], None if context is None else context[:2])
    torch.testing.assert_close(part, flow.log_prob(x, context)[:2])
    assert flow.train().log_prob(x, context).isfinite().all()


@EITHER
@pytest.mark.parametrize("features", [1, 2])
def test_the_total_mass_is_one(name, classes, features):
    flow = build(name, classes, features=features, noise=0.1)
    # A grid that is fine in the middle and reaches far: points sinh(v), cells cosh(v) dv.
    v = torch.linspace(-7, 7, 30001 if features == 1 else 241, dtype=torch.float64)
    axis, cells = v.sinh(), v.cosh() * (v[1] - v[0])
    if name == "made_bernoulli":
        axis, cells = v.new_tensor([0.0, 1.0]), v.new_ones(2)
    points = torch.cartesian_prod(*[axis] * features).reshape(-1, features)
    volumes = torch.cartesian_prod(*[cells] * features).reshape(-1, features).prod(-1)
    context = one_hot(1) if classes else None
    with torch.no_grad():
        mass = (flow.log_prob(points, context).exp() * volumes).sum()
    assert mass.item() == pytest.approx(1, abs=2e-3)


@pytest.mark.parametrize(
    "name", [name for name in FLOWS if name not in (*CLOSED_FORMS, "embedded")]
)
def test_a_context_is_given_where_one_is_declared_and_only_there(name):
    x = events(name, 4, FEATURES)
    with pytest.raises(ValueError, match="not given"):
        build(name, CLASSES).log_prob(x)
    if name != "learnt_base":
        with pytest.raises(ValueError, match="context was given"):
            build(name).log_prob(x, one_hot(4))


@pytest.mark.parametrize("name", FLOWS)
def test_an_event_of_another_size_is_refused(name):
    with pytest.raises(ValueError, match=r"x has shape \(4, 5\), expected \[\.\.\., 3\]"):
        build(name, CLASSES).log_prob(torch.zeros(4, 5), one_hot(4))
