"""Every kind of data gets the figures that apply to it; a figure that fails costs no result."""

import numpy as np
import pytest
import torch
from matplotlib.image import imread

from flowbench.data import Digits, Fsdd, Table, Toy
from flowbench.figures import figures
from flowbench.figures.figures import draw_figures
from flowbench.flows import MADE, MAF, Gaussian

HISTORY = [{"epoch": e, "train/log_likelihood": e, "val/log_likelihood": e - 1} for e in range(3)]


def drawn(flow, data, folder):
    draw_figures(flow.eval(), data, HISTORY, folder)
    for path in folder.iterdir():
        assert imread(path).std() > 0.01, f"{path.name} is blank"
    return {path.stem for path in folder.iterdir()}


def small_flow(data):
    return MAF(
        data.features, context_features=data.context_features, layers=1, hidden_units=[8], seed=0
    )


def table(folder, features, **options):
    rows = np.random.default_rng(0).normal(size=(500, features))
    np.save(folder / "rows.npy", rows)
    data = Table(path=folder / "rows.npy", cache_dir=folder / "cache", batch_size=50, **options)
    data.prepare_data()
    data.setup()
    return data


def test_the_plane_gets_its_density(tmp_path):
    data = Toy(train_rows=300, val_rows=300)
    data.setup()
    names = {"learning_curve", "density", "pairs", "base_space"}
    assert drawn(small_flow(data), data, tmp_path / "figures") == names


@pytest.mark.parametrize(("features", "context"), [(3, None), (12, None), (4, [0, 1])])
def test_tables_get_pairs(tmp_path, features, context):
    data = table(tmp_path, features, context_columns=context)
    names = {"learning_curve", "pairs", "base_space"}
    assert drawn(small_flow(data), data, tmp_path / "figures") == names


@pytest.mark.parametrize("label_context", [True, False])
def test_pictures_get_grids_of_samples_and_of_test_rows(tmp_path, label_context):
    pytest.importorskip("sklearn", reason="the digits come with scikit-learn")
    data = Digits(cache_dir=tmp_path / "cache", label_context=label_context)
    data.prepare_data()
    data.setup()
    names = {"learning_curve", "samples", "test_rows", "base_space"}
    assert drawn(small_flow(data), data, tmp_path / "figures") == names


@pytest.mark.parametrize("options", [{}, {"label_context": True}, {"window": "frames"}])
def test_sound_gets_spectra_of_samples_and_of_test_rows(tmp_path, options):
    soundfile = pytest.importorskip("soundfile", reason="soundfile is not installed")
    for word in ("one", "zero"):
        (tmp_path / "fsdd" / word).mkdir(parents=True)
        for n in range(14):
            samples = 0.1 * np.random.default_rng(n).standard_normal(1000)
            soundfile.write(tmp_path / "fsdd" / word / f"ann_nohash_{n}.wav", samples, 4000)
    sizes = {"sample_rate": 4000, "seconds": 0.25, "fft_length": 64, "frame_ms": 16}
    data = Fsdd(path=tmp_path / "fsdd", cache_dir=tmp_path / "cache", **sizes, **options)
    data.prepare_data()
    data.setup()
    names = {"learning_curve", "samples", "test_rows", "base_space"}
    assert drawn(small_flow(data), data, tmp_path / "figures") == names


def test_a_base_that_is_not_normal_has_no_quantiles_of_the_normal(tmp_path):
    data = table(tmp_path, 3)
    flow = MADE(3, family="mixture", hidden_units=[8])
    assert drawn(flow, data, tmp_path / "figures") == {"learning_curve", "pairs"}


def test_noise_that_is_normal_lies_on_the_diagonal(tmp_path, monkeypatch):
    data = table(tmp_path, 3)
    flow = Gaussian(3)
    flow.initialize(data.rows["train"].x, None)
    seen = []
    monkeypatch.setattr(figures, "save", lambda figure, path: seen.append(figure))
    figures.draw_base_space(flow, data.rows, tmp_path / "base.png")
    assert [axis.get_title().split()[0] for axis in seen[0].axes[::2]] == list(data.rows)
    for line in seen[0].axes[0].lines[:3]:
        expected, found = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
        middle = abs(expected) < 1.5
        assert abs(found - expected)[middle].max() < 0.3


def test_a_figure_that_fails_is_told_and_the_others_are_drawn(tmp_path, monkeypatch, capsys):
    def fail(*arguments, **options):
        raise ValueError("samples are not finite")

    monkeypatch.setattr(figures, "draw_pairs", fail)
    data = Toy(train_rows=300, val_rows=300)
    data.setup()
    flow = small_flow(data)
    before = torch.random.get_rng_state()
    assert "pairs" not in drawn(flow, data, tmp_path / "figures")
    assert (
        "figures/pairs.png could not be drawn: samples are not finite" in capsys.readouterr().err
    )
    assert torch.equal(torch.random.get_rng_state(), before)


def test_figures_are_chosen_by_name(tmp_path):
    data = Toy(train_rows=300, val_rows=300)
    data.setup()
    flow = small_flow(data).eval()
    draw_figures(flow, data, HISTORY, tmp_path / "none", [])
    assert not (tmp_path / "none").exists()
    draw_figures(flow, data, HISTORY, tmp_path / "some", ["pairs", "samples"])
    assert [path.name for path in (tmp_path / "some").iterdir()] == ["pairs.png"]
    with pytest.raises(ValueError, match=r"'pair' is none of .*; did you mean pairs\?"):
        draw_figures(flow, data, HISTORY, tmp_path / "wrong", ["pair"])
