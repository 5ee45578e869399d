"""Runs of earlier versions, whose configurations lack options, beside later ones."""

import yaml

from flowbench.report import collect
from flowbench.report.table import differing_keys

MODEL = {"name": "realnvp", "_target_": "flowbench.flows.RealNVP", "univariate": "affine"}


def test_a_real_nvp_that_does_not_say_so_had_separate_networks(tmp_path):
    models = {"aaaaaaaa": MODEL, "bbbbbbbb": MODEL | {"networks": "shared"}}
    for code, model in models.items():
        folder = tmp_path / "outputs" / "toy" / "realnvp" / code / "seed=0"
        folder.mkdir(parents=True)
        config = {"model": model, "data": {"name": "toy"}, "seed": 0}
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
    earlier, later = collect(tmp_path / "outputs")
    assert earlier.config["model"]["networks"] == "separate"
    assert differing_keys([earlier, later]) == ["model.networks"]
