"""Where the originals of the data sets come from: URLs, checksums and paths, as plain data."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["SOURCES", "File", "Source"]


@dataclass(frozen=True, kw_only=True)
class File:
    """A file on the web.

    Attributes:
        name: its local name.
        urls: URLs of byte-identical copies, in the order in which they are tried.
        size: in bytes (for some files approximate), for messages and the check of free space.
        checksum: "sha256:…", or "md5:…" if nothing better is published.
    """

    name: str
    urls: tuple[str, ...]
    size: int
    checksum: str


@dataclass(frozen=True, kw_only=True)
class Source:
    """What makes up the folder `<data_dir>/<name>` of a data set.

    Attributes:
        name: name of the folder.
        files: files to download.
        expected: patterns in the folder; nothing is missing if each matches a file.
        members: what to extract from the archives: regular expression for a member's whole path →
            its path in the folder (as in `re.Match.expand`); None: the files are not archives.
    """

    name: str
    files: tuple[File, ...]
    expected: tuple[str, ...]
    members: Mapping[str, str] | None = None

    def absent(self, data_dir: Path) -> list[Path]:
        """The expected paths that are missing."""
        folder = data_dir / self.name
        return [folder / pattern for pattern in self.expected if not any(folder.glob(pattern))]


def _mnist(name: str, size: int, sha256: str) -> File:
    folders = (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    )
    urls = tuple(folder + name for folder in folders)
    return File(name=name, urls=urls, size=size, checksum=f"sha256:{sha256}")


def _speech_commands(version: str, size: int, sha256: str) -> File:
    name = f"speech_commands_{version}.tar.gz"
    folders = (
        "https://storage.googleapis.com/download.tensorflow.org/data/",
        "http://download.tensorflow.org/data/",
    )
    urls = tuple(folder + name for folder in folders)
    return File(name=name, urls=urls, size=size, checksum=f"sha256:{sha256}")


MAF = File(
    name="maf-data.tar.gz",
    urls=(
        "https://zenodo.org/record/1161203/files/data.tar.gz?download=1",
        "https://zenodo.org/api/records/1161203/files/data.tar.gz/content",
    ),
    size=856_664_546,
    # From the Zenodo record itself, which publishes no other.
    checksum="md5:9b9c9b0375315ad270eba4ce80c093ab",
)
GAS_RAW = File(
    name="gas-dynamic-mixtures.zip",
    urls=(
        "https://archive.ics.uci.edu/static/public/322/gas+sensor+array+under+dynamic+gas+mixtures.zip",
    ),
    size=369_001_314,
    # UCI publishes none; this one is from github.com/baoxuebin-2026/dachuang, data/sources.md,
    # whose description of the rows of ethylene_CO.txt agrees with others.
    checksum="sha256:8b6323b801363e11343ba1a5a7718e76666b715e753b3a40dbdfd1838d953fe7",
)
MNIST = (
    _mnist(
        "train-images-idx3-ubyte.gz",
        9_912_422,
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    ),
    _mnist(
        "train-labels-idx1-ubyte.gz",
        28_881,
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    ),
    _mnist(
        "t10k-images-idx3-ubyte.gz",
        1_648_877,
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    ),
    _mnist(
        "t10k-labels-idx1-ubyte.gz",
        4_542,
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    ),
)
CIFAR10 = File(
    name="cifar-10-binary.tar.gz",
    urls=(
        "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        "https://cave.cs.toronto.edu/kriz/cifar-10-binary.tar.gz",
    ),
    size=170_052_171,
    checksum="sha256:c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
)
SPEECH_COMMANDS_1 = _speech_commands(
    "v0.01",
    1_489_096_277,
    "743935421bb51cccdb6bdd152e04c5c70274e935c82119ad7faeec31780d811d",
)
SPEECH_COMMANDS_2 = _speech_commands(
    "v0.02",
    2_428_923_189,
    "af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
)
FSDD_COMMIT = "26eb9aaf76e81b692f806f9140c2d2777410d7a1"
FSDD = File(
    name=f"fsdd-{FSDD_COMMIT[:12]}.tar.gz",
    urls=(
        f"https://codeload.github.com/Jakobovski/free-spoken-digit-dataset/tar.gz/{FSDD_COMMIT}",
        f"https://github.com/Jakobovski/free-spoken-digit-dataset/archive/{FSDD_COMMIT}.tar.gz",
    ),
    size=16_000_000,
    # GitHub publishes none; a public benchmark pins this one for the first address above.
    checksum="sha256:9a68686ad29274bd0affde81b244953e677c9d7048dfb8acaf1168d7758bafab",
)
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SPEECH_MEMBERS = {r"(?:\./)?((?:\w+/)?\w+\.(?:wav|txt|md)|LICENSE)": r"\1"}


def _of_maf(name: str, *files: str, folder: str | None = None) -> Source:
    """A data set from the archive of the MAF paper's authors."""
    path = rf"(?:\./)?data/{folder or name}/"
    members = {path + re.escape(file): file for file in files}
    return Source(name=name, files=(MAF,), expected=files, members=members)


SOURCES = {
    source.name: source
    for source in (
        _of_maf("power", "data.npy"),
        _of_maf("gas", "ethylene_CO.pickle"),
        _of_maf("hepmass", "1000_train.csv", "1000_test.csv"),
        _of_maf("miniboone", "data.npy"),
        _of_maf("bsds300", "BSDS300.hdf5", folder="BSDS300"),
        Source(
            name="gas_raw",
            files=(GAS_RAW,),
            expected=("ethylene_CO.txt",),
            members={r"(?:.*/)?ethylene_CO\.txt": "ethylene_CO.txt"},
        ),
        Source(
            name="mnist",
            files=MNIST,
            expected=tuple(file.name.removesuffix(".gz") + "*" for file in MNIST),
        ),
        Source(
            name="cifar10",
            files=(CIFAR10,),
            expected=(*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"),
            members={r"cifar-10-batches-bin/(\w+\.bin|batches\.meta\.txt)": r"\1"},
        ),
        Source(
            name="speech_commands",
            files=(SPEECH_COMMANDS_2,),
            expected=("*/*.wav",),
            members=SPEECH_MEMBERS,
        ),
        Source(
            name="speech_commands_v0.01",
            files=(SPEECH_COMMANDS_1,),
            expected=("*/*.wav",),
            members=SPEECH_MEMBERS,
        ),
        Source(
            name="fsdd",
            files=(FSDD,),
            expected=tuple(f"{word}/*.wav" for word in DIGITS),
            members={
                rf"[^/]+/recordings/{digit}_(\w+)_(\d+)\.wav": rf"{word}/\1_nohash_\2.wav"
                for digit, word in enumerate(DIGITS)
            },
        ),
    )
}
