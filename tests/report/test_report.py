"""The report over real runs says what their folders say, and nothing else."""

import json
import re
import runpy
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from flowbench.evaluation.published import published_curve
from flowbench.report import collect, settings_of, tidy
from flowbench.report.charts import learning_curves, sweeps
from flowbench.report.collect import ReportError
from flowbench.report.overview import overview
from flowbench.report.recorded import recorded_curves
from flowbench.report.table import score_of
from flowbench.report.text import BEGIN, END
from flowbench.report.write import write_report


@pytest.fixture(scope="module")
def runs(tree):
    return collect(tree)


@pytest.fixture(scope="module")
def settings(runs):
    return settings_of(runs)


def files(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_every_run_is_there_with_its_status(runs):
    statuses = sorted((run.data, run.model, run.status) for run in runs)
    assert statuses == [
        ("table", "gaussian", "finished"),
        ("table", "realnvp", "unfinished"),
        ("toy", "maf", "failed"),
        *[("toy", "maf", "finished")] * 5,
    ]
    [failed] = [run for run in runs if run.error]
    assert "step" in failed.error
    assert all(run.command for run in runs)


def test_the_tidy_table_holds_the_numbers_of_the_results(runs, tree):
    table = tidy(runs)
    for _, row in table[table.status == "finished"].iterrows():
        result = json.loads((tree.parent / row.folder / "result.json").read_text())
        score = result["test"]["log_likelihood"]["model_space"]
        assert row.test == score["mean"]
        assert row.test_two_standard_errors == score["two_standard_errors"]
        assert row.parameters == result["parameters"]
        assert row.command == result["command"]
    assert table.test.isna().sum() == 2
    swept = table[table.model == "maf"]
    assert set(swept["model.activation"]) == {"relu", "tanh"}
    assert "model.seed" not in table


def test_seeds_are_one_setting(settings):
    [setting] = [setting for setting in settings if len(setting.runs) > 1]
    values = [run.result["test"]["log_likelihood"]["model_space"]["mean"] for run in setting.runs]
    assert setting.log_likelihood("test") == pytest.approx(sum(values) / 2)
    assert setting.sd_over_seeds == pytest.approx(abs(values[0] - values[1]) / 2**0.5)
    assert setting.keys["model.activation"] == "relu"
    assert setting.published is None
    assert setting.verdict is None


@pytest.mark.parametrize(
    ("theirs", "verdict"), [(0.0, "within error"), (-1.0, "above"), (1.0, "below")]
)
def test_a_difference_is_held_against_the_combined_error(settings, theirs, verdict):
    [gaussian] = [setting for setting in settings if setting.model == "gaussian"]
    ours = gaussian.log_likelihood("test")
    published = {"mean": ours + theirs, "two_standard_errors": 0.3, "source": "s", "model": "m"}
    [run] = gaussian.runs
    run.result["published"] = published
    try:
        again = type(gaussian)(data="d", model="m", keys={}, runs=[run])
        assert again.difference == pytest.approx(-theirs)
        error = run.result["test"]["log_likelihood"]["model_space"]["two_standard_errors"]
        assert again.combined_error == pytest.approx((error**2 + 0.3**2) ** 0.5)
        assert error < 0.9
        assert again.verdict == verdict
    finally:
        run.result["published"] = None


def test_densities_given_labels_are_told_apart_and_compared_by_log_p_of_x(settings):
    [gaussian] = [setting for setting in settings if setting.model == "gaussian"]
    [run] = gaussian.runs
    score = run.result["test"] | {"marginal": {"model_space": {"mean": -9.0}}}
    config = run.config | {"data": run.config["data"] | {"label_context": True}}
    path = run.path.parent.with_name("another") / "seed=0"
    conditional = replace(run, path=path, config=config, result=run.result | {"test": score})
    labels = {setting.data: setting for setting in settings_of([run, conditional])}
    assert set(labels) == {"table", "table (label_context)"}
    assert score_of(conditional, "test").mean == -9.0


def test_clips_of_frames_are_told_from_rows(settings):
    [gaussian] = [setting for setting in settings if setting.model == "gaussian"]
    [run] = gaussian.runs
    data = run.config["data"] | {"train_label": "zero", "window": "sequence"}
    path = run.path.parent.with_name("another") / "seed=0"
    result = run.result | {"test": run.result["test"] | {"rows_per_event": 98}}
    frames = replace(run, path=path, config=run.config | {"data": data}, result=result)
    told = {setting.data for setting in settings_of([run, frames])}
    assert told == {"table", "table (train_label=zero, window=sequence)"}
    assert tidy([run, frames]).rows_per_event.tolist() == [1, 98]


def test_a_key_without_a_section_is_named_in_a_setting(runs):
    run = next(run for run in runs if run.model == "gaussian")
    started = replace(run, path=Path("another", "seed=0"), config=run.config | {"init_from": "a"})
    assert {s.name for s in settings_of([run, started])} == {"init_from=null", "init_from=a"}


def test_missing_cells_are_shown_as_missing(settings):
    cells = overview(settings)
    assert cells["gaussian"]["toy"].status == "missing"
    assert cells["realnvp"]["table"].status == "unfinished"
    best = cells["maf"]["toy"].setting
    validated = [s.log_likelihood("val") for s in settings if s.model == "maf" and s.finished]
    assert best.log_likelihood("val") == max(validated)


def test_a_sweep_is_drawn_over_the_keys_that_vary(settings):
    grid = [s for s in settings if s.model == "maf" and s.finished]
    assert len(grid) == 4
    for setting in grid:  # as it is without the run that failed
        for key in set(setting.keys) - {"model.activation", "model.batch_norm"}:
            del setting.keys[key]
    [(title, chart)] = sweeps(grid)
    assert title == "maf on toy"
    assert chart.data[0].type == "heatmap"
    assert {len(line) for line in chart.data[0].z} == {2}
    [(_, chart)] = sweeps(settings_of([run for s in settings for run in s.runs]))
    assert {trace.type for trace in chart.data} == {"scatter"}
    assert len(chart.data) == 4


def test_learning_curves_hold_every_epoch(settings):
    charts = dict(learning_curves(settings))
    assert set(charts) == {"toy", "table"}
    assert {len(trace.x) for trace in charts["table"].data} == {2}


def test_what_runs_recorded_is_drawn_beside_what_is_published(runs):
    [run] = [run for run in runs if run.model == "gaussian"]
    article = tuple(row["test"] for row in published_curve("Experimenting", "gas_article"))
    config = run.config | {
        "data": run.config["data"] | {"name": "gas_article", "train_label": "zero"},
        "published": {"source": "Experimenting", "model": ""},
    }
    words = {"epoch": [0, 1], "zero": [1.0, 2.0], "cat": [0.0, 0.5]}
    many = words | {f"word{n}": [0.0, 0.1 * n] for n in range(20)}
    steps = pd.DataFrame({"step": [0, 9], "test": [-9.0, -8.0], "base/test": [-11.0, -11.0]})
    for labels, names in ((words, ["cat", "zero"]), (many, ["21 others"] * 21 + ["zero"])):
        recorded = replace(run, config=config, steps=steps, labels=pd.DataFrame(labels))
        (_, by_step), (_, by_word) = recorded_curves(settings_of([recorded]))
        assert [line.name for line in by_step.data] == ["test", "under N(0, I)", "published, test"]
        assert by_step.data[0].y == (-9.0, -8.0)
        assert by_step.data[2].y == article
        assert [line.name for line in by_word.data] == names
        assert by_word.data[-1].y == (1.0, 2.0)
    table = config | {"published": {"source": "Papamakarios et al. 2017", "model": "MAF (5)"}}
    [(_, chart)] = recorded_curves(settings_of([replace(run, config=table, steps=steps)]))
    assert [line.name for line in chart.data] == ["test", "under N(0, I)"]
    assert list(recorded_curves(settings_of(runs))) == []


def test_the_report_is_a_pure_function_of_the_tree(tree, tmp_path):
    before = files(tree)
    first = write_report(tree, out=tmp_path / "first")
    second = write_report(tree, out=tmp_path / "second")
    assert files(tree) == before
    for name in ("report.html", "report.md", "runs.csv"):
        assert (first / name).read_bytes() == (second / name).read_bytes()
    assert len(pd.read_csv(first / "runs.csv")) == 8


def test_the_page_needs_nothing_from_outside(tree, tmp_path):
    page = (write_report(tree, out=tmp_path) / "report.html").read_text()
    head = page.partition("<body>")[0]
    for word in ("<script src", '<link rel="stylesheet"', "@import", "url("):
        assert word not in head
    assert "<script src" not in page
    pictures = len(list(tree.rglob("*.png")))
    assert page.count('<figure><img src="data:image/png;base64') == pictures > 0


def test_the_command_prints_markdown_and_rewrites_a_readme(tree, tmp_path, monkeypatch, capsys):
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    script = Path(__file__).parents[2] / "scripts" / "report.py"
    words = [script, tree, "--out", tmp_path / "report", "--markdown", "--readme", readme]
    monkeypatch.setattr("sys.argv", list(map(str, words)))
    runpy.run_path(str(script), run_name="__main__")
    told = capsys.readouterr().out
    assert "| table | gaussian |" in told
    assert "## Runs" in told
    assert re.search(r"\| failed +\| toy .*\| step \d+: the log-likelihood is not", told)
    text = readme.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert "| table | gaussian |" in text


def test_mistakes_are_one_sentence(tree, tmp_path):
    with pytest.raises(ReportError, match="no run folders"):
        collect(tmp_path)
    (tmp_path / "README.md").write_text("nothing")
    with pytest.raises(ReportError, match="expected the line <!-- results -->"):
        write_report(tree, out=tmp_path, readme=tmp_path / "README.md")
