"""Data modules: rows in model space, with the map that brought them there."""

from flowbench.data.base import DataError, DataModule, RawData
from flowbench.data.images.base import ImageDataModule
from flowbench.data.images.cifar import Cifar10
from flowbench.data.images.digits import Digits
from flowbench.data.images.folder import ImageFolder
from flowbench.data.images.mnist import Mnist
from flowbench.data.loader import Batch, BatchLoader, Rows
from flowbench.data.sound.base import SoundDataModule
from flowbench.data.sound.speech import Fsdd, SoundFolder, SpeechCommands
from flowbench.data.table.table import Table
from flowbench.data.toy import Toy
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
