"""A callback for jobs in processes of their own, which import it by this name."""

import os
from pathlib import Path

from pytorch_lightning.callbacks import Callback

from flowbench.run import names


class Name(Callback):
    """Writes down what a logger is told of its run."""

    def __init__(self, folder):
        unknown = {"model": {"name": "?"}, "data": {"name": "?"}, "seed": "?"}
        lines = [names.run_group(), names.run_name(unknown), names.run_command()]
        Path(folder, f"{os.getpid()}.name").write_text("\n".join(lines))
