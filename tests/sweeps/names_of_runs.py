"""A callback for jobs in processes of their own, which import it by this name."""

import os
from pathlib import Path

from pytorch_lightning.callbacks import Callback

from flowbench.run import names


class Name(Callback):
    """Writes down what a logger is told of its run, and refuses to train on batches of 500."""

    def __init__(self, folder):
        unknown = {"model": {"name": "?"}, "data": {"name": "?"}, "seed": "?"}
        lines = [names.run_group(), names.run_name(unknown), names.run_command()]
        Path(folder, f"{os.getpid()}.name").write_text("\n".join(lines))

    def on_fit_start(self, trainer, pl_module):
        if trainer.datamodule.batch_size == 500:
            raise ValueError("500 rows are too many for this callback")
