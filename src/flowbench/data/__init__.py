"""Data modules: rows in model space, with the map that takes them there."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from flowbench.data.base import DataModule
from flowbench.data.images.base import ImageDataModule
from flowbench.data.images.cifar import Cifar10
from flowbench.data.images.digits import Digits
from flowbench.data.images.folder import ImageFolder
from flowbench.data.images.mnist import Mnist
from flowbench.data.loader import Batch, BatchLoader, Rows
from flowbench.data.options import DataError
from flowbench.data.raw import RawData
from flowbench.data.sound.base import SoundDataModule
from flowbench.data.sound.speech import Fsdd, SoundFolder, SpeechCommands
from flowbench.data.toy import Toy

if TYPE_CHECKING:
    from flowbench.data.table.table import Table
    from flowbench.data.uci.gas import Gas, GasRaw
    from flowbench.data.uci.gas_article import GasArticle
    from flowbench.data.uci.sets import Bsds300, Hepmass, Miniboone, Power

__all__ = [
    "Batch",
    "BatchLoader",
    "Bsds300",
    "Cifar10",
    "DataError",
    "DataModule",
    "Digits",
    "Fsdd",
    "Gas",
    "GasArticle",
    "GasRaw",
    "Hepmass",
    "ImageDataModule",
    "ImageFolder",
    "Miniboone",
    "Mnist",
    "Power",
    "RawData",
    "Rows",
    "SoundDataModule",
    "SoundFolder",
    "SpeechCommands",
    "Table",
    "Toy",
]

# Their readers need pandas, pyarrow or h5py, which are slow to import.
ON_FIRST_USE = {
    "Bsds300": "flowbench.data.uci.sets",
    "Gas": "flowbench.data.uci.gas",
    "GasArticle": "flowbench.data.uci.gas_article",
    "GasRaw": "flowbench.data.uci.gas",
    "Hepmass": "flowbench.data.uci.sets",
    "Miniboone": "flowbench.data.uci.sets",
    "Power": "flowbench.data.uci.sets",
    "Table": "flowbench.data.table.table",
}


def __getattr__(name: str) -> Any:
    if name not in ON_FIRST_USE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(ON_FIRST_USE[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
