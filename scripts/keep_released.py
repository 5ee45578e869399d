"""Keep a small run of this version, which later versions must read: docs/compatibility.md.

    python scripts/keep_released.py

The run folder goes to `tests/released/<version>/`, with the log-densities of some rows.
"""

import json
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

import flowbench

ROOT = Path(__file__).parents[1]
COMMAND = (
    "train.py model=maf data=toy data.train_rows=1000 data.val_rows=200 model.layers=2 "
    "model.hidden_units=[8] trainer.max_epochs=3 trainer.accelerator=cpu figures=false logger=csv"
)
KEPT = ("config.yaml", "data.json", "metrics.csv", "result.json", "checkpoints/best.ckpt")


def main() -> None:
    """Train, copy the run folder, and write what its density says."""
    release = ROOT / "tests" / "released" / flowbench.__version__.split(".dev")[0]
    shutil.rmtree(release, ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        program, *options = shlex.split(COMMAND)
        command = [sys.executable, str(ROOT / program), *options]
        subprocess.run(command, cwd=folder, check=True)
        [config] = Path(folder).rglob("config.yaml")
        target = release / config.parent.relative_to(folder)
        for name in KEPT:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            text_or_tensors = (config.parent / name).read_bytes()
            places = ((str(ROOT / program), program), (f"{folder}/", ""))
            if name.endswith((".yaml", ".json")):
                for place, plain in places:
                    text_or_tensors = text_or_tensors.replace(place.encode(), plain.encode())
            (target / name).write_bytes(text_or_tensors)
    rows = torch.linspace(-2, 2, 10).reshape(5, 2)
    log_densities = flowbench.load(target).log_prob(rows)
    said = {"rows": rows.tolist(), "log_densities": log_densities.tolist()}
    (release / "log_densities.json").write_text(json.dumps(said, indent=1) + "\n")


if __name__ == "__main__":
    main()
