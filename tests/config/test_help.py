"""The page of `--help` explains every key."""

import re

import pytest
from hydra import compose, initialize_config_dir

from flowbench.config.docstrings import meanings
from flowbench.config.help import explained_groups, explained_keys
from flowbench.config.signatures import target_of
from flowbench.run.config_directory import config_directory

FOLDER = config_directory()
GROUPS = ("model", "data", "trainer", "logger")
EACH = [f"{group}={path.stem}" for group in GROUPS for path in sorted((FOLDER / group).glob("*"))]


def composed(*overrides):
    with initialize_config_dir(str(FOLDER), version_base="1.3"):
        return compose("train", list(overrides), return_hydra_config=True)


def entries(page):
    """Key with value → the text beside and below it."""
    found, lines = {}, []
    for line in page.splitlines():
        if key := re.match(r"[\w.]+=(\[.*?\]|\S*)", line):
            lines = found[key[0]] = [line[key.end() :].strip()]
        else:
            lines = lines if line else []
            lines.append(line.strip())
    return {key: " ".join(lines).strip() for key, lines in found.items()}


@pytest.mark.parametrize("choice", EACH)
def test_every_key_has_a_meaning_and_a_place_within_the_width(choice):
    page = explained_keys(composed(choice))
    assert max(map(len, page.splitlines())) <= 99
    told = entries(page)
    meaningless = [key for key, text in told.items() if text.partition(" (")[0] in ("", "(")]
    if choice in ("model=zuko", "model=nflows"):  # explained by these libraries
        meaningless = [key for key in meaningless if not key.startswith("model.flow.")]
    assert meaningless == []


@pytest.mark.parametrize("choice", [one for one in EACH if one.startswith(("model", "data"))])
def test_the_docstring_of_every_class_has_an_entry_for_every_option(choice):
    group = choice.partition("=")[0]
    node = composed(choice)[group]
    assert set(node) - {"name", "_target_"} <= set(meanings(target_of(node))) | {"embedding"}


def test_a_key_is_shown_with_its_value_meaning_type_and_limits():
    told = entries(explained_keys(composed("model=blockwise", "model.flow.layers=7", "seed=3")))
    assert told["seed=3"].endswith("(an integer at least 0 and below 4294967296)")
    assert told["data.seed=3"]
    assert told["model.flow.layers=7"].startswith("number of autoregressive layers")
    assert "training.schedule=constant" in told
    assert "above 0" in told["training.learning_rate=0.001"]
    assert "at least 1" in told["trainer.max_epochs=1000"]
    assert "$" not in explained_keys(composed("data=gas"))


def test_what_is_missing_or_leads_nowhere_is_shown_as_it_stands():
    page = explained_keys(composed("data=table", "protocol=maf_paper"))
    assert "data.path=???" in page
    assert "model.hidden_units=${protocol.hidden_units}" in page


def test_choices_are_those_of_a_command():
    with initialize_config_dir(str(FOLDER), version_base="1.3"):
        lines = explained_groups(compose("train", return_hydra_config=True)).splitlines()
    assert "trainer: cpu, ddp, default, gpu" in lines
    assert "protocol: maf_paper, nsf_paper" in lines
    experiments = "\n".join(lines).partition("\nexperiment: ")[2]
    assert "fsdd_zero" in experiments
    assert "seed_article/gas" in experiments
