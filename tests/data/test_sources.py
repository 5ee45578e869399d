"""Each known source gives the layout that its data set reads, when it is asked for."""

import gzip
import hashlib
import re
import runpy
import sys
from pathlib import Path

import pytest
from real_data import real
from web_server import GOT, MEMBERS, files_in, npy, offer, tar

from flowbench.data import DataError, Power
from flowbench.data.download.download import download
from flowbench.data.download.sources import SOURCES, File, Source

ROOT = Path(__file__).parents[2]


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
            algorithm, digest = file.checksum.split(":")
            assert len(digest) == 2 * hashlib.new(algorithm).digest_size
        for pattern, template in (source.members or {}).items():
            assert re.compile(pattern)
            assert not template.startswith("/")


def test_real_mnist_has_the_pinned_checksums(tmp_path):
    folder = real("mnist/train-images-idx3-ubyte.gz").parent
    for file in SOURCES["mnist"].files:
        content = (folder / file.name).read_bytes()
        assert f"sha256:{hashlib.sha256(content).hexdigest()}" == file.checksum
        assert len(content) == file.size
