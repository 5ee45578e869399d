"""Archives: only what is wanted comes out, nothing unsafe, nothing that does not fit."""

import io
import subprocess
import tarfile
import zipfile
from contextlib import contextmanager

import numpy as np
import pytest
from web_server import GOT, MEMBERS, files_in, npy, offer, tar

from flowbench.data import DataError
from flowbench.data.download import transfer
from flowbench.data.download.download import download


def test_only_the_members_of_the_set_are_unpacked(monkeypatch, server, tmp_path):
    offer(monkeypatch, server, body=tar(MEMBERS))
    download("power", data_dir=tmp_path)
    assert files_in(tmp_path) == GOT
    assert (tmp_path / "power" / "data.npy").read_bytes() == npy()


def test_files_of_the_user_are_not_replaced(monkeypatch, server, tmp_path):
    offer(monkeypatch, server, body=tar(MEMBERS), name="hepmass")
    (tmp_path / "hepmass").mkdir()
    (tmp_path / "hepmass" / "1000_train.csv").write_text("mine")
    download("hepmass", data_dir=tmp_path)
    assert (tmp_path / "hepmass" / "1000_train.csv").read_text() == "mine"
    assert (tmp_path / "hepmass" / "1000_test.csv").read_bytes() == b"2"


@pytest.mark.parametrize("body", [b"<html>Sign in</html>", tar(MEMBERS)[:-2000]])
def test_damaged_archive_never_counts(monkeypatch, server, tmp_path, body):
    offer(monkeypatch, server, body=body)
    with pytest.raises(DataError, match=r"maf-data\.tar\.gz is damaged .* delete it, start again"):
        download("power", data_dir=tmp_path)
    assert files_in(tmp_path) == {"downloads/maf-data.tar.gz"}


def link(kind, target, name="data/power/data.npy"):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


HOSTILE = [
    (tar(MEMBERS | {"../escaped": b"x"}), r"'\.\./escaped' leads out"),
    (tar(MEMBERS | {"data/../../escaped": b"x"}), "leads out of the archive"),
    (tar(MEMBERS | {"/escaped": b"x"}), "'/escaped' leads out"),
    (tar(MEMBERS | {"..\\escaped": b"x"}), "leads out of the archive"),
    (tar(MEMBERS | {"C:\\escaped": b"x"}), "leads out of the archive"),
    (tar({}, extra=[link(tarfile.SYMTYPE, "/etc/passwd")]), "not a regular file"),
    (tar({}, extra=[link(tarfile.LNKTYPE, "/etc/passwd")]), "not a regular file"),
    (tar({}, extra=[link(tarfile.CHRTYPE, "")]), "not a regular file"),
    (tar({}, extra=[link(tarfile.FIFOTYPE, "")]), "not a regular file"),
    (tar({"data/gas/data.npy": b"x"}), "holds nothing that is looked for"),
]


@pytest.mark.parametrize(("body", "message"), HOSTILE)
def test_unsafe_archive_is_refused_whole(monkeypatch, server, tmp_path, body, message):
    offer(monkeypatch, server, body=body)
    data = tmp_path / "a" / "data"
    with pytest.raises(DataError, match=message):
        download("power", data_dir=data)
    assert files_in(tmp_path) == {"a/data/downloads/maf-data.tar.gz"}


def test_links_beside_the_members_are_left_alone(monkeypatch, server, tmp_path):
    escape = link(tarfile.SYMTYPE, str(tmp_path), name="data/power")
    offer(monkeypatch, server, body=tar(MEMBERS, extra=[escape]))
    download("power", data_dir=tmp_path)
    assert files_in(tmp_path) == GOT
    assert not (tmp_path / "power").is_symlink()


def zipped(members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for path, content in members.items():
            packed.writestr(path, content)
    return buffer.getvalue()


def test_zip_is_unpacked_too(monkeypatch, server, tmp_path):
    body = zipped({"ethylene_CO.txt": b"head\n1 2\n", "ethylene_methane.txt": b"x"})
    offer(monkeypatch, server, body=body, name="gas_raw")
    download("gas_raw", data_dir=tmp_path)
    assert files_in(tmp_path) == {"gas_raw/ethylene_CO.txt", "downloads/gas-dynamic-mixtures.zip"}


@pytest.mark.parametrize("damage", ["link", "path", "content"])
def test_bad_zip_is_refused(monkeypatch, server, tmp_path, damage):
    info = zipfile.ZipInfo("ethylene_CO.txt")
    if damage == "link":
        info.external_attr = 0o120777 << 16
    members = {info: b"/etc/passwd" * 90} | ({"../x": b""} if damage == "path" else {})
    body = bytearray(zipped(members))
    if damage == "content":
        body[45] ^= 255
    offer(monkeypatch, server, body=bytes(body), name="gas_raw")
    with pytest.raises(DataError, match=r"not a regular file|leads out|is damaged"):
        download("gas_raw", data_dir=tmp_path)
    assert "gas_raw/ethylene_CO.txt" not in files_in(tmp_path)


@contextmanager
def small_disk(folder, *, size):
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("no mount command here")
    if done.returncode:
        pytest.skip(f"a small disk needs the right to mount: {done.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def noise(size):
    return np.random.default_rng(0).bytes(size)


def test_too_large_download_is_not_begun(monkeypatch, server, tmp_path):
    offer(monkeypatch, server, body=tar({"data/power/data.npy": noise(400_000)}))
    with small_disk(tmp_path / "disk", size="256k") as disk:
        with pytest.raises(DataError, match=r"has \d+ kB of free space, but the rest of .* needs"):
            download("power", data_dir=disk)
        assert files_in(disk) == set()


def test_disk_that_fills_up_is_one_sentence(monkeypatch, server, tmp_path):
    offer(monkeypatch, server, body=tar({"data/power/data.npy": noise(400_000)}))
    server.chunked = True  # nobody knows before how much will come
    monkeypatch.setattr(transfer, "require_space", lambda *_, **__: None)
    with small_disk(tmp_path / "disk", size="256k") as disk:
        with pytest.raises(DataError, match="No space left on device") as caught:
            download("power", data_dir=disk)
        assert "\n" not in str(caught.value)
        assert files_in(disk) == {"downloads/maf-data.tar.gz.part"}


def test_read_only_data_folder_is_one_sentence(monkeypatch, server, tmp_path):
    offer(monkeypatch, server, body=tar(MEMBERS))
    with small_disk(tmp_path / "disk", size="1m") as disk:
        for there in (False, True):
            if there:
                (disk / "downloads").mkdir()
            subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
            with pytest.raises(DataError, match=r"cannot be written to .*disk .*paths\.data"):
                download("power", data_dir=disk)
            subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    assert server.asked == []


def test_too_large_contents_are_not_unpacked(monkeypatch, server, tmp_path):
    offer(monkeypatch, server, body=tar({"data/power/data.npy": bytes(10_000_000)}))
    with small_disk(tmp_path / "disk", size="1m") as disk:
        with pytest.raises(DataError, match=r"the contents of maf-data\.tar\.gz needs 10 MB"):
            download("power", data_dir=disk)
        assert files_in(disk) == {"downloads/maf-data.tar.gz"}
