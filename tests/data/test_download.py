"""Downloads from a real server on this machine that behaves as badly as servers do."""

import gzip
import hashlib
import http.server
import io
import os
import re
import runpy
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from flowbench.data import DataError, Power, transfer
from flowbench.data.download import download
from flowbench.data.sources import SOURCES, File, Source

ROOT = Path(__file__).parents[2]


class Server(http.server.ThreadingHTTPServer):
    """Serves `files` (path → bytes) from a free port and remembers the ranges asked for.

    `cuts` holds, per path, after how many bytes the next connections end; `statuses` what the
    next answers say instead; `ranges=False` ignores ranges, `chunked` tells no length.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.cuts, self.statuses, self.asked = {}, {}, {}, []
        self.ranges, self.chunked, self.pause = True, False, 0.0

    def url(self, path):
        return f"http://127.0.0.1:{self.server_port}/{path}"

    def handle_error(self, request, client_address):
        """A client that hangs up is no error here."""


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        name, asked = self.path[1:], self.headers.get("Range")
        self.server.asked.append((name, asked))
        time.sleep(self.server.pause)
        statuses = self.server.statuses.get(name, [])
        if statuses or name not in self.server.files:
            self.send_error(statuses.pop(0) if statuses else 404)
            return
        body, start = self.server.files[name], 0
        if asked and self.server.ranges:
            start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1])
            if start >= len(body):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            self.send_response(200)
        self.send_body(body[start:], self.server.cuts.get(name, []))

    def send_body(self, body, cuts):
        if self.server.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        end = cuts.pop(0) if cuts else len(body)
        if self.server.chunked:
            self.wfile.write(b"%x\r\n%s" % (len(body), body[:end]))
            self.wfile.write(b"\r\n0\r\n\r\n" if end == len(body) else b"")
        else:
            self.wfile.write(body[:end])
        self.close_connection = end < len(body)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.delenv("FLOWBENCH_OFFLINE")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(transfer, "WAIT", 0)
    monkeypatch.setattr(transfer, "TIMEOUT", 5)
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def npy(rows=300):
    buffer = io.BytesIO()
    np.save(buffer, np.random.default_rng(0).normal(size=(rows, 8)))
    return buffer.getvalue()


def tar(members, *, extra=()):
    """A `.tar.gz` of path → bytes, and of TarInfo objects without content."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as packed:
        for path, content in members.items():
            info = tarfile.TarInfo(path)
            info.size = len(content)
            packed.addfile(info, io.BytesIO(content))
        for info in extra:
            packed.addfile(info)
    return buffer.getvalue()


MEMBERS = {
    "data/power/data.npy": npy(),
    "data/miniboone/data.npy": b"another set",
    "data/hepmass/1000_train.csv": b"1",
    "data/hepmass/1000_test.csv": b"2",
}


def offer(monkeypatch, server, *, body, name="power", pinned=True, mirrors=1, **options):
    """Put a source in place of a known one: the same layout, from the server of the test."""
    file = SOURCES[name].files[0]
    paths = [f"mirror{i}/{file.name}" for i in range(mirrors)]
    server.files |= dict.fromkeys(paths, body)
    checksum = f"sha256:{hashlib.sha256(body).hexdigest()}" if pinned else None
    local = File(
        name=file.name,
        urls=tuple(server.url(path) for path in paths),
        size=len(body),
        **{"checksum": checksum} | options,
    )
    known = SOURCES[name]
    source = Source(name=name, files=(local,), expected=known.expected, members=known.members)
    monkeypatch.setitem(SOURCES, name, source)
    return paths


def files_in(folder):
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".lock"
    }


GOT = {"power/data.npy", "downloads/maf-data.tar.gz"}


def test_only_the_members_of_the_set_are_unpacked(monkeypatch, server, tmp_path):
    offer(monkeypatch, server, body=tar(MEMBERS))
    download("power", data_dir=tmp_path)
    assert files_in(tmp_path) == GOT
    assert (tmp_path / "power" / "data.npy").read_bytes() == npy()


def test_what_is_there_is_not_downloaded_again(monkeypatch, server, tmp_path):
    offer(monkeypatch, server, body=tar(MEMBERS))
    download("power", data_dir=tmp_path)
    offer(monkeypatch, server, body=tar(MEMBERS), name="hepmass")
    download("power", data_dir=tmp_path)
    download("hepmass", data_dir=tmp_path)  # out of the same archive
    assert len(server.asked) == 1
    assert files_in(tmp_path) == GOT | {"hepmass/1000_train.csv", "hepmass/1000_test.csv"}


def test_files_of_the_user_are_not_replaced(monkeypatch, server, tmp_path):
    offer(monkeypatch, server, body=tar(MEMBERS), name="hepmass")
    (tmp_path / "hepmass").mkdir()
    (tmp_path / "hepmass" / "1000_train.csv").write_text("mine")
    download("hepmass", data_dir=tmp_path)
    assert (tmp_path / "hepmass" / "1000_train.csv").read_text() == "mine"
    assert (tmp_path / "hepmass" / "1000_test.csv").read_bytes() == b"2"


def test_cut_connections_are_taken_up_where_they_ended(monkeypatch, server, tmp_path):
    body = tar(MEMBERS)
    [path] = offer(monkeypatch, server, body=body)
    server.cuts[path] = [1000, 500, 0]
    download("power", data_dir=tmp_path)
    assert files_in(tmp_path) == GOT
    ranges = [None, "bytes=1000-", "bytes=1500-", "bytes=1500-"]
    assert [asked for _, asked in server.asked] == ranges


def test_server_without_ranges_begins_again(monkeypatch, server, tmp_path):
    [path] = offer(monkeypatch, server, body=tar(MEMBERS))
    server.ranges = False
    server.cuts[path] = [1000, 2000]
    download("power", data_dir=tmp_path)
    assert files_in(tmp_path) == GOT


def test_answers_without_a_length_are_taken_up_too(monkeypatch, server, tmp_path):
    [path] = offer(monkeypatch, server, body=tar(MEMBERS))
    server.chunked = True
    server.cuts[path] = [1000, 3000]
    download("power", data_dir=tmp_path)
    assert files_in(tmp_path) == GOT
    assert server.asked[1][1] == "bytes=1000-"


def test_attempts_are_bounded_and_the_next_start_goes_on(monkeypatch, server, tmp_path):
    body = tar(MEMBERS)
    [path] = offer(monkeypatch, server, body=body)
    server.cuts[path] = [100] * transfer.ATTEMPTS
    with pytest.raises(DataError, match=r"ended after 500 of \d+ bytes; start again to go on"):
        download("power", data_dir=tmp_path)
    assert len(server.asked) == transfer.ATTEMPTS
    assert files_in(tmp_path) == {"downloads/maf-data.tar.gz.part"}
    download("power", data_dir=tmp_path)
    assert server.asked[-1][1] == "bytes=500-"
    assert files_in(tmp_path) == GOT


def test_silent_server_is_left_in_time(monkeypatch, server, tmp_path):
    offer(monkeypatch, server, body=tar(MEMBERS))
    monkeypatch.setattr(transfer, "TIMEOUT", 0.05)
    server.pause = 0.5
    begin = time.monotonic()
    with pytest.raises(DataError, match="timed out"):
        download("power", data_dir=tmp_path)
    assert time.monotonic() - begin < 5


@pytest.mark.parametrize("whole", [True, False])
def test_part_of_an_earlier_run(monkeypatch, server, tmp_path, whole):
    body = tar(MEMBERS)
    offer(monkeypatch, server, body=body)
    (tmp_path / "downloads").mkdir()
    part = body if whole else b"x" * 700  # of another file: the checksum tells
    (tmp_path / "downloads" / "maf-data.tar.gz.part").write_bytes(part)
    download("power", data_dir=tmp_path)
    assert files_in(tmp_path) == GOT
    expected = [f"bytes={len(part)}-"] + ([] if whole else [None])
    assert [asked for _, asked in server.asked] == expected


def test_part_that_is_too_long_is_given_up(monkeypatch, server, tmp_path):
    body = tar(MEMBERS)
    offer(monkeypatch, server, body=body)
    (tmp_path / "downloads").mkdir()
    (tmp_path / "downloads" / "maf-data.tar.gz.part").write_bytes(body + b"more")
    download("power", data_dir=tmp_path)
    assert files_in(tmp_path) == GOT


@pytest.mark.parametrize("checksum", ["sha256:" + 64 * "0", "md5:" + 32 * "0"])
def test_wrong_checksum_never_counts(monkeypatch, server, tmp_path, checksum):
    offer(monkeypatch, server, body=tar(MEMBERS), checksum=checksum)
    with pytest.raises(DataError, match=rf"its {checksum[:3]}\w* is \w+, expected 000") as caught:
        download("power", data_dir=tmp_path)
    assert "\n" not in str(caught.value)
    assert files_in(tmp_path) == set()
    assert len(server.asked) == 1


def test_mirrors_are_tried_in_turn(monkeypatch, server, tmp_path):
    body = tar(MEMBERS)
    first, second, third, _ = offer(monkeypatch, server, body=body, mirrors=4)
    server.files[first] = b"something else"
    server.statuses[second] = [404]
    server.statuses[third] = [503] * transfer.ATTEMPTS
    download("power", data_dir=tmp_path)
    assert files_in(tmp_path) == GOT
    assert len(server.asked) == 1 + 1 + transfer.ATTEMPTS + 1


def test_mirror_goes_on_where_another_broke_off(monkeypatch, server, tmp_path):
    body = tar(MEMBERS)
    first, second = offer(monkeypatch, server, body=body, mirrors=2)
    server.cuts[first] = [1000]
    server.statuses[first] = []
    monkeypatch.setattr(transfer, "ATTEMPTS", 1)
    download("power", data_dir=tmp_path)
    assert server.asked == [(first, None), (second, "bytes=1000-")]


def test_nobody_there_is_one_sentence(monkeypatch, server, tmp_path):
    offer(monkeypatch, server, body=tar(MEMBERS))
    server.shutdown()
    server.server_close()
    with pytest.raises(DataError) as caught:
        download("power", data_dir=tmp_path)
    text = str(caught.value)
    assert re.search(r"power/data\.npy is missing: .*\d kB\).*http://127.*refused", text)
    assert f"put it at {tmp_path / 'downloads' / 'maf-data.tar.gz'} by hand" in text
    assert "\n" not in text


def test_without_published_checksum_the_first_one_holds(monkeypatch, server, tmp_path):
    body = tar(MEMBERS)
    [path] = offer(monkeypatch, server, body=body, pinned=False)
    with pytest.warns(UserWarning, match=hashlib.sha256(body).hexdigest()):
        download("power", data_dir=tmp_path)
    for place in ("power/data.npy", "downloads/maf-data.tar.gz"):
        (tmp_path / place).unlink()
    server.files[path] = tar(MEMBERS | {"data/power/data.npy": npy(200)})
    with pytest.raises(DataError, match="its sha256 is"):
        download("power", data_dir=tmp_path)


@pytest.mark.parametrize("body", [b"<html>Sign in</html>", tar(MEMBERS)[:-2000]])
def test_damaged_archive_never_counts(monkeypatch, server, tmp_path, body):
    [path] = offer(monkeypatch, server, body=body, pinned=False)
    with pytest.raises(DataError, match=r"maf-data\.tar\.gz is damaged .* start again"):
        download("power", data_dir=tmp_path)
    assert files_in(tmp_path) == set()
    server.files[path] = tar(MEMBERS)
    with pytest.warns(UserWarning, match="no checksum"):
        download("power", data_dir=tmp_path)


def test_archive_may_be_brought_by_hand(monkeypatch, server, tmp_path):
    body = tar(MEMBERS)
    offer(monkeypatch, server, body=body)
    monkeypatch.setenv("FLOWBENCH_OFFLINE", "1")
    place = tmp_path / "downloads" / "maf-data.tar.gz"
    with pytest.raises(DataError) as caught:
        download("power", data_dir=tmp_path)
    for part in (str(tmp_path / "power/data.npy"), str(place), server.url("mirror0"), " kB)"):
        assert part in str(caught.value)
    place.parent.mkdir()
    place.write_bytes(b"another file")
    with pytest.raises(DataError, match="is not the expected file: its sha256"):
        download("power", data_dir=tmp_path)
    place.write_bytes(body)
    download("power", data_dir=tmp_path)
    assert files_in(tmp_path) == GOT
    assert server.asked == []


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
    (tar({}, extra=[link(tarfile.SYMTYPE, "/etc/passwd")]), "no regular file"),
    (tar({}, extra=[link(tarfile.LNKTYPE, "/etc/passwd")]), "no regular file"),
    (tar({}, extra=[link(tarfile.CHRTYPE, "")]), "no regular file"),
    (tar({}, extra=[link(tarfile.FIFOTYPE, "")]), "no regular file"),
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
    with pytest.raises(DataError, match=r"no regular file|leads out|is damaged"):
        download("gas_raw", data_dir=tmp_path)
    assert "gas_raw/ethylene_CO.txt" not in files_in(tmp_path)


def test_spoken_digits_get_the_layout_of_speech_commands(monkeypatch, server, tmp_path):
    commit = "free-spoken-digit-dataset-26eb9aaf"
    members = {
        f"{commit}/recordings/{digit}_theo_{take}.wav": b"RIFF"
        for digit in range(10)
        for take in (0, 12)
    }
    offer(monkeypatch, server, body=tar(members | {f"{commit}/README.md": b"."}), name="fsdd")
    download("fsdd", data_dir=tmp_path)
    clips = {name for name in files_in(tmp_path) if name.startswith("fsdd/")}
    assert len(clips) == 20
    assert {"fsdd/zero/theo_nohash_0.wav", "fsdd/nine/theo_nohash_12.wav"} <= clips


def test_speech_commands_keep_their_layout(monkeypatch, server, tmp_path):
    names = ["zero/0a_nohash_0.wav", "_background_noise_/pink_noise.wav", "testing_list.txt"]
    members = {f"./{name}": b"x" for name in [*names, "LICENSE", "README.md"]}
    offer(monkeypatch, server, body=tar(members), name="speech_commands")
    download("speech_commands", data_dir=tmp_path)
    assert {f"speech_commands/{name}" for name in [*names, "LICENSE"]} <= files_in(tmp_path)


def test_mnist_is_four_files_of_which_only_missing_ones_come(monkeypatch, server, tmp_path):
    files = []
    for file in SOURCES["mnist"].files:
        body = gzip.compress(file.name.encode())
        server.files[file.name] = body
        checksum = f"sha256:{hashlib.sha256(body).hexdigest()}"
        urls = (server.url(file.name),)
        files.append(File(name=file.name, urls=urls, size=len(body), checksum=checksum))
    source = Source(name="mnist", files=tuple(files), expected=SOURCES["mnist"].expected)
    monkeypatch.setitem(SOURCES, "mnist", source)
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / files[0].name).write_bytes(b"mine")
    download("mnist", data_dir=tmp_path)
    assert {name for name, _ in server.asked} == {file.name for file in files[1:]}
    assert files_in(tmp_path) == {f"mnist/{file.name}" for file in files}


PROCESS = """
import sys
from flowbench.data.download import download
from flowbench.data.sources import SOURCES, File, Source
url, checksum, folder = sys.argv[1:]
file = File(name="maf-data.tar.gz", urls=(url,), size=1, checksum=checksum)
known = SOURCES["power"]
SOURCES["power"] = Source(
    name="power", files=(file,), expected=known.expected, members=known.members
)
download("power", data_dir=folder)
print(len(open(folder + "/power/data.npy", "rb").read()))
"""


def test_two_processes_download_once(monkeypatch, server, tmp_path):
    body = tar(MEMBERS)
    [path] = offer(monkeypatch, server, body=body)
    server.pause = 1.0
    checksum = "sha256:" + hashlib.sha256(body).hexdigest()
    command = [sys.executable, "-c", PROCESS, server.url(path), checksum, str(tmp_path)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
    outputs = [process.communicate(timeout=120)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert {int(output) for output in outputs} == {len(npy())}
    assert len(server.asked) == 1


def test_killed_download_goes_on_with_its_part(monkeypatch, server, tmp_path):
    body = tar(MEMBERS)
    [path] = offer(monkeypatch, server, body=body)
    checksum = "sha256:" + hashlib.sha256(body).hexdigest()
    server.cuts[path] = [1000]
    server.statuses[path] = []
    command = [sys.executable, "-c", "from flowbench.data import transfer; transfer.WAIT = 99\n"]
    command[2] += PROCESS
    process = subprocess.Popen([*command, server.url(path), checksum, str(tmp_path)])
    part = tmp_path / "downloads" / "maf-data.tar.gz.part"
    deadline = time.monotonic() + 60
    while not (part.exists() and part.stat().st_size == 1000) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert files_in(tmp_path) == {"downloads/maf-data.tar.gz.part"}
    download("power", data_dir=tmp_path)  # the lock died with its process
    assert server.asked[-1][1] == "bytes=1000-"
    assert files_in(tmp_path) == GOT


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


def test_too_large_contents_are_not_unpacked(monkeypatch, server, tmp_path):
    offer(monkeypatch, server, body=tar({"data/power/data.npy": bytes(10_000_000)}))
    with small_disk(tmp_path / "disk", size="1m") as disk:
        with pytest.raises(DataError, match=r"the contents of maf-data\.tar\.gz needs 10 MB"):
            download("power", data_dir=disk)
        assert files_in(disk) == {"downloads/maf-data.tar.gz"}


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


def test_prepare_data_downloads_and_setup_never_does(monkeypatch, server, tmp_path):
    offer(monkeypatch, server, body=tar(MEMBERS))
    data = Power(data_dir=tmp_path, cache_dir=tmp_path / "cache")
    with pytest.raises(DataError, match=r"data\.npy is expected but does not exist"):
        data.setup()
    assert server.asked == []
    data.prepare_data()
    assert len(server.asked) == 1
    with pytest.raises(DataError, match=r"shape \(243, 6\), expected"):
        data.setup()


def test_converted_data_need_no_download(monkeypatch, server, tmp_path):
    offer(monkeypatch, server, body=tar(MEMBERS))
    data = Power(data_dir=tmp_path, cache_dir=tmp_path / "cache")
    data.prepare_data()
    for place in GOT:
        (tmp_path / place).unlink()
    data.prepare_data()
    assert len(server.asked) == 1


def test_path_of_the_user_is_not_downloaded(monkeypatch, server, tmp_path):
    offer(monkeypatch, server, body=tar(MEMBERS))
    with pytest.raises(DataError, match=r"mine\.npy is expected but does not exist"):
        Power(path=tmp_path / "mine.npy", cache_dir=tmp_path / "cache").prepare_data()
    assert server.asked == []


def test_script_downloads_and_tells_what_failed(monkeypatch, tmp_path, capsys):
    main = runpy.run_path(str(ROOT / "scripts" / "download.py"))["main"]
    (tmp_path / "power").mkdir()
    (tmp_path / "power" / "data.npy").write_bytes(npy())
    monkeypatch.setattr(sys, "argv", ["download.py", f"--data-dir={tmp_path}", "power", "gas"])
    assert main() == 1
    printed = capsys.readouterr()
    assert printed.out == f"power: {tmp_path / 'power'}\n"
    assert printed.err.count("\n") == 1
    assert "FLOWBENCH_OFFLINE forbids" in printed.err
    monkeypatch.setattr(sys, "argv", ["download.py", "gass"])
    with pytest.raises(SystemExit):
        main()
    assert "invalid choice: 'gass'" in capsys.readouterr().err


def test_registry_is_sound():
    for name, source in SOURCES.items():
        assert source.name == name
        assert source.expected
        for file in source.files:
            assert all(url.startswith(("https://", "http://")) for url in file.urls)
            if file.checksum is not None:
                algorithm, digest = file.checksum.split(":")
                assert len(digest) == 2 * hashlib.new(algorithm).digest_size
        for pattern, template in (source.members or {}).items():
            assert re.compile(pattern)
            assert not template.startswith("/")


def test_real_mnist_has_the_pinned_checksums(tmp_path):
    folder = Path(os.environ.get("FLOWBENCH_DATA", "")) / "mnist"
    if not (folder / "train-images-idx3-ubyte.gz").is_file():
        pytest.skip("FLOWBENCH_DATA names no folder with the four files of MNIST")
    for file in SOURCES["mnist"].files:
        content = (folder / file.name).read_bytes()
        assert f"sha256:{hashlib.sha256(content).hexdigest()}" == file.checksum
        assert len(content) == file.size
