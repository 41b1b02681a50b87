"""An HTTP server between the mirror and a real MLflow server, which is as faulty as a test wants it."""

from __future__ import annotations

import contextlib
import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

SLOW_S = 1.5
OF_A_LINK = {"connection", "transfer-encoding", "content-length", "date", "server", "host"}  # headers of one hop
FAULTS = {
    "slow": "the answer takes long",
    "refusing": "500, and the request goes nowhere",
    "failing": "500, though the request was served",
    "dead": "the connection ends, and the request goes nowhere",
    "dying": "the connection ends, though the request was served",
}


@dataclass
class Proxy:
    """Where the proxy is, and what it does to each request.

    Attributes
    ----------
    fault
        From the number of a request, from 0, to what is wrong with it, one of `FAULTS`; empty where it is passed on.
    """

    uri: str
    target: str
    fault: Callable[[int], str] = lambda number: ""
    seen: int = 0
    _counting: threading.Lock = field(default_factory=threading.Lock)

    def next(self) -> str:
        """What is wrong with the next request."""
        with self._counting:
            self.seen += 1
            return self.fault(self.seen - 1)


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, proxy: Proxy, *arguments: Any) -> None:
        self.proxy = proxy
        super().__init__(*arguments)

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fault = self.proxy.next()
        self.close_connection = True
        if fault == "dead":
            return
        status, headers, answer = (500, [], b"") if fault == "refusing" else self._served(body)
        if fault == "dying":
            return
        if fault == "slow":
            threading.Event().wait(SLOW_S)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # who asked waits no longer
            self._answer(500 if fault == "failing" else status, headers, answer)

    do_POST = do_PATCH = do_PUT = do_DELETE = do_GET  # noqa: N815 - as the server calls them

    def _answer(self, status: int, headers: list[tuple[str, str]], answer: bytes) -> None:
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in OF_A_LINK:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def _served(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        headers = {name: value for name, value in self.headers.items() if name.lower() not in OF_A_LINK}
        connection = http.client.HTTPConnection(urlsplit(self.proxy.target).netloc, timeout=60)
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        found = answer.status, answer.getheaders(), answer.read()
        connection.close()
        return found

    def log_message(self, *_: object) -> None: ...


@contextmanager
def between(target: str) -> Iterator[Proxy]:
    """A proxy before a server, for as long as the block lasts."""
    proxy = Proxy("", target)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, proxy)) as server:
        proxy.uri = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield proxy
        server.shutdown()
