"""Round trips in float32, on inputs from tame to wild: the documented figures."""

import math
import runpy
from pathlib import Path

import pytest
import torch

from flowbench.evaluation.invertibility import round_trip_error
from flowbench.transforms import Affine, Chain

COMMAND = runpy.run_path(str(Path(__file__).parents[2] / "scripts" / "invertibility.py"))
INPUTS, LAYERS = COMMAND["INPUTS"], COMMAND["LAYERS"]
STACK = "standardized, 10 x (affine, BatchNorm)"
SINGLE = [name for name in LAYERS if "10 x" not in name]
TAME = [*SINGLE, STACK, "10 x affine, tanh"]


@pytest.fixture(scope="module", params=[(8, 0), (32, 1)], ids=str)
def table(request):
    features, seed = request.param
    layers = {name: LAYERS[name] for name in TAME}
    return COMMAND["errors_of"](layers, features=features, rows=200, seed=seed)


@pytest.mark.parametrize("name", TAME)
def test_normal_inputs_come_back(table, name):
    assert max(table[name]["normal"]) < 1e-4


@pytest.mark.parametrize("name", SINGLE)
@pytest.mark.parametrize("kind", INPUTS)
def test_wild_inputs_come_back_through_every_layer(table, name, kind):
    assert max(table[name][kind]) < 0.1


@pytest.mark.parametrize("kind", INPUTS)
def test_wild_data_come_back_through_a_stack_as_in_a_run(table, kind):
    assert table[STACK][kind][0] < 1e-2


def test_errors_by_hand():
    class Doubled(Affine):
        def inverse(self, x, context=None):
            return 2 * x, torch.zeros(x.shape[:-1])

    error = round_trip_error(Doubled(features=2), torch.tensor([[3.0, 4.0], [0.5, 1.0]]))
    assert error == (4.0, 1.0)


def test_an_overflow_is_no_number():
    error = round_trip_error(Chain([Affine(scale=[1e-30])]), torch.tensor([[1e20]]))
    assert math.isnan(error.absolute)


def test_the_command_prints_every_layer(capsys):
    COMMAND["main"](["--rows", "10", "--features", "4"])
    printed = capsys.readouterr().out
    assert all(name in printed for name in (*LAYERS, *INPUTS))
