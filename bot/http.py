"""HTTP as the web process reads it: uvicorn's protocol over httptools, with bounds for what stands before a body.

Neither of the two has any: whoever connects could send a head without end and have it kept in memory, or send one byte now and then and
keep the connection for ever. Bodies are bounded by whoever reads them (`bot.webhooks`).
"""

from __future__ import annotations

import asyncio
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD: Final = 64 * 1024
"""Bytes of the request line and all headers. GitHub sends less than 2 kB, browsers and proxies add a few; nginx takes 32 kB."""
MAX_HEADERS: Final = 200
"""GitHub sends 15."""
HEAD_SECONDS: Final = 10.0
"""In which a head must be there, from the first byte on, and the first byte from the connection on."""


class _TooMuch(Exception):
    """More than a head may be; httptools hands it on as an error of the parser, and the answer is 400."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection. What exceeds a bound is answered 400 (too slow: 408) and the connection is closed."""

    head_seconds = HEAD_SECONDS
    _in_head = _began = False
    _came = 0
    """Bytes that came of a head that is not complete yet. Its first piece, of which only the end may be its own, does not count."""
    _size = _count = 0
    """Of the headers that are complete."""
    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Somebody is there: from now on it has HEAD_SECONDS."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody is waited for any more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse; and while a head is not complete, count what came of it: a single header without end is never told of."""
        self._began = False
        super().data_received(data)
        if not self._in_head or self._began or self.transport.is_closing():
            return
        self._came += len(data)
        if self._came > MAX_HEAD:
            self._stop_waiting()
            self.send_400_response("The head of the request is too long.")

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        self._in_head, self._began, self._came, self._size, self._count = True, True, 0, 0, 0
        if self._late is None:
            self._wait()
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """A piece of the address."""
        self._measure(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A complete header."""
        self._count += 1
        self._measure(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """What follows is the body's."""
        self._in_head = False
        self._stop_waiting()
        super().on_headers_complete()

    def _measure(self, number: int) -> None:
        self._size += number
        if self._size > MAX_HEAD or self._count > MAX_HEADERS:
            raise _TooMuch

    def _wait(self) -> None:
        self._late = self.loop.call_later(self.head_seconds, self._too_late)

    def _stop_waiting(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _too_late(self) -> None:
        self._late = None
        if not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            self.transport.close()
