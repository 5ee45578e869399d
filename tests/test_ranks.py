"""A process that has died is named by the others."""

import os
import signal

import forked
import torch
import torch.distributed as dist
from waiting import PATIENCE

from flowbench import ranks


def work(rank, place):
    dist.init_process_group("gloo", f"file://{place}/init", rank=rank, world_size=2)
    ranks.barrier()
    if rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    try:
        with ranks.naming_the_dead():
            for _ in range(2):
                ranks.summed(torch.ones(3))
    except ranks.DeadRankError as error:
        (place / "told").write_text(str(error))


def test_the_rank_that_was_killed_is_named(tmp_path):
    processes = [forked.fork(work, rank, tmp_path) for rank in (0, 1)]
    for process in processes:
        process.join(PATIENCE)
    assert [process.exitcode for process in processes] == [0, -signal.SIGKILL]
    assert (tmp_path / "told").read_text().startswith("rank 0: rank 1 has died; ")
