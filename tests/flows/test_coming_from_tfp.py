"""The page for those who come from TensorFlow Probability: its code runs, its names exist."""

import re
from importlib import import_module
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2].joinpath("docs/coming_from_tfp.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
NAMES = sorted(set(re.findall(r"`((?:flows|nn|nn\.mlp|transforms)\.[A-Z]\w+)", PAGE)))


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples_run(example):
    exec(compile(example, "coming_from_tfp.md", "exec"), {})


@pytest.mark.parametrize("name", NAMES)
def test_the_names_exist(name):
    module, _, attribute = name.rpartition(".")
    assert hasattr(import_module(f"flowbench.{module}"), attribute)
