"""However many processes train together, they train what one alone would have trained."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import forked
import pandas as pd
import pytest
import torch
import torch.distributed as dist
from waiting import PATIENCE

from flowbench import ranks
from flowbench.config.settings import Training
from flowbench.data import Batch, Fsdd, Rows
from flowbench.data.loader import SequentialLoader
from flowbench.evaluation import evaluate, log_likelihoods, summarize
from flowbench.evaluation.runs import open_run
from flowbench.exits import Exit
from flowbench.flows import MAF
from flowbench.run import main
from flowbench.run.folder import RunFolder, RunFolderError
from flowbench.run.same_start import refuse_different_starts
from flowbench.run.study import open_study
from flowbench.training.engines.compiled import Compiled
from flowbench.training.maximum_likelihood import MaximumLikelihood

ROOT = Path(__file__).parents[2]
SMALL = [
    "data.train_rows=1010",
    "data.val_rows=251",
    "model.layers=2",
    "model.hidden_units=[16]",
    "training.batch_size=101",
    "trainer.max_epochs=2",
    "figures=false",
]
TOGETHER = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"]
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]


def train(output, *overrides, launcher=(), logger="csv", **environment):
    words = [*launcher, str(ROOT / "train.py"), *SMALL, f"paths.output={output}", *overrides]
    words += [f"logger={logger}"]
    return subprocess.run(
        [sys.executable, *words],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        check=False,
    )


def as_torchrun(folder, *overrides):
    """What two ranks say that end with an error: forked, in the environment of torchrun."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        group = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(one.getsockname()[1])}
    group |= {"TORCHELASTIC_RUN_ID": "1", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    group |= {"GROUP_RANK": "0"}
    words, logs = [*SMALL, "logger=csv", *overrides], [folder / "log0", folder / "log1"]
    processes = [
        forked.command(
            log, *words, environment={**os.environ, **group, "RANK": rank, "LOCAL_RANK": rank}
        )
        for rank, log in zip("01", logs, strict=True)
    ]
    for process in processes:
        process.join(PATIENCE)
        assert process.exitcode not in (0, None)
    return [log.read_text() for log in logs]


@pytest.fixture
def here(monkeypatch, capsys):
    """The command in this process: (what it ends with, stdout)."""

    def here(output, *overrides):
        words = [*SMALL, f"paths.output={output}", "logger=csv", *overrides]
        words.sort(key="-m".__ne__)  # which goes first
        monkeypatch.setattr("sys.argv", [str(ROOT / "train.py"), *words])
        monkeypatch.setenv("HYDRA_FULL_ERROR", "")
        ending = None
        try:
            main.main()
        except SystemExit as stop:
            ending = str(stop) if isinstance(stop, Exit) else stop.code
        told = capsys.readouterr()
        return ending, told.out, told.err

    return here


def folder_of(output):
    [result] = output.glob("*/*/*/seed=*/result.json")
    return result.parent


@pytest.mark.parametrize(("batch_norm", "ema"), [("true", "null"), ("false", "0.9")])
def test_two_ranks_equal_one_process(here, tmp_path, batch_norm, ema):
    """Twenty steps of 101 rows: the ranks have 51 and 50 of them.

    Shares of a half each would move the means by 1e-5 and more without batch norm, where rounding
    moves them by 4e-7. With batch norm rounding moves them by 3e-5, as far as wrong shares do:
    there the steps in float64 decide.
    """
    within = 1e-4 if batch_norm == "true" else 3e-6
    alone, together = tmp_path / "alone", tmp_path / "together" / "0"
    of_each = f"{tmp_path}/together/${{oc.env:RANK,0}}"  # no rank but 0 reads files of the run
    launcher = TORCHRUN if batch_norm == "true" else ()
    logger = "[csv,wandb]" if launcher else "csv"
    curve = "+callbacks.steps={_target_: flowbench.evaluation.curves.StepCurve, every: 5}"
    overrides = [f"model.batch_norm={batch_norm}", f"training.ema={ema}", curve]
    assert here(alone, *overrides, "trainer=cpu")[0] is None
    two = train(of_each, *overrides, *TOGETHER, launcher=launcher, logger=logger)
    assert two.returncode == 0, two.stderr
    assert two.stdout.count("test log-likelihood") == 1
    assert len(list(folder_of(together).glob("wandb/offline-run-*"))) == len(launcher[:1])
    first, second = (
        torch.load(folder_of(output) / "checkpoints" / "last.ckpt", weights_only=True)
        for output in (alone, together)
    )
    assert first["progress"]["step"] == second["progress"]["step"] == 20
    if batch_norm == "false":  # else rounding moves the shifts that a batch norm takes away again
        for name, value in first["state_dict"].items():
            torch.testing.assert_close(second["state_dict"][name], value, rtol=1e-4, atol=1e-5)
    if ema != "null":  # the checkpoint has the averages in place of the parameters, which wait
        mine, other = (one["callbacks"]["WeightAverage"] for one in (first, second))
        assert mine["swapped"]
        assert mine["steps"] == other["steps"] == 20
        torch.testing.assert_close(other["other"], mine["other"], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        torch.tensor(second["progress"]["training"]), torch.tensor(first["progress"]["training"])
    )
    one_result, two_result = (
        json.loads((folder_of(output) / "result.json").read_text()) for output in (alone, together)
    )
    for split in ("test", "val"):
        mine, other = (r[split]["log_likelihood"]["model_space"] for r in (one_result, two_result))
        assert mine["n"] == other["n"]
        assert mine["mean"] == pytest.approx(other["mean"], abs=within)
    curves = [pd.read_csv(folder_of(output) / "steps.csv") for output in (alone, together)]
    assert list(curves[1].step) == [0, 10, 20]
    pd.testing.assert_frame_equal(*curves, rtol=1e-4)
    rescored = open_run(folder_of(together))
    assert evaluate(rescored.density.flow, rescored.data, "test") == two_result["test"]
    ending, told, _ = here(together, *overrides, *TOGETHER)
    assert ending is None
    assert told.startswith("this run is finished")


def steps(engine, *, batch_norm):
    """The parameters after twenty steps in float64 on shares of 101 rows.

    The shift at the noise starts where it has a gradient: Adam would make steps of rounding.
    """
    torch.manual_seed(0)
    x = torch.randn(101, 3, dtype=torch.float64) ** 3
    flow = MAF(3, layers=3, hidden_units=[8], batch_norm=batch_norm, activation="tanh").double()
    if batch_norm:
        flow.transform.transforms[0].beta.data.fill_(0.5)
    mine = x.tensor_split(ranks.size())[ranks.rank()]
    asked = "plain" if engine == "compiled" else engine
    module = MaximumLikelihood(flow, Training(learning_rate=0.01, weight_decay=0.0, engine=asked))
    optimizer = module.configure_optimizers()
    if engine == "compiled":
        module.arithmetic = Compiled(module, len(mine), backend="eager")
        optimizer = module.arithmetic.optimizer
    module.arithmetic.begin()
    for _ in range(20):
        module._optimise(optimizer, Batch(mine, None))
    flow.eval().recompute_statistics(x[ranks.rank() :: ranks.size()].clone())
    return flow.state_dict()


STEPS = {
    "batch norm": (["plain"], {"batch_norm": True}),
    "native": (["native"], {"batch_norm": False}),
    "compiled": (["compiled"], {"batch_norm": False}),
}


def score():
    """All that is said of five chunks of rows and of one; no two ranks have the same share."""
    torch.manual_seed(0)
    flow = MAF(3, context_features=2, layers=3, hidden_units=[32], seed=0)
    terms = []
    for count in (40_001, 1000):
        rows = Rows(torch.randn(count, 3), torch.rand(count, 2), torch.tensor(0.0))
        terms.append(log_likelihoods(flow, rows))
    return terms, [summarize(part) for part in terms]


def clips(path):
    """All that is said of nine clips of 937 frames, the last of them on both of two ranks."""
    soundfile = pytest.importorskip("soundfile", reason="soundfile is not installed")
    (folder := path.with_suffix(".fsdd") / str(ranks.rank()) / "zero").mkdir(parents=True)
    for n in range(19):
        samples = 0.1 * torch.randn(1000, generator=torch.Generator().manual_seed(n)).numpy()
        for speaker in ("ann", "bob")[: 2 - (n == 0)]:
            soundfile.write(folder / f"{speaker}_nohash_{n}.wav", samples, 4000)
    options = {"window": "sequence", "mel": 4, "sample_rate": 4000, "seconds": 0.25}
    options |= {"frame_ms": 16, "step_ms": 0.25, "context_frames": 1}
    data = Fsdd(path=folder.parent, cache_dir=folder.parent.with_suffix(".cache"), **options)
    data.setup()
    torch.manual_seed(0)
    return evaluate(MAF(4, context_features=5, layers=1, hidden_units=[8]), data, "test")


def starts(path):
    """What is said where rank 0 alone finds a file to go on from, of each such file."""
    folder = RunFolder(path.with_suffix(".starts") / str(ranks.rank()))
    refusals = []
    for file in (folder.result, folder.last):
        if ranks.rank() == 0:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
        try:
            refuse_different_starts(folder)
        except RunFolderError as error:
            refusals.append(str(error))
        file.unlink(missing_ok=True)
    return refusals


def work(rank, size, path):
    """Do all of it, on each rank, and save what they give."""
    if size > 1:
        dist.init_process_group("gloo", f"file://{path}.init", rank=rank, world_size=size)
    found = {name: steps(*given, **named) for name, (given, named) in STEPS.items()}
    found |= {"score": score(), "clips": clips(path), "starts": starts(path)}
    torch.save(found, f"{path}.{rank}")
    if size > 1:
        dist.destroy_process_group()


@pytest.fixture(scope="module")
def ranks_and_one(tmp_path_factory):
    """What two ranks have found, and one process alone."""
    folder = tmp_path_factory.mktemp("ranks")
    work(0, 1, folder / "alone")
    processes = [forked.fork(work, rank, 2, folder / "together") for rank in range(2)]
    for process in processes:
        process.join(PATIENCE)
        assert process.exitcode == 0
    return [torch.load(folder / name) for name in ("together.0", "together.1", "alone.0")]


@pytest.mark.parametrize("which", STEPS)
def test_steps_over_ranks_are_those_of_one_process(ranks_and_one, which):
    first, second, alone = (found[which] for found in ranks_and_one)
    for name, value in alone.items():
        torch.testing.assert_close(first[name], value, rtol=1e-8, atol=1e-8)
        assert torch.equal(first[name], second[name])


def test_scores_of_ranks_are_those_of_one_process_to_the_last_digit(ranks_and_one):
    *both, alone = (found["score"] for found in ranks_and_one)
    for terms, summaries in both:
        assert all(map(torch.equal, terms, alone[0]))
        assert summaries == alone[1]


def test_a_clip_whose_frames_lie_on_two_ranks_is_scored_as_by_one_process(ranks_and_one):
    *both, alone = (found["clips"] for found in ranks_and_one)
    assert alone["rows_per_event"] * 8 < SequentialLoader(range(0)).chunk
    assert alone["rows_per_event"] * 9 > SequentialLoader(range(0)).chunk
    assert alone["log_likelihood"]["model_space"]["n"] == 9
    assert both == [alone, alone]


def test_ranks_that_find_different_files_are_all_refused(ranks_and_one):
    first, second, alone = (found["starts"] for found in ranks_and_one)
    assert not alone
    assert first == second
    assert [text.partition(" (")[0].rpartition(" ")[2] for text in first] == [
        "result.json",
        "last.ckpt",
    ]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_one_gpu_trains_and_scores_what_the_processor_would(tmp_path):
    outputs = [tmp_path / name for name in ("cpu", "gpu")]
    for output in outputs:
        done = train(output, f"trainer={output.name}")
        assert done.returncode == 0, done.stderr
    cpu, gpu = (json.loads((folder_of(one) / "result.json").read_text()) for one in outputs)
    assert (cpu["device"], gpu["device"]) == ("cpu", torch.cuda.get_device_name())
    mine, other = (r["test"]["log_likelihood"]["model_space"]["mean"] for r in (gpu, cpu))
    assert mine == pytest.approx(other, abs=1e-4)


def validated(output, *overrides):
    """The validation log-likelihood of each epoch of the longest run, after a further one."""
    done = train(output, *overrides)
    assert done.returncode == 0, done.stderr
    tables = [pd.read_csv(path) for path in output.rglob("metrics.csv")]
    return max(tables, key=len)["val/log_likelihood"].tolist(), done.stderr


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_one_rank_of_nccl_trains_what_the_processor_would(tmp_path):
    rank = ["trainer=ddp", "trainer.accelerator=gpu", "trainer.devices=1"]
    found, told = validated(tmp_path / "rank", *rank)
    assert "MEMBER: 1/1" in told
    assert found == pytest.approx(validated(tmp_path / "cpu", "trainer=cpu")[0], abs=1e-3)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("devices", [("cpu", "gpu"), ("gpu", "cpu")])
def test_a_run_goes_on_on_another_device(tmp_path, devices):
    longer = "trainer.max_epochs=4"
    whole, _ = validated(tmp_path / "whole", "trainer=cpu", longer)
    for device, overrides in zip(devices, ([], [longer]), strict=True):
        parts, _ = validated(tmp_path / "parts", f"trainer={device}", *overrides)
    assert parts == pytest.approx(whole, abs=1e-3)


def test_several_devices_within_a_sweep_of_one_process_are_refused(here, tmp_path):
    ending, _, error = here(tmp_path, "-m", *TOGETHER, "seed=0,1")
    assert ending == 1
    assert "trainer.devices=2: a sweep within one process cannot train" in error
    assert "hydra/launcher=slurm hydra.launcher.ntasks_per_node=2, or" in error
    assert not list(tmp_path.glob("**/result.json"))


@pytest.mark.parametrize(
    ("overrides", "number"), [(["trainer=cpu"], 1), ([*TOGETHER, "trainer.devices=3"], 3)]
)
def test_processes_that_are_not_those_of_one_training_are_refused(
    here, tmp_path, monkeypatch, overrides, number
):
    """As torchrun starts the first of two."""
    told = {"TORCHELASTIC_RUN_ID": "1", "WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0"}
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    ending, _, _ = here(tmp_path, *overrides)
    assert ending.startswith(
        f"2 processes were started, by torchrun or srun, for a training on {number}: "
    )
    assert not list(tmp_path.glob("**/*.ckpt"))


def test_several_machines_need_one_who_starts_their_processes(here, tmp_path):
    ending, _, _ = here(tmp_path, *TOGETHER, "trainer.num_nodes=2")
    assert ending.startswith("trainer.num_nodes=2: several machines need torchrun, or Slurm")
    assert not list(tmp_path.iterdir())


def test_tasks_of_slurm_must_be_counted_by_node(here, tmp_path, monkeypatch):
    """As `sbatch --ntasks=2` starts the first of two."""
    told = {"SLURM_NTASKS": "2", "SLURM_JOB_NAME": "flowbench", "SLURM_PROCID": "0"}
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    assert here(tmp_path)[0] == (
        "Slurm has 2 tasks by --ntasks: give --nodes and --ntasks-per-node, one task per device"
    )


def test_a_sweep_on_slurm_is_refused_where_there_is_none(here, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    ending, _, _ = here(tmp_path, "-m", "hydra/launcher=slurm", "seed=0,1")
    assert ending == "hydra/launcher=slurm: there is no sbatch on this machine"


@pytest.mark.slow
def test_two_ranks_give_up_a_run_together(tmp_path):
    """The sixth trial of a study whose first five were better, each at its sixth epoch."""
    optuna = pytest.importorskip("optuna", reason="a search needs Optuna")
    study = open_study(tmp_path / "journal")
    for _ in range(5):
        values = dict.fromkeys(range(9), 0.0)
        study.add_trial(optuna.trial.create_trial(value=0.0, intermediate_values=values))
    trial = study.ask()
    environment = {"FLOWBENCH_STUDY": str(tmp_path / "journal")}
    environment |= {"FLOWBENCH_TRIAL": str(trial.number)}
    done = train(tmp_path, *TOGETHER, "trainer.max_epochs=9", **environment)
    assert done.returncode == 0, done.stderr
    assert "pruned at epoch 5" in done.stdout
    assert not list(tmp_path.glob("**/result.json"))


def test_ranks_that_find_different_run_folders_are_refused_before_they_train(here, tmp_path):
    """As on two nodes whose disks are their own."""
    words = [*TOGETHER, "trainer.max_epochs=1"]
    assert here(tmp_path / "0", "trainer.max_epochs=1")[0] is None
    result = folder_of(tmp_path / "0") / "result.json"
    result.unlink()
    again = as_torchrun(tmp_path, *words, f"paths.output={tmp_path}/${{oc.env:RANK}}")
    for told in again:
        assert f"rank 1 finds nothing to go on from in {tmp_path}/1" in told
        assert "and rank 0 last.ckpt (" in told
        assert "must lie on a file system that all nodes share" in told
    assert len(pd.read_csv(result.parent / "metrics.csv")) == 1
