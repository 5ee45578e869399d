"""Builds the data, the flow and the Lightning module of a run from its settings."""

import warnings
from collections.abc import Mapping
from pkgutil import resolve_name
from typing import Any

from flowbench.checkpoint import saved_values
from flowbench.config.errors import ConfigError
from flowbench.config.settings import Settings
from flowbench.data import DataError, DataModule
from flowbench.flows import Flow
from flowbench.flows.mixed import MixedFlow
from flowbench.from_config import build_data, build_flow
from flowbench.nn import AutoregressiveNetwork
from flowbench.run.folder import RunFolder
from flowbench.training.flow_module import FlowModule
from flowbench.training.maximum_likelihood import MaximumLikelihood
from flowbench.transforms import BatchNorm

__all__ = ["flow_of", "module_of", "read_data", "refuse_changed_data", "refuse_other_modules"]

LOOKED_AT = 10_000  # rows


def refuse_other_modules(settings: Settings) -> None:
    """Refuse a Lightning module that is not a `FlowModule`.

    Raises:
        ConfigError: `module._target_` is not a subclass of `FlowModule`.
    """
    if settings.module is None:
        return
    kind = resolve_name(settings.module["_target_"])
    if not (isinstance(kind, type) and issubclass(kind, FlowModule)):
        raise ConfigError(
            f"module._target_={settings.module['_target_']}: expected a subclass of "
            "flowbench.training.flow_module.FlowModule"
        )


def read_data(settings: Settings) -> DataModule:
    """The data, set up.

    Raises:
        ConfigError: `data._target_` gives no `DataModule`, or its file leaves out the batch size
            or the seed, so that they are not those of the run.
        DataError: the data are missing or damaged.
        ValueError: a batch has too few rows to be split over the ranks.
    """
    data = build_data(settings.data)
    if not isinstance(data, DataModule):
        raise ConfigError(
            f"data._target_={settings.data['_target_']}: expected a subclass of "
            f"{DataModule.__module__}.{DataModule.__name__}"
        )
    _refuse_left_out(settings, data)
    data.prepare_data()
    data.setup()
    data.train_dataloader()  # refuses batches too small for the ranks
    return data


def _refuse_left_out(settings: Settings, data: DataModule) -> None:
    ours = {"batch_size": settings.training.batch_size, "seed": settings.seed}
    references = {"batch_size": "${training.batch_size}", "seed": "${seed}"}
    for key, value in ours.items():
        used = getattr(data, key)
        if key not in settings.data and used != value:
            raise ConfigError(
                f"data={settings.data['name']} would use {key}={used}, not {value}: expected "
                f"{key}: {references[key]} in its file"
            )


def refuse_changed_data(settings: Settings, folder: RunFolder) -> None:
    """Compare the data with those of a finished run, if they are still there.

    Raises:
        RunFolderError: they differ from those recorded in the folder.
    """
    present = build_data(settings.data).fingerprint()
    if present is not None:
        folder.record_data(present)


def flow_of(settings: Settings, data: DataModule) -> Flow:
    """The flow, with the event and context sizes of the data.

    Raises:
        DataError: a continuous density is given data of 0 and 1, or the other way round, or
            columns with single values that have probabilities, for which it has none.
        ConfigError: batch norms would see one row at a time, or noise is added to data of 0 and 1.
    """
    flow = build_flow(settings.model, **data.sizes)
    if data.batch_size == 1 and any(isinstance(one, BatchNorm) for one in flow.modules()):
        raise ConfigError(
            "training.batch_size=1: batch norms need at least two rows per step; expected at "
            "least 2, or model.batch_norm=false"
        )
    model, name = settings.model["name"], settings.data["name"]
    if data.raw.discrete and not flow.discrete:
        raise DataError(
            f"model={model} is a density of real numbers, which has no bound on the values 0 and "
            f"1 of data={name}; expected a distribution of these, such as model=made_bernoulli"
        )
    if data.raw.atoms and not isinstance(flow, MixedFlow):
        told = ", ".join(f"{column!r}" for column in data.raw.atoms)
        raise DataError(
            f"model={model} has no density for the single values that many rows of data={name} "
            f"share, in {told}: expected model=made_mixed, which gives them probabilities, or "
            "data.discrete_columns=[...] without these columns, or rows without these values "
            "(data.missing)"
        )
    if flow.discrete:
        first = data.rows["train"].x[:LOOKED_AT]
        if not ((first == 0) | (first == 1)).all():
            raise DataError(
                f"model={model} is a distribution of the values 0 and 1, but data={name} has "
                "others; expected binary data, such as data=digits data.binarize=threshold"
            )
        if settings.training.noise:
            raise ConfigError(
                f"training.noise={settings.training.noise} turns the values 0 and 1, of which "
                f"model={model} is a distribution, into others; expected training.noise=0"
            )
    if not flow.marginalizes and (split := next(filter(data.has_missing_cells, data.rows), "")):
        raise DataError(
            f"model={model} has no density of rows with missing cells, which the {split} rows of "
            f"data={name} have; expected model=gaussian or model=gaussian_mixture, or "
            "data.missing=drop"
        )
    if told := _order_by_chance(settings.model, flow):
        warnings.warn(told, stacklevel=1)
    return flow


def _order_by_chance(model: Mapping[str, Any], flow: Flow) -> str:
    """Whether a random order has turned out to be none."""
    networks = [one for one in flow.modules() if isinstance(one, AutoregressiveNetwork)]
    natural = list(range(flow.features))
    if model.get("input_order") != "random" or any(one.order != natural for one in networks):
        return ""
    return (
        f"model.input_order=random with model.seed={model.get('seed')} is left-to-right in all "
        "layers; another seed may give another"
    )


def module_of(settings: Settings, flow: Flow, data: DataModule) -> FlowModule:
    """The Lightning module that trains the flow, by default `MaximumLikelihood`."""
    if settings.module is None:
        module = MaximumLikelihood(flow, settings.training)
    else:
        from hydra.utils import instantiate

        make = instantiate({**settings.module, "_partial_": True, "_convert_": "all"})
        module = make(flow=flow, training=settings.training)
    module.saved = saved_values(settings.plain, data)
    return module
