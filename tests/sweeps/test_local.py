"""Jobs side by side on this machine: what each has to itself, and how they end together."""

import forked
import pytest
from sweep_commands import arguments
from waiting import PATIENCE, wait_until

from flowbench.config.configuration import ConfigError
from flowbench.exits import SAVED
from flowbench.run.folder import RunFolder
from hydra_plugins.flowbench_sweeps.slots import slots


@pytest.mark.parametrize(
    ("gpus", "cores", "jobs", "devices", "expected"),
    [
        # without GPUs: the cores are divided, and shared where there are more jobs
        (0, 4, None, 1, [((), (0, 1, 2, 3))]),
        (0, 4, 2, 1, [((), (0, 2)), ((), (1, 3))]),
        (0, 2, 3, 1, [((), (0,)), ((), (1,)), ((), (0,))]),
        (0, 2, None, 4, [((), (0, 1))]),
        # with GPUs: a job per group, fewer or more if so said, each with a share of the cores
        (2, 4, None, 1, [((0,), (0, 2)), ((1,), (1, 3))]),
        (4, 4, None, 2, [((0, 1), (0, 2)), ((2, 3), (1, 3))]),
        (3, 2, None, 2, [((0, 1), (0, 1))]),
        (4, 4, 1, 1, [((0,), (0, 1, 2, 3))]),
        (1, 4, 3, 1, [((0,), (0, 3)), ((0,), (1,)), ((0,), (2,))]),
        (2, 3, 3, 1, [((0,), (0,)), ((1,), (1,)), ((0,), (2,))]),
    ],
)
def test_each_job_has_gpus_and_cores(gpus, cores, jobs, devices, expected):
    found = slots(range(gpus), range(cores), jobs=jobs, devices=devices)
    assert [(slot.gpus, slot.cores) for slot in found] == expected


def test_a_job_that_wants_more_gpus_than_there_are_is_refused():
    with pytest.raises(ConfigError, match="devices=3: this machine has 2 GPUs"):
        slots(range(2), range(4), jobs=None, devices=3)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["hydra.launcher.jobs=-1"], "hydra.launcher.jobs=-1: expected an integer at least 1 or"),
        (["hydra.launcher.jobs=abc"], "hydra.launcher.jobs=abc: expected an integer at least 1"),
        (["hydra.launcher.jobs=2.5"], "hydra.launcher.jobs=2.5: expected an integer at least 1"),
        (["hydra.launcher.devices=0"], "hydra.launcher.devices=0: expected an integer at least 1"),
        (
            ["hydra.launcher.job=2"],
            "hydra.launcher.job is not a key; did you mean hydra.launcher.j",
        ),
        (["hydra.launcher.jobs=0", "hydra/sweeper=random"], "hydra.launcher.jobs=0: expected an"),
        (["+hydra.launcher.job=2"], "hydra.launcher.job: unknown key; did you mean hydra.launch"),
    ],
)
def test_a_bad_option_of_the_launcher_is_one_sentence(sweep, tmp_path, words, sentence):
    done = sweep(tmp_path, "hydra/launcher=local", *words, "training.batch_size=50,100")
    assert done.returncode == 2
    assert done.stderr.startswith(sentence)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("sweeper", "jobs"), [("grid", 1), ("random", 2)])
def test_a_sweep_that_is_told_to_stop_waits_until_its_jobs_have_saved(tmp_path, sweeper, jobs):
    output, log = tmp_path / "outputs", tmp_path / "log"
    words = ["hydra/launcher=local", f"hydra.launcher.jobs={jobs}", "training.batch_size=50,100"]
    words += [f"hydra/sweeper={sweeper}", "trainer.max_epochs=100000", "training.patience=null"]
    driver = forked.command(log, *arguments(output, *words))
    wait_until(
        lambda: len(list(output.glob("*/*/*/*/checkpoints/last.ckpt"))) == jobs,
        what=lambda: f"{jobs} checkpoints: {log.read_text()}",
    )
    saved = list(output.glob("*/*/*/*/checkpoints/last.ckpt"))
    driver.terminate()
    driver.join(PATIENCE)
    assert driver.exitcode == SAVED
    sentence = "stopped by SIGTERM; the same command resumes"
    assert sentence in log.read_text()
    for last in saved:
        with RunFolder(last.parents[1]).lock():
            assert not list(last.parents[1].glob("error.json"))
    logs = [path.read_text() for path in output.glob(".jobs/*.log")]
    assert [sentence in text for text in logs] == [True] * jobs
