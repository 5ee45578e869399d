"""A web server for the tests of downloads."""

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
