"""Downloads that break off, stall, fail or bring something else end whole or not at all."""

import multiprocessing
import re

import pytest
from waiting import PATIENCE, wait_until
from web_server import GOT, MEMBERS, files_in, npy, offer, tar

from flowbench.data import DataError
from flowbench.data.download import transfer
from flowbench.data.download.download import download


def test_what_is_there_is_not_downloaded_again(monkeypatch, server, tmp_path):
    offer(monkeypatch, server, body=tar(MEMBERS))
    download("power", data_dir=tmp_path)
    offer(monkeypatch, server, body=tar(MEMBERS), name="hepmass")
    download("power", data_dir=tmp_path)
    download("hepmass", data_dir=tmp_path)  # out of the same archive
    assert len(server.asked) == 1
    assert files_in(tmp_path) == GOT | {"hepmass/1000_train.csv", "hepmass/1000_test.csv"}


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


def test_silent_server_is_given_up(monkeypatch, server, tmp_path):
    offer(monkeypatch, server, body=tar(MEMBERS))
    monkeypatch.setattr(transfer, "TIMEOUT", 0.05)
    server.pause = 0.5
    with pytest.raises(DataError, match="timed out"):
        download("power", data_dir=tmp_path)


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


def in_a_process(folder):
    """A process that downloads; it knows the sources of this one."""
    fork = multiprocessing.get_context("fork")
    process = fork.Process(target=download, args=("power",), kwargs={"data_dir": folder})
    process.start()
    return process


def test_two_processes_download_once(monkeypatch, server, tmp_path):
    offer(monkeypatch, server, body=tar(MEMBERS))
    server.pause = 1.0
    running = [in_a_process(tmp_path) for _ in range(2)]
    for process in running:
        process.join(PATIENCE)
    assert [process.exitcode for process in running] == [0, 0]
    assert files_in(tmp_path) == GOT
    assert (tmp_path / "power" / "data.npy").read_bytes() == npy()
    assert len(server.asked) == 1


def test_killed_download_goes_on_with_its_part(monkeypatch, server, tmp_path):
    [path] = offer(monkeypatch, server, body=tar(MEMBERS))
    server.cuts[path] = [1000]
    with monkeypatch.context() as slow:
        slow.setattr(transfer, "WAIT", 99)
        process = in_a_process(tmp_path)
    part = tmp_path / "downloads" / "maf-data.tar.gz.part"
    wait_until(
        lambda: part.exists() and part.stat().st_size == 1000, what="the first part of the file"
    )
    process.kill()
    process.join()
    assert files_in(tmp_path) == {"downloads/maf-data.tar.gz.part"}
    download("power", data_dir=tmp_path)  # the lock died with its process
    assert server.asked[-1][1] == "bytes=1000-"
    assert files_in(tmp_path) == GOT
