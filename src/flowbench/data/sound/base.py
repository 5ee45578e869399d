"""Spoken words as spectra or cepstra: what all audio data sets have in common."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from flowbench.config.combinations import ANY
from flowbench.config.limits import AtLeastZero
from flowbench.config.options import options_of
from flowbench.config.words import near_or_all
from flowbench.data.download.download import download
from flowbench.data.download.originals import OriginalDataModule
from flowbench.data.download.sources import SOURCES
from flowbench.data.download.tree import list_tree, warn_of_others
from flowbench.data.lazy import LazyRows
from flowbench.data.loader import Rows
from flowbench.data.moments import moments, standardize
from flowbench.data.options import DataError
from flowbench.data.raw import SPLITS, RawData
from flowbench.data.sound.clips import Clip, find_clips, leave_out, refuse_unlearnt_labels
from flowbench.data.sound.feature_options import FeatureOptions
from flowbench.data.sound.features import write_splits
from flowbench.data.sound.files import SUFFIXES
from flowbench.data.sound.frames import ClipContexts

__all__ = ["SoundDataModule"]

Magnitude = Literal["linear", "log"]
ScoredSplit = Literal["val", "test"]
FEATURES = options_of(FeatureOptions)


class SoundDataModule(OriginalDataModule, options=options_of(OriginalDataModule) | FEATURES):
    r"""Clips `<label>/<clip>.wav` as spectra or cepstra; a subclass defines the splits.

    Clips may be of any format that soundfile reads: wav, flac, ogg, opus, mp3, aiff, ….
    A clip is averaged over its channels, resampled, cut or padded at its end to a fixed length,
    and given white noise of standard deviation `floor`, since a density is unbounded on digital
    silence. The noise of a clip depends only on its name. Data units are magnitudes (of samples in
    [−1, 1]), whose log preprocessing takes, or cepstra; both are standardised by the training
    rows. `window` defines a row:

    * "article": the first `fft_length` samples of the Hann-windowed clip, transformed, as in the
      call `stft(frame_length=16000, frame_step=1, fft_length=512)`;
    * "whole": the spectrum of the whole windowed clip at the same frequencies;
    * "frames": all frames of the clip side by side, `frames · coefficients` features;
    * "sequence": one frame, given `context_frames` frames before it (the mean training frame where
      the clip begins) and its position from 0 to 1. A clip is `rows_per_clip` consecutive rows;
      its log-likelihood is the sum of theirs.

    What does not say which word a clip is can be taken out: how loud it is (`level`), the pauses
    around it (`trim_db`), its tempo (`frames`), and the voice and the microphone (`cepstra` with
    `normalize`).

    Args:
        path: another folder with a subfolder of clips per label; None: the one in `data_dir`.
        train_label: the only label to train on, e.g. zero; clips of all labels can be scored.
            None: all labels.
        label_context: condition the density on the label, one-hot; every label needs training
            clips, and `train_label` is None.
        test_speaker: a speaker whose clips form the test split; train and val are the other
            speakers' clips, without those of the usual test split. None: the usual split.
        context_frames: number of earlier frames that a frame of a "sequence" is conditioned on.
        magnitude: scale of the magnitudes, "log" or "linear".
        standardize: scale every coefficient to mean 0 and standard deviation 1, by the training
            rows.
        seed: seeds the order of batches; the split and the noise are fixed.

    Attributes:
        labels: all labels, in the order of the one-hot context; available after `setup`.
        clips: split → its clips as (label, name), in row order; available after `setup`.
    """

    expected: ClassVar[dict[str, tuple[int, ...]]] = {}
    version = 3
    split_folders: ClassVar[bool] = False  # whether folders train/, val/, test/ may give the split

    needs: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "context_frames": {"window": "sequence"},
        "magnitude": {"cepstra": None},
        "frames": {"window": "sequence"},
        "normalize": {"cepstra": ANY},
    }

    @classmethod
    def conflicts(cls, options: Mapping[str, Any]) -> Iterator[str]:
        """Labels as contexts where there is one label, and frames that do not fit a clip."""
        if options["train_label"] is not None and options["label_context"]:
            yield (
                f"label_context=true needs several labels, but train_label="
                f"{options['train_label']} leaves one"
            )
        try:
            features = FeatureOptions(**{name: options[name] for name in FEATURES})
        except DataError as error:
            yield from (line.removeprefix("data.") for line in str(error).splitlines())
            return
        yield from features.tied(options["context_frames"])

    def __init__(
        self,
        *,
        train_label: str | None = None,
        label_context: bool = False,
        test_speaker: str | None = None,
        context_frames: AtLeastZero = 2,
        magnitude: Magnitude = "log",
        standardize: bool = True,
        **options: Any,
    ) -> None:
        features = {name: options.pop(name) for name in FEATURES if name in options}
        super().__init__(**options)
        self.feature_options: FeatureOptions = FeatureOptions(**features)
        self.train_label = train_label
        self.label_context = label_context
        self.test_speaker = test_speaker
        self.context_frames = context_frames
        self.magnitude = magnitude
        self.standardize = standardize

    @abstractmethod
    def splits(self, clips: Sequence[Clip]) -> Mapping[str, Sequence[Clip]]:
        """All clips, split into train, val and test."""

    @property
    def sequence(self) -> bool:
        """Whether a row is a single frame."""
        return self.feature_options.window == "sequence"

    @property
    def logarithmic(self) -> bool:
        """Whether preprocessing takes logarithms; those of cepstra are taken already."""
        return self.magnitude == "log" and self.feature_options.cepstra is None

    @property
    def other_measure(self) -> str | None:
        """That rows say nothing of the mean and deviation of their clip, where this is so."""
        return "clip-normalised" if self.feature_options.normalized else None

    @property
    def rows_per_clip(self) -> int:
        """Number of rows per clip; their log-likelihoods add up to the clip's."""
        return self.frames if self.sequence else 1

    def originals(self) -> list[Path]:
        """All clips in the folder."""
        return self._files() or [self.root / "<label>" / "<clip>.wav"]

    def options(self) -> dict[str, Any]:
        """Other options that affect the conversion."""
        own = {"train_label": self.train_label, "test_speaker": self.test_speaker}
        return own | vars(self.feature_options)

    def prepare_data(self) -> None:
        """Download missing clips and convert them, unless already done."""
        if self.path is None and self.name in SOURCES and not self._files():
            download(self.name, data_dir=self.data_dir)
        super().prepare_data()

    def build(self, folder: Path) -> dict[str, Any]:
        """Write features: of the learnt word for train, of all words for val and test."""
        clips = find_clips(self.root, self.originals(), splits=self.split_folders)
        labels = sorted({clip.label for clip in clips})
        if self.train_label is not None and self.train_label not in labels:
            near = near_or_all(self.train_label, labels)
            raise DataError(f"data.train_label={self.train_label}: no such label{near}")
        kept: dict[str, list[Clip]] = {}
        for split, members in self._all_splits(clips).items():
            kept[split] = [c for c in members if split != "train" or self._learnt(c.label)]
            if not any(self._learnt(clip.label) for clip in kept[split]):
                raise DataError(
                    f"{self.name}: no clip of {self.train_label or 'any label'} in {self.root} "
                    f"belongs to the split {split!r}, expected at least one"
                )
        write_splits(folder, kept, self.feature_options)
        names = {s: [(clip.label, clip.name) for clip in part] for s, part in kept.items()}
        return {"labels": labels, "clips": names}

    def read(self) -> RawData:
        """The three splits of the learnt label(s) in data units.

        Raises:
            DataError: the clips or the options are invalid.
        """
        found = self.conversion()
        warn_of_others(found.meta)
        self.labels: list[str] = found.meta["labels"]
        self._magnitudes, self._clips = found.arrays, found.meta["clips"]
        self.clips: dict[str, list[tuple[str, str]]] = {
            split: self._select(found.meta["clips"][split]) for split in SPLITS
        }
        if self.label_context:
            refuse_unlearnt_labels(self.labels, self.clips, self.root)
        magnitudes = {split: found.arrays[split] for split in SPLITS}
        if self.train_label is not None:
            for split in ("val", "test"):
                magnitudes[split] = magnitudes[split][self._of(self.train_label, split)]
        _, self.frames, self.coefficients = magnitudes["test"].shape
        events = {split: self._events(part) for split, part in magnitudes.items()}
        names = self._names()
        values = self._logarithm(events["train"]) if self.logarithmic else events["train"]
        steps: list[dict[str, Any]] = []
        if self.logarithmic:
            steps.append({"name": "Log", "columns": list(range(len(names)))})
        if self.standardize:
            steps += standardize(values, names, where=f"training clips of {self.root}")
        self._given = ClipContexts(
            frames=self.frames if self.sequence else None,
            count=self.context_frames,
            start=self._mean_frame(values) if self.sequence else np.empty(0),
            labels=self.labels if self.label_context else [],
        )
        contexts = {
            split: self.contexts(part, [label for label, _ in self.clips[split]])
            for split, part in magnitudes.items()
        }
        return RawData(
            x=events,
            preprocess=steps,
            feature_names=names,
            sha256=found.sha256,
            context={s: part for s, part in contexts.items() if part is not None},
            context_preprocess=self._given.preprocess(steps),
        )

    @property
    def scored(self) -> Mapping[str, Rows]:
        """Label → its test clips in model space, made on access; only labels that have some.

        The clips are in the order of `test_clips(label)`, `rows_per_clip` rows each.
        """
        return self.scored_of("test")

    def scored_of(self, split: ScoredSplit) -> Mapping[str, Rows]:
        """Like `scored`, for "val" or "test" clips."""
        present = {label for label, _ in self._clips[split]}
        known = [label for label in self.labels if label in present]
        return LazyRows(known, partial(self._scored_rows, split=split))

    def test_clips(self, label: str) -> list[str]:
        """Names of a label's test clips."""
        return [name for other, name in self._clips["test"] if other == label]

    def spectrograms(self, x: NDArray[Any] | torch.Tensor) -> NDArray[Any]:
        """Rows of whole clips in data units, as `[clips, frames, coefficients]`."""
        return np.asarray(x).reshape(-1, self.frames, self.coefficients)

    def contexts(
        self, magnitudes: NDArray[Any], labels: Sequence[str]
    ) -> NDArray[np.float32] | None:
        """The contexts of clips in data units, one per row; None if rows have none.

        Args:
            magnitudes: `[clips, n, coefficients]`, the first n frames of clips.
            labels: one per clip.
        """
        return self._given.rows(magnitudes, labels)

    def _files(self) -> list[Path]:
        return list_tree(self.root, suffixes=SUFFIXES, name=self.name, cache_dir=self.cache_dir)

    def _all_splits(self, clips: Sequence[Clip]) -> Mapping[str, Sequence[Clip]]:
        splits = self.splits(clips)
        return splits if self.test_speaker is None else leave_out(splits, clips, self.test_speaker)

    def _learnt(self, label: str) -> bool:
        return self.train_label in (None, label)

    def _select(self, clips: list[list[str]]) -> list[tuple[str, str]]:
        return [(label, name) for label, name in clips if self._learnt(label)]

    def _of(self, label: str, split: ScoredSplit) -> NDArray[np.intp]:
        return np.flatnonzero([other == label for other, _ in self._clips[split]])

    def _events(self, magnitudes: NDArray[Any]) -> NDArray[Any]:
        """Rows of clips `[clips, frames, coefficients]`."""
        width = self.coefficients if self.sequence else self.frames * self.coefficients
        return magnitudes.reshape(-1, width)

    def _logarithm(self, events: NDArray[Any]) -> NDArray[Any]:
        if (events <= 0).any():
            raise DataError(
                f"{self.name}: a magnitude is 0, which has no logarithm; give data.floor=3e-5, "
                "noise of one step of 16-bit sound, or data.magnitude=linear"
            )
        return np.log(events)

    def _mean_frame(self, values: NDArray[Any]) -> NDArray[np.float64]:
        mean = moments(values).mean
        return np.exp(mean) if self.logarithmic else mean

    def _names(self) -> list[str]:
        names = [f"coefficient{index}" for index in range(self.coefficients)]
        if self.sequence or self.frames == 1:
            return names
        return [f"frame{frame}_{name}" for frame in range(self.frames) for name in names]

    def _scored_rows(self, label: str, *, split: ScoredSplit) -> Rows:
        magnitudes = self._magnitudes[split][self._of(label, split)]
        contexts = self.contexts(magnitudes, [label] * len(magnitudes))
        return self.model_space(self._events(magnitudes), contexts)
