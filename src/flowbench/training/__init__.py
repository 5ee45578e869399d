"""Training a flow: the Lightning module, what steps and epochs do, devices."""

from flowbench.training.muon import Muon

__all__ = ["Muon"]
