"""Data modules: rows in model space, with the map that brought them there."""

from flowbench.data.base import DataError, DataModule, RawData
from flowbench.data.gas import Gas, GasRaw
from flowbench.data.loader import Batch, BatchLoader, Rows
from flowbench.data.mnist import Mnist
from flowbench.data.table import Table
from flowbench.data.toy import Toy
from flowbench.data.uci import Bsds300, Hepmass, Miniboone, Power

__all__ = [
    "Batch",
    "BatchLoader",
    "Bsds300",
    "DataError",
    "DataModule",
    "Gas",
    "GasRaw",
    "Hepmass",
    "Miniboone",
    "Mnist",
    "Power",
    "RawData",
    "Rows",
    "Table",
    "Toy",
]
