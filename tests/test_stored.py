"""What a checkpoint may hold: every damage ends in one sentence, before memory is taken."""

import os
import time
import zipfile

import pytest
import torch

from flowbench.bounded import TooLargeError, bounded
from flowbench.checkpoint import CheckpointError, load
from flowbench.flows import MAF
from flowbench.stored import FORMAT, read_values, to_write

OPTIONS = {"layers": 1, "hidden_units": [4], "seed": 0}
NAME = "flow.transform.transforms.1.network.layers.0.bias"


def values(**changes):
    flow = MAF(2, **OPTIONS)
    described = {
        "format": FORMAT,
        "config": {"model": {"_target_": "flowbench.flows.MAF", **OPTIONS}},
        "sizes": {"features": 2, "context_features": 0},
        "preprocess": [{"name": "Standardize", "mean": [0.5, 0.5], "std": [3.0, 3.0]}],
        "context_preprocess": [],
        "feature_names": ["a", "b"],
        "categories": {},
        **changes,
    }
    state = {f"flow.{name}": value.clone() for name, value in flow.state_dict().items()}
    return {"flowbench": described, "state_dict": state}


def model(**changes):
    return {"config": {"model": {"_target_": "flowbench.flows.MAF", **OPTIONS, **changes}}}


def tensor(change):
    def changed(whole):
        name = next(name for name, one in whole["state_dict"].items() if one.ndim == 2)
        whole["state_dict"][name] = change(whole["state_dict"][name])
        return whole

    return changed


def without(*keys):
    def changed(whole):
        inner = whole
        for key in keys[:-1]:
            inner = inner[key]
        del inner[keys[-1]]
        return whole

    return changed


def step(**options):
    return [{"name": "Standardize", **options}]


# name → what the file holds, and the sentence; each has a digest of its own.
SIGNED = {
    "no values": ({}, "has no values of flowbench"),
    "a list": ([], "has no values of flowbench"),
    "no state": (without("state_dict")(values()), "state_dict is missing"),
    "no sizes": (without("flowbench", "sizes")(values()), r"flowbench\.sizes is missing"),
    "no features": (
        without("flowbench", "sizes", "features")(values()),
        r"flowbench\.sizes\.features is missing",
    ),
    "no model": (values(config={}), r"config\.model is missing"),
    "text for a size": (
        values(sizes={"features": "2", "context_features": 0}),
        "features is '2', expected a whole number",
    ),
    "null for names": (values(feature_names=None), "feature_names is null, expected a list"),
    "nested too deeply": (
        values(history=[{"a": eval("[" * 150 + "]" * 150)}]),
        "nested too deeply",
    ),
    "a step for one column": (
        values(preprocess=step(mean=[0.5], std=[3.0])),
        "preprocessing cannot be built: Standardize has .* of another size than 2",
    ),
    "a column that is not there": (
        values(preprocess=[{"name": "Log", "columns": [2]}]),
        "Log has columns for rows of another size",
    ),
    "an unknown step": (values(preprocess=[{"name": "os.system"}]), "unknown preprocessing step"),
    "a step without end": (
        values(preprocess=[{"name": "Affine", "scale": 2.0, "features": 10**12}]),
        r"preprocessing cannot be built: it has an array of 1,000,000,000,000 values",
    ),
    "many layers": (values(**model(layers=10**7)), "built: it has far more parts than the 10"),
    "wide layers": (
        values(**model(hidden_units=[10**5, 10**5])),
        r"built: it has an array of 10,000,000,000 values, where \d+ are given in all",
    ),
    "a wide event": (
        values(sizes={"features": 10**9, "context_features": 0}),
        "model cannot be built: it has an array",
    ),
    "another width": (values(**model(hidden_units=[5])), r"has shape \(4,\) .*expected \(5,\)"),
    "whole numbers": (tensor(torch.Tensor.int)(values()), "type torch.int32, expected .*float32"),
    "complex numbers": (tensor(torch.Tensor.cfloat)(values()), "type torch.complex64"),
    "NaN": (tensor(lambda x: x * torch.nan)(values()), "holds NaN"),
    "one number for many": (
        tensor(lambda x: torch.zeros(1).expand(10**6, 10**6))(values()),
        "neither a plain value nor a whole tensor",
    ),
    "a sparse tensor": (
        tensor(torch.Tensor.to_sparse)(values()),
        "neither a plain value nor a whole tensor",
    ),
    "a tensor without values": (
        tensor(lambda x: torch.empty(10**6, 10**6, device="meta"))(values()),
        "not a readable flowbench checkpoint|neither a plain value nor a whole tensor",
    ),
    "a number for a tensor": (tensor(lambda x: 1.0)(values()), "is a float, expected a tensor"),
}


def written(path, whole):
    try:
        whole = to_write(whole) if isinstance(whole, dict) else whole
    except (NotImplementedError, RuntimeError):  # a tensor without values has no digest
        pass
    torch.save(whole, path)
    return path


@pytest.mark.parametrize("name", SIGNED)
def test_what_does_not_fit_is_told_at_once(name, tmp_path):
    whole, sentence = SIGNED[name]
    path = written(tmp_path / "a.ckpt", whole)
    start = time.process_time()
    with pytest.raises(CheckpointError, match=sentence) as caught:
        load(path)
    assert time.process_time() - start < 10
    assert str(caught.value).startswith(f"{path}: ")
    assert len(str(caught.value).splitlines()) == 1


EDITS = {
    "an option": lambda whole: whole["flowbench"]["config"]["model"].update(activation="tanh"),
    "a mean": lambda whole: whole["flowbench"]["preprocess"][0].update(mean=[0.5, 0.6]),
    "a name": lambda whole: whole["flowbench"].update(feature_names=["b", "a"]),
    "a parameter": lambda whole: next(iter(whole["state_dict"].values())).add_(1e-3),
    "the digest": lambda whole: whole.pop("digest"),
}


@pytest.mark.parametrize("name", EDITS)
def test_another_density_never_loads_as_the_one_that_was_saved(name, tmp_path):
    path = written(tmp_path / "a.ckpt", values())
    load(path)
    whole = torch.load(path, weights_only=True)
    EDITS[name](whole)
    torch.save(whole, path)
    with pytest.raises(CheckpointError, match="has changed since it was written: its digest is"):
        load(path)


def test_files_of_earlier_formats_load_without_a_digest(tmp_path):
    torch.save(values(format=3), tmp_path / "a.ckpt")
    load(tmp_path / "a.ckpt")


def test_a_packed_file_is_not_unpacked(tmp_path):
    path, packed = written(tmp_path / "a.ckpt", values()), tmp_path / "b.ckpt"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.namelist():
            new.writestr(member, old.read(member))
    with pytest.raises(CheckpointError, match="its parts are compressed"):
        load(packed)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "last.ckpt")
    with pytest.raises(CheckpointError, match="it is not a regular file"):
        read_values(tmp_path / "last.ckpt")


def test_what_a_module_needs_is_within_bounds():
    flow = MAF(20, layers=3, hidden_units=[64, 64], batch_norm=True, lu_linear=True)
    state = flow.state_dict()
    with bounded(values=sum(map(torch.Tensor.numel, state.values())), tensors=len(state)):
        MAF(20, layers=3, hidden_units=[64, 64], batch_norm=True, lu_linear=True)
    for large in (
        lambda: torch.empty(10**9),
        lambda: torch.arange(10**9),
        lambda: torch.eye(10**5),
        lambda: torch.ones(10**5)[:, None] >= torch.ones(10**5),
        lambda: torch.ones(10**5).outer(torch.ones(10**5)),
        lambda: torch.zeros(1000).repeat(10**6),
        lambda: torch.randperm(10**9),
        lambda: [torch.zeros(1) for _ in range(10**6)],
    ):
        with pytest.raises(TooLargeError), bounded(values=10, tensors=1):
            large()
