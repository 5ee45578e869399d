"""Rooms import downward only, and no two modules import each other."""

import ast
import math
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src"

# A room may import itself, those above it in this table, and the floor; config: nothing of ours.
ROOMS = [
    "config",
    "nn",
    "transforms",
    "native",
    "flows",
    "data",
    "description drawing named_context own_values",
    "stored summary",
    "conditional foreign from_config",
    "density",
    "checkpoint",
    "evaluation",
    "training",
    "figures",
    "run",
    "sklearn",
    "report",
    "commands flowbench_configs flowbench_sweeps",
]
FLOOR = [
    "atomic_files",
    "bounded",
    "chunked",
    "console",
    "dense",
    "digest",
    "elsewhere",
    "exits",
    "extras",
    "formatting",
    "frames",
    "memory",
    "metrics",
    "modes",
    "precision",
    "ranks",
    "schema",
    "tracing",
]
LEVELS = {room: level for level, rooms in enumerate(ROOMS, start=1) for room in rooms.split()}
LEVELS |= dict.fromkeys(FLOOR, 0) | {"disk": -1}  # which the floor itself stands on


def module_name(path):
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


PATHS = {module_name(path): path for path in sorted(SOURCE.rglob("*.py"))}


def room(module):
    """The part of a module's name that the table knows: `flowbench.nn.masks` is in `nn`."""
    return [*module.split("."), ""][1]


def imported(module, *, typing):
    """The modules of ours that a module imports, anywhere in its text.

    Args:
        typing: also those that only a type checker imports.
    """
    tree = ast.parse(PATHS[module].read_text(encoding="utf-8"))
    checked = [node for node in ast.walk(tree) if isinstance(node, ast.If) and is_typing(node)]
    left_out = {inner for node in checked for inner in ast.walk(node)} if not typing else set()
    for node in ast.walk(tree):
        if node in left_out:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in PATHS)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module}: a relative import"
            if node.module in PATHS:
                names = [f"{node.module}.{alias.name}" for alias in node.names]
                yield from (name if name in PATHS else node.module for name in names)


def is_typing(node):
    return isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def problems(module):
    """What is wrong with the imports of a module, in sentences."""
    if room(module) not in LEVELS:
        yield f"{module} is in no room: add it to ROOMS or FLOOR"
        return
    for other in set(imported(module, typing=True)):
        same = room(other) == room(module)
        below = LEVELS.get(room(other), math.inf) < LEVELS[room(module)]
        if not same and (not below or room(module) == "config"):
            yield f"{module} imports {other}, which is not below it"


def test_imports_go_downward():
    """The packages themselves name what lies in their rooms."""
    modules = sorted(set(PATHS) - {"flowbench", "hydra_plugins"})
    assert [problem for module in modules for problem in problems(module)] == []


def test_no_two_modules_import_each_other():
    graph = {module: set(imported(module, typing=False)) - {module} for module in PATHS}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"modules import each other: {' → '.join(error.args[1])}")
