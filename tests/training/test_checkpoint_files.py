"""A damaged file of a run, or a full disk, is told in one sentence that names the file."""

import resource
import shutil

import numpy as np
import pytest
import torch
from run_commands import train

from flowbench.checkpoint import CheckpointError
from flowbench.data import DataError
from flowbench.data.conversion import Originals
from flowbench.run.folder import RunFolder, RunFolderError
from flowbench.stored import to_write
from flowbench.training.checkpoint_files import CheckpointFiles

SMALL = ["data=table", "model.layers=1", "model.hidden_units=[4]", "training.batch_size=100",
         "trainer=cpu", "trainer.max_epochs=2", "logger=csv", "figures=false"]  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A tree with one run in it."""
    tree = tmp_path_factory.mktemp("finished")
    np.save(tree / "rows.npy", np.random.default_rng(0).normal(size=(500, 2)))
    train(tree, *SMALL, f"data.path={tree / 'rows.npy'}")
    return tree


@pytest.fixture
def tree(finished, tmp_path):
    """A copy of it, whose run has no result yet."""
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    folder_in(tmp_path).result.unlink()
    return tmp_path


def folder_in(tree):
    [config] = tree.glob("outputs/*/*/*/seed=*/config.yaml")
    return RunFolder(config.parent)


def half(folder, path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(folder, path):
    path.write_bytes(b"")


def garbage(folder, path):
    content = path.read_bytes()
    path.write_bytes(content[:1500] + bytes(4000) + content[5500:])


def another_pickle(folder, path):
    torch.save({"flowbench": print}, path)


def parameters_only(folder, path):
    shutil.copy(folder.best, path)


def missing(folder, path):
    path.unlink()


UNREADABLE = "not a readable flowbench checkpoint"
DAMAGES = [
    ("last", half, CheckpointError, UNREADABLE),
    ("last", empty, CheckpointError, UNREADABLE),
    ("last", garbage, CheckpointError, UNREADABLE),
    ("last", another_pickle, CheckpointError, UNREADABLE),
    ("last", parameters_only, CheckpointError, "optimizer_states is missing"),
    ("best", half, CheckpointError, UNREADABLE),
    ("best", missing, CheckpointError, "is missing, though epoch [12] was the best so far"),
    ("data", empty, RunFolderError, "not readable as JSON"),
    ("result", empty, RunFolderError, "not readable as JSON"),
]


@pytest.mark.parametrize(("name", "damage", "kind", "sentence"), DAMAGES)
def test_a_damaged_file_is_named_with_the_way_out(finished, tree, name, damage, kind, sentence):
    folder, words = folder_in(tree), [*SMALL, f"data.path={finished / 'rows.npy'}"]
    path = getattr(folder, name)
    path.touch()
    damage(folder, path)
    with pytest.raises(kind, match=f"{path}: {sentence}.*; .*overwrite=true") as caught:
        train(tree, *words)
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 300
    assert train(tree, *words, "overwrite=true")[1]["epochs"] == 2


def resigned(edit):
    """A change by somebody who renews the digest."""

    def damage(folder, path):
        whole = torch.load(path, weights_only=True)
        del whole["digest"]
        edit(whole)
        torch.save(to_write(whole), path)

    return damage


def another_width(whole):
    state = whole["state_dict"]
    whole["state_dict"] = {name: one.repeat(2) if one.ndim == 1 else one
                           for name, one in state.items()}  # fmt: skip


def other_optimiser(whole):
    whole["optimizer_states"] = [{"state": {}, "param_groups": [{"params": [0, 1, 2]}]}]


def other_callbacks(whole):
    whole["callbacks"]["History"] = {"rows": None}


FOREIGN = [
    (another_width, r"does not fit this run: the tensor .* has shape"),
    (other_optimiser, r"does not fit this run: .*parameter group"),
    (other_callbacks, r"does not fit this run: seconds|does not fit this run: 'seconds'"),
    (lambda whole: whole.pop("progress"), "progress is missing"),
    (lambda whole: whole["progress"].pop("position"), r"progress\.position is missing"),
    (lambda whole: whole["flowbench"].pop("sizes"), r"flowbench\.sizes is missing"),
]


@pytest.mark.parametrize(("edit", "sentence"), FOREIGN)
def test_a_checkpoint_of_another_run_is_not_resumed(finished, tree, edit, sentence):
    folder = folder_in(tree)
    resigned(edit)(folder, folder.last)
    with pytest.raises(CheckpointError, match=f"{folder.last}: {sentence}.*; .*overwrite=true"):
        train(tree, *SMALL, f"data.path={finished / 'rows.npy'}")


@pytest.mark.parametrize("content", ["{}", "[]", '{"sha256": 1}', '{"test": null}'])
@pytest.mark.parametrize("name", ["result", "data"])
def test_a_file_of_another_form_is_told_with_the_way_out(finished, tree, name, content):
    folder = folder_in(tree)
    getattr(folder, name).write_text(content)
    with pytest.raises(RunFolderError, match=f"{name}.json: .*; .*overwrite=true") as caught:
        train(tree, *SMALL, f"data.path={finished / 'rows.npy'}")
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("fault", ["accelerator", "data", "logger", "trainer"])
def test_an_earlier_result_stays_until_all_else_stands(finished, tmp_path, fault, monkeypatch):
    """Whatever is wrong before the first step, the run that is to be replaced is still there."""
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    folder = RunFolder(next((tmp_path / "outputs").rglob("seed=0")))

    def fails(*_, **__):
        raise ValueError("not today")

    words = [*SMALL, f"data.path={finished / 'rows.npy'}", "overwrite=true"]
    if fault == "data":
        monkeypatch.setattr("flowbench.run.building.build_data", fails)
    elif fault == "logger":
        monkeypatch.setattr("flowbench.run.loggers._build", fails)
        words += ["logger=tensorboard"]
    else:
        name = {"accelerator": "run.run.meet", "trainer": "run.fit.build_trainer"}[fault]
        monkeypatch.setattr(f"flowbench.{name}", fails)
    before = {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}
    with pytest.raises(ValueError, match="not today"):
        train(tmp_path, *words)
    assert {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()} == before
    monkeypatch.undo()
    assert train(tmp_path, *words[:-1] if fault == "logger" else words)[1]["epochs"] == 2


@pytest.fixture
def no_room():
    """Every file may have 100 kB."""
    earlier = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, earlier[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, earlier)


def test_without_room_for_a_checkpoint_the_earlier_one_stays_and_is_named(tmp_path, no_room):
    path = tmp_path / "checkpoints" / "last.ckpt"
    values = {"flowbench": {}, "optimizer_states": []}
    CheckpointFiles().save_checkpoint(values, path)
    with pytest.raises(OSError) as caught:
        CheckpointFiles().save_checkpoint(values | {"large": torch.zeros(100_000)}, path)
    assert (caught.value.filename, caught.value.strerror) == (str(path), "File too large")
    assert torch.load(path, weights_only=True) == to_write(values)
    assert list(path.parent.iterdir()) == [path]


def test_without_room_for_a_conversion_its_place_is_named(tmp_path, no_room):
    (tmp_path / "x.csv").touch()

    def build(folder):
        np.save(folder / "x.npy", np.zeros(100_000))
        return {}

    originals = Originals(
        name="small", files=[tmp_path / "x.csv"], cache_dir=tmp_path / "cache", version=1
    )
    with pytest.raises(
        DataError, match=f"{tmp_path}/cache/small/[0-9a-f]+: the disk is full \\(.* free\\)"
    ):
        originals.convert(build, source="")
