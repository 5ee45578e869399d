"""Data modules: rows in model space, with the map that brought them there."""

from flowbench.data.base import DataError, DataModule, RawData
from flowbench.data.cifar import Cifar10
from flowbench.data.digits import Digits
from flowbench.data.gas import Gas, GasRaw
from flowbench.data.gas_article import GasArticle
from flowbench.data.image_folder import ImageFolder
from flowbench.data.images import ImageDataModule
from flowbench.data.loader import Batch, BatchLoader, Rows
from flowbench.data.mnist import Mnist
from flowbench.data.sound import SoundDataModule
from flowbench.data.speech import Fsdd, SoundFolder, SpeechCommands
from flowbench.data.table import Table
from flowbench.data.toy import Toy
from flowbench.data.uci import Bsds300, Hepmass, Miniboone, Power

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
