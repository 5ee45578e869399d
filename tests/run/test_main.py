"""The command: an expected mistake is one sentence, a bug keeps its traceback."""

import shlex
import sys
from pathlib import Path

import pytest
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.errors import InstantiationException

from flowbench.config.configuration import ConfigError
from flowbench.config.overrides import override
from flowbench.data import DataError
from flowbench.run import config_directory
from flowbench.run import main as command
from flowbench.training.interrupted import Interrupted

GROUPS = {
    "model/fake.yaml": "name: fake\n_target_: builtins.dict\nlayers: 5\n",
    "data/fake.yaml": "name: fake\n_target_: builtins.dict\n",
    "experiment/fake.yaml": "# @package _global_\nseed: 5\n",
}


@pytest.fixture
def groups(tmp_path, monkeypatch):
    """The command sees groups of our own, and runs in an empty folder."""
    folder, empty = tmp_path / "groups", tmp_path / "empty"
    for name, text in GROUPS.items():
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text(text)
    empty.mkdir()
    monkeypatch.chdir(empty)
    return folder


@pytest.fixture
def call(groups, monkeypatch, capsys):
    """Run the command in this process with a stand-in for the run: (exit code, stdout, stderr)."""

    def call(*arguments, run=None):
        words = ["train.py", f"--config-dir={groups}", *arguments, "model=fake", "data=fake"]
        monkeypatch.setattr("sys.argv", words)
        monkeypatch.setenv("HYDRA_FULL_ERROR", "")
        module = type(sys)("flowbench.run.run")
        module.run = run or (lambda config: {})  # pyright: ignore[reportAttributeAccessIssue]
        monkeypatch.setitem(sys.modules, module.__name__, module)
        try:
            command.main()
        except SystemExit as stop:
            code = stop.code
        else:
            code = 0
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    yield call
    HydraConfig.instance().cfg = None  # of this command, which others would take for theirs


FIRST = "fake on fake, seed 0 → outputs/fake/fake/"


def told(error):
    """What stands on stderr below the line that says what is run, which is checked."""
    first, _, rest = error.partition("\n")
    assert first.startswith(FIRST)
    return rest


def raising(error):
    def run(settings, path):
        raise error

    return run


@pytest.mark.parametrize("given", ["", "elsewhere", None])
def test_an_empty_variable_counts_as_not_set(call, monkeypatch, given):
    seen = []
    for name in ("FLOWBENCH_DATA", "FLOWBENCH_CACHE"):
        monkeypatch.setenv(name, given) if given is not None else monkeypatch.delenv(name, False)
    assert call(run=lambda settings, path: seen.append(settings.paths))[0] == 0
    assert (seen[0].data, seen[0].cache) == (given or "data", given or "cache")


def test_a_run_leaves_nothing_of_hydras_own_behind(call):
    seen = []
    assert call("model.layers=7", run=lambda settings, path: seen.append(settings.plain))[0] == 0
    assert seen[0]["model"]["layers"] == 7
    assert "hydra" not in seen[0]
    assert list(Path.cwd().iterdir()) == []


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("model.layer=3", "model.layer is not a key; did you mean model.layers?"),
        ("learning_rate=1", "learning_rate is not a key; did you mean training.learning_rate?"),
        ("training.lr=1", "training.lr is not a key; did you mean training.learning_rate?"),
        ("epochs=1", "epochs is not a key; did you mean trainer.max_epochs?"),
        ("modle.layers=3", "modle is not a key; did you mean model or module?"),
        ("trainer=cpuu", "trainer=cpuu does not exist; did you mean trainer=cpu?"),
        (
            "data.path=x.csv",
            "data.path is not a key of data=fake; a table of your own is data=table "
            "data.path=x.csv",
        ),
        ("model.depth=1", "model.depth is not a key; did you mean model.layers?"),
        ("trainer=GPU", "trainer=GPU does not exist; did you mean trainer=gpu?"),
        ("trainer=gpus", "trainer=gpus does not exist; did you mean trainer=gpu?"),
        ("protocol=null", "protocol=null: leave it out; without it there is none"),
        (
            "experiment=abc",
            "experiment=abc does not exist; known: digits_lattice, digits_lattice_mixture, "
            "digits_pixelcnn, fake, fsdd_unseen_speaker, fsdd_zero, mnist_pixelcnn, "
            "power_2007h1, seed_article/gas, "
            "seed_article/spectrogram_zero, seed_article/speech_zero",
        ),
    ],
)
def test_an_unknown_key_or_choice_is_one_sentence_with_a_suggestion(call, override, sentence):
    assert call(override) == (2, "", f"{sentence}\n")


def test_a_key_that_only_its_file_leaves_out_is_told_as_such(call):
    sentence = "model.bins is not set in its file; +model.bins=… adds it\n"
    assert call("model._target_=flowbench.flows.MAF", "model.bins=4") == (2, "", sentence)


def test_a_protocol_without_settings_for_the_data_is_refused(call):
    code, _, error = call("protocol=maf_paper")
    assert code == 2
    assert error.startswith("protocol=maf_paper has no settings for data=fake: it has bsds300, ")
    assert len(error.splitlines()) == 1


def test_a_model_that_a_protocol_has_no_row_for_is_refused(call):
    code, _, error = call("protocol=maf_paper", "protocol.hidden_units=8")
    assert code == 2
    assert error.startswith("protocol=maf_paper has no row for model=fake: it has gaussian, ")
    assert len(error.splitlines()) == 1


def test_configs_are_found_in_a_checkout_and_in_an_installed_package(tmp_path, monkeypatch):
    assert config_directory.config_directory() == Path(__file__).parents[2] / "configs"
    package = tmp_path / "site-packages" / "flowbench"
    monkeypatch.setattr(config_directory, "PACKAGE", package)
    with pytest.raises(FileNotFoundError, match="reinstall flowbench"):
        config_directory.config_directory()
    (package / "configs").mkdir(parents=True)
    (package / "configs" / "train.yaml").touch()
    assert config_directory.config_directory() == package / "configs"


def test_a_missing_experiment_is_not_passed_over(call):
    seen = []
    assert call("experiment=fake", run=lambda settings, path: seen.append(settings))[0] == 0
    assert seen[0].seed == 5
    code, _, error = call("experiment=nowhere")
    assert (code, error.split(";")[0]) == (2, "experiment=nowhere does not exist")


@pytest.mark.parametrize("given", ["", "model.layers=2"])
def test_a_sweep_without_m_is_refused_unless_it_is_one_of_its_jobs(call, given):
    seen = []
    code, _, error = call(
        "sweep=depth", *filter(None, [given]), run=lambda settings, path: seen.append(settings)
    )
    assert (code, len(seen)) == ((0, 1) if given else (2, 0))
    assert given or error.startswith("sweep=depth needs -m: python train.py -m ")


UNREADABLE = {
    "model.layers": "model.layers: expected KEY=VALUE",
    "data.path=a (1).csv": "data.path=a (1).csv cannot be read; quote the text: "
    "\"data.path='a (1).csv'\"",
    "data.columns=[a,ü]": "data.columns=[a,ü] cannot be read; quote the text: "
    "\"data.columns=[a,'ü']\"",
    "logger=null": "logger=null: expected one of csv, mlflow, none, tensorboard, wandb",
    "callbacks=[a]": "callbacks=[a]: expected a mapping, name → its keys",
    "model.layers=[1": "model.layers=[1 cannot be read: [ and ] do not match",
    "seed=1,2": "seed=1,2: several values are a sweep, which needs -m; a list is written "
    "'seed=[1,2]'",
    "logger=3": "logger=3: expected one of csv, mlflow, none, tensorboard, wandb",
    "~nothing": "~nothing: Could not delete from config. 'nothing' does not exist.",
    "experiment=seed_article/gass": "experiment=seed_article/gass does not exist; did you mean "
    "experiment=seed_article/gas or experiment=seed_article/speech_zero?",
}


@pytest.mark.parametrize("word", UNREADABLE)
def test_an_override_that_cannot_be_applied_is_one_sentence(call, word):
    assert call(word) == (2, "", f"{UNREADABLE[word]}\n")


@pytest.mark.parametrize("path", ["dir=1/x.csv", "ünï/x.csv", "~/x.csv", "a b.csv", "C:/x;y.csv"])
def test_a_path_needs_no_quotes_but_those_of_the_shell(call, path):
    seen = []
    call(f"++data.path={path}", run=lambda settings, path: seen.append(settings.data["path"]))
    assert seen == [path]


def test_all_mistakes_of_a_command_are_told_together(call):
    code, _, error = call(
        "modle.layers=3",
        "trainer=cpuu",
        "logger",
        "training.patience=0",
        "trainer.precision=16",
        "model._target_=flowbench.flows.MAF",
        "model.layers=2",
        "+model.activation=rellu",
        "+model.kernel_initializer=glorot_normall",
        run=raising(AssertionError("the run was started")),
    )
    told = [(line[: line.find(" ")].rstrip(":"), line[-30:]) for line in error.splitlines()]
    assert code == 2
    assert sorted(told) == sorted(
        [
            ("logger", "logger: expected KEY=VALUE"),
            ("trainer=cpuu", " exist; did you mean trainer=cpu?"[-30:]),
            ("modle", "ey; did you mean model or module?"[-30:]),
            ("training.patience=0", " an integer at least 1 or null"),
            ("trainer.precision", "g-likelihoods are exact enough"),
            ("model.activation=rellu", "or null; did you mean relu or relu6?"[-30:]),
            ("model.kernel_initializer=glorot_normall", "glorot_normal or glorot_uniform?"[-30:]),
        ]
    )


IDLE = {
    "model.dropout=0.5 model.hidden_units=[]": "model.dropout=0.5 has no effect with "
    "model.hidden_units=[]",
    "model.bins=3": "model.bins=3 has no effect with model.univariate=affine",
    "model.components=3": "model.components=3 has no effect with model.base=normal",
    "model.batch_norm_side=data model.batch_norm=false": "model.batch_norm_side=data has no "
    "effect with model.batch_norm=false",
    "model.bins=8 model.dropout=0.5": "",
}


@pytest.mark.parametrize("words", IDLE)
def test_a_key_without_effect_is_told(call, words):
    given = [f"++{word}" for word in words.split()]
    code, _, error = call("model._target_=flowbench.flows.MAF", *given, run=lambda *_: {})
    assert code == 0
    assert told(error) == (f"warning: {IDLE[words]}\n" if IDLE[words] else "")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DataError("row 3 holds NaN"), 2),
        (FileNotFoundError(2, "No such file", "a.csv"), 2),
        (TimeoutError("trainer.max_time ended before the first epoch; increase it"), 1),
        (OSError(28, "No space left on device", "last.ckpt"), 1),
        (MemoryError("Unable to allocate 9 TiB"), 1),
        (Interrupted(15, code=75), 75),
        (KeyboardInterrupt(), 130),
    ],
)
def test_the_exit_code_tells_what_to_do(call, error, code):
    assert call(run=raising(error))[0] == code


def test_a_wrong_configuration_stops_before_the_run(call):
    code, _, error = call(
        "training.batch_size=abc", "seed=-1", run=raising(AssertionError("the run was started"))
    )
    assert code == 2
    assert error.splitlines() == [
        "fake on fake, seed -1",
        "seed=-1: expected an integer at least 0 and below 4294967296",
        "training.batch_size=abc: expected an integer at least 1",
    ]


def test_what_is_run_is_told_before_anything_else_and_by_the_first_rank_only(call, monkeypatch):
    def run(settings, path):
        print("the run", file=sys.stderr)

    assert told(call(run=run)[2]) == "the run\n"
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert call(run=run)[2] == "the run\n"


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (DataError("row 3 holds NaN"), "row 3 holds NaN"),
        (ConfigError("a=1: expected 2"), "a=1: expected 2"),
        (FileNotFoundError(2, "No such file", "a.csv"), "a.csv: No such file"),
    ],
)
def test_an_expected_error_is_one_sentence(call, error, sentence):
    code, out, found = call(run=raising(error))
    assert (code, out, told(found)) == (2, "", f"{sentence}\n")


def test_a_constructor_of_ours_is_heard_through_hydra(call):
    from flowbench.training.averaging import WeightAverage

    def run(settings, path):
        try:
            WeightAverage(2)
        except ValueError as error:
            raise InstantiationException("Error in call\nfull_key: data") from error

    code, _, error = call(run=run)
    assert code == 2
    assert told(error).startswith("data: training.ema=2: expected")
    assert len(told(error).splitlines()) == 1


@pytest.mark.parametrize("error", [ValueError("not of ours"), KeyError("bug"), TypeError("bug")])
def test_a_bug_stays_an_exception(call, error):
    with pytest.raises(type(error)):
        call(run=raising(error))


def test_an_interruption_is_told_and_has_its_exit_code(call):
    def trainer(settings, path):
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            sys.exit(1)

    for run in (raising(KeyboardInterrupt()), trainer):
        code, _, error = call(run=run)
        assert (code, told(error)) == (130, "interrupted; the same command resumes the run\n")


def test_a_failed_job_of_a_sweep_is_told_and_the_others_run(call):
    seeds = []

    def run(settings, path):
        seeds.append(settings.seed)
        if settings.seed == 1:
            raise DataError("seed 1 has no data")
        if settings.seed == 2:
            raise KeyError("a bug")

    code, _, error = call("-m", "seed=0,1,2,3", run=run)
    assert code == 1
    assert seeds == [0, 1, 2, 3]
    lines = error.splitlines()
    assert lines[2] == "seed 1 has no data"
    assert [line[:20] for line in (*lines[:2], lines[-1])] == [
        f"fake on fake, seed {seed}" for seed in (0, 1, 3)
    ]
    assert "KeyError: 'a bug'" in error


def test_help_is_a_page_that_helps(call):
    code, page, error = call("--help")
    assert (code, error) == (0, "")
    for expected in (
        "python train.py -m seed=0,1,2",
        "trainer: cpu, ddp, default, gpu",
        'training.schedule=constant          "constant"; "cosine"',
        "== model: builtins.dict ==",
        "model.layers=5",
        "--cfg job shows the configuration as YAML",
    ):
        assert expected in page
    assert max(map(len, page.splitlines())) <= 99


ABSENT = {
    "gpu": "trainer.accelerator=gpu: PyTorch finds no GPU on this machine; expected cpu, or auto ",
    "mps": "trainer.accelerator=mps: this machine has no GPU of Apple",
    "cpu trainer.devices=-1": "trainer.devices=-1: CPUs have no numbers; expected how many",
    "cpu trainer.devices=[0,1]": "trainer.devices=[0, 1]: CPUs have no numbers; expected how",
}


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
@pytest.mark.parametrize("words", ABSENT)
def test_a_device_that_is_not_there_is_told_before_the_run(call, words):
    error = AssertionError("the run was started")
    code, _, told_ = call(*f"trainer.accelerator={words}".split(), run=raising(error))
    assert (code, told(told_)[: len(ABSENT[words])]) == (2, ABSENT[words])


def test_a_launcher_without_m_is_told_to_have_no_effect(call):
    code, _, error = call("hydra/launcher=local", run=lambda *_: {})
    assert code == 0
    assert told(error) == "warning: hydra/launcher=local has no effect without -m\n"


NAMES = ["it's", "a=b", 'q"q', "back\\", 'both\\"', "${foo}", "two words", "$HOME", "ü"]


@pytest.mark.parametrize("name", NAMES)
def test_advice_can_be_pasted_behind_a_command(call, name):
    seen = []
    [word] = shlex.split(override("++data.columns", [name, "b"]))
    call(word, run=lambda settings, path: seen.append(settings.data["columns"]))
    assert seen == [[name, "b"]]


def test_a_name_that_is_not_utf_8_is_refused(call):
    code, _, error = call("++data.path=bad\udcff.csv")
    assert code == 2
    assert error.endswith("data.path=bad\\udcff.csv: is not UTF-8, expected such a name; "
                          "rename it, or link to it\n")  # fmt: skip
