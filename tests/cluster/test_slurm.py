"""On a real Slurm: sweeps, several nodes, pre-emption."""

import csv
import json
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from slurm_commands import output, wait_until

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
    "save_minutes=0.0001",
]
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1", "PYTHON": sys.executable}


@pytest.fixture(autouse=True)
def _environment(slurm, monkeypatch):
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


def command(*words):
    return [sys.executable, str(ROOT / "train.py"), *words]


def run(*words):
    return subprocess.run(command(*words), capture_output=True, text=True, check=False)


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
        seconds=150,
        what=lambda: f"{state(job)}: {(folder / 'slurm.log').read_text()}",
    )
    assert state(job) == "COMPLETED", (folder / "slurm.log").read_text()


def folder_of(tree):
    [config] = tree.glob("*/*/*/seed=*/config.yaml")
    return config.parent


def numbers(tree):
    folder = folder_of(tree)
    result = json.loads((folder / "result.json").read_text())
    with (folder / "metrics.csv").open() as file:
        rows = [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]
    kept = ("test", "val", "best_epoch", "epochs", "parameters", "hash")
    return {key: result[key] for key in kept}, rows


def statuses(text):
    rows = [line.split() for line in text.splitlines()]
    return [row[1] for row in rows if row[:1] == ["|"] and row[1] in ("done", "failed", "skipped")]


def test_a_sweep_with_failed_and_killed_jobs_is_completed_by_the_same_command(tmp_path):
    """Eight jobs: four miss their file, and one is killed with SIGKILL as soon as it runs."""
    words = ["-m", *SMALL, f"paths.output={tmp_path}", "hydra/launcher=slurm",
             "hydra.launcher.cpus_per_task=1", f"data.path={tmp_path}/a.npy,{tmp_path}/b.npy",
             "seed=0,1,2,3"]  # fmt: skip
    rows = np.random.default_rng(0).normal(size=(600, 2))
    np.save(tmp_path / "a.npy", rows)
    with (tmp_path / "log").open("w") as log:
        sweep = subprocess.Popen(command(*words), stdout=log, stderr=subprocess.STDOUT)
    victim = []

    def running():
        victim[:] = output("squeue", "-h", "-t", "R", "-o", "%A").split()[:1]
        return bool(victim)

    wait_until(running, seconds=60, what="no job has started")
    output("scancel", "--signal=KILL", "--full", victim[0])
    assert sweep.wait(timeout=200) == 1
    first = (tmp_path / "log").read_text()
    assert statuses(first) == ["failed"] + ["done"] * 3 + ["failed"] * 4, first
    assert first.count("no result: killed") == 1
    assert first.count("b.npy is expected but does not exist") == 4, first

    np.save(tmp_path / "b.npy", rows)
    again = run(*words)
    assert again.returncode == 0, again.stdout + again.stderr
    assert statuses(again.stdout) == ["done"] + ["skipped"] * 3 + ["done"] * 4


def test_two_nodes_train_what_one_process_would(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    short = [*LONG, "trainer.max_epochs=1", "model.batch_norm=false"]
    ended(tmp_path, submit(tmp_path, *short, f"paths.output={two}", tasks=2))
    done = run(*short, f"paths.output={one}")
    assert done.returncode == 0, done.stderr
    (first, _), (second, _) = numbers(one), numbers(two)
    for split in ("test", "val"):
        mine, other = (r[split]["log_likelihood"]["model_space"] for r in (first, second))
        assert mine["mean"] == pytest.approx(other["mean"], abs=1e-4)
        assert mine["n"] == other["n"]


def test_a_job_pre_empted_in_mid_epoch_ends_like_an_undisturbed_one(tmp_path):
    job = submit(tmp_path, *LONG, f"paths.output={tmp_path / 'disturbed'}")
    last = []

    def within_an_epoch():
        last[:] = (tmp_path / "disturbed").glob("*/*/*/*/checkpoints/last.ckpt")
        if not last:
            return False
        position = torch.load(last[0], weights_only=True)["progress"]["position"]
        return 0 < position["item"] < 5

    wait_until(within_an_epoch, seconds=90, what=lambda: (tmp_path / "slurm.log").read_text())
    output("scancel", "--signal=USR1", job)
    wait_until(lambda: state(job) == "PENDING", seconds=60, what=f"{state(job)}: not requeued")
    assert "stopped by SIGUSR1; the same command resumes" in (tmp_path / "slurm.log").read_text()
    time.sleep(2)  # in the second of its end, a node takes the job for the one that has ended
    output("scontrol", "update", f"job={job}", "StartTime=now")
    ended(tmp_path, job)
    undisturbed = run(*LONG, f"paths.output={tmp_path / 'undisturbed'}")
    assert undisturbed.returncode == 0, undisturbed.stderr
    assert numbers(tmp_path / "disturbed") == numbers(tmp_path / "undisturbed")
