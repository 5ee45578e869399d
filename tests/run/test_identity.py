"""Commands find the folders that they made before files said only what they change."""

import shlex

import pytest
from hydra import compose, initialize_config_dir

from flowbench.run.config_directory import config_directory
from flowbench.run.identity import run_hash

# The hashes of commands of version 0.1, whose files said every key of theirs.
FIRST = {
    "data=toy model.output_scale=1": "84757364",
    "data=toy trainer=ddp model.output_scale=1": "84757364",
    "data=toy model.layers=10 model.activation=tanh model.output_scale=1": "69df5e5b",
    "data=toy +model.bins=4 model.univariate=spline model.output_scale=1": "2d2d370e",
    "data=toy init_from=some/run model.output_scale=1": "45d2b3de",
    "data=toy model=gaussian": "9c99348f",
    "data=toy model=realnvp model.networks=separate seed=3": "29b2c4be",
    "data=toy model=realnvp_spline model.layers=3": "cfc0ec3d",
    "data=toy model=nice": "322ff2db",
    "data=toy model=iaf model.output_scale=1": "2ddeea73",
    "data=toy model=made": "be35132b",
    "data=toy model=made_mog model.components=5": "3155399f",
    "data=toy model=maf_mog training.ema=0.99 model.output_scale=1": "c5d1e5b4",
    "data=toy model=blockwise model.flow.output_scale=1": "a4c3b24a",
    "data=toy model=blockwise model.flow.layers=3 model.flow.output_scale=1": "109eb6d6",
    "data=toy model=zuko": "1b4f06da",
    "data=toy model=nflows": "0f09e4e4",
    "data=toy model=normflows": "046cfb5c",
    "data=toy +trainer.deterministic=true model.output_scale=1": "c23cdbdc",
    "model=maf_mog model.name=mine model.output_scale=1": "ef6b1057",
    "model=maf_spline data=digits model.output_scale=1": "39370151",
    "model=maf_strong data=digits training.schedule=cosine model.output_scale=1": "1d6dbfb2",
    "model=made_bernoulli data=mnist data.dequantize=false": "ea4db8e9",
    "data=table data.path=rows.csv model.output_scale=1": "8b773ff3",
    "data=table data.path=rows.csv data.log_columns=[z] model.output_scale=1": "d533bd78",
    "data=fsdd data.train_label=zero model.output_scale=1": "874b0981",
    "model=gaussian data=speech_commands": "fb4d60f4",
    "data=sound data.path=clips model.output_scale=1": "81c63320",
    "data=images data.path=pictures model.output_scale=1": "afb27735",
    "data=cifar10 model.output_scale=1": "d6cdb27d",
    "data=gas trainer=cpu trainer.max_epochs=7 model.output_scale=1": "9d7dc57b",
    "data=gas_raw model.output_scale=1": "e89cd2f5",
    "data=gas_article model.output_scale=1": "c0f8536a",
    "data=hepmass model.output_scale=1": "5fb7d2c7",
    "data=bsds300 model.output_scale=1": "84b7248d",
    "data=power_2007h1 data.path=x model.output_scale=1": "3bcfa3a8",
    "data=mnist protocol=maf_paper": "c7f16eac",
    "model=realnvp data=power protocol=maf_paper": "00678062",
    "model=maf_spline data=miniboone protocol=nsf_paper model.output_scale=1": "791e3781",
    "experiment=fsdd_zero model.output_scale=1": "8b4eb2b8",
    "experiment=power_2007h1 data.path=p.npz model.output_scale=1": "4e0e2a2d",
    "experiment=seed_article/gas": "7409ce87",
}
OWN = {
    "model/short.yaml": "name: short\n_target_: flowbench.flows.MAF\nlayers: 5\n"
    "univariate: spline\n",
    "model/foreign.yaml": "name: foreign\n_target_: own_parts.OneLayer\nwidth: 64\n",
    "data/ring.yaml": "name: ring\n_target_: own_parts.Ring\nbatch_size: ${training.batch_size}\n",
    "own_parts.py": "from flowbench.data import DataModule\n"
    "class Ring(DataModule):\n    def read(self): ...\n"
    "class OneLayer:\n    def __init__(self, features, *, width=64, depth=1): ...\n",
}


def hashed(line):
    with initialize_config_dir(str(config_directory()), version_base="1.3"):
        return run_hash(compose("train", shlex.split(line)))


@pytest.mark.parametrize("line", FIRST)
def test_a_command_finds_the_folder_that_it_made_at_first(line):
    assert hashed(line) == FIRST[line]


def test_so_does_one_that_names_files_of_the_user(tmp_path, monkeypatch):
    for name, text in OWN.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    search = f"hydra.searchpath=[file://{tmp_path}]"
    assert hashed(f"{search} model=short data=toy model.output_scale=1") == "780164ad"
    assert hashed(f"{search} model=foreign data=ring") == "52d24705"
    assert hashed(f"{search} model=foreign data=ring +model.depth=2") == "9c546505"


def test_an_option_that_files_did_not_say_at_first_enters_where_it_is_changed():
    line = "data=toy model.univariate=spline"
    assert hashed(f"{line} model.bins=8") == hashed(line) != hashed(f"{line} model.bins=4")
    assert hashed("training.optimizer=null model.embedding=null module=null") == hashed("data=toy")


def test_an_option_whose_default_is_not_what_was_done_before_enters_where_it_has_an_effect():
    separate = "data=toy model=realnvp model.networks=separate"
    assert hashed("data=toy model=realnvp") != hashed(separate)
    spline = "data=toy model=realnvp model.univariate=spline"
    assert hashed(spline) == hashed(f"{spline} model.networks=separate")
    zero = "data=toy model.zero_output=true"
    assert hashed(zero) == hashed(f"{zero} model.output_scale=1")
    assert hashed("data=toy") != hashed("data=toy model.output_scale=1")


def test_a_word_that_means_something_else_now_has_another_hash():
    assert hashed("data=toy model.activation=leaky_relu") != "4e1271ea"


def test_how_a_density_is_scored_enters_where_it_is_changed():
    line = "data=toy evaluation.draws=1 evaluation.class_prior=null"
    assert hashed(line) == hashed("data=toy")
    others = ("evaluation.draws=2", "evaluation.class_prior=uniform", "+evaluation.draws=3")
    assert len({hashed("data=toy"), *(hashed(f"data=toy {other}") for other in others)}) == 4
