"""Scoring and sampling by the native library give what the plain tensor operations give."""

import copy
import gc
import warnings
import weakref

import pytest
import torch
from affine_flows import CONTEXT, FLOWS, SMALL, prepared
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from flowbench.density import TrainedDensity
from flowbench.flows import MAF, Flow, RealNVP, StandardNormal
from flowbench.native import available, build, transport
from flowbench.nn import AutoregressiveNetwork
from flowbench.nn.activations import ACTIVATIONS
from flowbench.nn.mlp import MLP
from flowbench.transforms import BatchNorm, Chain, Coupling, MaskedAutoregressive

ROWS = 1234  # enough for the library, and no multiple of the rows of a line
MORE = {
    "couplings of every activation": lambda: Flow(
        StandardNormal(4),
        Chain(
            Coupling(
                4,
                MLP(2, outputs=2, hidden_units=[9], activation=name),
                num_masked=2 if place % 2 else -2,
            )
            for place, name in enumerate(["relu", "elu", "selu", "tanh", "sigmoid", "silu"])
        ),
    ),
    "no masked feature": lambda: Flow(
        StandardNormal(2),
        Coupling(2, MLP(0, outputs=2, hidden_units=[5], context_features=CONTEXT), num_masked=0),
    ),
    "all features masked": lambda: Flow(
        StandardNormal(2),
        Chain([Coupling(2, MLP(2, outputs=0), mask=torch.ones(2) > 0), BatchNorm(2)]),
    ),
    "batch norms alone": lambda: Flow(StandardNormal(3), Chain([BatchNorm(3), BatchNorm(3)])),
    "many parameters": lambda: RealNVP(5, hidden_units=[300, 300], layers=2),
}
WITH_LAYERS = [name for name in [*FLOWS, *MORE] if name != "a MADE"]  # which is a base alone


@pytest.fixture
def calls(monkeypatch):
    """The works that the library was asked for; it is there."""
    works = []
    monkeypatch.setattr(
        transport, "library_for", lambda work: works.append(work) or build.library()
    )
    return works


@pytest.fixture
def no_calls(monkeypatch):
    monkeypatch.setattr(transport, "library_for", lambda _: None)


def flow_of(name, dtype=torch.float64):
    flow = prepared((FLOWS | MORE)[name], dtype).eval()
    for layer in flow.modules():
        if isinstance(layer, BatchNorm):
            layer.mean.normal_()
            layer.variance.uniform_(0.5, 2)
    return flow


def rows_for(flow, *batch):
    x = 2 * torch.randn(*batch, flow.features, dtype=flow.dtype)
    if not flow.context_features:
        return x, None
    return x, torch.randn(*batch, flow.context_features, dtype=flow.dtype)


def both(transform, value, context, *, forward=False):
    """The image and log-determinant by the library, and by operations that record a graph."""
    with torch.no_grad():
        found = transport.transported(transform, value, context, forward=forward)
    plain = (transform if forward else transform.inverse)(value, context)
    return found, [part.detach() for part in plain]


@pytest.mark.parametrize("name", WITH_LAYERS)
def test_densities_are_those_of_the_plain_operations(name, calls):
    flow = flow_of(name)
    x, context = rows_for(flow, ROWS)
    for found, plain in zip(*both(flow.transform, x, context), strict=True):
        torch.testing.assert_close(found, plain, rtol=1e-10, atol=1e-10)
    with torch.no_grad():
        found = flow.log_prob(x, context)
    torch.testing.assert_close(found, flow.log_prob(x, context).detach(), rtol=1e-10, atol=1e-10)
    assert len(calls) == 2


@pytest.mark.parametrize("name", WITH_LAYERS)
def test_samples_are_those_of_the_plain_operations(name, calls):
    flow = flow_of(name)
    u, context = rows_for(flow, ROWS)
    for found, plain in zip(*both(flow.transform, u, context, forward=True), strict=True):
        torch.testing.assert_close(found, plain, rtol=1e-10, atol=1e-10)
    calls.clear()
    flow.sample(ROWS, None if context is None else context[0])
    assert len(calls) == 1


@pytest.mark.parametrize("name", WITH_LAYERS)
def test_float32_is_as_exact_as_that_of_the_plain_operations(name, calls):
    flow = flow_of(name)
    x, context = (part if part is None else part.float() for part in rows_for(flow, ROWS))
    exact = flow.log_prob(x.double(), context if context is None else context.double())
    flow = flow.float()
    plain = flow.log_prob(x, context)
    with torch.no_grad():
        native = flow.log_prob(x, context)
        error, size = (native - exact).norm(), exact.norm()
        assert error <= 2 * (plain - exact).norm() + 1e-6 * size
    assert calls


@pytest.mark.parametrize(
    ("x_batch", "context_batch"),
    [((ROWS,), ()), ((), (ROWS,)), ((ROWS, 1), (3,)), ((2, 300, 3), (300, 1)), ((ROWS,), (1,))],
)
def test_rows_and_contexts_broadcast(x_batch, context_batch, calls):
    flow = flow_of("a context")
    x, context = rows_for(flow, *x_batch)[0], rows_for(flow, *context_batch)[1]
    with torch.no_grad():
        found = flow.log_prob(x, context)
    torch.testing.assert_close(found, flow.log_prob(x, context).detach(), rtol=1e-10, atol=1e-10)
    assert calls


def test_rows_may_lie_anywhere_in_memory(calls):
    flow = flow_of("a MAF")
    x = torch.randn(flow.features, 2 * ROWS, dtype=torch.float64)[:, ::2].mT
    kept = x.clone()
    with torch.no_grad():
        assert torch.equal(flow.log_prob(x), flow.log_prob(x.contiguous()))
    assert torch.equal(x, kept)
    assert len(calls) == 2


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "elu", "selu", "tanh", "sigmoid", "silu"])
@pytest.mark.parametrize("kind", [MAF, RealNVP])
def test_what_is_not_finite_stays_so(kind, name, calls):
    """NaN in a row or in its context gives NaN, an infinite value the density zero."""
    flow = prepared(
        lambda: kind(4, context_features=2, activation=name, batch_norm=False, **SMALL),
        torch.float32,
    ).eval()
    x, context = rows_for(flow, ROWS)
    x[0, 0], x[1, 3], context[2, 1] = torch.nan, torch.nan, torch.nan
    x[3, 0], x[4, 3], x[5] = torch.inf, -torch.inf, torch.inf
    with torch.no_grad():
        found = flow.log_prob(x, context)
    assert calls
    assert found[:3].isnan().all()
    assert (found[3:6] == -torch.inf).all()
    assert found[6:].isfinite().all()


def test_a_row_has_the_same_digits_among_any_others(calls):
    flow = flow_of("a MAF", torch.float32)
    x, _ = rows_for(flow, ROWS)
    with torch.no_grad():
        assert torch.equal(flow.log_prob(x)[-700:], flow.log_prob(x[-700:]))
    assert len(calls) == 2


def test_threads_change_no_digit(calls):
    flow = RealNVP(8, hidden_units=[100, 100], layers=2).eval()
    x, found = rows_for(flow, 4000)[0], []
    before = torch.get_num_threads()
    for threads in (1, 3):
        torch.set_num_threads(threads)
        with torch.no_grad():
            found.append(flow.log_prob(x))
    torch.set_num_threads(before)
    assert torch.equal(*found)
    assert len(calls) == 2


def hooked(flow):
    flow.transform.transforms[0].register_forward_pre_hook(lambda *_: None)


def in_training(flow):
    flow.train()


def replaced(flow):
    layer = flow.transform.transforms[0]
    layer.inverse = lambda x, context=None, inverse=layer.inverse: inverse(2 * x, context)


def gelu(flow):
    for layer in flow.modules():
        if isinstance(layer, MLP):
            layer.activation = ACTIVATIONS["gelu"]


@pytest.mark.parametrize("change", [hooked, in_training, replaced, gelu])
def test_what_the_library_does_not_know_is_computed_as_ever(change, calls):
    flow = flow_of("real NVP with a context")
    change(flow)
    x, context = rows_for(flow, ROWS)
    ways = []
    for grad in (True, False):
        one = copy.deepcopy(flow)
        with torch.set_grad_enabled(grad):
            ways.append([one.log_prob(x, context).detach(), *one.buffers()])
    assert not calls
    for first, second in zip(*ways, strict=True):
        torch.testing.assert_close(first, second, rtol=1e-10, atol=1e-10)


def other_couplings(flow):
    state = flow.state_dict()
    for name in [name for name in state if name.endswith(".mask") and state[name].ndim == 1]:
        state[name] = state[name].flip(0)
    flow.load_state_dict(state)


def other_layer(flow):
    flow.transform.transforms[0] = copy.deepcopy(flow.transform.transforms[1])


def fewer_layers(flow):
    del flow.transform.transforms[0]


def other_weights(flow):
    for one in flow.parameters():
        one.data = one.data + 0.1


def weights_in_place(flow):
    with torch.no_grad():
        for one in flow.parameters():
            one.data.mul_(1.1)


def other_numbers(flow):
    flow.float().double()


def other_activation(flow):
    for layer in flow.modules():
        if isinstance(layer, MLP):
            layer.activation = ACTIVATIONS["tanh"]


CHANGES = [
    *(other_couplings, other_layer, fewer_layers, other_weights, weights_in_place, other_numbers),
    *(other_activation, hooked, replaced, gelu),
]


@pytest.mark.parametrize("change", CHANGES)
def test_changes_between_two_calls_are_seen(change, calls):
    flow = flow_of("real NVP")
    x, _ = rows_for(flow, ROWS)
    with torch.no_grad():
        before = flow.log_prob(x), flow.log_prob(x)
        change(flow)
        found = flow.log_prob(x)
    assert torch.equal(*before)
    torch.testing.assert_close(found, flow.log_prob(x).detach(), rtol=1e-10, atol=1e-10)
    assert (found - before[0]).abs().max() > 0 or change is hooked


def test_what_is_known_of_a_flow_ends_with_it(calls):
    flow = flow_of("a MAF")
    with torch.no_grad():
        flow.log_prob(rows_for(flow, ROWS)[0])
    transform, parameter = weakref.ref(flow.transform), weakref.ref(next(flow.parameters()))
    del flow
    gc.collect()
    assert transform() is None
    assert parameter() is None


def test_a_mode_that_watches_operations_sees_those_of_pytorch(calls):
    flow = flow_of("a MAF")
    with torch.no_grad(), FlopCounterMode(display=False) as counted:
        flow.log_prob(rows_for(flow, ROWS)[0])
    assert counted.get_total_flops() > 0
    assert not calls


def test_weights_of_another_size_are_left_to_tensor_operations(calls):
    flow = flow_of("real NVP")
    next(layer for layer in flow.modules() if isinstance(layer, nn.Linear)).weight = nn.Parameter(
        torch.zeros(100, 5, dtype=torch.float64)
    )
    with torch.no_grad(), pytest.raises(RuntimeError):
        flow.log_prob(rows_for(flow, ROWS)[0])
    assert not calls


@pytest.mark.parametrize("features", [2, 5])
def test_layers_of_other_sizes_are_refused_in_words(features, calls):
    layer = MaskedAutoregressive(AutoregressiveNetwork(features, hidden_units=[4]))
    with torch.no_grad(), pytest.raises(ValueError, match=f"expected \\[..., {features}\\]"):
        Flow(StandardNormal(3), layer).log_prob(torch.zeros(ROWS, 3))
    assert not calls


def test_a_trained_density_uses_the_library(calls):
    flow = flow_of("real NVP")
    x, _ = rows_for(flow, ROWS)
    density = TrainedDensity(flow, preprocess=Chain(), context_preprocess=Chain(), config={})
    found = density.log_prob(x.numpy())
    torch.testing.assert_close(
        torch.from_numpy(found), flow.log_prob(x).detach(), rtol=1e-10, atol=1e-10
    )
    density.sample(ROWS)
    assert len(calls) == 2
    density.log_prob(x.requires_grad_())
    assert len(calls) == 2


def test_derivatives_are_left_to_tensor_operations(calls):
    flow = flow_of("a MAF")
    x, _ = rows_for(flow, ROWS)
    flow.log_prob(x)
    with torch.no_grad():
        torch.func.vmap(flow.log_prob)(x[None])
        flow.log_prob(x[:0])
    assert not calls


def test_without_a_library_nothing_changes(no_calls):
    flow = flow_of("real NVP")
    x, _ = rows_for(flow, ROWS)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("error")
        found = flow.log_prob(x)
    torch.testing.assert_close(found, flow.log_prob(x).detach(), rtol=1e-10, atol=1e-10)


@pytest.fixture
def new_machine(monkeypatch, tmp_path):
    """A machine and a process that have computed nothing yet, and the library of this one."""
    built = build.library()._name
    for name, value in (("without", 0.0), ("failed", False)):
        monkeypatch.setattr(available._Process, name, value)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for cached in (build.library, build.is_built):
        cached.cache_clear()
    yield tmp_path, built
    for cached in (build.library, build.is_built):
        cached.cache_clear()


COPYING = """#!/bin/sh
echo "$1" >> {log}
[ "$1" = --version ] && exit
while [ "$1" != -o ]; do shift; done
{build}
"""


def compile_by(folder, monkeypatch, build_it):
    compiler = folder / "compiler"
    compiler.write_text(COPYING.format(log=folder / "log", build=build_it))
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))


def test_the_library_is_built_once_that_pays(new_machine, monkeypatch):
    folder, built = new_machine
    compile_by(folder, monkeypatch, f'cp {built} "$2"')
    share = 0.4 * available.WORTHWHILE
    found = [available.library_for(share) is not None for _ in range(4)]
    assert found == [False, False, True, True]
    assert list(folder.rglob("engine.so"))


def test_a_library_that_is_there_is_used_at_once(new_machine, monkeypatch):
    folder, built = new_machine
    compile_by(folder, monkeypatch, f'cp {built} "$2"')
    build.library()
    build.library.cache_clear()
    assert available.library_for(1.0) is not None


def test_a_compiler_that_fails_is_asked_once_and_in_silence(new_machine, monkeypatch, capfd):
    folder, _ = new_machine
    compile_by(folder, monkeypatch, "exit 1")
    found = [available.library_for(2 * available.WORTHWHILE) for _ in range(3)]
    assert found == [None] * 3
    assert (folder / "log").read_text().count("-O3") == 1
    assert capfd.readouterr() == ("", "")
