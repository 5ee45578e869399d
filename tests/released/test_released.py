"""What each released version left is read by this one: docs/compatibility.md."""

import json
import shlex
import shutil
from pathlib import Path

import pytest
import torch
from run_commands import composed

import flowbench
from flowbench.report.write import write_report
from flowbench.run.folder import run_folders
from flowbench.run.identity import run_directory

RELEASES = sorted(path.parent for path in Path(__file__).parent.glob("*/log_densities.json"))


@pytest.fixture(params=RELEASES, ids=lambda path: path.name)
def release(request):
    return request.param


def run_of(release):
    [run] = run_folders(release)
    return run


def test_this_version_is_among_them_once_it_is_released():
    kept = {path.name for path in RELEASES}
    assert kept
    assert ".dev" in flowbench.__version__ or flowbench.__version__ in kept


def test_the_density_is_the_same(release):
    said = json.loads((release / "log_densities.json").read_text())
    found = flowbench.load(run_of(release).path).log_prob(torch.tensor(said["rows"]))
    torch.testing.assert_close(found, torch.tensor(said["log_densities"]), atol=1e-6, rtol=1e-6)


def test_the_same_command_finds_the_folder(release):
    run = run_of(release)
    _, _, *options = shlex.split(run.read_command())
    assert run_directory(composed(*options)).parts[-4:] == run.path.parts[-4:]


def test_the_report_reads_it(release, tmp_path):
    shutil.copytree(release / "outputs", tmp_path / "outputs")
    out = write_report(tmp_path / "outputs", formats=["csv", "md"])
    mean = run_of(release).read_result()["test"]["log_likelihood"]["model_space"]["mean"]
    assert str(mean)[:8] in (out / "runs.csv").read_text()


def test_it_is_small(release):
    assert sum(file.stat().st_size for file in release.rglob("*") if file.is_file()) < 100_000
