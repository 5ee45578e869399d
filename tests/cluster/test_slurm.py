"""On a real Slurm: sweeps, several nodes, pre-emption."""

import csv
import json
import os
import re
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import forked
import numpy as np
import pytest
import torch
from run_commands import composed
from slurm_commands import output
from waiting import PATIENCE, wait_until

from flowbench.run.folder import RunFolder
from flowbench.run.identity import run_directory

pytestmark = pytest.mark.cluster
ROOT = Path(__file__).parents[2]
SMALL = [
    "data=table",
    "model.layers=1",
    "model.hidden_units=[4]",
    "training.batch_size=100",
    "trainer=cpu",
    "trainer.max_epochs=1",
    "logger=csv",
    "figures=false",
]
LONG = [  # four epochs of five items
    "data.train_rows=16000",
    "data.val_rows=500",
    "model.layers=2",
    "model.hidden_units=[16]",
    "training.batch_size=50",
    "trainer.accelerator=cpu",
    "trainer.max_epochs=4",
    "logger=csv",
    "figures=false",
    "save_minutes=0.0001",
]
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1", "PYTHON": sys.executable}


@pytest.fixture(scope="module", autouse=True)
def _environment(slurm):
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def undisturbed(_environment, tmp_path_factory):
    """What one process makes of LONG."""
    tree = tmp_path_factory.mktemp("undisturbed")
    run = start(tree, *LONG)
    assert ending(run) == 0, told(tree)
    return numbers(tree)


def start(tree, *words):
    """The command in a process of its own."""
    places = [f"paths.output={tree}", f"paths.cache={tree / 'cache'}"]
    return forked.command(tree / "log", *words, *places)


def ending(process):
    """The exit code, once there is one."""
    process.join(PATIENCE)
    return process.exitcode


def submit(folder, *words, tasks=1):
    """The number of a job of scripts/slurm_train.sh."""
    job = output(
        "sbatch", "--parsable", f"--chdir={ROOT}", f"--output={folder}/slurm.log",
        f"--nodes={tasks}", "--ntasks-per-node=1", "--cpus-per-task=1",
        str(ROOT / "scripts" / "slurm_train.sh"), *words,
    )  # fmt: skip
    assert job.isdigit(), job
    return job


def state(job):
    found = re.search(r"JobState=(\w+)", output("scontrol", "show", "job", job))
    return found[1] if found else "GONE"


def ended(folder, job):
    wait_until(
        lambda: state(job) in ("COMPLETED", "FAILED", "TIMEOUT", "GONE"),
        what=lambda: f"job {job} to end, {state(job)}: {(folder / 'slurm.log').read_text()}",
    )
    assert state(job) == "COMPLETED", (folder / "slurm.log").read_text()


def folder_of(tree, seed=0):
    [config] = tree.glob(f"*/*/*/seed={seed}/config.yaml")
    return config.parent


def history(tree):
    with (folder_of(tree) / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def numbers(tree):
    result = json.loads((folder_of(tree) / "result.json").read_text())
    rows = [{k: v for k, v in row.items() if k != "seconds"} for row in history(tree)]
    kept = ("test", "val", "best_epoch", "epochs", "parameters", "hash")
    return {key: result[key] for key in kept}, rows


def statuses(text):
    return Counter(re.findall(r"^\|\s*(done|failed|skipped|running)\b", text, re.MULTILINE))


def test_a_sweep_with_failed_and_killed_jobs_is_completed_by_the_same_command(tmp_path):
    """Three jobs: one is killed with SIGKILL as soon as it runs, and one misses its file."""
    files = [tmp_path / f"{name}.npy" for name in ("killed", "missing", "done")]
    words = ["-m", *SMALL, "hydra/launcher=slurm", "hydra.launcher.cpus_per_task=1",
             f"data.path={','.join(map(str, files))}"]  # fmt: skip
    rows = np.random.default_rng(0).normal(size=(600, 2))
    np.save(files[0], rows)
    np.save(files[2], rows)
    sweep = start(tmp_path, *words)

    def running():
        jobs = output("squeue", "-h", "-r", "-t", "R", "-o", "%i").split()
        return [job for job in jobs if job.endswith("_0")]

    [victim] = wait_until(running, what=lambda: f"the first job to start: {told(tmp_path)}")
    output("scancel", "--signal=KILL", "--full", victim)
    assert ending(sweep) == 1
    first = (tmp_path / "log").read_text()
    assert statuses(first) == {"done": 1, "failed": 2}, first
    assert first.count("no result: killed") == 1
    assert "missing.npy is expected but does not exist" in first, first

    np.save(files[1], rows)
    assert ending(start(tmp_path, *words)) == 0, told(tmp_path)
    assert statuses((tmp_path / "log").read_text()) == {"done": 2, "skipped": 1}


def job_in_its_second_epoch(tree, *, log):
    """The number of the job of seed 0, once it is there."""

    def within_the_second_epoch():
        last = list(tree.glob("*/*/*/seed=0/checkpoints/last.ckpt"))
        if not last:
            return False
        position = torch.load(last[0], weights_only=True)["progress"]["position"]
        return position["epoch"] == 1 and 0 < position["item"] < 5

    wait_until(within_the_second_epoch, what=lambda: f"the second epoch: {log()}")
    running = output("squeue", "-h", "-r", "-t", "R", "-o", "%i").split()
    [job] = [name for name in running if not name.endswith("_1")]
    return job


def pre_empt(tree, signal, *, log):
    """Stop the job of seed 0 in mid-epoch, bring it back at once, and give its history."""
    job = job_in_its_second_epoch(tree, log=log)
    output("scancel", f"--signal={signal}", job)
    wait_until(
        lambda: state(job) == "PENDING",
        what=lambda: f"job {job} to be requeued, {state(job)}: {log()}",
    )
    rows = history(tree)
    time.sleep(2)  # in the second of its end, a node takes the job for the one that has ended
    output("scontrol", "update", f"job={job}", "StartTime=now")
    return rows


def assert_close(result, other):
    for split in ("test", "val"):
        mine, others = (r[split]["log_likelihood"]["model_space"] for r in (result, other))
        assert mine["mean"] == pytest.approx(others["mean"], abs=1e-4)
        assert mine["n"] == others["n"]


@pytest.mark.parametrize("nodes", [1, 2])
def test_a_job_pre_empted_in_mid_epoch_ends_like_an_undisturbed_one(tmp_path, undisturbed, nodes):
    """On two nodes within rounding, and with what W&B had closed before its task was ended."""
    words = [*LONG, *(["logger=wandb"] if nodes == 2 else []), f"paths.output={tmp_path}"]
    job = submit(tmp_path, *words, tasks=nodes)
    before = pre_empt(tmp_path, "USR1", log=(tmp_path / "slurm.log").read_text)
    told = (tmp_path / "slurm.log").read_text()
    assert told.count("stopped by SIGUSR1; the same command resumes") == 1, told
    ended(tmp_path, job)
    assert history(tmp_path)[: len(before)] == before  # to the second: it has not started over
    if nodes == 1:
        assert numbers(tmp_path) == undisturbed
        return
    assert_close(numbers(tmp_path)[0], undisturbed[0])
    files = list(folder_of(tmp_path).glob("wandb/offline-run-*/*.wandb"))
    assert [is_closed(path) for path in files] == [True, True]


def is_closed(path):
    """Whether the last record of an offline run of W&B was written."""
    words = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(path)]
    return '"type": "exit"' in output(*words).replace('":"', '": "')


def test_where_one_task_refuses_the_others_end(tmp_path):
    folder = RunFolder(run_directory(composed(*LONG, f"paths.output={tmp_path}")))
    with folder.lock():
        job = submit(tmp_path, *LONG, f"paths.output={tmp_path}", tasks=2)
        wait_until(lambda: state(job) == "FAILED", what=lambda: f"job {job} to fail, {state(job)}")
    assert "another process is running this configuration" in (tmp_path / "slurm.log").read_text()


def start_sweep(tree, *words):
    return start(tree, "-m", *LONG, "hydra/launcher=slurm", *words)


@pytest.mark.parametrize(
    ("signal", "words"),
    [
        ("USR1", ["seed=0,1,2", "hydra.launcher.pack=2"]),
        ("TERM", ["seed=0", "trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2",
                  "hydra.launcher.ntasks_per_node=2", "hydra.launcher.cpus_per_task=1"]),
    ],
)  # fmt: skip
def test_a_job_of_a_sweep_comes_back_after_pre_emption(tmp_path, undisturbed, signal, words):
    """On one device, packed with another, it ends with the digits of an undisturbed run.

    Two devices agree within rounding.
    """
    sweep = start_sweep(tmp_path, *words)
    before = pre_empt(tmp_path, signal, log=lambda: told(tmp_path))
    assert ending(sweep) == 0, told(tmp_path)
    log = (tmp_path / "log").read_text()
    assert set(statuses(log)) == {"done"}, told(tmp_path)
    assert history(tmp_path)[: len(before)] == before
    if signal == "USR1":
        assert "3 runs in 2 jobs" in log
        assert numbers(tmp_path) == undisturbed
    else:
        assert_close(numbers(tmp_path)[0], undisturbed[0])


def test_jobs_outlive_their_sweep_and_save_when_they_are_cancelled(tmp_path):
    """The same command leaves them alone, and Slurm does not bring them back."""
    words = ["seed=0,1", "trainer.max_epochs=4000", "hydra.launcher.cpus_per_task=1"]
    sweep = start_sweep(tmp_path, *words)
    wait_until(
        lambda: len(list(tmp_path.glob("*/*/*/*/checkpoints/last.ckpt"))) == 2,
        what=lambda: f"two checkpoints: {told(tmp_path)}",
    )
    os.kill(sweep.pid, signal.SIGINT)
    assert ending(sweep) == 130, told(tmp_path)
    log = (tmp_path / "log").read_text()
    cancel = re.search("2 jobs go on in Slurm; to cancel them: (scancel .*)", log)
    assert cancel, log
    assert ending(start_sweep(tmp_path, *words)) == 1, told(tmp_path)
    log = (tmp_path / "log").read_text()
    assert statuses(log) == {"running": 2}, log
    assert len(output("squeue", "-h", "-r").splitlines()) == 2
    assert not output(*cancel[1].split())
    wait_until(lambda: not output("squeue", "-h"), what=lambda: f"their end: {told(tmp_path)}")
    assert told(tmp_path).count("stopped by SIGTERM; the same command resumes the run") == 2


def test_what_slurm_refuses_is_told_in_one_sentence(tmp_path):
    words = ["-m", "hydra/launcher=slurm", "seed=0,1", "hydra.launcher.partition=nowhere"]
    assert ending(start(tmp_path, *words)) == 2
    log = (tmp_path / "log").read_text()
    assert log.splitlines()[-1] == (
        "Slurm refuses hydra.launcher: Batch job submission failed: "
        "Invalid partition name specified"
    )
    assert "Traceback" not in log


def told(tree):
    logs = [tree / "log", *sorted(tree.glob(".jobs/*.out")), *sorted(tree.glob(".jobs/*.err"))]
    return "\n".join(f"{path}:\n{path.read_text()}" for path in logs)
