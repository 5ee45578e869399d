"""Every option of model, data, training, trainer and launcher has limits, told before a run."""

import pytest
from hydra import compose, initialize_config_dir

from flowbench.config.configuration import ConfigError, check, remarks, resolved
from flowbench.config.files import complete_files
from flowbench.config.signatures import problems_of_node
from flowbench.run.config_directory import config_directory

complete_files()

WRONG = {
    "model.dropout=nan": "model.dropout=NaN: expected a number at least 0 and below 1",
    "model.dropout=-0.1": "model.dropout=-0.1: expected a number at least 0 and below 1",
    "model.dropout=1": "model.dropout=1: expected a number at least 0 and below 1",
    "model.dropout=1.5": "model.dropout=1.5: expected a number at least 0 and below 1",
    "model.layers=null": "model.layers=null: expected an integer at least 1",
    "model.layers=''": "model.layers=: expected an integer at least 1",
    "model.layers=[3]": "model.layers=[3]: expected an integer at least 1",
    "model.layers={a:3}": "model.layers={a: 3}: expected an integer at least 1",
    "model.seed=-1": "model.seed=-1: expected an integer at least 0 and below 4611686018427387904",
    "model.activation=rellu": "; did you mean relu or relu6?",
    "model.activation=softmax": "model.activation='softmax' makes every hidden unit depend on all",
    "model.kernel_initializer=glorot": "; did you mean glorot_normal or glorot_uniform?",
    "model.input_order=[0,0]": "model.input_order=[0, 0] is not a permutation of 0 … 1 or 1 … 2",
    "model.residual=true": "model.hidden_units=[100, 100]: a residual network needs one layer and",
    "model=realnvp model.num_masked=0": "model.num_masked=0: no feature would depend on another",
    "model=realnvp model.fraction_masked=2": "expected a number at least -1 and at most 1 or null",
    "model=realnvp model.num_masked=1 model.fraction_masked=0.5": "model.num_masked=1 and "
    "fraction_masked=0.5: expected one of them",
    "model=realnvp model.scale_activation=relu": "model.scale_activation='relu' acts in separate",
    "model=iaf model.activation=log_softmax": "model.activation='log_softmax' makes every hidden",
    "model=blockwise +model.flow.layers=0": "model.flow.layers=0: expected an integer at least 1",
    "data.batch_size=0": "data.batch_size=0: expected an integer at least 1",
    "data.seed=-1": "data.seed=-1: expected an integer at least 0 and below 4294967296",
    "data.train_rows=1.5": "data.train_rows=1.5: expected an integer at least 1",
    "data=fsdd data.train_label=zero data.label_context=true": "data.label_context=true needs",
    "data=fsdd data.window=frames data.frame_ms=2000": "data.frame_ms=2000 is longer than",
    "training.learning_rate=nan": "training.learning_rate=NaN: expected a number above 0",
    "trainer.accelerator=tpu": "trainer.accelerator=tpu: expected auto, cpu, gpu, cuda or mps",
    "trainer.max_epochs=-5": "trainer.max_epochs=-5: expected an integer at least 1",
    "trainer.max_time={hour: 1}": "trainer.max_time={hour: 1}: expected text as DD:HH:MM:SS",
    "training.learning_rate=1e99": "training.learning_rate=1e+99 is too large: expected a number",
    "training.learning_rate=inf": "training.learning_rate=Infinity is too large: expected a",
    "model.hidden_units=[8,99999999999999]": "model.hidden_units=[8, 99999999999999] is too large",
    "data.train_rows=99999999999999": "data.train_rows=99999999999999 is too large: expected an",
    "seed=null": "seed=null: expected an integer at least 0 and below 4294967296",
    "init_from=''": "init_from=: expected text that is not empty or null",
}


def composed(words):
    with initialize_config_dir(str(config_directory()), version_base="1.3"):
        return compose("train", ["logger=csv", *words])


@pytest.mark.parametrize("words", WRONG)
def test_a_value_outside_of_its_limits_is_one_sentence(words):
    split = words.split(" ") if "{" not in words else [words]
    with pytest.raises(ConfigError) as caught:
        check(composed(split))
    [sentence] = str(caught.value).splitlines()
    assert WRONG[words] in sentence


@pytest.mark.parametrize("launcher", ["local", "slurm"])
def test_a_launcher_has_limits(launcher):
    path = config_directory() / "hydra" / "launcher" / f"{launcher}.yaml"
    node = {"_target_": path.read_text().rpartition("_target_: ")[2].split()[0]}
    wrong = {"local": {"jobs": 0}, "slurm": {"nodes": 0, "time": "soon", "partition": ""}}
    given = {"slurm": {"max_num_timeout": 1}}.get(launcher, {}) | wrong[launcher]
    problems = list(problems_of_node("hydra.launcher", node | given, supplied=set()))
    assert [one.partition("=")[0] for one in problems] == [
        f"hydra.launcher.{name}" for name in wrong[launcher]
    ]


IDLE = {
    "model=realnvp model.networks=separate model.univariate=spline": "model.networks=separate",
    "model=realnvp model.batch_norm=false model.batch_norm_statistics=running": "model.batch_norm_"
    "statistics=running",
    "model=made model.components=4": "model.components=4",
    "model=nice model.hidden_units=[] model.activation=tanh": "model.activation=tanh",
    "model=blockwise +model.flow.bins=4": "model.flow.bins=4",
    "data=fsdd data.context_frames=3": "data.context_frames=3",
}


@pytest.mark.parametrize("words", IDLE)
def test_an_option_without_effect_is_found(words):
    config = composed(words.split())
    check(config)
    [sentence] = remarks(resolved(config))
    assert sentence.startswith(f"{IDLE[words]} has no effect with ")


def test_defaults_are_not_remarked_upon():
    for model in ("maf_strong", "realnvp_spline", "iaf", "made_bernoulli", "nice", "blockwise"):
        assert remarks(resolved(composed([f"model={model}"]))) == []
