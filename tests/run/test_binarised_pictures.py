"""Pictures of 0 and 1: refused to densities of real numbers, and told in bits."""

import math
from functools import partial

import pytest
from run_commands import train

from flowbench.data import DataError
from flowbench.flows import MADE, equal_blocks
from flowbench.run.result import summary

BINARY = ["data=digits", "logger=csv", "trainer.max_epochs=1", "training.batch_size=200"]


@pytest.mark.parametrize("binarize", ["threshold", "sampled"])
@pytest.mark.parametrize("model", ["maf", "gaussian", "made", "blockwise", "realnvp"])
def test_a_density_of_real_numbers_is_refused(model, binarize, tmp_path):
    message = (
        f"model={model} is a density of real numbers, which has no bound on the values 0 and 1 of "
        "data=digits; expected a distribution of these, such as model=made_bernoulli"
    )
    with pytest.raises(DataError, match=message):
        train(tmp_path, *BINARY, f"model={model}", f"data.binarize={binarize}")
    assert not list(tmp_path.glob("outputs/*/*/*/seed=*"))


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize(("family", "discrete"), [("bernoulli", True), ("mixture", False)])
def test_channels_apart_are_discrete_like_each(shared, family, discrete):
    flow = equal_blocks(6, blocks=3, shared=shared, flow=partial(MADE, family=family))
    assert flow.discrete is discrete


def test_a_distribution_of_such_events_is_told_in_bits(tmp_path):
    folder, result = train(
        tmp_path,
        *BINARY,
        "model=made_bernoulli",
        "model.hidden_units=[16]",
        "data.binarize=threshold",
    )
    mean = result["test"]["log_likelihood"]["data_space"]["mean"]
    assert -64 * math.log(2) < mean < 0
    assert result["test"]["bits_per_dim"] == pytest.approx(-mean / (64 * math.log(2)))
    assert f"bits per dimension   {result['test']['bits_per_dim']:.4f}" in summary(result, folder)
