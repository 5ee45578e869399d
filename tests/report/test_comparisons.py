"""Settings beside each other: leaders of rankings, effects of options, measures, protocols."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from flowbench.evaluation import paired_difference
from flowbench.report import settings_of
from flowbench.report.effects import sweeps
from flowbench.report.latex import latex_table
from flowbench.report.leaders import Behind, behind_leaders
from flowbench.report.overview import overview
from flowbench.report.page import render_page
from flowbench.report.results import results_table
from flowbench.report.settings import best_by_validation
from flowbench.report.table import score_of
from flowbench.report.text import effects_table


def npy(array):
    np.save(file := io.BytesIO(), array, allow_pickle=True)
    return file.getvalue()


def test_effects_are_paired_over_the_other_options(settings):
    [sweep] = sweeps(settings)
    assert sweep.title == "maf on toy"
    value = {
        (s.keys["model.activation"], s.keys["model.batch_norm"], run.seed): score_of(run, "val")
        for s in settings
        for run in s.finished
        if s.model == "maf"
    }
    pairs = [value["tanh", norm, 0].mean - value["relu", norm, 0].mean for norm in (True, False)]
    reference, tanh = sweep.effects["model.activation"]
    assert (reference.level, reference.is_reference, reference.finished) == ("relu", True, 3)
    assert (tanh.level, tanh.pairs, tanh.failed) == ("tanh", 2, 0)
    assert tanh.difference == pytest.approx(sum(pairs) / 2)
    assert tanh.two_standard_errors == pytest.approx(abs(pairs[0] - pairs[1]))
    alone = sweep.effects["trainer.max_epochs"][1]
    assert (alone.failed, alone.pairs, alone.difference) == (1, 0, None)
    low, high = sweep.reach
    assert low <= tanh.difference - tanh.two_standard_errors <= high


def test_effects_are_of_medians_where_a_mean_has_run_away(settings):
    runs = [run for one in settings if one.model == "maf" for run in one.runs]
    medians = {}
    for place, run in enumerate(runs):
        if run.result and run.seed == 0:
            val = json.loads(json.dumps(run.result["val"]))
            found = val["log_likelihood"]["model_space"]
            keys = run.config["model"]["activation"], run.config["model"]["batch_norm"]
            medians[keys] = found["median"]
            if keys == ("tanh", True):
                found |= {"mean": -1e18, "min": -1e21}
                runs[place] = replace(run, result=run.result | {"val": val})
    [sweep] = sweeps(settings_of(runs))
    assert (sweep.statistic, sweep.running_away) == ("median", 1)
    tanh = sweep.effects["model.activation"][1]
    pairs = [medians["tanh", norm] - medians["relu", norm] for norm in (True, False)]
    assert tanh.difference == pytest.approx(sum(pairs) / 2)
    told = "the means of 1 runs lie below their 1 % quantiles"
    assert told in effects_table(sweep).notes[1]
    group = settings_of(runs)
    page = render_page(
        runs, group, title="", table=results_table(group), sweeps=[sweep], picture=str
    )
    assert told in page


def test_differences_to_the_leader_are_of_the_same_rows(settings):
    behind = dict(zip(map(id, settings), behind_leaders(settings), strict=True))
    ranked = [s for s in settings if s.finished and s.model == "maf"]
    leader = best_by_validation(ranked)
    assert behind[id(leader)] == Behind()
    for setting in ranked:
        if setting is leader:
            continue
        found = behind[id(setting)]
        assert not found.unpaired
        scores = [np.load(s.runs[0].test_scores) for s in (setting, leader)]  # those of seed 0
        expected = paired_difference(*map(torch.from_numpy, scores))
        assert found.mean == pytest.approx(expected["mean"])
        assert found.two_standard_errors == pytest.approx(expected["two_standard_errors"])
        assert found.two_standard_errors < setting.two_standard_errors


def test_seeds_widen_the_error_of_a_difference(settings, tmp_path):
    [gaussian] = [s for s in settings if s.model == "gaussian"]
    [run] = gaussian.runs
    scores, twice = np.load(run.test_scores), []
    for seed, shift in enumerate((-0.5, -1.5)):
        path = tmp_path / f"{seed}.npy"
        np.save(path, scores + shift)
        twice.append(replace(run, test_scores=path))
    _, found = behind_leaders([gaussian, replace(gaussian, runs=twice)])
    assert found.mean == pytest.approx(-1)
    assert found.two_standard_errors == pytest.approx(1)  # 2 sd / √2, sd = √½


def damaged_scores(content):
    def change(run, folder):
        (folder / "scores.npy").write_bytes(content)
        return replace(run, test_scores=folder / "scores.npy")

    return change


UNPAIRED = {
    "no test_scores.npy": lambda run, _: replace(run, test_scores=None),
    "other test rows": lambda run, _: replace(
        run, result=run.result | {"test_rows_sha256": "0" * 64}
    ),
    "not readable as an array": damaged_scores(b"\x93NUMPY\x01"),
    "array (": damaged_scores(npy(np.zeros(1)).replace(b"(1,)", b"(9999999999999999,)")),
    "one per event": damaged_scores(npy(np.full(3, np.nan))),
    "not readable": damaged_scores(npy(np.array([None]))),
}


@pytest.mark.parametrize(("reason", "change"), UNPAIRED.items())
def test_what_cannot_be_paired_is_told(settings, tmp_path, reason, change):
    ranked = [s for s in settings if s.finished and s.model == "maf"]
    leader = best_by_validation(ranked)
    other = next(s for s in ranked if s is not leader)
    changed = replace(other, runs=[change(run, tmp_path) for run in other.runs])
    _, found = behind_leaders([leader, changed])
    assert reason in found.unpaired
    assert found.two_standard_errors >= leader.two_standard_errors
    table = results_table([leader, changed])
    assert reason in " ".join(table.notes)
    assert "(unpaired)" in table.lines[1][table.headings.index("to the leader (nats)")].text


def test_other_measures_are_in_other_rankings(settings):
    [gaussian] = [s for s in settings if s.model == "gaussian"]
    [run] = gaussian.runs
    path = run.path.parent.with_name("another") / "seed=0"
    result = run.result | {"measure": "mixed", "knows_lattice": True}
    both = settings_of([run, replace(run, path=path, result=result)])
    assert [s.ranking for s in both] == ["table", "table, mixed measure"]
    assert behind_leaders(both) == [None, None]
    assert set(overview(both)["gaussian"]) == {"table", "table, mixed measure"}
    table = results_table(both)
    assert [line[1].text for line in table.lines] == ["gaussian", "gaussian †"]
    assert any(note.startswith("†: the model knows") for note in table.notes)
    assert any("different measures" in note for note in table.notes)


def test_deviations_from_a_protocol_are_told(settings):
    [run] = next(s for s in settings if s.model == "gaussian").runs
    assert run.deviations == []
    earlier = replace(run, result={k: v for k, v in run.result.items() if k != "deviations"})
    row = "python train.py protocol=maf_paper model=maf model.layers=10 seed=1 logger=csv"
    assert replace(earlier, command=row).deviations == []
    short = f"{row} trainer.max_epochs=3"
    assert replace(earlier, command=short).deviations == ["trainer.max_epochs=3"]
    told = replace(run, result=run.result | {"deviations": ["30 epochs"]})
    assert told.deviations == ["30 epochs"]
    settings = settings_of([told])
    page = render_page([told], settings, title="", table=results_table(settings), picture=str)
    assert "Beside the protocol: 30 epochs" in page


def test_a_mean_that_few_rows_decide_is_marked(settings):
    [run] = next(s for s in settings if s.model == "gaussian").runs
    test = json.loads(json.dumps(run.result["test"]))
    test["log_likelihood"]["model_space"] |= {"share_of_ten": 0.83, "trimmed_mean": -1.25}
    settings = settings_of([replace(run, result=run.result | {"test": test})])
    table = results_table(settings)
    column = table.headings.index("test log-likelihood (nats)")
    assert table.lines[0][column].text.endswith(" §")
    [note] = [note for note in table.notes if note.startswith("§")]
    assert "gaussian on table: 83%, trimmed mean −1.25, median" in note
    assert r" \S{}" in latex_table(table)
    page = render_page([settings[0].runs[0]], settings, title="", table=table, picture=str)
    assert "10 of 80 rows make up 83% of the variance" in page


def variants(settings, key, values):
    """The Gaussian's run with several values of a key of its configuration, as settings."""
    [gaussian] = [s for s in settings if s.model == "gaussian"]
    [run] = gaussian.runs
    section, _, name = key.partition(".")
    return settings_of(
        replace(
            run,
            path=run.path.parent.with_name(f"variant{number}") / "seed=0",
            config=run.config | {section: (run.config.get(section) or {}) | {name: value}},
        )
        for number, value in enumerate(values)
    )


def test_options_that_leave_test_rows_as_they_are_make_no_other_ranking(settings):
    told = variants(settings, "data.dequantize", ["once", "epoch"])
    assert {s.ranking for s in told} == {"table"}
    assert {s.name for s in told} == {"dequantize=once", "dequantize=epoch"}
    assert len({s.ranking for s in variants(settings, "data.dequantize", [True, False])}) == 2


@pytest.mark.parametrize("section", ["module", "callbacks"])
def test_modules_and_callbacks_tell_settings_apart(settings, section):
    told = variants(settings, f"{section}._target_", ["mine.One", "mine.Other"])
    assert {s.name for s in told} == {"_target_=mine.One", "_target_=mine.Other"}


def test_a_brief_table_names_settings_only_where_it_must(settings):
    brief = results_table(settings, brief=True)
    assert "setting" in brief.headings
    assert not {"wall time", "epochs"} & {*brief.headings}
    single = results_table([s for s in settings if s.model == "gaussian"], brief=True)
    assert "setting" not in single.headings
