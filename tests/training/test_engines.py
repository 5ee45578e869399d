"""Every engine computes what the plain one does, and is used where it can be."""

import copy
import math
import os
import sys

import forked
import pytest
import torch
from affine_flows import CONTEXT, FLOWS, SMALL, prepared
from torch import nn
from waiting import PATIENCE

import flowbench
from flowbench.config.settings import Training
from flowbench.data import Batch
from flowbench.flows import MADE, MAF, Flow, Mixture, PixelCNN, RealNVP, StandardNormal
from flowbench.native import build
from flowbench.nn import AutoregressiveNetwork
from flowbench.training.engines.choice import LONG, WORTHWHILE, engine_for
from flowbench.training.engines.compiled import Compiled
from flowbench.training.engines.native import Native
from flowbench.training.engines.plain import Plain
from flowbench.training.flat import FlatParameters
from flowbench.training.maximum_likelihood import MaximumLikelihood
from flowbench.transforms import Chain, MaskedAutoregressive


def module_of(flow, engine=Plain, **options):
    module = MaximumLikelihood(flow, Training(**options))
    module.flat = FlatParameters(module)
    module.arithmetic = engine(module)
    module.arithmetic.begin()
    return module


def batch_for(flow, rows, dtype=torch.float64):
    context = flow.context_features
    x, c = torch.randn(rows, flow.features), torch.randn(rows, context or 1)
    return Batch(x.to(dtype), c.to(dtype) if context else None)


def gradient(flow, engine, batch):
    """Log-likelihood, gradient of every parameter and new buffers of one step."""
    flow = copy.deepcopy(flow)
    module = module_of(flow, engine)
    total, rows = module.arithmetic.gradient(batch)
    assert rows == len(batch.x)
    found = {"log-likelihood": torch.tensor(total / rows, dtype=torch.float64)}
    found |= {name: p.grad.double() for name, p in flow.named_parameters()}
    return found | {name: b.double() for name, b in flow.named_buffers()}


@pytest.mark.parametrize("name", FLOWS)
def test_loss_and_gradients_are_those_of_the_plain_engine(name):
    flow = prepared(FLOWS[name])
    for rows in (2, 37, 100, 203):
        batch = batch_for(flow, rows)
        plain, native = (gradient(flow, engine, batch) for engine in (Plain, Native))
        scale = max(1.0, *(value.abs().max().item() for value in plain.values() if value.numel()))
        for key, value in plain.items():
            torch.testing.assert_close(native[key], value, rtol=1e-10, atol=1e-10 * scale)


@pytest.mark.parametrize("name", FLOWS)
def test_float32_is_as_exact_as_that_of_the_plain_engine(name):
    flow = prepared(FLOWS[name])
    batch = batch_for(flow, 100)
    exact = gradient(flow, Plain, batch)
    flow, batch = flow.float(), Batch(*(part if part is None else part.float() for part in batch))
    plain, native = (gradient(flow, engine, batch) for engine in (Plain, Native))

    def error(found):
        return sum((found[key] - value).square().sum() for key, value in exact.items()).sqrt()

    size = sum(value.square().sum() for value in exact.values()).sqrt()
    assert error(native) <= 2 * error(plain) + 1e-6 * size


TINY = {"layers": 1, "hidden_units": [6]}
PICTURE = {"levels": 4, "shape": [2, 2, 1]}
TRACED = {
    "batch norms and a context": lambda: MAF(3, context_features=CONTEXT, **TINY),
    "splines of angles": lambda: RealNVP(3, univariate="spline", circular=[0], **TINY),
    "a mixture at the base": lambda: MAF(3, base="mixture", **TINY),
    "a mixture of flows": lambda: Mixture([MADE(2, hidden_units=[4]), MADE(2)]),
    "convolutions": lambda: PixelCNN(4, lattice=PICTURE, units=4, inner_units=2, blocks=1),
    "dropout and more": lambda: MAF(
        3, residual=True, lu_linear=True, activation="gelu", dropout=0.2, **TINY
    ),
    "regularizers": lambda: regularized(),
}


def assert_compiled_as_plain(make, backend):
    """Losses, gradients and buffers of full minibatches and of others are the plain ones."""
    flow = prepared(make)
    for rows in (20, 23):
        batch = batch_for(flow, rows)
        if isinstance(flow, PixelCNN):
            batch = Batch(torch.randint(4, (rows, 4)).double(), None)
        found = []
        for engine in (Plain, lambda module: Compiled(module, rows=20, backend=backend)):
            torch.manual_seed(1)
            found.append(gradient(flow, engine, batch))
        scale = max(1.0, *(one.abs().max().item() for one in found[0].values() if one.numel()))
        for key, value in found[0].items():
            torch.testing.assert_close(found[1][key], value, rtol=1e-10, atol=1e-10 * scale)


@pytest.mark.parametrize("name", TRACED)
def test_the_compiled_step_is_that_of_the_plain_engine(name, capsys):
    assert_compiled_as_plain(TRACED[name], "eager")
    assert capsys.readouterr().err == ""


def test_what_torch_compile_makes_of_it_is_the_same(capsys):
    assert_compiled_as_plain(lambda: MADE(2, hidden_units=[4]), "inductor")
    assert "training.engine" not in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("name", [*FLOWS, *TRACED])
def test_what_torch_compile_makes_of_any_flow_is_the_same(name, capsys):
    assert_compiled_as_plain((FLOWS | TRACED)[name], "inductor")
    assert "training.engine" not in capsys.readouterr().err


class Branching(MAF):
    def log_prob(self, x, context=None):
        if x.isnan().all():
            return x.sum(-1)
        return super().log_prob(x, context)


def test_what_cannot_be_traced_is_trained_by_the_plain_engine(capsys):
    x, states = torch.randn(100, 3), []
    for engine in ("plain", "compiled"):
        torch.manual_seed(0)
        flow = Branching(3, **TINY)
        flowbench.fit(flow, x, engine=engine, batch_size=45, max_epochs=2, progress=False)
        states.append(flow.state_dict())
    assert all(torch.equal(states[0][key], value) for key, value in states[1].items())
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("training.engine=plain: torch.compile cannot compile Branching: ")


def test_the_engine_that_is_recorded_is_the_one_that_trained():
    module = MaximumLikelihood(Branching(3, **TINY), Training(engine="compiled"))
    module.rows_per_step = lambda: 20
    optimizer = module.configure_optimizers()
    module.optimizers = lambda **_: optimizer
    assert module.engine == "compiled"
    module.training_step([batch_for(module.flow, 20, torch.float32)], 0)
    assert module.engine == "plain"


def constrained():
    network = AutoregressiveNetwork(3, hidden_units=[8], kernel_constraint="max_norm")
    return Flow(StandardNormal(3), MaskedAutoregressive(network))


def regularized():
    network = AutoregressiveNetwork(3, hidden_units=[8], kernel_regularizer="l2")
    return Flow(StandardNormal(3), MaskedAutoregressive(network))


TRAINED = {
    "norms": lambda: MAF(3, activation="tanh", **SMALL),
    "constraints": constrained,
}
SETTINGS = {
    "the defaults": {},
    "a short gradient": {"gradient_clip_norm": 0.1},
    "no clipping": {"gradient_clip_norm": None},
    "weight decay": {"weight_decay": 0.1},
    "a schedule": {"schedule": "cosine"},
    "a scheduler": {
        "schedule": {"_target_": "torch.optim.lr_scheduler.StepLR", "step_size": 3, "gamma": 0.5}
    },
    "an average": {"ema": 0.9},
    "noise": {"noise": 0.1},
}


@pytest.mark.parametrize(
    ("name", "trained"),
    [*((name, "norms") for name in SETTINGS), ("the defaults", "constraints")],
)
def test_a_training_is_that_of_the_plain_engine(name, trained):
    x = torch.randn(1110, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) ** 3
    densities = []
    for engine in ("plain", "native"):
        flow = prepared(TRAINED[trained])
        options = {"batch_size": 100, "max_epochs": 2, "learning_rate": 0.01} | SETTINGS[name]
        densities.append(flowbench.fit(flow, x, engine=engine, progress=False, **options))
    plain, native = (density.flow.state_dict() for density in densities)
    for key, value in plain.items():
        torch.testing.assert_close(native[key], value, rtol=1e-8, atol=1e-8)
    first, second = (density.history[-1] for density in densities)
    assert first.pop("seconds") >= 0 <= second.pop("seconds")
    assert second == pytest.approx(first, rel=1e-8)


def test_what_masks_leave_out_stays_out_whatever_it_is_set_to():
    flow = prepared(lambda: MAF(5, batch_norm=False, **SMALL))
    batch = batch_for(flow, 50)
    clean = gradient(flow, Native, batch)
    for parameter in flow.parameters():
        torch.nn.init.normal_(parameter, std=0.1, generator=torch.Generator().manual_seed(1))
    plain, native = (gradient(flow, engine, batch) for engine in (Plain, Native))
    assert not torch.equal(clean["log-likelihood"], plain["log-likelihood"])
    for key, value in plain.items():
        torch.testing.assert_close(native[key], value, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("fast", [Native, lambda module: Compiled(module, 50, "eager")])
def test_a_part_in_evaluation_mode_keeps_its_statistics_from_the_next_item_on(fast):
    modules = [module_of(prepared(FLOWS["batch norms"]), engine) for engine in (Plain, fast)]
    batch = batch_for(modules[0].flow, 50)
    for module in modules:
        module.arithmetic.gradient(batch)
        module.flow.transform.transforms[0].eval()
        module.arithmetic.begin()
        module.arithmetic.gradient(batch)
    states = [module.flow.state_dict() for module in modules]
    for key, value in states[0].items():
        torch.testing.assert_close(states[1][key], value, rtol=1e-10, atol=1e-10)
    grads = [module.flat.gradients[0] for module in modules]
    torch.testing.assert_close(*grads, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("x", "context"),
    [
        (torch.zeros(9, 4), torch.zeros(9, CONTEXT)),
        (torch.zeros(9, 5), torch.zeros(9, CONTEXT + 1)),
        (torch.zeros(9, 5), torch.zeros(8, CONTEXT)),
        (torch.zeros(9, 5), None),
        (torch.zeros(1, 5), torch.zeros(1, CONTEXT)),
    ],
)
def test_a_batch_that_does_not_fit_is_refused_as_by_the_plain_engine(x, context):
    told = []
    for engine in (Plain, Native):
        module = module_of(FLOWS["a context"](), engine)
        with pytest.raises(ValueError) as refusal:
            module.arithmetic.gradient(Batch(x, context))
        told.append(str(refusal.value))
    assert told[0] == told[1]


@pytest.mark.parametrize("engine", [Native, lambda module: Compiled(module, 20, "eager")])
@pytest.mark.parametrize("which", ["module", "parameter"])
def test_a_hook_that_comes_later_is_called(which, engine):
    module = module_of(MAF(5, batch_norm=False, **TINY), engine)
    batch, seen = batch_for(module.flow, 20, torch.float32), []
    module.arithmetic.gradient(batch)
    if which == "module":
        handle = module.flow.register_forward_hook(lambda *_: seen.append(1))
    else:
        handle = next(module.flow.parameters()).register_hook(lambda _: seen.append(1))
    by_hand = module.flat.gradients[0].clone()
    module.arithmetic.begin()
    module.arithmetic.gradient(batch)
    torch.testing.assert_close(module.flat.gradients[0], by_hand)
    handle.remove()
    module.arithmetic.begin()
    module.arithmetic.gradient(batch)
    assert torch.equal(module.flat.gradients[0], by_hand)
    assert seen == [1]


class Scaled(MAF):
    def log_prob(self, x, context=None):
        return 2 * super().log_prob(x, context)


def hooked():
    flow = MAF(3, **SMALL)
    flow.transform.register_forward_hook(lambda *_: None)
    return flow


def watched():
    flow = MAF(3, **SMALL)
    next(flow.parameters()).register_hook(lambda gradient: 2 * gradient)
    return flow


def frozen():
    flow = MAF(3, **SMALL)
    next(flow.parameters()).requires_grad_(False)
    return flow


def shared():
    [layer] = MAF(3, layers=1, batch_norm=False).transform.transforms
    return Flow(StandardNormal(3), Chain([layer, MaskedAutoregressive(layer.conditioner)]))


class Twice(nn.Module):
    """A conditioner of one's own, which tells no size."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(0.1))

    def forward(self, x, context=None):
        return (self.scale * x.cumsum(-1) - self.scale * x)[..., None].expand(*x.shape, 2)


class Doubled(Chain):
    def inverse(self, x, context=None):
        u, log_det = super().inverse(x, context)
        return 2 * u, log_det + 3 * math.log(2)


def replaced():
    flow = MAF(3, **SMALL)
    layer = flow.transform.transforms[0]
    layer.inverse = lambda x, context=None, inverse=layer.inverse: inverse(x, context)
    return flow


def of_two_types():
    flow = MAF(3, **SMALL)
    flow.transform.transforms[0].double()
    return flow


UNKNOWN = {
    "network Twice": lambda: Flow(StandardNormal(3), MaskedAutoregressive(Twice())),
    "transform Doubled": lambda: Flow(
        StandardNormal(3), Doubled(MAF(3, **SMALL).transform.transforms)
    ),
    "replaced method of BatchNorm": replaced,
    "RationalQuadraticMap": lambda: MAF(3, univariate="spline", **SMALL),
    "LULinear": lambda: MAF(3, lu_linear=True, **SMALL),
    "base Autoregressive": lambda: MAF(3, base="mixture", **SMALL),
    "dropout": lambda: MAF(3, dropout=0.1, **SMALL),
    "residual": lambda: MAF(3, residual=True, hidden_units=[8]),
    "activation": lambda: MAF(3, activation="gelu", **SMALL),
    "activation ": lambda: MAF(3, activation=nn.LeakyReLU(), **SMALL),
    "Scaled": lambda: Scaled(3, **SMALL),
    "hook of Chain": hooked,
    "hook of a parameter": watched,
    "not trained": frozen,
    "shared between layers": shared,
    "regularizers": regularized,
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_the_native_engine_does_not_know_is_trained_by_the_plain_one(name, capsys):
    x = torch.randn(100, 3)
    flows = [prepared(UNKNOWN[name], torch.float32) for _ in range(2)]
    for flow, engine in zip(flows, ("plain", "native"), strict=True):
        torch.manual_seed(0)
        flowbench.fit(flow, x, engine=engine, batch_size=50, max_epochs=1, progress=False)
    states = [flow.state_dict() for flow in flows]
    assert all(torch.equal(states[0][key], value) for key, value in states[1].items())
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("training.engine=plain: the native engine does not know ")
    assert name.strip() in line


@pytest.mark.parametrize(
    ("asked", "steps", "flow", "optimizer", "expected"),
    [
        ("auto", WORTHWHILE, "a MAF", None, "native"),
        ("auto", WORTHWHILE - 1, "a MAF", None, "plain"),
        ("native", 1, "a MAF", None, "native"),
        ("plain", 10 * WORTHWHILE, "a MAF", None, "plain"),
        ("auto", WORTHWHILE, "a MAF", {"_target_": "torch.optim.SGD"}, "plain"),
        ("auto", LONG - 1, "RationalQuadraticMap", None, "plain"),
        ("auto", LONG, "RationalQuadraticMap", None, "compiled"),
        ("auto", LONG, "a MAF", None, "native"),
        ("compiled", 1, "a MAF", None, "compiled"),
        ("auto", LONG, "a MAF", {"_target_": "torch.optim.SGD"}, "compiled"),
    ],
)
def test_the_engine_follows_from_configuration_and_steps(
    asked, steps, flow, optimizer, expected, capsys
):
    module = MaximumLikelihood((FLOWS | UNKNOWN)[flow](), Training(optimizer=optimizer))
    module.flat = FlatParameters(module)
    assert engine_for(module, asked, lambda: steps, lambda: 100).name == expected
    assert capsys.readouterr().err == ""


def test_numbers_of_several_types_are_left_to_the_plain_engine(capsys):
    module = MaximumLikelihood(of_two_types(), Training())
    module.flat = FlatParameters(module)
    assert engine_for(module, "native", int, int).name == "plain"
    assert "several types" in capsys.readouterr().err


def test_a_module_of_ones_own_is_trained_by_the_plain_engine(capsys):
    class Tempered(MaximumLikelihood):
        def log_likelihood(self, batch):
            return 0.5 * super().log_likelihood(batch)

    module = Tempered(MAF(3), Training(engine="native"))
    module.configure_optimizers()
    assert module.engine == "plain"


@pytest.fixture
def no_library(monkeypatch, tmp_path):
    """As on a machine that has built nothing yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    build.library.cache_clear()
    yield tmp_path
    build.library.cache_clear()


FAILING = "#!/bin/sh\necho 'steps.cpp:1: error: no luck' >&2\n[ \"$1\" = --version ]\n"


@pytest.mark.parametrize(
    ("compiler", "expected"),
    [
        (None, "no C++ compiler (c++, g++, clang++) is on the PATH"),
        (FAILING, "cannot build the native engine: steps.cpp:1: error: no luck"),
    ],
)
def test_without_a_compiler_that_works_the_plain_engine_trains(
    no_library, monkeypatch, capsys, compiler, expected
):
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", str(no_library))
    if compiler:
        (no_library / "c++").write_text(compiler)
        (no_library / "c++").chmod(0o755)
        monkeypatch.setenv("PATH", f"{no_library}:/bin:/usr/bin")
    flow, x = MAF(3, **SMALL), torch.randn(100, 3)
    flowbench.fit(flow, x, engine="native", batch_size=50, max_epochs=1, progress=False)
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("training.engine=plain: ")
    assert line.endswith(expected)
    assert not list(no_library.rglob("*.so"))


COUNTING = """#!/bin/sh
[ "$1" = --version ] && echo counting && exit
echo built >> {log}
sleep 0.3
while [ "$1" != -o ]; do shift; done
cp {built} "$2"
"""


def build_once():
    build.library()
    os._exit(0)


def test_processes_that_start_together_build_once(no_library, monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME")
    built = build.library()._name
    log, compiler = no_library / "log", no_library / "compiler"
    compiler.write_text(COUNTING.format(log=log, built=built))
    compiler.chmod(0o755)
    monkeypatch.setenv("XDG_CACHE_HOME", str(no_library))
    monkeypatch.setenv("CXX", str(compiler))
    processes = [forked.fork(build_once) for _ in range(2)]
    for process in processes:
        process.join(PATIENCE)
        assert process.exitcode == 0
    assert log.read_text() == "built\n"


@pytest.mark.parametrize("batch_norm", [True, False])
def test_threads_change_no_digit(batch_norm):
    flow = MAF(30, hidden_units=[200, 200], layers=2, batch_norm=batch_norm)
    batch, found = batch_for(flow, 300, torch.float32), []
    before = torch.get_num_threads()
    for threads in (1, 3):
        torch.set_num_threads(threads)
        module = module_of(copy.deepcopy(flow), Native)
        found.append([*module.arithmetic.gradient(batch), module.flat.gradients[0]])
    torch.set_num_threads(before)
    assert all(torch.equal(*map(torch.as_tensor, pair)) for pair in zip(*found, strict=True))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_no_memory_is_lost_when_programs_are_replaced():
    module = module_of(prepared(FLOWS["batch norms"]), Native)
    batch = batch_for(module.flow, 20_000)

    def resident():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    for step in range(12):
        module.flow.transform.transforms[0].train(step % 2 == 0)
        module.arithmetic.begin()
        module.arithmetic.gradient(batch)
        if step == 1:
            start = resident()
    assert resident() - start < 50e6
