"""What README and pages say can be done as they say it: their files, commands and Python."""

import functools
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import forked
import numpy as np
import pandas as pd
import pytest
import run_commands
import torch
from waiting import PATIENCE

import flowbench
from flowbench.flows import StandardNormal
from flowbench.flows.peers import Zuko
from flowbench.transforms import Chain

ROOT = Path(__file__).parents[1]
PAGE = "docs/coming_from_zuko.md"
EXPRESSIONS = re.findall(r"`((?:flowbench|flow)\.[^`]*\))`", (ROOT / PAGE).read_text())
SHORT = "training.patience=null trainer.max_epochs=2"


def blocks(page, section):
    """Language and text of the code blocks below a heading or another line, until the next."""
    text = (ROOT / page).read_text(encoding="utf-8").split(section, 1)[1]
    text = text.split("\n## ", 1)[0]
    return re.findall(r"^```(\w+)\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


def write_files(text, folder):
    """What stands below each line `# <path>` of a block."""
    for name, content in re.findall(
        r"^# (\S+\.\w+)\n(.*?)(?=^# \S+\.\w+\n|\Z)", text, flags=re.DOTALL | re.MULTILINE
    ):
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(content)


def train(command, folder):
    command = re.sub(r"^(PYTHONPATH=\. )?python ", f"{sys.executable} {ROOT}/", command)
    done = subprocess.run(
        ["bash", "-ec", f"{command.rstrip()} {SHORT}"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def of_this_run(text, folder):
    """A text whose run is the one that is there: epochs are part of the hash."""
    [run] = folder.glob("outputs/*/*/*/seed=0")
    return re.sub(r"outputs/\w+/\w+/[0-9a-f]{8}/seed=0", str(run.relative_to(folder)), text)


def test_your_own_table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    [(_, makes_flats)] = blocks("docs/your_own_table.md", "# Your own table")
    exec(makes_flats, {})
    commands = [b[1] for b in blocks("docs/your_own_table.md", "## On the") if b[0] == "sh"]
    words = shlex.split(commands[0].replace("\\\n", ""))
    assert words[:2] == ["python", "train.py"]
    run = forked.command(tmp_path / "log", *words[2:], *SHORT.split(), folder=tmp_path)
    run.join(PATIENCE)
    assert run.exitcode == 0, (tmp_path / "log").read_text()
    for line in "".join(commands[1:]).replace("\\\n", "").splitlines():
        _, name, *arguments = shlex.split(of_this_run(line, tmp_path))
        run_commands.script(Path(name).stem)(arguments)
    assert len((tmp_path / "scores.csv").read_text().splitlines()) == 5001
    header, *samples = (tmp_path / "samples.csv").read_text().splitlines()
    assert header == '"rent","area","age","rooms","city"'
    assert len(samples) == 1000
    assert all(line.endswith(',30,3,"Bern"') for line in samples)
    for _, python in blocks("docs/your_own_table.md", "## In Python"):
        names = {}
        exec(of_this_run(python, tmp_path).replace("max_epochs=20", "max_epochs=2"), names)
        context = torch.as_tensor(names["context"]).reshape(-1, 5)[0]
        assert names["density"].sample(3, context).shape == (3, 2)


def test_a_data_set_and_a_flow_of_ones_own(tmp_path):
    code, files, commands = (
        text for _, text in blocks("docs/your_own_parts.md", "## A data set, a flow")
    )
    write_files(code, tmp_path)
    write_files(files, tmp_path)
    out = train(commands, tmp_path)
    assert "one_layer on ring, seed 0" in out
    assert "test log-likelihood" in out


def test_your_own_parts(tmp_path, monkeypatch):
    page = "docs/your_own_parts.md"
    write_files(blocks(page, "## The module")[0][1], tmp_path)
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(400, 4)), columns=[*"xabc"])
    table.to_csv(tmp_path / "sets.csv", index=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    quick = ["data=table", "data.path=sets.csv", "logger=none", *SHORT.split()]
    for part in ("Lightning module", "optimiser", "schedule", "embedding of a context"):
        [command] = [text for kind, text in blocks(page, f"## The {part}") if kind == "sh"]
        words = shlex.split(command.replace("\\\n", ""))
        given = words[words.index("train.py") + 1 :]
        assert run_commands.train(tmp_path, *quick, *given)[1]["epochs"] == 2
    [python] = [text for kind, text in blocks(page, "## The embedding") if kind == "python"]
    names = {}
    exec(python.replace("max_epochs=20", "max_epochs=2"), names)
    assert names["density"].sample(10, names["context"][:1]).shape == (10, 1, 1)


def test_in_your_own_code(tmp_path, monkeypatch):
    run_commands.train(tmp_path, "data=toy", "model.layers=1", *SHORT.split())
    monkeypatch.chdir(tmp_path)
    for page, section in (("README.md", "## In Python"), ("docs/python.md", "# In Python")):
        python = "".join(text for kind, text in blocks(page, section) if kind == "python")
        exec(of_this_run(python, tmp_path).replace("5000, 8)", "500, 8), max_epochs=1"), {})
        assert flowbench.load("density.ckpt").sample(2).shape == (2, 8)


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_what_replaces_an_expression_of_zuko(expression):
    c = torch.randn(300, 5)
    names = {
        "flowbench": flowbench, "flow": flowbench.MAF(3, context_features=5, layers=1).eval(),
        "x": torch.randn(300, 3), "c": c, "base": StandardNormal(3), "transform": Chain(),
    }  # fmt: skip
    if "zuko." in expression:
        names |= {"zuko": pytest.importorskip("zuko"), "Zuko": Zuko}
    short = re.sub(r"^(flowbench\.fit\(.*)\)$", r"\1, max_epochs=1)", expression)
    given = eval(short, names)
    assert (given is None) == ("recompute_statistics" in expression)


def test_numbers_of_parameters_beside_those_of_zuko():
    zuko = pytest.importorskip("zuko")
    [text] = re.findall(
        r"Defaults differ in size(.*?)\n- ", (ROOT / PAGE).read_text(), flags=re.DOTALL
    )
    small = {"layers": 3, "hidden_units": (64, 64), "batch_norm": False}
    flows = [
        zuko.flows.NSF(3),
        flowbench.MAF(3, univariate="spline", batch_norm=False),
        flowbench.MAF(3, univariate="spline", **small),
        flowbench.RealNVP(3, **small),
        zuko.flows.RealNVP(3),
    ]
    told = [int(number.replace(",", "")) for number in re.findall(r"\d+,\d{3}", text)]
    assert told == [sum(p.numel() for p in flow.parameters()) for flow in flows]
    context = {"context_features": 5, "conditional_input_layers": "first_layer"}
    pair = zuko.flows.NSF(3, 5), flowbench.MAF(3, univariate="spline", **small, **context)
    one, other = ([p.numel() for p in flow.parameters()] for flow in pair)
    assert sum(one) == sum(other)


NFLOWS = "docs/coming_from_nflows.md"
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


OURS = "".join(re.findall(r"^\|.*\|(.*)\|$", (ROOT / NFLOWS).read_text(), re.MULTILINE))


@pytest.mark.parametrize("expression", re.findall(r"`(flow(?:bench)?\.[^`]*)`", OURS))
def test_what_replaces_an_expression_of_nflows(expression):
    from flowbench.nn import AutoregressiveNetwork
    from flowbench.transforms import BatchNorm, Permute

    names = {
        "flowbench": flowbench, "base": StandardNormal(8), "embedding": torch.nn.Linear(3, 2),
        "flow": flowbench.MAF(8, context_features=5, layers=1).eval(),
        "transform": Chain(), "t1": BatchNorm(8).eval(), "t2": Permute([1, 0]),
        "network": AutoregressiveNetwork(8, hidden_units=[64] * 5, residual=True),
        "x": torch.randn(300, 8), "c": torch.randn(300, 5),
    }  # fmt: skip
    if "NFlows" in expression:
        masked = pytest.importorskip("nflows.flows").MaskedAutoregressiveFlow
        from flowbench.flows.peers import NFlows

        [partial] = re.findall(r"`(functools\.partial\(.*\))`", (ROOT / NFLOWS).read_text())
        known = {"functools": functools, "MaskedAutoregressiveFlow": masked}
        names |= {"NFlows": NFlows, "masked": eval(partial, known)}
    short = re.sub(r"^(flowbench\.fit\(.*)\)$", r"\1, max_epochs=1)", expression)
    given = eval(short, names)
    assert (given is None) == ("recompute_statistics" in expression)


def test_flows_beside_those_of_nflows():
    flows, transforms = (
        pytest.importorskip("nflows.flows"),
        pytest.importorskip("nflows.transforms"),
    )
    names, page = vars(flows) | {"flowbench": flowbench}, (ROOT / NFLOWS).read_text()
    pairs = re.findall(r"^\| `(\w+\(8, hid[^`]*)` \| `([^`]*)` \|", page, re.MULTILINE)
    counts = [[count(eval(one, names)) for one in pair] for pair in pairs]
    assert counts == [[91_280] * 2, [87_400] * 2]
    assert all(f"{pair[0]:,} parameters" in page for pair in counts)
    affine = transforms.PointwiseAffineTransform
    peer = transforms.CompositeTransform([affine(1.0, 1.0), affine(0.0, 2.0)])
    assert peer(torch.zeros(1, 1))[0].item() == 2.0  # its first transform is the first on data


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("page", ["docs/mathematics.md", "docs/index.md"])
def test_the_python_of_a_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = re.findall(
        r"^```python\n(.*?)^```", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE
    )
    assert found
    for text in found:
        exec(text, {})


def test_the_picture_of_masks_is_that_of_its_command(tmp_path, monkeypatch):
    from matplotlib.image import imread

    [shown, command] = re.findall(r"pictures/\w+\.png", (ROOT / "docs/mathematics.md").read_text())
    assert shown == command
    monkeypatch.setattr(sys, "argv", ["mask_pictures.py", str(tmp_path / "masks.png")])
    run_commands.script("mask_pictures")()
    made, kept = imread(tmp_path / "masks.png"), imread(ROOT / "docs" / shown)
    assert made.shape == kept.shape
    assert np.abs(made - kept).mean() < 0.02


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_and_headings(page):
    """Relative links, which work on GitHub and in the site."""
    for target in re.findall(r"\]\((?!https?:|mailto:)([^)\s]+)\)", page.read_text()):
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        assert file.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE)
            assert anchor in {heading.lower().replace(" ", "-") for heading in headings}, target


def test_the_index_lists_every_page():
    text = (ROOT / "docs/index.md").read_text()
    listed = {
        line
        for part in re.findall(r"```{toctree}\n(.*?)```", text, re.DOTALL)
        for line in part.split()
    }
    pages = [
        path.relative_to(ROOT / "docs").with_suffix("")
        for path in PAGES
        if path.is_relative_to(ROOT / "docs")
    ]
    lost = {
        str(page) for page in pages if page.parts[0] not in ("index", "results", "api")
    } - listed
    assert not lost, f"docs/index.md: add {', '.join(sorted(lost))} to a toctree"
