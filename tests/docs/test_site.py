"""The site builds without a warning, and with it every notebook runs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytest.importorskip("myst_nb", reason="building the site needs Sphinx: pip install -e '.[docs]'")
COMMANDS = {"train": "flowbench.run.main", "report": "flowbench.commands.report"}
pytestmark = pytest.mark.docs


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder of the site; its notebooks find the commands of this interpreter."""
    folder, programs = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("bin")
    for name, module in COMMANDS.items():
        program = programs / f"flowbench-{name}"
        program.write_text(f"#!{sys.executable}\nfrom {module} import main\nmain()\n")
        program.chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if name != "FLOWBENCH_DATA"}
    environment["PATH"] = os.pathsep.join([str(programs), os.environ["PATH"]])
    words = "-b html -W --keep-going -q".split()
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *words, str(ROOT / "docs"), str(folder)],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.parametrize("notebook", sorted((ROOT / "docs/notebooks").glob("*.md")))
def test_a_notebook_shows_what_it_computed(built, notebook):
    page = (built / "notebooks" / f"{notebook.stem}.html").read_text()
    assert "cell_output" in page
    assert '<img alt="../_images/' in page


def test_the_api_names_options_with_their_limits(built):
    page = (built / "api/flows.html").read_text()
    assert "(<em>an integer at least 1</em>)" in page
    assert 'id="flowbench.flows.MAF"' in page
