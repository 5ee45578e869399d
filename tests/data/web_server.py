"""A web server on this machine that behaves as badly as servers do, and what it serves."""

import gzip
import hashlib
import http.server
import io
import re
import tarfile
import time

import numpy as np

from flowbench.data.download.sources import SOURCES, File, Source


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


def npy(rows=300):
    buffer = io.BytesIO()
    np.save(buffer, np.random.default_rng(0).normal(size=(rows, 8)))
    return buffer.getvalue()


def tar(members, *, extra=()):
    """A `.tar.gz` of path → bytes and of TarInfo objects without content, the same at any time."""
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as file,
        tarfile.open(fileobj=file, mode="w") as packed,
    ):
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


GOT = {"power/data.npy", "downloads/maf-data.tar.gz"}


def offer(monkeypatch, server, *, body, name="power", mirrors=1, **options):
    """Put a source in place of a known one: the same layout, from the server of the test."""
    file = SOURCES[name].files[0]
    paths = [f"mirror{i}/{file.name}" for i in range(mirrors)]
    server.files |= dict.fromkeys(paths, body)
    checksum = f"sha256:{hashlib.sha256(body).hexdigest()}"
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
