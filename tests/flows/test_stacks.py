"""How the stacked flows are built, and that any options give a density that fits its samples."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import flowbench
from flowbench.flows import IAF, MADE, MAF, NICE, Flow, RealNVP
from flowbench.nn import MLP, MaskedLinear, SplitMLP
from flowbench.nn.options import ACTIVATIONS
from flowbench.transforms import (
    AffineMap,
    BatchNorm,
    Coupling,
    LULinear,
    MaskedAutoregressive,
    ShiftMap,
)
from flowbench.transforms.base import layers_from_data
from flowbench.transforms.maps import MAPS


def layers(flow, kind):
    return [layer for layer in layers_from_data(flow.transform) if isinstance(layer, kind)]


def test_maf_reverses_the_order_at_each_layer():
    flow = MAF(4, layers=3, hidden_units=[8], input_order=[2, 0, 3, 1])
    orders = [
        layer.conditioner.degrees[0].tolist() for layer in layers(flow, MaskedAutoregressive)
    ]
    assert orders == [[3, 1, 4, 2], [2, 4, 1, 3], [3, 1, 4, 2]]


@pytest.mark.parametrize("kind", [MAF, IAF, RealNVP])
@pytest.mark.parametrize(("side", "first"), [("noise", False), ("data", True)])
def test_a_batch_norm_lies_beside_every_layer(kind, side, first):
    flow = kind(4, layers=2, batch_norm=True, batch_norm_side=side)
    kinds = [isinstance(layer, BatchNorm) for layer in layers_from_data(flow.transform)]
    assert kinds == [first, not first, first, not first]


def test_a_batch_norm_lies_behind_the_layer_unless_told_otherwise():
    for kind in (MAF, RealNVP):
        last = layers_from_data(kind(4, layers=1).transform)[-1]
        assert isinstance(last, BatchNorm)


def test_lu_linear_maps_lie_before_and_behind_every_layer():
    flow = MAF(4, layers=2, batch_norm=False, lu_linear=True)
    kinds = [isinstance(layer, LULinear) for layer in layers_from_data(flow.transform)]
    assert kinds == [True, False, True, False, True]


def test_iaf_is_a_maf_the_other_way_round():
    options = {"layers": 1, "hidden_units": [8], "seed": 0}
    iaf, maf = IAF(4, **options), MAF(4, batch_norm=False, **options)
    iaf.transform.transforms[0].transform.load_state_dict(maf.transform.transforms[0].state_dict())
    u = torch.randn(9, 4)
    torch.testing.assert_close(iaf.transform(u), maf.transform.inverse(u))
    torch.testing.assert_close(iaf.transform.inverse(u), maf.transform(u))


def test_realnvp_with_separate_networks_is_that_of_the_maf_paper():
    flow = RealNVP(5, layers=3, hidden_units=[8, 8], networks="separate")
    couplings = layers(flow, Coupling)
    odd = [False, True, False, True, False]
    assert [layer.mask.tolist() for layer in couplings] == [odd, [not bit for bit in odd], odd]
    for layer in couplings:
        assert layer.conditioner.shift.activation is ACTIVATIONS["relu"]
        assert layer.conditioner.log_scale.activation is ACTIVATIONS["tanh"]


def test_realnvp_has_one_network_per_layer_whose_halves_are_shift_and_log_scale():
    flow = RealNVP(5, layers=3, hidden_units=[8, 8])
    for layer in layers(flow, Coupling):
        assert type(layer.conditioner) is SplitMLP
        assert layer.conditioner.layers[-1].out_features == 2 * len(layer.mapped)
    spline = RealNVP(5, univariate="spline", hidden_units=[8], scale_activation="relu")
    for layer in layers(spline, Coupling):
        assert type(layer.conditioner) is MLP


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"num_masked": 1}, [True, False, False]),
        ({"num_masked": -2}, [False, True, True]),
        ({"fraction_masked": 0.5}, [True, False, False]),
    ],
)
def test_realnvp_masks_by_number_or_share(options, expected):
    flow = RealNVP(3, layers=2, **options)
    assert [layer.mask.tolist() for layer in layers(flow, Coupling)] == [
        expected,
        [not bit for bit in expected],
    ]


def test_nice_preserves_the_volume_and_learns_the_scales():
    flow = NICE(4, hidden_units=[8])
    _, log_det = flow.transform(torch.randn(9, 4))
    assert torch.equal(log_det, torch.zeros(9))
    assert dict(flow.named_parameters())["base.log_scale"].shape == (4,)


def test_a_seed_fixes_orders_and_permutations():
    options = {"layers": 2, "input_order": "random", "hidden_degrees": "random"}

    def buffers(seed):
        flow = MAF(20, lu_linear=True, seed=seed, **options)
        whole = [b.flatten() for b in flow.buffers() if b.dtype == torch.int64]
        return torch.cat(whole)

    assert torch.equal(buffers(1), buffers(1))
    assert not torch.equal(buffers(1), buffers(9))


@pytest.mark.parametrize("kind", [MAF, IAF, RealNVP])
def test_a_zero_output_starts_at_the_base(kind):
    flow = kind(4, layers=2, zero_output=True, batch_norm=False, hidden_units=[8])
    x = torch.randn(9, 4)
    torch.testing.assert_close(flow.log_prob(x), flow.base.log_prob(x))


def test_wrong_options_are_named():
    for build, message in (
        (lambda: RealNVP(3, layers=0), "layers=0"),
        (lambda: RealNVP(3, num_masked=1, fraction_masked=0.5), "expected one of them"),
        (lambda: RealNVP(3, networks="both"), "networks='both' is unknown"),
        (
            lambda: RealNVP(3, scale_activation="relu"),
            "scale_activation='relu' acts in separate networks only",
        ),
        (lambda: NICE(3, num_masked=3), "num_masked=3"),
        (lambda: MAF(3, batch_norm_side="left"), "batch_norm_side='left' is unknown"),
        (lambda: IAF(3, univariate="cubic"), "univariate='cubic' is unknown"),
    ):
        with pytest.raises(ValueError, match=message):
            build()


COMMON = {
    "layers": st.integers(1, 3),
    "univariate": st.sampled_from([*MAPS]),
    "activation": st.sampled_from(["relu", "tanh", "elu", None]),
    "batch_norm": st.booleans(),
    "batch_norm_side": st.sampled_from(["noise", "data"]),
    "batch_norm_statistics": st.sampled_from(["dataset", "running"]),
    "lu_linear": st.booleans(),
    "bins": st.integers(1, 6),
    "tail_bound": st.floats(0.5, 5),
    "kernel_initializer": st.sampled_from(["glorot_uniform", "he_normal"]),
    "zero_output": st.booleans(),
}
MASKED = {
    "hidden_degrees": st.sampled_from(["equal", "random"]),
    "input_order": st.sampled_from(["left-to-right", "right-to-left", "random"]),
    "reverse": st.booleans(),
    "conditional_input_layers": st.sampled_from(["all_layers", "first_layer"]),
    "residual": st.booleans(),
}
MIXTURE = {"base": st.sampled_from(["normal", "mixture"]), "components": st.integers(1, 4)}
COUPLED = {
    "fraction_masked": st.none() | st.floats(-0.9, 0.9),
    "networks": st.sampled_from(["shared", "separate"]),
}
# Layers that may stretch without bound, or nearly, magnify rounding beyond any tolerance.
ALWAYS = {"seed": st.integers(0, 100), "log_scale_bound": st.sampled_from([0.5, 2.0])}
DRAWN = st.one_of(
    st.tuples(st.just(MAF), st.fixed_dictionaries(ALWAYS, optional=COMMON | MASKED | MIXTURE)),
    st.tuples(st.just(IAF), st.fixed_dictionaries(ALWAYS, optional=COMMON | MASKED)),
    st.tuples(st.just(RealNVP), st.fixed_dictionaries(ALWAYS, optional=COMMON | COUPLED)),
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(drawn=DRAWN, features=st.integers(1, 5), context_features=st.integers(0, 2))
def test_any_options_give_a_density_that_fits_its_samples(drawn, features, context_features):
    kind, options = drawn
    hidden_units = [6, 6, 6] if options.get("residual") else [7]
    torch.manual_seed(0)
    flow: Flow = kind(
        features, context_features=context_features, hidden_units=hidden_units, **options
    ).double()
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
        for layer in flow.modules():
            if isinstance(layer, MaskedLinear):
                layer.set_mask(layer.mask)
    flow.eval()
    context = torch.randn(4, context_features, dtype=torch.float64) if context_features else None
    x, log_prob = flow.sample_and_log_prob((3,), context)
    assert x.shape == ((3, 4, features) if context_features else (3, features))
    torch.testing.assert_close(flow.log_prob(x, context), log_prob, rtol=1e-3, atol=1e-3)


def test_the_usual_flows_are_public():
    assert {"MAF", "IAF", "RealNVP", "NICE", "MADE", "Blockwise", "fit", "load"} <= {
        *dir(flowbench)
    }
    assert flowbench.RealNVP is RealNVP


@pytest.mark.parametrize("kind", [MAF, IAF, RealNVP])
def test_a_map_may_be_given_instead_of_its_name(kind):
    flow = kind(3, layers=1, hidden_units=[8], univariate=ShiftMap(), batch_norm=False)
    x, log_prob = flow.sample_and_log_prob(4)
    torch.testing.assert_close(flow.log_prob(x), log_prob)
    torch.testing.assert_close(log_prob, flow.base.log_prob(flow.transform.inverse(x)[0]))


def test_a_map_keeps_its_options():
    flow = MAF(3, layers=2, univariate=AffineMap(0.5))
    assert [layer.univariate.bound for layer in layers(flow, MaskedAutoregressive)] == [0.5, 0.5]


X, CONTEXT = torch.zeros(5, 2), torch.zeros(5, 3)
MISFITS = {
    "x, type": ((X.double(), CONTEXT), r"x holds torch.float64, expected torch.float32"),
    "x, whole numbers": ((X.long(), CONTEXT), r"x holds torch.int64"),
    "context, type": ((X, CONTEXT.double()), r"context holds torch.float64"),
    "context, size": ((X, CONTEXT[:, :2]), r"context has shape \(5, 2\), expected \[..., 3\]"),
    "batch": ((X, CONTEXT[:3]), r"context of shape \(3, 3\) have batch dimensions"),
}


@pytest.mark.parametrize("name", MISFITS)
@pytest.mark.parametrize("kind", [MAF, MADE, RealNVP])
def test_tensors_that_do_not_fit_are_told_in_one_sentence(kind, name):
    (x, context), sentence = MISFITS[name]
    flow = kind(2, context_features=3, hidden_units=[8]).eval()
    with pytest.raises(ValueError, match=sentence):
        flow.log_prob(x, context)
    if name == "context, size":
        with pytest.raises(ValueError, match=sentence):
            flow.sample(2, context)


def test_a_density_that_depends_on_its_batch_is_no_distribution():
    flow = MAF(2, layers=1)
    with pytest.raises(ValueError, match=r"in training mode.*call .eval\(\) first"):
        flow.distribution()
    assert flow.eval().distribution().log_prob(torch.zeros(2)).shape == ()
