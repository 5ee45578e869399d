"""The packages hold what is needed: the wheel to train outside of a clone, the sdist to test."""

import ast
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
IN_WHEEL = [
    "flowbench/py.typed",
    "flowbench/configs/train.yaml",
    "flowbench/native/steps.cpp",
    "flowbench/evaluation/published.csv",
    "flowbench/report/page/page.html",
    "hydra_plugins/flowbench_sweeps/grid_sweeper.py",
]
IN_SDIST = [
    "tests", "configs", "scripts", "docs", "src", "train.py", "README.md", "CHANGELOG.md",
    "CONTRIBUTING.md", "CITATION.cff", ".ci", ".github",
]  # fmt: skip
IMPORTED_AS = {  # where a distribution has another name than its package
    "hydra-core": "hydra",
    "pillow": "PIL",
    "pyyaml": "yaml",
    "scikit-learn": "sklearn",
}
OWN = {"flowbench", "hydra_plugins", "lightning_fabric"}  # the last comes with pytorch-lightning
TRAINING = (
    "model=maf data=toy data.train_rows=300 data.val_rows=100 model.layers=1 figures=false "
    "model.hidden_units=[4] trainer.max_epochs=1 trainer.accelerator=cpu logger=csv"
).split()


def imported(path):
    """The packages that a module imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (one.name.partition(".")[0] for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module).partition(".")[0]


def test_every_package_that_is_imported_is_required():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    required = [*project["dependencies"], *(one for listed in extras for one in listed)]
    names = {re.split(r"[^\w-]", one)[0] for one in required}
    known = {IMPORTED_AS.get(name, name.replace("-", "_")) for name in names}
    found = {one for path in (ROOT / "src").rglob("*.py") for one in imported(path)}
    assert not found - known - OWN - sys.stdlib_module_names


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The wheel and the sdist, in a folder."""
    folder = tmp_path_factory.mktemp("dist")
    program = (
        "import sys, hatchling.build as build; "
        "build.build_wheel(sys.argv[1]); build.build_sdist(sys.argv[1])"
    )
    subprocess.run([sys.executable, "-c", program, str(folder)], cwd=ROOT, check=True)
    return folder


def test_the_wheel_is_small_and_complete(built):
    [wheel] = built.glob("*.whl")
    assert wheel.stat().st_size < 1_000_000
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert not set(IN_WHEEL) - names
    sources = {
        path.relative_to(ROOT / "src").as_posix()
        for path in (ROOT / "src").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    configs = {f"flowbench/{p.relative_to(ROOT)}" for p in (ROOT / "configs").rglob("*.yaml")}
    assert not (sources | configs) - names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_sdist_is_the_repository(built):
    [sdist] = built.glob("*.tar.gz")
    assert sdist.stat().st_size < 5_000_000
    with tarfile.open(sdist) as archive:
        names = [Path(*Path(name).parts[1:]) for name in archive.getnames()]
    assert not set(IN_SDIST) - {name.parts[0] for name in names if name.parts}
    tests = {path.relative_to(ROOT) for path in (ROOT / "tests").rglob("*.py")}
    assert not tests - set(names)


def test_the_wheel_trains_outside_of_a_clone(built, tmp_path):
    [wheel] = built.glob("*.whl")
    site, away = tmp_path / "site", tmp_path / "away"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    away.mkdir()
    program = (
        "import flowbench, hydra_plugins.flowbench_sweeps as sweeps; "
        f"assert all(one.__file__.startswith({str(site)!r}) for one in (flowbench, sweeps)); "
        "from flowbench.run.main import main; main()"
    )
    subprocess.run(
        [sys.executable, "-c", program, *TRAINING],
        cwd=away,
        env={**os.environ, "PYTHONPATH": str(site)},
        check=True,
    )
    assert list(away.glob("outputs/toy/maf/*/seed=0/result.json"))
