"""A wrong configuration is told in full; a run's folder depends on what changes its result."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from flowbench.config.configuration import ConfigError, Training, check, resolved
from flowbench.run.config_directory import config_directory
from flowbench.run.identity import run_directory, run_hash

MODULE = "tests_of_configuration"
GROUPS = {
    "model/fake.yaml": f"""
        name: fake
        _target_: {MODULE}.Model
        layers: 5
        hidden_units: [100, 100]
        activation: relu
        bound: null
        base: {{_target_: {MODULE}.Base, scale: 1.0}}
    """,
    "model/fake_plain.yaml": f"name: plain\n_target_: {MODULE}.Base\nscale: 1.0",
    "data/fake.yaml": f"""
        name: fake
        _target_: {MODULE}.Data
        path: null
        data_dir: ${{paths.data}}
        batch_size: ${{training.batch_size}}
        seed: ${{seed}}
    """,
    "data/fake_table.yaml": f"""
        name: fake_table
        _target_: {MODULE}.Data
        path: ???
        data_dir: ${{paths.data}}
        batch_size: ${{training.batch_size}}
        seed: ${{seed}}
    """,
    "experiment/fake_large.yaml": "# @package _global_\ntraining:\n  batch_size: 1000\n",
    "experiment/fake_typo.yaml": "# @package _global_\ntraning:\n  batch_size: 1000\n",
}


class Base:
    def __init__(self, *, scale: float) -> None: ...


class Model:
    def __init__(
        self,
        features: int,
        *,
        context_features: int = 0,
        layers: int = 5,
        hidden_units: Sequence[int] = (100,),
        activation: Literal["relu", "tanh"] = "relu",
        bound: float | None = None,
        base: Base | None = None,
        order: tuple[int, ...] | Literal["random"] = "random",
    ) -> None: ...


class Data:
    def __init__(
        self, *, batch_size: int, seed: int, data_dir: str, path: str | None = None
    ) -> None: ...


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    monkeypatch.setitem(sys.modules, MODULE, sys.modules[__name__])


@pytest.fixture(scope="module")
def groups(tmp_path_factory):
    folder = tmp_path_factory.mktemp("groups")
    for name, text in GROUPS.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(re.sub(r"^ {8}", "", text, flags=re.MULTILINE))
    return folder


@pytest.fixture
def composed(groups):
    def composed(*overrides: str) -> DictConfig:
        search = f"hydra.searchpath=[file://{groups}]"
        overrides = (search, "model=fake", "data=fake", *overrides)
        with initialize_config_dir(str(config_directory()), version_base="1.3"):
            return compose("train", list(overrides))

    return composed


@pytest.fixture
def problems(composed):
    def problems(*overrides: str) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            check(composed(*overrides))
        return str(caught.value).splitlines()

    return problems


def test_sound_configurations_pass(composed):
    check(composed())
    check(composed("model=fake_plain", "logger=csv", "training.gradient_clip_norm=null"))
    check(composed("logger=[csv,wandb]", "logger.wandb.offline=false", "trainer=cpu"))
    check(composed("training.learning_rate=1", "+model.order=[2,1]", "+trainer.benchmark=true"))
    check(composed("published={source: a paper, model: MAF}", "trainer.max_time=00:01:00:00"))


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("model.hidden_units=abc", "expected a list (each entry an integer)"),
        ("model.hidden_units=[100,a]", "expected a list (each entry an integer)"),
        ("model.layers=true", "expected an integer"),
        ("model.layers=5.0", "expected an integer"),
        ("model.bound=none", "expected a number or null"),
        ("model.activation=rlu", "expected relu or tanh; did you mean relu?"),
        ("model.base.scale=wide", "expected a number"),
        ("+model.order=[a]", "expected a list (each entry an integer) or random"),
        ("+model.layer=5", "unknown key; did you mean model.layers?"),
        ("+model.features=5", "flowbench sets it itself; leave it out"),
        ("model.name=a/b", "expected a folder name: letters, digits, _ . + -"),
        ("training.learning_rate=0", "expected a number above 0"),
        ("training.learning_rate=inf", "expected a number above 0"),
        ("training.learning_rate=fast", "expected a number above 0"),
        ("training.weight_decay=-1e-6", "expected a number at least 0"),
        ("training.gradient_clip_norm=0", "expected a number above 0 or null"),
        (
            "training.schedule=cosin",
            "constant, cosine or a mapping; did you mean cosine?",
        ),
        ("training.patience=0", "expected an integer at least 1 or null"),
        ("+training.momentum=1", "unknown key; known: batch_size"),
        ("+trainer.max_epoch=3", "unknown key; did you mean trainer.max_epochs"),
        ("+trainer.logger=false", "leave it out; flowbench sets it itself: choose with logger="),
        ("+trainer.precision=16-mixed", "leave it out; flows are trained in float32"),
        ("+trainer.max_steps=100", "epochs are counted, not steps: set trainer.max_epochs"),
        ("+trainer.limit_val_batches=0", "all validation rows are scored after every epoch"),
        ("trainer.max_epochs=many", "expected an integer at least 1"),
        ("trainer.max_epochs=-1", "expected an integer at least 1"),
        ("trainer.max_epochs=null", "expected an integer at least 1"),
        ("trainer.accelerator=gqu", "did you mean gpu?"),
        ("trainer.accelerator=tpu", "expected auto, cpu, gpu, cuda or mps"),
        ("trainer.devices=abc", "expected an integer at least 1, auto, -1 or a list"),
        ("trainer.devices=0", "expected an integer at least 1, auto, -1 or a list"),
        ("+trainer.num_nodes=0", "expected an integer at least 1"),
        ("trainer.max_time=soon", "expected text as DD:HH:MM:SS, a mapping or null"),
        ("+trainer.profiler=quick", "expected simple, advanced or null"),
        ("+trainer.fast_dev_run=true", "it leaves no result, whereas trainer.max_epochs=1"),
        ("paths.output=''", "expected text that is not empty"),
        ("seed=-1", "expected an integer at least 0"),
        ("seed=1.5", "expected an integer at least 0"),
        ("overwrite=1", "expected true or false"),
        ("paths.output=3", "expected text"),
        ("published=maf", "expected a mapping or null"),
        ("+published={source: x}", "published.model is missing: expected text"),
        ("logger.wandb.offline=maybe", "expected true or false"),
        ("model._target_=flowbench.flows.MFA", "has no attribute 'MFA'"),
        ("model._target_=flowbench.flows", "expected a class or function"),
    ],
)
def test_one_mistake_is_one_sentence_with_its_full_key(problems, override, problem):
    [sentence] = problems(override)
    assert problem in sentence
    if " is missing" not in sentence:
        assert sentence.startswith(override.lstrip("+").partition("=")[0])


def test_all_mistakes_are_told_together(problems):
    found = problems("model.layers=x", "training.schedule=x", "seed=x", "trainer.devices=null")
    keys = [sentence.partition("=")[0] for sentence in found]
    assert keys == ["seed", "training.schedule", "trainer.devices", "model.layers"]


def test_a_mistake_is_told_at_the_key_that_has_the_value(problems):
    [sentence] = problems("seed=-1")
    assert sentence == "seed=-1: expected an integer at least 0 and below 4294967296"
    [sentence] = problems("data.seed=x")
    assert sentence == "data.seed=x: expected an integer"
    assert len(problems("seed=-1", "data.seed=x")) == 2


def test_missing_values_and_broken_references_are_named(problems):
    assert problems("data=fake_table") == ["data.path is missing: give data.path=..."]
    assert problems("~model.base.scale") == ["model.base.scale is missing: expected a number"]
    (sentence,) = problems("data.path=${nothing}")
    assert sentence.startswith("data.path: ")


def test_a_misspelt_section_of_an_experiment_is_found(problems, composed):
    assert composed("experiment=fake_large").training.batch_size == 1000
    (sentence,) = problems("experiment=fake_typo")
    assert sentence == "traning: unknown key; did you mean training or trainer?"


def test_settings_are_typed_with_every_reference_replaced(composed):
    settings = check(composed("seed=3", "training.ema=0.9", "+trainer.benchmark=true"))
    assert (settings.seed, settings.data["seed"], settings.training.ema) == (3, 3, 0.9)
    assert settings.training == Training(ema=0.9)
    assert settings.trainer.keywords() == {
        "max_epochs": 1000, "max_time": None, "accelerator": "auto", "strategy": "auto",
        "devices": 1, "enable_progress_bar": True, "benchmark": True, "num_nodes": 1,
        "min_epochs": None, "log_every_n_steps": None, "profiler": None,
    }  # fmt: skip
    assert settings.plain["training"]["ema"] == 0.9
    assert settings.published is settings.module is None


def test_csv_leaves_wandb_out(composed):
    assert resolved(composed("logger=csv"))["logger"] == {}


@pytest.mark.parametrize(
    "same",
    [
        "seed=7",
        "overwrite=true",
        "logger=csv",
        "figures=[density]",
        "trainer=cpu",
        "trainer.devices=4",
        "paths.data=elsewhere",
        "paths.output=elsewhere",
        "+trainer.enable_progress_bar=false",
        "published={source: a paper, model: MAF}",
        "training.batch_size=${oc.decode:'256'}",
    ],
)
def test_what_leaves_the_result_alone_leaves_the_hash_alone(composed, same):
    assert run_hash(composed(same)) == run_hash(composed())


def test_what_changes_the_result_changes_the_hash(composed):
    others = [
        "model.layers=6",
        "model.base.scale=2.0",
        "data.path=a.npz",
        "data.path=${paths.data}/a.npz",
        "training.batch_size=128",
        "training.optimizer={_target_: torch.optim.SGD}",
        "module={_target_: flowbench.training.maximum_likelihood.MaximumLikelihood}",
        "trainer.max_epochs=3",
        "+trainer.deterministic=true",
    ]
    hashes = [run_hash(composed(override)) for override in ["seed=0", *others]]
    assert len(set(hashes)) == len(hashes)
    assert all(re.fullmatch("[0-9a-f]{8}", digits) for digits in hashes)


def test_a_path_by_reference_keeps_the_hash_when_the_data_move(composed):
    path = "data.path=${paths.data}/a.npz"
    assert run_hash(composed(path, "paths.data=b")) == run_hash(composed(path))


def test_the_hash_does_not_depend_on_the_order_of_keys(composed):
    backwards = composed()
    OmegaConf.set_struct(backwards, False)
    for node in (backwards.model, backwards):
        for key in reversed(list(node)):
            node[key] = node.pop(key)
    assert list(backwards.model)[-1] == "name"
    assert run_hash(backwards) == run_hash(composed())


def test_the_folder_names_data_model_hash_and_seed(composed):
    config = composed("seed=3", "paths.output=runs")
    assert run_directory(config) == Path("runs/fake/fake") / run_hash(config) / "seed=3"
