"""Every configuration of a data set names all options of its class and explains them."""

import inspect
from pathlib import Path

import pytest
from hydra.utils import get_class
from omegaconf import OmegaConf

FOLDER = Path(__file__).parents[2] / "configs" / "data"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_configuration_has_every_option_and_a_comment_on_each(path):
    config = OmegaConf.load(path)
    options = set(inspect.signature(get_class(config._target_)).parameters)
    assert set(config) == options | {"name", "_target_"}
    assert config.name == path.stem
    assert all("#" in line for line in path.read_text().splitlines())
