"""The site: `sphinx-build -W --keep-going docs site`, which also executes the notebooks."""

import inspect
import re
from typing import Any

from sphinx.application import Sphinx
from sphinx.util.inspect import stringify_signature

import flowbench
from flowbench.config.words import describe

project = "flowbench"
copyright = "the authors of flowbench"
version = release = flowbench.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
]
exclude_patterns = ["_build", "results/report"]

html_theme = "furo"
html_title = f"flowbench {version}"

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

# A notebook is executed in a folder of its own; an error in it is one of the build.
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_timeout = 300  # seconds of a cell, on a busy machine
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_merge_streams = True
nb_render_markdown_format = "myst"  # tables
nb_output_stderr = "remove"  # lines of progress

autodoc_member_order = "bysource"
autodoc_typehints = "none"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
default_role = "literal"
copybutton_prompt_text = ">>> |\\.\\.\\. |\\$ "
copybutton_prompt_is_regexp = True

# Every name of ours that a page refers to must be there, internal bases aside; those of other
# libraries have no inventory here.
nitpicky = True
nitpick_ignore_regex = [
    (r"py:.*", r"(?!flowbench).*"),
    (
        r"py:class",
        r".*\.(Checked|OriginalDataModule|LatticeFlow|ClosedForm|MixedFlow|Preprocessed)",
    ),
    (r"py:class", r".*\._\w+"),
]
LONGEST = 100  # of the words for a type


def as_restructured_text(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    """Docstrings as text: bars are absolute values, and an example without prompts is code."""
    text = "\n".join(lines)
    text = re.sub(
        r"^( *)Example:\n(?=\1 +(?!>>>)\S)", r"\1Example::\n\n", text, flags=re.MULTILINE
    )
    lines[:] = [line if ">>>" in line else _bars_escaped(line) for line in text.split("\n")]


def _bars_escaped(line: str) -> str:
    """A line in which bars outside of backticks are no references."""
    parts = line.split("`")
    parts[::2] = [part.replace("|", "\\|") for part in parts[::2]]
    return "`".join(parts)


def with_signature(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, signature: str, returned: str
) -> tuple[str, None] | None:
    """The options that a class takes, whatever its metaclass does at a call."""
    if what != "class":
        return None
    try:
        return stringify_signature(inspect.signature(obj), show_annotation=False), None
    except ValueError:
        return None


def with_types(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    """Types and limits of all parameters, in the words of `--help`."""
    for place in reversed(range(len(lines))):
        if found := re.match(r":param \\*?(\w+):", lines[place]):
            words = _type_of(obj, found[1])
            if words:
                lines.insert(place, f":type {found[1]}: {words}")


def _type_of(obj: Any, parameter: str) -> str | None:
    try:
        annotation = inspect.signature(obj).parameters[parameter].annotation
    except (KeyError, TypeError, ValueError):
        return None
    words = "" if isinstance(annotation, str) else describe(annotation, python=True)
    private = "_" in re.sub("'.*?'", "", words)
    return None if private or words == "anything" or len(words) > LONGEST else words


def setup(app: Sphinx) -> None:
    """Read docstrings before napoleon does, and say what they leave to signatures after it."""
    app.connect("autodoc-process-docstring", as_restructured_text, priority=100)
    app.connect("autodoc-process-docstring", with_types, priority=900)
    app.connect("autodoc-process-signature", with_signature)
