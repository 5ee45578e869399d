"""A data module as the Trainer takes it."""

from typing import Any

import pytorch_lightning as pl

from flowbench.data import BatchLoader, DataModule
from flowbench.data.loader import SequentialLoader

__all__ = ["TrainerData"]


class TrainerData(pl.LightningDataModule):
    """The minibatches of a data module that is set up; `trainer.datamodule` has its attributes.

    Data modules themselves do without Lightning, whose import takes longer than that of torch:
    `--help`, a mistake in a configuration and the scripts for trained densities do without it.

    Args:
        data: the data module, after its `setup`.

    Example:
        >>> from flowbench.data import Toy
        >>> data = Toy()
        >>> data.setup()
        >>> TrainerData(data).features, TrainerData(data).data is data
        (2, True)
    """

    def __init__(self, data: DataModule) -> None:
        super().__init__()
        self.data = data

    def __getattr__(self, name: str) -> Any:
        """An attribute of the data module, for callbacks."""
        if name == "data":  # of a copy that has nothing yet
            raise AttributeError(name)
        return getattr(self.data, name)

    def train_dataloader(self) -> BatchLoader:
        """Shuffled minibatches of the training rows."""
        return self.data.train_dataloader()

    def val_dataloader(self) -> SequentialLoader:
        """All validation rows, in order."""
        return self.data.val_dataloader()
