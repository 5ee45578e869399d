"""Parts that are frozen stay so in training; statistics are set where nothing is trained."""

import sys

import numpy as np
import pytest
import torch
from run_commands import train
from torch import nn

import flowbench
from flowbench.training.maximum_likelihood import MaximumLikelihood
from flowbench.transforms import BatchNorm

MODULE = "tests_of_frozen_parts"
STEPS = "{_target_: flowbench.evaluation.curves.StepCurve, every: 1}"
SMALL = {"layers": 2, "hidden_units": [8], "seed": 0}


def rows():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(400, 2, generator=generator) @ torch.tensor([[2.0, 1.0], [0.0, 0.5]]) + 7


def norms(flow):
    return [part for part in flow.modules() if isinstance(part, BatchNorm)]


class AllFrozen(MaximumLikelihood):
    def __init__(self, flow, training):
        flow.requires_grad_(False)
        super().__init__(flow, training)


class OneNormFrozen(MaximumLikelihood):
    def __init__(self, flow, training):
        norms(flow)[0].eval()
        super().__init__(flow, training)


def test_a_flow_without_trained_parameters_gets_the_statistics_of_the_rows():
    x = rows()
    flow = flowbench.MAF(2, **SMALL).requires_grad_(False)
    density = flowbench.fit(flow, x, validation=x)
    given = {key: value.clone() for key, value in flow.state_dict().items()}
    flow.recompute_statistics(density.preprocess.inverse(x.double())[0].float())
    for key, value in flow.state_dict().items():
        torch.testing.assert_close(value, given[key], msg=key)
    assert all(norm.mean.any() for norm in norms(flow))


def test_a_batch_norm_in_evaluation_mode_keeps_its_statistics():
    flow = flowbench.MAF(2, **SMALL)
    frozen, free = norms(flow)
    frozen.eval()
    flowbench.fit(flow, rows(), max_epochs=2)
    assert not frozen.mean.any()
    assert free.mean.any()


def test_a_flow_in_evaluation_mode_is_trained_as_a_whole():
    flow = flowbench.MAF(2, **SMALL).eval()
    flowbench.fit(flow, rows(), max_epochs=1)
    assert all(norm.mean.any() for norm in norms(flow))


def test_a_frozen_transform_keeps_its_statistics_while_its_embedding_is_trained():
    x = rows()
    flow = flowbench.MAF(2, context_features=1, **SMALL)
    flow.embedding = nn.Linear(3, 1)
    flow.transform.eval().requires_grad_(False)
    before = flow.embedding.weight.detach().clone()
    flowbench.fit(flow, x, torch.randn(len(x), 3), max_epochs=1)
    assert not any(norm.mean.any() for norm in norms(flow))
    assert not torch.equal(flow.embedding.weight, before)


def test_recomputing_embeds_contexts_as_evaluation_does():
    x, context = rows(), torch.randn(400, 3)
    flow = flowbench.MAF(2, context_features=1, **SMALL)
    flow.embedding = nn.Sequential(nn.Dropout(0.5), nn.Linear(3, 1))
    flow.recompute_statistics(x, context)
    assert all(part.training for part in flow.modules())
    means = [norm.mean.clone() for norm in norms(flow)]
    flow.eval().recompute_statistics(x, context)
    for mean, norm in zip(means, norms(flow), strict=True):
        assert torch.equal(mean, norm.mean)


@pytest.mark.parametrize(("module", "set_"), [(AllFrozen, [1, 1]), (OneNormFrozen, [0, 1])])
@pytest.mark.parametrize(
    "callbacks", ["", "{_target_: flowbench.evaluation.curves.StepCurve, every: 1}"]
)
def test_a_run_with_frozen_parts(tmp_path, monkeypatch, module, set_, callbacks):
    monkeypatch.setitem(sys.modules, MODULE, sys.modules[__name__])
    monkeypatch.setattr("flowbench.run.run.draw_figures", lambda *_: None)
    np.save(tmp_path / "rows.npy", rows().numpy())
    folder, _ = train(
        tmp_path / "outputs",
        *("data=table", f"data.path={tmp_path / 'rows.npy'}", "logger=none", "trainer=cpu"),
        *("model.layers=2", "model.hidden_units=[8]", "trainer.max_epochs=2"),
        f"module={{_target_: {MODULE}.{module.__name__}}}",
        *([f"+callbacks.curve={callbacks}"] if callbacks else []),
    )
    found = norms(flowbench.load(folder).flow)
    assert [int(norm.mean.any()) for norm in found] == set_


def test_a_column_of_the_context_that_does_not_vary_is_only_centred():
    x = rows()
    context = torch.stack([torch.randn(400), torch.full((400,), 0.1)], 1)
    flow = flowbench.MAF(2, context_features=2, **SMALL)
    density = flowbench.fit(flow, x, context, max_epochs=1)
    assert density.context_preprocess.transforms[0].scale[1] == 1
    assert density.log_prob(x, context).isfinite().all()


def test_values_0_and_1_are_not_standardized():
    x = (rows() > 7).float()
    flow = flowbench.MADE(2, family="bernoulli", hidden_units=[4])
    with pytest.raises(ValueError, match="pass standardized=False"):
        flowbench.fit(flow, x)
    assert flowbench.fit(flow, x, max_epochs=1, standardized=False).log_prob(x).isfinite().all()
