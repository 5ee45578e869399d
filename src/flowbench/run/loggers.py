"""The loggers of a run: Weights & Biases, TensorBoard, MLflow, your own, or several."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from pytorch_lightning.loggers import Logger, MLFlowLogger, TensorBoardLogger, WandbLogger
from pytorch_lightning.utilities import rank_zero_only

from flowbench.config.settings import Settings
from flowbench.evaluation.score import SPACES, score_in, statistics
from flowbench.extras import how_to_install
from flowbench.run.folder import RunFolder
from flowbench.run.names import run_group, run_identity, run_name

__all__ = ["LoggerError", "log_results", "watching"]

RUN_TAG = "flowbench.run"


class LoggerError(Exception):
    """The package of a logger is not installed."""


@contextmanager
def watching(settings: Settings, folder: RunFolder) -> Iterator[list[Logger]]:
    """The loggers of a run, which log its configuration; closed whether it succeeds or fails.

    Args:
        settings: of the run; `logger` names the loggers.
        folder: where loggers write their files.

    Raises:
        LoggerError: the package of a logger is not installed.
    """
    with ExitStack() as stack:
        loggers = []
        for name, node in settings.logger.items():
            logger = _build(name, node, settings, folder)
            stack.push(_finisher(logger))
            logger.log_hyperparams(dict(settings.plain))
            loggers.append(logger)
        yield loggers


@rank_zero_only
def log_results(
    loggers: list[Logger], blocks: Mapping[str, Any], folder: RunFolder, *, step: int
) -> None:
    """Log the scores of the splits, all figures and, on request, the best checkpoint.

    Scores are per row, as during training, even if those in `result.json` are per clip. A failure
    is told in one sentence, since the result is in the run folder.

    Args:
        loggers: as `watching` gives them.
        blocks: split → its block of `result.json`.
        folder: of the run.
        step: the last optimiser step.
    """
    metrics = {f"{split}/log_likelihood": _per_row(block) for split, block in blocks.items()}
    figures = sorted(folder.figures.glob("*.png"))
    for logger in loggers:
        with _surviving(logger):
            if isinstance(logger, WandbLogger):
                _log_to_wandb(logger, metrics, figures, blocks, folder)
            else:
                logger.log_metrics(metrics, step)
                _log_figures(logger, figures)


def _log_to_wandb(
    logger: WandbLogger,
    metrics: dict[str, float],
    figures: list[Path],
    blocks: Mapping[str, Any],
    folder: RunFolder,
) -> None:
    if getattr(logger, "failed", False):
        return
    logger.log_metrics(metrics)
    columns = ["split", "space", *statistics()]
    logger.log_table("log_likelihoods", columns=columns, data=_table(blocks))
    for path in figures:
        logger.log_image(f"figures/{path.stem}", images=[str(path)])
    if getattr(logger, "checkpoint", False):
        logger.experiment.log_artifact(str(folder.best), type="model")


def _log_figures(logger: Logger, figures: list[Path]) -> None:
    if isinstance(logger, TensorBoardLogger):
        from matplotlib.image import imread

        for path in figures:
            logger.experiment.add_image(f"figures/{path.stem}", imread(path), dataformats="HWC")
    elif isinstance(logger, MLFlowLogger):
        for path in figures:
            logger.experiment.log_artifact(logger.run_id, str(path), "figures")


@contextmanager
def _surviving(logger: Logger) -> Iterator[None]:
    """Tell an error of a logger after the training in one sentence."""
    try:
        yield
    except Exception as error:  # loggers fail in many ways
        reason = (str(error) or type(error).__name__).splitlines()[0]
        print(
            f"{type(logger).__name__}: {reason}; the folder of the run has everything",
            file=sys.stderr,
        )


def _per_row(block: Mapping[str, Any]) -> float:
    score = score_in(block)
    return score.mean / score.rows_per_event


def _table(blocks: Mapping[str, Any]) -> list[list[Any]]:
    return [
        [split, space, *score_in(block, space).json().values()]
        for split, block in blocks.items()
        for space in SPACES
    ]


def _build(name: str, node: Mapping[str, Any], settings: Settings, folder: RunFolder) -> Logger:
    options: dict[str, Any] = {"save_dir": str(folder.path.absolute())}
    if node["_target_"].endswith((".WandbLogger", ".wandb_run")):
        os.environ.setdefault("WANDB_SILENT", "true")
        options["id"] = run_identity(folder, overwrite=settings.overwrite)
        options |= {"name": run_name(settings.plain), "group": run_group()}
    elif node["_target_"].endswith(".TensorBoardLogger"):
        # A resumed run logs its earlier rows again; those of the first attempt are hidden.
        options |= {"name": "tensorboard", "version": "", "purge_step": 0}
        options |= {"default_hp_metric": False}
    elif node["_target_"].endswith(".MLFlowLogger"):
        options |= {"run_name": run_name(settings.plain), "tags": {RUN_TAG: _tag(folder)}}
    given = {key: value for key, value in options.items() if node.get(key) is None}
    try:
        logger = instantiate(node, **given)
    except InstantiationException as error:
        if not isinstance(error.__cause__, ModuleNotFoundError):
            raise
        raise LoggerError(
            f"logger={name} needs a package that is not installed: "
            f"{how_to_install(name)} ({error.__cause__})"
        ) from error
    if isinstance(logger, MLFlowLogger):
        _supersede(logger, _tag(folder))
    return logger


def _tag(folder: RunFolder) -> str:
    return f"{folder.path.parent.name}-{folder.path.name}"


@rank_zero_only
def _supersede(logger: MLFlowLogger, tag: str) -> None:
    """Delete unfinished earlier attempts of a run, whose rows the new one logs again."""
    client = logger.experiment
    for run in client.search_runs([logger.experiment_id], f"tags.`{RUN_TAG}` = '{tag}'"):
        if run.info.run_id != logger.run_id:
            client.delete_run(run.info.run_id)


def _finisher(logger: Logger) -> Callable[..., None]:
    def finish(kind: type[BaseException] | None, *_: object) -> None:
        with _surviving(logger):
            logger.finalize("success" if kind is None else "failed")
            if isinstance(logger, WandbLogger):
                _finish_wandb(logger, exit_code=int(kind is not None))

    return finish


@rank_zero_only
def _finish_wandb(logger: WandbLogger, *, exit_code: int) -> None:
    run = logger.experiment
    run.finish(exit_code=exit_code)
    if run.offline and not run.disabled:
        print(f"to upload: wandb sync {os.path.relpath(Path(run.dir).parent)}")
