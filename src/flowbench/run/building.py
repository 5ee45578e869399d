"""Builds the data, the flow and the Lightning module of a run from its settings."""

from pkgutil import resolve_name

from flowbench.checkpoint import build_data, build_flow, saved_values
from flowbench.config.configuration import ConfigError
from flowbench.config.settings import Settings
from flowbench.data import DataError, DataModule
from flowbench.flows import Flow
from flowbench.run.folder import RunFolder
from flowbench.training.flow_module import FlowModule
from flowbench.training.maximum_likelihood import MaximumLikelihood

__all__ = ["flow_of", "module_of", "read_data", "refuse_changed_data", "refuse_other_modules"]


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
        DataError: the data are missing or damaged.
        ValueError: a batch has too few rows to be split over the ranks.
    """
    data = build_data(settings.data)
    data.prepare_data()
    data.setup()
    data.train_dataloader()  # refuses batches too small for the ranks
    return data


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
        DataError: a continuous density is given data of 0 and 1.
    """
    flow = build_flow(settings.model, **data.sizes)
    if data.raw.discrete and not flow.discrete:
        raise DataError(
            f"model={settings.model['name']} is a density of real numbers, which has no bound on "
            f"the values 0 and 1 of data={settings.data['name']}; expected a distribution of "
            "these, such as model=made_bernoulli"
        )
    return flow


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
