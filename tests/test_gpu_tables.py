"""The rows of the published tables on another machine: all of them, in order, from originals."""

import csv
import gzip
import os
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from run_commands import SCRIPTS, train

sys.path.insert(0, str(SCRIPTS))
import gpu_tables

MAF_PAPER = {
    "Gaussian": ["model=gaussian"],
    "MADE": ["model=made"],
    "MADE MoG": ["model=made_mog"],
    "Real NVP (5)": ["model=realnvp", "model.layers=5"],
    "Real NVP (10)": ["model=realnvp", "model.layers=10"],
    "MAF (5)": ["model=maf", "model.layers=5"],
    "MAF (10)": ["model=maf", "model.layers=10"],
    "MAF MoG (5)": ["model=maf_mog", "model.layers=5"],
}
SPLINES = {
    "MAF (re-run, residual MADE + LU)": "model=maf_strong",
    "RQ-NSF (AR)": "model=maf_spline",
    "RQ-NSF (C)": "model=realnvp_spline",
}
SOME = [
    *(["protocol=maf_paper", f"data={data}", "model=gaussian"] for data in gpu_tables.UCI),
    *(["protocol=maf_paper", f"data={data}", "model=made"] for data in gpu_tables.IMAGES),
    *(["protocol=maf_paper", "data=power", "model=maf", f"model.layers={n}"] for n in (10, 5)),
    ["protocol=nsf_paper", "data=gas", "model=realnvp_spline"],
]
SPEED = gpu_tables.Speed(layer=1e-3, work=1e12)
FAKE = """#!/bin/sh
echo "$*" >> "$CALLS"
case "$*" in
scripts/gpu_tables.py*) printf -- '-m data=power\\n-m data=gas\\n-m data=mnist\\n' ;;
*data=gas*) exit "$CODE" ;;
esac
"""


@pytest.fixture(scope="module")
def rows():
    """Some of them: composing all takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gpu_tables, "cells", lambda: SOME)
        return gpu_tables.rows(SPEED)


def test_every_published_row_is_there_once():
    with (files("flowbench.evaluation") / "published.csv").open(encoding="utf-8") as lines:
        known = list(csv.DictReader(lines))
    expected = []
    for row in known:
        data, _, conditional = row["data"].partition(" ")
        context = ["data.label_context=true"] if conditional else []
        if row["source"].startswith("Papamakarios"):
            model = MAF_PAPER[row["model"]]
            expected.append(["protocol=maf_paper", f"data={data}", *context, *model])
        elif row["model"] in SPLINES and data != "bsds300":
            expected.append(["protocol=nsf_paper", f"data={data}", SPLINES[row["model"]]])
    assert sorted(gpu_tables.cells()) == sorted(expected)
    assert len(expected) == 8 * 9 + 3 * 4


def test_the_cheapest_come_first(rows):
    seconds = [row.seconds for row in rows]
    assert seconds == sorted(seconds)
    assert seconds[0] == 0.0  # in closed form
    deep, flat = ([row for row in rows if row.name == f"MAF ({n}) on power"] for n in (10, 5))
    assert deep[0].seconds == pytest.approx(2 * flat[0].seconds, rel=0.05)
    assert "seed=0,1,2" in flat[0].words
    assert any(row.name == "RQ-NSF (C) on gas" for row in rows)
    *_, total = gpu_tables.told(rows, SPEED, "cpu")
    assert f"{sum(seconds) / 3600:,.0f} h in all" in total


def original_power(folder, rng):
    np.save(folder / "data.npy", rng.normal(size=(400, 8)))
    return folder / "data.npy"


def original_gas(folder, rng):
    names = ["Time", "Meth", "Eth", *(f"s{sensor}" for sensor in range(16))]
    pd.DataFrame(rng.normal(size=(400, 19)), columns=names).to_pickle(folder / "co.pickle")
    return folder / "co.pickle"


def original_hepmass(folder, rng):
    for name, more in (("1000_train", []), ("1000_test", ["mass"])):
        names = ["# label", *(f"f{column}" for column in range(4)), *more]
        table = pd.DataFrame(rng.normal(size=(400, len(names))), columns=names)
        table.assign(**{"# label": 1.0}).to_csv(folder / f"{name}.csv", index=False)
    return folder


def original_miniboone(folder, rng):
    np.save(folder / "data.npy", rng.normal(size=(600, 43)))
    return folder / "data.npy"


def original_bsds300(folder, rng):
    with h5py.File(folder / "BSDS300.hdf5", "w") as file:
        for split in ("train", "validation", "test"):
            file[split] = rng.normal(size=(300, 63))
    return folder / "BSDS300.hdf5"


def original_mnist(folder, rng):
    for part, count in (("train", 60), ("t10k", 30)):
        for kind, shape in (("images-idx3", (count, 28, 28)), ("labels-idx1", (count,))):
            head = bytes([0, 0, 8, len(shape)]) + np.array(shape, ">i4").tobytes()
            values = rng.integers(0, 10, shape, dtype=np.uint8)
            path = folder / f"{part}-{kind}-ubyte.gz"
            path.write_bytes(gzip.compress(head + values.tobytes()))
    return folder


def original_cifar10(folder, rng):
    for name in [*(f"data_batch_{batch}" for batch in range(1, 6)), "test_batch"]:
        records = rng.integers(0, 256, (8, 3073), dtype=np.uint8)
        records[:, 0] = np.arange(8)
        records.tofile(folder / f"{name}.bin")
    return folder


ORIGINALS = {
    function.__name__.removeprefix("original_"): function
    for function in (original_power, original_gas, original_hepmass, original_miniboone,
                     original_bsds300, original_mnist, original_cifar10)
}  # fmt: skip
SHORT = {"MADE": ["model.hidden_units=[8]", "trainer.max_epochs=1"], "Gaussian": []}


@pytest.mark.parametrize("data", ORIGINALS)
def test_a_row_trains_on_stand_ins_of_the_original(tmp_path, rows, data):
    path = ORIGINALS[data](tmp_path, np.random.default_rng(0))
    name = "MADE" if data in gpu_tables.IMAGES else "Gaussian"
    [row] = [row for row in rows if row.name == f"{name} on {data}"]
    words = [word for word in row.words if not word.startswith("seed=")]
    _, result = train(
        tmp_path, *words, *SHORT[name], f"data.path={path}", "logger=csv", "trainer=cpu",
        "figures=false",
    )  # fmt: skip
    assert result["published"]["model"] == name
    assert any(told.startswith("test rows=") for told in result["deviations"])


@pytest.mark.parametrize(("code", "trained", "end"), [(0, 3, 0), (1, 3, 1), (75, 2, 75)])
def test_a_row_that_fails_is_passed_over_and_an_interruption_ends_all(
    tmp_path, code, trained, end
):
    fake, calls = tmp_path / "python", tmp_path / "calls"
    fake.write_text(FAKE)
    fake.chmod(0o755)
    environment = os.environ | {"PYTHON": str(fake), "CALLS": str(calls), "CODE": str(code)}
    command = ["bash", SCRIPTS / "gpu_tables.sh", tmp_path / "out", "save_minutes=5"]
    assert subprocess.run(command, env=environment).returncode == end
    told = calls.read_text().splitlines()
    runs = [line for line in told if line.startswith("train.py")]
    assert runs == [f"train.py -m data={data} save_minutes=5" for data in
                    ("power", "gas", "mnist")[:trained]]  # fmt: skip
    assert told[1].startswith("scripts/download.py gas")
    assert told[-1].startswith("scripts/keep_results.py") == (code != 75)
    calls.unlink()
    subprocess.run([*command[:2], "--dry"], env=environment, check=True)
    assert len(calls.read_text().splitlines()) == 1
    assert Path(SCRIPTS / "gpu_tables.sh").stat().st_mode & 0o100
