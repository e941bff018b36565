"""An end point that remembers what the doubles send to it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Receiver:
    """Answers every delivery with `status`."""

    url: str = ""
    status: int = 202
    seen: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    """(headers with lower-case names, body)."""


class _Server(ThreadingHTTPServer):
    request_queue_size = 128
    """A full queue is answered with a reset, and the standard library's holds five."""


@contextlib.contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver on the loopback, for as long as it is needed."""
    box = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            box.seen.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(box.status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = _Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    box.url = f"http://127.0.0.1:{server.server_address[1]}/webhooks"
    try:
        yield box
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
