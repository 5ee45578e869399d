"""Sound files, read whole and in bounded memory: what is damaged or cut short is refused."""

import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flowbench.data.options import DataError
from flowbench.extras import how_to_install

__all__ = ["SUFFIXES", "read_sound", "write_sound"]

# A format that the installed soundfile cannot read (.m4a) is refused by name, not left out.
READ = "wav wave rf64 w64 flac ogg oga opus mp3 aif aiff aifc au snd caf"
OTHER = "3gp aac amr ape dsf m4a m4b mka mp4 mpc pcm ra raw sph spx weba webm wma wv"
SUFFIXES = tuple(f".{suffix}" for suffix in f"{READ} {OTHER}".split())
LOUDEST = 8.0  # 18 dB above full scale
HIGHEST_RATE = 10_000_000
BLOCK = 2**20  # values decoded at a time
UNKNOWN = 2**62  # a stream of unknown length claims more samples
APPENDED = 1024  # bytes that some programs append
HEADER = 8  # bytes that some programs count twice
PAGE = 65_307  # bytes of the longest page of an Ogg stream
FIELDS = ("Channels", "Block Align", "Bit Width")
PADDING = {"MP3": 1152}  # samples that encoders pad, and may miscount


def read_sound(
    path: Path, *, keep: Callable[[int], int] | None = None
) -> tuple[NDArray[np.float32], int]:
    """The mean of the channels of a sound file, in [−1, 1], and its sampling rate in Hz.

    The whole file is decoded, whatever is kept: damage anywhere is refused.

    Args:
        path: the file.
        keep: sampling rate → how many samples to keep from the start; None: all.

    Raises:
        DataError: the file is not sound, is damaged or cut short, or holds values that are not
            finite or far beyond full scale; soundfile is not installed.
    """
    soundfile = _soundfile()
    try:
        with soundfile.SoundFile(path) as file:
            _refuse_damage(path, file)
            most = None if keep is None else keep(file.samplerate)
            return _decoded(path, file, most), file.samplerate
    except (OSError, RuntimeError, TypeError, ValueError) as error:
        reason = str(error).removeprefix(f"Error opening {str(path)!r}: ")
        raise DataError(
            f"{path} is not a readable sound: {reason.rstrip('.')}; expected a whole file of the "
            "format wav, flac, ogg, opus, mp3, aiff, au, caf or w64"
        ) from error


def write_sound(path: Path, samples: NDArray[np.float32], *, rate: int) -> None:
    """Write samples `[n]` in [−1, 1] as 16-bit audio.

    Raises:
        DataError: soundfile is not installed.
    """
    _soundfile().write(path, samples, rate, subtype="PCM_16")


def _decoded(path: Path, file: Any, most: int | None) -> NDArray[np.float32]:
    kept, count, size = [], 0, max(1, BLOCK // file.channels)
    while len(block := file.read(size, dtype="float32", always_2d=True)):
        fits = np.isfinite(block) & (np.abs(block) <= LOUDEST)
        if not fits.all():
            row, channel = np.argwhere(~fits)[0]
            raise DataError(
                f"{path}: sample {count + row + 1} is {block[row, channel]:g}, expected a number "
                f"in [−1, 1] (up to ±{LOUDEST:g} is accepted)"
            )
        kept.append(block[: None if most is None else max(0, most - count)].mean(axis=1))
        count += len(block)
    if count + PADDING.get(file.format, 0) < file.frames < UNKNOWN:
        raise DataError(
            f"{path} is cut short: its header promises {file.frames:,} samples, but only "
            f"{count:,} follow"
        )
    return np.concatenate(kept) if kept else np.empty(0, np.float32)


def _refuse_damage(path: Path, file: Any) -> None:
    """Refuse a header that contradicts itself or the length of the file."""
    if problem := _contradiction(file.extra_info) or _open_end(path, file.format):
        raise DataError(
            f"{path} is damaged or cut short: {problem}; copy it again, or rewrite it with a "
            "sound editor"
        )
    if file.samplerate > HIGHEST_RATE:
        raise DataError(
            f"{path} claims {file.samplerate:,} samples per second, expected at most "
            f"{HIGHEST_RATE:,}"
        )


def _contradiction(notes: str) -> str | None:
    """What libsndfile noticed in a header, in its notes on parsing it.

    A container that is shorter than its file, as when a program has appended something, is whole.

    Example:
        >>> _contradiction("data : 4000 (should be 1000)")
        'its header claims 4,000 bytes (data), but there are 1,000'
        >>> _contradiction("FORM : 1000 (should be 1100)")
    """
    for name, said, right in re.findall(r"^\s*(.+?)\s*: (\d+) \(should be (-?\d+)\)", notes, re.M):
        claimed, there = int(said), int(right)
        if name == "Bytes/sec":
            return f"its header claims {claimed:,} bytes per second, but its format has {there:,}"
        if claimed - there > (HEADER if name in ("RIFF", "FORM") else 0):
            return f"its header claims {claimed:,} bytes ({name}), but there are {there:,}"
    lost = re.search(r"^Length : (\d+)$.*at position (\d+)\. Exiting parser", notes, re.M | re.S)
    if lost and int(lost[1]) - int(lost[2]) > APPENDED:
        return "what follows the sound is not part of the format"
    known = dict(re.findall(rf"^\s*({'|'.join(FIELDS)})\s*: (\d+)", notes, re.M))
    if len(known) == len(FIELDS) and re.search(r"Format\s*: 0x(1|3|FFFE) ", notes):
        channels, align, bits = (int(known[field]) for field in FIELDS)
        if align not in (channels * -(-bits // 8), channels * 4):
            return f"{channels} channels of {bits} bits do not make up {align} bytes"
    return None


def _open_end(path: Path, form: str) -> str | None:
    """Why the end of an Ogg stream is missing; its last page is marked."""
    if form != "OGG":
        return None
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - PAGE))
        tail = file.read()
    page = tail[tail.rfind(b"OggS") :]
    segments = page[27 : 27 + page[26]] if len(page) > 26 else b""
    whole = len(page) >= 27 + len(segments) + sum(segments)
    return None if segments and whole and page[5] & 4 else "the last page of its stream is missing"


def _soundfile() -> ModuleType:
    try:
        import soundfile
    except (ImportError, OSError) as error:
        raise DataError(
            f"sound files need soundfile, which is not there: {how_to_install('sound')}"
        ) from error
    return soundfile
