"""One run: configuration → data → flow → Lightning module → fit → evaluation → result.json."""

import os
import sys
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from hydra.utils import instantiate
from omegaconf import DictConfig
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.utilities import rank_zero_only

from flowbench import ranks
from flowbench.checkpoint import build_data, build_flow, saved_values, start_from
from flowbench.config.configuration import resolved
from flowbench.data import DataError, DataModule
from flowbench.evaluation import evaluate
from flowbench.evaluation.curves import step_summary
from flowbench.evaluation.published import comparable, published, published_curve, table_name
from flowbench.run.folder import RunFolder
from flowbench.run.identity import run_directory, run_hash
from flowbench.run.loggers import log_results, watching
from flowbench.run.names import SWEEP, run_command
from flowbench.run.peak_memory import PeakMemory
from flowbench.run.pruning import Pruning
from flowbench.run.result import environment, sampling_speed, summary
from flowbench.run.same_start import refuse_different_starts
from flowbench.training.averaging import WeightAverage
from flowbench.training.callbacks import BestAndLast, EpochBar, History
from flowbench.training.checkpoint_files import best_state
from flowbench.training.devices import build_trainer, meet
from flowbench.training.interrupted import Interrupted
from flowbench.training.interruption import Interruptions, leaving_together
from flowbench.training.maximum_likelihood import MaximumLikelihood, refuse_without_best
from flowbench.training.quiet import quiet

__all__ = ["run"]


def run(config: DictConfig) -> dict[str, Any]:
    """Train and evaluate what a configuration says, or return what it has already given.

    Args:
        config: as composed by Hydra and checked by `configuration.check`.

    Returns:
        The contents of `result.json`; nothing where a search has given the run up.
    """
    folder = RunFolder(run_directory(config))
    if rank_zero_only.rank:  # type: ignore[attr-defined]
        return _assist(config, folder)
    command = run_command()
    with folder.lock(), folder.recording(command=command, always=SWEEP in os.environ):
        if config.overwrite:
            folder.clear()
        _meet(config, folder)
        if folder.finished:
            _refuse_changed_data(config, folder)
            print("this run is finished (overwrite=true starts over):")
        else:
            plain = resolved(config)
            folder.write_config(plain, command=command)
            name = {"hash": run_hash(config), "command": command}
            result = _train(plain, folder, command=command)
            if not result:
                print(f"pruned at epoch {folder.read_pruned()}: {folder.path}")
                ranks.leave()
                return {}
            folder.write_result(result | name)
        result = folder.read_result()
        print(summary(result, folder.path))
    ranks.leave()
    return result


def _assist(config: DictConfig, folder: RunFolder) -> dict[str, Any]:
    """What ranks other than 0 do: train and score with it; it alone watches, writes and speaks."""
    _meet(config, folder)
    if config.overwrite or not folder.finished:
        try:
            _train(resolved(config) | {"logger": {}}, folder, command="")
        except Interrupted as stop:
            sys.exit(stop.code)
    ranks.leave()
    return {}


@quiet()
def _meet(config: DictConfig, folder: RunFolder) -> None:
    """Have all ranks that are started from outside go on from the same point."""
    meet(resolved(config)["trainer"])
    if not config.overwrite:
        refuse_different_starts(folder)


@quiet()
def _train(config: dict[str, Any], folder: RunFolder, *, command: str) -> dict[str, Any]:
    """The whole run; everything but hash and command of its result, which is rank 0's.

    Nothing where a search has given it up.
    """
    reference = config["published"] and published(
        **config["published"], data=table_name(config["data"])
    )
    figures = _figures(config)
    memory = PeakMemory()
    pl.seed_everything(config["seed"], verbose=False)
    data = _data(config, folder)
    module = _module(config, data)
    resume = _initialize(module, data, folder, config)
    history = History(folder.metrics)
    checkpoints = BestAndLast(
        best=folder.best, last=folder.last, patience=config["training"]["patience"]
    )
    bar = [EpochBar()] if config["trainer"].get("enable_progress_bar", True) else []
    interruptions = Interruptions(folder.last, minutes=config["save_minutes"])
    pruning = Pruning(folder, command=command)
    with leaving_together(), watching(config, folder) as loggers:
        trainer = build_trainer(
            config["trainer"],
            callbacks=[history, *_callbacks(config), pruning, checkpoints, interruptions, *bar],
            logger=loggers,
            default_root_dir=folder.path,
            num_sanity_val_steps=0,
            enable_model_summary=False,
        )
        folder.begun = True
        trained = _fit(trainer, module, data, best=folder.best, resume=resume)
        if pruning.pruned:
            return {}
        if ranks.size() == 1 and not trainer.is_global_zero:  # a flow that needs no training
            return {}
        if trained and checkpoints.best_epoch < 0:
            refuse_without_best(epochs=len(history.rows))
        module.flow.load_state_dict(
            ranks.of_first(lambda: best_state(folder.best, epoch=checkpoints.best_epoch))
        )
        device = trainer.strategy.root_device
        flow = module.flow.to(device).eval()  # the Trainer has left it on the processor
        scores = {split: evaluate(flow, data, split) for split in ("test", "val")}
        if not trainer.is_global_zero:
            return {}
        speed = sampling_speed(flow, data.rows["test"].context)
        if figures:
            from flowbench.figures.figures import draw_figures

            draw_figures(flow.cpu(), data, history.rows, folder.figures, figures)
        log_results(loggers, scores, folder, step=module.step)
    if reference:
        reference["difference"] = comparable(scores["test"]) - reference["mean"]
    return {
        "data": config["data"]["name"],
        "model": config["model"]["name"],
        "seed": config["seed"],
        "status": "finished",
        "features": data.features,
        "context_features": data.context_features,
        "parameters": sum(p.numel() for p in flow.parameters()),
        "rows": {split: len(rows) for split, rows in data.rows.items()},
        **scores,
        "published": reference,
        "steps": step_summary(
            folder.path,
            published_curve(reference["source"], config["data"]["name"]) if reference else (),
        ),
        "best_epoch": checkpoints.best_epoch,
        "epochs": len(history.rows),
        "seconds": history.rows[-1]["seconds"] if history.rows else None,
        "samples_per_second": speed,
        **environment(device, memory),
    }


def _refuse_changed_data(config: DictConfig, folder: RunFolder) -> None:
    """Hold the data against those of the result, as far as they are still there."""
    present = build_data(resolved(config)["data"]).fingerprint()
    if present is not None:
        folder.record_data(present)


def _data(config: dict[str, Any], folder: RunFolder) -> DataModule:
    data = build_data(config["data"])
    data.prepare_data()
    data.setup()
    rank_zero_only(folder.record_data)(data.raw.sha256)
    return data


def _figures(config: dict[str, Any]) -> list[str]:
    """Names of the figures that the configuration asks for."""
    figures = config.get("figures", True)
    if not figures:
        return []
    from flowbench.figures.figures import chosen  # matplotlib is slow to import

    return chosen(None if figures is True else figures)


def _callbacks(config: dict[str, Any]) -> list[Callback]:
    """Those that the configuration asks for."""
    ema = config["training"]["ema"]
    averages: list[Callback] = [WeightAverage(ema)] if ema is not None else []
    return averages + [instantiate(node) for node in config["callbacks"].values()]


def _module(config: dict[str, Any], data: DataModule) -> MaximumLikelihood:
    elsewhere = ("batch_size", "patience", "ema")
    options = {k: v for k, v in config["training"].items() if k not in elsewhere}
    flow = build_flow(config["model"], **data.sizes)
    if data.raw.discrete and not flow.discrete:
        raise DataError(
            f"model={config['model']['name']} is a density of real numbers, which has no bound on "
            f"the values 0 and 1 of data={config['data']['name']}; expected a distribution of "
            "these, such as model=made_bernoulli"
        )
    return MaximumLikelihood(
        flow,
        **options,
        total_steps=config["trainer"]["max_epochs"] * data.train_dataloader().steps,
        saved=saved_values(config, data),
    )


def _initialize(
    module: MaximumLikelihood, data: DataModule, folder: RunFolder, config: dict[str, Any]
) -> Path | None:
    """Give the flow what it starts with; the checkpoint to go on from, if there is one."""
    if folder.last.exists() and not config["overwrite"]:
        return folder.last
    module.flow.initialize(data.rows["train"].x, data.rows["train"].context)
    if config["init_from"] is not None:
        start_from(module.flow, config["init_from"])
    return None


def _fit(
    trainer: pl.Trainer,
    module: MaximumLikelihood,
    data: DataModule,
    *,
    best: Path,
    resume: Path | None,
) -> bool:
    """Train, from a checkpoint if there is one; without parameters, which it tells, only fit."""
    if any(parameter.requires_grad for parameter in module.parameters()):
        trainer.fit(module, datamodule=data, ckpt_path=resume, weights_only=True)
        return True
    trainer.strategy.connect(module)
    trainer.save_checkpoint(best, weights_only=True)
    return False
