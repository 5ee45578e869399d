"""Which run folder is a configuration's own?"""

import hashlib
import json
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from flowbench.config.configuration import resolved
from flowbench.config.signatures import without

__all__ = ["run_directory", "run_hash"]

ELSEWHERE = {"accelerator", "devices", "num_nodes", "strategy"}
DISPLAY = {"enable_progress_bar", "log_every_n_steps", "profiler"}


def run_hash(config: DictConfig) -> str:
    """Eight hexadecimal digits over all that changes the result, whatever the order of the keys.

    `seed` and `paths` enter by name, not by value, wherever others refer to them.
    """
    symbolic = OmegaConf.create(OmegaConf.to_container(config))
    assert isinstance(symbolic, DictConfig)
    symbolic.seed = "<seed>"
    symbolic.paths = {key: f"<paths.{key}>" for key in config.paths}
    plain = resolved(symbolic)
    kept = {
        "model": plain["model"],
        "data": without(plain["data"], {"data_dir", "cache_dir"}),
        "training": plain["training"],
        "trainer": without(plain["trainer"], ELSEWHERE | DISPLAY),
    }
    if plain["training"].get("optimizer") is None:  # a later key: without it, as before it was
        kept["training"] = without(plain["training"], {"optimizer"})
    kept |= {key: plain[key] for key in ("init_from", "callbacks", "module") if plain.get(key)}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:8]


def run_directory(config: DictConfig) -> Path:
    """The folder of a run: `<paths.output>/<data>/<model>/<hash>/seed=<n>`."""
    folder = Path(config.paths.output, config.data.name, config.model.name)
    return folder / run_hash(config) / f"seed={config.seed}"
