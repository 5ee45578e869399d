"""The hash and the folder of a run."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from flowbench.config.configuration import resolved
from flowbench.config.defaults import defaults_of
from flowbench.config.files import BESIDE, GIVEN, is_said
from flowbench.config.first_keys import FIRST_TRAINING_KEYS
from flowbench.config.later_keys import meant_by_absence, with_first_slope
from flowbench.config.settings import Evaluation, Training
from flowbench.config.signatures import target_of, without

__all__ = ["run_directory", "run_hash"]

RESULT_SECTIONS = (
    "data", "model", "training", "evaluation", "trainer", "module", "callbacks", "init_from",
)  # fmt: skip
ELSEWHERE = {"accelerator", "devices", "num_nodes", "strategy"}
DISPLAY = {"enable_progress_bar", "log_every_n_steps", "profiler"}
ROUNDING = {"engine"}


def run_hash(config: DictConfig) -> str:
    """Eight hexadecimal digits over all that changes the result, whatever the order of the keys.

    Keys that a file sets enter the hash. An option that it leaves out enters only if it differs
    from its default, so that new options do not change the hashes of earlier runs. One whose
    default is not what was done before enters where it differs from that, and a word whose meaning
    has changed enters with its new meaning (`later_keys`). References to `seed` and `paths` enter
    by name, not by value.
    """
    symbolic = OmegaConf.create(OmegaConf.to_container(config))
    assert isinstance(symbolic, DictConfig)
    symbolic.seed = "<seed>"
    symbolic.paths = {key: f"<paths.{key}>" for key in config.paths}
    plain = resolved(symbolic)
    defaults = defaults_of(Training)
    kept: dict[str, Any] = {
        "model": _changed("model", plain["model"], config.model),
        "data": without(_changed("data", plain["data"], config.data), {"data_dir", "cache_dir"}),
        "training": {
            key: value
            for key, value in without(plain["training"], ROUNDING).items()
            if key in FIRST_TRAINING_KEYS or not _is(defaults, key, value)
        },
        "trainer": without(plain["trainer"], ELSEWHERE | DISPLAY),
    }
    known = defaults_of(Evaluation)
    scored = {k: v for k, v in plain.get("evaluation", {}).items() if not _is(known, k, v)}
    if scored:
        kept["evaluation"] = scored
    if with_first_slope(plain["model"]) != plain["model"]:
        kept["leaky_relu"] = 0.2
    kept |= {key: plain[key] for key in RESULT_SECTIONS[5:] if plain.get(key)}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:8]


def _changed(name: str, node: Mapping[str, Any], section: DictConfig) -> dict[str, Any]:
    """`model` or `data`, without options that no file sets and that have their defaults."""
    given = GIVEN[name] | BESIDE.get(name, {})

    def changed(node: Any, written: Any, prefix: str = "") -> Any:
        if not isinstance(node, Mapping):
            return node
        written = written if isinstance(written, Mapping) else node  # a reference to a mapping
        target = target_of(node)
        defaults = {} if target is None else defaults_of(target)
        earlier = meant_by_absence(node)

        def enters(key: str, value: Any) -> bool:
            if key in earlier:
                return not _is(earlier, key, value)
            return is_said(section, prefix + key) or not (
                _is(defaults, key, value) or _is(given, key, written[key])
            )

        return {
            key: changed(value, written[key], f"{prefix}{key}.")
            for key, value in node.items()
            if enters(key, value)
        }

    return changed(node, OmegaConf.to_container(section))


def _is(known: Mapping[str, Any], key: str, value: Any) -> bool:
    return key in known and known[key] == value


def run_directory(config: DictConfig) -> Path:
    """The folder of a run: `<paths.output>/<data>/<model>/<hash>/seed=<n>`."""
    output = Path(config.paths.output).expanduser()
    folder = Path(output, config.data.name, config.model.name)
    return folder / run_hash(config) / f"seed={config.seed}"
