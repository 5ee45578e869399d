"""What is refused once the data are known, before anything is trained."""

import pytest
from hydra import compose, initialize_config_dir

from flowbench.config.configuration import ConfigError, check
from flowbench.run.building import flow_of, read_data
from flowbench.run.main import config_directory


def built(*overrides):
    with initialize_config_dir(str(config_directory()), version_base="1.3"):
        small = ["data=toy", "data.train_rows=8", "data.val_rows=4", *overrides]
        settings = check(compose("train", small))
    return flow_of(settings, read_data(settings))


def test_steps_of_one_row_are_refused_with_batch_norms():
    with pytest.raises(ConfigError, match=r"^training\.batch_size=1: batch norms need .* two"):
        built("model=realnvp", "model.batch_norm=true", "training.batch_size=1")
    assert built("model=realnvp", "model.batch_norm=false", "training.batch_size=1")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("training.batch_size=7", r"use batch_size=256, not 7: expected batch_size: \${training"),
        ("seed=3", r"data=toy would use seed=0, not 3: expected seed: \${seed} in its file"),
    ],
)
def test_data_without_the_batch_size_or_the_seed_of_the_run_are_refused(option, message):
    with pytest.raises(ConfigError, match=message):
        built("model=gaussian", "~data.batch_size", "~data.seed", option)
