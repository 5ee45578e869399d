"""Images as flat vectors: what all image data sets have in common."""

from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Literal

import numpy as np
import torch
from annotated_types import Gt, Lt
from numpy.typing import NDArray
from typing_extensions import TypeAliasType

from flowbench.config.options import options_of
from flowbench.data.chunks import chunks
from flowbench.data.download.originals import OriginalDataModule
from flowbench.data.download.tree import warn_of_others
from flowbench.data.images.dequantisation import dequantise
from flowbench.data.images.layouts import Layout, PixelOrder, layout_steps
from flowbench.data.loader import BatchLoader, Rows
from flowbench.data.options import DataError
from flowbench.data.raw import SPLITS, RawData

__all__ = ["Alpha", "Dequantize", "ImageDataModule"]

Alpha = TypeAliasType("Alpha", Annotated[float, Gt(0), Lt(0.5)])
Dequantize = Literal["once", "epoch"]
Binarize = Literal["threshold", "sampled"]


class ImageDataModule(OriginalDataModule, options=options_of(OriginalDataModule)):
    r"""Images; a subclass converts them (`build`, with `dequantisation.write_pictures`).

    Data units are x = pixel + U[0, 1) in [0, levels), in the order height, width, channel. Model
    space is logit(α + (1 − 2α) x / levels), in the configured layout. Binarised images are 0 and 1
    in both, for discrete distributions; their log-likelihood is that of probabilities.

    Args:
        alpha: how far pixels are pulled in from 0 and 1 before the logit.
        dequantize: draw the noise of the training rows "once", or afresh every "epoch"; that of
            validation and test rows is fixed.
        binarize: None: grey levels or colours; "threshold": the upper half of the levels is 1;
            "sampled": 1 with probability pixel / (levels − 1), drawn when the noise would be.
            Both are for discrete distributions, such as `MADE` with Bernoulli outputs.
        layout: "interleaved" (r0 g0 b0 r1 g1 b1 …) or "planar" (channel after channel): one event;
            "shared_channels" or "separate_channels": the channels are independent, modelled with
            shared or with separate weights.
        pixel_order: "raster" (row by row), "reversed", or "random" (by the seed).
        label_context: condition the density on the label, one-hot.
        seed: seeds the order of batches, a random pixel order, and noise drawn every epoch; the
            split is fixed.

    Attributes:
        image_shape: height, width, channels; available after `setup`.
        labels: names of the labels, in the order of the one-hot context; available after `setup`.
    """

    levels: int = 256

    def __init__(
        self,
        *,
        alpha: Alpha = 1e-6,
        dequantize: Dequantize = "once",
        binarize: Binarize | None = None,
        layout: Layout = "interleaved",
        pixel_order: PixelOrder = "raster",
        label_context: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.alpha = alpha
        self.dequantize = dequantize
        self.binarize = binarize
        self.layout: Layout = layout
        self.pixel_order: PixelOrder = pixel_order
        self.label_context = label_context

    @property
    def sizes(self) -> dict[str, Any]:
        """The keyword arguments of `build_flow`; channels modelled independently are blocks."""
        if not self.layout.endswith("_channels"):
            return super().sizes
        shared = self.layout == "shared_channels"
        return super().sizes | {"blocks": self.channels, "shared": shared}

    @property
    def lattice(self) -> dict[str, Any]:
        """The levels of the pixels, as plain values for a model of levels."""
        binary = self.binarize is not None
        return {
            "levels": 2 if binary else self.levels,
            "shape": list(self.image_shape),
            "preprocess": self.raw.preprocess,
            "discrete": binary,
        }

    @property
    def channels(self) -> int:
        """Number of channels of an image."""
        return self.image_shape[2]

    @property
    def pixels(self) -> int:
        """Number of pixels of one channel."""
        return self.image_shape[0] * self.image_shape[1]

    def read(self) -> RawData:
        """The three splits in data units, float32; memory-mapped unless binarised.

        Raises:
            DataError: an original is missing, damaged or truncated, has no labels where they are
                needed, or has a label that no training image has.
        """
        found = self.conversion()
        warn_of_others(found.meta)
        height, width, channels = found.meta["shape"]
        self.image_shape: tuple[Any, Any, Any] = (height, width, channels)
        self.labels: list[str] = found.meta["labels"]
        self._dequantised = {split: found.arrays[split] for split in SPLITS}
        self.check_shapes(self._dequantised)
        rng = np.random.RandomState(42)
        x = self._dequantised
        if self.binarize is not None:
            x = {split: self._binary(values, rng) for split, values in x.items()}
        return RawData(
            x=x,
            preprocess=[*self._logit(), *self._layout()],
            feature_names=_feature_names(self.image_shape),
            sha256=found.sha256,
            context=self._contexts(found.arrays) if self.label_context else {},
            dequantized=self.binarize is None,
            discrete=self.binarize is not None,
        )

    def pictures(self, x: NDArray[Any] | torch.Tensor) -> NDArray[np.uint8]:
        """Rows `[..., features]` in data units as images `[..., height, width, channels]`."""
        top = self.levels - 1 if self.binarize is None else 1
        pixels = np.clip(np.floor(np.asarray(x)), 0, top)
        shape = (*pixels.shape[:-1], *self.image_shape)
        return np.round(pixels * (255 / top)).astype(np.uint8).reshape(shape)

    def train_dataloader(self) -> BatchLoader:
        """Shuffled minibatches of the training rows, their noise redrawn every epoch if set."""
        if self.dequantize == "once" or self.binarize == "threshold":
            return super().train_dataloader()
        return _RedrawnLoader(self.rows["train"], redraw=self._redraw, **self.batches)

    def redrawn(self, split: str, draw: int) -> Rows:
        """The rows of a split with another draw of the noise."""
        known, rng = self._dequantised[split], np.random.default_rng([draw, SPLITS.index(split)])
        x = np.empty(known.shape, np.float32)
        for part in chunks(*known.shape):
            x[part] = self._drawn(known[part], rng)
        fresh = self.model_space(x)
        return self.rows[split].changed(x=fresh.x, log_det=fresh.log_det)

    def _redraw(self, epoch: int) -> None:
        """Replace the training rows by those of the given epoch, in place."""
        rng = np.random.default_rng([self.seed, epoch])
        rows = self.rows["train"]
        for part in chunks(*rows.x.shape):
            fresh = self.model_space(self._drawn(self._dequantised["train"][part], rng))
            rows.x[part].copy_(fresh.x)
            rows.log_det[part].copy_(fresh.log_det)

    def _drawn(self, values: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
        if self.binarize is None:
            return dequantise(np.floor(values).astype(np.uint8), rng)
        return self._binary(values, rng)

    def _binary(
        self, values: NDArray[Any], rng: np.random.RandomState | np.random.Generator
    ) -> NDArray[np.float32]:
        if self.binarize == "threshold":
            return (values >= np.ceil(self.levels / 2)).astype(np.float32)  # not random
        one = np.empty(values.shape, np.float32)
        for part in chunks(*values.shape):
            probability = np.floor(values[part]) / (self.levels - 1)
            one[part] = rng.random(probability.shape) < probability
        return one

    def _logit(self) -> list[dict[str, Any]]:
        if self.binarize is not None:
            return []
        scale = {"scale": float(self.levels), "features": int(np.prod(self.image_shape))}
        return [{"name": "Affine", **scale}, {"name": "Logit", "alpha": self.alpha}]

    def _layout(self) -> list[dict[str, Any]]:
        return layout_steps(
            self.image_shape, layout=self.layout, pixel_order=self.pixel_order, seed=self.seed
        )

    def _contexts(self, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
        if len(self.labels) < 2:
            raise DataError(
                f"data.label_context={self.label_context}: the pictures of {self.name} must have "
                f"at least two labels, but have {self.labels or 'none'}"
            )
        learnt = set(np.unique(arrays["train_labels"]).tolist())
        if unknown := [label for code, label in enumerate(self.labels) if code not in learnt]:
            raise DataError(
                f"data.label_context={self.label_context}: {self.name} holds the label "
                f"{unknown[0]!r}, but in no training picture"
            )
        one_hot = np.eye(len(self.labels), dtype=np.float32)
        return {split: one_hot[arrays[f"{split}_labels"]] for split in SPLITS}


class _RedrawnLoader(BatchLoader):
    """Rows that are redrawn whenever an epoch starts, or resumes after an interruption."""

    def __init__(self, rows: Rows, *, redraw: Callable[[int], None], **batches: Any) -> None:
        super().__init__(rows, **batches)
        self.redraw = redraw

    def __iter__(self) -> Iterator[Any]:
        self.redraw(self.epoch + (self.item >= len(self)))
        yield from super().__iter__()


def _feature_names(shape: tuple[int, int, int]) -> list[str]:
    height, width, channels = shape
    names = ("pixel",) if channels == 1 else ("red", "green", "blue")
    return [f"{name}{pixel}" for pixel in range(height * width) for name in names]
