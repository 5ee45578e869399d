"""Every kind of data gets the figures that apply to it; a figure that fails costs no result."""

from functools import partial

import numpy as np
import pytest
import torch
from matplotlib.artist import Artist
from matplotlib.image import imread

from flowbench.data import Digits, Fsdd, Table, Toy
from flowbench.drawing import pairs, style
from flowbench.figures import base_space, completions, figures, neighbours
from flowbench.figures.figures import FIGURES, Subject, draw_figures
from flowbench.flows import MADE, MAF, Gaussian, LatticeMADE, PixelCNN

HISTORY = [{"epoch": e, "train/log_likelihood": e, "val/log_likelihood": e - 1} for e in range(3)]


def applying(flow, data):
    """The names of the figures that apply."""
    subject = Subject(flow=flow, data=data, history=HISTORY)
    return {name for name, figure in FIGURES.items() if figure(subject)}


def drawn(flow, data, folder, figures=True):
    """The names of the files that are drawn, none of which is blank."""
    draw_figures(flow.eval(), data, HISTORY, folder, figures)
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


@pytest.fixture(scope="module")
def plane():
    data = Toy(train_rows=300, val_rows=300)
    data.setup()
    return data


def test_the_plane_gets_its_density(plane, tmp_path):
    names = {"learning_curve", "density", "pairs", "base_space", "uniforms"}
    assert drawn(small_flow(plane), plane, tmp_path / "figures") == names


@pytest.mark.parametrize(("features", "context"), [(3, None), (5, None), (4, [0, 1])])
def test_tables_get_pairs(tmp_path, features, context, monkeypatch):
    monkeypatch.setattr(pairs, "SHOWN_FEATURES", 4)
    data = table(tmp_path, features, context_columns=context)
    flow = small_flow(data)
    assert applying(flow, data) == {"learning_curve", "pairs", "base_space", "uniforms"}
    assert drawn(flow, data, tmp_path / "figures", ["pairs"]) == {"pairs"}


def test_of_many_features_the_base_space_is_a_band(tmp_path):
    data = table(tmp_path, 12)
    names = ["base_space", "uniforms"]
    assert drawn(small_flow(data), data, tmp_path / "figures", names) == set(names)


@pytest.mark.parametrize("label_context", [True, False])
def test_pictures_get_grids_of_samples_and_of_test_rows(tmp_path, label_context):
    data = Digits(cache_dir=tmp_path / "cache", label_context=label_context)
    data.prepare_data()
    data.setup()
    flow = small_flow(data)
    assert applying(flow, data) == {
        "learning_curve",
        "samples",
        "neighbours",
        "base_space",
        "uniforms",
    }
    assert drawn(flow, data, tmp_path / "figures", ["samples"]) == {"samples", "test_rows"}


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    data = Digits(cache_dir=tmp_path_factory.mktemp("cache"), label_context=True)
    data.prepare_data()
    data.setup()
    return data


LATTICE = {
    "convolutions": partial(PixelCNN, units=8, inner_units=4, blocks=1),
    "in raster order": partial(LatticeMADE, hidden_units=[8]),
    "in another order": partial(LatticeMADE, hidden_units=[8], input_order="right-to-left"),
}


@pytest.mark.parametrize("name", LATTICE)
def test_models_of_levels_complete_upper_halves(digits, tmp_path, monkeypatch, name):
    """A line for each picture: its upper half stays, and lower halves differ."""
    seen = []
    monkeypatch.setattr(completions, "save_pictures", lambda p, path, **how: seen.append(p))
    flow = LATTICE[name](64, context_features=10, lattice=digits.lattice).eval()
    assert ("completions" in applying(flow, digits)) == (name != "in another order")
    if name == "in another order":
        with pytest.raises(ValueError, match=r"order of features begins with .* the first 32"):
            completions.draw_completions(flow, digits, tmp_path / "completions.png")
        return
    completions.draw_completions(flow, digits, tmp_path / "completions.png")
    lines = seen[0].reshape(8, 8, 8, 8)
    assert (lines[:, :, :4] == lines[:, :1, :4]).all()
    assert (lines[:, 1:, 4:] != lines[:, :1, 4:]).any((1, 2, 3)).all()
    test = digits.pictures(digits.raw.x["test"])[..., 0]
    assert (lines[-1, 0] == test[-1]).all()


def test_neighbours_are_the_nearest_training_rows(digits, tmp_path):
    train = digits.raw.x["train"]
    pictures = digits.pictures(train[[3, 500]]).reshape(2, -1)
    found = neighbours.nearest(pictures, train, digits, count=3)
    assert found[:, 0].tolist() == [3, 500]
    every = digits.pictures(train).reshape(len(train), -1).astype(float)
    distances = ((every - pictures[0]) ** 2).sum(1)
    np.testing.assert_array_equal(distances[found[0]], np.sort(distances)[:3])
    assert drawn(small_flow(digits), digits, tmp_path / "f", ["neighbours"]) == {"neighbours"}


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    """Noise in the layout of FSDD."""
    soundfile = pytest.importorskip("soundfile", reason="soundfile is not installed")
    folder = tmp_path_factory.mktemp("fsdd")
    for word in ("one", "zero"):
        (folder / word).mkdir()
        for n in range(14):
            noise = 0.1 * np.random.default_rng(n).standard_normal(1000)
            soundfile.write(folder / word / f"ann_nohash_{n}.wav", noise, 4000)
    return folder


@pytest.mark.parametrize("options", [{}, {"label_context": True}, {"window": "frames"}])
def test_sound_gets_spectra_of_samples_and_of_test_rows(words, tmp_path, options):
    sizes = {"sample_rate": 4000, "seconds": 0.25, "fft_length": 64, "frame_ms": 16}
    data = Fsdd(path=words, cache_dir=tmp_path / "cache", **sizes, **options)
    data.prepare_data()
    data.setup()
    flow = small_flow(data)
    assert applying(flow, data) == {"learning_curve", "samples", "base_space", "uniforms"}
    assert drawn(flow, data, tmp_path / "figures", ["samples"]) == {"samples", "test_rows"}


def test_a_base_that_is_not_normal_has_no_quantiles_of_the_normal(tmp_path):
    flow = MADE(3, family="mixture", hidden_units=[8])
    assert applying(flow, table(tmp_path, 3)) == {"learning_curve", "pairs", "uniforms"}


def test_noise_that_is_normal_lies_on_the_diagonal(tmp_path, monkeypatch):
    data = table(tmp_path, 3)
    flow = Gaussian(3)
    flow.initialize(data.rows["train"].x, None)
    seen = []
    monkeypatch.setattr(base_space, "save", lambda figure, path: seen.append(figure))
    base_space.draw_base_space(flow, data.rows, tmp_path / "base.png")
    assert [axis.get_title().split()[0] for axis in seen[0].axes[::2]] == list(data.rows)
    for line in seen[0].axes[0].lines[:3]:
        expected, found = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
        middle = abs(expected) < 1.5
        assert abs(found - expected)[middle].max() < 0.3


def test_a_figure_that_fails_is_told_and_the_others_are_drawn(
    plane, tmp_path, monkeypatch, capsys
):
    def fail(*arguments, **options):
        raise ValueError("samples are not finite")

    monkeypatch.setattr(figures, "draw_pairs", fail)
    flow, names = small_flow(plane), ["pairs", "learning_curve"]
    before = torch.random.get_rng_state()
    assert drawn(flow, plane, tmp_path / "figures", names) == {"learning_curve"}
    assert (
        "figures/pairs.png could not be drawn: samples are not finite" in capsys.readouterr().err
    )
    assert torch.equal(torch.random.get_rng_state(), before)


def test_figures_are_chosen_by_name(plane, tmp_path):
    draw_figures(small_flow(plane), plane, HISTORY, tmp_path / "figures", [])
    assert not (tmp_path / "figures").exists()
    message = "figures: 'pair' is none of learning_curve, .*; did you mean pairs"
    with pytest.raises(ValueError, match=message):
        draw_figures(small_flow(plane), plane, HISTORY, tmp_path / "figures", ["pair"])


@pytest.mark.parametrize("features", [2, 5])
def test_pairs_are_one_pair_of_axes_with_every_point_in_its_cell(features):
    """Rows lie below the diagonal, samples above it; what is outside the limits is left out."""
    draw = np.random.default_rng(0)
    rows, samples = draw.normal(size=(2, 100, features))
    samples[0] = 1e9
    names = [f"column {index}" for index in range(features)]
    [axis] = pairs.distributions(rows, samples, names).axes
    assert [label.get_text() for label in axis.get_xticklabels()] == names
    below, above = (np.stack(line.get_data()) for line in axis.lines[:2])
    cells = features * (features - 1) // 2
    for points, shown, sign in ((below, rows, 1), (above, samples, -1)):
        column, line = np.floor(points[0]), -np.floor(points[1])
        assert (np.sign(line - column) == sign).all()
        assert 0.9 * cells * len(shown) < points.shape[1] <= cells * len(shown)
        assert points.shape[1] <= cells * (np.abs(shown) < 1e9).all(1).sum()


def test_figures_are_drawn_once(tmp_path):
    """A layout that measures all texts first would draw them twice."""
    figure = style.blank(4, 3)
    [axis] = style.panels(figure, 1, 1)
    drawn = []
    axis.add_artist(artist := Artist())
    artist.draw = lambda renderer: drawn.append(renderer)
    style.save(figure, tmp_path / "figure.png")
    assert len(drawn) == 1
