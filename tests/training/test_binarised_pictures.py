"""Pictures of 0 and 1: their log-likelihood is told in bits as well."""

import math

import pytest
from run_commands import train

from flowbench.training.result import summary

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

BINARY = ["data=digits", "logger=csv", "trainer.max_epochs=1", "training.batch_size=200"]


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
