"""Densities as files that run without flowbench."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from run_commands import script, train

import flowbench
from flowbench.commands import onnx_files
from flowbench.commands.programs import FromNoise

PAGE = Path(__file__).parents[2] / "docs" / "export.md"
WITHOUT = "import sys; sys.modules['flowbench'] = None\n"  # importing it fails
RNG = np.random.default_rng(0)
X, CONTEXT = 5e6 + RNG.normal(size=(300, 3)), RNG.normal(7.0, 2.0, size=(300, 2))
SMALL = {"hidden_units": [8]}
FLOWS = {
    "maf": flowbench.MAF(3, layers=1, **SMALL),
    "maf, conditional": flowbench.MAF(3, layers=1, context_features=2, **SMALL),
    "made, conditional": flowbench.MADE(3, context_features=2, **SMALL),
    "iaf": flowbench.IAF(3, layers=1, **SMALL),
    "nice": flowbench.NICE(3, layers=2, **SMALL),
    "gaussian": flowbench.Gaussian(3),
}


def saved(flow, folder, x=X):
    """A density, and its checkpoint."""
    context = CONTEXT if flow.context_features else None
    density = flowbench.fit(flow, x, context, max_epochs=1)
    density.save(folder / "density.ckpt")
    return density, folder / "density.ckpt"


def read(path):
    return torch.export.load(path).module()


@pytest.mark.parametrize("name", FLOWS)
def test_files_are_the_density(name, tmp_path, capsys):
    density, path = saved(FLOWS[name], tmp_path)
    script("export")([str(path), "--out", str(tmp_path / "model.pt2")])
    assert capsys.readouterr().out.count("checked on 1,000 sampled rows") == 2
    given = (torch.from_numpy(CONTEXT),) if density.context_features else ()
    x = torch.from_numpy(X)
    found = read(tmp_path / "model.pt2")(x, *given)
    torch.testing.assert_close(found, density.log_prob(x, *given), rtol=1e-5, atol=1e-5)
    noise = torch.randn(300, 3).double()
    samples = read(tmp_path / "model_sample.pt2")(noise, *given)
    torch.testing.assert_close(samples, FromNoise(density)(noise, *given), rtol=0, atol=1e-5)
    assert samples.dtype == torch.float64
    assert abs(samples.mean() - 5e6) < 10


@pytest.mark.parametrize("flow", [flowbench.MAF(2, layers=2), flowbench.MADE(2)])
def test_samples_from_noise_have_the_density(flow):
    density = flowbench.fit(flow, X[:, :2], max_epochs=3)
    torch.manual_seed(0)
    x = FromNoise(density)(torch.randn(4000, 2)).detach()
    drawn = density.sample(4000)
    torch.testing.assert_close(x.mean(0), drawn.mean(0), rtol=0, atol=0.1)
    torch.testing.assert_close(x.std(0), drawn.std(0), rtol=0.1, atol=0)
    score = density.log_prob(x).mean().item()
    assert score == pytest.approx(density.log_prob(drawn).mean().item(), abs=0.1)


def test_the_page(tmp_path, capsys, monkeypatch):
    path, _ = train(
        tmp_path, "data=toy", "model.layers=1", "model.hidden_units=[8]", "trainer.max_epochs=1",
        "training.patience=null", "figures=false", "logger=none",
    )  # fmt: skip
    command = re.search(r"^python scripts/export\.py \S+ (.*)$", PAGE.read_text(), re.MULTILINE)
    capsys.readouterr()
    monkeypatch.chdir(tmp_path)
    script("export")([str(path), *command[1].split()])
    assert capsys.readouterr().out.count("checked on 1,000 test rows") == 2
    [python] = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    python += "print(log_density(rows).tolist(), sample(rows).shape)\n"
    shown = subprocess.run(
        [sys.executable, "-c", WITHOUT + python], cwd=tmp_path, capture_output=True, text=True
    )
    assert shown.returncode == 0, shown.stderr
    expected = flowbench.load(path).log_prob(torch.tensor([[0.0, 0.0], [1.0, 2.0]]).double())
    found = re.match(r"\[(.*), (.*)\] torch.Size\(\[2, 2\]\)", shown.stdout)
    assert [float(one) for one in found.groups()] == pytest.approx(expected.tolist(), abs=1e-5)


@pytest.mark.parametrize(
    ("flow", "features", "kept", "sentence"),
    [
        (flowbench.MADE(3, family="mixture", **SMALL), 3, "model.pt2", "samples of the base Auto"),
        (flowbench.MAF(65, layers=1, **SMALL), 65, "model.pt2", "samples of MAF are computed"),
        (flowbench.IAF(65, layers=1, **SMALL), 65, "model_sample.pt2", "log-densities of IAF are"),
    ],
)  # fmt: skip
def test_what_cannot_be_exported_is_told(flow, features, kept, sentence, tmp_path, capsys):
    _, path = saved(flow, tmp_path, RNG.normal(size=(200, features)))
    script("export")([str(path), "--out", str(tmp_path / "model.pt2")])
    assert f"not exported: {sentence}" in capsys.readouterr().err
    assert [file.name for file in tmp_path.glob("*.pt2")] == [kept]


def test_a_file_that_differs_is_not_written(tmp_path, capsys, monkeypatch):
    _, path = saved(flowbench.Gaussian(3), tmp_path)
    wrong = lambda file: lambda x: read(file)(x) + 0.1  # noqa: E731
    monkeypatch.setattr("flowbench.commands.programs.read", wrong)
    with pytest.raises(SystemExit):
        script("export")([str(path), "--out", str(tmp_path / "model.pt2")])
    assert "the exported program differs from the density by 0." in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["density.ckpt"]


def test_mistakes_are_one_sentence(tmp_path):
    with pytest.raises(SystemExit, match=r"expected a name that ends in \.pt2"):
        script("export")(["x.ckpt", "--out", "model.onnx"])
    with pytest.raises(SystemExit, match="no such checkpoint"):
        script("export")([str(tmp_path / "x.ckpt"), "--out", "model.pt2"])


def test_packages_that_onnx_needs_are_named(monkeypatch):
    monkeypatch.setattr("flowbench.commands.export.find_spec", lambda name: None)
    with pytest.raises(SystemExit, match=r"--onnx needs .*: pip install \"flowbench\[export"):
        script("export")(["x.ckpt", "--out", "model.pt2", "--onnx"])


@pytest.mark.slow
@pytest.mark.parametrize(
    "flow",
    [
        flowbench.MAF(3, layers=2, context_features=2, **SMALL),
        flowbench.MAF(3, layers=1, univariate="spline", **SMALL),
        flowbench.RealNVP(3, layers=2, **SMALL),
    ],
    ids=["maf", "maf_spline", "realnvp"],
)
def test_onnx(flow, tmp_path, capsys):
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package, reason=f"{package} is not installed")
    density, path = saved(flow, tmp_path)
    script("export")([str(path), "--out", str(tmp_path / "model.pt2"), "--onnx"])
    told = capsys.readouterr()
    assert told.out.count(".onnx (checked on") == 2, told.err
    given = (torch.from_numpy(CONTEXT),) if density.context_features else ()
    found = onnx_files.read(tmp_path / "model.onnx")(torch.from_numpy(X), *given)
    expected = density.log_prob(X, *(part.numpy() for part in given))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
