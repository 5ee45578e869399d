"""Searches: several workers on one study, kills, pruning, failures, and the same command again."""

import json
import re

import forked
import pytest
from sweep_commands import arguments, results, statuses, table
from waiting import PATIENCE, wait_until

from flowbench.report import collect
from flowbench.report.text import run_table
from flowbench.run.study import open_study
from hydra_plugins.flowbench_sweeps import local_launcher
from hydra_plugins.flowbench_sweeps.search_sweeper import trials_at_a_time

pytest.importorskip("optuna", reason="a search needs Optuna")
RATES = "training.learning_rate=tag(log,interval(1e-7,1e-1))"
TRIALS = 8


def trials(output):
    [journal] = output.glob(".studies/*.journal")
    return open_study(journal).get_trials()


def states(output):
    return [trial.state.name for trial in trials(output)]


def cells(text):
    """The rows at the end of a sweep without the first column, by name."""
    return sorted(list(row.values())[1:] for row in table(text))


def begun(log):
    """The numbers of the trials that a worker has begun."""
    return [int(number) for number in re.findall(r"(?m)^trial (\d+):", log.read_text())]


def in_mid_trial(output, log):
    """The number of the trial that a worker has reported some epochs of, in a list."""
    if not begun(log):
        return []
    number = begun(log)[-1]
    trial = trials(output)[number]
    is_begun = 2 < len(trial.intermediate_values) < 8 and not trial.state.is_finished()
    return [number] if is_begun else []


def test_two_workers_complete_a_study_though_one_is_killed_in_mid_trial(sweep, tmp_path):
    words = ["hydra/sweeper=optuna", f"hydra.sweeper.n_trials={TRIALS}", RATES]
    words += ["trainer.max_epochs=20"]
    output, logs = tmp_path / "outputs", [tmp_path / "victim", tmp_path / "survivor"]
    victim, survivor = (forked.command(log, *arguments(output, *words)) for log in logs)
    [lost] = wait_until(
        lambda: begun(logs[1]) and in_mid_trial(output, logs[0]),
        what=lambda: f"a trial of the worker to be killed: {logs[0].read_text()}",
        pause=0.01,
    )
    victim.kill()
    survivor.join(PATIENCE)
    assert survivor.exitcode == 0, logs[1].read_text()
    told = logs[1].read_text()
    assert lost in begun(logs[1])
    assert len(states(output)) == TRIALS
    assert set(states(output)) == {"COMPLETE", "PRUNED"}
    assert len(table(told)) == TRIALS
    taken_up = trials(output)[lost]
    epochs = sorted(taken_up.intermediate_values)
    assert epochs == list(range(len(epochs)))

    pruned = [run for run in collect(output) if run.status == "pruned"]
    assert len(pruned) == states(output).count("PRUNED") > 0
    for run in pruned:
        mark = json.loads((tmp_path / run.path / "pruned.json").read_text())
        assert mark == {"epoch": run.pruned, "command": run.command}
        assert run.outcome == f"pruned at epoch {run.pruned}"
    assert cells(told) == cells(run_table(collect(output)))

    before = results(output)
    again = sweep(output, *words)
    assert again.returncode == 0, again.stderr
    assert not any(line.startswith("trial") for line in again.stdout.splitlines())
    assert set(statuses(again.stdout)) == {"skipped", "pruned"}
    assert results(output) == before
    assert len(states(output)) == TRIALS


def test_a_random_search_fails_in_part_and_the_same_command_completes_it(
    sweep, tmp_path, monkeypatch
):
    """It draws the batch sizes 200, 200 again, 500 (which the callback refuses), then 100."""
    monkeypatch.setattr(local_launcher.subprocess, "Popen", forked.Job)
    words = ["hydra/sweeper=random", "hydra.sweeper.seed=146", "hydra.sweeper.n_trials=3"]
    words += ["training.batch_size=range(100,600,100)"]
    words += ["hydra/launcher=local", "hydra.launcher.jobs=2"]
    words += [f"+callbacks.name={{_target_: names_of_runs.Name, folder: {tmp_path}}}"]
    first = sweep(tmp_path, *words)
    assert first.returncode == 1, first.stdout + first.stderr
    assert states(tmp_path) == ["COMPLETE", "COMPLETE", "FAIL"]
    assert statuses(first.stdout) == ["done", "failed"]
    assert "500 rows are too many" in first.stdout
    logs = {path: path.read_text() for path in tmp_path.glob(".jobs/*.log")}
    assert len(logs) == 2

    second = sweep(tmp_path, *words)
    assert second.returncode == 0, second.stdout + second.stderr
    assert states(tmp_path) == ["COMPLETE", "COMPLETE", "FAIL", "COMPLETE"]
    assert "best of 3 on validation rows: trial " in second.stdout
    assert statuses(second.stdout) == ["skipped", "done"]
    assert all(path.read_text() == text for path, text in logs.items())
    assert {run.status for run in collect(tmp_path)} == {"finished", "failed"}

    told = [path.read_text().splitlines() for path in tmp_path.glob("*.name")]
    groups, own, commands = zip(*told, strict=True)
    assert set(own) == {f"training.batch_size={size}" for size in (100, 200, 500)}
    [group] = set(groups)
    assert group.startswith("training.batch_size=range(100,600,100) data.train_rows=400")
    assert all(text.startswith("python train.py data.train_rows=400") for text in commands)


def test_a_search_in_which_all_fails_ends_and_repeats_no_failure(sweep, tmp_path):
    words = ["hydra/sweeper=optuna", "hydra.sweeper.n_trials=6", "training.batch_size=300,400"]
    words += ["data.train_rows=1"]  # too few for a batch norm
    done = sweep(tmp_path, *words)
    assert done.returncode == 1
    assert states(tmp_path) == ["FAIL"] * 6
    assert statuses(done.stdout) == ["failed", "failed"]
    assert done.stdout.count("trial ") == 2


def test_a_trial_that_cannot_be_composed_fails_and_the_others_run(sweep, tmp_path):
    """The small runs have `model.layers`, which one of these models lacks."""
    words = ["hydra/sweeper=random", "hydra.sweeper.n_trials=4", "model=maf,gaussian"]
    done = sweep(tmp_path, *words)
    assert done.returncode == 1
    assert set(states(tmp_path)) == {"COMPLETE", "FAIL"}
    rows = {row["model"]: row for row in table(done.stdout)}
    assert rows["maf"]["status"] == "done"
    assert rows["gaussian"]["status"] == "failed"
    assert rows["gaussian"]["test log-likelihood"].startswith("model.layers is not a key")


@pytest.mark.parametrize(
    ("sweeper", "words", "sentence"),
    [
        ("optuna", ["seed=0"], "there is nothing to search: give a choice, e.g. model.layers="),
        ("optuna", ["model.layers=range(3,1)"], "model.layers=range(3,1): the range is empty"),
        (
            "random",
            ["training.batch_size=range(-3,1)"],
            "batch_size=-3: expected an integer at least",
        ),
        ("random", ["training.schedule=const,cos"], "training.schedule=cos: expected constant"),
        ("random", ["model.layer=1,2"], "did you mean model.layers"),
        (
            "optuna",
            ["training.learning_rate=tag(log,interval(0,1))"],
            "training.learning_rate=tag(log,interval(0,1)): `low > 0` must hold",
        ),
        ("optuna", ["training.learning_rate=interval(2,1)"], "interval(2,1): `low <= high` must"),
        ("optuna", [RATES, "hydra.sweeper.n_trials=0"], "hydra.sweeper.n_trials=0: expected an"),
        ("optuna", [RATES, "hydra.sweeper.pruner=x"], "hydra.sweeper.pruner=x: expected median"),
        ("optuna", [RATES, "hydra.sweeper.trials=3"], "did you mean hydra.sweeper.n_trials?"),
        ("optuna", [RATES, "overwrite=true"], "overwrite=true: a search goes on with its trials"),
        ("grid", [RATES], "a grid needs single values; draw from an interval with hydra/sweeper="),
    ],
)
def test_a_bad_space_or_option_is_one_sentence(sweep, tmp_path, sweeper, words, sentence):
    done = sweep(tmp_path, f"hydra/sweeper={sweeper}", *words)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("limit", "sampler", "n_trials", "expected"),
    [
        (None, "tpe", 50, 13),  # which leaves three quarters of them something to learn from
        (None, "tpe", 3, 1),
        (None, "random", 50, 50),
        (None, "random", 1000, 256),
        (1, "random", 50, 1),
        (30, "tpe", 50, 30),
        (30, "tpe", 20, 20),
    ],
)
def test_how_many_trials_there_are_at_a_time(limit, sampler, n_trials, expected):
    assert trials_at_a_time(limit, sampler=sampler, n_trials=n_trials) == expected


def test_a_line_cut_short_by_a_crash_does_not_spoil_the_study(tmp_path):
    journal = tmp_path / "study.journal"
    open_study(journal).ask()
    with journal.open("a") as file:
        file.write('{"op_code": 4, "worker')
    open_study(journal).ask()
    assert len(open_study(journal).get_trials()) == 2
