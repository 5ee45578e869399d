r"""The probabilities p(label) with which a density given labels becomes log p(x)."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from flowbench.config.settings import Evaluation
from flowbench.data import DataError, DataModule
from flowbench.evaluation.background import open_background

__all__ = ["ClassPrior", "class_prior", "labels_of", "refuse_idle"]


class ClassPrior(NamedTuple):
    """A distribution over labels.

    Attributes:
        kind: "uniform", "empirical" or "given".
        shares: label → its probability.
    """

    kind: Literal["uniform", "empirical", "given"]
    shares: dict[str, float]

    @property
    def log(self) -> Tensor:
        """The logarithms, float64 `[labels]`; −inf of a label that is impossible."""
        return torch.tensor([*self.shares.values()], dtype=torch.float64).log()


def labels_of(data: DataModule) -> list[str]:
    """The labels whose one-hot form ends the context; empty where it has none."""
    return getattr(data, "labels", []) if getattr(data, "label_context", False) else []


def class_prior(data: DataModule, asked: str | Sequence[float] | None = None) -> ClassPrior:
    """The distribution over the labels of some data.

    Args:
        data: the data module, set up, whose contexts end in one-hot labels.
        asked: "uniform"; "empirical", the shares of the training events; probabilities in the
            order of the labels; None: what the data module names, else "uniform".

    Raises:
        DataError: there is not one probability per label, or they do not sum to 1.
    """
    labels = labels_of(data)
    wanted = getattr(data, "class_prior", "uniform") if asked is None else asked
    if wanted == "uniform":
        return ClassPrior("uniform", dict.fromkeys(labels, 1 / len(labels)))
    if wanted == "empirical":
        context = data.rows["train"].context
        assert context is not None
        counts = context[:, -len(labels) :].sum(0, dtype=torch.float64)
        shares = (counts / counts.sum()).tolist()
        return ClassPrior("empirical", dict(zip(labels, shares, strict=True)))
    shares = [float(share) for share in wanted]
    if len(shares) != len(labels) or abs(sum(shares) - 1) > 1e-6:
        raise DataError(
            f"evaluation.class_prior={shares}: expected {len(labels)} probabilities that sum "
            f"to 1, in the order of the labels {', '.join(labels)}"
        )
    return ClassPrior("given", dict(zip(labels, shares, strict=True)))


def refuse_idle(data: DataModule, options: Evaluation) -> None:
    """Refuse ways of scoring that have no effect on these data, before a training.

    Raises:
        DataError: naming the key.
        CheckpointError: the background cannot be read.
    """
    if options.class_prior is not None:
        if not labels_of(data):
            raise DataError(
                f"evaluation.class_prior={options.class_prior}: this density is not given labels; "
                "leave it out, or set data.label_context=true where the data have labels"
            )
        class_prior(data, options.class_prior)
    if options.draws > 1 and not data.has_noise:
        raise DataError(
            f"evaluation.draws={options.draws}: the scored rows hold no dequantisation noise to "
            "average over; leave it out"
        )
    if options.background is not None:
        open_background(options.background, data)
