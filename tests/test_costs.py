"""What a process does not import: packages are paid for where they are used."""

import subprocess
import sys

import pytest

from flowbench.data import ON_FIRST_USE
from flowbench.density import TrainedDensity
from flowbench.flows import MAF
from flowbench.transforms import Chain

OF_A_RUN = ("hydra", "omegaconf", "pydantic", "pytorch_lightning", "torchmetrics")
OF_SOME_RUNS = ("h5py", "matplotlib", "optuna", "soundfile", "torchaudio", "wandb")

LIBRARY = """
import sys
import flowbench
assert "torch" not in sys.modules
flowbench.MAF(2)
density = flowbench.load(sys.argv[1])
print(*sys.modules)
sys.modules |= dict.fromkeys(["hydra", "omegaconf", "soundfile", "wandb"])  # not installed
flowbench.fit(density.flow, [[0.0, 1.0], [2.0, 3.0], [1.0, 5.0]] * 50, max_epochs=1)
"""

COMMAND = """
import sys
import hydra, pytorch_lightning
brought = set(sys.modules)
from flowbench.run.main import main
main()
print(*set(sys.modules) - brought)
"""

ANSWERS = """
import sys
import hydra, pytorch_lightning
brought = set(sys.modules)
from flowbench.run.main import main
for word in sys.argv[1:]:
    sys.argv[1:] = [word]
    try:
        main()
    except SystemExit:
        pass
print()
print(*set(sys.modules) - brought)
"""


def packages(program, *arguments):
    """Those that a fresh process says that it has imported, in the last line of its output."""
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return {name.partition(".")[0] for name in done.stdout.splitlines()[-1].split()}


@pytest.fixture
def checkpoint(tmp_path):
    nothing = {"sizes": {"features": 2, "context_features": 0}, "format": 2}
    nothing |= {"preprocess": [], "context_preprocess": [], "feature_names": [], "categories": {}}
    density = TrainedDensity(
        MAF(2, layers=1, hidden_units=[8], seed=0),
        preprocess=Chain([]),
        context_preprocess=Chain([]),
        config={},
        saved=nothing | {"config": {}},
    )
    density.save(tmp_path / "density.ckpt")
    return tmp_path / "density.ckpt"


def test_a_density_is_loaded_with_torch_alone_and_trained_without_hydra(checkpoint):
    found = packages(LIBRARY, str(checkpoint))
    assert "torch" in found
    assert found.isdisjoint(OF_A_RUN + OF_SOME_RUNS)


def test_a_run_imports_nothing_that_it_does_not_use(tmp_path):
    words = ["model=gaussian", "data=toy", "logger=none", "figures=false"]
    found = packages(COMMAND, *words, f"paths.output={tmp_path}")
    assert "flowbench" in found
    assert found.isdisjoint(OF_SOME_RUNS)


def test_help_and_mistakes_load_nothing_of_training():
    found = packages(ANSWERS, "model.layrs=3", "trainer.max_epochs=no", "--help")
    assert "flowbench" in found
    assert found.isdisjoint({*OF_SOME_RUNS, "pandas", "sklearn"})


@pytest.mark.parametrize("name", ON_FIRST_USE)
def test_a_data_set_that_is_imported_on_first_use_is_found(name):
    from flowbench import data

    assert getattr(data, name).__name__ == name
    assert name in data.__all__
