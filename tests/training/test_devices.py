"""However many processes train together, they train what one alone would have trained."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from flowbench import ranks
from flowbench.flows import MAF

ROOT = Path(__file__).parents[2]
SMALL = [
    "data.train_rows=1010",
    "data.val_rows=251",
    "model.layers=2",
    "model.hidden_units=[16]",
    "training.batch_size=101",
    "trainer.max_epochs=2",
    "logger=csv",
]
TOGETHER = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"]
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]


def train(output, *overrides, launcher=()):
    words = [*launcher, str(ROOT / "train.py"), *overrides, f"paths.output={output}", *SMALL]
    return subprocess.run(
        [sys.executable, *words],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )


def folder_of(output):
    [result] = output.glob("*/*/*/seed=*/result.json")
    return result.parent


@pytest.mark.parametrize("batch_norm", ["true", "false"])
def test_two_ranks_equal_one_process(tmp_path, batch_norm):
    """Twenty steps of 101 rows: the ranks have 51 and 50 of them."""
    alone, together = tmp_path / "alone", tmp_path / "together"
    launcher = TORCHRUN if batch_norm == "true" else ()
    overrides = [f"model.batch_norm={batch_norm}"]
    one = train(alone, *overrides, "trainer=cpu")
    two = train(together, *overrides, *TOGETHER, launcher=launcher)
    assert (one.returncode, two.returncode) == (0, 0), one.stderr + two.stderr
    assert two.stdout.count("test log-likelihood") == 1
    first, second = (
        torch.load(folder_of(output) / "checkpoints" / "last.ckpt", weights_only=True)
        for output in (alone, together)
    )
    assert first["progress"]["step"] == second["progress"]["step"] == 20
    if batch_norm == "false":  # else rounding moves the shifts that a batch norm takes away again
        for name, value in first["state_dict"].items():
            torch.testing.assert_close(second["state_dict"][name], value, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        torch.tensor(second["progress"]["training"]), torch.tensor(first["progress"]["training"])
    )
    one_result, two_result = (
        json.loads((folder_of(output) / "result.json").read_text()) for output in (alone, together)
    )
    for split in ("test", "val"):
        mine, other = (r[split]["log_likelihood"]["model_space"] for r in (one_result, two_result))
        assert mine["n"] == other["n"]
        assert mine["mean"] == pytest.approx(other["mean"], abs=1e-5)
    again = train(together, *overrides, *TOGETHER)
    assert again.stdout.startswith("this run is finished")


def steps(rank, size, path):
    """Twenty steps in float64 on shares of 101 rows; rank 0 saves the parameters.

    Plain gradient descent: Adam would make steps of the rounding of gradients that are zero.
    """
    if size > 1:
        dist.init_process_group("gloo", f"file://{path}.init", rank=rank, world_size=size)
    torch.manual_seed(0)
    x = torch.randn(101, 3, dtype=torch.float64) ** 3
    flow = MAF(3, layers=3, hidden_units=[8], batch_norm=True, activation="tanh").double()
    optimizer = torch.optim.SGD(flow.parameters(), lr=0.01)
    mine = x.tensor_split(ranks.size())[ranks.rank()]
    for _ in range(20):
        optimizer.zero_grad()
        (-flow(mine).sum() / len(x)).backward()
        for parameter in flow.parameters():
            ranks.summed(parameter.grad)
        optimizer.step()
    flow.eval().recompute_statistics(x[ranks.rank() :: ranks.size()].clone())
    if rank == 0:
        torch.save(flow.state_dict(), path)
    if size > 1:
        dist.destroy_process_group()


def test_batch_norm_over_ranks_is_that_of_one_process(tmp_path):
    steps(0, 1, tmp_path / "alone")
    torch.multiprocessing.spawn(steps, args=(2, tmp_path / "together"), nprocs=2)
    alone, together = (torch.load(tmp_path / name) for name in ("alone", "together"))
    for name, value in alone.items():
        torch.testing.assert_close(together[name], value, rtol=1e-8, atol=1e-8)


def test_several_devices_within_a_sweep_of_one_process_are_refused(tmp_path):
    done = train(tmp_path, "-m", *TOGETHER, "seed=0,1")
    assert done.returncode == 1
    assert "trainer.devices=2: a sweep within one process cannot train" in done.stderr
    assert "hydra/launcher=local" in done.stderr
    assert not list(tmp_path.glob("**/result.json"))
