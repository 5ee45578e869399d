"""What configurations of earlier versions meant, where it is not what they mean today."""

from collections.abc import Mapping
from typing import Any

__all__ = ["meant_by_absence", "with_first_slope", "with_later_keys"]


def _names(flow: str) -> list[str]:
    return [f"flowbench.{module}{flow}" for module in ("", "flows.", f"flows.{flow.lower()}.")]


REAL_NVP = _names("RealNVP")
MAF_OR_IAF = _names("MAF") + _names("IAF")
FIRST_LEAKY_RELU = {"_target_": "torch.nn.LeakyReLU"}  # slope 0.01; Keras's is 0.2


def meant_by_absence(node: Mapping[str, Any]) -> dict[str, Any]:
    """The later options of the class that a mapping names, as they were before they were options.

    Where an option has no effect, its absence means whatever value it has.

    Example:
        >>> meant_by_absence({"_target_": "flowbench.flows.RealNVP", "networks": "shared"})
        {'networks': 'separate'}
        >>> meant_by_absence({"_target_": "flowbench.flows.MAF"})
        {'output_scale': 1.0}
        >>> meant_by_absence({"_target_": "flowbench.flows.MADE"})
        {}
    """
    target = node.get("_target_")
    if target in MAF_OR_IAF:
        given = node.get("output_scale", 1.0)
        return {"output_scale": given if node.get("zero_output") else 1.0}
    if target not in REAL_NVP:
        return {}
    affine = node.get("univariate", "affine") == "affine"
    return {"networks": "separate" if affine else node.get("networks", "separate")}


def with_later_keys(node: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration that was written before these options, with what their absence meant.

    Example:
        >>> with_later_keys({"_target_": "flowbench.flows.RealNVP", "layers": 3})
        {'networks': 'separate', '_target_': 'flowbench.flows.RealNVP', 'layers': 3}
    """
    inside = {
        key: with_later_keys(value) if isinstance(value, Mapping) else value
        for key, value in node.items()
    }
    return meant_by_absence(node) | inside


def with_first_slope(node: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration with the slope that `leaky_relu` had at first, before it was Keras's.

    Example:
        >>> with_first_slope({"_target_": "flowbench.flows.MAF", "activation": "leaky_relu"})
        {'_target_': 'flowbench.flows.MAF', 'activation': {'_target_': 'torch.nn.LeakyReLU'}}
    """
    ours = str(node.get("_target_")).startswith("flowbench.")

    def first(key: str, value: Any) -> Any:
        if isinstance(value, Mapping):
            return with_first_slope(value)
        named = ours and key.endswith("activation") and value == "leaky_relu"
        return FIRST_LEAKY_RELU if named else value

    return {key: first(key, value) for key, value in node.items()}
