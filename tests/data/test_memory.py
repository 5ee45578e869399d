"""Where rows are kept changes no digit: in memory, in a mapped file, on a device."""

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from tables import numbers, write

from flowbench import memory
from flowbench.data import Digits, Rows, Table
from flowbench.evaluation import evaluate
from flowbench.flows import MAF
from flowbench.training.maximum_likelihood import MaximumLikelihood


def fit(data, *, accelerator="cpu", callbacks=(), **options):
    """A module trained on a data module for three epochs."""
    torch.manual_seed(0)
    data.setup()
    flow = MAF(**data.sizes, layers=2, hidden_units=[8], **options)
    data_rows = data.rows["train"]
    flow.initialize(data_rows.x, data_rows.context)
    module = MaximumLikelihood(flow)
    pl.Trainer(
        max_epochs=3,
        accelerator=accelerator,
        devices=1,
        callbacks=list(callbacks),
        logger=False,
        enable_checkpointing=False,
        num_sanity_val_steps=0,
        enable_progress_bar=False,
        enable_model_summary=False,
    ).fit(module, datamodule=data)
    assert data.rows["train"] is data_rows
    return module


def is_mapped(x):
    return x.untyped_storage().filename is not None


def mapped_table(path, share):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory, "SHARE", share)
        data = Table(
            path=path, context_columns=["c"], cache_dir=path.parent / "cache", batch_size=16
        )
        module = fit(data)
    return data, module


def test_a_split_in_a_mapped_file_trains_to_the_same_digits(tmp_path):
    path = write(tmp_path / "table.csv", numbers())
    (data, module), (mapped, other) = (mapped_table(path, share) for share in (1 / 8, 0))
    for split in ("train", "val", "test"):
        assert not any(map(is_mapped, data.rows[split][:3]))
        assert all(map(is_mapped, mapped.rows[split][:3]))
        assert all(map(torch.equal, data.rows[split][:3], mapped.rows[split][:3]))
    assert module.scores == other.scores
    state, same = module.flow.state_dict(), other.flow.state_dict()
    assert all(torch.equal(state[name], same[name]) for name in state)
    assert evaluate(module.flow, data, "test") == evaluate(other.flow, mapped, "test")
    assert not list((tmp_path / "cache").rglob("rows-*"))


def test_a_copy_is_kept_where_the_rows_are(tmp_path, monkeypatch):
    assert not is_mapped(memory.empty_like(torch.zeros(4, 2)[1:]))
    monkeypatch.setattr(memory, "SHARE", 0)
    rows = memory.empty((4, 2), folder=tmp_path / "new").fill_(1)
    copy = memory.empty_like(rows[1:]).copy_(rows[1:])
    assert is_mapped(copy)
    copy += 1
    assert rows.tolist() == [[1, 1]] * 4
    assert not is_mapped(memory.empty((4, 2)))


def test_no_room_for_the_file_is_told_before_anything_is_written(tmp_path):
    with pytest.raises(OSError, match=r"the disk is full \(70\.4 TB needed, .* free\)") as caught:
        memory.empty((2**44,), folder=tmp_path)
    assert caught.value.filename == str(tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_memory_is_what_the_control_group_may_have(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "GROUPS", tmp_path)
    device = torch.device("cpu")
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.fits(1001, device)
    (tmp_path / "memory.max").write_text("8000\n")
    assert memory.fits(1000, device)
    assert not memory.fits(1001, device)


@pytest.mark.parametrize("context", [None, torch.ones(3, 1)])
def test_rows_go_to_a_device_without_their_log_det(context):
    rows = Rows(torch.zeros(3, 2), context, torch.zeros(3)).to(torch.device("meta"))
    assert {part.device.type for part in rows.batch() if part is not None} == {"meta"}
    assert rows.log_det.device.type == "cpu"


class Places(pl.Callback):
    """Where the training rows are while a flow is trained."""

    def on_fit_start(self, trainer, pl_module):
        self.seen = set()

    def on_train_epoch_end(self, trainer, pl_module):
        self.seen.add(trainer.datamodule.rows["train"].x.device.type)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize(("share", "place"), [(1 / 8, "cuda"), (0, "cpu")])
def test_training_rows_are_on_the_gpu_where_there_is_room(tmp_path, monkeypatch, share, place):
    monkeypatch.setattr(memory, "SHARE", share)
    options = {"dequantize": "epoch", "label_context": True, "cache_dir": tmp_path}
    places = Places()
    gpu = Digits(**options)
    module = fit(gpu, accelerator="gpu", callbacks=[places])
    assert places.seen == {place}
    cpu = Digits(**options)
    other = fit(cpu)
    assert module.scores == pytest.approx(other.scores, rel=1e-3)
    np.testing.assert_array_equal(gpu.rows["train"].x, cpu.rows["train"].x)
