"""Derivatives of all orders, by autograd and by torch.func."""

import pytest
import torch
from flow_table import (
    ALL,
    CLASSES,
    CLOSE,
    CLOSED_FORMS,
    FEATURES,
    build,
    classes_of,
    context_of,
    data,
    events,
    one_hot,
)
from torch.func import functional_call, grad, hessian, jacrev, jvp, vmap


@ALL
def test_second_derivatives_in_x_and_the_context(name):
    if name == "made_bernoulli":
        pytest.skip("a discrete distribution has no derivative in x")
    flow = build(name, CLASSES, features=2)
    context = one_hot(3).requires_grad_(name not in CLOSED_FORMS)
    inputs = events(name, 3, 2).requires_grad_(), context
    assert torch.autograd.gradgradcheck(flow.log_prob, inputs)
    flow.train()
    assert torch.autograd.gradcheck(flow.log_prob, inputs)
    assert torch.autograd.gradgradcheck(flow.log_prob, inputs, atol=1e-4)


@ALL
@pytest.mark.parametrize("training", [False, True])
def test_losses_of_derivatives_train(name, training):
    """The gradient of a score penalty, along a direction of all parameters together."""
    if name in ("made_bernoulli", *CLOSED_FORMS):
        pytest.skip("no derivative in x, or no parameters")
    flow = build(name, classes_of(name), features=2).train(training)
    x, context = events(name, 6, 2).requires_grad_(), context_of(name, 6)
    parameters = [*flow.parameters()]
    direction = [torch.randn_like(parameter) for parameter in parameters]

    def loss(step=0.0):
        moved = [p + step * d for p, d in zip(parameters, direction, strict=True)]
        named = dict(zip(dict(flow.named_parameters()), moved, strict=True))
        log_prob = functional_call(flow, named, (x, context))
        [score] = torch.autograd.grad(log_prob.sum(), x, create_graph=True)
        return score.square().mean()

    slopes = torch.autograd.grad(loss(), parameters, allow_unused=True)
    along = sum((s * d).sum() for s, d in zip(slopes, direction, strict=True) if s is not None)
    expected = (loss(1e-6) - loss(-1e-6)) / 2e-6
    torch.testing.assert_close(along, expected, rtol=1e-4, atol=1e-4)


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
    if name in CLOSED_FORMS:
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
