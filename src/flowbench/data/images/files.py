"""Folders of images: the splits and labels they define, and their pixels."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from flowbench.data.chunks import chunks
from flowbench.data.options import DataError, refuse_together
from flowbench.data.split_names import split_folders

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["SUFFIXES", "Pictures", "picture_size", "read_pictures", "split_files"]

# A format that the installed Pillow cannot read (.heic without its plugin) is refused by name.
FORMATS = "avif bmp gif heic heif jfif jp2 jpeg jpg pbm pgm png pnm ppm tga tif tiff webp"
SUFFIXES = tuple(f".{suffix}" for suffix in FORMATS.split())


class Pictures(NamedTuple):
    """One split: files, and the label index of each."""

    files: list[Path]
    labels: NDArray[np.uint16]


def split_files(
    folder: Path, files: Sequence[Path], *, fractions: Sequence[float]
) -> tuple[dict[str, Pictures], list[str]]:
    """Files below a folder as train, val and test, and the names of their labels.

    A file is `<label>/<file>` or just `<file>`, below `train/`, `test/` and perhaps `val/` if the
    folder has these (also `training`, `valid`, `validation`, `dev`, `testing`, in upper or lower
    case). Missing splits are cut from the training files, shuffled by `RandomState(42)`.

    Args:
        folder: root folder of all files.
        files: files below it.
        fractions: fractions of the files for train, val, test; only the ratios of the splits to
            cut matter.

    Raises:
        DataError: files are nested deeper, folders are neither all splits nor all labels, only
            some files have a label, or a split is empty.
    """
    given: dict[str, list[Path]] = {"train": [], "val": [], "test": []}
    label_of: dict[Path, str] = {}
    folder_of = split_folders(folder, files)
    for file in files:
        *folders, _ = file.relative_to(folder).parts
        split = folder_of[folders.pop(0)] if folder_of else "train"
        if len(folders) > 1:
            raise DataError(
                f"{file}: expected <label>/<file> or <file> below {folder}, perhaps in train/, "
                "val/ and test/"
            )
        label_of[file] = folders[0] if folders else ""
        given[split].append(file)
    _refuse_some_without_label(label_of)
    labels = sorted(set(label_of.values()) - {""})
    number = {label: index for index, label in enumerate(labels)} | {"": 0}
    splits = {}
    for split, members in _cut(given, fractions).items():
        if not members:
            raise DataError(f"{folder}: {len(files)} pictures leave the split {split!r} empty")
        numbers = np.array([number[label_of[file]] for file in members], np.uint16)
        splits[split] = Pictures(members, numbers)
    return splits, labels


def _refuse_some_without_label(label_of: Mapping[Path, str]) -> None:
    without = [file for file, label in label_of.items() if not label]
    if without and len(without) < len(label_of):
        other = next(file for file, label in label_of.items() if label)
        raise DataError(
            f"{without[0]} has no label, but others have, such as {other}; expected "
            "<label>/<file> for all pictures or for none"
        )


def _cut(given: dict[str, list[Path]], fractions: Sequence[float]) -> dict[str, list[Path]]:
    rest, splits = given["train"], dict(given)
    shares = dict(zip(given, fractions, strict=True))
    order = np.random.RandomState(42).permutation(len(rest))
    shuffled = [rest[index] for index in order]
    missing = [split for split in ("val", "test") if not given[split]]
    total = shares["train"] + sum(shares[split] for split in missing)
    for split in missing:
        count = round(len(rest) * shares[split] / total)
        splits[split], shuffled = shuffled[:count], shuffled[count:]
    return splits | {"train": shuffled}


def read_pictures(
    files: Sequence[Path], *, shape: tuple[int, int, int], resize: bool
) -> Iterator[NDArray[np.uint8]]:
    """The pixels `[n, channels, height, width]` of files, some at a time.

    They are as a viewer shows them: rotated by the EXIF tag, and on white where transparent. Of
    16-bit channels the upper 8 bits are used, of several frames the first.

    Args:
        files: images that Pillow can read.
        shape: height, width, channels (1: grey by ITU-R 601, 3: red, green, blue).
        resize: resize images of another size (bicubic) instead of refusing them.

    Raises:
        DataError: files are not images, or have another size, one line for each, behind the last
            chunk; Pillow is not installed.
    """
    mode, size = "L" if shape[2] == 1 else "RGB", shape[:2]
    refused: list[str] = []
    for part in chunks(len(files), *shape):
        pixels = []
        for file in files[part]:
            try:
                pixels.append(_pixels(file, mode=mode, size=size, resize=resize))
            except DataError as error:
                refused.append(str(error))
        if not refused:
            yield np.stack(pixels).transpose(0, 3, 1, 2)
    refuse_together(refused, what="pictures")


def picture_size(file: Path) -> tuple[int, int]:
    """Height and width of an image.

    Raises:
        DataError: the file is not an image; Pillow is not installed.
    """
    height, width, _ = _pixels(file, mode="L", size=None, resize=False).shape
    return height, width


def _pixels(
    file: Path, *, mode: str, size: tuple[int, int] | None, resize: bool
) -> NDArray[np.uint8]:
    try:
        from PIL import Image
    except ImportError as error:
        raise DataError("reading pictures needs Pillow: pip install pillow") from error
    try:
        with warnings.catch_warnings():  # of sizes to which few bytes may unfold
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file) as image:
                picture = _seen(image).convert(mode)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        most = f"{Image.MAX_IMAGE_PIXELS:,}"
        raise DataError(f"{file} has more than {most} pixels; make it smaller") from error
    except Exception as error:  # a damaged file fails in as many ways as there are bytes
        raise DataError(f"{file} is not a readable picture: {error}") from error
    if size is not None and (picture.height, picture.width) != size:
        if not resize:
            raise DataError(
                f"{file} has {picture.height} × {picture.width} pixels (height × width), expected "
                f"{size[0]} × {size[1]}; data.size=[height,width] brings all pictures to one size"
            )
        picture = picture.resize((size[1], size[0]), Image.Resampling.BICUBIC)
    return np.asarray(picture, np.uint8).reshape(picture.height, picture.width, -1)


def _seen(image: "Image.Image") -> "Image.Image":
    """The image as shown by viewers: rotated by the EXIF tag, on white if transparent, in 8 bits.

    Of 16 bits the upper 8 are used, as Pillow does for colour; its own conversion clips grey.
    """
    from PIL import Image, ImageOps

    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16"):
        values, white = np.asarray(image), 2**16 - 1
        values = np.where(values == image.info.get("transparency", white), white, values)
        return Image.fromarray((values >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError(
            f"it has pixels of 32 bits (mode {image.mode!r}), expected 8 or 16 bits per channel"
        )
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA"))
    return image
