"""A run folder may come from strangers: what is wrong in it is told, and nothing else is read."""

import hashlib
import itertools
import json
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from flowbench.report import collect, settings_of
from flowbench.report.collect import ReportError, survey
from flowbench.report.latex import latex_table
from flowbench.report.results import results_table
from flowbench.report.text import markdown_report
from flowbench.report.write import write_report


def bomb():
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    names = "abcdefghij"
    for one, other in itertools.pairwise(names):
        lines.append(f"{other}: &{other} [{', '.join([f'*{one}'] * 9)}]")
    return "\n".join(lines)


def edited(**changes):
    def edit(path):
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return edit


def text(content):
    return lambda path: path.write_bytes(
        content if isinstance(content, bytes) else content.encode()
    )


def instead(make):
    def replace_file(path):
        path.unlink(missing_ok=True)
        make(path)

    return replace_file


DAMAGES = [
    ("result.json", text(b""), "not readable as JSON"),
    ("result.json", text("[]"), "the whole is a list of 0, expected a mapping"),
    ("result.json", text("{}"), "data is missing"),
    ("result.json", text("[" * 100_000), "not readable as JSON"),
    ("result.json", text("{" * 10), "not readable as JSON"),
    ("result.json", text(b"\xff\xfe"), "not text in UTF-8"),
    ("result.json", edited(test=None), "test is null, expected a mapping"),
    ("result.json", edited(seconds=float("nan")), "seconds is nan, expected a finite number"),
    ("result.json", edited(parameters=10**400), "parameters is a number of too many digits"),
    ("result.json", edited(seconds=1e308), "seconds is 1e.308, expected a finite number"),
    ("result.json", edited(epochs="2"), "epochs is '2', expected a whole number"),
    ("result.json", edited(model="\ud800"), "model is .*, expected text"),
    ("result.json", edited(published={"mean": 1}), r"published\.source is missing"),
    ("result.json", instead(Path.mkdir), "is not a regular file|Is a directory"),
    ("result.json", instead(os.mkfifo), "is not a regular file|Is a directory"),
    ("result.json", instead(lambda path: path.symlink_to("/dev/zero")), "a link that leads out"),
    ("result.json", instead(lambda path: path.symlink_to("/etc/passwd")), "a link that leads"),
    ("result.json", lambda path: os.truncate(path, 10**11), "has 100,000,000,000 bytes, exp"),
    ("config.yaml", text(""), "the whole is null, expected a mapping"),
    ("config.yaml", text("- 1"), "the whole is a list of 1"),
    ("config.yaml", text("model: [maf]"), "model is a list of 1, expected a mapping"),
    ("config.yaml", text("a: &a [*a]"), "nested more than 50 deep"),
    ("config.yaml", text(bomb()), "more than 100,000 values"),
    ("config.yaml", text("!!python/object/apply:os.mkdir [MADE]"), "not readable as YAML"),
    ("config.yaml", text("[" * 10_000), "not readable as YAML"),
    ("config.yaml", text("model: " + "{a: " * 600 + "}" * 600), "nested more than 50 deep"),
    ("config.yaml", text("seed: 2020-01-01"), "holds a date, expected numbers and text"),
    ("metrics.csv", text(""), "not readable as CSV"),
    ("metrics.csv", text("epoch,seconds\n0,1\n"), "has no column val/log_likelihood"),
    ("metrics.csv", text("epoch,val/log_likelihood\n0,x\n"), "holds no numbers"),
    ("steps.csv", text("a\n1\n"), "has no column step"),
    ("pruned.json", text("{}"), "epoch is missing"),
]


@pytest.fixture
def small(tree, tmp_path):
    """A copy of a tree with one sound run, and the folder of another one."""
    for name in ("gaussian", "maf"):
        source = next(tree.glob(f"*/{name}/*/seed=0/result.json")).parent
        shutil.copytree(source, tmp_path / "outputs" / source.relative_to(tree))
    [folder] = (tmp_path / "outputs").glob("*/gaussian/*/seed=0")
    return folder


@pytest.mark.parametrize(("name", "damage", "sentence"), DAMAGES)
def test_an_unreadable_folder_is_told_and_the_rest_is_reported(small, name, damage, sentence):
    damage(small / name)
    records, unreadable = survey(small.parents[3])
    assert [record.model for record in records] == ["maf"]
    [(folder, reason)] = unreadable.items()
    assert folder.name == small.name
    assert re.match(f"{re.escape(str(small / name))}: .*({sentence})", reason)
    assert len(reason.splitlines()) == 1
    assert len(reason) < 600


def test_an_unreadable_error_is_told_and_the_rest_is_reported(small):
    (small / "result.json").unlink()
    (small / "error.json").write_text('{"error": 1')
    assert "error.json: not readable" in next(iter(survey(small.parents[3])[1].values()))


def test_a_folder_that_is_a_link_out_of_the_tree_is_told(small):
    small.rename(small.parents[4] / "elsewhere")
    small.symlink_to(small.parents[4] / "elsewhere")
    (small.parents[3] / "toy" / "maf" / "x" / "seed=one").mkdir(parents=True)
    (small.parents[3] / "toy" / "maf" / "x" / "seed=one" / "config.yaml").touch()
    reasons = list(survey(small.parents[3])[1].values())
    assert "a link that leads out of" in reasons[0]
    assert "expected a folder seed=<n>" in reasons[1]


def test_the_page_lists_unreadable_folders(small, capsys):
    (small / "result.json").write_text("{}")
    folder = write_report(small.parents[3])
    for name in ("report.html", "report.md"):
        assert "result.json: data is missing; restore it" in (folder / name).read_text()
    assert "left out: " in capsys.readouterr().err
    shutil.rmtree(next((small.parents[3]).glob("*/maf")))
    with pytest.raises(ReportError, match="data is missing"):
        write_report(small.parents[3])


PICTURES = [
    (
        instead(lambda path: path.symlink_to("/dev/zero")),
        "a link that leads out of the run folder",
    ),
    (instead(lambda path: path.symlink_to("/etc/passwd")), "a link that leads out"),
    (instead(lambda path: path.symlink_to(path)), "circle|Too many levels"),
    (instead(Path.mkdir), "is not a regular file|Is a directory"),
    (text("GIF89a"), "is no PNG"),
    (lambda path: os.truncate(path, 10**9), "1,000,000,000 bytes, expected at most"),
]


@pytest.mark.parametrize(("damage", "sentence"), PICTURES)
def test_only_pictures_of_the_run_are_shown(small, damage, sentence):
    damage(small / "figures" / "pairs.png")
    records, unreadable = survey(small.parents[3])
    [record] = [record for record in records if record.model == "gaussian"]
    assert not unreadable
    assert "pairs" not in record.figures
    assert re.search(sentence, record.left_out["pairs"])
    page = (write_report(small.parents[3]) / "report.html").read_text()
    assert "pairs is not shown: " in page


PLANTED = [
    (".report.part.html", None),
    ("report.html", None),
    ("report_files", "report_files: is a link"),
    ("report_files/{picture}.png", None),
    ("report_files/.{picture}.part.png", None),
    (".", "report: is a link"),
]


@pytest.mark.parametrize(("name", "sentence"), PLANTED)
def test_nothing_is_written_through_a_link(small, tmp_path, name, sentence):
    """Neither to a file nor into a folder that a stranger's tree points to."""
    picture = (small / "figures" / "pairs.png").read_bytes()
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "file").write_bytes(bytes(len(picture)))
    report = small.parents[3] / "report"
    link = report / name.format(picture=hashlib.sha256(picture).hexdigest()[:16])
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(mine if sentence else mine / "file")
    if sentence:
        with pytest.raises(ReportError, match=sentence):
            write_report(small.parents[3])
    else:
        page = (write_report(small.parents[3]) / "report.html").read_text()
        shown = {(report / one).read_bytes() for one in re.findall(r'src="(report_[^"]*)"', page)}
        assert picture in shown
    assert [path.name for path in mine.iterdir()] == ["file"]
    assert (mine / "file").read_bytes() == bytes(len(picture))


def test_names_mean_nothing_in_markdown(tree):
    evil = "a|b `c` <img src=x> *d* ![e](http://f)\n# g"
    run = next(run for run in collect(tree) if run.model == "gaussian")
    config = run.config | {"data": run.config["data"] | {"name": evil}}
    other = replace(
        run, path=run.path.parents[1] / "h" / "seed=0", config=config, command="```\n# x"
    )
    settings = settings_of([run, other])
    told = markdown_report(settings, title=evil, table=results_table(settings))
    [line] = [line for line in told.splitlines() if "src=x" in line and line.startswith("| a")]
    assert len(re.findall(r"(?<!\\)\|", line)) == len(
        re.findall(r"\|", next(one for one in told.splitlines() if one.startswith("| data")))
    )
    for meaning in (r"(?<!\\)`c", r"(?<!\\)<img", r"\]\(http", r"(?<!\\)\*d", "^# g"):
        assert not re.search(meaning, told, re.MULTILINE)
    assert "````sh" in told


def test_names_start_no_command_in_latex(tree):
    evil = r"50% a_b \input{x} $c$ #1 ~d^2 {e} & \\ \end{tabular}" + "\n% f"
    run = next(run for run in collect(tree) if run.model == "gaussian")
    config = run.config | {"data": run.config["data"] | {"name": evil}}
    told = latex_table(results_table(settings_of([replace(run, config=config)])))
    *notes, row = [line for line in told.splitlines() if "input" in line]
    assert all(line.startswith("% ") for line in notes)
    kept = re.sub(r"\\(textbackslash|textasciitilde|textasciicircum)\{\}|\\[&%$#_{}]", "", row)
    assert "textbackslash" in row
    assert not re.search(r"[\\&%$#_{}~^]", kept.partition(" & ")[0])
    assert row.endswith(r"\\")
