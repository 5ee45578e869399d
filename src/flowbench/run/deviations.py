"""What a run does otherwise than the protocol that it names."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException

from flowbench.config.configuration import resolved
from flowbench.config.settings import Settings
from flowbench.config.words import show
from flowbench.data import DataModule
from flowbench.evaluation.published import table_name
from flowbench.formatting import integer
from flowbench.run.config_directory import config_directory
from flowbench.run.identity import DISPLAY, ELSEWHERE, RESULT_SECTIONS, ROUNDING

__all__ = ["CELLS", "changes_result", "deviations"]

PLACES = {"path", "data_dir", "cache_dir", "seed"} | ELSEWHERE | DISPLAY | ROUNDING
CELLS = ("model.layers", "data.label_context")  # by which a table may name its rows
NOT_SET = "not set"


def deviations(settings: Settings, data: DataModule | None = None) -> list[str]:
    """The keys that change the result and are not as `protocol=…` alone would have them.

    What chooses a row of the published table (a number of layers that its name contains, labels
    as contexts) is none.

    Args:
        settings: of the run.
        data: set up; rows of validation and test that are not those of the original are told, too.

    Returns:
        For each key its value and that of the protocol; empty without a protocol.

    Example:
        >>> from flowbench.config.configuration import check
        >>> words = ["protocol=maf_paper", "model=maf", "data=mnist", "model.layers=10"]
        >>> deviations(check(_composed([*words, "trainer.max_epochs=20", "seed=3"])))
        ['trainer.max_epochs=20 (protocol: 10000)']
    """
    protocol = (settings.protocol or {}).get("name")
    if protocol is None:
        return []
    ours = _flat(settings.plain)
    names = settings.model["name"], settings.data["name"]
    words = [f"protocol={protocol}", f"model={names[0]}", f"data={names[1]}"]
    try:
        theirs = _flat(_as_the_protocol(words, ours))
    except (HydraException, KeyError):  # which there is no file for
        return [f"{names[0]} on {names[1]}: the protocol {protocol} has no such row"]
    told = ((key, ours.get(key, NOT_SET), theirs.get(key, NOT_SET)) for key in ours | theirs)
    keys = [(key, show(one), show(other)) for key, one, other in told if one != other]
    return [f"{key}={one} (protocol: {other})" for key, one, other in [*keys, *_other_rows(data)]]


def changes_result(key: str) -> bool:
    """Whether a key of the configuration is one of how a run is trained and scored.

    Example:
        >>> [changes_result(key) for key in ("model.layers", "trainer.devices", "logger")]
        [True, False, False]
    """
    section, _, rest = key.partition(".")
    place = rest.rpartition(".")[2] in PLACES or key == "data.batch_size"
    return section in RESULT_SECTIONS and not place


def _other_rows(data: DataModule | None) -> Iterator[tuple[str, str, str]]:
    expected: Mapping[str, Sequence[int]] = getattr(data, "expected", {})
    for split in ("val", "test"):
        if data is not None and split in expected:
            rows, original = len(data.rows[split]), expected[split][0]
            if rows != original:
                yield f"{split} rows", integer(rows), integer(original)


def _as_the_protocol(words: Sequence[str], ours: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of the row of the table that a run belongs to."""
    plain = resolved(_composed(words))
    row, chosen = _row(plain), list(words)
    for word in (f"{key}={show(ours[key])}" for key in CELLS if key in ours):
        if _row(resolved(_composed([*words, word]))) != row:
            chosen.append(word)
    return resolved(_composed(chosen))


def _row(plain: Mapping[str, Any]) -> tuple[str, str]:
    return plain["published"]["model"], table_name(plain["data"])


def _composed(words: Sequence[str]) -> Any:
    if GlobalHydra.instance().is_initialized():
        return compose("train", list(words))
    with initialize_config_dir(str(config_directory()), version_base="1.3"):
        return compose("train", list(words))


def _flat(plain: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for name in RESULT_SECTIONS for key, value in _pairs(name, plain.get(name))}


def _pairs(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _pairs(f"{key}.{name}", inner)
    elif changes_result(key):
        yield key, value
