"""A web server for the tests of downloads, and clips for those of sound."""

import shutil
import threading

import pytest
from web_server import Server

from flowbench.data.download import transfer


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


@pytest.fixture(scope="session")
def written_clips(tmp_path_factory):
    sound_clips = pytest.importorskip("sound_clips")
    return sound_clips.write_fsdd(tmp_path_factory.mktemp("clips") / "fsdd")


@pytest.fixture
def fsdd(written_clips, tmp_path):
    """A folder of clips that a test may change."""
    return shutil.copytree(written_clips, tmp_path / "fsdd")
