"""Files say only what they change, and every option can be changed all the same."""

from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.errors import ConfigCompositionException
from omegaconf import OmegaConf

from flowbench.config.configuration import SIZES, ConfigError, check
from flowbench.config.defaults import defaults_of
from flowbench.config.signatures import target_of
from flowbench.run.config_directory import config_directory

FOLDER = config_directory()
FILES = [
    path
    for group in ("model", "data", "hydra/launcher", "hydra/sweeper")
    for path in sorted((FOLDER / group).glob("*.yaml"))
]


def composed(*overrides):
    with initialize_config_dir(str(FOLDER), version_base="1.3"):
        return compose("train", list(overrides))


def said_and_inherited(path):
    """What a file says, and what it would be without it."""
    said = yaml.safe_load(path.read_text(encoding="utf-8"))
    inherited = {}
    for parent in said.pop("defaults", []):
        if parent != "_self_":
            own, above = said_and_inherited(path.with_name(f"{parent}.yaml"))
            inherited |= above | own
    return said, inherited


def repeated(said, inherited):
    target = target_of(inherited | said)
    known = ({} if target is None else defaults_of(target)) | inherited
    yield from (key for key, value in said.items() if key in known and known[key] == value)
    for node in said.values():
        if isinstance(node, dict):
            yield from repeated(node, {})


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_no_file_repeats_a_default(path):
    said, inherited = said_and_inherited(path)
    assert list(repeated(said, inherited)) == []
    assert path.read_text(encoding="utf-8").startswith("# ")


def test_a_repeated_default_is_found():
    said = {"_target_": "flowbench.flows.MAF", "layers": 5, "bins": 4}
    assert list(repeated(said, {})) == ["layers"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_option_of_the_class_is_a_key(path):
    if path.parent.parent == FOLDER:
        node = composed(f"{path.parent.name}={path.stem}")[path.parent.name]
        assert node.name == path.stem
    else:
        with initialize_config_dir(str(FOLDER), version_base="1.3"):
            choice = f"{path.parent.relative_to(FOLDER)}={path.stem}"
            node = compose("train", [choice], return_hydra_config=True).hydra[path.parent.name]
    assert set(defaults_of(target_of(node))) - SIZES <= set(node)


@pytest.mark.parametrize(
    "override",
    [
        "model.layers=10",
        "model.bins=16",
        "+model.bins=16",
        "++model.bins=16",
        "model.components=3",
        "data.log_columns=[z]",
        "training.ema=0.9",
        "model.embedding={_target_: torch.nn.Flatten}",
    ],
)
def test_an_option_is_changed_with_a_plus_or_without(override):
    config = composed("data=table", override)
    key, _, value = override.lstrip("+").partition("=")
    assert OmegaConf.select(config, key) == yaml.safe_load(value)


def test_options_inside_are_keys_too():
    config = composed("model=blockwise", "model.flow.bins=4")
    assert config.model.flow.bins == 4
    assert config.model.flow.layers == 5
    assert "features" not in config.model.flow
    check(config)


def test_an_unknown_option_is_refused():
    with pytest.raises(ConfigCompositionException, match="Could not override"):
        composed("model.layer=3")
    with pytest.raises(ConfigError, match=r"model\.layer: unknown key; did you mean"):
        check(composed("+model.layer=3"))


def test_what_a_file_inherits_stands_before_defaults():
    model = composed("model=maf_spline").model
    assert (model.univariate, model.layers, model.batch_norm) == ("spline", 10, False)
    assert (model.bins, model.dropout) == (8, 0.0)


def test_what_the_run_knows_is_the_runs():
    config = composed(
        "data=gas", "seed=3", "training.batch_size=64", "paths.data=d", "paths.cache=c"
    )
    assert config.model.seed == config.data.seed == 3
    assert (config.data.batch_size, config.data.data_dir) == (64, "d")
    assert config.data.cache_dir == "c"


OWN = """
class Base:
    def __init__(self, features, *, width=8, act=print): ...


class Derived(Base):
    def __init__(self, features, *, depth, path, seed=1, **options): ...


def data(*, batch_size, seed=None): ...
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Parts and files of a user."""

    def own(**files):
        for name, text in files.items():
            path = tmp_path / name.replace("_", "/", 1)
            path.parent.mkdir(exist_ok=True)
            path.with_suffix(".yaml").write_text(text)
        (tmp_path / "parts_of_a_user.py").write_text(OWN)
        monkeypatch.syspath_prepend(tmp_path)
        return lambda *words: composed(f"hydra.searchpath=[file://{tmp_path}]", *words)

    return own


def test_files_of_a_user_are_completed(own):
    compose_own = own(
        model_mine="name: mine\n_target_: parts_of_a_user.Derived\ndepth: 2\n",
        data_mine="name: mine\n_target_: parts_of_a_user.data\n",
        model_child="defaults: [maf, _self_]\nname: child\nlayers: 2\n",
        model_gone="name: gone\n_target_: no_such_package.Flow\nlayers: 2\n",
    )
    config = compose_own("model=mine", "data=mine", "model.path=p", "data.seed=4")
    assert config.model == {
        "name": "mine",
        "_target_": "parts_of_a_user.Derived",
        "depth": 2,
        "path": "p",
        "seed": 1,  # a default of the user's
        "embedding": None,
    }
    assert (config.data.batch_size, config.data.seed) == (256, 4)
    assert compose_own("model=child", "model.bins=4").model.layers == 2
    assert compose_own("model=gone", "model.layers=3").model.layers == 3
    assert OmegaConf.missing_keys(compose_own("model=mine")) == {"model.path"}


def test_files_elsewhere_are_left_as_they_are(tmp_path):
    (tmp_path / "logger").mkdir()
    Path(tmp_path, "logger", "own.yaml").write_text("own: {_target_: flowbench.flows.MAF}\n")
    config = composed(f"hydra.searchpath=[file://{tmp_path}]", "logger=own")
    assert config.logger == {"own": {"_target_": "flowbench.flows.MAF"}}
