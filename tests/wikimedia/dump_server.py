"""A server of dumps on this machine that can be told how to fail, request by request."""

import hashlib
import json
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class DumpServer(ThreadingHTTPServer):
    """Serves `files` (path -> bytes). `faults[path]` is a list: each request for that path takes the next one.

    Faults: "break" and "break at N" send half, or N bytes, and close; "long" and "short" lie about the length;
    "no range" ignores the Range header; "wrong range" answers another one; "corrupt" changes the last byte; a number is
    an HTTP status, a pair (status, Retry-After) too; text with "://" is a redirect; "" is a normal answer.
    """

    daemon_threads = True

    def __init__(self, files: Mapping[str, bytes] = {}):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files = dict(files)
        self.faults: dict[str, list] = defaultdict(list)
        self.requests: list[tuple[str, str | None]] = []
        self.agents: set[str] = set()
        self.open_now = self.most_open = 0
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def asked(self, name: str) -> list[str | None]:
        """The Range headers of the requests for files of this name."""
        return [wanted for path, wanted in self.requests if path.rpartition("/")[2] == name]

    def handle_error(self, request, client_address) -> None:
        """A client that leaves early is part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: DumpServer

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        with self.server.lock:
            self.server.open_now += 1
            self.server.most_open = max(self.server.most_open, self.server.open_now)
        self.answer(body=True)
        with self.server.lock:
            self.server.open_now -= 1

    def answer(self, body: bool):
        path, wanted = self.path.lstrip("/"), self.headers.get("Range")
        self.server.agents.add(self.headers.get("User-Agent"))
        with self.server.lock:
            self.server.requests.append((path, wanted))
            faults = self.server.faults[path]
            fault = faults.pop(0) if faults else ""
        if isinstance(fault, tuple | int):
            status, wait = fault if isinstance(fault, tuple) else (fault, None)
            self.head(status, 0, {"Retry-After": wait} if wait else {})
        elif "://" in fault:
            self.head(302, 0, {"Location": fault})
        elif path not in self.server.files:
            self.head(404, 0, {})
        else:
            self.give(self.server.files[path], wanted, fault, body)

    def give(self, data: bytes, wanted: str | None, fault: str, body: bool):
        if fault == "corrupt":
            data = data[:-1] + bytes([data[-1] ^ 1])
        total, start = len(data), 0
        if wanted and fault != "no range":
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            if fault == "wrong range":
                start -= 1
            data = data[start:]
        length = {"long": len(data) + 100, "short": len(data) // 2}.get(fault, len(data))
        ranged = {"Content-Range": f"bytes {start}-{total - 1}/{total}"} if start else {}
        self.head(206 if start else 200, length, ranged)
        if fault.startswith("break"):
            data = data[: int(fault.removeprefix("break at ")) if " at " in fault else len(data) // 2]
        if body:
            self.wfile.write(data[:length])

    def head(self, status: int, length: int, headers: Mapping[str, str]):
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.send_header("Connection", "close")
        self.close_connection = True
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_):
        pass


@contextmanager
def serving(files: Mapping[str, bytes] = {}) -> Iterator[DumpServer]:
    server = DumpServer(files)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def listing(*names: str) -> bytes:
    """A folder as the servers show it."""
    return "".join(f'<a href="{name}">{name}</a>\n' for name in ("../", *names)).encode()


def job(files: Mapping[str, bytes], status: str = "done") -> dict:
    """A job of dumpstatus.json."""
    facts = {
        name: {"size": len(data), "url": f"/anywhere/{name}", "sha1": hashlib.sha1(data).hexdigest()}
        for name, data in files.items()
    }
    return {"status": status, "updated": "2026-11-03 04:05:06"} | ({"files": facts} if status == "done" else {})


def a_run(wiki: str, date: str, jobs: Mapping[str, dict], data: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files of one run, with its dumpstatus.json."""
    status = {"version": "0.8", "jobs": jobs}
    files = {f"{wiki}/{date}/{name}": content for name, content in data.items()}
    return files | {f"{wiki}/{date}/dumpstatus.json": json.dumps(status).encode()}
