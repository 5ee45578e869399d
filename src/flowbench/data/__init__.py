"""Data modules: rows in model space, with the map that brought them there."""

from flowbench.data.base import DataError, DataModule, RawData
from flowbench.data.loader import Batch, BatchLoader, Rows
from flowbench.data.toy import Toy

__all__ = ["Batch", "BatchLoader", "DataError", "DataModule", "RawData", "Rows", "Toy"]
