"""Train a flow on tensors in a few lines, without Hydra and without a run folder."""

import copy
import math
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from numbers import Real
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from numpy.typing import ArrayLike
from pytorch_lightning.callbacks import Callback
from torch import Tensor, nn

from flowbench.checkpoint import TrainedDensity, saved_values, start_from
from flowbench.config.annotations import fits
from flowbench.config.checked import takes
from flowbench.config.limits import Accelerator, AtLeastOne, NotNegative, Positive, Seed, Share
from flowbench.config.options import options_of
from flowbench.config.settings import Training
from flowbench.config.words import describe
from flowbench.data import DataModule
from flowbench.data.arrays import Arrays, Pair, held_out, validation_pair
from flowbench.flows import Flow
from flowbench.flows.arguments import kind
from flowbench.flows.atoms import Atoms
from flowbench.flows.conditionals import CellConditionals
from flowbench.flows.lattice import LatticeBase
from flowbench.frames import column_names
from flowbench.training.accelerator import absent, chosen
from flowbench.training.averaging import averages
from flowbench.training.callbacks import BestAndLast, EpochBar, History
from flowbench.training.checkpoint_files import CheckpointFiles
from flowbench.training.flow_module import is_trainable
from flowbench.training.maximum_likelihood import MaximumLikelihood
from flowbench.training.quiet import quiet
from flowbench.transforms.weighted_rows import on_rows

__all__ = ["fit"]

PEERS = {"zuko": "Zuko", "nflows": "NFlows", "normflows": "NormFlows"}


@takes(options_of(Training))
def fit(  # noqa: D417 (those of `training` come from its dataclass)
    flow: Flow,
    x: Tensor | ArrayLike,
    context: Tensor | ArrayLike | None = None,
    *,
    weights: Tensor | ArrayLike | None = None,
    validation: float | Tensor | ArrayLike | tuple[Any, Any] = 0.1,
    standardized: bool = True,
    init_from: str | Path | None = None,
    max_epochs: AtLeastOne = 1000,
    minutes: Positive | None = None,
    accelerator: Accelerator = "cpu",
    seed: Seed = 0,
    progress: bool = True,
    weight_decay: NotNegative = 0.0,
    **training: Any,
) -> TrainedDensity:
    """Train a flow by maximum likelihood; the best epoch on held-out rows is kept.

    The engine is that of `python train.py`, with its early stopping and batch-norm statistics.
    The flow itself is trained, in place, and in its own type: float64 after `flow.double()`. The
    density has a copy of it: to train the same flow again does not change an earlier density.
    Parameters that need no gradient stay as they are. A part that is in evaluation mode, in a flow
    that is in training mode, stays so: its batch norms keep their statistics.

    Args:
        flow: the density, e.g. `flowbench.MAF(features)`.
        x: rows `[rows, features]` in their own units: a tensor, array, list or frame, of which the
            density keeps the names of the columns. NaN is a missing cell for `Gaussian` and
            `GaussianMixture`, which integrate it out; other flows refuse it.
        context: what the density is conditioned on, `[rows, context_features]`, in the same forms;
            an array `[rows, …]` of contexts that are not vectors, where the flow has an embedding.
        weights: how much each row counts, `[rows]`, at least 0 and of any scale: all means are
            weighted by them, and rows of weight 0 are left out. None: all the same.
        validation: share of the rows that is held out, drawn by the seed; or rows of your own in
            the form of x, with contexts a tuple of both. A flow that is fitted in closed form
            needs none: it is fitted to all rows.
        standardized: bring rows and contexts (vectors) to mean 0 and standard deviation 1 first,
            except for features that are angles (`circular`), which are given in radians;
            what comes back is a density in the units of x all the same. A column of the context
            that does not vary is only centred; contexts in one-hot form are left as they are.
            Rows of 0 and 1 need False.
        init_from: a run folder or checkpoint of the same flow, whose parameters to start from.
        max_epochs: passes over the training rows, at most.
        minutes: wall time of the training, at most, after which the best epoch so far is kept;
            None: no limit.
        accelerator: "cpu", "gpu", "mps" or "auto" (a GPU of CUDA if there is one, else "cpu").
        seed: of the split, of the order of batches, of noise.
        progress: show the epochs on stderr: in a terminal as a bar, in a notebook as a line every
            few seconds, elsewhere not at all.

    Returns:
        The density in the units of x, as `flowbench.load` gives it, with a `history` of one row of
        scores per epoch; its `save` writes what `flowbench.load` reads.

    Raises:
        TypeError: `flow` is not a `Flow`.
        ValueError: an option is out of range, rows or contexts do not fit the flow, the flow holds
            numbers of 16 bits or is on the meta device, or a discrete flow is to be trained on
            standardised rows.
        DataError: the rows are not finite, or do not fit one another, or a column is constant or
            a linear combination of others.
        CheckpointError: `init_from` is not there, or is of another flow.
        NonFiniteError: a log-likelihood of training rows, or every one of held-out rows, is NaN or
            infinite.

    Example:
        >>> import flowbench, torch
        >>> x = 100 + 5 * torch.randn(500, 2, generator=torch.Generator().manual_seed(0))
        >>> density = flowbench.fit(flowbench.MAF(2, layers=1), x, max_epochs=2)
        >>> density.log_prob(x).shape, density.sample(3).shape
        (torch.Size([500]), torch.Size([3, 2]))
    """
    options = Training(weight_decay=weight_decay, **training)
    _refuse_other_than_flows(flow)
    if flow.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"the flow holds {flow.dtype}, expected torch.float32 or torch.float64")
    if flow.device.type == "meta":
        raise ValueError(
            "the flow is on the meta device, where parameters have no values; expected it on a "
            'CPU or GPU: build it there, or flow.to_empty(device="cpu") and load a state dict'
        )
    if standardized and any(map(_is_of_points, flow.modules())):
        raise ValueError(
            "the flow is one of the levels of a lattice or of single values, from which "
            "standardizing would move the rows; pass standardized=False"
        )
    if flow.discrete and standardized:
        raise ValueError(
            "the flow is a distribution of values 0 and 1, which standardizing would change; "
            "pass standardized=False"
        )
    if reason := absent(accelerator):
        raise ValueError(f"accelerator={accelerator!r}: {reason}")
    missing = flow.marginalizes
    rows = Pair.of(x, context, weights, missing=missing)
    _refuse_misfits(flow, rows)
    splits = _splits(rows, validation, seed, flow)
    data = Arrays(
        splits,
        standardized=standardized,
        batch_size=options.batch_size,
        seed=seed,
        discrete=flow.discrete,
        circular=getattr(flow, "circular", ()),
        missing=missing,
    )
    data.dtype = flow.dtype
    data.setup()
    if not flow.training:
        flow.train()  # the Trainer keeps the modes that it finds
    saved = saved_values({}, data) | {"context_columns": column_names(context)}
    with tempfile.TemporaryDirectory() as folder, _seeded(seed, accelerator):
        train = data.rows["train"]
        on_rows(flow.initialize, train.x, train.context, train.weight)
        if init_from is not None:
            start_from(flow, init_from)
        module = MaximumLikelihood(flow, options)
        module.saved = saved
        history = History(Path(folder) / "metrics.csv")
        best, last = Path(folder) / "best.ckpt", Path(folder) / "last.ckpt"
        keeper = BestAndLast(best=best, last=last, patience=options.patience)
        if is_trainable(module):
            bar = [EpochBar()] if progress and _is_watched() else []
            callbacks = [*averages(options), *bar, history, keeper]
            _train(module, data, callbacks, max_epochs, minutes, accelerator)
            flow.load_state_dict(keeper.best_state())
        else:
            on_rows(flow.recompute_statistics, train.x, train.context, train.weight)
    return TrainedDensity(
        copy.deepcopy(flow.cpu().eval()),
        preprocess=data.preprocess,
        context_preprocess=data.context_preprocess,
        config={},
        context_shape=data.context_shape,
        feature_names=data.raw.feature_names,
        saved=saved,
        history=history.rows,
    )


def _splits(rows: Pair, validation: Any, seed: int, flow: Flow) -> dict[str, Pair]:
    if not isinstance(validation, Real):
        own = validation_pair(validation, rows, missing=flow.marginalizes)
        return {"train": rows, "val": own}
    if not fits(validation, Share):
        raise ValueError(f"validation={validation!r}: expected {describe(Share)}")
    if not any(parameter.requires_grad for parameter in flow.parameters()):
        return {"train": rows, "val": rows}
    return held_out(rows, float(validation), seed=seed)


def _is_of_points(part: nn.Module) -> bool:
    """Whether a part of a flow is of the levels of lattices, or of atoms."""
    levels = isinstance(part, LatticeBase | CellConditionals)
    return levels or (isinstance(part, Atoms) and bool(part.columns))


def _refuse_misfits(flow: Flow, rows: Pair) -> None:
    """Refuse rows and contexts that the flow was not made for, both together."""
    columns = {"x": rows.x.shape[1], "context": 0}
    if rows.context is not None:
        columns["context"] = math.prod(rows.context.shape[1:])
    found = list(_misfit("x", columns["x"], "features", flow.features))
    if flow.embedding is None and flow.context_features is not None:
        found += _misfit("context", columns["context"], "context_features", flow.context_features)
    if found:
        raise ValueError("; ".join(found))


def _misfit(name: str, columns: int, key: str, size: int) -> Iterator[str]:
    if columns != size:
        given = f"{name} has {columns} column{'s' * (columns != 1)}" if columns else f"no {name}"
        yield f"{given}, but the flow has {key}={size}"


def _refuse_other_than_flows(flow: object) -> None:
    if isinstance(flow, Flow):
        return
    if isinstance(flow, type) and issubclass(flow, Flow):
        raise TypeError(
            f"flow is the class {flow.__name__}, expected a flow made by it: "
            f"{flow.__name__}(features)"
        )
    library, way = getattr(flow, "__module__", "").split(".")[0], ""
    if library in PEERS:
        way = (
            f": flowbench.flows.peers.{PEERS[library]}(features, flow=…) makes one of a flow of "
            f"{library}, from its class"
        )
    given = f"the class {flow.__name__}" if isinstance(flow, type) else f"a {kind(flow)}"
    raise TypeError(f"flow is {given}, expected a flowbench.Flow{way}")


def _is_watched() -> bool:
    """Whether someone sees stderr as it is written: in a terminal, or in a notebook."""
    return sys.stderr.isatty() or "ipykernel" in sys.modules


@contextmanager
def _seeded(seed: int, accelerator: str) -> Iterator[None]:
    """Random numbers of the training's own, after which the caller's go on as before."""
    gpus = [0] if torch.cuda.is_available() and chosen(accelerator) in ("cuda", "gpu") else []
    with torch.random.fork_rng(devices=gpus):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed all GPUs
        for gpu in gpus:
            torch.cuda.default_generators[gpu].manual_seed(seed)
        yield


def _train(
    module: MaximumLikelihood,
    data: DataModule,
    callbacks: list[Callback],
    max_epochs: int,
    minutes: float | None,
    accelerator: str,
) -> None:
    with quiet():
        pl.Trainer(
            max_epochs=int(max_epochs),
            max_time=None if minutes is None else timedelta(minutes=minutes),
            accelerator=chosen(accelerator),
            devices=1,
            callbacks=callbacks,
            plugins=[CheckpointFiles()],
            logger=False,
            num_sanity_val_steps=0,
            enable_model_summary=False,
            enable_progress_bar=any(isinstance(one, EpochBar) for one in callbacks),
        ).fit(module, datamodule=data)
