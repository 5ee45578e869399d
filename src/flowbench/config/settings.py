"""The settings of a run, typed: every key with its limits, default and meaning."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from flowbench.config.limits import (
    Accelerator,
    AtLeastOne,
    AtLeastZero,
    Decay,
    Duration,
    Engine,
    NotNegative,
    Positive,
    Prior,
    Probability,
    Schedule,
    Seed,
    Text,
    TimeUnit,
    TimeUnits,
)

__all__ = ["Auto", "Evaluation", "Paths", "Published", "Settings", "TrainerKeys", "Training"]


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a flow is optimised: the section `training`.

    Args:
        batch_size: rows per optimiser step, over all devices together.
        learning_rate: of the optimiser, at the first step.
        weight_decay: λ of the penalty ½ λ Σ w² over all parameters.
        noise: standard deviation of Gaussian noise added to the rows of every step, in model
            space.
        ema: decay of an exponential moving average of the parameters, which is validated, saved
            and scored in their place; null (None): no averaging.
        gradient_clip_norm: largest gradient norm (L2) of a step; null (None): no clipping.
        optimizer: null (None): Adam; else e.g. `{_target_: torch.optim.SGD, momentum: 0.9}`,
            which is given `learning_rate` and `weight_decay` unless it sets `lr` or
            `weight_decay` itself.
        schedule: "constant"; "cosine", down to 0 at the last epoch; or a scheduler, e.g.
            `{_target_: torch.optim.lr_scheduler.StepLR, step_size: 1000}`, which is stepped at
            every optimiser step.
        patience: early stopping after this many epochs without a better validation
            log-likelihood; null (None): no early stopping.
        engine: what computes a step, to the same numbers up to rounding: "plain", PyTorch;
            "native", compiled for this processor on first use, for stacks of affine
            autoregressive or coupling layers on the CPU ("plain" for all others); "compiled", by
            torch.compile, for any flow that this can trace; "auto", "native" for a training of
            3000 steps or more at most, "compiled" on CUDA and, where "native" does not apply, for
            50,000 steps or more.
    """

    batch_size: AtLeastOne = 256
    learning_rate: Positive = 1e-3
    weight_decay: NotNegative = 1e-6
    noise: NotNegative = 0.0
    ema: Decay | None = None
    gradient_clip_norm: Positive | None = 5.0
    optimizer: Mapping[str, Any] | None = None
    schedule: Schedule | Mapping[str, Any] = "constant"
    patience: AtLeastOne | None = 30
    engine: Engine = "auto"


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """How a trained density is scored: the section `evaluation`.

    Args:
        class_prior: p(label) of a density given labels, in log p(x) = log Σ p(x | label) p(label)
            and in Bayes' rule: "uniform"; "empirical", the shares of the training rows; or one
            probability per label, in their order. null (None): uniform, as in the tables of the
            literature, but empirical for your own folders (data=images and data=sound).
        draws: how many draws of the dequantisation noise log-likelihoods are averaged over, where
            the rows hold some.
        background: the run of a density of all words (`data.train_label=null`, the same features);
            words are told apart by log p(x | word) − log p(x) too. null (None): by
            log p(x | word) alone.
    """

    class_prior: Prior | Sequence[Probability] | None = None
    draws: AtLeastOne = 1
    background: Text | None = None


@dataclass(frozen=True, kw_only=True)
class Auto:
    """The search of `model=auto`: the section `auto`.

    Args:
        minutes: wall time, at most, from when the data are read until test rows are scored.
    """

    minutes: Positive = 10.0


@dataclass(frozen=True, kw_only=True)
class TrainerKeys:
    """The keys of the Trainer: those that flowbench reads or limits itself, and all others.

    Args:
        max_epochs: passes over the training rows, at most.
        max_time: wall time of the training, at most, as DD:HH:MM:SS; null (None): no limit.
        accelerator: "auto" (CUDA, else the CPU), "cpu", "gpu", …
        devices: how many on each machine; "auto" or -1: all there are; or the numbers of GPUs,
            from 0.
        num_nodes: machines.
        strategy: "auto", or "ddp" for several devices.
        min_epochs: passes over the training rows, at least.
        log_every_n_steps: steps between rows of the loggers.
        profiler: "simple" or "advanced": measure the parts of the Trainer.
        enable_progress_bar: show the epochs on stderr.
        others: further keys of `pytorch_lightning.Trainer`, as they are.
    """

    max_epochs: AtLeastOne
    max_time: Duration | Mapping[TimeUnit, TimeUnits] | None = None
    accelerator: Accelerator
    devices: AtLeastOne | Literal["auto", -1] | Sequence[AtLeastZero] = 1
    num_nodes: AtLeastOne = 1
    strategy: Literal["auto", "ddp"] = "auto"
    min_epochs: AtLeastZero | None = None
    log_every_n_steps: AtLeastOne | None = None
    profiler: Literal["simple", "advanced"] | None = None
    enable_progress_bar: bool = True
    others: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, section: Mapping[str, Any]) -> "TrainerKeys":
        """The section `trainer` of a configuration."""
        own = {name: value for name, value in section.items() if name in cls.own()}
        return cls(**own, others={k: v for k, v in section.items() if k not in own})

    @classmethod
    def own(cls) -> list[str]:
        """The keys that flowbench reads or limits itself."""
        return [one.name for one in fields(cls) if one.name != "others"]

    def keywords(self) -> dict[str, Any]:
        """All keys, as keyword arguments of the Trainer."""
        return {name: getattr(self, name) for name in self.own()} | dict(self.others)


@dataclass(frozen=True, kw_only=True)
class Paths:
    """Where files are.

    Args:
        data: folder of the original data files; it may be read-only.
        output: folder of the run folders.
        cache: folder of converted data, which is safe to delete.
    """

    data: Text
    output: Text
    cache: Text


@dataclass(frozen=True, kw_only=True)
class Published:
    """A published result to compare with.

    Args:
        source: the paper, e.g. "Papamakarios et al. 2017".
        model: as the paper names it, e.g. "MAF (5)".
    """

    source: Text
    model: Text


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of a run.

    Args:
        seed: of initial weights, shuffling, noise and generated data.
        overwrite: delete this run's earlier contents and start over.
        init_from: a run folder or checkpoint that gives the initial parameters; null: none.
        save_minutes: minutes between checkpoints; a crash loses no more training than that.
        figures: drawn at the end: true (all that apply), false, or a list of names.
        published: a published result to compare with; null: none.
        protocol: values that the files of a protocol share; a run does not read them.
        paths: where files are.
        model: the flow: `name`, `_target_` and its options.
        data: the data module: `name`, `_target_` and its options.
        module: the Lightning module, a `flowbench.training.flow_module.FlowModule`: `_target_`
            and its options; null: `MaximumLikelihood`.
        training: how the flow is optimised.
        evaluation: how it is scored.
        auto: how long `model=auto` searches.
        trainer: where it is trained, and for how long.
        logger: the loggers: name → `_target_` and options.
        callbacks: further callbacks of the Trainer: name → `_target_` and options.
        plain: the whole configuration as plain values, for the records of the run.
    """

    seed: Seed
    overwrite: bool
    init_from: Text | None
    save_minutes: Positive
    figures: bool | Sequence[str] = True
    published: Published | None
    protocol: Mapping[str, Any] | None = None
    paths: Paths
    model: Mapping[str, Any]
    data: Mapping[str, Any]
    module: Mapping[str, Any] | None = None
    training: Training
    evaluation: Evaluation = field(default_factory=Evaluation)
    auto: Auto = field(default_factory=Auto)
    trainer: TrainerKeys
    logger: Mapping[str, Any]
    callbacks: Mapping[str, Any]
    plain: Mapping[str, Any] = field(repr=False)
