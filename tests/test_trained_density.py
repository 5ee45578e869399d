"""A trained density in other hands: derivatives, forms of data, types, devices, memory."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from torch.func import grad, hessian, jvp, vmap

import flowbench
from flowbench.density import TrainedDensity
from flowbench.transforms.steps import build_preprocess

RNG = np.random.default_rng(0)
X, C = RNG.normal(size=(300, 2)) * 3 + 5, RNG.normal(size=(300, 1))
SMALL = {"layers": 1, "hidden_units": [8]}


@pytest.fixture(scope="module")
def density():
    torch.manual_seed(0)
    return flowbench.fit(flowbench.MAF(2, **SMALL), X, max_epochs=2)


@pytest.fixture(scope="module")
def conditional():
    torch.manual_seed(0)
    return flowbench.fit(flowbench.MAF(2, context_features=1, **SMALL), X, C, max_epochs=2)


# Derivatives.


def test_a_gradient_in_data_units(density):
    x = torch.from_numpy(X[:5]).requires_grad_()
    [slope] = torch.autograd.grad(density.log_prob(x).sum(), x)
    step = torch.tensor([1e-3, 0.0]).double()
    double = copy.deepcopy(density).double()
    difference = double.log_prob(x + step) - double.log_prob(x - step)
    torch.testing.assert_close(slope[:, 0], difference.detach() / 2e-3, rtol=1e-3, atol=1e-3)
    assert not density.log_prob(x.detach()).requires_grad
    with torch.no_grad():
        assert not density.log_prob(x).requires_grad


def test_a_gradient_in_the_context(conditional):
    context = torch.from_numpy(C[:5]).requires_grad_()
    score = conditional.log_prob(torch.from_numpy(X[:5]), context).sum()
    [slope] = torch.autograd.grad(score, context)
    assert slope.abs().sum() > 0


def test_transforms_of_torch_func(density):
    double = copy.deepcopy(density).double()
    x = torch.from_numpy(X[:4])
    leaf = x.clone().requires_grad_()
    [expected] = torch.autograd.grad(double.log_prob(leaf).sum(), leaf)
    torch.testing.assert_close(vmap(grad(double.log_prob))(x), expected)
    _, along = jvp(double.log_prob, (x,), (torch.ones_like(x),))
    torch.testing.assert_close(along, expected.sum(-1))
    second = torch.autograd.functional.hessian(double.log_prob, x[0])
    torch.testing.assert_close(hessian(double.log_prob)(x[0]), second)


def test_draws_that_can_be_differentiated(conditional):
    context = torch.from_numpy(C[:3]).requires_grad_()
    x, log_prob = conditional.sample_and_log_prob(4, context)
    assert x.shape == (4, 3, 2)
    torch.testing.assert_close(conditional.log_prob(x, context), log_prob, rtol=1e-4, atol=1e-4)
    assert torch.autograd.grad(x.sum(), context)[0].abs().sum() > 0


# The form of what is given.


def test_results_in_the_form_of_the_rows(density):
    expected = density.log_prob(torch.from_numpy(X))
    assert isinstance(expected, torch.Tensor)
    assert isinstance(density.log_prob(X.tolist()), torch.Tensor)
    array = density.log_prob(X)
    assert isinstance(array, np.ndarray)
    assert array.dtype == np.float64
    assert density.log_prob(X.astype(np.float32)).dtype == np.float32
    frame = pd.DataFrame(X, columns=["a", "b"], index=np.arange(300) + 7)
    series = density.log_prob(frame)
    assert isinstance(series, pd.Series)
    assert series.name == "log_density"
    assert series.index.equals(frame.index)
    for one in (array, series.to_numpy()):
        assert np.array_equal(one, expected)

    class Frame:  # one that is known by its protocol alone
        columns = ("a", "b")

        def __len__(self):
            return len(X)

        def to_numpy(self):
            return X

        def __array__(self, dtype=None, copy=None):
            return X

    assert np.array_equal(density.log_prob(Frame()), expected)


def test_frames_of_polars():
    polars = pytest.importorskip("polars", reason="polars is not installed")
    x, context = polars.DataFrame(X, schema=["a", "b"]), polars.DataFrame(C, schema=["c"])
    density = flowbench.fit(
        flowbench.MAF(2, context_features=1, **SMALL), x, context, max_epochs=1
    )
    assert density.feature_names == ["a", "b"]
    expected = density.log_prob(X, C)
    for frame in (x, x.select("b", "a")):
        series = density.log_prob(frame, context)
        assert isinstance(series, polars.Series)
        assert series.name == "log_density"
        assert np.array_equal(series, expected)
    assert density.sample(2, context).shape == (2, 300, 2)


def test_samples_in_the_form_of_the_context(conditional):
    assert isinstance(conditional.sample(2, torch.from_numpy(C)), torch.Tensor)
    assert isinstance(conditional.sample(2, C), np.ndarray)
    assert conditional.sample(2, pd.DataFrame(C)).shape == (2, 300, 2)


@pytest.mark.parametrize(
    "change",
    [
        torch.Tensor.bfloat16,
        torch.Tensor.half,
        torch.Tensor.to_sparse,
        torch.Tensor.long,
        lambda x: torch.nn.Linear(2, 2)(x.float()),
    ],
)
def test_rows_in_other_layouts_and_types(density, change):
    x = change(torch.from_numpy(X[:50]))
    plain = (x.to_dense() if x.layout == torch.sparse_coo else x).detach().double()
    found = density.log_prob(x).detach().double()
    torch.testing.assert_close(found, density.log_prob(plain), rtol=1e-5, atol=1e-5)
    again = flowbench.fit(flowbench.MAF(2, **SMALL), x, max_epochs=1)
    mean = again.preprocess.transforms[0].shift
    torch.testing.assert_close(mean, plain.mean(0), rtol=0.2, atol=0.2)


@pytest.mark.parametrize(
    ("x", "sentence"),
    [
        (torch.empty(20, 2, device="meta"), "x is on the meta device"),
        (torch.zeros(20, 2, dtype=torch.complex64), "x holds torch.complex64, expected real"),
        ([[1.0, 2.0], [3.0]], "x is not an array of numbers"),
        ([[1.0, "a"]], "x holds <U32, expected numbers"),
    ],
)
def test_what_has_no_numbers_is_one_sentence(density, x, sentence):
    with pytest.raises(ValueError, match=sentence):
        density.log_prob(x)
    with pytest.raises(flowbench.data.DataError, match=sentence):
        flowbench.fit(flowbench.MAF(2, **SMALL), x)


# Its own flow, types and places.


def test_training_again_does_not_change_an_earlier_density():
    flow = flowbench.MAF(2, **SMALL)
    density = flowbench.fit(flow, X, max_epochs=1)
    before = density.log_prob(X)
    flowbench.fit(flow, X * 10, max_epochs=2, learning_rate=0.1)
    assert np.array_equal(density.log_prob(X), before)


def test_another_type_of_the_flow_leaves_preprocessing_as_it_is():
    x = 5e6 + RNG.normal(size=(200, 2))
    density = flowbench.fit(flowbench.MAF(2, **SMALL), x, max_epochs=1)
    before = density.log_prob(x)
    assert np.array_equal(density.to(torch.float32).log_prob(x), before)
    assert density.double().sample(3).dtype == torch.float64
    np.testing.assert_allclose(density.log_prob(x), before, atol=1e-4)
    assert np.array_equal(density.float().log_prob(x), before)
    twin = pickle.loads(pickle.dumps(copy.deepcopy(density)))
    assert np.array_equal(twin.log_prob(x), before)


def test_a_checkpoint_has_its_own_type_and_place(density, tmp_path):
    double = flowbench.fit(flowbench.MAF(2, **SMALL).double(), X, max_epochs=1)
    for one in (density, double):
        one.save(path := tmp_path / "density.ckpt")
        torch.set_default_dtype(torch.float64)
        try:
            with torch.device("meta"):
                again = flowbench.load(path)
            again.save(path)
        finally:
            torch.set_default_dtype(torch.float32)
        assert again.flow.dtype == one.flow.dtype
        assert np.array_equal(again.log_prob(X), one.log_prob(X))


def test_a_float32_flow_is_saved_under_another_default_type(tmp_path):
    torch.set_default_dtype(torch.float64)
    try:
        flow = flowbench.MAF(2, **SMALL).float()
        density = flowbench.fit(flow, X, max_epochs=1)
        density.save(tmp_path / "density.ckpt")
    finally:
        torch.set_default_dtype(torch.float32)
    assert np.array_equal(
        flowbench.load(tmp_path / "density.ckpt").log_prob(X), density.log_prob(X)
    )


def test_a_flow_without_values_is_not_trained():
    with torch.device("meta"):
        flow = flowbench.MAF(2, **SMALL)
    with pytest.raises(ValueError, match="the flow is on the meta device"):
        flowbench.fit(flow, X)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu(conditional, tmp_path):
    there = copy.deepcopy(conditional).to("cuda")
    x, context = torch.from_numpy(X), torch.from_numpy(C)
    found = there.log_prob(x, context)
    assert found.device == x.device
    torch.testing.assert_close(found, conditional.log_prob(x, context), rtol=1e-4, atol=1e-4)
    assert there.log_prob(x.cuda(), context).is_cuda
    assert isinstance(there.log_prob(X, C), np.ndarray)
    assert there.sample(3, C).shape == (3, 300, 2)
    there.save(tmp_path / "density.ckpt")
    again = flowbench.load(tmp_path / "density.ckpt")
    assert np.array_equal(again.log_prob(X, C), conditional.log_prob(X, C))


# Distributions.


def test_a_distribution_in_data_units(density, conditional):
    x = torch.from_numpy(X)
    distribution = density.distribution()
    torch.testing.assert_close(distribution.log_prob(x).detach(), density.log_prob(x))
    assert distribution.sample((4000,)).mean(0).tolist() == pytest.approx([5, 5], abs=1.5)
    given = conditional.distribution(C[:3])
    assert given.batch_shape == (3,)
    expected = conditional.log_prob(x[:3], torch.from_numpy(C[:3]))
    torch.testing.assert_close(given.log_prob(x[:3]).detach(), expected)
    assert given.rsample((2,)).requires_grad
    assert given.expand((5, 3)).sample().shape == (5, 3, 2)
    copied = copy.deepcopy(given).log_prob(x[:3]).detach()
    torch.testing.assert_close(copied, expected)


# Large offsets.


def test_samples_of_rows_at_an_offset_are_distinct():
    x = 5e6 + RNG.normal(size=(2000, 2))
    density = flowbench.fit(flowbench.MAF(2, **SMALL), x, max_epochs=2)
    for samples in (
        density.sample(2000),
        density.sample_and_log_prob(2000)[0].detach(),
        density.distribution().sample((2000,)),
    ):
        assert samples.dtype == torch.float64
        assert len(samples[:, 0].unique()) == 2000
        assert samples.mean().item() == pytest.approx(5e6, abs=0.5)
    score = density.log_prob(samples).mean().item()
    assert score == pytest.approx(density.log_prob(x).mean(), abs=0.2)


@pytest.mark.parametrize(("mean", "dtype"), [(100.0, torch.float32), (1e4, torch.float64)])
def test_samples_are_float64_where_float32_is_too_coarse(mean, dtype):
    steps = [{"name": "Standardize", "mean": [mean] * 2, "std": [1.0] * 2}]
    density = TrainedDensity(
        flowbench.MAF(2, **SMALL),
        preprocess=build_preprocess(steps),
        context_preprocess=build_preprocess([]),
        config={},
    )
    assert density.sample(3).dtype == dtype


def test_values_that_merge_are_told_with_their_column():
    x = pd.DataFrame(RNG.normal(size=(2000, 2)), columns=["a", "b"])
    x.loc[5, "b"] = 1e12
    with pytest.warns(UserWarning, match=r"torch.float32 merges values of column 'b': of 2,000"):
        flowbench.fit(flowbench.Gaussian(2), x)


@pytest.mark.filterwarnings("error")
def test_values_that_stay_apart_are_not_told():
    x = np.column_stack([5e6 + RNG.normal(size=2000), RNG.integers(0, 3, 2000)])
    flowbench.fit(flowbench.Gaussian(2), x)
    flowbench.fit(flowbench.Gaussian(2).double(), 1e9 + x, standardized=False)


def test_float64_is_in_preprocessing_alone_and_goes_where_a_device_has_none(conditional):
    """MPS has no float64: the same conversion that `.to("mps")` makes, without the device."""

    def to_such_a_device(value):
        if value.dtype == torch.float64:
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype")
        return value

    density = copy.deepcopy(conditional)
    double = {name for name, v in density.state_dict().items() if v.dtype == torch.float64}
    assert double
    assert all(name.startswith(("preprocess.", "context_preprocess.")) for name in double)
    expected = density.log_prob(X.astype(np.float32), C.astype(np.float32))
    for part in (density.flow, density.preprocess, density.context_preprocess):
        part._apply(to_such_a_device)
    assert {v.dtype for v in density.buffers() if v.is_floating_point()} == {torch.float32}
    found = density.log_prob(X.astype(np.float32), C.astype(np.float32))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
