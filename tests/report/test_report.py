"""The report over real runs says what their folders say, and nothing else."""

import json
import re
import runpy
import shutil
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from flowbench.evaluation.published import published_curve
from flowbench.report import collect, settings_of, tidy
from flowbench.report.collect import ReportError
from flowbench.report.curves import learning_curves
from flowbench.report.effects import sweeps
from flowbench.report.overview import overview
from flowbench.report.page import render_page
from flowbench.report.recorded import recorded_curves
from flowbench.report.results import results_table
from flowbench.report.svg import Chart, Line
from flowbench.report.table import score_of
from flowbench.report.text import BEGIN, END
from flowbench.report.write import FORMATS, write_report


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


def test_learning_curves_hold_every_epoch(settings):
    charts = {chart.title: chart for chart in learning_curves(settings)}
    assert set(charts) == {"Learning curves on toy", "Learning curves on table"}
    assert {len(line.x) for line in charts["Learning curves on table"].lines} == {2}


def test_charts_can_be_read_aloud_and_stay_small():
    values = np.sin(np.arange(100_000) / 1000)
    values[50_000] = 40
    lines = [Line(name="a<b", x=np.arange(100_000), y=values, style="c1 dotted")]
    lines += [Line(name="gap", x=[0, 1, 2], y=[np.nan, 1e300, 1.0]), Line(name="none", x=[], y=[])]
    svg = str(Chart(title="<t>", x="epoch", y="nats", lines=lines).svg())
    assert "<title>&lt;t&gt;</title><desc>nats by epoch. Last values: a&lt;b " in svg
    assert ElementTree.fromstring(svg).tag == "svg"
    assert len(svg) < 4000
    highest = min(float(y) for y in re.findall(r"[\d.]+,([\d.]+)", svg.partition("polyline")[2]))
    assert highest < 30  # the one value far above is drawn


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
        by_step, by_word = recorded_curves(settings_of([recorded]))
        assert [line.name for line in by_step.lines] == [
            "test",
            "under N(0, I)",
            "published, test",
        ]
        assert list(by_step.lines[0].y) == [-9.0, -8.0]
        assert tuple(by_step.lines[2].y) == article
        assert [line.name for line in by_word.lines] == names
        assert list(by_word.lines[-1].y) == [1.0, 2.0]
    table = config | {"published": {"source": "Papamakarios et al. 2017", "model": "MAF (5)"}}
    [chart] = recorded_curves(settings_of([replace(run, config=table, steps=steps)]))
    assert [line.name for line in chart.lines] == ["test", "under N(0, I)"]
    assert list(recorded_curves(settings_of(runs))) == []


def test_the_report_is_a_pure_function_of_the_tree(tree, tmp_path):
    before = files(tree)
    first = write_report(tree, out=tmp_path / "first")
    second = write_report(tree, out=tmp_path / "second")
    assert files(tree) == before
    names = {path.relative_to(first) for path in first.rglob("*") if path.is_file()}
    assert {Path(file) for file, _ in FORMATS.values()} <= names
    for name in names:
        assert (first / name).read_bytes() == (second / name).read_bytes()
    assert len(pd.read_csv(first / "runs.csv")) == 8


def test_the_page_needs_nothing_from_outside(tree, tmp_path):
    page = (write_report(tree, out=tmp_path) / "report.html").read_text()
    head = page.partition("<body>")[0]
    for word in ("<script src", '<link rel="stylesheet"', "@import", "url("):
        assert word not in head
    assert "<script src" not in page
    shown = set(re.findall(r'<img src="(report_files/[^"]*)"', page))
    assert {(tmp_path / name).read_bytes() for name in shown} == {
        path.read_bytes() for path in tree.rglob("figures/*.png")
    }
    assert page.count("<img ") == page.count('loading="lazy"') > 0


def test_pictures_of_the_former_page_are_removed_and_nothing_else(tree, tmp_path):
    outputs = tmp_path / "outputs"
    shutil.copytree(tree, outputs)
    page, folder = outputs / "report" / "report.html", outputs / "report" / "report_files"
    write_report(outputs, formats=["html"])
    first = {path.name for path in folder.iterdir()}
    others = ["0123456789abcdef.png", "mine.png"]
    for name in others:
        (folder / name).touch()
    picture = next(outputs.glob("*/gaussian/*/*/figures/pairs.png"))
    picture.write_bytes(picture.read_bytes() + b"changed")
    write_report(outputs, formats=["html"])
    second = {path.name for path in folder.iterdir()}
    assert len(first - second) == 1
    assert second >= set(others)
    assert len(second) == len(first) + 2
    for name in re.findall(r'src="report_files/([^"]*)"', page.read_text()):
        assert (folder / name).is_file()
    shutil.rmtree(folder)
    folder.symlink_to(tmp_path)
    with pytest.raises(ReportError, match="is a link, expected a folder"):
        write_report(outputs)


def test_a_page_of_a_thousand_runs_stays_small(runs, tmp_path):
    run = next(run for run in runs if run.model == "gaussian")
    steps = pd.DataFrame({"step": range(1000), "test": -1.0, "base/test": -2.0})
    labels = pd.DataFrame({"epoch": range(50)} | {f"word{n}": 1.0 for n in range(35)})
    score = {"mean": 0.0, "two_standard_errors": 0.1, "auroc": 0.9, "average_precision": 0.9}
    anomaly = {"unit": "clips", "learnt": "word0", "above": 0, "mean_auroc": 0.9}
    anomaly |= {"worst_auroc": 0.9, "others": {"auroc": 0.9, "average_precision": 0.9}}
    anomaly |= {"labels": {f"word{n}": score for n in range(35)}}
    result = run.result | {"test": run.result["test"] | {"anomaly": anomaly}}
    many = []
    for n in range(1000):
        config = run.config | {"model": run.config["model"] | {"hidden_units": n, "layers": -n}}
        path = run.path.parent.with_name(f"{n:08x}") / "seed=0"
        changes = {"config": config, "path": path, "result": result}
        changes |= {"steps": steps, "labels": labels}
        many.append(replace(run, **changes))
    settings = settings_of(many)
    page = render_page(
        many, settings, title="many", table=results_table(settings),
        sweeps=list(sweeps(settings)), picture=lambda path: f"report_files/{'0' * 16}.png",
    )  # fmt: skip
    assert len(page.encode()) < 2e6
    assert page.count("<article>") == 1000


def test_the_command_writes_formats_and_rewrites_a_readme(tree, tmp_path, monkeypatch, capsys):
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    script = Path(__file__).parents[2] / "scripts" / "report.py"
    out = tmp_path / "report"
    words = [script, tree, "--out", out, "--readme", readme, "--format", "md", "latex"]
    monkeypatch.setattr("sys.argv", list(map(str, words)))
    runpy.run_path(str(script), run_name="__main__")
    told = capsys.readouterr().out.split()
    assert told == [str(out / "report.md"), str(out / "report.tex")]
    assert sorted(path.name for path in out.iterdir()) == ["report.md", "report.tex"]
    markdown = (out / "report.md").read_text()
    assert "| table | gaussian |" in markdown
    assert "## Effects of options: maf on toy" in markdown
    assert re.search(r"\| failed +\| toy .*\| step \d+: the log-likelihood is not", markdown)
    text = readme.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert "| table | gaussian |" in text
    latex = (out / "report.tex").read_text()
    assert latex.count("\\\\\n") == 1 + len(results_table(settings_of(collect(tree))).lines)
    assert re.search(r"\ntable & gaussian & .*\$-4\.\d+ \\pm 0\.\d+\$", latex)


def test_mistakes_are_one_sentence(tree, tmp_path):
    with pytest.raises(ReportError, match="no run folders"):
        collect(tmp_path)
    (tmp_path / "README.md").write_text("nothing")
    with pytest.raises(ReportError, match="expected the line <!-- results -->"):
        write_report(tree, out=tmp_path, readme=tmp_path / "README.md")
